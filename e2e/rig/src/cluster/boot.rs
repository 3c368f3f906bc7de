//! Brings up the containers of a cluster: its network, its server, and the agents that join it.

use std::collections::BTreeMap;

use futures::future::join_all;

use super::args::ClusterOptions;
use super::choice::ProviderChoice;
use super::error::ClusterError;
use super::guard::Guardian;
use super::on_node::NodeAccess;
use super::owner::{Owner, RunId};
use super::ready::{self, Ready};
use super::running::{Cluster, Containers};
use super::server::{Agent, Blueprint, Shared, server_name};
use super::{access, network, nodes};
use crate::engine::Engine;
use crate::progress::Progress;

/// The nodes of a cluster that takes pods.
struct Nodes {
    server: String,
    agents: Vec<String>,
    access: NodeAccess,
    ready: Ready,
}

impl Cluster {
    pub(super) async fn boot(
        engine: Engine,
        choice: ProviderChoice,
        options: &ClusterOptions,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        let run = RunId::random();
        // From here on every way out leads through the guardian.
        let guardian = Guardian::start(&options.guardian, &run)?;
        let Nodes {
            server,
            agents,
            access,
            ready,
        } = match start(&engine, &choice, &run, options, progress).await {
            Ok(nodes) => nodes,
            Err(error) => {
                guardian.finish();
                return Err(error);
            }
        };
        let containers = Containers {
            server,
            agents,
            engine,
            guardian: Some(guardian),
            attached: false,
        };
        let listen_on = options.listen_on;
        Ok(Self::of(run, choice, ready, access, containers, listen_on))
    }
}

async fn start(
    engine: &Engine,
    choice: &ProviderChoice,
    run: &RunId,
    options: &ClusterOptions,
    progress: &dyn Progress,
) -> Result<Nodes, ClusterError> {
    let image = choice
        .image
        .as_ref()
        .map_or("", |image| image.reference.as_str());
    progress.step(&format!("starting {image}"));
    let blueprint = Blueprint {
        engine,
        options,
        choice,
        run,
        shared: share(engine, run, options).await?,
        images: Blueprint::images(engine, options).await?,
    };
    let started = blueprint.start(progress).await?;
    let mut containers =
        BTreeMap::from([(started.name.clone(), started.container.id().to_owned())]);
    let reach = |containers: &BTreeMap<String, String>| NodeAccess::Containers {
        docker: engine.docker().clone(),
        containers: containers.clone(),
    };
    progress.step("waiting for the node to be Ready");
    let ready = ready::wait(&started, &reach(&containers), options).await;
    // Up to here testcontainers removed it on drop. From here on `stop`, `keep` and the guardian decide: its destructor
    // needs a runtime, blocks, and can be told by the environment to keep what it should remove.
    std::mem::forget(started.container);
    let ready = ready?;
    let mut agents = Vec::new();
    if let Some(shared) = &blueprint.shared {
        for (name, id) in join(&blueprint, shared, &started.name, &ready, progress).await? {
            agents.push(name.clone());
            containers.insert(name, id);
        }
    }
    Ok(Nodes {
        server: started.name,
        agents,
        access: reach(&containers),
        ready,
    })
}

/// What a cluster with agents needs before its server starts; one without agents needs nothing.
async fn share(
    engine: &Engine,
    run: &RunId,
    options: &ClusterOptions,
) -> Result<Option<Shared>, ClusterError> {
    if options.agents == 0 {
        return Ok(None);
    }
    let network = server_name(run);
    let labels = Owner::this_process().labels(run, options.keep);
    network::create(engine.docker(), &network, labels).await?;
    Ok(Some(Shared {
        network,
        token: RunId::random().to_string(),
    }))
}

/// Starts the agents at once and waits until all have joined; gives their names with their containers.
///
/// The server then takes no more pods but those that ask for it: a fault that takes away the leader's node must not take
/// the API server along.
async fn join(
    blueprint: &Blueprint<'_>,
    shared: &Shared,
    server: &str,
    ready: &Ready,
    progress: &dyn Progress,
) -> Result<Vec<(String, String)>, ClusterError> {
    let options = blueprint.options;
    progress.step(&format!("waiting for {} agents to join", options.agents));
    let address = network::address(blueprint.engine.docker(), server, &shared.network).await?;
    let starting = (1..=options.agents).map(|number| blueprint.start_agent(number, &address));
    // All of them to their end, also after a failure: one that is cut off could still appear when the rest is removed.
    let started: Result<Vec<Agent>, ClusterError> = join_all(starting).await.into_iter().collect();
    let started = started?;
    let joined = ready::joined(&started, ready, options).await;
    let agents = started.into_iter().map(|agent| {
        let id = agent.container.id().to_owned();
        // As with the server's.
        std::mem::forget(agent.container);
        (agent.name, id)
    });
    let agents = agents.collect();
    joined?;
    let client = access::client(&ready.kubeconfig, None).await?;
    nodes::reserve_server(client, server).await?;
    Ok(agents)
}
