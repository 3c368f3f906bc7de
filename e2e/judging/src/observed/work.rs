//! Which of the replicas' requests are the leader's work, and which of them answer a change of the canary.
//!
//! Everything that a replica writes is work, except what is no leader's business on any operator (Leases, Events,
//! reviews) and what the user says that standbys write as well.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de};

use crate::{
    clock::duration_millis,
    observed::audit::{ApiCall, ClockMap, OwnCall},
};

/// By how much an answer may seem to be older than the change, beyond the error of the clocks: the harness stamps a
/// change before it is sent.
const SLACK: std::time::Duration = std::time::Duration::from_millis(5);

/// A resource as kubectl names it: `configmaps`, `deployments.apps`, `scheduledmachines.5spot.finos.org/status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceName {
    /// In plural.
    pub resource: String,
    /// API group; empty for the core group.
    pub group: String,
    /// The subresource; `None` for the resource and all of them.
    pub subresource: Option<String>,
}

/// What the leader writes when the canary was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Answer {
    /// The resource that is written.
    pub resource: ResourceName,
    /// The name of the object; `None` for any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is the canary itself: only then does the generation that it has seen mean one of the canary.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_canary: bool,
}

/// Which requests of the replicas are work.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkRule {
    /// What standbys may write as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<ResourceName>,
    /// What answers a change of the canary; `None` for any work write that tells the generation that it has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}

/// Why a text names no resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be RESOURCE, RESOURCE.GROUP or either with /SUBRESOURCE, such as configmaps or deployments.apps/status"
)]
pub struct NotAResource;

impl WorkRule {
    /// Whether it may change something that only a leader may change.
    pub fn is_work(&self, call: &ApiCall) -> bool {
        call.is_work_write() && !self.ignore.iter().any(|ignored| ignored.is_of(call))
    }

    /// Whether an accepted work write answers `change`, or a later change. `map` is needed where neither generations
    /// nor revisions tell.
    pub fn answers(&self, call: &ApiCall, change: &OwnCall, map: Option<&ClockMap>) -> bool {
        if !self.may_answer(call) {
            return false;
        }
        let of_canary = self.answer.as_ref().is_none_or(|answer| answer.is_canary);
        match (change.generation, call.observed_generation) {
            (Some(changed), Some(observed)) if of_canary => return observed >= changed,
            // Where the answer is not named, nothing else tells an answer from other work.
            _ if self.answer.is_none() => return false,
            _ => {}
        }
        match (change.resource_version, call.resource_version) {
            (Some(changed), Some(answered)) => answered > changed,
            _ => map.is_some_and(|map| {
                let after = map.stamp(call.received).since(change.sent);
                after >= -(map.error_ms + duration_millis(SLACK))
            }),
        }
    }

    /// Whether a write is of the kind that answers changes.
    pub fn may_answer(&self, call: &ApiCall) -> bool {
        self.answer.as_ref().is_none_or(|answer| {
            answer.resource.is_of(call)
                && answer
                    .name
                    .as_ref()
                    .is_none_or(|name| call.name.is_empty() || *name == call.name)
        })
    }
}

impl ResourceName {
    /// Whether `call` is about it.
    pub fn is_of(&self, call: &ApiCall) -> bool {
        self.resource == call.resource
            && self.group == call.group
            && self
                .subresource
                .as_ref()
                .is_none_or(|subresource| *subresource == call.subresource)
    }
}

impl FromStr for ResourceName {
    type Err = NotAResource;

    fn from_str(text: &str) -> Result<Self, NotAResource> {
        let (name, subresource) = match text.split_once('/') {
            Some((name, subresource)) => (name, Some(subresource)),
            None => (text, None),
        };
        let (resource, group) = name.split_once('.').unwrap_or((name, ""));
        let is_word = |word: &str| {
            !word.is_empty()
                && word
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        let is_group = !name.contains('.') || group.split('.').all(is_word);
        if is_word(resource) && is_group && subresource.is_none_or(is_word) {
            Ok(Self {
                resource: resource.to_owned(),
                group: group.to_owned(),
                subresource: subresource.map(str::to_owned),
            })
        } else {
            Err(NotAResource)
        }
    }
}

impl std::fmt::Display for ResourceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.resource)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        match &self.subresource {
            Some(subresource) => write!(f, "/{subresource}"),
            None => Ok(()),
        }
    }
}

impl Serialize for ResourceName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ResourceName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse()
            .map_err(|rule: NotAResource| de::Error::custom(format!("{text:?} {rule}")))
    }
}

impl JsonSchema for ResourceName {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ResourceName".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "A resource as kubectl names it, such as configmaps or deployments.apps/status.",
            "pattern": "^[a-z0-9-]+(\\.[a-z0-9-]+)*(/[a-z0-9-]+)?$"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        observed::audit::{Wall, purpose::CANARY},
        samples::{call, own},
    };

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    fn change(generation: Option<i64>, version: Option<u64>) -> OwnCall {
        OwnCall {
            generation,
            resource_version: version,
            ..own(CANARY, 1_000, 10)
        }
    }

    /// A write of a ConfigMap of this name.
    fn config_map(object: &str) -> ApiCall {
        let mut write = call("a", "patch", "configmaps");
        write.group = String::new();
        object.clone_into(&mut write.name);
        write
    }

    fn rule(answer: &str, object: Option<&str>) -> WorkRule {
        WorkRule {
            ignore: Vec::new(),
            answer: Some(Answer {
                resource: name(answer),
                name: object.map(str::to_owned),
                is_canary: false,
            }),
        }
    }

    #[rstest::rstest]
    #[case("configmaps", "configmaps", "", None)]
    #[case("deployments.apps", "deployments", "apps", None)]
    #[case(
        "machines.5spot.finos.org/status",
        "machines",
        "5spot.finos.org",
        Some("status")
    )]
    #[case("pods/eviction", "pods", "", Some("eviction"))]
    fn a_resource_is_named_as_kubectl_names_it(
        #[case] text: &str,
        #[case] resource: &str,
        #[case] group: &str,
        #[case] subresource: Option<&str>,
    ) {
        let found = name(text);
        assert_eq!(
            (found.resource.as_str(), found.group.as_str()),
            (resource, group)
        );
        assert_eq!(found.subresource.as_deref(), subresource);
        assert_eq!(found.to_string(), text);
    }

    #[rstest::rstest]
    #[case("")]
    #[case("ConfigMap")]
    #[case(".apps")]
    #[case("deployments.")]
    #[case("deployments..apps")]
    #[case("pods/")]
    #[case("v1/pods/status")]
    fn anything_else_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<ResourceName>(), Err(NotAResource));
    }

    #[test]
    fn what_standbys_may_write_is_no_work() {
        let write = config_map("state");
        assert!(WorkRule::default().is_work(&write));
        let rule = WorkRule {
            ignore: vec![name("configmaps")],
            answer: None,
        };
        assert!(!rule.is_work(&write));
        assert!(rule.is_work(&call("a", "patch", "scheduledmachines")));
    }

    #[test]
    fn without_a_named_answer_only_a_generation_tells() {
        let rule = WorkRule::default();
        let mut status = call("a", "patch", "scheduledmachines");
        assert!(!rule.answers(&status, &change(Some(4), Some(7)), None));
        status.observed_generation = Some(4);
        assert!(rule.answers(&status, &change(Some(4), Some(7)), None));
        assert!(!rule.answers(&status, &change(Some(5), Some(7)), None));
    }

    #[rstest::rstest]
    #[case(Some(8), true)]
    #[case(Some(7), false)]
    fn an_answer_without_a_generation_is_stored_after_the_change(
        #[case] version: Option<u64>,
        #[case] answers: bool,
    ) {
        let mut write = config_map("out");
        write.resource_version = version;
        let rule = rule("configmaps", Some("out"));
        assert_eq!(rule.answers(&write, &change(None, Some(7)), None), answers);
    }

    #[test]
    fn the_generation_of_another_object_is_none_of_the_canarys() {
        let mut write = config_map("out");
        (write.observed_generation, write.resource_version) = (Some(500), Some(7));
        let mut rule = rule("configmaps", Some("out"));
        let change = change(Some(4), Some(9));
        assert!(!rule.answers(&write, &change, None), "it was stored before");
        rule.answer.as_mut().unwrap().is_canary = true;
        assert!(rule.answers(&write, &change, None));
    }

    #[test]
    fn where_no_revision_is_logged_the_clock_decides() {
        let change = change(None, Some(7));
        let mut own_event = call("harness", "patch", "configmaps");
        "id".clone_into(&mut own_event.audit_id);
        own_event.received = Wall(1_004_000);
        own_event.completed = Wall(1_006_000);
        let sent = OwnCall {
            audit_id: Some("id".to_owned()),
            ..change.clone()
        };
        let map = ClockMap::measure(&[sent], &[own_event]).unwrap();
        let mut write = config_map("out");
        let rule = rule("configmaps", None);
        write.received = Wall(1_020_000);
        assert!(rule.answers(&write, &change, Some(&map)));
        write.received = Wall(900_000);
        assert!(!rule.answers(&write, &change, Some(&map)));
        assert!(!rule.answers(&write, &change, None), "nothing tells");
    }

    #[rstest::rstest]
    #[case("configmaps", Some("other"))]
    #[case("secrets", None)]
    #[case("configmaps/status", None)]
    fn what_is_not_the_answer_answers_nothing(#[case] answer: &str, #[case] object: Option<&str>) {
        let mut write = config_map("out");
        write.resource_version = Some(9);
        let rule = rule(answer, object);
        assert!(!rule.answers(&write, &change(None, Some(7)), None));
    }

    #[test]
    fn a_resource_survives_the_way_through_json() {
        let rule = rule("scheduledmachines.5spot.finos.org/status", None);
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<WorkRule>(&text).unwrap(), rule);
        let error = serde_json::from_str::<ResourceName>("\"Pods\"").unwrap_err();
        assert!(
            error.to_string().contains("\"Pods\" must be RESOURCE"),
            "{error}"
        );
    }
}
