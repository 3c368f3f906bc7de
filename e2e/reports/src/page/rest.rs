//! What was checked beside the trials: the run as a whole, the idle system, evictions.

use maud::{Markup, html};

use super::{
    overview::badge,
    words::{count, millis},
};
use failover_judging::{
    judge::{
        disruption::Disruption,
        idle::{Idle, per_minute},
    },
    report::Report,
    verdict::Check,
};

pub(super) fn section(report: &Report) -> Markup {
    html! {
        section id="rest" aria-labelledby="rest-title" {
            h2 id="rest-title" { "Other checks" }
            @if !report.checks.is_empty() { (checks("Checks of the run", report.checks.iter())) }
            @if let Some(idle) = &report.idle { (idle_table(idle)) }
            @for disruption in &report.disruptions { (evictions(disruption)) }
        }
    }
}

fn checks<'a>(caption: &str, checks: impl Iterator<Item = &'a Check>) -> Markup {
    html! {
        div class="scroll" {
            table class="checks-table" {
                caption { (caption) }
                thead { tr { th { "Verdict" } th { "Check" } th { "What was seen" } } }
                tbody {
                    @for check in checks {
                        tr {
                            td { (badge(check.verdict)) }
                            th { (check.id) }
                            td { (check.detail) }
                        }
                    }
                }
            }
        }
    }
}

fn idle_table(idle: &Idle) -> Markup {
    let rate = |count| format!("{:.1}", per_minute(count, idle.window_ms));
    html! {
        h3 { "While nothing changed" }
        div class="scroll" {
            table {
                caption { "Calls per minute, counted for " (millis(idle.window_ms)) }
                thead {
                    tr {
                        th scope="col" { "Replica" }
                        th scope="col" { "Role" }
                        @for name in ["Lease writes", "Lease reads", "work writes"] { th scope="col" class="number" { (name) } }
                    }
                }
                tbody {
                    @for (pod, calls) in &idle.calls {
                        tr {
                            th scope="row" { (pod) }
                            td { @if *pod == idle.leader { "leader" } @else { "standby" } }
                            @for count in [calls.lease_writes, calls.lease_reads, calls.work_writes] {
                                td class="number" { (rate(count)) }
                            }
                        }
                    }
                }
            }
        }
        (checks("Checks of the idle system", idle.checks.iter()))
    }
}

fn evictions(disruption: &Disruption) -> Markup {
    let replicas = usize::try_from(disruption.replicas).unwrap_or(usize::MAX);
    html! {
        h3 { "Evictions with " (count(replicas, "replica", "replicas")) }
        (checks("Against the disruption budget", std::iter::once(&disruption.check)))
        @if !disruption.evictions.is_empty() {
            div class="scroll" {
                table {
                    caption { "What was asked, in order" }
                    thead {
                        tr {
                            th scope="col" { "Pod" }
                            th scope="col" { "Role" }
                            th scope="col" class="number" { "Answer" }
                            th scope="col" { "Message" }
                        }
                    }
                    tbody {
                        @for eviction in &disruption.evictions {
                            tr {
                                th scope="row" { (eviction.pod) }
                                td { @if eviction.leader { "leader" } @else { "standby" } }
                                td class="number" { (eviction.code) }
                                td { (eviction.message) }
                            }
                        }
                    }
                }
            }
        }
    }
}
