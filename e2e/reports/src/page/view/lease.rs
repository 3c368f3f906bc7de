//! The Lease over time: who it named, and every write that the harness or the audit log saw of it.

use super::{
    event::{Event, Glyph, Span, Term, Track, longest_gap},
    source::Source,
};
use crate::page::words::millis;
use failover_judging::{
    clock::{Millis, duration_millis},
    fault::STRANGER,
    observed::{LeaseRecord, LeaseSeen},
};

/// A holder that has not written for this many retry periods has fallen silent.
const SILENT_PERIODS: f64 = 1.5;

/// The terms in a history in store order; the last one lasts until `end`.
pub(super) fn terms(source: &Source<'_>, history: &[LeaseSeen], end: Millis) -> Vec<Term> {
    let silent_after = SILENT_PERIODS * duration_millis(source.data.settings.retry_period());
    let mut found: Vec<Term> = Vec::new();
    // The term that lasts: its record, and when it was last written.
    let mut current: Option<(&LeaseRecord, Millis, Millis)> = None;
    let close = |current: Option<(&LeaseRecord, Millis, Millis)>, at: Millis| {
        current.map(|(record, from, last)| Term {
            holder: record.pod().to_owned(),
            span: Span::new(from, at),
            silent: (at - last > silent_after).then(|| Span::new(last, at)),
        })
    };
    for seen in history {
        let at = source.after(seen.at);
        let free = seen.deleted || seen.record.is_free();
        match current {
            Some((record, from, _)) if !free && record.same_term(&seen.record) => {
                current = Some((record, from, at));
            }
            _ => {
                found.extend(close(current, at));
                current = (!free).then_some((&seen.record, at, at));
            }
        }
    }
    found.extend(close(current, end));
    found
}

/// An event for every change of the Lease, for each run of renewals, and for the moment at which a silent holder's right
/// to it lapsed; before them the moments of the renewals.
pub(super) fn events(
    source: &Source<'_>,
    history: &[LeaseSeen],
    terms: &[Term],
) -> (Vec<Millis>, Vec<Event>) {
    let close = SILENT_PERIODS * duration_millis(source.data.settings.retry_period());
    let mut changes: Vec<Event> = Vec::new();
    let mut runs: Vec<Vec<(Millis, &LeaseRecord)>> = Vec::new();
    let mut before: Option<&LeaseSeen> = None;
    for seen in history {
        let at = source.after(seen.at);
        if !is_renewal(before, seen) {
            changes.push(change(source, before, seen));
        } else if let Some(run) = runs.last_mut().filter(|run| {
            run.last().is_some_and(|(last, record)| {
                // The last renewal before the fault is the one that an expiry counts from.
                at - last <= close && record.same_term(&seen.record) && (*last < 0.0) == (at < 0.0)
            })
        }) {
            run.push((at, &seen.record));
        } else {
            runs.push(vec![(at, &seen.record)]);
        }
        before = Some(seen);
    }
    let renewals = runs.iter().flatten().map(|(at, _)| *at).collect();
    changes.extend(runs.iter().filter_map(|run| renewed(source, run)));
    changes.extend(terms.iter().filter_map(|term| lapse(source, term)));
    (renewals, changes)
}

/// Whether the holder wrote the Lease once more. The first that is seen of a Lease is most likely such a write too.
fn is_renewal(before: Option<&LeaseSeen>, seen: &LeaseSeen) -> bool {
    let holds = |seen: &LeaseSeen| !seen.deleted && !seen.record.is_free();
    let same = before.is_none_or(|before| holds(before) && before.record.same_term(&seen.record));
    holds(seen) && seen.record.holder != STRANGER && same
}

fn renewed(source: &Source<'_>, run: &[(Millis, &LeaseRecord)]) -> Option<Event> {
    let ((at, first), (until, last)) = (run.first()?, run.last()?);
    let (one, many) = (run.len() == 1, longest_gap(run.iter().map(|(at, _)| *at)));
    Some(Event {
        at: Some(*at),
        until: Some(*until).filter(|_| !one),
        track: Track::Lease,
        glyph: Glyph::Renewal,
        who: source.names.short(&first.holder).to_owned(),
        what: if one {
            "Lease renewed".to_owned()
        } else {
            format!("Lease renewed {} times", run.len())
        },
        detail: if one {
            format!("revision {}", first.resource_version)
        } else {
            let (first, last) = (first.resource_version, last.resource_version);
            format!("revisions {first} to {last}{many}")
        },
    })
}

fn change(source: &Source<'_>, before: Option<&LeaseSeen>, seen: &LeaseSeen) -> Event {
    let record = &seen.record;
    let holder = source.names.short(&record.holder);
    let (glyph, who, what) = if seen.deleted {
        (Glyph::Deleted, "Lease", "deleted".to_owned())
    } else if record.is_free() {
        let last = before.map_or("Lease", |before| before.record.holder.as_str());
        (
            Glyph::Released,
            source.names.short(last),
            "Lease released".to_owned(),
        )
    } else if record.holder == STRANGER {
        (
            Glyph::Deleted,
            "harness",
            "Lease given to a stranger".to_owned(),
        )
    } else {
        (Glyph::Taken, holder, taken(record))
    };
    Event {
        at: Some(source.after(seen.at)),
        until: None,
        track: Track::Lease,
        glyph,
        who: who.to_owned(),
        what,
        detail: detail(record),
    }
}

fn taken(record: &LeaseRecord) -> String {
    match &record.takeover {
        Some(reason) => format!("Lease taken, says: {reason}"),
        None => "Lease taken".to_owned(),
    }
}

/// By its revision the write is found in the raw data.
fn detail(record: &LeaseRecord) -> String {
    format!(
        "revision {}, transitions {}",
        record.resource_version, record.transitions
    )
}

/// When the right of a silent holder lapsed, where its term lasted that long.
fn lapse(source: &Source<'_>, term: &Term) -> Option<Event> {
    let silent = term.silent?;
    let duration = duration_millis(source.data.settings.duration());
    let at = silent.from + duration;
    (at <= silent.to + duration_millis(source.data.settings.retry_period())).then(|| Event {
        at: Some(at),
        until: None,
        track: Track::Lease,
        glyph: Glyph::Lapsed,
        who: source.names.short(&term.holder).to_owned(),
        what: "right to the Lease lapses".to_owned(),
        detail: format!("{} after its last renewal", millis(duration)),
    })
}
