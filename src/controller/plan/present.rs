//! The window is open: the machine is to be there.

use std::borrow::Cow;

use super::{
    Course, Finding, NodeSight, Observed, Parts, Step, absent::not_draining, has_finalizer,
};
use crate::{
    api::{Phase, condition},
    machine::{NodeView, ObjectView, Ownership, Role, TaintPlan, taints},
};

pub(super) fn course(observed: &Observed<'_>, scheduled: Finding) -> Course {
    let parts = observed.parts();
    let machine_ready = machine_ready(&parts);
    let drained = not_draining(&parts);
    let wait = |phase, reason: Cow<'static, str>, message: String| Course {
        phase,
        reason,
        message,
        is_ready: false,
        machine_ready: machine_ready.clone(),
        drained: drained.clone(),
        tainted: None,
        cleanup: None,
        status_first: false,
        steps: Vec::new(),
        look_again: None,
    };
    if let Some((role, _)) = parts.all().find(|(_, object)| object.is_deleting) {
        let message = format!("waiting for the {role} of before to go, then it is created anew");
        return wait(Phase::Pending, "WaitingForRemoval".into(), message);
    }
    let mut steps = missing(observed, &parts);
    let is_missing = !steps.is_empty();
    if is_missing {
        let sight = observed.sight;
        let kinds = [&sight.bootstrap, &sight.infrastructure, &sight.machine];
        if let Some(problem) = kinds.into_iter().find_map(|kind| kind.problem()) {
            return wait(Phase::Pending, "KindNotServed".into(), problem.to_owned());
        }
    }
    steps.extend(adoptable(observed, &parts));
    if !steps.is_empty() && !has_finalizer(observed.object) {
        steps.insert(0, Step::AddFinalizer);
    }
    let node = match &observed.sight.node {
        NodeSight::Seen(node) => Some(node.as_ref()),
        NodeSight::None | NodeSight::Unknown(_) => None,
    };
    // What was begun of a shutdown is taken back.
    let cordoned = node.filter(|node| node.is_cordoned);
    steps.extend(cordoned.map(|node| Step::Cordon(node.clone(), false)));
    let skipping = parts.machine.filter(|object| {
        object
            .machine
            .as_ref()
            .is_some_and(|machine| machine.skips_drain)
    });
    steps.extend(skipping.map(|machine| Step::SkipDrain(machine.clone(), false)));
    let (step, tainted) = tainted(observed, node);
    steps.extend(step);

    let is_there = parts.machine.is_some() && !is_missing;
    let is_ready = is_there && machine_ready.is_true();
    let (reason, message) = if is_ready {
        (scheduled.reason, scheduled.message)
    } else if is_there {
        (
            "WaitingForMachine".into(),
            format!("{}; {}", scheduled.message, machine_ready.message),
        )
    } else {
        (
            "CreatingMachine".into(),
            format!("{}; its objects are being created", scheduled.message),
        )
    };
    let has_conflict = tainted
        .as_ref()
        .is_some_and(|tainted| tainted.reason == CONFLICT);
    Course {
        is_ready: is_ready && !has_conflict,
        tainted,
        steps,
        ..wait(
            if is_there {
                Phase::Active
            } else {
                Phase::Pending
            },
            reason,
            message,
        )
    }
}

/// The condition `MachineReady`.
pub(super) fn machine_ready(parts: &Parts<'_>) -> Finding {
    let kind = condition::MACHINE_READY;
    let Some(object) = parts.machine else {
        return Finding::no(kind, "NoMachine", "there is no Machine");
    };
    if object.is_deleting {
        return Finding::no(kind, "MachineDeleting", "the Machine is being deleted");
    }
    match &object.machine {
        Some(machine) if machine.is_ready => Finding::yes(
            kind,
            "MachineReady",
            "the Machine is ready and has its Node",
        ),
        Some(machine) if !machine.explanation.is_empty() => {
            let message = format!("the Machine is not ready: {}", machine.explanation);
            Finding::no(kind, "WaitingForMachine", message)
        }
        _ => Finding::no(kind, "WaitingForMachine", "the Machine is not ready yet"),
    }
}

/// What has to be created, in this order: the Machine refers to the others.
fn missing(observed: &Observed<'_>, parts: &Parts<'_>) -> Vec<Step> {
    let kept = parts.leftovers.first();
    match (parts.machine, kept) {
        // It consists of objects of an earlier spec, and goes on with them until its window shuts.
        (Some(_), Some(_)) => return Vec::new(),
        (None, Some(_)) => {
            let delete =
                |object: &&ObjectView| Step::Delete(Role::Infrastructure, (*object).clone());
            let leftovers = parts.leftovers.iter();
            return leftovers
                .filter(|object| !object.is_deleting)
                .map(delete)
                .collect();
        }
        (_, None) => {}
    }
    let wanted = [
        (Role::Bootstrap, parts.bootstrap),
        (Role::Infrastructure, parts.infrastructure),
        (Role::Machine, parts.machine),
    ];
    let create = |(role, present): (Role, Option<&ObjectView>)| {
        present.is_none().then_some(Step::Create(role))
    };
    let steps = wanted.into_iter().filter_map(create).collect::<Vec<_>>();
    // Both are one kind and so one object: there is no telling which.
    let spec = &observed.object.spec;
    let is_one_kind = spec.bootstrap_spec.kind == spec.infrastructure_spec.kind
        && spec.bootstrap_spec.api_version == spec.infrastructure_spec.api_version;
    if is_one_kind {
        return steps
            .into_iter()
            .filter(|step| *step != Step::Create(Role::Infrastructure))
            .collect();
    }
    steps
}

fn adoptable(observed: &Observed<'_>, parts: &Parts<'_>) -> Vec<Step> {
    parts
        .all()
        .filter(|(_, object)| object.ownership(observed.object) == Ownership::Adoptable)
        .map(|(role, object)| Step::Adopt(role, object.clone()))
        .collect()
}

const CONFLICT: &str = "TaintOwnershipConflict";

/// What to do about the Node's taints, and the condition `NodeTainted`, which only those have who ask for taints.
fn tainted(observed: &Observed<'_>, node: Option<&NodeView>) -> (Option<Step>, Option<Finding>) {
    let wanted = &observed.object.spec.node_taints;
    let kind = condition::NODE_TAINTED;
    let Some(node) = node else {
        let finding = Finding::no(kind, "NoNodeYet", "the Machine has no Node yet");
        return (None, (!wanted.is_empty()).then_some(finding));
    };
    if wanted.is_empty() && node.applied.is_empty() {
        return (None, None);
    }
    let is_wanted = |finding: Finding| (!wanted.is_empty()).then_some(finding);
    let applied = || is_wanted(Finding::yes(kind, "Applied", "the Node has the taints"));
    match taints(node, wanted) {
        TaintPlan::Settled => (None, applied()),
        TaintPlan::Write { .. } if !node.is_ready => (
            None,
            is_wanted(Finding::no(kind, "NodeNotReady", "the Node is not ready")),
        ),
        TaintPlan::Write { .. } => (Some(Step::Taint(node.clone(), wanted.clone())), applied()),
        TaintPlan::Conflict(taint) => {
            let message = format!(
                "nodeTaints: {:?} is on the Node already, with another value that somebody else has set",
                taint.key
            );
            (None, Some(Finding::no(kind, CONFLICT, message)))
        }
    }
}
