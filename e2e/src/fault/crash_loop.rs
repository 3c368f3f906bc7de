//! `crash-loop`: SIGKILL for the leader's process, and its pod can't run it again.
//!
//! Proves the takeover by another replica: no release, and nobody who could reclaim. The pod is kept down by giving
//! its container an image that does not exist, right after the kill: kubelet restarts a container about a second after
//! its death and finds the new image by then. Should it be faster once, the process is killed again, and the takeover
//! is measured from the last blow.

use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{
    action::{Action, Blows, Need},
    crash,
    error::FaultError,
};
use crate::context::Scene;
use failover_judging::observed::trial::{PodSeen, Strike};

/// An image that no registry has and no node can pull: `localhost` serves none, and no other host is asked.
pub(crate) const NO_IMAGE: &str = "localhost/failover/kept-down:crash-loop";

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    keep_up: |scene, leader, blows| Box::pin(keep_up(scene, leader, blows)),
    ..Action::of(|scene, leader| Box::pin(strike(scene, leader)))
};

async fn strike(scene: &Scene<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let strike = crash::kill(scene, leader).await?;
    let image =
        json!({"spec": {"containers": [{"name": scene.target.container, "image": NO_IMAGE}]}});
    let patched = scene
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

async fn keep_up(scene: &Scene<'_>, leader: &PodSeen, blows: &Blows) {
    let mut down = leader.clone();
    loop {
        let again = scene
            .journal
            .wait_for(std::time::Duration::MAX, |seen| {
                let last = seen.pods.iter().rev().find(|pod| pod.name == down.name)?;
                (last.running && last.container_id != down.container_id).then(|| last.clone())
            })
            .await;
        let Some(pod) = again else {
            return std::future::pending().await;
        };
        // A container that died by itself meanwhile is down, which is all that is asked.
        if let Ok(blow) = crash::kill(scene, &pod).await {
            blows.add(blow.issued);
        }
        down = pod;
    }
}
