//! The fence on a real API server: what its expressions make of Leases, tokens and writes, asked by the operator's own code.

use failover_rig::cluster::Cluster;
use five_spot::{
    access::{FENCE, LENIENT_FENCE, SERVICE_ACCOUNT},
    fence::{Answer, FenceCheck, KubeFence, PerPolicy, Policy, Refusal, Test, Why},
    leader::{HOLDER_POD_ANNOTATION, SETTINGS, policies},
    manifest::fence_yaml,
    settings::LeaseName,
};
use five_spot_e2e::deploy::{self, Applied, Manifests};
use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::{
    admissionregistration::v1::ValidatingAdmissionPolicyBinding,
    authentication::v1::TokenRequest,
    coordination::v1::Lease,
    core::v1::{ConfigMap, Node, Pod, ServiceAccount},
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};
use tokio::time::{Duration, Instant, sleep};

use crate::rig::{self, Heard, options};

const NAMESPACE: &str = "fenced";
const LEASE: &str = "contended";

/// How long the API server may take to see a change of the Lease or of a policy.
const LIMIT: Duration = Duration::from_secs(30);

/// The account, which may do everything, and two pods of it that never run.
const OPERATOR: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: fenced}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: 5spot-controller, namespace: fenced}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: fenced}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: 5spot-controller, namespace: fenced}]
";

/// A cluster with the fence, of which the tests play the operator.
struct Fenced {
    admin: Client,
    config: Config,
    leases: Api<Lease>,
    bindings: Api<ValidatingAdmissionPolicyBinding>,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fence_tells_pods_apart_by_the_lease_and_each_policy_is_tested() {
    let _alone = rig::alone().await;
    rig::docker().await;
    let cluster = Cluster::start(&options(), &Heard::default()).await.unwrap();
    let fenced = Fenced::on(&cluster).await;
    let (a, a_uid, a_client) = fenced.pod("a").await;
    let (b, b_uid, b_client) = fenced.pod("b").await;

    // Nobody has held the Lease so far, and then `a` does.
    fenced.until(&a, Test::Holders, why(Why::NotHolder)).await;
    fenced.hold("a", None).await;
    fenced.until(&a, Test::Nobodys, why(Why::InForce)).await;
    the_holder_may_write_and_others_may_not(&fenced, &a, &b).await;
    the_uid_counts_where_the_lease_says_it_of_the_holder(&fenced, [&a, &b], [&a_uid, &b_uid]).await;
    objects_that_others_write_too_are_guarded(&fenced, &a_client, &b_client).await;
    a_token_of_no_pod_holds_nothing(&fenced).await;
    a_policy_that_is_off_is_told_from_the_other(&fenced, &b).await;
    without_a_lease_the_lenient_policy_lets_pass(&fenced, &b).await;
    // The last, as no fence can work on this API server after that.
    an_api_server_that_is_frozen_on_the_present_leader_is_found_out(&fenced, &a).await;
}

async fn the_holder_may_write_and_others_may_not(fenced: &Fenced, a: &KubeFence, b: &KubeFence) {
    fenced.until(a, Test::Holders, both(None)).await;
    fenced.until(b, Test::Holders, why(Why::NotHolder)).await;
    assert!(!a.refuses_me().await && b.refuses_me().await);
    let unheard_of = Timestamp::now() + 1.hour();
    until_told(a, Test::Nobodys, Some(unheard_of), why(Why::Behind)).await;
}

async fn the_uid_counts_where_the_lease_says_it_of_the_holder(
    fenced: &Fenced,
    [a, b]: [&KubeFence; 2],
    [a_uid, b_uid]: [&str; 2],
) {
    let holds = |holder: &'static str, annotation: String| async move {
        fenced.hold(holder, Some(&annotation)).await;
    };
    holds("a", "a/of-an-earlier-pod".to_owned()).await;
    fenced.until(a, Test::Nobodys, why(Why::NotHolder)).await;
    let message = message(&a.ask(Test::Holders, None).await.strict);
    let told = format!("a/of-an-earlier-pod holds it, and the request is of a/{a_uid}");
    assert!(message.contains(&told), "{message}");
    holds("a", format!("a/{a_uid}")).await;
    fenced.until(a, Test::Nobodys, why(Why::InForce)).await;
    fenced.until(b, Test::Nobodys, why(Why::NotHolder)).await;
    // As another elector leaves it, which names its own pod and no UID.
    holds("b", format!("a/{a_uid}")).await;
    fenced.until(b, Test::Nobodys, why(Why::InForce)).await;
    fenced.until(a, Test::Nobodys, why(Why::NotHolder)).await;
    // One name begins with another.
    holds("b", format!("bb/{b_uid}")).await;
    fenced.until(b, Test::Nobodys, why(Why::InForce)).await;
    // Given back, with and without what a holder wrote.
    holds("", format!("b/{b_uid}")).await;
    fenced.until(b, Test::Nobodys, why(Why::NotHolder)).await;
    fenced.hold("", None).await;
    fenced.until(b, Test::Nobodys, why(Why::NotHolder)).await;
    holds("a", format!("a/{a_uid}")).await;
    fenced.until(a, Test::Nobodys, why(Why::InForce)).await;
}

/// A write that carries an object, and one that carries none.
async fn objects_that_others_write_too_are_guarded(fenced: &Fenced, a: &Client, b: &Client) {
    let nodes: Api<Node> = Api::all(fenced.admin.clone());
    let name = nodes.list(&ListParams::default()).await.unwrap().items[0].name_any();
    let change = json!({"metadata": {"annotations": {"fenced": "yes"}}});
    let patch = async |client: &Client| {
        let api: Api<Node> = Api::all(client.clone());
        let patched = api.patch(&name, &dry(), &Patch::Merge(&change)).await;
        patched.map(drop).err()
    };
    let delete = async |client: &Client| {
        let api: Api<Node> = Api::all(client.clone());
        let parameters = DeleteParams {
            dry_run: true,
            ..DeleteParams::default()
        };
        api.delete(&name, &parameters).await.map(drop).err()
    };
    for (client, is_refused) in [(a, false), (b, true), (&fenced.admin, false)] {
        for error in [patch(client).await, delete(client).await] {
            let refusal = error.map(|error| refusal(&error));
            let expected = is_refused.then_some((Policy::Lenient, Why::NotHolder));
            assert_eq!(refusal, expected);
        }
    }
    for probe in [FENCE, LENIENT_FENCE] {
        let probes: Api<ConfigMap> = Api::namespaced(fenced.admin.clone(), NAMESPACE);
        let asks = json!({"data": {"refuse": "true"}});
        let patched = probes.patch(probe, &dry(), &Patch::Merge(&asks)).await;
        assert!(patched.is_ok(), "somebody else is refused: {patched:?}");
    }
}

async fn a_token_of_no_pod_holds_nothing(fenced: &Fenced) {
    let client = fenced.client_with(&fenced.token(json!({"audiences": []})).await);
    let nobody = KubeFence::new(client, &lease(), policies(), policies(), "nobody");
    fenced
        .until(&nobody, Test::Nobodys, why(Why::NotHolder))
        .await;
    let message = message(&nobody.ask(Test::Nobodys, None).await.lenient);
    assert!(message.contains("a token bound to no pod"), "{message}");
}

async fn a_policy_that_is_off_is_told_from_the_other(fenced: &Fenced, b: &KubeFence) {
    let refused = Some(Why::NotHolder);
    for (policy, strict, lenient) in [
        (Policy::Lenient, refused, None),
        (Policy::Strict, None, refused),
    ] {
        fenced.act(policy, "Audit").await;
        let expected = PerPolicy { strict, lenient };
        fenced.until(b, Test::Nobodys, expected).await;
        assert!(!b.refuses_me().await);
        fenced.act(policy, "Deny").await;
        fenced.until(b, Test::Nobodys, why(Why::NotHolder)).await;
        assert!(b.refuses_me().await);
    }
}

async fn without_a_lease_the_lenient_policy_lets_pass(fenced: &Fenced, b: &KubeFence) {
    let gone = DeleteParams::default();
    fenced.leases.delete(LEASE, &gone).await.unwrap();
    let deadline = Instant::now() + LIMIT;
    loop {
        let answers = b.ask(Test::Nobodys, None).await;
        if answers.lenient == Answer::NoLease
            && matches!(&answers.strict, Answer::Refused(refusal) if refusal.why == Why::Undecided)
        {
            break;
        }
        assert!(Instant::now() < deadline, "{answers:#?}");
        sleep(Duration::from_millis(100)).await;
    }
    assert!(!b.refuses_me().await);
    let lease = json!({"metadata": {"name": LEASE}});
    let lease = serde_json::from_value(lease).unwrap();
    let created = fenced.leases.create(&PostParams::default(), &lease).await;
    created.unwrap();
    fenced.hold("a", None).await;
    fenced.until(b, Test::Nobodys, why(Why::NotHolder)).await;
}

/// The leader of the day on which the fence was deleted: to it the fence looks as it should.
async fn an_api_server_that_is_frozen_on_the_present_leader_is_found_out(
    fenced: &Fenced,
    a: &KubeFence,
) {
    for policy in Policy::ALL {
        let gone = DeleteParams::default();
        fenced
            .bindings
            .delete(policies().of(policy), &gone)
            .await
            .unwrap();
    }
    // It stops a second after it has noticed.
    sleep(Duration::from_secs(10)).await;
    let renewed = fenced.hold("a", None).await;
    apply(&fenced.admin, &fence_yaml(&lease())).await;
    // Once kubernetes/kubernetes issue 130887 is fixed, this waits in vain: delete it then.
    until_told(a, Test::Nobodys, Some(renewed), why(Why::Behind)).await;
}

impl Fenced {
    async fn on(cluster: &Cluster) -> Self {
        let mut config = cluster.config().await.unwrap();
        config.default_retry = false;
        let admin = cluster.client().await.unwrap();
        apply(&admin, OPERATOR).await;
        apply(&admin, &fence_yaml(&lease())).await;
        Self {
            leases: Api::namespaced(admin.clone(), NAMESPACE),
            bindings: Api::all(admin.clone()),
            admin,
            config,
        }
    }

    /// A pod that is never scheduled: the fence as its process would meet it, its UID, and its client.
    async fn pod(&self, name: &str) -> (KubeFence, String, Client) {
        let pods: Api<Pod> = Api::namespaced(self.admin.clone(), NAMESPACE);
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "serviceAccountName": SERVICE_ACCOUNT,
                "nodeSelector": {"fenced": "nowhere"},
                "containers": [{"name": "controller", "image": "nothing.invalid/nothing"}],
            },
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let deadline = Instant::now() + LIMIT;
        // Kubernetes may not have prepared the namespace yet.
        let pod = loop {
            match pods.create(&PostParams::default(), &pod).await {
                Ok(pod) => break pod,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            sleep(Duration::from_millis(100)).await;
        };
        let uid = pod.uid().unwrap();
        let bound = json!({"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid});
        let token = json!({"audiences": [], "boundObjectRef": bound});
        let client = self.client_with(&self.token(token).await);
        let fence = KubeFence::new(client.clone(), &lease(), policies(), policies(), name);
        (fence, uid, client)
    }

    async fn token(&self, spec: Value) -> String {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), NAMESPACE);
        let asked: TokenRequest = serde_json::from_value(json!({"spec": spec})).unwrap();
        let parameters = PostParams::default();
        let given = accounts.create_token_request(SERVICE_ACCOUNT, &parameters, &asked);
        given.await.unwrap().status.unwrap().token
    }

    fn client_with(&self, token: &str) -> Client {
        let mut config = self.config.clone();
        config.auth_info = serde_json::from_value(json!({"token": token})).unwrap();
        Client::try_from(config).unwrap()
    }

    /// Writes a holder into the Lease, as its renewal does, and says when.
    async fn hold(&self, holder: &str, holder_pod: Option<&str>) -> Timestamp {
        let renewed = Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap();
        let change = json!({
            "metadata": {"annotations": {HOLDER_POD_ANNOTATION: holder_pod}},
            "spec": {"holderIdentity": holder, "renewTime": format!("{renewed:.6}")},
        });
        let patch = Patch::Merge(&change);
        let parameters = PatchParams::default();
        let patched = self.leases.patch(LEASE, &parameters, &patch);
        patched.await.unwrap();
        renewed
    }

    /// Has a policy do this to what it does not let pass.
    async fn act(&self, policy: Policy, action: &str) {
        let change = json!({"spec": {"validationActions": [action]}});
        let patch = Patch::Merge(&change);
        let parameters = PatchParams::default();
        let policies = policies();
        let patched = self
            .bindings
            .patch(policies.of(policy), &parameters, &patch);
        patched.await.unwrap();
    }

    /// Waits until a replica that does not lead is answered so.
    async fn until(&self, fence: &KubeFence, test: Test, expected: PerPolicy<Option<Why>>) {
        until_told(fence, test, None, expected).await;
    }
}

/// Waits until the answers to a test are these; none is that of a write that would have been carried out.
async fn until_told(
    fence: &KubeFence,
    test: Test,
    acknowledged: Option<Timestamp>,
    expected: PerPolicy<Option<Why>>,
) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let answers = fence.ask(test, acknowledged).await;
        let is_as_expected =
            Policy::ALL
                .iter()
                .all(|policy| match (answers.of(*policy), expected.of(*policy)) {
                    (Answer::Accepted, None) => true,
                    (Answer::Refused(refusal), Some(why)) => refusal.why == *why,
                    _ => false,
                });
        if is_as_expected {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{expected:?} was waited for, and there is {answers:#?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}

fn message(answer: &Answer) -> String {
    match answer {
        Answer::Refused(refusal) => refusal.message.clone(),
        other => panic!("{other:?}"),
    }
}

fn refusal(error: &kube::Error) -> (Policy, Why) {
    let kube::Error::Api(status) = error else {
        panic!("{error}")
    };
    let refusal = Refusal::of(status, &policies()).unwrap_or_else(|| panic!("{error}"));
    (refusal.policy, refusal.why)
}

fn lease() -> LeaseName {
    LeaseName::new(LEASE, NAMESPACE, &SETTINGS).unwrap()
}

fn both(outcome: Option<Why>) -> PerPolicy<Option<Why>> {
    PerPolicy {
        strict: outcome,
        lenient: outcome,
    }
}

fn why(why: Why) -> PerPolicy<Option<Why>> {
    both(Some(why))
}

fn dry() -> PatchParams {
    PatchParams {
        dry_run: true,
        ..PatchParams::default()
    }
}

async fn apply(client: &Client, yaml: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifests.yaml");
    std::fs::write(&file, yaml).unwrap();
    let manifests = Manifests::read(&[file]).unwrap();
    let mut applied = Applied::default();
    let done = deploy::apply(client, &manifests, NAMESPACE, &mut applied);
    done.await.unwrap();
}
