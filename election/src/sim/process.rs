//! A process of the operator: the real elector on this world's clock and network, and a leader's work.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream::BoxStream};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::Lease;
use tokio_util::sync::CancellationToken;

use super::{
    line::Line,
    senses,
    settings::PREFIX,
    trace,
    watch::{News, On},
    watches,
    way::Failure,
    work,
    world::{State, World},
};
use crate::{
    clock::{Clock, SharedClock},
    elector::{Elector, LeaseApi, LeaseError, Lock, Setup, announcements},
    identity::Identity,
    observer::NoObserver,
    record::Annotations,
};

/// Runs a process until it ends, and says why.
pub(super) async fn run(
    process: work::Process,
    me: Identity,
    wall_offset: i64,
    sync: u64,
    shutdown: CancellationToken,
) -> String {
    let world = process.world.clone();
    let settings = world.settings();
    let clock: SharedClock = process.clock.clone();
    let line = Line {
        world: world.clone(),
        pod: process.pod,
    };
    let epoch = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_700_000_000 + wall_offset);
    let start = world.start();
    let wall = move || {
        let passed = i64::try_from(start.elapsed().as_millis()).unwrap_or(0);
        epoch + SignedDuration::from_millis(passed)
    };
    let lock = Lock {
        api: line.clone(),
        name: "sim".to_owned(),
        annotations: Arc::new(Annotations::with_prefix(PREFIX)),
        timing: settings.timing,
        me,
        clock: Arc::clone(&clock),
        wall: Arc::new(wall),
        observer: Arc::new(NoObserver),
    };
    let setup = Setup {
        sources: senses::of(&process),
        drain_timeout: Duration::from_millis(settings.drain_timeout),
        stuck_after: None,
        // The other end is gone: nobody publishes Events.
        announcer: announcements(Arc::new(NoObserver)).0,
        policies: None,
    };
    let elector = Elector::new(lock, setup);
    let ready = caches_synced(process.clone(), sync);
    let result = elector
        .run(ready, shutdown, move |term| {
            work::lead(process.clone(), term)
        })
        .await;
    match result {
        Ok(()) => "as asked".to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn caches_synced(process: work::Process, after: u64) {
    process.clock.sleep(Duration::from_millis(after)).await;
    let mut state = process.world.state();
    let life = state.pods[process.pod].life.as_mut();
    if let Some(life) = life.filter(|life| life.number == process.number) {
        life.ready = true;
    }
}

impl Line {
    async fn about_the_lease<T: Send + 'static>(
        &self,
        call: &'static str,
        serve: impl FnOnce(&World, &mut State) -> Result<T, super::server::Conflict> + Send + 'static,
    ) -> Result<T, LeaseError> {
        let pod = self.pod;
        {
            let mut state = self.world.state();
            let State { checks, pods, .. } = &mut *state;
            checks.called(self.world.now(), pods, pod);
        }
        match self.ask_for(call != "read", serve).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(super::server::Conflict)) | Err(Failure::Conflict) => {
                Err(LeaseError::Conflict { call })
            }
            Err(Failure::Lost(source)) => Err(LeaseError::Api {
                call,
                source: Box::new(source),
            }),
        }
    }

    fn write(
        world: &World,
        state: &mut State,
        pod: usize,
        lease: Box<Lease>,
        create: bool,
    ) -> Result<Box<Lease>, super::server::Conflict> {
        let now = world.now();
        let before = state.server.says();
        let after = if create {
            state.server.create(now, *lease)
        } else {
            state.server.replace(now, *lease)
        };
        let after = after.inspect_err(|_| {
            trace::note(|| format!("a Lease write of pod {pod} meets a conflict"));
        })?;
        let State {
            checks,
            pods,
            server,
            ..
        } = state;
        let by = pods[pod].name.as_str();
        let incarnation = server.held().map(|held| held.incarnation.clone());
        let by = (by, incarnation.as_deref().unwrap_or_default());
        checks.lease_written(now, by, before.as_ref(), server.says());
        watches::changed(world, state, &On::Lease);
        Ok(Box::new(after))
    }
}

impl LeaseApi for Line {
    async fn get(&self) -> Result<Option<Lease>, LeaseError> {
        let read = self.about_the_lease("read", |_, state| {
            Ok(state.server.lease.clone().map(Box::new))
        });
        Ok(read.await?.map(|lease| *lease))
    }

    async fn create(&self, lease: Lease) -> Result<Lease, LeaseError> {
        let (pod, lease) = (self.pod, Box::new(lease));
        self.about_the_lease("create", move |world, state| {
            Self::write(world, state, pod, lease, true)
        })
        .await
        .map(|lease| *lease)
    }

    async fn replace(&self, lease: Lease) -> Result<Lease, LeaseError> {
        let (pod, lease) = (self.pod, Box::new(lease));
        self.about_the_lease("write", move |world, state| {
            Self::write(world, state, pod, lease, false)
        })
        .await
        .map(|lease| *lease)
    }

    fn watch(&self) -> BoxStream<'static, Result<Option<Lease>, LeaseError>> {
        watches::open(&self.world, self.pod, On::Lease)
            .filter_map(|news| {
                std::future::ready(match news {
                    Ok(News::Lease(lease)) => Some(Ok(lease.as_deref().cloned())),
                    Ok(News::Pod(_)) => None,
                    Err(lost) => Some(Err(LeaseError::Api {
                        call: "watch",
                        source: Box::new(lost),
                    })),
                })
            })
            .boxed()
    }
}
