//! The decision, case by case.

use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use std::sync::Arc;

use kube::core::DynamicObject;

use super::{Action, DrainProgress, Observed, PartState, Plan, Step, plan};
use crate::{
    api::fixture::office_with,
    api::{FINALIZER, Phase, ScheduledMachine, ScheduledMachineStatus},
    controller::clusters::NodeState,
    machine::{MachineVersion, NodeSeen, Part, Seen, manifest},
};

const MONDAY_NOON: &str = "2026-03-02T12:00:00Z";
const SUNDAY_NOON: &str = "2026-03-01T12:00:00Z";

fn object(change: &[(&str, Value)]) -> ScheduledMachine {
    let common = [
        ("/metadata/generation", json!(7)),
        ("/metadata/uid", json!("uid-of-a")),
    ];
    office_with(&[&common[..], change].concat())
}

/// What is known of the cluster: nothing of it belongs to the object.
fn empty(object: &ScheduledMachine) -> Observed<'_> {
    Observed {
        object,
        parts: [PartState::Absent, PartState::Absent, PartState::Absent],
        is_of_other_kinds: false,
        node: NodeState::None,
        machine_version: Some(MachineVersion::V1Beta2),
        failed_actions: Vec::new(),
        deletion_seen: None,
        drain: None,
    }
}

fn plan_of(object: &ScheduledMachine, now: &str) -> Plan {
    plan(&empty(object), now.parse().unwrap())
}

fn node(spec: &Value) -> NodeState {
    let node = json!({
        "metadata": {"name": "n", "uid": "u"}, "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    });
    NodeState::Present(Arc::new(NodeSeen::of(
        &serde_json::from_value(node).unwrap(),
    )))
}

/// All of its machine is there, and it has become the Node `n`.
fn complete(object: &ScheduledMachine) -> Observed<'_> {
    let status = json!({
        "phase": "Running", "nodeRef": {"name": "n"}, "conditions": [{"type": "Ready", "status": "True"}],
    });
    let parts = Part::ALL.map(|part| {
        let mut made = manifest(part, object, MachineVersion::V1Beta2);
        made["metadata"]["uid"] = json!(format!("{part:?}"));
        made["metadata"]["resourceVersion"] = json!("1");
        if part == Part::Machine {
            made["status"] = status.clone();
        }
        let made: DynamicObject = serde_json::from_value(made).unwrap();
        PartState::Present(Arc::new(Seen::of_machine(&made).unwrap()))
    });
    Observed {
        parts,
        node: node(&json!({})),
        ..empty(object)
    }
}

fn kept(change: &[(&str, Value)]) -> ScheduledMachine {
    let mut object = object(change);
    object.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    object
}

fn actions(plan: &Plan) -> Vec<Action> {
    let action = |step: &Step| match step {
        Step::Act(action) => Some(action.clone()),
        Step::WriteStatus(_) | Step::Announce(_) => None,
    };
    plan.steps.iter().filter_map(action).collect()
}

fn written(plan: &Plan) -> &ScheduledMachineStatus {
    match &plan.steps[0] {
        Step::WriteStatus(status) => status,
        step => panic!("the status comes first, and not {step:?}"),
    }
}

fn condition<'a>(status: &'a ScheduledMachineStatus, kind: &str) -> (&'a str, &'a str) {
    let found = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
        .unwrap();
    assert_eq!(found.observed_generation, Some(7));
    (&found.status, &found.reason)
}

#[rstest]
#[case::inside(&[], MONDAY_NOON, Phase::Pending, true, ("False", "CreatingMachine"), ("True", "ScheduleActive"))]
#[case::outside(&[], SUNDAY_NOON, Phase::Inactive, false, ("True", "ScheduleInactive"), ("False", "ScheduleInactive"))]
#[case::disabled(
    &[("/spec/schedule/enabled", json!(false))], MONDAY_NOON,
    Phase::Disabled, false, ("True", "ScheduleDisabled"), ("False", "ScheduleDisabled"))]
#[case::kill_switch(
    &[("/spec/killSwitch", json!(true))], MONDAY_NOON,
    Phase::Terminated, true, ("True", "KillSwitchActivated"), ("True", "ScheduleActive"))]
#[case::kill_switch_beats_a_bad_spec(
    &[("/spec/killSwitch", json!(true)), ("/spec/schedule/hoursOfDay", json!(["25"]))], MONDAY_NOON,
    Phase::Terminated, false, ("True", "KillSwitchActivated"), ("False", "InvalidSchedule"))]
#[case::bad_hours(
    &[("/spec/schedule/hoursOfDay", json!(["25"]))], MONDAY_NOON,
    Phase::Error, false, ("False", "InvalidSchedule"), ("False", "InvalidSchedule"))]
#[case::bad_zone_of_a_disabled_schedule(
    &[("/spec/schedule/timezone", json!("Mars/Olympus")), ("/spec/schedule/enabled", json!(false))], MONDAY_NOON,
    Phase::Error, false, ("False", "InvalidSchedule"), ("False", "InvalidSchedule"))]
#[case::bad_timeout(
    &[("/spec/gracefulShutdownTimeout", json!("25h"))], MONDAY_NOON,
    Phase::Error, true, ("False", "InvalidTimeout"), ("True", "ScheduleActive"))]
fn the_phase_follows_from_spec_and_time(
    #[case] change: &[(&str, Value)],
    #[case] now: &str,
    #[case] phase: Phase,
    #[case] in_schedule: bool,
    #[case] ready: (&str, &str),
    #[case] scheduled: (&str, &str),
) {
    let object = object(change);
    let plan = plan_of(&object, now);
    let status = written(&plan);
    assert_eq!(status.phase, Some(phase));
    assert_eq!(status.in_schedule, in_schedule);
    assert_eq!(status.observed_generation, Some(7));
    assert_eq!(condition(status, "Ready"), ready);
    assert_eq!(condition(status, "Scheduled"), scheduled);
    let references = condition(status, "ReferencesValid");
    assert_eq!(references, ("True", "ReferencesAllowed"));
}

#[rstest]
#[case::cluster_name(("/spec/clusterName", json!("-lab")), "clusterName")]
#[case::cluster_name_that_could_break_a_log(("/spec/clusterName", json!("lab\nroot")), "clusterName")]
#[case::core_group(("/spec/bootstrapSpec/apiVersion", json!("v1")), "bootstrapSpec.apiVersion")]
#[case::group_with_a_longer_name(
    ("/spec/infrastructureSpec/apiVersion", json!("infrastructure.cluster.x-k8s.io.example.com/v1")),
    "infrastructureSpec.apiVersion")]
#[case::group_of_the_other_kind(
    ("/spec/infrastructureSpec/apiVersion", json!("bootstrap.cluster.x-k8s.io/v1beta1")),
    "infrastructureSpec.apiVersion")]
#[case::reserved_label(
    ("/spec/machineTemplate", json!({"labels": {"cluster.x-k8s.io/cluster-name": "x"}})), "machineTemplate.labels")]
#[case::reserved_annotation(
    ("/spec/machineTemplate", json!({"annotations": {"5spot.finos.org/x": "x"}})), "machineTemplate.annotations")]
#[case::reserved_label_below_a_reserved_domain(
    ("/spec/machineTemplate", json!({"labels": {"node-restriction.kubernetes.io/x": "x"}})), "machineTemplate.labels")]
#[case::hook_that_would_hold_the_machine_for_ever(
    ("/spec/machineTemplate", json!({"annotations": {"pre-drain.delete.hook.machine.cluster.x-k8s.io/x": "x"}})),
    "machineTemplate.annotations")]
#[case::hook_without_a_name(
    ("/spec/machineTemplate", json!({"annotations": {"pre-drain.delete.hook.machine.cluster.x-k8s.io": "x"}})),
    "machineTemplate.annotations")]
#[case::hook_with_a_longer_name(
    ("/spec/machineTemplate", json!({"annotations": {"pre-terminate.delete.hook.machine.cluster.x-k8s.io.example.com/x": "x"}})),
    "machineTemplate.annotations")]
#[case::spec_of_an_unlikely_size(
    ("/spec/bootstrapSpec/spec", json!({"files": "x".repeat(crate::api::LARGEST_PROVIDER_SPEC)})), "bootstrapSpec.spec")]
fn a_reference_that_the_operator_may_not_act_on_is_named(
    #[case] change: (&str, Value),
    #[case] field: &str,
) {
    let object = object(&[change]);
    let plan = plan_of(&object, MONDAY_NOON);
    let status = written(&plan);
    assert_eq!(status.phase, Some(Phase::Error));
    assert_eq!(condition(status, "Ready"), ("False", "InvalidReference"));
    let references = condition(status, "ReferencesValid");
    assert_eq!(references, ("False", "InvalidReference"));
    assert!(
        status.message.as_deref().unwrap().starts_with(field),
        "{:?}",
        status.message
    );
}

#[rstest]
#[case::not_reserved("example.com/pool")]
#[case::without_a_domain("pool")]
#[case::copied_to_the_node_by_cluster_api("node.cluster.x-k8s.io/pool")]
#[case::below_that("gpu.node.cluster.x-k8s.io/pool")]
#[case::role("node-role.kubernetes.io/worker")]
#[case::with_a_longer_name("notkubernetes.io/pool")]
fn a_label_of_others_may_be_used(#[case] key: &str) {
    let object = object(&[("/spec/machineTemplate", json!({"labels": {key: "x"}}))]);
    let status = plan_of(&object, MONDAY_NOON);
    let status = written(&status);
    assert_eq!(condition(status, "ReferencesValid").0, "True");
}

#[test]
fn a_settled_object_needs_no_step_and_is_looked_at_again_at_its_boundary() {
    let mut object = kept(&[]);
    let first = plan(&complete(&object), MONDAY_NOON.parse().unwrap());
    object.status = Some(written(&first).clone());
    let later = plan(
        &complete(&object),
        "2026-03-02T17:59:59.9Z".parse().unwrap(),
    );
    assert_eq!(later.steps, []);
    assert_eq!(
        later.requeue_at,
        Some("2026-03-02T18:00:00Z".parse::<Timestamp>().unwrap())
    );
}

#[test]
fn a_status_survives_the_way_through_the_api_server() {
    let mut object = kept(&[]);
    let first = plan(
        &complete(&object),
        "2026-03-02T12:00:00.123456789Z".parse().unwrap(),
    );
    object.status = Some(serde_json::from_value(json!(written(&first))).unwrap());
    let next = plan(&complete(&object), "2026-03-02T12:00:01Z".parse().unwrap());
    assert_eq!(next.steps, []);
}

#[test]
fn nothing_is_decided_while_it_is_not_known_what_there_is() {
    let object = kept(&[]);
    for now in [MONDAY_NOON, SUNDAY_NOON] {
        let mut observed = complete(&object);
        observed.parts[0] = PartState::Unknown;
        let plan = plan(&observed, now.parse().unwrap());
        assert_eq!(plan.steps, []);
        assert!(plan.requeue_at.is_some());
    }
}

#[test]
fn a_spec_that_cannot_be_acted_on_takes_no_machine_away() {
    let object = kept(&[("/spec/schedule/hoursOfDay", json!(["25"]))]);
    let plan = plan(&complete(&object), SUNDAY_NOON.parse().unwrap());
    assert_eq!(written(&plan).phase, Some(Phase::Error));
    assert_eq!(actions(&plan), []);
}

#[rstest]
#[case::in_the_grace_period("2026-03-02T18:04:59Z", None, None)]
#[case::after_it("2026-03-02T18:05:00Z", None, Some("Drain"))]
#[case::while_pods_are_left("2026-03-02T18:06:00Z", Some(3), None)]
#[case::when_none_is_left("2026-03-02T18:06:00Z", Some(0), Some("Exempt"))]
#[case::when_time_is_up("2026-03-02T18:10:00Z", Some(3), Some("Exempt"))]
#[case::when_time_was_up_before_anybody_looked("2026-03-03T00:00:00Z", None, Some("Drain"))]
fn a_machine_leaves_step_by_step(
    #[case] now: &str,
    #[case] left: Option<usize>,
    #[case] action: Option<&str>,
) {
    let mut object = kept(&[]);
    object.status = Some(
        serde_json::from_value(json!({
            "phase": "ShuttingDown",
            "shutdown": {"since": "2026-03-02T18:00:00Z", "drainingSince": left.map(|_| "2026-03-02T18:05:00Z")},
        }))
        .unwrap(),
    );
    let mut observed = complete(&object);
    observed.node = node(&json!({"unschedulable": true}));
    observed.drain = left.map(|left| DrainProgress {
        left,
        ..DrainProgress::default()
    });
    let plan = plan(&observed, now.parse().unwrap());
    let found = actions(&plan);
    let found = found.first().map(|action| format!("{action:?}"));
    if let Some(action) = action {
        assert!(found.as_ref().unwrap().starts_with(action), "{found:?}");
    } else {
        assert_eq!(found, None);
        assert!(plan.requeue_at.unwrap() <= "2026-03-02T18:10:00Z".parse().unwrap());
    }
}

#[test]
fn a_phase_change_is_announced_and_a_mere_new_generation_is_not() {
    let mut object = object(&[]);
    let first = plan_of(&object, SUNDAY_NOON);
    let Step::Announce(announcement) = &first.steps[1] else {
        panic!("{first:?}")
    };
    assert!(
        announcement.note.starts_with("Pending -> Inactive: "),
        "{announcement:?}"
    );
    assert!(!announcement.is_warning);

    object.status = Some(ScheduledMachineStatus {
        observed_generation: Some(6),
        ..written(&first).clone()
    });
    assert_eq!(plan_of(&object, SUNDAY_NOON).steps.len(), 1);
}

#[test]
fn conditions_keep_their_time_until_their_status_changes() {
    let mut object = object(&[]);
    object.status = Some(written(&plan_of(&object, SUNDAY_NOON)).clone());
    let next = plan_of(&object, MONDAY_NOON);
    let time = |kind: &str| {
        let mut all = written(&next).conditions.iter();
        let found = all.find(|found| found.type_ == kind).unwrap();
        found.last_transition_time.0.to_string()
    };
    assert_eq!(time("ReferencesValid"), SUNDAY_NOON);
    assert_eq!(time("Scheduled"), MONDAY_NOON);
}

#[test]
fn nothing_is_promised_to_a_machine_that_will_not_come() {
    for change in [
        ("/spec/killSwitch", json!(true)),
        ("/spec/schedule/enabled", json!(false)),
    ] {
        let object = object(&[change]);
        let plan = plan_of(&object, MONDAY_NOON);
        assert_eq!(written(&plan).next_activation, None);
        assert_eq!(written(&plan).next_deactivation, None);
    }
}

#[test]
fn a_schedule_without_boundaries_is_looked_at_only_when_it_changes() {
    let always = [
        ("/spec/schedule/daysOfWeek", json!(["mon-sun"])),
        ("/spec/schedule/hoursOfDay", json!(["0-23"])),
    ];
    let plan = plan_of(&object(&always), MONDAY_NOON);
    assert_eq!(plan.requeue_at, None);
    assert_eq!(
        written(&plan).message.as_deref(),
        Some("the window is open with no end; the machine is being created")
    );
    assert_eq!(
        plan_of(
            &object(&[("/spec/schedule/enabled", json!(false))]),
            MONDAY_NOON
        )
        .requeue_at,
        None
    );
}

#[test]
fn an_object_that_is_being_deleted_is_left_alone() {
    let mut object = object(&[]);
    object.metadata.deletion_timestamp = Some(
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(MONDAY_NOON.parse().unwrap()),
    );
    assert_eq!(plan_of(&object, MONDAY_NOON), Plan::default());
}
