//! `lost-answers`: whatever the API server answers the leader's pod is lost on its way, and what the leader asks arrives.

use super::entry::{Fault, Hold, Renewals, Successor};
use crate::{limit::Limit, settings::LeaseSettings};

pub(super) const FAULT: Fault = Fault {
    about: "loses every answer of the API server to the leader's pod, whose requests arrive and are carried out",
    proves: "a leader that is never answered gives up at its renew deadline and leaves the Lease to another, which stays leader",
    successor: Successor::Another,
    limit: |settings| {
        Limit::new(
            settings.renew_deadline() + settings.duration() + settings.retry_period() * 2,
            format!(
                "a term ends LEASE_RENEW_DEADLINE_SECONDS={} after its last answer, which came before the fault, and a \
                 standby leads LEASE_DURATION_SECONDS={} + 2 x LEASE_RETRY_PERIOD_SECONDS={} after that, whatever \
                 the old leader wrote without an answer",
                settings.renew_deadline_seconds,
                settings.duration_seconds,
                settings.retry_period_seconds
            ),
        )
    },
    hold: |settings| Hold::UntilTakeover(settings.beyond_a_gray_takeover()),
    // An answer that was lost is repeated after a pause that has doubled each time, and may then reach whoever waits for it.
    aftermath: LeaseSettings::duration,
    renewals: Some(Renewals::Unanswered),
    is_gray: true,
    ..Fault::USUAL
};
