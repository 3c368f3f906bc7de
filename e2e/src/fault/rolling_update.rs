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
    context::RunContext,
    deploy::rollout::RolloutCommand,
    undo_log::{Due, Undo},
};
use failover_judging::{
    observed::{PodSeen, Strike},
    report::Provider,
};

/// The annotation of the pod template that is changed.
const ANNOTATION: &str = "failover/rolled-out-at";

/// How long the pod template may take to change after the user's command: whoever manages it looks now and then only.
const CHANGE_LIMIT: Duration = Duration::from_mins(2);

/// How often the pod template is looked at meanwhile.
const LOOK: Duration = Duration::from_millis(100);

async fn deployment(context: &RunContext<'_>) -> Result<Deployment, FaultError> {
    let name = &context.target.deployment;
    let found = context.deployments().get(name).await;
    found.map_err(FaultError::api("read Deployment", name))
}

fn template(deployment: &Deployment) -> Option<PodTemplateSpec> {
    deployment.spec.as_ref().map(|spec| spec.template.clone())
}

pub(super) const ACTION: Action = Action::of(|context, leader| Box::pin(strike(context, leader)));

async fn strike(context: &RunContext<'_>, _leader: &PodSeen) -> Result<Strike, FaultError> {
    if let Some(command) = context.rollout {
        let issued = context.observations.now();
        roll_out(context, command).await?;
        return Ok(Strike::between(issued, context.observations.now()));
    }
    let name = &context.target.deployment;
    let template =
        |value| json!({"spec": {"template": {"metadata": {"annotations": {ANNOTATION: value}}}}});
    if context.cluster.provider() == Provider::Kubeconfig {
        context.undo_log.record(
            Due::AfterRun,
            format!("the pod template of {name} is annotated"),
            Undo::Merge {
                path: context.target.deployment_path(),
                change: template(None),
            },
        );
    }
    let now = jiff::Timestamp::now().to_string();
    let issued = context.observations.now();
    let changed = context
        .deployments()
        .patch(
            name,
            &PatchParams::default(),
            &Patch::Merge(template(Some(now))),
        )
        .await;
    changed.map_err(FaultError::api("change the pod template of", name))?;
    Ok(Strike::between(issued, context.observations.now()))
}

/// Runs the command, and waits until the pod template is another one.
async fn roll_out(context: &RunContext<'_>, command: &RolloutCommand) -> Result<(), FaultError> {
    let name = &context.target.deployment;
    let before = template(&deployment(context).await?);
    command.run().await?;
    let look = || async {
        if template(&deployment(context).await?) != before {
            return Ok(());
        }
        Err(FaultError::NoEffect(format!(
            "--rollout (run.rollout): `{command}` did not change the pod template of Deployment {name} within {} s",
            CHANGE_LIMIT.as_secs()
        )))
    };
    effect::wait(CHANGE_LIMIT, LOOK, look).await
}
