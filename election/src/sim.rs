//! A simulator that tries to break the election: the real elector in many replicas, in a world drawn from a seed.
//!
//! Each scenario is one world: 2 to 5 replicas, each with a clock of its own rate and a wall clock that is off, an API
//! server, a network and a kubelet, and a list of faults over time. Time is simulated, so a scenario of minutes takes
//! milliseconds, and the same seed gives the same scenario again, step by step.
//!
//! What is real: [`Elector`](crate::elector::Elector), [`decide`](crate::record::decide), the Lease calls and their
//! timeouts, the [`Term`](crate::term::Term). What is simulated: the API server with its fence, the network, kubelet, the
//! clocks, SIGSTOP and SIGKILL, and the work of a leader.
//!
//! What must hold is listed in [`check`]. Some of it holds on conditions only, and they are said there.
//!
//! # Limits
//! - It samples: a million scenarios without a violation are no proof. The model in `sim/model.rs` walks every
//!   interleaving, of a much smaller world.
//! - Time goes in steps of a millisecond.
//! - The client's gate (`src/term/gate.rs`), kube's own watcher and the real kubelet are not part of it; the harness in
//!   `e2e` tests them on a cluster.

mod check;
mod dice;
mod fault;
mod gate;
mod hints;
mod kubelet;
mod line;
#[cfg(test)]
mod model;
mod node_clock;
mod objects;
mod pod;
mod process;
mod senses;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod time;
mod trace;
mod watch;
mod watches;
mod way;
mod work;
mod world;

pub use check::{Tally, Violation};

use crate::mutation::{self, Mutation};
use dice::Dice;
use settings::Settings;
use world::World;

/// What came of one scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The first check that failed, if any did.
    pub violation: Option<Violation>,
    /// What happened, in numbers.
    pub tally: Tally,
}

/// Runs the scenario of a seed.
///
/// # Errors
/// Where no runtime can be made.
pub fn run(seed: u64) -> std::io::Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    Ok(runtime.block_on(scenario(seed)))
}

/// Breaks a rule, and runs scenario after scenario until a check finds out: the number of scenarios, and the violation.
///
/// # Errors
/// Where no runtime can be made.
pub fn hunt(
    mutation: Mutation,
    from: u64,
    seeds: u64,
) -> std::io::Result<Option<(u64, Violation)>> {
    mutation::with(Some(mutation), || {
        for number in 0..seeds {
            if let Some(violation) = run(from.wrapping_add(number))?.violation {
                return Ok(Some((number + 1, violation)));
            }
        }
        Ok(None)
    })
}

/// Runs the scenario of a seed, and says line by line what happened in it.
///
/// # Errors
/// Where no runtime can be made.
pub fn replay(seed: u64) -> std::io::Result<(Outcome, Vec<String>)> {
    let (outcome, lines) = trace::record(|| run(seed));
    outcome.map(|outcome| (outcome, lines))
}

async fn scenario(seed: u64) -> Outcome {
    let mut dice = Dice::of(seed);
    let Some(settings) = Settings::draw(&mut dice) else {
        return Outcome {
            violation: None,
            tally: Tally::default(),
        };
    };
    trace::at(0);
    trace::note(|| format!("seed {seed}: {settings:#?}"));
    let end = settings.end;
    let world = World::new(settings, dice);
    prepare(&world);
    let violation = world.drive(end).await;
    let mut state = world.state();
    if violation.is_none() {
        state.checks.ended(end);
    }
    let outcome = Outcome {
        violation: violation.or_else(|| state.checks.violation.take()),
        tally: state.checks.tally,
    };
    let tasks = std::mem::take(&mut state.tasks);
    // Replicas reach for the world when they are dropped.
    drop(state);
    drop(tasks);
    outcome
}

fn prepare(world: &World) {
    let mut state = world.state();
    let state = &mut *state;
    for _ in 0..world.settings().replicas {
        kubelet::create(world, state, 1, None);
    }
    for (at, fault) in world.settings().faults.clone() {
        world.after(state, at, move |world, state| fault.strike(world, state));
    }
}
