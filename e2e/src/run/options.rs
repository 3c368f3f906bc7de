//! What a run is asked for.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::RunError;
use crate::{
    args::{CanaryChoice, MetricsChoice, RunArgs},
    budget::FaultKind,
    deploy::{BudgetShape, EnvOverride, Manifests, Overrides, Switches, Target},
    gate::Gate,
    limits::Limits,
    precision::Precision,
};

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
    /// Whether the leader is given work that is looked at.
    pub canary: bool,
    /// Whether the replicas' metrics tell their roles.
    pub metrics: bool,
    /// What the user asks of the results.
    pub limits: Limits,
    /// The takeover time promised; `None` means the lease duration.
    pub within: Option<Duration>,
    /// The folder for the results; `None` means one named after the run.
    pub out: Option<PathBuf>,
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
        manifests.shape_budget(args.budget, &target)?;
        let metrics = args.metrics != MetricsChoice::None;
        if metrics && target.metrics_port.is_none() {
            return Err(RunError::NoMetrics(target.deployment));
        }
        let tried = |gate: &&Gate| !args.faults.contains(&gate.fault());
        if let Some(gate) = args.fail_if.iter().find(tried) {
            return Err(RunError::GateWithoutTrial { gate: gate.clone() });
        }
        let precision = args.precision.precision(args.trials);
        precision.require(&args.faults)?;
        let limits = Limits {
            gates: args.fail_if.clone(),
            goals: precision.goals.clone(),
            baseline: args.baseline.read()?,
        };
        Ok(Self {
            manifests,
            target,
            image: args.cluster.image.clone(),
            replicas: args.replicas.clone(),
            faults: args.faults.clone(),
            precision,
            seed: args.seed.unwrap_or_else(|| fastrand::u64(..)),
            steady: args.steady,
            settle: args.settle,
            set_env: args
                .set_env
                .iter()
                .map(|env| (env.name.clone(), env.value.clone()))
                .collect(),
            switches,
            budget: args.budget,
            canary: args.canary != CanaryChoice::None,
            metrics,
            limits,
            within: args.within,
            out: args.out.clone(),
        })
    }
}
