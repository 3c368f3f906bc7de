//! Taints for the Node of a machine.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A taint for a Node.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeTaint {
    /// Key: a qualified name. Those of Kubernetes and 5-Spot are reserved.
    pub key: String,

    /// Value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,

    /// Effect.
    pub effect: TaintEffect,
}

/// What a taint does to pods that do not tolerate it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum TaintEffect {
    /// New ones are not scheduled to the Node.
    NoSchedule,
    /// New ones are scheduled elsewhere where possible.
    PreferNoSchedule,
    /// Running ones are evicted too.
    NoExecute,
}
