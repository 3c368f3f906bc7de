//! Of which kinds the objects of a machine are.

use crate::{
    api::{BOOTSTRAP_GROUPS, INFRASTRUCTURE_GROUPS, ObjectReference, ScheduledMachine},
    machine::{Kind, Part},
};

/// The kind of which the `part` of `object` is, or would be; `None` where that may not be used.
///
/// A kind in the status is what was last asked for; a spec that names another one by now is about the next machine. A
/// status is no source of rights, so its kinds have to be of the allowed groups as well.
pub(super) fn kind_of(part: Part, object: &ScheduledMachine) -> Option<Kind> {
    let wanted = Kind::of(part, object);
    let used = object.status.as_ref().and_then(|status| match part {
        Part::Bootstrap => status.bootstrap_ref.as_ref(),
        Part::Infrastructure => status.infrastructure_ref.as_ref(),
        Part::Machine => None,
    });
    let used = used.map(
        |ObjectReference {
             api_version, kind, ..
         }| Kind::named(api_version, kind),
    );
    let used = used.filter(|used| !used.is_same(&wanted));
    used.into_iter()
        .chain([wanted])
        .find(|kind| is_allowed(part, kind))
}

fn is_allowed(part: Part, kind: &Kind) -> bool {
    let groups = match part {
        Part::Bootstrap => BOOTSTRAP_GROUPS,
        Part::Infrastructure => INFRASTRUCTURE_GROUPS,
        Part::Machine => return true,
    };
    matches!(kind, Kind::Embedded(kind) if groups.contains(&kind.group.as_str()))
}
