//! What a trial is condensed to: events, stretches of time and named moments, in milliseconds from the fault.

use failover_judging::clock::Millis;

use crate::page::words::millis;

/// A stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::page) struct Span {
    pub(in crate::page) from: Millis,
    pub(in crate::page) to: Millis,
}

/// A stretch in which the Lease named one holder.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::page) struct Term {
    pub(in crate::page) holder: String,
    pub(in crate::page) span: Span,
    /// Where the holder fell silent: from its last write to the end of the term.
    pub(in crate::page) silent: Option<Span>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::page) struct Event {
    /// When; `None` for what holds for the whole trial.
    pub(in crate::page) at: Option<Millis>,
    /// Until when, where it lasted.
    pub(in crate::page) until: Option<Millis>,
    pub(in crate::page) track: Track,
    pub(in crate::page) glyph: Glyph,
    /// Who did it, or whom it befell.
    pub(in crate::page) who: String,
    pub(in crate::page) what: String,
    pub(in crate::page) detail: String,
}

/// Where an event is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::page) enum Track {
    /// On the line of the fault and the milestones.
    Fault,
    Lease,
    Pod(usize),
    /// Among the writes of a pod.
    Writes(usize),
    /// Among what a pod said.
    Log(usize),
    /// Among the requests of the harness.
    Harness,
    /// Nowhere: only the table tells it.
    Table,
}

/// What a mark looks like. Shapes differ, not only colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "kebab-case")]
pub(in crate::page) enum Glyph {
    Fault,
    Undone,
    Renewal,
    Taken,
    Released,
    Deleted,
    Lapsed,
    LeaseRefused,
    Pod,
    Dead,
    /// Ticks are drawn for each write; the mark is what can be pointed at.
    Writes,
    LastWrite,
    FirstWrite,
    Refused,
    Unanswered,
    Stray,
    Slow,
    Failed,
    Metrics,
    Restored,
    Log,
    Warning,
    /// Drawn nowhere.
    None,
}

/// A moment that is named above the lanes.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::page) struct Milestone {
    pub(in crate::page) at: Millis,
    pub(in crate::page) label: String,
    pub(in crate::page) kind: MilestoneKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::page) enum MilestoneKind {
    /// The fault was done or undone.
    Fault,
    Step,
    /// A limit: not what happened, but by when it had to.
    Limit,
    /// The system came back.
    Restored,
}

impl Span {
    pub(in crate::page) fn new(from: Millis, to: Millis) -> Self {
        Self { from, to }
    }

    pub(in crate::page) fn length(self) -> Millis {
        self.to - self.from
    }

    pub(in crate::page) fn holds(self, at: Millis) -> bool {
        (self.from..=self.to).contains(&at)
    }

    /// The part of it that lies within `frame`.
    pub(in crate::page) fn within(self, frame: Self) -> Option<Self> {
        let part = Self::new(self.from.max(frame.from), self.to.min(frame.to));
        (part.from < part.to).then_some(part)
    }
}

/// The longest time between two that follow each other, where there are two.
pub(super) fn longest_gap(moments: impl Iterator<Item = Millis> + Clone) -> String {
    let gap = moments
        .clone()
        .zip(moments.skip(1))
        .map(|(a, b)| b - a)
        .fold(0.0, f64::max);
    if gap > 0.0 {
        format!(", longest gap {}", millis(gap))
    } else {
        String::new()
    }
}
