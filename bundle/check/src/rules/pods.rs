//! What runs: security, resources, probes, and where a pod learns who it is.

use serde_json::Value;

use crate::{
    finding::Findings,
    rule::Rule,
    subject::{Container, Deployment, Subject},
};

pub(super) const RULES: &[Rule] = &[
    Rule::warning("pods/restricted", restricted)
        .holds("Pods keep the restricted pod security standard, with a root file system that is read only.")
        .why("Namespaces that enforce it refuse any other pod, and the Deployment never becomes available."),
    Rule::warning("pods/resources", resources)
        .holds("Every container requests CPU and memory and limits its memory.")
        .why("Without requests it is the first to be evicted; upstream validators are content with either."),
    Rule::warning("pods/probes", probes)
        .holds("Every Deployment has a container with a readiness and a liveness probe.")
        .why("OLM goes by readiness: without a probe, a replica counts before it can take over."),
    Rule::error("pods/identity", identity)
        .holds("Variables for the pod's name, namespace and UID come from the downward API; where ENABLE_LEADER_ELECTION is true, \
                POD_NAME and POD_NAMESPACE are there.")
        .why("Users choose the namespace, and replicas with one name each believe to lead."),
    Rule::warning("pods/container-name", container_name)
        .holds("Where several architectures are supported, a container of every Deployment is named manager.")
        .why("Validators of several architectures look for the operator under this name."),
    Rule::warning("pods/architectures", architectures)
        .holds("The labels operatorframework.io/arch.… and /os.… of the ClusterServiceVersion are there, and the required nodeAffinity \
                of every Deployment lists the same.")
        .why("Without labels OLM believes amd64; without affinity a pod lands on a node that its image is not built for."),
];

/// Something that the restricted standard asks for: the field, whether it may be said for the pod, which values are good,
/// and these in words.
type Demand = (&'static str, bool, fn(&Value) -> bool, &'static str);

const RESTRICTED: [Demand; 5] = [
    ("runAsNonRoot", true, is_true, "true"),
    (
        "seccompProfile",
        true,
        is_confined,
        "of type RuntimeDefault or Localhost",
    ),
    ("allowPrivilegeEscalation", false, is_false, "false"),
    ("readOnlyRootFilesystem", false, is_true, "true"),
    (
        "capabilities",
        false,
        drops_all,
        "drop: [ALL], with nothing added but NET_BIND_SERVICE",
    ),
];

fn is_true(value: &Value) -> bool {
    value.as_bool() == Some(true)
}

fn is_false(value: &Value) -> bool {
    value.as_bool() == Some(false)
}

fn is_confined(value: &Value) -> bool {
    let kind = value.get("type").and_then(Value::as_str);
    kind.is_some_and(|kind| ["RuntimeDefault", "Localhost"].contains(&kind))
}

fn drops_all(value: &Value) -> bool {
    let list = |field: &str| {
        let list = value.get(field).and_then(Value::as_array);
        list.map_or(&[][..], Vec::as_slice)
    };
    list("drop").iter().any(|name| name == "ALL")
        && list("add").iter().all(|name| name == "NET_BIND_SERVICE")
}

fn restricted(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            let place = deployment.pod(&format!("/{field}"));
            if place.is_true("") {
                let message = format!("Deployment {}: {field} is true", deployment.name());
                findings.at(&place, message);
            }
        }
        for container in deployment.containers() {
            of_container(&deployment, &container, findings);
        }
    }
}

fn of_container(deployment: &Deployment, container: &Container, findings: &mut Findings) {
    let name = container.name;
    let context = container.node.at("/securityContext");
    if context.is_true("/privileged") {
        let message = format!("container {name}: privileged is true");
        findings.at(&context.at("/privileged"), message);
    }
    for (field, may_be_of_pod, is_good, wanted) in RESTRICTED {
        let own = context.at(&format!("/{field}"));
        let of_pod = deployment.pod(&format!("/securityContext/{field}"));
        let place = if own.value().is_none() && may_be_of_pod {
            &of_pod
        } else {
            &own
        };
        if !place.value().is_some_and(is_good) {
            findings.at(
                &own,
                format!("container {name}: {field} is {place}: must be {wanted}"),
            );
        }
    }
}

fn resources(subject: &Subject, findings: &mut Findings) {
    for Container { node, name, .. } in subject.containers() {
        for field in ["requests.cpu", "requests.memory", "limits.memory"] {
            let place = node.at(&format!("/resources/{}", field.replace('.', "/")));
            if place.value().is_none() {
                findings.at(
                    &place,
                    format!("container {name}: resources.{field} is missing"),
                );
            }
        }
    }
}

fn probes(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        for probe in ["readinessProbe", "livenessProbe"] {
            let containers = deployment.containers();
            let has_one = containers.iter().any(|container| {
                container.is_main && container.node.get(&format!("/{probe}")).is_some()
            });
            if !has_one {
                let name = deployment.name();
                let message = format!("Deployment {name}: no container has a {probe}");
                findings.at(&deployment.pod("/containers"), message);
            }
        }
    }
}

/// Variables that tell a pod who it is, and the field of the downward API for each.
const IDENTITY: [(&str, &str); 3] = [
    ("POD_NAME", "metadata.name"),
    ("POD_NAMESPACE", "metadata.namespace"),
    ("POD_UID", "metadata.uid"),
];

fn identity(subject: &Subject, findings: &mut Findings) {
    for container in subject.containers() {
        let variables = container.node.items("/env");
        let find = |name: &str| variables.iter().find(|one| one.text("/name") == name);
        for (name, field) in IDENTITY {
            let Some(variable) = find(name) else { continue };
            if variable.text("/valueFrom/fieldRef/fieldPath") != field {
                let message = format!(
                    "container {}: {name} is {variable}: must come from the field {field}",
                    container.name
                );
                findings.at(variable, message);
            }
        }
        let elects = find("ENABLE_LEADER_ELECTION").is_some_and(|one| one.text("/value") == "true");
        for name in ["POD_NAME", "POD_NAMESPACE"] {
            if elects && find(name).is_none() {
                let message = format!(
                    "container {}: {name} is missing, and ENABLE_LEADER_ELECTION is true",
                    container.name
                );
                findings.at(&container.node.at("/env"), message);
            }
        }
    }
}

fn container_name(subject: &Subject, findings: &mut Findings) {
    if subject.supported("arch").len() < 2 {
        return;
    }
    for deployment in subject.deployments() {
        let containers = deployment.containers();
        let mut containers = containers.iter();
        if !containers.any(|container| container.is_main && container.name == "manager") {
            let name = deployment.name();
            let message = format!("Deployment {name}: no container is named manager");
            findings.at(&deployment.pod("/containers"), message);
        }
    }
}

fn architectures(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for (part, key) in [("arch", "kubernetes.io/arch"), ("os", "kubernetes.io/os")] {
        let labelled = subject.supported(part);
        if labelled.is_empty() {
            let message = format!("no label operatorframework.io/{part}.… is \"supported\"");
            findings.at(&csv.at("/metadata/labels"), message);
            continue;
        }
        for deployment in subject.deployments() {
            let listed = required_values(&deployment, key);
            if listed != labelled {
                let message = format!(
                    "Deployment {}: nodes with {key} in {listed:?} are required, and labels say {labelled:?}",
                    deployment.name()
                );
                findings.at(&deployment.pod("/affinity/nodeAffinity"), message);
            }
        }
    }
}

/// The values of a node's label that the Deployment requires; empty where it does not.
fn required_values<'a>(deployment: &Deployment<'a>, key: &str) -> Vec<&'a str> {
    let terms =
        "/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = deployment.pod(terms).items("");
    let mut values: Vec<&str> = terms
        .iter()
        .flat_map(|term| term.items("/matchExpressions"))
        .filter(|expression| expression.text("/key") == key && expression.text("/operator") == "In")
        .flat_map(|expression| expression.words("/values"))
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}
