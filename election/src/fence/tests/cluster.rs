//! A cluster in memory, with the fence as it meets the tests of replicas.

use std::sync::{Arc, Mutex, MutexGuard};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tower::{BoxError, service_fn};

use super::*;
use crate::settings::{LeaseName, SettingNames};

/// The names of the policies and of what they are tested on.
pub(super) const STRICT: &str = "my-fence";
pub(super) const LENIENT: &str = "my-fence-shared";

/// When the Lease was renewed last.
pub(super) const RENEWED: &str = "2026-03-02T08:50:00.123456Z";

/// A cluster that answers by its state. Only dry runs of the probes and reads of the Lease are known; anything else fails
/// the test.
#[derive(Clone, Debug)]
pub(super) struct Cluster(Arc<Mutex<Contents>>);

#[derive(Clone, Debug)]
pub(super) struct Contents {
    /// Whether each policy denies what it does not let pass.
    pub(super) has_policy: PerPolicy<bool>,
    pub(super) has_probe: PerPolicy<bool>,
    pub(super) has_rights: bool,
    pub(super) is_reachable: bool,
    /// Whether the API server answers tests of the lenient policy.
    pub(super) is_lenient_answered: bool,
    /// None: there is no Lease.
    pub(super) holder: Option<&'static str>,
    /// The holder of an earlier time, where the API server's policies know no later one.
    pub(super) frozen: Option<&'static str>,
    pub(super) asked: usize,
    pub(super) read: usize,
}

pub(super) const BOTH: PerPolicy<bool> = PerPolicy {
    strict: true,
    lenient: true,
};

impl Cluster {
    /// A cluster in order, led by `holder`.
    pub(super) fn led_by(holder: &'static str) -> Self {
        Self(Arc::new(Mutex::new(Contents {
            has_policy: BOTH,
            has_probe: BOTH,
            has_rights: true,
            is_reachable: true,
            is_lenient_answered: true,
            holder: Some(holder),
            frozen: None,
            asked: 0,
            read: 0,
        })))
    }

    pub(super) fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap()
    }

    pub(super) fn fence(&self, me: &'static str) -> KubeFence {
        let cluster = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let cluster = cluster.clone();
            async move { cluster.answer(me, request).await }
        });
        let lease = LeaseName::new("l", "n", &SettingNames::default()).unwrap();
        let policies = Fence::named(STRICT, LENIENT).policies;
        let client = Client::new(service, "default");
        KubeFence::new(client, &lease, policies.clone(), policies, me)
    }

    async fn answer(&self, me: &str, request: Request<Body>) -> Result<Response<Body>, BoxError> {
        let (head, body) = request.into_parts();
        if head.method == Method::GET {
            return self.lease(head.uri.path()).await;
        }
        assert_eq!(head.method, Method::PATCH);
        let probes = "/api/v1/namespaces/n/configmaps/";
        let policy = match head.uri.path().strip_prefix(probes) {
            Some(STRICT) => Policy::Strict,
            Some(LENIENT) => Policy::Lenient,
            _ => panic!("{}", head.uri),
        };
        assert_eq!(head.headers["content-type"], "application/merge-patch+json");
        let query = head.uri.query().unwrap_or_default();
        assert!(query.contains("dryRun=All"), "{query}");
        let patch: Value = serde_json::from_slice(&body.collect().await?.to_bytes())?;
        let contents = {
            let mut contents = self.contents();
            contents.asked += 1;
            contents.clone()
        };
        let is_answered = policy == Policy::Strict || contents.is_lenient_answered;
        if !contents.is_reachable || !is_answered {
            return std::future::pending().await;
        }
        let renewed = patch["data"]["renewed"].as_str();
        let (code, message) =
            contents.verdict(policy, me, patch["data"]["refuse"] == "true", renewed);
        let answer = match code {
            200 => {
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name(policy)}})
            }
            _ => {
                json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": message})
            }
        };
        Ok(Response::builder()
            .status(StatusCode::from_u16(code)?)
            .body(Body::from(answer.to_string().into_bytes()))?)
    }
}

impl Cluster {
    async fn lease(&self, path: &str) -> Result<Response<Body>, BoxError> {
        let leases = "/apis/coordination.k8s.io/v1/namespaces/n/leases";
        assert_eq!(path, format!("{leases}/l"));
        self.contents().read += 1;
        let contents = self.contents().clone();
        if !contents.is_reachable {
            return std::future::pending().await;
        }
        let (code, answer) = match contents.holder {
            Some(holder) => (
                200,
                json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"},
                    "spec": {"holderIdentity": holder, "renewTime": RENEWED}}),
            ),
            None => (
                404,
                json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "not found"}),
            ),
        };
        let response = Response::builder().status(code);
        Ok(response.body(Body::from(answer.to_string().into_bytes()))?)
    }
}

impl Contents {
    pub(super) fn verdict(
        &self,
        policy: Policy,
        me: &str,
        refuse: bool,
        renewed: Option<&str>,
    ) -> (u16, String) {
        let policy_name = name(policy);
        let denied = |why: &str| {
            format!(
                "configmaps \"{policy_name}\" is forbidden: ValidatingAdmissionPolicy '{policy_name}' with binding '{policy_name}' denied \
                 request: {why}"
            )
        };
        if !self.has_rights {
            let message =
                format!("configmaps \"{policy_name}\" is forbidden: User \"x\" cannot patch");
            return (403, message);
        }
        if !self.has_probe.of(policy) {
            return (404, format!("configmaps \"{policy_name}\" not found"));
        }
        if !self.has_policy.of(policy) {
            return (200, String::new());
        }
        if let Some(renewed) = renewed {
            assert_eq!(renewed, RENEWED, "the time of the Lease as it is");
            if self.frozen.is_some() {
                return (422, denied("the API server does not follow the Lease"));
            }
        }
        match self.frozen.or(self.holder) {
            None if policy == Policy::Lenient => (200, String::new()),
            None => (422, denied("failed to configure binding: no params found")),
            Some(holder) if holder != me => (403, denied("only the holder of the Lease may write")),
            Some(_) if refuse => (403, denied("the fence is in force")),
            Some(_) => (200, String::new()),
        }
    }
}

fn name(policy: Policy) -> &'static str {
    match policy {
        Policy::Strict => STRICT,
        Policy::Lenient => LENIENT,
    }
}
