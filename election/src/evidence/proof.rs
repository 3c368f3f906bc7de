//! Proof of death: what a Pod has to say for it to prove that one process of it is dead.
//!
//! A replica writes the nonce of its incarnation as a line of its own into its termination log. When the container dies, for
//! whatever reason, kubelet copies that text into the pod's status, behind what the container runtime says about the end. So
//! a `terminated` state of the replica's own container, in the pod of the recorded UID, with a line that is the recorded
//! nonce and nothing else, proves that exactly this process is dead: nobody can have known the nonce before the process
//! began, and kubelet begins no process before the one that the message is about is dead. Nothing else is proof: a node that
//! is not ready, a deletion timestamp, a Pod object that is gone or a phase `Failed` say nothing about a process that may
//! still run, nor does a line that only quotes the nonce.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::{
    identity::Incarnation,
    mutation::{self, Mutation},
};

/// Whether `pod` proves that the process `incarnation` of its container `container` is dead.
pub(crate) fn proves_death(pod: &Pod, incarnation: &Incarnation, container: &str) -> bool {
    // Without a UID any pod of that name could be meant.
    let is_same = pod.metadata.uid.as_ref() == Some(&incarnation.pod_uid);
    if incarnation.pod_uid.is_empty() || !(is_same || mutation::is(Mutation::BelievesANamesake)) {
        return false;
    }
    if mutation::is(Mutation::BelievesADeletion) && pod.metadata.deletion_timestamp.is_some() {
        return true;
    }
    let any = mutation::is(Mutation::BelievesAnyLastWords) || !is_same;
    let nonce = incarnation.nonce.to_string();
    let statuses = pod
        .status
        .as_ref()
        .and_then(|status| status.container_statuses.as_deref())
        .unwrap_or_default();
    // Other containers of the pod can write whatever they like into their own termination logs.
    statuses
        .iter()
        .filter(|status| status.name == container)
        .flat_map(last_words)
        .any(|message| any || message.lines().any(|line| line == nonce))
}

/// The termination messages of a container: of the process that is dead now, and of the one before the present one.
fn last_words(status: &ContainerStatus) -> impl Iterator<Item = &str> {
    [&status.state, &status.last_state]
        .into_iter()
        .flatten()
        .filter_map(|state| state.terminated.as_ref()?.message.as_deref())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::{Value, json};

    use super::*;

    const NONCE: &str = "6f0c1f2e-0f3c-4b36-9d5c-0a4f4f6f0a11";
    const EARLIER: &str = "0b1e1c9a-7d49-4e0e-8d35-9b7f3c1d2e4f";

    fn incarnation() -> Incarnation {
        format!("uid-a/{NONCE}").parse().unwrap()
    }

    fn pod(status: &Value) -> Pod {
        let pod = json!({"metadata": {"name": "a", "uid": "uid-a"}, "status": status});
        serde_json::from_value(pod).unwrap()
    }

    fn container(name: &str, state: &Value, last: &Value) -> Value {
        json!({"name": name, "image": "i", "imageID": "", "ready": false, "restartCount": 1,
            "state": state, "lastState": last})
    }

    fn dead(message: &str) -> Value {
        json!({"terminated": {"exitCode": 137, "message": message}})
    }

    fn running() -> Value {
        json!({"running": {"startedAt": "2026-03-02T08:50:00Z"}})
    }

    fn of_controller(state: &Value, last: &Value) -> Pod {
        pod(
            &json!({"phase": "Running", "containerStatuses": [container("controller", state, last)]}),
        )
    }

    #[rstest]
    #[case::killed(dead(NONCE), json!({}))]
    #[case::with_the_newline_that_was_written(dead(&format!("{NONCE}\n")), json!({}))]
    #[case::with_a_panic_after_it(dead(&format!("{NONCE}\npanicked at src/x.rs:1:2:\nboom")), json!({}))]
    #[case::with_an_empty_line_before_it(dead(&format!("\n{NONCE}\n")), json!({}))]
    #[case::with_the_runtime_s_message_before_it(dead(&format!("shim: signal: killed: \n{NONCE}\nboom\n")), json!({}))]
    #[case::with_many_lines_before_it(dead(&format!("a\nb\n\n{NONCE}\n")), json!({}))]
    #[case::restarted_since(running(), dead(NONCE))]
    #[case::waiting_for_its_restart(json!({"waiting": {"reason": "CrashLoopBackOff"}}), dead(NONCE))]
    fn the_nonce_in_the_termination_message_of_the_same_pod_is_proof(
        #[case] state: Value,
        #[case] last: Value,
    ) {
        assert!(proves_death(
            &of_controller(&state, &last),
            &incarnation(),
            "controller"
        ));
    }

    #[rstest]
    #[case::alive(of_controller(&running(), &json!({})))]
    #[case::an_older_life(of_controller(&running(), &dead(EARLIER)))]
    #[case::an_older_life_not_restarted(of_controller(&dead(EARLIER), &json!({})))]
    #[case::no_message(of_controller(&json!({"terminated": {"exitCode": 137}}), &json!({})))]
    #[case::cut(of_controller(&dead(&NONCE[..NONCE.len() - 1]), &json!({})))]
    #[case::quoted_at_the_end_of_a_line(of_controller(&dead(&format!("boom: {NONCE}\n")), &json!({})))]
    #[case::quoted_at_the_beginning_of_a_line(of_controller(&dead(&format!("{NONCE} leads\n")), &json!({})))]
    #[case::quoted_by_another_process(of_controller(
        &dead(&format!("\n{EARLIER}\nthe Lease is held by uid-a/{NONCE}\n  {NONCE}\n")), &json!({})
    ))]
    #[case::of_another_process_with_the_same_beginning(of_controller(
        &dead(&format!("\n{}{}\n", &NONCE[..NONCE.len() - 1], 'f')), &json!({})
    ))]
    #[case::in_capitals(of_controller(&dead(&NONCE.to_uppercase()), &json!({})))]
    #[case::longer_than_the_nonce(of_controller(&dead(&format!("{NONCE}0")), &json!({})))]
    #[case::forged_by_another_container(pod(&json!({"containerStatuses": [
        container("controller", &running(), &json!({})), container("sidecar", &dead(NONCE), &json!({}))
    ]})))]
    #[case::forged_by_an_init_container(pod(&json!({
        "containerStatuses": [container("controller", &running(), &json!({}))],
        "initContainerStatuses": [container("controller", &dead(NONCE), &json!({}))]
    })))]
    #[case::failed_by_the_pod_garbage_collector(pod(&json!({"phase": "Failed", "reason": "NodeLost",
        "message": NONCE, "containerStatuses": [container("controller", &running(), &json!({}))]})))]
    #[case::unknown_node(pod(&json!({"phase": "Running", "conditions": [
        {"type": "Ready", "status": "False", "reason": "NodeNotReady"}
    ], "containerStatuses": [container("controller", &running(), &json!({}))]})))]
    #[case::no_status(pod(&Value::Null))]
    fn nothing_else_is(#[case] pod: Pod) {
        assert!(!proves_death(&pod, &incarnation(), "controller"));
    }

    #[test]
    fn a_pod_that_is_being_deleted_may_still_run() {
        let mut pod = of_controller(&running(), &json!({}));
        pod.metadata.deletion_timestamp =
            serde_json::from_value(json!("2026-03-02T08:50:00Z")).unwrap();
        assert!(!proves_death(&pod, &incarnation(), "controller"));
    }

    #[test]
    fn another_pod_that_reuses_the_name_says_nothing_about_the_first() {
        let mut pod = of_controller(&dead(NONCE), &json!({}));
        pod.metadata.uid = Some("uid-b".to_owned());
        assert!(!proves_death(&pod, &incarnation(), "controller"));
    }

    #[test]
    fn without_a_recorded_uid_nothing_is_proven() {
        let mut pod = of_controller(&dead(NONCE), &json!({}));
        pod.metadata.uid = Some(String::new());
        let incarnation = format!("/{NONCE}").parse().unwrap();
        assert!(!proves_death(&pod, &incarnation, "controller"));
    }
}
