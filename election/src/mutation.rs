//! The rules of the election, broken one at a time on purpose.
//!
//! The simulator, the model checker and the tests on clusters are worth something only if they find a bug that is there. Each
//! mutation takes one rule back at the very place where the code keeps it: on a thread of the simulator (`just sim
//! --mutants` shows what catches it), or in a whole process, for an image that a failover test has to find out. The switch
//! exists only in tests and with the features `sim` and `mutants`: in any other build `is` is the constant `false`.

use std::time::Duration;

use strum::{EnumIter, EnumMessage, EnumString, IntoEnumIterator};

/// A rule that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, EnumMessage, EnumString)]
#[strum(serialize_all = "kebab-case")]
pub enum Mutation {
    /// The Lease is written without the version that was read
    WritesWithoutVersion,
    /// `renewTime` is compared with the wall clock
    TrustsRenewTime,
    /// A record never seen before counts as expired
    TakesWhatItSeesFirst,
    /// A term counts from the answer to the renewal
    CountsFromTheAnswer,
    /// A term goes on without a renewal
    IgnoresTheRenewDeadline,
    /// The Lease is released while the work goes on
    ReleasesBeforeTheWorkStopped,
    /// Last words of another life of the pod are proof
    BelievesAnyLastWords,
    /// Last words of a pod of the same name are proof
    BelievesANamesake,
    /// A deletion timestamp is proof
    BelievesADeletion,
    /// Whoever has the holder's name reclaims
    ReclaimsByName,
    /// The work is written without a precondition
    #[strum(serialize = "forces-status")]
    WritesFromAnyVersion,
    /// A hint is acted on whatever the fence says
    ActsOnAHintUnfenced,
    /// Only the strict policy is asked before a hint is acted on
    AsksTheStrictPolicyOnly,
    /// A sight of any own write acknowledges the last one
    BelievesAnySight,
    /// Only an answer acknowledges a write
    IgnoresSights,
    /// A holder that hears of its writes too late takes on and on
    NeverLeavesTheLease,
    /// On SIGTERM the process ends without releasing the Lease
    NeverRelease,
    /// The Lease is released while the work goes on, and the term never refuses a write
    WritesOn,
    /// The leader takes the Lease and does not renew it
    NeverRenews,
    /// A standby waits for a silent leader for a few seconds only, whatever the Lease promises
    Impatient,
    /// The leader holds the Lease and does nothing
    IdleLeader,
    /// Every replica works, whoever holds the Lease
    WorksWithoutLease,
}

/// How long the work goes on after the release where it [`Mutation::WritesOn`].
pub(crate) const WRITES_ON_FOR: Duration = Duration::from_secs(8);

/// How long an [`Mutation::Impatient`] standby waits: longer than the renew period, so that it shows only after a fault.
pub(crate) const IMPATIENT_AFTER: Duration = Duration::from_secs(4);

impl Mutation {
    /// Those that the simulator has to find; the rest are for images.
    pub fn simulated() -> impl Iterator<Item = Self> {
        Self::iter().take_while(|mutation| *mutation != Self::NeverRelease)
    }

    /// What is done instead of what the rule demands.
    pub fn what(self) -> &'static str {
        self.get_documentation().unwrap_or_default()
    }
}

#[cfg(any(test, feature = "sim", feature = "mutants"))]
mod switch {
    use std::{cell::Cell, sync::OnceLock};

    use super::Mutation;

    thread_local! {
        static OF_THREAD: Cell<Option<Mutation>> = const { Cell::new(None) };
    }

    static OF_PROCESS: OnceLock<Mutation> = OnceLock::new();

    /// The rule that is broken on this thread.
    pub(crate) fn broken() -> Option<Mutation> {
        OF_THREAD.get().or_else(|| OF_PROCESS.get().copied())
    }

    /// Whether the rule is broken on this thread.
    pub fn is(mutation: Mutation) -> bool {
        broken() == Some(mutation)
    }

    /// Breaks a rule in the whole process, once and to its end.
    pub fn break_in_this_process(mutation: Mutation) {
        OF_PROCESS.get_or_init(|| mutation);
    }

    /// Breaks a rule on this thread for as long as `run` lasts.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn with<T>(mutation: Option<Mutation>, run: impl FnOnce() -> T) -> T {
        struct Mended(Option<Mutation>);
        impl Drop for Mended {
            fn drop(&mut self) {
                OF_THREAD.set(self.0);
            }
        }
        let _mended = Mended(OF_THREAD.replace(mutation));
        run()
    }
}

#[cfg(test)]
pub(crate) use switch::broken;
#[cfg(any(test, feature = "sim"))]
pub(crate) use switch::with;
#[cfg(any(test, feature = "sim", feature = "mutants"))]
pub use switch::{break_in_this_process, is};

/// No rule is ever broken in a shipped build.
#[cfg(not(any(test, feature = "sim", feature = "mutants")))]
pub const fn is(_: Mutation) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_told_by_these_names_what_to_break() {
        let named = |name: &str| name.parse::<Mutation>();
        assert_eq!(named("never-release"), Ok(Mutation::NeverRelease));
        assert_eq!(
            named("works-without-lease"),
            Ok(Mutation::WorksWithoutLease)
        );
        assert_eq!(named("forces-status"), Ok(Mutation::WritesFromAnyVersion));
        assert!(named("").is_err());
    }
}
