//! Who is to lead next when a leader gives the Lease back.
//!
//! A rolling update moves leadership once if it moves to a replica of the newest pod template: one of an older template
//! is about to go itself. The naming is a courtesy and no right: others contend after one retry period, so a successor
//! that is gone, slow or lying holds nobody up for longer.

use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Time};
use kube::ResourceExt;

/// The label by which a Deployment tells its pod templates apart.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// The name of the pod that should take over from the pod `me`: a Ready one of the newest template that is not going
/// away, and of several the one that has been there for longest. `None` where there is no such pod.
pub(crate) fn successor(pods: &[Pod], me: &str) -> Option<String> {
    let deployment = deployment(pods.iter().find(|pod| pod.name_any() == me)?)?;
    let siblings: Vec<&Pod> = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter(|pod| self::deployment(pod).as_ref() == Some(&deployment))
        .collect();
    // A pod that is not Ready yet tells of its template all the same.
    let newest = siblings.iter().max_by_key(|pod| created(pod))?;
    let newest = newest.labels().get(TEMPLATE_HASH);
    siblings
        .iter()
        .filter(|pod| pod.labels().get(TEMPLATE_HASH) == newest)
        .filter(|pod| pod.name_any() != me && is_ready(pod))
        .min_by_key(|pod| (created(pod), pod.name_any()))
        .map(|pod| pod.name_any())
}

/// The Deployment that a pod belongs to: the name of its `ReplicaSet` without the hash of its template.
fn deployment(pod: &Pod) -> Option<String> {
    let hash = pod.labels().get(TEMPLATE_HASH)?;
    let owner = pod
        .owner_references()
        .iter()
        .find(|owner| owner.controller == Some(true) && owner.kind == "ReplicaSet")?;
    let name = owner.name.strip_suffix(hash.as_str())?;
    Some(name.strip_suffix('-')?.to_owned())
}

fn created(pod: &Pod) -> Option<&Time> {
    pod.metadata.creation_timestamp.as_ref()
}

fn is_ready(pod: &Pod) -> bool {
    let conditions = pod
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    struct Sketch {
        name: &'static str,
        deployment: &'static str,
        template: &'static str,
        minute: u8,
        ready: bool,
        going: bool,
    }

    fn pod(name: &'static str, template: &'static str, minute: u8) -> Sketch {
        Sketch {
            name,
            deployment: "d",
            template,
            minute,
            ready: true,
            going: false,
        }
    }

    fn real(sketch: &Sketch) -> Pod {
        let Sketch {
            name,
            deployment,
            template,
            minute,
            ready,
            going,
        } = sketch;
        let time = format!("2026-03-02T08:{minute:02}:00Z");
        serde_json::from_value(json!({
            "metadata": {
                "name": name, "labels": {"app": "x", TEMPLATE_HASH: template}, "creationTimestamp": time,
                "deletionTimestamp": going.then_some(time.clone()),
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "controller": true,
                    "name": format!("{deployment}-{template}"), "uid": "u"}],
            },
            "status": {"conditions": [{"type": "Ready", "status": if *ready { "True" } else { "False" }}]},
        }))
        .unwrap()
    }

    fn chosen(pods: &[Sketch]) -> Option<String> {
        let pods: Vec<Pod> = pods.iter().map(real).collect();
        successor(&pods, "me")
    }

    fn me() -> Sketch {
        Sketch {
            going: true,
            ..pod("me", "old", 1)
        }
    }

    #[rstest]
    #[case::the_other_of_two(vec![me(), pod("b", "old", 2)], Some("b"))]
    #[case::the_new_one_in_a_rollout(vec![me(), pod("b", "old", 2), pod("c", "new", 3)], Some("c"))]
    #[case::the_longest_there_of_several(vec![me(), pod("c", "new", 4), pod("d", "new", 3)], Some("d"))]
    #[case::not_one_that_is_not_ready(
        vec![me(), pod("b", "old", 2), Sketch { ready: false, ..pod("c", "new", 3) }, pod("d", "new", 4)], Some("d"))]
    #[case::nobody_rather_than_an_old_one(
        vec![me(), pod("b", "old", 2), Sketch { ready: false, ..pod("c", "new", 3) }], None)]
    #[case::not_one_that_is_going(
        vec![me(), Sketch { going: true, ..pod("b", "old", 2) }, pod("c", "old", 1)], Some("c"))]
    #[case::a_rollback_is_a_rollout_too(
        vec![Sketch { going: true, ..pod("me", "new", 5) }, pod("b", "new", 6), pod("c", "old", 7)], Some("c"))]
    #[case::not_a_pod_of_another_deployment(
        vec![me(), Sketch { deployment: "other", ..pod("b", "old", 2) }], None)]
    #[case::alone(vec![me()], None)]
    #[case::not_listed_itself(vec![pod("b", "old", 2)], None)]
    fn the_successor_is_a_ready_pod_of_the_newest_template(
        #[case] pods: Vec<Sketch>,
        #[case] expected: Option<&str>,
    ) {
        assert_eq!(chosen(&pods).as_deref(), expected);
    }

    #[test]
    fn a_leader_that_loses_the_lead_without_going_is_not_its_own_successor() {
        assert_eq!(chosen(&[pod("me", "old", 1)]), None);
    }
}
