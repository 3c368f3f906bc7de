//! `deploy/operator.yaml`, as OLM takes it.

use k8s_openapi::{
    api::{
        apps::v1::{DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::{
            Container, EnvVar, NodeAffinity, NodeSelector, NodeSelectorRequirement,
            NodeSelectorTerm, PodSpec,
        },
    },
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::error::{GenerateError, name};
use crate::{csv::Deployment, sources::Sources};

/// The name that validators of several architectures look for.
const CONTAINER: &str = "manager";

/// Says which container `kubectl logs` shows.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

const FILE: &str = "deploy/operator.yaml";

const fn lacking(what: &'static str) -> GenerateError {
    GenerateError::Lacking {
        source_file: FILE,
        what,
    }
}

/// The Deployment, wherever OLM puts it.
pub(super) fn deployment(sources: &Sources) -> Result<Deployment, GenerateError> {
    let source = &sources.deployment;
    let mut spec = source.spec.clone().ok_or(lacking("spec"))?;
    rollout(&mut spec)?;
    if let Some(annotations) = spec
        .template
        .metadata
        .as_mut()
        .and_then(|metadata| metadata.annotations.as_mut())
    {
        annotations.insert(DEFAULT_CONTAINER.to_owned(), CONTAINER.to_owned());
    }
    let pod = spec.template.spec.as_mut().ok_or(lacking("pod spec"))?;
    nodes(pod, &sources.base.release.operator_image.architectures)?;
    let [container] = pod.containers.as_mut_slice() else {
        return Err(lacking("single container"));
    };
    name_container(container);
    container.image = Some(sources.base.release.operator_image.reference());
    Ok(Deployment {
        name: name(&source.metadata, FILE)?.to_owned(),
        label: source.metadata.labels.clone().unwrap_or_default(),
        spec,
    })
}

/// OLM takes a Deployment for healthy while it is Available, so it must be that with one pod less.
fn rollout(spec: &mut DeploymentSpec) -> Result<(), GenerateError> {
    // Kubernetes takes a missing number for one.
    let replicas = spec.replicas.unwrap_or(1);
    if replicas < 2 {
        return Err(GenerateError::Invalid {
            source_file: FILE,
            field: "spec.replicas",
            value: replicas.to_string(),
            rule: "must be 2 or more, as users of OLM can't change it",
        });
    }
    spec.strategy = Some(DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(1)),
        }),
    });
    Ok(())
}

/// Only nodes that the image is built for.
fn nodes(pod: &mut PodSpec, architectures: &[String]) -> Result<(), GenerateError> {
    let affinity = pod.affinity.as_mut().ok_or(lacking("affinity"))?;
    let one_of = |key: &str, values: &[String]| NodeSelectorRequirement {
        key: key.to_owned(),
        operator: "In".to_owned(),
        values: Some(values.to_vec()),
    };
    affinity.node_affinity = Some(NodeAffinity {
        required_during_scheduling_ignored_during_execution: Some(NodeSelector {
            node_selector_terms: vec![NodeSelectorTerm {
                match_expressions: Some(vec![
                    one_of("kubernetes.io/arch", architectures),
                    one_of("kubernetes.io/os", &["linux".to_owned()]),
                ]),
                match_fields: None,
            }],
        }),
        preferred_during_scheduling_ignored_during_execution: None,
    });
    Ok(())
}

/// The container's name is how a standby finds the last words of a leader, so the program is told.
fn name_container(container: &mut Container) {
    CONTAINER.clone_into(&mut container.name);
    container.env.get_or_insert_default().push(EnvVar {
        name: "CONTAINER_NAME".to_owned(),
        value: Some(CONTAINER.to_owned()),
        value_from: None,
    });
}
