//! One replica's part in an election, and all that goes on beside it.

use std::{fmt, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::{
    elector::{Announcements, Elector, ElectorError, KubeLeases, Publisher},
    evidence::{HintListener, TerminationLog},
    fence::FenceTester,
    status::{LeadershipStatus, Pulse},
    term::Term,
};

/// How long what runs beside the election may take to end after it: the last Events are published meanwhile.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Why an election ended although it was not told to. The process is to end too.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// It failed, or the work did.
    #[error(transparent)]
    Elector(#[from] ElectorError),
    /// What runs beside it panicked.
    #[error("a task of the election failed")]
    Task(#[source] JoinError),
}

/// One replica's part in an election over a Lease.
pub struct Election {
    pub(super) elector: Elector<KubeLeases>,
    pub(super) announcements: Announcements,
    pub(super) publisher: Publisher,
    pub(super) listener: Option<HintListener>,
    pub(super) tester: Option<FenceTester>,
    pub(super) termination_log: Option<TerminationLog>,
}

impl Election {
    /// Whether this replica leads, or who does.
    pub fn status(&self) -> watch::Receiver<LeadershipStatus> {
        self.elector.status()
    }

    /// Beats as long as the election loop goes on, for a liveness probe.
    pub fn pulse(&self) -> Arc<Pulse> {
        self.elector.pulse()
    }

    /// The `renewTime` of the last write of this replica that was acknowledged in time, of whichever term. That of the
    /// present one is there before the status says that it leads.
    pub fn acknowledged(&self) -> watch::Receiver<Option<Timestamp>> {
        self.elector.acknowledged()
    }

    /// The termination log, to add why the process ends; none where it is not asked for or can't be written.
    pub fn termination_log(&self) -> Option<TerminationLog> {
        self.termination_log.clone()
    }

    /// Takes part until `shutdown` resolves: leads whenever it can, and runs `work` for each term.
    ///
    /// It contends only after `ready` has resolved. On shutdown the work is wound up first, see [`Term::winding_down`], and
    /// the Lease is released after that. Dropping the future ends everything at once and releases nothing.
    ///
    /// # Errors
    /// In each case the process has to end. After [`ElectorError::WorkOutlivedTerm`] at once: work is running that must not.
    pub async fn run<W, F>(
        self,
        ready: impl Future<Output = ()>,
        shutdown: impl Future<Output = ()> + Send + 'static,
        work: W,
    ) -> Result<(), ElectionError>
    where
        W: FnMut(Term) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let (asked, stop) = (CancellationToken::new(), CancellationToken::new());
        let mut beside = JoinSet::new();
        let shutting_down = asked.clone();
        beside.spawn(until(stop.clone(), async move {
            shutdown.await;
            shutting_down.cancel();
        }));
        if let Some(tester) = self.tester {
            let tested = async move { match tester.run().await {} };
            beside.spawn(until(stop.clone(), tested));
        }
        if let Some(listener) = self.listener {
            beside.spawn(listener.serve(stop.clone()));
        }
        beside.spawn(self.announcements.publish(self.publisher, stop.clone()));
        let mut elector = Box::pin(self.elector.run(ready, asked.clone(), work));
        let mut failed = None;
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut elector => break ended,
                Some(joined) = beside.join_next() => if let Err(panicked) = joined {
                    failed.get_or_insert(panicked);
                    asked.cancel();
                }
            }
        };
        if matches!(ended, Err(ElectorError::WorkOutlivedTerm(_))) {
            return Ok(ended?);
        }
        stop.cancel();
        // What takes longer, such as an Event that can't be published, is given up.
        let stopped = async { while beside.join_next().await.is_some() {} };
        let _ = timeout(STOP_TIMEOUT, stopped).await;
        ended?;
        failed.map_or(Ok(()), |panicked| Err(ElectionError::Task(panicked)))
    }
}

/// Does `task` until `stop`.
async fn until(stop: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        () = stop.cancelled() => {}
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Election");
        debug
            .field("lease", &self.publisher.lease)
            .finish_non_exhaustive()
    }
}
