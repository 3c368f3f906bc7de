//! What a replica learns of others beside the Lease, in this world: Pods, connections, and the fence.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture, stream::BoxStream};
use k8s_openapi::api::core::v1::Pod;

use super::{
    hints,
    line::Line,
    pod::{CONTAINER, SimPod},
    watch::{News, On},
    watches,
    way::Failure,
    work,
};
use crate::{
    clock::{SharedClock, within},
    elector::Sources,
    evidence::{Peers, PodApi, PodError},
    fence::{FenceCheck, Policy},
    identity::Incarnation,
    mutation::{self, Mutation},
};

/// How long a replica waits for what the fence says.
const FENCE_LIMIT: Duration = Duration::from_secs(1);

/// What one process learns from.
struct Source {
    line: Line,
    name: String,
    clock: SharedClock,
}

/// What a process learns of others from.
pub(super) fn of(process: &work::Process) -> Sources {
    let line = Line {
        world: process.world.clone(),
        pod: process.pod,
    };
    let source = Arc::new(Source {
        line,
        name: process.name.clone(),
        clock: process.clock.clone(),
    });
    let hints = process.world.settings().hints;
    Sources {
        pods: Some(source.clone()),
        container: Some(CONTAINER.to_owned()),
        hints: hints.then(|| {
            (
                source.clone() as Arc<dyn Peers>,
                source as Arc<dyn FenceCheck>,
            )
        }),
    }
}

impl PodApi for Source {
    fn watch(&self, name: &str) -> BoxStream<'static, Result<Option<Pod>, PodError>> {
        watches::open(&self.line.world, self.line.pod, On::Pod(name.to_owned()))
            .filter_map(|news| {
                std::future::ready(match news {
                    Ok(News::Pod(pod)) => Some(Ok(pod.map(|pod| *pod))),
                    Ok(News::Lease(_)) => None,
                    Err(lost) => Some(Err(PodError {
                        call: "watch the holder's pod",
                        source: Box::new(lost),
                    })),
                })
            })
            .boxed()
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<Pod>, PodError>> {
        let line = self.line.clone();
        Box::pin(async move {
            let list = line.ask(|_, state| {
                state
                    .pods
                    .iter()
                    .filter(|pod| pod.exists)
                    .map(SimPod::object)
                    .collect::<Vec<_>>()
            });
            list.await.map_err(|failure| {
                let source = match failure {
                    Failure::Lost(why) => why,
                    Failure::Conflict => super::way::Lost("conflict"),
                };
                PodError {
                    call: "list the pods",
                    source: Box::new(source),
                }
            })
        })
    }
}

impl Peers for Source {
    fn lost(&self, _: &[IpAddr], incarnation: &Incarnation) -> BoxFuture<'static, ()> {
        hints::watch(&self.line.world, self.line.pod, incarnation)
    }
}

impl FenceCheck for Source {
    fn refuses_me(&self) -> BoxFuture<'_, bool> {
        let name = self.name.clone();
        let question = self.line.ask(move |world, state| {
            let now = world.now();
            let refuses = state.server.refuses(now, &name);
            if refuses {
                state.checks.fence_refused();
            }
            let strict_refuses = !state.server.admits(now, &name, Policy::Strict);
            refuses || (strict_refuses && mutation::is(Mutation::AsksTheStrictPolicyOnly))
        });
        Box::pin(async move {
            let said = within(self.clock.as_ref(), FENCE_LIMIT, question).await;
            matches!(said, Some(Ok(true)))
        })
    }
}
