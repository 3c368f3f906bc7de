//! What a leader holds while it leads, and how that ends.

use tokio::task::{JoinError, JoinSet};

use super::lock::Held;
use crate::{clock::Moment, record::Cause, term::TermControl};

/// What a leader holds while it leads.
pub(super) struct ActiveTerm {
    pub(super) control: TermControl,
    pub(super) work: JoinSet<()>,
    pub(super) held: Held,
    pub(super) next_renew: Moment,
}

/// How a term came to its end.
pub(super) enum Ending {
    /// Its Lease is somebody else's, or could not be renewed in time.
    Lost(Cause),
    /// The shutdown was asked for; the work has been wound up, or was given up after the drain timeout.
    WoundUp,
    /// The work ended by itself.
    WorkEnded(Option<JoinError>),
    /// The work made no progress.
    WorkStuck,
}

impl Ending {
    pub(super) fn cause(&self) -> Cause {
        match self {
            Self::Lost(cause) => *cause,
            Self::WoundUp => Cause::Released,
            Self::WorkEnded(None) => Cause::WorkEnded,
            Self::WorkEnded(Some(_)) => Cause::WorkFailed,
            Self::WorkStuck => Cause::WorkStuck,
        }
    }
}
