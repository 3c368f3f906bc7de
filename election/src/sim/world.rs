//! True time, what is due when, and the state of everything that is not a replica.
//!
//! One driver takes what is due in order of time and of being scheduled. Replicas run on their own between two steps, and
//! reach the world only over their [`Line`](super::line::Line).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    check::{Checks, Violation},
    dice::Dice,
    pod::SimPod,
    server::Server,
    settings::Settings,
    trace,
    watch::Watches,
};

pub(super) use super::time::Millis;

/// What is done to the world when it is due.
pub(super) type Effect = Box<dyn FnOnce(&World, &mut State) + Send>;

/// The world of one scenario, shared by everything in it.
#[derive(Clone)]
pub(super) struct World(Arc<Shared>);

struct Shared {
    start: Instant,
    settings: Settings,
    state: Mutex<State>,
    earlier: Notify,
}

/// All that changes.
pub(super) struct State {
    pub(super) dice: Dice,
    pub(super) server: Server,
    pub(super) watches: Watches,
    /// All there ever were, by their numbers: one that is gone stays.
    pub(super) pods: Vec<SimPod>,
    pub(super) connections: Vec<Connection>,
    /// Requests that wait until the way of their pod is free.
    pub(super) held_back: Vec<(usize, Effect)>,
    pub(super) checks: Checks,
    pub(super) tasks: JoinSet<()>,
    pub(super) lives: usize,
    /// The newest pod template.
    pub(super) template: u64,
    /// How many outages of the API server are going on.
    pub(super) downs: u32,
    /// What is due when, in the order in which it was scheduled.
    due: BTreeMap<(Millis, u64), Effect>,
    scheduled: u64,
    driver_sleeps_until: Millis,
}

/// A connection to a process, held by another.
pub(super) struct Connection {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) lost: oneshot::Sender<()>,
}

/// How often the world is looked at when nothing happens.
const LOOK: Millis = 400;

impl State {
    /// What was held back of a pod's requests, in the order in which it was sent.
    pub(super) fn take_held_back(&mut self, pod: usize) -> Vec<Effect> {
        let is_of_pod = |held: &mut (usize, Effect)| held.0 == pod;
        let held = self.held_back.extract_if(.., is_of_pod);
        held.map(|(_, effect)| effect).collect()
    }
}

impl World {
    pub(super) fn new(settings: Settings, dice: Dice) -> Self {
        let checks = Checks::new(&settings);
        let server = Server::new(&settings);
        Self(Arc::new(Shared {
            start: Instant::now(),
            settings,
            state: Mutex::new(State {
                dice,
                server,
                watches: Watches::default(),
                pods: Vec::new(),
                connections: Vec::new(),
                held_back: Vec::new(),
                checks,
                tasks: JoinSet::new(),
                lives: 0,
                template: 1,
                downs: 0,
                due: BTreeMap::new(),
                scheduled: 0,
                driver_sleeps_until: 0,
            }),
            earlier: Notify::new(),
        }))
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    pub(super) fn start(&self) -> Instant {
        self.0.start
    }

    pub(super) fn now(&self) -> Millis {
        u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has `effect` happen in `delay` milliseconds.
    pub(super) fn after(
        &self,
        state: &mut State,
        delay: Millis,
        effect: impl FnOnce(&Self, &mut State) + Send + 'static,
    ) {
        let at = self.now() + delay;
        state.scheduled += 1;
        let key = (at, state.scheduled);
        state.due.insert(key, Box::new(effect));
        if at < state.driver_sleeps_until {
            self.0.earlier.notify_one();
        }
    }

    /// Lets the scenario happen until its end or the first violation.
    pub(super) async fn drive(&self, end: Millis) -> Option<Violation> {
        loop {
            let next = {
                let mut state = self.state();
                let due = state.due.first_key_value().map_or(end, |(key, _)| key.0);
                let next = due.min(self.now() + LOOK).min(end);
                state.driver_sleeps_until = next;
                next
            };
            tokio::select! {
                biased;
                () = sleep_until(self.0.start + Duration::from_millis(next)) => {}
                () = self.0.earlier.notified() => continue,
            }
            if let Some(violation) = self.step() {
                return Some(violation);
            }
            if self.now() >= end {
                return None;
            }
        }
    }

    /// Does what is due, and checks what must hold.
    fn step(&self) -> Option<Violation> {
        let now = self.now();
        trace::at(now);
        let mut state = self.state();
        while let Some(due) = state.due.first_entry()
            && due.key().0 <= now
        {
            let effect = due.remove();
            effect(self, &mut state);
        }
        let State {
            checks,
            pods,
            server,
            ..
        } = &mut *state;
        checks.look(now, pods, server);
        checks.violation.take()
    }
}
