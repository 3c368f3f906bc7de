//! Pods and the processes in them, as the API shows them.

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        ContainerState, ContainerStateRunning, ContainerStateTerminated, ContainerStatus, Pod,
        PodCondition, PodIP, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    gate::{Gate, Mode},
    time::Millis,
    way::LineState,
};

/// The name of the operator's container.
pub(super) const CONTAINER: &str = "controller";

/// A pod, as its node knows it and as the API shows it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and most combinations happen"
)]
pub(super) struct SimPod {
    pub(super) name: String,
    pub(super) uid: String,
    /// Which template of the Deployment it is of.
    pub(super) template: u64,
    pub(super) created: Millis,
    /// The rate of its node's clock, in millionths of true time, and what that clock showed at the start.
    pub(super) rate: u64,
    pub(super) clock_start: Millis,
    /// How far its node's wall clock is off, in seconds.
    pub(super) wall_offset: i64,
    pub(super) line: LineState,
    /// Whether the API has it.
    pub(super) exists: bool,
    pub(super) deleting: bool,
    /// Its node is gone: nobody reports anything or restarts anything.
    pub(super) node_lost: bool,
    pub(super) phase_failed: bool,
    pub(super) life: Option<Life>,
    /// The last words of the process that is dead now, and of the one before the present one, as far as reported.
    pub(super) last_words: [Option<Uuid>; 2],
    pub(super) restarts: u32,
    /// Since when nothing is wrong with it.
    pub(super) fine_since: Option<Millis>,
    /// When the API came to show the last words.
    pub(super) words_since: Millis,
    /// Watches of its process fell silent without a word.
    pub(super) deafened: bool,
    /// Calls about the Lease, since when.
    pub(super) calls: (Millis, u64),
}

/// One process.
pub(super) struct Life {
    pub(super) number: usize,
    pub(super) nonce: Uuid,
    /// As the Lease names it.
    pub(super) incarnation: String,
    pub(super) gate: Gate,
    pub(super) shutdown: CancellationToken,
    pub(super) work_ends: CancellationToken,
    pub(super) ready: bool,
}

impl SimPod {
    /// Whether this pod could take the Lease over if it had to.
    pub(super) fn is_fine(&self) -> bool {
        !self.node_lost
            && !self.deleting
            && self.line.is_fine()
            && self
                .life
                .as_ref()
                .is_some_and(|life| life.ready && life.gate.mode() == Mode::Running)
    }

    /// Whether the API shows that the process `incarnation` of this pod is dead.
    pub(super) fn has_last_words_of(&self, incarnation: &str) -> bool {
        let nonce = incarnation
            .strip_prefix(self.uid.as_str())
            .and_then(|rest| rest.strip_prefix('/'));
        let nonce = nonce.and_then(|nonce| nonce.parse::<Uuid>().ok());
        nonce.is_some_and(|nonce| self.last_words.contains(&Some(nonce)))
    }

    /// What the API shows of it.
    pub(super) fn object(&self) -> Pod {
        let hash = format!("t{}", self.template);
        let created = i64::try_from(self.created / 1000).unwrap_or(0);
        let created = Time(Timestamp::from_second(1_700_000_000 + created).unwrap_or_default());
        let owner = OwnerReference {
            api_version: "apps/v1".to_owned(),
            kind: "ReplicaSet".to_owned(),
            name: format!("five-spot-{hash}"),
            uid: hash.clone(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        let metadata = ObjectMeta {
            name: Some(self.name.clone()),
            uid: Some(self.uid.clone()),
            deletion_timestamp: self.deleting.then(|| created.clone()),
            creation_timestamp: Some(created),
            labels: Some([("pod-template-hash".to_owned(), hash)].into()),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        let ready = self.life.as_ref().is_some_and(|life| life.ready) && !self.node_lost;
        let [now, before] = self.last_words.map(|words| {
            words.map(|nonce| ContainerState {
                terminated: Some(ContainerStateTerminated {
                    exit_code: 137,
                    message: Some(format!("{nonce}\n")),
                    ..ContainerStateTerminated::default()
                }),
                ..ContainerState::default()
            })
        });
        let running = || ContainerState {
            running: Some(ContainerStateRunning::default()),
            ..ContainerState::default()
        };
        let container = ContainerStatus {
            name: CONTAINER.to_owned(),
            ready,
            state: Some(now.unwrap_or_else(running)),
            last_state: before,
            ..ContainerStatus::default()
        };
        let condition = PodCondition {
            type_: "Ready".to_owned(),
            status: if ready { "True" } else { "False" }.to_owned(),
            ..PodCondition::default()
        };
        let status = PodStatus {
            phase: Some(
                if self.phase_failed {
                    "Failed"
                } else {
                    "Running"
                }
                .to_owned(),
            ),
            pod_ips: Some(vec![PodIP {
                ip: "10.0.0.1".to_owned(),
            }]),
            conditions: Some(vec![condition]),
            container_statuses: Some(vec![container]),
            ..PodStatus::default()
        };
        Pod {
            metadata,
            status: Some(status),
            ..Pod::default()
        }
    }
}
