//! A cluster of several nodes: they share it, one of them can be lost and comes back, and nothing of them is left.

use failover_judging::samples::says;
use std::time::Duration;

use failover_rig::cluster::{Cluster, ClusterOptions};
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{Api, DeleteParams, ListParams, PostParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::rig::{self, BUSYBOX, Heard, options};

#[tokio::test(flavor = "multi_thread")]
async fn agents_take_the_pods_can_be_lost_and_are_gone_with_their_cluster() {
    let _alone = rig::alone().await;
    let docker = rig::docker().await;
    let with_agents = ClusterOptions {
        agents: 2,
        ..options()
    };
    let cluster = Cluster::start(&with_agents, &Heard::default())
        .await
        .unwrap();
    let server = cluster.server_container_name().unwrap().to_owned();
    let agents = cluster.agents().to_vec();
    assert_eq!(
        agents,
        [format!("{server}-agent-1"), format!("{server}-agent-2")]
    );
    assert_eq!(cluster.nodes(), [&server, &agents[0], &agents[1]]);
    assert_eq!(rig::networks(&docker, &server).await, [server.as_str()]);
    cluster.require_agents("do this").unwrap();
    cluster.require_two_nodes("do this").unwrap();

    let client = cluster.client().await.unwrap();
    pods_go_to_agents_and_their_image_is_there(&client, &agents).await;
    a_lost_agent_comes_back(&cluster, &client, &agents[0]).await;
    let refused = cluster.kill_node(&server).await.unwrap_err().to_string();
    assert!(refused.contains(&server), "{refused}");
    says(&refused, &["agents"]);

    // A lost node may be what is interrupted, so it has to go as well.
    cluster.kill_node(&agents[1]).await.unwrap();
    cluster.stop().await.unwrap();
    assert_eq!(
        rig::containers(&docker, "name", &server).await,
        Vec::<String>::new()
    );
    assert_eq!(rig::networks(&docker, &server).await, Vec::<String>::new());
}

/// One pod more than there are agents, so that one of them would go to the server if it took any.
async fn pods_go_to_agents_and_their_image_is_there(client: &Client, agents: &[String]) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let names = ["a", "b", "c"];
    for name in names {
        let pod = json!({
            "metadata": {"name": name},
            "spec": {"terminationGracePeriodSeconds": 0, "containers": [{
                "name": "main", "image": BUSYBOX, "imagePullPolicy": "Never", "command": ["/busybox", "sleep", "3600"],
            }]},
        });
        let pod = serde_json::from_value(pod).unwrap();
        pods.create(&PostParams::default(), &pod).await.unwrap();
    }
    let running = async || {
        let list = pods.list(&ListParams::default()).await.unwrap();
        list.items.iter().all(|pod| {
            pod.status
                .as_ref()
                .and_then(|status| status.phase.as_deref())
                == Some("Running")
        })
    };
    until("every pod runs", running).await;
    let list = pods.list(&ListParams::default()).await.unwrap();
    for pod in list {
        let node = pod.spec.unwrap().node_name.unwrap();
        assert!(agents.contains(&node), "a pod runs on {node}");
    }
    for name in names {
        pods.delete(name, &DeleteParams::default()).await.unwrap();
    }
}

async fn a_lost_agent_comes_back(cluster: &Cluster, client: &Client, agent: &str) {
    let before = heartbeat(client, agent).await;
    cluster.cut_node(agent).await.unwrap();
    cluster.kill_node(agent).await.unwrap();
    assert!(
        cluster.on_node(agent, &["true"]).await.is_err(),
        "nothing runs on a lost node"
    );
    cluster.restart_node(agent).await.unwrap();
    until("the agent takes part again", async || {
        let ready = cluster.node_is_ready(client, agent).await.unwrap();
        ready && heartbeat(client, agent).await != before
    })
    .await;
    let rules = cluster
        .on_node(agent, &["iptables", "-S", "OUTPUT"])
        .await
        .unwrap();
    assert!(!rules.stdout.contains("DROP"), "{}", rules.stdout);
}

/// When the kubelet of a node last reported.
async fn heartbeat(client: &Client, node: &str) -> Option<String> {
    let nodes: Api<Node> = Api::all(client.clone());
    let found = nodes.get(node).await.unwrap();
    assert_eq!(found.name_any(), node);
    let conditions = found.status?.conditions?;
    let ready = conditions
        .into_iter()
        .find(|condition| condition.type_ == "Ready")?;
    Some(ready.last_heartbeat_time?.0.to_string())
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + rig::limit();
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(200)).await;
    }
}
