//! The settings of the election and the rules between them.

use std::{fmt::Display, time::Duration};

use super::waits::Waits;

/// A setting that breaks a rule. The message names the setting, its value and the rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} is {value:?}: {rule}")]
pub struct InvalidSetting {
    /// The name of the environment variable.
    pub setting: &'static str,
    /// What it was set to; empty where it is missing.
    pub value: String,
    /// What it must be.
    pub rule: String,
}

/// Validated settings of one election.
///
/// The order `retry period < renew deadline < lease duration` is what the safety argument rests on, so a value of
/// this type cannot exist without it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseConfig {
    name: String,
    namespace: String,
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// The longest lease that is accepted: an hour without a leader is never what somebody meant.
pub(super) const LONGEST: i64 = 3600;

impl InvalidSetting {
    pub(crate) fn new(setting: &'static str, value: impl Display, rule: impl Into<String>) -> Self {
        Self {
            setting,
            value: value.to_string(),
            rule: rule.into(),
        }
    }
}

impl LeaseConfig {
    /// Checks the settings, given in seconds as the environment has them.
    ///
    /// # Errors
    /// Names the first setting that breaks a rule: `LEASE_RETRY_PERIOD_SECONDS` is at least 1,
    /// `LEASE_RENEW_DEADLINE_SECONDS` is more than 1.2 times that, and `LEASE_DURATION_SECONDS` is more than the
    /// deadline and at most an hour; the names are legal in Kubernetes.
    pub fn new(
        name: &str,
        namespace: &str,
        duration: i64,
        renew_deadline: i64,
        retry_period: i64,
    ) -> Result<Self, InvalidSetting> {
        if !is_dns_subdomain(name) {
            let rule = "must be a DNS-1123 subdomain: lower-case letters, digits, '-' and '.', at most 253 characters";
            return Err(InvalidSetting::new("LEASE_NAME", name, rule));
        }
        if !is_dns_subdomain(namespace) || namespace.contains('.') || namespace.len() > 63 {
            let rule = "must be the name of a namespace: lower-case letters, digits and '-', at most 63 characters";
            return Err(InvalidSetting::new("POD_NAMESPACE", namespace, rule));
        }
        if retry_period < 1 {
            return Err(InvalidSetting::new(
                "LEASE_RETRY_PERIOD_SECONDS",
                retry_period,
                "must be at least 1 second",
            ));
        }
        // 1.2 is the jitter that other electors add to the retry period: below it a deadline may leave no second try.
        if i128::from(renew_deadline) * 10 <= i128::from(retry_period) * 12 {
            let rule =
                format!("must be more than 1.2 times LEASE_RETRY_PERIOD_SECONDS ({retry_period})");
            return Err(InvalidSetting::new(
                "LEASE_RENEW_DEADLINE_SECONDS",
                renew_deadline,
                rule,
            ));
        }
        if duration <= renew_deadline {
            let rule = format!("must be more than LEASE_RENEW_DEADLINE_SECONDS ({renew_deadline})");
            return Err(InvalidSetting::new(
                "LEASE_DURATION_SECONDS",
                duration,
                rule,
            ));
        }
        if duration > LONGEST {
            let rule = format!("must be at most {LONGEST} seconds");
            return Err(InvalidSetting::new(
                "LEASE_DURATION_SECONDS",
                duration,
                rule,
            ));
        }
        let seconds = |value: i64| Duration::from_secs(value.unsigned_abs());
        Ok(Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            duration: seconds(duration),
            renew_deadline: seconds(renew_deadline),
            retry_period: seconds(retry_period),
        })
    }

    /// Name of the Lease.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Namespace of the Lease, which is the pod's own.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// How long the Lease is valid after a renewal: how long a silent leader is waited for.
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// How long a leader goes on without an acknowledged renewal.
    pub fn renew_deadline(&self) -> Duration {
        self.renew_deadline
    }

    /// How often the leader renews, and how often a standby reads the Lease when its watch is silent.
    pub fn retry_period(&self) -> Duration {
        self.retry_period
    }

    /// How long a call may take at first, before any was slow. A call that is lost costs one retry, not the term.
    pub fn call_timeout(&self) -> Duration {
        self.retry_period
    }

    /// How late a take may be acknowledged for a term to begin: half the renew deadline. Where writes take longer than
    /// that, no renewal comes in time either.
    pub(super) fn take_limit(&self) -> Duration {
        (self.renew_deadline / 2).max(self.retry_period)
    }

    /// How long this replica waits for others.
    pub(super) fn waits(&self) -> Waits {
        // A standby needs the duration and up to two retry periods by its own clock, which may be as much slower than
        // this replica's as the rates may differ at most.
        let needed = self.duration + self.retry_period * 2;
        Waits {
            duration: self.duration,
            retry_period: self.retry_period,
            leave: needed.mul_f64(self.duration.as_secs_f64() / self.renew_deadline.as_secs_f64()),
        }
    }
}

impl Default for LeaseConfig {
    /// The settings of the documentation.
    fn default() -> Self {
        Self {
            name: "5spot-leader".to_owned(),
            namespace: "5spot-system".to_owned(),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

fn is_dns_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_defaults_of_the_documentation_are_accepted() {
        let config = LeaseConfig::new("5spot-leader", "5spot-system", 15, 10, 2).unwrap();
        assert_eq!(config, LeaseConfig::default());
    }

    #[test]
    fn what_is_left_to_others_is_longer_than_they_need_by_the_slowest_clock_that_is_allowed() {
        let waits = LeaseConfig::default().waits();
        // 15 + 2 * 2 seconds on a clock that goes 15 : 10 slower.
        assert_eq!(waits.leave, Duration::from_millis(28_500));
    }

    #[rstest]
    #[case::retry_zero(
        15,
        10,
        0,
        "LEASE_RETRY_PERIOD_SECONDS is \"0\": must be at least 1 second"
    )]
    #[case::retry_negative(15, 10, -2, "LEASE_RETRY_PERIOD_SECONDS is \"-2\": must be at least 1 second")]
    #[case::deadline_at_jitter(
        15,
        12,
        10,
        "LEASE_RENEW_DEADLINE_SECONDS is \"12\": must be more than 1.2 times LEASE_RETRY_PERIOD_SECONDS (10)"
    )]
    #[case::duration_at_deadline(
        10,
        10,
        2,
        "LEASE_DURATION_SECONDS is \"10\": must be more than LEASE_RENEW_DEADLINE_SECONDS (10)"
    )]
    #[case::duration_negative(-15, 10, 2, "LEASE_DURATION_SECONDS is \"-15\": must be more than LEASE_RENEW_DEADLINE_SECONDS (10)")]
    #[case::duration_too_long(
        3601,
        10,
        2,
        "LEASE_DURATION_SECONDS is \"3601\": must be at most 3600 seconds"
    )]
    #[case::no_overflow(i64::MAX, i64::MAX - 1, i64::MAX / 2, "LEASE_DURATION_SECONDS is \"9223372036854775807\": must be at most 3600 seconds")]
    fn durations_out_of_order_are_refused_with_the_setting_the_value_and_the_rule(
        #[case] duration: i64,
        #[case] deadline: i64,
        #[case] retry: i64,
        #[case] message: &str,
    ) {
        let error = LeaseConfig::new("l", "n", duration, deadline, retry).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[rstest]
    #[case::empty("", "n", "LEASE_NAME")]
    #[case::upper("Leader", "n", "LEASE_NAME")]
    #[case::slash("a/b", "n", "LEASE_NAME")]
    #[case::dash("-a", "n", "LEASE_NAME")]
    #[case::namespace_dot("a", "n.m", "POD_NAMESPACE")]
    #[case::namespace_empty("a", "", "POD_NAMESPACE")]
    fn names_that_kubernetes_refuses_are_refused_at_start(
        #[case] name: &str,
        #[case] namespace: &str,
        #[case] setting: &str,
    ) {
        assert_eq!(
            LeaseConfig::new(name, namespace, 15, 10, 2)
                .unwrap_err()
                .setting,
            setting
        );
    }
}
