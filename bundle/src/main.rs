//! `bundle`: the command line. Exit codes: 0 for success, 1 when something was found or failed, 2 for bad input.

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use five_spot::errors::Chain;
use five_spot_bundle::{
    generate::{FOLDERS, generate},
    sources::Sources,
};

#[derive(Debug, Parser)]
#[command(name = "bundle", about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the bundle from its sources
    Generate {
        /// Root of the repository
        #[arg(long, default_value = ".")]
        root: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // Nobody to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "bundle: {}", Chain(error.as_ref()));
            ExitCode::from(1)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Generate { root } => {
            let files = generate(&Sources::read(&root)?)?;
            files.write(&root.join("bundle"), &FOLDERS)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
