//! Links within the page.

use failover_judging::observed::TrialId;

/// Where the article of a trial is in the page.
pub(super) fn anchor(id: TrialId) -> String {
    format!("trial-{}-{}-{}", id.replicas, id.fault, id.number)
}
