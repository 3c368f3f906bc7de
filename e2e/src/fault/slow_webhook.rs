//! `slow-webhook`: every write of the Lease takes seconds, because the API server asks an admission webhook that accepts
//! connections and never answers.
//!
//! Proves that a leader lives through an API server that is slow and not down: each of its renewals takes place, only
//! later than it renews. So it keeps the Lease; where its term ends all the same, another replica leads within the lease
//! duration and two retry periods, and keeps the Lease from then on. The webhook may be ignored (`failurePolicy: Ignore`),
//! which the API server does when it has waited for it. Nothing but the target's Lease is slowed. The webhook is a listener
//! of the harness's own process, which the API server has to reach; the fault is done when a write was seen to be slow.

use std::{net::SocketAddr, time::Duration};

use http::{Method, Request, header};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    action::{Action, Need},
    admission::{ACTIVE_LIMIT, create},
    effect,
    error::FaultError,
};
use crate::{
    context::RunContext,
    observe::SilentListener,
    undo_log::{Due, Undo},
};
use failover_judging::observed::{PodSeen, Strike};

const NAME: &str = "failover-slow-webhook";

const CONFIGURATIONS: &str =
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";

/// How long the API server waits for the webhook.
const TIMEOUT_SECONDS: u32 = 3;

/// A write that takes this long has waited for it.
const SLOW: Duration = Duration::from_millis(2_500);

/// Time between two attempts to write.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Listener),
    // The API server may ask the webhook for a moment after it was deleted.
    restored: |context, _| Box::pin(wait_until_fast(context)),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, _leader: &PodSeen) -> Result<Strike, FaultError> {
    let missing = || FaultError::NoEffect("no listener was opened".to_owned());
    let listener = context.listener.as_ref().ok_or_else(missing)?;
    listener.close_connections();
    context.undo_log.record(
        Due::AfterTrial,
        format!("writes of the Lease wait for the webhook {NAME}"),
        Undo::Delete {
            path: format!("{CONFIGURATIONS}/{NAME}"),
        },
    );
    let target = &context.target;
    let webhook = configuration(listener.address(), &target.namespace, &target.lease);
    let issued = context.observations.now();
    create(context, CONFIGURATIONS, &webhook).await?;
    wait_until_slow(context, listener).await?;
    Ok(Strike::between(issued, context.observations.now()))
}

fn configuration(listener: SocketAddr, namespace: &str, lease: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": NAME},
        "webhooks": [{
            "name": "slow-webhook.failover.invalid",
            "clientConfig": {"url": format!("https://{listener}/")},
            "failurePolicy": "Ignore",
            "timeoutSeconds": TIMEOUT_SECONDS,
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            "matchConditions": [{"name": "the-lease", "expression": format!("request.name == '{lease}'")}],
            "rules": [{
                "apiGroups": ["coordination.k8s.io"], "apiVersions": ["*"], "operations": ["CREATE", "UPDATE"],
                "resources": ["leases"], "scope": "Namespaced",
            }],
        }],
    })
}

/// Writes the Lease, without effect, until that is slow because of the webhook.
async fn wait_until_slow(
    context: &RunContext<'_>,
    listener: &SilentListener,
) -> Result<(), FaultError> {
    let look = || async {
        let asked = Instant::now();
        let written = write_without_effect(context).await;
        let is_slow = asked.elapsed() >= SLOW;
        let seen = match written {
            Ok(()) if is_slow && listener.was_reached() => return Ok(()),
            Ok(()) if is_slow => "they wait, but not for this listener".to_owned(),
            Ok(()) => "they are not slow".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(FaultError::NoEffect(format!(
            "writes of the Lease do not wait for the webhook at {} {} s after it was made: {seen}; --listen-on names \
             the address of this machine that the API server reaches",
            listener.address(),
            ACTIVE_LIMIT.as_secs()
        )))
    };
    effect::wait(ACTIVE_LIMIT, PAUSE, look).await
}

/// Writes the Lease, without effect, until that is fast again.
async fn wait_until_fast(context: &RunContext<'_>) -> Result<(), FaultError> {
    let look = || async {
        let asked = Instant::now();
        let seen = match write_without_effect(context).await {
            Ok(()) if asked.elapsed() < SLOW => return Ok(()),
            Ok(()) => "they are slow".to_owned(),
            Err(error) => error.to_string(),
        };
        Err(FaultError::NoEffect(format!(
            "writes of the Lease are not fast again {} s after the webhook was deleted: {seen}",
            ACTIVE_LIMIT.as_secs()
        )))
    };
    effect::wait(ACTIVE_LIMIT, PAUSE, look).await
}

/// A change of the Lease that is not stored. Admission is asked all the same.
async fn write_without_effect(context: &RunContext<'_>) -> Result<(), kube::Error> {
    let change = json!({"metadata": {"annotations": {"failover/asked-at": jiff::Timestamp::now().to_string()}}});
    let write = Request::builder()
        .method(Method::PATCH)
        .uri(format!("{}?dryRun=All", context.target.lease_path()))
        .header(header::CONTENT_TYPE, "application/merge-patch+json")
        .body(change.to_string().into_bytes());
    let answered = context
        .client
        .request_text(write.map_err(kube::Error::HttpError)?)
        .await;
    answered.map(drop)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;

    use super::*;

    #[test]
    fn the_webhook_is_asked_about_one_lease_and_is_ignored_when_it_does_not_answer() {
        let listener: SocketAddr = "172.17.0.1:4711".parse().unwrap();
        let found: ValidatingWebhookConfiguration =
            serde_json::from_value(configuration(listener, "here", "the-lease")).unwrap();
        let webhook = &found.webhooks.unwrap()[0];
        assert_eq!(
            webhook.client_config.url.as_deref(),
            Some("https://172.17.0.1:4711/")
        );
        assert_eq!(webhook.failure_policy.as_deref(), Some("Ignore"));
        assert_eq!(webhook.timeout_seconds, Some(3));
        let selector = webhook.namespace_selector.as_ref().unwrap();
        assert_eq!(
            selector.match_labels.as_ref().unwrap()["kubernetes.io/metadata.name"],
            "here"
        );
        let condition = &webhook.match_conditions.as_ref().unwrap()[0];
        assert_eq!(condition.expression, "request.name == 'the-lease'");
        let rule = &webhook.rules.as_ref().unwrap()[0];
        assert_eq!(rule.resources.as_deref(), Some(&["leases".to_owned()][..]));
        assert_eq!(
            rule.operations.as_deref(),
            Some(&["CREATE".to_owned(), "UPDATE".to_owned()][..])
        );
    }

    #[test]
    fn an_address_of_the_newer_kind_stands_in_brackets() {
        let listener: SocketAddr = "[fd00::1]:4711".parse().unwrap();
        let url = configuration(listener, "n", "l")["webhooks"][0]["clientConfig"]["url"].clone();
        assert_eq!(url, "https://[fd00::1]:4711/");
    }
}
