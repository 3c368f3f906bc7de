//! Tells people about the election, as Kubernetes Events on the Lease.
//!
//! The election hands over what happened and never waits: the channel is bounded, and what finds it full is dropped
//! and counted. Publishing is a task of its own with a client of its own, so an API server that is slow to take an
//! Event delays no renewal.
//!
//! Events are for people. They may be late, or missing after a crash; metrics and the Lease tell the same.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    errors::Chain,
    observer::{EventOutcome, Observer},
    record::{Cause, Reason, Record},
    settings::LeaseName,
};

/// More than a replica can say while one Event is given up.
const CAPACITY: usize = 16;

/// The longest that one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pauses between the tries: long enough together to outlive the outage that cost a leader its term.
const PAUSES: [u64; 6] = [1, 2, 4, 8, 16, 30];

/// How long what is left may take once the replica is to end.
const FLUSH: Duration = Duration::from_secs(1);

/// What the election says, and about which Lease object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// UID of the Lease: `kubectl describe` finds its Events by it.
    lease_uid: Option<String>,
    transitions: i32,
    pub(super) news: News,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// This replica leads.
    Acquired {
        reason: Reason,
        previous: Option<String>,
    },
    /// This replica led and no longer does, without having been told to stop.
    Lost { cause: Cause },
    /// This replica gave the Lease back.
    Released { successor: Option<String> },
    /// The record of the holder states a duration that no replica writes.
    Bounded {
        holder: String,
        stated: Option<i32>,
        waited: Duration,
    },
}

/// The election's end of the channel.
pub(crate) struct Announcer {
    sender: mpsc::Sender<Announcement>,
    observer: Arc<dyn Observer>,
}

/// The publisher's end of the channel.
pub(crate) struct Announcements {
    pub(super) receiver: mpsc::Receiver<Announcement>,
    observer: Arc<dyn Observer>,
}

/// Who publishes, and about which Lease.
pub(crate) struct Publisher {
    pub(crate) client: Client,
    pub(crate) lease: LeaseName,
    /// The controller that Events name.
    pub(crate) reporter: String,
    /// Its instance.
    pub(crate) pod: String,
}

/// Makes the channel; the observer hears what becomes of the Events.
pub(crate) fn announcements(observer: Arc<dyn Observer>) -> (Announcer, Announcements) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let announcer = Announcer {
        sender,
        observer: Arc::clone(&observer),
    };
    (announcer, Announcements { receiver, observer })
}

impl Announcer {
    /// Has `news` of the Lease in `record` published, unless too much is waiting.
    pub(super) fn tell(&self, record: &Record, news: News) {
        let announcement = Announcement {
            lease_uid: record.uid().map(str::to_owned),
            transitions: record.transitions(),
            news,
        };
        // A channel that is closed is one whose publisher ended: the replica is about to end as well.
        if let Err(error) = self.sender.try_send(announcement) {
            debug!(%error, "an Event about the election was dropped");
            self.observer.event(EventOutcome::Dropped);
        }
    }
}

impl Announcements {
    /// Publishes until the election has ended, and then what is left, for a moment only once `stop` asks.
    pub(crate) async fn publish(mut self, publisher: Publisher, stop: CancellationToken) {
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(FLUSH).await;
        };
        let publishing = async {
            while let Some(announcement) = self.receiver.recv().await {
                let outcome = announcement.publish(&publisher).await;
                self.observer.event(outcome);
            }
        };
        tokio::select! {
            () = publishing => {}
            () = patience => warn!("the last Events about the election were given up"),
        }
    }
}

impl Announcement {
    async fn publish(&self, publisher: &Publisher) -> EventOutcome {
        let Publisher {
            client,
            lease,
            reporter,
            pod,
        } = publisher;
        let event = self.event(pod);
        let reference = ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            name: Some(lease.name().to_owned()),
            namespace: Some(lease.namespace().to_owned()),
            uid: self.lease_uid.clone(),
            ..ObjectReference::default()
        };
        let reporter = Reporter {
            controller: reporter.clone(),
            instance: Some(pod.clone()),
        };
        // A recorder for each: one that is kept would fold a second takeover into the first and keep its note.
        let recorder = Recorder::new(client.clone(), reporter);
        let mut pauses = PAUSES.into_iter();
        loop {
            let why = match timeout(TRY_TIMEOUT, recorder.publish(&event, &reference)).await {
                Ok(Ok(())) => return EventOutcome::Published,
                Ok(Err(error)) => Chain(&error).to_string(),
                Err(_elapsed) => format!("no answer within {TRY_TIMEOUT:?}"),
            };
            let Some(pause) = pauses.next() else {
                warn!(
                    event = event.reason,
                    error = why,
                    "failed to publish an Event, given up"
                );
                return EventOutcome::Failed;
            };
            debug!(
                event = event.reason,
                error = why,
                "failed to publish an Event, trying again"
            );
            tokio::time::sleep(Duration::from_secs(pause)).await;
        }
    }

    fn event(&self, pod: &str) -> Event {
        let transitions = self.transitions;
        let (type_, reason, action, note) = match &self.news {
            News::Acquired { reason, previous } => {
                let from = match previous {
                    Some(previous) => format!("from {previous}"),
                    None => "that nobody was seen to hold".to_owned(),
                };
                let note = format!(
                    "{pod} leads: took the Lease {from}, reason {reason}, transition {transitions}"
                );
                (EventType::Normal, "LeaderAcquired", "TakeLease", note)
            }
            News::Lost { cause } => {
                let why = cause.why();
                let note = format!(
                    "{pod} no longer leads: {why}, cause {cause}, transition {transitions}"
                );
                (EventType::Warning, "LeaderLost", "StepDown", note)
            }
            News::Released { successor } => {
                let to = match successor {
                    Some(successor) => format!("to {successor}"),
                    None => "to whoever is first".to_owned(),
                };
                let note = format!("{pod} gave the Lease back {to}, transition {transitions}");
                (EventType::Normal, "LeaderReleased", "ReleaseLease", note)
            }
            News::Bounded {
                holder,
                stated,
                waited,
            } => {
                let stated = match stated {
                    Some(stated) => format!("leaseDurationSeconds {stated}"),
                    None => "no leaseDurationSeconds".to_owned(),
                };
                let waited = waited.as_secs();
                let note = format!(
                    "{pod} waits for {holder} for {waited} s at most: the Lease has {stated}, which no replica writes"
                );
                (
                    EventType::Warning,
                    "LeaseDurationIgnored",
                    "WaitForLease",
                    note,
                )
            }
        };
        Event {
            type_,
            reason: reason.to_owned(),
            note: Some(note),
            action: action.to_owned(),
            secondary: None,
        }
    }
}

#[cfg(test)]
mod tests;
