//! The machine is not to be there: the way out, in the manner that is called for.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::{
    Announcement, CLEANUP, Course, DRAIN_PAUSE, EMERGENCY_DRAIN, Finding, NodeSight, Observed,
    Parts, Step, has_finalizer, present::machine_ready,
};
use crate::{
    api::{Phase, condition},
    controller::caches::Served,
    machine::{DrainReport, ObjectView, Role},
};

/// How the machine goes, and what comes after.
#[derive(Clone, Copy, Debug)]
pub(super) struct Way {
    pub(super) manner: Manner,
    /// When it is gone.
    pub(super) phase: Phase,
}

/// How the machine goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Its pods get time to finish, then they are evicted.
    Graceful,
    /// Its pods are evicted.
    Deletion,
    /// Its pods are evicted in a hurry.
    Emergency,
    /// Nothing is waited for.
    AtOnce,
}

/// Why a Node needs no more draining.
const OUTCOMES: [&str; 3] = ["Drained", "NoNode", "DrainTimedOut"];

pub(super) fn course(observed: &Observed<'_>, way: Way, why: Finding, now: Timestamp) -> Course {
    let parts = observed.parts();
    let mut course = match parts.machine {
        _ if parts.is_empty() => return gone(observed, way, why, now),
        Some(machine) if !machine.is_deleting => on_its_way(observed, way, &why, machine, now),
        _ => {
            let mut course = base(observed, way, &parts);
            course.remove_rest(way, &parts);
            course
        }
    };
    course.reason = why.reason;
    course.message = format!("{}; {}", why.message, course.message);
    if way.manner == Manner::Emergency
        && observed.object.spec.schedule.enabled
        && is_reclaimed(observed)
    {
        // Before anything else: once the Node is gone, only this keeps the machine out.
        course.steps.insert(0, Step::DisableSchedule);
    }
    course.bound(observed, now);
    course
}

/// The condition `Drained` of a machine that is not on its way out.
pub(super) fn not_draining(parts: &Parts<'_>) -> Finding {
    let message = match parts.machine {
        Some(_) => "the Node is in use",
        None => "there is no Machine",
    };
    Finding::no(condition::DRAINED, "NotDraining", message)
}

fn is_reclaimed(observed: &Observed<'_>) -> bool {
    matches!(&observed.sight.node, NodeSight::Seen(node) if node.reclaim.is_some())
}

fn base(observed: &Observed<'_>, way: Way, parts: &Parts<'_>) -> Course {
    let phase = match way.manner {
        Manner::Graceful | Manner::Deletion => Phase::ShuttingDown,
        Manner::Emergency | Manner::AtOnce => way.phase,
    };
    let drained = Finding::stored(observed, condition::DRAINED);
    Course {
        phase,
        reason: "".into(),
        message: String::new(),
        is_ready: false,
        machine_ready: machine_ready(parts),
        drained: drained.unwrap_or_else(|| not_draining(parts)),
        tainted: None,
        cleanup: None,
        status_first: true,
        steps: Vec::new(),
        look_again: None,
    }
}

fn gone(observed: &Observed<'_>, way: Way, why: Finding, now: Timestamp) -> Course {
    let parts = Parts::default();
    let mut course = Course {
        phase: way.phase,
        reason: why.reason,
        message: why.message,
        is_ready: true,
        drained: not_draining(&parts),
        ..base(observed, way, &parts)
    };
    let sight = observed.sight;
    let kinds = [&sight.machine, &sight.bootstrap, &sight.infrastructure];
    let unseen = kinds
        .into_iter()
        .find(|kind| matches!(kind, Served::Failed(_)));
    if let (true, Some(unseen)) = (has_finalizer(observed.object), unseen) {
        // What there is can't be seen, so it can't be said that nothing is left.
        course.phase = observed.phase();
        course.is_ready = false;
        course.reason = "KindNotServed".into();
        unseen
            .problem()
            .unwrap_or_default()
            .clone_into(&mut course.message);
    } else if observed.object.metadata.deletion_timestamp.is_some() {
        course.steps.push(Step::RemoveFinalizer);
        course.status_first = false;
    }
    course.bound(observed, now);
    course
}

/// The Machine is there and not being deleted.
fn on_its_way(
    observed: &Observed<'_>,
    way: Way,
    why: &Finding,
    machine: &ObjectView,
    now: Timestamp,
) -> Course {
    let parts = observed.parts();
    let mut course = base(observed, way, &parts);
    if way.manner == Manner::AtOnce {
        course.drained = not_draining(&parts);
        course.delete(machine);
        return course;
    }
    // A stored outcome is one of this shutdown only while it is under way.
    let is_under_way = matches!(
        observed.phase(),
        Phase::ShuttingDown | Phase::EmergencyRemove
    );
    if !is_under_way {
        course.drained = not_draining(&parts);
    }
    let stored = observed
        .condition(condition::DRAINED)
        .filter(|_| is_under_way);
    if stored.is_some_and(|stored| OUTCOMES.contains(&stored.reason.as_str())) {
        course.delete(machine);
        return course;
    }
    if observed.sight.node == NodeSight::None {
        course.drained = Finding::yes(condition::DRAINED, "NoNode", "there is no Node to drain");
        course.delete(machine);
        return course;
    }
    if let NodeSight::Seen(node) = &observed.sight.node
        && !node.is_cordoned
    {
        course.steps.push(Step::Cordon((**node).clone(), true));
    }
    let grace_ends = grace_ends(observed, way, why, now);
    if now < grace_ends {
        let message = format!("the Node is cordoned and left alone until {grace_ends}");
        course.drained = Finding::no(condition::DRAINED, "GracePeriod", message.clone());
        course.message = message;
        course.cleanup = Some(grace_ends);
        course.look_again = Some(grace_ends);
        return course;
    }
    // Stored as unknown since the first eviction was due.
    let stored = stored.filter(|stored| stored.status == "Unknown");
    let begun = stored.map_or(now, |stored| stored.last_transition_time.0);
    let limit = match way.manner {
        Manner::Emergency => observed
            .drain_timeout()
            .min(SignedDuration::try_from(EMERGENCY_DRAIN).unwrap_or(SignedDuration::ZERO)),
        _ => observed.drain_timeout(),
    };
    let deadline = begun.saturating_add(limit).unwrap_or(now);
    course.drain(observed, machine, (stored, deadline), now);
    course
}

/// When the pods have had their time. It counts from when the window shut, which the condition `Scheduled` keeps.
fn grace_ends(observed: &Observed<'_>, way: Way, why: &Finding, now: Timestamp) -> Timestamp {
    if way.manner != Manner::Graceful {
        return now;
    }
    let since = observed
        .condition(condition::SCHEDULED)
        .filter(|stored| stored.status == "False" && why.kind == condition::SCHEDULED)
        .map_or(now, |stored| stored.last_transition_time.0);
    since.saturating_add(observed.grace()).unwrap_or(now)
}

impl Course {
    fn drain(
        &mut self,
        observed: &Observed<'_>,
        machine: &ObjectView,
        (stored, deadline): (Option<&Condition>, Timestamp),
        now: Timestamp,
    ) {
        let kind = condition::DRAINED;
        let is_over = now >= deadline;
        let progress = match (&observed.sight.node, &observed.feedback.drain) {
            (NodeSight::Unknown(why), _) => {
                self.look_again = Some(deadline);
                format!("the Node can't be reached: {why}")
            }
            // However late it is, the pods are asked once.
            (NodeSight::Seen(node), None) => {
                // What was reported last stands until there is a new report.
                let message = stored.map_or("the pods of the Node are being evicted", |stored| {
                    &stored.message
                });
                self.drained = Finding::unknown(kind, "Draining", message);
                message.clone_into(&mut self.message);
                self.cleanup = Some(deadline);
                self.steps.push(Step::Drain((**node).clone()));
                return;
            }
            (_, Some(Ok(report))) if report.is_done() => {
                self.drained = Finding::yes(kind, "Drained", "all pods have left the Node");
                return self.delete(machine);
            }
            (_, Some(Ok(report))) => progress(report),
            (_, Some(Err(error))) => format!("the pods can't be evicted: {error}"),
            (NodeSight::None, None) => return self.delete(machine),
        };
        if is_over {
            let message = format!("the time for draining is over; {progress}");
            self.drained = Finding::no(kind, "DrainTimedOut", message);
            return self.delete(machine);
        }
        let again = now.saturating_add(DRAIN_PAUSE).unwrap_or(deadline);
        self.look_again.get_or_insert(again.min(deadline));
        self.cleanup = Some(deadline);
        self.drained = Finding::unknown(kind, "Draining", progress.clone());
        self.message = progress;
    }

    fn delete(&mut self, machine: &ObjectView) {
        "the Machine is being removed".clone_into(&mut self.message);
        // The Node is drained, or is not to be: Cluster API need not try, and would not end.
        if !machine
            .machine
            .as_ref()
            .is_some_and(|view| view.skips_drain)
        {
            self.steps.push(Step::SkipDrain(machine.clone(), true));
        }
        self.steps
            .push(Step::Delete(Role::Machine, machine.clone()));
    }

    /// The Machine is being deleted or gone; what it leaves goes after it.
    fn remove_rest(&mut self, way: Way, parts: &Parts<'_>) {
        if let Some(machine) = parts.machine {
            "waiting for the Machine to go".clone_into(&mut self.message);
            let is_told = machine
                .machine
                .as_ref()
                .is_some_and(|view| view.skips_drain);
            if way.manner == Manner::AtOnce && !is_told {
                self.steps.push(Step::SkipDrain(machine.clone(), true));
            }
            return;
        }
        "waiting for what the Machine consisted of to go".clone_into(&mut self.message);
        let left = parts.all().filter(|(_, object)| !object.is_deleting);
        self.steps
            .extend(left.map(|(role, object)| Step::Delete(role, object.clone())));
    }

    /// A deleted `ScheduledMachine` does not wait for ever.
    fn bound(&mut self, observed: &Observed<'_>, now: Timestamp) {
        let Some(deleted) = &observed.object.metadata.deletion_timestamp else {
            return;
        };
        let limit = observed
            .drain_timeout()
            .saturating_add(SignedDuration::try_from(CLEANUP).unwrap_or(SignedDuration::ZERO));
        let deadline = deleted.0.saturating_add(limit).unwrap_or(now);
        let is_letting_go = self.steps.contains(&Step::RemoveFinalizer);
        if now < deadline || is_letting_go {
            self.look_again = Some(self.look_again.map_or(deadline, |at| at.min(deadline)));
            return;
        }
        let note = format!(
            "let go of the ScheduledMachine {} s after its deletion, though not all is gone: {}. \
             The garbage collector deletes what is left",
            limit.as_secs(),
            self.message
        );
        self.status_first = false;
        self.steps = vec![
            Step::Announce(Announcement {
                action: "CleanUp",
                reason: CLEANUP_TIMED_OUT.to_owned(),
                note,
                is_warning: true,
            }),
            Step::RemoveFinalizer,
        ];
    }
}

/// The reason of the Event that says that a deletion was not waited for.
pub(in crate::controller) const CLEANUP_TIMED_OUT: &str = "CleanupTimedOut";

fn progress(report: &DrainReport) -> String {
    let leaving = format!("{} pods are leaving the Node", report.leaving);
    let held = report.example.as_ref().map(|example| {
        let held = report.held_back;
        format!(", {held} are held back by a PodDisruptionBudget, among them {example}")
    });
    let failure = report.failure.as_ref();
    let failed = failure.map(|failure| format!("; failed to evict {failure}"));
    [Some(leaving), held, failed]
        .into_iter()
        .flatten()
        .collect()
}
