//! What the election reads of Pods: the holder's, for proof of its death, and all of the namespace, for a successor.

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::ListParams,
    runtime::{WatchStreamExt, watcher},
};

/// What the election needs of the Pods in its namespace.
pub(crate) trait PodApi: Send + Sync + 'static {
    /// The states of the pod called `name` as they come; `None` while there is none. Never ends; retries by itself.
    fn watch(&self, name: &str) -> BoxStream<'static, Result<Option<Pod>, PodError>>;

    /// All pods of the namespace.
    fn list(&self) -> BoxFuture<'static, Result<Vec<Pod>, PodError>>;
}

/// A call about Pods did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("failed to {call}")]
pub(crate) struct PodError {
    /// What was attempted.
    pub(crate) call: &'static str,
    /// What the client says.
    #[source]
    pub(crate) source: Box<dyn std::error::Error + Send + Sync>,
}

/// The Pods in a cluster.
#[derive(Clone, Debug)]
pub(crate) struct KubePods {
    api: Api<Pod>,
}

impl KubePods {
    /// The pods of the namespace that the Lease is in.
    pub(crate) fn new(client: Client, namespace: &str) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api }
    }
}

impl PodApi for KubePods {
    fn watch(&self, name: &str) -> BoxStream<'static, Result<Option<Pod>, PodError>> {
        // By name alone, through a field selector: nothing else of the namespace is sent here.
        watcher::watch_object(self.api.clone(), name)
            .default_backoff()
            .map_err(|source| PodError {
                call: "watch the holder's pod",
                source: Box::new(source),
            })
            .boxed()
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<Pod>, PodError>> {
        let api = self.api.clone();
        async move {
            // Served from the API server's cache: a successor that is gone by now costs one retry period.
            let params = ListParams::default().match_any();
            let pods = api.list(&params).await.map_err(|source| PodError {
                call: "list the pods of the namespace",
                source: Box::new(source),
            })?;
            Ok(pods.items)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
