//! The report as one page to look at: a file of its own, with no network, that also works without scripts.
//!
//! | part | tells |
//! |---|---|
//! | `overview` | the verdict, why it is not better, what was not observed |
//! | `figures` | percentiles as a table |
//! | `distribution` | for each fault every trial as a dot, against the limit |
//! | `article` | a trial: its timeline, events, phases and checks |
//! | `facts` | what was run, and where |
//! | `view`, `timeline` | the raw data condensed, and drawn |
//! | `logs` | what the replicas said meanwhile |
//!
//! Tables are HTML and drawings are SVG before a script runs; the script adds what needs a pointer or a keyboard. Text is
//! escaped by the macro that writes it; only the style and the script, which are part of this crate, are not. The page
//! forbids a browser everything but these two, by their hashes.

mod anchor;
mod article;
mod distribution;
mod facts;
mod figures;
mod glyphs;
mod logs;
mod overview;
mod rest;
mod scale;
mod timeline;
mod view;
mod words;

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::folder::{Folder, WriteError, trial_file};
use failover_judging::{observed::TrialData, report::Report};
pub use logs::Logs;

const STYLE: &str = include_str!("page/page.css");

const SCRIPT: &str = include_str!("page/page.js");

/// The name of the page in the folder of a run.
pub const FILE: &str = "report.html";

/// Raw data that is there and can't be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {}", .path.display())]
struct Unreadable {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// Writes the page of `report` into `folder`, which holds the raw data of its trials. What is not there is not drawn,
/// and the page says so.
pub fn write(folder: &Folder, report: &Report) -> Result<PathBuf, WriteError> {
    let mut trials = Vec::new();
    for result in &report.trials {
        let path = folder.path().join(trial_file(result.id));
        let read = std::fs::read(&path).and_then(|text| Ok(serde_json::from_slice(&text)?));
        match read {
            Ok(data) => trials.push(data),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(unreadable(folder, path, source)),
        }
    }
    let logs = Logs::read(&folder.logs());
    let logs = logs.map_err(|(path, source)| unreadable(folder, path, source))?;
    folder.write(FILE, &render(report, &trials, &logs))
}

fn unreadable(folder: &Folder, path: PathBuf, source: std::io::Error) -> WriteError {
    folder.failed(FILE, std::io::Error::other(Unreadable { path, source }))
}

/// The page of `report`. A trial of which `trials` has no raw data has no timeline, and says so.
pub fn render(report: &Report, trials: &[TrialData], logs: &Logs) -> String {
    let title = format!("{} · failover run {}", report.verdict, report.run.id);
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#figures" { "Skip to the percentiles" }
                a class="skip" href="#trials" { "Skip to the trials" }
                (glyphs::definitions())
                header { (overview::head(report)) }
                main {
                    (overview::why(report))
                    (figures::section(report))
                    (distributions(report))
                    (article::section(report, trials, logs))
                    (rest::section(report))
                    (facts::section(report, trials))
                }
                footer { "failover " (report.run.harness_version) ", report format " (report.format_version) }
                div id="tip" role="tooltip" hidden {}
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    markup.into_string()
}

fn distributions(report: &Report) -> Markup {
    html! {
        @if !report.groups.is_empty() {
            section id="distributions" aria-labelledby="distributions-title" {
                h2 id="distributions-title" { "How long each takeover took" }
                p class="lead" {
                    "Every dot is a trial and leads to it; a diamond is one that was not passed. The box holds the middle half "
                    "of four or more, the thick line is the median, the thin one the p95. Hollow dots are in no figure: they warmed up, "
                    "or the rig was troubled."
                }
                (distribution::figures(report))
            }
        }
    }
}

/// Nothing but the page's own style and script.
fn policy() -> String {
    let hash =
        |text: &str| STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

#[cfg(test)]
mod browser;

#[cfg(test)]
mod tests;
