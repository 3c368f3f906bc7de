//! A watch that says when it was blind.
//!
//! kube's own watcher reconnects in silence; here a gap is evidence about the rig and belongs to the trial it fell into.

use std::{collections::BTreeMap, fmt::Debug, sync::Arc, time::Duration};

use futures::TryStreamExt;
use kube::{
    Api, Resource, ResourceExt,
    api::{ListParams, WatchEvent, WatchParams},
};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::error::ObserverError;
use crate::observe::observations::{Observations, Seen};
use failover_judging::{clock::Stamp, observed::RigFault};

/// A watch that was away for longer than this is recorded: something may have been seen late.
const GAP_LIMIT_MS: f64 = 250.0;

/// The pause before another attempt.
const PAUSE: Duration = Duration::from_millis(50);

/// The state of one watch.
struct Follower<K, F> {
    name: &'static str,
    api: Api<K>,
    selector: ListParams,
    observations: Arc<Observations>,
    record: F,
    known: BTreeMap<String, K>,
    blind_since: Option<Stamp>,
}

/// Lists and watches what `selector` selects, and records each state as it arrives. Never returns.
pub(super) async fn follow<K, F>(
    name: &'static str,
    api: Api<K>,
    selector: ListParams,
    observations: Arc<Observations>,
    record: F,
) -> ObserverError
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    F: Fn(&mut Seen, Stamp, &K, bool) + Send,
{
    let doubts = Arc::clone(&observations);
    let mut follower = Follower {
        name,
        api,
        selector,
        observations,
        record,
        known: BTreeMap::new(),
        blind_since: None,
    };
    loop {
        let broken = tokio::select! {
            looked = follower.list_and_watch() => looked.is_err(),
            () = doubts.relisting() => true,
        };
        // Whatever broke it, the cure is the same: look again from what is there now.
        if broken {
            follower.blind();
        }
        sleep(PAUSE).await;
    }
}

impl<K, F> Follower<K, F>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
    F: Fn(&mut Seen, Stamp, &K, bool) + Send,
{
    async fn list_and_watch(&mut self) -> Result<(), kube::Error> {
        let list = self.api.list(&self.selector).await?;
        let version = list.metadata.resource_version.clone().unwrap_or_default();
        let mut gone = std::mem::take(&mut self.known);
        for object in list.items {
            gone.remove(&object.name_any());
            self.see(object, false);
        }
        for object in gone.into_values() {
            self.see(object, true);
        }
        self.watch(version).await
    }

    async fn watch(&mut self, mut version: String) -> Result<(), kube::Error> {
        let parameters = WatchParams {
            label_selector: self.selector.label_selector.clone(),
            field_selector: self.selector.field_selector.clone(),
            ..WatchParams::default()
        };
        loop {
            let stream = self.api.watch(&parameters, &version).await?;
            let mut stream = std::pin::pin!(stream);
            self.sighted();
            while let Some(event) = stream.try_next().await? {
                match event {
                    WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                        version = object.resource_version().unwrap_or(version);
                        self.see(object, false);
                    }
                    WatchEvent::Deleted(object) => {
                        version = object.resource_version().unwrap_or(version);
                        self.see(object, true);
                    }
                    WatchEvent::Bookmark(bookmark) => version = bookmark.metadata.resource_version,
                    WatchEvent::Error(status) => return Err(kube::Error::Api(status)),
                }
            }
            // The server ends a watch now and then; it goes on where it ended, and nothing is missed.
            self.blind();
        }
    }

    fn see(&mut self, object: K, deleted: bool) {
        let at = self.observations.now();
        self.observations
            .record(|seen| (self.record)(seen, at, &object, deleted));
        if deleted {
            self.known.remove(&object.name_any());
        } else {
            self.known.insert(object.name_any(), object);
        }
    }

    fn blind(&mut self) {
        let now = self.observations.now();
        self.blind_since.get_or_insert(now);
    }

    fn sighted(&mut self) {
        let Some(since) = self.blind_since.take() else {
            return;
        };
        let lasted_ms = self.observations.now().since(since);
        if lasted_ms > GAP_LIMIT_MS {
            let resource = self.name.to_owned();
            self.observations.rig_fault(RigFault::WatchGap {
                resource,
                lasted_ms,
            });
        }
    }
}
