//! The clusters that the tests of a binary share. A test takes the first one that is free, so as many tests run side by
//! side as there are clusters; each cluster is started when the first test needs it, by the code that `failover run` uses.
//! Its guardian removes it when the process ends.

use std::{
    ffi::OsString,
    future::Future,
    path::PathBuf,
    sync::{Condvar, LazyLock, Mutex, OnceLock, PoisonError},
};

use clap::Parser;
use failover_judging::{observed::Eviction, report::Report, verdict::Verdict};
use failover_rig::{
    cluster::{Cluster, ClusterOptions},
    console::Console,
    progress::{Progress, chain},
};
use five_spot_e2e::{
    args::RunArgs,
    run::{self, Outcome, RunOptions},
};
use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio::runtime::Runtime;

/// The one runtime: what a cluster needs while it runs belongs to the runtime that it was started on.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());
/// Two servers that boot at once make each other slow.
static BOOT: Mutex<()> = Mutex::new(());

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    run: RunArgs,
}

/// Clusters of one kind.
pub(crate) struct Lanes {
    images: &'static [&'static str],
    agents: u32,
    clusters: Vec<OnceLock<Result<Cluster, String>>>,
    /// The clusters that no test has, by their index.
    free: Mutex<Vec<usize>>,
    freed: Condvar,
}

/// A cluster that one test has.
pub(crate) struct Lane {
    lanes: &'static Lanes,
    index: usize,
    pub(crate) cluster: &'static Cluster,
    pub(crate) console: Console,
}

impl Lanes {
    /// `count` clusters of one server and some agents, that have these images from the beginning.
    pub(crate) fn new(count: usize, images: &'static [&'static str], agents: u32) -> Self {
        Self {
            images,
            agents,
            clusters: (0..count).map(|_| OnceLock::new()).collect(),
            free: Mutex::new((0..count).rev().collect()),
            freed: Condvar::new(),
        }
    }

    /// A cluster for a test, when there is one; a cluster that runs already comes first.
    pub(crate) fn take(&'static self) -> Lane {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let free = self.freed.wait_while(free, |free| free.is_empty());
        let index = free.unwrap_or_else(PoisonError::into_inner).pop().unwrap();
        let returned = Returned { lanes: self, index };
        let console = Console::start();
        let cluster = self.clusters[index].get_or_init(|| self.start(&console));
        let cluster = cluster.as_ref().unwrap_or_else(|why| panic!("{why}"));
        std::mem::forget(returned);
        Lane {
            lanes: self,
            index,
            cluster,
            console,
        }
    }

    fn start(&self, console: &Console) -> Result<Cluster, String> {
        let _boot = BOOT.lock().unwrap_or_else(PoisonError::into_inner);
        // What the environment asks for, such as another provider.
        let (args, _) = asked(&[
            "--deploy",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy"),
        ]);
        let mut options = ClusterOptions {
            guardian: PathBuf::from(env!("CARGO_BIN_EXE_failover")),
            images: self
                .images
                .iter()
                .map(|image| (*image).to_owned())
                .collect(),
            ..args.cluster.options().map_err(|error| chain(&error))?
        };
        options.raise_agents(self.agents);
        let started = RUNTIME.block_on(Cluster::start(&options, console));
        started.map_err(|error| chain(&error))
    }

    fn give_back(&self, index: usize) {
        self.free
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(index);
        self.freed.notify_one();
    }
}

/// Gives a cluster back that could not be started.
struct Returned {
    lanes: &'static Lanes,
    index: usize,
}

impl Drop for Returned {
    fn drop(&mut self) {
        self.lanes.give_back(self.index);
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.lanes.give_back(self.index);
    }
}

impl Lane {
    /// Has the API server follow Leases although runs on this cluster exchange their fences.
    pub(crate) fn keep_leases_followed(&self) {
        block_on(keep_leases_followed(self.cluster));
    }

    /// Runs what `failover run` would run with these flags, until there is a verdict. What goes on `beside` must not end
    /// before the run.
    pub(crate) fn failover<B: Future<Output = ()>>(
        &self,
        flags: &[&str],
        beside: impl Fn() -> B,
    ) -> Outcome {
        let run = || {
            let (_, options) = asked(flags);
            block_on(measure(&options, self.cluster, &self.console, beside()))
        };
        until_conclusive(run, |outcome| {
            outcome.report.verdict == Verdict::Inconclusive
        })
    }
}

/// Runs that share a cluster remove the fence that another one applied. An API server that has seen no binding for a second stops following
/// what its parameters are until it is restarted (kubernetes/kubernetes issue 130887), so a binding stays that is about
/// nothing.
async fn keep_leases_followed(cluster: &Cluster) {
    const NAME: &str = "leases-stay-followed";
    let client = cluster.client().await.unwrap();
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": NAME},
        "spec": {
            "paramKind": {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"},
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["nothing.invalid"], "apiVersions": ["*"], "operations": ["*"], "resources": ["nothing"],
            }]},
            "validations": [{"expression": "true"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": NAME},
        "spec": {
            "policyName": NAME,
            "validationActions": ["Deny"],
            "paramRef": {"name": "nothing", "namespace": "default", "parameterNotFoundAction": "Allow"},
        },
    });
    // An earlier test may have had the cluster.
    let apply = PatchParams::apply("failover-tests").force();
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    policies
        .patch(NAME, &apply, &Patch::Apply(&policy))
        .await
        .unwrap();
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client);
    bindings
        .patch(NAME, &apply, &Patch::Apply(&binding))
        .await
        .unwrap();
}

/// Waits for something that is done on a cluster.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    RUNTIME.block_on(work)
}

/// Repeats a run in which the rig was at fault: clusters that run side by side can be too slow for one another.
pub(crate) fn until_conclusive<T>(run: impl Fn() -> T, is_inconclusive: impl Fn(&T) -> bool) -> T {
    let mut outcome = run();
    for _ in 0..2 {
        if !is_inconclusive(&outcome) {
            break;
        }
        outcome = run();
    }
    outcome
}

/// What these flags of `failover run` ask for, with a folder of its own for the results.
pub(crate) fn asked(flags: &[&str]) -> (RunArgs, RunOptions) {
    let out = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap()
        .keep();
    let words = ["failover", "--steady", "0s", "--out"].map(OsString::from);
    let words = words.into_iter().chain([out.into_os_string()]);
    let args = CommandLine::try_parse_from(words.chain(flags.iter().map(OsString::from)))
        .unwrap()
        .run;
    let options = RunOptions::try_from(&args).unwrap_or_else(|error| panic!("{}", chain(&error)));
    (args, options)
}

/// Makes a run, with something beside it that must not end before.
pub(crate) async fn measure(
    options: &RunOptions,
    cluster: &Cluster,
    console: &Console,
    beside: impl Future<Output = ()>,
) -> Outcome {
    let pending = std::future::pending();
    let running = run::run(options, cluster, pending, console, |_| {});
    let outcome = tokio::select! {
        outcome = running => outcome.unwrap_or_else(|error| panic!("{}", chain(&error))),
        () = beside => panic!("what goes on beside the run ended"),
    };
    console.note(&format!("report in {}", outcome.folder.display()));
    outcome
}

/// The eviction that the disruption budget refused, after it let the first one pass.
pub(crate) fn second_eviction(report: &Report) -> &Eviction {
    let [disruption] = report.disruptions.as_slice() else {
        panic!("one, not {}", report.disruptions.len())
    };
    let codes: Vec<u16> = disruption
        .evictions
        .iter()
        .map(|eviction| eviction.code)
        .collect();
    assert_eq!(codes, [201, 429], "{disruption:#?}");
    &disruption.evictions[1]
}
