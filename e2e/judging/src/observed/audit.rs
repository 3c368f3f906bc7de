//! The API server's audit log as a witness: who wrote what, when, and whether it was accepted.
//!
//! An event of `audit.k8s.io/v1` carries the pod of a ServiceAccount token in `user.extra`, so every write has a
//! replica. Where the policy logs responses, an event also carries the resulting `resourceVersion`: it orders writes
//! across kinds exactly, with no clock in between.

mod clock_map;
pub mod purpose;

pub use clock_map::{ClockMap, OwnCall};

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Millis,
    observed::lease::{LeaseRecord, parse_resource_version, said_by_holder},
};

/// The key of `user.extra` that names the pod a token was issued to.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";

/// A moment on the API server's wall clock, in microseconds since 1970.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Wall(pub i64);

/// One answered request, read from the audit log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiCall {
    /// The event's `auditID`, which the caller also gets in the response header `Audit-Id`.
    pub audit_id: String,
    /// Who asked.
    pub user: String,
    /// The pod whose token was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// get, list, watch, create, update, patch, delete or deletecollection.
    pub verb: String,
    /// API group; empty for the core group.
    pub group: String,
    /// Resource in plural.
    pub resource: String,
    /// Subresource, or empty.
    #[serde(default)]
    pub subresource: String,
    /// Namespace, or empty.
    #[serde(default)]
    pub namespace: String,
    /// Name, or empty.
    #[serde(default)]
    pub name: String,
    /// Whether it is about Leases, and not about the one whose holder is put to the test.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_lease: bool,
    /// HTTP status.
    pub code: u16,
    /// Whether it was asked not to be stored.
    #[serde(default)]
    pub dry_run: bool,
    /// When the API server received it.
    pub received: Wall,
    /// When it was answered; for a watch, when it began to be answered.
    pub completed: Wall,
    /// `resourceVersion` of the object in the response, where responses are logged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<u64>,
    /// `metadata.generation` of the object in the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// `status.observedGeneration` of the object in the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The Lease in the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<LeaseRecord>,
}

/// A line of the audit log that is not an event of the expected shape.
#[derive(Debug, thiserror::Error)]
#[error("line of the audit log is not an audit.k8s.io/v1 event: {start}")]
pub struct NotAnEvent {
    start: String,
    #[source]
    source: serde_json::Error,
}

impl Wall {
    /// Milliseconds from `earlier` to this moment.
    pub fn since(self, earlier: Self) -> Millis {
        crate::clock::millis(self.0 - earlier.0)
    }
}

impl ApiCall {
    /// Reads one line of the audit log; `None` for the stages that say nothing new.
    pub fn from_line(line: &str) -> Result<Option<Self>, NotAnEvent> {
        let event: Event = serde_json::from_str(line).map_err(|source| NotAnEvent {
            start: line.chars().take(120).collect(),
            source,
        })?;
        Ok(event.into_call())
    }

    /// From when the API server received it until it had answered.
    pub fn lasted_ms(&self) -> Millis {
        Duration::from_micros(self.received.0.abs_diff(self.completed.0)).as_secs_f64() * 1000.0
    }

    /// Whether the API server accepted it.
    pub fn accepted(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether it may change what is stored.
    pub fn is_write(&self) -> bool {
        matches!(
            self.verb.as_str(),
            "create" | "update" | "patch" | "delete" | "deletecollection"
        ) && !self.dry_run
    }

    /// Whether it is about a Lease, whichever.
    pub fn is_any_lease(&self) -> bool {
        self.group == "coordination.k8s.io" && self.resource == "leases"
    }

    /// Whether it is about the Lease whose holder is put to the test.
    pub fn is_lease(&self) -> bool {
        self.is_any_lease() && !self.other_lease
    }

    /// Whether it is a write that only a leader may make: not of a Lease, not of an Event, and not a question asked by
    /// way of a create (token and access reviews).
    pub fn is_work_write(&self) -> bool {
        self.is_write()
            && !self.is_any_lease()
            && self.resource != "events"
            && !matches!(
                self.group.as_str(),
                "authentication.k8s.io" | "authorization.k8s.io"
            )
    }

    /// Whether it is a work write that was refused to somebody who is known: what a fence answers. A conflict or a failed
    /// precondition is no refusal of the writer.
    pub fn is_refused_work_write(&self) -> bool {
        self.is_work_write() && matches!(self.code, 403 | 422)
    }

    /// Whether it asks a pod to stop: a delete, or an eviction that was allowed.
    pub fn is_end_of_pod(&self) -> bool {
        self.group.is_empty()
            && self.resource == "pods"
            && self.accepted()
            && !self.dry_run
            && matches!(
                (self.verb.as_str(), self.subresource.as_str()),
                ("delete", "") | ("create", "eviction")
            )
    }

    /// The object and the verb in one phrase, for messages.
    pub fn phrase(&self) -> String {
        let slash = if self.subresource.is_empty() { "" } else { "/" };
        format!(
            "{} {}{slash}{} {}",
            self.verb, self.resource, self.subresource, self.name
        )
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(rename = "auditID")]
    audit_id: String,
    stage: Stage,
    verb: String,
    #[serde(rename = "requestURI", default)]
    request_uri: String,
    user: User,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: jiff::Timestamp,
    stage_timestamp: jiff::Timestamp,
    response_object: Option<ResponseObject>,
}

#[derive(Deserialize, PartialEq)]
enum Stage {
    RequestReceived,
    ResponseStarted,
    ResponseComplete,
    Panic,
}

#[derive(Deserialize)]
struct User {
    #[serde(default)]
    username: String,
    #[serde(default)]
    extra: std::collections::BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    subresource: String,
    namespace: String,
    name: String,
    api_group: String,
}

#[derive(Deserialize, Default)]
struct ResponseStatus {
    #[serde(default)]
    code: u16,
}

#[derive(Deserialize)]
struct ResponseObject {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(flatten)]
    rest: serde_json::Map<String, serde_json::Value>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    resource_version: Option<String>,
    generation: Option<i64>,
    annotations: std::collections::BTreeMap<String, String>,
}

impl Event {
    fn into_call(self) -> Option<ApiCall> {
        let telling = match self.stage {
            Stage::ResponseComplete | Stage::Panic => self.verb != "watch",
            Stage::ResponseStarted => self.verb == "watch",
            Stage::RequestReceived => false,
        };
        if !telling {
            return None;
        }
        let object = self
            .response_object
            .filter(|object| object.kind != "Status");
        let metadata = object
            .as_ref()
            .map(|object| object.metadata.clone())
            .unwrap_or_default();
        let name = if self.object_ref.name.is_empty() {
            metadata.name
        } else {
            self.object_ref.name
        };
        let observed_generation = object.as_ref().and_then(|object| {
            object
                .rest
                .get("status")?
                .get("observedGeneration")?
                .as_i64()
        });
        let lease = object
            .filter(|object| object.kind == "Lease")
            .and_then(ResponseObject::into_lease);
        Some(ApiCall {
            audit_id: self.audit_id,
            user: self.user.username,
            pod: self
                .user
                .extra
                .get(POD_NAME)
                .and_then(|names| names.first().cloned()),
            verb: self.verb,
            group: self.object_ref.api_group,
            resource: self.object_ref.resource,
            subresource: self.object_ref.subresource,
            namespace: self.object_ref.namespace,
            name,
            other_lease: false,
            code: if self.stage == Stage::Panic {
                500
            } else {
                self.response_status.code
            },
            dry_run: self.request_uri.contains("dryRun="),
            received: Wall(self.request_received_timestamp.as_microsecond()),
            completed: Wall(self.stage_timestamp.as_microsecond()),
            resource_version: metadata
                .resource_version
                .as_deref()
                .and_then(|text| text.parse().ok()),
            generation: metadata.generation,
            observed_generation,
            lease,
        })
    }
}

impl ResponseObject {
    fn into_lease(self) -> Option<LeaseRecord> {
        let spec = self.rest.get("spec")?;
        let text = |key: &str| {
            spec.get(key)
                .and_then(|value| value.as_str().map(str::to_owned))
        };
        let number = |key: &str| {
            spec.get(key)
                .and_then(serde_json::Value::as_i64)
                .and_then(|n| i32::try_from(n).ok())
        };
        // A response that is a list of Leases has no revision of one of them.
        self.metadata.resource_version.as_deref()?;
        let (incarnation, takeover) = said_by_holder(&self.metadata.annotations);
        Some(LeaseRecord {
            resource_version: parse_resource_version(self.metadata.resource_version.as_deref()),
            holder: text("holderIdentity").unwrap_or_default(),
            pod: None,
            incarnation,
            takeover,
            acquire_time: text("acquireTime"),
            renew_time: text("renewTime"),
            duration_seconds: number("leaseDurationSeconds"),
            transitions: number("leaseTransitions").unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
