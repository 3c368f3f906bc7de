//! Processes of this machine, as `/proc` shows them.
//!
//! A process is told apart from a later one with the same pid by its start time. On systems without `/proc` the start
//! time is 0 for every live process, which makes the pid alone decide.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, test_kill_process};

/// Start of a process in clock ticks since boot; `None` when there is no such process.
///
/// Field 22 of `/proc/<pid>/stat`, see `proc_pid_stat(5)`.
pub(crate) fn started(pid: u32) -> Option<u64> {
    if !Path::new("/proc/self/stat").exists() {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        return test_kill_process(pid).is_ok().then_some(0);
    }
    parse_started(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_started(stat: &str) -> Option<u64> {
    // The name may hold spaces and parentheses: fields are counted after the last one.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    // A zombie has ended, only its parent has not looked yet.
    let ended = matches!(fields.next()?, "Z" | "X");
    let started = fields.nth(18)?.parse().ok()?;
    (!ended).then_some(started)
}

/// Every process that can be seen from here.
pub(crate) fn all() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The name of a process's program, at most 15 bytes.
pub(crate) fn name(pid: u32) -> Option<String> {
    Some(
        fs::read_to_string(format!("/proc/{pid}/comm"))
            .ok()?
            .trim_end()
            .to_owned(),
    )
}

/// The process numbers of `pid` mean the same as ours.
pub(crate) fn shares_pids_with(pid: u32) -> bool {
    pid_namespace_of(&pid.to_string())
        .is_some_and(|theirs| pid_namespace_of("self") == Some(theirs))
}

/// Identity of the namespace in which our process numbers mean something.
pub(crate) fn pid_namespace() -> Option<String> {
    pid_namespace_of("self")
}

fn pid_namespace_of(process: &str) -> Option<String> {
    let link = fs::read_link(format!("/proc/{process}/ns/pid")).ok()?;
    Some(
        link.to_str()?
            .trim_start_matches("pid:")
            .trim_matches(['[', ']'])
            .to_owned(),
    )
}

/// Identity of this run of this machine's kernel, else the name of the machine.
pub(crate) fn boot() -> String {
    let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
    boot_id.map_or_else(
        || {
            rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned()
        },
        |id| id.trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_time_is_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 4711 100 10 18446744073709551615";
        assert_eq!(parse_started(stat), Some(4711));
    }

    #[test]
    fn a_zombie_has_ended() {
        let stat =
            "7 (a) Z 1 7 7 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 4711 100 10 18446744073709551615";
        assert_eq!(parse_started(stat), None);
    }

    #[test]
    fn this_process_runs_and_shares_its_own_numbers() {
        let me = std::process::id();
        assert!(started(me).is_some() && shares_pids_with(me) && all().any(|pid| pid == me));
    }
}
