//! What the harness did and asked: the fault, its requests, what it saw when the system had come back, and what was wrong
//! with the rig.

use super::{
    event::{Event, Glyph, Span, Track},
    source::Source,
};
use crate::page::words::millis;
use failover_judging::{
    clock::{Millis, Stamp},
    observed::{OwnCall, Role, Unobserved},
};

/// A request of the harness that took longer than this is worth a mark.
const SLOW_MS: Millis = 250.0;

/// Requests that are no further apart than this are told as one event.
const CLOSE_MS: Millis = 1000.0;

/// What stands for the whole trial.
pub(super) fn untimed(source: &Source<'_>) -> Vec<Event> {
    let whole = |what: &str, detail: String| Event {
        at: None,
        until: None,
        track: Track::Table,
        glyph: Glyph::None,
        who: "rig".to_owned(),
        what: what.to_owned(),
        detail,
    };
    let mut events: Vec<Event> = source
        .data
        .rig
        .iter()
        .map(|fault| whole("rig fault", fault.to_string()))
        .collect();
    match source.map {
        // Without an audit log there was nothing to place.
        None if !source.data.observes(Unobserved::Audit) => {}
        None => events.push(whole(
            "clocks",
            "no request of the harness is in the audit log, so what it tells has no place on this axis".to_owned(),
        )),
        Some(map) if map.stepped => events.push(whole(
            "clocks",
            format!("the API server's wall clock was stepped: its calls are placed to ±{:.0} ms", map.error_ms),
        )),
        Some(_) => {}
    }
    events
}

/// The fault itself.
pub(super) fn strike(source: &Source<'_>) -> Vec<Event> {
    let strike = &source.data.strike;
    let kind = source.data.id.fault;
    let event = |at: Stamp, glyph, what: &str, detail: String| Event {
        at: Some(source.after(at)),
        until: None,
        track: Track::Fault,
        glyph,
        who: "harness".to_owned(),
        what: what.to_owned(),
        detail,
    };
    let lasted = strike.returned.since(strike.issued);
    let mut events = vec![Event {
        until: (lasted > 0.0).then_some(lasted),
        ..event(
            strike.issued,
            Glyph::Fault,
            &format!("fault: {kind}"),
            format!(
                "{}; the call was back after {}",
                kind.entry().about,
                millis(lasted)
            ),
        )
    }];
    events.extend(
        strike
            .repeated
            .iter()
            .map(|at| event(*at, Glyph::Fault, "hit again", String::new())),
    );
    events.extend(
        strike
            .undone
            .map(|at| event(at, Glyph::Undone, "fault undone", String::new())),
    );
    events
}

/// When the harness itself had to wait for a processor: what it saw then, it saw late.
pub(super) fn stalls(source: &Source<'_>) -> Vec<Event> {
    source
        .data
        .stalls
        .iter()
        .map(|stall| Event {
            at: Some(source.after(stall.at) - stall.lasted_ms),
            until: Some(source.after(stall.at)),
            track: Track::Harness,
            glyph: Glyph::Slow,
            who: "rig".to_owned(),
            what: "harness without a processor".to_owned(),
            detail: format!("for {}", millis(stall.lasted_ms)),
        })
        .collect()
}

/// How the system came back, and what the replicas then said.
pub(super) fn aftermath(source: &Source<'_>) -> Vec<Event> {
    let data = source.data;
    let event = |at: Stamp, track, glyph, who: &str, what: &str, detail: String| Event {
        at: Some(source.after(at)),
        until: None,
        track,
        glyph,
        who: who.to_owned(),
        what: what.to_owned(),
        detail,
    };
    let restored = |at: Option<Stamp>, who: &str, what: &str| {
        at.map(|at| event(at, Track::Fault, Glyph::Restored, who, what, String::new()))
    };
    let mut events = Vec::new();
    events.extend(restored(
        data.recovery.replicas,
        "replicas",
        "all Ready again",
    ));
    events.extend(restored(
        data.recovery.budget,
        "disruption budget",
        "a disruption allowed again",
    ));
    if let Some(waiting) = &data.recovery.waiting_for {
        events.push(event(
            data.ended,
            Track::Table,
            Glyph::None,
            "harness",
            "gave up waiting",
            waiting.clone(),
        ));
    }
    if let Some(roles) = data.roles.last() {
        let said: Vec<String> = roles
            .roles
            .iter()
            .map(|(pod, role)| format!("{}: {}", source.names.short(pod), role_word(role)))
            .collect();
        events.push(event(
            roles.at,
            Track::Harness,
            Glyph::Metrics,
            "harness",
            "metrics read",
            said.join(", "),
        ));
    }
    events
}

fn role_word(role: &Role) -> String {
    match role {
        Role::Leading => "leading".to_owned(),
        Role::Standby => "standby".to_owned(),
        Role::NoLeader => "sees no leader".to_owned(),
        Role::Unknown(why) => format!("unknown ({why})"),
    }
}

/// Requests of the harness that were slow or failed: while they lasted, it saw less. Those that came out alike and followed
/// each other closely are one event.
pub(super) fn requests(source: &Source<'_>) -> Vec<Event> {
    let mut runs: Vec<Vec<&OwnCall>> = Vec::new();
    for own in &source.data.own {
        if own.is_accepted() && own.latency_ms() <= SLOW_MS {
            continue;
        }
        let alike = |run: &&mut Vec<&OwnCall>| {
            run.last().is_some_and(|last| {
                (&last.purpose, last.code) == (&own.purpose, own.code)
                    && own.sent.since(last.answered) <= CLOSE_MS
            })
        };
        match runs.iter_mut().rev().find(alike) {
            Some(run) => run.push(own),
            None => runs.push(vec![own]),
        }
    }
    runs.iter().filter_map(|run| request(source, run)).collect()
}

fn request(source: &Source<'_>, run: &[&OwnCall]) -> Option<Event> {
    let first = run.first()?;
    let answer = match first.code {
        0 => "no answer".to_owned(),
        code => code.to_string(),
    };
    let slowest = run.iter().map(|own| own.latency_ms()).fold(0.0, f64::max);
    let ended = run.iter().map(|own| own.answered).max()?;
    let (what, took) = if run.len() == 1 {
        (format!("{} request: {answer}", first.purpose), "took")
    } else {
        let n = run.len();
        (
            format!("{n} {} requests: {answer}", first.purpose),
            "the slowest took",
        )
    };
    Some(Event {
        at: Some(source.after(first.sent)),
        until: Some(source.after(ended)),
        track: Track::Harness,
        glyph: if first.is_accepted() {
            Glyph::Slow
        } else {
            Glyph::Failed
        },
        who: "harness".to_owned(),
        what,
        detail: format!("{took} {}", millis(slowest)),
    })
}

pub(super) fn answered(source: &Source<'_>, whole: Span) -> Vec<Millis> {
    let mut answered: Vec<Millis> = source
        .data
        .own
        .iter()
        .filter(|own| own.code != 0)
        .map(|own| source.after(own.answered))
        .filter(|at| whole.holds(*at))
        .collect();
    answered.sort_by(f64::total_cmp);
    answered
}
