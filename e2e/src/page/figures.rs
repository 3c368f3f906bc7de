//! Percentiles as a table.

use maud::{Markup, html};

use super::{overview::badge, words::seconds};
use crate::{
    clock::Millis,
    percentile::Summary,
    report::{Group, Report},
};

/// How the percentiles are worked out.
const METHOD: &str = "nearest rank";

/// One line of the table.
struct Line {
    phase: &'static str,
    summary: Option<Summary>,
    bound: Option<Millis>,
}

/// The table, and what its words mean.
pub(super) fn section(report: &Report) -> Markup {
    let error = report.measuring_error_ms.unwrap_or_default();
    html! {
        @if !report.groups.is_empty() {
            section id="figures" aria-labelledby="figures-title" {
                h2 id="figures-title" { "Percentiles" }
                div class="scroll" tabindex="0" role="region" aria-labelledby="figures-title" {
                    table class="figures-table" {
                        caption {
                            "Seconds from the fault. By nearest rank each percentile is a time that was measured; with less than 20 "
                            "trials the p95 is the maximum. Largest measuring error ±" (format!("{error:.1}")) " ms."
                        }
                        thead {
                            tr {
                                th scope="col" { "Fault" }
                                th scope="col" { "Replicas" }
                                th scope="col" { "From the fault to" }
                                @for name in ["n", "p50", "p95", "max", "bound"] { th scope="col" class="number" { (name) } }
                                th scope="col" { "Method" }
                                th scope="col" { "Taken because" }
                                th scope="col" { "Verdict" }
                            }
                        }
                        @for group in &report.groups { (rows(group)) }
                    }
                }
            }
        }
    }
}

fn rows(group: &Group) -> Markup {
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
                    td class="number" { (line.summary.map_or(0, |summary| summary.n)) }
                    @for value in [
                        line.summary.map(|summary| summary.p50_ms),
                        line.summary.map(|summary| summary.p95_ms),
                        line.summary.map(|summary| summary.max_ms),
                        line.bound,
                    ] {
                        td class="number" { (seconds(value)) }
                    }
                    td class="small" { (METHOD) }
                    @if index == 0 {
                        td rowspan=(span) { (reasons(group)) }
                        td rowspan=(span) { (badge(group.verdict)) }
                    }
                }
            }
        }
    }
}

fn lines(group: &Group) -> Vec<Line> {
    let mut lines = vec![
        Line {
            phase: "new holder of the Lease",
            summary: group.lease,
            bound: Some(group.budget.lease.limit_ms),
        },
        Line {
            phase: "first work write",
            summary: group.work,
            bound: Some(group.budget.work_limit_ms()),
        },
    ];
    if group.release_to_holder.is_some() {
        lines.push(Line {
            phase: "(release to new holder)",
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
    if group.refused > 0 {
        reasons.push(format!("{} writes refused", group.refused));
    }
    reasons.join(", ")
}
