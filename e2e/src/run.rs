//! One run: deploys the operator, and for each number of replicas evicts, then breaks the leader again and again.

mod cluster_state;
mod error;
mod evictions;
mod idle;
mod image_pull;
mod options;
mod outcome;
mod rig_watch;
mod series;
mod steady;
mod trial;

use std::{path::PathBuf, sync::Arc, time::Duration};

use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use tokio::time::timeout;

use crate::{
    context::RunContext,
    deploy::{self, Applied, Target},
    fault::{Need, action},
    observe::{Canary, Observations, Observers, Requests, RunClock, SilentListener},
    undo_log::UndoLog,
};
use failover_judging::{
    fault::FaultKind,
    observed::HolderIdentity,
    report::{Provider, Report},
};
use failover_reports::{archive, folder::Folder, outputs, page};
use failover_rig::{
    cluster::{Cluster, ClusterError},
    progress::{Progress, chain},
};

pub use error::RunError;
pub use options::{MetricsSpec, RunOptions, Source};
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
        cluster.audit_log().is_some() || options.naming.holder != HolderIdentity::Any,
        |need, action| match need {
            Need::Node => cluster.require_nodes(action),
            Need::Listener => cluster.require_listener(action),
            Need::Nodes => cluster.require_two_nodes(action),
            Need::Agents => cluster.require_agents(action),
        },
        &options.faults,
    )?;
    let listener = listener(cluster, &options.faults).await?;
    let folder = options
        .out
        .clone()
        .unwrap_or_else(|| default_folder(cluster));
    let folder = Folder::create(std::path::absolute(&folder).unwrap_or(folder))?;
    let client = client(cluster).await?;
    let mut applied = Applied::default();
    let undo_log = UndoLog::default();
    let rig = Rig {
        cluster,
        client: &client,
        undo_log: &undo_log,
        progress,
    };
    let result = tokio::select! {
        result = measure(options, &rig, &folder, listener, &mut applied) => result,
        by = interrupted => Err(RunError::Interrupted { by, folder: folder.path().to_owned() }),
    };
    let outcome = result.and_then(|report| {
        outputs::write(&folder, &report)?;
        Ok(Outcome {
            report,
            folder: folder.path().to_owned(),
        })
    });
    match &outcome {
        Ok(outcome) => conclude(outcome),
        Err(_) => draw_kept(&folder, progress),
    }
    tidy(&rig, applied).await;
    outcome
}

/// Draws the page of a run that was cut short, from what it had kept.
fn draw_kept(folder: &Folder, progress: &dyn Progress) {
    // One that has kept nothing has nothing to show.
    let Ok((_, report)) = archive::report(folder.path()) else {
        return;
    };
    if let Err(error) = page::write(folder, &report) {
        progress.warn(&chain(&error));
    }
}

/// What a run works with, apart from what it looks at.
#[derive(Clone, Copy)]
struct Rig<'a> {
    cluster: &'a Cluster,
    client: &'a kube::Client,
    undo_log: &'a UndoLog,
    progress: &'a dyn Progress,
}

/// Refuses a cluster on which the faults can't be done, before anything is put into it: for want of a way onto its nodes,
/// or because nothing tells who leads. What else it does not show is left out, and the report says so.
fn require(
    leader_is_known: bool,
    meets: impl Fn(Need, &str) -> Result<(), ClusterError>,
    faults: &[FaultKind],
) -> Result<(), RunError> {
    for kind in faults {
        if let Some(need) = action(*kind).needs {
            meets(need, &format!("do the fault {kind}"))?;
        }
    }
    if leader_is_known {
        Ok(())
    } else {
        Err(RunError::NoAuditLog)
    }
}

/// The listener that a fault needs, if one does.
async fn listener(
    cluster: &Cluster,
    faults: &[FaultKind],
) -> Result<Option<SilentListener>, RunError> {
    let needs = |kind: &FaultKind| action(*kind).needs == Some(Need::Listener);
    if !faults.iter().any(needs) {
        return Ok(None);
    }
    let address = cluster.address_of_this_machine().await?;
    let opened = SilentListener::open(address);
    Ok(Some(opened.map_err(|source| ClusterError::NoListener {
        address,
        source,
    })?))
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
    listener: Option<SilentListener>,
    applied: &mut Applied,
) -> Result<Report, RunError> {
    let Rig {
        cluster,
        client,
        undo_log,
        progress,
    } = *rig;
    let (target, found) = installed(options, rig, applied).await?;
    let metrics = options.metrics_of(&target)?;
    progress.step("reading the election settings");
    let settings = options.given.settle(client, &found, &target).await?;
    let observations = Arc::new(Observations::new(RunClock::start()));
    let requests = Requests::new(client.clone(), Arc::clone(&observations));
    let mut observers =
        Observers::begin(cluster, client, &target, &observations, folder.logs()).await?;
    let audit = cluster.audit_log().is_some();
    // Without an audit log nobody would see what the canary makes the leader do.
    let canary = match options.canary.as_ref().filter(|_| audit) {
        Some(spec) => {
            let namespace = &target.namespace;
            let canary =
                Canary::create(requests.clone(), client, spec, namespace, undo_log).await?;
            observers.watch_canary(Arc::clone(&canary));
            Some(canary)
        }
        None => None,
    };
    let fence = match &options.source {
        Source::Manifests { manifests, .. } => manifests.has_fence(),
        Source::Running { .. } => deploy::has_fence(client, &target).await,
    };
    let context = RunContext {
        cluster,
        client: client.clone(),
        requests,
        target,
        settings,
        canary,
        metrics,
        work: options.work.clone(),
        audit,
        fence,
        rollout: options.rollout.as_ref(),
        listener,
        undo_log,
        observations,
        progress,
    };
    Series::new(options, &context, folder, &mut observers)
        .run()
        .await
}

/// Applies the operator, or takes the one that runs already; gives its Deployment as it is in the cluster.
async fn installed(
    options: &RunOptions,
    rig: &Rig<'_>,
    applied: &mut Applied,
) -> Result<(Target, Deployment), RunError> {
    let Rig {
        cluster,
        client,
        undo_log,
        progress,
    } = *rig;
    match &options.source {
        Source::Running {
            namespace,
            deployment,
        } => {
            progress.step(&format!("taking Deployment {deployment} as it runs"));
            let place = (namespace.as_str(), deployment.as_str());
            let taken = deploy::take(client, place, &options.naming, &options.overrides, undo_log);
            Ok(taken.await?)
        }
        Source::Manifests { manifests, target } => {
            progress.step("deploying the operator");
            let mut manifests = manifests.clone();
            let deployments: Api<Deployment> = Api::namespaced(client.clone(), &target.namespace);
            let failed = |source| RunError::Deployment {
                name: target.deployment.clone(),
                source: Box::new(source),
            };
            if cluster.provider() == Provider::Kubeconfig {
                let found = deployments.get_opt(&target.deployment).await;
                if found.map_err(failed)?.is_some() {
                    return Err(RunError::RunsAlready {
                        namespace: target.namespace.clone(),
                        deployment: target.deployment.clone(),
                    });
                }
            } else {
                if let Some(identity) = cluster.image_identity(&target.image).await? {
                    manifests.identify_image(target, &identity);
                }
                if deploy::take_over(client, &manifests, &target.namespace).await? {
                    progress.warn(BINDING_GOES);
                }
            }
            deploy::apply(client, &manifests, &target.namespace, applied).await?;
            let found = deployments.get(&target.deployment).await;
            Ok((target.clone(), found.map_err(failed)?))
        }
    }
}

/// Undoes what a trial that was cut short has left, and takes away from a brought cluster what the run put into it; a
/// started one goes as a whole.
async fn tidy(rig: &Rig<'_>, applied: Applied) {
    let Rig {
        cluster,
        client,
        undo_log,
        progress,
    } = *rig;
    match timeout(REPAIR_LIMIT, undo_log.undo_all(cluster, client)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => progress.warn(&chain(&error)),
        Err(_) => progress.warn("what a fault did to the cluster could not be undone in time"),
    }
    if cluster.provider() != Provider::Kubeconfig || applied.is_empty() {
        return;
    }
    progress.step("removing the operator");
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
    use failover_judging::samples::says;

    fn no_way(need: Need, action: &str) -> Result<(), ClusterError> {
        let action = action.to_owned();
        Err(match need {
            Need::Node => ClusterError::NoNodeAccess { action },
            Need::Listener => ClusterError::NoAddressOfThisMachine { action },
            Need::Nodes => ClusterError::TooFewNodes { action, found: 1 },
            Need::Agents => ClusterError::NoAgents { action },
        })
    }

    #[rstest::rstest]
    #[case(FaultKind::Crash, "--on-node")]
    #[case(FaultKind::LostAnswers, "--on-node")]
    #[case(FaultKind::SlowWebhook, "--listen-on")]
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
    fn a_holder_that_nothing_leads_to_a_pod_is_refused_at_once_and_the_flags_are_named() {
        let error = require(false, |_, _| Ok(()), &[FaultKind::Graceful]).unwrap_err();
        assert!(error.is_usage());
        let message = error.to_string();
        says(&message, &["--audit-log", "--holder any"]);
    }
}
