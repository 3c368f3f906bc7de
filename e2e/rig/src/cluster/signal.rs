//! Signals to the main process of a pod's container, sent from the node that it runs on.
//!
//! The process does not see who sends them, a read-only root file system and a dropped privilege do not matter, and the
//! signal is not the SIGTERM that a delete begins with.

/// A signal for the main process of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ends it at once.
    Kill,
    /// Freezes it.
    Stop,
    /// Lets it go on.
    Continue,
}

/// Lists the containers that run on a node, with their process ids.
pub(super) const LIST: [&str; 5] = ["ctr", "-n", "k8s.io", "task", "ls"];

impl Signal {
    /// The option of `kill` for it.
    pub(super) fn flag(self) -> &'static str {
        match self {
            Self::Kill => "-KILL",
            Self::Stop => "-STOP",
            Self::Continue => "-CONT",
        }
    }
}

/// The process id of a container in what [`LIST`] writes.
pub(super) fn pid(listing: &str, container_id: &str) -> Option<u32> {
    let id = plain(container_id);
    let line = listing.lines().find_map(|line| line.strip_prefix(id))?;
    let mut fields = line.split_whitespace();
    let (pid, status) = (fields.next()?, fields.next()?);
    matches!(status, "RUNNING" | "PAUSED")
        .then(|| pid.parse().ok())
        .flatten()
}

fn plain(container_id: &str) -> &str {
    container_id
        .split_once("://")
        .map_or(container_id, |(_, id)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str =
        "TASK      PID     STATUS\nabc123    4711    RUNNING\ndef456    4712    STOPPED\n";

    #[test]
    fn a_container_of_a_pod_status_is_found_by_its_id() {
        assert_eq!(pid(LISTING, "containerd://abc123"), Some(4711));
    }

    #[test]
    fn a_container_that_has_stopped_or_is_unknown_has_no_process() {
        assert_eq!((pid(LISTING, "def456"), pid(LISTING, "zzz")), (None, None));
    }
}
