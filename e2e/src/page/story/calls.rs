//! The operator's calls: accepted and refused work writes, and writes of the Lease that were refused.

use super::{Event, Glyph, Lane, Source, Track};
use crate::{
    audit::ApiCall,
    clock::{Millis, duration_millis},
    page::words::{count, millis},
};

/// Work writes that are no further apart than this are told as one event.
const CLOSE_MS: Millis = 1000.0;

/// Refused writes of the Lease are tried again once per retry period; this many periods apart they are one event.
const CLOSE_PERIODS: f64 = 1.5;

/// Calls of one pod that followed each other closely and came out alike.
struct Streak<'a> {
    key: (&'a str, u16, String),
    calls: Vec<(Millis, &'a ApiCall)>,
}

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
    let accepted: Vec<(Millis, &ApiCall)> = calls
        .iter()
        .filter(|(_, call)| call.is_work_write() && call.accepted())
        .copied()
        .collect();
    for (at, call) in &accepted {
        if let Some(lane) = lane_of(lanes, call).and_then(|lane| lanes.get_mut(lane)) {
            lane.writes.push(*at);
        }
    }
    let lanes = &*lanes;
    let mut events = Vec::new();
    let mut routine = Vec::new();
    let (first, last) = turning_points(source, &accepted);
    for (at, call) in accepted {
        let single = |glyph, what| single(source, lanes, at, call, glyph, what);
        if let Some(what) = stray(source, call) {
            events.push(single(Glyph::Stray, what));
        } else if first == Some(call.audit_id.as_str()) {
            events.push(single(Glyph::FirstWrite, "first write of the new leader"));
        } else if last == Some(call.audit_id.as_str()) {
            events.push(single(Glyph::LastWrite, "last write of the old leader"));
        } else {
            routine.push((at, call));
        }
    }
    let told = |streak: Streak<'_>, glyph, word| told(source, lanes, &streak, glyph, word);
    events.extend(
        streaks(routine, CLOSE_MS)
            .into_iter()
            .map(|streak| told(streak, Glyph::Writes, "accepted")),
    );
    let refused = calls
        .iter()
        .filter(|(_, call)| call.is_refused_work_write())
        .copied();
    events.extend(
        streaks(refused, CLOSE_MS)
            .into_iter()
            .map(|streak| told(streak, Glyph::Refused, "refused")),
    );
    let unanswered = calls
        .iter()
        .filter(|(_, call)| call.is_work_write() && call.code >= 500)
        .copied();
    events.extend(
        streaks(unanswered, CLOSE_MS)
            .into_iter()
            .map(|streak| told(streak, Glyph::Unanswered, "ended with an error")),
    );
    let close = CLOSE_PERIODS * duration_millis(source.data.settings.retry_period());
    let lease = calls
        .iter()
        .filter(|(_, call)| call.is_lease() && !call.accepted())
        .copied();
    events.extend(
        streaks(lease, close)
            .into_iter()
            .map(|streak| told(streak, Glyph::LeaseRefused, "refused")),
    );
    events
}

/// The audit events of the new leader's first write and of the last write before it by the old leader.
fn turning_points<'a>(
    source: &Source<'_>,
    accepted: &[(Millis, &'a ApiCall)],
) -> (Option<&'a str>, Option<&'a str>) {
    let Some(at) = source.phase(source.result.phases.work_ms) else {
        return (None, None);
    };
    // The phase is the moment of this very call, worked out once more.
    let first = accepted.iter().find(|(time, _)| (time - at).abs() < 0.001);
    let old = source.data.before.pod();
    let last = accepted
        .iter()
        .rev()
        .find(|(time, call)| *time < at - 0.001 && call.pod.as_deref() == Some(old));
    let id = |found: Option<&(Millis, &'a ApiCall)>| found.map(|(_, call)| call.audit_id.as_str());
    (id(first), id(last))
}

fn stray(source: &Source<'_>, call: &ApiCall) -> Option<&'static str> {
    let exclusion = &source.result.exclusion;
    let among = |strays: &[crate::exclusion::StrayWrite]| {
        strays.iter().any(|stray| stray.audit_id == call.audit_id)
    };
    if among(&exclusion.overlap) {
        Some("stray write: the new leader had written already")
    } else if among(&exclusion.by_non_holder) {
        Some("stray write: its pod did not hold the Lease")
    } else {
        None
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
    let version = call
        .resource_version
        .map_or_else(String::new, |version| format!(", revision {version}"));
    Event {
        at: Some(at),
        until: None,
        track: track(lanes, call),
        glyph,
        who: who(source, call),
        what: what.to_owned(),
        detail: format!(
            "{} ({}){version}, audit {}",
            call.phrase(),
            call.code,
            call.audit_id
        ),
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
            call.phrase(),
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
    word: &str,
) -> Event {
    let (_, code, phrase) = &streak.key;
    let first = streak.calls.first();
    let last = streak.calls.last();
    let versions: Vec<u64> = [first, last]
        .into_iter()
        .filter_map(|call| call?.1.resource_version)
        .collect();
    let revisions = match versions.as_slice() {
        [first, last] if first != last => format!(", revisions {first} to {last}"),
        [first, ..] => format!(", revision {first}"),
        [] => String::new(),
    };
    let audit = match (first, glyph) {
        // What is routine is found by its revision.
        (Some((_, call)), Glyph::Refused | Glyph::Unanswered | Glyph::LeaseRefused) => {
            format!(", first audit {}", call.audit_id)
        }
        _ => String::new(),
    };
    let gap = streak
        .calls
        .iter()
        .zip(streak.calls.iter().skip(1))
        .map(|((a, _), (b, _))| b - a)
        .fold(0.0, f64::max);
    let gap = if gap > 0.0 {
        format!(", longest gap {}", millis(gap))
    } else {
        String::new()
    };
    let n = streak.calls.len();
    let what = match glyph {
        Glyph::LeaseRefused => count(n, "Lease write", "Lease writes"),
        _ => count(n, "work write", "work writes"),
    };
    let at = first.map(|(at, _)| *at);
    Event {
        at,
        until: last.map(|(at, _)| *at).filter(|_| n > 1),
        track: first.map_or(Track::Table, |(_, call)| track(lanes, call)),
        glyph,
        who: first.map_or_else(String::new, |(_, call)| who(source, call)),
        what: format!("{what} {word}"),
        detail: format!("{phrase} ({code}){revisions}{gap}{audit}"),
    }
}
