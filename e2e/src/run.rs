//! One run: deploys the operator, and for each number of replicas evicts, then breaks the leader again and again.

mod outcome;
mod series;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    args::{CanaryChoice, MetricsChoice, RunArgs},
    budget::FaultKind,
    canary::{self, Canary, CanaryError},
    clock::RunClock,
    cluster::{Cluster, ClusterError, Provider},
    deploy::{
        self, Applied, ApplyError, EnvOverride, ManifestError, Manifests, NoFence, Overrides,
        Switches, Target, TargetError,
    },
    evidence::{Folder, WriteError},
    fault::{Need, fault},
    gate::Gate,
    journal::Journal,
    progress::{Progress, chain},
    repairs::Repairs,
    report::Report,
    requests::Requests,
    scene::Scene,
    witness::Witnesses,
};

use tokio::time::timeout;

pub use series::Series;

/// Tells the harness's requests from others in the audit log.
const USER_AGENT: http::HeaderValue =
    http::HeaderValue::from_static(concat!("failover/", env!("CARGO_PKG_VERSION")));

/// How long undoing what a trial that was cut short has left may take.
const REPAIR_LIMIT: Duration = Duration::from_secs(30);

/// What a run is asked for, checked as far as it can be without a cluster.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The operator's objects, with image and environment changed as asked.
    pub manifests: Manifests,
    /// What they put to the test.
    pub target: Target,
    /// Image of the operator.
    pub image: String,
    /// Numbers of replicas.
    pub replicas: Vec<u32>,
    /// Faults.
    pub faults: Vec<FaultKind>,
    /// Trials of each.
    pub trials: u32,
    /// Seed of the moments of the faults.
    pub seed: u64,
    /// How long calls are counted while nothing changes; zero skips it.
    pub steady: Duration,
    /// Environment variables set or changed.
    pub set_env: BTreeMap<String, String>,
    /// What was asked to be on or off.
    pub switches: Switches,
    /// Whether the leader is given work that is looked at.
    pub canary: bool,
    /// Whether the replicas' metrics tell their roles.
    pub metrics: bool,
    /// Limits over all trials.
    pub gates: Vec<Gate>,
    /// The takeover time promised; `None` means the lease duration.
    pub within: Option<Duration>,
    /// The folder for the results; `None` means one named after the run.
    pub out: Option<PathBuf>,
}

/// What a run ended with.
#[derive(Debug)]
pub struct Outcome {
    /// What was found.
    pub report: Report,
    /// Where the results are.
    pub folder: PathBuf,
}

/// Why a run has no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The manifests can't be read.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// The manifests can't be put to the test.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// What is to be on is not there.
    #[error(transparent)]
    NoFence(#[from] NoFence),
    /// A limit is for a fault that is not tried.
    #[error("--fail-if {gate}: the fault {fault} is not among --faults", fault = .gate.fault())]
    GateWithoutTrial {
        /// The limit.
        gate: Gate,
    },
    /// The replicas have nothing to tell their roles with.
    #[error("Deployment {0} has no containerPort for /metrics; --metrics none does without")]
    NoMetrics(String),
    /// The cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The operator could not be deployed or removed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// There is no canary.
    #[error(transparent)]
    Canary(#[from] CanaryError),
    /// Nothing can be judged without the audit log.
    #[error(
        "the audit log of this cluster is needed to judge a takeover: say where it is with --audit-log and how to \
         reach it with --on-node"
    )]
    NoAuditLog,
    /// A result could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The Deployment can't be read back.
    #[error("failed to read Deployment {name}")]
    Deployment {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API can't be reached the way the harness needs it.
    #[error("failed to make a client")]
    Client(#[source] Box<kube::Error>),
    /// It was ended from outside.
    #[error("ended by {0}")]
    Interrupted(&'static str),
    /// The operator's image can't be had.
    #[error("{0}")]
    Image(String),
}

impl RunError {
    /// Whether the user's input is at fault.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Manifests(_)
            | Self::Target(_)
            | Self::NoFence(_)
            | Self::GateWithoutTrial { .. }
            | Self::NoMetrics(_)
            | Self::Image(_)
            | Self::NoAuditLog => true,
            Self::Cluster(error) => error.is_usage(),
            _ => false,
        }
    }
}

impl TryFrom<&RunArgs> for RunOptions {
    type Error = RunError;

    fn try_from(args: &RunArgs) -> Result<Self, RunError> {
        let mut manifests = Manifests::read(&args.deploy)?;
        let switches = Switches {
            fence: args.fence,
            hint: args.hint,
        };
        let mut env: Vec<EnvOverride> = manifests.switch(switches)?;
        // What is set by name outweighs a switch.
        env.extend(args.set_env.iter().cloned());
        let overrides = Overrides {
            replicas: args.replicas.first().copied(),
            image: Some(args.cluster.image.clone()),
            env,
        };
        let target = Target::prepare(&mut manifests, &overrides)?;
        let metrics = args.metrics != MetricsChoice::None;
        if metrics && target.metrics_port.is_none() {
            return Err(RunError::NoMetrics(target.deployment));
        }
        let tried = |gate: &&Gate| !args.faults.contains(&gate.fault());
        if let Some(gate) = args.fail_if.iter().find(tried) {
            return Err(RunError::GateWithoutTrial { gate: gate.clone() });
        }
        Ok(Self {
            manifests,
            target,
            image: args.cluster.image.clone(),
            replicas: args.replicas.clone(),
            faults: args.faults.clone(),
            trials: args.trials,
            seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
            steady: args.steady,
            set_env: args
                .set_env
                .iter()
                .map(|env| (env.name.clone(), env.value.clone()))
                .collect(),
            switches,
            canary: args.canary != CanaryChoice::None,
            metrics,
            gates: args.fail_if.clone(),
            within: args.within,
            out: args.out.clone(),
        })
    }
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
        |action| cluster.require_nodes(action),
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
        name = interrupted => Err(RunError::Interrupted(name)),
    };
    let outcome = result.and_then(|report| {
        folder.write_json("report.json", &report)?;
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
    require_nodes: impl Fn(&str) -> Result<(), ClusterError>,
    faults: &[FaultKind],
) -> Result<(), RunError> {
    let needs_node = |kind: &&FaultKind| fault(**kind).needs() == Some(Need::Node);
    if let Some(kind) = faults.iter().find(needs_node) {
        require_nodes(&format!("do the fault {kind}"))?;
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
    deploy::apply(client, &options.manifests, applied).await?;
    let target = &options.target;
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
        progress.warn(
            "an admission policy's binding goes: if it was the last one on its kind of parameter, this API server has to \
             be restarted before one can work again (kubernetes/kubernetes issue 130887)",
        );
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

    fn no_way(action: &str) -> Result<(), ClusterError> {
        Err(ClusterError::NoNodeAccess {
            action: action.to_owned(),
        })
    }

    #[test]
    fn a_fault_that_needs_a_node_is_refused_at_once_and_the_flag_is_named() {
        let error = require(true, no_way, &[FaultKind::Graceful, FaultKind::Crash]).unwrap_err();
        assert!(error.is_usage());
        let message = error.to_string();
        assert!(
            message.contains("--on-node") && message.contains("do the fault crash"),
            "{message}"
        );
        assert!(require(true, no_way, &[FaultKind::Graceful]).is_ok());
    }

    #[test]
    fn a_cluster_without_an_audit_log_is_refused_at_once_and_the_flag_is_named() {
        let error = require(false, |_| Ok(()), &[FaultKind::Graceful]).unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains("--audit-log"), "{error}");
    }
}
