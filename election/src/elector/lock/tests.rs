//! The requests that reach the API server, and what is made of its answers.

use std::sync::Mutex;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::client::Body;
use rstest::rstest;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;
use crate::settings::SettingNames;

type Seen = Arc<Mutex<Vec<(Method, String, Value)>>>;

/// An API server that notes each request and gives one answer to all.
fn leases(status: StatusCode, answer: &Value) -> (KubeLeases, Seen) {
    let seen = Seen::default();
    let (noted, answer) = (Arc::clone(&seen), answer.to_string());
    let service = service_fn(move |request: Request<Body>| {
        let (noted, answer) = (Arc::clone(&noted), answer.clone());
        async move {
            let (head, body) = request.into_parts();
            let bytes = body.collect().await?.to_bytes();
            let object = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
            noted
                .lock()
                .unwrap()
                .push((head.method, head.uri.to_string(), object));
            let response = Response::builder()
                .status(status)
                .body(Body::from(answer.into_bytes()));
            Ok::<_, tower::BoxError>(response?)
        }
    });
    let lease = LeaseName::new("l", "n", &SettingNames::default()).unwrap();
    (
        KubeLeases::new(Client::new(service, "default"), lease),
        seen,
    )
}

fn failure(status: StatusCode, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(),
        "reason": reason, "message": "as told"})
}

fn lease() -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "l", "namespace": "n", "resourceVersion": "41"}, "spec": {}})
}

#[tokio::test]
async fn a_write_is_a_put_that_names_the_version_that_was_read() {
    let (leases, seen) = leases(StatusCode::OK, &lease());
    leases
        .replace(serde_json::from_value(lease()).unwrap())
        .await
        .unwrap();
    let (method, path, object) = seen.lock().unwrap().remove(0);
    assert_eq!(method, Method::PUT);
    assert!(
        path.contains("/apis/coordination.k8s.io/v1/namespaces/n/leases/l"),
        "{path}"
    );
    assert_eq!(object["metadata"]["resourceVersion"], "41");
}

#[tokio::test]
async fn a_lease_is_created_by_a_post_under_its_configured_name() {
    let (leases, seen) = leases(StatusCode::CREATED, &lease());
    leases.create(Lease::default()).await.unwrap();
    let (method, path, object) = seen.lock().unwrap().remove(0);
    assert_eq!(method, Method::POST);
    assert!(path.contains("/namespaces/n/leases"), "{path}");
    assert_eq!(object["metadata"]["name"], "l");
    assert_eq!(object["metadata"]["resourceVersion"], Value::Null);
}

#[tokio::test]
async fn a_read_goes_to_the_store_and_not_to_a_cache() {
    let (leases, seen) = leases(StatusCode::OK, &lease());
    assert!(leases.get().await.unwrap().is_some());
    let (method, path, _) = seen.lock().unwrap().remove(0);
    assert_eq!(method, Method::GET);
    assert!(!path.contains("resourceVersion"), "{path}");
}

#[tokio::test]
async fn a_lease_that_is_not_there_is_no_error() {
    let answer = failure(StatusCode::NOT_FOUND, "NotFound");
    let (leases, _seen) = leases(StatusCode::NOT_FOUND, &answer);
    assert!(leases.get().await.unwrap().is_none());
}

#[tokio::test]
async fn the_watch_asks_for_this_lease_alone_as_the_role_allows_no_more() {
    let list = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "LeaseList",
        "metadata": {"resourceVersion": "41"}, "items": [lease()]});
    let (leases, seen) = leases(StatusCode::OK, &list);
    let first = leases.watch().next().await.unwrap().unwrap();
    assert!(first.is_some());
    let (_, path, _) = seen.lock().unwrap().remove(0);
    assert!(path.contains("fieldSelector=metadata.name%3Dl"), "{path}");
}

#[rstest]
#[case::put_conflict("put", StatusCode::CONFLICT, "Conflict", true)]
#[case::put_gone("put", StatusCode::NOT_FOUND, "NotFound", true)]
#[case::put_forbidden("put", StatusCode::FORBIDDEN, "Forbidden", false)]
#[case::post_exists("post", StatusCode::CONFLICT, "AlreadyExists", true)]
#[case::post_without_namespace("post", StatusCode::NOT_FOUND, "NotFound", false)]
#[case::post_overloaded("post", StatusCode::TOO_MANY_REQUESTS, "TooManyRequests", false)]
#[tokio::test]
async fn only_what_another_look_can_mend_is_a_conflict(
    #[case] call: &str,
    #[case] status: StatusCode,
    #[case] reason: &str,
    #[case] conflict: bool,
) {
    let (leases, _seen) = leases(status, &failure(status, reason));
    let object = serde_json::from_value(lease()).unwrap();
    let result = match call {
        "put" => leases.replace(object).await,
        _ => leases.create(object).await,
    };
    let error = result.unwrap_err();
    assert_eq!(
        matches!(error, LeaseError::Conflict { .. }),
        conflict,
        "{error:?}"
    );
}
