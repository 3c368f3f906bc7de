//! What a refusal by the fence looks like.
//!
//! The API server names the policy in the message, and in nothing else. A refusal by RBAC has the same code and may
//! name the same objects, so the whole phrase is looked for.

use kube::core::Status;

use super::policy::{PerPolicy, Policy};

/// What a policy says when the API server's news of the Lease are older than the tester's.
pub const BEHIND: &str = "the API server does not follow the Lease";

/// What a policy says to a test that nobody may pass, when it knows the tester as the holder.
pub const IN_FORCE: &str = "the fence is in force";

/// A write that the API server refused by one of the fence's policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The policy that refused it.
    pub policy: Policy,
    /// What it goes by.
    pub why: Why,
    /// What the API server says.
    pub message: String,
}

/// Why a policy refused a write. Of several reasons the API server tells the first, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The API server's news of the Lease are older than those that the test told of.
    Behind,
    /// The Lease was found, and it does not name the pod of the request.
    NotHolder,
    /// It does, and the test asked to be refused.
    InForce,
    /// The policy could not be evaluated, such as when there is no Lease.
    Undecided,
}

impl Refusal {
    /// The refusal in an answer, if it is one by one of these policies.
    pub fn of(answer: &Status, policies: &PerPolicy<String>) -> Option<Self> {
        // A decision is answered with 403, as the policies ask for. So is no policy that can't be evaluated, nor one
        // whose news are old: that is 422.
        let says = |what: &str| answer.message.contains(what);
        let why = match answer.code {
            403 if says(IN_FORCE) => Why::InForce,
            403 => Why::NotHolder,
            422 if says(BEHIND) => Why::Behind,
            422 => Why::Undecided,
            _ => return None,
        };
        let refused = |policy: &Policy| {
            let name = policies.of(*policy);
            says(&format!("ValidatingAdmissionPolicy '{name}'"))
        };
        let policy = Policy::ALL.into_iter().find(refused)?;
        Some(Self {
            policy,
            why,
            message: answer.message.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::fence::Fence;

    #[rstest]
    #[case::another_holder(
        403,
        "configmaps \"my-fence\" is forbidden: ValidatingAdmissionPolicy 'my-fence' with binding 'my-fence' denied \
         request: only the holder of the Lease may write",
        Some((Policy::Strict, Why::NotHolder))
    )]
    #[case::the_holder_itself(
        403,
        "configmaps \"my-fence\" is forbidden: ValidatingAdmissionPolicy 'my-fence' with binding 'my-fence' denied \
         request: the fence is in force",
        Some((Policy::Strict, Why::InForce))
    )]
    #[case::old_news(
        422,
        "ConfigMap \"my-fence-shared\" is invalid: ValidatingAdmissionPolicy 'my-fence-shared' with binding \
         'my-fence-shared' denied request: the API server does not follow the Lease",
        Some((Policy::Lenient, Why::Behind))
    )]
    #[case::no_lease(
        422,
        "things.example.com \"a\" is forbidden: ValidatingAdmissionPolicy 'my-fence' with binding \
         'my-fence' denied request: failed to configure binding: no params found",
        Some((Policy::Strict, Why::Undecided))
    )]
    #[case::rbac(
        403,
        "configmaps \"my-fence\" is forbidden: User \"system:serviceaccount:n:controller\" cannot patch \
         resource \"configmaps\" in API group \"\" in the namespace \"n\"",
        None
    )]
    #[case::another_policy(
        403,
        "configmaps \"my-fence\" is forbidden: ValidatingAdmissionPolicy 'my-fence-2' denied request: no",
        None
    )]
    #[case::of_the_part_for_what_others_write_too(
        403,
        "nodes \"n\" is forbidden: ValidatingAdmissionPolicy 'my-fence-shared' with binding 'my-fence-shared' denied \
         request: only the holder of the Lease may write",
        Some((Policy::Lenient, Why::NotHolder))
    )]
    #[case::something_else(500, "ValidatingAdmissionPolicy 'my-fence'", None)]
    fn only_a_policy_by_its_name_is_the_fence(
        #[case] code: u16,
        #[case] message: &str,
        #[case] expected: Option<(Policy, Why)>,
    ) {
        let answer = Status::failure(message, "Forbidden").with_code(code);
        let refusal = Refusal::of(
            &answer,
            &Fence::named("my-fence", "my-fence-shared").policies,
        );
        assert_eq!(
            refusal.map(|refusal| (refusal.policy, refusal.why)),
            expected
        );
    }
}
