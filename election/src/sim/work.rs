//! What a leader does: it writes, all the time, and holds writes in flight.
//!
//! Each write is made from an object as the leader last saw it. The API server asks the fence when it arrives, and stores it
//! later, by which time the Lease may have moved; then the version that it was made from decides.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{
    gate::Gate,
    line::{Line, Reply},
    node_clock::SkewedClock,
    objects::{Author, Changed, OBJECTS, WorkWrite, guard_of},
    trace,
    way::Failure,
    world::{State, World},
};
use crate::{clock::Clock, term::Term};

/// How many writes a leader has in flight at most.
const IN_FLIGHT: usize = 4;

/// What the work of one process knows of it.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) world: World,
    pub(super) pod: usize,
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) incarnation: String,
    pub(super) gate: Gate,
    pub(super) work_ends: CancellationToken,
    pub(super) clock: Arc<SkewedClock>,
}

/// What the API server says to a work write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// The version of the object by now; whether it was this write that made it is all the same to whoever goes on from it.
    Version {
        object: usize,
        version: u64,
    },
    RefusedByTheFence,
}

/// A write that is waited for; abandoned if it is dropped before it is answered.
struct Flight {
    answer: oneshot::Receiver<Result<Said, Failure>>,
    abandoned: Arc<AtomicBool>,
    answered: bool,
}

/// Leads one term.
pub(super) async fn lead(process: Process, term: Term) {
    let gate = process.gate.clone();
    let number = process.number;
    let which = {
        let mut state = process.world.state();
        let now = process.world.now();
        state
            .checks
            .term_began(now, number, gate.clone(), term.clone())
    };
    gate.guard(number, write_on(process, term, which)).await;
}

async fn write_on(process: Process, term: Term, which: u64) {
    let line = Line {
        world: process.world.clone(),
        pod: process.pod,
    };
    let fence = process.world.settings().fence;
    let every = process.world.settings().work_every;
    let mut flights = FuturesUnordered::new();
    let mut known = [0; OBJECTS];
    loop {
        let (pause, hesitation) = {
            let mut state = process.world.state();
            (state.dice.between(1, 2 * every), state.dice.below(4))
        };
        tokio::select! {
            biased;
            () = term.winding_down() => break,
            () = process.work_ends.cancelled() => return,
            said = flights.next(), if !flights.is_empty() => {
                if let Some(Some(Said::Version { object, version })) = said
                    && let Some(known) = known.get_mut(object)
                {
                    *known = version.max(*known);
                }
                continue;
            }
            () = process.clock.sleep(Duration::from_millis(pause)) => {}
        }
        if flights.len() >= IN_FLIGHT || term.check().is_err() {
            continue;
        }
        let (object, version) = decide(&process, &mut known);
        if fence && hesitation == 0 {
            // Between the check and the send a process can be stopped: only the fence holds such a write back.
            process.clock.sleep(Duration::from_millis(1)).await;
        }
        flights.push(send(&line, &process, which, (object, version)).answered());
    }
    // What is in flight is finished while the term lasts.
    while !flights.is_empty() {
        tokio::select! {
            biased;
            _ = flights.next() => {}
            () = term.ended() => return,
        }
    }
}

/// Which object is written next, and the version of it that is known: the watch brings what it can.
fn decide(process: &Process, known: &mut [u64; OBJECTS]) -> (usize, u64) {
    let mut state = process.world.state();
    let sees = state
        .pods
        .get(process.pod)
        .is_some_and(|pod| state.server.up && !pod.deafened && pod.line.is_watched_in_time());
    if sees {
        *known = state.server.objects.versions();
    }
    let object = state.dice.index(OBJECTS);
    (object, known.get(object).copied().unwrap_or_default())
}

fn send(line: &Line, process: &Process, term: u64, (object, version): (usize, u64)) -> Flight {
    let abandoned = Arc::new(AtomicBool::new(false));
    let write = WorkWrite {
        number: process.number,
        name: process.name.clone(),
        incarnation: process.incarnation.clone(),
        term,
        object,
        version,
        sent: process.world.now(),
        abandoned: Arc::clone(&abandoned),
        gate: process.gate.clone(),
    };
    let answer = line.send(move |world, state, reply| {
        let now = world.now();
        let policy = guard_of(write.object);
        if !state.server.admits(now, &write.name, policy) {
            trace::note(|| format!("the fence refuses a work write of process {}", write.number));
            reply.give(world, state, Said::RefusedByTheFence);
            return;
        }
        let is_guarded = state.server.guards(policy);
        if is_guarded {
            state.checks.work_admitted(now, &write, &state.server);
        }
        match state.server.commit_takes {
            0 => store(world, state, &write, is_guarded, reply),
            most => {
                let delay = state.dice.between(0, most);
                world.after(state, delay, move |world, state| {
                    store(world, state, &write, is_guarded, reply);
                });
            }
        }
    });
    Flight {
        answer,
        abandoned,
        answered: false,
    }
}

/// Stores a write that was admitted, unless its object has changed since it was made.
fn store(
    world: &World,
    state: &mut State,
    write: &WorkWrite,
    is_guarded: bool,
    reply: Reply<Said>,
) {
    let by = Author {
        term: write.term,
        name: write.name.clone(),
    };
    let object = write.object;
    let version = match state.server.objects.store(object, write.version, by) {
        Ok((version, replaced)) => {
            let State { checks, server, .. } = &mut *state;
            checks.work_stored(world.now(), write, is_guarded, replaced, server);
            version
        }
        Err(Changed(version)) => {
            trace::note(|| format!("a work write of process {} comes too late", write.number));
            state.checks.tally.conflicts += 1;
            version
        }
    };
    reply.give(world, state, Said::Version { object, version });
}

impl Flight {
    async fn answered(mut self) -> Option<Said> {
        let said = match (&mut self.answer).await {
            Ok(Ok(said)) => Some(said),
            Ok(Err(_)) => None,
            // No answer ever: the client waits.
            Err(_) => std::future::pending().await,
        };
        self.answered = true;
        said
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.answered {
            self.abandoned.store(true, Ordering::Relaxed);
        }
    }
}
