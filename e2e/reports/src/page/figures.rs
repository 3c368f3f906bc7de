//! Percentiles as a table.

use maud::{Markup, html};

use super::{
    overview::{badge, warnings},
    words::seconds,
};
use failover_judging::{
    clock::Millis,
    observed::Unobserved,
    report::{Group, Report},
    statistics::{Interval, Method, Summary, percentile::CONFIDENCE},
};

struct Line {
    phase: &'static str,
    is_work: bool,
    summary: Option<Summary>,
    bound: Option<Millis>,
}

/// Whether the run saw the operator's work.
pub(super) fn work_is_observed(report: &Report) -> bool {
    let unseen = [Unobserved::Work, Unobserved::Audit].map(|unseen| unseen.to_string());
    !report
        .run
        .not_observed
        .iter()
        .any(|what| unseen.contains(what))
}

/// The table, and what its words mean.
pub(super) fn section(report: &Report) -> Markup {
    let error = report.measuring_error_ms.unwrap_or_default();
    html! {
        @if !report.groups.is_empty() {
            section id="figures" aria-labelledby="figures-title" {
                h2 id="figures-title" { "Percentiles" }
                // Not the table's caption, which would be as wide as the table on a narrow screen.
                p class="small" {
                    "By nearest rank each percentile is a time that was measured; with less than 20 trials the p95 is the maximum. "
                    "Below a percentile is where that of all possible trials is, with " (format!("{:.0}", CONFIDENCE * 100.0))
                    " % confidence, from order statistics, where there are enough trials to tell. Largest measuring error ±"
                    (format!("{error:.1}")) " ms."
                }
                div class="scroll" tabindex="0" role="region" aria-labelledby="figures-title" {
                    table class="figures-table" {
                        caption { "Seconds from the fault" }
                        thead {
                            tr {
                                th scope="col" { "Fault" }
                                th scope="col" { "Replicas" }
                                th scope="col" { "From the fault to" }
                                @for name in ["n", "p50", "p95", "max", "bound"] { th scope="col" class="number" { (name) } }
                                th scope="col" { "Method" }
                                th scope="col" { "Taken because; left out" }
                                th scope="col" { "Verdict" }
                            }
                        }
                        @for group in &report.groups { (rows(group, work_is_observed(report))) }
                    }
                }
                (warnings(report))
            }
        }
    }
}

fn rows(group: &Group, work: bool) -> Markup {
    let lines = lines(group);
    let span = lines.len();
    html! {
        tbody {
            @for (index, line) in lines.iter().enumerate() {
                tr {
                    @if index == 0 {
                        th scope="rowgroup" rowspan=(span) { (group.fault) }
                        td rowspan=(span) { (group.replicas) }
                    }
                    th scope="row" class="phase" { (line.phase) }
                    @if line.is_work && !work {
                        td class="small" colspan="4" { "not observed" }
                    } @else {
                        td class="number" { (line.summary.map_or(0, |summary| summary.n)) }
                        (percentile(line.summary.map(|summary| (summary.p50_ms, summary.p50_interval))))
                        (percentile(line.summary.map(|summary| (summary.p95_ms, summary.p95_interval))))
                        td class="number" { (seconds(line.summary.map(|summary| summary.max_ms))) }
                    }
                    td class="number" { (seconds(line.bound)) }
                    td class="small" { @if let Some(summary) = line.summary { (method(summary.method)) } }
                    @if index == 0 {
                        td rowspan=(span) { (reasons(group)) }
                        td rowspan=(span) { (badge(group.verdict)) }
                    }
                }
            }
        }
    }
}

/// A percentile above its interval.
fn percentile(found: Option<(Millis, Option<Interval>)>) -> Markup {
    let interval = found.and_then(|(_, interval)| interval);
    html! {
        td class="number" {
            (seconds(found.map(|(value, _)| value)))
            @if let Some(interval) = interval {
                br;
                span class="small" { (seconds(Some(interval.low_ms))) "–" (seconds(Some(interval.high_ms))) }
            }
        }
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::NearestRank => "nearest rank",
    }
}

fn lines(group: &Group) -> Vec<Line> {
    let mut lines = vec![
        Line {
            phase: "new holder of the Lease",
            is_work: false,
            summary: group.lease,
            bound: Some(group.limits.lease.limit_ms),
        },
        Line {
            phase: "first work write",
            is_work: true,
            summary: group.work,
            bound: Some(group.limits.work_limit_ms()),
        },
    ];
    if group.release_to_holder.is_some() {
        lines.push(Line {
            phase: "(release to new holder)",
            is_work: false,
            summary: group.release_to_holder,
            bound: None,
        });
    }
    lines
}

fn reasons(group: &Group) -> String {
    let mut reasons: Vec<String> = group
        .reasons
        .iter()
        .map(|(reason, count)| format!("{reason} {count}"))
        .collect();
    if group.warm_up > 0 {
        reasons.push(format!("{} warm-up", group.warm_up));
    }
    if group.left_out > 0 {
        reasons.push(format!("{} inconclusive, left out", group.left_out));
    }
    if group.refused > 0 {
        let writes = if group.refused == 1 {
            "write"
        } else {
            "writes"
        };
        reasons.push(format!("{} {writes} refused", group.refused));
    }
    reasons.join(", ")
}
