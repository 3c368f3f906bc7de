//! What is told of the recorded trial, and of what was added to it by hand.

use std::time::Duration;

use super::*;
use crate::page::{
    logs::Logs,
    tests::{drawn_out, recorded, said_at, troubled},
};
use failover_judging::{
    judge::judge,
    observed::Strike,
    samples::{PROMISE, says},
};

fn view(data: &TrialData) -> TrialView {
    view_with(data, &Logs::default())
}

fn view_with(data: &TrialData, logs: &Logs) -> TrialView {
    TrialView::of(data, &judge(data, PROMISE), logs)
}

fn event<'a>(view: &'a TrialView, what: &str) -> &'a Event {
    view.events
        .iter()
        .find(|event| event.what.contains(what))
        .unwrap_or_else(|| panic!("no {what:?} in {:#?}", view.events))
}

fn of_glyph(view: &TrialView, glyph: Glyph) -> Vec<&Event> {
    let events = view.events.iter();
    events.filter(|event| event.glyph == glyph).collect()
}

fn about(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() < 2.0)
}

#[test]
fn the_old_leader_comes_first_and_the_new_one_second() {
    let view = view(&recorded());
    let lanes: Vec<(&str, &str)> = view
        .lanes
        .iter()
        .map(|lane| (view.names.short(&lane.name), lane.role))
        .collect();
    assert_eq!(
        lanes,
        [
            ("26tcn", "old leader"),
            ("nz7zr", "new leader"),
            ("zjmv4", "standby"),
            ("4tdwd", "newcomer")
        ]
    );
}

#[test]
fn a_lane_goes_through_the_states_of_its_pod() {
    let view = view(&recorded());
    let states = |index: usize| {
        view.lanes[index]
            .states
            .iter()
            .map(|(_, state)| *state)
            .collect::<Vec<_>>()
    };
    assert_eq!(states(0), [State::Ready, State::Terminating, State::Down]);
    assert_eq!(states(1), [State::Ready]);
    assert_eq!(states(3), [State::Starting, State::NotReady, State::Ready]);
    for lane in &view.lanes {
        for pair in lane.states.windows(2) {
            assert_eq!(pair[0].0.to, pair[1].0.from, "{lane:?}");
        }
    }
}

#[test]
fn the_lease_passes_from_one_pod_to_the_next_with_a_gap() {
    let view = view(&recorded());
    let [old, new] = view.terms.as_slice() else {
        panic!("{:?}", view.terms);
    };
    assert!(old.holder.ends_with("26tcn") && new.holder.ends_with("nz7zr"));
    assert!(old.span.to < new.span.from, "{:?}", view.terms);
    assert_eq!((old.silent, new.silent), (None, None));
    assert_eq!(view.lanes[0].holds.len(), 1);
    assert_eq!(
        view.lanes[0].holds[0].from, view.whole.from,
        "it held the Lease from the start"
    );
}

#[test]
fn the_turning_points_are_events_of_their_own() {
    let data = recorded();
    let view = view(&data);
    assert_eq!(event(&view, "fault: graceful").at, Some(0.0));
    let released = event(&view, "Lease released").at.unwrap();
    let taken = event(&view, "Lease taken, says: released");
    let last = event(&view, "last write of the old leader").at.unwrap();
    let first = event(&view, "first write of the new leader");
    assert!(last < released && released < taken.at.unwrap() && taken.at < first.at);
    says(&taken.detail, &["revision 2170"]);
    assert_eq!(first.who, "nz7zr");
    assert!(event(&view, "asked to stop").at.unwrap() > 0.0);
    says(&event(&view, "metrics read").detail, &["nz7zr: leading"]);
}

#[test]
fn writes_that_follow_each_other_are_one_event_and_every_one_a_tick() {
    let data = recorded();
    let view = view(&data);
    let ticks: usize = view.lanes.iter().map(|lane| lane.writes.len()).sum();
    let writes = data
        .calls
        .iter()
        .filter(|call| call.user == data.operator && call.is_work_write() && call.accepted())
        .count();
    assert_eq!(ticks, writes);
    let told = of_glyph(&view, Glyph::Writes).len();
    assert!(told < 8, "{told} events for {writes} writes");
}

#[test]
fn a_longer_trial_has_hardly_more_to_tell() {
    let short = view(&recorded()).events.len();
    let long = view(&drawn_out(Duration::from_secs(40))).events.len();
    // The canary of the recorded trial pauses once in each of the ten rounds.
    assert!(long <= short + 10, "{short} and {long}");
}

#[test]
fn renewals_that_follow_each_other_are_one_event_on_either_side_of_the_fault() {
    let view = view(&recorded());
    let runs = of_glyph(&view, Glyph::Renewal);
    let [before, after] = runs.as_slice() else {
        panic!("{runs:#?}");
    };
    assert!(before.what.starts_with("Lease renewed "), "{before:?}");
    assert!(
        before.until.unwrap() < 0.0 && after.at.unwrap() > 0.0,
        "{runs:#?}"
    );
    assert!(view.renewals.len() > 2, "every one is a dot");
}

#[test]
fn what_the_work_rule_ignores_is_no_work_here_either() {
    let mut data = recorded();
    data.work.ignore = vec!["scheduledmachines.5spot.finos.org/status".parse().unwrap()];
    let view = view(&data);
    assert!(view.lanes.iter().all(|lane| lane.writes.is_empty()));
}

#[test]
fn requests_that_fail_again_and_again_are_one_event() {
    let mut data = recorded();
    for own in data.own.iter_mut().take(20) {
        own.code = 0;
    }
    let view = view(&data);
    let failed = of_glyph(&view, Glyph::Failed);
    assert!((1..=2).contains(&failed.len()), "{failed:#?}");
    says(&failed[0].what, &[" requests: no answer"]);
}

#[test]
fn stray_and_refused_writes_are_told_apart() {
    let view = view(&troubled());
    let stray = event(&view, "stray write");
    assert_eq!((stray.glyph, stray.track), (Glyph::Stray, Track::Writes(0)));
    says(&stray.detail, &["audit stray-1"]);
    let refused = event(&view, "1 work write refused");
    assert_eq!(refused.glyph, Glyph::Refused);
    says(&refused.detail, &["(403)", "audit stray-3"]);
}

#[test]
fn a_request_that_hung_lasts_and_the_rig_has_its_say_first() {
    let view = view(&troubled());
    let hung = event(&view, "no answer");
    assert!(
        about(hung.at, 400.0) && about(hung.until, 1900.0),
        "{hung:?}"
    );
    assert_eq!(view.events[0].at, None);
    says(
        &view.events[0].detail,
        &["the watch on pods was broken for 1500 ms"],
    );
}

#[test]
fn a_short_takeover_has_a_close_up_and_a_long_one_has_none() {
    let told = view(&recorded());
    let close_up = told.close_up.unwrap();
    let first = event(&told, "first write of the new leader").at.unwrap();
    assert!(close_up.holds(0.0) && close_up.holds(first), "{close_up:?}");
    assert!(close_up.length() < 1000.0, "{close_up:?}");
    let mut data = recorded();
    data.strike = Strike::between(data.strike.issued + Duration::ZERO, data.strike.returned);
    data.ended = data.strike.issued + Duration::from_millis(300);
    data.began = data.strike.issued;
    assert_eq!(view(&data).close_up, None);
}

#[test]
fn a_takeover_that_begins_later_has_its_close_up_then() {
    let data = recorded();
    let mut result = judge(&data, PROMISE);
    result.phases.onset_ms = 1000.0;
    let view = TrialView::of(&data, &result, &Logs::default());
    let close_up = view.close_up.unwrap();
    assert!(
        close_up.from > 900.0 && close_up.holds(1097.3),
        "{close_up:?}"
    );
}

#[test]
fn a_silent_holder_is_drawn_silent_until_another_takes_the_lease() {
    let mut data = recorded();
    data.id.fault = failover_judging::fault::FaultKind::CrashLoop;
    // Nobody releases, and the new leader takes the Lease 16 s later.
    let released = |holder: &str| holder.is_empty();
    data.calls.retain(|call| call.lease.is_none());
    data.leases.retain(|seen| !released(&seen.record.holder));
    let old = data.before.holder.clone();
    for seen in data
        .leases
        .iter_mut()
        .filter(|seen| seen.record.holder != old)
    {
        seen.at = seen.at + Duration::from_secs(16);
    }
    data.ended = data.ended + Duration::from_secs(16);
    let view = view(&data);
    let silent = view.terms[0].silent.unwrap();
    assert_eq!(silent.to, view.terms[1].span.from);
    let lapse = event(&view, "right to the Lease lapses");
    assert!(about(lapse.at, silent.from + 15_000.0), "{lapse:?}");
    says(&lapse.detail, &["15.00 s"]);
}

#[test]
fn without_a_clock_map_the_page_says_what_it_can_not_place() {
    let mut data = recorded();
    data.own.clear();
    let view = view(&data);
    assert_eq!(view.events[0].what, "clocks");
    assert!(view.lanes.iter().all(|lane| lane.writes.is_empty()));
}

#[test]
fn lines_that_a_pod_wrote_at_once_are_one_mark_in_its_lane() {
    let data = recorded();
    let mut logs = Logs::default();
    let lines = ["stopping", "released"].map(|text| said_at(&data, 90.0, text));
    logs.add(data.before.pod(), &lines.concat());
    logs.add(data.before.pod(), &said_at(&data, 300.0, "E1125 gone"));
    let view = view_with(&data, &logs);
    let said = event(&view, "log, 2 lines");
    assert_eq!((said.track, said.glyph), (Track::Log(0), Glyph::Log));
    assert_eq!(said.detail, "stopping ⏎ released");
    assert!(about(said.at, 90.0), "{said:?}");
    assert_eq!(of_glyph(&view, Glyph::Warning).len(), 1);
}

#[test]
fn of_a_long_log_the_warnings_and_what_is_near_the_takeover_are_shown_and_the_rest_is_counted() {
    let data = recorded();
    let mut logs = Logs::default();
    let long = "x".repeat(100);
    let lines: Vec<String> = (0..100_u32)
        .map(|index| {
            let at = -3900.0 + 60.0 * f64::from(index);
            let text = match index {
                3 => "W1125 early".to_owned(),
                _ => format!("{index} {long}"),
            };
            said_at(&data, at, &text)
        })
        .collect();
    logs.add(data.before.pod(), &lines.concat());
    let view = view_with(&data, &logs);
    let shown: Vec<&Event> = view
        .events
        .iter()
        .filter(|event| matches!(event.track, Track::Log(_)))
        .collect();
    let length: usize = shown.iter().map(|event| event.detail.len()).sum();
    assert!((600..1200).contains(&length), "{length}");
    says(&shown[0].detail, &["early"]);
    assert!(
        shown[1..].iter().all(|said| said.at.unwrap() > -1100.0),
        "{shown:#?}"
    );
    assert_eq!(view.events[0].detail, "all are in the folder logs");
}

#[test]
fn a_trial_that_failed_has_more_room_for_its_logs() {
    let said = |data: &TrialData| {
        let mut logs = Logs::default();
        let line = said_at(data, 90.0, &"x".repeat(100));
        logs.add(data.before.pod(), &line.repeat(50));
        event(&view_with(data, &logs), "log, ").detail.len()
    };
    assert!(said(&troubled()) > 2 * said(&recorded()));
}

#[test]
fn a_container_that_is_about_to_run_is_no_event() {
    let mut data = recorded();
    let creating = |data: &TrialData| {
        let events = view(data).events;
        events.iter().any(|event| event.what.contains("waiting: "))
    };
    assert!(!creating(&data));
    for pod in &mut data.pods {
        if let Some(waiting) = &mut pod.waiting {
            *waiting = "ErrImagePull: no such image".to_owned();
        }
    }
    assert!(creating(&data));
}

#[test]
fn pods_on_several_nodes_say_which() {
    let mut data = recorded();
    assert!(view(&data).lanes.iter().all(|lane| lane.node.is_none()));
    let old = data.before.pod().to_owned();
    for pod in &mut data.pods {
        let agent = i32::from(pod.name != old);
        pod.node = Some(format!("five-spot-agent-{agent}"));
    }
    let lanes = view(&data).lanes;
    let nodes: Vec<Option<&str>> = lanes.iter().map(|lane| lane.node.as_deref()).collect();
    assert_eq!(nodes[..2], [Some("0"), Some("1")]);
}

#[test]
fn evictions_are_told_in_the_lane_of_their_pod() {
    let mut data = recorded();
    let eviction = |ms, code, by_budget| failover_judging::observed::Eviction {
        pod: data.before.pod().to_owned(),
        leader: true,
        at: data.strike.issued + Duration::from_millis(ms),
        took_ms: 5.0,
        code,
        message: String::new(),
        by_budget,
    };
    data.strike.evictions = vec![eviction(1, 429, true), eviction(20, 201, false)];
    let view = view(&data);
    let refused = event(&view, "eviction refused by the disruption budget");
    assert_eq!(
        (refused.track, refused.glyph),
        (Track::Pod(0), Glyph::Refused)
    );
    assert_eq!(event(&view, "eviction allowed").glyph, Glyph::Pod);
}
