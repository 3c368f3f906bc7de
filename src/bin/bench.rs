//! Measures the work on many objects: `just bench`.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};

use clap::Parser;
use five_spot::bench::{self, Report, Sizes};

/// Measures promotion, boundaries and quiet with many objects
#[derive(Debug, Parser)]
struct Options {
    /// How many objects there are
    #[arg(long, default_value_t = 10_000)]
    objects: usize,
    /// How many windows open while nobody leads
    #[arg(long, default_value_t = 100)]
    overdue: usize,
    /// How many windows open in one second
    #[arg(long, default_value_t = 1_000)]
    together: usize,
    /// How many seconds nothing happens
    #[arg(long, default_value_t = 600)]
    quiet_seconds: u64,
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
    let sizes = Sizes {
        objects: options.objects,
        overdue: options.overdue,
        together: options.together,
        quiet: Duration::from_secs(options.quiet_seconds),
    };
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
        .args(["--objects", &options.objects.to_string()])
        .args(["--overdue", &options.overdue.to_string()])
        .args(["--together", &options.together.to_string()])
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
