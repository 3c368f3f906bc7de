//! The client of a term: it lets no write out once the term is over, and knows a refusal by the fence when it sees one.

use std::{iter, time::Duration};

use http::{Method, Request, Response, StatusCode};
use kube::{Client, client::Body, core::Status};
use tower::{BoxError, service_fn};

use super::{
    first_write::is_work,
    generation::Generation,
    scope::{Term, TermOver},
};
use crate::fence::Refusal;

/// How long after its beginning a term may be refused because the API server has not seen the Lease change yet: its
/// policies read the Lease through a watch. Measured are 6 to 10 ms; the rest is for one that is busy.
const NEWS_TRAVELS: Duration = Duration::from_secs(1);

/// The first pause before a refused write is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The API server's fence refused a write in a live term: by its view another replica holds the Lease.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fence refused a write in the term of {generation}: {message}")]
pub struct Fenced {
    /// The term.
    pub generation: Generation,
    /// What the API server says.
    pub message: String,
}

/// The cluster that a client of a term talks to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cluster {
    /// The operator's own, which may have the fence.
    Own,
    /// One that is reached by a kubeconfig: whatever it says is not about our Lease. Should it be the operator's own after all,
    /// the fence is not about the user of the kubeconfig.
    Other,
}

impl Term {
    /// A client that refuses writes outside this term; reads and watches pass.
    ///
    /// A write that the fence refused is tried again while the term is so new that the API server may not have seen the
    /// Lease change yet; after that it fails with [`Fenced`] in the chain of its error, and the term is doubted.
    ///
    /// It shares the connections of `client`, so it costs no handshake.
    pub fn client(&self, client: Client) -> Client {
        gated(self.clone(), client, Cluster::Own)
    }

    /// The same for a cluster that has no fence: there a write fails with [`ForeignTooSoon`](super::ForeignTooSoon) in the
    /// chain of its error for as long as an earlier leader may still write.
    pub fn client_of_other_cluster(&self, client: Client) -> Client {
        gated(self.clone(), client, Cluster::Other)
    }
}

/// Wraps `client` so that requests which may change something need a live `term`.
fn gated(term: Term, client: Client, cluster: Cluster) -> Client {
    let namespace = client.default_namespace().to_owned();
    let service = service_fn(move |request: Request<Body>| {
        let (term, client) = (term.clone(), client.clone());
        async move {
            let answer = send(&term, &client, request, cluster).await;
            // Whatever it is: a slow API server is no reason to take the work for stuck.
            term.progress();
            answer
        }
    });
    Client::new(service, namespace)
}

async fn send(
    term: &Term,
    client: &Client,
    request: Request<Body>,
    cluster: Cluster,
) -> Result<Response<Body>, BoxError> {
    if is_read(request.method()) {
        return Ok(client.send(request).await?);
    }
    let is_work = is_work(request.uri());
    let (head, body) = request.into_parts();
    let body = body.collect_bytes().await?;
    let mut pauses = iter::successors(Some(FIRST_PAUSE), |pause| Some(*pause * 2));
    loop {
        let request = Request::from_parts(head.clone(), Body::from(body.clone()));
        term.check()?;
        if cluster == Cluster::Other {
            term.check_foreign()
                .inspect_err(|held_back| term.shared.foreign.tell(held_back))?;
        }
        let refusal = tokio::select! {
            // Biased: an answer that is already here is kept even if the term ended in the same instant.
            biased;
            answer = attempt(term, client, request, cluster) => match answer? {
                Ok(answer) => {
                    if is_work && answer.status().is_success() {
                        term.shared.first_write.accepted(term.shared.clock.now());
                    }
                    return Ok(answer);
                }
                Err(refusal) => refusal,
            },
            () = term.ended() => return Err(over(term)),
        };
        let pause = pauses.next().unwrap_or(NEWS_TRAVELS);
        if term.age() + pause > NEWS_TRAVELS {
            term.doubt();
            let (generation, message) = (term.generation(), refusal.message);
            return Err(Box::new(Fenced {
                generation,
                message,
            }));
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = term.ended() => return Err(over(term)),
        }
    }
}

/// Sends once. An answer that is a refusal by the fence is taken out of the way, any other is passed on as it came.
async fn attempt(
    term: &Term,
    client: &Client,
    request: Request<Body>,
    cluster: Cluster,
) -> Result<Result<Response<Body>, Refusal>, BoxError> {
    let answer = client.send(request).await?;
    let may_be_fence =
        [StatusCode::FORBIDDEN, StatusCode::UNPROCESSABLE_ENTITY].contains(&answer.status());
    let policies = term.shared.policies.as_ref();
    let Some(policies) = policies.filter(|_| may_be_fence && cluster == Cluster::Own) else {
        return Ok(Ok(answer));
    };
    let (head, body) = answer.into_parts();
    let body = body.collect_bytes().await?;
    let refusal = serde_json::from_slice(&body)
        .ok()
        .and_then(|status: Status| Refusal::of(&status, policies));
    Ok(match refusal {
        Some(refusal) => Err(refusal),
        None => Ok(Response::from_parts(head, Body::from(body))),
    })
}

fn over(term: &Term) -> BoxError {
    let over = term.check().err();
    Box::new(over.unwrap_or(TermOver::Ended(term.generation())))
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}
