//! `summary.md`: the report for a page that renders Markdown, such as the summary of a CI job.

use crate::table::seconds;
use failover_judging::{
    clock::Millis,
    report::{Group, Report},
    statistics::{Interval, Summary},
    verdict::Verdict,
};

/// The name of the file.
pub const FILE: &str = "summary.md";

/// So many lines say why; the rest is in report.json. A job's summary may have a megabyte.
const WHY_LIMIT: usize = 50;

/// The whole report.
pub fn render(report: &Report) -> String {
    let mut parts = vec![
        format!("### Failover: {}", report.verdict),
        headline(report),
    ];
    if !report.groups.is_empty() {
        parts.push(table(&report.groups));
        parts.push(
            "Times in seconds from the fault. Percentiles by nearest rank; in parentheses the confidence interval from \
             order statistics, where there are enough trials for one."
                .to_owned(),
        );
    }
    parts.extend(list("Why", &report.why));
    parts.extend(list("Warnings", &report.warnings));
    parts.extend(list("Not observed", &report.run.not_observed));
    parts.join("\n\n") + "\n"
}

fn headline(report: &Report) -> String {
    let run = &report.run;
    let checks = report.all_checks().count();
    let broken = report.why.len();
    let found = match report.verdict {
        Verdict::Pass => format!("{checks} checks passed."),
        Verdict::Fail | Verdict::Inconclusive => {
            format!("{broken} of {checks} checks did not pass.")
        }
    };
    let settings = report.settings.map_or_else(String::new, |settings| {
        format!(
            " lease duration {} s, renew deadline {} s, retry period {} s;",
            settings.duration_seconds,
            settings.renew_deadline_seconds,
            settings.retry_period_seconds
        )
    });
    format!(
        "{found} Image {};{settings} Kubernetes {} ({}); seed {}; {:.0} s.",
        escaped(&run.image),
        escaped(&run.kubernetes_version),
        run.provider,
        run.seed,
        run.took_ms / 1000.0
    )
}

fn table(groups: &[Group]) -> String {
    let mut lines = vec![
        "| replicas | fault | phase | n | p50 | p95 | max | bound | verdict |".to_owned(),
        "|---:|---|---|---:|---:|---:|---:|---:|---|".to_owned(),
    ];
    for group in groups {
        let phases = [
            (
                "lease failover",
                group.lease,
                Some(group.limits.lease.limit_ms),
            ),
            (
                "work failover",
                group.work,
                Some(group.limits.work_limit_ms()),
            ),
            ("release to holder", group.release_to_holder, None),
        ];
        for (name, summary, bound) in phases {
            if summary.is_none() && bound.is_none() {
                continue;
            }
            lines.push(row(group, name, summary, bound));
        }
    }
    lines.join("\n")
}

fn row(group: &Group, phase: &str, summary: Option<Summary>, bound: Option<Millis>) -> String {
    let cell = |value: Option<Millis>, interval: Option<Interval>| match (value, interval) {
        (None, _) => "-".to_owned(),
        (Some(value), None) => seconds(value),
        (Some(value), Some(interval)) => format!(
            "{} ({} to {})",
            seconds(value),
            seconds(interval.low_ms),
            seconds(interval.high_ms)
        ),
    };
    let cells = [
        group.replicas.to_string(),
        group.fault.to_string(),
        phase.to_owned(),
        summary.map_or(0, |summary| summary.n).to_string(),
        cell(
            summary.map(|summary| summary.p50_ms),
            summary.and_then(|summary| summary.p50_interval),
        ),
        cell(
            summary.map(|summary| summary.p95_ms),
            summary.and_then(|summary| summary.p95_interval),
        ),
        cell(summary.map(|summary| summary.max_ms), None),
        cell(bound, None),
        group.verdict.to_string(),
    ];
    format!("| {} |", cells.map(|cell| escaped(&cell)).join(" | "))
}

fn list(title: &str, lines: &[String]) -> Option<String> {
    if lines.is_empty() {
        return None;
    }
    let mut parts = vec![format!("**{title}**\n")];
    parts.extend(
        lines
            .iter()
            .take(WHY_LIMIT)
            .map(|line| format!("- {}", escaped(line))),
    );
    if lines.len() > WHY_LIMIT {
        let rest = lines.len() - WHY_LIMIT;
        parts.push(format!("- and {rest} more in report.json"));
    }
    Some(parts.join("\n"))
}

/// Text that Markdown leaves alone: on one line, with everything escaped that could be markup, a cell's edge or HTML.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\r' => escaped.push(' '),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            // Behind a mention or a reference, GitHub would notify and link.
            '@' | '#' => {
                escaped.push(letter);
                escaped.push('\u{2060}');
            }
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                escaped.push('\\');
                escaped.push(letter);
            }
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::{
        fault::FaultKind,
        judge::Reason,
        samples::{report, says, trial},
        verdict::{Check, CheckId},
    };

    #[test]
    fn the_summary_has_the_verdict_the_table_and_what_was_not_observed() {
        let text = render(&report());
        says(
            &text,
            &[
                "### Failover: PASS\n",
                "5 checks passed. Image operator; lease duration 15 s",
                "| 2 | graceful | lease failover | 2 | 0.120 | 0.180 | 0.180 | 2.000 | PASS |",
                "| 2 | crash-loop | work failover | 1 | 14.300 | 14.300 | 14.300 | 17.000 | PASS |",
                "**Not observed**\n\n- the weather",
            ],
        );
        assert!(!text.contains("**Why**"));
    }

    #[test]
    fn intervals_stand_beside_their_percentiles() {
        let mut report = report();
        let trials = (1..=6).map(|number| {
            trial(
                2,
                FaultKind::Crash,
                number,
                100.0 * f64::from(number),
                Reason::Proof,
            )
        });
        report.trials.extend(trials);
        let text = render(&report.concluded());
        says(
            &text,
            &["| 2 | crash | lease failover | 6 | 0.300 (0.100 to 0.600) | 0.600 | 0.600 |"],
        );
    }

    #[test]
    fn what_was_found_can_not_break_out_of_its_line() {
        let mut report = report();
        let detail = "a|b\n<script> `x` *y* [z](u) #1 @all $1";
        report
            .checks
            .push(Check::fail(CheckId::Overlap, "here", detail));
        let text = render(&report.concluded());
        let line = text
            .lines()
            .find(|line| line.starts_with("- FAIL"))
            .unwrap();
        assert!(
            line.ends_with(
                "a\\|b &lt;script&gt; \\`x\\` \\*y\\* \\[z\\](u) #\u{2060}1 @\u{2060}all \\$1"
            ),
            "{line}"
        );
    }

    #[test]
    fn a_long_list_is_cut_and_says_so() {
        let lines: Vec<String> = (0..60).map(|number| number.to_string()).collect();
        let text = list("Why", &lines).unwrap();
        assert!(
            text.ends_with("- 49\n- and 10 more in report.json"),
            "{text}"
        );
    }
}
