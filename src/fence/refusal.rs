//! What a refusal by the fence looks like.
//!
//! The API server names the policy in the message, and in nothing else. A refusal by RBAC has the same code and may
//! name the same objects, so the whole phrase is looked for.

use kube::core::Status;

use crate::access::{FENCE, LENIENT_FENCE};

/// What the policy says when the API server's news of the Lease are older than the tester's.
pub(crate) const BEHIND: &str = "the API server does not follow the Lease";

/// A write that the API server refused by the fence's policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Whether the policy came to a decision: the Lease was found and names another holder. Otherwise the policy denied
    /// because it could not be evaluated, such as when there is no Lease.
    pub is_decision: bool,
    /// What the API server says.
    pub message: String,
}

impl Refusal {
    /// Whether it was refused because the API server's news of the Lease are old.
    pub fn is_behind(&self) -> bool {
        !self.is_decision && self.message.contains(BEHIND)
    }

    /// The refusal in an answer, if it is one.
    pub fn of(answer: &Status) -> Option<Self> {
        // A decision is answered with 403, as the policy asks for, and a policy that can't be evaluated with 422.
        let is_decision = match answer.code {
            403 => true,
            422 => false,
            _ => return None,
        };
        let is_of = |policy: &str| {
            let policy = format!("ValidatingAdmissionPolicy '{policy}'");
            answer.message.contains(&policy)
        };
        (is_of(FENCE) || is_of(LENIENT_FENCE)).then(|| Self {
            is_decision,
            message: answer.message.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::holder(
        403,
        "configmaps \"5spot-fence\" is forbidden: ValidatingAdmissionPolicy '5spot-fence' with binding '5spot-fence' denied \
         request: only the holder of the Lease may write",
        Some(true)
    )]
    #[case::no_lease(
        422,
        "scheduledmachines.5spot.finos.org \"a\" is forbidden: ValidatingAdmissionPolicy '5spot-fence' with binding \
         '5spot-fence' denied request: failed to configure binding: no params found",
        Some(false)
    )]
    #[case::rbac(
        403,
        "configmaps \"5spot-fence\" is forbidden: User \"system:serviceaccount:5spot-system:5spot-controller\" cannot patch \
         resource \"configmaps\" in API group \"\" in the namespace \"5spot-system\"",
        None
    )]
    #[case::another_policy(
        403,
        "configmaps \"5spot-fence\" is forbidden: ValidatingAdmissionPolicy '5spot-fence-2' denied request: no",
        None
    )]
    #[case::of_the_part_for_what_others_write_too(
        403,
        "nodes \"n\" is forbidden: ValidatingAdmissionPolicy '5spot-fence-shared' with binding '5spot-fence-shared' denied \
         request: only the holder of the Lease may write",
        Some(true)
    )]
    #[case::something_else(500, "ValidatingAdmissionPolicy '5spot-fence'", None)]
    fn only_the_policy_by_its_name_is_the_fence(
        #[case] code: u16,
        #[case] message: &str,
        #[case] is_decision: Option<bool>,
    ) {
        let answer = Status::failure(message, "Forbidden").with_code(code);
        let refusal = Refusal::of(&answer);
        assert_eq!(refusal.map(|refusal| refusal.is_decision), is_decision);
    }
}
