//! What this leader wrote and the watch has not brought back yet.
//!
//! Between a write and its echo on the watch the cache holds the object as it was before. Acting on that would repeat
//! the write.

use std::{collections::HashMap, sync::Arc};

use kube::{Resource, ResourceExt};
use parking_lot::Mutex;

use super::timers::Key;
use crate::api::ScheduledMachine;

/// Answers of the API server that are newer than the cache.
#[derive(Debug, Default)]
pub(super) struct Written(Mutex<HashMap<Key, Arc<ScheduledMachine>>>);

impl Written {
    /// Keeps the API server's answer to a write.
    pub(super) fn keep(&self, object: Arc<ScheduledMachine>) {
        self.0.lock().insert(key(&object), object);
    }

    /// The newer one of `cached` and the answer to our last write to it.
    pub(super) fn latest(&self, cached: Arc<ScheduledMachine>) -> Arc<ScheduledMachine> {
        let mut map = self.0.lock();
        let key = key(&cached);
        match map.get(&key) {
            Some(answer) if is_newer(answer, &cached) => Arc::clone(answer),
            Some(_) => {
                map.remove(&key);
                cached
            }
            None => cached,
        }
    }

    pub(super) fn forget(&self, object: &Key) {
        self.0.lock().remove(object);
    }
}

/// Resource versions of one kind are numbers that grow
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions>); where they are not, the cache
/// is believed, and the worst is a write that changes nothing.
fn is_newer(answer: &ScheduledMachine, cached: &ScheduledMachine) -> bool {
    let number = |object: &ScheduledMachine| object.resource_version()?.parse::<u128>().ok();
    answer.meta().uid == cached.meta().uid && number(answer) > number(cached)
}

fn key(object: &ScheduledMachine) -> Key {
    (object.namespace(), object.name_any())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::fixture;

    fn object(uid: &str, version: &str) -> ScheduledMachine {
        let mut object = fixture::office("a");
        object.metadata.uid = Some(uid.to_owned());
        object.metadata.resource_version = Some(version.to_owned());
        object
    }

    fn latest(written: &Written, uid: &str, version: &str) -> String {
        let latest = written.latest(Arc::new(object(uid, version)));
        latest.resource_version().unwrap()
    }

    #[test]
    fn our_own_write_is_seen_before_the_watch_brings_it_back() {
        let written = Written::default();
        written.keep(Arc::new(object("1", "100")));
        assert_eq!(latest(&written, "1", "99"), "100");
    }

    #[test]
    fn the_cache_is_believed_as_soon_as_it_has_caught_up() {
        let written = Written::default();
        written.keep(Arc::new(object("1", "99")));
        assert_eq!(latest(&written, "1", "100"), "100");
        assert_eq!(latest(&written, "1", "98"), "98");
    }

    #[test]
    fn an_object_of_the_same_name_that_was_made_anew_is_another_one() {
        let written = Written::default();
        written.keep(Arc::new(object("1", "100")));
        assert_eq!(latest(&written, "2", "99"), "99");
    }
}
