//! Asks for evictions, by the eviction API as a drain asks it
//! (<https://kubernetes.io/docs/concepts/scheduling-eviction/api-eviction/>), and reads the budgets that answer.

use std::time::Duration;

use kube::api::{EvictParams, ListParams};
use tokio::time::{Instant, sleep};

use crate::{context::RunContext, deploy::selects};
use failover_judging::{judge::disruption::BudgetSeen, observed::Eviction};

/// How long the disruption controller gets to count the replicas anew after one of them changed.
const COUNT_LIMIT: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(100);

/// The cause that the API server gives for a refusal by a disruption budget.
const CAUSE: &str = "DisruptionBudget";

/// How many disruptions the budgets that select the replicas allow; `None` when no budget does, an error when the
/// budgets can't be read.
pub async fn allowed(context: &RunContext<'_>) -> Result<Option<i32>, String> {
    Ok(budgets(context)
        .await?
        .iter()
        .filter(|budget| budget.selects)
        .map(|budget| budget.allowed)
        .min())
}

/// Asks once for the eviction of `pod`.
pub async fn evict(context: &RunContext<'_>, pod: String, leader: &str) -> Eviction {
    let at = context.observations.now();
    let answer = context.pods().evict(&pod, &EvictParams::default()).await;
    let took_ms = context.observations.now().since(at);
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

async fn budgets(context: &RunContext<'_>) -> Result<Vec<BudgetSeen>, String> {
    let list = context.budgets().list(&ListParams::default()).await;
    let list = list.map_err(|error| format!("failed to list disruption budgets: {error}"))?;
    Ok(list
        .items
        .iter()
        .map(|budget| {
            let selector = budget.spec.as_ref().and_then(|spec| spec.selector.as_ref());
            BudgetSeen::of(budget, selects(selector, &context.target.selector))
        })
        .collect())
}

/// The budgets once they have counted the replicas, or as they are when time is up.
pub async fn counted(context: &RunContext<'_>, replicas: u32) -> Result<Vec<BudgetSeen>, String> {
    let deadline = Instant::now() + COUNT_LIMIT;
    loop {
        let seen = budgets(context).await?;
        let mut selecting = seen.iter().filter(|budget| budget.selects);
        if Instant::now() > deadline || selecting.all(|budget| budget.has_counted(replicas)) {
            return Ok(seen);
        }
        sleep(PAUSE).await;
    }
}
