//! Measures the work on many objects: `just bench`.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, ExitCode, Stdio},
};

use clap::Parser;
use five_spot::bench::{self, Report, Sizes};

/// Measures promotion, boundaries and quiet with many objects
#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    sizes: Sizes,
    /// Be the API server
    #[arg(long, hide = true)]
    serve: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> std::io::Result<bool> {
    let sizes = options.sizes;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    if options.serve {
        let tell = |port| {
            let _ = writeln!(std::io::stdout(), "{port}");
        };
        return runtime.block_on(bench::serve(sizes, tell)).map(|()| true);
    }
    let mut server = Command::new(std::env::current_exe()?)
        .arg("--serve")
        .args(["--objects", &sizes.objects.to_string()])
        .args(["--overdue", &sizes.overdue.to_string()])
        .args(["--together", &sizes.together.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut port = String::new();
    if let Some(output) = server.stdout.take() {
        BufReader::new(output).read_line(&mut port)?;
    }
    let url = format!("http://127.0.0.1:{}", port.trim());
    let report = runtime.block_on(bench::run(&url, sizes));
    server.kill()?;
    server.wait()?;
    show(&report)
}

/// Whether all bars are kept.
fn show(report: &Report) -> std::io::Result<bool> {
    let mut out = std::io::stdout().lock();
    let mut all_kept = true;
    for figure in &report.figures {
        let verdict = match figure.bar {
            None => String::new(),
            Some(bar) => {
                let is_kept = figure.value <= bar;
                all_kept &= is_kept;
                format!(
                    "  {} (at most {bar})",
                    if is_kept { "PASS" } else { "FAIL" }
                )
            }
        };
        writeln!(
            out,
            "{:<50} {:>10.3} {}{verdict}",
            figure.what, figure.value, figure.unit
        )?;
    }
    for (part, traffic) in &report.traffic {
        for (sort, (requests, bytes)) in traffic {
            writeln!(
                out,
                "{part:<16} {sort:<70} {requests:>8} requests {bytes:>12} bytes"
            )?;
        }
    }
    Ok(all_kept)
}
