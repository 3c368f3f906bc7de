//! An API server for one Lease, in memory: with resourceVersions, conflicts, a watch, and faults on demand.
//!
//! It is no script: it answers whatever comes, from its state. Each replica reaches it over a link of its own, and a
//! link can lose calls before or after they took effect, hang, be cut, or go silent on a watch.

mod surroundings;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use futures::{StreamExt, stream, stream::BoxStream};
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::watch;

use super::lock::{LeaseApi, LeaseError};

pub(super) use surroundings::Surroundings;

/// The time of a call from client to server, and the same back.
const ONE_WAY: Duration = Duration::from_millis(3);

/// What happens to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Somebody else's write gets in first.
    Conflict,
    /// The call never arrives.
    ErrorBefore,
    /// The call takes effect, and its answer is lost.
    ErrorAfter,
    /// The call never arrives, and no answer comes either.
    Hang,
    /// The call takes effect, and no answer comes.
    HangAfter,
    /// This write and every later one is refused, although nothing is in its way.
    AlwaysConflict,
}

/// A write that took effect.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) by: String,
    pub(super) holder: String,
    pub(super) transitions: i32,
    pub(super) duration: i32,
}

/// The server, shared by all links.
#[derive(Clone, Debug)]
pub(super) struct MemoryApi {
    state: Arc<Mutex<State>>,
    version: watch::Sender<u64>,
}

/// One replica's way to the server.
#[derive(Clone, Debug)]
pub(super) struct Link {
    name: String,
    api: MemoryApi,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    cut: watch::Sender<bool>,
    deaf: watch::Sender<u32>,
    late: watch::Sender<Duration>,
    /// What writes need to take effect, and what answers need on top.
    slow: watch::Sender<(Duration, Duration)>,
    writing: Arc<Mutex<(u32, u32)>>,
    reads: Arc<Mutex<u32>>,
    watches: Arc<Mutex<u32>>,
    calls: Arc<Mutex<u32>>,
}

#[derive(Debug, Default)]
struct State {
    lease: Option<Lease>,
    version: u64,
    writes: Vec<Write>,
}

impl MemoryApi {
    pub(super) fn empty() -> Self {
        Self {
            state: Arc::default(),
            version: watch::Sender::new(0),
        }
    }

    pub(super) fn link(&self, name: &str) -> Link {
        Link {
            name: name.to_owned(),
            api: self.clone(),
            faults: Arc::default(),
            cut: watch::Sender::new(false),
            deaf: watch::Sender::new(0),
            late: watch::Sender::new(Duration::ZERO),
            slow: watch::Sender::default(),
            writing: Arc::default(),
            reads: Arc::default(),
            watches: Arc::default(),
            calls: Arc::default(),
        }
    }

    pub(super) fn lease(&self) -> Option<Lease> {
        self.state().lease.clone()
    }

    pub(super) fn holder(&self) -> String {
        self.lease()
            .and_then(|lease| lease.spec?.holder_identity)
            .unwrap_or_default()
    }

    pub(super) fn writes(&self) -> Vec<Write> {
        self.state().writes.clone()
    }

    /// An administrator's edit, or a label: not subject to any check.
    pub(super) fn edit(&self, change: impl FnOnce(&mut Option<Lease>)) {
        let mut state = self.state();
        change(&mut state.lease);
        self.stamp(&mut state, "administrator");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn stamp(&self, state: &mut State, by: &str) {
        state.version += 1;
        let version = state.version;
        if let Some(lease) = &mut state.lease {
            lease.metadata.resource_version = Some(version.to_string());
            let spec = lease.spec.clone().unwrap_or_default();
            state.writes.push(Write {
                by: by.to_owned(),
                holder: spec.holder_identity.unwrap_or_default(),
                transitions: spec.lease_transitions.unwrap_or_default(),
                duration: spec.lease_duration_seconds.unwrap_or_default(),
            });
        }
        self.version.send_replace(version);
    }

    fn put(&self, by: &str, lease: Lease, call: &'static str) -> Result<Lease, LeaseError> {
        let mut state = self.state();
        let stored = state
            .lease
            .as_ref()
            .and_then(|lease| lease.metadata.resource_version.clone());
        // As the real API: a POST needs the object to be absent, a PUT needs the version that is stored.
        if stored != lease.metadata.resource_version || (call == "write" && stored.is_none()) {
            return Err(LeaseError::Conflict { call });
        }
        state.lease = Some(lease);
        self.stamp(&mut state, by);
        Ok(state.lease.clone().unwrap())
    }
}

impl Link {
    /// The next calls meet these faults, one each.
    pub(super) fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    /// Cuts the link or mends it. Calls on a cut link hang, and fail when it is mended.
    pub(super) fn cut(&self, cut: bool) {
        self.cut.send_replace(cut);
    }

    /// Watches that are open now never say anything again, nor do they end.
    pub(super) fn silence_watches(&self) {
        self.deaf.send_modify(|deaf| *deaf += 1);
    }

    /// Watches say what was so this long ago.
    pub(super) fn delay_watches(&self, late: Duration) {
        self.late.send_replace(late);
    }

    /// Writes need this long to take effect, such as behind an admission webhook that is dead; if they are given up
    /// before, they never do.
    pub(super) fn slow_writes(&self, slow: Duration) {
        self.slow.send_modify(|all| all.0 = slow);
    }

    /// Calls are answered this much later than they take effect.
    pub(super) fn late_answers(&self, late: Duration) {
        self.slow.send_modify(|all| all.1 = late);
    }

    /// How many writes were under way at most at a time.
    pub(super) fn writes_at_a_time(&self) -> u32 {
        self.writing.lock().unwrap().1
    }

    pub(super) fn reads(&self) -> u32 {
        *self.reads.lock().unwrap()
    }

    /// How many watches were begun.
    pub(super) fn watches(&self) -> u32 {
        *self.watches.lock().unwrap()
    }

    pub(super) fn calls(&self) -> u32 {
        *self.calls.lock().unwrap()
    }

    /// The fault of this call; one that refuses writes for good stays where it is and spares reads.
    fn next_fault(&self, call: &'static str) -> Option<Fault> {
        *self.calls.lock().unwrap() += 1;
        let mut faults = self.faults.lock().unwrap();
        if faults.front() != Some(&Fault::AlwaysConflict) {
            return faults.pop_front();
        }
        (call != "read").then_some(Fault::Conflict)
    }

    async fn call<T>(
        &self,
        call: &'static str,
        effect: impl FnOnce() -> Result<T, LeaseError>,
    ) -> Result<T, LeaseError> {
        let lost = || LeaseError::Api {
            call,
            source: "connection reset".into(),
        };
        let fault = self.next_fault(call);
        let (slow, late) = *self.slow.borrow();
        let _writing = (call != "read").then(|| Writing::begin(&self.writing));
        tokio::time::sleep(ONE_WAY).await;
        self.while_cut(lost).await?;
        match fault {
            Some(Fault::Conflict) => return Err(LeaseError::Conflict { call }),
            Some(Fault::ErrorBefore) => return Err(lost()),
            Some(Fault::Hang) => std::future::pending().await,
            _ => {}
        }
        if call != "read" {
            tokio::time::sleep(slow).await;
        }
        let result = effect();
        tokio::time::sleep(late).await;
        match fault {
            Some(Fault::ErrorAfter) => return Err(lost()),
            Some(Fault::HangAfter) => std::future::pending().await,
            _ => {}
        }
        tokio::time::sleep(ONE_WAY).await;
        self.while_cut(lost).await?;
        result
    }

    async fn while_cut(&self, lost: impl FnOnce() -> LeaseError) -> Result<(), LeaseError> {
        if *self.cut.borrow() {
            self.cut.subscribe().wait_for(|cut| !cut).await.unwrap();
            return Err(lost());
        }
        Ok(())
    }
}

/// Counts the writes that are under way.
struct Writing(Arc<Mutex<(u32, u32)>>);

impl Writing {
    fn begin(count: &Arc<Mutex<(u32, u32)>>) -> Self {
        let mut counted = count.lock().unwrap();
        counted.0 += 1;
        counted.1 = counted.1.max(counted.0);
        Self(Arc::clone(count))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.lock().unwrap().0 -= 1;
    }
}

impl LeaseApi for Link {
    async fn get(&self) -> Result<Option<Lease>, LeaseError> {
        *self.reads.lock().unwrap() += 1;
        self.call("read", || Ok(self.api.lease())).await
    }

    async fn create(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.call("create", || self.api.put(&self.name, lease, "create"))
            .await
    }

    async fn replace(&self, lease: Lease) -> Result<Lease, LeaseError> {
        self.call("write", || self.api.put(&self.name, lease, "write"))
            .await
    }

    fn watch(&self) -> BoxStream<'static, Result<Option<Lease>, LeaseError>> {
        *self.watches.lock().unwrap() += 1;
        let link = self.clone();
        let mut versions = self.api.version.subscribe();
        versions.mark_changed();
        let opened = *self.deaf.borrow();
        stream::unfold((link, versions), move |(link, mut versions)| async move {
            versions.changed().await.ok()?;
            tokio::time::sleep(ONE_WAY).await;
            if *link.deaf.borrow() != opened {
                std::future::pending::<()>().await;
            }
            if *link.cut.borrow() {
                link.cut.subscribe().wait_for(|cut| !cut).await.ok()?;
            }
            versions.mark_unchanged();
            let lease = link.api.lease();
            let late = *link.late.borrow();
            tokio::time::sleep(late).await;
            Some((Ok(lease), (link, versions)))
        })
        .boxed()
    }
}
