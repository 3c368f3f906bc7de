//! What is remembered of a Node, and which taints it should have. Pure.
//!
//! The list of taints is atomic in the API, so server-side apply can't own single taints. Which ones are ours is noted
//! in an annotation that is written together with them, so that a crash can't part the two.

use k8s_openapi::api::core::v1::{Node, Taint};
use kube::ResourceExt;
use serde_json::json;

use super::objects::MachineView;
use crate::api::{NodeTaint, TaintEffect};

/// Annotation with the taints that we have put on a Node, as JSON.
pub(crate) const APPLIED_TAINTS: &str = "5spot.finos.org/applied-taints";

/// Annotation on a Node that we have cordoned; applied and dropped together with `unschedulable`.
pub(crate) const CORDONED: &str = "5spot.finos.org/cordoned";

/// Annotation by which the machine's owner wants it back at once: `"true"`.
const RECLAIM_REQUESTED: &str = "5spot.finos.org/reclaim-requested";

/// Annotation that says why.
const RECLAIM_REASON: &str = "5spot.finos.org/reclaim-reason";

/// The longest reason that is repeated in a status.
const LONGEST_REASON: usize = 128;

/// What is remembered of a Node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeView {
    /// Name.
    pub name: String,
    /// UID, which tells it from a later Node of the same name.
    pub uid: String,
    /// The provider's identifier.
    pub provider_id: Option<String>,
    /// Whether kubelet says that it is fine.
    pub is_ready: bool,
    /// Whether we have cordoned it.
    pub is_cordoned: bool,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// The taints that we have put on it.
    pub applied: Vec<NodeTaint>,
    /// The machine's owner wants it back, and why.
    pub reclaim: Option<String>,
}

/// What to do about the taints of a Node.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TaintPlan {
    /// They are as they should be.
    Settled,
    /// The Node should have these, of which `applied` are ours.
    Write {
        /// All of them.
        taints: Vec<Taint>,
        /// Ours.
        applied: Vec<NodeTaint>,
    },
    /// Somebody else has put a taint of this key and effect on the Node, with another value.
    Conflict(NodeTaint),
}

impl NodeView {
    /// What matters of `node`.
    pub(crate) fn of(node: &Node) -> Self {
        let annotation = |key: &str| node.annotations().get(key);
        let spec = node.spec.as_ref();
        let conditions = node
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        let is_ready = conditions
            .into_iter()
            .flatten()
            .any(|found| found.type_ == "Ready" && found.status == "True");
        let reclaim = annotation(RECLAIM_REQUESTED)
            .is_some_and(|value| value == "true")
            .then(|| {
                let mut reason = annotation(RECLAIM_REASON).cloned().unwrap_or_default();
                reason.retain(|character| !character.is_control());
                reason.truncate(reason.floor_char_boundary(LONGEST_REASON));
                reason
            });
        Self {
            name: node.name_any(),
            uid: node.uid().unwrap_or_default(),
            provider_id: spec.and_then(|spec| spec.provider_id.clone()),
            is_ready,
            is_cordoned: annotation(CORDONED).is_some(),
            taints: spec
                .and_then(|spec| spec.taints.clone())
                .unwrap_or_default(),
            // What can't be read was not written by us, so nothing is ours.
            applied: annotation(APPLIED_TAINTS)
                .and_then(|text| serde_json::from_str(text).ok())
                .unwrap_or_default(),
            reclaim,
        }
    }

    /// Whether this is the Node that `machine` became, and not another one of the same name: that of a machine that is
    /// gone, or of another cluster.
    pub(crate) fn belongs_to(&self, machine: &MachineView) -> bool {
        let is_same_uid = machine
            .node
            .as_ref()
            .and_then(|node| node.uid.as_ref())
            .is_none_or(|uid| *uid == self.uid);
        is_same_uid && self.provider_id.is_some() && self.provider_id == machine.provider_id
    }
}

/// Decides what to do about the taints of `node` so that it has those of `wanted`.
pub(crate) fn taints(node: &NodeView, wanted: &[NodeTaint]) -> TaintPlan {
    let is_ours = |taint: &Taint| node.applied.iter().any(|ours| is_same(taint, ours));
    let mut kept: Vec<Taint> = node
        .taints
        .iter()
        .filter(|taint| !is_ours(taint))
        .cloned()
        .collect();
    let mut applied = Vec::new();
    for want in wanted {
        match kept.iter().find(|taint| is_same(taint, want)) {
            // It is there already, and stays when we go.
            Some(present) if present.value == want.value => {}
            Some(_) => return TaintPlan::Conflict(want.clone()),
            None => applied.push(want.clone()),
        }
    }
    for ours in &applied {
        // The time belongs to the taint, so one that stays keeps it.
        let before = node
            .taints
            .iter()
            .find(|taint| is_same(taint, ours) && taint.value == ours.value);
        kept.push(before.cloned().unwrap_or_else(|| Taint {
            key: ours.key.clone(),
            value: ours.value.clone(),
            effect: ours.effect.as_str().to_owned(),
            time_added: None,
        }));
    }
    let is_settled = kept.len() == node.taints.len()
        && kept.iter().all(|taint| node.taints.contains(taint))
        && applied == node.applied;
    if is_settled {
        TaintPlan::Settled
    } else {
        TaintPlan::Write {
            taints: kept,
            applied,
        }
    }
}

/// A taint is known by its key and effect.
fn is_same(taint: &Taint, ours: &NodeTaint) -> bool {
    taint.key == ours.key && taint.effect == ours.effect.as_str()
}

impl TaintEffect {
    /// The effect as it is written in a Node.
    fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// The merge patch that gives a Node `taints`, if it is still the one that was read.
pub(crate) fn taint_patch(
    read: &Node,
    taints: &[Taint],
    applied: &[NodeTaint],
) -> serde_json::Value {
    let note = (!applied.is_empty()).then(|| json!(applied).to_string());
    json!({
        "metadata": {
            "uid": read.uid(),
            "resourceVersion": read.resource_version(),
            "annotations": {APPLIED_TAINTS: note},
        },
        "spec": {"taints": taints},
    })
}

#[cfg(test)]
mod tests;
