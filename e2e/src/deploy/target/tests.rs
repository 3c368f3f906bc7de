//! Targets as manifests and users name them.

use super::*;
use crate::deploy::EnvOverride;

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: 5spot-controller, namespace: 5spot-system}
spec:
  replicas: 2
  selector: {matchLabels: {app: 5spot-controller}}
  template:
    metadata: {labels: {app: 5spot-controller}}
    spec:
      serviceAccountName: 5spot-controller
      containers:
        - name: controller
          image: ghcr.io/finos/5spot-rs:latest
          ports: [{name: http, containerPort: 8080}]
          env:
            - {name: LEASE_NAME, value: 5spot-leader}
            - {name: LEASE_DURATION_SECONDS, value: "15"}
            - {name: LEASE_RENEW_DEADLINE_SECONDS, value: "10"}
            - {name: LEASE_RETRY_PERIOD_SECONDS, value: "2"}
"#;

/// A Deployment that says nothing of its election.
const FOREIGN: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: foreign}
spec:
  selector: {matchLabels: {app: foreign}}
  template:
    metadata: {labels: {app: foreign}}
    spec:
      containers: [{name: manager, image: example/manager:1}, {name: proxy, image: example/proxy:1}]
";

fn manifests(text: &str) -> Manifests {
    let objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).unwrap();
    Manifests {
        objects: objects
            .into_iter()
            .map(|object| serde_json::from_value(object).unwrap())
            .collect(),
    }
}

/// The Deployment of our own operator.
pub(in crate::deploy) fn deployment() -> Deployment {
    read(&manifests(DEPLOYMENT).objects[0]).unwrap()
}

pub(crate) fn target() -> Target {
    Naming::default().of(&deployment()).unwrap()
}

fn named(lease: Option<&str>, deployment: Option<&str>, container: Option<&str>) -> Naming {
    Naming {
        namespace: Some("there".to_owned()),
        deployment: deployment.map(str::to_owned),
        container: container.map(str::to_owned),
        lease: lease.map(str::to_owned),
        holder: HolderIdentity::default(),
    }
}

fn refused(naming: &Naming, text: &str) -> String {
    let error = naming.prepare(&mut manifests(text), &Overrides::default());
    error.unwrap_err().to_string()
}

#[test]
fn the_target_is_read_from_the_deployment_that_is_elected() {
    let target = target();
    assert_eq!(
        (target.lease.as_str(), target.container.as_str()),
        ("5spot-leader", "controller")
    );
    assert_eq!(
        target.user,
        "system:serviceaccount:5spot-system:5spot-controller"
    );
    assert_eq!(
        (target.label_selector().as_str(), target.first_port),
        ("app=5spot-controller", Some(8080))
    );
}

#[test]
fn a_deployment_that_says_nothing_of_its_election_is_named() {
    let naming = named(Some("its-lease"), Some("foreign"), Some("manager"));
    let both = format!("{DEPLOYMENT}---{FOREIGN}");
    let (target, _) = naming
        .prepare(&mut manifests(&both), &Overrides::default())
        .unwrap();
    assert_eq!(target.user, "system:serviceaccount:there:default");
    assert_eq!(
        (target.namespace.as_str(), target.lease.as_str()),
        ("there", "its-lease")
    );
    assert_eq!(
        (target.image.as_str(), target.first_port),
        ("example/manager:1", None)
    );
}

#[rstest::rstest]
#[case::no_such_deployment(named(Some("l"), Some("other"), None), "--deployment=other")]
#[case::no_such_container(named(Some("l"), Some("foreign"), Some("x")), "manager, proxy")]
#[case::which_container(named(Some("l"), Some("foreign"), None), "--container")]
#[case::which_lease(named(None, Some("foreign"), Some("manager")), "--lease")]
#[case::which_deployment(named(Some("l"), None, None), "LEASE_NAME, found 0")]
fn what_is_missing_is_named_with_its_flag(#[case] naming: Naming, #[case] expected: &str) {
    let message = refused(&naming, FOREIGN);
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_deployment_of_another_namespace_is_not_the_one() {
    let naming = named(None, Some("5spot-controller"), None);
    assert_eq!(
        refused(&naming, DEPLOYMENT),
        "--namespace=there (target.namespace): Deployment 5spot-controller is in namespace 5spot-system"
    );
}

#[test]
fn deployments_to_choose_from_are_named_with_their_namespaces() {
    let message = refused(&named(None, Some("other"), None), DEPLOYMENT);
    assert!(
        message.contains("5spot-system/5spot-controller"),
        "{message}"
    );
    let elsewhere = DEPLOYMENT.replace("namespace: 5spot-system", "namespace: prod");
    let naming = Naming {
        namespace: None,
        ..named(None, Some("5spot-controller"), None)
    };
    let message = refused(&naming, &format!("{DEPLOYMENT}---{elsewhere}"));
    assert!(
        message.contains("--namespace")
            && message.contains("5spot-system/5spot-controller, prod/5spot-controller"),
        "{message}"
    );
}

#[test]
fn a_namespace_must_be_known() {
    let naming = Naming {
        namespace: None,
        ..named(Some("l"), Some("foreign"), Some("manager"))
    };
    assert!(refused(&naming, FOREIGN).contains("--namespace"));
}

#[test]
fn overrides_change_replicas_image_and_environment_and_nothing_else() {
    let mut manifests = manifests(DEPLOYMENT);
    let overrides = Overrides {
        replicas: Some(3),
        image: Some("five-spot/mutant:dev".to_owned()),
        env: vec![
            EnvOverride::new("LEASE_DURATION_SECONDS", "30").unwrap(),
            EnvOverride::new("FIVE_SPOT_MUTANT", "writes-on").unwrap(),
        ],
    };
    let (target, _) = Naming::default()
        .prepare(&mut manifests, &overrides)
        .unwrap();
    assert_eq!(target.image, "five-spot/mutant:dev");
    let deployment = read(&manifests.objects[0]).unwrap();
    assert_eq!(deployment.spec.as_ref().unwrap().replicas, Some(3));
    let container = containers(&deployment).first().unwrap();
    assert_eq!(container.image.as_deref(), Some("five-spot/mutant:dev"));
    assert_eq!(variable(container, "FIVE_SPOT_MUTANT"), Some("writes-on"));
    assert_eq!(variable(container, "LEASE_NAME"), Some("5spot-leader"));
    assert_eq!(variable(container, "LEASE_DURATION_SECONDS"), Some("30"));
    assert_eq!(
        container.env.as_ref().unwrap().len(),
        5,
        "the old value is replaced"
    );
}

#[test]
fn another_content_of_the_image_is_another_pod_template() {
    let mut manifests = manifests(DEPLOYMENT);
    let (target, _) = Naming::default()
        .prepare(&mut manifests, &Overrides::default())
        .unwrap();
    manifests.identify_image(&target, "sha256:0");
    let template = &manifests.objects[0].data["spec"]["template"]["metadata"];
    assert_eq!(template["annotations"][IMAGE_ANNOTATION], "sha256:0");
    assert_eq!(template["labels"]["app"], "5spot-controller");
}
