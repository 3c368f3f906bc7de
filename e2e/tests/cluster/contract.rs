//! What a started cluster gives to the trials, on one cluster for all of it.

use std::time::Duration;

use failover_judging::{report::Provider, samples::says};
use failover_rig::cluster::{Brought, Cluster, ClusterOptions, CommandTemplate, Signal};
use failover_rig::engine;
use futures::{Stream, StreamExt};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::wait::await_condition;
use serde_json::{Value, json};
use testcontainers::bollard::Docker;
use tokio::time::{sleep, timeout};

use crate::rig::{self, BUSYBOX, Heard, options};

#[tokio::test(flavor = "multi_thread")]
async fn a_started_cluster_keeps_the_contract_and_leaves_nothing_behind() {
    let _alone = rig::alone().await;
    let engine = engine::probe().await.unwrap();
    let expected = rig::choice(&engine).await;
    let docker = engine.docker().clone();
    let heard = Heard::default();
    let cluster = Cluster::start(&options(), &heard).await.unwrap();
    let name = cluster.server_container_name().unwrap().to_owned();
    let node = cluster.nodes()[0].to_owned();

    let choice = cluster.choice();
    assert_eq!(
        (choice.provider, &choice.image),
        (expected.provider, &expected.image)
    );
    let (_, tag) = choice
        .image
        .as_ref()
        .and_then(|image| image.reference.rsplit_once(':'))
        .unwrap();
    // A tag cannot have the plus sign of k3s's versions.
    assert_eq!(cluster.kubernetes_version(), tag.replace("-k3s", "+k3s"));
    let said = format!("cluster provider {}: {}", choice.provider, choice.reason);
    assert!(heard.text().contains(&said), "{}", heard.text());

    commands_on_a_node_give_status_and_both_outputs(&cluster, &node).await;
    the_audit_log_tells_who_wrote_a_lease(&cluster).await;
    a_container_is_frozen_and_killed_from_its_node(&cluster, &node).await;
    an_image_of_the_engine_is_loaded_while_running(&docker, &cluster, &node).await;
    the_same_cluster_is_reached_by_its_kubeconfig(&cluster, &node).await;
    a_paused_server_is_silent_until_it_goes_on(&cluster).await;

    // The fault that pauses the server may be what is interrupted, so a paused one has to go as well.
    cluster.pause().await.unwrap();
    drop(cluster);
    assert_eq!(
        rig::containers(&docker, "name", &name).await,
        Vec::<String>::new()
    );
}

async fn commands_on_a_node_give_status_and_both_outputs(cluster: &Cluster, node: &str) {
    let output = cluster
        .on_node(node, &["sh", "-c", "echo out; echo err >&2; exit 3"])
        .await
        .unwrap();
    assert_eq!(
        (
            output.status,
            output.stdout.as_str(),
            output.stderr.as_str()
        ),
        (3, "out\n", "err\n")
    );

    let mut lines = cluster
        .follow_on_node(node, &["sh", "-c", "echo a; printf b; sleep 0.1; echo c"])
        .await
        .unwrap();
    assert_eq!(lines.next().await.unwrap().unwrap(), "a");
    assert_eq!(lines.next().await.unwrap().unwrap(), "bc");
    says(
        &lines.next().await.unwrap().unwrap_err(),
        &["ended with status 0"],
    );
    assert!(lines.next().await.is_none());

    let silent = ["sleep", "4321"];
    let followed = cluster.follow_on_node(node, &silent).await.unwrap();
    assert!(runs(cluster, node, silent).await);
    drop(followed);
    let ended = async {
        while runs(cluster, node, silent).await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(rig::limit(), ended).await.unwrap();

    let message = cluster
        .on_node("other", &["true"])
        .await
        .unwrap_err()
        .to_string();
    says(&message, &["no node other"]);
    says(&message, &[node]);
}

/// Whether a process with these two words as its command line is on the node.
async fn runs(cluster: &Cluster, node: &str, [name, argument]: [&str; 2]) -> bool {
    let look = format!(
        "for file in /proc/[0-9]*/cmdline; do [ \"$(tr '\\0' ' ' 2>/dev/null < $file)\" = '{name} {argument} ' ] && echo found; done; true"
    );
    let found = cluster.on_node(node, &["sh", "-c", &look]).await.unwrap();
    found.stdout.contains("found")
}

async fn the_audit_log_tells_who_wrote_a_lease(cluster: &Cluster) {
    let leases = Api::<Lease>::namespaced(cluster.client().await.unwrap(), "default");
    let lease = json!({"metadata": {"name": "witnessed"}, "spec": {"holderIdentity": "me"}});
    leases
        .create(
            &PostParams::default(),
            &serde_json::from_value(lease).unwrap(),
        )
        .await
        .unwrap();

    let mut log = cluster.follow_audit_log().await.unwrap();
    let entry = timeout(rig::limit(), audited(&mut log, "witnessed"))
        .await
        .unwrap();
    assert_eq!(entry["verb"], "create");
    assert_eq!(entry["stage"], "ResponseComplete");
    assert_eq!(entry["responseStatus"]["code"], 201);
    assert_eq!(entry["responseObject"]["spec"]["holderIdentity"], "me");
    assert!(entry["responseObject"]["metadata"]["resourceVersion"].is_string());
    assert!(entry["user"]["username"].is_string());

    // What the log follows is not only what was there at first.
    leases
        .delete("witnessed", &DeleteParams::default())
        .await
        .unwrap();
    let entry = timeout(rig::limit(), audited(&mut log, "witnessed"))
        .await
        .unwrap();
    assert_eq!(entry["verb"], "delete");
}

async fn audited<S, E>(log: &mut S, name: &str) -> Value
where
    S: Stream<Item = Result<String, E>> + Unpin,
    E: std::fmt::Debug,
{
    loop {
        let line = log.next().await.unwrap().unwrap();
        let entry: Value = serde_json::from_str(&line).unwrap();
        assert_ne!(
            entry["objectRef"]["namespace"], "kube-system",
            "the cluster's own noise is left out: {line}"
        );
        if entry["objectRef"]["name"] == name || entry["responseObject"]["metadata"]["name"] == name
        {
            return entry;
        }
    }
}

async fn a_container_is_frozen_and_killed_from_its_node(cluster: &Cluster, node: &str) {
    let pods = Api::<Pod>::namespaced(cluster.client().await.unwrap(), "default");
    let pod = json!({
        "metadata": {"name": "victim"},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [{
            "name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["/busybox", "sleep", "3600"],
            "securityContext": {"readOnlyRootFilesystem": true, "runAsUser": 65532, "capabilities": {"drop": ["ALL"]}},
        }]},
    });
    pods.create(
        &PostParams::default(),
        &serde_json::from_value(pod).unwrap(),
    )
    .await
    .unwrap();
    let running = |pod: Option<&Pod>| {
        pod.and_then(container_state)
            .is_some_and(|state| state.running.is_some())
    };
    let pod = timeout(
        rig::limit(),
        await_condition(pods.clone(), "victim", running),
    )
    .await
    .unwrap()
    .unwrap()
    .unwrap();
    let id = pod.status.unwrap().container_statuses.unwrap()[0]
        .container_id
        .clone()
        .unwrap();

    let pid = cluster.container_pid(node, &id).await.unwrap().unwrap();
    // A signal is taken some time after it was sent.
    let becomes = async |state: char| {
        let path = format!("/proc/{pid}/stat");
        let mut last = String::new();
        let reached = timeout(rig::limit(), async {
            loop {
                last = cluster.on_node(node, &["cat", &path]).await.unwrap().stdout;
                if last.rsplit_once(") ").unwrap().1.starts_with(state) {
                    return;
                }
                sleep(Duration::from_millis(100)).await;
            }
        });
        assert!(reached.await.is_ok(), "expected the state {state}: {last}");
    };
    let send = async |signal| cluster.aim(node, signal, &[pid]).await?.fire().await;
    send(Signal::Stop).await.unwrap();
    becomes('T').await;
    send(Signal::Continue).await.unwrap();
    becomes('S').await;

    send(Signal::Kill).await.unwrap();
    let ended = |pod: Option<&Pod>| {
        pod.and_then(container_state)
            .is_some_and(|state| state.terminated.is_some())
    };
    let pod = timeout(rig::limit(), await_condition(pods.clone(), "victim", ended))
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(
        container_state(&pod)
            .unwrap()
            .terminated
            .as_ref()
            .unwrap()
            .exit_code,
        137
    );
    assert_eq!(cluster.container_pid(node, &id).await.unwrap(), None);
    assert!(
        send(Signal::Kill).await.is_err(),
        "there is nothing left to kill"
    );
    pods.delete("victim", &DeleteParams::default())
        .await
        .unwrap();
}

fn container_state(pod: &Pod) -> Option<&k8s_openapi::api::core::v1::ContainerState> {
    pod.status
        .as_ref()?
        .container_statuses
        .as_ref()?
        .first()?
        .state
        .as_ref()
}

async fn an_image_of_the_engine_is_loaded_while_running(
    docker: &Docker,
    cluster: &Cluster,
    node: &str,
) {
    let images = async || {
        cluster
            .on_node(node, &["ctr", "-n", "k8s.io", "images", "ls", "-q"])
            .await
            .unwrap()
            .stdout
    };
    let image = rig::silent_node(docker, "late").await;
    assert!(images().await.contains(BUSYBOX) && !images().await.contains(&image));
    cluster.load_image(&image).await.unwrap();
    assert!(images().await.contains(&image));
    says(
        &cluster.load_image("five-spot/typo:1").await.unwrap_err(),
        &["five-spot/typo:1"],
    );
}

async fn the_same_cluster_is_reached_by_its_kubeconfig(cluster: &Cluster, node: &str) {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = cluster.kubeconfig_path(folder.path());
    cluster.write_kubeconfig(&kubeconfig).unwrap();
    let log = cluster.audit_log().unwrap().path.clone();
    let brought = |on_node: Option<&str>, audit_log: Option<&str>| ClusterOptions {
        provider: Some(Provider::Kubeconfig),
        brought: Brought {
            kubeconfig: Some(kubeconfig.clone()),
            on_node: on_node.map(|text| text.parse::<CommandTemplate>().unwrap()),
            audit_log: audit_log.map(str::to_owned),
            ..Brought::default()
        },
        ..options()
    };

    let reached = Cluster::start(
        &brought(Some("docker exec {node}"), Some(&log)),
        &Heard::default(),
    )
    .await
    .unwrap();
    assert_eq!(reached.nodes(), [node]);
    assert_eq!(
        reached
            .on_node(node, &["echo", "a b"])
            .await
            .unwrap()
            .stdout,
        "a b\n"
    );
    let mut lines = reached.follow_audit_log().await.unwrap();
    timeout(rig::limit(), audited(&mut lines, "witnessed"))
        .await
        .unwrap();
    let message = reached.pause().await.unwrap_err().to_string();
    says(&message, &["--provider kubeconfig"]);
    reached.stop().await.unwrap();

    let closed = Cluster::start(&brought(None, None), &Heard::default())
        .await
        .unwrap();
    says(
        &closed
            .require_nodes("kill the leader's container")
            .unwrap_err(),
        &["kill the leader's container", "--on-node"],
    );
    cluster
        .client()
        .await
        .unwrap()
        .apiserver_version()
        .await
        .expect("stopping a brought cluster leaves it alone");
}

async fn a_paused_server_is_silent_until_it_goes_on(cluster: &Cluster) {
    let client = cluster.client().await.unwrap();
    cluster.pause().await.unwrap();
    let silent = timeout(Duration::from_millis(500), client.apiserver_version()).await;
    cluster.unpause().await.unwrap();
    assert!(silent.is_err(), "a paused server answered");
    timeout(rig::limit(), client.apiserver_version())
        .await
        .unwrap()
        .unwrap();
}
