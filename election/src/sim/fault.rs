//! What goes wrong in a scenario.

mod strike;

use super::{dice::Dice, time::Millis, way::Noise};
use crate::fence::Policy;

/// Whom a fault is done to, decided when it happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    /// The process that the Lease names.
    Holder,
    /// One of the pods, as it falls out.
    Pod(u64),
}

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// SIGSTOP, and SIGCONT after a while.
    Stop(Target, Millis),
    /// SIGKILL of the container's process.
    Kill(Target),
    /// The work of a leader ends by itself, which ends the process.
    WorkEnds(Target),
    /// The node is gone for good; a pod is created elsewhere after a while.
    NodeLost(Target, Millis),
    /// The pod is deleted gracefully and replaced.
    Delete(Target),
    /// Every pod is replaced by one of a new template, one at a time.
    Rollout,
    /// Requests, answers or both do not come through.
    Partition {
        target: Target,
        lasts: Millis,
        requests: bool,
        answers: bool,
        resends: bool,
    },
    /// The node is cut off, and the control plane treats its pod as gone while the process runs on.
    Unreachable {
        target: Target,
        lasts: Millis,
        then: Then,
    },
    /// Nobody reaches the API server.
    ApiDown(Millis),
    /// Calls of one replica go wrong in one way or in all.
    Noise {
        target: Target,
        lasts: Millis,
        noise: Noise,
        often: u64,
    },
    /// Every call takes effect, and its answer is late or never comes; and watches are silent, or this late.
    Gray {
        target: Target,
        lasts: Millis,
        noise: Noise,
        watch: Sight,
    },
    /// What was admitted is stored up to this much later: webhooks, quota and storage come after the fence.
    SlowStorage { lasts: Millis, most: Millis },
    /// Policies of the fence are switched to Audit. The connections to the leader may be closed by somebody else meanwhile.
    PolicyOff {
        policies: &'static [Policy],
        lasts: Millis,
        forged: Option<Millis>,
    },
    /// All replicas but one are broken from here to the end, each in a way of its own.
    AllButOne { lasts: Millis },
    /// Calls go wrong for everybody.
    Stall { lasts: Millis, noise: Noise },
    /// Watches are late.
    SlowWatch {
        target: Target,
        lasts: Millis,
        delay: Millis,
    },
    /// Watches that are open now never say anything again.
    DeafWatch(Target),
    /// Somebody adds a label to the Lease.
    LeaseLabelled,
    /// Somebody deletes the Lease.
    LeaseDeleted,
    /// Somebody writes a name into the Lease that is no replica's.
    LeaseOverwritten,
    /// Somebody writes a name and a duration into the Lease that are no replica's.
    LeaseGarbled(Option<i32>),
    /// The connections to the leader are closed by somebody else.
    HintForged,
}

/// How a replica whose calls go wrong sees the Lease by its watch.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sight {
    Live,
    Silent,
    Late(Millis),
}

/// What becomes of the API object of a pod on a node that is cut off.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// It is marked for deletion.
    Deleting,
    /// It is deleted by force.
    Gone,
    /// It is deleted by force, and another pod gets its name.
    Namesake,
    /// The garbage collector sets its phase to Failed.
    Failed,
}

impl Fault {
    /// How many kinds [`Self::draw`] knows.
    pub(super) const KINDS: u64 = 23;

    /// `retry` is the retry period.
    pub(super) fn draw(
        kind: u64,
        target: Target,
        lasts: Millis,
        retry: Millis,
        dice: &mut Dice,
    ) -> Self {
        match kind {
            0 | 1 => Self::Stop(target, lasts),
            2 | 3 => Self::Kill(target),
            4 => Self::WorkEnds(target),
            5 => Self::NodeLost(target, lasts),
            6 => Self::Delete(target),
            7 => Self::Rollout,
            8 | 9 => {
                let (requests, answers) =
                    dice.one_of(&[(true, true), (true, false), (false, true)], (true, true));
                Self::Partition {
                    target,
                    lasts,
                    requests,
                    answers,
                    resends: dice.per_mille(500),
                }
            }
            10 => {
                let then = dice.one_of(
                    &[Then::Deleting, Then::Gone, Then::Namesake, Then::Failed],
                    Then::Gone,
                );
                Self::Unreachable {
                    target,
                    lasts,
                    then,
                }
            }
            11 => Self::ApiDown(lasts),
            12 | 13 => {
                let kinds = [
                    Noise::Any,
                    Noise::Conflict,
                    Noise::ErrorBefore,
                    Noise::ErrorAfter,
                    Noise::Hang,
                    Noise::HangAfter,
                    Noise::SlowRequest(8000),
                    Noise::SlowAnswer(1900),
                    Noise::SlowAnswer(3 * retry),
                ];
                let noise = dice.one_of(&kinds, Noise::Any);
                Self::Noise {
                    target,
                    lasts,
                    noise,
                    often: dice.one_of(&[100, 500, 1000], 500),
                }
            }
            14 => Self::SlowWatch {
                target,
                lasts,
                delay: dice.between(100, 9000),
            },
            15 => Self::DeafWatch(target),
            16 => dice.one_of(
                &[
                    Self::LeaseLabelled,
                    Self::LeaseLabelled,
                    Self::LeaseDeleted,
                    Self::LeaseOverwritten,
                    Self::LeaseGarbled(Some(i32::MAX)),
                    Self::LeaseGarbled(Some(0)),
                    Self::LeaseGarbled(None),
                ],
                Self::LeaseLabelled,
            ),
            17 => Self::draw_gray(target, lasts, retry, dice),
            18 => Self::draw_stall(lasts, retry, dice),
            19 => Self::SlowStorage {
                lasts,
                most: dice.one_of(&[100, 2000, 10_000, 30_000], 2000),
            },
            20 | 21 => Self::PolicyOff {
                policies: dice.one_of(
                    &[
                        &[Policy::Lenient],
                        &[Policy::Lenient],
                        &[Policy::Strict],
                        &Policy::ALL,
                    ],
                    &Policy::ALL,
                ),
                lasts,
                forged: dice.per_mille(500).then(|| dice.below(lasts)),
            },
            _ => Self::HintForged,
        }
    }

    fn draw_gray(target: Target, lasts: Millis, retry: Millis, dice: &mut Dice) -> Self {
        let noises = [
            Noise::HangAfter,
            Noise::HangAfter,
            Noise::SlowAnswer(8 * retry),
            Noise::SlowWrites(7 * retry / 2),
        ];
        let watches = [Sight::Live, Sight::Silent, Sight::Late(4 * retry)];
        Self::Gray {
            target,
            lasts,
            noise: dice.one_of(&noises, Noise::HangAfter),
            watch: dice.one_of(&watches, Sight::Live),
        }
    }

    fn draw_stall(lasts: Millis, retry: Millis, dice: &mut Dice) -> Self {
        let noises = [
            Noise::SlowAnswer(3 * retry),
            Noise::SlowRequest(3 * retry),
            Noise::HangAfter,
        ];
        Self::Stall {
            lasts,
            noise: dice.one_of(&noises, Noise::HangAfter),
        }
    }
}
