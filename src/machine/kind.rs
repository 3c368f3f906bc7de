//! The three objects of a machine, and the kinds that they are of.

use kube::core::GroupVersionKind;

use crate::api::{EmbeddedObject, ScheduledMachine};

/// Cluster API's group.
pub(crate) const CLUSTER_API: &str = "cluster.x-k8s.io";

/// One of the three objects of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// Tells the machine how to join the cluster.
    Bootstrap,
    /// Stands for the machine at its provider.
    Infrastructure,
    /// Cluster API's own, which refers to both.
    Machine,
}

/// A shape of Cluster API's Machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MachineVersion {
    /// References carry a version and a namespace, timeouts are texts.
    V1Beta1,
    /// References carry a group, timeouts are seconds.
    V1Beta2,
}

/// A kind of objects, as it is looked for at the API server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// The Machine, in whichever version is served.
    Machine,
    /// A kind that a spec names.
    Embedded(GroupVersionKind),
}

impl Part {
    /// In the order of their creation: the Machine refers to the others.
    pub(crate) const ALL: [Self; 3] = [Self::Bootstrap, Self::Infrastructure, Self::Machine];

    /// What it is called in messages.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Bootstrap => "bootstrap object",
            Self::Infrastructure => "infrastructure object",
            Self::Machine => "Machine",
        }
    }
}

impl MachineVersion {
    /// The best first.
    pub(crate) const ALL: [Self; 2] = [Self::V1Beta2, Self::V1Beta1];

    /// As the API server calls it.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V1Beta1 => "v1beta1",
            Self::V1Beta2 => "v1beta2",
        }
    }

    /// The version of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|version| version.as_str() == name)
    }
}

impl Kind {
    /// The kind that the spec of `object` names for `part`.
    pub(crate) fn of(part: Part, object: &ScheduledMachine) -> Self {
        match part {
            Part::Bootstrap => Self::embedded(&object.spec.bootstrap_spec),
            Part::Infrastructure => Self::embedded(&object.spec.infrastructure_spec),
            Part::Machine => Self::Machine,
        }
    }

    fn embedded(object: &EmbeddedObject) -> Self {
        Self::named(&object.api_version, &object.kind)
    }

    /// The kind of an embedded object by its `apiVersion` and `kind`.
    pub(crate) fn named(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self::Embedded(GroupVersionKind::gvk(group, version, kind))
    }

    /// Whether both mean the same objects, in whichever version.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Machine, Self::Machine) => true,
            (Self::Embedded(one), Self::Embedded(other)) => {
                one.group == other.group && one.kind == other.kind
            }
            (Self::Machine, Self::Embedded(_)) | (Self::Embedded(_), Self::Machine) => false,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Machine => write!(f, "Machine of {CLUSTER_API}"),
            Self::Embedded(kind) => write!(f, "{} of {}", kind.kind, kind.api_version()),
        }
    }
}
