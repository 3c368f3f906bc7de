//! The Node that a machine becomes: what of it matters, and the one change that makes it what is wanted.
//!
//! # Whose a taint is
//! To server-side apply the taints of a Node are one field, so nobody can own a single one of them
//! (<https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy>). Those that were put on here are
//! recorded in an annotation, in the same write; only recorded ones are changed or taken off. A taint of somebody else
//! with a key and effect that the spec asks for, but another value, is a conflict: it is reported, and none is put on.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Node, Taint};
use serde_json::{Value, json};

use crate::api::{
    APPLIED_TAINTS, CORDONED, NodeTaint, RECLAIM_DETAILS, RECLAIM_REQUESTED, TaintEffect,
};

/// What matters of a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact that holds by itself"
)]
pub(crate) struct NodeSeen {
    pub(crate) uid: String,
    /// What its provider calls it.
    pub(crate) provider_id: Option<String>,
    /// Whether it is ready.
    pub(crate) is_ready: bool,
    /// Whether no pods are scheduled to it.
    pub(crate) is_cordoned: bool,
    /// Whether that was done here.
    pub(crate) is_cordoned_by_us: bool,
    /// Whether the machine's owner wants it back.
    pub(crate) is_reclaimed: bool,
    /// The taints that were put on here and are still there.
    pub(crate) applied: Vec<NodeTaint>,
    taints: Vec<NodeTaint>,
    recorded: Vec<NodeTaint>,
}

/// How a Node should be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DesiredNode {
    /// Whether it is kept free of new pods; `false` undoes only what was done here.
    pub(crate) cordoned: bool,
    /// The taints to have on it; `None` leaves them as they are.
    pub(crate) taints: Option<Vec<NodeTaint>>,
    /// Whether a reclaim request is taken off it.
    pub(crate) clear_reclaim: bool,
}

/// A taint of somebody else where one of ours should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nodeTaints: the Node has {theirs}, which another owner put there, and the spec asks for {ours}"
)]
pub(crate) struct TaintConflict {
    ours: String,
    theirs: String,
}

impl NodeSeen {
    /// How many bytes its texts take.
    pub(crate) fn size(&self) -> usize {
        let taints = [&self.applied, &self.taints, &self.recorded];
        let texts = taints.into_iter().flatten();
        let texts =
            texts.map(|taint| taint.key.len() + taint.value.as_ref().map_or(0, String::len));
        let provider_id = self.provider_id.as_ref().map_or(0, String::len);
        self.uid.len() + provider_id + texts.sum::<usize>()
    }

    /// Reads a Node.
    pub(crate) fn of(node: &Node) -> Self {
        let spec = node.spec.as_ref();
        let annotation = |key: &str| node.metadata.annotations.as_ref()?.get(key);
        let conditions = node
            .status
            .as_ref()
            .and_then(|status| status.conditions.as_ref());
        let taints: Vec<_> = spec
            .and_then(|spec| spec.taints.as_ref())
            .into_iter()
            .flatten()
            .filter_map(read)
            .collect();
        // A record that can't be read is one that nobody here wrote.
        let recorded: Vec<NodeTaint> = annotation(APPLIED_TAINTS)
            .and_then(|record| serde_json::from_str(record).ok())
            .unwrap_or_default();
        let is_cordoned = spec.and_then(|spec| spec.unschedulable).unwrap_or_default();
        Self {
            uid: node.metadata.uid.clone().unwrap_or_default(),
            provider_id: spec.and_then(|spec| spec.provider_id.clone()),
            is_ready: conditions
                .into_iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            is_cordoned,
            is_cordoned_by_us: is_cordoned && annotation(CORDONED).is_some(),
            is_reclaimed: annotation(RECLAIM_REQUESTED).is_some_and(|value| value == "true"),
            applied: taints
                .iter()
                .filter(|taint| recorded.contains(taint))
                .cloned()
                .collect(),
            taints,
            recorded,
        }
    }

    /// The first taint that can't be put on because of one of somebody else.
    pub(crate) fn conflict(&self, wanted: &[NodeTaint]) -> Option<TaintConflict> {
        wanted.iter().find_map(|ours| {
            let theirs = self
                .taints
                .iter()
                .find(|theirs| is_same_place(ours, theirs))?;
            let is_free = theirs == ours || self.recorded.contains(theirs);
            (!is_free).then(|| TaintConflict {
                ours: show(ours),
                theirs: show(theirs),
            })
        })
    }

    /// Whether it is as `desired` has it.
    pub(crate) fn is_as(&self, desired: &DesiredNode) -> bool {
        self.changes(desired).is_empty()
    }

    /// The fields to change, by what is asked for; a merge patch is made of them.
    fn changes(&self, desired: &DesiredNode) -> Changes {
        let mut changes = Changes::default();
        if desired.cordoned && !self.is_cordoned {
            changes.spec.insert("unschedulable", json!(true));
            changes.annotations.insert(CORDONED, json!("true"));
        }
        if !desired.cordoned && self.is_cordoned_by_us {
            changes.spec.insert("unschedulable", Value::Null);
            changes.annotations.insert(CORDONED, Value::Null);
        }
        if desired.clear_reclaim && self.is_reclaimed {
            for key in std::iter::once(RECLAIM_REQUESTED).chain(RECLAIM_DETAILS) {
                changes.annotations.insert(key, Value::Null);
            }
        }
        if let Some(wanted) = &desired.taints
            && self.conflict(wanted).is_none()
        {
            self.change_taints(wanted, &mut changes);
        }
        changes
    }

    fn change_taints(&self, wanted: &[NodeTaint], changes: &mut Changes) {
        let is_wanted = |taint: &NodeTaint| wanted.iter().any(|ours| is_same_place(ours, taint));
        // What somebody else put there just as we want it stays theirs, and is not recorded.
        let theirs: Vec<_> = self
            .taints
            .iter()
            .filter(|taint| !self.recorded.contains(taint))
            .cloned()
            .collect();
        let ours: Vec<_> = wanted
            .iter()
            .filter(|taint| !theirs.contains(taint))
            .cloned()
            .collect();
        let mut taints: Vec<_> = theirs.iter().filter(|taint| !is_wanted(taint)).collect();
        taints.extend(wanted);
        let is_there = self.taints.len() == taints.len()
            && taints.iter().all(|taint| self.taints.contains(taint));
        if !is_there {
            changes.taints = Some(wanted.to_vec());
        }
        let is_recorded = self.recorded.len() == ours.len()
            && ours.iter().all(|taint| self.recorded.contains(taint));
        if !is_recorded {
            let record = if ours.is_empty() {
                Value::Null
            } else {
                json!(json!(ours).to_string())
            };
            changes.annotations.insert(APPLIED_TAINTS, record);
        }
    }
}

/// Fields to change.
#[derive(Debug, Default)]
struct Changes {
    spec: BTreeMap<&'static str, Value>,
    annotations: BTreeMap<&'static str, Value>,
    /// Those of the spec; the list has to be written as a whole.
    taints: Option<Vec<NodeTaint>>,
}

impl Changes {
    fn is_empty(&self) -> bool {
        self.spec.is_empty() && self.annotations.is_empty() && self.taints.is_none()
    }
}

/// The merge patch that makes `node` as `desired` has it; `None` when it is so already.
///
/// It carries the UID and the version of `node`, so that it is refused for another Node of the name, and for one that
/// changed meanwhile: the list of taints is written as a whole.
pub(crate) fn patch(node: &Node, desired: &DesiredNode) -> Option<Value> {
    let seen = NodeSeen::of(node);
    let changes = seen.changes(desired);
    if changes.is_empty() {
        return None;
    }
    let mut patch = json!({
        "metadata": {"uid": node.metadata.uid, "resourceVersion": node.metadata.resource_version},
    });
    if !changes.annotations.is_empty() {
        patch["metadata"]["annotations"] = json!(changes.annotations);
    }
    if !changes.spec.is_empty() {
        patch["spec"] = json!(changes.spec);
    }
    if let Some(wanted) = changes.taints {
        let present = node.spec.as_ref().and_then(|spec| spec.taints.as_ref());
        // Whole taints of others, with whatever fields they have.
        let mut taints: Vec<Value> = present
            .into_iter()
            .flatten()
            .filter(|taint| {
                read(taint).is_none_or(|taint| {
                    let is_wanted = wanted.iter().any(|ours| is_same_place(ours, &taint));
                    !is_wanted && !seen.recorded.contains(&taint)
                })
            })
            .map(|taint| json!(taint))
            .collect();
        taints.extend(wanted.iter().map(|taint| json!(taint)));
        patch["spec"]["taints"] = json!(taints);
    }
    Some(patch)
}

fn read(taint: &Taint) -> Option<NodeTaint> {
    let effect = match taint.effect.as_str() {
        "NoSchedule" => TaintEffect::NoSchedule,
        "PreferNoSchedule" => TaintEffect::PreferNoSchedule,
        "NoExecute" => TaintEffect::NoExecute,
        _ => return None,
    };
    Some(NodeTaint {
        key: taint.key.clone(),
        value: taint.value.clone().filter(|value| !value.is_empty()),
        effect,
    })
}

fn is_same_place(one: &NodeTaint, other: &NodeTaint) -> bool {
    one.key == other.key && one.effect == other.effect
}

fn show(taint: &NodeTaint) -> String {
    let value = taint
        .value
        .as_deref()
        .map(|value| format!("={value}"))
        .unwrap_or_default();
    format!("{}{value}:{:?}", taint.key, taint.effect)
}

#[cfg(test)]
mod tests;
