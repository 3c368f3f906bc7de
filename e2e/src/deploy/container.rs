//! What a Deployment says of its election: which container is elected, and the variables and port that it has.

use std::collections::BTreeMap;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Container};

/// The variable that names the Lease, where an operator has one.
pub(crate) const LEASE_NAME: &str = "LEASE_NAME";

pub(super) const DURATION: &str = "LEASE_DURATION_SECONDS";

pub(super) const RENEW_DEADLINE: &str = "LEASE_RENEW_DEADLINE_SECONDS";

pub(super) const RETRY_PERIOD: &str = "LEASE_RETRY_PERIOD_SECONDS";

/// The variables that tell the election settings.
pub(crate) const SETTINGS: [&str; 3] = [DURATION, RENEW_DEADLINE, RETRY_PERIOD];

pub(crate) fn containers(deployment: &Deployment) -> &[Container] {
    let pod = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.template.spec.as_ref());
    pod.map_or(&[], |pod| pod.containers.as_slice())
}

/// The container of this name; without one, that which has the variable `LEASE_NAME`, or the only one.
pub(crate) fn elected<'a>(
    containers: &'a [Container],
    named: Option<&str>,
) -> Option<&'a Container> {
    if let Some(name) = named {
        return containers.iter().find(|container| container.name == name);
    }
    let by_variable = containers
        .iter()
        .find(|container| variable(container, LEASE_NAME).is_some());
    match (by_variable, containers) {
        (Some(container), _) => Some(container),
        (None, [only]) => Some(only),
        _ => None,
    }
}

/// The value of a variable of the container, where the manifest itself has it.
pub(crate) fn variable<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    container
        .env
        .iter()
        .flatten()
        .find(|variable| variable.name == name)?
        .value
        .as_deref()
}

pub(crate) fn first_port(container: &Container) -> Option<i32> {
    let mut ports = container.ports.iter().flatten();
    ports.next().map(|port| port.container_port)
}

/// The selector of these labels as the API takes it.
pub(crate) fn label_selector(labels: &BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}
