//! How each fault is done to the world, and how it ends.

use super::{Cut, Fault, Kind, Sight, Target, Then};
use crate::{
    fence::Policy,
    sim::{
        gate::Mode,
        hints, kubelet,
        pod::SimPod,
        trace,
        watch::On,
        watches,
        way::Noise,
        world::{Millis, State, World},
    },
};

impl Fault {
    /// Does it, and schedules its end.
    pub(in crate::sim) fn strike(self, world: &World, state: &mut State) {
        trace::note(|| format!("fault: {self:?}"));
        let lasts = self.lasts;
        match self.kind {
            Kind::Rollout => {
                state.template += 1;
                roll(world, state);
            }
            Kind::ApiDown => api_down(world, state, lasts),
            Kind::SlowStorage(most) => {
                state.server.commit_takes = most;
                world.after(state, lasts, |_, state| state.server.commit_takes = 0);
            }
            Kind::PolicyOff(policies, forged) => policy_off(world, state, policies, lasts, forged),
            Kind::AllButOne => all_but_one(world, state, lasts),
            Kind::Stall(noise) => {
                for pod in 0..state.pods.len() {
                    make_noise(world, state, pod, lasts, (noise, 1000));
                }
            }
            Kind::HintForged => forge(world, state),
            kind => {
                if let Some(pod) = find(state, self.target) {
                    kind.strike_pod(world, state, pod, lasts);
                }
                kind.edit_lease(world, state);
            }
        }
    }
}

impl Kind {
    /// Does what is done to one pod.
    fn strike_pod(self, world: &World, state: &mut State, pod: usize, lasts: Millis) {
        match self {
            Self::Stop => stop(world, state, pod, lasts),
            Self::Kill => kubelet::kill(world, state, pod),
            Self::WorkEnds => {
                if let Some(life) = &state.pods[pod].life {
                    life.work_ends.cancel();
                }
            }
            Self::NodeLost => node_lost(world, state, pod, lasts),
            Self::Delete => delete(world, state, pod),
            Self::Partition(cut) => partition(world, state, pod, lasts, cut),
            Self::Unreachable(then) => unreachable(world, state, pod, lasts, then),
            Self::Noise(noise, often) => make_noise(world, state, pod, lasts, (noise, often)),
            Self::Gray(noise, watch) => gray(world, state, pod, lasts, (noise, watch)),
            Self::SlowWatch(delay) => late_watch(world, state, pod, lasts, delay),
            Self::DeafWatch => watches::deafen(state, pod),
            _ => {}
        }
    }

    /// Does what is done to the Lease.
    fn edit_lease(self, world: &World, state: &mut State) {
        let Some(mut lease) = state.server.lease.clone() else {
            return;
        };
        let spec = lease.spec.get_or_insert_default();
        let edited = match self {
            Self::LeaseLabelled => {
                let labels = lease.metadata.labels.get_or_insert_default();
                labels.insert("edited".to_owned(), state.dice.throw().to_string());
                Some(lease)
            }
            Self::LeaseOverwritten => {
                spec.holder_identity = Some("stranger".to_owned());
                Some(lease)
            }
            Self::LeaseGarbled(duration) => {
                spec.holder_identity = Some("stranger".to_owned());
                spec.lease_duration_seconds = duration;
                Some(lease)
            }
            Self::LeaseDeleted => None,
            _ => return,
        };
        if !matches!(self, Self::LeaseLabelled) {
            state.checks.edited_by_a_stranger();
        }
        state.server.edit(world.now(), edited);
        state.checks.lease_edited(world.now());
        watches::changed(world, state, &On::Lease);
    }
}

/// Deletes a pod, and its Deployment makes another one.
fn delete(world: &World, state: &mut State, pod: usize) {
    kubelet::delete(world, state, pod);
    let template = state.template;
    world.after(state, 100, move |world, state| {
        kubelet::create(world, state, template, None);
    });
}

/// The pod that is meant, among those with a process.
fn find(state: &State, target: Target) -> Option<usize> {
    let alive: Vec<usize> = (0..state.pods.len())
        .filter(|pod| state.pods.get(*pod).is_some_and(|pod| pod.life.is_some()))
        .collect();
    let number = match target {
        Target::Pod(number) => number,
        Target::Holder => {
            let held = state.server.held()?;
            let holder = alive.iter().copied().find(|pod| {
                state.pods.get(*pod).is_some_and(|pod| {
                    pod.life
                        .as_ref()
                        .is_some_and(|life| held.incarnation == life.incarnation)
                })
            });
            if holder.is_some() {
                return holder;
            }
            held.since
        }
    };
    alive
        .get(usize::try_from(number % (alive.len() as u64).max(1)).unwrap_or(0))
        .copied()
}

fn forge(world: &World, state: &mut State) {
    if let Some(pod) = find(state, Target::Holder) {
        state.checks.forged();
        hints::forge(world, state, pod);
    }
}

fn policy_off(
    world: &World,
    state: &mut State,
    policies: &'static [Policy],
    lasts: Millis,
    forged: Option<Millis>,
) {
    for policy in policies {
        state.server.switch(*policy, false);
    }
    if let Some(delay) = forged {
        world.after(state, delay, forge);
    }
    world.after(state, lasts, move |_, state| {
        trace::note(|| format!("the policies {policies:?} are in force again"));
        for policy in policies {
            state.server.switch(*policy, true);
        }
    });
}

fn all_but_one(world: &World, state: &mut State, lasts: Millis) {
    let spared = state.dice.index(state.pods.len());
    let others = (0..state.pods.len()).filter(|pod| *pod != spared);
    let (_, _, retry) = world.settings().lease_millis();
    for pod in others {
        match state.dice.below(8) {
            0 => stop(world, state, pod, lasts),
            kind @ 1..=3 => {
                let cut = Cut {
                    requests: kind != 3,
                    answers: kind != 2,
                    resends: false,
                };
                partition(world, state, pod, lasts, cut);
            }
            4 => node_lost(world, state, pod, lasts),
            5 => gray(world, state, pod, lasts, (Noise::HangAfter, Sight::Silent)),
            6 => {
                let noise = Noise::SlowWrites(7 * retry / 2);
                gray(world, state, pod, lasts, (noise, Sight::Silent));
            }
            _ => make_noise(world, state, pod, lasts, (Noise::Hang, 1000)),
        }
    }
}

fn node_lost(world: &World, state: &mut State, pod: usize, lasts: Millis) {
    state.pods[pod].node_lost = true;
    kubelet::kill(world, state, pod);
    world.after(state, lasts, move |world, state| replace(world, state, pod));
}

fn stop(world: &World, state: &mut State, pod: usize, lasts: Millis) {
    let Some(life) = &state.pods[pod].life else {
        return;
    };
    let (gate, number) = (life.gate.clone(), life.number);
    trace::note(|| format!("process {number} is stopped"));
    gate.set(Mode::Stopped);
    world.after(state, lasts, move |_, _| {
        trace::note(|| format!("process {number} goes on"));
        gate.set(Mode::Running);
    });
}

fn partition(world: &World, state: &mut State, pod: usize, lasts: Millis, cut: Cut) {
    let Cut {
        requests,
        answers,
        resends,
    } = cut;
    let entry = &mut state.pods[pod];
    let name = entry.name.clone();
    trace::note(|| {
        format!("pod {name} is cut off: requests {requests}, answers {answers}, resent {resends}")
    });
    entry.line.cut(requests, answers, resends);
    world.after(state, lasts, move |world, state| {
        let entry = &mut state.pods[pod];
        trace::note(|| format!("pod {name} is connected again"));
        if entry.line.mend(requests, answers) {
            for effect in state.take_held_back(pod) {
                let delay = state.dice.between(1, 500);
                world.after(state, delay, effect);
            }
        }
        let reconnects = state.dice.between(0, 1500);
        world.after(state, reconnects, move |world, state| {
            if !state.pods[pod].line.answers_are_lost() {
                watches::reconnect(world, state, Some(pod));
            }
        });
    });
}

fn unreachable(world: &World, state: &mut State, pod: usize, lasts: Millis, then: Then) {
    let cut = Cut {
        requests: true,
        answers: true,
        resends: state.dice.per_mille(500),
    };
    partition(world, state, pod, lasts, cut);
    let delay = state.dice.below(lasts.max(1));
    world.after(state, delay, move |world, state| {
        let template = state.template;
        let entry = &mut state.pods[pod];
        let name = entry.name.clone();
        match then {
            Then::Failed => entry.phase_failed = true,
            Then::Deleting => entry.deleting = true,
            Then::Gone | Then::Namesake => {
                kubelet::remove(world, state, pod);
                let is_namesake = matches!(then, Then::Namesake);
                let new = kubelet::create(world, state, template, is_namesake.then_some(name));
                if is_namesake && state.dice.per_mille(500) {
                    // It dies soon, while the one whose name it has may still lead.
                    let delay = state.dice.between(100, 3000);
                    world.after(state, delay, move |world, state| {
                        kubelet::kill(world, state, new);
                    });
                }
                return;
            }
        }
        trace::note(|| format!("the API shows pod {name} as {then:?}, but its process runs on"));
        watches::changed(world, state, &On::Pod(name));
    });
    world.after(state, lasts + 1000, move |world, state| {
        // The node is back: kubelet does what it was told, and ends what is no longer in the API.
        let entry = &mut state.pods[pod];
        entry.phase_failed = false;
        if entry.deleting || !entry.exists {
            kubelet::kill(world, state, pod);
            if matches!(then, Then::Deleting) {
                let template = state.template;
                kubelet::create(world, state, template, None);
            }
        }
    });
}

fn replace(world: &World, state: &mut State, pod: usize) {
    let template = state.template;
    kubelet::remove(world, state, pod);
    kubelet::create(world, state, template, None);
}

/// One step of a rolling update: a new pod first, an old one goes when it is ready.
fn roll(world: &World, state: &mut State) {
    let template = state.template;
    let olds: Vec<usize> = (0..state.pods.len())
        .filter(|pod| {
            state
                .pods
                .get(*pod)
                .is_some_and(|pod| pod.exists && !pod.deleting && pod.template < template)
        })
        .collect();
    let choice = state.dice.index(olds.len().max(1));
    let Some(old) = olds.get(choice).copied() else {
        return;
    };
    let new = kubelet::create(world, state, template, None);
    until_ready(world, state, new, old, template);
}

fn until_ready(world: &World, state: &mut State, new: usize, old: usize, template: u64) {
    world.after(state, 100, move |world, state| {
        let ready = |pod: &SimPod| {
            !pod.exists || pod.deleting || pod.life.as_ref().is_some_and(|life| life.ready)
        };
        if !state.pods.get(new).is_some_and(ready) {
            until_ready(world, state, new, old, template);
            return;
        }
        kubelet::delete(world, state, old);
        if state.template == template {
            world.after(state, 500, roll);
        }
    });
}

fn api_down(world: &World, state: &mut State, lasts: Millis) {
    state.server.up = false;
    state.downs += 1;
    world.after(state, lasts, |world, state| {
        state.downs -= 1;
        if state.downs == 0 {
            trace::note(|| "the API server is up again".to_owned());
            state.server.up = true;
            watches::reconnect(world, state, None);
        }
    });
}

fn gray(
    world: &World,
    state: &mut State,
    pod: usize,
    lasts: Millis,
    (noise, watch): (Noise, Sight),
) {
    make_noise(world, state, pod, lasts, (noise, 1000));
    match watch {
        Sight::Live => {}
        Sight::Silent => watches::deafen(state, pod),
        Sight::Late(delay) => late_watch(world, state, pod, lasts, delay),
    }
}

fn make_noise(world: &World, state: &mut State, pod: usize, lasts: Millis, noise: (Noise, u64)) {
    state.pods[pod].line.noise = Some(noise);
    world.after(state, lasts, move |_, state| {
        state.pods[pod].line.noise = None;
    });
}

fn late_watch(world: &World, state: &mut State, pod: usize, lasts: Millis, delay: Millis) {
    state.pods[pod].line.watch_delay = delay;
    state.pods[pod].line.late_watches += 1;
    world.after(state, lasts + delay, move |_, state| {
        state.pods[pod].line.watch_delay = 0;
    });
    // What is late already still comes late, and before all that comes after it.
    world.after(state, lasts + 2 * delay, move |_, state| {
        state.pods[pod].line.late_watches -= 1;
    });
}
