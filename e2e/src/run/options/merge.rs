//! Flags over the file over the defaults, one function for each thing that can be asked for.

use std::{collections::BTreeMap, fmt::Display, path::PathBuf, str::FromStr, time::Duration};

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta};
use serde_json::Value;
use toml::Spanned;

use super::source::{MetricsSpec, Source};
use crate::{
    args::{CanaryChoice, MetricsChoice, RunArgs},
    config::{CanaryTable, Config, ConfigError, MetricsTable, RunTable, TargetTable, Time, json},
    deploy::{
        EnvOverride, GivenSettings, Manifests, Naming, Switch, Switches, rollout::RolloutCommand,
    },
    observe::{
        CanarySpec,
        canary::{COUNTER, has_counter},
    },
    run::RunError,
};
use failover_judging::{
    criteria::{Baseline, Criteria, Gate, Precision, precision::MAX_TRIALS},
    fault::FaultKind,
    observed::{Answer, MetricSelector, ResourceName, WorkRule},
    report::{BudgetShape, Provider},
};
use failover_reports::archive;

/// The path of metrics where none is given.
const METRICS_PATH: &str = "/metrics";

/// How long the replicas may take to settle where nobody says.
pub(super) const SETTLE: Duration = Duration::from_secs(90);

/// The flags, and the file that they win over.
pub(super) struct Merge<'a> {
    args: &'a RunArgs,
    config: &'a Config,
    target: &'a TargetTable,
    run: &'a RunTable,
}

impl<'a> Merge<'a> {
    pub(super) fn new(args: &'a RunArgs, config: &'a Config) -> Self {
        Self {
            args,
            config,
            target: &config.file.target,
            run: &config.file.run,
        }
    }

    pub(super) fn naming(&self) -> Naming {
        let flags = &self.args.target;
        let either =
            |flag: &Option<String>, file: &Option<String>| flag.clone().or_else(|| file.clone());
        let holder = self.target.holder.as_ref().map(|holder| *holder.get_ref());
        Naming {
            namespace: either(&flags.namespace, &self.target.namespace),
            deployment: either(&flags.deployment, &self.target.deployment),
            container: either(&flags.container, &self.target.container),
            lease: either(&flags.lease, &self.target.lease),
            holder: flags.holder.or(holder).unwrap_or_default(),
        }
    }

    pub(super) fn given(&self) -> GivenSettings {
        let flags = &self.args.target;
        let file = &self.target.election;
        GivenSettings {
            lease_duration: flags.lease_duration.or(file.lease_duration),
            renew_deadline: flags.renew_deadline.or(file.renew_deadline),
            retry_period: flags.retry_period.or(file.retry_period),
        }
    }

    /// What is applied where the flags name nothing; nothing where the Deployment runs already.
    pub(super) fn manifests(&self) -> Vec<PathBuf> {
        if self.args.target.running {
            return Vec::new();
        }
        let paths = self.target.manifests.iter();
        paths.map(|path| self.config.resolve(path)).collect()
    }

    pub(super) fn running(&self, naming: &Naming) -> Result<Source, RunError> {
        let provider = self.args.cluster.options()?.provider;
        if provider != Some(Provider::Kubeconfig) {
            return Err(RunError::NothingToDeploy);
        }
        match (&naming.namespace, &naming.deployment) {
            (Some(namespace), Some(deployment)) => Ok(Source::Running {
                namespace: namespace.clone(),
                deployment: deployment.clone(),
            }),
            (None, _) => Err(RunError::Unnamed("--namespace (target.namespace)")),
            (_, None) => Err(RunError::Unnamed("--deployment (target.deployment)")),
        }
    }

    pub(super) fn image(&self) -> Option<String> {
        let flag = self.args.cluster.image.clone();
        flag.or_else(|| self.target.image.clone())
    }

    /// Everything that a started cluster is to have.
    pub(super) fn images(&self, image: Option<String>) -> Vec<String> {
        let mut images: Vec<String> = Vec::new();
        let further = self.target.images.iter().chain(&self.args.target.images);
        for name in image.into_iter().chain(further.cloned()) {
            if !images.contains(&name) {
                images.push(name);
            }
        }
        images
    }

    pub(super) fn switches(&self) -> Switches {
        Switches {
            fence: self.args.fence.or(self.run.fence),
            hint: self.args.hint.or(self.run.hint),
        }
    }

    /// What is set by name.
    pub(super) fn set_env(&self) -> Result<BTreeMap<String, String>, ConfigError> {
        let mut env = BTreeMap::new();
        for (name, value) in &self.run.set_env {
            let checked = EnvOverride::new(name, value.get_ref());
            let checked = checked.map_err(|rule| {
                let key = format!("run.set_env.{name}");
                self.config
                    .wrong(&value.span(), &key, format!("{name:?} {rule}"))
            })?;
            env.insert(checked.name, checked.value);
        }
        let flags = self.args.set_env.iter().cloned();
        env.extend(flags.map(|change| (change.name, change.value)));
        Ok(env)
    }

    /// The variables to set, and the manifests without what is switched off. What is set by name outweighs a switch.
    pub(super) fn env(
        &self,
        manifests: &mut Manifests,
        set_env: &BTreeMap<String, String>,
    ) -> Result<Vec<EnvOverride>, RunError> {
        let switches = self.switches();
        if manifests.objects.is_empty() && switches.fence == Some(Switch::Off) {
            return Err(RunError::FenceStays);
        }
        let mut env = manifests.switch(switches)?;
        env.extend(set_env.iter().map(|(name, value)| EnvOverride {
            name: name.clone(),
            value: value.clone(),
        }));
        Ok(env)
    }

    pub(super) fn replicas(&self) -> Vec<u32> {
        if !self.args.replicas.is_empty() {
            return self.args.replicas.clone();
        }
        let file = self.run.replicas.as_ref();
        let file = file.map(|counts| counts.iter().map(|count| count.0).collect());
        file.filter(|counts: &Vec<u32>| !counts.is_empty())
            .unwrap_or_else(|| vec![2, 3])
    }

    pub(super) fn faults(&self) -> Vec<FaultKind> {
        if !self.args.faults.is_empty() {
            return self.args.faults.clone();
        }
        let file = self.run.faults.clone();
        file.filter(|faults| !faults.is_empty())
            .unwrap_or_else(|| vec![FaultKind::Graceful, FaultKind::Crash, FaultKind::CrashLoop])
    }

    /// How many trials are made. A goal that can't be reached would never be missed.
    pub(super) fn precision(&self) -> Result<Precision, RunError> {
        let flags = &self.args.precision;
        let trials = self.run.trials.map(|trials| trials.0);
        let trials = self.args.trials.or(trials).unwrap_or(3);
        let goals = self.either(
            &flags.until_confident,
            "run.until_confident",
            &self.run.until_confident,
        )?;
        let max_trials = flags.max_trials.or(self.run.max_trials.map(|most| most.0));
        if max_trials.is_some() && goals.is_empty() {
            return Err(RunError::Alone {
                given: "--max-trials (run.max_trials)",
                needs: "--until-confident (run.until_confident)",
            });
        }
        let most = || match goals.as_slice() {
            [] => trials,
            [_, ..] => MAX_TRIALS.max(trials),
        };
        let precision = Precision {
            warm_up: flags
                .warm_up
                .or(self.run.warm_up.map(|warm_up| warm_up.0))
                .unwrap_or_default(),
            trials,
            max_trials: max_trials.unwrap_or_else(most),
            goals,
        };
        precision.require(&self.faults())?;
        Ok(precision)
    }

    pub(super) fn seed(&self) -> u64 {
        let seed = self.args.seed.or(self.run.seed);
        seed.unwrap_or_else(|| fastrand::u64(..))
    }

    pub(super) fn steady(&self) -> Duration {
        let file = self.run.steady.map(|time| time.0);
        self.args.steady.or(file).unwrap_or(Duration::from_secs(30))
    }

    pub(super) fn settle(&self) -> Result<Duration, ConfigError> {
        let file = self.longer_than_nothing("run.settle", self.run.settle.as_ref())?;
        Ok(self.args.settle.or(file).unwrap_or(SETTLE))
    }

    pub(super) fn budget(&self) -> BudgetShape {
        self.args.budget.or(self.run.budget).unwrap_or_default()
    }

    pub(super) fn canary(&self) -> Result<Option<CanarySpec>, RunError> {
        match self.args.canary {
            Some(CanaryChoice::None) => Ok(None),
            Some(CanaryChoice::ScheduledMachine) => Ok(canary_of(&Config::ours()?)?),
            None => Ok(canary_of(self.config)?),
        }
    }

    pub(super) fn metrics(&self) -> Result<Option<MetricsSpec>, RunError> {
        match self.args.metrics {
            Some(MetricsChoice::None) => Ok(None),
            Some(MetricsChoice::FiveSpot) => Ok(metrics_of(&Config::ours()?)?),
            None => Ok(metrics_of(self.config)?),
        }
    }

    pub(super) fn work(&self, canary: Option<&CanarySpec>) -> WorkRule {
        WorkRule {
            ignore: self.run.ignore_writes.clone(),
            answer: canary.map(|canary| canary.answer.clone()),
        }
    }

    /// What has the Deployment rolled out anew.
    pub(super) fn rollout(&self) -> Result<Option<RolloutCommand>, RunError> {
        let file = match &self.run.rollout {
            Some(text) => Some(self.parse("run.rollout", text)?),
            None => None,
        };
        let rollout = self.args.rollout.clone().or(file);
        if rollout.is_some() && !self.faults().contains(&FaultKind::RollingUpdate) {
            return Err(RunError::Alone {
                given: "--rollout (run.rollout)",
                needs: "--faults rolling-update (run.faults)",
            });
        }
        Ok(rollout)
    }

    /// What the user asks of the results.
    pub(super) fn limits(&self, precision: &Precision) -> Result<Criteria, RunError> {
        Ok(Criteria {
            gates: self.gates()?,
            goals: precision.goals.clone(),
            baseline: self.baseline()?,
        })
    }

    /// All limits. One for a fault that is not tried could never be missed.
    fn gates(&self) -> Result<Vec<Gate>, RunError> {
        let key = "run.fail_if";
        let gates = self.either(&self.args.fail_if, key, &self.run.fail_if)?;
        let faults = self.faults();
        let mut all = gates.iter().enumerate();
        let Some((index, gate)) = all.find(|(_, gate)| !faults.contains(&gate.fault())) else {
            return Ok(gates);
        };
        let place = if self.args.fail_if.is_empty() {
            let span = self.run.fail_if.get(index).map(Spanned::span);
            let key = format!("{key}[{index}]");
            self.config
                .place(&span.unwrap_or_default(), &key)
                .to_string()
        } else {
            "--fail-if".to_owned()
        };
        Err(RunError::GateWithoutTrial {
            gate: gate.clone(),
            place,
        })
    }

    fn baseline(&self) -> Result<Option<Baseline>, RunError> {
        let flags = &self.args.baseline;
        let file = self.run.baseline.as_ref();
        let file = file.map(|path| self.config.resolve(path));
        let place = flags.baseline.clone().or(file);
        let regression = match &self.run.regression {
            Some(text) => Some(self.parse("run.regression", text)?),
            None => None,
        };
        let regression = flags.regression.or(regression);
        match (place, regression) {
            (Some(place), regression) => {
                let read = archive::baseline(&place, regression.unwrap_or_default());
                Ok(Some(read?))
            }
            (None, Some(_)) => Err(RunError::Alone {
                given: "--regression (run.regression)",
                needs: "--baseline (run.baseline)",
            }),
            (None, None) => Ok(None),
        }
    }

    /// What the flags say, or else the file.
    fn either<T: FromStr<Err: Display> + Clone>(
        &self,
        flags: &[T],
        key: &str,
        file: &[Spanned<String>],
    ) -> Result<Vec<T>, ConfigError> {
        if !flags.is_empty() {
            return Ok(flags.to_vec());
        }
        let items = file.iter().enumerate();
        items
            .map(|(index, text)| self.parse(&format!("{key}[{index}]"), text))
            .collect()
    }

    /// A value of the file that is a text with a form of its own.
    fn parse<T: FromStr<Err: Display>>(
        &self,
        key: &str,
        text: &Spanned<String>,
    ) -> Result<T, ConfigError> {
        text.get_ref().parse().map_err(|rule| {
            let rule = format!("{:?}: {rule}", text.get_ref());
            self.config.wrong(&text.span(), key, rule)
        })
    }

    fn longer_than_nothing(
        &self,
        key: &str,
        time: Option<&Spanned<Time>>,
    ) -> Result<Option<Duration>, ConfigError> {
        match time {
            Some(time) if time.get_ref().0.is_zero() => {
                let rule = "must be longer than 0s";
                Err(self.config.wrong(&time.span(), key, rule))
            }
            time => Ok(time.map(|time| time.get_ref().0)),
        }
    }

    pub(super) fn within(&self) -> Result<Option<Duration>, ConfigError> {
        let file = self.longer_than_nothing("run.within", self.run.within.as_ref())?;
        Ok(self.args.within.or(file))
    }

    pub(super) fn out(&self) -> Option<PathBuf> {
        let file = self.run.out.as_ref();
        let flag = self.args.out.clone();
        flag.or_else(|| file.map(|path| self.config.resolve(path)))
    }
}

fn canary_of(config: &Config) -> Result<Option<CanarySpec>, ConfigError> {
    let Some(table) = &config.file.canary else {
        return Ok(None);
    };
    let CanaryTable {
        object,
        patch,
        modulo,
        answer,
        answer_name,
    } = table;
    let wrong_object = |rule: String| config.wrong(&object.span(), "canary.object", rule);
    let value = json(object.get_ref()).map_err(wrong_object)?;
    let parsed: DynamicObject = serde_json::from_value(value)
        .map_err(|error| wrong_object(format!("must be a Kubernetes object: {error}")))?;
    if parsed.types.is_none() || parsed.metadata.name.is_none() {
        let rule = "must have apiVersion, kind and metadata.name";
        return Err(wrong_object(rule.to_owned()));
    }
    let wrong_patch = |rule: String| config.wrong(&patch.span(), "canary.patch", rule);
    let change: Value = json(patch.get_ref()).map_err(wrong_patch)?;
    if !has_counter(&change) {
        let rule = format!(
            "must have a value with {COUNTER}, or it changes nothing when it is made again"
        );
        return Err(wrong_patch(rule));
    }
    let is_canary = answer_name.is_some()
        && *answer_name == parsed.metadata.name
        && parsed
            .types
            .as_ref()
            .is_some_and(|types| is_of(answer, types));
    Ok(Some(CanarySpec {
        object: parsed,
        patch: change,
        modulo: modulo.map_or(u32::MAX, std::num::NonZeroU32::get),
        answer: Answer {
            resource: answer.clone(),
            name: answer_name.clone(),
            is_canary,
        },
    }))
}

/// Whether a resource is that of a kind, as nearly all are named.
fn is_of(resource: &ResourceName, types: &TypeMeta) -> bool {
    GroupVersionKind::try_from(types).is_ok_and(|kind| {
        resource.group == kind.group && resource.resource == ApiResource::from_gvk(&kind).plural
    })
}

fn metrics_of(config: &Config) -> Result<Option<MetricsSpec>, ConfigError> {
    let Some(MetricsTable {
        port,
        path,
        leader,
        standby,
    }) = &config.file.metrics
    else {
        return Ok(None);
    };
    let selector = |key: &str, text: &Spanned<String>| {
        MetricSelector::from_str(text.get_ref()).map_err(|rule| {
            let rule = format!("{:?} {rule}", text.get_ref());
            config.wrong(&text.span(), key, rule)
        })
    };
    let standby = standby.as_ref();
    Ok(Some(MetricsSpec {
        port: *port,
        path: path.clone().unwrap_or_else(|| METRICS_PATH.to_owned()),
        leader: selector("metrics.leader", leader)?,
        standby: standby
            .map(|text| selector("metrics.standby", text))
            .transpose()?,
    }))
}
