//! Runs the recipes of the justfile that a goal needs, side by side where they do not wait for each other, and stops all
//! of them as soon as one fails. Says what runs and how long it takes as a rule; ends with a table of times.
//!
//! The justfile is the one place where steps are listed: what a step depends on is its recipe's dependencies, and its
//! class and usual time are the recipe's `[metadata('step', CLASS, SECONDS)]`.

mod graph;
mod process;
mod run;
mod schedule;
mod screen;
mod tally;
mod times;

use std::{
    io::{self, Write},
    path::Path,
    process::{Command, ExitCode},
};

const USAGE: &str = "usage: steps JUST GOAL\n\nRuns what the recipe GOAL of the justfile in the working folder depends on. JUST is the program just.";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [just, goal] = arguments.as_slice() else {
        complain(USAGE);
        return ExitCode::from(2);
    };
    let folder = Path::new("target/steps");
    let steps = goal_steps(just, goal);
    let ended = steps.and_then(|steps| {
        run::run(&steps, Path::new(just), folder).map_err(|error| error.to_string())
    });
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&format!("steps: {error}"));
            ExitCode::from(2)
        }
    }
}

fn goal_steps(just: &str, goal: &str) -> Result<Vec<graph::Step>, String> {
    let output = Command::new(just).arg("--dump").output();
    let output = output.map_err(|error| format!("cannot run {just}: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let dump = String::from_utf8_lossy(&output.stdout).into_owned();
    graph::steps(&dump, goal).map_err(|error| error.to_string())
}

fn complain(text: &str) {
    // Nothing can be said where standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}
