//! The election settings of a target: as its Deployment has them, as the user gives them, or as its Lease records them.

use std::{str::FromStr, time::Duration};

use clap::Args;
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease};
use kube::{Api, Client};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{
    Target,
    container::{DURATION, RENEW_DEADLINE, RETRY_PERIOD, containers, elected, variable},
    seconds::Seconds,
};
use failover_judging::{observed::LeaseRecord, settings::LeaseSettings};

/// How long a Lease may take to be held after the Deployment was made.
const HELD_LIMIT: Duration = Duration::from_secs(90);

/// Where the lease duration is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseDuration {
    /// It is given.
    Fixed(Seconds),
    /// The Lease records it while it is held.
    FromLease,
}

/// Election settings that the user gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Args, Deserialize, JsonSchema)]
#[command(next_help_heading = "Target")]
#[serde(deny_unknown_fields, default)]
pub struct GivenSettings {
    /// How long a silent holder is left alone, in whole seconds such as 15s; lease reads it from the Lease [default:
    /// `LEASE_DURATION_SECONDS` of the container]
    #[arg(long, value_name = "TIME")]
    pub lease_duration: Option<LeaseDuration>,
    /// When a leader that can't renew gives up [default: `LEASE_RENEW_DEADLINE_SECONDS` of the container]
    #[arg(long, value_name = "TIME")]
    pub renew_deadline: Option<Seconds>,
    /// Time between renewals, and between the looks of a standby [default: `LEASE_RETRY_PERIOD_SECONDS` of the container]
    #[arg(long, value_name = "TIME")]
    pub retry_period: Option<Seconds>,
}

/// Why the election settings are not known.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum SettingsError {
    #[error(
        "Deployment {deployment}: its container {container} has no variable {variable}, so {flag} (target.election.{key} in \
         failover.toml) must be given"
    )]
    Missing {
        deployment: String,
        container: String,
        variable: &'static str,
        flag: &'static str,
        key: &'static str,
    },
    #[error(
        "{flag} (target.election.{key} in failover.toml) must be left out, because Deployment {deployment} has {variable}={value}"
    )]
    Twice {
        deployment: String,
        variable: &'static str,
        value: String,
        flag: &'static str,
        key: &'static str,
    },
    #[error("Deployment {deployment}: {name}={value} must be a whole number of seconds above 0")]
    NotSeconds {
        deployment: String,
        name: &'static str,
        value: String,
    },
    #[error("Deployment {deployment}: {shorter} must be {rule} {longer}")]
    Order {
        deployment: String,
        shorter: String,
        rule: &'static str,
        longer: String,
    },
    #[error(
        "the lease duration is to be read from the Lease {lease}, but {why} (waited for {} s)",
        HELD_LIMIT.as_secs()
    )]
    Lease {
        lease: String,
        why: String,
        #[source]
        source: Option<Box<kube::Error>>,
    },
}

impl SettingsError {
    /// Whether the user's input is at fault.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Lease { .. })
    }
}

impl FromStr for LeaseDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "lease" {
            return Ok(Self::FromLease);
        }
        text.parse()
            .map(Self::Fixed)
            .map_err(|rule| format!("{rule}, or \"lease\", which reads it from the Lease"))
    }
}

/// The settings as far as they are known without the Lease: a duration of `None` is to be read from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    duration: Option<u32>,
    renew_deadline: u32,
    retry_period: u32,
}

impl GivenSettings {
    /// These, or else the others, one by one.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            lease_duration: self.lease_duration.or(other.lease_duration),
            renew_deadline: self.renew_deadline.or(other.renew_deadline),
            retry_period: self.retry_period.or(other.retry_period),
        }
    }

    /// The election settings of the target, whose Deployment is as it is in the cluster.
    pub async fn settle(
        &self,
        client: &Client,
        deployment: &Deployment,
        target: &Target,
    ) -> Result<LeaseSettings, SettingsError> {
        let known = self.known(deployment, target)?;
        let duration_seconds = match known.duration {
            Some(seconds) => seconds,
            None => recorded(client, target).await?,
        };
        known.check_order(&target.deployment, Some(duration_seconds))?;
        Ok(LeaseSettings {
            duration_seconds,
            renew_deadline_seconds: known.renew_deadline,
            retry_period_seconds: known.retry_period,
        })
    }

    /// Whether these settings fit the Deployment, before anything is put into a cluster.
    pub fn check(&self, deployment: &Deployment, target: &Target) -> Result<(), SettingsError> {
        let known = self.known(deployment, target)?;
        known.check_order(&target.deployment, known.duration)
    }

    fn known(&self, deployment: &Deployment, target: &Target) -> Result<Known, SettingsError> {
        let container = elected(containers(deployment), Some(&target.container));
        let one = |variable_name, flag, key, given: Option<u32>| {
            let value = container.and_then(|container| variable(container, variable_name));
            let name = || target.deployment.clone();
            match (value, given) {
                (None, Some(given)) => Ok(given),
                (None, None) => Err(SettingsError::Missing {
                    deployment: name(),
                    container: target.container.clone(),
                    variable: variable_name,
                    flag,
                    key,
                }),
                (Some(value), Some(_)) => Err(SettingsError::Twice {
                    deployment: name(),
                    variable: variable_name,
                    value: value.to_owned(),
                    flag,
                    key,
                }),
                (Some(value), None) => seconds(value).ok_or_else(|| SettingsError::NotSeconds {
                    deployment: name(),
                    name: variable_name,
                    value: value.to_owned(),
                }),
            }
        };
        let (duration_flag, duration_key) = ("--lease-duration", "lease_duration");
        let duration = match self.lease_duration {
            // Given as 0 only to be refused beside a variable.
            Some(LeaseDuration::FromLease) => {
                one(DURATION, duration_flag, duration_key, Some(0)).map(|_| None)?
            }
            Some(LeaseDuration::Fixed(given)) => {
                Some(one(DURATION, duration_flag, duration_key, Some(given.0))?)
            }
            None => Some(one(DURATION, duration_flag, duration_key, None)?),
        };
        Ok(Known {
            duration,
            renew_deadline: one(
                RENEW_DEADLINE,
                "--renew-deadline",
                "renew_deadline",
                self.renew_deadline.map(|given| given.0),
            )?,
            retry_period: one(
                RETRY_PERIOD,
                "--retry-period",
                "retry_period",
                self.retry_period.map(|given| given.0),
            )?,
        })
    }
}

impl Known {
    /// Limits that follow from settings in another order would be nonsense, and so would a verdict by them. A deadline
    /// equal to the duration is the latest that is safe, and what `failover init` writes.
    fn check_order(&self, deployment: &str, duration: Option<u32>) -> Result<(), SettingsError> {
        let deadline = described(
            "--renew-deadline",
            "renew_deadline",
            RENEW_DEADLINE,
            self.renew_deadline,
        );
        let refused = |shorter, rule, longer| {
            Err(SettingsError::Order {
                deployment: deployment.to_owned(),
                shorter,
                rule,
                longer,
            })
        };
        if self.retry_period >= self.renew_deadline {
            let retry = described(
                "--retry-period",
                "retry_period",
                RETRY_PERIOD,
                self.retry_period,
            );
            return refused(retry, "shorter than", deadline);
        }
        match duration {
            Some(duration) if self.renew_deadline > duration => {
                let duration = described("--lease-duration", "lease_duration", DURATION, duration);
                refused(deadline, "no longer than", duration)
            }
            _ => Ok(()),
        }
    }
}

fn described(flag: &str, key: &str, variable: &str, seconds: u32) -> String {
    format!("{flag}={seconds}s (target.election.{key} in failover.toml, or {variable})")
}

fn seconds(value: &str) -> Option<u32> {
    value.parse().ok().filter(|seconds: &u32| *seconds > 0)
}

/// The duration that the Lease records, as soon as somebody holds it: an elector may shorten that of a Lease that it
/// releases.
async fn recorded(client: &Client, target: &Target) -> Result<u32, SettingsError> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), &target.namespace);
    let deadline = Instant::now() + HELD_LIMIT;
    loop {
        let (why, source) = match leases.get_opt(&target.lease).await {
            Ok(Some(lease)) => match held_for(&LeaseRecord::from(&lease)) {
                Ok(seconds) => return Ok(seconds),
                Err(why) => (why, None),
            },
            Ok(None) => ("there is none".to_owned(), None),
            Err(error) => ("it can't be read".to_owned(), Some(Box::new(error))),
        };
        if Instant::now() > deadline {
            return Err(SettingsError::Lease {
                lease: target.lease.clone(),
                why,
                source,
            });
        }
        sleep(Duration::from_millis(250)).await;
    }
}

fn held_for(lease: &LeaseRecord) -> Result<u32, String> {
    if lease.is_free() {
        return Err("nobody holds it".to_owned());
    }
    let seconds = lease
        .duration_seconds
        .and_then(|seconds| u32::try_from(seconds).ok());
    seconds
        .filter(|seconds| *seconds > 0)
        .ok_or_else(|| "it has no leaseDurationSeconds".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::target::tests::{deployment, target};
    use failover_judging::samples::says;

    const FOREIGN: GivenSettings = GivenSettings {
        lease_duration: Some(LeaseDuration::Fixed(Seconds(30))),
        renew_deadline: Some(Seconds(20)),
        retry_period: Some(Seconds(5)),
    };

    /// The Deployment without its variables for the election.
    fn silent() -> Deployment {
        let mut deployment = deployment();
        let spec = deployment.spec.as_mut().unwrap();
        let pod = spec.template.spec.as_mut().unwrap();
        pod.containers[0].env = None;
        deployment
    }

    #[test]
    fn the_variables_of_the_deployment_tell() {
        let known = GivenSettings::default().known(&deployment(), &target());
        assert_eq!(
            known.unwrap(),
            Known {
                duration: Some(15),
                renew_deadline: 10,
                retry_period: 2
            }
        );
    }

    #[test]
    fn where_there_are_none_the_user_tells_or_the_lease() {
        let known = FOREIGN.known(&silent(), &target()).unwrap();
        assert_eq!((known.duration, known.retry_period), (Some(30), 5));
        let by_lease = GivenSettings {
            lease_duration: Some(LeaseDuration::FromLease),
            ..FOREIGN
        };
        assert_eq!(by_lease.known(&silent(), &target()).unwrap().duration, None);
    }

    #[test]
    fn what_nobody_tells_is_named_with_its_flag_and_key() {
        let error = GivenSettings::default()
            .check(&silent(), &target())
            .unwrap_err();
        assert!(error.is_usage());
        let message = error.to_string();
        says(
            &message,
            &[
                "LEASE_DURATION_SECONDS",
                "--lease-duration",
                "target.election.lease_duration",
            ],
        );
    }

    #[rstest::rstest]
    #[case(LeaseDuration::FromLease)]
    #[case(LeaseDuration::Fixed(Seconds(15)))]
    fn what_both_tell_is_refused(#[case] lease_duration: LeaseDuration) {
        let given = GivenSettings {
            lease_duration: Some(lease_duration),
            ..GivenSettings::default()
        };
        says(
            &given.check(&deployment(), &target()).unwrap_err(),
            &["--lease-duration", "LEASE_DURATION_SECONDS=15"],
        );
    }

    #[test]
    fn a_variable_that_is_no_number_is_named_with_its_value() {
        let mut deployment = deployment();
        let spec = deployment.spec.as_mut().unwrap();
        let env = spec.template.spec.as_mut().unwrap().containers[0]
            .env
            .as_mut();
        for variable in env.unwrap() {
            if variable.name == DURATION {
                variable.value = Some("soon".to_owned());
            }
        }
        says(
            &GivenSettings::default()
                .check(&deployment, &target())
                .unwrap_err(),
            &["LEASE_DURATION_SECONDS=soon"],
        );
    }

    #[rstest::rstest]
    #[case::renews_too_rarely(10, 10, 15, &["--retry-period=10s", "--renew-deadline=10s", "target.election.retry_period"])]
    #[case::gives_up_too_late(2, 16, 15, &["--renew-deadline=16s", "--lease-duration=15s", "target.election.lease_duration"])]
    fn settings_in_an_order_that_no_election_has_are_refused_with_both(
        #[case] retry: u32,
        #[case] deadline: u32,
        #[case] duration: u32,
        #[case] named: &[&str],
    ) {
        let given = GivenSettings {
            lease_duration: Some(LeaseDuration::Fixed(Seconds(duration))),
            renew_deadline: Some(Seconds(deadline)),
            retry_period: Some(Seconds(retry)),
        };
        let error = given.check(&silent(), &target()).unwrap_err();
        assert!(error.is_usage());
        let message = error.to_string();
        says(&message, named);
    }

    #[test]
    fn a_deadline_may_be_the_duration_and_is_held_against_it_when_the_lease_told() {
        let known = Known {
            duration: None,
            renew_deadline: 15,
            retry_period: 2,
        };
        assert!(known.check_order("d", None).is_ok());
        assert!(known.check_order("d", Some(15)).is_ok());
        assert!(known.check_order("d", Some(14)).is_err());
    }

    #[test]
    fn only_a_lease_that_is_held_tells_its_duration() {
        let mut lease = LeaseRecord {
            duration_seconds: Some(1),
            ..LeaseRecord::default()
        };
        says(&held_for(&lease).unwrap_err(), &["nobody holds"]);
        lease.holder = "a".to_owned();
        lease.duration_seconds = Some(15);
        assert_eq!(held_for(&lease), Ok(15));
        lease.duration_seconds = None;
        assert!(held_for(&lease).is_err());
    }

    #[rstest::rstest]
    #[case("15s", LeaseDuration::Fixed(Seconds(15)))]
    #[case("lease", LeaseDuration::FromLease)]
    fn a_duration_is_given_or_read_from_the_lease(
        #[case] text: &str,
        #[case] expected: LeaseDuration,
    ) {
        assert_eq!(text.parse(), Ok(expected));
    }

    #[rstest::rstest]
    #[case("1500ms")]
    #[case("0s")]
    #[case("soon")]
    fn a_duration_that_is_no_whole_seconds_is_refused_with_its_rule(#[case] text: &str) {
        let rule = text.parse::<LeaseDuration>().unwrap_err();
        assert!(rule.contains(text), "{rule}");
        says(&rule, &["or \"lease\""]);
    }
}
