//! `rolling-update`: the pod template is changed, and every replica is replaced.
//!
//! Proves that leadership moves exactly once: from the old leader to a replica that stays, not to one that is replaced
//! next. Its limits count from when the leader's pod is asked to stop; before that, the rollout decides.

use futures::future::BoxFuture;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::{Fault, FaultError, Hold};
use crate::{
    budget::{FaultKind, LeaseSettings},
    cluster::Provider,
    repairs::{Due, Repair},
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// The annotation of the pod template that is changed.
const ANNOTATION: &str = "failover/rolled-out-at";

/// Changes the pod template.
#[derive(Clone, Copy, Debug)]
pub(super) struct RollingUpdate;

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
