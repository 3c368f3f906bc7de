//! What the operator reports about a `ScheduledMachine`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use strum::{Display, IntoStaticStr, VariantArray};

use super::{node_taint::NodeTaint, rules};

/// Types of conditions.
pub mod condition {
    /// True when the machine is as its spec wants it at this moment: there in its window, gone outside of it.
    pub const READY: &str = "Ready";

    /// True while the schedule asks for the machine.
    pub const SCHEDULED: &str = "Scheduled";

    /// True when the cluster, the embedded objects and their metadata are ones that the operator may act on.
    pub const REFERENCES_VALID: &str = "ReferencesValid";

    /// True when the Machine has become a Node that is ready.
    pub const MACHINE_READY: &str = "MachineReady";

    /// True when the last machine to leave was drained, or had nothing to drain.
    pub const DRAINED: &str = "Drained";

    /// True when the Node has the taints of the spec; only there when the spec or the Node has any.
    pub const NODE_TAINTED: &str = "NodeTainted";
}

/// Where the machine is in its life.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Deserialize,
    Serialize,
    JsonSchema,
    Display,
    IntoStaticStr,
    VariantArray,
)]
pub enum Phase {
    /// The window is open and the machine is not there yet; also an object that no operator has looked at so far.
    #[default]
    Pending,
    /// The window is open and the machine's objects are there.
    Active,
    /// The window has shut and the machine is on its way out.
    ShuttingDown,
    /// The window is shut and the machine is gone.
    Inactive,
    /// `schedule.enabled` is false.
    Disabled,
    /// `killSwitch` is on.
    Terminated,
    /// The machine's owner wants it back at once.
    EmergencyRemove,
    /// The spec can't be acted on, or acting on it failed; the conditions say why. A new spec is looked at afresh.
    Error,
}

/// What the operator reports. Written by the leader alone, by server-side apply.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledMachineStatus {
    /// Where the machine is in its life.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,

    /// The phase in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,

    /// Whether the schedule asks for the machine at this moment.
    #[serde(default)]
    pub in_schedule: bool,

    /// When the window opens next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_activation: Option<Time>,

    /// When the window shuts next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_deactivation: Option<Time>,

    /// The `metadata.generation` that this status is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Standard conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(transform = rules::conditions)]
    pub conditions: Vec<Condition>,

    /// The provider's identifier of the machine, copied from the Machine.
    #[serde(rename = "providerID", skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,

    /// The Node that the machine became.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_ref: Option<NodeReference>,

    /// The Machine that was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine_ref: Option<ObjectReference>,

    /// The bootstrap object that was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bootstrap_ref: Option<ObjectReference>,

    /// The infrastructure object that was created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infrastructure_ref: Option<ObjectReference>,

    /// The taints that were put on the Node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applied_node_taints: Vec<NodeTaint>,

    /// When a machine was created last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_scheduled_time: Option<Time>,

    /// When the machine that is on its way out will be removed at the latest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cleanup: Option<Time>,

    /// How far the machine that is on its way out has got. A leader that takes over goes on from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shutdown: Option<Shutdown>,
}

/// The way out of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Shutdown {
    /// When it began; the graceful shutdown timeout counts from here.
    pub since: Time,

    /// When the drain of the Node began; the drain timeout counts from here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub draining_since: Option<Time>,

    /// Whether the machine's owner wants it back. Then nothing but its removal ends this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reclaimed: bool,
}

/// An object that was created for a `ScheduledMachine`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectReference {
    /// Group and version.
    pub api_version: String,

    /// Kind.
    pub kind: String,

    /// Name.
    pub name: String,

    /// Namespace; that of the `ScheduledMachine` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
}

/// A Node, as a Machine refers to it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeReference {
    /// Version, `v1`.
    pub api_version: String,

    /// Kind, `Node`.
    pub kind: String,

    /// Name.
    pub name: String,

    /// UID, which tells a Node from a later one of the same name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}
