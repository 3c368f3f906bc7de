//! `slow-webhook`: every write of the Lease takes seconds, because the API server asks an admission webhook that accepts
//! connections and never answers.

use super::entry::{Fault, Hold, Onset, Successor};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "has every write of the Lease wait 3 s for an admission webhook that never answers and is then ignored",
    proves: "a leader whose renewals are slow and take place keeps the Lease, or somebody leads soon, once, and to stay",
    successor: Successor::OldLeaderToo,
    limit: |settings| {
        Limit::new(
            settings.duration() + settings.retry_period() * 2,
            format!(
                "renewals take place, so the leader keeps the Lease; where its term ends all the same, another replica \
                 leads LEASE_DURATION_SECONDS={} + 2 x LEASE_RETRY_PERIOD_SECONDS={} after it last worked",
                settings.duration_seconds, settings.retry_period_seconds
            ),
        )
    },
    onset: Onset::LastTerm,
    hold: |settings| Hold::For(settings.beyond_a_gray_takeover()),
    aftermath: |settings| settings.retry_period() * 2,
    takes_time: false,
    is_gray: true,
    ..Fault::USUAL
};
