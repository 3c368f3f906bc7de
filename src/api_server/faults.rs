//! What goes wrong.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

/// Where a leader dies: the write that it was about is never answered, and none after it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The write never arrives.
    Before,
    /// The write takes effect.
    After,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault that comes and goes by itself"
)]
pub(crate) struct Faults {
    /// The kind is not known.
    pub(crate) kind_is_missing: bool,
    /// Lists begin to be answered and never end.
    pub(crate) stall_lists: bool,
    /// Watches are never answered.
    pub(crate) stall_watches: bool,
    /// Status writes are answered with this code and change nothing.
    pub(crate) refuse_status: Option<u16>,
    /// Status writes are refused by the fence and change nothing.
    pub(crate) fence_refuses: bool,
    /// Labels that somebody puts on the object just before the next merge patch of a status arrives.
    pub(crate) meddle: Option<Value>,
    /// Events are answered with this code.
    pub(crate) refuse_events: Option<u16>,
    /// Status writes are answered after this time only, and take effect then.
    pub(crate) status_takes: Duration,
    /// Other writes to these resources and watches on them, by verb, group and plural (`POST cluster.x-k8s.io/machines`),
    /// are answered with this code and message.
    pub(crate) refuse: BTreeMap<String, (u16, String)>,
    /// Writes of this sort are never answered and change nothing.
    pub(crate) hang: Option<&'static str>,
    /// The leader dies at this write, counted from one.
    pub(crate) crash: Option<(usize, Crash)>,
    /// Namespaces in which a disruption budget allows no eviction.
    pub(crate) budget_of: Vec<String>,
    /// Evicted pods do not go by themselves.
    pub(crate) pods_linger: bool,
    /// Pods and Nodes are never answered for.
    pub(crate) nodes_are_silent: bool,
    /// Pods are never answered for.
    pub(crate) pods_are_silent: bool,
    /// What is listed and watched of these resources, by group and plural, is as it was before there were any.
    pub(crate) lag: Vec<&'static str>,
    /// Every answer comes after this time only.
    pub(crate) answers_take: Duration,
    /// Lists are longer by this many bytes.
    pub(crate) padding: usize,
}

impl Faults {
    /// Requests of this sort are answered with this code and message; see [`Self::refuse`].
    #[cfg(test)]
    pub(crate) fn refusing(sort: &str, code: u16, message: &str) -> Self {
        Self {
            refuse: [(sort.to_owned(), (code, message.to_owned()))].into(),
            ..Self::default()
        }
    }
}
