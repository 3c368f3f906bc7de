//! What a leader works on: a few objects with versions, each guarded by one of the two policies of the fence.

use std::sync::{Arc, atomic::AtomicBool};

use super::{gate::Gate, time::Millis};
use crate::{
    fence::Policy,
    mutation::{self, Mutation},
};

/// A work write as it arrives at the API server.
#[derive(Clone, Debug)]
pub(super) struct WorkWrite {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) incarnation: String,
    /// The number of the term that it was made in.
    pub(super) term: u64,
    /// The object, and the version of it that it was made from.
    pub(super) object: usize,
    pub(super) version: u64,
    pub(super) sent: Millis,
    pub(super) abandoned: Arc<AtomicBool>,
    pub(super) gate: Gate,
}

/// How many objects there are.
pub(super) const OBJECTS: usize = 3;

/// The objects, as they are stored.
#[derive(Debug, Default)]
pub(super) struct Objects([Object; OBJECTS]);

#[derive(Debug, Default)]
struct Object {
    version: u64,
    by: Option<Author>,
}

/// Who wrote an object last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Author {
    /// The number of its term; terms that begin later have greater ones.
    pub(super) term: u64,
    /// The name of its pod.
    pub(super) name: String,
}

/// The object is not any more what the write was made from; this is its version now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changed(pub(super) u64);

/// The policy of the fence that guards an object. The strict one guards what only the operator writes, the lenient one what
/// others write too.
pub(super) fn guard_of(object: usize) -> Policy {
    if object == 0 {
        Policy::Strict
    } else {
        Policy::Lenient
    }
}

impl Objects {
    pub(super) fn versions(&self) -> [u64; OBJECTS] {
        let [first, second, third] = &self.0;
        [first, second, third].map(|object| object.version)
    }

    /// Stores a write that was made from this version: the version that comes of it, and whose write it replaces.
    ///
    /// # Errors
    /// Where the object has changed since.
    pub(super) fn store(
        &mut self,
        object: usize,
        from: u64,
        by: Author,
    ) -> Result<(u64, Option<Author>), Changed> {
        let Some(object) = self.0.get_mut(object) else {
            return Err(Changed(0));
        };
        if object.version != from && !mutation::is(Mutation::WritesFromAnyVersion) {
            return Err(Changed(object.version));
        }
        object.version += 1;
        Ok((object.version, object.by.replace(by)))
    }
}
