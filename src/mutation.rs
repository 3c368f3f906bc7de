//! The rules of the election, broken one at a time on purpose.
//!
//! The simulator and the model checker are worth something only if they find a bug that is there. Each mutation takes one
//! rule back at the very place where the code keeps it; `just sim --mutants` shows what catches it. The switch exists
//! only in tests and with the feature `sim`: in a shipped build `is` is the constant `false`.

/// A rule that can be broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutation {
    /// L1: the Lease is written without the version that was read.
    WritesWithoutVersion,
    /// L2: the record's `renewTime` is compared with the wall clock.
    TrustsRenewTime,
    /// L2: a record that was never seen before counts as expired.
    TakesWhatItSeesFirst,
    /// L4: the term counts from the acknowledgement of the renewal and not from its sending.
    CountsFromTheAnswer,
    /// L4: the term goes on without a renewal.
    IgnoresTheRenewDeadline,
    /// L6: the Lease is released while the work goes on.
    ReleasesBeforeTheWorkStopped,
    /// L9: the last words of another life of the pod count as proof.
    BelievesAnyLastWords,
    /// L9: the last words of any pod of the holder's name count as proof, whatever its UID.
    BelievesANamesake,
    /// L9: a deletion timestamp counts as proof.
    BelievesADeletion,
    /// L10: whoever has the holder's name reclaims, whatever its UID.
    ReclaimsByName,
    /// L12: the work is written whatever has become of the object since.
    WritesFromAnyVersion,
    /// L13: a hint is acted on whatever the fence says.
    ActsOnAHintUnfenced,
    /// L13: of the two policies of the fence only the strict one is asked.
    AsksTheStrictPolicyOnly,
    /// L15: a sight of any own write acknowledges the last one.
    BelievesAnySight,
    /// L15: only an answer acknowledges a write.
    IgnoresSights,
    /// L15: a holder that hears of its own writes too late takes the Lease again and again.
    NeverLeavesTheLease,
}

impl Mutation {
    /// Every mutation there is.
    pub const ALL: [Self; 16] = [
        Self::WritesWithoutVersion,
        Self::TrustsRenewTime,
        Self::TakesWhatItSeesFirst,
        Self::CountsFromTheAnswer,
        Self::IgnoresTheRenewDeadline,
        Self::ReleasesBeforeTheWorkStopped,
        Self::BelievesAnyLastWords,
        Self::BelievesANamesake,
        Self::BelievesADeletion,
        Self::ReclaimsByName,
        Self::WritesFromAnyVersion,
        Self::ActsOnAHintUnfenced,
        Self::AsksTheStrictPolicyOnly,
        Self::BelievesAnySight,
        Self::IgnoresSights,
        Self::NeverLeavesTheLease,
    ];

    /// What is done instead of what the rule demands.
    pub fn what(self) -> &'static str {
        match self {
            Self::WritesWithoutVersion => "the Lease is written without the version that was read",
            Self::TrustsRenewTime => "renewTime is compared with the wall clock",
            Self::TakesWhatItSeesFirst => "a record never seen before counts as expired",
            Self::CountsFromTheAnswer => "a term counts from the answer to the renewal",
            Self::IgnoresTheRenewDeadline => "a term goes on without a renewal",
            Self::ReleasesBeforeTheWorkStopped => "the Lease is released while the work goes on",
            Self::BelievesAnyLastWords => "last words of another life of the pod are proof",
            Self::BelievesANamesake => "last words of a pod of the same name are proof",
            Self::BelievesADeletion => "a deletion timestamp is proof",
            Self::ReclaimsByName => "whoever has the holder's name reclaims",
            Self::WritesFromAnyVersion => "the work is written without a precondition",
            Self::ActsOnAHintUnfenced => "a hint is acted on whatever the fence says",
            Self::AsksTheStrictPolicyOnly => {
                "only the strict policy is asked before a hint is acted on"
            }
            Self::BelievesAnySight => "a sight of any own write acknowledges the last one",
            Self::IgnoresSights => "only an answer acknowledges a write",
            Self::NeverLeavesTheLease => {
                "a holder that hears of its writes too late takes on and on"
            }
        }
    }

    /// The rule that it breaks, as the documentation numbers them.
    pub fn rule(self) -> &'static str {
        match self {
            Self::WritesWithoutVersion => "L1",
            Self::TrustsRenewTime | Self::TakesWhatItSeesFirst => "L2",
            Self::CountsFromTheAnswer | Self::IgnoresTheRenewDeadline => "L4",
            Self::ReleasesBeforeTheWorkStopped => "L6",
            Self::BelievesAnyLastWords | Self::BelievesANamesake | Self::BelievesADeletion => "L9",
            Self::ReclaimsByName => "L10",
            Self::WritesFromAnyVersion => "L12",
            Self::ActsOnAHintUnfenced | Self::AsksTheStrictPolicyOnly => "L13",
            Self::BelievesAnySight | Self::IgnoresSights | Self::NeverLeavesTheLease => "L15",
        }
    }
}

#[cfg(any(test, feature = "sim"))]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Mutation>> = const { std::cell::Cell::new(None) };
}

/// Whether the rule is broken on this thread.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn is(mutation: Mutation) -> bool {
    BROKEN.get() == Some(mutation)
}

/// The rule that is broken on this thread.
#[cfg(test)]
pub(crate) fn broken() -> Option<Mutation> {
    BROKEN.get()
}

/// No rule is ever broken in a shipped build.
#[cfg(not(any(test, feature = "sim")))]
pub(crate) const fn is(_: Mutation) -> bool {
    false
}

/// Breaks a rule on this thread for as long as `run` lasts.
#[cfg(any(test, feature = "sim"))]
pub(crate) fn with<T>(mutation: Option<Mutation>, run: impl FnOnce() -> T) -> T {
    struct Mended(Option<Mutation>);
    impl Drop for Mended {
        fn drop(&mut self) {
            BROKEN.set(self.0);
        }
    }
    let _mended = Mended(BROKEN.replace(mutation));
    run()
}
