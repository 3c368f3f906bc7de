//! What a leader does: it writes, all the time, and holds writes in flight.

use std::{
    fmt,
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
    line::{Failure, Line},
    process::SkewedClock,
    trace,
    world::{Millis, World},
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

/// A work write as it arrives at the API server.
#[derive(Clone, Debug)]
pub(super) struct WorkWrite {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) incarnation: String,
    pub(super) sent: Millis,
    pub(super) abandoned: Arc<AtomicBool>,
    pub(super) gate: Gate,
}

/// What the API server says to a work write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Accepted,
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
    {
        let mut state = process.world.state();
        let now = process.world.now();
        state
            .checks
            .term_began(now, number, gate.clone(), term.clone());
    }
    gate.guard(number, write_on(process, term)).await;
}

async fn write_on(process: Process, term: Term) {
    let line = Line {
        world: process.world.clone(),
        pod: process.pod,
    };
    let fence = process.world.settings().fence;
    let every = process.world.settings().work_every;
    let mut flights = FuturesUnordered::new();
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
                let _ = said;
                continue;
            }
            () = process.clock.sleep(Duration::from_millis(pause)) => {}
        }
        if flights.len() >= IN_FLIGHT || term.check().is_err() {
            continue;
        }
        if fence && hesitation == 0 {
            // Between the check and the send a process can be stopped: only the fence holds such a write back.
            process.clock.sleep(Duration::from_millis(1)).await;
        }
        flights.push(send(&line, &process).answered());
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

fn send(line: &Line, process: &Process) -> Flight {
    let abandoned = Arc::new(AtomicBool::new(false));
    let write = WorkWrite {
        number: process.number,
        name: process.name.clone(),
        incarnation: process.incarnation.clone(),
        sent: process.world.now(),
        abandoned: Arc::clone(&abandoned),
        gate: process.gate.clone(),
    };
    let answer = line.send(move |world, state| {
        let now = world.now();
        if !state.server.admits(now, &write.name) {
            trace::note(|| format!("the fence refuses a work write of process {}", write.number));
            return Said::RefusedByTheFence;
        }
        state.checks.work_accepted(now, &write, &state.server);
        Said::Accepted
    });
    Flight {
        answer,
        abandoned,
        answered: false,
    }
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

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
