//! The client of a term: it lets no write out once the term is over.

use http::{Method, Request, Response};
use kube::{Client, client::Body};
use tower::{BoxError, service_fn};

use super::{Term, TermOver, first_write::is_work};

/// Wraps `client` so that requests which may change something need a live `term`.
pub(super) fn gated(term: Term, client: Client) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (term, client) = (term.clone(), client.clone());
        async move { send(&term, &client, request).await }
    });
    Client::new(service, namespace)
}

async fn send(
    term: &Term,
    client: &Client,
    request: Request<Body>,
) -> Result<Response<Body>, BoxError> {
    if is_read(request.method()) {
        return Ok(client.send(request).await?);
    }
    term.check()?;
    let is_work = is_work(request.uri());
    tokio::select! {
        // Biased: an answer that is already here is kept even if the term ended in the same instant.
        biased;
        answer = client.send(request) => {
            let answer = answer?;
            if is_work && answer.status().is_success() {
                term.shared.first_write.accepted(term.shared.clock.now());
            }
            Ok(answer)
        }
        () = term.ended() => Err(Box::new(term.check().err().unwrap_or(TermOver::Ended(term.generation())))),
    }
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}
