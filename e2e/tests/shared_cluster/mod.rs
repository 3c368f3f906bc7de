//! The one cluster of a test binary, on which runs are made as `failover run` makes them.
//!
//! It is started once, by the same code that `failover run` uses; its guardian removes it when the process ends.

use std::{
    ffi::OsString,
    future::Future,
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
};

use clap::Parser;
use five_spot_e2e::{
    args::RunArgs,
    cluster::{Cluster, ClusterOptions},
    console::Console,
    progress::{Progress, chain},
    run::{self, Outcome, RunOptions},
};
use tokio::runtime::Runtime;

/// The one runtime: what a cluster needs while it runs belongs to the runtime that it was started on.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// The one cluster, or why there is none.
static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
/// Timed tests share the cluster, so they run one after the other.
static TURN: Mutex<()> = Mutex::new(());

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    run: RunArgs,
}

/// Runs what `failover run` would run with these flags. The first run starts the cluster that `starts_with` makes of the
/// options that its flags ask for; `beside` goes on while the run does and does not end before it.
pub(crate) fn failover<'a, B: Future<Output = ()> + 'a>(
    flags: &[&str],
    starts_with: impl FnOnce(ClusterOptions) -> ClusterOptions,
    beside: impl FnOnce(&'a Cluster) -> B,
) -> Outcome {
    let (args, options) = asked(flags);
    let start = || {
        let asked = args.cluster.options().map_err(|error| chain(&error))?;
        Ok(starts_with(asked))
    };
    on_cluster(start, async |cluster, console| {
        measure(&options, cluster, console, beside(cluster)).await
    })
}

/// Works on the one cluster when it is its turn; whoever comes first starts it.
pub(crate) fn on_cluster<T>(
    start: impl FnOnce() -> Result<ClusterOptions, String>,
    work: impl AsyncFnOnce(&'static Cluster, &Console) -> T,
) -> T {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    let console = Console::start();
    let cluster = CLUSTER.get_or_init(|| {
        let options = ClusterOptions {
            guardian: PathBuf::from(env!("CARGO_BIN_EXE_failover")),
            ..start()?
        };
        let started = runtime.block_on(Cluster::start(&options, &console));
        started.map_err(|error| chain(&error))
    });
    let cluster = cluster.as_ref().unwrap_or_else(|why| panic!("{why}"));
    runtime.block_on(work(cluster, &console))
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
