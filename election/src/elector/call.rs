//! A call about the Lease that is under way.

use std::future::Future;

use super::{
    attempt::Attempt,
    lock::{Answer, Held, LeaseError},
};
use crate::{clock::Moment, record::Record};

/// A write that is under way.
pub(super) struct Write {
    pub(super) attempt: Attempt,
    /// The version that it names: once another is seen, it can no longer succeed.
    pub(super) base: Option<String>,
    /// It was acknowledged by sight; what its answer is no longer matters.
    pub(super) settled: bool,
    pub(super) answer: Answer<Held>,
}

/// A read that is under way.
pub(super) struct Read {
    pub(super) asked: Moment,
    pub(super) answer: Answer<Option<Record>>,
}

/// What a read found.
pub(super) enum Found {
    /// This process holds the Lease.
    Mine(Box<Record>),
    /// Somebody else holds it, or nobody.
    NotMine,
    /// The read failed, or something newer is known by now.
    Nothing,
}

/// A call that has been answered, or given up.
pub(super) struct Answered<T> {
    pub(super) asked: Moment,
    pub(super) result: Result<T, LeaseError>,
}

/// The answer to the write; never, where none is under way.
pub(super) async fn written(write: &mut Option<Write>) -> (Write, Result<Held, LeaseError>) {
    let result = answer(write.as_mut().map(|write| &mut write.answer)).await;
    match write.take() {
        Some(write) => (write, result),
        None => std::future::pending().await,
    }
}

/// The answer to the read; never, where none is under way.
pub(super) async fn read(reading: &mut Option<Read>) -> Answered<Option<Record>> {
    let result = answer(reading.as_mut().map(|read| &mut read.answer)).await;
    match reading.take() {
        Some(Read { asked, .. }) => Answered { asked, result },
        None => std::future::pending().await,
    }
}

async fn answer<T>(call: Option<impl Future<Output = T> + Unpin>) -> T {
    match call {
        Some(call) => call.await,
        None => std::future::pending().await,
    }
}
