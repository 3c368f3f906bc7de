//! The clusters that machines become Nodes of, and their Nodes, on every replica.
//!
//! A cluster is reached by the kubeconfig that Cluster API keeps in the Secret `<cluster>-kubeconfig`; where there is no
//! such Secret, the Nodes are in the cluster that the operator itself is in. Whoever can write that Secret decides where
//! the operator connects to, so a kubeconfig may carry credentials and nothing that is run or read here.
//!
//! A cluster that can't be reached keeps nobody waiting but the machines that are its Nodes.

pub(super) mod feed;
mod kubeconfig;

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
};

use k8s_openapi::api::core::v1::Node;
use kube::{Client, ResourceExt};
use parking_lot::RwLock;
use tokio::sync::{Semaphore, mpsc};

use crate::{
    api::is_cluster_name,
    machine::{MachineState, NodeSeen},
};

/// Each has a watch, and all its Nodes are kept in memory.
const MOST_CLUSTERS: usize = 500;

/// Twice of what Kubernetes is made for
/// (<https://kubernetes.io/docs/setup/best-practices/cluster-large/>).
const MOST_NODES: usize = 10_000;

/// A Node of which more bytes would have to be kept is none of a machine of ours.
const LARGEST_NODE: usize = 16 << 10;

pub use kubeconfig::Connect;

/// A cluster, by the namespace and the name of its Cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ClusterKey {
    namespace: Option<String>,
    name: String,
}

/// What is known of all clusters. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub(super) struct Clusters {
    known: Arc<RwLock<HashMap<ClusterKey, Connection>>>,
    asked: mpsc::UnboundedSender<ClusterKey>,
}

/// Whether a cluster can be worked with.
#[derive(Clone, Debug, Default)]
enum Connection {
    /// Nobody has tried yet.
    #[default]
    Unknown,
    /// It can't be reached, and this is why.
    Failed(String),
    /// Nobody tries to, and this is why.
    Refused(String),
    /// It is the operator's own, which is [`ClusterKey::own`].
    Own,
    /// All its Nodes have been seen once.
    Connected(Connected),
}

#[derive(Clone)]
struct Connected {
    client: Client,
    /// Held by whoever is at work with it.
    calls: Arc<Semaphore>,
    nodes: HashMap<String, Row>,
}

impl fmt::Debug for Connected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reached")
            .field("nodes", &self.nodes)
            .finish_non_exhaustive()
    }
}

/// A Node, and the version of it that is known.
#[derive(Clone, Debug)]
struct Row {
    version: Option<u128>,
    node: Arc<NodeSeen>,
}

impl PartialEq for Row {
    /// Whether all that matters of the Node is the same.
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

/// What it came to that a Node came or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    /// Something that matters of it is other than before.
    News,
    /// Nothing is.
    Same,
    /// There are more Nodes than are kept.
    Full,
}

/// How to work with a cluster.
#[derive(Clone)]
pub(super) struct ClusterAccess {
    pub(super) client: Client,
    /// Whether it is the operator's own, which may have the fence.
    pub(super) is_own: bool,
    /// A place is to be held while at work.
    pub(super) calls: Arc<Semaphore>,
}

/// The Node of a machine, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum NodeState {
    /// The machine has become none yet, or there is no machine.
    #[default]
    None,
    /// Its cluster has not been looked at yet.
    Unknown,
    /// Its cluster can't be reached, and this is why.
    Unreachable(String),
    /// Its cluster has no such Node any more.
    Gone,
    /// It is there.
    Present(Arc<NodeSeen>),
}

impl Clusters {
    /// Nothing known, and where the clusters that are asked for come out.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<ClusterKey>) {
        let (asked, asking) = mpsc::unbounded_channel();
        let clusters = Self {
            known: Arc::default(),
            asked,
        };
        (clusters, asking)
    }

    /// Has the Nodes of a cluster watched, unless they are already.
    pub(super) fn ask_for(&self, namespace: Option<&str>, cluster: &str) {
        let key = ClusterKey::new(namespace, cluster);
        if is_cluster_name(cluster) {
            self.ask_for_key(key);
        } else {
            // It becomes part of the name of the Secret that is asked for.
            let refused =
                Connection::Refused(format!("{cluster:?} can't be the name of a cluster"));
            self.known.write().entry(key).or_insert(refused);
        }
    }

    fn ask_for_key(&self, key: ClusterKey) {
        if self.known.read().contains_key(&key) {
            return;
        }
        let mut known = self.known.write();
        let watched = known.iter();
        let watched = watched.filter(|(of, connection)| {
            !of.is_own() && !matches!(connection, Connection::Refused(_))
        });
        let is_full = !key.is_own() && watched.count() >= MOST_CLUSTERS;
        known.entry(key.clone()).or_insert_with(|| {
            if is_full {
                return Connection::Refused(format!(
                    "{MOST_CLUSTERS} other clusters are watched, and no further one is"
                ));
            }
            // The feed is gone only when the process ends.
            let _ = self.asked.send(key);
            Connection::Unknown
        });
    }

    /// Drops the clusters that are not in use any more, and those for which there was no room.
    fn keep_only(&self, used: &HashSet<ClusterKey>) {
        let mut known = self.known.write();
        let is_watched = |connection: &Connection| !matches!(connection, Connection::Refused(_));
        known
            .retain(|key, connection| key.is_own() || used.contains(key) && is_watched(connection));
        if !known
            .values()
            .any(|connection| matches!(connection, Connection::Own))
        {
            known.remove(&ClusterKey::own());
        }
    }

    /// The Node of a machine. One of the same name that another machine became is not it.
    pub(super) fn node_of(&self, namespace: Option<&str>, machine: &MachineState) -> NodeState {
        let Some(name) = &machine.node else {
            return NodeState::None;
        };
        let key = ClusterKey::new(namespace, &machine.cluster);
        let known = self.known.read();
        if !known.contains_key(&key) {
            drop(known);
            // Dropped because it was out of use for a while.
            self.ask_for(namespace, &machine.cluster);
            return NodeState::Unknown;
        }
        match resolve(&known, &key) {
            Connection::Unknown | Connection::Own => NodeState::Unknown,
            Connection::Failed(error) | Connection::Refused(error) => {
                NodeState::Unreachable(error.clone())
            }
            Connection::Connected(connected) => match connected.nodes.get(name) {
                Some(row) if is_of(&row.node, machine) => NodeState::Present(Arc::clone(&row.node)),
                Some(_) | None => NodeState::Gone,
            },
        }
    }

    /// The way to work with a cluster.
    pub(super) fn access(&self, namespace: Option<&str>, cluster: &str) -> Option<ClusterAccess> {
        let known = self.known.read();
        let key = ClusterKey::new(namespace, cluster);
        let is_own = matches!(known.get(&key), Some(Connection::Own));
        match resolve(&known, &key) {
            Connection::Connected(connected) => Some(ClusterAccess {
                client: connected.client.clone(),
                is_own,
                calls: Arc::clone(&connected.calls),
            }),
            Connection::Unknown
            | Connection::Own
            | Connection::Failed(_)
            | Connection::Refused(_) => None,
        }
    }

    /// Keeps the API server's answer to a read or a write, unless the watch has brought a newer one already.
    pub(super) fn saw(&self, namespace: Option<&str>, cluster: &str, node: &Node) {
        let mut known = self.known.write();
        let mut key = ClusterKey::new(namespace, cluster);
        if matches!(known.get(&key), Some(Connection::Own)) {
            key = ClusterKey::own();
        }
        let row = match known.get_mut(&key) {
            Some(Connection::Connected(connected)) => connected.nodes.get_mut(&node.name_any()),
            _ => None,
        };
        let news = Row::of(node);
        if let Some(row) = row.filter(|row| row.version < news.version) {
            *row = news;
        }
    }

    /// Whether this changes anything for those who ask.
    fn set(&self, key: &ClusterKey, connection: Connection) -> bool {
        let mut known = self.known.write();
        let is_same = match (known.get(key), &connection) {
            (Some(Connection::Own), Connection::Own) => true,
            (Some(Connection::Failed(before)), Connection::Failed(now)) => before == now,
            (Some(Connection::Connected(before)), Connection::Connected(now)) => {
                before.nodes == now.nodes
            }
            _ => false,
        };
        known.insert(key.clone(), connection);
        !is_same
    }

    fn put(&self, key: &ClusterKey, node: &Node) -> Put {
        let mut known = self.known.write();
        let Some(Connection::Connected(connected)) = known.get_mut(key) else {
            return Put::Same;
        };
        let row = Row::of(node);
        let before = connected.nodes.insert(node.name_any(), row.clone());
        if !key.is_own() && connected.nodes.len() > MOST_NODES {
            Put::Full
        } else if before.is_none_or(|before| before != row) {
            Put::News
        } else {
            Put::Same
        }
    }

    fn remove(&self, key: &ClusterKey, name: &str) {
        if let Some(Connection::Connected(connected)) = self.known.write().get_mut(key) {
            connected.nodes.remove(name);
        }
    }
}

impl Row {
    fn of(node: &Node) -> Self {
        let seen = NodeSeen::of(node);
        let seen = if seen.size() <= LARGEST_NODE {
            seen
        } else {
            NodeSeen::default()
        };
        Self {
            version: node
                .resource_version()
                .and_then(|version| version.parse().ok()),
            node: Arc::new(seen),
        }
    }
}

impl ClusterKey {
    /// The cluster that the operator is in: no Cluster is without a name.
    fn own() -> Self {
        Self {
            namespace: None,
            name: String::new(),
        }
    }

    fn is_own(&self) -> bool {
        self.name.is_empty()
    }

    fn new(namespace: Option<&str>, name: &str) -> Self {
        Self {
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }
}

impl fmt::Display for ClusterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            self.namespace.as_deref().unwrap_or_default(),
            self.name
        )
    }
}

fn resolve<'a>(known: &'a HashMap<ClusterKey, Connection>, key: &ClusterKey) -> &'a Connection {
    match known.get(key) {
        Some(Connection::Own) => known
            .get(&ClusterKey::own())
            .unwrap_or(&Connection::Unknown),
        Some(connection) => connection,
        None => &Connection::Unknown,
    }
}

/// Whether the Node is the one that the machine says it became.
fn is_of(node: &NodeSeen, machine: &MachineState) -> bool {
    // Cluster API finds the Node of a Machine by the provider's ID, so a Node without one is another.
    let is_same_host = machine.provider_id.is_none() || node.provider_id == machine.provider_id;
    let is_same_node = machine.node_uid.as_ref().is_none_or(|uid| *uid == node.uid);
    is_same_host && is_same_node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_clusters_and_what_is_refused_takes_none() {
        let (clusters, mut asked) = Clusters::new();
        clusters.ask_for(Some("default"), "lab?");
        for cluster in 0..=MOST_CLUSTERS {
            clusters.ask_for(Some("default"), &format!("lab-{cluster}"));
        }
        let taken = std::iter::from_fn(|| asked.try_recv().ok()).count();
        assert_eq!(taken, MOST_CLUSTERS);
        let machine = MachineState {
            cluster: format!("lab-{MOST_CLUSTERS}"),
            node: Some("node-a".to_owned()),
            ..MachineState::default()
        };
        let sight = clusters.node_of(Some("default"), &machine);
        assert!(matches!(sight, NodeState::Unreachable(_)), "{sight:?}");
        // As soon as others are out of use there is room.
        clusters.keep_only(&[ClusterKey::new(Some("default"), "lab-0")].into());
        assert_eq!(
            clusters.node_of(Some("default"), &machine),
            NodeState::Unknown
        );
        assert!(asked.try_recv().is_ok());
    }

    #[test]
    fn what_can_be_no_cluster_is_never_asked_for() {
        let (clusters, mut asked) = Clusters::new();
        let machine = MachineState {
            cluster: "lab?".to_owned(),
            node: Some("node-a".to_owned()),
            ..MachineState::default()
        };
        clusters.ask_for(Some("default"), &machine.cluster);
        assert!(asked.try_recv().is_err());
        assert_eq!(
            clusters.node_of(Some("default"), &machine),
            NodeState::Unreachable("\"lab?\" can't be the name of a cluster".to_owned())
        );
        clusters.ask_for(Some("default"), "lab");
        assert!(asked.try_recv().is_ok());
    }

    #[rstest::rstest]
    #[case(LARGEST_NODE - 100, true)]
    #[case(LARGEST_NODE + 1, false)]
    fn a_node_that_is_too_large_to_keep_is_no_machine_of_ours(
        #[case] size: usize,
        #[case] is_kept: bool,
    ) {
        let node: Node = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "node-a", "uid": "u-1"},
            "spec": {"taints": [{"key": "k", "value": "v".repeat(size), "effect": "NoSchedule"}]},
        }))
        .unwrap();
        let machine = MachineState {
            node_uid: Some("u-1".to_owned()),
            ..MachineState::default()
        };
        let seen = Row::of(&node).node;
        assert_eq!(is_of(&seen, &machine), is_kept);
        assert_eq!(
            seen.size() >= size,
            is_kept,
            "{} bytes are kept",
            seen.size()
        );
    }
}
