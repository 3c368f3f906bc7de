//! Watches besides that on `ScheduledMachine`s: one for each kind that they consist of, one for the Nodes of each cluster.
//!
//! A source never ends. It waits for a kind that is not served yet, and begins anew when a kind's version is served no
//! more or a cluster is reached by other means than before.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client, Resource,
    api::DynamicObject,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};

use super::{LONGEST_RETRY, WATCH_SECONDS};
use crate::{
    api::SCHEDULED_MACHINE_LABEL,
    controller::{bounded::bounded, retry::Retry},
    errors::Chain,
    machine::{
        ClusterKey, FRESH, Kind, KindId, NodeView, ObjectView, WorkloadError, Workloads, discover,
    },
};

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Objects of a kind that carry our label.
    Kind(KindId),
    /// All Nodes of a cluster.
    Nodes(ClusterKey),
}

/// What a source has to tell.
#[derive(Debug)]
pub(super) enum News {
    /// About objects of a kind.
    Kind(KindId, KindNews),
    /// About Nodes of a cluster.
    Nodes(ClusterKey, NodeNews),
}

/// News about objects of a kind.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each piece of news, and none is kept"
)]
pub(super) enum KindNews {
    /// The API server does not serve it.
    Missing,
    /// It is served like this.
    Served(Arc<Kind>),
    /// Something went wrong, and is tried again.
    Failed(String),
    /// The watch.
    Event(Event<ObjectView>),
}

/// News about Nodes.
#[derive(Debug)]
pub(super) enum NodeNews {
    /// Something went wrong, and is tried again.
    Failed(String),
    /// The watch.
    Event(Event<NodeView>),
}

/// A source's stream.
pub(super) type Told = Pin<Box<dyn Stream<Item = News> + Send>>;

/// How often a kind that is not served is asked for.
const MISSING: Duration = Duration::from_secs(30);

enum KindState {
    Asking(Duration),
    Watching(Arc<Kind>, Watch<DynamicObject>),
}

enum NodeState {
    Asking(Duration),
    Watching(u64, Instant, Watch<Node>),
}

type Watch<K> = Pin<Box<dyn Stream<Item = watcher::Result<Event<K>>> + Send>>;

/// Begins to watch.
pub(super) fn stream(source: &Source, client: Client, workloads: Workloads) -> Told {
    match source {
        Source::Kind(id) => kind(id.clone(), client),
        Source::Nodes(cluster) => nodes(cluster.clone(), workloads),
    }
}

fn kind(id: KindId, client: Client) -> Told {
    let client = bounded(client);
    let start = (KindState::Asking(Duration::ZERO), Retry::up_to(MISSING));
    let news = stream::unfold(start, move |(state, mut retry)| {
        let (id, client) = (id.clone(), client.clone());
        async move {
            match state {
                KindState::Asking(delay) => {
                    sleep(delay).await;
                    let (news, state) = match discover(&client, &id).await {
                        Ok(Some(kind)) => {
                            retry = Retry::up_to(MISSING);
                            let kind = Arc::new(kind);
                            let api = Api::all_with(client, &kind.resource);
                            let watch = watch(api, labelled());
                            (
                                KindNews::Served(Arc::clone(&kind)),
                                KindState::Watching(kind, watch),
                            )
                        }
                        Ok(None) => (KindNews::Missing, KindState::Asking(MISSING)),
                        Err(error) => {
                            let delay = retry.next().unwrap_or(MISSING);
                            (
                                KindNews::Failed(Chain(&error).to_string()),
                                KindState::Asking(delay),
                            )
                        }
                    };
                    Some((Some(News::Kind(id, news)), (state, retry)))
                }
                KindState::Watching(kind, mut watch) => match watch.next().await? {
                    Ok(event) => {
                        let event = viewed(event, |object| ObjectView::of(&kind, object));
                        let news = event.map(|event| News::Kind(id, KindNews::Event(event)));
                        Some((news, (KindState::Watching(kind, watch), retry)))
                    }
                    Err(error) => {
                        let state = if is_missing(&error) {
                            KindState::Asking(Duration::ZERO)
                        } else {
                            KindState::Watching(kind, watch)
                        };
                        let news = News::Kind(id, KindNews::Failed(Chain(&error).to_string()));
                        Some((Some(news), (state, retry)))
                    }
                },
            }
        }
    });
    Box::pin(news.filter_map(std::future::ready))
}

fn nodes(cluster: ClusterKey, workloads: Workloads) -> Told {
    let start = (NodeState::Asking(Duration::ZERO), Retry::up_to(MISSING));
    let news = stream::unfold(start, move |(state, mut retry)| {
        let (cluster, workloads) = (cluster.clone(), workloads.clone());
        async move {
            let (news, state) = match state {
                NodeState::Asking(delay) => {
                    sleep(delay).await;
                    match workloads.client(&cluster).await {
                        Ok(workload) => {
                            let api = Api::all(bounded(workload.client));
                            let watch = watch(api, watcher::Config::default());
                            let until = Instant::now() + FRESH;
                            (None, NodeState::Watching(workload.version, until, watch))
                        }
                        Err(error) => failed(&error, &mut retry),
                    }
                }
                NodeState::Watching(version, until, mut watch) => {
                    let event = tokio::select! {
                        event = watch.next() => Some(event?),
                        () = sleep_until(until) => None,
                    };
                    match event {
                        Some(Ok(event)) => {
                            retry = Retry::up_to(MISSING);
                            let event = viewed(event, |node| Some(NodeView::of(node)));
                            let state = NodeState::Watching(version, until, watch);
                            (event.map(NodeNews::Event), state)
                        }
                        Some(Err(error)) => {
                            let state = if is_unauthorized(&error) {
                                workloads.forget(&cluster);
                                NodeState::Asking(retry.next().unwrap_or(MISSING))
                            } else {
                                NodeState::Watching(version, until, watch)
                            };
                            (Some(NodeNews::Failed(Chain(&error).to_string())), state)
                        }
                        None => match workloads.client(&cluster).await {
                            Ok(workload) if workload.version == version => {
                                let until = Instant::now() + FRESH;
                                (None, NodeState::Watching(version, until, watch))
                            }
                            Ok(_) => (None, NodeState::Asking(Duration::ZERO)),
                            Err(error) => failed(&error, &mut retry),
                        },
                    }
                }
            };
            Some((news.map(|news| News::Nodes(cluster, news)), (state, retry)))
        }
    });
    Box::pin(news.filter_map(std::future::ready))
}

fn failed(error: &WorkloadError, retry: &mut Retry) -> (Option<NodeNews>, NodeState) {
    let delay = retry.next().unwrap_or(MISSING);
    let news = NodeNews::Failed(Chain(error).to_string());
    (Some(news), NodeState::Asking(delay))
}

fn labelled() -> watcher::Config {
    watcher::Config::default().labels(SCHEDULED_MACHINE_LABEL)
}

fn watch<K>(api: Api<K>, config: watcher::Config) -> Watch<K>
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug + Send + 'static,
    K::DynamicType: Clone + Send,
{
    let events = watcher(api, config.timeout(WATCH_SECONDS));
    Box::pin(events.backoff(Retry::up_to(LONGEST_RETRY)))
}

fn viewed<K, V>(event: Event<K>, view: impl Fn(&K) -> Option<V>) -> Option<Event<V>> {
    Some(match event {
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
        Event::InitApply(object) => Event::InitApply(view(&object)?),
        Event::Apply(object) => Event::Apply(view(&object)?),
        Event::Delete(object) => Event::Delete(view(&object)?),
    })
}

fn code(error: &watcher::Error) -> Option<u16> {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) =
        error
    else {
        return None;
    };
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Whether the API server does not know the kind.
pub(super) fn is_missing(error: &watcher::Error) -> bool {
    code(error) == Some(404)
}

fn is_unauthorized(error: &watcher::Error) -> bool {
    code(error) == Some(401)
}
