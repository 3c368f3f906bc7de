//! The canary: a `ScheduledMachine` whose spec the harness keeps changing, so that whoever leads has work to do.
//!
//! Its schedule is disabled, so no machine is ever created for it; each change of its spec still makes the leader write
//! its status, which shows in the audit log.

use std::{sync::Arc, time::Duration};

use five_spot::api::ScheduledMachine;
use kube::{Api, Client, Resource, api::DeleteParams};
use serde_json::json;
use tokio::{
    sync::{Mutex, Notify, watch},
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    judge::CANARY,
    requests::{RequestError, Requests},
};

/// Name of the canary.
pub const NAME: &str = "failover-canary";

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

/// The canary of one namespace.
#[derive(Debug)]
pub struct Canary {
    requests: Requests,
    namespace: String,
    pace: watch::Sender<Pace>,
    /// A change that is not to wait for the next tick.
    prompted: Notify,
    /// Held while a change is under way.
    changing: Mutex<()>,
}

/// Why there is no canary.
#[derive(Debug, thiserror::Error)]
pub enum CanaryError {
    /// The API server did not answer.
    #[error("failed to create the canary {NAME}")]
    Request(#[source] RequestError),
    /// The API server refused it.
    #[error("failed to create the canary {NAME}: {code} {message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// Why.
        message: String,
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
    /// Creates the canary, which nobody changes yet.
    pub async fn create(requests: Requests, namespace: &str) -> Result<Arc<Self>, CanaryError> {
        let canary = Self {
            requests,
            namespace: namespace.to_owned(),
            pace: watch::Sender::new(Pace::Silent),
            prompted: Notify::new(),
            changing: Mutex::new(()),
        };
        let created = timeout(CREATE_LIMIT, canary.try_create_until_served()).await;
        created.unwrap_or_else(|_| {
            let message = format!(
                "scheduledmachines are not served {} s after their CRD",
                CREATE_LIMIT.as_secs()
            );
            Err(CanaryError::Refused { code: 404, message })
        })?;
        Ok(Arc::new(canary))
    }

    /// Where the canary is.
    pub fn path(&self) -> String {
        format!("{}/{NAME}", self.collection())
    }

    /// Sets how often it is changed.
    pub fn pace(&self, pace: Pace) {
        self.pace.send_replace(pace);
    }

    /// Changes it at once, beside its pace, unless it is silent.
    pub fn prompt(&self) {
        self.prompted.notify_one();
    }

    /// Falls silent, and waits for the change that is under way: what is asked next is about all changes there were.
    pub async fn hush(&self) {
        self.pace(Pace::Silent);
        drop(self.changing.lock().await);
    }

    /// Changes the canary at its pace. Never returns.
    ///
    /// Changes are made one after the other: a slow API server is not loaded further.
    pub async fn sing(&self) {
        let mut pace = self.pace.subscribe();
        let mut priority: u8 = 0;
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
                priority = (priority + 1) % 100;
                self.change(priority).await;
            }
        }
    }

    /// A change that fails is recorded with the other requests of the harness, and shows as the rig's latency.
    async fn change(&self, priority: u8) {
        let _under_way = self.changing.lock().await;
        if *self.pace.borrow() == Pace::Silent {
            // It was told so in the moment in which this change came due.
            return;
        }
        let change = json!({"spec": {"priority": priority}});
        let _recorded = self.requests.merge(CANARY, &self.path(), &change).await;
    }

    async fn try_create_until_served(&self) -> Result<(), CanaryError> {
        loop {
            let answer = self
                .requests
                .create("canary-create", &self.collection(), &self.object())
                .await;
            let answer = answer.map_err(CanaryError::Request)?;
            match answer.code.as_u16() {
                200..=299 | 409 => return Ok(()),
                404 => tokio::time::sleep(Duration::from_millis(250)).await,
                code => {
                    return Err(CanaryError::Refused {
                        code,
                        message: answer.message().to_owned(),
                    });
                }
            }
        }
    }

    fn collection(&self) -> String {
        ScheduledMachine::url_path(&(), Some(&self.namespace))
    }

    fn object(&self) -> serde_json::Value {
        object(&self.namespace)
    }
}

/// Deletes the canary of a namespace, if it is there.
pub async fn remove(client: &Client, namespace: &str) -> Result<(), kube::Error> {
    let canaries: Api<ScheduledMachine> = Api::namespaced(client.clone(), namespace);
    match canaries.delete(NAME, &DeleteParams::default()).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}

fn object(namespace: &str) -> serde_json::Value {
    json!({
        "apiVersion": ScheduledMachine::api_version(&()),
        "kind": ScheduledMachine::kind(&()),
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "schedule": {"daysOfWeek": ["mon-sun"], "hoursOfDay": ["0-23"], "timezone": "UTC", "enabled": false},
            "clusterName": "failover",
            "bootstrapSpec": {"apiVersion": "bootstrap.cluster.x-k8s.io/v1beta1", "kind": "KubeadmConfig", "spec": {}},
            "infrastructureSpec": {
                "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "DockerMachine", "spec": {}
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canary_is_a_scheduled_machine_that_is_never_active() {
        let canary: ScheduledMachine = serde_json::from_value(object("here")).unwrap();
        assert!(!canary.spec.schedule.enabled);
        assert_eq!(canary.metadata.namespace.as_deref(), Some("here"));
    }

    #[test]
    fn a_trial_changes_it_ten_times_a_second_and_silence_not_at_all() {
        assert_eq!(Pace::Trial.period(), Some(Duration::from_millis(100)));
        assert_eq!(Pace::Silent.period(), None);
    }
}
