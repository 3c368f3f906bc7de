//! What faults have done to the cluster and still have to undo.
//!
//! A fault that lasts writes down how to undo it *before* it does it. The list outlives the trial: it is settled when
//! the trial has seen enough, and again at the end of the run, however that ends.

use std::sync::{Mutex, PoisonError};

use http::{Method, Request, header};
use kube::Client;
use serde_json::Value;

use failover_rig::cluster::{Cluster, ClusterError};

/// One way to undo something. Each may be done twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Repair {
    /// Run a command on a node.
    OnNode {
        /// The node.
        node: String,
        /// The command.
        command: Vec<String>,
    },
    /// Start an agent again that was cut off or killed.
    RestartNode {
        /// The node.
        node: String,
    },
    /// Delete the object at a path of the API; it may be gone already.
    Delete {
        /// The path.
        path: String,
    },
    /// Merge a change into the object at a path of the API.
    Merge {
        /// The path.
        path: String,
        /// The change.
        change: Value,
    },
}

/// When something has to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// As soon as the trial has seen enough.
    AfterTrial,
    /// When the run ends.
    AfterRun,
}

#[derive(Clone, Debug, PartialEq)]
struct Owed {
    what: String,
    due: Due,
    repair: Repair,
}

/// What is still to be undone.
#[derive(Debug, Default)]
pub struct Repairs(Mutex<Vec<Owed>>);

/// Something could not be undone. It stays on the list.
#[derive(Debug, thiserror::Error)]
#[error("failed to undo what a fault did: {what}")]
pub struct RepairError {
    what: String,
    #[source]
    source: Cause,
}

/// Why something could not be undone.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// The node refused.
    #[error(transparent)]
    Node(#[from] ClusterError),
    /// The API server refused.
    #[error(transparent)]
    Api(#[from] Box<kube::Error>),
    /// The request could not be built.
    #[error(transparent)]
    Build(#[from] http::Error),
}

impl Repairs {
    /// Writes down how to undo `what`.
    pub fn owe(&self, due: Due, what: impl Into<String>, repair: Repair) {
        let owed = Owed {
            what: what.into(),
            due,
            repair,
        };
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What the last trial did once more has to be undone once.
        if !list.contains(&owed) {
            list.push(owed);
        }
    }

    /// Undoes what is due after a trial, last first, and goes on after a failure; gives the first failure.
    pub async fn settle_trial(
        &self,
        cluster: &Cluster,
        client: &Client,
    ) -> Result<(), RepairError> {
        self.settle(Due::AfterTrial, cluster, client).await
    }

    /// Undoes everything that is left, last first, and goes on after a failure; gives the first failure.
    pub async fn settle_all(&self, cluster: &Cluster, client: &Client) -> Result<(), RepairError> {
        let trial = self.settle(Due::AfterTrial, cluster, client).await;
        let run = self.settle(Due::AfterRun, cluster, client).await;
        trial.and(run)
    }

    /// Whether something due after a trial is left.
    pub fn is_clear(&self) -> bool {
        self.due(Due::AfterTrial).is_empty()
    }

    async fn settle(
        &self,
        due: Due,
        cluster: &Cluster,
        client: &Client,
    ) -> Result<(), RepairError> {
        let mut first = Ok(());
        for owed in self.due(due).into_iter().rev() {
            match owed.repair.execute(cluster, client).await {
                Ok(()) => self.strike_off(&owed),
                Err(source) => {
                    first = first.and(Err(RepairError {
                        what: owed.what.clone(),
                        source,
                    }));
                }
            }
        }
        first
    }

    fn due(&self, due: Due) -> Vec<Owed> {
        let list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.iter()
            .filter(|owed| owed.due == due)
            .cloned()
            .collect()
    }

    fn strike_off(&self, done: &Owed) {
        let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|owed| owed != done);
    }
}

impl Repair {
    /// A command on a node.
    pub fn on_node(node: &str, command: &[&str]) -> Self {
        Self::OnNode {
            node: node.to_owned(),
            command: command.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    async fn execute(&self, cluster: &Cluster, client: &Client) -> Result<(), Cause> {
        match self {
            Self::OnNode { node, command } => {
                let words: Vec<&str> = command.iter().map(String::as_str).collect();
                // A command that fails found nothing left to undo: the process or the pod is gone.
                cluster.on_node(node, &words).await?;
                Ok(())
            }
            Self::RestartNode { node } => Ok(cluster.restart_node(node).await?),
            Self::Delete { path } => {
                let request = Request::builder().method(Method::DELETE).uri(path);
                match client.request_text(request.body(Vec::new())?).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
                    other => Ok(other.map(drop).map_err(Box::new)?),
                }
            }
            Self::Merge { path, change } => {
                let request = Request::builder()
                    .method(Method::PATCH)
                    .uri(path)
                    .header(header::CONTENT_TYPE, "application/merge-patch+json")
                    .body(change.to_string().into_bytes())?;
                Ok(client
                    .request_text(request)
                    .await
                    .map(drop)
                    .map_err(Box::new)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delete(path: &str) -> Repair {
        Repair::Delete {
            path: path.to_owned(),
        }
    }

    #[test]
    fn what_is_owed_is_due_at_its_time_and_once() {
        let repairs = Repairs::default();
        assert!(repairs.is_clear());
        repairs.owe(Due::AfterRun, "the annotation", delete("/c"));
        assert!(
            repairs.is_clear(),
            "the end of the run is not the end of a trial"
        );
        for _ in 0..2 {
            repairs.owe(Due::AfterTrial, "the policy", delete("/a"));
        }
        repairs.owe(Due::AfterTrial, "the binding", delete("/b"));
        let due: Vec<_> = repairs.due(Due::AfterTrial);
        assert_eq!(due.len(), 2);
        repairs.strike_off(&due[1]);
        assert!(!repairs.is_clear());
        repairs.strike_off(&due[0]);
        assert!(repairs.is_clear());
        assert_eq!(repairs.due(Due::AfterRun).len(), 1);
    }
}
