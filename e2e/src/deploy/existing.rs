//! A Deployment that runs in the cluster already: changed as a run asks, and put back at the end as it was found.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Naming, Overrides, Target, TargetError};
use crate::undo_log::{Due, Undo, UndoLog};

/// Why a Deployment that is to run already can't be put to the test.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum ExistingError {
    #[error("failed to {action} Deployment {name} in namespace {namespace}")]
    Call {
        action: &'static str,
        name: String,
        namespace: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error("failed to write down Deployment {name} as it was found")]
    Shape {
        name: String,
        #[source]
        source: serde_json::Error,
    },
}

/// Finds the Deployment, writes down how to put it back, and only then changes it.
pub async fn take(
    client: &Client,
    (namespace, name): (&str, &str),
    naming: &Naming,
    overrides: &Overrides,
    undo_log: &UndoLog,
) -> Result<(Target, Deployment), ExistingError> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let failed = |action| {
        move |source| ExistingError::Call {
            action,
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            source: Box::new(source),
        }
    };
    let mut found = deployments.get(name).await.map_err(failed("read"))?;
    let target = naming.of(&found)?;
    let pods_change = overrides.changes_pods();
    let shape = |source| ExistingError::Shape {
        name: name.to_owned(),
        source,
    };
    let before = change_to(&found, pods_change).map_err(shape)?;
    undo_log.record(
        Due::AfterRun,
        format!("the number of replicas, image and variables of Deployment {name} are another"),
        Undo::Merge {
            path: target.deployment_path(),
            change: before,
        },
    );
    if !pods_change {
        return Ok((target, found));
    }
    overrides.apply(&mut found, &target.container);
    let change = change_to(&found, true).map_err(shape)?;
    let changed = deployments
        .patch(name, &PatchParams::default(), &Patch::Merge(change))
        .await
        .map_err(failed("change"))?;
    Ok((naming.of(&changed)?, changed))
}

/// The change that makes replicas, and where `pods` is set the containers, those of `deployment`. A merge replaces the
/// whole list of containers, so nothing that was added to them stays.
fn change_to(deployment: &Deployment, pods: bool) -> Result<Value, serde_json::Error> {
    let spec = deployment.spec.clone().unwrap_or_default();
    // One that is not set means one replica, to the API server as well.
    let replicas = spec.replicas.unwrap_or(1);
    let mut change = json!({"spec": {"replicas": replicas}});
    if pods && let Some(spec) = change.pointer_mut("/spec").and_then(Value::as_object_mut) {
        let containers = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.template.spec.as_ref())
            .map(|pod| &pod.containers);
        let containers = serde_json::to_value(containers)?;
        spec.insert(
            "template".to_owned(),
            json!({"spec": {"containers": containers}}),
        );
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::{EnvOverride, target::tests::deployment};

    #[test]
    fn what_is_put_back_is_what_was_found() {
        let found = deployment();
        let before = change_to(&found, true).unwrap();
        let mut changed = found.clone();
        let overrides = Overrides {
            replicas: Some(5),
            image: Some("other".to_owned()),
            env: vec![EnvOverride::new("NEW", "1").unwrap()],
        };
        overrides.apply(&mut changed, "controller");
        assert_ne!(change_to(&changed, true).unwrap(), before);
        assert_eq!(before["spec"]["replicas"], 2);
        let containers = &before["spec"]["template"]["spec"]["containers"];
        assert_eq!(containers[0]["image"], "ghcr.io/finos/5spot-rs:latest");
        assert_eq!(containers[0]["env"].as_array().unwrap().len(), 4);
    }

    #[test]
    fn pods_that_are_not_changed_are_not_written() {
        let change = change_to(&deployment(), false).unwrap();
        assert_eq!(change, json!({"spec": {"replicas": 2}}));
    }
}
