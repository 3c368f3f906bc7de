//! The decision, case by case.

use std::sync::Arc;

use jiff::Timestamp;
use rstest::rstest;
use serde_json::{Value, json};

use super::{Feedback, Observed, Plan, Step, plan};
use crate::{
    api::fixture::office_json,
    api::{Phase, ScheduledMachine, ScheduledMachineStatus},
    controller::caches::{NodeSight, Served, Sight},
    machine::{Kind, KindId, MachineView, ObjectView},
};
const MONDAY_NOON: &str = "2026-03-02T12:00:00Z";
const SUNDAY_NOON: &str = "2026-03-01T12:00:00Z";

fn object(change: &[(&str, Value)]) -> ScheduledMachine {
    let mut object = office_json("a");
    object["metadata"]["generation"] = json!(7);
    object["metadata"]["uid"] = json!("u");
    object["metadata"]["finalizers"] = json!([crate::api::FINALIZER]);
    object["spec"]["killSwitch"] = json!(false);
    object["spec"]["gracefulShutdownTimeout"] = json!("5m");
    object["spec"]["schedule"]["enabled"] = json!(true);
    object["spec"]["schedule"]["timezone"] = json!("UTC");
    object["spec"]["machineTemplate"] = json!({});
    for (pointer, value) in change {
        *object.pointer_mut(pointer).unwrap() = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn kind(id: KindId) -> Arc<Kind> {
    let (api_version, kind) = match &id {
        KindId::Machine => ("cluster.x-k8s.io/v1beta2", "Machine"),
        KindId::Embedded { api_version, kind } => (api_version.as_str(), kind.as_str()),
    };
    let resource = serde_json::from_value(json!({
        "group": "", "version": "", "apiVersion": api_version, "kind": kind, "plural": "x",
    }));
    let resource = resource.unwrap_or_else(|_| {
        let version: kube::core::GroupVersion = api_version.parse().unwrap();
        kube::core::ApiResource::from_gvk(&version.with_kind(kind))
    });
    Arc::new(Kind { id, resource })
}

/// Everything is there in the window, ready and without a Node, and nothing outside of it.
fn sight(object: &ScheduledMachine, is_there: bool) -> Sight {
    let view = |id: KindId| ObjectView {
        machine: (id == KindId::Machine).then(|| MachineView {
            is_ready: true,
            ..MachineView::default()
        }),
        kind: kind(id),
        namespace: "default".to_owned(),
        name: "a".to_owned(),
        uid: "o".to_owned(),
        label: "a".to_owned(),
        owners: vec!["u".to_owned()],
        is_deleting: false,
    };
    let bootstrap = KindId::from(&object.spec.bootstrap_spec);
    let infrastructure = KindId::from(&object.spec.infrastructure_spec);
    let served = |id: &KindId| Served::Yes(kind(id.clone()));
    Sight {
        machine: served(&KindId::Machine),
        bootstrap: served(&bootstrap),
        infrastructure: served(&infrastructure),
        node: NodeSight::None,
        objects: if is_there {
            [bootstrap, infrastructure, KindId::Machine]
                .map(view)
                .into()
        } else {
            Vec::new()
        },
    }
}

fn plan_of(object: &ScheduledMachine, now: &str) -> Plan {
    let is_open =
        now.starts_with("2026-03-02") && object.spec.schedule.enabled && !object.spec.kill_switch;
    plan_with(object, &sight(object, is_open), now)
}

fn plan_with(object: &ScheduledMachine, sight: &Sight, now: &str) -> Plan {
    let feedback = Feedback::default();
    let observed = Observed {
        object,
        sight,
        feedback: &feedback,
    };
    plan(&observed, now.parse().unwrap())
}

fn written(plan: &Plan) -> &ScheduledMachineStatus {
    match &plan.steps[0] {
        Step::WriteStatus(status) => status,
        other => panic!("the status comes first, not {other:?}"),
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
#[case::inside(&[], MONDAY_NOON, Phase::Active, true, ("True", "ScheduleActive"), ("True", "ScheduleActive"))]
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
    assert_eq!(
        condition(status, "ReferencesValid"),
        ("True", "ReferencesAllowed")
    );
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
fn a_reference_that_the_operator_may_not_act_on_is_named(
    #[case] change: (&str, Value),
    #[case] field: &str,
) {
    let object = object(&[change]);
    let plan = plan_of(&object, MONDAY_NOON);
    let status = written(&plan);
    assert_eq!(status.phase, Some(Phase::Error));
    assert_eq!(condition(status, "Ready"), ("False", "InvalidReference"));
    assert_eq!(
        condition(status, "ReferencesValid"),
        ("False", "InvalidReference")
    );
    assert!(
        status.message.as_deref().unwrap().starts_with(field),
        "{:?}",
        status.message
    );
}

#[test]
fn a_settled_object_needs_no_step_and_is_looked_at_again_at_its_boundary() {
    let mut object = object(&[]);
    let first = plan_of(&object, MONDAY_NOON);
    object.status = Some(written(&first).clone());
    let later = plan_of(&object, "2026-03-02T17:59:59.9Z");
    assert_eq!(later.steps, []);
    assert_eq!(
        later.look_again,
        Some("2026-03-02T18:00:00Z".parse::<Timestamp>().unwrap())
    );
}

#[test]
fn a_status_survives_the_way_through_the_api_server() {
    let mut object = object(&[]);
    let first = plan_of(&object, "2026-03-02T12:00:00.123456789Z");
    object.status = Some(serde_json::from_value(json!(written(&first))).unwrap());
    assert_eq!(plan_of(&object, "2026-03-02T12:00:01Z").steps, []);
}

#[test]
fn a_phase_change_is_announced_and_a_mere_new_generation_is_not() {
    let mut object = object(&[]);
    let first = plan_of(&object, MONDAY_NOON);
    let Step::Announce(announcement) = &first.steps[1] else {
        panic!("{first:?}")
    };
    assert!(
        announcement.note.starts_with("Pending -> Active"),
        "{announcement:?}"
    );
    assert!(!announcement.is_warning);

    object.status = Some(ScheduledMachineStatus {
        observed_generation: Some(6),
        ..written(&first).clone()
    });
    assert_eq!(plan_of(&object, MONDAY_NOON).steps.len(), 1);
}

#[test]
fn conditions_keep_their_time_until_their_status_changes() {
    let mut object = object(&[]);
    object.status = Some(written(&plan_of(&object, SUNDAY_NOON)).clone());
    let next = plan_of(&object, MONDAY_NOON);
    let time = |kind: &str| {
        let status = written(&next);
        status
            .conditions
            .iter()
            .find(|found| found.type_ == kind)
            .unwrap()
            .last_transition_time
            .0
            .to_string()
    };
    assert_eq!(time("Ready"), SUNDAY_NOON);
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
    assert_eq!(plan.look_again, None);
    assert_eq!(
        written(&plan).message.as_deref(),
        Some("the window is open for good")
    );
    assert_eq!(
        plan_of(
            &object(&[("/spec/schedule/enabled", json!(false))]),
            MONDAY_NOON
        )
        .look_again,
        None
    );
}

#[test]
fn an_object_that_is_being_deleted_and_is_not_kept_by_us_is_left_alone() {
    let mut object = object(&[]);
    object.metadata.finalizers = None;
    object.metadata.deletion_timestamp = Some(
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(MONDAY_NOON.parse().unwrap()),
    );
    assert_eq!(plan_of(&object, MONDAY_NOON), Plan::default());
}
