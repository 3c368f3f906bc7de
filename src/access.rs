//! Everything that the operator may do in a cluster, in one list.
//!
//! `deploy/rbac.yaml` grants it and `deploy/fence.yaml` covers the writes in it that only a leader may make; both are
//! rendered from here by [`manifest`](crate::manifest), so neither can forget what the other knows.

use crate::api::GROUP;

/// The namespace that the operator is deployed to.
pub const NAMESPACE: &str = "5spot-system";

/// The ServiceAccount that the operator runs as.
pub const SERVICE_ACCOUNT: &str = "5spot-controller";

/// The Lease of the election, in [`NAMESPACE`].
pub const LEASE: &str = "5spot-leader";

/// The fence: a ValidatingAdmissionPolicy, its binding, and the ConfigMap in [`NAMESPACE`] that it is tested on.
pub const FENCE: &str = "5spot-fence";

/// One thing that the operator may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, with its subresource after a slash.
    pub resource: &'static str,
    /// The only objects it is about; empty for all.
    pub names: &'static [&'static str],
    /// What may be done with them.
    pub verbs: &'static [&'static str],
    /// Where.
    pub reach: Reach,
    /// Whether the fence refuses it to whoever does not hold the Lease.
    pub is_fenced: bool,
    /// What it is for.
    pub why: &'static str,
}

/// Where a right holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// In the operator's own namespace.
    OwnNamespace,
    /// In every namespace, as users put their objects into namespaces of their own.
    Cluster,
}

/// All rights, in the order of the manifest.
pub const RIGHTS: [Right; 7] = [
    Right {
        group: "coordination.k8s.io",
        resource: "leases",
        names: &[],
        verbs: &["create"],
        reach: Reach::OwnNamespace,
        is_fenced: false,
        why: "A create request carries no name that RBAC could look at.",
    },
    Right {
        group: "coordination.k8s.io",
        resource: "leases",
        names: &[LEASE],
        verbs: &["get", "list", "watch", "update"],
        reach: Reach::OwnNamespace,
        is_fenced: false,
        why: "List and watch match a name only with a field selector on metadata.name, which the operator sends. Every \
              write is a PUT with a precondition, so there is no right to patch.",
    },
    Right {
        group: "",
        resource: "pods",
        names: &[],
        verbs: &["get", "list", "watch"],
        reach: Reach::OwnNamespace,
        is_fenced: false,
        why: "A standby watches the leader's pod for the proof of its death, and a leader that ends looks for a successor.",
    },
    Right {
        group: "",
        resource: "configmaps",
        names: &[FENCE],
        verbs: &["patch"],
        reach: Reach::OwnNamespace,
        is_fenced: true,
        why: "The fence is tested by a dry run on this one object, which is never changed.",
    },
    Right {
        group: GROUP,
        resource: "scheduledmachines",
        names: &[],
        verbs: &["get", "list", "watch"],
        reach: Reach::Cluster,
        is_fenced: false,
        why: "What users ask for: it is read and never changed.",
    },
    Right {
        group: GROUP,
        resource: "scheduledmachines/status",
        names: &[],
        verbs: &["patch"],
        reach: Reach::Cluster,
        is_fenced: true,
        why: "What became of it: the status, and nothing else of the object.",
    },
    Right {
        group: "events.k8s.io",
        resource: "events",
        names: &[],
        verbs: &["create", "patch"],
        reach: Reach::Cluster,
        is_fenced: false,
        why: "What happened, for people. Standbys report too.",
    },
];

/// The name that the API server knows the operator by, when it runs in this namespace.
pub fn user_name(namespace: &str) -> String {
    format!("system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}")
}

impl Right {
    /// Whether it can change anything.
    pub fn is_write(&self) -> bool {
        self.verbs
            .iter()
            .any(|verb| !["get", "list", "watch"].contains(verb))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_write_is_fenced_but_those_of_the_election_and_of_events() {
        for right in RIGHTS {
            let is_exempt = [
                ("coordination.k8s.io", "leases"),
                ("events.k8s.io", "events"),
            ]
            .contains(&(right.group, right.resource));
            assert_eq!(
                right.is_fenced,
                right.is_write() && !is_exempt,
                "{} {:?}",
                right.resource,
                right.verbs
            );
        }
    }

    #[test]
    fn nothing_is_granted_by_a_wildcard() {
        for right in RIGHTS {
            let words = [right.verbs, right.names, &[right.group, right.resource]].concat();
            assert!(!words.iter().any(|word| word.contains('*')), "{right:?}");
        }
    }
}
