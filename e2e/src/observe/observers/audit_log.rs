//! Follows the API server's audit log as it is written.

use std::sync::Arc;

use futures::StreamExt;

use super::error::ObserverError;
use crate::{deploy::Target, observe::observations::Observations};
use failover_judging::observed::{ApiCall, RigFault};
use failover_rig::cluster::{ClusterError, LineStream};

/// Records every line, until the log can no longer be followed.
pub(super) async fn record(
    mut lines: LineStream,
    target: Target,
    observations: Arc<Observations>,
) -> ObserverError {
    loop {
        match lines.next().await {
            Some(Ok(line)) => record_line(&line, &target, &observations),
            Some(Err(error)) => return lost(&observations, error),
            // The stream ends with an error; one that ends without is one that was ended.
            None => {
                let command = "tail of the audit log".to_owned();
                let ended = ClusterError::CommandFailed {
                    node: "the node of the API server".to_owned(),
                    command,
                    status: 0,
                    stderr: "its output ended".to_owned(),
                };
                return lost(&observations, ended);
            }
        }
    }
}

fn record_line(line: &str, target: &Target, observations: &Observations) {
    if line.trim().is_empty() {
        return;
    }
    match ApiCall::from_line(line) {
        Ok(Some(call)) => {
            let call = placed(call, target);
            observations.record(|seen| seen.add_call(call, &target.user, target.holder));
        }
        Ok(None) => {}
        Err(error) => observations.rig_fault(RigFault::AuditLost {
            detail: error.to_string(),
        }),
    }
}

/// The call, marked where it is about another Lease than the target's: an operator may have more than one, and the others
/// are no part of this election. A create may not name it.
fn placed(mut call: ApiCall, target: &Target) -> ApiCall {
    let is_of_target =
        call.namespace == target.namespace && (call.name == target.lease || call.name.is_empty());
    if call.is_any_lease() && !is_of_target {
        call.other_lease = true;
        call.lease = None;
    }
    call
}

fn lost(observations: &Observations, error: ClusterError) -> ObserverError {
    observations.rig_fault(RigFault::AuditLost {
        detail: error.to_string(),
    });
    ObserverError::AuditLog(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("5spot-system", "5spot-leader", true)]
    #[case("5spot-system", "", true)]
    #[case("5spot-system", "shard-3", false)]
    #[case("elsewhere", "5spot-leader", false)]
    fn a_lease_of_another_election_is_none_of_this_one(
        #[case] namespace: &str,
        #[case] name: &str,
        #[case] own: bool,
    ) {
        let target = crate::deploy::tests::target();
        let mut call = failover_judging::samples::call("a", "update", "leases");
        namespace.clone_into(&mut call.namespace);
        name.clone_into(&mut call.name);
        let call = placed(call, &target);
        assert_eq!(call.is_lease(), own);
        assert!(call.is_any_lease() && !call.is_work_write());
    }
}
