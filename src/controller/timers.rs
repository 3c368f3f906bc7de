//! When to look at objects again without a change.
//!
//! The runner has timers of its own, but what comes due there at one instant is started in no particular order. These
//! hand it to the [`Queue`](super::queue::Queue), which knows what is urgent.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
};

use kube::runtime::reflector::ObjectRef;
use parking_lot::Mutex;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::api::ScheduledMachine;

/// Namespace and name.
pub(super) type Key = (Option<String>, String);

/// The `ScheduledMachine` of this key.
pub(super) fn reference((namespace, name): Key) -> ObjectRef<ScheduledMachine> {
    let reference = ObjectRef::new(&name);
    match namespace {
        Some(namespace) => reference.within(&namespace),
        None => reference,
    }
}

/// At most one timer for each object.
#[derive(Debug, Default)]
pub(super) struct Timers {
    armed: Mutex<Armed>,
    first_changed: Notify,
}

#[derive(Debug, Default)]
struct Armed {
    by_object: HashMap<Key, Instant>,
    by_instant: BTreeSet<(Instant, Key)>,
    held_back: BTreeSet<Key>,
    resumed: BTreeSet<Key>,
}

impl Timers {
    /// Replaces the timer of an object; without an instant it has none.
    pub(super) fn set(&self, object: Key, at: Option<Instant>) {
        let mut armed = self.armed.lock();
        let first = armed.first();
        armed.disarm(&object);
        if let Some(at) = at {
            armed.by_object.insert(object.clone(), at);
            armed.by_instant.insert((at, object));
        }
        let is_other = armed.first() != first;
        drop(armed);
        if is_other {
            self.first_changed.notify_one();
        }
    }

    /// Has an object come due at the next [`Timers::resume`], whatever its timer says.
    pub(super) fn hold_back(&self, object: Key) {
        self.armed.lock().held_back.insert(object);
    }

    /// What was held back is due now.
    pub(super) fn resume(&self) {
        let mut armed = self.armed.lock();
        let mut held_back = mem::take(&mut armed.held_back);
        armed.resumed.append(&mut held_back);
        drop(armed);
        self.first_changed.notify_one();
    }

    /// Waits until timers have run out or objects are resumed, and takes them all. Nothing is lost when it is dropped while it
    /// waits.
    pub(super) async fn due(&self) -> Vec<Key> {
        loop {
            let first = {
                let mut armed = self.armed.lock();
                if !armed.resumed.is_empty() {
                    return mem::take(&mut armed.resumed).into_iter().collect();
                }
                armed.first()
            };
            let run_out = async {
                match first {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = run_out => return self.armed.lock().take(Instant::now()),
                () = self.first_changed.notified() => {}
            }
        }
    }
}

impl Armed {
    fn first(&self) -> Option<Instant> {
        self.by_instant.first().map(|(at, _object)| *at)
    }

    fn disarm(&mut self, object: &Key) {
        if let Some((object, at)) = self.by_object.remove_entry(object) {
            self.by_instant.remove(&(at, object));
        }
    }

    fn take(&mut self, now: Instant) -> Vec<Key> {
        let mut due = Vec::new();
        while let Some((at, object)) = self.by_instant.pop_first() {
            if at > now {
                self.by_instant.insert((at, object));
                break;
            }
            self.by_object.remove(&object);
            due.push(object);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(name: &str) -> Key {
        (None, name.to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn what_runs_out_by_now_is_taken_at_once_and_together() {
        let timers = Timers::default();
        let start = Instant::now();
        timers.set(key("late"), Some(start + 3 * SECOND));
        timers.set(key("b"), Some(start + SECOND));
        timers.set(key("a"), Some(start + SECOND));
        assert_eq!(timers.due().await, [key("a"), key("b")]);
        assert!(start.elapsed() < SECOND + Duration::from_millis(5));
        assert_eq!(timers.due().await, [key("late")]);
        assert!(timers.due().now_or_never().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_replaces_the_one_before_and_can_be_taken_back() {
        let timers = Timers::default();
        let start = Instant::now();
        timers.set(key("a"), Some(start + SECOND));
        timers.set(key("b"), Some(start + SECOND));
        timers.set(key("a"), Some(start + 2 * SECOND));
        timers.set(key("b"), None);
        assert_eq!(timers.due().await, [key("a")]);
        assert!(start.elapsed() >= 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_held_back_is_due_when_it_is_resumed_and_keeps_its_timer() {
        let timers = Timers::default();
        let start = Instant::now();
        timers.hold_back(key("a"));
        timers.set(key("a"), Some(start + 2 * SECOND));
        let later = async {
            tokio::time::sleep(SECOND).await;
            timers.resume();
        };
        let (due, ()) = tokio::join!(timers.due(), later);
        assert_eq!((due, start.elapsed()), (vec![key("a")], SECOND));
        assert_eq!(timers.due().await, [key("a")]);
        assert!(start.elapsed() >= 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_sooner_timer_is_noticed_by_who_waits_already() {
        let timers = Timers::default();
        let start = Instant::now();
        timers.set(key("late"), Some(start + 60 * SECOND));
        let later = async {
            tokio::time::sleep(SECOND).await;
            timers.set(key("soon"), Some(start + 2 * SECOND));
        };
        let (due, ()) = tokio::join!(timers.due(), later);
        assert_eq!(due, [key("soon")]);
    }
}
