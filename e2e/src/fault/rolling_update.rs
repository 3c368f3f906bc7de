//! `rolling-update`: the pod template is changed, and every replica is replaced.
//!
//! Proves that leadership moves exactly once: from the old leader to a replica that stays, not to one that is replaced
//! next. Its limits count from when the leader's pod is asked to stop; before that, the rollout decides.
//!
//! The harness changes an annotation, or a command of the user's makes whatever manages the Deployment roll it out anew: an
//! upgrade is a rolling update as well.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::PodTemplateSpec};
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{action::Action, effect, error::FaultError};
use crate::{
    context::{
        Scene,
        undo::{Due, Repair},
    },
    deploy::rollout::RolloutCommand,
};
use failover_judging::{
    observed::trial::{PodSeen, Strike},
    report::Provider,
};

/// The annotation of the pod template that is changed.
const ANNOTATION: &str = "failover/rolled-out-at";

/// How long the pod template may take to change after the user's command: whoever manages it looks now and then only.
const CHANGE_LIMIT: Duration = Duration::from_mins(2);

/// How often the pod template is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

async fn deployment(scene: &Scene<'_>) -> Result<Deployment, FaultError> {
    let name = &scene.target.deployment;
    let found = scene.deployments().get(name).await;
    found.map_err(FaultError::api("read Deployment", name))
}

fn template(deployment: &Deployment) -> Option<PodTemplateSpec> {
    deployment.spec.as_ref().map(|spec| spec.template.clone())
}

pub(super) const ACTION: Action = Action::of(|scene, leader| Box::pin(strike(scene, leader)));

async fn strike(scene: &Scene<'_>, _leader: &PodSeen) -> Result<Strike, FaultError> {
    if let Some(command) = scene.rollout {
        let issued = scene.journal.now();
        roll_out(scene, command).await?;
        return Ok(Strike::between(issued, scene.journal.now()));
    }
    let name = &scene.target.deployment;
    let template =
        |value| json!({"spec": {"template": {"metadata": {"annotations": {ANNOTATION: value}}}}});
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
}

/// Runs the command, and waits until the pod template is another one.
async fn roll_out(scene: &Scene<'_>, command: &RolloutCommand) -> Result<(), FaultError> {
    let name = &scene.target.deployment;
    let before = template(&deployment(scene).await?);
    command.run().await?;
    let look = || async {
        if template(&deployment(scene).await?) != before {
            return Ok(());
        }
        Err(FaultError::NoEffect(format!(
            "--rollout (run.rollout): `{command}` did not change the pod template of Deployment {name} within {} s",
            CHANGE_LIMIT.as_secs()
        )))
    };
    effect::wait(CHANGE_LIMIT, LOOK, look).await
}
