//! What a replica senses of others beside the Lease, in this world: Pods, connections, and the fence.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use futures::{StreamExt, future::BoxFuture, stream::BoxStream};
use k8s_openapi::api::core::v1::Pod;

use super::{
    hints,
    line::{Failure, Line},
    pod::{CONTAINER, SimPod},
    watches::{self, News, On},
    work,
};
use crate::{
    clock::{SharedClock, within},
    fence::{Fence, Policy},
    leader::{Incarnation, Peers, PodApi, PodError, Senses},
    mutation::{self, Mutation},
};

/// How long a replica waits for what the fence says.
const FENCE_LIMIT: Duration = Duration::from_secs(1);

/// One process's senses.
struct Sense {
    line: Line,
    name: String,
    clock: SharedClock,
}

/// The senses of a process.
pub(super) fn of(process: &work::Process) -> Senses {
    let line = Line {
        world: process.world.clone(),
        pod: process.pod,
    };
    let sense = Arc::new(Sense {
        line,
        name: process.name.clone(),
        clock: process.clock.clone(),
    });
    let hints = process.world.settings().hints;
    Senses {
        pods: sense.clone(),
        container: CONTAINER.to_owned(),
        hints: hints.then(|| (sense.clone() as Arc<dyn Peers>, sense as Arc<dyn Fence>)),
    }
}

impl PodApi for Sense {
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
                    Failure::Conflict => super::line::Lost("conflict"),
                };
                PodError {
                    call: "list the pods",
                    source: Box::new(source),
                }
            })
        })
    }
}

impl Peers for Sense {
    fn lost(&self, _: &[IpAddr], incarnation: &Incarnation) -> BoxFuture<'static, ()> {
        hints::watch(&self.line.world, self.line.pod, incarnation)
    }
}

impl Fence for Sense {
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

impl fmt::Debug for Sense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sense")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
