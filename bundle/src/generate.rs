//! The bundle, from its sources.
//!
//! # Guarantees
//! The same sources give the same bytes: nothing is read beside them, and nothing depends on time, place or order.
//!
//! # Caveats
//! Two things differ from `deploy/` on purpose, because OLM is not kubectl. A rollout may take one replica away, and so
//! may a drain whatever the number of replicas: OLM takes a Deployment that may not lose a pod for broken when it loses
//! one, and users of OLM can't change the number of replicas. And there is no fence and no FlowSchema, since OLM installs
//! neither kind.

mod access;
mod annotations;
mod csv;
mod deployment;
mod descriptors;
mod error;
mod metadata;

use bundle_check::files::Files;
use k8s_openapi::{
    api::{core::v1::Service, policy::v1::PodDisruptionBudget},
    apimachinery::pkg::util::intstr::IntOrString,
};
use serde::Serialize;

use crate::sources::Sources;

use error::name;

pub(crate) use error::GenerateError;
pub(crate) use metadata::FOLDERS;

/// All generated files, by their path below `bundle/`.
pub(crate) fn generate(sources: &Sources) -> Result<Files, GenerateError> {
    let package = &sources.base.prose.package;
    let (service, budget) = (service(sources)?, budget(sources)?);
    let mut files = Files::default();
    add(
        &mut files,
        format!("manifests/{package}.clusterserviceversion.yaml"),
        "bundle/base, deploy/operator.yaml, src/access.rs and src/api",
        &csv::csv(sources)?,
    )?;
    add(
        &mut files,
        format!("manifests/{}.role.yaml", access::ROLE),
        "src/access.rs",
        &access::role(),
    )?;
    add(
        &mut files,
        format!("manifests/{}.rolebinding.yaml", access::ROLE),
        "src/access.rs",
        &access::binding(),
    )?;
    add(
        &mut files,
        format!(
            "manifests/{}.service.yaml",
            name(&service.metadata, "deploy/service.yaml")?
        ),
        "deploy/service.yaml",
        &service,
    )?;
    add(
        &mut files,
        format!(
            "manifests/{}.poddisruptionbudget.yaml",
            name(&budget.metadata, "deploy/pdb.yaml")?
        ),
        "deploy/pdb.yaml",
        &budget,
    )?;
    add(
        &mut files,
        "metadata/annotations.yaml".to_owned(),
        "bundle/base",
        &metadata::annotations(sources),
    )?;
    add(
        &mut files,
        "tests/scorecard/config.yaml".to_owned(),
        "bundle/src/generate/metadata.rs",
        &metadata::scorecard(),
    )?;
    files.insert(
        format!(
            "manifests/{}.crd.yaml",
            name(&sources.definition.metadata, "src/api")?
        ),
        sources.definition_yaml.clone(),
    );
    files.insert("Dockerfile", metadata::dockerfile(sources));
    Ok(files)
}

fn add<T: Serialize>(
    files: &mut Files,
    file: String,
    origin: &str,
    object: &T,
) -> Result<(), GenerateError> {
    match serde_saphyr::to_string(object) {
        Ok(body) => {
            let text =
                format!("# Generated from {origin} by `bundle generate`; edits are lost.\n{body}");
            files.insert(file, text);
            Ok(())
        }
        Err(source) => Err(GenerateError::Yaml { file, source }),
    }
}

/// The Service without its namespace, which is wherever OLM installs the bundle.
fn service(sources: &Sources) -> Result<Service, GenerateError> {
    let mut service = sources.service.clone();
    service.metadata.namespace = None;
    let name = name(&service.metadata, "deploy/service.yaml")?;
    if !name.starts_with(|first: char| first.is_ascii_lowercase()) {
        return Err(GenerateError::Invalid {
            source_file: "deploy/service.yaml",
            field: "metadata.name",
            value: name.to_owned(),
            rule: "must begin with a letter, as the name of every Service",
        });
    }
    Ok(service)
}

/// The disruption budget, such that it never stops a drain: one at a time may go, be there two replicas or one.
fn budget(sources: &Sources) -> Result<PodDisruptionBudget, GenerateError> {
    let mut budget = sources.budget.clone();
    budget.metadata.namespace = None;
    let spec = budget.spec.as_mut().ok_or(GenerateError::Lacking {
        source_file: "deploy/pdb.yaml",
        what: "spec",
    })?;
    spec.min_available = None;
    spec.max_unavailable = Some(IntOrString::Int(1));
    Ok(budget)
}

#[cfg(test)]
mod tests;
