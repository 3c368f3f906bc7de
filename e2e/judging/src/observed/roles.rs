//! What each replica says of itself, in the Prometheus text format.
//!
//! One gauge is 1 on the replica that leads. Where another one is 1 on those that stand by under a live leader, a replica
//! that shows neither sees no leader; where there is none, a 0 of the first means that it stands by.

use std::{collections::BTreeMap, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Stamp;

/// How the replicas' metrics tell their roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderMetric {
    /// The port that serves them.
    pub port: i32,
    /// Their path, such as `/metrics`.
    pub path: String,
    /// 1 on the replica that leads.
    pub leader: MetricSelector,
    /// 1 on those that stand by, where that is told.
    pub standby: Option<MetricSelector>,
}

/// A metric and labels that its sample has, such as `leader_election_master_status{name="x"}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricSelector {
    metric: String,
    labels: Vec<(String, String)>,
}

/// Why a text selects no metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be a metric, with labels or without, such as leader_election_master_status{{name=\"x\"}}"
)]
pub struct NotASelector;

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

impl LeaderMetric {
    /// Reads the role of a replica from its exposition.
    pub fn role(&self, exposition: &str) -> Role {
        let leading = self.leader.value(exposition);
        let standby = self
            .standby
            .as_ref()
            .and_then(|standby| standby.value(exposition));
        let is = |value: Option<f64>, wanted: f64| {
            value.is_some_and(|value| (value - wanted).abs() < f64::EPSILON)
        };
        if is(leading, 1.0) && is(standby, 1.0) {
            Role::Unknown(format!(
                "{} is 1 both as leader and as standby",
                self.leader.metric
            ))
        } else if is(leading, 1.0) {
            Role::Leading
        } else if is(standby, 1.0) || (is(leading, 0.0) && self.standby.is_none()) {
            Role::Standby
        } else if is(leading, 0.0) {
            Role::NoLeader
        } else {
            Role::Unknown(format!("no {} in its metrics", self.leader.metric))
        }
    }
}

impl MetricSelector {
    /// The value of the sample it selects; the largest one where it selects several.
    fn value(&self, exposition: &str) -> Option<f64> {
        exposition
            .lines()
            .filter_map(|line| self.value_in(line))
            .max_by(f64::total_cmp)
    }

    fn value_in(&self, line: &str) -> Option<f64> {
        let rest = line.strip_prefix(self.metric.as_str())?;
        let (labels, value) = match rest.strip_prefix('{') {
            // A label's value may hold a bracket; the value of the sample does not.
            Some(rest) => rest.rsplit_once('}')?,
            None => ("", rest.strip_prefix(char::is_whitespace)?),
        };
        let labels = labels_of(labels)?;
        let has_all = self.labels.iter().all(|label| labels.contains(label));
        has_all.then(|| value.split_whitespace().next()?.parse().ok())?
    }
}

/// The labels in `a="x",b="y"`; `None` where that is not its shape.
fn labels_of(text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, quoted) = rest.split_once("=\"")?;
        let (value, after) = quoted.split_at(end_of_value(quoted)?);
        labels.push((name.trim().to_owned(), value.to_owned()));
        rest = after.strip_prefix('"')?.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(next) => next.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(labels)
}

/// Where a quoted value ends: at the first quote that is not escaped.
fn end_of_value(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at)
    })
}

impl FromStr for MetricSelector {
    type Err = NotASelector;

    fn from_str(text: &str) -> Result<Self, NotASelector> {
        let (metric, labels) = match text.split_once('{') {
            Some((metric, rest)) => {
                let inside = rest.strip_suffix('}').ok_or(NotASelector)?;
                (metric, labels_of(inside).ok_or(NotASelector)?)
            }
            None => (text, Vec::new()),
        };
        if is_name(metric) && labels.iter().all(|(name, _)| is_name(name)) {
            Ok(Self {
                metric: metric.to_owned(),
                labels,
            })
        } else {
            Err(NotASelector)
        }
    }
}

fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| !c.is_ascii_digit())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(standby: bool) -> LeaderMetric {
        let selector = |value: &str| {
            format!("five_spot_leader_status{{is_leader=\"{value}\"}}")
                .parse()
                .unwrap()
        };
        LeaderMetric {
            port: 8080,
            path: "/metrics".to_owned(),
            leader: selector("true"),
            standby: standby.then(|| selector("false")),
        }
    }

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
        assert_eq!(metric(true).role(exposition), expected);
    }

    #[rstest::rstest]
    #[case("five_spot_up 1\n")]
    #[case(
        "five_spot_leader_status{is_leader=\"true\"} 1\nfive_spot_leader_status{is_leader=\"false\"} 1\n"
    )]
    fn what_does_not_tell_is_not_taken_for_a_role(#[case] exposition: &str) {
        assert!(matches!(metric(true).role(exposition), Role::Unknown(_)));
    }

    #[test]
    fn without_a_gauge_for_standbys_whoever_does_not_lead_stands_by() {
        let exposition = "five_spot_leader_status{is_leader=\"true\"} 0\n";
        assert_eq!(metric(false).role(exposition), Role::Standby);
        assert!(matches!(metric(false).role(""), Role::Unknown(_)));
    }

    #[rstest::rstest]
    #[case("up 1\n", "up", Some(1.0))]
    #[case("up_time 1\n", "up", None)]
    #[case("up{a=\"x\"} 1 1700000000\n", "up", Some(1.0))]
    #[case(
        "up{a=\"x\",b=\"y\"} 0\nup{a=\"z\",b=\"y\"} 1\n",
        "up{b=\"y\"}",
        Some(1.0)
    )]
    #[case("up{a=\"x\",b=\"y\"} 0\n", "up{b=\"y\", a=\"x\"}", Some(0.0))]
    #[case("up{not_a=\"x\"} 1\n", "up{a=\"x\"}", None)]
    #[case("up{a=\"}\\\",b=\\\"y\"} 1\n", "up{b=\"y\"}", None)]
    fn a_sample_is_found_by_its_name_and_its_labels(
        #[case] exposition: &str,
        #[case] selector: &str,
        #[case] value: Option<f64>,
    ) {
        let selector: MetricSelector = selector.parse().unwrap();
        assert_eq!(selector.value(exposition), value);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("1up")]
    #[case("up{")]
    #[case("up{a}")]
    #[case("up{a=x}")]
    #[case("up > 1")]
    fn what_selects_no_metric_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<MetricSelector>(), Err(NotASelector));
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
