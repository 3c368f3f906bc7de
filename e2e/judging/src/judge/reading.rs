//! Reads a trial: everything that the checks need, worked out once.

use super::{CanaryCount, MeasuringError, Phases, measure};
use crate::{
    clock::Millis,
    judge::{
        exclusion::{self, Exclusion, Take},
        takeover::{Evidence, Takeover, history_of_terms, principal, takeovers, without_stranger},
    },
    limit::TakeoverLimits,
    observed::{ApiCall, ClockMap, LeaseRecord, LeaseSeen, TrialData, Unobserved, lease},
};

/// A trial's data with what follows from it.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub(super) data: &'a TrialData,
    pub(super) map: Option<ClockMap>,
    pub(super) error: MeasuringError,
    pub(super) limits: TakeoverLimits,
    /// Every change of the leader.
    pub(super) takeovers: Vec<Takeover>,
    /// The one that the trial is about.
    pub(super) takeover: Option<Takeover>,
    pub(super) first_write: Option<&'a ApiCall>,
    pub(super) exclusion: Exclusion,
    pub(super) canary: CanaryCount,
    pub(super) phases: Phases,
}

impl<'a> Reading<'a> {
    pub(super) fn of(data: &'a TrialData) -> Self {
        let fault = data.id.fault;
        let map = ClockMap::measure(&data.own, &data.calls);
        let history = merged_history(data, map.as_ref());
        let error = measure::error(data, &history, map.as_ref());
        let evidence = Evidence::of(data, error.total_ms);
        let takeovers: Vec<Takeover> =
            without_stranger(takeovers(&history, &data.before, |record| {
                error.total_ms + write_lasted(data, record)
            }))
            .into_iter()
            .map(|takeover| evidence.examine(takeover))
            .collect();
        let takeover = principal(fault, &data.before, &data.strike, &takeovers, &history);
        let tenures = exclusion::tenures(
            &history_of_terms(fault, &history),
            &data.calls,
            map.as_ref(),
        );
        let works = |call: &&ApiCall| data.is_work(call);
        let writes: Vec<&ApiCall> = data
            .calls
            .iter()
            .filter(|call| call.accepted() && data.is_work(call))
            .collect();
        let take = takeover
            .as_ref()
            .map(|takeover| Take::of(takeover, &data.calls, map.as_ref()));
        let exclusion = Exclusion {
            refused: by_operator(data)
                .filter(works)
                .filter(|call| call.is_refused_work_write())
                .count(),
            unanswered: by_operator(data)
                .filter(works)
                .filter(|call| call.code >= 500)
                .count(),
            ..exclusion::examine(&writes, take.as_ref(), &tenures)
        };
        let first_write = take
            .as_ref()
            .filter(|_| data.observes(Unobserved::Work))
            .and_then(|take| exclusion::first_write(&writes, take, &tenures));
        let canary = measure::canary(data, &writes, map.as_ref());
        let phases = measure::phases(data, takeover.as_ref(), first_write, map.as_ref());
        Self {
            data,
            map,
            error,
            limits: fault.limits(&data.settings, data.before.is_provable()),
            takeovers,
            takeover,
            first_write,
            exclusion,
            canary,
            phases,
        }
    }
}

/// How long before its writer was answered the API server may have stored this state of the Lease: standbys may have heard
/// of it by their watches then. Only the audit log tells.
fn write_lasted(data: &TrialData, record: &LeaseRecord) -> Millis {
    let version = record.resource_version;
    data.calls
        .iter()
        .filter(|call| call.is_lease() && call.is_write())
        .find(|call| call.lease.as_ref().map(|lease| lease.resource_version) == Some(version))
        .map_or(0.0, ApiCall::lasted_ms)
}

/// What the replicas asked of the API server.
pub(super) fn by_operator(data: &TrialData) -> impl Iterator<Item = &ApiCall> {
    data.calls.iter().filter(|call| call.user == data.operator)
}

/// The Lease as watched and as audited, each state at the earlier of the two moments.
///
/// The watch may be late by as much as a busy machine delays it; the audit log names the moment at which the API server
/// had answered the writer. What only one of them saw is part of the history as well.
pub fn merged_history(data: &TrialData, map: Option<&ClockMap>) -> Vec<LeaseSeen> {
    let mut history = data.leases.clone();
    let Some(map) = map.filter(|map| !map.stepped) else {
        return history;
    };
    for call in data
        .calls
        .iter()
        .filter(|call| call.is_lease() && call.is_write() && call.accepted())
    {
        // Older states belong to the trial before.
        let Some(record) = call
            .lease
            .as_ref()
            .filter(|record| record.resource_version >= data.before.resource_version)
        else {
            continue;
        };
        let at = map.stamp(call.completed);
        lease::insert(
            &mut history,
            LeaseSeen {
                at,
                record: record.clone(),
                deleted: call.verb == "delete",
            },
        );
    }
    history
}
