//! What is to be done next to have a machine there, or to have it gone.

use jiff::Timestamp;

use super::{
    action::{Action, NodeKey},
    decision::{Cause, Decision, DrainNews, Goal, Stage, delete},
    findings::Findings,
    leaving::Leaving,
    observed::{NAME_TAKEN, Observed, PartState},
    window::WindowState,
};
use crate::{
    api::parse_timeout,
    controller::{clusters::NodeState, error::name_taken},
    machine::{DesiredNode, Part, Waits},
};

/// What is to be done next.
pub(super) fn decide(observed: &Observed<'_>, findings: &Findings, now: Timestamp) -> Decision {
    match goal(observed, findings) {
        Goal::Kept => {
            let shutdown = observed.status().and_then(|status| status.shutdown.clone());
            Decision {
                shutdown,
                ..Decision::at(Goal::Kept, Stage::Kept, DrainNews::Same)
            }
        }
        Goal::Present => present(observed, findings),
        Goal::Gone(cause) => Leaving::new(observed, cause, now).decide(),
    }
}

fn goal(observed: &Observed<'_>, findings: &Findings) -> Goal {
    let spec = &observed.object.spec;
    if spec.kill_switch {
        return Goal::Gone(Cause::KillSwitch);
    }
    if observed.deleted_at().is_some() {
        return Goal::Gone(Cause::Deletion);
    }
    let is_being_reclaimed = observed
        .status()
        .and_then(|status| status.shutdown.as_ref())
        .is_some_and(|shutdown| shutdown.reclaimed);
    let is_reclaimed = matches!(&observed.node, NodeState::Present(node) if node.is_reclaimed);
    if is_being_reclaimed || is_reclaimed {
        return Goal::Gone(Cause::Reclaim);
    }
    if !findings.is_valid() {
        return Goal::Kept;
    }
    match findings.window.state {
        WindowState::Open { .. } => Goal::Present,
        WindowState::Shut { .. } | WindowState::Disabled | WindowState::Invalid(_) => {
            Goal::Gone(Cause::Schedule)
        }
    }
}

fn present(observed: &Observed<'_>, findings: &Findings) -> Decision {
    let decision = |stage| Decision::at(Goal::Present, stage, DrainNews::InService);
    if let Some(stage) = obstacle(observed) {
        return decision(stage);
    }
    let is_missing = |part: &Part| observed.part(*part).seen().is_none();
    if let Err(error) = &findings.creation
        && Part::ALL.iter().any(is_missing)
    {
        let (reason, message) = ("InvalidReference", error.to_string());
        return decision(Stage::Stuck { reason, message });
    }
    if observed.is_of_other_kinds && Part::ALL.iter().any(is_missing) {
        // A machine of two minds is none. Once all of it is gone, the status forgets the old kinds.
        let mut others = Part::ALL.into_iter().rev();
        return decision(Stage::Replacing).then(others.find_map(|part| delete(observed, part)));
    }
    let seen = || {
        Part::ALL
            .into_iter()
            .filter_map(|part| observed.part(part).seen())
    };
    if seen().any(|seen| seen.is_deleting) {
        return decision(Stage::Replacing);
    }
    let machine_uid = observed
        .part(Part::Machine)
        .seen()
        .map(|machine| &machine.uid);
    let is_left_over = |part: &Part| {
        let of = observed
            .part(*part)
            .seen()
            .and_then(|seen| seen.machine_uid.as_ref());
        of.is_some() && of != machine_uid
    };
    if let Some(part) = Part::ALL.into_iter().find(is_left_over) {
        // Cluster API will delete what belonged to a Machine that is gone; the new one must not be built on it.
        return decision(Stage::Replacing).then(delete(observed, part));
    }
    if !observed.has_finalizer() {
        return decision(Stage::Creating).then(Some(Action::AddFinalizer));
    }
    if let Some(part) = Part::ALL.into_iter().find(is_missing) {
        return decision(Stage::Creating).then(Some(Action::Create(part)));
    }
    decision(Stage::There).then(upkeep(observed))
}

/// What keeps anything from being created.
fn obstacle(observed: &Observed<'_>) -> Option<Stage> {
    let stuck = |reason, message| Some(Stage::Stuck { reason, message });
    if observed.parts.contains(&PartState::Unknown) {
        return Some(Stage::Unknown);
    }
    Part::ALL
        .into_iter()
        .find_map(|part| match observed.part(part) {
            PartState::NotServed(message) => stuck("KindNotServed", message.clone()),
            PartState::Failed(message) => stuck("KindNotReadable", message.clone()),
            PartState::Foreign => stuck(NAME_TAKEN, name_taken(part.word())),
            PartState::Unknown | PartState::Absent | PartState::Present(_) => None,
        })
}

/// What a machine in its window may need.
fn upkeep(observed: &Observed<'_>) -> Option<Action> {
    let spec = &observed.object.spec;
    let seen = observed.part(Part::Machine).seen()?;
    let machine = seen.machine.as_ref()?;
    let drains = parse_timeout(&spec.node_drain_timeout).is_ok_and(|limit| !limit.is_zero());
    let ours = machine.exempted_by_us();
    // To Cluster API a timeout of zero is no limit, so then its drain is never wanted.
    let from = Waits {
        drain: ours.drain && drains,
        ..ours
    };
    if from.any() {
        let of = seen.revision();
        return Some(Action::EndExemption { of, from });
    }
    let NodeState::Present(node) = &observed.node else {
        return None;
    };
    let desired = DesiredNode {
        cordoned: false,
        taints: node.is_ready.then(|| spec.node_taints.clone()),
        clear_reclaim: false,
    };
    let node_key = NodeKey::of(machine, node);
    (!node.is_as(&desired)).then_some(Action::ShapeNode {
        node: node_key,
        desired,
    })
}
