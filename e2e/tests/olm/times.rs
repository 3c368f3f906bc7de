//! How long everything took.

use std::{fmt::Write as _, fs};

use failover_judging::report::Report;
use failover_rig::{console::Console, progress::Progress as _};
use tokio::time::Instant;

/// Where the table is written to.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/olm/times.md");

/// The table, and when the step that is under way began.
pub(crate) struct Times {
    began: Instant,
    step: Instant,
    rows: Vec<(String, String)>,
}

impl Times {
    pub(crate) fn begin() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            step: now,
            rows: Vec::new(),
        }
    }

    /// The step that ends now, and with it the next one begins.
    pub(crate) fn took(&mut self, step: &str) {
        let took = self.step.elapsed().as_secs_f64();
        self.rows.push((step.to_owned(), format!("{took:.1} s")));
        self.step = Instant::now();
    }

    /// A time that was measured in another way.
    pub(crate) fn add(&mut self, what: &str, time: &str) {
        self.rows.push((what.to_owned(), time.to_owned()));
    }

    /// What a run of the harness measured.
    pub(crate) fn measured(&mut self, prefix: &str, report: &Report) {
        for trial in &report.trials {
            let seconds = |time: Option<f64>| {
                time.map_or_else(|| "-".to_owned(), |time| format!("{:.3} s", time / 1000.0))
            };
            let (lease, work) = (
                seconds(trial.phases.lease_ms),
                seconds(trial.phases.work_ms),
            );
            let reason = trial
                .reason
                .map(|reason| format!("{reason:?}").to_lowercase())
                .unwrap_or_default();
            self.rows.push((
                format!("{prefix}{}", trial.id.fault),
                format!("lease {lease}, work {work} ({reason})"),
            ));
        }
    }

    /// Prints the table, and writes it.
    pub(crate) fn tell(&self, console: &Console) {
        let mut table = "| step | time |\n|---|---|\n".to_owned();
        let total = format!("{:.1} s", self.began.elapsed().as_secs_f64());
        let all = ("all, from a running cluster".to_owned(), total);
        for (step, time) in self.rows.iter().chain([&all]) {
            writeln!(table, "| {step} | {time} |").unwrap();
        }
        table.lines().for_each(|line| console.note(line));
        fs::write(FILE, table).unwrap();
    }
}
