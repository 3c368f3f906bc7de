//! What each replica says of itself: `five_spot_leader_status` in the Prometheus text format.
//!
//! A replica exports `is_leader="true"` with 1 while it leads, `is_leader="false"` with 1 while it stands by under a
//! live leader, and `is_leader="true"` with 0 while it sees no live leader.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;

/// The gauge that tells the role of a replica.
const LEADER_STATUS: &str = "five_spot_leader_status";

/// What one replica's metrics say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "says", content = "why")]
pub enum Role {
    /// It leads.
    Leading,
    /// It stands by under a live leader.
    Standby,
    /// It sees no live leader.
    NoLeader,
    /// Its metrics could not be had, or do not tell.
    Unknown(String),
}

/// What the metrics of all replicas said at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RolesSeen {
    /// When the last of them was read.
    pub at: Stamp,
    /// By pod.
    pub roles: BTreeMap<String, Role>,
}

impl RolesSeen {
    /// The pods that say they lead.
    pub fn leading(&self) -> Vec<&str> {
        self.roles
            .iter()
            .filter(|(_, role)| **role == Role::Leading)
            .map(|(pod, _)| pod.as_str())
            .collect()
    }

    /// Whether `leader` says it leads and all others say they stand by.
    pub fn agree_on(&self, leader: &str) -> bool {
        self.roles.contains_key(leader)
            && self.roles.iter().all(|(pod, role)| {
                *role
                    == if pod == leader {
                        Role::Leading
                    } else {
                        Role::Standby
                    }
            })
    }

    /// One phrase for messages.
    pub fn phrase(&self) -> String {
        let each: Vec<String> = self
            .roles
            .iter()
            .map(|(pod, role)| format!("{pod} {role}"))
            .collect();
        if each.is_empty() {
            "no pod".to_owned()
        } else {
            each.join(", ")
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Leading => f.write_str("leads"),
            Self::Standby => f.write_str("stands by"),
            Self::NoLeader => f.write_str("sees no leader"),
            Self::Unknown(why) => write!(f, "says nothing ({why})"),
        }
    }
}

/// Reads the role of a replica from its exposition.
pub fn role(exposition: &str) -> Role {
    let mut leading = None;
    let mut standby = None;
    for line in exposition.lines() {
        let Some(sample) = line
            .strip_prefix(LEADER_STATUS)
            .filter(|rest| rest.starts_with('{'))
        else {
            continue;
        };
        let Some((labels, value)) = sample.rsplit_once('}') else {
            continue;
        };
        let value = value
            .split_whitespace()
            .next()
            .and_then(|value| value.parse::<f64>().ok());
        if labels.contains(r#"is_leader="true""#) {
            leading = value;
        } else if labels.contains(r#"is_leader="false""#) {
            standby = value;
        }
    }
    let is = |value: Option<f64>, wanted: f64| {
        value.is_some_and(|value| (value - wanted).abs() < f64::EPSILON)
    };
    if is(leading, 1.0) && is(standby, 1.0) {
        Role::Unknown(format!(
            "{LEADER_STATUS} is 1 both as leader and as standby"
        ))
    } else if is(leading, 1.0) {
        Role::Leading
    } else if is(standby, 1.0) {
        Role::Standby
    } else if is(leading, 0.0) {
        Role::NoLeader
    } else {
        Role::Unknown(format!("no {LEADER_STATUS} in its metrics"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(
        "# TYPE five_spot_leader_status gauge\nfive_spot_leader_status{pod=\"a\",is_leader=\"true\"} 1\n",
        Role::Leading
    )]
    #[case(
        "five_spot_leader_status{is_leader=\"false\",pod=\"a\"} 1.0\n",
        Role::Standby
    )]
    #[case(
        "five_spot_leader_status{pod=\"a\",is_leader=\"true\"} 0\n",
        Role::NoLeader
    )]
    fn the_three_states_are_told_apart(#[case] exposition: &str, #[case] expected: Role) {
        assert_eq!(role(exposition), expected);
    }

    #[rstest::rstest]
    #[case("five_spot_up 1\n")]
    #[case(
        "five_spot_leader_status{is_leader=\"true\"} 1\nfive_spot_leader_status{is_leader=\"false\"} 1\n"
    )]
    fn what_does_not_tell_is_not_taken_for_a_role(#[case] exposition: &str) {
        assert!(matches!(role(exposition), Role::Unknown(_)));
    }

    #[test]
    fn all_must_agree_and_the_leader_be_among_them() {
        let roles = |roles: &[(&str, Role)]| RolesSeen {
            at: Stamp::from_micros(0),
            roles: roles
                .iter()
                .map(|(pod, role)| ((*pod).to_owned(), role.clone()))
                .collect(),
        };
        assert!(roles(&[("a", Role::Leading), ("b", Role::Standby)]).agree_on("a"));
        assert!(!roles(&[("a", Role::Leading), ("b", Role::Leading)]).agree_on("a"));
        assert!(!roles(&[("a", Role::Leading), ("b", Role::NoLeader)]).agree_on("a"));
        assert!(!roles(&[("b", Role::Standby)]).agree_on("a"));
    }
}
