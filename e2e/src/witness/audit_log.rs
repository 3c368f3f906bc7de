//! Follows the API server's audit log as it is written.

use std::sync::Arc;

use futures::StreamExt;

use super::WitnessError;
use crate::{
    audit::ApiCall,
    cluster::{ClusterError, LineStream},
    deploy::Target,
    journal::Journal,
    trial::RigFault,
};

/// Records every line, until the log can no longer be followed.
pub(super) async fn record(
    mut lines: LineStream,
    target: Target,
    journal: Arc<Journal>,
) -> WitnessError {
    loop {
        match lines.next().await {
            Some(Ok(line)) => record_line(&line, &target, &journal),
            Some(Err(error)) => return lost(&journal, error),
            // The stream ends with an error; one that ends without is one that was ended.
            None => {
                let command = "tail of the audit log".to_owned();
                let ended = ClusterError::CommandFailed {
                    node: "the node of the API server".to_owned(),
                    command,
                    status: 0,
                    stderr: "its output ended".to_owned(),
                };
                return lost(&journal, ended);
            }
        }
    }
}

fn record_line(line: &str, target: &Target, journal: &Journal) {
    if line.trim().is_empty() {
        return;
    }
    match ApiCall::from_line(line) {
        Ok(Some(mut call)) => {
            // An operator may have more than one Lease; the others are no part of this election.
            if !is_of_target(&call, target) {
                call.lease = None;
            }
            journal.record(|seen| seen.add_call(call, &target.user, target.holder));
        }
        Ok(None) => {}
        Err(error) => journal.rig_fault(RigFault::AuditLost {
            detail: error.to_string(),
        }),
    }
}

/// Whether a call is about the target's Lease. A create may not name it.
fn is_of_target(call: &ApiCall, target: &Target) -> bool {
    call.namespace == target.namespace && (call.name == target.lease || call.name.is_empty())
}

fn lost(journal: &Journal, error: ClusterError) -> WitnessError {
    journal.rig_fault(RigFault::AuditLost {
        detail: error.to_string(),
    });
    WitnessError::AuditLog(error)
}
