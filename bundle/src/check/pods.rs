//! What runs: security, resources, probes, and where a pod learns who it is.

use serde_json::Value;

use super::{
    Findings, Level, Needs, Rule, Subject,
    subject::{Container, Deployment, told},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "pods/restricted",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Pods keep the restricted pod security standard, with a root file system that is read only.",
        why: "Namespaces that enforce it refuse the pods else, and the Deployment never becomes available.",
        check: restricted,
    },
    Rule {
        code: "pods/resources",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every container requests CPU and memory and limits its memory.",
        why: "Without requests it is the first to be evicted; upstream validators are content with either.",
        check: resources,
    },
    Rule {
        code: "pods/probes",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every Deployment has a container with a readiness and a liveness probe.",
        why: "OLM goes by readiness: without a probe, a replica counts before it can take over.",
        check: probes,
    },
    Rule {
        code: "pods/identity",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Variables for the pod's name, namespace and UID come from the downward API; where ENABLE_LEADER_ELECTION is true, \
                POD_NAME and POD_NAMESPACE are there.",
        why: "Users choose the namespace, and replicas with one name each believe to lead.",
        check: identity,
    },
    Rule {
        code: "pods/container-name",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Where several architectures are supported, a container of every Deployment is named manager.",
        why: "Validators of several architectures look for the operator under this name.",
        check: container_name,
    },
    Rule {
        code: "pods/architectures",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "The labels operatorframework.io/arch.… and /os.… of the ClusterServiceVersion are there, and the required nodeAffinity \
                of every Deployment lists the same.",
        why: "Without labels OLM believes amd64; without affinity a pod lands on a node that its image is not built for.",
        check: architectures,
    },
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
        value
            .get(field)
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice)
    };
    list("drop").iter().any(|name| name == "ALL")
        && list("add").iter().all(|name| name == "NET_BIND_SERVICE")
}

fn restricted(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        for field in ["hostNetwork", "hostPID", "hostIPC"] {
            let rest = format!("/template/spec/{field}");
            if deployment.at(&rest).is_some_and(is_true) {
                let message = format!("Deployment {}: {field} is true", deployment.name());
                findings.at(deployment.csv, &deployment.spec(&rest), message);
            }
        }
        for container in deployment.containers() {
            of_container(&deployment, &container, findings);
        }
    }
}

fn of_container(deployment: &Deployment, container: &Container, findings: &mut Findings) {
    let context = |rest: &str| format!("/securityContext{rest}");
    if container.at(&context("/privileged")).is_some_and(is_true) {
        let message = format!("container {}: privileged is true", container.name);
        findings.at(
            container.csv,
            &container.pointer(&context("/privileged")),
            message,
        );
    }
    for (field, may_be_of_pod, is_good, wanted) in RESTRICTED {
        let own = container.at(&context(&format!("/{field}")));
        let of_pod = deployment.at(&format!("/template/spec/securityContext/{field}"));
        let value = own.or(of_pod.filter(|_| may_be_of_pod));
        if !value.is_some_and(is_good) {
            let message = format!(
                "container {}: {field} is {}: must be {wanted}",
                container.name,
                told(value)
            );
            findings.at(
                container.csv,
                &container.pointer(&context(&format!("/{field}"))),
                message,
            );
        }
    }
}

fn resources(subject: &Subject, findings: &mut Findings) {
    for container in subject.containers() {
        for rest in [
            "/resources/requests/cpu",
            "/resources/requests/memory",
            "/resources/limits/memory",
        ] {
            if container.at(rest).is_none() {
                let field = rest.trim_start_matches('/').replace('/', ".");
                let message = format!("container {}: {field} is missing", container.name);
                findings.at(container.csv, &container.pointer(rest), message);
            }
        }
    }
}

fn probes(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        for probe in ["readinessProbe", "livenessProbe"] {
            let has_one = deployment
                .containers()
                .iter()
                .any(|container| container.is_main && container.at(&format!("/{probe}")).is_some());
            if !has_one {
                let message = format!(
                    "Deployment {}: no container has a {probe}",
                    deployment.name()
                );
                findings.at(deployment.csv, &deployment.pod("/containers"), message);
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
        let variables = container
            .at("/env")
            .and_then(Value::as_array)
            .map_or(&[][..], Vec::as_slice);
        let find = |name: &str| {
            let named =
                |variable: &Value| variable.get("name").and_then(Value::as_str) == Some(name);
            variables.iter().position(named)
        };
        let text =
            |index: usize, pointer: &str| variables[index].pointer(pointer).and_then(Value::as_str);
        for (name, field) in IDENTITY {
            let Some(index) = find(name) else { continue };
            if text(index, "/valueFrom/fieldRef/fieldPath") != Some(field) {
                let message = format!(
                    "container {}: {name} is {}: must come from the field {field}",
                    container.name, variables[index]
                );
                findings.at(
                    container.csv,
                    &container.pointer(&format!("/env/{index}")),
                    message,
                );
            }
        }
        let elects =
            find("ENABLE_LEADER_ELECTION").and_then(|index| text(index, "/value")) == Some("true");
        for name in ["POD_NAME", "POD_NAMESPACE"] {
            if elects && find(name).is_none() {
                let message = format!(
                    "container {}: {name} is missing, and ENABLE_LEADER_ELECTION is true",
                    container.name
                );
                findings.at(container.csv, &container.pointer("/env"), message);
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
        if !containers
            .iter()
            .any(|container| container.is_main && container.name == "manager")
        {
            let message = format!(
                "Deployment {}: no container is named manager",
                deployment.name()
            );
            findings.at(deployment.csv, &deployment.pod("/containers"), message);
        }
    }
}

fn architectures(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for (part, key) in [("arch", "kubernetes.io/arch"), ("os", "kubernetes.io/os")] {
        let labelled = subject.supported(part);
        if labelled.is_empty() {
            findings.at(
                csv,
                "/metadata/labels",
                format!("no label operatorframework.io/{part}.… is \"supported\""),
            );
            continue;
        }
        for deployment in subject.deployments() {
            let listed = required_values(&deployment, key);
            if listed != labelled {
                let message = format!(
                    "Deployment {}: nodes with {key} in {listed:?} are required, and labels say {labelled:?}",
                    deployment.name()
                );
                findings.at(
                    deployment.csv,
                    &deployment.pod("/affinity/nodeAffinity"),
                    message,
                );
            }
        }
    }
}

/// The values of a node's label that the Deployment requires; empty where it does not.
fn required_values<'a>(deployment: &Deployment<'a>, key: &str) -> Vec<&'a str> {
    let terms = "/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms";
    let terms = deployment.at(terms).and_then(Value::as_array);
    let mut values: Vec<&str> = terms
        .into_iter()
        .flatten()
        .filter_map(|term| term.get("matchExpressions")?.as_array())
        .flatten()
        .filter(|expression| {
            let text = |field: &str| expression.get(field).and_then(Value::as_str);
            text("key") == Some(key) && text("operator") == Some("In")
        })
        .filter_map(|expression| expression.get("values")?.as_array())
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    values.sort_unstable();
    values.dedup();
    values
}
