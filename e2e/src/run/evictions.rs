//! Evicts replicas until the disruption budget refuses: standbys first, the leader last.

use failover_judging::judge::disruption::{Disruption, evictions_to_try};

use super::steady::Steady;
use crate::context::{
    Scene,
    disruption::{counted, evict},
};

/// Evicts as many replicas as the budget allows, and one more.
pub(super) async fn probe(scene: &Scene<'_>, steady: &Steady, replicas: u32) -> Disruption {
    let deployment = &scene.target.deployment;
    let budgets = counted(scene, replicas).await;
    let many = budgets
        .as_ref()
        .map_or(0, |budgets| evictions_to_try(budgets, replicas, deployment));
    let leader = &steady.leader.name;
    let mut order: Vec<String> = scene.replicas().into_keys().collect();
    order.retain(|name| name != leader);
    order.push(leader.clone());
    let mut evictions = Vec::new();
    for name in order.into_iter().take(many) {
        evictions.push(evict(scene, name, leader).await);
    }
    Disruption::judged(replicas, budgets, evictions, deployment)
}
