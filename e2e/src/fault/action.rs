//! How a fault is done: a table of functions, most of which most faults leave as they are.

use std::sync::{Mutex, PoisonError};

use futures::future::{BoxFuture, pending, ready};

use super::error::FaultError;
use crate::context::RunContext;
use failover_judging::{
    clock::Stamp,
    observed::{PodSeen, Strike},
};

/// Something that is done to the leader, or for it, and can fail.
type Step<T> = for<'a> fn(&'a RunContext<'a>, &'a PodSeen) -> BoxFuture<'a, Result<T, FaultError>>;

/// How a fault is done to the leader.
#[derive(Debug)]
pub struct Action {
    /// What it needs beyond the API, if anything.
    pub needs: Option<Need>,
    /// Does it, and says when. How what lasts is undone is recorded in the undo log first.
    pub strike: Step<Strike>,
    /// Waits until what it took away is there again, after it was undone. Most faults take nothing that is not back at
    /// once.
    pub restored: Step<()>,
    /// Repeats it until it is dropped, and records each time. Most faults are done once.
    pub repeat:
        for<'a> fn(&'a RunContext<'a>, &'a PodSeen, &'a RepeatedStrikes) -> BoxFuture<'a, ()>,
}

/// What a fault needs beyond the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Commands on the nodes.
    Node,
    /// An address of this machine that the API server reaches.
    Listener,
    /// A second node for the operator to go to.
    Nodes,
    /// Two nodes beside the server's, in containers that the harness started.
    Agents,
}

/// When a fault that is kept up was repeated.
#[derive(Debug, Default)]
pub struct RepeatedStrikes(Mutex<Vec<Stamp>>);

impl Action {
    /// One that needs nothing and is over when it is done.
    pub(super) const fn of(strike: Step<Strike>) -> Self {
        Self {
            needs: None,
            strike,
            restored: |_, _| Box::pin(ready(Ok(()))),
            repeat: |_, _, _| Box::pin(pending()),
        }
    }
}

impl Need {
    /// How many agents a cluster has to be started with.
    pub fn agents(self) -> u32 {
        match self {
            Self::Node | Self::Listener => 0,
            Self::Nodes | Self::Agents => 2,
        }
    }

    /// In words, with how it is met.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Node => "commands on the nodes (a started cluster has them; else --on-node)",
            Self::Listener => {
                "an address of this machine that the API server reaches (a started cluster has one; else --listen-on)"
            }
            Self::Nodes => "two nodes that take pods (a cluster is started with two agents)",
            Self::Agents => "agents that the harness started (a cluster is started with two)",
        }
    }
}

impl RepeatedStrikes {
    pub(super) fn add(&self, at: Stamp) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(at);
    }

    /// All of them.
    pub fn all(&self) -> Vec<Stamp> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
