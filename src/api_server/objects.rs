//! Objects by their kinds: lists, watches, and what kinds there are.

use std::collections::BTreeMap;

use axum::body::{Body, Bytes, HttpBody};
use futures::stream;
use http::Response;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    answers::{answer, refused, refused_because},
    merge::merge_patch,
    state::{ApiServer, State},
    table::{Name, SCHEDULED_MACHINES, Selector, Table, Watch, name_of, pair},
    target::Target,
};

impl ApiServer {
    /// Creates or replaces an object of any kind but `ScheduledMachine`, as somebody else would.
    pub(crate) fn set(&self, table: &str, mut object: Value) {
        let mut state = self.state();
        let key = name_of(&object);
        let uid = state.next_uid();
        let old = state.table(table).objects.get(&key).cloned();
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = old
                .as_ref()
                .map_or(json!(uid), |old| old["metadata"]["uid"].clone());
        }
        state.store(table, object);
        state.react();
    }

    pub(crate) fn get(&self, table: &str, namespace: &str, name: &str) -> Option<Value> {
        let key = (namespace.to_owned(), name.to_owned());
        self.state().tables[table].objects.get(&key).cloned()
    }

    /// Changes fields of an object by a merge patch, as somebody else would.
    pub(crate) fn change(&self, table: &str, namespace: &str, name: &str, patch: &Value) {
        let mut object = self.get(table, namespace, name).unwrap();
        merge_patch(&mut object, patch);
        let mut state = self.state();
        state.store(table, object);
        state.react();
    }

    /// Deletes an object as somebody else would: its finalizers are waited for.
    pub(crate) fn remove(&self, table: &str, namespace: &str, name: &str) {
        let mut state = self.state();
        state.delete(table, &(namespace.to_owned(), name.to_owned()));
        state.react();
    }

    /// The names of all objects of a kind.
    pub(crate) fn names(&self, table: &str) -> Vec<String> {
        self.state().tables[table]
            .objects
            .keys()
            .map(|(_namespace, name)| name.clone())
            .collect()
    }

    /// Has a kind served in these versions only; in none, it is not known at all.
    pub(crate) fn serve(&self, table: &str, versions: &[&'static str]) {
        let mut state = self.state();
        let table = state.table(table);
        table.versions = versions.to_vec();
        table.watches.clear();
    }

    /// Ends all watches.
    pub(crate) fn break_watches(&self) {
        for table in self.state().tables.values_mut() {
            table.watches.clear();
        }
    }

    /// The connections of all watches die without a word.
    pub(crate) fn silence_watches(&self) {
        for table in self.state().tables.values_mut() {
            let watches = std::mem::take(&mut table.watches);
            table.dead_watches.extend(watches);
        }
    }

    /// Ends all watches, and what happens from here to the next list can't be watched afterwards.
    pub(crate) fn compact(&self) {
        for table in self.state().tables.values_mut() {
            table.compacted = u64::MAX;
            table.watches.clear();
        }
    }

    pub(super) async fn read(&self, target: &Target<'_>, query: &str) -> Response<Body> {
        let faults = self.state().faults.clone();
        let is_machines = target.table() == SCHEDULED_MACHINES;
        let is_silent = match target.plural {
            "pods" => faults.nodes_are_silent || faults.pods_are_silent,
            "secrets" => false,
            _ => faults.nodes_are_silent && target.group.is_empty(),
        };
        if is_silent {
            return std::future::pending().await;
        }
        let is_watch = query.contains("watch=true");
        tokio::time::sleep(faults.answers_take).await;
        if is_machines && is_watch && faults.stall_watches {
            return std::future::pending().await;
        }
        if is_machines && !is_watch && faults.stall_lists {
            let never = stream::pending::<std::io::Result<Bytes>>();
            return Response::new(Body::from_stream(never));
        }
        let verb = if is_watch {
            "WATCH"
        } else if target.name.is_some() {
            "GET"
        } else {
            "LIST"
        };
        let sort = format!("{verb} {}", target.sort());
        let mut state = self.state();
        let answer = if let Some((code, message)) = faults.refuse.get(&sort) {
            refused_because(*code, message)
        } else if is_watch {
            assert!(query.contains("timeoutSeconds=30"), "{query}");
            state.watch(target, query)
        } else if target.name.is_some() {
            state.get(target)
        } else {
            state.list(target, query)
        };
        let bytes = answer.body().size_hint().exact().unwrap_or_default();
        state.count(sort, bytes);
        answer
    }
}

impl State {
    pub(super) fn table(&mut self, table: &str) -> &mut Table {
        self.tables
            .get_mut(table)
            .unwrap_or_else(|| panic!("an unexpected kind: {table}"))
    }

    pub(super) fn next_uid(&self) -> String {
        format!("uid-{}", self.version + 1)
    }

    fn is_served(&self, target: &Target<'_>) -> bool {
        let table = self.tables.get(&target.table());
        let is_missing = target.table() == SCHEDULED_MACHINES && self.faults.kind_is_missing;
        !is_missing && table.is_some_and(|table| table.versions.contains(&target.version))
    }

    fn is_behind(&self, target: &Target<'_>) -> bool {
        let table = target.table();
        self.faults.lag.iter().any(|lagging| **lagging == table)
    }

    fn get(&mut self, target: &Target<'_>) -> Response<Body> {
        match self.table(&target.table()).objects.get(&target.key()) {
            Some(object) => answer(200, object),
            None => refused(404),
        }
    }

    fn list(&mut self, target: &Target<'_>, query: &str) -> Response<Body> {
        if target.table() == SCHEDULED_MACHINES {
            self.lists += 1;
        }
        if !self.is_served(target) {
            return refused(404);
        }
        let selector = Selector::of(query);
        let is_behind = self.is_behind(target);
        let version = if is_behind { 0 } else { self.version };
        let limit = pair(query, "limit")
            .and_then(|limit| limit.parse().ok())
            .unwrap_or(usize::MAX);
        let from: usize = pair(query, "continue")
            .and_then(|from| from.parse().ok())
            .unwrap_or_default();
        let padding = self.faults.padding;
        let table = self.table(&target.table());
        table.compacted = 0;
        let chosen: Vec<_> = table
            .objects
            .values()
            .filter(|object| !is_behind && selector.matches(object))
            .collect();
        let items: Vec<_> = chosen.iter().skip(from).take(limit).collect();
        let next = from + items.len();
        let mut metadata = json!({"resourceVersion": version.to_string()});
        if next < chosen.len() {
            metadata["continue"] = json!(next.to_string());
        }
        metadata["selfLink"] = json!(" ".repeat(padding));
        let list = json!({
            "apiVersion": if target.group.is_empty() { target.version.to_owned() } else { format!("{}/{}", target.group, target.version) },
            "kind": format!("{}List", table.kind),
            "metadata": metadata,
            "items": items,
        });
        answer(200, &list)
    }

    fn watch(&mut self, target: &Target<'_>, query: &str) -> Response<Body> {
        if !self.is_served(target) {
            return refused(404);
        }
        let from: u64 = pair(query, "resourceVersion")
            .and_then(|version| version.parse().ok())
            .unwrap();
        let is_behind = self.is_behind(target);
        let table = self.table(&target.table());
        if from < table.compacted {
            // As the API server does it: the watch starts, and its first news is the error.
            let expired = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1",
                "status": "Failure", "reason": "Expired", "code": 410, "message": "too old resource version"}});
            return Response::new(Body::from(format!("{expired}\n")));
        }
        if is_behind {
            return Response::new(Body::from_stream(
                stream::pending::<std::io::Result<Bytes>>(),
            ));
        }
        let (news, receiver) = mpsc::unbounded_channel();
        let selector = Selector::of(query);
        for (_version, event) in table.history.iter().filter(|(version, _)| *version > from) {
            if selector.matches(&event["object"]) {
                news.send(event.clone()).unwrap();
            }
        }
        table.watches.push(Watch { selector, news });
        let lines = stream::unfold(receiver, |mut receiver| async move {
            let news = receiver.recv().await?;
            Some((
                Ok::<_, std::io::Error>(Bytes::from(format!("{news}\n"))),
                receiver,
            ))
        });
        Response::new(Body::from_stream(lines))
    }

    /// Which groups, versions and kinds there are.
    pub(super) fn discovery(&self, segments: &[&str]) -> Response<Body> {
        match segments {
            ["apis"] => {
                let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for (name, table) in &self.tables {
                    let (group, _plural) = name.split_once('/').unwrap();
                    let versions = groups.entry(group).or_default();
                    for version in &table.versions {
                        if !versions.contains(version) {
                            versions.push(version);
                        }
                    }
                }
                let groups: Vec<_> = groups
                    .iter()
                    .filter(|(group, versions)| !group.is_empty() && !versions.is_empty())
                    .map(|(group, versions)| {
                        let version = |version: &&str| json!({"groupVersion": format!("{group}/{version}"), "version": version});
                        let versions: Vec<_> = versions.iter().map(version).collect();
                        json!({"name": group, "versions": versions, "preferredVersion": versions[0]})
                    })
                    .collect();
                answer(
                    200,
                    &json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}),
                )
            }
            ["apis", group, version] => {
                let resources: Vec<_> = self
                    .tables
                    .iter()
                    .filter_map(|(name, table)| Some((name.strip_prefix(&format!("{group}/"))?, table)))
                    .filter(|(_plural, table)| table.versions.contains(version))
                    .map(|(plural, table)| json!({
                        "name": plural, "singularName": "", "namespaced": table.is_namespaced, "kind": table.kind,
                        "verbs": ["create", "delete", "get", "list", "patch", "update", "watch"],
                    }))
                    .collect();
                if resources.is_empty() {
                    return refused(404);
                }
                let list = json!({
                    "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": format!("{group}/{version}"),
                    "resources": resources,
                });
                answer(200, &list)
            }
            _ => refused(404),
        }
    }

    /// Keeps an object and tells the watches; one that is only waited for any more and has no finalizers goes.
    pub(super) fn store(&mut self, table: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        let key = name_of(&object);
        let finalizers = object["metadata"]["finalizers"]
            .as_array()
            .map_or(0, Vec::len);
        if !object["metadata"]["deletionTimestamp"].is_null() && finalizers == 0 {
            self.table(table).objects.remove(&key);
            self.send(table, json!({"type": "DELETED", "object": object}));
            return object;
        }
        let old = self.table(table).objects.insert(key, object.clone());
        let kind = if old.is_some() { "MODIFIED" } else { "ADDED" };
        self.send(table, json!({"type": kind, "object": object}));
        object
    }

    /// Deletes an object, unless its finalizers keep it.
    pub(super) fn delete(&mut self, table: &str, key: &Name) {
        let Some(mut object) = self.table(table).objects.get(key).cloned() else {
            return;
        };
        if object["metadata"]["deletionTimestamp"].is_null() {
            object["metadata"]["deletionTimestamp"] = json!(self.deletions_at);
            self.store(table, object);
        }
    }

    /// Takes an object away, whatever keeps it.
    pub(super) fn vanish(&mut self, table: &str, key: &Name) {
        if let Some(mut object) = self.table(table).objects.remove(key) {
            self.version += 1;
            object["metadata"]["resourceVersion"] = json!(self.version.to_string());
            self.send(table, json!({"type": "DELETED", "object": object}));
        }
    }

    fn send(&mut self, table: &str, news: Value) {
        let version = self.version;
        let is_held = table == SCHEDULED_MACHINES && self.held.is_some();
        let of = self.table(table);
        of.history.push((version, news.clone()));
        // What no watch can have missed any more.
        if of.history.len() > 50_000 {
            of.history.drain(..25_000);
        }
        match &mut self.held {
            Some(held) if is_held => held.push(news),
            _ => self.table(table).tell(&news),
        }
    }
}
