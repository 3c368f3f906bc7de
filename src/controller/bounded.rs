//! A client that waits for no answer for ever.
//!
//! A connection that has gone dead without a word takes requests and answers none, and the kernel gives it up only
//! after many minutes. What is abandoned here takes its connection with it, so the next try gets a new one.

use std::time::Duration;

use http::{Request, Response};
use kube::{Client, client::Body};
use tokio::time::timeout;
use tower::{BoxError, service_fn};

/// The longest that an answer may take: far above what a page of a list takes.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// The API server did not answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", LONGEST_ANSWER.as_secs())]
struct NoAnswer;

/// Wraps `client` so that every answer is complete in time. Of a watch that is its beginning: how long it may be quiet
/// is up to whoever watches.
pub(super) fn bounded(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let client = client.clone();
        async move {
            timeout(LONGEST_ANSWER, answer(&client, request))
                .await
                .map_err(|_elapsed| NoAnswer)?
        }
    });
    Client::new(service, namespace)
}

async fn answer(client: &Client, request: Request<Body>) -> Result<Response<Body>, BoxError> {
    let is_watch = request
        .uri()
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    let answer = client.send(request).await?;
    if is_watch {
        return Ok(answer);
    }
    let (head, body) = answer.into_parts();
    Ok(Response::from_parts(
        head,
        Body::from(body.collect_bytes().await?),
    ))
}
