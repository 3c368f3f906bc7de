//! What the model's small values stand for in the types of the election.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use uuid::Uuid;

use super::{D, Process, RP, Says, View};
use crate::{
    clock::Moment,
    leader::{
        Evidence, INCARNATION_ANNOTATION, Identity, Incarnation, Observed, Record,
        SUCCESSOR_ANNOTATION, Verdict, Waits, decide,
    },
};

/// How long a replica waits for others.
pub(super) const WAITS: Waits = Waits {
    duration: ticks(D),
    retry_period: ticks(RP),
    leave: ticks(4 * D),
};

/// Long after every clock's start.
const NOW: u64 = 100;

/// The real decision on what this replica knows.
pub(super) fn verdict(view: View, me: Process) -> Verdict {
    let me = Identity {
        pod_name: format!("p{}", me.0),
        incarnation: incarnation(me),
    };
    let dead = view
        .says
        .and_then(|says| says.holder)
        .filter(|_| view.proven)
        .map(incarnation);
    decide(
        &observed(view),
        &me,
        &Evidence {
            dead,
            ..Evidence::default()
        },
        moment(0),
    )
}

pub(super) fn observed(view: View) -> Observed {
    Observed::first(
        view.says.map(|says| record(says, 0)),
        moment(view.age),
        WAITS,
    )
}

pub(super) fn moment(ago: u8) -> Moment {
    Moment::from_start(Duration::from_secs(NOW - u64::from(ago)))
}

pub(super) const fn ticks(ticks: u8) -> Duration {
    Duration::from_secs(ticks as u64)
}

pub(super) fn incarnation((pod, life): Process) -> Incarnation {
    Incarnation {
        pod_uid: format!("uid-{pod}"),
        nonce: Uuid::from_u128(u128::from(pod) << 8 | u128::from(life)),
    }
}

pub(super) fn record(says: Says, renewed: u8) -> Record {
    let mut lease = Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some(
                says.holder
                    .map(|holder| format!("p{}", holder.0))
                    .unwrap_or_default(),
            ),
            lease_duration_seconds: Some(if says.holder.is_some() {
                i32::from(D)
            } else {
                1
            }),
            renew_time: Some(MicroTime(
                Timestamp::from_second(i64::from(renewed)).unwrap_or_default(),
            )),
            ..LeaseSpec::default()
        }),
        ..Lease::default()
    };
    let annotations = lease.metadata.annotations.get_or_insert_default();
    if let Some(holder) = says.holder {
        annotations.insert(
            INCARNATION_ANNOTATION.to_owned(),
            incarnation(holder).to_string(),
        );
    }
    if let Some(successor) = says.successor {
        annotations.insert(SUCCESSOR_ANNOTATION.to_owned(), format!("p{successor}"));
    }
    Record::new(lease)
}
