//! `crash-loop`: SIGKILL for the leader's process, and its pod can't run it again.
//!
//! Proves the takeover by another replica: no release, and nobody who could reclaim. The pod is kept down by giving
//! its container an image that does not exist, right after the kill: kubelet restarts a container about a second after
//! its death and finds the new image by then. Should it be faster once, the process is killed again, and the takeover
//! is measured from the last kill.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{
    action::{Action, Need, RepeatedStrikes},
    crash,
    error::FaultError,
};
use crate::context::RunContext;
use failover_judging::observed::{PodSeen, Strike};

/// An image that no registry has and no node can pull: `localhost` serves none, and no other host is asked.
pub(crate) const NO_IMAGE: &str = "localhost/failover/kept-down:crash-loop";

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    repeat: |context, leader, repeated| Box::pin(repeat(context, leader, repeated)),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let strike = crash::kill(context, leader).await?;
    let image =
        json!({"spec": {"containers": [{"name": context.target.container, "image": NO_IMAGE}]}});
    let patched = context
        .pods()
        .patch(
            &leader.name,
            &PatchParams::default(),
            &Patch::Strategic(image),
        )
        .await;
    patched.map_err(FaultError::api("take the image from pod", &leader.name))?;
    Ok(strike)
}

async fn repeat(context: &RunContext<'_>, leader: &PodSeen, repeated: &RepeatedStrikes) {
    let mut down = leader.clone();
    loop {
        let again = context
            .observations
            .wait_for(std::time::Duration::MAX, |seen| {
                let last = seen.pods.iter().rev().find(|pod| pod.name == down.name)?;
                (last.running && last.container_id != down.container_id).then(|| last.clone())
            })
            .await;
        let Some(pod) = again else {
            return std::future::pending().await;
        };
        // A container that died by itself meanwhile is down, which is all that is asked.
        if let Ok(strike) = crash::kill(context, &pod).await {
            repeated.add(strike.issued);
        }
        down = pod;
    }
}
