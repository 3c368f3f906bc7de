//! What the page tells of a trial: the raw data condensed to lanes, stretches and events, in milliseconds from the
//! fault.
//!
//! Everything that can be pointed at is an [`Event`]: it is a row of the trial's table, and a mark in its timeline.
//! Calls that followed each other closely and came out alike are one event, so that a long trial is not a large page.

mod calls;
mod event;
mod harness;
mod lease;
mod pods;
mod said;
mod source;

use source::Source;

use super::{
    logs::Logs,
    words::{Names, millis, signed},
};
use failover_judging::{
    clock::Millis,
    judge::{TrialResult, merged_history},
    observed::{ClockMap, TrialData, Unobserved},
};

pub(super) use event::{Event, Glyph, Milestone, MilestoneKind, Span, Term, Track};
pub(super) use pods::{Lane, State};

/// A close-up is drawn where the takeover fills less of the trial than this.
const CLOSE_UP_BELOW: f64 = 0.2;

/// The shortest time that a close-up shows after the fault, in milliseconds.
const SHORTEST_CLOSE_UP_MS: Millis = 60.0;

#[derive(Debug)]
pub(super) struct TrialView {
    /// From the first look to the last.
    pub(super) whole: Span,
    /// The takeover, where it is short against the whole.
    pub(super) close_up: Option<Span>,
    /// How the call that does the fault lasted.
    pub(super) strike: Span,
    /// When the fault was undone.
    pub(super) undone: Option<Millis>,
    /// One for each pod: the old leader first, then the new one.
    pub(super) lanes: Vec<Lane>,
    /// Who the Lease named, and for how long; gaps are where it named nobody.
    pub(super) terms: Vec<Term>,
    /// When the Lease was renewed.
    pub(super) renewals: Vec<Millis>,
    /// When requests of the harness were answered.
    pub(super) answered: Vec<Millis>,
    /// What is written above the lanes.
    pub(super) milestones: Vec<Milestone>,
    /// By time; what has no time comes first.
    pub(super) events: Vec<Event>,
    /// How pods are called.
    pub(super) names: Names,
    /// What the run did not look at: that it is not drawn does not mean that it was not there.
    pub(super) unseen: Vec<&'static str>,
}

impl TrialView {
    /// Whether anything of this pod is worth to be seen closely: it is one of the leaders, or something happens to it.
    pub(super) fn takes_part(&self, lane: usize, within: Span) -> bool {
        let leads = |lane: &Lane| lane.holds.iter().any(|span| span.within(within).is_some());
        let happens = |event: &Event| {
            let in_lane = match event.track {
                Track::Pod(own) | Track::Writes(own) => own == lane,
                Track::Fault | Track::Lease | Track::Log(_) | Track::Harness | Track::Table => {
                    false
                }
            };
            in_lane && event.at.is_some_and(|at| within.holds(at))
        };
        self.lanes.get(lane).is_some_and(leads) || self.events.iter().any(happens)
    }
}

impl TrialView {
    /// The view of the trial that `data` was seen of and `result` was found of.
    pub(super) fn of(data: &TrialData, result: &TrialResult, logs: &Logs) -> Self {
        let map = ClockMap::measure(&data.own, &data.calls);
        let source = Source {
            data,
            result,
            map,
            names: Names::of(data),
        };
        let whole = Span::new(source.after(data.began), source.after(data.ended));
        let history = merged_history(data, map.as_ref());
        let terms = lease::terms(&source, &history, whole.to);
        let mut lanes = pods::lanes(&source, &terms, whole);
        let mut events = harness::untimed(&source);
        events.extend(harness::strike(&source));
        let (renewals, changes) = lease::events(&source, &history, &terms);
        events.extend(changes);
        events.extend(pods::events(&source, &lanes));
        events.extend(pods::evictions(&source, &lanes));
        events.extend(calls::events(&source, &mut lanes));
        events.extend(said::events(&source, &lanes, logs, whole));
        events.extend(harness::requests(&source));
        events.extend(harness::stalls(&source));
        events.extend(harness::aftermath(&source));
        events.retain(|event| {
            event
                .at
                .is_none_or(|at| event.until.unwrap_or(at) >= whole.from && at <= whole.to)
        });
        // What has no time comes first.
        events.sort_by(|a, b| match (a.at, b.at) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        });
        let close_up = close_up(&source, whole);
        Self {
            whole,
            close_up,
            strike: Span::new(0.0, source.after(data.strike.returned)),
            undone: data.strike.undone.map(|at| source.after(at)),
            milestones: milestones(&source),
            answered: harness::answered(&source, whole),
            lanes,
            terms,
            renewals,
            events,
            names: source.names,
            unseen: unseen(data),
        }
    }
}

fn unseen(data: &TrialData) -> Vec<&'static str> {
    let audit = data.observes(Unobserved::Audit);
    [
        (
            audit,
            "writes and who released the Lease, for want of an audit log",
        ),
        (
            !audit || data.observes(Unobserved::Work),
            "work failover, for want of a canary",
        ),
        (
            data.observes(Unobserved::Roles),
            "what the replicas say of themselves, for want of metrics",
        ),
    ]
    .into_iter()
    .filter_map(|(seen, what)| (!seen).then_some(what))
    .collect()
}

/// What is written above the lanes.
fn milestones(source: &Source<'_>) -> Vec<Milestone> {
    let result = source.result;
    let phases = &result.phases;
    let onset = phases.onset_ms;
    let mut found = vec![Milestone {
        at: 0.0,
        label: format!("fault: {}", source.data.id.fault),
        kind: MilestoneKind::Fault,
    }];
    let mut add = |at: Option<Millis>, kind, label: &dyn Fn(Millis) -> String| {
        found.extend(at.map(|at| Milestone {
            at,
            label: label(at),
            kind,
        }));
    };
    let undone = source.data.strike.undone.map(|at| source.after(at));
    add(undone, MilestoneKind::Fault, &|at| {
        format!("undone {}", signed(at))
    });
    let asked = (onset > 0.0 && undone.is_none_or(|undone| (undone - onset).abs() > 0.001))
        .then_some(onset);
    add(asked, MilestoneKind::Fault, &|at| {
        format!("counts from {}", signed(at))
    });
    add(
        source.phase(phases.released_ms),
        MilestoneKind::Step,
        &|at| format!("released {}", signed(at)),
    );
    add(source.phase(phases.lease_ms), MilestoneKind::Step, &|at| {
        format!("new term {}", signed(at))
    });
    add(source.phase(phases.work_ms), MilestoneKind::Step, &|at| {
        format!("first write {}", signed(at))
    });
    add(
        source.phase(phases.replicas_restored_ms),
        MilestoneKind::Restored,
        &|at| format!("all Ready {}", signed(at)),
    );
    let limit = result.limits.lease.limit_ms;
    add(Some(onset + limit), MilestoneKind::Limit, &|_| {
        format!("lease limit {}", millis(limit))
    });
    found.sort_by(|a, b| a.at.total_cmp(&b.at));
    found
}

/// The takeover from shortly before its onset to shortly after the first write.
fn close_up(source: &Source<'_>, whole: Span) -> Option<Span> {
    let phases = &source.result.phases;
    let takeover = [phases.released_ms, phases.lease_ms, phases.work_ms]
        .into_iter()
        .flatten()
        .reduce(f64::max)?
        .max(SHORTEST_CLOSE_UP_MS);
    let at = |share: f64| phases.onset_ms + share * takeover;
    (takeover < whole.length() * CLOSE_UP_BELOW)
        .then(|| Span::new(at(-0.2), at(1.35)))
        .and_then(|span| span.within(whole))
}

#[cfg(test)]
mod tests;
