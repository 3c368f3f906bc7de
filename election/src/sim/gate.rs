//! A process as the kernel treats it: it runs, is stopped (SIGSTOP), or is gone (SIGKILL).
//!
//! Every future of a replica is behind its gate. While the process is stopped none of them is polled, though its clock and
//! its timers run on; when it is killed they are dropped without having been asked.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::trace;

/// What the kernel does with a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Running,
    Stopped,
    Dead,
}

/// The switch of one process.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Mutex<Inside>>);

#[derive(Debug)]
struct Inside {
    mode: Mode,
    wakers: Vec<Option<Waker>>,
}

/// A future that is polled only while its process runs; `None` once the process is dead.
struct Gated<F> {
    gate: Gate,
    slot: usize,
    who: usize,
    inner: Option<Pin<Box<F>>>,
}

impl Gate {
    pub(super) fn open() -> Self {
        Self(Arc::new(Mutex::new(Inside {
            mode: Mode::Running,
            wakers: Vec::new(),
        })))
    }

    pub(super) fn mode(&self) -> Mode {
        self.inside().mode
    }

    /// Changes what the kernel does; the dead stay dead.
    pub(super) fn set(&self, mode: Mode) {
        let mut inside = self.inside();
        if inside.mode == Mode::Dead {
            return;
        }
        inside.mode = mode;
        let wakers: Vec<Waker> = inside.wakers.iter_mut().filter_map(Option::take).collect();
        drop(inside);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Puts `future` behind the gate. `who` is named in the trace while it is polled.
    pub(super) fn guard<F: Future>(
        &self,
        who: usize,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + use<F> {
        let mut inside = self.inside();
        inside.wakers.push(None);
        let slot = inside.wakers.len() - 1;
        drop(inside);
        Gated {
            gate: self.clone(),
            slot,
            who,
            inner: Some(Box::pin(future)),
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F: Future> Future for Gated<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let mode = {
            let mut inside = this.gate.inside();
            let mode = inside.mode;
            if let Some(slot) = inside.wakers.get_mut(this.slot) {
                match slot {
                    Some(known) if known.will_wake(context.waker()) => {}
                    _ => *slot = Some(context.waker().clone()),
                }
            }
            mode
        };
        match (mode, &mut this.inner) {
            (Mode::Dead, _) | (_, None) => {
                this.inner = None;
                Poll::Ready(None)
            }
            (Mode::Stopped, _) => Poll::Pending,
            (Mode::Running, Some(inner)) => {
                let _speaker = trace::speaks(this.who);
                inner.as_mut().poll(context).map(Some)
            }
        }
    }
}
