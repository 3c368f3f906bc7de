//! An observer that keeps what it is told, for tests.

use std::{
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use super::{EventOutcome, Observer};
use crate::{
    clock::Moment,
    record::{Cause, Reason},
};

#[derive(Debug, Default)]
pub(crate) struct Recorder(Mutex<Told>);

#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) ended: Vec<Cause>,
    pub(crate) events: Vec<EventOutcome>,
    pub(crate) lease_failover: Option<Duration>,
    pub(crate) work_failover: Option<Duration>,
    pub(crate) renewals: usize,
    pub(crate) deadline: Option<Moment>,
    pub(crate) hint: Option<bool>,
}

impl Recorder {
    pub(crate) fn told(&self) -> Told {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap()
    }
}

impl Observer for Recorder {
    fn took(&self, _: Reason, failover: Duration, deadline: Moment) {
        let mut told = self.lock();
        (told.lease_failover, told.work_failover) = (Some(failover), None);
        told.deadline = Some(deadline);
    }

    fn first_write(&self, failover: Duration) {
        self.lock().work_failover = Some(failover);
    }

    fn renewed(&self, _: Duration, deadline: Moment) {
        let mut told = self.lock();
        told.renewals += 1;
        told.deadline = Some(deadline);
    }

    fn ended(&self, cause: Cause) {
        let mut told = self.lock();
        told.ended.push(cause);
        told.deadline = None;
    }

    fn event(&self, outcome: EventOutcome) {
        self.lock().events.push(outcome);
    }

    fn hint_connected(&self, connected: bool) {
        self.lock().hint = Some(connected);
    }
}
