//! The first write of a term that the API server accepted: with it the work of a new leader has an effect.

use std::sync::{Mutex, PoisonError};

use http::Uri;

use crate::clock::Moment;

type Told = Box<dyn FnOnce(Moment) + Send>;

/// Whom to tell, once.
#[derive(Default)]
pub(super) struct FirstWrite(Mutex<Option<Told>>);

impl FirstWrite {
    pub(super) fn tell(&self, told: Told) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(told);
    }

    pub(super) fn accepted(&self, at: Moment) {
        let told = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(told) = told {
            told(at);
        }
    }
}

impl std::fmt::Debug for FirstWrite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FirstWrite").finish_non_exhaustive()
    }
}

/// Whether a write to `uri` is work. An Event tells about work, and does none.
pub(super) fn is_work(uri: &Uri) -> bool {
    !uri.path().starts_with("/apis/events.k8s.io/")
}
