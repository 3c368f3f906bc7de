//! A flood of calls of the operator's own ServiceAccount, on a real API server: with `deploy/flow-schema.yaml` no renewal is
//! late, and without it they are.
//!
//! The calls of the account are put into a priority level with few seats, and each call of the flood keeps one for three
//! seconds: it asks for a list at a version that is never reached, which an API server waits for that long.

use std::{convert::Infallible, path::PathBuf, time::Duration};

use failover_judging::report::Provider;
use failover_rig::{cluster::Cluster, progress::chain};
use five_spot_e2e::deploy::{self, Applied, Manifests, Naming, Overrides, Target};
use futures::{StreamExt, stream};
use http::Request;
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    coordination::v1::Lease,
    core::v1::ServiceAccount,
    flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::AuthInfo,
};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    DEPLOY, FLOODED,
    lanes::{Lane, block_on},
};

/// The name of the level with few seats, and of what puts the account's calls there.
const FLOOD: &str = "failover-flood";

/// How many calls of the flood are under way at a time. One share of the API server's usual 600 seats are some three, so
/// whoever comes last waits for half a minute.
const AT_A_TIME: usize = 30;

/// How long it lasts: more than the renew deadline.
const LASTS: Duration = Duration::from_secs(15);

/// `LEASE_RETRY_PERIOD_SECONDS`, after which the next renewal is sent, and what it may take.
const ON_TIME: Duration = Duration::from_secs(3);

/// How often the Lease is read.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long anything else may take.
const LIMIT: Duration = Duration::from_secs(60);

#[rstest::rstest]
fn with_the_flow_schema_a_flood_of_work_makes_no_renewal_late_and_without_it_does(
    #[values(true, false)] is_there: bool,
) {
    let lane = FLOODED.take();
    let flooded = block_on(flooded(&lane, is_there));
    let Flooded { silence, holders } = flooded;
    if is_there {
        assert!(silence <= ON_TIME, "{silence:?} without a renewal");
        assert_eq!(holders.len(), 1, "leadership moved: {holders:?}");
    } else {
        assert!(
            silence > ON_TIME,
            "the flood shows nothing: {silence:?} without a renewal"
        );
    }
}

/// What was seen during the flood.
struct Flooded {
    /// The longest time for which the Lease did not change.
    silence: Duration,
    /// Who held it, one after the other.
    holders: Vec<String>,
}

async fn flooded(lane: &Lane, with_schema: bool) -> Flooded {
    let cluster = lane.cluster;
    let client = cluster.client().await.unwrap();
    let (target, applied) = installed(cluster, &client, with_schema).await;
    let leases: Api<Lease> = Api::namespaced(client.clone(), &target.namespace);
    until_led(&leases, &target.lease).await;
    let work = client_of(cluster, &client, &target).await;
    starve(&client, &target).await;
    let flooded = tokio::select! {
        never = flood(&work) => match never {},
        flooded = watched(&leases, &target.lease) => flooded,
    };
    // Before anything is judged: the other test has this cluster afterwards.
    let gone = DeleteParams::default();
    let schemas: Api<FlowSchema> = Api::all(client.clone());
    schemas.delete(FLOOD, &gone).await.unwrap();
    let levels: Api<PriorityLevelConfiguration> = Api::all(client.clone());
    levels.delete(FLOOD, &gone).await.unwrap();
    if cluster.provider() == Provider::Kubeconfig {
        deploy::remove(&client, applied).await.unwrap();
    }
    flooded
}

/// The operator as `deploy/` has it, with or without the FlowSchema.
async fn installed(cluster: &Cluster, client: &Client, with_schema: bool) -> (Target, Applied) {
    let mut manifests = Manifests::read(&[PathBuf::from(DEPLOY)]).unwrap();
    let before = manifests.objects.len();
    manifests.objects.retain(|object| {
        let kind = object.types.as_ref().map(|types| types.kind.as_str());
        with_schema || kind != Some("FlowSchema")
    });
    let left_out = before - manifests.objects.len();
    assert_eq!(left_out, usize::from(!with_schema));
    let (target, _) = Naming::default()
        .prepare(&mut manifests, &Overrides::default())
        .unwrap();
    if cluster.provider() != Provider::Kubeconfig {
        if let Some(identity) = cluster.image_identity(&target.image).await.unwrap() {
            manifests.identify_image(&target, &identity);
        }
        // What an earlier test has left there goes, such as the FlowSchema.
        deploy::take_over(client, &manifests, &target.namespace)
            .await
            .unwrap();
    }
    let mut applied = Applied::default();
    let done = deploy::apply(client, &manifests, &target.namespace, &mut applied).await;
    done.unwrap_or_else(|error| panic!("{}", chain(&error)));
    (target, applied)
}

/// Waits until one replica leads and goes on to do so: a rollout may be under way.
async fn until_led(leases: &Api<Lease>, name: &str) {
    let led = async {
        let (mut leader, mut since) = (String::new(), Instant::now());
        while leader.is_empty() || since.elapsed() < Duration::from_secs(8) {
            let holder = leases.get_opt(name).await.unwrap();
            let holder = holder.and_then(|lease| lease.spec?.holder_identity);
            let holder = holder.unwrap_or_default();
            if holder != leader {
                (leader, since) = (holder, Instant::now());
            }
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(LIMIT, led).await.unwrap();
}

/// A client that is the operator's ServiceAccount.
async fn client_of(cluster: &Cluster, client: &Client, target: &Target) -> Client {
    let account = target.user.rsplit(':').next().unwrap();
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &target.namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: Some(600),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let issued = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await;
    let token = issued.unwrap().status.unwrap().token;
    let mut config = cluster.config().await.unwrap();
    config.auth_info = AuthInfo {
        token: Some(token.into()),
        ..AuthInfo::default()
    };
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

/// Gives all calls of the account few seats, but those that a FlowSchema of a lower number has taken before.
async fn starve(client: &Client, target: &Target) {
    let apply = PatchParams::apply("failover-tests").force();
    let level = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": FLOOD},
        "spec": {"type": "Limited", "limited": {
            "nominalConcurrencyShares": 1, "lendablePercent": 0, "borrowingLimitPercent": 0,
            "limitResponse": {"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": 1000}},
        }},
    });
    let account = target.user.rsplit(':').next().unwrap();
    let schema = json!({
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": FLOOD},
        "spec": {
            "matchingPrecedence": 1000,
            "priorityLevelConfiguration": {"name": FLOOD},
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{
                "subjects": [{"kind": "ServiceAccount", "serviceAccount": {"name": account, "namespace": target.namespace}}],
                "resourceRules": [{
                    "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"], "namespaces": ["*"], "clusterScope": true,
                }],
            }],
        },
    });
    let levels: Api<PriorityLevelConfiguration> = Api::all(client.clone());
    levels
        .patch(FLOOD, &apply, &Patch::Apply(&level))
        .await
        .unwrap();
    let schemas: Api<FlowSchema> = Api::all(client.clone());
    schemas
        .patch(FLOOD, &apply, &Patch::Apply(&schema))
        .await
        .unwrap();
    // The API server says that it has taken up a schema, and knows its level.
    let taken_up = async {
        loop {
            let found = schemas.get(FLOOD).await.unwrap();
            let conditions = found.status.and_then(|status| status.conditions);
            let is_sound = conditions.unwrap_or_default().into_iter().any(|condition| {
                condition.type_.as_deref() == Some("Dangling")
                    && condition.status.as_deref() == Some("False")
            });
            if is_sound {
                return;
            }
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(LIMIT, taken_up).await.unwrap();
}

/// Asks on and on, many at a time. Never ends.
async fn flood(work: &Client) -> Infallible {
    // The account may list them, and no store gets to this version.
    let never = "/apis/5spot.finos.org/v1alpha1/scheduledmachines?resourceVersion=9223372036854775807\
                 &resourceVersionMatch=NotOlderThan";
    let mut calls = stream::repeat(())
        .map(|()| async {
            let request = Request::get(never).body(Vec::new()).unwrap();
            // It always ends with a refusal: the version is too large, or the queue was too long.
            drop(work.request_text(request).await);
            // Should it be refused at once, this is still no storm.
            sleep(Duration::from_millis(20)).await;
        })
        .buffer_unordered(AT_A_TIME);
    loop {
        calls.next().await;
    }
}

/// Looks at the Lease for as long as the flood lasts.
async fn watched(leases: &Api<Lease>, name: &str) -> Flooded {
    let begun = Instant::now();
    let (mut version, mut since) = (None, begun);
    let mut flooded = Flooded {
        silence: Duration::ZERO,
        holders: Vec::new(),
    };
    while begun.elapsed() < LASTS {
        let lease = leases.get(name).await.unwrap();
        let now = Instant::now();
        flooded.silence = flooded.silence.max(now - since);
        if lease.resource_version() != version {
            (version, since) = (lease.resource_version(), now);
        }
        let holder = lease.spec.and_then(|spec| spec.holder_identity);
        let holder = holder.unwrap_or_default();
        if flooded.holders.last() != Some(&holder) {
            flooded.holders.push(holder);
        }
        sleep(LOOK_EVERY).await;
    }
    flooded
}
