//! How lease and work failover are distributed: for each fault a drawing with every trial as a dot, the quartiles, and
//! the limit.

use maud::{Markup, html};

use super::{
    anchor::anchor,
    figures::work_is_observed,
    scale::{Px, Scale, tick_labels},
    view::Span,
    words::{count, millis},
};
use failover_judging::{
    clock::Millis,
    fault::FaultKind,
    judge::TrialResult,
    report::{Group, Report},
    statistics::Summary,
    verdict::Verdict,
};

const WIDTH: f64 = 560.0;
/// Left of this are the names of the rows.
const LEFT: f64 = 132.0;
const RIGHT: f64 = 544.0;
const TOP: f64 = 16.0;
const ROW: f64 = 48.0;
/// Where in a row its dots are; above them is the word of its limit.
const MIDDLE: f64 = 29.0;
const AXIS: f64 = 34.0;
const RADIUS: f64 = 4.0;

/// Where the limits are this many times further out than the slowest trial, the axis is broken before them.
const FAR: f64 = 3.0;

/// With fewer values than this there are no quartiles to speak of.
const ENOUGH_FOR_QUARTILES: usize = 4;

struct Row<'a> {
    name: String,
    limit: Millis,
    /// In ascending order.
    values: Vec<(Millis, &'a TrialResult)>,
    p50: Option<Millis>,
    p95: Option<Millis>,
    /// Whether the run did not look at it.
    unseen: bool,
}

/// A figure for each fault.
pub(super) fn figures(report: &Report) -> Markup {
    let mut faults: Vec<FaultKind> = Vec::new();
    for group in &report.groups {
        if !faults.contains(&group.fault) {
            faults.push(group.fault);
        }
    }
    html! {
        div class="figures" {
            @for kind in faults { (figure(report, kind)) }
        }
    }
}

fn figure(report: &Report, kind: FaultKind) -> Markup {
    let groups: Vec<&Group> = report
        .groups
        .iter()
        .filter(|group| group.fault == kind)
        .collect();
    let rows: Vec<Row<'_>> = groups
        .iter()
        .flat_map(|group| rows(report, group))
        .collect();
    html! {
        figure {
            figcaption {
                h3 { (kind) }
                p { (kind.entry().about) }
            }
            (drawing(kind, &rows))
            @if let Some(group) = groups.first() {
                p class="small" { "Limit: " (group.limits.lease.reason) "." }
            }
        }
    }
}

fn rows<'a>(report: &'a Report, group: &Group) -> [Row<'a>; 2] {
    let row = |word: &str,
               limit,
               phase: &dyn Fn(&TrialResult) -> Option<Millis>,
               summary: Option<Summary>| {
        let mut values: Vec<(Millis, &TrialResult)> = report
            .trials
            .iter()
            .filter(|trial| trial.id.replicas == group.replicas && trial.id.fault == group.fault)
            .filter_map(|trial| Some((phase(trial)?, trial)))
            .collect();
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        Row {
            name: format!("{word}, {}", count_replicas(group.replicas)),
            limit,
            values,
            p50: summary.map(|summary| summary.p50_ms),
            p95: summary.map(|summary| summary.p95_ms),
            unseen: word == "work" && !work_is_observed(report),
        }
    };
    [
        row(
            "lease",
            group.limits.lease.limit_ms,
            &|trial| trial.phases.lease_ms,
            group.lease,
        ),
        row(
            "work",
            group.limits.work_limit_ms(),
            &|trial| trial.phases.work_ms,
            group.work,
        ),
    ]
}

fn count_replicas(replicas: u32) -> String {
    count(
        usize::try_from(replicas).unwrap_or(usize::MAX),
        "replica",
        "replicas",
    )
}

/// The axis of a drawing, and where limits are on it.
struct Axis {
    scale: Scale,
    /// Where the axis ends and a gap begins, if the limits are too far out for it.
    broken: Option<f64>,
}

impl Axis {
    fn of(rows: &[Row<'_>]) -> Self {
        let slowest = rows
            .iter()
            .flat_map(|row| &row.values)
            .map(|(value, _)| *value)
            .fold(0.0, f64::max);
        let limit = rows.iter().map(|row| row.limit).fold(0.0, f64::max);
        let least = rows
            .iter()
            .map(|row| row.limit)
            .fold(f64::INFINITY, f64::min);
        if slowest > 0.0 && least > slowest * FAR {
            let end = RIGHT - 74.0;
            Self {
                scale: Scale::new(Span::new(0.0, slowest * 1.12), LEFT, end),
                broken: Some(end),
            }
        } else {
            Self {
                scale: Scale::new(Span::new(0.0, slowest.max(limit) * 1.08), LEFT, RIGHT),
                broken: None,
            }
        }
    }

    fn limit(&self, limit: Millis) -> f64 {
        self.broken
            .map_or_else(|| self.scale.x(limit), |end| end + 46.0)
    }
}

fn drawing(kind: FaultKind, rows: &[Row<'_>]) -> Markup {
    let axis = Axis::of(rows);
    let lines = f64::from(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    let bottom = TOP + lines * ROW;
    let ticks = axis.scale.ticks(5.0);
    let (labels, unit) = tick_labels(&ticks);
    let end = axis.broken.unwrap_or(RIGHT);
    let label =
        format!("Lease and work failover after {kind}: a dot for each trial, and the limit");
    html! {
        svg class="distribution" viewBox=(format!("0 0 {} {}", Px(WIDTH), Px(bottom + AXIS))) role="group" aria-label=(label) {
            @for tick in &ticks {
                path class="grid" d=(format!("M{} {}V{}", Px(axis.scale.x(*tick)), Px(TOP), Px(bottom))) {}
            }
            path class="rule" d=(format!("M{} {}H{}", Px(LEFT), Px(bottom), Px(end))) {}
            @if axis.broken.is_some() {
                path class="break" d=(format!("M{} {}l4 -10M{} {}l4 -10M{} {}H{}", Px(end), Px(bottom + 5.0), Px(end + 6.0),
                    Px(bottom + 5.0), Px(end + 10.0), Px(bottom), Px(RIGHT))) {}
            }
            g class="axis" {
                @for (tick, label) in ticks.iter().zip(&labels) {
                    text x=(Px(axis.scale.x(*tick))) y=(Px(bottom + 15.0)) { (label) }
                }
            }
            text class="unit" x=(Px(LEFT - 10.0)) y=(Px(bottom + 15.0)) { (unit) " from the fault" }
            @for (index, row) in rows.iter().enumerate() {
                @let top = TOP + f64::from(u32::try_from(index).unwrap_or(u32::MAX)) * ROW;
                (row.draw(&axis, top))
            }
        }
    }
}

impl Row<'_> {
    fn draw(&self, axis: &Axis, top: f64) -> Markup {
        let middle = top + MIDDLE;
        let limit = axis.limit(self.limit);
        html! {
            text class="name" x="0" y=(Px(middle + 4.0)) { (self.name) }
            path class="limit-line" d=(format!("M{} {}v{}", Px(limit), Px(top + 3.0), Px(ROW - 6.0))) {}
            text class="limit-word" x=(Px(limit - 5.0)) y=(Px(top + 9.0)) { "limit " (millis(self.limit)) }
            @if self.values.is_empty() {
                text class="note" x=(Px(LEFT + 6.0)) y=(Px(middle + 4.0)) { @if self.unseen { "not observed" } @else { "no value" } }
            }
            @if let Some((low, high)) = self.quartiles() {
                rect class="quartiles" x=(Px(axis.scale.x(low))) y=(Px(middle - 8.0))
                    width=(Px((axis.scale.x(high) - axis.scale.x(low)).max(1.0))) height="16" {
                    title { "half of the trials: " (millis(low)) " to " (millis(high)) }
                }
            }
            @for (word, value) in [("median", self.p50), ("p95", self.p95)] {
                @if let Some(value) = value {
                    path class=(word) d=(format!("M{} {}v20", Px(axis.scale.x(value)), Px(middle - 10.0))) {
                        title { (word) " " (millis(value)) }
                    }
                }
            }
            @for (x, y, (value, trial)) in self.spread(axis) {
                @let words = format!("{}: {} {}, {}", trial.id, self.name, millis(*value), trial.verdict);
                a href=(format!("#{}", anchor(trial.id))) aria-label=(words) {
                    title { (words) }
                    @if trial.verdict == Verdict::Pass {
                        circle class=(if trial.warm_up { "dot hollow" } else { "dot" }) cx=(Px(x)) cy=(Px(middle + y)) r=(Px(RADIUS)) {}
                    } @else {
                        path class=(if trial.counts() { "dot not-passed" } else { "dot hollow" }) d=(format!("M{} {}l5.5 5.5l-5.5 5.5l-5.5 -5.5z", Px(x), Px(middle + y - 5.5))) {}
                    }
                }
            }
        }
    }

    /// By nearest rank, so both are times that were measured.
    fn quartiles(&self) -> Option<(Millis, Millis)> {
        let counted: Vec<Millis> = self
            .values
            .iter()
            .filter(|(_, trial)| trial.counts())
            .map(|(value, _)| *value)
            .collect();
        let n = counted.len();
        let rank = |percent: usize| {
            let rank = (percent * n).div_ceil(100).max(1);
            counted.get(rank - 1).copied()
        };
        (n >= ENOUGH_FOR_QUARTILES)
            .then(|| Some((rank(25)?, rank(75)?)))
            .flatten()
    }

    /// Dots side by side where they would cover each other: x, and y from the middle.
    fn spread(&self, axis: &Axis) -> Vec<(f64, f64, &(Millis, &TrialResult))> {
        const LEVELS: [f64; 5] = [0.0, -1.0, 1.0, -2.0, 2.0];
        let mut last = [f64::NEG_INFINITY; LEVELS.len()];
        self.values
            .iter()
            .map(|value| {
                let x = axis.scale.x(value.0);
                let free = last
                    .iter()
                    .position(|last| x - last >= 2.0 * RADIUS)
                    .unwrap_or(0);
                if let Some(last) = last.get_mut(free) {
                    *last = x;
                }
                let level = LEVELS.get(free).copied().unwrap_or_default();
                (x, level * RADIUS * 1.6, value)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::{
        judge::Reason,
        samples::{report, says, trial},
    };

    fn with_times(times: &[f64]) -> Report {
        let mut report = report();
        report.trials = (1..)
            .zip(times)
            .map(|(number, time)| trial(2, FaultKind::CrashLoop, number, *time, Reason::Expired))
            .collect();
        report.concluded()
    }

    #[test]
    fn every_trial_is_a_dot_that_leads_to_it() {
        let text = figures(&with_times(&[14_000.0, 14_000.0, 14_500.0])).into_string();
        for number in 1..=3 {
            let link = format!("href=\"#trial-2-crash-loop-{number}\"");
            assert_eq!(text.matches(&link).count(), 2, "lease and work of {number}");
        }
        says(&text, &["limit 15.00 s", "limit 17.00 s"]);
        assert!(!text.contains("class=\"break\""), "{text}");
    }

    #[test]
    fn a_limit_that_is_far_out_is_behind_a_break_and_keeps_its_number() {
        let text = figures(&with_times(&[200.0, 210.0])).into_string();
        says(&text, &["class=\"break\"", "limit 15.00 s"]);
    }

    #[test]
    fn a_trial_that_was_not_passed_has_another_shape() {
        let mut report = with_times(&[200.0, 210.0]);
        report.trials[0].verdict = Verdict::Fail;
        let text = figures(&report).into_string();
        assert_eq!(text.matches("dot not-passed").count(), 2);
        assert_eq!(text.matches("class=\"dot\"").count(), 2);
    }

    #[test]
    fn equal_values_lie_side_by_side() {
        let report = with_times(&[200.0; 5]);
        let row = &rows(&report, &report.groups[0])[0];
        let mut levels: Vec<f64> = row
            .spread(&Axis::of(std::slice::from_ref(row)))
            .iter()
            .map(|(_, y, _)| *y)
            .collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        assert_eq!(levels.len(), 5);
    }

    #[test]
    fn quartiles_are_values_that_were_measured_and_need_four() {
        let quartiles = |times: &[f64]| {
            let report = with_times(times);
            rows(&report, &report.groups[0])[0].quartiles()
        };
        assert_eq!(quartiles(&[1.0, 2.0, 3.0, 4.0]), Some((1.0, 3.0)));
        assert_eq!(quartiles(&[1.0, 2.0, 3.0]), None);
    }
}
