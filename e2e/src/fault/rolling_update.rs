//! `rolling-update`: the pod template is changed, and every replica is replaced.
//!
//! Proves that leadership moves exactly once: from the old leader to a replica that stays, not to one that is replaced
//! next. Its limits count from when the leader's pod is asked to stop; before that, the rollout decides.
//!
//! The harness changes an annotation, or a command of the user's makes whatever manages the Deployment roll it out anew: an
//! upgrade is a rolling update as well.

use std::{fmt, process::Stdio, str::FromStr, time::Duration};

use futures::future::BoxFuture;
use k8s_openapi::api::{apps::v1::Deployment, core::v1::PodTemplateSpec};
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::process::Command;

use super::{Fault, FaultError, Hold, effect};
use crate::{
    budget::{FaultKind, LeaseSettings},
    cluster::Provider,
    repairs::{Due, Repair},
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// The annotation of the pod template that is changed.
const ANNOTATION: &str = "failover/rolled-out-at";

/// How long the pod template may take to change after the user's command: whoever manages it looks now and then only.
const CHANGE_LIMIT: Duration = Duration::from_mins(2);

/// How often the pod template is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// Changes the pod template.
#[derive(Clone, Copy, Debug)]
pub(super) struct RollingUpdate;

/// A command that has the Deployment rolled out anew. Its words are split at spaces; no shell reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutCommand {
    program: String,
    arguments: Vec<String>,
}

impl FromStr for RolloutCommand {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace().map(str::to_owned);
        Ok(Self {
            program: words.next().ok_or("the command must not be empty")?,
            arguments: words.collect(),
        })
    }
}

impl fmt::Display for RolloutCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.program)?;
        self.arguments
            .iter()
            .try_for_each(|word| write!(formatter, " {word}"))
    }
}

impl RolloutCommand {
    async fn run(&self) -> Result<(), FaultError> {
        let output = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        let output = output.map_err(|source| FaultError::Rollout {
            command: self.to_string(),
            source,
        })?;
        if output.status.success() {
            return Ok(());
        }
        let stderr = String::from_utf8_lossy(&output.stderr);
        Err(FaultError::NoEffect(format!(
            "--rollout (run.rollout): `{self}` ended with {}: {}",
            output.status,
            stderr.trim()
        )))
    }

    /// Runs it, and waits until the pod template is another one.
    async fn roll_out(&self, scene: &Scene<'_>) -> Result<(), FaultError> {
        let name = &scene.target.deployment;
        let before = template(&deployment(scene).await?);
        self.run().await?;
        let look = || async {
            if template(&deployment(scene).await?) != before {
                return Ok(());
            }
            Err(FaultError::NoEffect(format!(
                "--rollout (run.rollout): `{self}` did not change the pod template of Deployment {name} within {} s",
                CHANGE_LIMIT.as_secs()
            )))
        };
        effect::wait(CHANGE_LIMIT, LOOK, look).await
    }
}

async fn deployment(scene: &Scene<'_>) -> Result<Deployment, FaultError> {
    let name = &scene.target.deployment;
    let found = scene.deployments().get(name).await;
    found.map_err(FaultError::api("read Deployment", name))
}

fn template(deployment: &Deployment) -> Option<PodTemplateSpec> {
    deployment.spec.as_ref().map(|spec| spec.template.clone())
}

impl Fault for RollingUpdate {
    fn kind(&self) -> FaultKind {
        FaultKind::RollingUpdate
    }

    fn about(&self) -> &'static str {
        "changes the pod template, so that every replica is replaced"
    }

    fn proves(&self) -> &'static str {
        "a rollout moves leadership exactly once, to a replica that stays"
    }

    fn strike<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        _leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<Strike, FaultError>> {
        Box::pin(async move {
            if let Some(command) = scene.rollout {
                let issued = scene.journal.now();
                command.roll_out(scene).await?;
                return Ok(Strike::between(issued, scene.journal.now()));
            }
            let name = &scene.target.deployment;
            let template = |value| json!({"spec": {"template": {"metadata": {"annotations": {ANNOTATION: value}}}}});
            if scene.cluster.provider() == Provider::Kubeconfig {
                scene.repairs.owe(
                    Due::AfterRun,
                    format!("the pod template of {name} is annotated"),
                    Repair::Merge {
                        path: scene.target.deployment_path(),
                        change: template(None),
                    },
                );
            }
            let now = jiff::Timestamp::now().to_string();
            let issued = scene.journal.now();
            let changed = scene
                .deployments()
                .patch(
                    name,
                    &PatchParams::default(),
                    &Patch::Merge(template(Some(now))),
                )
                .await;
            changed.map_err(FaultError::api("change the pod template of", name))?;
            Ok(Strike::between(issued, scene.journal.now()))
        })
    }

    fn hold(&self, _settings: &LeaseSettings) -> Hold {
        Hold::UntilRolledOut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_words_and_must_not_be_empty() {
        let command: RolloutCommand = "helm  upgrade operator ./chart".parse().unwrap();
        assert_eq!(command.to_string(), "helm upgrade operator ./chart");
        assert!(" ".parse::<RolloutCommand>().is_err());
    }

    #[tokio::test]
    async fn a_command_that_fails_says_what_it_said() {
        let works: RolloutCommand = "true".parse().unwrap();
        works.run().await.unwrap();
        let fails: RolloutCommand = "ls /nowhere/at/all".parse().unwrap();
        let said = fails.run().await.unwrap_err().to_string();
        assert!(
            said.contains("--rollout") && said.contains("/nowhere/at/all"),
            "{said}"
        );
        let missing: RolloutCommand = "/nowhere/at/all".parse().unwrap();
        let said = missing.run().await.unwrap_err().to_string();
        assert_eq!(
            said,
            "--rollout (run.rollout): failed to run `/nowhere/at/all`"
        );
    }
}
