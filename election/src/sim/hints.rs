//! The connections that standbys hold to the leader's process, and what can be made of them by others.

use futures::future::BoxFuture;
use tokio::sync::oneshot;

use super::{
    gate::Mode,
    world::{Connection, State, World},
};
use crate::identity::Incarnation;

/// Resolves when the process seems to be dead to `from`.
pub(super) fn watch(
    world: &World,
    from: usize,
    incarnation: &Incarnation,
) -> BoxFuture<'static, ()> {
    let (lost, losing) = oneshot::channel();
    let mut guard = world.state();
    let state = &mut *guard;
    let to = state.pods.iter().position(|pod| {
        pod.uid == incarnation.pod_uid
            && pod
                .life
                .as_ref()
                .is_some_and(|life| life.nonce == incarnation.nonce)
            && pod.line.is_connected()
    });
    // Where no connection comes about there is never a hint.
    if let Some(to) = to
        && state.pods[from].line.is_connected()
    {
        state
            .connections
            .retain(|connection| !connection.lost.is_closed());
        state.connections.push(Connection { from, to, lost });
    }
    Box::pin(async move {
        if losing.await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}

/// The process of `to` has ended: its kernel closes what it held. Nobody hears of it over a way that is cut.
pub(super) fn ended(world: &World, state: &mut State, to: usize) {
    let connected = |pod: usize| {
        state
            .pods
            .get(pod)
            .is_some_and(|pod| pod.line.is_connected() && !pod.node_lost)
    };
    if !connected(to) {
        return;
    }
    let heard: Vec<bool> = state
        .connections
        .iter()
        .map(|connection| connection.to == to && connected(connection.from))
        .collect();
    resolve(world, state, &heard);
}

/// Somebody in between closes the connections to `to` and refuses new ones.
pub(super) fn forge(world: &World, state: &mut State, to: usize) {
    let heard: Vec<bool> = state
        .connections
        .iter()
        .map(|connection| connection.to == to)
        .collect();
    resolve(world, state, &heard);
}

fn resolve(world: &World, state: &mut State, heard: &[bool]) {
    let mut marks = heard.iter();
    let mut kept = Vec::new();
    for connection in std::mem::take(&mut state.connections) {
        if marks.next() == Some(&true) {
            let delay = state.dice.between(1, 4);
            world.after(state, delay, move |_, state| {
                let life = &state.pods[connection.from].life;
                if life
                    .as_ref()
                    .is_some_and(|life| life.gate.mode() != Mode::Dead)
                {
                    let _ = connection.lost.send(());
                }
            });
        } else {
            kept.push(connection);
        }
    }
    state.connections = kept;
}
