//! Whether the disruption budget keeps what it promises: evictions pass while it allows them, and the next is refused.
//!
//! How many must pass follows from the budget's own rule: with R replicas `minAvailable: 1` allows R-1 at a time, and
//! `maxUnavailable: 1` a single one.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    observed::Eviction,
    verdict::{Check, CheckId, Verdict},
};

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

impl Disruption {
    /// Judges the evictions that were tried with `replicas` replicas, all of which were Ready, against the budgets of the
    /// namespace as they were before, or why those can't be read.
    pub fn judged(
        replicas: u32,
        budgets: Result<Vec<BudgetSeen>, String>,
        evictions: Vec<Eviction>,
        deployment: &str,
    ) -> Self {
        let id = CheckId::DisruptionBudget;
        let scope = format!("{replicas} replicas, evictions");
        let (budgets, check) = match budgets {
            Ok(budgets) => {
                let check = match fit(&budgets, replicas, deployment) {
                    Ok(budget) => {
                        let (verdict, detail) = judge(budget.allowed, &evictions);
                        Check {
                            id,
                            scope,
                            verdict,
                            detail: format!("{}{detail}", budget.arithmetic()),
                        }
                    }
                    Err(Unfit::Budget(why)) => Check::fail(id, scope, why),
                    Err(Unfit::Count(why)) => Check::inconclusive(id, scope, why),
                };
                (budgets, check)
            }
            Err(why) => (Vec::new(), Check::inconclusive(id, scope, why)),
        };
        Self {
            replicas,
            budgets,
            evictions,
            check,
        }
    }
}

/// How many evictions are to be tried: one more than the budget allows, and none where no budget fits the replicas.
pub fn evictions_to_try(budgets: &[BudgetSeen], replicas: u32, deployment: &str) -> usize {
    fit(budgets, replicas, deployment).map_or(0, |budget| {
        usize::try_from(budget.allowed).unwrap_or_default() + 1
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
    Budget(String),
    /// What the budget says of itself is not what its rule says.
    Count(String),
}

impl BudgetSeen {
    /// A budget of the namespace; `selects` says whether it selects the replicas.
    pub fn of(budget: &PodDisruptionBudget, selects: bool) -> Self {
        let spec = budget.spec.clone().unwrap_or_default();
        let status = budget.status.clone().unwrap_or_default();
        Self {
            name: budget.metadata.name.clone().unwrap_or_default(),
            selects,
            allowed: status.disruptions_allowed,
            desired_healthy: status.desired_healthy,
            current_healthy: status.current_healthy,
            expected_pods: status.expected_pods,
            rule: rule(&spec),
            allowed_by_rule: allowed_by_rule(&spec, status.expected_pods),
        }
    }

    /// Whether the disruption controller has counted this many replicas.
    pub fn has_counted(&self, replicas: u32) -> bool {
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
