//! Bad input: a clear error, bounded in time, and nothing left running.

use std::path::PathBuf;
use std::time::Duration;

use failover_judging::{report::Provider, samples::says};
use failover_rig::cluster::{Brought, Cluster, ClusterOptions};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::rig::{self, FAILOVER, Heard, options};

/// What is said of the error of this kind that there is instead of a cluster.
async fn refused(options: &ClusterOptions, kind: &str) -> String {
    let started = timeout(rig::limit(), Cluster::start(options, &Heard::default())).await;
    let error = started
        .expect("the error has to come in time")
        .expect_err("no cluster can be had here");
    let mut message = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        message = format!("{message}: {cause}");
        source = cause.source();
    }
    assert!(format!("{error:?}").starts_with(kind), "{error:?}");
    message
}

fn kubeconfig(server: &str) -> tempfile::NamedTempFile {
    let text = format!(
        "{{apiVersion: v1, kind: Config, current-context: here, clusters: [{{name: c, cluster: {{server: '{server}'}}}}], \
         users: [{{name: u, user: {{token: t}}}}], contexts: [{{name: here, context: {{cluster: c, user: u}}}}]}}"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn brought(kubeconfig: PathBuf, context: Option<&str>) -> ClusterOptions {
    let context = context.map(str::to_owned);
    let brought = Brought {
        kubeconfig: Some(kubeconfig),
        context,
        ..Brought::default()
    };
    ClusterOptions {
        provider: Some(Provider::Kubeconfig),
        brought,
        ..options()
    }
}

#[tokio::test]
async fn a_kubeconfig_that_does_not_exist_is_named() {
    let message = refused(
        &brought(PathBuf::from("/nowhere/kubeconfig"), None),
        "Kubeconfig",
    )
    .await;
    says(&message, &["/nowhere/kubeconfig", "--kubeconfig"]);
}

#[tokio::test]
async fn a_context_that_does_not_exist_is_named_with_those_that_do() {
    let file = kubeconfig("https://127.0.0.1:1");
    let message = refused(&brought(file.path().to_owned(), Some("there")), "").await;
    says(&message, &["no context there", "it has: here"]);
}

#[tokio::test]
async fn a_server_that_refuses_the_connection_is_named_at_once() {
    let file = kubeconfig("https://127.0.0.1:1");
    let message = refused(&brought(file.path().to_owned(), None), "Unreachable").await;
    says(&message, &["https://127.0.0.1:1"]);
}

#[tokio::test]
async fn a_server_that_accepts_and_stays_silent_is_given_up_after_ten_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let file = kubeconfig(&format!("https://{}", listener.local_addr().unwrap()));
    let message = refused(&brought(file.path().to_owned(), None), "Unreachable").await;
    says(&message, &["within 10 s"]);
}

#[tokio::test]
async fn an_image_that_does_not_exist_is_named_with_how_to_get_it() {
    let options = ClusterOptions {
        images: vec!["ghcr.io/finos/5spot-rs:typo".to_owned()],
        ..options()
    };
    let message = refused(&options, "ImageMissing").await;
    says(&message, &["5spot-rs:typo", "build or pull it"]);
}

#[tokio::test]
async fn a_node_image_that_does_not_exist_is_named_with_the_command_that_builds_it() {
    rig::docker().await;
    let message = refused(&rig::stand_in("five-spot/node:typo"), "").await;
    says(&message, &["five-spot/node:typo", "`just node`"]);
}

#[tokio::test]
async fn without_any_cluster_image_both_ways_out_are_named() {
    rig::docker().await;
    let options = ClusterOptions {
        provider: None,
        // The engine refuses this name before it asks a registry.
        k3s_image: "127.0.0.1:1/k3s:v1".to_owned(),
        node_image: "five-spot/node:typo".to_owned(),
        ..options()
    };
    let message = refused(&options, "NoClusterImage").await;
    says(&message, &["127.0.0.1:1/k3s:v1", "`just node`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_never_gets_ready_is_given_up_and_removed() {
    let _alone = rig::alone().await;
    let docker = rig::docker().await;
    let image = rig::silent_node(&docker, "never-ready").await;
    let options = ClusterOptions {
        images: Vec::new(),
        timeout: Duration::from_secs(10),
        ..rig::stand_in(&image)
    };
    let message = refused(&options, "NotReady").await;
    says(
        &message,
        &[
            "within 10 s (--cluster-timeout)",
            "never-ready waits for nothing",
        ],
    );
    assert_eq!(
        rig::containers(&docker, "ancestor", &image).await,
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_at_once_is_reported_with_its_last_words() {
    let _alone = rig::alone().await;
    let docker = rig::docker().await;
    let image = rig::node_image(&docker, "broken", "echo the disk is on fire >&2; exit 7").await;
    let message = refused(&rig::stand_in(&image), "Start").await;
    says(&message, &["the disk is on fire"]);
    assert_eq!(
        rig::containers(&docker, "ancestor", &image).await,
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn without_an_engine_the_program_fails_and_says_how_to_get_one() {
    let output = Command::new(FAILOVER)
        .args(["cluster", "--provider", "node"])
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    says(&said, &["unix:///nowhere/docker.sock", "`just engine`"]);
}
