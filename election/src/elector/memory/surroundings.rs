//! What replicas sense of each other, in memory: Pods as kubelet reports them, connections, and the fence.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use futures::{FutureExt, StreamExt, future::BoxFuture, stream, stream::BoxStream};
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    elector::holder::Sources,
    evidence::{Peers, PodApi, PodError},
    fence::FenceCheck,
    identity::{Identity, Incarnation},
};

/// Shared by all replicas of a test.
#[derive(Clone, Debug)]
pub(in crate::elector) struct Surroundings {
    pods: watch::Sender<BTreeMap<String, Pod>>,
    /// The incarnations whose connections are lost and refused.
    lost: watch::Sender<BTreeSet<String>>,
    /// The addresses at which a process was looked for last.
    looked_at: Arc<Mutex<Vec<IpAddr>>>,
    fence_stands: Arc<AtomicBool>,
    fence_asked: Arc<AtomicU32>,
    deaf: Arc<AtomicBool>,
}

impl Surroundings {
    pub(in crate::elector) fn new() -> Self {
        Self {
            pods: watch::Sender::default(),
            lost: watch::Sender::default(),
            looked_at: Arc::default(),
            fence_stands: Arc::new(AtomicBool::new(true)),
            fence_asked: Arc::default(),
            deaf: Arc::default(),
        }
    }

    pub(in crate::elector) fn sources(&self, hints: bool) -> Sources {
        Sources {
            pods: Some(Arc::new(self.clone())),
            container: Some("controller".to_owned()),
            hints: hints.then(|| (Arc::new(self.clone()) as _, Arc::new(self.clone()) as _)),
        }
    }

    /// The pod of `me` runs and is Ready, with a template of this hash, created at this minute.
    pub(in crate::elector) fn run(&self, me: &Identity, template: &str, minute: u8) {
        let state = json!({"running": {}});
        let pod = pod(me, template, minute, &state);
        self.pods
            .send_modify(|pods| drop(pods.insert(me.pod_name.clone(), pod)));
    }

    /// Kubelet reports the end of the container of `me`, with these last words.
    pub(in crate::elector) fn report_dead(&self, me: &Identity, last_words: &str) {
        let state = json!({"terminated": {"exitCode": 137, "message": last_words}});
        let pod = pod(me, "t", 1, &state);
        self.pods
            .send_modify(|pods| drop(pods.insert(me.pod_name.clone(), pod)));
    }

    /// Changes the Pod object in any other way; `None` deletes it.
    pub(in crate::elector) fn edit(&self, name: &str, change: impl FnOnce(&mut Option<Pod>)) {
        self.pods.send_modify(|pods| {
            let mut pod = pods.remove(name);
            change(&mut pod);
            if let Some(pod) = pod {
                pods.insert(name.to_owned(), pod);
            }
        });
    }

    /// The connection to that process ends and a reconnect is refused, whether it is dead or not.
    pub(in crate::elector) fn lose(&self, incarnation: &Incarnation) {
        self.lost
            .send_if_modified(|lost| lost.insert(incarnation.to_string()));
    }

    pub(in crate::elector) fn looked_at(&self) -> Vec<String> {
        let addresses = self.looked_at.lock().unwrap();
        addresses.iter().map(IpAddr::to_string).collect()
    }

    pub(in crate::elector) fn fence_stands(&self, stands: bool) {
        self.fence_stands.store(stands, Ordering::SeqCst);
    }

    pub(in crate::elector) fn fence_asked(&self) -> u32 {
        self.fence_asked.load(Ordering::SeqCst)
    }

    /// Lists of pods are not answered any more.
    pub(in crate::elector) fn answer_no_lists(&self) {
        self.deaf.store(true, Ordering::SeqCst);
    }
}

fn pod(me: &Identity, template: &str, minute: u8, state: &Value) -> Pod {
    serde_json::from_value(json!({
        "metadata": {
            "name": me.pod_name, "uid": me.incarnation.pod_uid, "labels": {"pod-template-hash": template},
            "creationTimestamp": format!("2026-03-02T08:{minute:02}:00Z"),
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": true,
                "name": format!("d-{template}"), "uid": "u"}],
        },
        "status": {
            "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}],
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "controller", "image": "i", "imageID": "", "ready": true,
                "restartCount": 0, "state": state}],
        },
    }))
    .unwrap()
}

impl PodApi for Surroundings {
    fn watch(&self, name: &str) -> BoxStream<'static, Result<Option<Pod>, PodError>> {
        let mut pods = self.pods.subscribe();
        pods.mark_changed();
        stream::unfold((pods, name.to_owned()), async |(mut pods, name)| {
            pods.changed().await.ok()?;
            let pod = pods.borrow_and_update().get(&name).cloned();
            Some((Ok(pod), (pods, name)))
        })
        .boxed()
    }

    fn list(&self) -> BoxFuture<'static, Result<Vec<Pod>, PodError>> {
        if self.deaf.load(Ordering::SeqCst) {
            return std::future::pending().boxed();
        }
        let pods = self.pods.borrow().values().cloned().collect();
        std::future::ready(Ok(pods)).boxed()
    }
}

impl Peers for Surroundings {
    fn lost(&self, addresses: &[IpAddr], incarnation: &Incarnation) -> BoxFuture<'static, ()> {
        *self.looked_at.lock().unwrap() = addresses.to_vec();
        let (mut lost, incarnation) = (self.lost.subscribe(), incarnation.to_string());
        async move {
            if lost
                .wait_for(|lost| lost.contains(&incarnation))
                .await
                .is_err()
            {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

impl FenceCheck for Surroundings {
    fn refuses_me(&self) -> BoxFuture<'_, bool> {
        self.fence_asked.fetch_add(1, Ordering::SeqCst);
        std::future::ready(self.fence_stands.load(Ordering::SeqCst)).boxed()
    }
}
