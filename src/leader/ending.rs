//! Why a term came to its end: the word for metrics, Events and log lines, and the sentence for people.

/// Why a term came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// The replica was told to stop and wound up its work, so that the Lease can be given back.
    Released,
    /// The Lease is somebody else's, or was deleted.
    Lost,
    /// No renewal was acknowledged before the renew deadline.
    Deadline,
    /// The work ended by itself.
    WorkEnded,
    /// The work panicked.
    WorkFailed,
    /// The work made no progress.
    WorkStuck,
    /// The work could not be stopped, and the process ends.
    WorkOutlived,
}

impl Cause {
    /// Every cause there is.
    pub const ALL: [Self; 7] = [
        Self::Released,
        Self::Lost,
        Self::Deadline,
        Self::WorkEnded,
        Self::WorkFailed,
        Self::WorkStuck,
        Self::WorkOutlived,
    ];

    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Lost => "lost",
            Self::Deadline => "deadline",
            Self::WorkEnded => "work-ended",
            Self::WorkFailed => "work-failed",
            Self::WorkStuck => "work-stuck",
            Self::WorkOutlived => "work-outlived",
        }
    }

    /// The sentence for people.
    pub fn why(self) -> &'static str {
        match self {
            Self::Released => "it was told to stop",
            Self::Lost => "the Lease was taken away or deleted",
            Self::Deadline => "the Lease could not be renewed before the renew deadline",
            Self::WorkEnded => "the work ended by itself",
            Self::WorkFailed => "the work failed",
            Self::WorkStuck => "the work made no progress",
            Self::WorkOutlived => "the work could not be stopped, so the process ends",
        }
    }
}
