//! Why an observer no longer watches.

use failover_rig::cluster::ClusterError;

/// Why an observer no longer watches.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum ObserverError {
    #[error("the audit log can no longer be followed")]
    AuditLog(#[source] ClusterError),
    #[error("the canary is no longer changed")]
    Canary,
    #[error("a watching task ended")]
    Task(#[source] tokio::task::JoinError),
}
