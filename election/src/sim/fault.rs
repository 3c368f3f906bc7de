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
pub(super) struct Fault {
    pub(super) kind: Kind,
    /// To whom it is done, where it is not done to all or to the Lease.
    pub(super) target: Target,
    /// For how long, where it passes.
    pub(super) lasts: Millis,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// SIGSTOP, and SIGCONT after a while.
    Stop,
    /// SIGKILL of the container's process.
    Kill,
    /// The work of a leader ends by itself, which ends the process.
    WorkEnds,
    /// The node is gone for good; a pod is created elsewhere after a while.
    NodeLost,
    /// The pod is deleted gracefully and replaced.
    Delete,
    /// Every pod is replaced by one of a new template, one at a time.
    Rollout,
    /// Requests, answers or both do not come through.
    Partition(Cut),
    /// The node is cut off, and the control plane treats its pod as gone while the process runs on.
    Unreachable(Then),
    /// Nobody reaches the API server.
    ApiDown,
    /// Calls of one replica go wrong in one way or in all, this often in a thousand.
    Noise(Noise, u64),
    /// Every call takes effect, and its answer is late or never comes; and watches are silent, or this late.
    Gray(Noise, Sight),
    /// What was admitted is stored up to this much later: webhooks, quota and storage come after the fence.
    SlowStorage(Millis),
    /// Policies of the fence are switched to Audit. The connections to the leader may be closed by somebody else meanwhile,
    /// this much later.
    PolicyOff(&'static [Policy], Option<Millis>),
    /// All replicas but one are broken from here to the end, each in a way of its own.
    AllButOne,
    /// Calls of all replicas fail.
    Stall(Noise),
    /// Watches are late by this much.
    SlowWatch(Millis),
    /// Watches that are open now never say anything again.
    DeafWatch,
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

/// What does not come through a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    pub(super) requests: bool,
    pub(super) answers: bool,
    /// What was held back comes through when it is mended.
    pub(super) resends: bool,
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

impl Kind {
    /// How many numbers [`Self::draw`] knows.
    pub(super) const COUNT: u64 = 23;

    /// `lasts` is for how long the fault goes on, and `retry` is the retry period.
    pub(super) fn draw(number: u64, lasts: Millis, retry: Millis, dice: &mut Dice) -> Self {
        match number {
            0 | 1 => Self::Stop,
            2 | 3 => Self::Kill,
            4 => Self::WorkEnds,
            5 => Self::NodeLost,
            6 => Self::Delete,
            7 => Self::Rollout,
            8 | 9 => {
                let (requests, answers) =
                    dice.one_of(&[(true, true), (true, false), (false, true)], (true, true));
                Self::Partition(Cut {
                    requests,
                    answers,
                    resends: dice.per_mille(500),
                })
            }
            10 => Self::Unreachable(dice.one_of(
                &[Then::Deleting, Then::Gone, Then::Namesake, Then::Failed],
                Then::Gone,
            )),
            11 => Self::ApiDown,
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
                Self::Noise(noise, dice.one_of(&[100, 500, 1000], 500))
            }
            14 => Self::SlowWatch(dice.between(100, 9000)),
            15 => Self::DeafWatch,
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
            17 => {
                let noises = [
                    Noise::HangAfter,
                    Noise::HangAfter,
                    Noise::SlowAnswer(8 * retry),
                    Noise::SlowWrites(7 * retry / 2),
                ];
                let watches = [Sight::Live, Sight::Silent, Sight::Late(4 * retry)];
                let noise = dice.one_of(&noises, Noise::HangAfter);
                Self::Gray(noise, dice.one_of(&watches, Sight::Live))
            }
            18 => {
                let noises = [
                    Noise::SlowAnswer(3 * retry),
                    Noise::SlowRequest(3 * retry),
                    Noise::HangAfter,
                ];
                Self::Stall(dice.one_of(&noises, Noise::HangAfter))
            }
            19 => Self::SlowStorage(dice.one_of(&[100, 2000, 10_000, 30_000], 2000)),
            20 | 21 => {
                const LENIENT: &[Policy] = &[Policy::Lenient];
                let policies = [LENIENT, LENIENT, &[Policy::Strict], &Policy::ALL];
                let policies = dice.one_of(&policies, &Policy::ALL);
                let forged = dice.per_mille(500).then(|| dice.below(lasts));
                Self::PolicyOff(policies, forged)
            }
            _ => Self::HintForged,
        }
    }
}
