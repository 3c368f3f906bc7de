//! Evicts replicas until the disruption budget refuses: standbys first, the leader last.

use failover_judging::judge::disruption::{Disruption, evictions_to_try};

use super::steady::Steady;
use crate::context::{
    RunContext,
    disruption::{counted, evict},
};

/// Evicts as many replicas as the budget allows, and one more.
pub(super) async fn probe(context: &RunContext<'_>, steady: &Steady, replicas: u32) -> Disruption {
    let deployment = &context.target.deployment;
    let budgets = counted(context, replicas).await;
    let many = budgets
        .as_ref()
        .map_or(0, |budgets| evictions_to_try(budgets, replicas, deployment));
    let leader = &steady.leader.name;
    let mut order: Vec<String> = context.replicas().into_keys().collect();
    order.retain(|name| name != leader);
    order.push(leader.clone());
    let mut evictions = Vec::new();
    for name in order.into_iter().take(many) {
        evictions.push(evict(context, name, leader).await);
    }
    Disruption::judged(replicas, budgets, evictions, deployment)
}
