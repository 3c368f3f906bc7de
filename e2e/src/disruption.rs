//! Whether the disruption budget keeps what it promises: evictions pass while it allows them, and the next is refused.
//!
//! Asked through the eviction API as a drain asks it (<https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>).
//! Standbys are evicted first, the leader is the one that is refused.

use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::{
    ResourceExt,
    api::{EvictParams, ListParams},
    core::{Selector, SelectorExt},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Millis, Stamp},
    scene::Scene,
    steady::Steady,
    verdict::{Check, CheckId, Verdict},
};

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
    let seen = match budgets(scene).await {
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
    if let Err(why) = fit(&seen, replicas, &scene.target.deployment) {
        let check = Check::fail(CheckId::DisruptionBudget, scope, why);
        return Disruption {
            replicas,
            budgets: seen,
            evictions: Vec::new(),
            check,
        };
    }
    let allowed = seen
        .iter()
        .filter(|budget| budget.selects)
        .map(|budget| budget.allowed)
        .min()
        .unwrap_or_default();
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

async fn evict(scene: &Scene<'_>, pod: String, leader: &str) -> Eviction {
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

fn seen(
    budget: &PodDisruptionBudget,
    labels: &std::collections::BTreeMap<String, String>,
) -> BudgetSeen {
    let selector = budget.spec.as_ref().and_then(|spec| spec.selector.clone());
    // An empty selector of policy/v1 selects every pod, a missing one none.
    let selects = selector.is_some_and(|selector| {
        Selector::try_from(selector).is_ok_and(|selector| selector.matches(labels))
    });
    let status = budget.status.clone().unwrap_or_default();
    BudgetSeen {
        name: budget.name_any(),
        selects,
        allowed: status.disruptions_allowed,
        desired_healthy: status.desired_healthy,
        current_healthy: status.current_healthy,
        expected_pods: status.expected_pods,
    }
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

/// Whether the budgets fit the replicas, all of which are Ready.
fn fit(budgets: &[BudgetSeen], replicas: u32, deployment: &str) -> Result<(), String> {
    let selecting: Vec<&BudgetSeen> = budgets.iter().filter(|budget| budget.selects).collect();
    let budget = match selecting.as_slice() {
        [] => return Err(missing(budgets, deployment)),
        [only] => only,
        // The eviction API refuses to choose between two.
        [first, second, ..] => {
            return Err(format!(
                "{} and {} both select the replicas, so no eviction is possible",
                first.name, second.name
            ));
        }
    };
    if budget.expected_pods == 0 {
        return Err(format!("disruption budget {} selects nothing", budget.name));
    }
    if budget.allowed == 0 {
        return Err(format!(
            "disruption budget {} allows no disruption: {} of {} replicas healthy, {} needed; no node of theirs can be drained",
            budget.name, budget.current_healthy, budget.expected_pods, budget.desired_healthy
        ));
    }
    if budget.allowed >= i32::try_from(replicas).unwrap_or(i32::MAX) {
        return Err(format!(
            "disruption budget {} allows to disrupt all {replicas} replicas at once",
            budget.name
        ));
    }
    Ok(())
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
mod tests {
    use super::*;

    fn budget(selects: bool, allowed: i32) -> BudgetSeen {
        BudgetSeen {
            name: "pdb".to_owned(),
            selects,
            allowed,
            desired_healthy: 1,
            current_healthy: 2,
            expected_pods: 2,
        }
    }

    fn eviction(code: u16, by_budget: bool) -> Eviction {
        let message = "Cannot evict pod".to_owned();
        Eviction {
            pod: "a".to_owned(),
            leader: true,
            at: Stamp::from_micros(0),
            took_ms: 1.0,
            code,
            message,
            by_budget,
        }
    }

    #[test]
    fn a_missing_budget_and_one_for_others_fail_by_name() {
        assert!(fit(&[], 2, "x").unwrap_err().contains("there is none"));
        assert!(
            fit(&[budget(false, 1)], 2, "x")
                .unwrap_err()
                .contains("not pdb")
        );
    }

    #[test]
    fn a_budget_that_allows_nothing_or_everything_fails() {
        assert!(
            fit(&[budget(true, 0)], 2, "x")
                .unwrap_err()
                .contains("allows no disruption")
        );
        assert!(
            fit(&[budget(true, 2)], 2, "x")
                .unwrap_err()
                .contains("all 2 replicas")
        );
        assert!(
            fit(
                &[BudgetSeen {
                    expected_pods: 0,
                    ..budget(true, 0)
                }],
                2,
                "x"
            )
            .unwrap_err()
            .contains("selects nothing")
        );
        assert_eq!(fit(&[budget(true, 1)], 2, "x"), Ok(()));
    }

    #[test]
    fn two_budgets_for_the_same_pods_fail() {
        assert!(
            fit(&[budget(true, 1), budget(true, 1)], 2, "x")
                .unwrap_err()
                .contains("both select")
        );
    }

    #[test]
    fn the_second_eviction_must_be_refused_by_the_budget() {
        assert_eq!(
            judge(1, &[eviction(201, false), eviction(429, true)]).0,
            Verdict::Pass
        );
        assert_eq!(
            judge(1, &[eviction(201, false), eviction(201, false)]).0,
            Verdict::Fail
        );
        assert_eq!(judge(1, &[eviction(429, true)]).0, Verdict::Fail);
    }

    #[test]
    fn a_refusal_for_another_reason_shows_nothing() {
        assert_eq!(
            judge(1, &[eviction(201, false), eviction(429, false)]).0,
            Verdict::Inconclusive
        );
        assert_eq!(
            judge(1, &[eviction(201, false), eviction(500, false)]).0,
            Verdict::Inconclusive
        );
    }

    #[rstest::rstest]
    #[case(0, false, Verdict::Inconclusive)]
    #[case(503, false, Verdict::Inconclusive)]
    #[case(429, false, Verdict::Inconclusive)]
    #[case(403, false, Verdict::Fail)]
    fn an_allowed_eviction_that_nobody_answered_is_not_held_against_the_operator(
        #[case] code: u16,
        #[case] by_budget: bool,
        #[case] verdict: Verdict,
    ) {
        assert_eq!(judge(1, &[eviction(code, by_budget)]).0, verdict);
    }
}
