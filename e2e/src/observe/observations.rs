//! Everything that is seen while a run goes on, in one place, each with its moment.
//!
//! Observers record things as they arrive; a trial waits for them and takes its data from here.

use std::{collections::BTreeMap, time::Duration};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::observe::run_clock::RunClock;
use failover_judging::{
    clock::Stamp,
    observed::{
        ApiCall, HolderIdentity, LeaseRecord, LeaseSeen, OwnCall, PodSeen, RigFault, Stall, lease,
        trial::present,
    },
};

/// What is seen of a run, shared by all who observe.
#[derive(Debug)]
pub struct Observations {
    clock: RunClock,
    seen: watch::Sender<Seen>,
    relisting: Notify,
}

/// What has been seen since the last [`Observations::start_trial`].
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
    /// When the harness itself had to wait for a processor.
    pub stalls: Vec<Stall>,
    /// By holder, the pods that the audit log shows to have written it into the Lease.
    pub writers: BTreeMap<String, String>,
}

impl Observations {
    /// Nothing has been seen yet.
    pub fn new(clock: RunClock) -> Self {
        Self {
            clock,
            seen: watch::Sender::new(Seen::default()),
            relisting: Notify::new(),
        }
    }

    /// Has every observer list anew what it watches: a watch may be dead without its connection saying so.
    pub fn relist(&self) {
        self.relisting.notify_waiters();
    }

    /// Resolves when everything is to be listed anew.
    pub async fn relisting(&self) {
        self.relisting.notified().await;
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

    /// Writes down that the harness had to wait for a processor. Nobody waits for that, so nobody is woken.
    pub fn stalled(&self, stall: Stall) {
        self.seen.send_if_modified(|seen| {
            seen.stalls.push(stall);
            false
        });
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
                // The observations outlive this call, so their sender is never dropped meanwhile.
                seen.changed().await.ok()?;
            }
        };
        timeout(limit, found).await.ok().flatten()
    }

    /// Begins the observations of a trial: forgets what is over, and keeps what still holds: the state of the Lease and of the pods that are there.
    pub fn start_trial(&self) {
        self.record(|seen| {
            let last_lease = seen.leases.pop();
            let pods = present(&seen.pods).into_values().cloned().collect();
            *seen = Seen {
                leases: last_lease.into_iter().collect(),
                pods,
                writers: std::mem::take(&mut seen.writers),
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

    /// Adds a state of the Lease, with the pod that its holder leads to.
    pub fn add_lease(&mut self, mut seen: LeaseSeen, way: HolderIdentity) {
        self.identify(&mut seen.record, way);
        lease::insert(&mut self.leases, seen);
    }

    /// Adds a request that the audit log shows. One that wrote `user`'s holder into the Lease tells which pod that is.
    pub fn add_call(&mut self, mut call: ApiCall, user: &str, way: HolderIdentity) {
        if let Some(mut record) = call.lease.take() {
            let writes = call.is_write() && call.accepted() && call.user == user;
            if let (HolderIdentity::Any, true, Some(pod)) = (way, writes, &call.pod) {
                self.learn(&record, pod);
            }
            self.identify(&mut record, way);
            call.lease = Some(record);
        }
        self.calls.push(call);
    }

    /// Notes that `pod` wrote this record, and completes what was seen before the audit log told.
    fn learn(&mut self, record: &LeaseRecord, pod: &str) {
        // Whoever first writes a holder is that holder; others may write the Lease without changing it.
        if record.is_free() || self.writers.contains_key(&record.holder) {
            return;
        }
        self.writers.insert(record.holder.clone(), pod.to_owned());
        let same = |seen: &&mut LeaseSeen| seen.record.holder == record.holder;
        for seen in self.leases.iter_mut().filter(same) {
            seen.record.identify(pod);
        }
    }

    fn identify(&self, record: &mut LeaseRecord, way: HolderIdentity) {
        let pods = self.pods.iter().map(|pod| pod.name.as_str());
        let pod = match way {
            HolderIdentity::Any => self.writers.get(&record.holder).cloned(),
            named => named.pod(&record.holder, pods),
        };
        if let Some(pod) = pod {
            record.identify(&pod);
        }
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
    use failover_judging::{
        observed::Presence,
        samples::{self, call},
    };

    const USUAL: HolderIdentity = HolderIdentity::NameSuffix;

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
            presence,
            ..samples::pod(name)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_sees_what_is_recorded_later() {
        let observations = Observations::new(RunClock::start());
        let waiting = observations.wait_for(Duration::from_secs(5), |seen| {
            seen.lease().map(|l| l.record.resource_version)
        });
        let later = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            observations.record(|seen| seen.add_lease(lease(7), USUAL));
        };
        assert_eq!(tokio::join!(waiting, later).0, Some(7));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_at_its_limit() {
        let observations = Observations::new(RunClock::start());
        assert_eq!(
            observations
                .wait_for(Duration::from_secs(5), |_| None::<()>)
                .await,
            None
        );
    }

    #[tokio::test]
    async fn a_new_page_keeps_what_still_holds() {
        let observations = Observations::new(RunClock::start());
        observations.record(|seen| {
            seen.add_lease(lease(1), USUAL);
            seen.add_lease(lease(2), USUAL);
            for pod in [
                pod("a", Presence::Staying),
                pod("b", Presence::Staying),
                pod("a", Presence::Gone),
            ] {
                seen.add_pod(pod);
            }
        });
        observations.start_trial();
        observations.read(|seen| {
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
        let observations = Observations::new(RunClock::start());
        observations.record(|seen| seen.add_pod(pod("a", Presence::Staying)));
        observations.record(|seen| {
            seen.add_pod(PodSeen {
                at: Stamp::from_micros(5),
                resource_version: 2,
                ..pod("a", Presence::Staying)
            });
        });
        assert_eq!(observations.read(|seen| seen.pods.len()), 1);
    }
    /// An accepted write of the Lease by `pod`, with `holder` in the answer.
    fn lease_write(pod: &str, holder: &str) -> ApiCall {
        let mut write = call(pod, "update", "leases");
        write.lease = Some(held(3, holder).record);
        write
    }

    fn held(version: u64, holder: &str) -> LeaseSeen {
        let mut seen = lease(version);
        holder.clone_into(&mut seen.record.holder);
        seen
    }

    #[test]
    fn the_audit_log_tells_the_pod_of_an_opaque_holder_also_of_what_was_seen_before() {
        let mut seen = Seen::default();
        let user = call("a", "update", "leases").user;
        seen.add_lease(held(3, "4711"), HolderIdentity::Any);
        assert_eq!(seen.leases[0].record.pod(), "4711");
        seen.add_call(lease_write("a", "4711"), &user, HolderIdentity::Any);
        assert_eq!(seen.leases[0].record.pod(), "a");
        seen.add_lease(held(4, "4711"), HolderIdentity::Any);
        assert_eq!(seen.leases[1].record.pod(), "a");
        assert_eq!(seen.calls[0].lease.as_ref().unwrap().pod(), "a");
    }

    #[test]
    fn a_holder_is_told_by_its_own_first_write_and_not_by_a_strangers() {
        let mut seen = Seen::default();
        let user = call("a", "update", "leases").user;
        let stranger = ApiCall {
            user: "somebody".to_owned(),
            ..lease_write("x", "4711")
        };
        seen.add_call(stranger, &user, HolderIdentity::Any);
        seen.add_call(lease_write("a", "4711"), &user, HolderIdentity::Any);
        seen.add_call(lease_write("b", "4711"), &user, HolderIdentity::Any);
        seen.add_lease(held(5, "4711"), HolderIdentity::Any);
        assert_eq!(seen.leases[0].record.pod(), "a");
    }

    #[tokio::test]
    async fn a_new_page_still_knows_the_pods_of_the_holders() {
        let observations = Observations::new(RunClock::start());
        let user = call("a", "update", "leases").user;
        observations.record(|seen| {
            seen.add_call(lease_write("a", "4711"), &user, HolderIdentity::Any);
        });
        observations.start_trial();
        observations.record(|seen| seen.add_lease(held(5, "4711"), HolderIdentity::Any));
        observations.read(|seen| assert_eq!(seen.leases[0].record.pod(), "a"));
    }

    #[test]
    fn a_holder_with_a_uuid_is_identified_as_it_arrives() {
        let mut seen = Seen::default();
        let holder = "a-1b4e28ba-2fa1-11d2-883f-0016d3cca427";
        seen.add_lease(held(3, holder), HolderIdentity::HostnameUuid);
        assert_eq!(seen.leases[0].record.pod(), "a");
    }
}
