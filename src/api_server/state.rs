//! What the server remembers.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::Value;

use super::{
    faults::{Crash, Faults},
    table::{Table, tables},
};

/// A shared handle on the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) version: u64,
    /// By group and plural, such as `cluster.x-k8s.io/machines`.
    pub(super) tables: BTreeMap<String, Table>,
    /// What was applied to statuses.
    pub(super) applied: BTreeMap<String, Value>,
    pub(super) held: Option<Vec<Value>>,
    pub(super) status_writes: Vec<StatusWrite>,
    pub(super) removals: Vec<Value>,
    pub(super) events: Vec<Value>,
    /// Accepted writes, Events apart, such as `POST cluster.x-k8s.io/machines default/a`.
    pub(super) writes: Vec<String>,
    /// Requests of each sort, and the bytes of their answers.
    pub(super) traffic: BTreeMap<String, (u64, u64)>,
    pub(super) lists: usize,
    pub(super) faults: Faults,
    /// Writes that have arrived, and whether the crash among them has happened.
    pub(super) arrived: usize,
    pub(super) crashed: bool,
    pub(super) cluster_api: Option<ClusterApi>,
    /// When objects are deleted.
    pub(super) deletions_at: String,
}

/// An accepted write of a status.
#[derive(Clone, Debug)]
pub(crate) struct StatusWrite {
    pub(crate) name: String,
    pub(crate) status: Value,
    pub(crate) at: tokio::time::Instant,
}

/// What the controllers of Cluster API do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ClusterApi {
    /// A Machine never becomes a Node.
    pub(crate) makes_no_nodes: bool,
    /// A Machine that is deleted stays.
    pub(crate) deletes_nothing: bool,
}

impl ApiServer {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: 0,
            tables: tables(),
            applied: BTreeMap::new(),
            held: None,
            status_writes: Vec::new(),
            removals: Vec::new(),
            events: Vec::new(),
            writes: Vec::new(),
            traffic: BTreeMap::new(),
            lists: 0,
            faults: Faults::default(),
            arrived: 0,
            crashed: false,
            cluster_api: None,
            deletions_at: "2026-03-02T08:50:00Z".to_owned(),
        }
    }
}

impl State {
    /// Counts a request, and the bytes of its answer.
    pub(super) fn count(&mut self, sort: String, bytes: u64) {
        let counted = self.traffic.entry(sort).or_default();
        (counted.0, counted.1) = (counted.0 + 1, counted.1 + bytes);
    }

    /// Counts a write that has arrived, and whether the crash comes with it.
    pub(super) fn arrives(&mut self) -> Option<Crash> {
        if self.crashed {
            // Whoever still writes is dead by the rules of the test.
            return Some(Crash::Before);
        }
        let (at, crash) = self.faults.crash?;
        self.arrived += 1;
        if self.arrived != at {
            return None;
        }
        self.crashed = true;
        Some(crash)
    }
}
