//! How long a leader and its standbys wait for each other, and the rules between these times.

use std::time::Duration;

use crate::settings::{InvalidSetting, SettingNames};

/// The three durations of an election.
///
/// The order `retry period < renew deadline < lease duration` is what the safety argument rests on, so a value of
/// this type cannot exist without it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    duration: Duration,
    renew_deadline: Duration,
    retry_period: Duration,
}

/// The longest lease that is accepted, in seconds: an hour without a leader is never what somebody meant.
pub(crate) const LONGEST: i64 = 3600;

impl Timing {
    /// Checks the durations, of which the Lease can state whole seconds only.
    ///
    /// # Errors
    /// As for [`Timing::of_seconds`]; parts of a second count as none.
    pub fn new(
        duration: Duration,
        renew_deadline: Duration,
        retry_period: Duration,
    ) -> Result<Self, InvalidSetting> {
        let [duration, renew_deadline, retry_period] = [duration, renew_deadline, retry_period]
            .map(|duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX));
        Self::of_seconds(
            duration,
            renew_deadline,
            retry_period,
            &SettingNames::default(),
        )
    }

    /// Checks the durations as a command line has them, in seconds.
    ///
    /// # Errors
    /// Names the first that breaks a rule, as `names` calls it: the retry period is at least 1, the renew deadline is more
    /// than 1.2 times that, and the duration is more than the deadline and at most an hour.
    pub fn of_seconds(
        duration: i64,
        renew_deadline: i64,
        retry_period: i64,
        names: &SettingNames,
    ) -> Result<Self, InvalidSetting> {
        let refuse = |setting, value: i64, rule| Err(InvalidSetting::new(setting, value, rule));
        if retry_period < 1 {
            let rule = "must be at least 1 second".to_owned();
            return refuse(names.retry_period, retry_period, rule);
        }
        // 1.2 is the jitter that other electors add to the retry period: below it a deadline may leave no second try.
        if i128::from(renew_deadline) * 10 <= i128::from(retry_period) * 12 {
            let rule = format!(
                "must be more than 1.2 times {} ({retry_period})",
                names.retry_period
            );
            return refuse(names.renew_deadline, renew_deadline, rule);
        }
        if duration <= renew_deadline {
            let rule = format!(
                "must be more than {} ({renew_deadline})",
                names.renew_deadline
            );
            return refuse(names.duration, duration, rule);
        }
        if duration > LONGEST {
            let rule = format!("must be at most {LONGEST} seconds");
            return refuse(names.duration, duration, rule);
        }
        let seconds = |value: i64| Duration::from_secs(value.unsigned_abs());
        Ok(Self {
            duration: seconds(duration),
            renew_deadline: seconds(renew_deadline),
            retry_period: seconds(retry_period),
        })
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
    pub(crate) fn call_timeout(&self) -> Duration {
        self.retry_period
    }

    /// How late a take may be acknowledged for a term to begin: half the renew deadline. Where writes take longer than
    /// that, no renewal comes in time either.
    pub(crate) fn take_limit(&self) -> Duration {
        (self.renew_deadline / 2).max(self.retry_period)
    }
}

impl Default for Timing {
    /// 15, 10 and 2 seconds, as of other electors.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_defaults_keep_the_rules() {
        let seconds = Duration::from_secs;
        assert_eq!(
            Timing::new(seconds(15), seconds(10), seconds(2)),
            Ok(Timing::default())
        );
    }

    #[rstest]
    #[case::retry_zero(15, 10, 0, "RETRY is \"0\": must be at least 1 second")]
    #[case::retry_negative(15, 10, -2, "RETRY is \"-2\": must be at least 1 second")]
    #[case::deadline_at_jitter(
        15,
        12,
        10,
        "DEADLINE is \"12\": must be more than 1.2 times RETRY (10)"
    )]
    #[case::duration_at_deadline(10, 10, 2, "DURATION is \"10\": must be more than DEADLINE (10)")]
    #[case::duration_negative(-15, 10, 2, "DURATION is \"-15\": must be more than DEADLINE (10)")]
    #[case::duration_too_long(3601, 10, 2, "DURATION is \"3601\": must be at most 3600 seconds")]
    #[case::no_overflow(
        i64::MAX, i64::MAX - 1, i64::MAX / 2, "DURATION is \"9223372036854775807\": must be at most 3600 seconds"
    )]
    fn durations_out_of_order_are_refused_with_the_setting_the_value_and_the_rule(
        #[case] duration: i64,
        #[case] deadline: i64,
        #[case] retry: i64,
        #[case] message: &str,
    ) {
        let names = SettingNames {
            duration: "DURATION",
            renew_deadline: "DEADLINE",
            retry_period: "RETRY",
            ..SettingNames::default()
        };
        let error = Timing::of_seconds(duration, deadline, retry, &names).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
