//! Known instants, and every answer against a walk over minutes.

use jiff::{SignedDuration, Timestamp, civil, tz::TimeZone};
use proptest::prelude::*;
use rstest::rstest;

use super::{Schedule, ScheduleError};

fn schedule(days: &str, hours: &str, zone: &str) -> Schedule {
    Schedule::parse(&[days], &[hours], zone).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[rstest]
#[case::first_instant("mon", "9-17", "UTC", "2026-03-02T09:00:00Z", true)]
#[case::last_second_of_the_end_hour("mon", "9-17", "UTC", "2026-03-02T17:59:59Z", true)]
#[case::after_the_end_hour("mon", "9-17", "UTC", "2026-03-02T18:00:00Z", false)]
#[case::just_before("mon", "9-17", "UTC", "2026-03-02T08:59:59.999Z", false)]
#[case::other_day("mon", "9-17", "UTC", "2026-03-03T12:00:00Z", false)]
#[case::days_wrap("fri-mon", "12", "UTC", "2026-03-01T12:30:00Z", true)]
#[case::days_wrap_leaves_out_the_rest("fri-mon", "12", "UTC", "2026-03-04T12:30:00Z", false)]
#[case::hours_wrap("mon-fri", "22-6", "UTC", "2026-03-02T00:00:00Z", true)]
#[case::night_does_not_follow_its_evening("mon-fri", "22-6", "UTC", "2026-03-07T00:00:00Z", false)]
#[case::union_of_parts("mon-wed,fri-sun", "0-8,18-23", "UTC", "2026-03-06T18:00:00Z", true)]
#[case::hole_in_the_union("mon-wed,fri-sun", "0-8,18-23", "UTC", "2026-03-05T18:00:00Z", false)]
#[case::local_time_counts("mon", "0", "Asia/Kathmandu", "2026-03-01T18:15:00Z", true)]
#[case::offset_of_quarter_hours("mon", "0", "Asia/Kathmandu", "2026-03-01T18:14:59Z", false)]
fn a_window_is_open_when_day_and_hour_are(
    #[case] days: &str,
    #[case] hours: &str,
    #[case] zone: &str,
    #[case] instant: &str,
    #[case] open: bool,
) {
    assert_eq!(schedule(days, hours, zone).is_active(at(instant)), open);
}

#[test]
fn items_of_a_list_are_united() {
    let united = Schedule::parse(&["mon", "wed"], &["1", "3"], "UTC").unwrap();
    assert!(united.is_active(at("2026-03-04T03:00:00Z")));
    assert!(!united.is_active(at("2026-03-03T03:00:00Z")));
    assert!(!united.is_active(at("2026-03-04T02:00:00Z")));
}

#[rstest]
#[case::same_day("mon-fri 9-17 UTC", "2026-03-02T08:00:00.5Z -> 2026-03-02T09:00:00Z")]
#[case::on_the_boundary("mon-fri 9-17 UTC", "2026-03-02T09:00:00Z -> 2026-03-02T18:00:00Z")]
#[case::over_the_weekend("mon-fri 9-17 UTC", "2026-03-06T18:00:00Z -> 2026-03-09T09:00:00Z")]
#[case::days_of_all_hours("sat 0-23 UTC", "2026-03-07T05:00:00Z -> 2026-03-08T00:00:00Z")]
#[case::always_open("mon-sun 0-23 Europe/Berlin", "2026-03-07T05:00:00Z -> never")]
// Berlin goes from 02:00 to 03:00 on 2026-03-29: that Sunday has no hour 2.
#[case::skipped_hour_is_lost("sun 2 Europe/Berlin", "2026-03-28T12:00:00Z -> 2026-04-05T00:00:00Z")]
#[case::window_opens_at_the_jump(
    "sun 2-4 Europe/Berlin",
    "2026-03-28T12:00:00Z -> 2026-03-29T01:00:00Z"
)]
// Berlin goes from 03:00 back to 02:00 on 2026-10-25: hour 2 comes twice, without a gap between.
#[case::repeated_hour_opens("sun 2 Europe/Berlin", "2026-10-24T12:00:00Z -> 2026-10-25T00:00:00Z")]
#[case::repeated_hour_lasts_twice(
    "sun 2 Europe/Berlin",
    "2026-10-25T00:00:00Z -> 2026-10-25T02:00:00Z"
)]
// Lord Howe goes from 02:00 back to 01:30 on 2026-04-05 (15:00Z the day before): hour 1 returns for half an hour.
#[case::half_hour_back(
    "sun 1 Australia/Lord_Howe",
    "2026-04-04T12:00:00Z -> 2026-04-04T14:00:00Z"
)]
#[case::half_hour_longer(
    "sun 1 Australia/Lord_Howe",
    "2026-04-04T14:00:00Z -> 2026-04-04T15:30:00Z"
)]
// Samoa had no Friday, 2011-12-30.
#[case::skipped_day_is_lost(
    "fri 0-23 Pacific/Apia",
    "2011-12-29T00:00:00Z -> 2012-01-05T10:00:00Z"
)]
#[case::day_after_the_skipped_one(
    "sat 0-23 Pacific/Apia",
    "2011-12-29T00:00:00Z -> 2011-12-30T10:00:00Z"
)]
fn the_next_boundary_is_exact(#[case] window: &str, #[case] boundary: &str) {
    let [days, hours, zone]: [&str; 3] = window.split(' ').collect::<Vec<_>>().try_into().unwrap();
    let (after, expected) = boundary.split_once(" -> ").unwrap();
    let found = schedule(days, hours, zone).next_boundary(at(after));
    let found = found.map_or("never".to_owned(), |found| found.to_string());
    assert_eq!(found, expected);
}

#[test]
fn a_repeated_hour_that_does_not_touch_itself_is_open_twice() {
    // Berlin again: of hour 1 and hour 3 nothing repeats, and hour 2 is shut between.
    let nightly = schedule("sun", "1,3", "Europe/Berlin");
    let shuts = nightly
        .next_deactivation(at("2026-10-24T23:30:00Z"))
        .unwrap();
    assert_eq!(shuts, at("2026-10-25T00:00:00Z"));
    assert_eq!(
        nightly.next_activation(shuts),
        Some(at("2026-10-25T02:00:00Z"))
    );
}

#[test]
fn activation_and_deactivation_follow_from_where_the_window_is() {
    let office = schedule("mon-fri", "9-17", "Europe/Berlin");
    let inside = at("2026-06-01T10:00:00Z");
    assert_eq!(
        office.next_deactivation(inside),
        Some(at("2026-06-01T16:00:00Z"))
    );
    assert_eq!(
        office.next_activation(inside),
        Some(at("2026-06-02T07:00:00Z"))
    );
    let outside = at("2026-06-01T20:00:00Z");
    assert_eq!(
        office.next_activation(outside),
        Some(at("2026-06-02T07:00:00Z"))
    );
    assert_eq!(
        office.next_deactivation(outside),
        Some(at("2026-06-02T16:00:00Z"))
    );
}

#[test]
fn a_window_that_never_opens_has_no_boundary() {
    let never = Schedule::parse::<&str, _>(&[], &["0-23"], "UTC").unwrap();
    assert!(!never.is_active(at("2026-03-02T09:00:00Z")));
    assert_eq!(never.next_boundary(at("2026-03-02T09:00:00Z")), None);
    assert_eq!(never.next_activation(at("2026-03-02T09:00:00Z")), None);
}

#[test]
fn the_end_of_time_is_no_panic() {
    assert_eq!(
        schedule("mon", "9", "UTC").next_boundary(Timestamp::MAX),
        None
    );
    assert!(
        schedule("mon", "9", "UTC")
            .next_boundary(Timestamp::MIN)
            .is_some()
    );
}

#[rstest]
#[case("")]
#[case("Mon")]
#[case("monday")]
#[case("mon-")]
#[case("-mon")]
#[case("mon,,tue")]
#[case("mon-wed-fri")]
#[case(" mon")]
#[case("mön")]
fn a_day_that_cannot_be_read_is_named(#[case] item: &str) {
    let error = Schedule::parse(&["tue", item], &["9"], "UTC").unwrap_err();
    assert_eq!(
        error,
        ScheduleError::Days {
            item: item.to_owned()
        }
    );
    assert!(error.to_string().contains("schedule.daysOfWeek"), "{error}");
    assert!(error.to_string().contains(&format!("{item:?}")), "{error}");
}

#[rstest]
#[case("")]
#[case("24")]
#[case("9-24")]
#[case("+9")]
#[case("009")]
#[case("9-")]
#[case("9-17-3")]
#[case("9,,10")]
#[case("9 ")]
#[case("٩")]
fn an_hour_that_cannot_be_read_is_named(#[case] item: &str) {
    let error = Schedule::parse(&["mon"], &["1", item], "UTC").unwrap_err();
    assert_eq!(
        error,
        ScheduleError::Hours {
            item: item.to_owned()
        }
    );
    assert!(error.to_string().contains("0 to 23"), "{error}");
}

#[rstest]
#[case("")]
#[case("Mars/Olympus")]
#[case("Etc/Unknown")]
#[case("../../etc/passwd")]
#[case("UTC+1")]
fn a_zone_that_is_not_known_is_named(#[case] zone: &str) {
    let error = Schedule::parse(&["mon"], &["1"], zone).unwrap_err();
    assert_eq!(
        error,
        ScheduleError::Zone {
            zone: zone.to_owned()
        }
    );
}

/// Zones whose transitions differ in kind, each with an instant shortly before one of them.
fn near_a_transition() -> impl Strategy<Value = (&'static str, Timestamp)> {
    prop_oneof![
        Just(("UTC", "2026-03-01T00:00:00Z")),
        Just(("Europe/Berlin", "2026-03-28T00:00:00Z")),
        Just(("Europe/Berlin", "2026-10-24T00:00:00Z")),
        Just(("America/New_York", "2026-03-07T00:00:00Z")),
        Just(("America/New_York", "2040-11-03T00:00:00Z")),
        Just(("America/St_Johns", "2006-10-28T00:00:00Z")),
        Just(("Australia/Lord_Howe", "2026-04-04T00:00:00Z")),
        Just(("Australia/Lord_Howe", "2026-10-03T00:00:00Z")),
        Just(("Asia/Kathmandu", "1985-12-31T00:00:00Z")),
        Just(("Asia/Pyongyang", "2018-05-04T00:00:00Z")),
        Just(("America/Caracas", "2016-04-30T12:00:00Z")),
        Just(("Pacific/Apia", "2011-12-29T00:00:00Z")),
        Just(("Pacific/Kwajalein", "1993-08-19T12:00:00Z")),
        Just(("Africa/Casablanca", "2026-02-14T00:00:00Z")),
        Just(("Antarctica/Troll", "2026-03-28T12:00:00Z")),
    ]
    .prop_flat_map(|(zone, start)| {
        let start = at(start);
        (0_i64..3 * 86_400).prop_map(move |ahead| (zone, start + SignedDuration::from_secs(ahead)))
    })
}

/// What the window is at `instant`, told from the calendar alone.
fn open_by_calendar(days: u8, hours: u32, zone: &TimeZone, instant: Timestamp) -> bool {
    let local: civil::DateTime = zone.to_datetime(instant);
    let day = local.date().weekday().to_monday_zero_offset();
    days & (1 << day) != 0 && hours & (1 << local.time().hour()) != 0
}

fn walk(
    days: u8,
    hours: u32,
    zone: &TimeZone,
    after: Timestamp,
    minutes: i64,
) -> Option<Timestamp> {
    let open = open_by_calendar(days, hours, zone, after);
    let minute = after.as_second().div_euclid(60) * 60;
    (1..=minutes)
        .map(|ahead| Timestamp::from_second(minute + ahead * 60).unwrap())
        .find(|instant| open_by_calendar(days, hours, zone, *instant) != open)
}

fn written(bits: u32, size: u32, name: impl Fn(u32) -> String) -> Vec<String> {
    (0..size)
        .filter(|bit| bits & (1 << bit) != 0)
        .map(name)
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_next_boundary_is_the_one_that_a_walk_over_minutes_finds(
        days in 0_u8..128,
        hours in prop_oneof![0_u32..1 << 24, (0_u32..24).prop_map(|hour| 1 << hour), Just((1_u32 << 24) - 1)],
        (zone, after) in near_a_transition(),
    ) {
        const MINUTES: i64 = 9 * 24 * 60;
        let day_names = written(u32::from(days), 7, |day| super::grammar::DAYS[day as usize].to_owned());
        let hour_names = written(hours, 24, |hour| hour.to_string());
        let schedule = Schedule::parse(&day_names, &hour_names, zone).unwrap();
        let zone = TimeZone::get(zone).unwrap();

        prop_assert_eq!(schedule.is_active(after), open_by_calendar(days, hours, &zone, after));
        let found = schedule.next_boundary(after);
        let walked = walk(days, hours, &zone, after, MINUTES);
        let limit = after + SignedDuration::from_mins(MINUTES - 1);
        prop_assert_eq!(found.filter(|boundary| *boundary <= limit), walked.filter(|boundary| *boundary <= limit));
        if let Some(boundary) = found {
            prop_assert!(boundary > after);
            prop_assert_ne!(schedule.is_active(boundary), schedule.is_active(after));
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(day in ".{0,12}", hour in ".{0,12}", zone in ".{0,24}") {
        let _answer = Schedule::parse(&[day], &[hour], &zone);
    }
}
