//! What is found of a machine, and how it weighs.

use std::fmt;

/// How a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Nothing to do.
    Ok,
    /// A run is possible and something about it is worse.
    Warn,
    /// No run is possible.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// How it weighs.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do about it; empty when there is nothing to do.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let health = match self.health {
            Health::Ok => "ok",
            Health::Warn => "warn",
            Health::Fail => "FAIL",
        };
        write!(formatter, "{health:<5}{:<15} {}", self.subject, self.found)?;
        if self.fix.is_empty() {
            Ok(())
        } else {
            write!(formatter, "; {}", self.fix)
        }
    }
}

impl Finding {
    pub(super) fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self {
            subject,
            health: Health::Ok,
            found: found.into(),
            fix: String::new(),
        }
    }

    pub(super) fn lack(
        subject: &'static str,
        health: Health,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            subject,
            health,
            found: found.into(),
            fix: fix.into(),
        }
    }
}
