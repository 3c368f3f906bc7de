//! Watches as clients get them: in order, late, broken and told anew, or silent for good without a word.

use std::sync::Arc;

use futures::{StreamExt, stream, stream::BoxStream};
use tokio::sync::mpsc;

use super::{
    watch::{News, On, Watch},
    way::Lost,
    world::{Millis, State, World},
};

/// Opens a watch. The state as it is comes first.
pub(super) fn open(world: &World, pod: usize, on: On) -> BoxStream<'static, Result<News, Lost>> {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut state = world.state();
    state.watches.opened += 1;
    let id = state.watches.opened;
    state.watches.open.push(Watch {
        id,
        pod,
        on,
        sender,
        deaf: false,
        broken: false,
        last_due: 0,
    });
    tell_state(world, &mut state, id);
    drop(state);
    stream::poll_fn(move |context| receiver.poll_recv(context)).boxed()
}

/// What `on` is changed.
pub(super) fn changed(world: &World, state: &mut State, on: &On) {
    let ids: Vec<u64> = state
        .watches
        .open
        .iter()
        .filter(|watch| watch.on == *on && !watch.deaf && !watch.broken)
        .map(|watch| watch.id)
        .collect();
    let news = state.news(on);
    for id in ids {
        tell(world, state, id, news.clone(), 0);
    }
}

/// All watches of a pod that are open now fall silent without a word.
pub(super) fn deafen(state: &mut State, pod: usize) {
    for watch in state
        .watches
        .open
        .iter_mut()
        .filter(|watch| watch.pod == pod)
    {
        watch.deaf = true;
    }
    state.pods[pod].deafened = true;
}

/// The connections of a pod, or of all, have broken and were opened anew.
pub(super) fn reconnect(world: &World, state: &mut State, pod: Option<usize>) {
    let ids: Vec<u64> = state
        .watches
        .open
        .iter_mut()
        .filter(|watch| watch.broken && pod.is_none_or(|pod| pod == watch.pod))
        .map(|watch| {
            watch.broken = false;
            watch.id
        })
        .collect();
    for id in ids {
        if let Some(watch) = state.watches.open.iter().find(|watch| watch.id == id) {
            // A receiver that is gone is found out when the state is told.
            let _ = watch.sender.send(Err(Lost("the watch was closed")));
        }
        tell_state(world, state, id);
    }
}

fn tell_state(world: &World, state: &mut State, id: u64) {
    let delay = state.dice.between(0, 30);
    let Some(on) = state
        .watches
        .open
        .iter()
        .find(|watch| watch.id == id)
        .map(|watch| watch.on.clone())
    else {
        return;
    };
    let news = state.news(&on);
    tell(world, state, id, news, delay);
}

fn tell(world: &World, state: &mut State, id: u64, news: News, extra: Millis) {
    let Some(index) = state.watches.open.iter().position(|watch| watch.id == id) else {
        return;
    };
    let Some(pod) = state.watches.open.get(index).map(|watch| watch.pod) else {
        return;
    };
    let delay = extra + state.latency(world) + state.pods[pod].line.watch_delay;
    let now = world.now();
    let Some(watch) = state.watches.open.get_mut(index) else {
        return;
    };
    // What is told later arrives later.
    let due = watch.last_due.max(now + delay);
    watch.last_due = due;
    world.after(state, due - now, move |_, state| {
        let up = state.server.up;
        let Some(index) = state.watches.open.iter().position(|watch| watch.id == id) else {
            return;
        };
        let State { watches, pods, .. } = state;
        let Some(watch) = watches.open.get_mut(index) else {
            return;
        };
        let free = up
            && pods
                .get(watch.pod)
                .is_some_and(|pod| !pod.line.answers_are_lost());
        if !free {
            watch.broken = true;
        } else if !watch.deaf && !watch.broken && watch.sender.send(Ok(news)).is_err() {
            watches.open.swap_remove(index);
        }
    });
}

impl State {
    fn news(&self, on: &On) -> News {
        match on {
            On::Lease => News::Lease(self.server.lease.clone().map(Arc::new)),
            On::Pod(name) => News::Pod(
                self.pods
                    .iter()
                    .rev()
                    .find(|pod| pod.exists && pod.name == *name)
                    .map(|pod| Box::new(pod.object())),
            ),
        }
    }

    /// How long one way takes at the moment.
    pub(super) fn latency(&mut self, world: &World) -> Millis {
        self.dice.between(1, world.settings().latency)
    }
}
