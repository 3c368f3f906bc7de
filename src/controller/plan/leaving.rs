//! A machine on its way out: cordoned, given time, drained, deleted.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{
    action::{Action, NodeKey},
    decision::{Cause, Decision, DrainNews, Goal, Stage, delete, whole_seconds},
    observed::{Observed, PartState},
};
use crate::{
    api::{Shutdown, parse_timeout},
    controller::clusters::NodeState,
    machine::{DesiredNode, MachineState, Part, Seen, Waits},
};

/// How long the objects of a machine may take to go after the drain before a `ScheduledMachine` that is being deleted
/// does not wait for them any more.
const CLEANUP_TIMEOUT: Duration = Duration::from_mins(10);

/// The longest drain of a machine that its owner wants back.
const RECLAIM_DRAIN: Duration = Duration::from_mins(1);

/// How often in a row the exemption of a Machine may fail before it is done without.
const EXEMPTION_TRIES: u32 = 3;

/// How often a Node that is being drained is looked at.
const DRAIN_PACE: SignedDuration = SignedDuration::from_secs(2);

/// What a timeout is that breaks the rules, on the way out.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// A machine on its way out.
pub(super) struct Leaving<'a> {
    observed: &'a Observed<'a>,
    cause: Cause,
    now: Timestamp,
    shutdown: Shutdown,
    grace: Duration,
    drain: Duration,
}

impl<'a> Leaving<'a> {
    pub(super) fn new(observed: &'a Observed<'a>, cause: Cause, now: Timestamp) -> Self {
        let spec = &observed.object.spec;
        let timeout = |text: &str| parse_timeout(text).unwrap_or(DEFAULT_TIMEOUT);
        let drain = timeout(&spec.node_drain_timeout);
        let begun = observed.status().and_then(|status| status.shutdown.clone());
        let shutdown = begun.unwrap_or_else(|| Shutdown {
            since: Time(whole_seconds(now)),
            draining_since: None,
            reclaimed: false,
        });
        Self {
            observed,
            cause,
            now,
            shutdown: Shutdown {
                reclaimed: cause == Cause::Reclaim || shutdown.reclaimed,
                ..shutdown
            },
            grace: match cause {
                Cause::Schedule => timeout(&spec.graceful_shutdown_timeout),
                Cause::KillSwitch | Cause::Reclaim | Cause::Deletion => Duration::ZERO,
            },
            drain: match cause {
                Cause::Reclaim => drain.min(RECLAIM_DRAIN),
                Cause::Schedule | Cause::KillSwitch | Cause::Deletion => drain,
            },
        }
    }

    pub(super) fn decide(self) -> Decision {
        let observed = self.observed;
        let goal = Goal::Gone(self.cause);
        let is_deletion = observed.deleted_at().is_some();
        let release = |verify| is_deletion.then_some(Action::RemoveFinalizer { verify });
        if !observed.may_have_parts() {
            return Decision::at(goal, Stage::Gone, DrainNews::Same);
        }
        if observed.parts.contains(&PartState::Unknown) {
            // What was not looked at yet is not given up.
            return Decision::at(goal, Stage::Unknown, DrainNews::Same);
        }
        // Counted from when somebody led, so that a deletion which nobody led for is no less graceful than another.
        let shutdown = observed
            .status()
            .and_then(|status| status.shutdown.as_ref());
        let limit = observed.deleted_at().map(|at| {
            // What had begun before the deletion does not tell when somebody led after it.
            let recorded = shutdown
                .into_iter()
                .flat_map(|shutdown| [shutdown.draining_since.as_ref(), Some(&shutdown.since)]);
            let after = recorded
                .flatten()
                .map(|time| time.0)
                .filter(|time| *time >= at)
                .min();
            let begun = after.or(observed.deletion_seen).unwrap_or(at).max(at);
            later(later(begun, self.drain), CLEANUP_TIMEOUT)
        });
        if limit.is_some_and(|limit| limit <= self.now) {
            return self.give_up(release(false));
        }
        let is_taken_back = self.shutdown.reclaimed && !is_deletion;
        let mut decision = self.proceed();
        if decision.stage == Stage::Gone {
            if is_taken_back && observed.object.spec.schedule.enabled {
                // Until the schedule is off, the machine would be taken from its owner again.
                return decision.then(Some(Action::DisableSchedule));
            }
            decision.shutdown = None;
            return decision.then(release(true));
        }
        decision.requeue_at = [decision.requeue_at, limit].into_iter().flatten().min();
        decision
    }

    /// Time is up. What was never asked to go, because nobody led, is asked now.
    fn give_up(self, release: Option<Action>) -> Decision {
        let observed = self.observed;
        let unasked = |part| {
            delete(observed, part).filter(|action| self.refusal(|of| of == action).is_none())
        };
        if let Some(action) = Part::ALL.into_iter().rev().find_map(unasked) {
            return self
                .decision(Stage::Removing, DrainNews::Same)
                .then(Some(action));
        }
        let is_left =
            |part: &Part| !matches!(observed.part(*part), PartState::Absent | PartState::Foreign);
        let left = Part::ALL.into_iter().filter(is_left).collect();
        Decision::at(
            Goal::Gone(self.cause),
            Stage::Abandoned(left),
            DrainNews::Same,
        )
        .then(release)
    }

    fn proceed(self) -> Decision {
        let observed = self.observed;
        for part in &observed.parts {
            match part {
                PartState::Failed(message) => {
                    let (reason, message) = ("KindNotReadable", message.clone());
                    return self.decision(Stage::Stuck { reason, message }, DrainNews::Same);
                }
                // There may be objects again as soon as it is served again, and nobody would know of them any more.
                PartState::NotServed(message) => {
                    let (reason, message) = ("KindNotServed", message.clone());
                    return self.decision(Stage::Stuck { reason, message }, DrainNews::Same);
                }
                PartState::Unknown
                | PartState::Absent
                | PartState::Foreign
                | PartState::Present(_) => {}
            }
        }
        if observed.parts.iter().all(|part| part.seen().is_none()) {
            return self.decision(Stage::Gone, DrainNews::Same);
        }
        match observed.part(Part::Machine).seen() {
            Some(seen) if self.cause == Cause::KillSwitch => self.kill(seen),
            Some(seen) if seen.is_deleting => self.decision(Stage::Removing, DrainNews::Same),
            Some(seen) => self.leave(seen),
            None => {
                // Cluster API deletes both along with the Machine, if it got so far as to know them.
                let others = [Part::Infrastructure, Part::Bootstrap];
                let action = others.into_iter().find_map(|part| delete(observed, part));
                self.decision(Stage::Removing, DrainNews::Same).then(action)
            }
        }
    }

    /// Everything at once.
    fn kill(self, seen: &Seen) -> Decision {
        let machine = seen.machine.clone().unwrap_or_default();
        let observed = self.observed;
        let action = self.exempt(seen, machine.waits()).or_else(|| {
            let mut parts = Part::ALL.into_iter().rev();
            parts.find_map(|part| delete(observed, part))
        });
        self.decision(Stage::Removing, DrainNews::Skipped("the kill switch is on"))
            .then(action)
    }

    /// Cordon, give time, drain, delete.
    fn leave(mut self, seen: &Seen) -> Decision {
        let machine = seen.machine.clone().unwrap_or_default();
        let may_switch_off = self
            .refusal(|action| *action == Action::DisableSchedule)
            .is_none();
        if self.cause == Cause::Reclaim
            && self.observed.object.spec.schedule.enabled
            && may_switch_off
        {
            // Not before it is in the status that the machine is to go: whoever reads the schedule next must know why.
            return self
                .decision(Stage::Draining(None), DrainNews::Pending)
                .then(Some(Action::DisableSchedule));
        }
        let grace_ends = later(self.shutdown.since.0, self.grace);
        let latest = later(grace_ends, self.drain);
        let node = match &self.observed.node {
            NodeState::None | NodeState::Gone => return self.remove(seen, DrainNews::NoNode),
            NodeState::Unreachable(error) => {
                return self.out_of_reach(seen, [grace_ends, latest], error.clone());
            }
            // What was not looked at yet is not given up: the watch brings it, or why it can't be had.
            NodeState::Unknown => {
                let decision = self.decision(Stage::OutOfReach(None), DrainNews::Pending);
                let latest = Some(latest);
                return Decision { latest, ..decision };
            }
            NodeState::Present(node) => node,
        };
        let desired = DesiredNode {
            cordoned: true,
            taints: None,
            clear_reclaim: self.cause == Cause::Reclaim,
        };
        let node_key = NodeKey::of(&machine, node);
        let cordon = (!node.is_as(&desired)).then(|| Action::ShapeNode {
            node: node_key.clone(),
            desired,
        });
        let refused = self
            .refusal(|action| matches!(action, Action::ShapeNode { .. }))
            .filter(|_| cordon.is_some());
        if self.now < grace_ends {
            return self
                .until(grace_ends, latest, Stage::Grace(grace_ends))
                .then(cordon);
        }
        if self.drain.is_zero() {
            let news = DrainNews::Skipped("nodeDrainTimeout is 0");
            return match cordon.filter(|_| refused.is_none()) {
                Some(cordon) => self.decision(Stage::Removing, news).then(Some(cordon)),
                None => self.remove(seen, news),
            };
        }
        let deadline = self.drained_by();
        let progress = self.observed.drain.clone();
        let stage = Stage::Draining(progress.clone());
        if let Some(message) = refused.filter(|_| deadline <= self.now) {
            // Without a cordon there is no drain, and without an end of it there would be no end at all.
            return self.remove(seen, DrainNews::OutOfReach(message));
        }
        if cordon.is_some() {
            return self.until(deadline, deadline, stage).then(cordon);
        }
        match progress {
            Some(progress) if progress.left == 0 => self.remove(seen, DrainNews::Done),
            Some(progress) if deadline <= self.now => {
                self.remove(seen, DrainNews::TimedOut(progress))
            }
            Some(_) => {
                let soon = self.now.checked_add(DRAIN_PACE).unwrap_or(deadline);
                self.until(soon.min(deadline), deadline, stage)
            }
            None if deadline <= self.now
                && let Some(message) =
                    self.refusal(|action| matches!(action, Action::Drain(_))) =>
            {
                self.remove(seen, DrainNews::OutOfReach(message))
            }
            // Even when nobody led in all that time, every pod is asked once.
            None => self
                .until(deadline, deadline, stage)
                .then(Some(Action::Drain(node_key))),
        }
    }

    /// Waits for a Node that can't be reached, for as long as the drain of one that can be may take.
    fn out_of_reach(
        mut self,
        seen: &Seen,
        [grace_ends, latest]: [Timestamp; 2],
        error: String,
    ) -> Decision {
        if self.now < grace_ends {
            return self.until(grace_ends, latest, Stage::OutOfReach(Some(error)));
        }
        let deadline = self.drained_by();
        if self.now < deadline {
            return self.until(deadline, deadline, Stage::OutOfReach(Some(error)));
        }
        self.remove(seen, DrainNews::OutOfReach(error))
    }

    /// When the drain, which begins now at the latest, has to be over.
    fn drained_by(&mut self) -> Timestamp {
        let now = Time(whole_seconds(self.now));
        let since = self.shutdown.draining_since.get_or_insert(now).0;
        later(since, self.drain)
    }

    /// What the API server said against an action, if that was one of these.
    fn refusal(&self, is_one: impl Fn(&Action) -> bool) -> Option<String> {
        let mut failed_actions = self.observed.failed_actions.iter();
        let failed_action = failed_actions.find(|failed_action| is_one(&failed_action.action))?;
        Some(failed_action.message.clone())
    }

    /// Deletes the Machine, and with it the others.
    fn remove(self, seen: &Seen, news: DrainNews) -> Decision {
        let waits = seen.machine.as_ref().map(MachineState::waits);
        let from = Waits {
            detach: false,
            ..waits.unwrap_or_default()
        };
        let action = self.exempt(seen, from).unwrap_or_else(|| Action::Delete {
            part: Part::Machine,
            of: seen.revision(),
        });
        self.decision(Stage::Removing, news).then(Some(action))
    }

    /// Keeps Cluster API from waiting, unless it does not wait or that fails: then it waits, and the machine goes.
    fn exempt(&self, seen: &Seen, from: Waits) -> Option<Action> {
        let mut failed_actions = self.observed.failed_actions.iter();
        let is_given_up = failed_actions.any(|failed_action| {
            matches!(failed_action.action, Action::Exempt { .. })
                && failed_action.times >= EXEMPTION_TRIES
        });
        let of = seen.revision();
        (from.any() && !is_given_up).then_some(Action::Exempt { of, from })
    }

    fn until(self, requeue_at: Timestamp, latest: Timestamp, stage: Stage) -> Decision {
        Decision {
            requeue_at: Some(requeue_at),
            latest: Some(latest),
            ..self.decision(stage, DrainNews::Pending)
        }
    }

    fn decision(self, stage: Stage, drain: DrainNews) -> Decision {
        Decision {
            shutdown: Some(self.shutdown),
            ..Decision::at(Goal::Gone(self.cause), stage, drain)
        }
    }
}

/// Timeouts are at most a day, so this leaves the range of timestamps only at the end of time.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}
