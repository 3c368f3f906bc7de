//! The harness's own requests to the API server: timed, and found again in the audit log.
//!
//! They calibrate the clocks ([`failover_judging::observed::ClockMap`]), so each is stamped right before it is sent and
//! right after its answer is there.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use tokio::time::timeout;

use crate::observe::observations::Observations;
use failover_judging::observed::OwnCall;

/// A request that has no answer after this long is given up.
const LIMIT: Duration = Duration::from_secs(5);

/// Sends timed requests and records them.
#[derive(Clone)]
pub struct Requests {
    client: Client,
    observations: Arc<Observations>,
}

/// An answer of the API server.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub code: StatusCode,
    /// The object in the answer, or the Status of a refusal.
    pub object: serde_json::Value,
    /// The `Audit-Id`.
    pub audit_id: Option<String>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum RequestError {
    #[error("failed to build the request {0}")]
    Build(String, #[source] http::Error),
    #[error("no answer to {0}")]
    Send(String, #[source] Box<kube::Error>),
    #[error("the answer to {0} broke off")]
    Receive(String, #[source] Box<kube::Error>),
    #[error("no answer to {0} within {limit} s", limit = LIMIT.as_secs())]
    Late(String),
}

impl std::fmt::Debug for Requests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Requests").finish_non_exhaustive()
    }
}

impl Requests {
    /// Requests through `client`, recorded in `observations`.
    pub fn new(client: Client, observations: Arc<Observations>) -> Self {
        Self {
            client,
            observations,
        }
    }

    /// Reads the object at `path`.
    pub async fn get(&self, purpose: &str, path: &str) -> Result<Answer, RequestError> {
        self.send(purpose, Method::GET, path, None).await
    }

    /// Merges `change` into the object at `path`.
    pub async fn merge(
        &self,
        purpose: &str,
        path: &str,
        change: &serde_json::Value,
    ) -> Result<Answer, RequestError> {
        self.send(
            purpose,
            Method::PATCH,
            path,
            Some(("application/merge-patch+json", change)),
        )
        .await
    }

    /// Creates `object` at `path`.
    pub async fn create(
        &self,
        purpose: &str,
        path: &str,
        object: &serde_json::Value,
    ) -> Result<Answer, RequestError> {
        self.send(
            purpose,
            Method::POST,
            path,
            Some(("application/json", object)),
        )
        .await
    }

    /// Deletes the object at `path`.
    pub async fn delete(&self, purpose: &str, path: &str) -> Result<Answer, RequestError> {
        self.send(purpose, Method::DELETE, path, None).await
    }

    async fn send(
        &self,
        purpose: &str,
        method: Method,
        path: &str,
        body: Option<(&str, &serde_json::Value)>,
    ) -> Result<Answer, RequestError> {
        let phrase = format!("{method} {path}");
        let mut request = Request::builder().method(method).uri(path);
        let mut content = Vec::new();
        if let Some((content_type, value)) = body {
            request = request.header(header::CONTENT_TYPE, content_type);
            content = value.to_string().into_bytes();
        }
        let request = request
            .body(Body::from(content))
            .map_err(|source| RequestError::Build(phrase.clone(), source))?;
        let sent = self.observations.now();
        let answer = timeout(LIMIT, self.exchange(&phrase, request)).await;
        let answer = answer.unwrap_or_else(|_| Err(RequestError::Late(phrase)));
        let own = OwnCall {
            audit_id: answer
                .as_ref()
                .ok()
                .and_then(|answer| answer.audit_id.clone()),
            purpose: purpose.to_owned(),
            sent,
            answered: self.observations.now(),
            code: answer.as_ref().map_or(0, |answer| answer.code.as_u16()),
            generation: answer
                .as_ref()
                .ok()
                .and_then(|answer| answer.object.pointer("/metadata/generation")?.as_i64()),
            resource_version: answer.as_ref().ok().and_then(Answer::resource_version),
        };
        self.observations.record(|seen| seen.own.push(own));
        answer
    }

    async fn exchange(&self, phrase: &str, request: Request<Body>) -> Result<Answer, RequestError> {
        let response = self
            .client
            .send(request)
            .await
            .map_err(|source| RequestError::Send(phrase.to_owned(), Box::new(source)))?;
        let code = response.status();
        let audit_id = response
            .headers()
            .get("audit-id")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(|source| RequestError::Receive(phrase.to_owned(), Box::new(source)))?
            .to_bytes();
        // An answer that is not JSON is a proxy's or a panic's; its code says what there is to say.
        let object = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(Answer {
            code,
            object,
            audit_id,
        })
    }
}

impl Answer {
    /// The revision of the object in the answer.
    fn resource_version(&self) -> Option<u64> {
        let version = self.object.pointer("/metadata/resourceVersion")?;
        version.as_str()?.parse().ok()
    }

    /// The message of a refusal.
    pub fn message(&self) -> &str {
        self.object
            .get("message")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("no message")
    }
}
