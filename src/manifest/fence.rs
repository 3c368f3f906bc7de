//! `deploy/fence.yaml`: the Lease, and the policies by which the API server refuses the work writes of [`RIGHTS`] to all
//! replicas but the holder of the Lease.

use lease_election::{
    fence::{self, Manifest, Policy, Rule},
    settings::LeaseName,
};

use crate::{
    access::{Guard, RIGHTS, Right, SERVICE_ACCOUNT},
    leader,
};

const ABOUT: &str = r#"# The fence: the API server itself refuses what only a leader may write to every replica that does not hold the
# Lease. A leader that was stopped or cut off, and does not know yet that it is none any more, is refused then.
#
# Needs Kubernetes 1.30. Whoever applies it must be allowed to read Leases. It is about the operator's ServiceAccount
# and about no other user. To leave it out, delete its line from kustomization.yaml and set FENCE_PROBE to "" in
# operator.yaml; without ENABLE_LEADER_ELECTION it has to be left out, as nobody holds the Lease then.
#
# Do not delete the bindings to switch the fence off for a while: an API server that has seen no binding for a second
# stops following Leases until it is restarted (kubernetes/kubernetes issue 130887), and a fence that is applied again
# would know the leader of that day and refuse all later ones. Set validationActions of both to [Audit] instead. The
# replicas notice either and say so; while one of them is off, no hint is acted on.
#
# The names of the ServiceAccount, the namespace and the Lease in it must be those of rbac.yaml and operator.yaml.
#
# Generated from src/access.rs by `five-spot fence`; edits are lost."#;

const ABOUT_LEASE: &str = "\
# The Lease that they go by. It is here, and empty, because without it the API server would refuse the status of
# ScheduledMachines to everybody. The operator makes a new one when it is deleted; applying this again changes nothing in
# it.";

/// The fence as YAML, ready to apply, for an operator that elects by this Lease.
pub fn fence_yaml(lease: &LeaseName) -> String {
    let rules: Vec<_> = RIGHTS.iter().filter_map(rule).collect();
    fence::fence_yaml(&Manifest {
        lease,
        account: SERVICE_ACCOUNT,
        policies: &leader::policies(),
        annotations: &leader::annotations(),
        rules: &rules,
        about: ABOUT,
        about_lease: ABOUT_LEASE,
        lease_setting: "LEASE_NAME in operator.yaml.",
        source: "src/access.rs",
    })
}

fn rule(right: &Right) -> Option<Rule<'static>> {
    let policy = match right.guard {
        Guard::None => return None,
        Guard::Strict => Policy::Strict,
        Guard::Lenient => Policy::Lenient,
    };
    Some(Rule {
        policy,
        group: right.group,
        resource: right.resource,
        names: right.names,
        why: right.why,
    })
}
