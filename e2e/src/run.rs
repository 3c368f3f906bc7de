//! One run: deploys the operator, and for each number of replicas evicts, then breaks the leader again and again.

mod error;
mod lookout;
mod options;
mod outcome;
mod series;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::time::timeout;

use crate::{
    budget::FaultKind,
    canary::{self, Canary},
    clock::RunClock,
    cluster::{Cluster, ClusterError, Provider},
    deploy::{self, Applied},
    evidence::Folder,
    fault::{Need, fault},
    journal::Journal,
    outputs,
    progress::{Progress, chain},
    repairs::Repairs,
    report::Report,
    requests::Requests,
    scene::Scene,
    witness::Witnesses,
};

pub use error::RunError;
pub use options::RunOptions;
pub use series::Series;

/// Tells the harness's requests from others in the audit log.
const USER_AGENT: http::HeaderValue =
    http::HeaderValue::from_static(concat!("failover/", env!("CARGO_PKG_VERSION")));

/// How long undoing what a trial that was cut short has left may take.
const REPAIR_LIMIT: Duration = Duration::from_secs(30);

/// Said when a bound admission policy is removed from a cluster that stays.
const BINDING_GOES: &str = "an admission policy's binding goes: if it was the last one on its kind of parameter, this API \
    server has to be restarted before one can work again (kubernetes/kubernetes issue 130887)";

/// What a run ended with.
#[derive(Debug)]
pub struct Outcome {
    /// What was found.
    pub report: Report,
    /// Where the results are.
    pub folder: PathBuf,
}

/// Runs on `cluster`, and leaves a brought cluster as it was found. `interrupted` resolves with the reason to end early.
///
/// `conclude` gets the outcome as soon as its report is written: before anything is removed, which may take long and may
/// fail. What can't be removed is a warning and changes no verdict.
pub async fn run(
    options: &RunOptions,
    cluster: &Cluster,
    interrupted: impl Future<Output = &'static str>,
    progress: &dyn Progress,
    conclude: impl FnOnce(&Outcome),
) -> Result<Outcome, RunError> {
    require(
        cluster.audit_log().is_some(),
        |need, action| match need {
            Need::Node => cluster.require_nodes(action),
            Need::Nodes => cluster.require_two_nodes(action),
            Need::Agents => cluster.require_agents(action),
        },
        &options.faults,
    )?;
    let folder = options
        .out
        .clone()
        .unwrap_or_else(|| default_folder(cluster));
    let folder = Folder::create(std::path::absolute(&folder).unwrap_or(folder))?;
    let client = client(cluster).await?;
    let mut applied = Applied::default();
    let repairs = Repairs::default();
    let rig = Rig {
        cluster,
        client: &client,
        repairs: &repairs,
        progress,
    };
    let result = tokio::select! {
        result = measure(options, &rig, &folder, &mut applied) => result,
        by = interrupted => Err(RunError::Interrupted { by, folder: folder.path().to_owned() }),
    };
    let outcome = result.and_then(|report| {
        outputs::write(&folder, &report)?;
        Ok(Outcome {
            report,
            folder: folder.path().to_owned(),
        })
    });
    if let Ok(outcome) = &outcome {
        conclude(outcome);
    }
    tidy(options, &rig, applied).await;
    outcome
}

/// What a run works with, apart from what it looks at.
#[derive(Clone, Copy)]
struct Rig<'a> {
    cluster: &'a Cluster,
    client: &'a kube::Client,
    repairs: &'a Repairs,
    progress: &'a dyn Progress,
}

/// Refuses a cluster that can't show what a run looks for, before anything is put into it.
fn require(
    audit_log: bool,
    meets: impl Fn(Need, &str) -> Result<(), ClusterError>,
    faults: &[FaultKind],
) -> Result<(), RunError> {
    for kind in faults {
        if let Some(need) = fault(*kind).needs() {
            meets(need, &format!("do the fault {kind}"))?;
        }
    }
    if audit_log {
        Ok(())
    } else {
        Err(RunError::NoAuditLog)
    }
}

/// A client that never retries by itself: a refusal is what is looked for, and a hidden retry would be timed.
async fn client(cluster: &Cluster) -> Result<kube::Client, RunError> {
    let mut config = cluster.config().await?;
    config.default_retry = false;
    config.headers.push((http::header::USER_AGENT, USER_AGENT));
    kube::Client::try_from(config).map_err(|source| RunError::Client(Box::new(source)))
}

fn default_folder(cluster: &Cluster) -> PathBuf {
    PathBuf::from("target/failover").join(cluster.run().to_string())
}

async fn measure(
    options: &RunOptions,
    rig: &Rig<'_>,
    folder: &Folder,
    applied: &mut Applied,
) -> Result<Report, RunError> {
    let Rig {
        cluster,
        client,
        repairs,
        progress,
    } = *rig;
    progress.step("deploying the operator");
    let target = &options.target;
    let mut manifests = options.manifests.clone();
    if cluster.provider() != Provider::Kubeconfig {
        if let Some(identity) = cluster.image_identity(&options.image).await? {
            manifests.identify_image(target, &identity);
        }
        if deploy::take_over(client, &manifests).await? {
            progress.warn(BINDING_GOES);
        }
    }
    deploy::apply(client, &manifests, applied).await?;
    let deployments: kube::Api<k8s_openapi::api::apps::v1::Deployment> =
        kube::Api::namespaced(client.clone(), &target.namespace);
    let found = deployments
        .get(&target.deployment)
        .await
        .map_err(|source| RunError::Deployment {
            name: target.deployment.clone(),
            source: Box::new(source),
        })?;
    let settings = deploy::settings_of(&found)?;
    let journal = Arc::new(Journal::new(RunClock::start()));
    let requests = Requests::new(client.clone(), Arc::clone(&journal));
    let mut witnesses = Witnesses::begin(cluster, client, target, &journal, folder.logs()).await?;
    let canary = if options.canary {
        let canary = Canary::create(requests.clone(), &target.namespace).await?;
        witnesses.accompany(Arc::clone(&canary));
        Some(canary)
    } else {
        None
    };
    let scene = Scene {
        cluster,
        client: client.clone(),
        requests,
        target: target.clone(),
        settings,
        canary,
        metrics: options.metrics,
        fence: options.manifests.has_fence(),
        repairs,
        journal,
        progress,
    };
    Series::new(options, &scene, folder, &mut witnesses)
        .run()
        .await
}

/// Undoes what a trial that was cut short has left, and takes away from a brought cluster what the run put into it; a
/// started one goes as a whole.
async fn tidy(options: &RunOptions, rig: &Rig<'_>, applied: Applied) {
    let Rig {
        cluster,
        client,
        repairs,
        progress,
    } = *rig;
    match timeout(REPAIR_LIMIT, repairs.settle_all(cluster, client)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => progress.warn(&chain(&error)),
        Err(_) => progress.warn("what a fault did to the cluster could not be undone in time"),
    }
    if cluster.provider() != Provider::Kubeconfig {
        return;
    }
    progress.step("removing the operator");
    if options.canary
        && let Err(error) = canary::remove(client, &options.target.namespace).await
    {
        progress.warn(&format!("failed to remove the canary: {}", chain(&error)));
    }
    if applied.has_binding() {
        progress.warn(BINDING_GOES);
    }
    if let Err(error) = deploy::remove(client, applied).await {
        progress.warn(&format!(
            "what the run put into the cluster is not all removed: {}",
            chain(&error)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn no_way(need: Need, action: &str) -> Result<(), ClusterError> {
        let action = action.to_owned();
        Err(match need {
            Need::Node => ClusterError::NoNodeAccess { action },
            Need::Nodes => ClusterError::TooFewNodes { action, found: 1 },
            Need::Agents => ClusterError::NoAgents { action },
        })
    }

    #[rstest::rstest]
    #[case(FaultKind::Crash, "--on-node")]
    #[case(FaultKind::Drain, "--agents 2")]
    #[case(FaultKind::NodeLoss, "--agents 2")]
    fn a_fault_that_needs_a_node_is_refused_at_once_and_the_flag_is_named(
        #[case] fault: FaultKind,
        #[case] flag: &str,
    ) {
        let error = require(true, no_way, &[FaultKind::Graceful, fault]).unwrap_err();
        assert!(error.is_usage());
        let message = error.to_string();
        assert!(
            message.contains(flag) && message.contains(&format!("do the fault {fault}")),
            "{message}"
        );
        assert!(require(true, no_way, &[FaultKind::Graceful]).is_ok());
    }

    #[test]
    fn a_cluster_without_an_audit_log_is_refused_at_once_and_the_flag_is_named() {
        let error = require(false, |_, _| Ok(()), &[FaultKind::Graceful]).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains("--audit-log"), "{error}");
    }
}
