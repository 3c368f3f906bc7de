//! Deployments and Leases as they are found in clusters.

use serde_json::json;

use super::*;

fn deployment(containers: &serde_json::Value) -> Deployment {
    serde_json::from_value(json!({
        "metadata": {"name": "foreign", "namespace": "there"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "foreign"}},
            "template": {"metadata": {}, "spec": {"containers": containers}},
        },
    }))
    .unwrap()
}

fn lease(name: &str, holder: Option<&str>) -> Lease {
    serde_json::from_value(json!({
        "metadata": {"name": name},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }))
    .unwrap()
}

fn renewals(millis: &[i64]) -> Vec<Timestamp> {
    let moment = |at: &i64| Timestamp::from_millisecond(1_700_000_000_000 + at).unwrap();
    millis.iter().map(moment).collect()
}

/// An operator of controller-runtime's kind, beside one of another Deployment.
pub(in crate::init) fn foreign() -> Found {
    Found {
        deployment: deployment(
            &json!([{"name": "manager", "image": "m", "ports": [{"containerPort": 8443}]}]),
        ),
        leases: vec![
            lease("other.example", Some("other-5f-xyz_11")),
            lease("foreign.example", Some("foreign-7d-abc_3b9f")),
            lease("free.example", None),
        ],
        pods: vec!["foreign-7d-abc".to_owned(), "foreign-7d-def".to_owned()],
        renewals: renewals(&[0, 2_000, 4_010, 6_000]),
    }
}

/// An operator whose variables tell all that there is to know.
pub(in crate::init) fn ours() -> Found {
    let env: Vec<_> = SETTINGS
        .iter()
        .map(|name| json!({"name": name, "value": "15"}))
        .chain([json!({"name": LEASE_NAME, "value": "foreign.example"})])
        .collect();
    Found {
        deployment: deployment(&json!([{"name": "sidecar"}, {"name": "manager", "env": env}])),
        ..foreign()
    }
}

fn says(guess: &Guess, words: &str) -> bool {
    guess.unknown.iter().any(|unknown| unknown.contains(words))
}

#[test]
fn the_lease_is_the_one_that_a_pod_of_the_deployment_holds() {
    let guess = Guess::of(&foreign(), None);
    assert_eq!(guess.lease.as_deref(), Some("foreign.example"));
    let (way, holder) = guess.holder.clone().unwrap();
    assert_eq!(way, HolderIdentity::NameSuffix);
    assert_eq!(holder, "foreign-7d-abc_3b9f");
    assert_eq!((guess.replicas, guess.port), (2, Some(8443)));
    assert!(!says(&guess, "which Lease") && !says(&guess, "holder"));
}

#[test]
fn the_settings_are_what_the_lease_records_and_what_was_seen() {
    let settings = Guess::of(&foreign(), None).settings;
    assert!(!settings.by_variables);
    assert_eq!(
        (settings.lease_duration, settings.retry_period),
        (Some(15), Some(2))
    );
}

#[test]
fn variables_outweigh_both() {
    let guess = Guess::of(&ours(), None);
    assert!(guess.settings.by_variables);
    assert_eq!(guess.container.as_deref(), Some("manager"));
    assert!(!says(&guess, "renew"));
}

#[test]
fn a_lease_that_nobody_holds_is_only_taken_when_it_is_named() {
    let guess = Guess::of(&foreign(), Some("free.example"));
    assert_eq!(guess.lease.as_deref(), Some("free.example"));
    assert_eq!(
        (guess.holder.clone(), guess.settings.lease_duration),
        (None, None)
    );
    assert!(says(&guess, "nobody holds the Lease") && says(&guess, "how long the Lease lasts"));
}

#[test]
fn a_holder_that_is_no_pod_needs_the_audit_log_and_says_so() {
    let guess = Guess::of(&foreign(), Some("other.example"));
    assert_eq!(guess.holder.as_ref().unwrap().0, HolderIdentity::Any);
    assert!(says(&guess, "needs the audit log"));
}

#[test]
fn two_leases_held_by_the_pods_are_not_chosen_between() {
    let mut found = foreign();
    found
        .leases
        .push(lease("shard.example", Some("foreign-7d-def_77")));
    let guess = Guess::of(&found, None);
    assert_eq!(guess.lease, None);
    assert!(says(&guess, "foreign.example, shard.example"));
}

#[test]
fn a_lease_that_is_not_there_is_said_to_be_missing() {
    let mut found = foreign();
    found.leases.clear();
    assert!(says(&Guess::of(&found, None), "there are: none"));
    let mut found = ours();
    found.leases.clear();
    assert!(says(
        &Guess::of(&found, None),
        "there is no Lease foreign.example"
    ));
}

#[test]
fn one_of_several_containers_has_to_be_named() {
    let mut found = foreign();
    found.deployment = deployment(&json!([{"name": "manager"}, {"name": "proxy"}]));
    let guess = Guess::of(&found, None);
    assert_eq!(guess.container, None);
    assert!(says(&guess, "manager, proxy"));
}

#[rstest::rstest]
#[case(&[], None)]
#[case(&[0], None)]
#[case(&[0, 10_000], Some(10))]
#[case(&[0, 2_000, 9_000, 11_010], Some(2))]
#[case(&[0, 300, 600], Some(1))]
fn the_period_is_the_median_between_renewals(#[case] seen: &[i64], #[case] seconds: Option<u32>) {
    assert_eq!(period(&renewals(seen)), seconds);
}

#[test]
fn the_selector_is_written_as_the_api_takes_it() {
    assert_eq!(selector(&foreign().deployment), "app=foreign");
}
