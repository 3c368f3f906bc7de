//! One fault on a steady system: everything that was seen of it.
//!
//! A [`TrialData`] is plain data. It is what [`crate::judge`] judges, and what is written beside the report, so that a
//! trial can be judged again without a cluster.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Millis, Stamp},
    fault::FaultKind,
    observed::{
        audit::{ApiCall, OwnCall},
        eviction::Eviction,
        lease::{LeaseRecord, LeaseSeen},
        roles::RolesSeen,
        work::WorkRule,
    },
    settings::LeaseSettings,
};

/// How long after the API server goes on requests may still be slow because of its pause.
const API_SETTLES: Duration = Duration::from_secs(1);

/// Which trial.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub struct TrialId {
    /// How many replicas the Deployment has.
    pub replicas: u32,
    /// What is done to the leader.
    pub fault: FaultKind,
    /// Counted from 1 within replicas and fault.
    pub number: u32,
}

/// All that was seen of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialData {
    /// Which trial.
    pub id: TrialId,
    /// The election settings of the Deployment.
    pub settings: LeaseSettings,
    /// The user name of the operator's ServiceAccount.
    pub operator: String,
    /// When the harness began to look.
    pub began: Stamp,
    /// The Lease before the fault.
    pub before: LeaseRecord,
    /// Whether the fence is part of what was deployed.
    #[serde(default)]
    pub fence: bool,
    /// What this run does not look at.
    #[serde(default)]
    pub unobserved: Vec<Unobserved>,
    /// Which requests of the replicas are work.
    #[serde(default)]
    pub work: WorkRule,
    /// How many disruptions the budget allowed before the fault; null when there is no budget, an error when it could
    /// not be read.
    pub allowed_before: Result<Option<i32>, String>,
    /// How long after a renewal the fault was planned, in milliseconds.
    pub planned_after_renewal_ms: Millis,
    /// The fault.
    pub strike: Strike,
    /// The Lease, in store order.
    pub leases: Vec<LeaseSeen>,
    /// The replicas, in order of arrival.
    pub pods: Vec<PodSeen>,
    /// The audit log.
    pub calls: Vec<ApiCall>,
    /// The harness's own requests.
    pub own: Vec<OwnCall>,
    /// What the replicas said of themselves after the takeover; the last one counts.
    pub roles: Vec<RolesSeen>,
    /// How the system came back.
    pub recovery: Recovery,
    /// What went wrong with the rig.
    pub rig: Vec<RigFault>,
    /// When the harness itself had to wait for a processor.
    #[serde(default)]
    pub stalls: Vec<Stall>,
    /// Whether it is one that warms up the cluster.
    #[serde(default)]
    pub warm_up: bool,
    /// When the harness stopped looking.
    pub ended: Stamp,
}

/// The fault as it was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Strike {
    /// When it was issued: before the call.
    pub issued: Stamp,
    /// When the call was back.
    pub returned: Stamp,
    /// Further blows of a fault that keeps the pod down.
    #[serde(default)]
    pub repeated: Vec<Stamp>,
    /// When it was undone, where it lasted: when the call that undid it was back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<Stamp>,
    /// The evictions that it asked for, in order, those that were refused as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evictions: Vec<Eviction>,
}

/// Something that a run does not look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unobserved {
    /// The leader's work: no canary gives it any.
    #[strum(
        to_string = "work failover, and whether the leader's work is done: no canary gives it any ([canary] in failover.toml)"
    )]
    Work,
    /// What the replicas say of themselves: they have no metrics that tell.
    #[strum(
        to_string = "what the replicas say of themselves: their metrics are not read ([metrics] in failover.toml)"
    )]
    Roles,
    /// Who wrote what: there is no audit log. Without it, work is not seen either.
    #[strum(
        to_string = "who wrote what, and so work failover, writes by a replica that does not lead, who released the Lease, and \
                     calls while nothing changes: there is no audit log (--audit-log, --on-node)"
    )]
    Audit,
}

/// How the system came back after a trial.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recovery {
    /// When all replicas were Ready again.
    pub replicas: Option<Stamp>,
    /// When the disruption budget allowed a disruption again.
    pub budget: Option<Stamp>,
    /// What it waited for when time was up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
}

/// The state of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PodSeen {
    /// When the harness saw it.
    pub at: Stamp,
    /// Pod name.
    pub name: String,
    /// Pod UID.
    pub uid: String,
    /// Revision of the store at which it was so: it orders this state among the writes of the Lease.
    #[serde(default)]
    pub resource_version: u64,
    /// The node it runs on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The container that runs in it, as the runtime names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// Whether it is Ready.
    pub ready: bool,
    /// Whether it stays, goes or is gone.
    pub presence: Presence,
    /// How often its container was restarted.
    pub restarts: i32,
    /// Whether its container runs.
    pub running: bool,
    /// The lines that each life of its container that has ended left behind, as kubelet reports them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_words: Vec<String>,
    /// Why it does not run, as kubelet or the scheduler says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
}

/// A time for which the harness, ready to run, did not run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stall {
    /// When it went on.
    pub at: Stamp,
    /// For how long it had waited, in milliseconds.
    pub lasted_ms: Millis,
}

/// Something that keeps the harness from seeing or trusting what it measures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum RigFault {
    /// The audit log could not be followed to the end of the trial.
    AuditLost {
        /// What happened.
        detail: String,
    },
    /// A watch was broken for longer than is harmless.
    WatchGap {
        /// Which one.
        resource: String,
        /// For how long, in milliseconds.
        lasted_ms: Millis,
    },
    /// The node could not run what it should.
    NodeExhausted {
        /// What the scheduler or kubelet says.
        detail: String,
    },
    /// The fault could not be done.
    FaultFailed {
        /// What happened.
        detail: String,
    },
    /// What the fault did could not be undone.
    RepairFailed {
        /// What happened.
        detail: String,
    },
    /// The node pulled an image, which takes from the replicas what they need to be in time.
    ImagePull {
        /// What kubelet says.
        detail: String,
    },
}

impl RigFault {
    /// Whether the harness saw everything all the same: it may be why a limit was missed, and nothing else.
    pub fn only_slows(&self) -> bool {
        matches!(self, Self::ImagePull { .. })
    }
}

/// Where a pod is between its creation and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// It is to stay.
    Staying,
    /// It has a deletion timestamp.
    Terminating,
    /// Its object is deleted.
    Gone,
}

impl Strike {
    /// A fault that was done between two moments.
    pub fn between(issued: Stamp, returned: Stamp) -> Self {
        Self {
            issued,
            returned,
            repeated: Vec::new(),
            undone: None,
            evictions: Vec::new(),
        }
    }
}

impl TrialData {
    /// Whether this is looked at.
    pub fn observes(&self, what: Unobserved) -> bool {
        // Work is seen by the audit log.
        let needs_audit = what == Unobserved::Work;
        let is_left_out = |left_out: &Unobserved| {
            *left_out == what || (needs_audit && *left_out == Unobserved::Audit)
        };
        !self.unobserved.iter().any(is_left_out)
    }

    /// Whether the fault had stopped the API server at some time between two moments, or its return was not yet over.
    pub fn was_stopped_between(&self, from: Stamp, to: Stamp) -> bool {
        let until = self.strike.undone.map(|undone| undone + API_SETTLES);
        self.id.fault.entry().stops_api
            && to >= self.strike.issued
            && until.is_none_or(|until| from <= until)
    }

    /// Whether a request is one that only the leader may make: a work write of the operator.
    pub fn is_work(&self, call: &ApiCall) -> bool {
        call.user == self.operator && self.work.is_work(call)
    }

    /// A trial of which nothing has been seen yet.
    pub fn begun(
        id: TrialId,
        settings: LeaseSettings,
        operator: String,
        before: LeaseRecord,
        at: Stamp,
    ) -> Self {
        Self {
            id,
            settings,
            operator,
            began: at,
            before,
            fence: false,
            unobserved: Vec::new(),
            work: WorkRule::default(),
            allowed_before: Ok(None),
            planned_after_renewal_ms: 0.0,
            strike: Strike::between(at, at),
            leases: Vec::new(),
            pods: Vec::new(),
            calls: Vec::new(),
            own: Vec::new(),
            roles: Vec::new(),
            recovery: Recovery::default(),
            rig: Vec::new(),
            stalls: Vec::new(),
            warm_up: false,
            ended: at,
        }
    }
}

impl std::fmt::Display for TrialId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} replicas, {} #{}",
            self.replicas, self.fault, self.number
        )
    }
}

impl std::fmt::Display for RigFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AuditLost { detail } => write!(f, "the audit log was lost: {detail}"),
            Self::WatchGap {
                resource,
                lasted_ms,
            } => write!(
                f,
                "the watch on {resource} was broken for {lasted_ms:.0} ms"
            ),
            Self::NodeExhausted { detail } => write!(f, "the node is out of resources: {detail}"),
            Self::FaultFailed { detail } => write!(f, "the fault could not be done: {detail}"),
            Self::RepairFailed { detail } => write!(f, "the fault could not be undone: {detail}"),
            Self::ImagePull { detail } => write!(f, "an image was pulled: {detail}"),
        }
    }
}

/// The last state of each pod that is not gone.
pub fn present(pods: &[PodSeen]) -> BTreeMap<&str, &PodSeen> {
    let mut last = BTreeMap::new();
    for pod in pods {
        if pod.presence == Presence::Gone {
            last.remove(pod.name.as_str());
        } else {
            last.insert(pod.name.as_str(), pod);
        }
    }
    last
}
