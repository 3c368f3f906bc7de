//! What the leader does: it writes down, in one ConfigMap, which version of another it has seen.
//!
//! The first write of a term is made at once and every further one when the watched ConfigMap changes, so that an observer
//! can tell when a new leader began to work, and make it work.

use std::{future::Future, time::Duration};

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt, watcher},
};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};
use tracing::warn;

/// The ConfigMap that is watched, and the one that is written.
const INPUT: &str = "lease-manager-peer-input";
const OUTPUT: &str = "lease-manager-peer-output";

/// Bounds one write, and with it how long a stop waits for the one in flight.
const WRITE_LIMIT: Duration = Duration::from_secs(5);
/// The pause after a write that failed: well below a second, since a takeover is measured by the first that succeeds.
const RETRY: Duration = Duration::from_millis(100);

/// What one replica would do, and does while it leads.
#[derive(Debug)]
pub(crate) struct Work {
    output: Api<ConfigMap>,
    pod: String,
    /// The version of the input in the cache.
    seen: watch::Receiver<Option<String>>,
    /// Counts those of this process.
    writes: u64,
}

/// Why a term's work is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was asked to stop, and finished the write in flight.
    Asked,
    /// The term was lost, and the write in flight was dropped: there may be another leader by now.
    Lost,
}

impl Work {
    /// The work of the replica `pod`, and the task that keeps its cache, also on a standby.
    pub(crate) fn new(
        client: Client,
        namespace: &str,
        pod: &str,
    ) -> (Self, impl Future<Output = ()> + use<>) {
        let (sender, seen) = watch::channel(None);
        let input: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let work = Self {
            output: Api::namespaced(client, namespace),
            pod: pod.to_owned(),
            seen,
            writes: 0,
        };
        (work, keep(input, sender))
    }

    /// Waits until the input has been seen.
    pub(crate) async fn synced(&mut self) {
        // The cache is kept for as long as the process lives.
        let _seen = self.seen.wait_for(Option::is_some).await;
    }

    /// Works until the term is lost or a stop is asked for.
    pub(crate) async fn lead(
        &mut self,
        leading: &mut watch::Receiver<bool>,
        stopping: &mut watch::Receiver<bool>,
    ) -> Ended {
        loop {
            let written = tokio::select! {
                biased;
                _ = leading.wait_for(|leads| !*leads) => return Ended::Lost,
                written = self.write() => written,
            };
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => return Ended::Asked,
                _ = leading.wait_for(|leads| !*leads) => return Ended::Lost,
                () = sleep(RETRY), if !written => {}
                _ = self.seen.changed(), if written => {}
            }
        }
    }

    /// Merges the state into the output; gives whether that was done. It is not read before: nothing of what is there
    /// matters.
    async fn write(&mut self) -> bool {
        let seen = self.seen.borrow_and_update().clone();
        let patch = Patch::Merge(state(&self.pod, self.writes + 1, seen));
        let parameters = PatchParams::default();
        match timeout(WRITE_LIMIT, self.output.patch(OUTPUT, &parameters, &patch)).await {
            Ok(Ok(_)) => {
                self.writes += 1;
                true
            }
            Ok(Err(error)) => {
                warn!("failed to write {OUTPUT}: {error}");
                false
            }
            Err(_) => {
                warn!(
                    "failed to write {OUTPUT}: no answer within {} s",
                    WRITE_LIMIT.as_secs()
                );
                false
            }
        }
    }
}

fn state(pod: &str, writes: u64, seen: Option<String>) -> Value {
    json!({"data": {"leader": pod, "writes": writes.to_string(), "seen": seen.unwrap_or_default()}})
}

async fn keep(input: Api<ConfigMap>, sender: watch::Sender<Option<String>>) {
    // By name, since that is all that the Role allows.
    let by_name = watcher::Config::default().fields(&format!("metadata.name={INPUT}"));
    let mut states = std::pin::pin!(watcher(input, by_name).default_backoff().applied_objects());
    while let Some(state) = states.next().await {
        match state {
            Ok(input) => {
                let version = input.resource_version();
                // A list that repeats what is known is no change.
                sender.send_if_modified(|seen| {
                    let changed = *seen != version;
                    *seen = version;
                    changed
                });
            }
            Err(error) => warn!("the watch on {INPUT} broke: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_names_the_leader_its_writes_and_what_it_has_seen() {
        let data = json!({"leader": "peer-0", "writes": "3", "seen": "7"});
        assert_eq!(
            state("peer-0", 3, Some("7".to_owned())),
            json!({"data": data})
        );
    }
}
