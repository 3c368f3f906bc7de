//! What a run is asked for.

mod merge;
mod source;

pub use source::{MetricsSpec, Source};

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use kube::ResourceExt;
use merge::Merge;

use super::RunError;
use crate::{
    args::RunArgs,
    config::Config,
    deploy::{
        GivenSettings, Manifests, Naming, Overrides, Switches, Target, is_a,
        rollout::RolloutCommand,
    },
    observe::CanarySpec,
};
use failover_judging::{
    criteria::{Criteria, Precision},
    fault::FaultKind,
    observed::{LeaderMetric, WorkRule},
    report::BudgetShape,
};

/// How long calls are counted while nothing changes where nobody says.
const STEADY: Duration = Duration::from_secs(30);

/// What tells our own operator from others.
const OUR_DEPLOYMENT: &str = "5spot-controller";

/// What a run is asked for, checked as far as it can be without a cluster.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The file that was read; `None` where there is none.
    pub config: Option<PathBuf>,
    /// Where the operator comes from.
    pub source: Source,
    /// What the user names of it.
    pub naming: Naming,
    /// What is changed about it.
    pub overrides: Overrides,
    /// The election settings that the user gives.
    pub given: GivenSettings,
    /// Images that a started cluster is to have.
    pub images: Vec<String>,
    /// Numbers of replicas.
    pub replicas: Vec<u32>,
    /// Faults.
    pub faults: Vec<FaultKind>,
    /// How many trials of each.
    pub precision: Precision,
    /// Seed of the moments of the faults.
    pub seed: u64,
    /// How long calls are counted while nothing changes; zero skips it.
    pub steady: Duration,
    /// How long the replicas may take to settle, beyond the lease duration.
    pub settle: Duration,
    /// Environment variables set or changed.
    pub set_env: BTreeMap<String, String>,
    /// What was asked to be on or off.
    pub switches: Switches,
    /// The rule that the disruption budget was given.
    pub budget: BudgetShape,
    /// What gives the leader work; `None` where its work is not looked at.
    pub canary: Option<CanarySpec>,
    /// How the replicas' metrics tell their roles; `None` where they are not read.
    pub metrics: Option<MetricsSpec>,
    /// Which requests of the replicas are work.
    pub work: WorkRule,
    /// What has the Deployment rolled out anew; `None` where the harness does it itself.
    pub rollout: Option<RolloutCommand>,
    /// What the user asks of the results.
    pub limits: Criteria,
    /// The takeover time promised; `None` means the lease duration.
    pub within: Option<Duration>,
    /// The folder for the results; `None` means one named after the run.
    pub out: Option<PathBuf>,
}

impl RunOptions {
    /// How the metrics of the target's replicas are read; `None` where they are not.
    pub fn metrics_of(&self, target: &Target) -> Result<Option<LeaderMetric>, RunError> {
        let Some(spec) = &self.metrics else {
            return Ok(None);
        };
        let port = spec.port.map(i32::from).or(target.first_port);
        Ok(Some(LeaderMetric {
            port: port.ok_or_else(|| RunError::NoMetrics(target.deployment.clone()))?,
            path: spec.path.clone(),
            leader: spec.leader.clone(),
            standby: spec.standby.clone(),
        }))
    }
}

/// The manifests at these paths, if there are any.
fn read(paths: &[PathBuf]) -> Result<Option<Manifests>, RunError> {
    if paths.is_empty() {
        return Ok(None);
    }
    Ok(Some(Manifests::read(paths)?))
}

/// Whether our own operator is in the manifests: if not, its image, canary and metrics are not meant.
fn are_ours(manifests: &Manifests) -> bool {
    let mut objects = manifests.objects.iter();
    objects.any(|object| is_a(object, "Deployment") && object.name_any() == OUR_DEPLOYMENT)
}

impl TryFrom<&RunArgs> for RunOptions {
    type Error = RunError;

    fn try_from(args: &RunArgs) -> Result<Self, RunError> {
        let named = args.target.config.as_deref();
        let found = Config::find(named)?;
        let deployed = read(&args.target.manifests)?;
        let path = found.as_ref().map(|config| config.path().to_owned());
        let config = match found {
            Some(config) => config,
            None if args.target.names_a_target() => Config::default(),
            None if deployed.as_ref().is_none_or(are_ours) => Config::ours()?,
            None => Config::default(),
        };
        let merge = Merge::new(args, &config);
        let switches = merge.switches();
        let naming = merge.naming();
        let set_env = merge.set_env()?;
        let image = merge.image();
        let given = merge.target.election;
        let mut overrides = Overrides {
            replicas: merge.replicas().first().copied(),
            image: image.clone(),
            env: Vec::new(),
        };
        let budget = merge.run.budget.unwrap_or_default();
        let manifests = match deployed {
            Some(manifests) => Some(manifests),
            None => read(&merge.target.manifests)?,
        };
        let source = if let Some(mut manifests) = manifests {
            overrides.env = merge.env(&mut manifests, &set_env)?;
            let (target, deployment) = naming.prepare(&mut manifests, &overrides)?;
            given.check(&deployment, &target)?;
            manifests.shape_budget(budget, &target)?;
            Source::Manifests { manifests, target }
        } else {
            overrides.env = merge.env(&mut Manifests::default(), &set_env)?;
            if budget != BudgetShape::AsIs {
                return Err(RunError::BudgetStays(budget));
            }
            merge.running(&naming)?
        };
        let canary = merge.canary()?;
        let precision = merge.precision()?;
        let options = Self {
            config: path,
            images: merge.images(image.as_ref()),
            replicas: merge.replicas(),
            faults: merge.faults(),
            limits: merge.limits(&precision)?,
            precision,
            seed: merge.run.seed.unwrap_or_else(|| fastrand::u64(..)),
            steady: merge.run.steady.map_or(STEADY, |time| time.0),
            settle: merge.settle()?,
            set_env,
            switches,
            budget,
            metrics: merge.metrics()?,
            work: merge.work(canary.as_ref()),
            rollout: merge.rollout()?,
            canary,
            within: merge.within()?,
            out: merge.run.out.clone(),
            source,
            naming,
            overrides,
            given,
        };
        if let Source::Manifests { target, .. } = &options.source {
            options.metrics_of(target)?;
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests;
