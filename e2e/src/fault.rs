//! How the faults are done to a cluster. One fault, one file, one line of the table; what each is and what is promised
//! after it is said in [`failover_judging::fault`].

mod action;
mod admission;
mod api_stop;
mod crash;
mod crash_loop;
mod drain;
mod effect;
mod error;
mod graceful;
mod holder_overwritten;
mod late_write;
mod lease_deleted;
mod lost_answers;
mod node_loss;
mod pair_crash;
mod partition;
mod process;
mod rbac_revoked;
mod renewals_denied;
mod rolling_update;
mod scale;
mod slow_webhook;
mod zombie;

use clap::ValueEnum;

use failover_judging::fault::FaultKind;

pub use action::{Action, Need, RepeatedStrikes};
pub(crate) use crash_loop::NO_IMAGE;
pub use error::FaultError;

/// How this fault is done.
pub fn action(kind: FaultKind) -> &'static Action {
    match kind {
        FaultKind::Graceful => &graceful::ACTION,
        FaultKind::Crash => &crash::ACTION,
        FaultKind::CrashLoop => &crash_loop::ACTION,
        FaultKind::PairCrash => &pair_crash::ACTION,
        FaultKind::Zombie => &zombie::ACTION,
        FaultKind::Partition => &partition::ACTION,
        FaultKind::LostAnswers => &lost_answers::ACTION,
        FaultKind::LateWrite => &late_write::ACTION,
        FaultKind::LeaseDeleted => &lease_deleted::ACTION,
        FaultKind::HolderOverwritten => &holder_overwritten::ACTION,
        FaultKind::RenewalsDenied => &renewals_denied::ACTION,
        FaultKind::RbacRevoked => &rbac_revoked::ACTION,
        FaultKind::SlowWebhook => &slow_webhook::ACTION,
        FaultKind::ApiStop => &api_stop::ACTION,
        FaultKind::RollingUpdate => &rolling_update::ACTION,
        FaultKind::Scale => &scale::ACTION,
        FaultKind::NodeLoss => &node_loss::ACTION,
        FaultKind::Drain => &drain::ACTION,
    }
}

/// How many agents a cluster has to be started with for these faults.
pub fn agents_for(faults: &[FaultKind]) -> u32 {
    let needs = faults.iter().filter_map(|kind| action(*kind).needs);
    needs.map(Need::agents).max().unwrap_or_default()
}

/// The list of faults for the user.
pub fn list() -> String {
    let lines = FaultKind::value_variants().iter().map(|kind| {
        let entry = kind.entry();
        let needs = action(*kind)
            .needs
            .map_or("nothing but the API", Need::phrase);
        format!(
            "{kind}\n  does    {}\n  proves  {}\n  needs   {needs}\n",
            entry.about, entry.proves
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_explains_every_fault() {
        let list = list();
        for kind in FaultKind::value_variants() {
            for words in [kind.name(), kind.entry().about, kind.entry().proves] {
                assert!(
                    !words.is_empty() && list.contains(words),
                    "{words} in\n{list}"
                );
            }
        }
    }

    #[rstest::rstest]
    #[case(&[FaultKind::Crash, FaultKind::Partition], 0)]
    #[case(&[FaultKind::Crash, FaultKind::Drain], 2)]
    #[case(&[FaultKind::NodeLoss], 2)]
    fn a_fault_that_takes_a_node_away_asks_for_agents(
        #[case] faults: &[FaultKind],
        #[case] agents: u32,
    ) {
        assert_eq!(agents_for(faults), agents);
    }
}
