//! An error with its causes, on one line.

use std::{error::Error, fmt};

/// Displays an error and, after a colon each, everything that caused it.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = self.0.to_string();
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some libraries repeat the cause in their own text.
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        f.write_str(&line)
    }
}

impl fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("failed to renew")]
    struct Outer(#[source] std::num::ParseIntError);

    #[derive(Debug, thiserror::Error)]
    #[error("failed to renew: {0}")]
    struct Repeating(#[source] std::num::ParseIntError);

    #[test]
    fn a_cause_that_is_repeated_is_said_once() {
        let error = Repeating("x".parse::<i32>().unwrap_err());
        assert_eq!(
            Chain(&error).to_string(),
            "failed to renew: invalid digit found in string"
        );
    }

    #[test]
    fn every_cause_is_named_once() {
        let error = Outer("x".parse::<i32>().unwrap_err());
        assert_eq!(
            Chain(&error).to_string(),
            "failed to renew: invalid digit found in string"
        );
    }
}
