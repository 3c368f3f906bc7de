//! A replica's way to the API server, and all that can happen to a request on it.
//!
//! A request that was sent is out of its sender's hands: it arrives, or not, whether its sender waits for the answer, has
//! given it up, is stopped, or is dead.

use tokio::sync::oneshot;

use super::{
    dice::Dice,
    world::{Effect, Millis, State, World},
};

/// How the way between a pod and the API server is at the moment.
#[derive(Default)]
pub(super) struct LineState {
    /// How many partitions keep requests back.
    requests_cut: u32,
    /// How many partitions keep answers and watches back.
    answers_cut: u32,
    /// Whether what is kept back is resent when the way is free, as by TCP, or lost.
    resends: bool,
    /// What happens to calls besides, and how often in a thousand.
    pub(super) noise: Option<(Noise, u64)>,
    /// What watches take longer.
    pub(super) watch_delay: Millis,
    /// How many slow watches there were of which something may still be under way.
    pub(super) late_watches: u32,
    held_back: Vec<Effect>,
}

/// What can happen to a single call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noise {
    /// Refused for a conflict although there is none.
    Conflict,
    /// An error, and it never took effect.
    ErrorBefore,
    /// An error, and it took effect.
    ErrorAfter,
    /// No answer, and it never took effect.
    Hang,
    /// No answer, and it took effect.
    HangAfter,
    /// The request takes this long.
    SlowRequest(Millis),
    /// The answer takes this long.
    SlowAnswer(Millis),
    /// Writes of the Lease take this long to take effect, and nothing else does.
    SlowWrites(Millis),
    /// Any of them.
    Any,
}

/// The call failed, and this is what the client says.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Lost(pub(super) &'static str);

/// How a call fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    Conflict,
    Lost(Lost),
}

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

impl LineState {
    pub(super) fn cut(&mut self, requests: bool, answers: bool, resends: bool) {
        self.requests_cut += u32::from(requests);
        self.answers_cut += u32::from(answers);
        self.resends = resends;
    }

    /// Takes a cut back, and gives what now goes on its way.
    pub(super) fn mend(&mut self, requests: bool, answers: bool) -> Vec<Effect> {
        self.requests_cut = self.requests_cut.saturating_sub(u32::from(requests));
        self.answers_cut = self.answers_cut.saturating_sub(u32::from(answers));
        if self.requests_cut == 0 {
            std::mem::take(&mut self.held_back)
        } else {
            Vec::new()
        }
    }

    pub(super) fn answers_are_lost(&self) -> bool {
        self.answers_cut > 0
    }

    pub(super) fn is_connected(&self) -> bool {
        self.requests_cut == 0 && self.answers_cut == 0
    }

    /// Whether watches bring what is new without more delay than anything takes.
    pub(super) fn is_watched_in_time(&self) -> bool {
        self.is_connected() && self.late_watches == 0
    }

    /// Whether nothing is wrong with it.
    pub(super) fn is_fine(&self) -> bool {
        self.is_watched_in_time() && self.noise.is_none()
    }

    fn noise(&self, dice: &mut Dice) -> Option<Noise> {
        let (noise, often) = self.noise?;
        if !dice.per_mille(often) {
            return None;
        }
        let slow = 1 << dice.between(4, 13);
        Some(match (noise, dice.below(7)) {
            (Noise::SlowRequest(most), _) => Noise::SlowRequest(dice.between(1, most)),
            (Noise::SlowAnswer(most), _) => Noise::SlowAnswer(dice.between(1, most)),
            (Noise::Any, 0) => Noise::Conflict,
            (Noise::Any, 1) => Noise::ErrorBefore,
            (Noise::Any, 2) => Noise::ErrorAfter,
            (Noise::Any, 3) => Noise::Hang,
            (Noise::Any, 4) => Noise::HangAfter,
            (Noise::Any, 5) => Noise::SlowRequest(slow),
            (Noise::Any, _) => Noise::SlowAnswer(slow),
            (other, _) => other,
        })
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
        match noise {
            Some(Noise::Hang) => {}
            Some(Noise::Conflict) => reply(
                world,
                state,
                pod,
                there + back,
                answer,
                Err(Failure::Conflict),
            ),
            Some(Noise::ErrorBefore) => {
                reply(
                    world,
                    state,
                    pod,
                    there + back,
                    answer,
                    Err(Failure::Lost(Lost("connection refused"))),
                );
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
                            reply(
                                world,
                                state,
                                pod,
                                back,
                                answer,
                                Err(Failure::Lost(Lost("service unavailable"))),
                            );
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
                        line.held_back.push(Box::new(arrive));
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
