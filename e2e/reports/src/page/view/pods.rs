//! The pods over time: a lane for each, and an event for every change of its state.

use std::collections::BTreeSet;

use super::{
    event::{Event, Glyph, Span, Term, Track},
    source::Source,
};
use crate::page::words::{Names, millis};
use failover_judging::{
    clock::Millis,
    observed::{PodSeen, Presence},
};

/// What kubelet says of a waiting container is cut to this many characters.
const LONGEST_WAITING: usize = 160;

/// What kubelet says of a container that is about to run.
const ON_THE_WAY: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// One pod.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(in crate::page) name: String,
    /// What it is to this trial.
    pub(in crate::page) role: &'static str,
    /// The node it ran on, where the pods of the trial ran on several.
    pub(in crate::page) node: Option<String>,
    /// Its states, without gaps but where it did not exist.
    pub(in crate::page) states: Vec<(Span, State)>,
    /// When it held the Lease.
    pub(in crate::page) holds: Vec<Span>,
    /// When its work writes were accepted.
    pub(in crate::page) writes: Vec<Millis>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum State {
    /// Its container does not run yet.
    Starting,
    /// It runs, and is not Ready.
    #[strum(to_string = "not ready")]
    NotReady,
    Ready,
    /// It runs, and was asked to stop.
    Terminating,
    /// Its container ran, and does not run.
    Down,
}

impl State {
    pub(in crate::page) fn word(self) -> &'static str {
        self.into()
    }

    /// The class that fills its bar.
    pub(in crate::page) fn class(self) -> &'static str {
        match self {
            Self::NotReady => "unready",
            other => other.word(),
        }
    }

    fn of(pod: &PodSeen) -> Option<Self> {
        let ran = pod.restarts > 0 || !pod.last_words.is_empty();
        match pod.presence {
            Presence::Gone => None,
            _ if !pod.running && ran => Some(Self::Down),
            Presence::Terminating if pod.running => Some(Self::Terminating),
            // A pod that is asked to stop before it has run says so by its container alone.
            Presence::Terminating => Some(Self::Down),
            Presence::Staying if pod.running && pod.ready => Some(Self::Ready),
            Presence::Staying if pod.running => Some(Self::NotReady),
            Presence::Staying => Some(Self::Starting),
        }
    }
}

/// A lane for every pod that was there within `whole`: the old leader, the new one, then the others as they appeared.
pub(super) fn lanes(source: &Source<'_>, terms: &[Term], whole: Span) -> Vec<Lane> {
    let mut names: Vec<&str> = vec![source.data.before.pod()];
    names.extend(new_leader(source));
    names.extend(source.data.pods.iter().map(|pod| pod.name.as_str()));
    let mut lanes: Vec<Lane> = Vec::new();
    for name in names {
        if lanes.iter().any(|lane| lane.name == name) {
            continue;
        }
        let states = states(source, name, whole);
        let holds: Vec<Span> = terms
            .iter()
            .filter(|term| term.holder == name)
            .filter_map(|term| term.span.within(whole))
            .collect();
        if !states.is_empty() || !holds.is_empty() {
            lanes.push(Lane {
                name: name.to_owned(),
                role: role(source, name, &states, whole),
                node: node(source, name),
                states,
                holds,
                writes: Vec::new(),
            });
        }
    }
    lanes
}

fn new_leader<'a>(source: &'a Source<'_>) -> Option<&'a str> {
    let holder = source.result.new_leader.as_deref()?;
    Some(source.names.pod(holder))
}

fn role(source: &Source<'_>, name: &str, states: &[(Span, State)], whole: Span) -> &'static str {
    let old = source.data.before.pod() == name;
    let new = new_leader(source) == Some(name);
    let came_later = states
        .first()
        .is_some_and(|(span, _)| span.from > whole.from);
    match (old, new) {
        (true, true) => "leader again",
        (true, false) => "old leader",
        (false, true) => "new leader",
        (false, false) if came_later => "newcomer",
        (false, false) => "standby",
    }
}

/// The node of a pod by what tells it apart; where there is only one there is nothing to tell.
fn node(source: &Source<'_>, name: &str) -> Option<String> {
    let nodes: BTreeSet<&str> = source
        .data
        .pods
        .iter()
        .filter_map(|pod| pod.node.as_deref())
        .collect();
    let own = |pod: &&PodSeen| pod.name == name && pod.node.is_some();
    let node = source.data.pods.iter().rfind(own)?.node.as_deref()?;
    (nodes.len() > 1).then(|| Names::among(&nodes).label(node))
}

fn states(source: &Source<'_>, name: &str, whole: Span) -> Vec<(Span, State)> {
    let mut own: Vec<&PodSeen> = source
        .data
        .pods
        .iter()
        .filter(|pod| pod.name == name)
        .collect();
    own.sort_by_key(|pod| pod.at);
    let mut found: Vec<(Span, State)> = Vec::new();
    for (index, pod) in own.iter().enumerate() {
        let until = own
            .get(index + 1)
            .map_or(whole.to, |next| source.after(next.at));
        let Some(state) = State::of(pod) else {
            continue;
        };
        let Some(span) = Span::new(source.after(pod.at), until).within(whole) else {
            continue;
        };
        match found.last_mut() {
            Some((last, same)) if *same == state && (span.from - last.to).abs() < f64::EPSILON => {
                last.to = span.to;
            }
            _ => found.push((span, state)),
        }
    }
    found
}

/// An event for each change of a pod.
pub(super) fn events(source: &Source<'_>, lanes: &[Lane]) -> Vec<Event> {
    let mut events: Vec<Event> = Vec::new();
    for (index, lane) in lanes.iter().enumerate() {
        let mut own: Vec<&PodSeen> = source
            .data
            .pods
            .iter()
            .filter(|pod| pod.name == lane.name)
            .collect();
        own.sort_by_key(|pod| pod.at);
        let mut before: Option<&PodSeen> = None;
        for pod in own {
            events.extend(change(source, index, before, pod));
            before = Some(pod);
        }
    }
    events.extend(death(source, lanes));
    events
}

fn change(
    source: &Source<'_>,
    lane: usize,
    before: Option<&PodSeen>,
    pod: &PodSeen,
) -> Option<Event> {
    let what = changes(before.filter(|before| before.uid == pod.uid), pod);
    (!what.is_empty()).then(|| Event {
        at: Some(source.after(pod.at)),
        until: None,
        track: Track::Pod(lane),
        glyph: Glyph::Pod,
        who: source.names.short(&pod.name).to_owned(),
        what: what.join(", "),
        detail: pod
            .waiting
            .as_deref()
            .filter(|why| *why != kind_of(why))
            .map_or_else(
                || format!("revision {}", pod.resource_version),
                |why| cut(why, LONGEST_WAITING),
            ),
    })
}

fn changes(before: Option<&PodSeen>, pod: &PodSeen) -> Vec<String> {
    let Some(before) = before else {
        let ready = pod.ready.then(|| "Ready".to_owned());
        return std::iter::once("pod seen".to_owned())
            .chain(ready)
            .collect();
    };
    let mut what = Vec::new();
    let mut add = |changed: bool, text: &str| {
        if changed {
            what.push(text.to_owned());
        }
    };
    let turned = |to: Presence| pod.presence == to && before.presence != to;
    let kind = |pod: &PodSeen| pod.waiting.as_deref().map(|why| kind_of(why).to_owned());
    add(turned(Presence::Terminating), "asked to stop");
    add(turned(Presence::Gone), "gone");
    add(before.running && !pod.running, "container ended");
    add(!before.running && pod.running, "container runs");
    add(
        pod.restarts > before.restarts,
        &format!("restart {}", pod.restarts),
    );
    add(before.ready && !pod.ready, "not Ready");
    add(!before.ready && pod.ready, "Ready");
    let waiting = kind(pod).filter(|kind| !ON_THE_WAY.contains(&kind.as_str()));
    if let Some(waiting) = waiting.filter(|waiting| Some(waiting) != kind(before).as_ref()) {
        add(true, &format!("waiting: {waiting}"));
    }
    what
}

/// The word that kubelet puts before its explanation.
fn kind_of(waiting: &str) -> &str {
    waiting.split_once(':').map_or(waiting, |(kind, _)| kind)
}

fn cut(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest).chain(['…']).collect()
}

/// The death of the old leader's process, where the harness knows it before kubelet tells.
fn death(source: &Source<'_>, lanes: &[Lane]) -> Option<Event> {
    let kills = source.data.id.fault.entry().kills();
    let at = source
        .phase(source.result.phases.process_dead_ms)
        .filter(|_| kills)?;
    let pod = source.data.before.pod();
    let lane = lanes.iter().position(|lane| lane.name == pod)?;
    Some(Event {
        at: Some(at),
        until: None,
        track: Track::Pod(lane),
        glyph: Glyph::Dead,
        who: source.names.short(pod).to_owned(),
        what: "process dead".to_owned(),
        detail: "SIGKILL was delivered before its call was back".to_owned(),
    })
}

/// The evictions that the fault asked for.
pub(super) fn evictions(source: &Source<'_>, lanes: &[Lane]) -> Vec<Event> {
    let evictions = source.data.strike.evictions.iter();
    evictions
        .map(|eviction| {
            let allowed = (200..300).contains(&eviction.code);
            let lane = lanes.iter().position(|lane| lane.name == eviction.pod);
            Event {
                at: Some(source.after(eviction.at)),
                until: None,
                track: lane.map_or(Track::Table, Track::Pod),
                glyph: if allowed { Glyph::Pod } else { Glyph::Refused },
                who: source.names.short(&eviction.pod).to_owned(),
                what: match (allowed, eviction.by_budget) {
                    (true, _) => "eviction allowed".to_owned(),
                    (false, true) => "eviction refused by the disruption budget".to_owned(),
                    (false, false) => format!("eviction refused: {}", eviction.code),
                },
                detail: format!("answered after {}", millis(eviction.took_ms)),
            }
        })
        .collect()
}
