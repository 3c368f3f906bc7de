//! What is known of the objects that `ScheduledMachine`s consist of, and of the Nodes.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kube::{ResourceExt, runtime::watcher::Event};

use super::sources::{KindNews, NodeNews};
use crate::{
    api::{EmbeddedObject, ScheduledMachine},
    controller::timers::Key,
    machine::{ClusterKey, Kind, KindId, MachineView, NodeView, ObjectView},
};

/// What is known of them. Cheap to clone; all clones see the same.
#[derive(Clone, Debug, Default)]
pub(in crate::controller) struct Objects(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    kinds: HashMap<KindId, KindState>,
    by_owner: HashMap<Key, Vec<ObjectView>>,
    clusters: HashMap<ClusterKey, ClusterState>,
    /// Who has a Machine that is the Node of this name, in whatever cluster.
    by_node: HashMap<String, BTreeSet<Key>>,
}

#[derive(Debug, Default)]
struct KindState {
    served: Served,
    /// What has been listed so far.
    listing: Vec<ObjectView>,
}

#[derive(Debug, Default)]
struct ClusterState {
    is_synced: bool,
    failure: Option<String>,
    nodes: HashMap<String, NodeView>,
    listing: Vec<NodeView>,
}

/// Whether a kind can be acted on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::controller) enum Served {
    /// It is not known yet what there is.
    #[default]
    Unknown,
    /// The API server does not serve it, so there are no objects of it.
    Missing(String),
    /// It can't be seen what there is, and why.
    Failed(String),
    /// All objects are known.
    Yes(Arc<Kind>),
    /// It is served, and its objects are being listed.
    Listing(Arc<Kind>),
}

/// What is known of the Node of a Machine.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::controller) enum NodeSight {
    /// The Machine has none, or it is gone.
    None,
    /// It is there.
    Seen(Box<NodeView>),
    /// It can't be seen, and why.
    Unknown(String),
}

/// Everything that is known of what a `ScheduledMachine` consists of.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::controller) struct Sight {
    /// Objects with its label, in its namespace.
    pub(in crate::controller) objects: Vec<ObjectView>,
    /// The kinds that it wants.
    pub(in crate::controller) machine: Served,
    /// Of `bootstrapSpec`.
    pub(in crate::controller) bootstrap: Served,
    /// Of `infrastructureSpec`.
    pub(in crate::controller) infrastructure: Served,
    /// The Node.
    pub(in crate::controller) node: NodeSight,
}

/// Whom a piece of news is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Concerned {
    /// These.
    Some(BTreeSet<Key>),
    /// Possibly all.
    All,
}

impl Served {
    /// The kind, where all its objects are known.
    pub(in crate::controller) fn kind(&self) -> Option<&Arc<Kind>> {
        match self {
            Self::Yes(kind) => Some(kind),
            Self::Unknown | Self::Missing(_) | Self::Failed(_) | Self::Listing(_) => None,
        }
    }

    /// Whether it will be known in a moment what there is.
    pub(in crate::controller) fn is_pending(&self) -> bool {
        matches!(self, Self::Unknown | Self::Listing(_))
    }

    /// Why it can't be acted on.
    pub(in crate::controller) fn problem(&self) -> Option<&str> {
        match self {
            Self::Missing(why) | Self::Failed(why) => Some(why),
            Self::Unknown | Self::Listing(_) | Self::Yes(_) => None,
        }
    }
}

impl Objects {
    /// What is known of what `owner` consists of.
    pub(in crate::controller) fn sight(&self, owner: &ScheduledMachine) -> Sight {
        let state = self.state();
        let key = (owner.namespace(), owner.name_any());
        let objects = state.by_owner.get(&key).cloned().unwrap_or_default();
        let machine = objects
            .iter()
            .find_map(|object| Some((object.namespace.clone(), object.machine.as_ref()?)));
        let node = machine.map_or(NodeSight::None, |(namespace, machine)| {
            state.node(namespace, machine)
        });
        let embedded = |object: &EmbeddedObject| state.served(&KindId::from(object));
        Sight {
            machine: state.served(&KindId::Machine),
            bootstrap: embedded(&owner.spec.bootstrap_spec),
            infrastructure: embedded(&owner.spec.infrastructure_spec),
            node,
            objects,
        }
    }

    /// Takes in news of a kind; says whom it concerns, and whether the first list is complete or hopeless.
    pub(super) fn take(&self, id: &KindId, news: KindNews) -> (Concerned, bool) {
        let mut state = self.state();
        let state = &mut *state;
        let known = state.kinds.entry(id.clone()).or_default();
        match news {
            KindNews::Missing => {
                known.served = Served::Missing(format!("the API server does not serve {id}"));
                (Concerned::All, true)
            }
            KindNews::Served(kind) => {
                known.served = Served::Listing(kind);
                (Concerned::Some(BTreeSet::new()), false)
            }
            KindNews::Failed(error) => {
                // What was listed stays known; a watch that fails is taken up again.
                let is_listed = matches!(known.served, Served::Yes(_));
                if !is_listed {
                    known.served = Served::Failed(format!("failed to read {id}: {error}"));
                }
                (Concerned::Some(BTreeSet::new()), !is_listed)
            }
            KindNews::Event(Event::Init) => {
                known.listing.clear();
                (Concerned::Some(BTreeSet::new()), false)
            }
            KindNews::Event(Event::InitApply(object)) => {
                known.listing.push(object);
                (Concerned::Some(BTreeSet::new()), false)
            }
            KindNews::Event(Event::InitDone) => {
                let listing = std::mem::take(&mut known.listing);
                let is_first = !matches!(known.served, Served::Yes(_));
                if let Served::Listing(kind) = &known.served {
                    known.served = Served::Yes(Arc::clone(kind));
                } else if let (Served::Missing(_) | Served::Failed(_), Some(object)) =
                    (&known.served, listing.first())
                {
                    known.served = Served::Yes(Arc::clone(&object.kind));
                }
                let changed = state.replace(id, listing);
                (
                    if is_first {
                        Concerned::All
                    } else {
                        Concerned::Some(changed)
                    },
                    true,
                )
            }
            KindNews::Event(Event::Apply(object)) => (Concerned::Some(state.put(object)), false),
            KindNews::Event(Event::Delete(object)) => {
                (Concerned::Some(state.remove(&object)), false)
            }
        }
    }

    /// Takes in news of Nodes; says whom it concerns.
    pub(super) fn take_nodes(&self, cluster: &ClusterKey, news: NodeNews) -> BTreeSet<Key> {
        let mut state = self.state();
        let state = &mut *state;
        let known = state.clusters.entry(cluster.clone()).or_default();
        let changed: Vec<String> = match news {
            NodeNews::Failed(error) => {
                known.failure = Some(error);
                Vec::new()
            }
            NodeNews::Event(Event::Init) => {
                known.listing.clear();
                Vec::new()
            }
            NodeNews::Event(Event::InitApply(node)) => {
                known.listing.push(node);
                Vec::new()
            }
            NodeNews::Event(Event::InitDone) => {
                known.failure = None;
                let is_first = !std::mem::replace(&mut known.is_synced, true);
                let listing = std::mem::take(&mut known.listing);
                let listed = listing
                    .into_iter()
                    .map(|node| (node.name.clone(), node))
                    .collect();
                let before = std::mem::replace(&mut known.nodes, listed);
                let names: BTreeSet<&String> = before.keys().chain(known.nodes.keys()).collect();
                let changed = names
                    .into_iter()
                    .filter(|&name| is_first || before.get(name) != known.nodes.get(name))
                    .cloned();
                // Machines may wait for a Node that is not there.
                let missing = state.by_node.keys().filter(|_| is_first).cloned();
                changed.chain(missing).collect()
            }
            NodeNews::Event(Event::Apply(node)) => {
                let name = node.name.clone();
                let before = known.nodes.insert(name.clone(), node);
                let is_changed = before.as_ref() != known.nodes.get(&name);
                is_changed.then_some(name).into_iter().collect()
            }
            NodeNews::Event(Event::Delete(node)) => {
                known.nodes.remove(&node.name);
                vec![node.name]
            }
        };
        let concerned = changed.iter().filter_map(|name| state.by_node.get(name));
        concerned.flatten().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn served(&self, id: &KindId) -> Served {
        self.kinds
            .get(id)
            .map_or(Served::Unknown, |known| known.served.clone())
    }

    fn node(&self, namespace: String, machine: &MachineView) -> NodeSight {
        let Some(node) = &machine.node else {
            return NodeSight::None;
        };
        let key = ClusterKey {
            namespace,
            name: machine.cluster.clone(),
        };
        let Some(cluster) = self.clusters.get(&key) else {
            return NodeSight::Unknown("the Nodes are being listed".to_owned());
        };
        if !cluster.is_synced {
            let failure = cluster.failure.clone();
            return NodeSight::Unknown(
                failure.unwrap_or_else(|| "the Nodes are being listed".to_owned()),
            );
        }
        cluster
            .nodes
            .get(&node.name)
            .filter(|found| found.belongs_to(machine))
            .map_or(NodeSight::None, |found| {
                NodeSight::Seen(Box::new(found.clone()))
            })
    }

    fn put(&mut self, object: ObjectView) -> BTreeSet<Key> {
        let key = key(&object);
        let objects = self.by_owner.entry(key.clone()).or_default();
        let place = objects.iter().position(|present| is_same(present, &object));
        if let Some(place) = place {
            if objects[place] == object {
                return BTreeSet::new();
            }
            let before = objects.swap_remove(place);
            self.unlink(&before);
        }
        self.link(&object);
        self.by_owner.entry(key.clone()).or_default().push(object);
        BTreeSet::from([key])
    }

    fn remove(&mut self, object: &ObjectView) -> BTreeSet<Key> {
        let key = key(object);
        let Some(objects) = self.by_owner.get_mut(&key) else {
            return BTreeSet::new();
        };
        let Some(place) = objects.iter().position(|present| is_same(present, object)) else {
            return BTreeSet::new();
        };
        let before = objects.swap_remove(place);
        if objects.is_empty() {
            self.by_owner.remove(&key);
        }
        self.unlink(&before);
        BTreeSet::from([key])
    }

    /// All objects of a kind are these; says whose are others than before.
    fn replace(&mut self, id: &KindId, listing: Vec<ObjectView>) -> BTreeSet<Key> {
        let listed: BTreeSet<_> = listing
            .iter()
            .map(|object| (key(object), object.uid.clone()))
            .collect();
        let gone: Vec<ObjectView> = self
            .by_owner
            .values()
            .flatten()
            .filter(|object| object.kind.id == *id)
            .filter(|object| !listed.contains(&(key(object), object.uid.clone())))
            .cloned()
            .collect();
        let mut changed = BTreeSet::new();
        for object in &gone {
            changed.extend(self.remove(object));
        }
        for object in listing {
            changed.extend(self.put(object));
        }
        changed
    }

    fn link(&mut self, object: &ObjectView) {
        if let Some(node) = node_name(object) {
            self.by_node
                .entry(node.to_owned())
                .or_default()
                .insert(key(object));
        }
    }

    fn unlink(&mut self, object: &ObjectView) {
        let Some(node) = node_name(object) else {
            return;
        };
        if let Some(keys) = self.by_node.get_mut(node) {
            keys.remove(&key(object));
            if keys.is_empty() {
                self.by_node.remove(node);
            }
        }
    }
}

/// The cluster whose Nodes matter to a Machine.
pub(super) fn cluster(object: &ObjectView) -> Option<ClusterKey> {
    let machine = object.machine.as_ref()?;
    machine.node.as_ref()?;
    Some(ClusterKey {
        namespace: object.namespace.clone(),
        name: machine.cluster.clone(),
    })
}

fn node_name(object: &ObjectView) -> Option<&str> {
    Some(&object.machine.as_ref()?.node.as_ref()?.name)
}

fn key(object: &ObjectView) -> Key {
    (Some(object.namespace.clone()), object.label.clone())
}

fn is_same(one: &ObjectView, other: &ObjectView) -> bool {
    one.kind.id == other.kind.id && one.name == other.name
}
