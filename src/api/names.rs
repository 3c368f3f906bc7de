//! Names that others see: groups, labels, annotations, and which of them users may not use.

/// The API group of the kind, and the prefix of every label, annotation and finalizer of 5-Spot.
pub const GROUP: &str = "5spot.finos.org";

/// The one served and stored version.
pub const VERSION: &str = "v1alpha1";

/// Keeps a `ScheduledMachine` until what it created is gone.
pub const FINALIZER: &str = "5spot.finos.org/scheduledmachine";

/// Label on every object that is created for a `ScheduledMachine`; its value is that one's name.
pub const SCHEDULED_MACHINE_LABEL: &str = "5spot.finos.org/scheduled-machine";

/// Annotation on every object that is created for a `ScheduledMachine`; its value is that one's UID, which tells it from
/// a later one of the same name.
pub const SCHEDULED_MACHINE_UID: &str = "5spot.finos.org/scheduled-machine-uid";

/// Annotation on a Node that was cordoned because its machine is on its way out. Only such a Node is uncordoned.
pub const CORDONED: &str = "5spot.finos.org/cordoned";

/// Annotation on a Node: the taints that were put on it, as JSON. Only those are changed or taken off.
pub const APPLIED_TAINTS: &str = "5spot.finos.org/applied-taints";

/// Annotation on a Node: with the value `true`, the owner of the machine wants it back at once.
pub const RECLAIM_REQUESTED: &str = "5spot.finos.org/reclaim-requested";

/// What else is written to a Node along with [`RECLAIM_REQUESTED`], and cleared with it.
pub const RECLAIM_DETAILS: [&str; 2] = [
    "5spot.finos.org/reclaim-reason",
    "5spot.finos.org/reclaim-requested-at",
];

/// Label of Cluster API that names the cluster an object belongs to.
pub const CLUSTER_NAME_LABEL: &str = "cluster.x-k8s.io/cluster-name";

/// API groups that a `bootstrapSpec` may come from.
pub const BOOTSTRAP_GROUPS: [&str; 2] = ["bootstrap.cluster.x-k8s.io", "k0smotron.io"];

/// API groups that an `infrastructureSpec` may come from.
pub const INFRASTRUCTURE_GROUPS: [&str; 2] = ["infrastructure.cluster.x-k8s.io", "k0smotron.io"];

/// Key prefixes that a `machineTemplate` may not use: they belong to Kubernetes, Cluster API and 5-Spot.
pub const RESERVED_METADATA_PREFIXES: [&str; 4] = [
    "kubernetes.io/",
    "k8s.io/",
    "cluster.x-k8s.io/",
    "5spot.finos.org/",
];

/// Domains whose keys, and those of every domain below them, a `machineTemplate` may not use. The schema can't look into
/// the middle of a key, so it knows the [`RESERVED_METADATA_PREFIXES`] only.
pub const RESERVED_METADATA_DOMAINS: [&str; 4] =
    ["kubernetes.io", "k8s.io", "x-k8s.io", "5spot.finos.org"];

/// Domains that may be used all the same, with those below them: Cluster API copies labels of these to the Node. It also
/// does so for `node-restriction.kubernetes.io`, by which clusters keep Nodes apart, and which stays reserved.
pub const FREE_METADATA_DOMAINS: [&str; 2] = ["node-role.kubernetes.io", "node.cluster.x-k8s.io"];

/// The largest spec of an embedded object, in bytes as JSON: twice what a host's first configuration may have with most
/// providers.
pub const LARGEST_PROVIDER_SPEC: usize = 128 << 10;

/// Key prefixes that `nodeTaints` may not use: kubelet, scheduler and 5-Spot give them a meaning.
pub const RESERVED_TAINT_PREFIXES: [&str; 4] = [
    "5spot.finos.org/",
    "kubernetes.io/",
    "node.kubernetes.io/",
    "node-role.kubernetes.io/",
];
