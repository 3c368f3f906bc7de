//! The fence of an API server in memory, as replicas find it.

mod cluster;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rstest::rstest;
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::*;
use cluster::{BOTH, Cluster, Contents, RENEWED};

const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// A replica's tester at work.
struct Tested {
    /// None as long as nothing was found.
    states: watch::Receiver<Option<PerPolicy<State>>>,
    leads: Arc<AtomicBool>,
    _task: tokio::task::JoinSet<()>,
}

impl Tested {
    /// A tester for the replica `me`, which believes that it leads, or not.
    fn start(cluster: &Cluster, me: &'static str, leads: bool) -> Self {
        let leads = Arc::new(AtomicBool::new(leads));
        let seen = Arc::clone(&leads);
        let acknowledged = Box::new(move || {
            let leads = seen.load(Ordering::SeqCst);
            leads.then(|| RENEWED.parse().unwrap())
        });
        let (found, states) = watch::channel(None);
        let shown = Box::new(move |states: &PerPolicy<State>| {
            found.send_replace(Some(states.clone()));
        });
        let tester = FenceTester::new(cluster.fence(me), Advice::default(), acknowledged, shown);
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { match tester.run().await {} });
        Self {
            states,
            leads,
            _task: task,
        }
    }

    fn state(&self, policy: Policy) -> State {
        let states = self.states.borrow();
        states.as_ref().unwrap().of(policy).clone()
    }

    fn is_active(&self) -> bool {
        self.states
            .borrow()
            .as_ref()
            .is_some_and(PerPolicy::are_active)
    }

    /// Why the policy is off.
    fn reason(&self, policy: Policy) -> String {
        match self.state(policy) {
            State::Off { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    /// The policy is off, and this is in the reason.
    #[track_caller]
    fn assert_off(&self, policy: Policy, why: &str) {
        let reason = self.reason(policy);
        assert!(reason.contains(why), "{reason}");
    }

    /// Why nothing is known of the policy.
    fn error(&self, policy: Policy) -> String {
        match self.state(policy) {
            State::Unknown { error } => error,
            other => panic!("{other:?}"),
        }
    }
}

#[rstest]
#[case::leader("a", true)]
#[case::standby("b", false)]
#[tokio::test(start_paused = true)]
async fn a_fence_in_force_is_found_at_once_by_leader_and_standby(
    #[case] me: &'static str,
    #[case] leads: bool,
) {
    let tested = Tested::start(&Cluster::led_by("a"), me, leads);
    assert!(!tested.is_active(), "nothing is claimed before the test");
    sleep(Duration::from_millis(1)).await;
    assert!(tested.is_active());
}

#[rstest]
#[case::leader("a", true, 0)]
#[case::standby("b", false, 1)]
#[tokio::test(start_paused = true)]
async fn a_test_of_each_policy_a_minute_is_all_that_it_costs(
    #[case] me: &'static str,
    #[case] leads: bool,
    #[case] reads: usize,
) {
    let cluster = Cluster::led_by("a");
    let _tested = Tested::start(&cluster, me, leads);
    sleep(9 * MINUTE + 59 * SECOND).await;
    let contents = cluster.contents();
    assert_eq!((contents.asked, contents.read), (20, 10 * reads));
}

#[rstest]
#[case::no_policy(|c: &mut Contents, policy| *c.has_policy.of_mut(policy) = false, "apply the manifest")]
#[case::no_probe(|c: &mut Contents, policy| *c.has_probe.of_mut(policy) = false, "no ConfigMap my-fence")]
#[case::no_rights(|c: &mut Contents, _| c.has_rights = false, "grant the right")]
#[tokio::test(start_paused = true)]
async fn a_policy_that_goes_missing_is_off_within_a_minute_and_back_soon_after_it_is(
    #[case] damage: fn(&mut Contents, Policy),
    #[case] advice: &str,
    #[values(Policy::Strict, Policy::Lenient)] policy: Policy,
    #[values(("a", true), ("b", false))] (me, leads): (&'static str, bool),
) {
    let cluster = Cluster::led_by("a");
    let tested = Tested::start(&cluster, me, leads);
    sleep(SECOND).await;
    let whole = cluster.contents().clone();
    damage(&mut cluster.contents(), policy);
    sleep(MINUTE).await;
    tested.assert_off(policy, advice);
    let other = match policy {
        Policy::Strict => Policy::Lenient,
        Policy::Lenient => Policy::Strict,
    };
    let is_all = !cluster.contents().has_rights;
    assert_eq!(tested.state(other) != State::Active, is_all);
    *cluster.contents() = whole;
    sleep(4 * SECOND).await;
    assert!(tested.is_active());
}

/// As when the binding is there and the policy it names is not, or its action is Audit: a standby's write passes.
#[tokio::test(start_paused = true)]
async fn what_is_off_is_named_by_its_policy_and_its_probe() {
    let cluster = Cluster::led_by("a");
    cluster.contents().has_policy.lenient = false;
    let tested = Tested::start(&cluster, "b", false);
    sleep(SECOND).await;
    tested.assert_off(Policy::Lenient, "my-fence-shared or its binding");
    cluster.contents().has_policy = BOTH;
    cluster.contents().has_probe.lenient = false;
    sleep(2 * SECOND).await;
    tested.assert_off(Policy::Lenient, "ConfigMap my-fence-shared");
}

#[rstest]
#[case::standby("b", false, "of-that-day")]
#[case::new_leader("a", true, "of-that-day")]
#[case::leader_of_that_day("a", true, "a")]
#[tokio::test(start_paused = true)]
async fn an_api_server_that_stopped_following_the_lease_is_found_out(
    #[case] me: &'static str,
    #[case] leads: bool,
    #[case] of_that_day: &'static str,
) {
    let cluster = Cluster::led_by("a");
    cluster.contents().frozen = Some(of_that_day);
    let tested = Tested::start(&cluster, me, leads);
    sleep(3 * SECOND).await;
    for policy in Policy::ALL {
        tested.assert_off(policy, "restart kube-apiserver");
    }
    assert_eq!(cluster.contents().read > 0, !leads);
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_the_api_server_has_yet_to_see_is_no_reason_for_doubt() {
    let cluster = Cluster::led_by("a");
    cluster.contents().frozen = Some("a");
    let fence = cluster.fence("b");
    let (refused, ()) = tokio::join!(fence.refuses_me(), async {
        sleep(Duration::from_millis(50)).await;
        cluster.contents().frozen = None;
    });
    assert!(refused);
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_refuses_the_leader_names_another_lease() {
    let tested = Tested::start(&Cluster::led_by("another"), "a", true);
    sleep(SECOND).await;
    assert!(tested.states.borrow().is_none(), "once may be late news");
    sleep(2 * SECOND).await;
    for policy in Policy::ALL {
        let reason = tested.reason(policy);
        assert!(reason.contains("refuses the leader") && reason.contains("must name the Lease"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_accepts_a_standby_is_off_and_not_active() {
    let tested = Tested::start(&Cluster::led_by("b"), "b", false);
    sleep(3 * SECOND).await;
    for policy in Policy::ALL {
        tested.assert_off(policy, "takes a standby for the holder");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_changes_hands_turns_nothing_off() {
    let cluster = Cluster::led_by("a");
    let mut tested = Tested::start(&cluster, "b", false);
    sleep(Duration::from_millis(59_999)).await;
    assert!(tested.is_active());
    tested.states.mark_unchanged();
    // The Lease names it already when it is tested; that it leads it learns a moment later.
    cluster.contents().holder = Some("b");
    sleep(Duration::from_millis(10)).await;
    tested.leads.store(true, Ordering::SeqCst);
    sleep(2 * MINUTE).await;
    assert!(!tested.states.has_changed().unwrap(), "{:?}", tested.states);
}

#[rstest]
#[case::standby("b", false)]
#[case::leader("a", true)]
#[tokio::test(start_paused = true)]
async fn without_a_lease_nothing_is_known_until_there_is_one(
    #[case] me: &'static str,
    #[case] leads: bool,
) {
    let cluster = Cluster::led_by("a");
    cluster.contents().holder = None;
    let tested = Tested::start(&cluster, me, leads);
    sleep(5 * SECOND).await;
    let error = tested.error(Policy::Strict);
    assert!(error.contains("no params found"), "{error}");
    let error = tested.error(Policy::Lenient);
    assert!(error.contains("there is no Lease"), "{error}");
    cluster.contents().holder = Some("a");
    sleep(10 * SECOND).await;
    assert!(tested.is_active());
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_silent_makes_the_fence_unknown_and_one_lost_answer_does_not() {
    let cluster = Cluster::led_by("a");
    let mut tested = Tested::start(&cluster, "a", true);
    sleep(Duration::from_millis(59_999)).await;
    assert!(tested.is_active());
    tested.states.mark_unchanged();
    cluster.contents().is_reachable = false;
    sleep(2 * SECOND).await;
    cluster.contents().is_reachable = true;
    sleep(30 * SECOND).await;
    assert!(!tested.states.has_changed().unwrap(), "{:?}", tested.states);

    cluster.contents().is_reachable = false;
    sleep(MINUTE + 10 * SECOND).await;
    for policy in Policy::ALL {
        assert_eq!(tested.error(policy), "no answer within 1s");
    }
    assert!(!tested.is_active());
}

#[tokio::test(start_paused = true)]
async fn a_policy_of_which_nothing_is_heard_leaves_the_other_as_it_is() {
    let cluster = Cluster::led_by("a");
    cluster.contents().is_lenient_answered = false;
    let tested = Tested::start(&cluster, "b", false);
    sleep(5 * SECOND).await;
    assert_eq!(tested.state(Policy::Strict), State::Active);
    assert_eq!(tested.error(Policy::Lenient), "no answer within 1s");
    assert!(!tested.is_active());
}

#[rstest]
#[case::standby("b", |_: &mut Contents| (), true)]
#[case::holder("a", |_: &mut Contents| (), false)]
#[case::no_strict_policy("b", |c: &mut Contents| c.has_policy.strict = false, false)]
#[case::no_lenient_policy("b", |c: &mut Contents| c.has_policy.lenient = false, false)]
#[case::no_rights("b", |c: &mut Contents| c.has_rights = false, false)]
#[case::no_strict_probe("b", |c: &mut Contents| c.has_probe.strict = false, false)]
#[case::no_lenient_probe("b", |c: &mut Contents| c.has_probe.lenient = false, false)]
#[case::no_lease("b", |c: &mut Contents| c.holder = None, false)]
#[case::frozen("b", |c: &mut Contents| c.frozen = Some("a"), false)]
#[tokio::test]
async fn a_replica_is_refused_only_by_the_decision_of_both_policies(
    #[case] me: &'static str,
    #[case] damage: fn(&mut Contents),
    #[case] refused: bool,
) {
    let cluster = Cluster::led_by("a");
    damage(&mut cluster.contents());
    assert_eq!(cluster.fence(me).refuses_me().await, refused);
}

#[rstest]
#[case::at_all(|c: &mut Contents| c.is_reachable = false)]
#[case::about_one_of_the_policies(|c: &mut Contents| c.is_lenient_answered = false)]
#[tokio::test(start_paused = true)]
async fn whether_it_is_refused_is_known_within_a_second_or_not_at_all(
    #[case] silence: fn(&mut Contents),
) {
    let cluster = Cluster::led_by("a");
    silence(&mut cluster.contents());
    let begun = Instant::now();
    let fence = cluster.fence("b");
    let refused = timeout(MINUTE, fence.refuses_me()).await;
    assert_eq!(refused, Ok(false));
    assert!(begun.elapsed() <= SECOND + Duration::from_millis(5));
}
