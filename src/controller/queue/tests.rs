//! The order of a backlog, and the pace at which it is handed out.

use std::{collections::BTreeSet, sync::Arc};

use kube::runtime::reflector::ObjectRef;
use serde_json::{Value, json};

use super::{QueueEntry, WorkSlots, in_order};
use crate::{api::ScheduledMachine, api::fixture::office_json};

fn object(name: &str, priority: u8, status: Option<Value>) -> Arc<ScheduledMachine> {
    let mut object = office_json(name);
    object["spec"]["priority"] = json!(priority);
    object["metadata"]["generation"] = json!(2);
    if let Some(status) = status {
        object["status"] = status;
    }
    Arc::new(serde_json::from_value(object).unwrap())
}

#[test]
fn overdue_comes_before_unseen_before_routine_and_priority_decides_within() {
    let seen = |edge: &str| Some(json!({"nextActivation": edge, "observedGeneration": 2}));
    let objects = vec![
        object("routine-low", 1, seen("2026-03-03T09:00:00Z")),
        object("routine-high", 90, seen("2026-03-03T09:00:00Z")),
        object("changed", 50, Some(json!({"observedGeneration": 1}))),
        object("new", 60, None),
        object("overdue-late", 50, seen("2026-03-02T08:00:00Z")),
        object("overdue-early", 50, seen("2026-03-01T08:00:00Z")),
        object("overdue-now", 70, seen("2026-03-02T09:00:00Z")),
    ];
    let order = in_order(&objects, "2026-03-02T09:00:00Z".parse().unwrap());
    let names: Vec<_> = order.iter().map(|place| place.object.1.as_str()).collect();
    assert_eq!(
        names,
        [
            "overdue-now",
            "overdue-early",
            "overdue-late",
            "new",
            "changed",
            "routine-high",
            "routine-low"
        ]
    );
}

#[tokio::test]
async fn no_more_is_handed_out_than_is_finished() {
    let work_slots = WorkSlots::new(1);
    let reference = |name: &str| ObjectRef::<ScheduledMachine>::new(name).within("default");
    work_slots.slot().await;
    work_slots.take(&reference("a"));
    assert!(futures::FutureExt::now_or_never(work_slots.slot()).is_none());
    // One that is on its way already takes no second slot, and others that finish give none back.
    work_slots.take(&reference("a"));
    work_slots.finished(&reference("b").erase());
    assert!(futures::FutureExt::now_or_never(work_slots.slot()).is_none());
    work_slots.finished(&reference("a").erase());
    assert!(futures::FutureExt::now_or_never(work_slots.slot()).is_some());
    work_slots.finished(&reference("a").erase());
    work_slots.take(&reference("c"));
    assert!(futures::FutureExt::now_or_never(work_slots.slot()).is_none());
}

#[test]
fn nothing_is_idle_where_all_slots_are_taken_or_something_waits() {
    let work_slots = WorkSlots::new(2);
    let reference = |name: &str| ObjectRef::<ScheduledMachine>::new(name).within("default");
    assert!(work_slots.is_idle());
    for name in ["a", "b"] {
        work_slots.take(&reference(name));
    }
    assert!(!work_slots.is_idle(), "all slots are taken");
    work_slots.finished(&reference("a").erase());
    assert!(work_slots.is_idle());
    let now = "2026-03-02T09:00:00Z".parse().unwrap();
    let next = QueueEntry::of(&object("c", 50, None), now);
    work_slots.wait_for(&BTreeSet::from([next]));
    assert!(!work_slots.is_idle(), "something waits for a slot");
    work_slots.wait_for(&BTreeSet::new());
    assert!(work_slots.is_idle());
}
