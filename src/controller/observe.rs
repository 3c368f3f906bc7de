//! Gathers what a decision is made from: the object and all that is known of what belongs to it.

use jiff::Timestamp;
use kube::ResourceExt;

use super::{
    caches::Caches,
    clusters::NodeSight,
    kind::kind_of,
    objects::Sight,
    plan::{DrainProgress, Observed, PartSeen, Trouble},
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
    troubles: Vec<Trouble>,
    deletion_seen: Option<Timestamp>,
    drain: Option<DrainProgress>,
) -> Observed<'a> {
    let objects = caches.objects();
    let key: Key = (object.namespace(), object.name_any());
    let uid = object.uid().unwrap_or_default();
    let see = |part| {
        let Some(kind) = kind_of(part, object) else {
            // Nothing of a kind that is not allowed was ever created.
            return PartSeen::Absent;
        };
        match objects.sight(&kind, &key) {
            Sight::Unknown => PartSeen::Unknown,
            Sight::NotServed => {
                PartSeen::NotServed(format!("{kind} is not served by the API server"))
            }
            Sight::Failed(error) => PartSeen::Failed(format!("{kind} can't be listed: {error}")),
            Sight::Absent => PartSeen::Absent,
            Sight::Present(seen) if seen.is_of(part, &key.1, &uid) => PartSeen::Present(seen),
            Sight::Present(_) => PartSeen::Foreign,
        }
    };
    let parts = Part::ALL.map(see);
    let machine = parts[2].machine();
    let node = machine.map_or(NodeSight::None, |machine| {
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
        troubles,
        deletion_seen,
        drain,
    }
}
