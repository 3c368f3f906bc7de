//! Gathers what a decision is made from: the object and all that is known of what belongs to it.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    caches::Caches,
    clusters::NodeState,
    kind::kind_of,
    objects::ObjectState,
    plan::{DrainProgress, FailedAction, Observed, PartState},
    timers::Key,
};
use crate::{
    api::ScheduledMachine,
    machine::{Kind, Part},
};

/// All that is known of `object` at this moment.
pub(super) fn observe<'a>(
    object: &'a ScheduledMachine,
    caches: &Caches,
    failed_actions: Vec<FailedAction>,
    deletion_seen: Option<Timestamp>,
    drain: Option<DrainProgress>,
) -> Observed<'a> {
    let objects = caches.objects();
    let key: Key = (object.namespace(), object.name_any());
    let uid = object.uid().unwrap_or_default();
    let see = |part| {
        let Some(kind) = kind_of(part, object) else {
            // Nothing of a kind that is not allowed was ever created.
            return PartState::Absent;
        };
        match objects.object_state(&kind, &key) {
            ObjectState::Unknown => PartState::Unknown,
            ObjectState::NotServed => {
                PartState::NotServed(format!("{kind} is not served by the API server"))
            }
            ObjectState::Failed(error) => {
                PartState::Failed(format!("{kind} can't be listed: {error}"))
            }
            ObjectState::Absent => PartState::Absent,
            ObjectState::Present(seen) if seen.is_of(part, &key.1, &uid) => {
                PartState::Present(seen)
            }
            ObjectState::Present(_) => PartState::Foreign,
        }
    };
    let parts = Part::ALL.map(see);
    let machine = parts[2].machine();
    let node = machine.map_or(NodeState::None, |machine| {
        caches.clusters().node_of(key.0.as_deref(), machine)
    });
    Observed {
        object,
        is_of_other_kinds: Part::ALL.into_iter().any(|part| {
            kind_of(part, object).is_some_and(|kind| !kind.is_same(&Kind::of(part, object)))
        }),
        parts,
        node,
        machine_version: objects.machine_version(),
        failed_actions,
        deletion_seen,
        drain,
    }
}
