//! Tells people about the election, as Kubernetes Events on the Lease.
//!
//! The election hands over what happened and never waits: the channel is bounded, and what finds it full is dropped
//! and counted. Publishing is a task of its own with a client of its own, so an API server that is slow to take an
//! Event delays no renewal.
//!
//! Events are for people. They may be late, or missing after a crash; metrics and the Lease tell the same.

use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::{
    Client,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    config::LeaseConfig,
    ending::Cause,
    metrics::LeaderMetrics,
    record::{Reason, Record},
};
use crate::errors::Chain;

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

/// What became of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The API server has it.
    Published,
    /// Too many were waiting.
    Dropped,
    /// The API server did not take it.
    Failed,
}

/// The election's end of the channel; the default one has no other end and says nothing.
#[derive(Clone, Debug, Default)]
pub struct Announcer {
    channel: Option<(mpsc::Sender<Announcement>, LeaderMetrics)>,
}

/// The publisher's end of the channel.
#[derive(Debug)]
pub struct Announcements {
    pub(super) receiver: mpsc::Receiver<Announcement>,
    metrics: LeaderMetrics,
}

/// Makes the channel; `metrics` counts what becomes of the Events.
pub fn announcements(metrics: LeaderMetrics) -> (Announcer, Announcements) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let announcer = Announcer {
        channel: Some((sender, metrics.clone())),
    };
    (announcer, Announcements { receiver, metrics })
}

impl Announcer {
    /// This replica took the Lease, which `record` now shows, from `previous`.
    pub(super) fn acquired(&self, record: &Record, reason: Reason, previous: Option<&str>) {
        let previous = previous.map(str::to_owned);
        self.tell(record, News::Acquired { reason, previous });
    }

    /// This replica's term ended, and not because it was told to stop.
    pub(super) fn lost(&self, record: &Record, cause: Cause) {
        self.tell(record, News::Lost { cause });
    }

    /// This replica gave the Lease back, to `successor` if it named one.
    pub(super) fn released(&self, record: &Record, successor: Option<&str>) {
        let successor = successor.map(str::to_owned);
        self.tell(record, News::Released { successor });
    }

    /// The holder of `record` is waited for so long at most, whatever the record states.
    pub(super) fn bounded(&self, record: &Record, waited: Duration) {
        let holder = record.holder().unwrap_or_default().to_owned();
        let stated = record.stated_duration();
        let news = News::Bounded {
            holder,
            stated,
            waited,
        };
        self.tell(record, news);
    }

    fn tell(&self, record: &Record, news: News) {
        let Some((sender, metrics)) = &self.channel else {
            return;
        };
        let announcement = Announcement {
            lease_uid: record.uid().map(str::to_owned),
            transitions: record.transitions(),
            news,
        };
        // A channel that is closed is one whose publisher ended: the replica is about to end as well.
        if let Err(error) = sender.try_send(announcement) {
            debug!(%error, "an Event about the election was dropped");
            metrics.announced(Outcome::Dropped);
        }
    }
}

impl Announcements {
    /// Publishes as `pod` until the election has ended, and then what is left, for a moment only once `stop` asks.
    pub async fn publish(
        mut self,
        client: Client,
        lease: LeaseConfig,
        pod: String,
        stop: CancellationToken,
    ) {
        let patience = async {
            stop.cancelled().await;
            tokio::time::sleep(FLUSH).await;
        };
        let publishing = async {
            while let Some(announcement) = self.receiver.recv().await {
                let outcome = announcement.publish(&client, &lease, &pod).await;
                self.metrics.announced(outcome);
            }
        };
        tokio::select! {
            () = publishing => {}
            () = patience => warn!("the last Events about the election were given up"),
        }
    }
}

impl Announcement {
    async fn publish(&self, client: &Client, lease: &LeaseConfig, pod: &str) -> Outcome {
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
            controller: REPORTER.to_owned(),
            instance: Some(pod.to_owned()),
        };
        // A recorder for each: one that is kept would fold a second takeover into the first and keep its note.
        let recorder = Recorder::new(client.clone(), reporter);
        let mut pauses = PAUSES.into_iter();
        loop {
            let why = match timeout(TRY_TIMEOUT, recorder.publish(&event, &reference)).await {
                Ok(Ok(())) => return Outcome::Published,
                Ok(Err(error)) => Chain(&error).to_string(),
                Err(_elapsed) => format!("no answer within {TRY_TIMEOUT:?}"),
            };
            let Some(pause) = pauses.next() else {
                warn!(
                    event = event.reason,
                    error = why,
                    "failed to publish an Event, given up"
                );
                return Outcome::Failed;
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
                let reason = reason.as_str();
                let note = format!(
                    "{pod} leads: took the Lease {from}, reason {reason}, transition {transitions}"
                );
                (EventType::Normal, "LeaderAcquired", "TakeLease", note)
            }
            News::Lost { cause } => {
                let (why, cause) = (cause.why(), cause.as_str());
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

/// The controller that Events name; the pod is their instance.
const REPORTER: &str = "5spot-controller";

impl Outcome {
    /// Everything that can become of an Event.
    pub(super) const ALL: [Self; 3] = [Self::Published, Self::Dropped, Self::Failed];

    /// The word for metrics.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Dropped => "dropped",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests;
