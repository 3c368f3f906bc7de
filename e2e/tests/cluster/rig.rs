//! Small images made from the image of the cluster, and questions to the engine, for the tests of the cluster side.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use failover_judging::report::Provider;
use failover_rig::cluster::{ClusterArgs, ClusterOptions, ProviderChoice, choose};
use failover_rig::engine::{self, Engine};
use failover_rig::progress::Progress;
use futures::TryStreamExt;
use testcontainers::bollard::models::{ContainerConfig, ContainerCreateBody, NetworkCreateRequest};
use testcontainers::bollard::query_parameters::{
    CommitContainerOptionsBuilder, ContainerArchiveInfoOptionsBuilder,
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, DownloadFromContainerOptionsBuilder,
    ListContainersOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use testcontainers::bollard::{Docker, body_try_stream};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::time::{Instant, sleep};

/// The program that is the guardian of the clusters started here.
pub(crate) const FAILOVER: &str = env!("CARGO_BIN_EXE_failover");

/// Holds nothing but busybox.
pub(crate) const BUSYBOX: &str = "five-spot/test-busybox:1";
/// Where the images of the providers have that program.
const BUSYBOX_PATHS: [&str; 3] = ["/bin/busybox", "/usr/bin/busybox", "/bin/aux/busybox"];

static CHOICE: OnceCell<ProviderChoice> = OnceCell::const_new();
static ONE_SERVER: Mutex<()> = Mutex::const_new(());

/// Keeps what an operation tells.
#[derive(Debug, Default)]
pub(crate) struct Heard(std::sync::Mutex<Vec<String>>);

impl Heard {
    pub(crate) fn text(&self) -> String {
        self.0.lock().unwrap().join("\n")
    }
}

impl Progress for Heard {
    fn step(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }

    fn note(&self, text: &str) {
        self.step(text);
    }

    fn warn(&self, text: &str) {
        self.step(text);
    }
}

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Options of a run without flags, for a cluster that has the busybox image.
pub(crate) fn options() -> ClusterOptions {
    let flags = Flags::try_parse_from(["failover"]).unwrap();
    let options = flags.cluster.options().unwrap();
    assert_ne!(
        options.provider,
        Some(Provider::Kubeconfig),
        "these tests start clusters of their own"
    );
    ClusterOptions {
        images: vec![BUSYBOX.to_owned()],
        guardian: PathBuf::from(FAILOVER),
        ..options
    }
}

pub(crate) fn stand_in(image: &str) -> ClusterOptions {
    ClusterOptions {
        provider: Some(Provider::Node),
        node_image: image.to_owned(),
        ..options()
    }
}

/// How long anything may take that ends by itself: as long as a cluster may take to be ready.
pub(crate) fn limit() -> Duration {
    ClusterOptions::default().timeout
}

/// Held by a test while it has a server's container: two that boot at once make each other slow.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    ONE_SERVER.lock().await
}

/// The engine's client, once there is the busybox image.
pub(crate) async fn docker() -> Docker {
    let engine = engine::probe().await.unwrap();
    choice(&engine).await;
    engine.docker().clone()
}

/// What a run would start its cluster from; the busybox image is made from it.
pub(crate) async fn choice(engine: &Engine) -> &'static ProviderChoice {
    let choose_and_make = async || {
        let choice = choose(engine, &options(), &Heard::default()).await.unwrap();
        let image = &choice.image.as_ref().unwrap().reference;
        make_busybox(engine.docker(), image).await;
        choice
    };
    CHOICE.get_or_init(choose_and_make).await
}

async fn make_busybox(docker: &Docker, image: &str) {
    if docker.inspect_image(BUSYBOX).await.is_ok() {
        return;
    }
    let name = "five-spot-test-source";
    let source = container(docker, name, image, &["true"], HashMap::new()).await;
    let path = DownloadFromContainerOptionsBuilder::default()
        .path(busybox_in(docker, &source, image).await)
        .build();
    let program = docker
        .download_from_container(&source, Some(path))
        .map_err(std::io::Error::other);
    let program = body_try_stream(program);
    let (repository, tag) = BUSYBOX.split_once(':').unwrap();
    let import = CreateImageOptionsBuilder::default()
        .from_src("-")
        .repo(repository)
        .tag(tag)
        .build();
    docker
        .create_image(Some(import), Some(program), None)
        .try_collect::<Vec<_>>()
        .await
        .unwrap();
    remove(docker, &source).await;
}

async fn busybox_in(docker: &Docker, container: &str, image: &str) -> &'static str {
    let mut found = None;
    for path in BUSYBOX_PATHS {
        let asked = ContainerArchiveInfoOptionsBuilder::default()
            .path(path)
            .build();
        let info = docker.get_container_archive_info(container, Some(asked));
        // A link would arrive without what it points to.
        if info.await.is_ok_and(|info| info.link_target.is_empty()) {
            found = Some(path);
            break;
        }
    }
    assert!(
        found.is_some(),
        "{image} has the program busybox at none of {BUSYBOX_PATHS:?}; these tests make their images from it"
    );
    found.unwrap()
}

/// An image that is started like a node and never says that it is up. Each tag is an image of its own, so that the engine
/// can be asked for its containers.
pub(crate) async fn silent_node(docker: &Docker, tag: &str) -> String {
    let script = format!("echo {tag} waits for nothing >&2; exec /busybox sleep 3600");
    node_image(docker, tag, &script).await
}

/// An image that is started like a node and runs a script.
pub(crate) async fn node_image(docker: &Docker, tag: &str, script: &str) -> String {
    let repository = "five-spot/test-node";
    // Without this every run would leave an untagged one behind.
    let earlier = RemoveImageOptionsBuilder::default().force(true).build();
    let _ = docker
        .remove_image(&format!("{repository}:{tag}"), Some(earlier), None)
        .await;
    let name = format!("five-spot-test-source-{tag}");
    let source = container(docker, &name, BUSYBOX, &["/busybox"], HashMap::new()).await;
    let options = CommitContainerOptionsBuilder::default()
        .container(&source)
        .repo(repository)
        .tag(tag)
        .build();
    let config = ContainerConfig {
        entrypoint: Some(["/busybox", "sh", "-c", script].map(str::to_owned).to_vec()),
        ..ContainerConfig::default()
    };
    docker.commit_container(options, config).await.unwrap();
    remove(docker, &source).await;
    format!("{repository}:{tag}")
}

/// Creates a container without starting it; one of that name that an earlier test left is replaced.
pub(crate) async fn container(
    docker: &Docker,
    name: &str,
    image: &str,
    command: &[&str],
    labels: HashMap<String, String>,
) -> String {
    remove(docker, name).await;
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
        labels: Some(labels),
        ..ContainerCreateBody::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    docker
        .create_container(Some(options), body)
        .await
        .unwrap()
        .id
}

pub(crate) async fn remove(docker: &Docker, name: &str) {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    // Nothing to remove is the usual case.
    let _ = docker.remove_container(name, Some(options)).await;
}

/// Names of all containers, running or not, that a filter of the engine's API selects.
pub(crate) async fn containers(docker: &Docker, filter: &str, value: &str) -> Vec<String> {
    let filters = HashMap::from([(filter.to_owned(), vec![value.to_owned()])]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let found = docker.list_containers(Some(options)).await.unwrap();
    found
        .into_iter()
        .filter_map(|container| container.names?.into_iter().next())
        .collect()
}

/// Creates a network; one of that name that an earlier test left is replaced.
pub(crate) async fn network(docker: &Docker, name: &str, labels: HashMap<String, String>) {
    remove_network(docker, name).await;
    let request = NetworkCreateRequest {
        name: name.to_owned(),
        labels: Some(labels),
        ..NetworkCreateRequest::default()
    };
    docker.create_network(request).await.unwrap();
}

pub(crate) async fn remove_network(docker: &Docker, name: &str) {
    // Nothing to remove is the usual case.
    let _ = docker.remove_network(name).await;
}

/// Names of all networks whose name contains `part`.
pub(crate) async fn networks(docker: &Docker, part: &str) -> Vec<String> {
    let filters = HashMap::from([("name".to_owned(), vec![part.to_owned()])]);
    let options = ListNetworksOptionsBuilder::default()
        .filters(&filters)
        .build();
    let found = docker.list_networks(Some(options)).await.unwrap();
    let mut names: Vec<String> = found
        .into_iter()
        .filter_map(|network| network.name)
        .collect();
    names.sort();
    names
}

/// Looks until the engine has `count` containers that the filter selects.
pub(crate) async fn await_containers(
    docker: &Docker,
    filter: &str,
    value: &str,
    count: usize,
    limit: Duration,
) {
    let deadline = Instant::now() + limit;
    loop {
        let found = containers(docker, filter, value).await;
        if found.len() == count {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "expected {count} containers with {filter} {value}, there are: {found:?}"
        );
        sleep(Duration::from_millis(100)).await;
    }
}
