//! What can be done to a leader. One fault, one file; each says what it does and what it proves.

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

use std::time::Duration;

use futures::future::BoxFuture;

use crate::{
    budget::{FaultKind, LeaseSettings},
    clock::Stamp,
    scene::Scene,
    trial::{PodSeen, Strike},
};

pub(crate) use crash_loop::NO_IMAGE;
pub use error::FaultError;
pub use holder_overwritten::STRANGER;
pub use rolling_update::RolloutCommand;

/// How long the old leader is watched for late writes, unless a fault says otherwise.
const AFTERMATH: Duration = Duration::from_millis(1500);

/// Something that is done to the leader.
pub trait Fault: Send + Sync {
    /// Its name.
    fn kind(&self) -> FaultKind;

    /// What it does, in one line for the user.
    fn about(&self) -> &'static str;

    /// What it proves, in one line for the user.
    fn proves(&self) -> &'static str;

    /// What it needs beyond the API, if anything.
    fn needs(&self) -> Option<Need> {
        None
    }

    /// Does it to `leader`, and says when. What lasts is written down in the scene's repairs before it is done.
    fn strike<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<Strike, FaultError>>;

    /// How long it lasts.
    fn hold(&self, settings: &LeaseSettings) -> Hold {
        let _ = settings;
        Hold::Done
    }

    /// How long the old leader is watched for late writes after the new leader's first and after the fault is undone.
    fn aftermath(&self, settings: &LeaseSettings) -> Duration {
        let _ = settings;
        AFTERMATH
    }

    /// Waits until what it took away is there again, after it was undone. Most faults take nothing that is not back at
    /// once.
    fn restored<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<(), FaultError>> {
        let _ = (scene, leader);
        Box::pin(std::future::ready(Ok(())))
    }

    /// Keeps it up until it is dropped, and reports every further blow. Most faults are done with one.
    fn keep_up<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        leader: &'a PodSeen,
        blows: &'a Blows,
    ) -> BoxFuture<'a, ()> {
        let _ = (scene, leader, blows);
        Box::pin(std::future::pending())
    }
}

/// What a fault needs beyond the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Commands on the nodes.
    Node,
    /// An address of this machine that the API server reaches.
    Listener,
    /// A second node for the operator to go to.
    Nodes,
    /// Two nodes beside the server's, in containers that the harness started.
    Agents,
}

impl Need {
    /// How many agents a cluster has to be started with.
    pub fn agents(self) -> u32 {
        match self {
            Self::Node | Self::Listener => 0,
            Self::Nodes | Self::Agents => 2,
        }
    }

    /// In words, with how it is met.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Node => "commands on the nodes (a started cluster has them; else --on-node)",
            Self::Listener => {
                "an address of this machine that the API server reaches (a started cluster has one; else --listen-on)"
            }
            Self::Nodes => "two nodes that take pods (a cluster is started with two agents)",
            Self::Agents => "agents that the harness started (a cluster is started with two)",
        }
    }
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is over as soon as it is done.
    Done,
    /// It is undone when another leader works, but not before this time has passed.
    UntilTakeover(Duration),
    /// It is undone after this time: nobody can take over before.
    For(Duration),
    /// It is over when the Deployment has been rolled out.
    UntilRolledOut,
}

/// The further blows of a fault that is kept up.
#[derive(Debug, Default)]
pub struct Blows(std::sync::Mutex<Vec<Stamp>>);

/// The fault of this name.
pub fn fault(kind: FaultKind) -> &'static dyn Fault {
    match kind {
        FaultKind::Graceful => &graceful::Graceful,
        FaultKind::Crash => &crash::Crash,
        FaultKind::CrashLoop => &crash_loop::CrashLoop,
        FaultKind::PairCrash => &pair_crash::PairCrash,
        FaultKind::Zombie => &zombie::Zombie,
        FaultKind::Partition => &partition::Partition,
        FaultKind::LostAnswers => &lost_answers::LostAnswers,
        FaultKind::LateWrite => &late_write::LateWrite,
        FaultKind::LeaseDeleted => &lease_deleted::LeaseDeleted,
        FaultKind::HolderOverwritten => &holder_overwritten::HolderOverwritten,
        FaultKind::RenewalsDenied => &renewals_denied::RenewalsDenied,
        FaultKind::RbacRevoked => &rbac_revoked::RbacRevoked,
        FaultKind::SlowWebhook => &slow_webhook::SlowWebhook,
        FaultKind::ApiStop => &api_stop::ApiStop,
        FaultKind::RollingUpdate => &rolling_update::RollingUpdate,
        FaultKind::Scale => &scale::Scale,
        FaultKind::NodeLoss => &node_loss::NodeLoss,
        FaultKind::Drain => &drain::Drain,
    }
}

/// How many agents a cluster has to be started with for these faults.
pub fn agents_for(faults: &[FaultKind]) -> u32 {
    let needs = faults.iter().filter_map(|kind| fault(*kind).needs());
    needs.map(Need::agents).max().unwrap_or_default()
}

/// The list of faults for the user.
pub fn list() -> String {
    use std::fmt::Write as _;

    use clap::ValueEnum;
    let mut text = String::new();
    for kind in FaultKind::value_variants() {
        let fault = fault(*kind);
        let needs = fault.needs().map_or("nothing but the API", Need::phrase);
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "{kind}\n  does    {}\n  proves  {}\n  needs   {needs}",
            fault.about(),
            fault.proves()
        );
    }
    text
}

impl Blows {
    fn add(&self, at: Stamp) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(at);
    }

    /// All of them.
    pub fn all(&self) -> Vec<Stamp> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::budget::Onset;

    const SETTINGS: LeaseSettings = LeaseSettings {
        duration_seconds: 15,
        renew_deadline_seconds: 10,
        retry_period_seconds: 2,
    };

    #[test]
    fn every_name_leads_to_its_fault_and_the_list_explains_it() {
        let list = list();
        for kind in FaultKind::value_variants() {
            let fault = fault(*kind);
            assert_eq!(fault.kind(), *kind);
            for words in [kind.name(), fault.about(), fault.proves()] {
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

    #[rstest::rstest]
    #[case(FaultKind::Zombie)]
    #[case(FaultKind::Partition)]
    #[case(FaultKind::LostAnswers)]
    #[case(FaultKind::LateWrite)]
    #[case(FaultKind::SlowWebhook)]
    #[case(FaultKind::ApiStop)]
    #[case(FaultKind::RbacRevoked)]
    fn a_silence_that_is_to_outlast_the_lease_does(#[case] kind: FaultKind) {
        let lasts = match fault(kind).hold(&SETTINGS) {
            Hold::UntilTakeover(time) | Hold::For(time) => time,
            other => panic!("{other:?}"),
        };
        assert!(lasts > SETTINGS.duration(), "{lasts:?}");
    }

    #[test]
    fn what_need_not_move_the_lease_is_undone_by_the_clock() {
        for kind in FaultKind::value_variants() {
            let waits_for_nobody = matches!(fault(*kind).hold(&SETTINGS), Hold::For(_));
            assert_eq!(
                waits_for_nobody,
                matches!(kind.onset(), Onset::Undone | Onset::LastTerm),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_gray_failure_lasts_longer_than_a_takeover_may_take_in_it() {
        for settings in [
            SETTINGS,
            LeaseSettings {
                duration_seconds: 60,
                renew_deadline_seconds: 40,
                retry_period_seconds: 15,
            },
        ] {
            for kind in [FaultKind::SlowWebhook, FaultKind::LostAnswers] {
                let (Hold::For(time) | Hold::UntilTakeover(time)) = fault(kind).hold(&settings)
                else {
                    panic!("{kind}")
                };
                let limit = settings.budget(kind, false).work_limit_ms();
                assert!(
                    crate::clock::duration_millis(time) > limit,
                    "{kind}: {time:?}"
                );
            }
        }
    }

    #[test]
    fn a_partition_is_watched_for_as_long_as_a_packet_may_be_repeated() {
        let partition = fault(FaultKind::Partition);
        assert!(partition.aftermath(&SETTINGS) > SETTINGS.duration());
        assert_eq!(fault(FaultKind::Crash).aftermath(&SETTINGS), AFTERMATH);
    }
}
