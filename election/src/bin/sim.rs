//! Runs simulated elections, as many as asked, over all cores: `just sim --seeds 1000000`.

use std::{
    io::Write,
    process::ExitCode,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use clap::Parser;
use lease_election::{
    mutation::Mutation,
    sim::{self, Outcome, Tally},
};
use tokio::time::Instant;

/// Tries to break the leader election in simulated worlds, each drawn from a seed
#[derive(Debug, Parser)]
struct Options {
    /// How many scenarios to run
    #[arg(long, default_value_t = 100_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run this one scenario alone
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// With --seed: say step by step what happens
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Break each rule in turn, and say after how many seeds which check found out
    #[arg(long, conflicts_with = "seed")]
    mutants: bool,
    /// Go on after a failure, and print at most this many
    #[arg(long, default_value_t = 1)]
    failures: usize,
}

/// What all threads have done so far.
#[derive(Default)]
struct Progress {
    next: AtomicU64,
    stop: AtomicBool,
    sum: Mutex<Sum>,
}

/// What came of it.
#[derive(Default)]
struct Sum {
    done: u64,
    tally: Tally,
    /// The seeds that failed, and how.
    failures: Vec<(u64, String)>,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut out = std::io::stdout();
    let result = match options.seed {
        None if options.mutants => mutants(&options, &mut out),
        Some(seed) => one(seed, options.trace, &mut out),
        None => many(&options, &mut out),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Where not even that can be written, the exit code has to do.
            let _ = writeln!(std::io::stderr(), "sim: {error}");
            ExitCode::from(2)
        }
    }
}

fn one(seed: u64, trace: bool, out: &mut impl Write) -> std::io::Result<bool> {
    let outcome = if trace {
        let (outcome, lines) = sim::replay(seed)?;
        for line in lines {
            writeln!(out, "{line}")?;
        }
        outcome
    } else {
        sim::run(seed)?
    };
    match &outcome.violation {
        Some(violation) => writeln!(out, "seed {seed}: {violation}")?,
        None => writeln!(out, "seed {seed}: nothing is violated; {}", outcome.tally)?,
    }
    Ok(outcome.violation.is_none())
}

fn many(options: &Options, out: &mut impl Write) -> std::io::Result<bool> {
    let cores = std::thread::available_parallelism()?;
    let begun = Instant::now();
    let progress = Progress::default();
    std::thread::scope(|scope| {
        for _ in 0..cores.get() {
            scope.spawn(|| work(options, &progress));
        }
        let mut said = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(50));
            let done = progress
                .sum
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .done;
            let over = done >= options.seeds || progress.stop.load(Ordering::Relaxed);
            if over || said.elapsed() > Duration::from_secs(5) {
                said = Instant::now();
                writeln!(
                    out,
                    "{done} of {} scenarios, {:.0} a second",
                    options.seeds,
                    rate(done, begun)
                )?;
            }
            if over {
                return std::io::Result::Ok(());
            }
        }
    })?;
    let Sum {
        done,
        tally,
        failures,
    } = progress
        .sum
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    writeln!(
        out,
        "{done} scenarios on {cores} cores, {:.0} a second: {tally}",
        rate(done, begun)
    )?;
    for (seed, what) in &failures {
        writeln!(
            out,
            "seed {seed}: {what}\n    replay: just sim --seed {seed} --trace"
        )?;
    }
    Ok(failures.is_empty())
}

/// Whether every mutation was found out.
fn mutants(options: &Options, out: &mut impl Write) -> std::io::Result<bool> {
    let mut all = true;
    writeln!(out, "| broken | seeds | found by |\n|---|---|---|")?;
    for mutation in Mutation::simulated() {
        let what = mutation.what();
        let found = sim::hunt(mutation, options.from, options.seeds)?;
        all &= found.is_some();
        let (seeds, by) = found.map_or((options.seeds, "nothing"), |(seeds, violation)| {
            (seeds, violation.check)
        });
        writeln!(out, "| {what} | {seeds} | {by} |")?;
    }
    Ok(all)
}

fn work(options: &Options, progress: &Progress) {
    while !progress.stop.load(Ordering::Relaxed) {
        let number = progress.next.fetch_add(1, Ordering::Relaxed);
        if number >= options.seeds {
            return;
        }
        let seed = options.from.wrapping_add(number);
        let (tally, failure) = match sim::run(seed) {
            Ok(Outcome { violation, tally }) => {
                (tally, violation.map(|violation| violation.to_string()))
            }
            Err(error) => (Tally::default(), Some(error.to_string())),
        };
        let mut sum = progress.sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.done += 1;
        sum.tally += tally;
        if let Some(failure) = failure {
            sum.failures.push((seed, failure));
            if sum.failures.len() >= options.failures {
                progress.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

fn rate(done: u64, begun: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "nobody runs 2^53 scenarios")]
    let done = done as f64;
    done / begun.elapsed().as_secs_f64().max(0.001)
}
