//! How the run came out, why, and what was run where.

use maud::{Markup, html};

use super::{
    anchor::anchor,
    words::{count, duration},
};
use failover_judging::{
    fault::FaultKind,
    observed::TrialId,
    report::Report,
    verdict::{Check, Verdict},
};

/// The verdict, and what it is a verdict on.
pub(super) fn head(report: &Report) -> Markup {
    let run = &report.run;
    html! {
        div class=(format!("verdict {}", class(report.verdict))) {
            p class="mark" aria-hidden="true" { (mark(report.verdict)) }
            div {
                h1 { (report.verdict) }
                p { (sentence(report)) }
            }
        }
        p class="lead" {
            "Failover run " code { (run.id) } ", begun " time datetime=(run.began) { (moment(&run.began)) }
            ", " (duration(run.took_ms)) ": " code { (run.image) } " on Kubernetes " (run.kubernetes_version)
            " (" (run.provider) ")."
        }
        @if !run.not_observed.is_empty() {
            div class="unseen" {
                p { b { "Not observed" } ", so nothing here speaks of it:" }
                ul { @for what in &run.not_observed { li { (what) } } }
            }
        }
        nav aria-label="Parts of the page" {
            ul {
                @if !report.why.is_empty() { li { a href="#why" { "Why" } } }
                @if !report.groups.is_empty() {
                    li { a href="#figures" { "Percentiles" } }
                    li { a href="#distributions" { "Distributions" } }
                }
                li { a href="#trials" { "Trials" } }
                li { a href="#rest" { "Other checks" } }
                li { a href="#facts" { "What was run" } }
            }
        }
    }
}

pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// The sign that goes with a verdict, so that colour is not alone.
pub(super) fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "✓",
        Verdict::Fail => "✕",
        Verdict::Inconclusive => "?",
    }
}

/// A verdict in a table or a line; the style puts its sign before it.
pub(super) fn badge(verdict: Verdict) -> Markup {
    html! { span class=(format!("badge {}", class(verdict))) { (verdict) } }
}

fn sentence(report: &Report) -> String {
    let checks = report.all_checks().count();
    let trials = report.trials.len();
    let of = |verdict| {
        report
            .all_checks()
            .filter(|check| check.verdict == verdict)
            .count()
    };
    let (failed, open) = (of(Verdict::Fail), of(Verdict::Inconclusive));
    let done = format!(
        "{} of {}",
        count(trials, "trial", "trials"),
        count(report.run.faults.len(), "fault", "faults")
    );
    match (failed, open) {
        (0, 0) => format!("{done}: all {checks} checks passed."),
        (0, open) => format!(
            "{done}: the rig, not the operator, left {} of {checks} checks open.",
            count(open, "check", "checks")
        ),
        (failed, 0) => format!("{done}: {failed} of {checks} checks failed."),
        (failed, open) => format!("{done}: {failed} of {checks} checks failed, {open} are open."),
    }
}

/// The minute of a moment that was written with nanoseconds; what is no such moment as it stands.
fn moment(text: &str) -> String {
    text.parse::<jiff::Timestamp>().map_or_else(
        |_| text.to_owned(),
        |at| at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// What was not passed, with the trials that did not pass it.
struct Broken<'a> {
    check: &'a Check,
    /// Number of replicas and fault; `None` for a check that belongs to no trial.
    group: Option<(u32, FaultKind)>,
    trials: Vec<TrialId>,
}

/// A line for each check that was not passed, which leads to where it was made: one for all trials of a fault, however
/// many, so that what else was not passed is seen as well.
pub(super) fn why(report: &Report) -> Markup {
    let mut lines: Vec<Broken<'_>> = Vec::new();
    let of_trials = report
        .trials
        .iter()
        .flat_map(|trial| trial.checks.iter().map(|check| (check, Some(trial.id))));
    let elsewhere = report.run_checks().map(|check| (check, None));
    for (check, trial) in of_trials
        .chain(elsewhere)
        .filter(|(check, _)| check.verdict != Verdict::Pass)
    {
        let group = trial.map(|id| (id.replicas, id.fault));
        let same = |line: &&mut Broken<'_>| {
            group.is_some()
                && line.group == group
                && (line.check.id, line.check.verdict) == (check.id, check.verdict)
        };
        match lines.iter_mut().find(same) {
            Some(line) => line.trials.extend(trial),
            None => lines.push(Broken {
                check,
                group,
                trials: trial.into_iter().collect(),
            }),
        }
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.check.verdict));
    html! {
        @if !lines.is_empty() {
            section id="why" aria-labelledby="why-title" {
                h2 id="why-title" { "Why" }
                ul class="checks" { @for line in &lines { (line.draw()) } }
            }
        }
    }
}

impl Broken<'_> {
    fn draw(&self) -> Markup {
        let check = self.check;
        html! {
            li class=(class(check.verdict)) {
                (badge(check.verdict)) " " b { (check.id) } " – "
                @match (self.trials.as_slice(), self.group) {
                    ([], _) | (_, None) => { a href="#rest" { (check.scope) } ": " (check.detail) }
                    ([one], _) => { a href=(format!("#{}", anchor(*one))) { (check.scope) } ": " (check.detail) }
                    (all, Some((replicas, fault))) => {
                        (replicas) " replicas, " (fault) ", " (all.len()) " trials:"
                        @for id in all { " " a href=(format!("#{}", anchor(*id))) aria-label=(id) { "#" (id.number) } }
                        ". The first: " (check.detail)
                    }
                }
            }
        }
    }
}

/// What to keep in mind when reading the figures.
pub(super) fn warnings(report: &Report) -> Markup {
    html! {
        @if !report.warnings.is_empty() {
            ul class="warnings" {
                @for warning in &report.warnings { li { b { "Warning: " } (warning) } }
            }
        }
    }
}
