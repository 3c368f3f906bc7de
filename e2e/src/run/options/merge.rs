//! Flags over the file over the defaults, one function for each thing that can be asked for.

use std::{collections::BTreeMap, fmt::Display, str::FromStr, time::Duration};

use kube::api::{ApiResource, DynamicObject, GroupVersionKind, TypeMeta};
use serde_json::Value;
use toml::Spanned;

use super::source::{MetricsSpec, Source};
use crate::{
    args::{CanaryChoice, MetricsChoice, RunArgs},
    config::{
        CanaryTable, Config, ConfigError, MetricsTable, RunTable, TargetTable, Written, json,
    },
    deploy::{EnvOverride, Manifests, Naming, Switch, Switches, rollout::RolloutCommand},
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
    report::Provider,
};
use failover_reports::archive;

const METRICS_PATH: &str = "/metrics";

/// How long the replicas may take to settle where nobody says.
pub(super) const SETTLE: Duration = Duration::from_secs(90);

/// The flags over the file, with paths as they are meant from here.
pub(super) struct Merge<'a> {
    args: &'a RunArgs,
    config: &'a Config,
    pub(super) target: TargetTable,
    pub(super) run: RunTable,
}

impl<'a> Merge<'a> {
    pub(super) fn new(args: &'a RunArgs, config: &'a Config) -> Self {
        let (mut target, mut run) = (config.file.target.clone(), config.file.run.clone());
        let outputs = [&mut run.baseline, &mut run.out].into_iter().flatten();
        for path in target.manifests.iter_mut().chain(outputs) {
            *path = config.resolve(path);
        }
        Self {
            args,
            config,
            target: args.target.clone().or(target),
            run: args.run.clone().or(run),
        }
    }

    pub(super) fn naming(&self) -> Naming {
        Naming {
            namespace: self.target.namespace.clone(),
            deployment: self.target.deployment.clone(),
            container: self.target.container.clone(),
            lease: self.target.lease.clone(),
            holder: self.target.holder.unwrap_or_default(),
        }
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
    pub(super) fn images(&self, image: Option<&String>) -> Vec<String> {
        let mut images: Vec<String> = Vec::new();
        for name in image.into_iter().chain(&self.target.images) {
            if !images.contains(name) {
                images.push(name.clone());
            }
        }
        images
    }

    pub(super) fn switches(&self) -> Switches {
        Switches {
            fence: self.run.fence,
            hint: self.run.hint,
        }
    }

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
        let flags = self.run.env_overrides.iter().cloned();
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
        let counts = self.run.replicas.iter().flatten();
        let counts: Vec<u32> = counts.map(|count| count.0).collect();
        if counts.is_empty() {
            vec![2, 3]
        } else {
            counts
        }
    }

    pub(super) fn faults(&self) -> Vec<FaultKind> {
        let faults = self.run.faults.clone();
        faults
            .filter(|faults| !faults.is_empty())
            .unwrap_or_else(|| vec![FaultKind::Graceful, FaultKind::Crash, FaultKind::CrashLoop])
    }

    /// How many trials are made. A goal that can't be reached would never be missed.
    pub(super) fn precision(&self) -> Result<Precision, RunError> {
        let trials = self.run.trials.map_or(3, |trials| trials.0);
        let goals = self.all("run.until_confident", self.run.until_confident.as_deref())?;
        let max_trials = self.run.max_trials.map(|most| most.0);
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
            warm_up: self.run.warm_up.map_or(0, |warm_up| warm_up.0),
            trials,
            max_trials: max_trials.unwrap_or_else(most),
            goals,
        };
        precision.require(&self.faults())?;
        Ok(precision)
    }

    pub(super) fn settle(&self) -> Result<Duration, ConfigError> {
        let settle = self.one("run.settle", self.run.settle.as_ref())?;
        Ok(settle.map_or(SETTLE, |time| time.0))
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
        let rollout = self.one("run.rollout", self.run.rollout.as_ref())?;
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
        let written = self.run.fail_if.as_deref();
        let gates = self.all(key, written)?;
        let faults = self.faults();
        let mut all = gates.iter().zip(written.into_iter().flatten()).enumerate();
        let Some((index, (gate, written))) =
            all.find(|(_, (gate, _))| !faults.contains(&gate.fault()))
        else {
            return Ok(gates);
        };
        let place = match written {
            Written::Flag(_) => "--fail-if".to_owned(),
            Written::File(text) => {
                let key = format!("{key}[{index}]");
                self.config.place(&text.span(), &key).to_string()
            }
        };
        Err(RunError::GateWithoutTrial {
            gate: gate.clone(),
            place,
        })
    }

    fn baseline(&self) -> Result<Option<Baseline>, RunError> {
        let regression = self.one("run.regression", self.run.regression.as_ref())?;
        match (&self.run.baseline, regression) {
            (Some(place), regression) => {
                let read = archive::baseline(place, regression.unwrap_or_default());
                Ok(Some(read?))
            }
            (None, Some(_)) => Err(RunError::Alone {
                given: "--regression (run.regression)",
                needs: "--baseline (run.baseline)",
            }),
            (None, None) => Ok(None),
        }
    }

    fn one<T: FromStr<Err: Display> + Clone>(
        &self,
        key: &str,
        written: Option<&Written<T>>,
    ) -> Result<Option<T>, ConfigError> {
        written
            .map(|written| written.get(self.config, key))
            .transpose()
    }

    fn all<T: FromStr<Err: Display> + Clone>(
        &self,
        key: &str,
        written: Option<&[Written<T>]>,
    ) -> Result<Vec<T>, ConfigError> {
        let items = written.into_iter().flatten().enumerate();
        items
            .map(|(index, item)| item.get(self.config, &format!("{key}[{index}]")))
            .collect()
    }

    pub(super) fn within(&self) -> Result<Option<Duration>, ConfigError> {
        let within = self.one("run.within", self.run.within.as_ref())?;
        Ok(within.map(|time| time.0))
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
