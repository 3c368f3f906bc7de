//! The report as text for a terminal of 80 columns: percentiles, what they mean, the verdict and why.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use failover_judging::{
    clock::Millis,
    judge::idle::{Idle, per_minute},
    report::{Group, Report},
    statistics::{Interval, Summary, percentile::CONFIDENCE},
    verdict::Verdict,
};

/// The width that everything fits into, but for the lines that say why.
const WIDTH: u16 = 80;

/// The whole report.
pub fn render(report: &Report) -> String {
    let mut parts = Vec::new();
    if !report.groups.is_empty() {
        parts.push(percentiles(&report.groups));
        parts.push(footer(report));
    }
    if let Some(idle) = &report.idle {
        parts.push(idle_lines(idle));
    }
    for disruption in &report.disruptions {
        parts.push(wrapped(&format!(
            "evictions with {} replicas: {}",
            disruption.replicas, disruption.check.detail
        )));
    }
    parts.push(verdict_lines(report));
    parts.join("\n\n") + "\n"
}

/// An empty table that is as wide as its cells.
pub(crate) fn with_header<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

fn percentiles(groups: &[Group]) -> String {
    let mut table = with_header([
        "replicas, fault",
        "from fault, s",
        "n",
        "p50",
        "p95",
        "max",
        "bound",
    ]);
    for group in groups {
        table.add_row(group_cells(group));
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// One line of a phase of a group: its times, or one end of their intervals.
struct Line {
    name: &'static str,
    n: Option<usize>,
    p50: Option<Millis>,
    p95: Option<Millis>,
    max: Option<Millis>,
    bound: Option<Millis>,
}

fn phase_lines(name: &'static str, summary: Option<Summary>, bound: Option<Millis>) -> Vec<Line> {
    let times = Line {
        name,
        n: Some(summary.map_or(0, |summary| summary.n)),
        p50: summary.map(|summary| summary.p50_ms),
        p95: summary.map(|summary| summary.p95_ms),
        max: summary.map(|summary| summary.max_ms),
        bound,
    };
    let intervals = summary.map(|summary| (summary.p50_interval, summary.p95_interval));
    let (p50, p95) = intervals.unwrap_or_default();
    if p50.is_none() && p95.is_none() {
        return vec![times];
    }
    let end = |name, end: &dyn Fn(Interval) -> Millis| Line {
        name,
        n: None,
        p50: p50.map(end),
        p95: p95.map(end),
        max: None,
        bound: None,
    };
    vec![
        times,
        end("  at least", &|interval| interval.low_ms),
        end("  at most", &|interval| interval.high_ms),
    ]
}

/// One row of several lines: the group and its reasons beside its phases.
fn group_cells(group: &Group) -> [String; 7] {
    let lease_limit = group.limits.lease.limit_ms;
    let work_limit = group.limits.work_limit_ms();
    let mut lines = phase_lines("lease failover", group.lease, Some(lease_limit));
    lines.extend(phase_lines("work failover", group.work, Some(work_limit)));
    if group.release_to_holder.is_some() {
        lines.extend(phase_lines("since release", group.release_to_holder, None));
    }
    let mut left = vec![format!("{} {}", group.replicas, group.fault)];
    left.extend(
        group
            .reasons
            .iter()
            .map(|(reason, count)| format!("  {reason} {count}")),
    );
    if group.refused > 0 {
        left.push(format!("  refused {}", group.refused));
    }
    if group.warm_up > 0 {
        left.push(format!("  warm-up {}", group.warm_up));
    }
    if group.left_out > 0 {
        left.push(format!("  left out {}", group.left_out));
    }
    left.push(format!("  {}", group.verdict));
    let column =
        |cell: &dyn Fn(&Line) -> String| lines.iter().map(cell).collect::<Vec<_>>().join("\n");
    // A line of intervals has no maximum and no bound to be missing.
    let only = |line: &Line, value: Option<Millis>| match value {
        None if line.n.is_none() => String::new(),
        value => value.map_or_else(|| "-".to_owned(), seconds),
    };
    [
        left.join("\n"),
        column(&|line| line.name.to_owned()),
        column(&|line| line.n.map_or_else(String::new, |n| n.to_string())),
        column(&|line| only(line, line.p50)),
        column(&|line| only(line, line.p95)),
        column(&|line| only(line, line.max)),
        column(&|line| only(line, line.bound)),
    ]
}

pub(crate) fn seconds(value: Millis) -> String {
    format!("{:.3}", value / 1000.0)
}

fn footer(report: &Report) -> String {
    let error = report.measuring_error_ms.unwrap_or_default();
    let watch = report
        .trials
        .iter()
        .map(|trial| trial.error.watch_lag_ms)
        .fold(0.0, f64::max);
    let kill = report
        .trials
        .iter()
        .map(|trial| trial.error.kill_ms)
        .fold(0.0, f64::max);
    let audited = report
        .trials
        .iter()
        .any(|trial| trial.error.clock_ms.is_some());
    let watched = if audited {
        format!("The Lease watch was up to {watch:.1} ms behind the audit log.")
    } else {
        format!(
            "Without an audit log, a change of the Lease may have been seen up to {watch:.1} ms late."
        )
    };
    let mut lines = vec![wrapped(&format!(
        "Percentiles by nearest rank: each is a time that was measured. At least and at most: where the percentile of \
         all possible trials is, with {:.0} % confidence, from order statistics. Largest measuring error ±{error:.1} ms. Limits \
         are extended by a trial's own error, and by the up to {kill:.0} ms that a kill took: the leader may have \
         renewed once more meanwhile. ({watched})",
        CONFIDENCE * 100.0
    ))];
    let mut seen = Vec::new();
    for group in &report.groups {
        if !seen.contains(&group.fault) {
            seen.push(group.fault);
            lines.push(wrapped(&format!(
                "{}: {}",
                group.fault, group.limits.lease.reason
            )));
        }
    }
    if let Some(group) = report.groups.first() {
        lines.push(wrapped(&format!("work: {}", group.limits.work.reason)));
    }
    if report.groups.iter().any(|group| group.refused > 0) {
        lines.push(wrapped(
            "refused: work writes that the API server refused to their writer; they did no harm",
        ));
    }
    if report.groups.iter().any(|group| group.left_out > 0) {
        lines.push(wrapped(
            "left out: trials that are INCONCLUSIVE; their times are part of no figure",
        ));
    }
    if report.groups.iter().any(|group| group.warm_up > 0) {
        lines.push(wrapped(
            "warm-up: trials that came first; what they took is part of no figure and held against no limit",
        ));
    }
    for warning in &report.warnings {
        lines.push(wrapped(&format!("warning: {warning}")));
    }
    let hint = match report.run.hint {
        Some(true) => "switched on",
        Some(false) => "switched off",
        None => "as deployed",
    };
    let fence = if report.run.fence { "deployed" } else { "none" };
    lines.push(format!("fence: {fence}; hint: {hint}"));
    for what in &report.run.not_observed {
        lines.push(wrapped(&format!("not observed: {what}")));
    }
    lines.join("\n")
}

fn idle_lines(idle: &Idle) -> String {
    let mut lines = vec![format!(
        "calls per minute while nothing changed ({:.0} s):",
        idle.window_ms / 1000.0
    )];
    for (pod, count) in &idle.calls {
        let role = if *pod == idle.leader {
            "leader"
        } else {
            "standby"
        };
        let rate = |count| per_minute(count, idle.window_ms);
        lines.push(format!(
            "  {role:7} {pod}: {:.1} lease writes, {:.1} lease reads, {:.1} work writes",
            rate(count.lease_writes),
            rate(count.lease_reads),
            rate(count.work_writes)
        ));
    }
    lines.join("\n")
}

fn verdict_lines(report: &Report) -> String {
    let checks = report.all_checks().count();
    let mut lines = vec![match report.verdict {
        Verdict::Pass => format!("verdict: PASS ({checks} checks)"),
        other => format!("verdict: {other} ({} of {checks} checks)", report.why.len()),
    }];
    lines.extend(report.why.iter().map(|why| format!("  {why}")));
    lines.join("\n")
}

/// Breaks a line at words, with the continuation indented.
pub fn wrapped(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > usize::from(WIDTH)
        {
            lines.push(std::mem::replace(&mut line, format!("  {word}")));
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.push(line);
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::{
        fault::FaultKind,
        judge::Reason,
        samples::{report, trial},
        verdict::{Check, CheckId},
    };

    #[test]
    fn the_table_fits_into_eighty_columns_and_holds_the_numbers() {
        let mut report = report();
        // The longest name there is.
        report.trials.push(trial(
            2,
            FaultKind::HolderOverwritten,
            1,
            15_024.0,
            Reason::Expired,
        ));
        let text = render(&report.concluded());
        for line in text.lines() {
            assert!(
                line.chars().count() <= usize::from(WIDTH),
                "{} columns: {line}",
                line.chars().count()
            );
        }
        for expected in [
            "2 graceful",
            "2 crash-loop",
            "released 2",
            "expired 1",
            "0.120",
            "14.200",
            "15.000",
            "±3.0 ms",
            "nearest rank",
        ] {
            assert!(text.contains(expected), "no {expected} in\n{text}");
        }
    }

    #[test]
    fn intervals_are_given_where_there_are_enough_trials() {
        let mut report = report();
        assert!(!render(&report).contains("     at least"));
        let more = (3..=8).map(|number| {
            let lease_ms = 200.0 + f64::from(number);
            trial(2, FaultKind::Graceful, number, lease_ms, Reason::Released)
        });
        report.trials.extend(more);
        let text = render(&report.concluded());
        let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap();
        assert!(line("     at least").contains("0.180"), "{text}");
        assert!(line("     at most").contains("0.208"), "{text}");
        assert!(text.contains("95 % confidence"), "{text}");
        for line in text.lines() {
            assert!(line.chars().count() <= usize::from(WIDTH), "{line}");
        }
    }

    #[test]
    fn what_is_left_out_of_the_figures_is_told() {
        let mut report = report();
        report.trials[0].warm_up = true;
        report.trials[1].verdict = Verdict::Inconclusive;
        let text = render(&report.concluded());
        assert!(
            text.contains("warm-up 1") && text.contains("left out 1"),
            "{text}"
        );
        assert!(text.contains("\nwarning: n=1 is too small"), "{text}");
    }

    #[test]
    fn the_verdict_line_counts_and_every_broken_check_has_its_line() {
        let mut report = report();
        assert!(render(&report).contains("verdict: PASS ("));
        report.checks.push(Check::fail(
            CheckId::Standby,
            "1 replica",
            "no standby could take over",
        ));
        let text = render(&report.concluded());
        assert!(text.contains("verdict: FAIL (1 of "), "{text}");
        assert!(
            text.contains("\n  FAIL 1 replica: standby: no standby could take over\n"),
            "{text}"
        );
    }
}
