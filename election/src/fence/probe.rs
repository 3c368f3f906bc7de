//! Asks the API server what the fence would do, by writes that are never carried out.

use std::{future::Future, time::Duration};

use futures::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::ConfigMap},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    policy::{FenceCheck, PerPolicy, Policy},
    refusal::{Refusal, Why},
};
use crate::{errors::Chain, settings::LeaseName};

/// How long an answer is waited for. Whoever asks wants to act on it, and a late answer is an old one.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the API server may take to see a renewal before it counts as one that does not follow the Lease.
const NEWS_TRAVELS: Duration = Duration::from_millis(100);

/// The writes that a policy is tested by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// One that the holder of the Lease may make, and nobody else.
    Holders,
    /// The same, refused to the holder as well once it was known as that: a write that is accepted does not tell the
    /// holder whether there is a policy at all.
    Nobodys,
}

/// What the API server made of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It would have been carried out.
    Accepted,
    /// Likewise, by a policy that lets everybody pass while there is no Lease to go by; and there is none.
    NoLease,
    /// The policy refused it.
    Refused(Refusal),
    /// The object to test on does not exist.
    NoProbe,
    /// It was refused, but not by the policy.
    NotAllowed(String),
    /// There was no answer, or none that says anything.
    Failed(String),
}

/// The fence of a cluster, as one replica meets it.
#[derive(Clone, Debug)]
pub struct KubeFence {
    api: Api<ConfigMap>,
    leases: Api<Lease>,
    lease: String,
    policies: PerPolicy<String>,
    probes: PerPolicy<String>,
    pod: String,
}

/// The newest news of the Lease that the tester has.
enum News {
    /// It was renewed then.
    Renewed(Timestamp),
    /// It does not say when, as one that nobody has held so far.
    Silent,
    /// There is none.
    NoLease,
}

impl KubeFence {
    /// The fence by `lease` whose `policies` are tested by the pod `pod` on the `ConfigMaps` `probes`.
    ///
    /// `client` must authenticate as that pod does, and must not try again by itself.
    pub fn new(
        client: Client,
        lease: &LeaseName,
        policies: PerPolicy<String>,
        probes: PerPolicy<String>,
        pod: &str,
    ) -> Self {
        Self {
            api: Api::namespaced(client.clone(), lease.namespace()),
            leases: Api::namespaced(client, lease.namespace()),
            lease: lease.name().to_owned(),
            policies,
            probes,
            pod: pod.to_owned(),
        }
    }

    /// The policies by name.
    pub fn policies(&self) -> &PerPolicy<String> {
        &self.policies
    }

    /// The ConfigMap that a policy is tested on.
    pub fn probe(&self, policy: Policy) -> &str {
        self.probes.of(policy)
    }

    /// Puts both policies to a test at the same time.
    ///
    /// A leader gives the `renewTime` of its last acknowledged write. Anybody else gives none, and the Lease is read.
    pub async fn ask(&self, test: Test, acknowledged: Option<Timestamp>) -> PerPolicy<Answer> {
        let deadline = Instant::now() + PATIENCE;
        let news = match acknowledged {
            Some(renewed) => News::Renewed(renewed),
            None => match in_time(deadline, self.read()).await {
                Ok(news) => news,
                Err(answer) => {
                    return PerPolicy {
                        strict: answer.clone(),
                        lenient: answer,
                    };
                }
            },
        };
        let mut data = json!({"tested-by": self.pod});
        if let News::Renewed(renewed) = news {
            data["renewed"] = json!(renewed);
        }
        if test == Test::Nobodys {
            data["refuse"] = json!("true");
        }
        let ask = |policy| in_time(deadline, self.ask_one(policy, &data));
        let (strict, lenient) = tokio::join!(ask(Policy::Strict), ask(Policy::Lenient));
        let mut answers = PerPolicy { strict, lenient }.map(|_, answer| match answer {
            Ok(answer) | Err(answer) => answer,
        });
        // A leader does not read the Lease, and the strict policy can't be evaluated without one.
        let is_undecided =
            matches!(&answers.strict, Answer::Refused(refusal) if refusal.why == Why::Undecided);
        if answers.lenient == Answer::Accepted && (is_undecided || matches!(news, News::NoLease)) {
            answers.lenient = Answer::NoLease;
        }
        answers
    }

    async fn read(&self) -> Result<News, Answer> {
        let lease = self.leases.get_opt(&self.lease).await;
        let Some(lease) = lease.map_err(|error| self.answer(&error, None))? else {
            return Ok(News::NoLease);
        };
        let renewed = lease.spec.and_then(|spec| spec.renew_time);
        Ok(renewed.map_or(News::Silent, |MicroTime(renewed)| News::Renewed(renewed)))
    }

    async fn ask_one(&self, policy: Policy, data: &Value) -> Result<Answer, Answer> {
        let mut answer = self.patch(policy, data).await;
        if matches!(&answer, Answer::Refused(refusal) if refusal.why == Why::Behind) {
            // The renewal may be on its way there.
            sleep(NEWS_TRAVELS).await;
            answer = self.patch(policy, data).await;
        }
        Ok(answer)
    }

    async fn patch(&self, policy: Policy, data: &Value) -> Answer {
        let params = PatchParams {
            dry_run: true,
            ..PatchParams::default()
        };
        let patch = Patch::Merge(json!({"data": data}));
        match self.api.patch(self.probe(policy), &params, &patch).await {
            Ok(_) => Answer::Accepted,
            Err(error) => self.answer(&error, Some(policy)),
        }
    }

    /// What an error means, for a request that `policy` is about.
    fn answer(&self, error: &kube::Error, policy: Option<Policy>) -> Answer {
        let kube::Error::Api(status) = error else {
            return Answer::Failed(Chain(error).to_string());
        };
        let refusal = Refusal::of(status, &self.policies);
        match (refusal, status.code) {
            (Some(refusal), _) if Some(refusal.policy) == policy => Answer::Refused(refusal),
            (_, 404) => Answer::NoProbe,
            (_, 401 | 403) => Answer::NotAllowed(status.message.clone()),
            _ => Answer::Failed(status.message.clone()),
        }
    }
}

/// What `asked` gives, or that there was no answer in time.
async fn in_time<T>(
    deadline: Instant,
    asked: impl Future<Output = Result<T, Answer>>,
) -> Result<T, Answer> {
    let answer = timeout_at(deadline, asked).await;
    answer.unwrap_or_else(|_elapsed| Err(Answer::Failed(format!("no answer within {PATIENCE:?}"))))
}

impl FenceCheck for KubeFence {
    fn refuses_me(&self) -> BoxFuture<'_, bool> {
        async {
            let answers = self.ask(Test::Holders, None).await;
            Policy::ALL.iter().all(|policy| {
                matches!(answers.of(*policy), Answer::Refused(refusal) if refusal.why == Why::NotHolder)
            })
        }
        .boxed()
    }
}
