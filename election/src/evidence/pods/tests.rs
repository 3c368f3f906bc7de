//! The requests that reach the API server: about one pod by name, and a list from its cache.

use std::sync::{Arc, Mutex};

use http::{Request, Response};
use kube::client::Body;
use serde_json::json;
use tower::service_fn;

use super::*;

fn pods() -> (KubePods, Arc<Mutex<Vec<String>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let service = service_fn(move |request: Request<Body>| {
        noted.lock().unwrap().push(request.uri().to_string());
        let answer = json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "7"},
            "items": [{"metadata": {"name": "a", "namespace": "n", "uid": "u"}}]});
        async move {
            Ok::<_, tower::BoxError>(Response::new(Body::from(answer.to_string().into_bytes())))
        }
    });
    let client = Client::new(service, "default");
    (KubePods::new(client, "n"), seen)
}

#[tokio::test]
async fn the_watch_asks_for_the_holder_s_pod_alone() {
    let (pods, seen) = pods();
    let first = pods.watch("a").next().await.unwrap().unwrap();
    assert_eq!(first.unwrap().metadata.uid.as_deref(), Some("u"));
    let path = seen.lock().unwrap().remove(0);
    assert!(
        path.contains("/namespaces/n/pods?") && path.contains("fieldSelector=metadata.name%3Da"),
        "{path}"
    );
}

#[tokio::test]
async fn the_list_stays_in_the_namespace_and_spares_the_store() {
    let (pods, seen) = pods();
    assert_eq!(pods.list().await.unwrap().len(), 1);
    let path = seen.lock().unwrap().remove(0);
    assert!(
        path.contains("/namespaces/n/pods?") && path.contains("resourceVersion=0"),
        "{path}"
    );
}
