//! Pods, the processes in them, and a kubelet that reports, restarts and removes.

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
    hints,
    line::LineState,
    process, trace,
    watches::{self, On},
    world::{Millis, State, World},
};

/// The name of the operator's container.
pub(super) const CONTAINER: &str = "controller";

/// How long kubelet lets a pod end by itself.
const GRACE: Millis = 30_000;

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

/// Creates a pod and starts its process.
pub(super) fn create(
    world: &World,
    state: &mut State,
    template: u64,
    name: Option<String>,
) -> usize {
    let index = state.pods.len();
    let name = name.unwrap_or_else(|| format!("pod-{index}"));
    let (slowest, fastest) = world.settings().rates;
    let rate = match state.dice.below(4) {
        0 => slowest,
        1 => fastest,
        _ => state.dice.between(slowest, fastest),
    };
    let offset = state.dice.between(0, 200_000);
    let wall_offset = i64::try_from(offset).unwrap_or(0) - 100_000;
    state.pods.push(SimPod {
        uid: format!("uid-{index}"),
        name: name.clone(),
        template,
        created: world.now(),
        rate,
        clock_start: state.dice.below(1_000_000),
        wall_offset,
        line: LineState::default(),
        exists: true,
        deleting: false,
        node_lost: false,
        phase_failed: false,
        life: None,
        last_words: [None; 2],
        restarts: 0,
        fine_since: None,
        words_since: 0,
        deafened: false,
        calls: (0, 0),
    });
    trace::note(|| {
        format!(
            "pod {name} (uid-{index}, template {template}) is created; its clock runs at {rate} ppm"
        )
    });
    watches::changed(world, state, &On::Pod(name));
    process::start(world, state, index);
    index
}

/// The container's process ends, whatever the cause. Kubelet notices within about a second.
pub(super) fn died(world: &World, state: &mut State, pod: usize, number: usize) {
    let entry = &mut state.pods[pod];
    let Some(life) = entry.life.take_if(|life| life.number == number) else {
        return;
    };
    life.gate.set(Mode::Dead);
    entry.fine_since = None;
    hints::ended(world, state, pod);
    let entry = &state.pods[pod];
    if entry.node_lost {
        return;
    }
    let nonce = life.nonce;
    let looks = state.dice.between(0, 1200);
    world.after(state, looks, move |world, state| {
        report(world, state, pod, nonce);
    });
    if !state.pods[pod].deleting {
        let backoff = 1 << state.pods[pod].restarts.min(4);
        let delay = state.dice.between(200, 800 * (1 + backoff));
        world.after(state, delay, move |world, state| restart(world, state, pod));
    }
}

/// SIGKILL.
pub(super) fn kill(world: &World, state: &mut State, pod: usize) {
    let Some(life) = &state.pods[pod].life else {
        return;
    };
    let number = life.number;
    trace::note(|| format!("process {number} is killed"));
    died(world, state, pod, number);
}

/// The graceful deletion of a pod: SIGTERM now, SIGKILL after the grace period.
pub(super) fn delete(world: &World, state: &mut State, pod: usize) {
    let entry = &mut state.pods[pod];
    if entry.deleting || !entry.exists {
        return;
    }
    entry.deleting = true;
    let name = entry.name.clone();
    trace::note(|| format!("pod {name} is deleted"));
    watches::changed(world, state, &On::Pod(name));
    let delay = state.dice.between(5, 300);
    world.after(state, delay, move |world, state| {
        let Some(life) = &state.pods[pod].life else {
            remove(world, state, pod);
            return;
        };
        trace::note(|| format!("process {} gets SIGTERM", life.number));
        life.shutdown.cancel();
        world.after(state, GRACE, move |world, state| kill(world, state, pod));
    });
}

/// Kubelet tells the API that the process with this nonce is dead; again and again while it cannot.
fn report(world: &World, state: &mut State, pod: usize, nonce: Uuid) {
    let up = state.server.up;
    let now = world.now();
    let entry = &mut state.pods[pod];
    if entry.node_lost || !entry.exists {
        return;
    }
    if !up || !entry.line.is_connected() {
        world.after(state, 300, move |world, state| {
            report(world, state, pod, nonce);
        });
        return;
    }
    let slot = usize::from(entry.life.is_some());
    entry.last_words = if slot == 0 {
        [Some(nonce), entry.last_words[1]]
    } else {
        [None, Some(nonce)]
    };
    entry.words_since = now;
    let name = entry.name.clone();
    trace::note(|| format!("kubelet reports the last words {nonce} of pod {name}"));
    watches::changed(world, state, &On::Pod(name));
    if state.pods[pod].deleting {
        let delay = state.dice.between(0, 500);
        world.after(state, delay, move |world, state| remove(world, state, pod));
    }
}

fn restart(world: &World, state: &mut State, pod: usize) {
    let entry = &mut state.pods[pod];
    if entry.deleting || entry.node_lost || !entry.exists || entry.life.is_some() {
        return;
    }
    entry.restarts += 1;
    if let Some(words) = entry.last_words[0].take() {
        entry.last_words[1] = Some(words);
    }
    let name = entry.name.clone();
    trace::note(|| format!("kubelet restarts the container of pod {name}"));
    process::start(world, state, pod);
    watches::changed(world, state, &On::Pod(name));
}

/// The API object goes.
pub(super) fn remove(world: &World, state: &mut State, pod: usize) {
    let entry = &mut state.pods[pod];
    if !std::mem::replace(&mut entry.exists, false) {
        return;
    }
    let name = entry.name.clone();
    trace::note(|| format!("pod {name} (uid-{pod}) is gone from the API"));
    watches::changed(world, state, &On::Pod(name));
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
