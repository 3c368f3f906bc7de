//! One run: deploys the operator, and for each number of replicas evicts, then breaks the leader again and again.

mod outcome;
mod series;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    args::RunArgs,
    budget::FaultKind,
    canary::{self, Canary, CanaryError},
    clock::RunClock,
    cluster::{Cluster, ClusterError, Provider},
    deploy::{self, Applied, ApplyError, ManifestError, Manifests, Overrides, Target, TargetError},
    evidence::{Folder, WriteError},
    journal::Journal,
    progress::Progress,
    report::Report,
    requests::Requests,
    scene::Scene,
    witness::Witnesses,
};

pub use series::Series;

/// Tells the harness's requests from others in the audit log.
const USER_AGENT: http::HeaderValue =
    http::HeaderValue::from_static(concat!("failover/", env!("CARGO_PKG_VERSION")));

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
    /// The cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The operator could not be deployed or removed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// There is no canary.
    #[error(transparent)]
    Canary(#[from] CanaryError),
    /// The canary could not be removed.
    #[error("failed to remove the canary")]
    Tidy(#[source] Box<kube::Error>),
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
            Self::Manifests(_) | Self::Target(_) | Self::Image(_) => true,
            Self::Cluster(error) => error.is_usage(),
            _ => false,
        }
    }
}

impl TryFrom<&RunArgs> for RunOptions {
    type Error = RunError;

    fn try_from(args: &RunArgs) -> Result<Self, RunError> {
        let mut manifests = Manifests::read(&args.deploy)?;
        let overrides = Overrides {
            replicas: args.replicas.first().copied(),
            image: Some(args.cluster.image.clone()),
            env: args.set_env.clone(),
        };
        let target = Target::prepare(&mut manifests, &overrides)?;
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
            within: args.within,
            out: args.out.clone(),
        })
    }
}

/// Runs on `cluster`, and leaves a brought cluster as it was found. `interrupted` resolves with the reason to end early.
pub async fn run(
    options: &RunOptions,
    cluster: &Cluster,
    interrupted: impl Future<Output = &'static str>,
    progress: &dyn Progress,
) -> Result<Outcome, RunError> {
    let folder = options
        .out
        .clone()
        .unwrap_or_else(|| default_folder(cluster));
    let folder = Folder::create(std::path::absolute(&folder).unwrap_or(folder))?;
    let client = client(cluster).await?;
    let mut applied = Applied::default();
    let result = tokio::select! {
        result = measure(options, cluster, progress, &client, &folder, &mut applied) => result,
        name = interrupted => Err(RunError::Interrupted(name)),
    };
    let tidied = tidy(options, cluster, &client, applied, progress).await;
    // What ended the run says more than what then could not be removed.
    let report = result?;
    tidied?;
    folder.write_json("report.json", &report)?;
    Ok(Outcome {
        report,
        folder: folder.path().to_owned(),
    })
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
    cluster: &Cluster,
    progress: &dyn Progress,
    client: &kube::Client,
    folder: &Folder,
    applied: &mut Applied,
) -> Result<Report, RunError> {
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
    let canary = Canary::create(requests.clone(), &target.namespace).await?;
    witnesses.accompany(Arc::clone(&canary));
    let scene = Scene {
        cluster,
        client: client.clone(),
        requests,
        target: target.clone(),
        settings,
        canary,
        journal,
        progress,
    };
    Series::new(options, &scene, folder, &mut witnesses)
        .run()
        .await
}

/// Takes away from a brought cluster what the run put into it; a started one goes as a whole.
async fn tidy(
    options: &RunOptions,
    cluster: &Cluster,
    client: &kube::Client,
    applied: Applied,
    progress: &dyn Progress,
) -> Result<(), RunError> {
    if cluster.provider() != Provider::Kubeconfig {
        return Ok(());
    }
    progress.step("removing the operator");
    let removed = canary::remove(client, &options.target.namespace).await;
    removed.map_err(|source| RunError::Tidy(Box::new(source)))?;
    Ok(deploy::remove(client, applied).await?)
}
