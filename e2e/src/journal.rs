//! Everything that is seen while a run goes on, in one place, each with its moment.
//!
//! Witnesses write into the journal as things arrive; trials wait on it and cut their data out of it.

use std::time::Duration;

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::{
    audit::{ApiCall, OwnCall},
    clock::{RunClock, Stamp},
    lease::{self, LeaseSeen},
    trial::{PodSeen, RigFault, present},
};

/// The shared record of a run.
#[derive(Debug)]
pub struct Journal {
    clock: RunClock,
    seen: watch::Sender<Seen>,
    doubted: Notify,
}

/// What has been seen since the last [`Journal::turn_page`].
#[derive(Debug, Default)]
pub struct Seen {
    /// The Lease, in store order.
    pub leases: Vec<LeaseSeen>,
    /// The replicas, in order of arrival.
    pub pods: Vec<PodSeen>,
    /// The audit log.
    pub calls: Vec<ApiCall>,
    /// The harness's own requests.
    pub own: Vec<OwnCall>,
    /// What went wrong with the rig.
    pub rig: Vec<RigFault>,
}

impl Journal {
    /// An empty journal.
    pub fn new(clock: RunClock) -> Self {
        Self {
            clock,
            seen: watch::Sender::new(Seen::default()),
            doubted: Notify::new(),
        }
    }

    /// Has every witness list anew what it watches: a watch may be dead without its connection saying so.
    pub fn doubt(&self) {
        self.doubted.notify_waiters();
    }

    /// Resolves when what is seen is doubted.
    pub async fn doubted(&self) {
        self.doubted.notified().await;
    }

    /// The present moment.
    pub fn now(&self) -> Stamp {
        self.clock.now()
    }

    /// Writes something down; whoever waits looks again.
    pub fn record(&self, write: impl FnOnce(&mut Seen)) {
        self.seen.send_modify(write);
    }

    /// Writes down what went wrong with the rig.
    pub fn rig_fault(&self, fault: RigFault) {
        self.record(|seen| seen.rig.push(fault));
    }

    /// Reads what has been seen.
    pub fn read<T>(&self, read: impl FnOnce(&Seen) -> T) -> T {
        read(&self.seen.borrow())
    }

    /// Waits until `look` finds what it looks for; `None` when `limit` has passed.
    pub async fn wait_for<T>(
        &self,
        limit: Duration,
        mut look: impl FnMut(&Seen) -> Option<T>,
    ) -> Option<T> {
        let mut seen = self.seen.subscribe();
        let found = async {
            loop {
                if let Some(found) = look(&seen.borrow_and_update()) {
                    return Some(found);
                }
                // The journal outlives this call, so its sender is never dropped meanwhile.
                seen.changed().await.ok()?;
            }
        };
        timeout(limit, found).await.ok().flatten()
    }

    /// Forgets what is over, and keeps what still holds: the state of the Lease and of the pods that are there.
    pub fn turn_page(&self) {
        self.record(|seen| {
            let last_lease = seen.leases.pop();
            let pods = present(&seen.pods).into_values().cloned().collect();
            *seen = Seen {
                leases: last_lease.into_iter().collect(),
                pods,
                ..Seen::default()
            };
        });
    }
}

impl Seen {
    /// The newest state of the Lease; `None` while there is none.
    pub fn lease(&self) -> Option<&LeaseSeen> {
        self.leases.last().filter(|seen| !seen.deleted)
    }

    /// Adds a state of the Lease.
    pub fn add_lease(&mut self, seen: LeaseSeen) {
        lease::insert(&mut self.leases, seen);
    }

    /// Adds a state of a pod, unless nothing about it changed.
    pub fn add_pod(&mut self, pod: PodSeen) {
        let last = self.pods.iter().rev().find(|known| known.name == pod.name);
        if last.is_none_or(|last| {
            (PodSeen {
                at: pod.at,
                resource_version: pod.resource_version,
                ..last.clone()
            }) != pod
        }) {
            self.pods.push(pod);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lease::LeaseRecord, trial::Presence};

    fn lease(version: u64) -> LeaseSeen {
        let record = LeaseRecord {
            resource_version: version,
            ..LeaseRecord::default()
        };
        LeaseSeen {
            at: Stamp::from_micros(0),
            record,
            deleted: false,
        }
    }

    fn pod(name: &str, presence: Presence) -> PodSeen {
        PodSeen {
            at: Stamp::from_micros(0),
            name: name.to_owned(),
            uid: name.to_owned(),
            resource_version: 1,
            node: None,
            container_id: None,
            ready: true,
            presence,
            restarts: 0,
            running: true,
            last_words: Vec::new(),
            waiting: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_sees_what_is_recorded_later() {
        let journal = Journal::new(RunClock::start());
        let waiting = journal.wait_for(Duration::from_secs(5), |seen| {
            seen.lease().map(|l| l.record.resource_version)
        });
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            journal.record(|seen| seen.add_lease(lease(7)));
        };
        assert_eq!(tokio::join!(waiting, later).0, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_its_limit() {
        let journal = Journal::new(RunClock::start());
        assert_eq!(
            journal
                .wait_for(Duration::from_secs(5), |_| None::<()>)
                .await,
            None
        );
    }

    #[tokio::test]
    async fn a_new_page_keeps_what_still_holds() {
        let journal = Journal::new(RunClock::start());
        journal.record(|seen| {
            seen.add_lease(lease(1));
            seen.add_lease(lease(2));
            for pod in [
                pod("a", Presence::Staying),
                pod("b", Presence::Staying),
                pod("a", Presence::Gone),
            ] {
                seen.add_pod(pod);
            }
        });
        journal.turn_page();
        journal.read(|seen| {
            assert_eq!(
                seen.leases
                    .iter()
                    .map(|l| l.record.resource_version)
                    .collect::<Vec<_>>(),
                [2]
            );
            assert_eq!(
                seen.pods
                    .iter()
                    .map(|pod| pod.name.as_str())
                    .collect::<Vec<_>>(),
                ["b"]
            );
        });
    }

    #[tokio::test]
    async fn a_pod_that_did_not_change_is_recorded_once() {
        let journal = Journal::new(RunClock::start());
        journal.record(|seen| seen.add_pod(pod("a", Presence::Staying)));
        journal.record(|seen| {
            seen.add_pod(PodSeen {
                at: Stamp::from_micros(5),
                resource_version: 2,
                ..pod("a", Presence::Staying)
            });
        });
        assert_eq!(journal.read(|seen| seen.pods.len()), 1);
    }
}
