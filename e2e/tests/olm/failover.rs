//! Failover of the operator as OLM runs it, measured and judged by the harness itself.

use std::sync::{Mutex, PoisonError};

use failover_judging::{
    fault::FaultKind,
    judge::Reason,
    verdict::{CheckId, Verdict},
};
use five_spot_e2e::run::Outcome;
use futures::TryStreamExt as _;
use kube::api::{WatchEvent, WatchParams};
use tokio::time::{Duration, sleep};

use crate::{
    images::Images,
    install::documented,
    lanes::{asked, measure, second_eviction},
    rig::{DEPLOYMENT, NAMESPACE, Rig},
    settings::phase,
    times::Times,
};

/// Runs what `failover run --running` would run with these flags: once for each fault, with two replicas.
pub(crate) async fn run(
    rig: &Rig<'_>,
    flags: &[&str],
    beside: impl Future<Output = ()>,
) -> Outcome {
    let target = [
        "--running",
        "--namespace",
        NAMESPACE,
        "--deployment",
        DEPLOYMENT,
    ];
    // The cluster is one that exists already, as far as what is put to the test goes.
    let shape = "--provider kubeconfig --canary scheduled-machine --metrics 5spot --replicas 2 --trials 1 --seed 7";
    let shape: Vec<&str> = shape.split(' ').collect();
    let (_, mut options) = asked(&[target.as_slice(), &shape, flags].concat());
    // Which image runs is OLM's to say, whatever the environment names.
    options.overrides.image = None;
    Box::pin(measure(&options, rig.cluster, rig.console, beside)).await
}

/// Adds what OLM does not install, by the commands of the documents: the fence and the FlowSchema.
pub(crate) async fn add_the_rest(rig: &Rig<'_>) {
    rig.step("adding the fence and the FlowSchema");
    for printed in ["/five-spot fence", "/five-spot flow-schema"] {
        let command = documented("console", printed);
        rig.shell(&command).await;
    }
}

/// Kills the leader, drains its node and deletes it, while OLM is to see nothing amiss.
pub(crate) async fn fail_over(rig: &Rig<'_>, images: &Images, times: &mut Times) {
    let phases = Mutex::default();
    let Outcome { report, .. } = run(
        rig,
        &["--faults", "crash,graceful,drain"],
        watch(rig, &images.this, &phases),
    )
    .await;
    times.took("failover: evictions and three faults");
    times.measured("failover: ", &report);
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
    assert!(report.run.fence, "the fence is not found");
    let reasons: Vec<_> = report
        .trials
        .iter()
        .map(|trial| (trial.id.fault, trial.reason))
        .collect();
    assert_eq!(
        reasons,
        [
            (FaultKind::Crash, Some(Reason::Hint)),
            (FaultKind::Graceful, Some(Reason::Released)),
            (FaultKind::Drain, Some(Reason::Released)),
        ]
    );
    for trial in &report.trials {
        assert!(trial.exclusion.overlap.is_empty() && trial.exclusion.by_non_holder.is_empty());
    }
    second_eviction(&report);
    let drained: Vec<_> = report
        .all_checks()
        .filter(|check| check.id == CheckId::Drained)
        .collect();
    assert!(
        drained
            .iter()
            .all(|check| check.detail.contains("evictions allowed"))
            && !drained.is_empty(),
        "{drained:?}"
    );
    let phases = phases.into_inner().unwrap_or_else(PoisonError::into_inner);
    assert!(
        !phases.is_empty() && phases.iter().all(|phase| phase == "Succeeded"),
        "{phases:?}"
    );
}

/// Writes down every phase that the version has. Never returns.
async fn watch(rig: &Rig<'_>, csv: &str, phases: &Mutex<Vec<String>>) {
    let versions = rig.olm("ClusterServiceVersion");
    let by_name = WatchParams::default().fields(&format!("metadata.name={csv}"));
    loop {
        if let Ok(events) = versions.watch(&by_name, "0").await {
            let mut events = std::pin::pin!(events);
            while let Ok(Some(event)) = events.try_next().await {
                if let WatchEvent::Added(seen) | WatchEvent::Modified(seen) = event {
                    let mut phases = phases.lock().unwrap_or_else(PoisonError::into_inner);
                    phases.push(phase(&seen));
                }
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}
