//! What a person sees: one line that changes on a terminal, plain lines elsewhere, and a table of times at the end.

use std::{
    fmt::Write as _,
    fs,
    io::{self, IsTerminal, Write},
    path::Path,
};

use rustix::termios::tcgetwinsize;

use crate::times::clock;

/// Without a terminal, what runs is said again after this many seconds.
const HEARTBEAT: u64 = 60;
/// Lines of a log that are shown when its step failed.
const TAIL: usize = 60;

/// A step that runs, as the status line shows it.
#[derive(Debug)]
pub(crate) struct Active<'a> {
    pub(crate) name: &'a str,
    pub(crate) seconds: u64,
    pub(crate) expected: u64,
    pub(crate) line: &'a str,
}

/// A step that ended, as the table shows it.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    pub(crate) name: &'a str,
    pub(crate) began: u64,
    pub(crate) took: u64,
    pub(crate) last: Option<u64>,
    pub(crate) passed: bool,
}

/// How the logs of steps are shown once they have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Logs {
    /// Only where a step failed.
    OfFailures,
    /// All, each in a group that the host of the pipeline can fold.
    Groups,
    /// All, each under a heading.
    Headings,
}

/// Where the progress is shown.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: bool,
    logs: Logs,
    said: u64,
}

impl Screen {
    /// By the terminal and by the variables `CI` and `GITHUB_ACTIONS`.
    pub(crate) fn new() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let logs = match (set("GITHUB_ACTIONS"), set("CI")) {
            (true, _) => Logs::Groups,
            (false, true) => Logs::Headings,
            (false, false) => Logs::OfFailures,
        };
        Self {
            terminal: io::stdout().is_terminal(),
            logs,
            said: 0,
        }
    }

    /// A line that stays.
    pub(crate) fn say(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        // A closed pipe is no reason to stop building.
        let _ = writeln!(io::stdout(), "{clear}{text}");
    }

    /// What runs now.
    pub(crate) fn status(&mut self, progress: (usize, usize), seconds: u64, active: &[Active<'_>]) {
        if self.terminal {
            let size = tcgetwinsize(io::stdout())
                .ok()
                .filter(|size| size.ws_col > 0);
            let columns = size.map_or(80, |size| usize::from(size.ws_col));
            let line = status(progress, seconds, active, columns.clamp(20, 200) - 1);
            let mut out = io::stdout();
            let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
        } else if seconds >= self.said + HEARTBEAT {
            self.said = seconds;
            self.say(&status(progress, seconds, active, 200));
        }
    }

    /// Shows the log of a step that ended, where it is to be shown.
    pub(crate) fn log(&self, name: &str, took: u64, passed: bool, log: &Path) {
        let text = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
        let title = format!("log of {name} ({})", clock(took));
        match self.logs {
            Logs::Groups if passed => self.say(&format!("::group::{title}\n{text}::endgroup::")),
            Logs::Headings if passed => self.say(&format!("--- {title}\n{text}---")),
            _ if passed => {}
            _ => {
                let lines: Vec<&str> = text.lines().collect();
                let tail = &lines[lines.len().saturating_sub(TAIL)..];
                self.say(&format!(
                    "--- end of the {title}, whole in {}\n{}\n---",
                    log.display(),
                    tail.join("\n")
                ));
            }
        }
    }
}

/// One line of at most `columns` characters.
fn status(
    (ended, all): (usize, usize),
    seconds: u64,
    active: &[Active<'_>],
    columns: usize,
) -> String {
    let mut line = format!("[{ended}/{all}] {}", clock(seconds));
    for step in active {
        let _ = write!(
            line,
            " | {} {} of {}",
            step.name,
            clock(step.seconds),
            clock(step.expected)
        );
    }
    if let Some(latest) = active.first().filter(|step| !step.line.is_empty()) {
        let _ = write!(line, " | {}", latest.line);
    }
    line.chars()
        .filter(|c| !c.is_control())
        .take(columns)
        .collect()
}

/// The table of all steps that ended.
pub(crate) fn table(rows: &[Row<'_>]) -> String {
    let width = rows
        .iter()
        .map(|row| row.name.len())
        .max()
        .unwrap_or(0)
        .max(4);
    let mut text = format!(
        "{:<width$} {:>8} {:>8} {:>8}\n",
        "step", "began", "took", "before"
    );
    for row in rows {
        let last = row.last.map_or_else(|| "-".to_owned(), clock);
        let failed = if row.passed { "" } else { "  failed" };
        let _ = writeln!(
            text,
            "{:<width$} {:>8} {:>8} {last:>8}{failed}",
            row.name,
            clock(row.began),
            clock(row.took)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_says_what_runs_and_how_long_it_takes_as_a_rule() {
        let active = [
            Active {
                name: "image",
                seconds: 65,
                expected: 330,
                line: "Compiling kube v5",
            },
            Active {
                name: "node",
                seconds: 5,
                expected: 390,
                line: "",
            },
        ];
        let line = status((3, 20), 70, &active, 200);
        assert_eq!(
            line,
            "[3/20] 1:10 | image 1:05 of 5:30 | node 0:05 of 6:30 | Compiling kube v5"
        );
        assert_eq!(status((3, 20), 70, &active, 20), "[3/20] 1:10 | image ");
    }

    #[test]
    fn the_table_names_each_step_with_its_times() {
        let rows = [
            Row {
                name: "binaries",
                began: 0,
                took: 170,
                last: None,
                passed: true,
            },
            Row {
                name: "unit",
                began: 170,
                took: 61,
                last: Some(60),
                passed: false,
            },
        ];
        let expected = "\
step        began     took   before
binaries     0:00     2:50        -
unit         2:50     1:01     1:00  failed
";
        assert_eq!(table(&rows), expected);
    }
}
