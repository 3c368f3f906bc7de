//! The parts of a report that belong to no single trial.

use jiff::Timestamp;

use super::RunOptions;
use crate::{context::RunContext, deploy::Switch};
use failover_judging::{
    clock::duration_millis,
    judge::Promise,
    observed::LeaseRecord,
    report::{FORMAT_VERSION, Report, RunInfo},
    settings::LeaseSettings,
    verdict::{Check, CheckId, Verdict},
};

/// A report in which nothing has been found yet.
pub(super) fn begun(
    options: &RunOptions,
    context: &RunContext<'_>,
    promise: Promise,
    began: Timestamp,
) -> Report {
    let choice = context.cluster.choice();
    Report {
        format_version: FORMAT_VERSION,
        verdict: Verdict::Inconclusive,
        why: Vec::new(),
        warnings: Vec::new(),
        run: RunInfo {
            id: context.cluster.run().to_string(),
            harness_version: env!("CARGO_PKG_VERSION").to_owned(),
            began: began.to_string(),
            took_ms: 0.0,
            provider: choice.provider,
            provider_reason: choice.reason.clone(),
            cluster_image: choice.image.as_ref().map(|image| image.reference.clone()),
            kubernetes_version: context.cluster.kubernetes_version().to_owned(),
            image: context.target.image.clone(),
            target: Some(context.target.info()),
            replicas: options.replicas.clone(),
            faults: options.faults.clone(),
            trials: options.precision.trials,
            warm_up: options.precision.warm_up,
            max_trials: (!options.precision.goals.is_empty())
                .then_some(options.precision.max_trials),
            until_confident: Vec::new(),
            gates: Vec::new(),
            baseline: None,
            regression_percent: None,
            seed: options.seed,
            set_env: options.set_env.clone(),
            fence: context.fence,
            hint: options.switches.hint.map(|hint| hint == Switch::On),
            budget: options.budget,
            agents: u32::try_from(context.cluster.agents().len()).unwrap_or(u32::MAX),
            not_observed: context
                .unobserved()
                .iter()
                .map(ToString::to_string)
                .collect(),
        },
        settings: Some(context.settings),
        promise: Some(promise),
        measuring_error_ms: None,
        idle: None,
        disruptions: Vec::new(),
        groups: Vec::new(),
        trials: Vec::new(),
        checks: Vec::new(),
    }
}

/// Whether the slowest takeover that the lease settings allow is within what is promised.
pub(super) fn worst_case(settings: &LeaseSettings, promise: Promise) -> Check {
    let worst = duration_millis(settings.duration());
    let kept = worst <= promise.within_ms;
    let relation = if kept { "within" } else { "not within" };
    Check::of(
        CheckId::WorstCase,
        "lease settings",
        kept,
        format!(
            "LEASE_DURATION_SECONDS={}: a leader lost in silence is replaced after up to {:.1} s, {relation} the promised {:.1} s \
             (--within)",
            settings.duration_seconds,
            worst / 1000.0,
            promise.within_ms / 1000.0
        ),
    )
}

/// That the system did not settle. It is held against the operator only where the rig was in no trouble.
pub(super) fn unsteady(replicas: u32, unsteady: &str, trouble: Option<&str>) -> Check {
    let scope = format!("{replicas} replicas");
    match trouble {
        None => Check::fail(CheckId::SteadyState, scope, unsteady),
        Some(trouble) => {
            let detail = format!("{unsteady}; but {trouble}");
            Check::inconclusive(CheckId::SteadyState, scope, detail)
        }
    }
}

/// What stands in the report of a run until it has come to its end.
pub(super) fn unfinished() -> Check {
    Check::inconclusive(
        CheckId::Evidence,
        "the rest of the run",
        "the run has not come to its end: what is here is what was found until then",
    )
}

/// A single replica can't fail over.
pub(super) fn no_standby() -> Check {
    Check::fail(
        CheckId::Standby,
        "1 replica",
        "1 replica: no standby could take over; every loss of its pod is an outage until it runs again",
    )
}

/// Whether the Lease promises its holder what the Deployment is configured with.
pub(super) fn recorded_duration(
    settings: &LeaseSettings,
    lease: &LeaseRecord,
    replicas: u32,
) -> Check {
    let configured = settings.duration_seconds;
    let scope = format!("{replicas} replicas");
    let Some(recorded) = lease.duration_seconds else {
        let detail = format!(
            "the Lease has no leaseDurationSeconds, the Deployment LEASE_DURATION_SECONDS={configured}"
        );
        return Check::fail(CheckId::LeaseDuration, scope, detail);
    };
    let kept = i64::from(recorded) == i64::from(configured);
    let detail = format!(
        "the Lease has leaseDurationSeconds={recorded}, the Deployment LEASE_DURATION_SECONDS={configured}"
    );
    Check::of(CheckId::LeaseDuration, scope, kept, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::samples::says;

    fn settings(duration_seconds: u32) -> LeaseSettings {
        LeaseSettings {
            duration_seconds,
            renew_deadline_seconds: 10,
            retry_period_seconds: 2,
        }
    }

    #[test]
    fn lease_settings_that_allow_more_than_is_promised_fail_and_are_named() {
        let check = worst_case(
            &settings(30),
            Promise {
                within_ms: 15_000.0,
            },
        );
        assert_eq!(check.verdict, Verdict::Fail);
        says(
            &check.detail,
            &["LEASE_DURATION_SECONDS=30", "15.0 s (--within)"],
        );
        assert_eq!(
            worst_case(
                &settings(15),
                Promise {
                    within_ms: 15_000.0
                }
            )
            .verdict,
            Verdict::Pass
        );
    }

    #[test]
    fn a_lease_must_record_the_configured_duration_and_may_not_leave_it_out() {
        let verdict = |duration_seconds| {
            let lease = LeaseRecord {
                duration_seconds,
                ..LeaseRecord::default()
            };
            recorded_duration(&settings(15), &lease, 2).verdict
        };
        assert_eq!(verdict(Some(15)), Verdict::Pass);
        assert_eq!(verdict(Some(30)), Verdict::Fail);
        assert_eq!(verdict(None), Verdict::Fail);
    }

    #[test]
    fn a_system_that_does_not_settle_on_a_troubled_rig_is_not_held_against_the_operator() {
        let check = |trouble| unsteady(2, "not steady after 105 s: 1 of 2 replicas Ready", trouble);
        assert_eq!(check(None).verdict, Verdict::Fail);
        let excused = check(Some("the audit log was lost"));
        assert_eq!(excused.verdict, Verdict::Inconclusive);
        says(
            &excused.detail,
            &["1 of 2 replicas Ready; but the audit log was lost"],
        );
    }

    #[test]
    fn one_replica_fails_for_want_of_a_standby() {
        assert!(no_standby().detail.starts_with("1 replica: no standby"));
    }
}
