//! The objects of Cluster API that machines are made of, in memory, on every replica.
//!
//! Which kinds there are to watch is known from the `ScheduledMachine`s, so watches are begun when a kind is first asked
//! for. A kind that is not served, or can't be listed, keeps nobody waiting: it is in a state that a decision can be made
//! from, and is looked for again.

pub(super) mod feed;

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use kube::core::ApiResource;
use parking_lot::RwLock;
use tokio::sync::mpsc;

use super::timers::Key;
use crate::machine::{Kind, MachineState, MachineVersion, Seen};

/// More kinds than any cluster has providers, and few enough that nobody can have the operator watch without end.
const MOST_WATCHES: usize = 64;

/// What is known of all kinds. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub(super) struct Objects {
    tables: Arc<RwLock<Tables>>,
    asked: mpsc::UnboundedSender<Kind>,
}

#[derive(Debug, Default)]
struct Tables {
    kinds: HashMap<Kind, Table>,
    /// Which `ScheduledMachine`s have a Machine with a Node of this name.
    by_node: HashMap<String, BTreeSet<Key>>,
}

/// What is known of one kind.
#[derive(Debug, Default)]
struct Table {
    state: State,
    /// Whether it has one of the [`MOST_WATCHES`].
    is_watched: bool,
    rows: HashMap<Key, Arc<Seen>>,
    /// The newest version of the API server's that `rows` are sure to include.
    seen_up_to: Option<u128>,
}

/// Whether a kind can be worked with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// The API server does not know it.
    NotServed,
    /// It can't be listed, and this is why.
    Failed(String),
    /// It is known and all its objects have been seen once.
    Served(ApiResource),
}

/// One object, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ObjectState {
    /// Its kind has not been looked at yet.
    Unknown,
    /// Its kind is not served.
    NotServed,
    /// Its kind can't be listed, and this is why.
    Failed(String),
    /// There is none that carries the label.
    Absent,
    /// It is there, whoever it belongs to.
    Present(Arc<Seen>),
}

impl Objects {
    /// Nothing known, and where the kinds that are asked for come out.
    pub(super) fn new() -> (Self, mpsc::UnboundedReceiver<Kind>) {
        let (asked, asking) = mpsc::unbounded_channel();
        let objects = Self {
            tables: Arc::default(),
            asked,
        };
        (objects, asking)
    }

    /// Has a kind looked for and watched, unless it is already.
    pub(super) fn ask_for(&self, kind: &Kind) {
        if self.is_known(kind) {
            return;
        }
        self.tables
            .write()
            .kinds
            .entry(kind.clone())
            .or_insert_with(|| {
                // The feed is gone only when the process ends.
                let _ = self.asked.send(kind.clone());
                Table::default()
            });
    }

    /// Drops the kinds that are not in use any more.
    fn keep_only(&self, used: &HashSet<Kind>) {
        // Only Machines have Nodes, so the table of those is not concerned.
        let mut tables = self.tables.write();
        let is_used = |kind: &Kind| *kind == Kind::Machine || used.contains(kind);
        tables.kinds.retain(|kind, _table| is_used(kind));
    }

    fn is_known(&self, kind: &Kind) -> bool {
        self.tables.read().kinds.contains_key(kind)
    }

    /// Whether one more kind may be watched.
    fn may_watch(&self, kind: &Kind) -> bool {
        let mut tables = self.tables.write();
        let others = tables.kinds.iter();
        let others = others.filter(|(other, table)| *other != kind && table.is_watched);
        // Without Machines nothing could leave any more, so others never take their place.
        let is_free = *kind == Kind::Machine || others.count() < MOST_WATCHES;
        if let Some(table) = tables.kinds.get_mut(kind) {
            table.is_watched = is_free;
        }
        is_free
    }

    fn is_watched_no_more(&self, kind: &Kind) {
        if let Some(table) = self.tables.write().kinds.get_mut(kind) {
            table.is_watched = false;
        }
    }

    /// How many kinds are looked for that are not served.
    fn not_served(&self) -> usize {
        let tables = self.tables.read();
        let states = tables.kinds.values().map(|table| &table.state);
        states.filter(|state| **state == State::NotServed).count()
    }

    /// What is known of one object.
    pub(super) fn object_state(&self, kind: &Kind, key: &Key) -> ObjectState {
        let tables = self.tables.read();
        let Some(table) = tables.kinds.get(kind) else {
            drop(tables);
            // Dropped because it was out of use for a while.
            self.ask_for(kind);
            return ObjectState::Unknown;
        };
        match &table.state {
            State::Unknown => ObjectState::Unknown,
            State::NotServed => ObjectState::NotServed,
            State::Failed(error) => ObjectState::Failed(error.clone()),
            State::Served(_) => table.rows.get(key).map_or(ObjectState::Absent, |seen| {
                ObjectState::Present(Arc::clone(seen))
            }),
        }
    }

    /// How a kind is served.
    pub(super) fn resource(&self, kind: &Kind) -> Option<ApiResource> {
        match &self.tables.read().kinds.get(kind)?.state {
            State::Served(resource) => Some(resource.clone()),
            State::Unknown | State::NotServed | State::Failed(_) => None,
        }
    }

    /// The version of the Machine that is served.
    pub(super) fn machine_version(&self) -> Option<MachineVersion> {
        MachineVersion::named(&self.resource(&Kind::Machine)?.version)
    }

    /// Which `ScheduledMachine`s have a Node of this name.
    pub(super) fn on_node(&self, node: &str) -> Vec<Key> {
        let tables = self.tables.read();
        tables
            .by_node
            .get(node)
            .into_iter()
            .flatten()
            .cloned()
            .collect()
    }

    /// Which `ScheduledMachine`s have a Machine in this cluster.
    pub(super) fn in_cluster(&self, namespace: Option<&str>, cluster: &str) -> Vec<Key> {
        let tables = self.tables.read();
        tables
            .machines()
            .filter(|((of, _name), machine)| {
                of.as_deref() == namespace && machine.cluster == cluster
            })
            .map(|(key, _machine)| key.clone())
            .collect()
    }

    /// The clusters that Machines with a Node belong to, by namespace and name.
    pub(super) fn clusters(&self) -> HashSet<(Option<String>, String)> {
        let tables = self.tables.read();
        tables
            .machines()
            .filter(|(_key, machine)| machine.node.is_some())
            .map(|((namespace, _name), machine)| (namespace.clone(), machine.cluster.clone()))
            .collect()
    }

    /// Keeps the API server's answer to a write, unless the watch has got that far already.
    pub(super) fn wrote(&self, kind: &Kind, key: &Key, version: Option<&str>, seen: Seen) {
        let Some(version) = version.and_then(|version| version.parse::<u128>().ok()) else {
            return;
        };
        let mut tables = self.tables.write();
        let is_news = tables
            .kinds
            .get(kind)
            .is_some_and(|table| table.seen_up_to.is_some_and(|up_to| up_to < version));
        if is_news {
            tables.put(kind, key.clone(), seen);
        }
    }

    /// Keeps that an object of this UID was accepted for deletion.
    pub(super) fn deleted(&self, kind: &Kind, key: &Key, uid: &str) {
        let mut tables = self.tables.write();
        let row = tables
            .kinds
            .get_mut(kind)
            .and_then(|table| table.rows.get_mut(key));
        if let Some(row) = row.filter(|row| row.uid == uid) {
            Arc::make_mut(row).is_deleting = true;
        }
    }

    fn set_state(&self, kind: &Kind, state: State) -> bool {
        let mut tables = self.tables.write();
        let Some(table) = tables.kinds.get_mut(kind) else {
            return false;
        };
        let is_other = table.state != state;
        table.state = state;
        is_other
    }

    /// Replaces all rows of a kind.
    fn relist(&self, kind: &Kind, rows: Vec<(Key, Seen)>) {
        let mut tables = self.tables.write();
        let gone: Vec<_> = {
            let kept: HashSet<_> = rows.iter().map(|(key, _seen)| key).collect();
            let table = tables.kinds.get(kind);
            let known = table.into_iter().flat_map(|table| table.rows.keys());
            known.filter(|key| !kept.contains(key)).cloned().collect()
        };
        for key in gone {
            tables.remove(kind, &key);
        }
        for (key, seen) in rows {
            tables.put(kind, key, seen);
        }
    }

    fn put(&self, kind: &Kind, key: Key, seen: Seen) {
        self.tables.write().put(kind, key, seen);
    }

    fn remove(&self, kind: &Kind, key: &Key) {
        self.tables.write().remove(kind, key);
    }

    fn seen_up_to(&self, kind: &Kind, version: Option<&str>) {
        let version = version.and_then(|version| version.parse().ok());
        if let Some(table) = self.tables.write().kinds.get_mut(kind) {
            table.seen_up_to = table.seen_up_to.max(version);
        }
    }
}

impl Tables {
    fn machines(&self) -> impl Iterator<Item = (&Key, &MachineState)> {
        let rows = self.kinds.get(&Kind::Machine).map(|table| &table.rows);
        let machines = rows.into_iter().flatten();
        machines.filter_map(|(key, seen)| Some((key, seen.machine.as_ref()?)))
    }

    fn put(&mut self, kind: &Kind, key: Key, seen: Seen) {
        let node = node_of(&seen);
        let table = self.kinds.entry(kind.clone()).or_default();
        let before = table.rows.insert(key.clone(), Arc::new(seen));
        let node_before = before.as_deref().and_then(node_of);
        if node != node_before {
            self.left(node_before.as_deref(), &key);
            if let Some(node) = node {
                self.by_node.entry(node).or_default().insert(key);
            }
        }
    }

    fn remove(&mut self, kind: &Kind, key: &Key) {
        let row = self
            .kinds
            .get_mut(kind)
            .and_then(|table| table.rows.remove(key));
        let node = row.as_deref().and_then(node_of);
        self.left(node.as_deref(), key);
    }

    fn left(&mut self, node: Option<&str>, key: &Key) {
        let Some(node) = node else { return };
        if let Some(keys) = self.by_node.get_mut(node) {
            keys.remove(key);
            if keys.is_empty() {
                self.by_node.remove(node);
            }
        }
    }
}

fn node_of(seen: &Seen) -> Option<String> {
    seen.machine.as_ref()?.node.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_kinds_are_watched_and_no_more_until_one_is_not() {
        let (objects, mut asked) = Objects::new();
        let kinds: Vec<_> = (0..=MOST_WATCHES)
            .map(|kind| Kind::named("k0smotron.io/v1beta1", &format!("Kind{kind}")))
            .collect();
        for kind in &kinds {
            objects.ask_for(kind);
        }
        let asked = std::iter::from_fn(|| asked.try_recv().ok()).count();
        assert_eq!(asked, kinds.len(), "all are looked for");
        let (last, watched) = kinds.split_last().unwrap();
        assert!(watched.iter().all(|kind| objects.may_watch(kind)));
        assert!(!objects.may_watch(last));
        assert!(objects.may_watch(&watched[0]), "its place is its own");
        objects.is_watched_no_more(&watched[0]);
        assert!(objects.may_watch(last));
    }
}
