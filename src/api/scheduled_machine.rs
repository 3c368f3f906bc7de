//! The kind `ScheduledMachine` and its spec.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    node_taint::NodeTaint, provider_spec::ProviderSpec, rules, status::ScheduledMachineStatus,
};

/// A machine that belongs to a cluster in weekly time windows, and not outside of them.
#[derive(Clone, Debug, PartialEq, CustomResource, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "5spot.finos.org",
    version = "v1alpha1",
    kind = "ScheduledMachine",
    plural = "scheduledmachines",
    shortname = "sm",
    namespaced,
    status = "ScheduledMachineStatus",
    derive = "PartialEq",
    doc = "A machine that belongs to a cluster in weekly time windows, and not outside of them.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(name = "InSchedule", type_ = "boolean", json_path = ".status.inSchedule"),
    printcolumn(name = "Enabled", type_ = "boolean", json_path = ".spec.schedule.enabled"),
    printcolumn(name = "Schedule Days", type_ = "string", json_path = ".spec.schedule.daysOfWeek"),
    printcolumn(name = "Schedule Hours", type_ = "string", json_path = ".spec.schedule.hoursOfDay"),
    // A column of type date shows an age, which is senseless for an instant to come.
    printcolumn(name = "Next Activation", type_ = "string", json_path = ".status.nextActivation"),
    printcolumn(name = "KillSwitch", type_ = "boolean", json_path = ".spec.killSwitch"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.message", priority = "1"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledMachineSpec {
    /// When the machine belongs to the cluster.
    pub schedule: ScheduleSpec,

    /// The Cluster API cluster that the machine belongs to.
    #[schemars(transform = rules::cluster_name)]
    pub cluster_name: String,

    /// The bootstrap object to create with the machine, for example a `K0sWorkerConfig`.
    #[schemars(transform = rules::bootstrap)]
    pub bootstrap_spec: EmbeddedObject,

    /// The infrastructure object to create with the machine, for example a `RemoteMachine`.
    #[schemars(transform = rules::infrastructure)]
    pub infrastructure_spec: EmbeddedObject,

    /// Labels, annotations and version for the Machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_template: Option<MachineTemplate>,

    /// Which machines are acted on first when many wait, from 0 to 100; the higher, the sooner. Values up to 255 are
    /// accepted for compatibility.
    #[serde(default = "default_priority")]
    #[schemars(range(min = 0, max = 255), extend("format" = "int32"))]
    pub priority: u8,

    /// How long the machine is given between the end of its window and its removal: a whole number of s, m or h, at
    /// most 24h.
    #[serde(default = "default_timeout")]
    #[schemars(transform = rules::timeout)]
    pub graceful_shutdown_timeout: String,

    /// How long draining the Node may take: a whole number of s, m or h, at most 24h.
    #[serde(default = "default_timeout")]
    #[schemars(transform = rules::timeout)]
    pub node_drain_timeout: String,

    /// Removes the machine at once while true.
    #[serde(default)]
    pub kill_switch: bool,

    /// Taints for the Node, put on once it is Ready. The pair of key and effect is unique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = rules::node_taints)]
    pub node_taints: Vec<NodeTaint>,

    /// Commands whose start on the machine means that its owner wants it back at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = rules::commands)]
    pub kill_if_commands: Option<Vec<String>>,
}

/// Weekly time windows. The window is open while the local day is one of the days and the local hour one of the hours.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleSpec {
    /// Days of the week: mon, tue, wed, thu, fri, sat, sun, inclusive ranges such as mon-fri or fri-mon, and several
    /// of them joined by commas.
    #[schemars(transform = rules::days)]
    pub days_of_week: Vec<String>,

    /// Hours of the day from 0 to 23, ranges such as 9-17 (open until 17:59:59) or 22-6, and several of them joined
    /// by commas.
    #[schemars(transform = rules::hours)]
    pub hours_of_day: Vec<String>,

    /// The IANA time zone of days and hours.
    #[serde(default = "default_timezone")]
    #[schemars(transform = rules::timezone)]
    pub timezone: String,

    /// Whether the schedule is in force. While false, the machine does not belong to the cluster.
    #[serde(default = "default_enabled")]
    pub enabled: bool,
}

/// An object that is created in the namespace of the `ScheduledMachine` and named like it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EmbeddedObject {
    /// Group and version, for example `bootstrap.cluster.x-k8s.io/v1beta1`.
    #[schemars(length(min = 1, max = 317), regex(pattern = rules::API_VERSION))]
    pub api_version: String,

    /// Kind, for example `K0sWorkerConfig`.
    #[schemars(length(min = 1, max = 63), regex(pattern = rules::KIND))]
    pub kind: String,

    /// The object's spec, as its provider defines it, of at most 128 KiB as JSON.
    pub spec: ProviderSpec,
}

/// What the Machine gets beside its references.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MachineTemplate {
    /// Labels. Keys of Kubernetes, Cluster API and 5-Spot are reserved, and those of domains below theirs, but for
    /// node-role.kubernetes.io and node.cluster.x-k8s.io.
    #[serde(default)]
    #[schemars(transform = rules::labels)]
    pub labels: BTreeMap<String, String>,

    /// Annotations. Keys of Kubernetes, Cluster API and 5-Spot are reserved, and those of domains below theirs, but for
    /// node-role.kubernetes.io and node.cluster.x-k8s.io.
    #[serde(default)]
    #[schemars(transform = rules::annotations)]
    pub annotations: BTreeMap<String, String>,

    /// Version of Kubernetes, for example `v1.34.4`. Some bootstrap providers, such as kubeadm's, read it from the
    /// Machine; others have it in `bootstrapSpec`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(transform = rules::version)]
    pub version: Option<String>,
}

fn default_priority() -> u8 {
    50
}

fn default_timeout() -> String {
    "5m".to_owned()
}

fn default_timezone() -> String {
    "UTC".to_owned()
}

fn default_enabled() -> bool {
    true
}
