//! The only code that touches the Lease.
//!
//! Every write is a PUT with the resourceVersion that was read, or a POST that fails if the Lease exists; every call
//! has a limit, which its caller chooses. The Kubernetes side is behind [`LeaseApi`], so that tests can put an API
//! with memory and faults in its place.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};

use super::{
    attempt::Attempt,
    config::LeaseConfig,
    identity::Identity,
    metrics::LeaderMetrics,
    record::{Observed, Reason, Record},
};
use crate::{
    clock::{Moment, SharedClock, within},
    mutation::{self, Mutation},
};

/// What the election needs of the Kubernetes API, for one Lease.
pub trait LeaseApi: Send + Sync + 'static {
    /// Reads the Lease from the store itself, not from a cache.
    fn get(&self) -> impl Future<Output = Result<Option<Lease>, LeaseError>> + Send;

    /// Creates the Lease; a conflict if it exists.
    fn create(&self, lease: Lease) -> impl Future<Output = Result<Lease, LeaseError>> + Send;

    /// Replaces the Lease; a conflict unless its resourceVersion is the one in `lease`, or if it is gone.
    fn replace(&self, lease: Lease) -> impl Future<Output = Result<Lease, LeaseError>> + Send;

    /// The states of the Lease as they come; `None` while it does not exist. Never ends; retries by itself.
    fn watch(&self) -> BoxStream<'static, Result<Option<Lease>, LeaseError>>;
}

/// Why a call about the Lease did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else wrote in between.
    #[error("failed to {call} the Lease: it has changed since it was read")]
    Conflict {
        /// What was attempted.
        call: &'static str,
    },
    /// No answer in time. A write may or may not have taken place.
    #[error("failed to {call} the Lease: no answer within {after:?}")]
    TimedOut {
        /// What was attempted.
        call: &'static str,
        /// How long the answer was waited for.
        after: Duration,
    },
    /// The API server refused, or could not be reached.
    #[error("failed to {call} the Lease")]
    Api {
        /// What was attempted.
        call: &'static str,
        /// What the client says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// The Lease in a cluster.
#[derive(Clone, Debug)]
pub struct KubeLeases {
    api: Api<Lease>,
    name: String,
    namespace: String,
}

/// The Lease of one election as one replica handles it.
pub struct Lock<A> {
    api: A,
    config: LeaseConfig,
    me: Identity,
    clock: SharedClock,
    wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    metrics: LeaderMetrics,
}

/// A call that is under way. It is sent when it is first polled; dropping it gives it up.
pub(super) type Answer<T> = BoxFuture<'static, Result<T, LeaseError>>;

/// An acknowledged write that holds the Lease.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The record as the API server has it now.
    pub(super) record: Record,
    /// When the write was *sent*: what the renew deadline counts from.
    pub(super) sent: Moment,
}

impl KubeLeases {
    /// The Lease that `config` names. `client` should be one that nothing else uses, so that work cannot delay a renewal.
    pub fn new(client: Client, config: &LeaseConfig) -> Self {
        let namespace = config.namespace().to_owned();
        Self {
            api: Api::namespaced(client, &namespace),
            name: config.name().to_owned(),
            namespace,
        }
    }
}

impl LeaseApi for KubeLeases {
    async fn get(&self) -> Result<Option<Lease>, LeaseError> {
        self.api
            .get_opt(&self.name)
            .await
            .map_err(|error| LeaseError::from_kube("read", error))
    }

    async fn create(&self, mut lease: Lease) -> Result<Lease, LeaseError> {
        lease.metadata.name = Some(self.name.clone());
        lease.metadata.namespace = Some(self.namespace.clone());
        let created = self.api.create(&PostParams::default(), &lease).await;
        created.map_err(|error| LeaseError::from_kube("create", error))
    }

    async fn replace(&self, lease: Lease) -> Result<Lease, LeaseError> {
        let replaced = self
            .api
            .replace(&self.name, &PostParams::default(), &lease)
            .await;
        replaced.map_err(|error| LeaseError::from_kube("write", error))
    }

    fn watch(&self) -> BoxStream<'static, Result<Option<Lease>, LeaseError>> {
        watcher::watch_object(self.api.clone(), &self.name)
            .default_backoff()
            .map_err(|source| LeaseError::Api {
                call: "watch",
                source: Box::new(source),
            })
            .boxed()
    }
}

impl<A: LeaseApi> Lock<A> {
    /// The lock of `me`. `wall` is what is written as acquireTime and renewTime, and nothing else.
    pub fn new(
        api: A,
        config: LeaseConfig,
        me: Identity,
        clock: SharedClock,
        wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
        metrics: LeaderMetrics,
    ) -> Self {
        Self {
            api,
            config,
            me,
            clock,
            wall,
            metrics,
        }
    }

    pub(super) fn config(&self) -> &LeaseConfig {
        &self.config
    }

    pub(super) fn me(&self) -> &Identity {
        &self.me
    }

    pub(super) fn clock(&self) -> &SharedClock {
        &self.clock
    }

    pub(super) fn watch(&self) -> BoxStream<'static, Result<Option<Lease>, LeaseError>> {
        self.api.watch()
    }

    pub(super) fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    pub(super) fn read(self: &Arc<Self>, limit: Duration) -> Answer<Option<Record>> {
        let lock = Arc::clone(self);
        Box::pin(async move {
            let lease = lock.call("read", limit, lock.api.get()).await?;
            Ok(lease.map(Record::new))
        })
    }

    pub(super) fn take(
        self: &Arc<Self>,
        observed: &Observed,
        attempt: Attempt,
        reason: Reason,
        unproven: Duration,
        limit: Duration,
    ) -> Answer<Held> {
        let existing = observed.existing();
        let mut record = Record::new(Record::taken(
            existing,
            observed.record(),
            reason,
            &self.me,
            self.config.duration(),
            attempt.stamp,
        ));
        record.state_unproven(unproven);
        let object = record.into_object();
        let (lock, exists) = (Arc::clone(self), existing.is_some());
        Box::pin(async move {
            let lease = if exists {
                lock.call("write", limit, lock.replace(object)).await?
            } else {
                lock.call("create", limit, lock.api.create(object)).await?
            };
            Ok(lock.held(Record::new(lease), attempt.sent))
        })
    }

    pub(super) fn renew(
        self: &Arc<Self>,
        record: &Record,
        attempt: Attempt,
        limit: Duration,
    ) -> Answer<Held> {
        let object = record.renewed(&self.me, self.config.duration(), attempt.stamp);
        let lock = Arc::clone(self);
        Box::pin(async move {
            let lease = lock.call("write", limit, lock.replace(object)).await?;
            Ok(lock.held(Record::new(lease), attempt.sent))
        })
    }

    pub(super) async fn release(
        &self,
        record: &Record,
        successor: Option<&str>,
        limit: Duration,
    ) -> Result<(), LeaseError> {
        let object = record.released(successor, self.wall());
        self.call("write", limit, self.replace(object)).await?;
        Ok(())
    }

    /// The PUT that every write is: it names the version that was read.
    fn replace(&self, mut lease: Lease) -> impl Future<Output = Result<Lease, LeaseError>> {
        if mutation::is(Mutation::WritesWithoutVersion) {
            lease.metadata.resource_version = None;
        }
        self.api.replace(lease)
    }

    /// What a mutation goes by, and nothing else: the record's age by the wall clocks of its writer and of this replica.
    pub(super) fn seems_old(&self, record: &Record) -> bool {
        record
            .renewed_at()
            .is_some_and(|at| at + self.config.duration() < (self.wall)())
    }

    /// What an acknowledged write holds: the answer to it, or the sight of it.
    pub(super) fn held(&self, record: Record, sent: Moment) -> Held {
        let late = mutation::is(Mutation::CountsFromTheAnswer);
        Held {
            record,
            sent: if late { self.clock.now() } else { sent },
        }
    }

    async fn call<T>(
        &self,
        call: &'static str,
        limit: Duration,
        answer: impl Future<Output = Result<T, LeaseError>>,
    ) -> Result<T, LeaseError> {
        let begun = self.clock.now();
        let result = within(self.clock.as_ref(), limit, answer)
            .await
            .unwrap_or(Err(LeaseError::TimedOut { call, after: limit }));
        self.metrics
            .called(call, &result, self.clock.now().since(begun));
        result
    }
}

impl<A> fmt::Debug for Lock<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lock")
            .field("config", &self.config)
            .field("me", &self.me)
            .finish_non_exhaustive()
    }
}

impl LeaseError {
    fn from_kube(call: &'static str, error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 409 => Self::Conflict { call },
            // A PUT that finds the Lease gone lost against whoever deleted it. For a POST it is the namespace that is
            // missing, which no repetition mends.
            kube::Error::Api(status) if status.code == 404 && call == "write" => {
                Self::Conflict { call }
            }
            _ => Self::Api {
                call,
                source: Box::new(error),
            },
        }
    }
}

#[cfg(test)]
mod tests;
