//! What this leader did a moment ago and the watches have not brought back yet.
//!
//! Between a write and its echo the caches hold what was there before. Acting on that would repeat the write, which does
//! no harm but costs a request. A note is dropped when the echo is there, and after [`KEPT`] at the latest: then what the
//! caches show counts.

use std::{
    collections::HashMap,
    mem::discriminant,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{caches::Sight, plan::Step, timers::Key};
use crate::machine::ObjectView;

/// Far above the time that a watch takes, and little enough to wait when something else came between.
pub(super) const KEPT: Duration = Duration::from_secs(5);

/// A step that was done.
#[derive(Debug)]
struct Note {
    at: Instant,
    step: Step,
    made: Option<ObjectView>,
}

/// What was done, by object.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<HashMap<Key, Vec<Note>>>);

impl Recent {
    /// Notes that a step was done, and the object that came of it.
    pub(super) fn note(&self, object: &Key, step: Step, made: Option<ObjectView>) {
        let mut map = self.map();
        let notes = map.entry(object.clone()).or_default();
        // The opposite of what was done before takes its place.
        notes.retain(|note| !is_same_subject(&note.step, &step));
        notes.push(Note {
            at: Instant::now(),
            step,
            made,
        });
    }

    /// Adds to `sight` what it does not show yet. Gives the steps that need not be repeated, and when to look whether
    /// they have shown.
    pub(super) fn complete(&self, object: &Key, sight: &mut Sight) -> (Vec<Step>, Option<Instant>) {
        let mut map = self.map();
        let Some(notes) = map.get_mut(object) else {
            return (Vec::new(), None);
        };
        notes.retain(|note| {
            let is_shown = note
                .made
                .as_ref()
                .is_some_and(|made| sight.objects.iter().any(|object| object.uid == made.uid));
            note.at.elapsed() < KEPT && !is_shown
        });
        sight
            .objects
            .extend(notes.iter().filter_map(|note| note.made.clone()));
        let steps = notes.iter().map(|note| note.step.clone()).collect();
        let until = notes.iter().map(|note| note.at + KEPT).max();
        if notes.is_empty() {
            map.remove(object);
        }
        (steps, until)
    }

    pub(super) fn forget(&self, object: &Key) {
        self.map().remove(object);
    }

    fn map(&self) -> MutexGuard<'_, HashMap<Key, Vec<Note>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_same_subject(one: &Step, other: &Step) -> bool {
    match (one, other) {
        (Step::Create(one), Step::Create(other))
        | (Step::Adopt(one, _), Step::Adopt(other, _))
        | (Step::Delete(one, _), Step::Delete(other, _)) => one == other,
        _ => discriminant(one) == discriminant(other),
    }
}
