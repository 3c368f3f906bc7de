//! The operator's calls: accepted and refused work writes, and writes of the Lease that were refused.

use std::collections::BTreeSet;

use super::{
    event::{Event, Glyph, Track, longest_gap},
    pods::Lane,
    source::Source,
};
use crate::page::words::count;
use failover_judging::{
    clock::{Millis, duration_millis},
    judge::StrayWrite,
    observed::ApiCall,
};

/// Work writes that are no further apart than this are told as one event.
const CLOSE_MS: Millis = 1000.0;

/// Refused writes of the Lease are tried again once per retry period; this many periods apart they are one event.
const CLOSE_PERIODS: f64 = 1.5;

/// Calls of one pod that followed each other closely and came out alike.
struct Streak<'a> {
    key: Key<'a>,
    calls: Vec<(Millis, &'a ApiCall)>,
}

/// What calls have in common that are told as one: pod, code, verb, resource and subresource.
type Key<'a> = (&'a str, u16, &'a str, &'a str, &'a str);

/// The events of the operator's calls; accepted work writes are also put into their lanes.
pub(super) fn events(source: &Source<'_>, lanes: &mut [Lane]) -> Vec<Event> {
    let Some(map) = source.map else {
        return Vec::new();
    };
    let mut calls: Vec<(Millis, &ApiCall)> = source
        .data
        .calls
        .iter()
        .filter(|call| call.user == source.data.operator && call.is_write())
        .map(|call| (source.after(map.stamp(call.completed)), call))
        .collect();
    calls.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (work, lease): (Vec<_>, Vec<_>) = calls
        .into_iter()
        .filter(|(_, call)| call.is_lease() || source.data.is_work(call))
        .partition(|(_, call)| !call.is_lease());
    let accepted = || work.iter().filter(|(_, call)| call.accepted());
    for (at, call) in accepted() {
        if let Some(lane) = lane_of(lanes, call).and_then(|lane| lanes.get_mut(lane)) {
            lane.writes.push(*at);
        }
    }
    let lanes = &*lanes;
    let (first, last) = turning_points(source, &work);
    let mut events = Vec::new();
    let mut routine = Vec::new();
    let mut strays: [Vec<_>; 2] = Default::default();
    for (at, call) in accepted().copied() {
        let id = Some(call.audit_id.as_str());
        if let Some(kind) = Stray::of(source, call) {
            let [overlap, by_non_holder] = &mut strays;
            match kind {
                Stray::Overlap => overlap.push((at, call)),
                Stray::ByNonHolder => by_non_holder.push((at, call)),
            }
        } else if first == id {
            let what = "first write of the new leader";
            events.push(single(source, lanes, at, call, Glyph::FirstWrite, what));
        } else if last == id {
            let what = "last write of the old leader";
            events.push(single(source, lanes, at, call, Glyph::LastWrite, what));
        } else {
            routine.push((at, call));
        }
    }
    let refused = work
        .iter()
        .filter(|(_, call)| call.is_refused_work_write())
        .copied();
    let unanswered = work.iter().filter(|(_, call)| call.code >= 500).copied();
    let denied = lease.iter().filter(|(_, call)| !call.accepted()).copied();
    let [overlap, by_non_holder] = strays;
    let periods = CLOSE_PERIODS * duration_millis(source.data.settings.retry_period());
    let mut tell = |calls: Vec<(Millis, &ApiCall)>, close, glyph, one: &str, many: &str| {
        let streaks = streaks(calls, close).into_iter();
        events.extend(streaks.map(|streak| told(source, lanes, &streak, glyph, one, many)));
    };
    tell(
        overlap,
        CLOSE_MS,
        Glyph::Stray,
        "stray write: the new leader had written already",
        "stray writes: the new leader had written already",
    );
    tell(
        by_non_holder,
        CLOSE_MS,
        Glyph::Stray,
        "stray write: its pod did not hold the Lease",
        "stray writes: its pod did not hold the Lease",
    );
    tell(
        routine,
        CLOSE_MS,
        Glyph::Writes,
        "work write accepted",
        "work writes accepted",
    );
    tell(
        refused.collect(),
        CLOSE_MS,
        Glyph::Refused,
        "work write refused",
        "work writes refused",
    );
    tell(
        unanswered.collect(),
        CLOSE_MS,
        Glyph::Unanswered,
        "work write ended with an error",
        "work writes ended with an error",
    );
    tell(
        denied.collect(),
        periods,
        Glyph::LeaseRefused,
        "Lease write refused",
        "Lease writes refused",
    );
    events
}

/// The audit events of the new leader's first write and of the last write before it by the old leader.
fn turning_points<'a>(
    source: &Source<'_>,
    work: &[(Millis, &'a ApiCall)],
) -> (Option<&'a str>, Option<&'a str>) {
    let Some(at) = source.phase(source.result.phases.work_ms) else {
        return (None, None);
    };
    // The phase is the moment of this very call, worked out once more.
    let accepted = || work.iter().filter(|(_, call)| call.accepted());
    let first = accepted().find(|(time, _)| (time - at).abs() < 0.001);
    let old = source.data.before.pod();
    let last = accepted()
        .rev()
        .find(|(time, call)| *time < at - 0.001 && call.pod.as_deref() == Some(old));
    let id = |found: Option<&(Millis, &'a ApiCall)>| found.map(|(_, call)| call.audit_id.as_str());
    (id(first), id(last))
}

/// Why a write was none of its pod's to make.
enum Stray {
    Overlap,
    ByNonHolder,
}

impl Stray {
    fn of(source: &Source<'_>, call: &ApiCall) -> Option<Self> {
        let exclusion = &source.result.exclusion;
        let among =
            |strays: &[StrayWrite]| strays.iter().any(|stray| stray.audit_id == call.audit_id);
        if among(&exclusion.overlap) {
            Some(Self::Overlap)
        } else if among(&exclusion.by_non_holder) {
            Some(Self::ByNonHolder)
        } else {
            None
        }
    }
}

fn lane_of(lanes: &[Lane], call: &ApiCall) -> Option<usize> {
    let pod = call.pod.as_deref()?;
    lanes.iter().position(|lane| lane.name == pod)
}

fn track(lanes: &[Lane], call: &ApiCall) -> Track {
    lane_of(lanes, call).map_or(Track::Table, Track::Writes)
}

fn single(
    source: &Source<'_>,
    lanes: &[Lane],
    at: Millis,
    call: &ApiCall,
    glyph: Glyph,
    what: &str,
) -> Event {
    Event {
        at: Some(at),
        until: None,
        track: track(lanes, call),
        glyph,
        who: who(source, call),
        what: what.to_owned(),
        // By its revision it is found in the raw data; where responses are not logged, by its audit event.
        detail: match call.resource_version {
            Some(version) => format!("{} ({}), revision {version}", call.phrase(), call.code),
            None => format!("{} ({}), audit {}", call.phrase(), call.code, call.audit_id),
        },
    }
}

fn who(source: &Source<'_>, call: &ApiCall) -> String {
    let pod = call.pod.as_deref();
    pod.map_or("a pod that is not named", |pod| source.names.short(pod))
        .to_owned()
}

fn streaks<'a>(
    calls: impl IntoIterator<Item = (Millis, &'a ApiCall)>,
    close_ms: Millis,
) -> Vec<Streak<'a>> {
    let mut found: Vec<Streak<'a>> = Vec::new();
    for (at, call) in calls {
        let key = (
            call.pod.as_deref().unwrap_or_default(),
            call.code,
            call.verb.as_str(),
            call.resource.as_str(),
            call.subresource.as_str(),
        );
        let open = found.iter_mut().rev().find(|streak| {
            let last = streak.calls.last();
            streak.key == key && last.is_some_and(|(last, _)| at - last <= close_ms)
        });
        match open {
            Some(streak) => streak.calls.push((at, call)),
            None => found.push(Streak {
                key,
                calls: vec![(at, call)],
            }),
        }
    }
    found
}

fn told(
    source: &Source<'_>,
    lanes: &[Lane],
    streak: &Streak<'_>,
    glyph: Glyph,
    one: &str,
    many: &str,
) -> Event {
    let first = streak.calls.first();
    let last = streak.calls.last();
    let n = streak.calls.len();
    let at = first.map(|(at, _)| *at);
    let moments = streak.calls.iter().map(|(at, _)| *at);
    Event {
        at,
        until: last.map(|(at, _)| *at).filter(|_| n > 1),
        track: first.map_or(Track::Table, |(_, call)| track(lanes, call)),
        glyph,
        who: first.map_or_else(String::new, |(_, call)| who(source, call)),
        what: count(n, one, many),
        detail: [
            phrase(streak),
            revisions(first, last),
            longest_gap(moments),
            audit(first, glyph),
        ]
        .concat(),
    }
}

/// What was asked for and answered.
fn phrase(streak: &Streak<'_>) -> String {
    let phrases: BTreeSet<String> = streak.calls.iter().map(|(_, call)| call.phrase()).collect();
    let (_, code, ..) = streak.key;
    match (phrases.first(), phrases.len()) {
        (Some(phrase), 1) => format!("{phrase} ({code})"),
        (Some(phrase), n) => format!(
            "{phrase} and {} ({code})",
            count(n - 1, "other object", "other objects")
        ),
        (None, _) => String::new(),
    }
}

fn revisions(first: Option<&(Millis, &ApiCall)>, last: Option<&(Millis, &ApiCall)>) -> String {
    let version =
        |call: Option<&(Millis, &ApiCall)>| call.and_then(|(_, call)| call.resource_version);
    match (version(first), version(last)) {
        (Some(first), Some(last)) if first != last => format!(", revisions {first} to {last}"),
        (Some(one), _) | (None, Some(one)) => format!(", revision {one}"),
        (None, None) => String::new(),
    }
}

/// What is routine is found by its revision; the rest by the audit event.
fn audit(first: Option<&(Millis, &ApiCall)>, glyph: Glyph) -> String {
    first
        .filter(|_| glyph != Glyph::Writes)
        .map_or_else(String::new, |(_, call)| {
            format!(", first audit {}", call.audit_id)
        })
}
