//! A kubelet that starts, reports, restarts and removes.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    gate::{Gate, Mode},
    hints,
    node_clock::SkewedClock,
    pod::{Life, SimPod},
    process, trace,
    watch::On,
    watches,
    way::LineState,
    work,
    world::{Millis, State, World},
};
use crate::identity::{Identity, Incarnation};

/// How long kubelet lets a pod end by itself.
const GRACE: Millis = 30_000;

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
    start(world, state, index);
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
    start(world, state, pod);
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

/// Starts a process in a pod.
fn start(world: &World, state: &mut State, pod: usize) {
    let nonce = state.dice.uuid();
    let sync = state.dice.between(50, 3000);
    state.lives += 1;
    let number = state.lives;
    let entry = &mut state.pods[pod];
    let life = Life {
        number,
        nonce,
        incarnation: format!("{}/{nonce}", entry.uid),
        gate: Gate::open(),
        shutdown: CancellationToken::new(),
        work_ends: CancellationToken::new(),
        ready: false,
    };
    let (gate, shutdown) = (life.gate.clone(), life.shutdown.clone());
    let process = work::Process {
        world: world.clone(),
        pod,
        number,
        name: entry.name.clone(),
        incarnation: life.incarnation.clone(),
        gate: life.gate.clone(),
        work_ends: life.work_ends.clone(),
        clock: Arc::new(SkewedClock {
            world_start: world.start(),
            shown_at_start: Duration::from_millis(entry.clock_start),
            rate: entry.rate,
        }),
    };
    let me = Identity {
        pod_name: entry.name.clone(),
        incarnation: Incarnation {
            pod_uid: entry.uid.clone(),
            nonce,
        },
    };
    trace::note(|| {
        format!(
            "process {number} starts in pod {} with nonce {nonce}",
            entry.name
        )
    });
    entry.life = Some(life);
    entry.deafened = false;
    let (gated, wall_offset) = (gate.clone(), entry.wall_offset);
    state.tasks.spawn(async move {
        let world = process.world.clone();
        let result = gated
            .guard(
                number,
                process::run(process, me, wall_offset, sync, shutdown),
            )
            .await;
        if let Some(result) = result {
            trace::note(|| format!("process {number} ends: {result}"));
            died(&world, &mut world.state(), pod, number);
        }
    });
}
