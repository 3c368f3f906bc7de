//! What the replicas said: the lines of their logs around the takeover.

use super::{
    event::{Event, Glyph, Span, Track},
    pods::Lane,
    source::Source,
};
use crate::page::{
    logs::{Line, Logs},
    words::count,
};
use failover_judging::{
    clock::{Millis, Stamp},
    verdict::Verdict,
};

/// Lines of a pod that are no further apart than this share of the trial have one mark: two would cover each other.
const CLOSE_SHARE: f64 = 0.004;

/// How much text there is room for, in bytes: a trial's part in a page of many trials. What went wrong has more to say.
const ROOM: usize = 800;
const ROOM_OF_A_FAILURE: usize = 2400;

/// From this long before the fault to this long after the takeover every line counts.
const AROUND_MS: Millis = 1000.0;

/// A line with its place.
struct Said<'a> {
    at: Millis,
    lane: usize,
    line: &'a Line,
    warns: bool,
}

/// The lines there is room for: warnings first, then those nearest to the takeover.
pub(super) fn events(source: &Source<'_>, lanes: &[Lane], logs: &Logs, whole: Span) -> Vec<Event> {
    let Some(map) = source.map else {
        return Vec::new();
    };
    let data = source.data;
    let wall = |at: Stamp| map.wall(at);
    let mut said: Vec<Said<'_>> = Vec::new();
    for (index, pod) in lanes.iter().enumerate() {
        let written = logs.between(&pod.name, wall(data.began), wall(data.ended));
        said.extend(written.iter().map(|line| Said {
            at: source.after(map.stamp(line.at)),
            lane: index,
            line,
            warns: line.warns(),
        }));
    }
    let phases = &source.result.phases;
    let last = [phases.lease_ms, phases.work_ms, phases.undone_ms]
        .into_iter()
        .filter_map(|phase| source.phase(phase))
        .fold(0.0, f64::max);
    let from_takeover = |at: Millis| (-AROUND_MS - at).max(at - last - AROUND_MS).max(0.0);
    said.sort_by(|a, b| {
        let far = |said: &Said<'_>| (!said.warns, from_takeover(said.at));
        let ((loud, near), (other_loud, other_near)) = (far(a), far(b));
        loud.cmp(&other_loud).then(near.total_cmp(&other_near))
    });
    let all = said.len();
    let mut room = match source.result.verdict {
        Verdict::Pass => ROOM,
        Verdict::Fail | Verdict::Inconclusive => ROOM_OF_A_FAILURE,
    };
    let fits = said.iter().take_while(|said| {
        let length = said.line.words().len() + 20;
        let fits = length <= room;
        room = room.saturating_sub(length);
        fits
    });
    let fits = fits.count();
    said.truncate(fits);
    said.sort_by(|a, b| a.lane.cmp(&b.lane).then(a.at.total_cmp(&b.at)));
    let mut events: Vec<Event> = Vec::new();
    for group in said.chunk_by(|a, b| {
        a.lane == b.lane && b.at - a.at <= CLOSE_SHARE * whole.length() && a.warns == b.warns
    }) {
        events.extend(told(source, lanes, group));
    }
    events.extend((all > fits).then(|| Event {
        at: None,
        until: None,
        track: Track::Table,
        glyph: Glyph::None,
        who: "replicas".to_owned(),
        what: format!("{} not shown", count(all - fits, "log line", "log lines")),
        detail: "all are in the folder logs".to_owned(),
    }));
    events
}

fn told(source: &Source<'_>, lanes: &[Lane], group: &[Said<'_>]) -> Option<Event> {
    let first = group.first()?;
    let words: Vec<String> = group.iter().map(|said| said.line.words()).collect();
    Some(Event {
        at: Some(first.at),
        until: None,
        track: Track::Log(first.lane),
        glyph: if first.warns {
            Glyph::Warning
        } else {
            Glyph::Log
        },
        who: source.names.short(&lanes.get(first.lane)?.name).to_owned(),
        what: match group.len() {
            1 => "log".to_owned(),
            n => format!("log, {n} lines"),
        },
        detail: words.join(" ⏎ "),
    })
}
