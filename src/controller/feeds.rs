//! Feeds from watches, one for each thing that was asked for, until nobody uses it any more.

use std::{collections::HashMap, convert::Infallible, fmt::Display, hash::Hash, time::Duration};

use futures::{
    StreamExt,
    future::{AbortHandle, Abortable, Aborted, BoxFuture},
    stream::FuturesUnordered,
};
use kube::runtime::watcher;
use tokio::{
    sync::mpsc,
    time::{Instant, interval_at},
};
use tracing::info;

/// How long a watch lasts, in seconds, before the API server ends it and it is taken up where it ended, which costs one
/// request and no list. kube gives up a watch that is quiet for 5 s longer than that (the API server sends a bookmark
/// shortly before the end), so this bounds how late a connection that died without a word is noticed.
pub(super) const WATCH_SECONDS: u32 = 30;

/// How long what nobody uses any more is watched on.
const UNUSED_LASTS: Duration = Duration::from_mins(10);

/// What feeds are made of, and for whom.
pub(super) trait Source {
    /// What one feed is about.
    type Key: Clone + Display + Eq + Hash + Send + Sync;

    /// The feed of `key`. It is dropped when it is not used any more.
    fn feed(&self, key: Self::Key) -> BoxFuture<'static, Infallible>;

    /// Forgets whatever is not in use.
    fn keep_used(&self);

    /// Whether `key` was not forgotten.
    fn is_known(&self, key: &Self::Key) -> bool;

    /// Asks for all that is in use and not known.
    fn ask_for_used(&self);
}

/// Feeds from `source` what is `asked` for, for ever.
pub(super) async fn feed<S: Source>(
    source: S,
    mut asked: mpsc::UnboundedReceiver<S::Key>,
) -> Infallible {
    let mut feeds = FuturesUnordered::<BoxFuture<'static, Result<Infallible, Aborted>>>::new();
    let mut ends = HashMap::new();
    let mut sweep = interval_at(Instant::now() + UNUSED_LASTS, UNUSED_LASTS);
    loop {
        tokio::select! {
            Some(key) = asked.recv() => {
                let (end, registration) = AbortHandle::new_pair();
                feeds.push(Box::pin(Abortable::new(source.feed(key.clone()), registration)));
                if let Some(before) = ends.insert(key, end) {
                    // Forgotten and asked for again before its feed had begun.
                    before.abort();
                }
            }
            Some(Err(Aborted)) = feeds.next() => {}
            _ = sweep.tick() => {
                source.keep_used();
                end_forgotten(&source, &mut ends);
                // What came into use while this looked, or what there is room for by now.
                source.ask_for_used();
            }
        }
    }
}

fn end_forgotten<S: Source>(source: &S, ends: &mut HashMap<S::Key, AbortHandle>) {
    ends.retain(|key, end| {
        let is_kept = source.is_known(key);
        if !is_kept {
            info!(of = %key, "a feed is not in use any more, and ends");
            end.abort();
        }
        is_kept
    });
}

/// Whether the API server does not know the kind (any more).
pub(super) fn is_missing(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) =
        error
    else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}
