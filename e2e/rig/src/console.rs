//! Words for whoever watches: a spinner with the current step on a terminal, plain lines with the elapsed time elsewhere.

use std::{io::Write, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use crate::progress::Progress;

/// Writes to standard error, so that standard output holds results alone.
#[derive(Debug)]
pub struct Console {
    began: Instant,
    spinner: Option<ProgressBar>,
}

impl Console {
    /// A console that starts its clock now.
    pub fn start() -> Self {
        // A CI log is no terminal, and some CI systems pretend it is.
        let terminal = console::user_attended_stderr() && std::env::var_os("CI").is_none();
        Self {
            began: Instant::now(),
            spinner: terminal.then(spinner).flatten(),
        }
    }

    fn line(&self, mark: &str, text: &str) {
        let elapsed = self.began.elapsed().as_secs();
        let line = format!("{:>3}:{:02} {mark}{text}", elapsed / 60, elapsed % 60);
        match &self.spinner {
            Some(spinner) => spinner.println(line),
            // Standard error may be closed; then there is nowhere to say it.
            None => drop(writeln!(std::io::stderr(), "{line}")),
        }
    }

    /// Takes the spinner away, before results are printed.
    pub fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

fn spinner() -> Option<ProgressBar> {
    let style = ProgressStyle::with_template("{elapsed:>6} {spinner} {wide_msg}").ok()?;
    let spinner =
        ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style);
    spinner.enable_steady_tick(Duration::from_millis(120));
    Some(spinner)
}

impl Progress for Console {
    fn step(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.set_message(text.to_owned()),
            None => self.line("", text),
        }
    }

    fn note(&self, text: &str) {
        self.line("", text);
    }

    fn warn(&self, text: &str) {
        self.line("warning: ", text);
    }
}
