//! The watches that are open.

use std::sync::Arc;

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use tokio::sync::mpsc;

use super::{time::Millis, way::Lost};

/// All open watches.
#[derive(Default)]
pub(super) struct Watches {
    pub(super) open: Vec<Watch>,
    pub(super) opened: u64,
}

/// What a watch is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum On {
    Lease,
    Pod(String),
}

#[derive(Clone, Debug)]
pub(super) enum News {
    Lease(Option<Arc<Lease>>),
    Pod(Option<Box<Pod>>),
}

pub(super) struct Watch {
    pub(super) id: u64,
    pub(super) pod: usize,
    pub(super) on: On,
    pub(super) sender: mpsc::UnboundedSender<Result<News, Lost>>,
    /// It never says anything again.
    pub(super) deaf: bool,
    /// The connection broke: it is to be told the state anew when the way is free.
    pub(super) broken: bool,
    pub(super) last_due: Millis,
}
