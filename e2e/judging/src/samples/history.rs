//! Builds trials by hand: a history of Lease writes, work writes and changes of the canary.

use super::seen::{call, own};
use crate::{
    clock::Stamp,
    fault::FaultKind,
    judge::Promise,
    observed::{
        LeaseRecord, LeaseSeen, OwnCall, Recovery, Role, RolesSeen, Strike, TrialData, TrialId,
        Wall, audit::purpose::CANARY,
    },
    settings::LeaseSettings,
};

/// The settings that the samples are judged by.
pub const SETTINGS: LeaseSettings = LeaseSettings {
    duration_seconds: 15,
    renew_deadline_seconds: 10,
    retry_period_seconds: 2,
};

/// The takeover time that they promise.
pub const PROMISE: Promise = Promise {
    within_ms: 15_000.0,
};

/// The API server's clock runs 5000 s ahead of the run's.
pub fn wall(at_ms: i64) -> Wall {
    Wall((at_ms + 5_000_000) * 1000)
}

/// A moment of the run, in milliseconds.
pub fn stamp(at_ms: i64) -> Stamp {
    Stamp::from_micros(at_ms * 1000)
}

/// A trial of which nothing has been seen yet.
pub fn begun(id: TrialId, before: LeaseRecord) -> TrialData {
    TrialData::begun(
        id,
        SETTINGS,
        call("a", "get", "leases").user,
        before,
        stamp(0),
    )
}

impl TrialData {
    /// Pod a leads with its first life, and the fault comes at 1000 ms.
    pub fn of(fault: FaultKind) -> Self {
        let id = TrialId {
            replicas: 2,
            fault,
            number: 1,
        };
        let mut data = begun(id, record(10, "a", "u/1"));
        data.allowed_before = Ok(Some(1));
        data.strike = Strike::between(stamp(1000), stamp(1060));
        data.recovery = Recovery {
            replicas: Some(stamp(4000)),
            budget: Some(stamp(4100)),
            waiting_for: None,
        };
        data.ended = stamp(30_000);
        data.lease(10, 900, "a", "u/1")
            .change(1, 500)
            .work("a", 12, 510, 1)
    }

    /// The Lease was written at `at`.
    #[must_use]
    pub fn lease(self, version: u64, at: i64, holder: &str, life: &str) -> Self {
        // Whoever empties the Lease held it.
        let last = self
            .leases
            .iter()
            .rev()
            .map(|seen| &seen.record.holder)
            .find(|last| holder.is_empty() && !last.is_empty());
        let writer = last.cloned().unwrap_or_else(|| holder.to_owned());
        self.lease_by(&writer, version, at, holder, life)
    }

    /// The Lease was written at `at` by `writer`, whoever is its holder then.
    #[must_use]
    pub fn lease_by(
        mut self,
        writer: &str,
        version: u64,
        at: i64,
        holder: &str,
        life: &str,
    ) -> Self {
        let record = record(version, holder, life);
        let mut write = call(writer, "update", "leases");
        write.received = wall(at - 3);
        write.completed = wall(at);
        write.resource_version = Some(version);
        write.lease = Some(record.clone());
        self.calls.push(write);
        self.leases.push(LeaseSeen {
            at: stamp(at + 2),
            record,
            deleted: false,
        });
        self
    }

    /// `pod` wrote the canary's status at `at`, covering `generation`.
    #[must_use]
    pub fn work(mut self, pod: &str, version: u64, at: i64, generation: i64) -> Self {
        let mut write = call(pod, "patch", "scheduledmachines");
        "status".clone_into(&mut write.subresource);
        write.received = wall(at - 3);
        write.completed = wall(at);
        write.resource_version = Some(version);
        write.observed_generation = Some(generation);
        self.calls.push(write);
        self
    }

    /// The harness changed the canary at `at`, within 10 ms.
    #[must_use]
    pub fn change(mut self, generation: i64, at: i64) -> Self {
        let mut write = call("a", "patch", "scheduledmachines");
        "harness".clone_into(&mut write.user);
        write.received = wall(at + 4);
        write.completed = wall(at + 6);
        self.own.push(OwnCall {
            audit_id: Some(write.audit_id.clone()),
            generation: Some(generation),
            ..own(CANARY, at, 10)
        });
        self.calls.push(write);
        self
    }

    /// What the replicas said of themselves after the takeover.
    #[must_use]
    pub fn roles(mut self, roles: &[(&str, Role)]) -> Self {
        let roles = roles
            .iter()
            .map(|(pod, role)| ((*pod).to_owned(), role.clone()))
            .collect();
        self.roles.push(RolesSeen {
            at: stamp(5000),
            roles,
        });
        self
    }
}

/// A record of the Lease; `life` is the process life of its holder.
pub fn record(version: u64, holder: &str, life: &str) -> LeaseRecord {
    LeaseRecord {
        resource_version: version,
        holder: holder.to_owned(),
        incarnation: Some(life.to_owned()),
        duration_seconds: Some(15),
        ..LeaseRecord::default()
    }
}

/// The Lease as it was seen at a moment in milliseconds.
pub fn seen(version: u64, at_ms: i64, holder: &str, life: &str) -> LeaseSeen {
    LeaseSeen {
        at: stamp(at_ms),
        record: record(version, holder, life),
        deleted: false,
    }
}

/// a is deleted, releases after 100 ms, b takes 20 ms later and writes 80 ms after that.
pub fn handover() -> TrialData {
    TrialData::of(FaultKind::Graceful)
        .change(2, 990)
        .lease(20, 1100, "", "u/1")
        .lease(21, 1120, "b", "v/1")
        .work("b", 25, 1200, 2)
        .roles(&[("b", Role::Leading), ("c", Role::Standby)])
}

/// a is killed and never comes back; b takes after `silence` ms.
pub fn expiry(silence: i64) -> TrialData {
    TrialData::of(FaultKind::CrashLoop)
        .change(2, 990)
        .lease(21, 900 + silence, "b", "v/1")
        .work("b", 25, 980 + silence, 2)
        .roles(&[("b", Role::Leading), ("c", Role::Standby)])
}
