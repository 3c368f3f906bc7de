//! Reaches clusters, and keeps their Nodes from a watch each.

use std::{collections::HashMap, convert::Infallible, pin::pin, sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt, future::BoxFuture};
use k8s_openapi::api::core::v1::{Node, Secret};
use kube::{
    Api, Client, ResourceExt,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::{
    sync::Semaphore,
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

use super::{ClusterKey, Clusters, Connect, Connected, Connection, MOST_NODES, Put, Row};
use crate::{
    controller::{
        bounded::bounded,
        changes::Announcer,
        error::Category,
        feeds::{Source, WATCH_SECONDS},
        metrics::ControllerMetrics,
        objects::Objects,
        retry::Retry,
        timers::reference,
    },
    errors::{Chain, shortened},
};

/// How long a cluster that can't be reached is waited for before the next try.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// How often a Secret is looked for that is not there: it may come later than the first Node.
const NO_SECRET_LASTS: Duration = Duration::from_mins(1);

/// How often the Secret is read again: credentials in it are renewed.
const SECRET_LASTS: Duration = Duration::from_mins(10);

/// How long the first list of a cluster's Nodes may take: one that never ended would keep its machines from leaving.
const LISTED_BY: Duration = Duration::from_mins(5);

/// How many machines of another cluster may be at work with it at a time: a slow one is not to take all places.
const MOST_CALLS: usize = 4;

/// The watches of all clusters.
#[derive(Clone)]
pub(in crate::controller) struct ClusterFeeds {
    pub(in crate::controller) client: Client,
    pub(in crate::controller) connect: Connect,
    pub(in crate::controller) clusters: Clusters,
    pub(in crate::controller) objects: Objects,
    pub(in crate::controller) announcer: Announcer,
    pub(in crate::controller) metrics: ControllerMetrics,
}

struct Feed {
    key: ClusterKey,
    all: ClusterFeeds,
}

impl Source for ClusterFeeds {
    type Key = ClusterKey;

    fn feed(&self, key: ClusterKey) -> BoxFuture<'static, Infallible> {
        let all = self.clone();
        Feed { key, all }.run().boxed()
    }

    fn keep_used(&self) {
        let used = self.objects.clusters();
        let keys = used.iter();
        let keys = keys.map(|(namespace, name)| ClusterKey::new(namespace.as_deref(), name));
        self.clusters.keep_only(&keys.collect());
    }

    fn is_known(&self, key: &ClusterKey) -> bool {
        self.clusters.known.read().contains_key(key)
    }

    fn ask_for_used(&self) {
        for (namespace, cluster) in &self.objects.clusters() {
            self.clusters.ask_for(namespace.as_deref(), cluster);
        }
    }
}

impl Feed {
    async fn run(self) -> Infallible {
        let mut retry = Retry::up_to(LONGEST_RETRY);
        loop {
            match self.kubeconfig().await {
                Ok(None) if self.key.is_own() => {
                    let client = self.all.client.clone();
                    self.follow(client, None, &mut retry).await;
                }
                Ok(None) => {
                    self.all.clusters.ask_for_key(ClusterKey::own());
                    if self.all.clusters.set(&self.key, Connection::Own) {
                        info!(cluster = %self.key, "no kubeconfig for this cluster: its Nodes are looked for in our own");
                        self.announce_all();
                    }
                    retry = Retry::up_to(LONGEST_RETRY);
                    sleep(NO_SECRET_LASTS).await;
                    continue;
                }
                Ok(Some(kubeconfig)) => match self.all.connect.to(&kubeconfig).await {
                    Ok(client) => {
                        self.follow(bounded(client), Some(&kubeconfig), &mut retry)
                            .await;
                    }
                    Err(error) => self.fail(format!("Secret {}: {}", self.secret(), Chain(&error))),
                },
                Err(error) => self.fail(format!(
                    "failed to read Secret {}: {}",
                    self.secret(),
                    Chain(&error)
                )),
            }
            sleep(retry.next().unwrap_or(LONGEST_RETRY)).await;
        }
    }

    fn secret(&self) -> String {
        format!("{}-kubeconfig", self.key.name)
    }

    async fn kubeconfig(&self) -> Result<Option<Vec<u8>>, kube::Error> {
        let Some(namespace) = self.key.namespace.as_deref().filter(|_| !self.key.is_own()) else {
            return Ok(None);
        };
        let secrets: Api<Secret> = Api::namespaced(self.all.client.clone(), namespace);
        let secret = secrets.get_opt(&self.secret()).await?;
        Ok(secret.map(|secret| {
            // A Secret without the entry is one that can't be used, and not one that is not there.
            let value = secret.data.and_then(|mut data| data.remove("value"));
            value.unwrap_or_default().0
        }))
    }

    /// Returns when the cluster has to be reached anew.
    async fn follow(&self, client: Client, kubeconfig: Option<&[u8]>, retry: &mut Retry) {
        let nodes: Api<Node> = Api::all(client.clone());
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let mut events = pin!(watcher(nodes, config).backoff(Retry::up_to(LONGEST_RETRY)));
        let mut listing = HashMap::new();
        let mut listed: Option<Instant> = None;
        let mut read_again = pin!(sleep(SECRET_LASTS));
        let mut too_late = pin!(sleep(LISTED_BY));
        loop {
            let event = tokio::select! {
                () = &mut too_late, if listed.is_none() => {
                    self.fail(format!("its Nodes are not listed after {LISTED_BY:?}"));
                    return;
                }
                event = events.next() => event,
                () = &mut read_again, if kubeconfig.is_some() => {
                    let present = timeout(LONGEST_RETRY, self.kubeconfig()).await;
                    if matches!(present, Ok(Ok(present)) if present.as_deref() != kubeconfig) {
                        return;
                    }
                    read_again.set(sleep(SECRET_LASTS));
                    continue;
                }
            };
            match event {
                Some(Ok(Event::Init)) => listing.clear(),
                Some(Ok(Event::InitApply(node))) => {
                    // One more is enough to know that there are too many.
                    if self.key.is_own() || listing.len() <= MOST_NODES {
                        listing.insert(node.name_any(), Row::of(&node));
                    }
                }
                Some(Ok(Event::InitDone)) => {
                    let nodes = std::mem::take(&mut listing);
                    if !self.key.is_own() && nodes.len() > MOST_NODES {
                        self.fail(format!("it has more than {MOST_NODES} Nodes"));
                        return;
                    }
                    info!(cluster = %self.key, nodes = nodes.len(), "listed the Nodes of a cluster");
                    let client = client.clone();
                    let calls = Arc::new(Semaphore::new(if self.key.is_own() {
                        Semaphore::MAX_PERMITS
                    } else {
                        MOST_CALLS
                    }));
                    let connected = Connection::Connected(Connected {
                        client,
                        calls,
                        nodes,
                    });
                    if self.all.clusters.set(&self.key, connected) {
                        self.announce_all();
                    }
                    listed.get_or_insert_with(Instant::now);
                }
                Some(Ok(Event::Apply(node))) => match self.all.clusters.put(&self.key, &node) {
                    Put::News => self.announce(&node.name_any()),
                    Put::Same => {}
                    Put::Full => {
                        self.fail(format!("it has more than {MOST_NODES} Nodes"));
                        return;
                    }
                },
                Some(Ok(Event::Delete(node))) => {
                    self.all.clusters.remove(&self.key, &node.name_any());
                    self.announce(&node.name_any());
                }
                Some(Err(error)) if let Some(listed) = listed => {
                    // The credentials may have been renewed, so all is done from the start; soon, if all was well, and
                    // ever later where there is a right to list and none to watch.
                    if listed.elapsed() > LONGEST_RETRY {
                        *retry = Retry::up_to(LONGEST_RETRY);
                    }
                    self.all.metrics.failed(Category::Watch);
                    warn!(cluster = %self.key, error = %Chain(&error), "the watch on the Nodes of a cluster failed");
                    return;
                }
                Some(Err(error)) => {
                    self.fail(format!("failed to list the Nodes: {}", Chain(&error)));
                    return;
                }
                None => return,
            }
        }
    }

    fn fail(&self, error: String) {
        // Others may have written it, and it becomes part of a status.
        let error = shortened(error);
        self.all.metrics.failed(Category::Watch);
        warn!(cluster = %self.key, error, "a cluster can't be reached");
        if self.all.clusters.set(&self.key, Connection::Failed(error)) {
            self.announce_all();
        }
    }

    /// Whoever has a machine in the cluster. Any may be in the operator's own.
    fn announce_all(&self) {
        if self.key.is_own() {
            self.all.announcer.all();
            return;
        }
        let namespace = self.key.namespace.as_deref();
        for key in self.all.objects.in_cluster(namespace, &self.key.name) {
            self.all.announcer.object(reference(key));
        }
    }

    /// Whoever has a Node of that name, in whichever cluster: a look too many costs nothing.
    fn announce(&self, node: &str) {
        for key in self.all.objects.on_node(node) {
            self.all.announcer.object(reference(key));
        }
    }
}
