//! The steady state that every trial begins from, and comes back to.
//!
//! Steady means: the rollout is complete, every replica is Ready, the Lease has been renewed for a whole renew period by
//! one term whose holder is one of them, their metrics say the same, and the holder's work follows the canary.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::api::ListParams;
use tokio::time::{Instant, sleep};

use crate::{
    context::{RunContext, disruption},
    observe::Seen,
};
use failover_judging::{
    clock::{Stamp, duration_millis},
    observed::{
        ApiCall, ClockMap, LeaseSeen, PodSeen, Presence, Recovery, RigFault, WorkRule,
        audit::purpose::CANARY, trial::present,
    },
};

/// Time between two looks.
const PAUSE: Duration = Duration::from_millis(150);

/// How long a state that is not steady is believed before everything is listed anew.
const BELIEF: Duration = Duration::from_secs(10);

/// A canary change that is older than this says nothing about now.
const FRESH: Duration = Duration::from_secs(4);

/// Who leads in a steady state.
#[derive(Clone, Debug)]
pub(super) struct Steady {
    pub(super) leader: PodSeen,
    pub(super) lease: LeaseSeen,
}

/// What the system was still missing when time was up.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub(super) enum Unsteady {
    #[error("not steady after {} s: {waiting_for}", .limit.as_secs())]
    TimeUp {
        waiting_for: String,
        limit: Duration,
    },
    #[error("not steady after {} s: {why}", .limit.as_secs())]
    SharedIdentity { why: String, limit: Duration },
    #[error("--image: the node can't start {image}: {why}")]
    Image { image: String, why: String },
    #[error("the node can't run the replicas: {0}")]
    Node(String),
}

impl Unsteady {
    /// Whether the rig is at fault rather than the operator.
    pub(super) fn rig_fault(&self) -> Option<RigFault> {
        match self {
            Self::Node(detail) => Some(RigFault::NodeExhausted {
                detail: detail.clone(),
            }),
            Self::TimeUp { .. } | Self::SharedIdentity { .. } | Self::Image { .. } => None,
        }
    }

    /// Whether it was seen, so that no trouble of the rig can explain it.
    pub(super) fn is_certain(&self) -> bool {
        matches!(self, Self::SharedIdentity { .. })
    }
}

/// Waits for the steady state with `replicas` replicas.
///
/// `image` is the operator's: when the node can't have it, waiting is of no use.
pub(super) async fn wait(
    context: &RunContext<'_>,
    replicas: u32,
    image: &str,
    limit: Duration,
) -> Result<Steady, Unsteady> {
    let deadline = Instant::now() + limit;
    let mut doubt = Instant::now() + BELIEF;
    loop {
        if Instant::now() > doubt {
            context.observations.relist();
            doubt = Instant::now() + BELIEF;
        }
        let missing = match look(context, replicas).await {
            Ok(steady) => return Ok(steady),
            Err(missing) => missing,
        };
        if let Some(hopeless) = hopeless(context, image).await {
            return Err(hopeless);
        }
        if Instant::now() > deadline {
            let user = &context.target.user;
            if let Some(why) = context
                .observations
                .read(|seen| shared_identity(seen, user))
            {
                return Err(Unsteady::SharedIdentity { why, limit });
            }
            let unschedulable = context
                .replicas()
                .into_values()
                .find_map(|pod| pod.node.is_none().then_some(pod.waiting)?);
            return Err(match unschedulable {
                Some(why) => Unsteady::Node(why),
                None => Unsteady::TimeUp {
                    waiting_for: if context.replicas().is_empty() {
                        format!("{missing} ({})", no_pods(context).await)
                    } else {
                        missing
                    },
                    limit,
                },
            });
        }
        sleep(PAUSE).await;
    }
}

async fn look(context: &RunContext<'_>, replicas: u32) -> Result<Steady, String> {
    let now = context.observations.now();
    let steady = context
        .observations
        .read(|seen| steady_in(seen, context, replicas, now))?;
    rollout_complete(context, replicas).await?;
    if context.metrics.is_none() {
        return Ok(steady);
    }
    let roles = context.roles().await;
    if roles.agree_on(steady.lease.record.pod()) {
        Ok(steady)
    } else {
        Err(format!(
            "the Lease names {}, by the metrics {}",
            steady.lease.record.holder,
            roles.phrase()
        ))
    }
}

fn steady_in(
    seen: &Seen,
    context: &RunContext<'_>,
    replicas: u32,
    now: Stamp,
) -> Result<Steady, String> {
    let pods = present(&seen.pods);
    all_ready(&pods.values().copied().collect::<Vec<_>>(), replicas)?;
    let lease = seen
        .lease()
        .ok_or_else(|| format!("there is no Lease {}", context.target.lease))?;
    if let Some(shared) = shared_identity(seen, &context.target.user) {
        return Err(shared);
    }
    let leader = pods.get(lease.record.pod());
    let leader = *leader.ok_or_else(|| {
        format!(
            "the Lease names {:?}, which is no replica",
            lease.record.holder
        )
    })?;
    renewed(seen, lease, now, context.settings.retry_period())?;
    let target = &context.target;
    if context.canary.is_some() && !works(seen, &leader.name, &target.user, &context.work, now) {
        return Err(format!(
            "{} holds the Lease, but no write of it follows the canary",
            leader.name
        ));
    }
    Ok(Steady {
        leader: leader.clone(),
        lease: lease.clone(),
    })
}

/// Which replicas renew the Lease by one and the same name, if any do.
fn shared_identity(seen: &Seen, user: &str) -> Option<String> {
    let holder = &seen.lease()?.record.holder;
    let writers = writers(seen, holder, user);
    (writers.len() > 1).then(|| {
        format!(
            "{} replicas renew the Lease as {holder:?}, one identity for all of them: {}",
            writers.len(),
            writers.join(", ")
        )
    })
}

/// Whether exactly `replicas` pods are there and Ready; else what is missing.
pub(super) fn all_ready(pods: &[&PodSeen], replicas: u32) -> Result<(), String> {
    let wanted = usize::try_from(replicas).unwrap_or(usize::MAX);
    let ready = pods
        .iter()
        .filter(|pod| pod.ready && pod.running && pod.presence == Presence::Staying)
        .count();
    if ready == wanted && pods.len() == wanted {
        return Ok(());
    }
    let rest: Vec<String> = pods
        .iter()
        .filter(|pod| !pod.ready || pod.presence != Presence::Staying)
        .map(|pod| state(pod))
        .collect();
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(" ({})", rest.join(", "))
    };
    Err(format!("{ready} of {replicas} replicas Ready{rest}"))
}

fn state(pod: &PodSeen) -> String {
    let state = match (pod.presence, &pod.waiting) {
        (Presence::Terminating, _) => "terminating",
        (_, Some(why)) => why,
        _ => "not Ready",
    };
    format!("{}: {state}", pod.name)
}

fn renewed(seen: &Seen, lease: &LeaseSeen, now: Stamp, period: Duration) -> Result<(), String> {
    let period_ms = duration_millis(period);
    let term = seen
        .leases
        .iter()
        .filter(|known| known.record.same_term(&lease.record));
    let first = term.map(|known| known.at).min().unwrap_or(lease.at);
    // A renewal is due every period; the tenth allows for the time that a renewal takes.
    if lease.at.since(first) < period_ms * 0.9 {
        return Err(format!(
            "{} has not renewed the Lease for a renew period yet",
            lease.record.holder
        ));
    }
    if now.since(lease.at) > period_ms * 2.0 {
        return Err(format!(
            "{} has not renewed the Lease for {:.0} ms",
            lease.record.holder,
            now.since(lease.at)
        ));
    }
    Ok(())
}

fn works(seen: &Seen, leader: &str, user: &str, rule: &WorkRule, now: Stamp) -> bool {
    let fresh = |sent: Stamp| now.since(sent) <= duration_millis(FRESH);
    let mut changes = seen
        .own
        .iter()
        .rev()
        .filter(|own| own.purpose == CANARY && own.is_accepted() && fresh(own.sent));
    let Some(newest) = changes.next() else {
        return false;
    };
    // The newest change may be a moment old; the one before it has had its time.
    let due = changes.next().unwrap_or(newest);
    let map = ClockMap::measure(&seen.own, &seen.calls);
    let answers = |call: &ApiCall| {
        call.user == user
            && call.pod.as_deref() == Some(leader)
            && call.accepted()
            && rule.is_work(call)
            && rule.answers(call, due, map.as_ref())
    };
    seen.calls.iter().rev().any(answers)
}

/// The pods that wrote the Lease under its present holder's name, while that name did not change.
fn writers<'a>(seen: &'a Seen, holder: &str, user: &str) -> Vec<&'a str> {
    let since = seen
        .leases
        .iter()
        .rev()
        .find(|known| known.deleted || known.record.holder != holder)
        .map_or(0, |other| other.record.resource_version);
    let mut pods: Vec<&str> = seen
        .calls
        .iter()
        .filter(|call| call.user == user && call.is_lease() && call.is_write() && call.accepted())
        .filter(|call| call.resource_version.is_some_and(|version| version > since))
        .filter_map(|call| call.pod.as_deref())
        .collect();
    pods.sort_unstable();
    pods.dedup();
    pods
}

/// Waits until the Deployment's rollout is complete, or time is up; what it lacks then shows in the trial.
pub(super) async fn rolled_out(context: &RunContext<'_>, replicas: u32, limit: Duration) {
    let deadline = Instant::now() + limit;
    while rollout_complete(context, replicas).await.is_err() && Instant::now() < deadline {
        sleep(PAUSE).await;
    }
}

async fn rollout_complete(context: &RunContext<'_>, replicas: u32) -> Result<(), String> {
    let name = &context.target.deployment;
    let deployment = context
        .deployments()
        .get(name)
        .await
        .map_err(|error| format!("Deployment {name}: {error}"))?;
    if complete(&deployment, replicas) {
        Ok(())
    } else {
        Err(format!("the rollout of Deployment {name} is not complete"))
    }
}

fn complete(deployment: &Deployment, replicas: u32) -> bool {
    let wanted = i32::try_from(replicas).ok();
    let Some(status) = &deployment.status else {
        return false;
    };
    status.observed_generation >= deployment.metadata.generation
        && [
            status.replicas,
            status.updated_replicas,
            status.ready_replicas,
            status.available_replicas,
        ]
        .iter()
        .all(|count| *count == wanted)
}

/// Why there may be no pods at all: what the API server says of the Deployment now.
async fn no_pods(context: &RunContext<'_>) -> String {
    let name = &context.target.deployment;
    let pods = match context.pods().list(&ListParams::default()).await {
        Ok(pods) => format!("the namespace has {} pods", pods.items.len()),
        Err(error) => format!("pods can't be listed: {error}"),
    };
    match context.deployments().get(name).await {
        Ok(deployment) => format!("{pods}, {}", deployment_says(name, &deployment)),
        Err(error) => format!("{pods}, Deployment {name}: {error}"),
    }
}

fn deployment_says(name: &str, deployment: &Deployment) -> String {
    let status = deployment.status.clone().unwrap_or_default();
    if status.observed_generation < deployment.metadata.generation {
        return format!(
            "the Deployment controller has not looked at {name} since it was changed (generation {}, looked at {})",
            deployment.metadata.generation.unwrap_or(0),
            status.observed_generation.unwrap_or(0),
        );
    }
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    let conditions: Vec<String> = status
        .conditions
        .into_iter()
        .flatten()
        .map(|condition| {
            let message = condition.message.unwrap_or_default();
            format!("{}={}: {message}", condition.type_, condition.status)
        })
        .collect();
    format!(
        "Deployment {name} wants {} replicas and says {}",
        wanted.unwrap_or(1),
        if conditions.is_empty() {
            "nothing".to_owned()
        } else {
            conditions.join("; ")
        }
    )
}

/// A reason why waiting is of no use.
async fn hopeless(context: &RunContext<'_>, image: &str) -> Option<Unsteady> {
    const NO_IMAGE: [&str; 3] = ["ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName"];
    let stuck = context.replicas().into_values().find(|pod| {
        pod.waiting
            .as_deref()
            .is_some_and(|why| NO_IMAGE.iter().any(|reason| why.starts_with(reason)))
    })?;
    let pod = context.pods().get_opt(&stuck.name).await.ok()??;
    no_image(&pod, &context.target.container, image, stuck.waiting?)
}

/// That the operator's image can't be had, if it is the one that `container` waits for: in the middle of a trial the
/// harness itself may have given a pod another one.
fn no_image(pod: &Pod, container: &str, image: &str, why: String) -> Option<Unsteady> {
    let mut containers = pod.spec.as_ref()?.containers.iter();
    let found = containers.find(|found| found.name == container)?;
    (found.image.as_deref() == Some(image)).then(|| Unsteady::Image {
        image: image.to_owned(),
        why,
    })
}

/// Waits until all replicas are Ready and, if `budget` is set, the disruption budget allows a disruption; gives when
/// each was so.
pub(super) async fn recovery(
    context: &RunContext<'_>,
    replicas: u32,
    budget: bool,
    limit: Duration,
) -> Recovery {
    let mut recovery = Recovery::default();
    let deadline = Instant::now() + limit;
    loop {
        let now = context.observations.now();
        let ready = context.observations.read(|seen| {
            let pods = present(&seen.pods);
            all_ready(&pods.values().copied().collect::<Vec<_>>(), replicas)
        });
        match &ready {
            Ok(()) => recovery.replicas = recovery.replicas.or(Some(now)),
            Err(_) => recovery.replicas = None,
        }
        let allowed = if budget {
            disruption::allowed(context).await
        } else {
            Ok(None)
        };
        let allows = matches!(allowed, Ok(Some(allowed)) if allowed > 0);
        if ready.is_ok() && (allows || !budget) {
            recovery.budget = allows.then(|| context.observations.now());
            recovery.waiting_for = None;
            return recovery;
        }
        recovery.waiting_for = Some(match (ready, allowed) {
            (Err(missing), _) | (Ok(()), Err(missing)) => missing,
            (Ok(()), Ok(None)) => "a disruption budget for the replicas".to_owned(),
            (Ok(()), Ok(Some(allowed))) => {
                format!("the disruption budget to allow a disruption (it allows {allowed})")
            }
        });
        if Instant::now() > deadline {
            return recovery;
        }
        sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
