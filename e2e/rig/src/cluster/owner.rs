//! Whose container or network it is.
//!
//! Every one carries the run it belongs to and the process that owns it. A later run may remove what belongs to a
//! process that is gone, and nothing else: a pid alone is not trusted, nor one from another machine, boot or container.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::process;

/// Label that says which run a container belongs to.
pub(crate) const RUN: &str = "five-spot.e2e/run";
const OWNER: &str = "five-spot.e2e/owner";
const STARTED: &str = "five-spot.e2e/owner-started";
const PIDS: &str = "five-spot.e2e/owner-pids";
/// Label of what outlives its run on purpose.
pub(crate) const KEEP: &str = "five-spot.e2e/keep";
/// Label that says which part of a cluster a container is.
pub(crate) const ROLE: &str = "five-spot.e2e/role";
/// Label that says which provider a container is of.
pub(crate) const PROVIDER: &str = "five-spot.e2e/provider";

/// Identity of one run of the harness.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunId(String);

impl RunId {
    /// A new one, at random.
    pub fn random() -> Self {
        let mut text = Uuid::new_v4().simple().to_string();
        text.truncate(8);
        Self(text)
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for RunId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > 40 || !text.bytes().all(plain) {
            return Err("a run is named by 1 to 40 lowercase letters, digits and hyphens");
        }
        Ok(Self(text.to_owned()))
    }
}

/// A process, told apart from all others that had or will have its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pid: u32,
    boot: String,
    pids: String,
    started: u64,
}

/// What can be said about the owner of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Liveness {
    /// It runs.
    Alive,
    Gone,
    /// It is on another machine or in a container that cannot be looked into.
    Unknown,
}

/// What is known of a container or network besides its labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its engine seems to run on this machine's kernel.
    pub(super) engine_is_local: bool,
    /// It ran and does not run any more; of a network, its containers.
    pub(super) ended: bool,
}

impl Owner {
    pub(super) fn this_process() -> Self {
        let pid = std::process::id();
        Self {
            pid,
            boot: process::boot(),
            pids: process::pid_namespace().unwrap_or_default(),
            started: process::started(pid).unwrap_or_default(),
        }
    }

    pub(super) fn labels(&self, run: &RunId, keep: bool) -> HashMap<String, String> {
        let mut labels = HashMap::from([
            (RUN.to_owned(), run.to_string()),
            (OWNER.to_owned(), format!("{}@{}", self.pid, self.boot)),
            (STARTED.to_owned(), self.started.to_string()),
            (PIDS.to_owned(), self.pids.clone()),
        ]);
        if keep {
            labels.insert(KEEP.to_owned(), "true".to_owned());
        }
        labels
    }

    fn from_labels(labels: &HashMap<String, String>) -> Option<Self> {
        let (pid, boot) = labels.get(OWNER)?.split_once('@')?;
        Some(Self {
            pid: pid.parse().ok()?,
            boot: boot.to_owned(),
            pids: labels.get(PIDS)?.clone(),
            started: labels.get(STARTED)?.parse().ok()?,
        })
    }

    fn seen_by(&self, me: &Self, seen: Seen, started: impl Fn(u32) -> Option<u64>) -> Liveness {
        if self.boot != me.boot {
            // A restart of the machine ended the container as well. One that goes on belongs to another machine, which
            // shares this engine through a forwarded socket that looks local from here.
            return if seen.engine_is_local && seen.ended {
                Liveness::Gone
            } else {
                Liveness::Unknown
            };
        }
        if self.pids != me.pids {
            return Liveness::Unknown;
        }
        if started(self.pid) == Some(self.started) {
            Liveness::Alive
        } else {
            Liveness::Gone
        }
    }
}

/// Judges a container by its labels; `None` when it is not one that may be swept: not ours, or kept on purpose.
pub(super) fn judge(labels: &HashMap<String, String>, me: &Owner, seen: Seen) -> Option<Liveness> {
    if !labels.contains_key(RUN) || labels.contains_key(KEEP) {
        return None;
    }
    let owner = Owner::from_labels(labels);
    Some(owner.map_or(Liveness::Unknown, |owner| {
        owner.seen_by(me, seen, process::started)
    }))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const RUNS_HERE: Seen = Seen {
        engine_is_local: true,
        ended: false,
    };

    fn owner(pid: u32, boot: &str, pids: &str, started: u64) -> Owner {
        Owner {
            pid,
            boot: boot.to_owned(),
            pids: pids.to_owned(),
            started,
        }
    }

    #[rstest]
    #[case::same_process(owner(7, "b", "p", 100), Liveness::Alive)]
    #[case::pid_reused_by_another(owner(7, "b", "p", 99), Liveness::Gone)]
    #[case::no_such_process(owner(8, "b", "p", 100), Liveness::Gone)]
    #[case::inside_another_container(owner(8, "b", "q", 100), Liveness::Unknown)]
    fn an_owner_is_only_gone_when_that_is_certain(
        #[case] labelled: Owner,
        #[case] liveness: Liveness,
    ) {
        let me = owner(1, "b", "p", 1);
        let started = |pid| (pid == 7).then_some(100);
        assert_eq!(labelled.seen_by(&me, RUNS_HERE, started), liveness);
    }

    #[rstest]
    #[case::a_restart_ended_the_container(true, true, Liveness::Gone)]
    #[case::a_colleague_runs_it_through_a_forwarded_socket(true, false, Liveness::Unknown)]
    #[case::engine_on_another_machine(false, true, Liveness::Unknown)]
    #[case::running_on_another_machine(false, false, Liveness::Unknown)]
    fn an_owner_of_another_boot_is_gone_only_when_its_container_ended_here(
        #[case] engine_is_local: bool,
        #[case] ended: bool,
        #[case] liveness: Liveness,
    ) {
        let seen = Seen {
            engine_is_local,
            ended,
        };
        let me = owner(1, "b", "p", 1);
        assert_eq!(owner(7, "a", "p", 1).seen_by(&me, seen, |_| None), liveness);
    }

    #[test]
    fn labels_carry_the_owner_unchanged() {
        let me = Owner::this_process();
        let labels = me.labels(&RunId::random(), false);
        assert_eq!(Owner::from_labels(&labels), Some(me.clone()));
        assert_eq!(judge(&labels, &me, RUNS_HERE), Some(Liveness::Alive));
    }

    #[test]
    fn a_container_without_our_label_or_kept_on_purpose_is_not_judged() {
        let me = Owner::this_process();
        assert_eq!(
            judge(
                &HashMap::from([(OWNER.to_owned(), "1@x".to_owned())]),
                &me,
                RUNS_HERE
            ),
            None
        );
        assert_eq!(
            judge(&me.labels(&RunId::random(), true), &me, RUNS_HERE),
            None
        );
    }

    #[rstest]
    #[case::empty("")]
    #[case::capitals("ABC")]
    #[case::blank("a b")]
    fn a_run_is_named_by_plain_characters(#[case] text: &str) {
        assert!(text.parse::<RunId>().is_err());
    }
}
