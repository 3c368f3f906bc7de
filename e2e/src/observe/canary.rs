//! The canary: an object that the harness keeps changing, so that whoever leads has work to do.
//!
//! Which object, which change and which writes answer it is the target's affair. For our own operator it is a
//! `ScheduledMachine` with a disabled schedule: no machine is ever created for it, and each change of its spec still
//! makes the leader write its status, which shows in the audit log.

mod change;

use std::{sync::Arc, time::Duration};

use kube::{Client, Resource, ResourceExt, api::DynamicObject, discovery::Scope};
use serde_json::Value;
use tokio::{
    sync::{Mutex, Notify, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};

use crate::{
    deploy::{ApplyError, resolve},
    observe::requests::{RequestError, Requests},
    undo_log::{Due, Undo, UndoLog},
};
use failover_judging::observed::{Answer, audit::purpose::CANARY};

pub use change::{COUNTER, has_counter};
use change::{filled, inverse};

/// How long a new kind may take to be served.
const CREATE_LIMIT: Duration = Duration::from_secs(30);

/// How often the canary is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Not at all.
    Silent,
    /// Once a second: enough to see that the leader works.
    Idle,
    /// Ten times a second: enough to place the first write of a new leader.
    Trial,
}

/// What is changed, how, and what answers it.
#[derive(Clone, Debug, PartialEq)]
pub struct CanarySpec {
    /// The object.
    pub object: DynamicObject,
    /// The change, as a merge patch with [`COUNTER`] in it.
    pub patch: Value,
    /// The counter begins anew at this number.
    pub modulo: u32,
    /// What the leader writes then.
    pub answer: Answer,
}

/// The canary of a run.
#[derive(Debug)]
pub struct Canary {
    requests: Requests,
    path: String,
    patch: Value,
    modulo: u32,
    pace: watch::Sender<Pace>,
    /// A change that is not to wait for the next tick.
    prompted: Notify,
    /// Held while a change is under way.
    changing: Mutex<()>,
}

/// Why there is no canary.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum CanaryError {
    #[error("the canary {name} can't be made")]
    Kind {
        name: String,
        #[source]
        source: ApplyError,
    },
    #[error("failed to {action} the canary {name}")]
    Request {
        action: &'static str,
        name: String,
        #[source]
        source: RequestError,
    },
    #[error("failed to {action} the canary {name}: {code} {message}")]
    Refused {
        action: &'static str,
        name: String,
        code: u16,
        message: String,
    },
    #[error("failed to write down the canary {name}")]
    Shape {
        name: String,
        #[source]
        source: serde_json::Error,
    },
}

impl Pace {
    fn period(self) -> Option<Duration> {
        match self {
            Self::Silent => None,
            Self::Idle => Some(Duration::from_secs(1)),
            Self::Trial => Some(Duration::from_millis(100)),
        }
    }
}

impl Canary {
    /// Creates the canary where it does not exist, and writes down how to take it away, or to put it back as it was.
    /// Nobody changes it yet.
    pub async fn create(
        requests: Requests,
        client: &Client,
        spec: &CanarySpec,
        namespace: &str,
        undo_log: &UndoLog,
    ) -> Result<Arc<Self>, CanaryError> {
        let name = spec.object.name_any();
        let place = place(client, &spec.object, namespace).await?;
        let found = requests.get("canary-look", &place.path()).await;
        let found = found.map_err(failed("look for", &name))?;
        match found.code.as_u16() {
            200..=299 => undo_log.record(
                Due::AfterRun,
                format!("the canary {name} is changed"),
                Undo::Merge {
                    path: place.path(),
                    change: inverse(&found.object, &spec.patch),
                },
            ),
            404 => {
                undo_log.record(
                    Due::AfterRun,
                    format!("the canary {name} is there"),
                    Undo::Delete { path: place.path() },
                );
                place.create(&requests).await?;
            }
            code => {
                return Err(CanaryError::Refused {
                    action: "look for",
                    name,
                    code,
                    message: found.message().to_owned(),
                });
            }
        }
        Ok(Arc::new(Self {
            requests,
            path: place.path(),
            patch: spec.patch.clone(),
            modulo: spec.modulo,
            pace: watch::Sender::new(Pace::Silent),
            prompted: Notify::new(),
            changing: Mutex::new(()),
        }))
    }

    /// Where the canary is.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Sets how often it is changed.
    pub fn pace(&self, pace: Pace) {
        self.pace.send_replace(pace);
    }

    /// Changes it at once, beside its pace, unless it is silent.
    pub fn change_now(&self) {
        self.prompted.notify_one();
    }

    /// Falls silent, and waits for the change that is under way: what is asked next is about all changes there were.
    pub async fn pause(&self) {
        self.pace(Pace::Silent);
        drop(self.changing.lock().await);
    }

    /// Changes the canary at its pace. Never returns.
    ///
    /// Changes are made one after the other: a slow API server is not loaded further.
    pub async fn keep_changing(&self) {
        let mut pace = self.pace.subscribe();
        let mut counter: u32 = 0;
        loop {
            let current = *pace.borrow_and_update();
            let Some(period) = current.period() else {
                // The sender is this object's own, so it is not dropped while this runs.
                if pace.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            while *pace.borrow() == current {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = self.prompted.notified() => {}
                    changed = pace.changed() => {
                        if changed.is_err() {
                            return;
                        }
                        continue;
                    }
                }
                counter = (counter + 1) % self.modulo;
                self.change(counter).await;
            }
        }
    }

    /// A change that fails is recorded with the other requests of the harness, and shows as the rig's latency.
    async fn change(&self, counter: u32) {
        let _under_way = self.changing.lock().await;
        if *self.pace.borrow() == Pace::Silent {
            // It was told so in the moment in which this change came due.
            return;
        }
        let change = filled(&self.patch, counter);
        let _recorded = self.requests.merge(CANARY, &self.path, &change).await;
    }
}

/// The canary's object and where in the API it is, or is to be.
struct Place {
    object: DynamicObject,
    collection: String,
}

async fn place(
    client: &Client,
    object: &DynamicObject,
    namespace: &str,
) -> Result<Place, CanaryError> {
    let deadline = Instant::now() + CREATE_LIMIT;
    let (resource, capabilities) = loop {
        match resolve(client, object).await {
            Ok(found) => break found,
            Err(source) if Instant::now() > deadline => {
                let name = object.name_any();
                return Err(CanaryError::Kind { name, source });
            }
            Err(_) => sleep(Duration::from_millis(250)).await,
        }
    };
    let mut object = object.clone();
    let namespace = (capabilities.scope == Scope::Namespaced)
        .then(|| object.namespace().unwrap_or_else(|| namespace.to_owned()));
    object.metadata.namespace.clone_from(&namespace);
    Ok(Place {
        collection: DynamicObject::url_path(&resource, namespace.as_deref()),
        object,
    })
}

impl Place {
    fn path(&self) -> String {
        format!("{}/{}", self.collection, self.object.name_any())
    }

    /// A kind that was defined a moment ago may be known and not served yet.
    async fn create(&self, requests: &Requests) -> Result<(), CanaryError> {
        let name = self.object.name_any();
        let object = serde_json::to_value(&self.object).map_err(|source| CanaryError::Shape {
            name: name.clone(),
            source,
        })?;
        let deadline = Instant::now() + CREATE_LIMIT;
        loop {
            let answer = requests
                .create("canary-create", &self.collection, &object)
                .await
                .map_err(failed("create", &name))?;
            match answer.code.as_u16() {
                200..=299 | 409 => return Ok(()),
                404 if Instant::now() < deadline => sleep(Duration::from_millis(250)).await,
                code => {
                    return Err(CanaryError::Refused {
                        action: "create",
                        name,
                        code,
                        message: answer.message().to_owned(),
                    });
                }
            }
        }
    }
}

fn failed(action: &'static str, name: &str) -> impl FnOnce(RequestError) -> CanaryError {
    let name = name.to_owned();
    move |source| CanaryError::Request {
        action,
        name,
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trial_changes_it_ten_times_a_second_and_silence_not_at_all() {
        assert_eq!(Pace::Trial.period(), Some(Duration::from_millis(100)));
        assert_eq!(Pace::Silent.period(), None);
    }
}
