//! What the registry says in every situation, read as Prometheus reads it.

use prometheus_client::encoding::text::encode;
use rstest::rstest;

use super::*;
use crate::clock::{Clock, PausedClock};

const SINCE: jiff::Timestamp = jiff::Timestamp::constant(1_705_312_800, 500_000_000);
const SECOND: Duration = Duration::from_secs(1);

/// What other tests of the election read.
impl LeaderMetrics {
    pub(in crate::leader) fn events(&self, outcome: Outcome) -> u64 {
        let outcome = outcome.as_str();
        self.events.get_or_create(&OutcomeLabel { outcome }).get()
    }

    pub(in crate::leader) fn terms_ended(&self, cause: Cause) -> u64 {
        let cause = cause.as_str();
        self.terms_ended.get_or_create(&CauseLabel { cause }).get()
    }

    pub(in crate::leader) fn last_takeover(&self, phase: &'static str) -> f64 {
        self.last_takeover
            .get(&PhaseLabel { phase })
            .map_or(-1.0, |gauge| gauge.get())
    }

    pub(in crate::leader) fn renewals(&self) -> u64 {
        let mut registry = Registry::default();
        registry.register("renewals", "", self.renew_seconds.clone());
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("renewals_count "));
        count.unwrap().parse().unwrap()
    }

    pub(in crate::leader) fn deadline(&self) -> Option<Moment> {
        *self.term.read().unwrap()
    }
}

struct Registered {
    registry: Registry,
    metrics: LeaderMetrics,
    clock: PausedClock,
}

fn registered(standing: Standing) -> Registered {
    let mut registry = Registry::with_prefix("five_spot");
    let clock = PausedClock::start();
    let lease = LeaseConfig::new("l", "n", 15, 10, 2).unwrap();
    let (_sender, receiver) = watch::channel(standing);
    let metrics = LeaderMetrics::register(
        &mut registry,
        "a",
        &lease,
        Arc::new(clock.clone()),
        receiver,
    );
    Registered {
        registry,
        metrics,
        clock,
    }
}

impl Registered {
    fn text(&self) -> String {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        text
    }

    /// The value of the one series of this name and these labels.
    fn value(&self, series: &str) -> Option<f64> {
        let text = self.text();
        let mut found = text
            .lines()
            .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = found.next()?.parse().unwrap();
        assert_eq!(found.next(), None, "{series}");
        Some(value)
    }
}

#[rstest]
#[case::leading(
    Standing::Leading { since: SINCE },
    &["five_spot_leader_status{pod=\"a\",is_leader=\"true\"} 1", "five_spot_leader_election_timestamp_seconds 1705312800.5"],
    &["is_leader=\"false\""]
)]
#[case::standing_by(
    Standing::StandingBy { leader: "b".into(), since: Some(SINCE) },
    &["five_spot_leader_status{pod=\"a\",is_leader=\"false\"} 1", "five_spot_leader_election_timestamp_seconds 1705312800.5"],
    &["is_leader=\"true\""]
)]
#[case::leaderless(
    Standing::Leaderless,
    &["five_spot_leader_status{pod=\"a\",is_leader=\"true\"} 0"],
    &["is_leader=\"false\"", "timestamp_seconds 0"]
)]
#[tokio::test(start_paused = true)]
async fn the_series_say_one_thing_at_a_time(
    #[case] standing: Standing,
    #[case] expected: &[&str],
    #[case] absent: &[&str],
) {
    let text = registered(standing).text();
    for line in expected {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    for line in absent {
        assert!(!text.contains(line), "{line} is too much in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_reason_and_cause_is_a_zero_from_the_start() {
    let registered = registered(Standing::Leaderless);
    for reason in Reason::ALL.map(Reason::as_str) {
        let series = format!("five_spot_leader_transitions_total{{reason=\"{reason}\"}}");
        assert_eq!(registered.value(&series), Some(0.0), "{series}");
    }
    for cause in Cause::ALL.map(Cause::as_str) {
        let series = format!("five_spot_leader_terms_ended_total{{cause=\"{cause}\"}}");
        assert_eq!(registered.value(&series), Some(0.0), "{series}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_left_of_a_term_shrinks_between_scrapes_grows_by_a_renewal_and_ends_with_the_term()
{
    const REMAINING: &str = "five_spot_leader_term_remaining_seconds";
    let registered = registered(Standing::Leaderless);
    assert_eq!(registered.value(REMAINING), Some(0.0), "a standby");
    let (metrics, clock) = (&registered.metrics, &registered.clock);
    metrics.took(Reason::Expired, SECOND, clock.now() + 10 * SECOND);
    tokio::time::sleep(4 * SECOND).await;
    assert_eq!(registered.value(REMAINING), Some(6.0));
    metrics.renewed(SECOND, clock.now() + 9 * SECOND);
    assert_eq!(registered.value(REMAINING), Some(9.0));
    tokio::time::sleep(20 * SECOND).await;
    assert_eq!(registered.value(REMAINING), Some(0.0), "past its deadline");
    metrics.renewed(SECOND, clock.now() + 9 * SECOND);
    metrics.ended(Cause::Lost);
    assert_eq!(registered.value(REMAINING), Some(0.0), "ended");
    assert_eq!(
        registered.value("five_spot_leader_terms_ended_total{cause=\"lost\"}"),
        Some(1.0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_takeover_is_not_credited_with_the_first_write_of_an_earlier_one() {
    const LEASE: &str = "five_spot_leader_last_takeover_seconds{phase=\"lease\"}";
    const WORK: &str = "five_spot_leader_last_takeover_seconds{phase=\"work\"}";
    let registered = registered(Standing::Leaderless);
    let (metrics, deadline) = (&registered.metrics, registered.clock.now());
    assert_eq!(
        (registered.value(LEASE), registered.value(WORK)),
        (None, None)
    );
    metrics.took(Reason::Released, SECOND / 4, deadline);
    metrics.first_write(SECOND / 2);
    assert_eq!(
        (registered.value(LEASE), registered.value(WORK)),
        (Some(0.25), Some(0.5))
    );
    metrics.took(Reason::Expired, 15 * SECOND, deadline);
    assert_eq!(
        (registered.value(LEASE), registered.value(WORK)),
        (Some(15.0), None)
    );
}

#[tokio::test(start_paused = true)]
async fn alerts_can_compare_with_what_the_election_is_set_to() {
    let registered = registered(Standing::Leaderless);
    let setting = |name: &str| {
        registered.value(&format!(
            "five_spot_lease_setting_seconds{{setting=\"{name}\"}}"
        ))
    };
    assert_eq!(setting("duration"), Some(15.0));
    assert_eq!(setting("renew_deadline"), Some(10.0));
    assert_eq!(setting("retry_period"), Some(2.0));
}

#[rstest]
#[case::standing_by(Standing::StandingBy { leader: "b".into(), since: Some(SINCE) }, Some(0.0), Some(1.0))]
#[case::leading(Standing::Leading { since: SINCE }, None, None)]
#[case::leaderless(Standing::Leaderless, None, None)]
#[tokio::test(start_paused = true)]
async fn a_standby_says_whether_it_is_connected_to_the_leader(
    #[case] standing: Standing,
    #[case] before: Option<f64>,
    #[case] while_it_stands: Option<f64>,
) {
    const CONNECTED: &str = "five_spot_hint_connected";
    let registered = registered(standing);
    assert_eq!(registered.value(CONNECTED), None, "hints are off");
    let connection = registered.metrics.hint_connection();
    assert_eq!(registered.value(CONNECTED), before);
    connection.store(true, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(registered.value(CONNECTED), while_it_stands);
}
