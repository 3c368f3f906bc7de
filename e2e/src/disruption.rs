//! Whether the disruption budget keeps what it promises: evictions pass while it allows them, and the next is refused.
//!
//! Asked through the eviction API as a drain asks it (<https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>).
//! How many must pass follows from the budget's own rule: with R replicas `minAvailable: 1` allows R-1 at a time, and
//! `maxUnavailable: 1` a single one. Standbys are evicted first, the leader last.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::{
    ResourceExt,
    api::{EvictParams, ListParams},
    core::{Selector, SelectorExt},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use crate::{
    clock::{Millis, Stamp},
    scene::Scene,
    steady::Steady,
    verdict::{Check, CheckId, Verdict},
};

/// How long the disruption controller gets to count the replicas anew after one of them changed.
const COUNT_LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// The cause that the API server gives for a refusal by a disruption budget.
const CAUSE: &str = "DisruptionBudget";

/// What became of the evictions with one number of replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Disruption {
    /// How many replicas were Ready.
    pub replicas: u32,
    /// The budgets of the namespace.
    pub budgets: Vec<BudgetSeen>,
    /// The evictions asked for, in order.
    pub evictions: Vec<Eviction>,
    /// What was checked.
    pub check: Check,
}

/// A disruption budget as it was before the first eviction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetSeen {
    /// Its name.
    pub name: String,
    /// Whether it selects the replicas.
    pub selects: bool,
    /// How many disruptions it allows.
    pub allowed: i32,
    /// How many healthy pods it asks for.
    pub desired_healthy: i32,
    /// How many it sees.
    pub current_healthy: i32,
    /// How many pods it counts.
    pub expected_pods: i32,
    /// Its rule, such as `minAvailable: 1`; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// How many disruptions the rule allows while all of the pods that it counts are healthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_by_rule: Option<i32>,
}

/// One eviction asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Eviction {
    /// The pod.
    pub pod: String,
    /// Whether it is the leader.
    pub leader: bool,
    /// When it was asked for.
    pub at: Stamp,
    /// How long the answer took, in milliseconds.
    pub took_ms: Millis,
    /// HTTP status; 0 when there was no answer.
    pub code: u16,
    /// The API server's reason for a refusal.
    pub message: String,
    /// Whether the refusal is by a disruption budget.
    pub by_budget: bool,
}

/// How many disruptions the budgets that select the replicas allow; `None` when no budget does, an error when the
/// budgets can't be read.
pub async fn allowed(scene: &Scene<'_>) -> Result<Option<i32>, String> {
    Ok(budgets(scene)
        .await?
        .iter()
        .filter(|budget| budget.selects)
        .map(|budget| budget.allowed)
        .min())
}

/// Evicts as many replicas as the budget allows, and one more.
pub async fn probe(scene: &Scene<'_>, steady: &Steady, replicas: u32) -> Disruption {
    let scope = format!("{replicas} replicas, evictions");
    let seen = match counted(scene, replicas).await {
        Ok(seen) => seen,
        Err(why) => {
            let check = Check::inconclusive(CheckId::DisruptionBudget, scope, why);
            return Disruption {
                replicas,
                budgets: Vec::new(),
                evictions: Vec::new(),
                check,
            };
        }
    };
    let budget = match fit(&seen, replicas, &scene.target.deployment) {
        Ok(budget) => budget.clone(),
        Err(unfit) => {
            return Disruption {
                replicas,
                budgets: seen,
                evictions: Vec::new(),
                check: unfit.check(scope),
            };
        }
    };
    let allowed = budget.allowed;
    let standbys = scene
        .replicas()
        .into_keys()
        .filter(|name| *name != steady.leader.name);
    let order: Vec<String> = standbys.chain([steady.leader.name.clone()]).collect();
    let mut evictions = Vec::new();
    for name in order
        .into_iter()
        .take(usize::try_from(allowed).unwrap_or_default() + 1)
    {
        evictions.push(evict(scene, name, &steady.leader.name).await);
    }
    let (verdict, detail) = judge(allowed, &evictions);
    let detail = format!("{}{detail}", budget.arithmetic());
    Disruption {
        replicas,
        budgets: seen,
        evictions,
        check: Check {
            id: CheckId::DisruptionBudget,
            scope,
            verdict,
            detail,
        },
    }
}

/// Asks once for the eviction of `pod`.
pub async fn evict(scene: &Scene<'_>, pod: String, leader: &str) -> Eviction {
    let at = scene.journal.now();
    let answer = scene.pods().evict(&pod, &EvictParams::default()).await;
    let took_ms = scene.journal.now().since(at);
    let leader = pod == leader;
    match answer {
        Ok(_) => Eviction {
            pod,
            leader,
            at,
            took_ms,
            code: 201,
            message: String::new(),
            by_budget: false,
        },
        Err(kube::Error::Api(status)) => {
            let causes = status
                .details
                .iter()
                .flat_map(|details| details.causes.iter());
            let causes: Vec<_> = causes.filter(|cause| cause.reason == CAUSE).collect();
            let by_budget = !causes.is_empty();
            let reasons: Vec<&str> = std::iter::once(status.message.as_str())
                .chain(causes.iter().map(|cause| cause.message.as_str()))
                .collect();
            Eviction {
                pod,
                leader,
                at,
                took_ms,
                code: status.code,
                message: reasons.join(" "),
                by_budget,
            }
        }
        Err(error) => Eviction {
            pod,
            leader,
            at,
            took_ms,
            code: 0,
            message: error.to_string(),
            by_budget: false,
        },
    }
}

async fn budgets(scene: &Scene<'_>) -> Result<Vec<BudgetSeen>, String> {
    let list = scene.budgets().list(&ListParams::default()).await;
    let list = list.map_err(|error| format!("failed to list disruption budgets: {error}"))?;
    Ok(list
        .items
        .iter()
        .map(|budget| seen(budget, &scene.target.selector))
        .collect())
}

/// The budgets once they have counted the replicas, or as they are when time is up.
async fn counted(scene: &Scene<'_>, replicas: u32) -> Result<Vec<BudgetSeen>, String> {
    let deadline = Instant::now() + COUNT_LIMIT;
    loop {
        let seen = budgets(scene).await?;
        let mut selecting = seen.iter().filter(|budget| budget.selects);
        if Instant::now() > deadline || selecting.all(|budget| budget.has_counted(replicas)) {
            return Ok(seen);
        }
        sleep(PAUSE).await;
    }
}

fn seen(budget: &PodDisruptionBudget, labels: &BTreeMap<String, String>) -> BudgetSeen {
    let spec = budget.spec.clone().unwrap_or_default();
    let status = budget.status.clone().unwrap_or_default();
    BudgetSeen {
        name: budget.name_any(),
        selects: selects(spec.selector.as_ref(), labels),
        allowed: status.disruptions_allowed,
        desired_healthy: status.desired_healthy,
        current_healthy: status.current_healthy,
        expected_pods: status.expected_pods,
        rule: rule(&spec),
        allowed_by_rule: allowed_by_rule(&spec, status.expected_pods),
    }
}

/// Whether a budget's selector selects pods with these labels: an empty one of policy/v1 selects every pod, a missing one
/// none.
pub(crate) fn selects(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    selector.is_some_and(|selector| {
        Selector::try_from(selector.clone()).is_ok_and(|selector| selector.matches(labels))
    })
}

fn rule(spec: &PodDisruptionBudgetSpec) -> Option<String> {
    let text = |value: &IntOrString| match value {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(text) => text.clone(),
    };
    let min = spec.min_available.as_ref();
    let max = spec.max_unavailable.as_ref();
    min.map(|min| format!("minAvailable: {}", text(min)))
        .or_else(|| max.map(|max| format!("maxUnavailable: {}", text(max))))
}

/// What the disruption controller makes of the rule: a share is rounded up, of what must be available as well as of what
/// may be missing.
fn allowed_by_rule(spec: &PodDisruptionBudgetSpec, pods: i32) -> Option<i32> {
    let count = |value: &IntOrString| match value {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(text) => {
            let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
            let share = (i64::from(pods) * percent + 99) / 100;
            i32::try_from(share).ok()
        }
    };
    let allowed = match (&spec.min_available, &spec.max_unavailable) {
        (Some(min), _) => pods - count(min)?,
        (None, Some(max)) => count(max)?.min(pods),
        (None, None) => return None,
    };
    Some(allowed.max(0))
}

fn missing(budgets: &[BudgetSeen], deployment: &str) -> String {
    let others: Vec<&str> = budgets.iter().map(|budget| budget.name.as_str()).collect();
    let others = if others.is_empty() {
        "there is none".to_owned()
    } else {
        format!("not {}", others.join(", "))
    };
    format!("no disruption budget selects the pods of Deployment {deployment}: {others}")
}

/// Why no eviction can be judged.
#[derive(Debug, PartialEq)]
enum Unfit {
    /// The budget is at fault.
    Budget(String),
    /// What the budget says of itself is not what its rule says.
    Count(String),
}

impl Unfit {
    fn check(self, scope: String) -> Check {
        match self {
            Self::Budget(why) => Check::fail(CheckId::DisruptionBudget, scope, why),
            Self::Count(why) => Check::inconclusive(CheckId::DisruptionBudget, scope, why),
        }
    }
}

impl BudgetSeen {
    fn has_counted(&self, replicas: u32) -> bool {
        i32::try_from(replicas) == Ok(self.expected_pods)
            && self
                .allowed_by_rule
                .is_none_or(|allowed| allowed == self.allowed)
    }

    /// The rule with what it allows, as the beginning of a sentence.
    fn arithmetic(&self) -> String {
        self.rule.as_ref().map_or_else(String::new, |rule| {
            format!("{rule} of {} allows {}: ", self.expected_pods, self.allowed)
        })
    }
}

/// The budget that fits the replicas, all of which are Ready.
fn fit<'a>(
    budgets: &'a [BudgetSeen],
    replicas: u32,
    deployment: &str,
) -> Result<&'a BudgetSeen, Unfit> {
    let refuse = |why: String| Err(Unfit::Budget(why));
    let selecting: Vec<&BudgetSeen> = budgets.iter().filter(|budget| budget.selects).collect();
    let budget = match selecting.as_slice() {
        [] => return refuse(missing(budgets, deployment)),
        [only] => *only,
        // The eviction API refuses to choose between two.
        [first, second, ..] => {
            return refuse(format!(
                "{} and {} both select the replicas, so no eviction is possible",
                first.name, second.name
            ));
        }
    };
    if budget.expected_pods == 0 {
        return refuse(format!("disruption budget {} selects nothing", budget.name));
    }
    let by_rule = budget.allowed_by_rule.unwrap_or(budget.allowed);
    if by_rule != budget.allowed {
        return Err(Unfit::Count(format!(
            "disruption budget {} says that it allows {}, but its rule ({}) allows {by_rule} of {} pods, {} of them healthy",
            budget.name,
            budget.allowed,
            budget.rule.as_deref().unwrap_or("none"),
            budget.expected_pods,
            budget.current_healthy
        )));
    }
    if budget.allowed == 0 {
        return refuse(format!(
            "disruption budget {} allows no disruption: {} of {} replicas healthy, {} needed; no node of theirs can be drained",
            budget.name, budget.current_healthy, budget.expected_pods, budget.desired_healthy
        ));
    }
    if budget.allowed >= i32::try_from(replicas).unwrap_or(i32::MAX) {
        return refuse(format!(
            "disruption budget {} allows to disrupt all {replicas} replicas at once",
            budget.name
        ));
    }
    Ok(budget)
}

fn judge(allowed: i32, evictions: &[Eviction]) -> (Verdict, String) {
    let expected = usize::try_from(allowed).unwrap_or_default();
    if let Some(refused) = evictions
        .iter()
        .take(expected)
        .find(|eviction| eviction.code != 201)
    {
        let Eviction { pod, message, .. } = refused;
        // No answer, a broken API server, or one that asks for patience: no word of any budget.
        let unanswered =
            refused.code == 0 || refused.code >= 500 || (refused.code == 429 && !refused.by_budget);
        return if unanswered {
            let detail = format!(
                "eviction of {pod} was not answered: {} {message}",
                refused.code
            );
            (Verdict::Inconclusive, detail)
        } else {
            let detail = format!(
                "eviction of {pod} was refused although allowed: {} {message}",
                refused.code
            );
            (Verdict::Fail, detail)
        };
    }
    match evictions.get(expected) {
        Some(last) if last.code == 429 && last.by_budget => {
            let role = if last.leader { "leader" } else { "standby" };
            (
                Verdict::Pass,
                format!(
                    "{expected} accepted (201), the next one ({role}) refused: 429 {}",
                    last.message
                ),
            )
        }
        Some(last) if last.code == 201 => (
            Verdict::Fail,
            format!(
                "eviction of {} was accepted beyond the {allowed} that the budget allows",
                last.pod
            ),
        ),
        Some(last) => (
            Verdict::Inconclusive,
            format!(
                "eviction of {} ended without a word of a disruption budget: {} {}",
                last.pod, last.code, last.message
            ),
        ),
        None => (
            Verdict::Inconclusive,
            "no eviction was tried beyond what is allowed".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests;
