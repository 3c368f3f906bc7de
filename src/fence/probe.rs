//! Asks the API server what the fence would do, by writes that are never carried out.

use std::{fmt, time::Duration};

use futures::future::{BoxFuture, FutureExt};
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::ConfigMap},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Fence, Refusal};
use crate::errors::Chain;

/// How long an answer is waited for. Whoever asks wants to act on it, and a late answer is an old one.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the API server may take to see a renewal before it counts as one that does not follow the Lease.
const NEWS_TRAVELS: Duration = Duration::from_millis(100);

/// The writes that the fence is tested by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// One that the holder of the Lease may make.
    Holders,
    /// The same, refused as well by an API server whose news of the Lease are older than ours. It costs a read of the
    /// Lease, which a leader has no need of: it finds out whether the fence knows it as the holder.
    HoldersByFreshNews,
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
    leases: Api<Lease>,
    lease: String,
    probe: String,
    pod: String,
}

impl KubeFence {
    /// The fence by `lease` that is tested on the ConfigMap `probe` by the pod `pod`.
    ///
    /// `client` must authenticate as that pod does, and must not try again by itself.
    pub fn new(client: Client, namespace: &str, lease: &str, probe: &str, pod: &str) -> Self {
        Self {
            api: Api::namespaced(client.clone(), namespace),
            leases: Api::namespaced(client, namespace),
            lease: lease.to_owned(),
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
        let answer = async {
            match test {
                Test::Holders => self.patch(json!({"tested-by": self.pod})).await,
                Test::HoldersByFreshNews => self.ask_by_fresh_news().await,
                Test::Nobodys => {
                    self.patch(json!({"tested-by": self.pod, "refuse": "true"}))
                        .await
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answer).await;
        answer.unwrap_or_else(|_elapsed| Answer::Failed(format!("no answer within {PATIENCE:?}")))
    }

    async fn ask_by_fresh_news(&self) -> Answer {
        let lease = match self.leases.get_opt(&self.lease).await {
            Ok(lease) => lease,
            Err(error) => return Answer::of(&error),
        };
        let mut data = json!({"tested-by": self.pod});
        if let Some(MicroTime(renewed)) = lease.and_then(|lease| lease.spec?.renew_time) {
            data["renewed"] = json!(renewed);
        }
        match self.patch(data.clone()).await {
            Answer::Refused(refusal) if refusal.is_behind() => {
                // The renewal may have been read on its way there.
                tokio::time::sleep(NEWS_TRAVELS).await;
                self.patch(data).await
            }
            answer => answer,
        }
    }

    async fn patch(&self, data: Value) -> Answer {
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({"data": data}));
        match self.api.patch(&self.probe, &params, &patch).await {
            Ok(_) => Answer::Accepted,
            Err(error) => Answer::of(&error),
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
            let answer = self.ask(Test::HoldersByFreshNews).await;
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
