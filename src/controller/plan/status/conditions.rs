//! The conditions: one finding each, with its reason.

use std::fmt::Write;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::{
    api::{ScheduledMachineStatus, condition},
    controller::{
        clusters::NodeState,
        plan::{
            action::Action,
            decision::{Decision, DrainNews, Goal, Stage},
            findings::Findings,
            observed::{DrainProgress, FailedAction, Observed},
            step::Announcement,
            window::WindowState,
        },
    },
};

/// A condition before it has a time.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) kind: &'static str,
    pub(super) is_true: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Reasons of [`condition::DRAINED`] that end a drain, and whether somebody should know.
const ENDS_OF_A_DRAIN: [(&str, bool); 3] = [
    ("NodeDrained", false),
    ("DrainTimedOut", true),
    ("NodeOutOfReach", true),
];

const TAINT_CONFLICT: &str = "TaintOwnershipConflict";

pub(super) fn scheduled(findings: &Findings) -> Finding {
    let finding = |is_true, reason, message: &str| {
        Finding::new(condition::SCHEDULED, is_true, reason, message)
    };
    match &findings.window.state {
        WindowState::Invalid(error) => finding(false, "InvalidSchedule", error),
        WindowState::Disabled => finding(false, "ScheduleDisabled", "the schedule is not enabled"),
        WindowState::Open { shuts, .. } => {
            finding(true, "ScheduleActive", &until("the window is open", *shuts))
        }
        WindowState::Shut { opens, .. } => finding(
            false,
            "ScheduleInactive",
            &until("the window is shut", *opens),
        ),
    }
}

pub(super) fn references_valid(findings: &Findings) -> Finding {
    let kind = condition::REFERENCES_VALID;
    match findings.references.as_ref().and(findings.creation.as_ref()) {
        Ok(()) => {
            let message = "the cluster and the embedded objects may be used";
            Finding::new(kind, true, "ReferencesAllowed", message)
        }
        Err(error) => Finding::new(kind, false, "InvalidReference", error.to_string()),
    }
}

pub(super) fn machine_ready(
    observed: &Observed<'_>,
    decision: &Decision,
    failed_action: Option<&FailedAction>,
) -> Finding {
    let finding = |is_true, reason, message: &str| {
        Finding::new(condition::MACHINE_READY, is_true, reason, message)
    };
    if let (
        Some(FailedAction {
            reason, message, ..
        }),
        Goal::Present,
    ) = (failed_action, decision.goal)
        && decision.stage != Stage::There
    {
        return finding(false, reason, message);
    }
    let seen = observed
        .parts
        .iter()
        .find_map(|part| part.seen().filter(|seen| seen.machine.is_some()));
    if decision.stage == Stage::Removing || seen.is_some_and(|seen| seen.is_deleting) {
        return finding(false, "MachineDeleting", "the machine is being removed");
    }
    match (observed.machine(), &decision.stage) {
        (Some(machine), _) if machine.is_ready => {
            let node = machine.node.as_deref().unwrap_or_default();
            finding(
                true,
                "NodeReady",
                &format!("the machine is the Node {node}, which is ready"),
            )
        }
        (Some(machine), _) => {
            let mut message = match &machine.node {
                Some(node) => format!("the Node {node} is not ready"),
                None => "the Machine has no Node yet".to_owned(),
            };
            for (name, value) in [("phase", &machine.phase), ("reason", &machine.reason)] {
                if let Some(value) = value {
                    let _infallible = write!(message, ", {name} {value}");
                }
            }
            let reason = if machine.node.is_some() {
                "NodeNotReady"
            } else {
                "WaitingForNode"
            };
            finding(false, reason, &message)
        }
        (None, Stage::Stuck { reason, message }) => finding(false, reason, message),
        (None, Stage::Creating) => {
            finding(false, "CreatingMachine", "the machine is being created")
        }
        (None, _) => finding(false, "NoMachine", "there is no Machine"),
    }
}

pub(super) fn drained(observed: &Observed<'_>, decision: &Decision) -> Finding {
    let finding =
        |is_true, reason, message: &str| Finding::new(condition::DRAINED, is_true, reason, message);
    let nothing = || finding(true, "NoNode", "there is no Node to drain");
    match &decision.drain {
        DrainNews::Same => {
            Finding::present(observed, condition::DRAINED, |_| true).unwrap_or_else(nothing)
        }
        DrainNews::InService => finding(false, "InService", "the machine is not on its way out"),
        DrainNews::Pending => {
            let message = &doing(observed, decision).unwrap_or_default();
            match decision.stage {
                Stage::Grace(_) => finding(false, "GracePeriod", message),
                Stage::OutOfReach(_) => finding(false, "NodeOutOfReach", message),
                _ => finding(false, "Draining", message),
            }
        }
        DrainNews::Done => finding(true, "NodeDrained", "all pods have left the Node"),
        DrainNews::NoNode => nothing(),
        DrainNews::TimedOut(progress) => {
            let message = format!("the Node was not empty in time: {}", show(progress));
            finding(false, "DrainTimedOut", &message)
        }
        DrainNews::OutOfReach(error) => finding(
            false,
            "NodeOutOfReach",
            &format!("the Node was not drained: {error}"),
        ),
        DrainNews::Skipped(why) => finding(
            false,
            "DrainSkipped",
            &format!("the Node was not drained: {why}"),
        ),
    }
}

/// What is going on with a machine on its way out, in words.
pub(super) fn doing(observed: &Observed<'_>, decision: &Decision) -> Option<String> {
    match &decision.stage {
        Stage::Grace(until) => Some(format!(
            "the Node takes no new pods, and is drained at {until}"
        )),
        Stage::OutOfReach(Some(error)) => Some(format!("the Node can't be reached: {error}")),
        Stage::OutOfReach(None) => Some("the Node has not been found yet".to_owned()),
        Stage::Draining(Some(progress)) => Some(show(progress)),
        Stage::Draining(None) => {
            // Between two looks at the pods nothing is new, and the status is not to go back and forth.
            let is_same = |reason: &str| reason == "Draining";
            let present = Finding::present(observed, condition::DRAINED, is_same);
            Some(present.map_or_else(
                || "pods are being evicted".to_owned(),
                |present| present.message,
            ))
        }
        Stage::Removing => Some("the machine is being removed".to_owned()),
        Stage::Stuck { message, .. } => Some(message.clone()),
        Stage::Unknown
        | Stage::Kept
        | Stage::Creating
        | Stage::Replacing
        | Stage::There
        | Stage::Gone
        | Stage::Abandoned(_) => None,
    }
}

pub(super) fn node_tainted(
    observed: &Observed<'_>,
    decision: &Decision,
    failed_action: Option<&FailedAction>,
) -> Option<Finding> {
    let wanted = &observed.object.spec.node_taints;
    let finding = |is_true, reason, message: &str| {
        let kind = condition::NODE_TAINTED;
        Some(Finding::new(kind, is_true, reason, message))
    };
    if decision.goal != Goal::Present || wanted.is_empty() {
        return None;
    }
    let NodeState::Present(node) = &observed.node else {
        return finding(false, "NoNodeYet", "there is no Node to taint");
    };
    if let Some(conflict) = node.conflict(wanted) {
        return finding(false, TAINT_CONFLICT, &conflict.to_string());
    }
    if let Some(FailedAction {
        action: Action::ShapeNode { .. },
        message,
        ..
    }) = failed_action
    {
        return finding(false, "PatchFailed", message);
    }
    if !node.is_ready {
        return finding(
            false,
            "NodeNotReady",
            "the Node is tainted once it is ready",
        );
    }
    match decision.action {
        Some(Action::ShapeNode { .. }) => finding(false, "Applying", "the taints are being put on"),
        _ => finding(true, "Applied", "the Node has the taints of the spec"),
    }
}

/// What is new in the conditions that people should hear of.
pub(super) fn news(
    before: Option<&ScheduledMachineStatus>,
    now: &ScheduledMachineStatus,
) -> Vec<Announcement> {
    let reason_before = |kind| {
        before
            .and_then(|status| find(status, kind))
            .map(|found| found.reason.as_str())
    };
    let mut news = Vec::new();
    for (kind, action, reasons) in [
        (
            condition::MACHINE_READY,
            "CreateMachine",
            &[("NodeReady", false)][..],
        ),
        (condition::DRAINED, "DrainNode", &ENDS_OF_A_DRAIN),
        (
            condition::NODE_TAINTED,
            "TaintNode",
            &[(TAINT_CONFLICT, true)],
        ),
    ] {
        let Some(found) = find(now, kind) else {
            continue;
        };
        let known = reasons.iter().find(|(reason, _)| *reason == found.reason);
        if let Some((reason, is_warning)) = known
            && reason_before(kind) != Some(reason)
        {
            news.push(Announcement {
                reason,
                action,
                note: found.message.clone(),
                is_warning: *is_warning,
            });
        }
    }
    news
}

impl Finding {
    fn new(
        kind: &'static str,
        is_true: bool,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            is_true,
            reason,
            message: message.into(),
        }
    }

    /// What the status says already, if its reason is one of ours and passes `filter`.
    fn present(
        observed: &Observed<'_>,
        kind: &'static str,
        filter: impl Fn(&str) -> bool,
    ) -> Option<Self> {
        const OURS: [&str; 8] = [
            "NoNode",
            "NodeDrained",
            "DrainTimedOut",
            "NodeOutOfReach",
            "DrainSkipped",
            "Draining",
            "GracePeriod",
            "InService",
        ];
        let found = find(observed.status()?, kind)?;
        let reason = OURS
            .into_iter()
            .find(|reason| found.reason == *reason && filter(reason))?;
        Some(Self::new(
            kind,
            found.status == "True",
            reason,
            found.message.clone(),
        ))
    }

    pub(super) fn at(self, observed: &Observed<'_>, now: Timestamp) -> Condition {
        let status = if self.is_true { "True" } else { "False" };
        let since = observed
            .status()
            .and_then(|present| find(present, self.kind))
            .filter(|present| present.status == status)
            .map_or(Time(now), |present| present.last_transition_time.clone());
        Condition {
            last_transition_time: since,
            message: self.message,
            observed_generation: observed.object.metadata.generation,
            reason: self.reason.to_owned(),
            status: status.to_owned(),
            type_: self.kind.to_owned(),
        }
    }
}

fn show(progress: &DrainProgress) -> String {
    let DrainProgress {
        left,
        held,
        first,
        error,
    } = progress;
    let pods = if *left == 1 { "pod is" } else { "pods are" };
    let mut text = format!("{left} {pods} left on the Node");
    if *held > 0 {
        let _infallible = write!(text, ", {held} held by a disruption budget");
    }
    if let Some(first) = first {
        let _infallible = write!(text, ", such as {first}");
    }
    if let Some(error) = error {
        let _infallible = write!(text, "; an eviction failed: {error}");
    }
    text
}

fn until(state: &str, end: Option<Timestamp>) -> String {
    match end {
        Some(end) => format!("{state} until {end}"),
        None => format!("{state} with no end"),
    }
}

/// The condition of a status that is of this type.
pub(super) fn find<'a>(status: &'a ScheduledMachineStatus, kind: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
}
