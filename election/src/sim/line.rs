//! A replica's way to the API server, and all that can happen to a request on it.
//!
//! A request that was sent is out of its sender's hands: it arrives, or not, whether its sender waits for the answer, has
//! given it up, is stopped, or is dead.

use tokio::sync::oneshot;

use super::{
    way::{Failure, Lost, Noise},
    world::{Millis, State, World},
};

/// One process's way to the API server.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) world: World,
    pub(super) pod: usize,
}

/// The way back of one request.
pub(super) struct Reply<T> {
    pod: usize,
    takes: Millis,
    noise: Option<Noise>,
    answer: oneshot::Sender<Result<T, Failure>>,
}

impl<T: Send + 'static> Reply<T> {
    /// Sends the answer.
    pub(super) fn give(self, world: &World, state: &mut State, result: T) {
        let result = match self.noise {
            Some(Noise::HangAfter) => return,
            Some(Noise::ErrorAfter) => Err(Failure::Lost(Lost("connection reset"))),
            _ => Ok(result),
        };
        reply(world, state, self.pod, self.takes, self.answer, result);
    }
}

impl Line {
    /// Sends a request and waits for the answer; forever if none comes.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        serve: impl FnOnce(&World, &mut State) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        self.ask_for(false, serve).await
    }

    /// The same; `is_write` says whether it writes the Lease.
    pub(super) async fn ask_for<T: Send + 'static>(
        &self,
        is_write: bool,
        serve: impl FnOnce(&World, &mut State) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let answer = self.send_as(is_write, move |world, state, reply| {
            let result = serve(world, state);
            reply.give(world, state, result);
        });
        match answer.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }

    /// Sends a request that `serve` takes when it arrives, and answers when it likes.
    pub(super) fn send<T: Send + 'static>(
        &self,
        serve: impl FnOnce(&World, &mut State, Reply<T>) + Send + 'static,
    ) -> oneshot::Receiver<Result<T, Failure>> {
        self.send_as(false, serve)
    }

    fn send_as<T: Send + 'static>(
        &self,
        is_write: bool,
        serve: impl FnOnce(&World, &mut State, Reply<T>) + Send + 'static,
    ) -> oneshot::Receiver<Result<T, Failure>> {
        let (answer, waiting) = oneshot::channel();
        let (world, pod) = (&self.world, self.pod);
        let mut guard = world.state();
        let state = &mut *guard;
        let (there, back) = (state.latency(world), state.latency(world));
        let noise = state
            .pods
            .get(pod)
            .and_then(|pod| pod.line.noise(&mut state.dice))
            .filter(|noise| is_write || !matches!(noise, Noise::SlowWrites(_)));
        let fails = |state: &mut State, answer, failure| {
            reply(world, state, pod, there + back, answer, Err(failure));
        };
        match noise {
            Some(Noise::Hang) => {}
            Some(Noise::Conflict) => fails(state, answer, Failure::Conflict),
            Some(Noise::ErrorBefore) => {
                fails(state, answer, Failure::Lost(Lost("connection refused")));
            }
            _ => {
                let there = match noise {
                    Some(Noise::SlowRequest(slow) | Noise::SlowWrites(slow)) => slow,
                    _ => there,
                };
                let back = if let Some(Noise::SlowAnswer(slow)) = noise {
                    slow
                } else {
                    back
                };
                let arrive = move |world: &World, state: &mut State| {
                    if !state.server.up {
                        // Some API servers that are down refuse, and some say nothing.
                        if state.dice.per_mille(500) {
                            let lost = Err(Failure::Lost(Lost("service unavailable")));
                            reply(world, state, pod, back, answer, lost);
                        }
                        return;
                    }
                    let way_back = Reply {
                        pod,
                        takes: back,
                        noise,
                        answer,
                    };
                    serve(world, state, way_back);
                };
                world.after(state, there, move |world, state| {
                    let line = &mut state.pods[pod].line;
                    if line.requests_cut == 0 {
                        arrive(world, state);
                    } else if line.resends {
                        state.held_back.push((pod, Box::new(arrive)));
                    }
                });
            }
        }
        drop(guard);
        waiting
    }
}

fn reply<T: Send + 'static>(
    world: &World,
    state: &mut State,
    pod: usize,
    delay: Millis,
    answer: oneshot::Sender<Result<T, Failure>>,
    result: Result<T, Failure>,
) {
    world.after(state, delay, move |_, state| {
        if !state.pods[pod].line.answers_are_lost() {
            // Whoever asked may have given up or be dead.
            let _ = answer.send(result);
        }
    });
}
