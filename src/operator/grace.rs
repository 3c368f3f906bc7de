//! Whether what a replica does when it is told to stop fits into the grace period of its pod.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::time::timeout;
use tracing::{debug, warn};

use lease_election::{RELEASE_TIMEOUT, settings::LeaseName};

use crate::errors::Chain;

/// How long the answer is waited for. Nothing depends on it.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// What has to fit, and into what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TooShort {
    grace: Duration,
    needed: Duration,
}

/// Warns once where kubelet would kill this process before it has given the Lease back. Nobody but the pod itself knows its
/// grace period: an overlay, or whatever installed the operator, may have changed it.
pub(super) async fn check(client: Client, lease: &LeaseName, pod: &str, drain: Duration) {
    if let Some(TooShort { grace, needed }) = look(client, lease, pod, drain).await {
        warn!(
            pod,
            termination_grace_period_seconds = grace.as_secs(),
            drain_timeout_seconds = drain.as_secs(),
            release_seconds = RELEASE_TIMEOUT.as_secs(),
            needed_seconds = needed.as_secs(),
            "the grace period of the pod is too short: kubelet may kill this process before it has given the Lease back, \
             and a standby then waits for proof of its death or for the Lease to expire. Raise \
             terminationGracePeriodSeconds, or lower DRAIN_TIMEOUT_SECONDS"
        );
    }
}

/// A pod that can't be read is no error: nothing depends on it.
async fn look(client: Client, lease: &LeaseName, pod: &str, drain: Duration) -> Option<TooShort> {
    let pods: Api<Pod> = Api::namespaced(client, lease.namespace());
    match timeout(ANSWER_LIMIT, pods.get(pod)).await {
        Ok(Ok(read)) => too_short(&read, drain),
        Ok(Err(error)) => {
            debug!(pod, error = %Chain(&error), "the grace period of the pod is not known");
            None
        }
        Err(_elapsed) => {
            debug!(pod, "the grace period of the pod is not known: no answer");
            None
        }
    }
}

/// The drain comes first and the release after it; finding a successor is part of the release.
fn too_short(pod: &Pod, drain: Duration) -> Option<TooShort> {
    let seconds = pod.spec.as_ref()?.termination_grace_period_seconds?;
    let grace = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    let needed = drain + RELEASE_TIMEOUT;
    (grace < needed).then_some(TooShort { grace, needed })
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;
    use rstest::rstest;
    use serde_json::{Value, json};
    use tokio::time::Instant;
    use tower::{BoxError, service_fn};

    use lease_election::SettingNames;

    use super::*;

    #[rstest]
    #[case::as_deployed(Some(30), 20, None)]
    #[case::just_enough(Some(25), 20, None)]
    #[case::too_short(Some(24), 20, Some((24, 25)))]
    #[case::drain_alone_fits(Some(30), 30, Some((30, 35)))]
    #[case::killed_at_once(Some(0), 0, Some((0, 5)))]
    #[case::negative(Some(-1), 0, Some((0, 5)))]
    #[case::unknown(None, 20, None)]
    fn the_drain_and_the_release_have_to_fit(
        #[case] grace: Option<i64>,
        #[case] drain: u64,
        #[case] expected: Option<(u64, u64)>,
    ) {
        let pod = json!({"spec": {"containers": [], "terminationGracePeriodSeconds": grace}});
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let expected = expected.map(|(grace, needed)| TooShort {
            grace: Duration::from_secs(grace),
            needed: Duration::from_secs(needed),
        });
        assert_eq!(too_short(&pod, Duration::from_secs(drain)), expected);
    }

    /// An API server that gives this answer to whoever reads the pod `a`, and none to anything else.
    fn answering(code: u16, answer: &Value) -> Client {
        let answer = answer.to_string().into_bytes();
        let service = service_fn(move |request: Request<Body>| {
            let answer = answer.clone();
            async move {
                if request.uri().path() != "/api/v1/namespaces/5spot-system/pods/a" {
                    std::future::pending::<()>().await;
                }
                let response = Response::builder().status(code);
                Ok::<_, BoxError>(response.body(Body::from(answer))?)
            }
        });
        Client::new(service, "default")
    }

    #[rstest]
    #[case::too_short(200, "a", true)]
    #[case::forbidden(403, "a", false)]
    #[case::no_answer(200, "other", false)]
    #[tokio::test(start_paused = true)]
    async fn the_own_pod_is_read_once_and_that_it_can_not_be_is_no_error(
        #[case] code: u16,
        #[case] pod: &str,
        #[case] expected: bool,
    ) {
        let answer = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"},
            "spec": {"containers": [], "terminationGracePeriodSeconds": 10},
            // For the answer that is an error.
            "status": if code == 200 { json!({}) } else { json!("Failure") }, "code": code,
        });
        let client = answering(code, &answer);
        let begun = Instant::now();
        let lease = LeaseName::new("l", "5spot-system", &SettingNames::default()).unwrap();
        let drain = Duration::from_secs(20);
        let found = look(client, &lease, pod, drain).await;
        assert_eq!(found.is_some(), expected);
        assert!(begun.elapsed() <= ANSWER_LIMIT + Duration::from_millis(2));
    }
}
