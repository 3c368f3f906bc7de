//! Everything that the operator may do in a cluster, in one list.
//!
//! `deploy/rbac.yaml` grants it, `deploy/fence.yaml` covers the writes in it that only a leader may make, and
//! `deploy/flow-schema.yaml` gives the calls of the election their priority; all are
//! rendered from here by [`manifest`](crate::manifest), so neither can forget what the other knows.

use crate::{api::GROUP, machine::CLUSTER_API};

/// The namespace that the operator is deployed to.
pub const NAMESPACE: &str = "5spot-system";

/// The ServiceAccount that the operator runs as.
pub const SERVICE_ACCOUNT: &str = "5spot-controller";

/// The Lease of the election, in [`NAMESPACE`].
pub const LEASE: &str = "5spot-leader";

/// The fence: a ValidatingAdmissionPolicy, its binding, and the ConfigMap in [`NAMESPACE`] that it is tested on.
pub const FENCE: &str = "5spot-fence";

/// The part of the fence that guards what others write too, likewise: a policy, its binding, and the ConfigMap that it is
/// tested on.
pub const LENIENT_FENCE: &str = "5spot-fence-shared";

/// The priority of the calls about Leases at the API server.
pub const FLOW_SCHEMA: &str = "5spot-election";

/// What the name of the lenient part's objects has more than that of the strict part's.
pub const OF_LENIENT: &str = "-shared";

const WATCHED: &[&str] = &["get", "list", "watch"];
const OWNED: &[&str] = &["get", "list", "watch", "create", "delete"];

/// How the fence guards a right against whoever does not hold the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// It does not: reads, the election itself, and what standbys report.
    None,
    /// It refuses, and where it can't tell who leads it refuses as well. For what only the operator writes: the policy is
    /// looked up for every request of the kind, whoever sends it.
    Strict,
    /// It refuses, and where it can't tell who leads it does not. For what others write too: without a Lease no Node
    /// could be changed otherwise, by anybody.
    Lenient,
}

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
    /// How the fence guards it.
    pub guard: Guard,
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
pub const RIGHTS: [Right; 17] = [
    Right::own("coordination.k8s.io", "leases", &["create"])
        .why("A create request carries no name that RBAC could look at."),
    Right::own("coordination.k8s.io", "leases", &["get", "list", "watch", "update"])
        .named(&[LEASE])
        .why("List and watch match a name only with a field selector on metadata.name, which the operator sends. Every \
              write is a PUT with a precondition, so there is no right to patch."),
    Right::own("", "pods", WATCHED)
        .why("A standby watches the leader's pod for the proof of its death, and a leader that ends looks for a successor."),
    Right::own("", "configmaps", &["patch"])
        .named(&[FENCE])
        .guarded(Guard::Strict)
        .why("The fence is tested by a dry run on this one object, which is never changed."),
    Right::own("", "configmaps", &["patch"])
        .named(&[LENIENT_FENCE])
        .guarded(Guard::Lenient)
        .why("The same for the part of the fence that guards what others write too."),
    Right::cluster(GROUP, "scheduledmachines", &["get", "list", "watch", "patch"])
        .guarded(Guard::Lenient)
        .why("What users ask for. Written are its finalizer, and schedule.enabled when the owner of a machine wants it \
              back."),
    Right::cluster(GROUP, "scheduledmachines/finalizers", &["update"])
        .guarded(Guard::Lenient)
        .why("A Machine names its ScheduledMachine as an owner that waits for it, and clusters may want this right for that."),
    Right::cluster(GROUP, "scheduledmachines/status", &["patch"])
        .guarded(Guard::Strict)
        .why("What became of it: the status, and nothing else of the object."),
    Right::cluster(CLUSTER_API, "machines", &["get", "list", "watch", "create", "patch", "delete"])
        .guarded(Guard::Lenient)
        .why("The Machines. Patched is an annotation by which Cluster API does not drain a Node once more."),
    Right::cluster("bootstrap.cluster.x-k8s.io", "*", OWNED)
        .guarded(Guard::Lenient)
        .why("Bootstrap objects. Which kinds there are is up to the providers; name yours in place of the asterisk."),
    Right::cluster("infrastructure.cluster.x-k8s.io", "*", OWNED)
        .guarded(Guard::Lenient)
        .why("Infrastructure objects, likewise."),
    Right::cluster("k0smotron.io", "*", OWNED)
        .guarded(Guard::Lenient)
        .why("Both kinds of objects in the group that k0smotron used before."),
    Right::cluster("", "secrets", &["get"])
        .why("The kubeconfig of a workload cluster, in the Secret <cluster>-kubeconfig. RBAC knows no patterns of names. \
              Only such Secrets are read, and only of clusters that a Machine of ours has become a Node of."),
    Right::cluster("", "nodes", &["get", "list", "watch", "patch"])
        .guarded(Guard::Lenient)
        .why("Nodes of machines: cordoned, tainted and watched for a request to give the machine back. Here where the \
              machines join the operator's own cluster; in a workload cluster the user of the kubeconfig needs it."),
    Right::cluster("", "pods", &["list"])
        .why("What is on a Node that is drained."),
    Right::cluster("", "pods/eviction", &["create"])
        .guarded(Guard::Lenient)
        .why("The drain. Pods are evicted and never deleted, so disruption budgets hold."),
    Right::cluster("events.k8s.io", "events", &["create", "patch"])
        .why("What happened, for people. Standbys report too."),
];

/// The name that the API server knows the operator by, when it runs in this namespace.
pub fn user_name(namespace: &str) -> String {
    format!("system:serviceaccount:{namespace}:{SERVICE_ACCOUNT}")
}

impl Right {
    /// A right in the operator's own namespace.
    const fn own(
        group: &'static str,
        resource: &'static str,
        verbs: &'static [&'static str],
    ) -> Self {
        Self {
            group,
            resource,
            names: &[],
            verbs,
            reach: Reach::OwnNamespace,
            guard: Guard::None,
            why: "",
        }
    }

    /// A right in every namespace.
    const fn cluster(
        group: &'static str,
        resource: &'static str,
        verbs: &'static [&'static str],
    ) -> Self {
        let reach = Reach::Cluster;
        Self {
            reach,
            ..Self::own(group, resource, verbs)
        }
    }

    const fn named(self, names: &'static [&'static str]) -> Self {
        Self { names, ..self }
    }

    const fn guarded(self, guard: Guard) -> Self {
        Self { guard, ..self }
    }

    const fn why(self, why: &'static str) -> Self {
        Self { why, ..self }
    }

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
    use crate::api::{BOOTSTRAP_GROUPS, INFRASTRUCTURE_GROUPS};

    #[test]
    fn every_write_is_fenced_but_those_of_the_election_and_of_events() {
        for right in RIGHTS {
            let is_exempt = [
                ("coordination.k8s.io", "leases"),
                ("events.k8s.io", "events"),
            ]
            .contains(&(right.group, right.resource));
            assert_eq!(
                right.guard != Guard::None,
                right.is_write() && !is_exempt,
                "{} {:?}",
                right.resource,
                right.verbs
            );
        }
    }

    #[test]
    fn what_others_write_too_is_never_guarded_so_that_they_could_be_refused() {
        for right in RIGHTS.iter().filter(|right| right.guard == Guard::Strict) {
            let is_ours = right.resource == "scheduledmachines/status" || right.names == [FENCE];
            assert!(is_ours, "{right:?}");
        }
    }

    #[test]
    fn the_objects_of_the_lenient_part_are_named_after_those_of_the_strict_part() {
        assert_eq!(LENIENT_FENCE, format!("{FENCE}{OF_LENIENT}"));
    }

    #[test]
    fn nothing_is_granted_by_a_wildcard_but_kinds_of_the_groups_that_specs_may_name() {
        let groups = [BOOTSTRAP_GROUPS, INFRASTRUCTURE_GROUPS].concat();
        for right in RIGHTS {
            let words = [right.verbs, right.names, &[right.group]].concat();
            assert!(!words.iter().any(|word| word.contains('*')), "{right:?}");
            let is_any = right.resource == "*";
            assert_eq!(is_any, groups.contains(&right.group), "{right:?}");
            assert!(is_any || !right.resource.contains('*'), "{right:?}");
        }
    }
}
