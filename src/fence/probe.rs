//! Asks the API server what the fence would do, by writes that are never carried out.

use std::{fmt, time::Duration};

use futures::future::{BoxFuture, FutureExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::{Fence, Refusal};
use crate::errors::Chain;

/// How long an answer is waited for. Whoever asks wants to act on it, and a late answer is an old one.
const PATIENCE: Duration = Duration::from_secs(1);

/// The writes that the fence is tested by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// One that the holder of the Lease may make.
    Holders,
    /// One that nobody may make.
    Nobodys,
}

/// What the API server made of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It would have been carried out.
    Accepted,
    /// The fence refused it.
    Refused(Refusal),
    /// The object to test on does not exist.
    NoProbe,
    /// It was refused, but not by the fence.
    NotAllowed(String),
    /// There was no answer, or none that says anything.
    Failed(String),
}

/// The fence of a cluster, as one replica meets it.
#[derive(Clone)]
pub struct KubeFence {
    api: Api<ConfigMap>,
    probe: String,
    pod: String,
}

impl KubeFence {
    /// The fence that is tested on the ConfigMap `probe` by the pod `pod`.
    ///
    /// `client` must authenticate as that pod does, and must not try again by itself.
    pub fn new(client: Client, namespace: &str, probe: &str, pod: &str) -> Self {
        Self {
            api: Api::namespaced(client, namespace),
            probe: probe.to_owned(),
            pod: pod.to_owned(),
        }
    }

    /// The ConfigMap that the fence is tested on.
    pub fn probe(&self) -> &str {
        &self.probe
    }

    /// Puts the fence to a test.
    pub async fn ask(&self, test: Test) -> Answer {
        let data = match test {
            Test::Holders => json!({"tested-by": self.pod}),
            Test::Nobodys => json!({"tested-by": self.pod, "refuse": "true"}),
        };
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({"data": data}));
        let answer = self.api.patch(&self.probe, &params, &patch);
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(_)) => Answer::Accepted,
            Ok(Err(error)) => Answer::of(&error),
            Err(_elapsed) => Answer::Failed(format!("no answer within {PATIENCE:?}")),
        }
    }
}

impl Answer {
    fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else {
            return Self::Failed(Chain(error).to_string());
        };
        match (Refusal::of(status), status.code) {
            (Some(refusal), _) => Self::Refused(refusal),
            (None, 404) => Self::NoProbe,
            (None, 401 | 403) => Self::NotAllowed(status.message.clone()),
            _ => Self::Failed(status.message.clone()),
        }
    }
}

impl Fence for KubeFence {
    fn refuses_me(&self) -> BoxFuture<'_, bool> {
        async {
            let answer = self.ask(Test::Holders).await;
            matches!(answer, Answer::Refused(Refusal { is_decision, .. }) if is_decision)
        }
        .boxed()
    }
}

impl fmt::Debug for KubeFence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeFence")
            .field("probe", &self.probe)
            .field("pod", &self.pod)
            .finish_non_exhaustive()
    }
}
