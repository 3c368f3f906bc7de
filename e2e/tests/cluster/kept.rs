//! A cluster that is kept is there for later runs: found, used, and left as it was.

use failover_rig::cluster::{Cluster, ClusterError, ClusterOptions, Kept, RunId};
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::TagImageOptionsBuilder;
use tokio::task::JoinSet;

use crate::rig::{self, BUSYBOX, Heard, options};

/// A name that stands for one image and then for another.
const OPERATOR: (&str, &str) = ("five-spot/test-operator", "dev");

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_cluster_is_attached_to_and_gets_only_the_images_that_changed() {
    let _alone = rig::alone().await;
    let docker = rig::docker().await;
    tag(&docker, BUSYBOX).await;
    let operator = format!("{}:{}", OPERATOR.0, OPERATOR.1);
    let folder = tempfile::tempdir().unwrap();
    let keeping = ClusterOptions {
        keep: true,
        images: vec![operator.clone()],
        ..options()
    };
    let first = Cluster::start(&keeping, &Heard::default()).await.unwrap();
    let (server, run) = (
        first.server_container_name().unwrap().to_owned(),
        first.run().clone(),
    );
    let words = first.keep(folder.path()).await.unwrap();
    let mut using = JoinSet::new();
    using.spawn(use_again(docker.clone(), server.clone(), run, operator));
    let used = using.join_next().await.unwrap();
    // Kept is kept, so a test that fails has to see to it all the more.
    rig::remove(&docker, &server).await;
    used.unwrap();
    assert!(
        words.contains(&format!("failover run --attach {server}")),
        "{words}"
    );
    let gone = ClusterOptions {
        attach: Some(Kept::Named(server.clone())),
        ..options()
    };
    let error = Cluster::start(&gone, &Heard::default()).await.unwrap_err();
    assert!(
        matches!(error, ClusterError::NoKeptCluster { .. }),
        "{error}"
    );
    assert!(error.to_string().contains(&server), "{error}");
}

async fn use_again(docker: Docker, server: String, run: RunId, operator: String) {
    let attaching = ClusterOptions {
        attach: Some(Kept::Named(server.clone())),
        images: vec![operator.clone()],
        ..options()
    };
    let heard = Heard::default();
    let second = Cluster::start(&attaching, &heard).await.unwrap();
    assert!(second.is_attached());
    assert_ne!(*second.run(), run, "its results have a place of their own");
    assert_eq!(second.nodes(), [&server]);
    second
        .client()
        .await
        .unwrap()
        .apiserver_version()
        .await
        .unwrap();
    assert!(second.follow_audit_log().await.is_ok());
    assert!(
        !heard.text().contains("loading"),
        "the node has it already: {}",
        heard.text()
    );
    second.stop().await.unwrap();

    // Another content under the same name, as after a build.
    let other = rig::silent_node(&docker, "kept").await;
    tag(&docker, &other).await;
    let last = ClusterOptions {
        attach: Some(Kept::Last),
        ..attaching.clone()
    };
    let heard = Heard::default();
    let third = Cluster::start(&last, &heard).await.unwrap();
    let loading = format!("loading {operator} into {server}");
    assert!(heard.text().contains(&loading), "{}", heard.text());
    third.stop().await.unwrap();
    let heard = Heard::default();
    drop(Cluster::start(&last, &heard).await.unwrap());
    assert!(!heard.text().contains("loading"), "{}", heard.text());
}

/// Gives `image` the operator's name.
async fn tag(docker: &Docker, image: &str) {
    let options = TagImageOptionsBuilder::default()
        .repo(OPERATOR.0)
        .tag(OPERATOR.1)
        .build();
    docker.tag_image(image, Some(options)).await.unwrap();
}
