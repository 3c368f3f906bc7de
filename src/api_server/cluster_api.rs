//! The controllers of Cluster API, as far as the operator sees them: they make a Node of a Machine, own what belongs to
//! it, and take all of it away with it.

use serde_json::{Value, json};

use super::{
    merge::merge_patch,
    state::{ApiServer, ClusterApi, State},
    table::Name,
};
use crate::machine::EXEMPT_FROM_DRAIN;

const MACHINES: &str = "cluster.x-k8s.io/machines";
const BELONGINGS: [&str; 3] = [
    "bootstrap.cluster.x-k8s.io/k0sworkerconfigs",
    "infrastructure.cluster.x-k8s.io/remotemachines",
    "k0smotron.io/othermachines",
];
const FINALIZER: &str = "machine.cluster.x-k8s.io";

impl ApiServer {
    /// Starts the controllers, or changes what they do.
    pub(crate) fn run_cluster_api(&self, cluster_api: ClusterApi) {
        let mut state = self.state();
        state.cluster_api = Some(cluster_api);
        state.react();
    }

    /// Whether Cluster API drained a Node by itself, which it does unless it is told not to.
    pub(crate) fn drained_by_cluster_api(&self) -> bool {
        self.all_writes()
            .iter()
            .any(|write| write.starts_with("DRAIN"))
    }
}

impl State {
    /// Does whatever there is to do, until nothing changes any more.
    pub(super) fn react(&mut self) {
        let Some(cluster_api) = self.cluster_api else {
            return;
        };
        loop {
            let version = self.version;
            let machines: Vec<_> = self.tables[MACHINES].objects.clone().into_iter().collect();
            for (key, machine) in machines {
                if machine["metadata"]["deletionTimestamp"].is_null() {
                    self.adopt(&key, &machine);
                    if !cluster_api.makes_no_nodes {
                        self.run(&key);
                    }
                } else if !cluster_api.deletes_nothing {
                    self.take_away(&key, &machine);
                }
            }
            self.collect_garbage();
            if self.version == version {
                return;
            }
        }
    }

    /// The Machine becomes the owner of what it refers to, and waits for us when it is deleted.
    fn adopt(&mut self, key: &Name, machine: &Value) {
        let mut machine = machine.clone();
        if machine["metadata"]["finalizers"].is_null() {
            machine["metadata"]["finalizers"] = json!([FINALIZER]);
            self.store(MACHINES, machine.clone());
        }
        for table in BELONGINGS {
            let Some(mut object) = self.tables[table].objects.get(key).cloned() else {
                continue;
            };
            if object["metadata"]["ownerReferences"].is_null() {
                object["metadata"]["ownerReferences"] = json!([{
                    "apiVersion": machine["apiVersion"], "kind": "Machine", "name": key.1,
                    "uid": machine["metadata"]["uid"], "controller": true,
                }]);
                self.store(table, object);
            }
        }
    }

    fn run(&mut self, key: &Name) {
        let Some(mut machine) = self.tables[MACHINES].objects.get(key).cloned() else {
            return;
        };
        if !machine["status"]["nodeRef"].is_null() {
            return;
        }
        let node = format!("node-{}", key.1);
        let provider_id = format!("remote://{}", machine["metadata"]["uid"].as_str().unwrap());
        let uid = self.next_uid();
        self.store(
            "/nodes",
            json!({
                "apiVersion": "v1", "kind": "Node",
                "metadata": {"name": node, "uid": uid},
                "spec": {"providerID": provider_id},
                "status": {"conditions": [{"type": "Ready", "status": "True"}]},
            }),
        );
        merge_patch(
            &mut machine,
            &json!({
                "spec": {"providerID": provider_id},
                "status": {"phase": "Running", "nodeRef": {"name": node}, "conditions": [{"type": "Ready", "status": "True"}]},
            }),
        );
        self.store(MACHINES, machine);
    }

    fn take_away(&mut self, key: &Name, machine: &Value) {
        if let Some(node) = machine["status"]["nodeRef"]["name"].as_str() {
            if machine["metadata"]["annotations"][EXEMPT_FROM_DRAIN].is_null() {
                self.writes.push(format!("DRAIN {node}"));
            }
            self.vanish("/nodes", &(String::new(), node.to_owned()));
        }
        for table in BELONGINGS {
            self.vanish(table, key);
        }
        self.vanish(MACHINES, key);
    }

    /// What belonged to a Machine that is gone goes as well.
    fn collect_garbage(&mut self) {
        for table in BELONGINGS {
            let orphans: Vec<Name> = self.tables[table]
                .objects
                .iter()
                .filter(|(key, object)| {
                    let owner = &object["metadata"]["ownerReferences"][0];
                    let machine = self.tables[MACHINES].objects.get(*key);
                    owner["kind"] == "Machine"
                        && machine.is_none_or(|machine| machine["metadata"]["uid"] != owner["uid"])
                })
                .map(|(key, _)| key.clone())
                .collect();
            for key in orphans {
                self.vanish(table, &key);
            }
        }
    }
}
