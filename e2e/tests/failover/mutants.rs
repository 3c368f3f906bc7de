//! The harness fails when it should: operators that break a promise, and settings that can't keep it, each end with exit
//! code 1 and a message that names what broke.
//!
//! The real binary runs against a cluster as `--provider kubeconfig`, which proves that provider too.

use std::{
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use failover_judging::report::Provider;
use failover_rig::cluster::Cluster;
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::Api;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::{
    DEPLOY, MUTANT_IMAGE, ONE_NODE,
    lanes::{Lane, block_on, until_conclusive},
};

/// A cluster that one test has, and its kubeconfig.
struct Rig {
    lane: Lane,
    folder: TempDir,
}

/// What a run of the binary ended with.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    out: PathBuf,
}

impl Rig {
    fn take() -> Self {
        let lane = ONE_NODE.take();
        lane.keep_leases_followed();
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        lane.cluster.write_kubeconfig(&kubeconfig).unwrap();
        Self { lane, folder }
    }

    /// The command for a run, and the folder for its results.
    fn command(&self, deploy: &str, flags: &str) -> (Command, PathBuf) {
        let audit = self.lane.cluster.audit_log().unwrap();
        let out = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .unwrap()
            .keep();
        let mut command = Command::new(env!("CARGO_BIN_EXE_failover"));
        command
            .args(["run", "--provider", "kubeconfig"])
            .args(["--on-node", "docker exec {node}"])
            .args(["--audit-log", &audit.path, "--audit-node", &audit.node])
            .arg("--kubeconfig")
            .arg(self.folder.path().join("kubeconfig"))
            .arg("--deploy")
            .arg(deploy)
            .arg("--out")
            .arg(&out)
            .args(["--trials", "1"])
            .args(flags.split_whitespace());
        if !flags.contains("--steady") {
            command.args(["--steady", "0s"]);
        }
        (command, out)
    }

    fn has_stopped_process(&self) -> bool {
        let node = self.lane.cluster.nodes()[0];
        let look = [
            "sh",
            "-c",
            "cat /proc/[0-9]*/stat 2>/dev/null | grep -q ') T '",
        ];
        let looked = block_on(self.lane.cluster.on_node(node, &look));
        looked.unwrap().status == 0
    }

    /// Runs the build with mutants, with one of them chosen.
    fn mutant(&self, mutant: &str, flags: &str) -> Ended {
        let chosen =
            format!("--image {MUTANT_IMAGE} --set-env FIVE_SPOT_MUTANT={mutant} --replicas 2");
        self.failover(DEPLOY, &format!("{chosen} {flags}"))
    }

    fn failover(&self, deploy: &str, flags: &str) -> Ended {
        until_conclusive(|| self.run(deploy, flags), |ended| ended.code == Some(3))
    }

    fn run(&self, deploy: &str, flags: &str) -> Ended {
        let (mut command, out) = self.command(deploy, flags);
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ended {
            code: output.status.code(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
            out,
        }
    }
}

impl Ended {
    fn fails_naming(&self, named: &[&str]) {
        self.ends(1, named);
        assert!(self.stdout.contains("verdict: FAIL"), "{}", self.stdout);
    }

    fn ends(&self, code: i32, named: &[&str]) {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        // The lines that say why are whole; the rest is broken at 80 columns.
        for expected in named {
            let found = self.stdout.contains(expected) || self.stderr.contains(expected);
            assert!(
                found,
                "no {expected:?} in:\n{}\n{}\n{}",
                self.stdout,
                self.stderr,
                self.events()
            );
        }
    }

    /// What the namespace's events said where the run did not get as far as was expected.
    fn events(&self) -> String {
        let folders = std::fs::read_dir(self.out.join("failures"));
        let folders = folders.into_iter().flatten().flatten();
        let events = folders.map(|folder| {
            std::fs::read_to_string(folder.path().join("events.txt")).unwrap_or_default()
        });
        events.collect()
    }
}

#[test]
fn the_build_with_mutants_passes_as_long_as_none_is_chosen() {
    let rig = Rig::take();
    let flags = format!("--image {MUTANT_IMAGE} --replicas 2 --faults graceful");
    rig.failover(DEPLOY, &flags).ends(0, &["verdict: PASS"]);
}

const STRAY: &str = "accepted work writes by a replica that did not hold the Lease";

#[rstest::rstest]
// A standby that notices the end of the process by itself is as fast as a release, so it is the release that is missed.
#[case("never-release", "", &["reason: ", "took the Lease from", "it was not released"])]
#[case("writes-on", "--fence off", &["only-holder-writes", STRAY])]
#[case("works-without-lease", "--fence off", &["only-holder-writes", STRAY])]
#[case("idle-leader", "--settle 30s", &["steady-state", "holds the Lease, but no write of it follows the canary"])]
// It takes its Lease anew each time that its term is over, so it is how often it writes that gives it away.
#[case("never-renews", "--steady 20s", &["idle: leader ", "expected 10.0 ±2 at one per LEASE_RETRY_PERIOD"])]
fn an_operator_that_breaks_a_promise_is_caught_by_what_it_does(
    #[case] mutant: &str,
    #[case] flags: &str,
    #[case] named: &[&str],
) {
    let flags = format!("{flags} --faults graceful");
    Rig::take().mutant(mutant, &flags).fails_naming(named);
}

#[test]
fn a_standby_that_takes_the_lease_before_its_expiry_is_named() {
    let named = [
        "reason: ",
        "took the Lease from",
        "its leaseDurationSeconds=15 had not passed",
    ];
    let ended = Rig::take().mutant("impatient", "--faults holder-overwritten");
    ended.fails_naming(&named);
}

#[rstest::rstest]
#[case::replicas_that_share_one_identity(
    "--set-env POD_NAME=operator --set-env POD_UID=00000000-0000-4000-8000-000000000001 --fence off --settle 30s \
     --replicas 2 --faults graceful",
    &["steady-state", "one identity for all of them"]
)]
#[case::lease_settings_that_allow_more_than_is_promised(
    "--set-env LEASE_DURATION_SECONDS=30 --within 15s --replicas 2 --faults partition",
    &["worst-case", "LEASE_DURATION_SECONDS=30", "over the promised 15000 ms (--within)"]
)]
#[case::one_replica_without_a_standby(
    "--replicas 1 --faults graceful",
    &["standby: 1 replica: no standby could take over", "allows no disruption"]
)]
fn settings_that_can_not_keep_a_promise_fail_by_name(#[case] flags: &str, #[case] named: &[&str]) {
    Rig::take().failover(DEPLOY, flags).fails_naming(named);
}

/// A copy of the operator's folder with one file changed.
fn edited(file: &str, edit: impl Fn(&str) -> String) -> TempDir {
    let deploy = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(DEPLOY).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), deploy.path().join(entry.file_name())).unwrap();
        }
    }
    let path = deploy.path().join(file);
    let before = std::fs::read_to_string(&path).unwrap();
    let after = edit(&before);
    assert_ne!(before, after, "{file} was to be changed");
    std::fs::write(&path, after).unwrap();
    deploy
}

#[rstest::rstest]
#[case::missing(
    "kustomization.yaml",
    "  - pdb.yaml\n",
    "",
    "no disruption budget selects"
)]
#[case::selects_nothing(
    "pdb.yaml",
    "      app: 5spot-controller",
    "      app: something-else",
    "not 5spot-controller"
)]
fn a_disruption_budget_that_does_not_select_the_pods_fails_by_name(
    #[case] file: &str,
    #[case] old: &str,
    #[case] new: &str,
    #[case] named: &str,
) {
    let rig = Rig::take();
    let deploy = edited(file, |text| text.replace(old, new));
    let ended = rig.failover(
        deploy.path().to_str().unwrap(),
        "--replicas 2 --faults graceful",
    );
    let none = "no disruption budget selects the pods of Deployment 5spot-controller";
    ended.fails_naming(&["disruption-budget", none, named]);
}

#[test]
fn without_fence_and_precondition_a_write_that_was_held_up_is_accepted_and_that_is_seen() {
    let rig = Rig::take();
    if rig.lane.cluster.provider() == Provider::K3s {
        // Its image has no tc; `operator.rs` shows that the fault says so.
        return;
    }
    let ended = rig.mutant("forces-status", "--fence off --faults late-write");
    ended.fails_naming(&[
        "accepted work writes by the old leader",
        "after the first one of the new leader",
        "fence: none",
    ]);
}

#[test]
fn a_run_that_is_ended_in_the_middle_of_a_fault_undoes_it() {
    let rig = Rig::take();
    let (mut command, _out) = rig.command(DEPLOY, "--replicas 2 --faults zombie");
    let mut run = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(run.stderr.take().unwrap()).lines();
    let stopped = said.find(|line| line.as_ref().is_ok_and(|line| line.contains("zombie #1")));
    assert!(stopped.is_some(), "the run ended before its fault");
    // The fault comes within the prelude and one renew period of that line, and lasts for fifteen seconds.
    let deadline = Instant::now() + Duration::from_secs(10);
    while !rig.has_stopped_process() {
        assert!(Instant::now() < deadline, "nothing was stopped");
        sleep(Duration::from_millis(200));
    }
    let pid = Pid::from_raw(run.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    assert_eq!(run.wait().unwrap().code(), Some(130), "{rest:#?}");
    assert!(!rig.has_stopped_process(), "{rest:#?}");
}

const WEBHOOK: &str = "failover-slow-webhook";

/// Whether the API server asks the webhook of the fault.
async fn has_webhook(cluster: &Cluster) -> bool {
    let webhooks: Api<ValidatingWebhookConfiguration> = Api::all(cluster.client().await.unwrap());
    webhooks.get_opt(WEBHOOK).await.unwrap().is_some()
}

#[test]
fn a_webhook_that_the_api_server_may_not_reach_is_refused_before_anything_is_broken() {
    let rig = Rig::take();
    let flags = "--replicas 2 --faults graceful,slow-webhook";
    let ended = rig.failover(DEPLOY, flags);
    ended.ends(2, &["do the fault slow-webhook", "--listen-on"]);
    let ended = rig.failover(DEPLOY, &format!("{flags} --listen-on 192.0.2.1"));
    ended.ends(2, &["--listen-on=192.0.2.1"]);
}

#[test]
fn a_run_that_is_ended_while_writes_are_slow_removes_the_webhook() {
    let rig = Rig::take();
    let here = block_on(rig.lane.cluster.address_of_this_machine()).unwrap();
    let flags = format!("--replicas 2 --faults slow-webhook --listen-on {here}");
    let (mut command, _out) = rig.command(DEPLOY, &flags);
    let silent = command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut run = silent.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(2);
    while !block_on(has_webhook(rig.lane.cluster)) {
        assert!(Instant::now() < deadline, "no webhook was made");
        sleep(Duration::from_millis(200));
    }
    let pid = Pid::from_raw(run.id().try_into().unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert_eq!(run.wait().unwrap().code(), Some(130));
    assert!(!block_on(has_webhook(rig.lane.cluster)));
}

#[test]
fn an_image_that_no_node_can_get_is_bad_input_and_nothing_stays() {
    let rig = Rig::take();
    let ended = rig.failover(DEPLOY, "--image localhost/no/such:image --replicas 2");
    ended.ends(2, &["--image", "localhost/no/such:image"]);
}
