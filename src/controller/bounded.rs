//! A client that waits for no answer for ever, and keeps none that is larger than can be.
//!
//! A connection that has gone dead without a word takes requests and answers none, and the kernel gives it up only
//! after many minutes. What is abandoned here takes its connection with it, so the next try gets a new one.
//!
//! Who can write a kubeconfig decides who answers, so an answer may also be made to fill the memory.

use std::{future::ready, time::Duration};

use axum::body::{Body, to_bytes};
use futures::StreamExt;
use http::{Request, Response};
use kube::Client;
use tokio::time::timeout;
use tower::{BoxError, service_fn};

/// The longest that an answer may take: far above what a page of a list takes.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// The largest answer, in bytes: a page of 500 objects of 30 kB each fits.
const LARGEST_ANSWER: usize = 16 << 20;

/// The longest line of a watch, in bytes: an API server stores no object of more than some 1.5 MB.
const LONGEST_LINE: usize = 8 << 20;

/// The API server did not answer.
#[derive(Debug, thiserror::Error)]
#[error("no answer within {} s", LONGEST_ANSWER.as_secs())]
struct NoAnswer;

/// No object is that large.
#[derive(Debug, thiserror::Error)]
#[error("a line of the watch is longer than {LONGEST_LINE} bytes")]
struct TooLong;

/// Wraps `client` so that every answer is complete in time, and not too large. Of a watch that is its beginning, and each
/// of its lines: how long it may be quiet is up to whoever watches.
pub(super) fn bounded(client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<kube::client::Body>| {
        let client = client.clone();
        async move {
            timeout(LONGEST_ANSWER, answer(&client, request))
                .await
                .map_err(|_elapsed| NoAnswer)?
        }
    });
    Client::new(service, namespace)
}

async fn answer(
    client: &Client,
    request: Request<kube::client::Body>,
) -> Result<Response<Body>, BoxError> {
    let is_watch = request
        .uri()
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    let (head, body) = client.send(request).await?.into_parts();
    let body = Body::new(body);
    let body = if is_watch {
        in_lines(body)
    } else {
        whole(body).await?
    };
    Ok(Response::from_parts(head, body))
}

async fn whole(body: Body) -> Result<Body, BoxError> {
    Ok(Body::from(to_bytes(body, LARGEST_ANSWER).await?))
}

/// The same body, which ends with an error where a line is too long.
fn in_lines(body: Body) -> Body {
    let chunks = body.into_data_stream().scan(0, |line, chunk| {
        let chunk = chunk.map_err(BoxError::from).and_then(|chunk| {
            *line = match chunk.iter().rposition(|byte| *byte == b'\n') {
                Some(last) => chunk.len() - last - 1,
                None => *line + chunk.len(),
            };
            if *line > LONGEST_LINE {
                return Err(TooLong.into());
            }
            Ok(chunk)
        });
        ready(Some(chunk))
    });
    Body::from_stream(chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn watched(line: usize, lines: usize) -> Result<usize, axum::Error> {
        let text = format!("{}\n", "x".repeat(line)).repeat(lines);
        let chunks = text.as_bytes().chunks(64 << 10);
        let chunks: Vec<_> = chunks
            .map(|chunk| Ok::<_, BoxError>(chunk.to_vec()))
            .collect();
        let body = Body::from_stream(futures::stream::iter(chunks));
        Ok(to_bytes(in_lines(body), usize::MAX).await?.len())
    }

    #[tokio::test]
    async fn a_watch_may_be_long_and_its_lines_may_not() {
        assert_eq!(watched(1 << 20, 20).await.unwrap(), (20 << 20) + 20);
        assert_eq!(watched(LONGEST_LINE, 1).await.unwrap(), LONGEST_LINE + 1);
        let error = watched(LONGEST_LINE + (64 << 10), 1).await.unwrap_err();
        assert!(
            error.to_string().contains("a line of the watch is longer"),
            "{error}"
        );
    }
}
