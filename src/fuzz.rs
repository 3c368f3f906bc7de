//! Every reader of texts and objects that others write, fed with anything: none may panic, and what is refused is named.
//!
//! `PROPTEST_CASES` says how many inputs each gets, so a longer run is the same test with another number.

use k8s_openapi::api::core::v1::Node;
use kube::core::DynamicObject;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::{
    api::{ScheduledMachine, Subject, fixture::office_json, parse_timeout},
    machine::{DesiredNode, NodeSeen, Seen, patch},
    schedule::Schedule,
};

/// Anything that JSON can say, a few levels deep, with names that mean something here.
pub(crate) fn anything() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "True",
        "Running",
        "n",
        "Ready",
        "cluster.x-k8s.io/v1beta1",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        word.prop_map(Value::from),
    ];
    let names = vec![
        "type",
        "status",
        "reason",
        "nodeRef",
        "name",
        "conditions",
        "phase",
        "spec",
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        let key = prop_oneof![
            "[a-z]{1,6}",
            prop::sample::select(names.clone()).prop_map(str::to_owned),
        ];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key, inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

/// Texts that are nearly right, and any others.
fn schedule_text() -> impl Strategy<Value = String> {
    prop_oneof!["(mon|sun|fri|[0-9]{1,3}|-|,|~){0,8}", ".{0,24}"]
}

proptest! {
    #[test]
    fn a_timeout_is_read_or_named(text in prop_oneof!["0*[0-9]{0,22}[smhd]?", ".{0,24}"]) {
        match parse_timeout(&text) {
            Ok(timeout) => prop_assert!(timeout.as_secs() <= 24 * 3600),
            Err(error) => prop_assert_eq!(error.text, text),
        }
    }

    #[test]
    fn a_schedule_is_read_or_refused_in_words(
        days in prop::collection::vec(schedule_text(), 0..3),
        hours in prop::collection::vec(schedule_text(), 0..3),
        zone in prop_oneof!["UTC", "Europe/Berlin", "[A-Za-z/_]{0,20}", ".{0,20}"],
    ) {
        if let Err(error) = Schedule::parse(&days, &hours, &zone) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn a_spec_is_checked_whatever_its_texts_say(name in ".{0,80}", version in ".{0,40}", kind in ".{0,10}", timeout in ".{0,10}") {
        let mut object = office_json("a");
        object["metadata"]["name"] = json!(name);
        object["spec"]["clusterName"] = json!(name);
        object["spec"]["bootstrapSpec"]["apiVersion"] = json!(version);
        object["spec"]["infrastructureSpec"]["kind"] = json!(kind);
        object["spec"]["nodeDrainTimeout"] = json!(timeout);
        let object: ScheduledMachine = serde_json::from_value(object).unwrap();
        for subject in [Subject::References, Subject::Timeouts] {
            if let Err(error) = object.spec.check(subject) {
                prop_assert!(error.to_string().starts_with(error.field));
            }
        }
        prop_assert_eq!(object.check_name().is_ok(), name.len() <= 63);
    }

    #[test]
    fn a_machine_is_read_whatever_is_in_it(spec in anything(), status in anything()) {
        let machine = json!({
            "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine",
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "1"},
            "spec": spec, "status": status,
        });
        let machine: DynamicObject = serde_json::from_value(machine).unwrap();
        let seen = Seen::of_machine(&machine).unwrap().machine.unwrap();
        prop_assert!(!seen.is_ready || seen.node.is_some());
    }

    #[test]
    fn a_node_is_read_and_changed_whatever_its_record_says(record in prop_oneof![".{0,40}".prop_map(Value::from), anything().prop_map(|value| json!(value.to_string()))]) {
        let node = json!({
            "metadata": {"name": "n", "annotations": {"5spot.finos.org/applied-taints": record}},
            "spec": {"taints": [{"key": "theirs", "effect": "Whatever"}, {"key": "", "effect": ""}]},
        });
        let node: Node = serde_json::from_value(node).unwrap();
        prop_assert!(NodeSeen::of(&node).applied.is_empty());
        let desired = DesiredNode { cordoned: true, taints: Some(Vec::new()), clear_reclaim: false };
        let change = patch(&node, &desired).unwrap();
        prop_assert_eq!(&change["spec"]["unschedulable"], &json!(true));
    }
}
