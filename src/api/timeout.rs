//! Timeouts as users write them: a whole number and one unit.

use std::time::Duration;

/// The longest timeout.
pub(super) const LONGEST: Duration = Duration::from_hours(24);

/// A text that is not a timeout.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} must be a whole number with one unit, s, m or h (for example 5m), of at most 24h"
)]
pub struct InvalidTimeout {
    /// The text as it was written.
    pub text: String,
}

/// Reads a timeout such as `30s`, `5m` or `1h`. Zero is allowed and means: do not wait.
pub fn parse_timeout(text: &str) -> Result<Duration, InvalidTimeout> {
    seconds(text)
        .map(Duration::from_secs)
        .filter(|timeout| *timeout <= LONGEST)
        .ok_or_else(|| InvalidTimeout {
            text: text.to_owned(),
        })
}

fn seconds(text: &str) -> Option<u64> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let factor = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("0s", 0)]
    #[case("30s", 30)]
    #[case("5m", 300)]
    #[case("24h", 86_400)]
    #[case("86400s", 86_400)]
    fn a_timeout_is_a_number_and_a_unit(#[case] text: &str, #[case] seconds: u64) {
        assert_eq!(parse_timeout(text), Ok(Duration::from_secs(seconds)));
    }

    #[rstest]
    #[case("")]
    #[case("s")]
    #[case("5")]
    #[case("+5m")]
    #[case("5 m")]
    #[case("1.5h")]
    #[case("1h30m")]
    #[case("25h")]
    #[case("86401s")]
    #[case("99999999999999999999h")]
    #[case("9999999999999999999h")]
    #[case("5ḿ")]
    fn anything_else_is_named_with_the_rule(#[case] text: &str) {
        let error = parse_timeout(text).unwrap_err();
        assert_eq!(error.text, text);
        assert!(error.to_string().contains("24h"));
    }
}
