//! What is learned of the holder's process, beside what the Lease says: proof of its death, or a hint of it.
//!
//! One process is followed at a time: the one that the Lease names. Its own Pod is watched, and nothing else; where hints
//! are on, a connection is held to it.
//!
//! # Damping
//! Whoever can forge hints could move the Lease as often as he likes. So a term that was itself taken by a hint is given
//! one lease duration before it can be taken by another, unless its leader has seen the proof meanwhile and says so in
//! the Lease; and a replica that took one acts on no further hint until the death was proven, or until a time has passed
//! that doubles with each that was not.

use std::{net::IpAddr, sync::Arc, time::Duration};

use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use tracing::{debug, info, warn};

use crate::{
    clock::{Moment, SharedClock, sleep_until},
    errors::Chain,
    evidence::{Peers, PodApi, PodError, proves_death},
    fence::FenceCheck,
    identity::{Identity, Incarnation},
    mutation::{self, Mutation},
    record::{Evidence, Reason, Record},
};

/// How long a hint may be acted on: it was the fence as it stood then that made it safe.
const FRESH: Duration = Duration::from_secs(1);

/// The most doublings of the time for which hints are ignored.
const MOST_DOUBLINGS: u32 = 8;

/// What a replica can learn of other replicas from, beside the Lease.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    /// The Pods of the namespace; without them there is neither proof nor hint, and a release names no successor.
    pub(crate) pods: Option<Arc<dyn PodApi>>,
    /// The name of the operator's container in its pod: only its last words count. None where nothing is to be proven.
    pub(crate) container: Option<String>,
    /// Connections to other replicas, and the fence without which no hint is acted on; none where hints are off.
    pub(crate) hints: Option<(Arc<dyn Peers>, Arc<dyn FenceCheck>)>,
}

impl Sources {
    fn watch(&self, pod: &str) -> BoxStream<'static, Result<Option<Pod>, PodError>> {
        match &self.pods {
            Some(pods) => pods.watch(pod),
            None => stream::pending().boxed(),
        }
    }
}

/// Follows the process that holds the Lease.
pub(super) struct Holder {
    sources: Sources,
    clock: SharedClock,
    /// The lease duration: the unit of the damping.
    duration: Duration,
    followed: Option<Followed>,
    evidence: Evidence,
    /// Since when `evidence.gone` is known.
    gone_since: Moment,
    quiet_until: Option<Moment>,
    unproven: u32,
}

/// The process that is followed.
struct Followed {
    pod_name: String,
    incarnation: Incarnation,
    term: TermSeen,
    /// Those of its pod, in the order in which kubelet reports them; none while its pod has not been seen.
    addresses: Vec<IpAddr>,
    /// Until when its term is spared, because it was itself taken on a hint.
    spared_until: Option<Moment>,
    pod: BoxStream<'static, Result<Option<Pod>, PodError>>,
    /// Whether it holds the Lease. If not, the end of a connection to it means nothing.
    holds: bool,
    hint: Option<BoxFuture<'static, bool>>,
}

/// What tells one term of a process from another, and an unproven one from one that was proven right: the transitions,
/// the time and the reason of the take.
type TermSeen = (i32, Option<Timestamp>, Option<Reason>);

/// Something that happened to the process.
pub(super) enum News {
    Pod(Result<Option<Box<Pod>>, PodError>),
    PodWatchEnded,
    /// Its connection was lost; and whether the fence was found in force right after.
    Lost {
        fenced: bool,
    },
}

impl Holder {
    pub(super) fn new(sources: Sources, clock: SharedClock, duration: Duration) -> Self {
        let now = clock.now();
        Self {
            sources,
            clock,
            duration,
            followed: None,
            evidence: Evidence::default(),
            gone_since: now,
            quiet_until: None,
            unproven: 0,
        }
    }

    pub(super) fn list_pods(&self) -> Option<BoxFuture<'static, Result<Vec<Pod>, PodError>>> {
        Some(self.sources.pods.as_ref()?.list())
    }

    /// What is known at this moment.
    pub(super) fn evidence(&mut self) -> &Evidence {
        let now = self.clock.now();
        if self.evidence.gone.is_some() && now.since(self.gone_since) > FRESH {
            self.evidence.gone = None;
            self.listen_from(Some(now + self.duration));
        }
        &self.evidence
    }

    /// Follows the holder of `record`, unless that is `me` or already followed.
    ///
    /// A Lease that is free or this replica's own changes nothing: whoever led before is followed on, so that the proof
    /// of its death is still noticed after a takeover by a hint.
    pub(super) fn follow(&mut self, record: Option<&Record>, me: &Identity) {
        let Some(record) = record else { return };
        let other = record
            .incarnation()
            .filter(|incarnation| *incarnation != me.incarnation);
        let (Some(holder), Some(incarnation)) = (record.holder(), other) else {
            return self.lost_the_lease();
        };
        let term = (record.transitions(), record.acquired(), record.takeover());
        let spared_until =
            (record.takeover() == Some(Reason::Hint)).then(|| self.clock.now() + self.duration);
        // A stranger may write its name beside the incarnation of the one before, and that one may come back: what is
        // known of a process is known of it under its own name alone.
        if let Some(followed) = &mut self.followed
            && followed.incarnation == incarnation
            && followed.pod_name == holder
        {
            if followed.term != term || !followed.holds {
                // It leads again, or its take was proven right: what was learned before is void.
                (followed.term, followed.spared_until) = (term, spared_until);
                followed.holds = true;
                self.evidence.gone = None;
                self.listen_from(None);
            }
            return;
        }
        debug!(
            holder,
            incarnation = %incarnation,
            "following the holder's process"
        );
        self.followed = Some(Followed {
            pod_name: holder.to_owned(),
            pod: self.sources.watch(holder),
            incarnation,
            term,
            addresses: Vec::new(),
            spared_until,
            holds: true,
            hint: None,
        });
        self.evidence = Evidence::default();
    }

    /// The process that is followed does not hold the Lease any more. Its pod is watched on.
    fn lost_the_lease(&mut self) {
        if let Some(followed) = &mut self.followed {
            (followed.holds, followed.hint) = (false, None);
        }
    }

    /// Whether the death of the process that is followed is proven. While this replica leads, that is its predecessor.
    pub(super) fn is_dead(&self) -> bool {
        self.evidence.dead.is_some()
    }

    /// The next thing that happens to the process; never, where none is followed.
    pub(super) async fn next(&mut self) -> News {
        let Some(followed) = &mut self.followed else {
            return std::future::pending().await;
        };
        let hint = async {
            match &mut followed.hint {
                Some(hint) => hint.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            change = followed.pod.next() => change.map_or(News::PodWatchEnded, |pod| {
                News::Pod(pod.map(|pod| pod.map(Box::new)))
            }),
            fenced = hint => {
                followed.hint = None;
                News::Lost { fenced }
            }
        }
    }

    /// Takes in what happened; whether it is a new reason to take the Lease.
    pub(super) fn learn(&mut self, news: News) -> bool {
        let Some(followed) = &mut self.followed else {
            return false;
        };
        match news {
            News::Pod(Ok(Some(pod))) => return self.seen(&pod),
            // A Pod object that is gone proves nothing: its process may run on for as long as it likes.
            News::Pod(Ok(None)) => {
                debug!(pod = followed.pod_name, "the holder's Pod object is gone");
            }
            News::Pod(Err(error)) => {
                debug!(error = %Chain(&error), "the watch on the holder's pod broke and is retried");
            }
            News::PodWatchEnded => followed.pod = self.sources.watch(&followed.pod_name),
            News::Lost { fenced: false } => {
                warn!(
                    holder = followed.pod_name,
                    "lost the connection to the leader's process, but the fence is not proven to stand: waiting for \
                     proof of death or for the Lease to expire"
                );
                self.listen_from(Some(self.clock.now() + self.duration));
            }
            News::Lost { fenced: true } => return self.lost(),
        }
        false
    }

    fn seen(&mut self, pod: &Pod) -> bool {
        let Some(followed) = &mut self.followed else {
            return false;
        };
        let container = self.sources.container.as_deref();
        if self.evidence.dead.is_none()
            && container
                .is_some_and(|container| proves_death(pod, &followed.incarnation, container))
        {
            info!(
                holder = followed.pod_name,
                incarnation = %followed.incarnation,
                "the holder's process is proven to be dead"
            );
            self.evidence.dead = Some(followed.incarnation.clone());
            // A hint that was acted on for this process is proven right.
            (self.quiet_until, self.unproven) = (None, 0);
            return true;
        }
        let addresses = addresses(pod);
        let is_same = pod.metadata.uid.as_ref() == Some(&followed.incarnation.pod_uid);
        if is_same && !addresses.is_empty() && followed.addresses != addresses {
            followed.addresses = addresses;
            self.listen_from(None);
        }
        false
    }

    /// Holds a connection to the process from now on, and takes its end for a hint from `from` on, or from the end of
    /// the damping if that is later.
    fn listen_from(&mut self, from: Option<Moment>) {
        let Some(followed) = &mut self.followed else {
            return;
        };
        let Some((peers, fence)) = &self.sources.hints else {
            return;
        };
        if followed.addresses.is_empty() || !followed.holds {
            return;
        }
        let from = from.max(self.quiet_until).max(followed.spared_until);
        let (lost, fence, clock) = (
            peers.lost(&followed.addresses, &followed.incarnation),
            Arc::clone(fence),
            Arc::clone(&self.clock),
        );
        followed.hint = Some(Box::pin(async move {
            if let Some(from) = from {
                sleep_until(clock.as_ref(), from).await;
            }
            lost.await;
            // Asked at this moment: what a test said a minute ago is no ground to act on.
            fence.refuses_me().await || mutation::is(Mutation::ActsOnAHintUnfenced)
        }));
    }

    fn lost(&mut self) -> bool {
        let Some(followed) = &self.followed else {
            return false;
        };
        info!(
            holder = followed.pod_name,
            incarnation = %followed.incarnation,
            "the connection to the leader's process ended and is refused, and the fence is in force"
        );
        self.evidence.gone = Some(followed.incarnation.clone());
        self.gone_since = self.clock.now();
        true
    }

    /// A Lease was taken on a hint: until it is proven right, the next one has to wait.
    pub(super) fn acted_on_hint(&mut self) {
        self.evidence.gone = None;
        let wait = self.duration * 2_u32.pow(self.unproven.min(MOST_DOUBLINGS));
        self.quiet_until = Some(self.clock.now() + wait);
        self.unproven = self.unproven.saturating_add(1);
    }
}

/// The addresses of `pod`, of which there is one for each family that its network has.
fn addresses(pod: &Pod) -> Vec<IpAddr> {
    let reported = pod
        .status
        .as_ref()
        .and_then(|status| status.pod_ips.as_deref())
        .unwrap_or_default();
    reported
        .iter()
        .filter_map(|reported| reported.ip.parse().ok())
        .collect()
}
