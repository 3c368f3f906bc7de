//! The fence of an API server in memory, as replicas find it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use prometheus_client::{encoding::text::encode, registry::Registry};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};
use tower::{BoxError, service_fn};

use super::*;

const MINUTE: Duration = Duration::from_mins(1);
/// When the Lease was renewed last.
const RENEWED: &str = "2026-03-02T08:50:00.123456Z";
const SECOND: Duration = Duration::from_secs(1);

/// A cluster that answers by its state. Only dry runs of the probe are known; anything else fails the test.
#[derive(Clone, Debug)]
struct Cluster(Arc<Mutex<Contents>>);

#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a part of the cluster that can be missing"
)]
struct Contents {
    has_policy: bool,
    has_probe: bool,
    has_rights: bool,
    is_reachable: bool,
    /// None: there is no Lease.
    holder: Option<&'static str>,
    /// The holder of an earlier time, where the API server's policies know no later one.
    frozen: Option<&'static str>,
    asked: usize,
}

impl Cluster {
    /// A cluster in order, led by `holder`.
    fn led_by(holder: &'static str) -> Self {
        Self(Arc::new(Mutex::new(Contents {
            has_policy: true,
            has_probe: true,
            has_rights: true,
            is_reachable: true,
            holder: Some(holder),
            frozen: None,
            asked: 0,
        })))
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    fn fence(&self, me: &'static str) -> KubeFence {
        let cluster = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { cluster.answer(me, request).await }
        });
        KubeFence::new(
            Client::new(service, "default"),
            "5spot-system",
            "5spot-leader",
            "5spot-fence",
            me,
        )
    }

    async fn answer(&self, me: &str, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        if head.method == Method::GET {
            return self.lease(head.uri.path()).await;
        }
        assert_eq!(head.method, Method::PATCH);
        assert_eq!(
            head.uri.path(),
            "/api/v1/namespaces/5spot-system/configmaps/5spot-fence"
        );
        assert_eq!(head.headers["content-type"], "application/merge-patch+json");
        let query = head.uri.query().unwrap_or_default();
        assert!(query.contains("dryRun=All"), "{query}");
        let patch: Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
        let contents = {
            let mut contents = self.contents();
            contents.asked += 1;
            contents.clone()
        };
        if !contents.is_reachable {
            return std::future::pending().await;
        }
        let renewed = patch["data"]["renewed"].as_str();
        let (code, message) = contents.verdict(me, patch["data"]["refuse"] == "true", renewed);
        let answer = match code {
            200 => {
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "5spot-fence"}})
            }
            _ => {
                json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": message})
            }
        };
        Ok(Response::builder()
            .status(StatusCode::from_u16(code)?)
            .body(Body::from(answer.to_string().into_bytes()))?)
    }
}

impl Cluster {
    async fn lease(&self, path: &str) -> Result<Response<Body>, BoxError> {
        let leases = "/apis/coordination.k8s.io/v1/namespaces/5spot-system/leases";
        assert_eq!(path, format!("{leases}/5spot-leader"));
        let contents = self.contents().clone();
        if !contents.is_reachable {
            return std::future::pending().await;
        }
        let (code, answer) = match contents.holder {
            Some(holder) => (
                200,
                json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "5spot-leader"},
                    "spec": {"holderIdentity": holder, "renewTime": RENEWED}}),
            ),
            None => (
                404,
                json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found"}),
            ),
        };
        let response = Response::builder().status(code);
        Ok(response.body(Body::from(answer.to_string().into_bytes()))?)
    }
}

impl Contents {
    fn verdict(&self, me: &str, refuse: bool, renewed: Option<&str>) -> (u16, String) {
        let denied = |why: &str| {
            format!(
                "configmaps \"5spot-fence\" is forbidden: ValidatingAdmissionPolicy '5spot-fence' with binding '5spot-fence' \
                 denied request: {why}"
            )
        };
        if !self.has_rights {
            let message = "configmaps \"5spot-fence\" is forbidden: User \"x\" cannot patch";
            return (403, message.to_owned());
        }
        if !self.has_probe {
            return (404, "configmaps \"5spot-fence\" not found".to_owned());
        }
        if !self.has_policy {
            return (200, String::new());
        }
        if let Some(renewed) = renewed {
            assert_eq!(renewed, RENEWED, "the time of the Lease as it is");
            if self.frozen.is_some() {
                return (422, denied("the API server does not follow the Lease"));
            }
        }
        match self.frozen.or(self.holder) {
            None => (422, denied("failed to configure binding: no params found")),
            Some(holder) if holder != me => (403, denied("only the holder of the Lease may write")),
            Some(_) if refuse => (403, denied("the fence is in force")),
            Some(_) => (200, String::new()),
        }
    }
}

/// A replica's keeper at work.
struct Kept {
    state: watch::Receiver<State>,
    leads: Arc<AtomicBool>,
    registry: Registry,
    _task: tokio::task::JoinSet<()>,
}

impl Kept {
    /// A keeper for the replica `me`, which believes that it leads, or not.
    fn start(cluster: &Cluster, me: &'static str, leads: bool) -> Self {
        let mut registry = Registry::with_prefix("five_spot");
        let metrics = FenceMetrics::register(&mut registry);
        let leads = Arc::new(AtomicBool::new(leads));
        let seen = Arc::clone(&leads);
        let believes = Box::new(move || seen.load(Ordering::SeqCst));
        let (keeper, state) = FenceKeeper::new(cluster.fence(me), believes, metrics);
        let mut task = tokio::task::JoinSet::new();
        task.spawn(async move { match keeper.run().await {} });
        Self {
            state,
            leads,
            registry,
            _task: task,
        }
    }

    fn state(&self) -> State {
        self.state.borrow().clone()
    }

    fn reason(&self) -> String {
        match self.state() {
            State::Off { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    fn gauge(&self) -> bool {
        let mut text = String::new();
        encode(&mut text, &self.registry).unwrap();
        match text
            .lines()
            .find(|line| line.starts_with("five_spot_fence_active "))
        {
            Some("five_spot_fence_active 1") => true,
            Some("five_spot_fence_active 0") => false,
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
    let kept = Kept::start(&Cluster::led_by("a"), me, leads);
    assert!(!kept.gauge(), "nothing is claimed before the test");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(kept.state(), State::Active);
    assert!(kept.gauge());
}

#[rstest]
#[case::leader("a", true, 2)]
#[case::standby("b", false, 1)]
#[tokio::test(start_paused = true)]
async fn a_test_a_minute_is_all_that_it_costs(
    #[case] me: &'static str,
    #[case] leads: bool,
    #[case] calls: usize,
) {
    let cluster = Cluster::led_by("a");
    let _kept = Kept::start(&cluster, me, leads);
    sleep(9 * MINUTE + 59 * SECOND).await;
    assert_eq!(cluster.contents().asked, 10 * calls);
}

#[rstest]
#[case::no_policy(|c: &mut Contents| c.has_policy = false, "apply deploy/fence.yaml")]
#[case::no_probe(|c: &mut Contents| c.has_probe = false, "no ConfigMap 5spot-fence")]
#[case::no_rights(|c: &mut Contents| c.has_rights = false, "apply deploy/rbac.yaml")]
#[tokio::test(start_paused = true)]
async fn a_fence_that_goes_missing_is_off_within_a_minute_and_back_soon_after_it_is(
    #[case] damage: fn(&mut Contents),
    #[case] advice: &str,
    #[values(("a", true), ("b", false))] (me, leads): (&'static str, bool),
) {
    let cluster = Cluster::led_by("a");
    let kept = Kept::start(&cluster, me, leads);
    sleep(SECOND).await;
    let whole = cluster.contents().clone();
    damage(&mut cluster.contents());
    sleep(MINUTE).await;
    assert!(kept.reason().contains(advice), "{}", kept.reason());
    assert!(!kept.gauge());
    *cluster.contents() = whole;
    sleep(4 * SECOND).await;
    assert_eq!(kept.state(), State::Active);
    assert!(kept.gauge());
}

#[rstest]
#[case::standby("b", false)]
#[case::new_leader("a", true)]
#[tokio::test(start_paused = true)]
async fn an_api_server_that_stopped_following_the_lease_is_found_out(
    #[case] me: &'static str,
    #[case] leads: bool,
) {
    let cluster = Cluster::led_by("a");
    cluster.contents().frozen = Some("of-that-day");
    let kept = Kept::start(&cluster, me, leads);
    sleep(3 * SECOND).await;
    let reason = kept.reason();
    assert!(reason.contains("restart kube-apiserver"), "{reason}");
    assert!(!kept.gauge());
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
    let kept = Kept::start(&Cluster::led_by("another"), "a", true);
    sleep(SECOND).await;
    assert!(
        matches!(kept.state(), State::Unknown { .. }),
        "once may be late news"
    );
    sleep(2 * SECOND).await;
    assert!(kept.reason().contains("refuses the leader"));
    assert!(kept.reason().contains("LEASE_NAME"));
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_accepts_a_standby_is_off_and_not_active() {
    let kept = Kept::start(&Cluster::led_by("b"), "b", false);
    sleep(3 * SECOND).await;
    assert!(kept.reason().contains("accepts the writes of a standby"));
    assert!(!kept.gauge());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_changes_hands_turns_nothing_off() {
    let cluster = Cluster::led_by("a");
    let mut kept = Kept::start(&cluster, "b", false);
    sleep(Duration::from_millis(59_999)).await;
    assert_eq!(*kept.state.borrow_and_update(), State::Active);
    // The Lease names it already when it is tested; that it leads it learns a moment later.
    cluster.contents().holder = Some("b");
    sleep(Duration::from_millis(10)).await;
    kept.leads.store(true, Ordering::SeqCst);
    sleep(2 * MINUTE).await;
    assert!(!kept.state.has_changed().unwrap(), "{:?}", kept.state());
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_nothing_is_known_until_there_is_one() {
    let cluster = Cluster::led_by("a");
    cluster.contents().holder = None;
    let kept = Kept::start(&cluster, "b", false);
    sleep(5 * SECOND).await;
    let State::Unknown { error } = kept.state() else {
        panic!("{:?}", kept.state())
    };
    assert!(error.contains("no params found"), "{error}");
    cluster.contents().holder = Some("a");
    sleep(10 * SECOND).await;
    assert_eq!(kept.state(), State::Active);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_is_silent_makes_the_fence_unknown_and_one_lost_answer_does_not() {
    let cluster = Cluster::led_by("a");
    let mut kept = Kept::start(&cluster, "a", true);
    sleep(Duration::from_millis(59_999)).await;
    assert_eq!(*kept.state.borrow_and_update(), State::Active);
    cluster.contents().is_reachable = false;
    sleep(2 * SECOND).await;
    cluster.contents().is_reachable = true;
    sleep(30 * SECOND).await;
    assert!(!kept.state.has_changed().unwrap(), "{:?}", kept.state());

    cluster.contents().is_reachable = false;
    sleep(MINUTE + 10 * SECOND).await;
    let State::Unknown { error } = kept.state() else {
        panic!("{:?}", kept.state())
    };
    assert_eq!(error, "no answer within 1s");
    assert!(!kept.gauge());
}

#[rstest]
#[case::standby("b", |_: &mut Contents| (), true)]
#[case::holder("a", |_: &mut Contents| (), false)]
#[case::no_policy("b", |c: &mut Contents| c.has_policy = false, false)]
#[case::no_rights("b", |c: &mut Contents| c.has_rights = false, false)]
#[case::no_probe("b", |c: &mut Contents| c.has_probe = false, false)]
#[case::no_lease("b", |c: &mut Contents| c.holder = None, false)]
#[case::frozen("b", |c: &mut Contents| c.frozen = Some("a"), false)]
#[tokio::test]
async fn a_replica_is_refused_only_by_the_decision_of_the_fence(
    #[case] me: &'static str,
    #[case] damage: fn(&mut Contents),
    #[case] refused: bool,
) {
    let cluster = Cluster::led_by("a");
    damage(&mut cluster.contents());
    assert_eq!(cluster.fence(me).refuses_me().await, refused);
}

#[tokio::test(start_paused = true)]
async fn whether_it_is_refused_is_known_within_a_second_or_not_at_all() {
    let cluster = Cluster::led_by("a");
    cluster.contents().is_reachable = false;
    let begun = Instant::now();
    let fence = cluster.fence("b");
    let refused = timeout(MINUTE, fence.refuses_me()).await;
    assert_eq!(refused, Ok(false));
    assert!(begun.elapsed() <= SECOND + Duration::from_millis(5));
}

#[tokio::test]
async fn no_fence_refuses_nobody() {
    assert!(!NoFence.refuses_me().await);
}
