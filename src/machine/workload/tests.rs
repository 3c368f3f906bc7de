//! Kubeconfigs that may be used, and those that may not.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response};
use kube::client::Body;
use rstest::rstest;
use tower::service_fn;

use super::*;

const GOOD: &str = "
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
clusters: [{name: a, cluster: {server: 'https://192.0.2.1:6443'}}]
users: [{name: a, user: {token: secret-token}}]
";

/// An API server with one Secret, or none, that counts how often it is read.
fn server(text: Option<String>) -> (Client, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let service = service_fn(move |request: Request<Body>| {
        counted.fetch_add(1, Ordering::SeqCst);
        assert_eq!(
            request.uri().path(),
            "/api/v1/namespaces/default/secrets/lab-kubeconfig"
        );
        let secret = text.as_ref().map(|text| Secret {
            data: Some(
                [(
                    "value".to_owned(),
                    k8s_openapi::ByteString(text.clone().into_bytes()),
                )]
                .into(),
            ),
            ..Secret::default()
        });
        async move {
            let (code, body) = match secret {
                Some(secret) => (200, serde_json::json!(secret)),
                None => (
                    404,
                    serde_json::json!({"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}),
                ),
            };
            let body = Body::from(body.to_string().into_bytes());
            Ok::<_, tower::BoxError>(Response::builder().status(code).body(body)?)
        }
    });
    (Client::new(service, "default"), reads)
}

fn lab() -> ClusterKey {
    ClusterKey {
        namespace: "default".into(),
        name: "lab".into(),
    }
}

fn counting(client: Client) -> (Workloads, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let other = server(None).0;
    let workloads = Workloads::connecting_by(
        client,
        Arc::new(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            let client = other.clone();
            Box::pin(async move { Ok(client) })
        }),
    );
    (workloads, made)
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_a_secret_is_our_own() {
    let (client, reads) = server(None);
    let (workloads, made) = counting(client);
    workloads.client(&lab()).await.unwrap();
    workloads.client(&lab()).await.unwrap();
    assert_eq!(
        (reads.load(Ordering::SeqCst), made.load(Ordering::SeqCst)),
        (1, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_kubeconfig_is_read_again_after_a_while_and_the_same_one_keeps_its_client() {
    let (client, reads) = server(Some(GOOD.to_owned()));
    let (workloads, made) = counting(client);
    workloads.client(&lab()).await.unwrap();
    tokio::time::sleep(FRESH).await;
    workloads.client(&lab()).await.unwrap();
    assert_eq!(
        (reads.load(Ordering::SeqCst), made.load(Ordering::SeqCst)),
        (2, 1)
    );
    workloads.forget(&lab());
    workloads.client(&lab()).await.unwrap();
    assert_eq!(
        (reads.load(Ordering::SeqCst), made.load(Ordering::SeqCst)),
        (3, 2)
    );
}

#[rstest]
#[case::program("token: secret-token", "exec: {command: sh}", "users[].user.exec")]
#[case::provider(
    "token: secret-token",
    "auth-provider: {name: gcp, config: {}}",
    "users[].user.auth-provider"
)]
#[case::token_file(
    "token: secret-token",
    "tokenFile: /var/run/token",
    "users[].user.tokenFile"
)]
#[case::certificate(
    "token: secret-token",
    "client-certificate: /etc/x",
    "users[].user.client-certificate"
)]
#[case::key("token: secret-token", "client-key: /etc/x", "users[].user.client-key")]
#[case::authority(
    "server: ",
    "certificate-authority: /etc/x, server: ",
    "clusters[].cluster.certificate-authority"
)]
#[case::proxy(
    "server: ",
    "proxy-url: 'http://192.0.2.9', server: ",
    "clusters[].cluster.proxy-url"
)]
#[case::no_yaml("kind: Config", "{secret-token", "data.value")]
#[tokio::test(start_paused = true)]
async fn a_kubeconfig_that_reaches_beyond_itself_is_refused_and_not_repeated(
    #[case] from: &str,
    #[case] to: &str,
    #[case] field: &str,
) {
    let (client, _) = server(Some(GOOD.replace(from, to)));
    let (workloads, made) = counting(client);
    let error = workloads.client(&lab()).await.unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("Secret default/lab-kubeconfig: {field} must")),
        "{error}"
    );
    assert!(!error.contains("secret-token"), "{error}");
    assert_eq!(made.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_is_made_of_a_good_kubeconfig() {
    let (client, _) = server(Some(GOOD.to_owned()));
    Workloads::new(client).client(&lab()).await.unwrap();
}
