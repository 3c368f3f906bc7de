//! Which of the clusters that earlier runs kept.

use std::fmt;
use std::str::FromStr;

/// Which kept cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The one that was started last.
    Last,
    /// The one whose server's container has this name, with or without what all of them begin with.
    Named(String),
}

impl FromStr for Kept {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "" => Err("the name of a kept cluster must not be empty"),
            "last" => Ok(Self::Last),
            name => Ok(Self::Named(name.to_owned())),
        }
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Last => "last",
            Self::Named(name) => name,
        })
    }
}
