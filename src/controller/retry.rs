//! How long to wait before something that failed is tried again.

use std::time::Duration;

use kube::runtime::{utils::Backoff, watcher::DefaultBackoff};

/// client-go's backoff, with jitter, but never longer than `longest`.
pub(super) struct Retry {
    inner: DefaultBackoff,
    longest: Duration,
}

impl Retry {
    pub(super) fn up_to(longest: Duration) -> Self {
        Self {
            inner: DefaultBackoff::default(),
            longest,
        }
    }
}

impl Iterator for Retry {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(
            self.inner
                .next()
                .map_or(self.longest, |delay| delay.min(self.longest)),
        )
    }
}

impl Backoff for Retry {
    fn reset(&mut self) {
        self.inner.reset();
    }
}
