//! What is known of the holder's process beside what the Lease says: proof of its death, or a hint of it.

mod hint;
mod pods;
mod proof;
mod successor;
mod termination_log;

pub use hint::HintError;
pub(crate) use hint::{HintListener, Peers, TcpPeers};
pub(crate) use pods::{KubePods, PodApi, PodError};
pub(crate) use proof::proves_death;
pub(crate) use successor::successor;
pub use termination_log::{TerminationLog, TerminationLogError};
