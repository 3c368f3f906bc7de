//! The only code that touches the Lease.
//!
//! Every write is a PUT with the resourceVersion that was read, or a POST that fails if the Lease exists; every call
//! has a limit, which its caller chooses. The Kubernetes side is behind [`LeaseApi`], so that tests can put an API
//! with memory and faults in its place.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::PostParams,
    runtime::{WatchStreamExt, watcher},
};

use super::attempt::Attempt;
use crate::{
    clock::{Moment, SharedClock, within},
    identity::Identity,
    mutation::{self, Mutation},
    observer::{Call, CallOutcome, Observer},
    record::{Annotations, Observed, Reason, Record},
    settings::LeaseName,
    timing::Timing,
};

/// What the election needs of the Kubernetes API, for one Lease.
pub(crate) trait LeaseApi: Send + Sync + 'static {
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
pub(crate) enum LeaseError {
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
pub(crate) struct KubeLeases {
    api: Api<Lease>,
    lease: LeaseName,
}

/// The Lease of one election as one replica handles it.
pub(crate) struct Lock<A> {
    pub(crate) api: A,
    /// The name of the Lease, for log lines.
    pub(crate) name: String,
    pub(crate) annotations: Arc<Annotations>,
    pub(crate) timing: Timing,
    pub(crate) me: Identity,
    pub(crate) clock: SharedClock,
    pub(crate) wall: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub(crate) observer: Arc<dyn Observer>,
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
    /// `client` should be one that nothing else uses, so that work cannot delay a renewal.
    pub(crate) fn new(client: Client, lease: LeaseName) -> Self {
        let api = Api::namespaced(client, lease.namespace());
        Self { api, lease }
    }
}

impl LeaseApi for KubeLeases {
    async fn get(&self) -> Result<Option<Lease>, LeaseError> {
        self.api
            .get_opt(self.lease.name())
            .await
            .map_err(|error| LeaseError::from_kube("read", error))
    }

    async fn create(&self, mut lease: Lease) -> Result<Lease, LeaseError> {
        lease.metadata.name = Some(self.lease.name().to_owned());
        lease.metadata.namespace = Some(self.lease.namespace().to_owned());
        let created = self.api.create(&PostParams::default(), &lease).await;
        created.map_err(|error| LeaseError::from_kube("create", error))
    }

    async fn replace(&self, lease: Lease) -> Result<Lease, LeaseError> {
        let replaced = self
            .api
            .replace(self.lease.name(), &PostParams::default(), &lease)
            .await;
        replaced.map_err(|error| LeaseError::from_kube("write", error))
    }

    fn watch(&self) -> BoxStream<'static, Result<Option<Lease>, LeaseError>> {
        watcher::watch_object(self.api.clone(), self.lease.name())
            .default_backoff()
            .map_err(|source| LeaseError::Api {
                call: "watch",
                source: Box::new(source),
            })
            .boxed()
    }
}

impl<A: LeaseApi> Lock<A> {
    pub(super) fn watch(&self) -> BoxStream<'static, Result<Option<Lease>, LeaseError>> {
        self.api.watch()
    }

    /// The view of a Lease that was read or acknowledged.
    pub(super) fn record(&self, lease: Lease) -> Record {
        Record::new(lease, &self.annotations)
    }

    pub(super) fn wall(&self) -> Timestamp {
        (self.wall)()
    }

    pub(super) fn read(self: &Arc<Self>, limit: Duration) -> Answer<Option<Record>> {
        let lock = Arc::clone(self);
        Box::pin(async move {
            let lease = lock.call(Call::Read, limit, lock.api.get()).await?;
            Ok(lease.map(|lease| lock.record(lease)))
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
        let mut record = Record::taken(
            &self.annotations,
            (existing, observed.record()),
            reason,
            &self.me,
            self.timing.duration(),
            attempt.stamp,
        );
        record.state_unproven(unproven);
        let object = record.into_object();
        let (lock, exists) = (Arc::clone(self), existing.is_some());
        Box::pin(async move {
            let lease = if exists {
                lock.call(Call::Write, limit, lock.replace(object)).await?
            } else {
                lock.call(Call::Create, limit, lock.api.create(object))
                    .await?
            };
            Ok(lock.held(lock.record(lease), attempt.sent))
        })
    }

    pub(super) fn renew(
        self: &Arc<Self>,
        record: &Record,
        attempt: Attempt,
        limit: Duration,
    ) -> Answer<Held> {
        let record = record.renewed(&self.me, self.timing.duration(), attempt.stamp);
        let object = record.into_object();
        let lock = Arc::clone(self);
        Box::pin(async move {
            let lease = lock.call(Call::Write, limit, lock.replace(object)).await?;
            Ok(lock.held(lock.record(lease), attempt.sent))
        })
    }

    pub(super) async fn release(
        &self,
        record: &Record,
        successor: Option<&str>,
        limit: Duration,
    ) -> Result<(), LeaseError> {
        let object = record.released(successor, self.wall()).into_object();
        self.call(Call::Write, limit, self.replace(object)).await?;
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
            .is_some_and(|at| at + self.timing.duration() < (self.wall)())
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
        call: Call,
        limit: Duration,
        answer: impl Future<Output = Result<T, LeaseError>>,
    ) -> Result<T, LeaseError> {
        let begun = self.clock.now();
        let result = within(self.clock.as_ref(), limit, answer).await;
        let result = result.unwrap_or_else(|| {
            let call = call.into();
            Err(LeaseError::TimedOut { call, after: limit })
        });
        let outcome = match &result {
            Ok(_) => CallOutcome::Ok,
            Err(LeaseError::Conflict { .. }) => CallOutcome::Conflict,
            Err(LeaseError::TimedOut { .. }) => CallOutcome::Timeout,
            Err(LeaseError::Api { .. }) => CallOutcome::Error,
        };
        let lasted = self.clock.now().since(begun);
        self.observer.called(call, outcome, lasted);
        result
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
