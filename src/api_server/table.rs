//! The objects of a kind, and who watches them.

use std::collections::BTreeMap;

use serde_json::Value;
use tokio::sync::mpsc;

/// The kind that all is about.
pub(crate) const SCHEDULED_MACHINES: &str = "5spot.finos.org/scheduledmachines";

/// Namespace (empty where there is none) and name.
pub(super) type Name = (String, String);

/// All objects of a kind.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) kind: &'static str,
    pub(super) versions: Vec<&'static str>,
    pub(super) is_namespaced: bool,
    pub(super) objects: BTreeMap<Name, Value>,
    pub(super) history: Vec<(u64, Value)>,
    pub(super) watches: Vec<Watch>,
    /// Open, but nothing comes through any more.
    pub(super) dead_watches: Vec<Watch>,
    /// Watches can't start before this version.
    pub(super) compacted: u64,
}

#[derive(Debug)]
pub(super) struct Watch {
    pub(super) selector: Selector,
    pub(super) news: mpsc::UnboundedSender<Value>,
}

/// The only two selectors that the operator uses.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector {
    pub(super) label: Option<String>,
    pub(super) node: Option<String>,
}

/// What there is: the table, the kind, its versions, and whether it is namespaced.
const TABLES: [&str; 8] = [
    "5spot.finos.org/scheduledmachines ScheduledMachine v1alpha1 namespaced",
    "cluster.x-k8s.io/machines Machine v1beta1,v1beta2 namespaced",
    "bootstrap.cluster.x-k8s.io/k0sworkerconfigs K0sWorkerConfig v1beta1 namespaced",
    "infrastructure.cluster.x-k8s.io/remotemachines RemoteMachine v1beta1 namespaced",
    "k0smotron.io/othermachines OtherMachine v1beta1 namespaced",
    "/nodes Node v1 cluster",
    "/pods Pod v1 namespaced",
    "/secrets Secret v1 namespaced",
];

pub(super) fn tables() -> BTreeMap<String, Table> {
    let table = |line: &'static str| {
        let [name, kind, versions, scope]: [&str; 4] =
            line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let table = Table {
            kind,
            versions: versions.split(',').collect(),
            is_namespaced: scope == "namespaced",
            ..Table::default()
        };
        (name.to_owned(), table)
    };
    TABLES.map(table).into()
}

impl Table {
    pub(super) fn tell(&mut self, news: &Value) {
        self.watches.retain(|watch| {
            !watch.selector.matches(&news["object"]) || watch.news.send(news.clone()).is_ok()
        });
    }
}

impl Selector {
    pub(super) fn of(query: &str) -> Self {
        let decoded = |value: String| value.replace("%2F", "/").replace("%3D", "=");
        let node = pair(query, "fieldSelector").map(decoded);
        Self {
            label: pair(query, "labelSelector").map(decoded),
            node: node.map(|node| node.strip_prefix("spec.nodeName=").unwrap().to_owned()),
        }
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.label
            .as_ref()
            .is_none_or(|label| !object["metadata"]["labels"][label].is_null())
            && self
                .node
                .as_ref()
                .is_none_or(|node| object["spec"]["nodeName"] == **node)
    }
}

pub(super) fn pair(query: &str, key: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (found, value) = pair.split_once('=')?;
        (found == key && !value.is_empty()).then(|| value.to_owned())
    })
}

pub(super) fn name_of(object: &Value) -> Name {
    let text = |field: &str| {
        object["metadata"][field]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    (text("namespace"), text("name"))
}
