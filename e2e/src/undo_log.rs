//! What faults have done to the cluster and still have to undo.
//!
//! A fault that lasts records how to undo it *before* it does it. The log outlives the trial: it is undone when the trial
//! has seen enough, and again at the end of the run, however that ends.

use std::sync::{Mutex, PoisonError};

use http::{Method, Request, header};
use kube::Client;
use serde_json::Value;

use failover_rig::cluster::{Cluster, ClusterError};

/// One way to undo something. Each may be done twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Undo {
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
struct Entry {
    what: String,
    due: Due,
    undo: Undo,
}

/// What is still to be undone.
#[derive(Debug, Default)]
pub struct UndoLog(Mutex<Vec<Entry>>);

/// Something could not be undone. It stays in the log.
#[derive(Debug, thiserror::Error)]
#[error("failed to undo what a fault did: {what}")]
pub struct UndoError {
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

impl UndoLog {
    /// Records how to undo `what`.
    pub fn record(&self, due: Due, what: impl Into<String>, undo: Undo) {
        let entry = Entry {
            what: what.into(),
            due,
            undo,
        };
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What the last trial did once more has to be undone once.
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }

    /// Undoes what is due after a trial, last first, and goes on after a failure; gives the first failure.
    pub async fn undo_trial(&self, cluster: &Cluster, client: &Client) -> Result<(), UndoError> {
        self.undo(Due::AfterTrial, cluster, client).await
    }

    /// Undoes everything that is left, last first, and goes on after a failure; gives the first failure.
    pub async fn undo_all(&self, cluster: &Cluster, client: &Client) -> Result<(), UndoError> {
        let trial = self.undo(Due::AfterTrial, cluster, client).await;
        let run = self.undo(Due::AfterRun, cluster, client).await;
        trial.and(run)
    }

    /// Whether something due after a trial is left.
    pub fn is_clear(&self) -> bool {
        self.due(Due::AfterTrial).is_empty()
    }

    async fn undo(&self, due: Due, cluster: &Cluster, client: &Client) -> Result<(), UndoError> {
        let mut first = Ok(());
        for entry in self.due(due).into_iter().rev() {
            match entry.undo.execute(cluster, client).await {
                Ok(()) => self.remove(&entry),
                Err(source) => {
                    first = first.and(Err(UndoError {
                        what: entry.what.clone(),
                        source,
                    }));
                }
            }
        }
        first
    }

    fn due(&self, due: Due) -> Vec<Entry> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries
            .iter()
            .filter(|entry| entry.due == due)
            .cloned()
            .collect()
    }

    fn remove(&self, done: &Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.retain(|entry| entry != done);
    }
}

impl Undo {
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

    fn delete(path: &str) -> Undo {
        Undo::Delete {
            path: path.to_owned(),
        }
    }

    #[test]
    fn what_is_owed_is_due_at_its_time_and_once() {
        let undo_log = UndoLog::default();
        assert!(undo_log.is_clear());
        undo_log.record(Due::AfterRun, "the annotation", delete("/c"));
        assert!(
            undo_log.is_clear(),
            "the end of the run is not the end of a trial"
        );
        for _ in 0..2 {
            undo_log.record(Due::AfterTrial, "the policy", delete("/a"));
        }
        undo_log.record(Due::AfterTrial, "the binding", delete("/b"));
        let due: Vec<_> = undo_log.due(Due::AfterTrial);
        assert_eq!(due.len(), 2);
        undo_log.remove(&due[1]);
        assert!(!undo_log.is_clear());
        undo_log.remove(&due[0]);
        assert!(undo_log.is_clear());
        assert_eq!(undo_log.due(Due::AfterRun).len(), 1);
    }
}
