//! What the registry says in every situation, read as Prometheus reads it.

use prometheus_client::encoding::text::encode;
use rstest::rstest;

use super::*;
use crate::{
    clock::{Clock, PausedClock},
    fence::Fence,
};

const SINCE: jiff::Timestamp = jiff::Timestamp::constant(1_705_312_800, 500_000_000);
const SECOND: Duration = Duration::from_secs(1);

struct Registered {
    registry: Registry,
    metrics: PrometheusObserver,
    clock: PausedClock,
}

fn registered(status: &LeadershipStatus) -> Registered {
    let mut registry = Registry::with_prefix("my");
    let clock = PausedClock::start();
    let fence = FenceMetrics::register(&mut registry, &Fence::named("strict", "lenient").policies);
    let shared = Arc::new(clock.clone());
    let timing = Timing::default();
    let metrics = PrometheusObserver::register(&mut registry, "a", &timing, shared, fence);
    metrics.status(status);
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
    LeadershipStatus::Leading { since: SINCE },
    &["my_leader_status{pod=\"a\",is_leader=\"true\"} 1", "my_leader_election_timestamp_seconds 1705312800.5"],
    &["is_leader=\"false\""]
)]
#[case::standing_by(
    LeadershipStatus::StandingBy { leader: "b".into(), since: Some(SINCE) },
    &["my_leader_status{pod=\"a\",is_leader=\"false\"} 1", "my_leader_election_timestamp_seconds 1705312800.5"],
    &["is_leader=\"true\""]
)]
#[case::leaderless(
    LeadershipStatus::Leaderless,
    &["my_leader_status{pod=\"a\",is_leader=\"true\"} 0"],
    &["is_leader=\"false\"", "timestamp_seconds 0"]
)]
#[tokio::test(start_paused = true)]
async fn the_series_say_one_thing_at_a_time(
    #[case] status: LeadershipStatus,
    #[case] expected: &[&str],
    #[case] absent: &[&str],
) {
    let text = registered(&status).text();
    for line in expected {
        assert!(text.contains(line), "{line} is missing in\n{text}");
    }
    for line in absent {
        assert!(!text.contains(line), "{line} is too much in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_reason_and_cause_is_a_zero_from_the_start() {
    let registered = registered(&LeadershipStatus::Leaderless);
    for reason in words::<Reason>() {
        let series = format!("my_leader_transitions_total{{reason=\"{reason}\"}}");
        assert_eq!(registered.value(&series), Some(0.0), "{series}");
    }
    for cause in words::<Cause>() {
        let series = format!("my_leader_terms_ended_total{{cause=\"{cause}\"}}");
        assert_eq!(registered.value(&series), Some(0.0), "{series}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_left_of_a_term_shrinks_between_scrapes_grows_by_a_renewal_and_ends_with_the_term()
{
    const REMAINING: &str = "my_leader_term_remaining_seconds";
    let registered = registered(&LeadershipStatus::Leaderless);
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
        registered.value("my_leader_terms_ended_total{cause=\"lost\"}"),
        Some(1.0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_takeover_is_not_credited_with_the_first_write_of_an_earlier_one() {
    const LEASE: &str = "my_leader_last_takeover_seconds{phase=\"lease\"}";
    const WORK: &str = "my_leader_last_takeover_seconds{phase=\"work\"}";
    let registered = registered(&LeadershipStatus::Leaderless);
    let (metrics, deadline) = (&registered.metrics, registered.clock.now());
    let both = || (registered.value(LEASE), registered.value(WORK));
    assert_eq!(both(), (None, None));
    metrics.took(Reason::Released, SECOND / 4, deadline);
    metrics.first_write(SECOND / 2);
    assert_eq!(both(), (Some(0.25), Some(0.5)));
    metrics.took(Reason::Expired, 15 * SECOND, deadline);
    assert_eq!(both(), (Some(15.0), None));
}

#[tokio::test(start_paused = true)]
async fn alerts_can_compare_with_what_the_election_is_set_to() {
    let registered = registered(&LeadershipStatus::Leaderless);
    let setting =
        |name: &str| registered.value(&format!("my_lease_setting_seconds{{setting=\"{name}\"}}"));
    assert_eq!(setting("duration"), Some(15.0));
    assert_eq!(setting("renew_deadline"), Some(10.0));
    assert_eq!(setting("retry_period"), Some(2.0));
}

#[rstest]
#[case::standing_by(LeadershipStatus::StandingBy { leader: "b".into(), since: Some(SINCE) }, Some(0.0), Some(1.0))]
#[case::leading(LeadershipStatus::Leading { since: SINCE }, None, None)]
#[case::leaderless(LeadershipStatus::Leaderless, None, None)]
#[tokio::test(start_paused = true)]
async fn a_standby_says_whether_it_is_connected_to_the_leader(
    #[case] status: LeadershipStatus,
    #[case] before: Option<f64>,
    #[case] while_it_stands: Option<f64>,
) {
    const CONNECTED: &str = "my_hint_connected";
    let registered = registered(&status);
    assert_eq!(registered.value(CONNECTED), None, "hints are off");
    registered.metrics.hint_connected(false);
    assert_eq!(registered.value(CONNECTED), before);
    registered.metrics.hint_connected(true);
    assert_eq!(registered.value(CONNECTED), while_it_stands);
}

#[tokio::test(start_paused = true)]
async fn each_policy_of_the_fence_has_a_gauge_and_one_is_for_both() {
    let registered = registered(&LeadershipStatus::Leaderless);
    let gauges = || {
        [
            "active",
            "policy_active{policy=\"strict\"}",
            "policy_active{policy=\"lenient\"}",
        ]
        .map(|name| registered.value(&format!("my_fence_{name}")) == Some(1.0))
    };
    assert_eq!(gauges(), [false, false, false]);
    let mut states = PerPolicy {
        strict: State::Active,
        lenient: State::Off {
            reason: String::new(),
        },
    };
    registered.metrics.fence(&states);
    assert_eq!(gauges(), [false, true, false]);
    states.lenient = State::Active;
    registered.metrics.fence(&states);
    assert_eq!(gauges(), [true, true, true]);
    states.strict = State::Unknown {
        error: String::new(),
    };
    registered.metrics.fence(&states);
    assert_eq!(gauges(), [false, false, true]);
}
