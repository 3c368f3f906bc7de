//! The names that the election goes by in this operator.

use lease_election::{
    Annotations, Fence, SettingNames,
    fence::{Advice, PerPolicy},
};

use crate::access::{FENCE, LENIENT_FENCE, OF_LENIENT};

/// What the annotations of the Lease begin with.
pub const ANNOTATIONS: &str = crate::api::GROUP;

/// The annotation of the Lease that carries the holder's process life.
pub const INCARNATION_ANNOTATION: &str = "5spot.finos.org/incarnation";

/// The annotation of the Lease that names the holder's pod with its UID.
pub const HOLDER_POD_ANNOTATION: &str = "5spot.finos.org/holder-pod";

/// What the settings of the election are called.
pub const SETTINGS: SettingNames = SettingNames {
    lease: "LEASE_NAME",
    namespace: "POD_NAMESPACE",
    duration: "LEASE_DURATION_SECONDS",
    renew_deadline: "LEASE_RENEW_DEADLINE_SECONDS",
    retry_period: "LEASE_RETRY_PERIOD_SECONDS",
    termination_log: "TERMINATION_LOG",
    hints: "HINT_ADDRESS",
};

/// What to do about a fence that is not in force.
const ADVICE: Advice = Advice {
    install: "apply deploy/fence.yaml, which is what `five-spot fence` prints, or set FENCE_PROBE to \"\" to do without",
    permit: "apply deploy/rbac.yaml",
    name_lease: "paramRef in deploy/fence.yaml must name the Lease of LEASE_NAME",
    know_uid: "POD_UID must be the UID of this pod",
};

/// The names of all annotations.
pub fn annotations() -> Annotations {
    Annotations::with_prefix(ANNOTATIONS)
}

/// The names of the fence's policies.
pub fn policies() -> PerPolicy<String> {
    PerPolicy {
        strict: FENCE.to_owned(),
        lenient: LENIENT_FENCE.to_owned(),
    }
}

/// The fence, tested on the ConfigMap `probe` and on that of this name with [`OF_LENIENT`] after it; not tested without one.
pub fn fence(probe: Option<&str>) -> Fence {
    Fence {
        policies: policies(),
        probes: probe.map(|probe| PerPolicy {
            strict: probe.to_owned(),
            lenient: format!("{probe}{OF_LENIENT}"),
        }),
        advice: ADVICE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_that_others_read_are_those_of_the_election() {
        let names = annotations();
        assert_eq!(names.incarnation, INCARNATION_ANNOTATION);
        assert_eq!(names.holder_pod, HOLDER_POD_ANNOTATION);
    }
}
