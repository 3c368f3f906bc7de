//! Whether images were pulled during a trial. A pull takes network, disk and processor from the replicas, and a new one
//! waits for it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Event;
use kube::{Api, ResourceExt, api::ListParams};

use crate::{context::RunContext, fault::NO_IMAGE};
use failover_judging::observed::RigFault;

/// The pulls that the namespace's events tell of: by event its revision, which changes when it happens again, and what
/// kubelet says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pulls(BTreeMap<String, (Option<String>, String)>);

impl Pulls {
    /// The pulls up to now; `None` when they can't be had, and then nothing is said of pulls.
    pub(super) async fn look(context: &RunContext<'_>) -> Option<Self> {
        let events: Api<Event> = Api::namespaced(context.client.clone(), &context.target.namespace);
        let pulling = ListParams::default().fields("reason=Pulling");
        Some(Self::of(events.list(&pulling).await.ok()?.items))
    }

    fn of(events: Vec<Event>) -> Self {
        let pulls = events.into_iter().filter_map(|event| {
            let revision = event.resource_version();
            let name = event.name_any();
            let pod = event.involved_object.name.unwrap_or_default();
            let said = format!("{pod}: {}", event.message?);
            // What a fault itself gives a pod is asked for and never had.
            (!said.contains(NO_IMAGE)).then_some((name, (revision, said)))
        });
        Self(pulls.collect())
    }

    /// What was pulled since `earlier`, if anything.
    pub(super) fn since(&self, earlier: &Self) -> Option<RigFault> {
        let new = self.0.iter().filter(|(name, (revision, _))| {
            earlier.0.get(*name).map(|(known, _)| known) != Some(revision)
        });
        let said: Vec<&str> = new.map(|(_, (_, said))| said.as_str()).collect();
        (!said.is_empty()).then(|| RigFault::ImagePull {
            detail: said.join("; "),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pulls(events: &[(&str, &str, &str)]) -> Pulls {
        let event = |(name, revision, message): &(&str, &str, &str)| -> Event {
            serde_json::from_value(json!({
                "metadata": {"name": name, "resourceVersion": revision},
                "involvedObject": {"kind": "Pod", "name": "a"},
                "reason": "Pulling",
                "message": message,
            }))
            .unwrap()
        };
        Pulls::of(events.iter().map(event).collect())
    }

    #[test]
    fn only_what_was_pulled_since_counts() {
        let before = pulls(&[("a.1", "5", "Pulling image \"x\"")]);
        assert_eq!(before.since(&before), None);
        let after = pulls(&[
            ("a.1", "5", "Pulling image \"x\""),
            ("a.2", "6", "Pulling image \"y\""),
        ]);
        let detail = "a: Pulling image \"y\"".to_owned();
        assert_eq!(after.since(&before), Some(RigFault::ImagePull { detail }));
    }

    #[test]
    fn an_event_that_happened_again_is_another_pull() {
        let before = pulls(&[("a.1", "5", "Pulling image \"x\"")]);
        let after = pulls(&[("a.1", "9", "Pulling image \"x\"")]);
        assert!(after.since(&before).is_some());
    }

    #[test]
    fn the_image_that_a_fault_gives_a_pod_is_none() {
        let message = format!("Pulling image \"{NO_IMAGE}\"");
        assert_eq!(pulls(&[("a.1", "5", &message)]), Pulls::default());
    }
}
