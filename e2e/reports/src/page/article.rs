//! The trials: for each what happened in one sentence, its timeline, its events, phases and checks.

use maud::{Markup, PreEscaped, html};

use super::{
    anchor::anchor,
    glyphs,
    logs::Logs,
    overview::{badge, class},
    timeline::timeline,
    view::{Event, TrialView},
    words::{Names, column, count, millis, signed},
};
use crate::folder::trial_file;
use failover_judging::{
    fault::FaultKind, judge::TrialResult, observed::TrialData, report::Report, verdict::Verdict,
};

pub(super) fn section(report: &Report, trials: &[TrialData], logs: &Logs) -> Markup {
    let mut seen: Vec<(u32, FaultKind)> = Vec::new();
    html! {
        section id="trials" aria-labelledby="trials-title" {
            h2 id="trials-title" { "Trials" }
            @if report.trials.is_empty() {
                p { "The run ended before the first trial." }
            } @else {
                p class="lead" {
                    "Times count from the fault. The state of a pod is what kubelet said of it, which takes its time to notice a death. In a timeline, point at a mark for what it stands for; with the "
                    "keyboard, tab to a timeline and go through its marks with the arrow keys. The table of events below each "
                    "timeline holds the same."
                }
                (glyphs::legend())
                div id="filter" {}
            }
            @for result in &report.trials {
                @let key = (result.id.replicas, result.id.fault);
                @let first = !seen.contains(&key);
                @if first { (remember(&mut seen, key)) }
                @let data = trials.iter().find(|data| data.id == result.id);
                (article(result, data, logs, first || result.verdict != Verdict::Pass))
            }
        }
    }
}

fn remember<T>(seen: &mut Vec<T>, key: T) -> Markup {
    seen.push(key);
    html! {}
}

fn article(result: &TrialResult, data: Option<&TrialData>, logs: &Logs, open: bool) -> Markup {
    let view = data.map(|data| TrialView::of(data, result, logs));
    let names = view
        .as_ref()
        .map(|view| view.names.clone())
        .unwrap_or_default();
    let sentence = sentence(result, &names);
    html! {
        details class=(format!("trial {}", class(result.verdict))) id=(anchor(result.id)) open[open]
            data-fault=(result.id.fault) data-verdict=(result.verdict) {
            summary {
                h3 { (result.id) }
                (badge(result.verdict))
                @if result.warm_up { span class="badge aside" { "warm-up" } }
                span class="gist" { (gist(result)) }
            }
            p class="sentence" { (sentence) }
            @for check in result.checks.iter().filter(|check| check.verdict != Verdict::Pass) {
                p class=(format!("broken {}", class(check.verdict))) {
                    (badge(check.verdict)) " " b { (check.id) } " – " (check.detail)
                }
            }
            @if let Some(view) = &view {
                div class="scroll timeline-frame" {
                    (timeline(view, &format!("Timeline of {}", result.id)))
                }
                @if !view.unseen.is_empty() {
                    p class="small" { "Not observed in this run: " (view.unseen.join("; ")) "." }
                }
                (events(view))
            } @else {
                p class="broken inconclusive" { "The raw data of this trial is not there, so there is no timeline." }
            }
            details class="more" {
                summary { "Phases and passed checks" }
                div class="beside" {
                    (phases(result))
                    (passed(result))
                }
                @if view.is_some() {
                    p class="small" { "Raw data: " a href=(trial_file(result.id)) { (trial_file(result.id)) } }
                }
            }
        }
    }
}

/// The two numbers that matter.
fn gist(result: &TrialResult) -> String {
    let number = |word: &str, value: Option<f64>| {
        value.map_or_else(
            || format!("{word} –"),
            |value| format!("{word} {}", millis(value)),
        )
    };
    let reason = result
        .reason
        .map_or_else(|| "no takeover".to_owned(), |reason| reason.to_string());
    format!(
        "{reason}, {}, {}",
        number("lease", result.phases.lease_ms),
        number("work", result.phases.work_ms)
    )
}

/// What happened.
fn sentence(result: &TrialResult, names: &Names) -> String {
    let phases = &result.phases;
    let old = names.short(&result.old_leader);
    let mut parts = Vec::new();
    if let Some(at) = phases.released_ms {
        parts.push(format!("{old} released the Lease at {}", signed(at)));
    }
    match (&result.new_leader, phases.lease_ms) {
        (Some(new), Some(at)) if names.short(new) == old => {
            parts.push(format!("{old} led again at {}", signed(at)));
        }
        (Some(new), Some(at)) => {
            parts.push(format!(
                "{} took over from {old} at {}",
                names.short(new),
                signed(at)
            ));
        }
        _ => parts.push(format!("nobody took over from {old}")),
    }
    if let Some(reason) = result.reason {
        parts.push(format!("reason: {reason}"));
    }
    if let Some(at) = phases.work_ms {
        parts.push(format!("first write at {}", signed(at)));
    }
    if let Some(at) = phases.replicas_restored_ms {
        parts.push(format!("all replicas Ready at {}", signed(at)));
    }
    let from = if phases.onset_ms > 0.0 {
        format!(
            " These times and the limits count from {}, the timeline from the fault.",
            signed(phases.onset_ms)
        )
    } else {
        String::new()
    };
    format!(
        "{}. Measuring error ±{:.1} ms.{from}",
        parts.join("; "),
        result.error.total_ms
    )
}

/// Every event of a trial, in order.
fn events(view: &TrialView) -> Markup {
    let row = |event: &Event| {
        let at = match (event.at, event.until) {
            (None, _) => "–".to_owned(),
            (Some(at), None) => column(at),
            (Some(at), Some(until)) => format!("{} to {}", column(at), column(until)),
        };
        html! {
            tr {
                td { (at) }
                td { (event.who) }
                td { (event.what) }
                td { (event.detail) }
            }
        }
    };
    let table = html! {
        details class="more" {
            summary { (count(view.events.len(), "event", "events")) " as a table" }
            div class="scroll" {
                table class="events" {
                    caption {
                        "Milliseconds from the fault."
                        @if !view.names.prefix.is_empty() {
                            " Pods are called by what follows " code { (view.names.prefix) } "."
                        }
                    }
                    thead {
                        tr {
                            @for name in ["ms", "Who", "What", "Details"] { th { (name) } }
                        }
                    }
                    // A mark names its row by its number.
                    tbody { @for event in &view.events { (row(event)) } }
                }
            }
        }
    };
    // HTML lets the end of a cell and of a row be left out; a page of many trials has thousands of them.
    PreEscaped(
        table
            .into_string()
            .replace("</td>", "")
            .replace("</tr>", ""),
    )
}

/// What was not passed stands above the timeline.
fn passed(result: &TrialResult) -> Markup {
    // The reason of the limit is the same in all trials, and stands at the distribution of their times.
    let reason = format!(": {}", result.limits.lease.reason);
    html! {
        table class="checks-table" {
            caption { "Passed" }
            tbody {
                @for check in result.checks.iter().filter(|check| check.verdict == Verdict::Pass) {
                    tr { th { (check.id) } td { (check.detail.strip_suffix(&reason).unwrap_or(&check.detail)) } }
                }
            }
        }
    }
}

fn phases(result: &TrialResult) -> Markup {
    let phases = &result.phases;
    let rows = [
        ("the call of the fault is back", phases.fault_returned_ms),
        ("fault undone", phases.undone_ms),
        ("process dead", phases.process_dead_ms),
        ("Lease released", phases.released_ms),
        ("new holder: lease failover", phases.lease_ms),
        ("first write: work failover", phases.work_ms),
        ("all replicas Ready", phases.replicas_restored_ms),
        ("a disruption allowed", phases.budget_restored_ms),
    ];
    html! {
        table class="phases" {
            caption {
                "Phases, ms from "
                @if phases.onset_ms > 0.0 { "the moment from which limits count, " (column(phases.onset_ms)) " after the fault" } @else { "the fault" }
            }
            tbody {
                @for (name, value) in rows {
                    @if let Some(value) = value { tr { th { (name) } td { (column(value)) } } }
                }
            }
        }
    }
}
