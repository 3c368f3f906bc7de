//! Why an observer no longer watches.

use failover_rig::cluster::ClusterError;

/// Why an observer no longer watches.
#[derive(Debug, thiserror::Error)]
pub enum ObserverError {
    /// The audit log ended.
    #[error("the audit log can no longer be followed")]
    AuditLog(#[source] ClusterError),
    /// The canary is no longer changed.
    #[error("the canary is no longer changed")]
    Canary,
    /// A watching task was lost.
    #[error("a watching task ended")]
    Task(#[source] tokio::task::JoinError),
}
