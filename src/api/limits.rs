//! Rules of the schema once more, for objects that were stored before it had them.
//!
//! The API server refuses a bad spec; what was accepted under an older schema, or with the schema's rules switched
//! off, is caught here and reported in a condition. Repeated are the rules about `clusterName`, the API groups of the
//! embedded objects, the reserved keys of `machineTemplate` and the timeouts; the schedule's are in
//! [`schedule`](crate::schedule). What the schema can't say is checked here alone: how large the specs of embedded objects
//! may be, and keys of reserved domains below others. Not repeated are those about what no verdict depends on: `kind` and version of the
//! embedded objects, the version and the values of labels of `machineTemplate`, `nodeTaints`, `killIfCommands`, and how many there may be of anything.

use kube::ResourceExt;

use super::{
    names::{
        BOOTSTRAP_GROUPS, FREE_METADATA_DOMAINS, INFRASTRUCTURE_GROUPS, LARGEST_PROVIDER_SPEC,
        RESERVED_METADATA_DOMAINS, RESERVED_METADATA_PREFIXES,
    },
    scheduled_machine::{EmbeddedObject, MachineTemplate, ScheduledMachine, ScheduledMachineSpec},
    timeout::{InvalidTimeout, parse_timeout},
};

/// A field that the operator can't act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {value:?} {rule}")]
pub struct InvalidField {
    /// Path of the field below `spec`, or below the object.
    pub field: &'static str,
    /// Its value.
    pub value: String,
    /// What it must be.
    pub rule: String,
}

fn invalid(
    field: &'static str,
    value: impl Into<String>,
    rule: impl Into<String>,
) -> Result<(), InvalidField> {
    Err(InvalidField {
        field,
        value: value.into(),
        rule: rule.into(),
    })
}

/// Annotations of a Machine that begin so hold its deletion up, whatever follows.
const DELETION_HOOKS: [&str; 2] = [
    "pre-drain.delete.hook.machine.cluster.x-k8s.io",
    "pre-terminate.delete.hook.machine.cluster.x-k8s.io",
];

/// What a check is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The cluster, the embedded objects and their metadata.
    References,
    /// What a machine may not be created with, and one that is there may keep: the schema accepts it.
    Creation,
    /// The timeouts.
    Timeouts,
}

/// The longest name that fits into the label by which the objects of a machine are found.
const LONGEST_NAME: usize = 63;

impl ScheduledMachine {
    /// The objects of a machine are named like it, and found by a label that carries its name.
    pub(crate) fn check_name(&self) -> Result<(), InvalidField> {
        let name = self.name_any();
        if name.len() <= LONGEST_NAME {
            return Ok(());
        }
        let rule = format!("must be at most {LONGEST_NAME} characters, as a label carries it");
        invalid("metadata.name", name, rule)
    }
}

impl ScheduledMachineSpec {
    /// The first field of `subject` that breaks a rule.
    pub fn check(&self, subject: Subject) -> Result<(), InvalidField> {
        match subject {
            Subject::References => self.check_references(),
            Subject::Creation => self.check_creation(),
            Subject::Timeouts => self.check_timeouts(),
        }
    }

    fn check_references(&self) -> Result<(), InvalidField> {
        if !is_cluster_name(&self.cluster_name) {
            let rule =
                "must be 1 to 63 letters, digits, '.', '_' or '-' and begin with a letter or digit";
            return invalid("clusterName", &self.cluster_name, rule);
        }
        check_group(
            "bootstrapSpec.apiVersion",
            &self.bootstrap_spec,
            &BOOTSTRAP_GROUPS,
        )?;
        check_group(
            "infrastructureSpec.apiVersion",
            &self.infrastructure_spec,
            &INFRASTRUCTURE_GROUPS,
        )?;
        self.check_kinds()?;
        let template = self.machine_template.as_ref();
        let is_reserved = |key: &str| {
            let mut prefixes = RESERVED_METADATA_PREFIXES.iter();
            prefixes.any(|prefix| key.starts_with(prefix))
        };
        let prefixes = RESERVED_METADATA_PREFIXES.join(", ");
        let rule = format!("must not begin with {prefixes}");
        template.map_or(Ok(()), |template| check_keys(template, is_reserved, &rule))
    }

    fn check_creation(&self) -> Result<(), InvalidField> {
        check_size("bootstrapSpec.spec", &self.bootstrap_spec)?;
        check_size("infrastructureSpec.spec", &self.infrastructure_spec)?;
        let template = self.machine_template.as_ref();
        let rule = format!(
            "must not be of {} or a domain below, but for {}",
            RESERVED_METADATA_DOMAINS.join(", "),
            FREE_METADATA_DOMAINS.join(" and ")
        );
        template.map_or(Ok(()), |template| check_keys(template, is_reserved, &rule))
    }

    /// Both are named like the machine, so they can't be of one kind.
    fn check_kinds(&self) -> Result<(), InvalidField> {
        let group = |object: &EmbeddedObject| {
            let group = object.api_version.split_once('/');
            group.map(|(group, _version)| group.to_owned())
        };
        let (bootstrap, infrastructure) = (&self.bootstrap_spec, &self.infrastructure_spec);
        if bootstrap.kind != infrastructure.kind || group(bootstrap) != group(infrastructure) {
            return Ok(());
        }
        let rule = "must not be the kind of bootstrapSpec";
        invalid("infrastructureSpec.kind", &infrastructure.kind, rule)
    }

    fn check_timeouts(&self) -> Result<(), InvalidField> {
        let check = |field, text: &str| {
            let rule = "must be a whole number with one unit, s, m or h, of at most 24h";
            parse_timeout(text)
                .map(drop)
                .or_else(|InvalidTimeout { text }| invalid(field, text, rule))
        };
        check("gracefulShutdownTimeout", &self.graceful_shutdown_timeout)?;
        check("nodeDrainTimeout", &self.node_drain_timeout)
    }
}

/// Whether a Cluster may have this name.
pub(crate) fn is_cluster_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn check_group(
    field: &'static str,
    object: &EmbeddedObject,
    allowed: &[&str],
) -> Result<(), InvalidField> {
    let group = object
        .api_version
        .split_once('/')
        .map(|(group, _version)| group);
    if group.is_some_and(|group| allowed.contains(&group)) {
        return Ok(());
    }
    let rule = format!("must be of the API group {}", allowed.join(" or "));
    invalid(field, &object.api_version, rule)
}

/// The first key of labels and annotations that `is_reserved`.
fn check_keys(
    template: &MachineTemplate,
    is_reserved: impl Fn(&str) -> bool,
    rule: &str,
) -> Result<(), InvalidField> {
    let labels = template.labels.keys();
    let labels = labels.map(|key| ("machineTemplate.labels", key));
    let annotations = template.annotations.keys();
    let annotations = annotations.map(|key| ("machineTemplate.annotations", key));
    let mut keys = labels.chain(annotations);
    let found = keys.find(|(_field, key)| is_reserved(key));
    found.map_or(Ok(()), |(field, key)| invalid(field, key, rule))
}

/// Whether a key of labels or annotations belongs to Kubernetes, Cluster API or 5-Spot.
fn is_reserved(key: &str) -> bool {
    let domain = key.split_once('/').map_or(key, |(domain, _name)| domain);
    let is_below = |of: &str| {
        let rest = domain.strip_suffix(of);
        rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    let is_hook = DELETION_HOOKS.iter().any(|hook| key.starts_with(hook));
    let is_free = FREE_METADATA_DOMAINS.iter().any(|of| is_below(of));
    is_hook || !is_free && RESERVED_METADATA_DOMAINS.iter().any(|of| is_below(of))
}

fn check_size(field: &'static str, object: &EmbeddedObject) -> Result<(), InvalidField> {
    let size = object.spec.size();
    if size <= LARGEST_PROVIDER_SPEC {
        return Ok(());
    }
    let rule = format!("must be at most {LARGEST_PROVIDER_SPEC} bytes as JSON");
    invalid(field, format!("{size} bytes"), rule)
}
