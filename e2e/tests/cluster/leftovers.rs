//! What is left when a run does not end by itself: nothing of that run, and everything of all others.

use std::collections::HashMap;
use std::process::Stdio;

use failover_rig::cluster::{Cluster, sweep};
use failover_rig::engine;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::rig::{self, BUSYBOX, FAILOVER, Heard};

const RUN: &str = "five-spot.e2e/run";
const OWNER: &str = "five-spot.e2e/owner";

#[tokio::test]
async fn the_guardian_removes_the_cluster_of_a_parent_that_got_sigkill() {
    let _alone = rig::alone().await;
    let docker = rig::docker().await;
    let image = rig::silent_node(&docker, "killed-parent").await;
    let mut parent = Command::new(FAILOVER)
        .args([
            "cluster",
            "--provider",
            "node",
            "--node-image",
            &image,
            "--image",
            BUSYBOX,
        ])
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    rig::await_containers(&docker, "ancestor", &image, 1, rig::limit()).await;
    parent.kill().await.unwrap();
    rig::await_containers(&docker, "ancestor", &image, 0, rig::limit()).await;
}

#[tokio::test]
async fn an_interrupted_cluster_is_gone_by_the_time_the_program_ends() {
    let _alone = rig::alone().await;
    let docker = rig::docker().await;
    let folder = tempfile::tempdir().unwrap();
    let (mut run, name) = hold(&folder, &[]).await;
    assert_eq!(rig::containers(&docker, "name", &name).await.len(), 1);

    let pid = Pid::from_raw(run.id().unwrap().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let status = timeout(rig::limit(), run.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(
        rig::containers(&docker, "name", &name).await,
        Vec::<String>::new()
    );
    assert_eq!(
        std::fs::read_dir(folder.path().join("target/failover"))
            .unwrap()
            .count(),
        0
    );
}

/// Starts `failover cluster` with these flags; gives it once its cluster is ready, with the name of the server's container.
async fn hold(folder: &tempfile::TempDir, flags: &[&str]) -> (Child, String) {
    let mut run = Command::new(FAILOVER)
        .args(["cluster", "--image", BUSYBOX])
        .args(flags)
        .current_dir(folder.path())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines();
    let access = async {
        loop {
            let line = said
                .next_line()
                .await
                .unwrap()
                .expect("the program ended before its cluster was ready");
            if let Some(command) = line.strip_prefix("docker exec ") {
                return command.split_once(' ').unwrap().0.to_owned();
            }
        }
    };
    let name = timeout(rig::limit(), access).await.unwrap();
    (run, name)
}

/// The process that `parent` started to clean up after it.
fn guardian_of(parent: u32) -> Pid {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_guardian = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let its_parent = stat
            .rsplit_once(") ")
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        its_parent == Some(parent) && command.contains("guard")
    };
    let pid = pids.into_iter().find(is_guardian);
    Pid::from_raw(pid.expect("a run has a guardian")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_run_after_one_that_got_sigkill_with_its_guardian_sweeps_all_of_it_and_nothing_else() {
    let _alone = rig::alone().await;
    let docker = rig::docker().await;
    let folder = tempfile::tempdir().unwrap();
    let (mut run, name) = hold(&folder, &["--agents", "2"]).await;
    let strangers = "five-spot-test-stranger";
    rig::container(
        &docker,
        strangers,
        BUSYBOX,
        &["/busybox", "true"],
        HashMap::new(),
    )
    .await;
    rig::network(&docker, strangers, HashMap::new()).await;

    // Without its guardian, which would clean up at once.
    let guardian = guardian_of(run.id().unwrap());
    kill_process(guardian, Signal::KILL).unwrap();
    run.kill().await.unwrap();
    let left = rig::containers(&docker, "name", &name).await;
    assert_eq!(left.len(), 3, "{left:?}");
    assert_eq!(rig::networks(&docker, &name).await, [name.as_str()]);

    // Any next run sweeps, also one that ends right after that for want of an image.
    let next = Command::new(FAILOVER)
        .args(["cluster", "--image", "five-spot/typo:1"])
        .current_dir(folder.path())
        .output();
    let next = timeout(rig::limit(), next).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&next.stderr).into_owned();
    assert_eq!(next.status.code(), Some(2), "{said}");
    for part in [
        format!("the container {name},"),
        format!("the container {name}-agent-1,"),
        format!("the container {name}-agent-2,"),
        format!("the network {name},"),
    ] {
        assert!(said.contains(&part), "no {part:?} in: {said}");
    }
    assert_eq!(
        rig::containers(&docker, "name", &name).await,
        Vec::<String>::new()
    );
    assert_eq!(rig::networks(&docker, &name).await, Vec::<String>::new());
    let untouched = rig::containers(&docker, "name", strangers).await;
    let networks = rig::networks(&docker, strangers).await;
    rig::remove(&docker, strangers).await;
    rig::remove_network(&docker, strangers).await;
    assert_eq!((untouched.len(), networks.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_is_cancelled_leaves_nothing_behind() {
    let _alone = rig::alone().await;
    let docker = rig::docker().await;
    let image = rig::silent_node(&docker, "cancelled").await;
    let options = rig::stand_in(&image);
    let heard = Heard::default();
    tokio::select! {
        started = Cluster::start(&options, &heard) => panic!("a silent node is not ready: {started:?}"),
        () = rig::await_containers(&docker, "ancestor", &image, 1, rig::limit()) => {}
    }
    rig::await_containers(&docker, "ancestor", &image, 0, rig::limit()).await;
}

#[tokio::test]
async fn a_sweep_removes_what_a_killed_run_left_and_nothing_else() {
    let docker = rig::docker().await;
    let labels = |owner: String, keep: bool| {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let pids = std::fs::read_link("/proc/self/ns/pid").unwrap();
        let pids = pids
            .to_str()
            .unwrap()
            .trim_start_matches("pid:")
            .trim_matches(['[', ']'])
            .to_owned();
        let mut labels = HashMap::from([
            (RUN.to_owned(), "sweep-test".to_owned()),
            (OWNER.to_owned(), format!("{owner}@{}", boot.trim())),
            (
                "five-spot.e2e/owner-started".to_owned(),
                started_of_this_process(),
            ),
            ("five-spot.e2e/owner-pids".to_owned(), pids),
        ]);
        if keep {
            labels.insert("five-spot.e2e/keep".to_owned(), "true".to_owned());
        }
        labels
    };
    let me = std::process::id().to_string();
    // Process numbers end below this one (PID_MAX_LIMIT of 64-bit Linux is 2^22).
    let nobody = "4194305".to_owned();
    let make = async |name: &str, labels: HashMap<String, String>| {
        rig::container(
            &docker,
            name,
            BUSYBOX,
            &["/busybox", "true"],
            labels.clone(),
        )
        .await;
        rig::network(&docker, name, labels).await;
    };
    make("five-spot-sweep-gone", labels(nobody.clone(), false)).await;
    make("five-spot-sweep-kept", labels(nobody, true)).await;
    make("five-spot-sweep-alive", labels(me, false)).await;
    make("five-spot-sweep-stranger", HashMap::new()).await;

    let heard = Heard::default();
    sweep(&engine::probe().await.unwrap(), &heard)
        .await
        .unwrap();

    let mut left = rig::containers(&docker, "ancestor", BUSYBOX).await;
    left.retain(|name| name.starts_with("/five-spot-sweep-"));
    left.sort();
    let networks = rig::networks(&docker, "five-spot-sweep-").await;
    for name in ["gone", "kept", "alive", "stranger"] {
        rig::remove(&docker, &format!("five-spot-sweep-{name}")).await;
        rig::remove_network(&docker, &format!("five-spot-sweep-{name}")).await;
    }
    assert_eq!(
        left,
        [
            "/five-spot-sweep-alive",
            "/five-spot-sweep-kept",
            "/five-spot-sweep-stranger"
        ]
    );
    assert_eq!(
        networks,
        [
            "five-spot-sweep-alive",
            "five-spot-sweep-kept",
            "five-spot-sweep-stranger"
        ]
    );
}

fn started_of_this_process() -> String {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    stat.rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .nth(19)
        .unwrap()
        .to_owned()
}
