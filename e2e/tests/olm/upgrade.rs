//! The upgrade to this version, measured as the rolling update that it is.
//!
//! Both versions are of the same operator, so it is what OLM tells the pods that shows which of them is running.

use std::{collections::BTreeSet, path::Path};

use failover_judging::{
    judge::{Reason, TrialResult},
    observed::TrialData,
    verdict::{CheckId, Verdict},
};
use five_spot_e2e::run::Outcome;
use kube::ResourceExt;

use crate::{
    alone::VARIABLE,
    failover::run,
    images::Images,
    install::{is_available, plan_for, until_succeeded},
    rig::{DEPLOYMENT, KUBECONFIG, NAMESPACE, REPLICAS, Rig},
    times::Times,
};

/// Approves the plan, and looks on while the leader hands over.
pub(crate) async fn upgrade(rig: &Rig<'_>, images: &Images, times: &mut Times) {
    let budget = rig.budgets().await.remove(0);
    let replaced = pods_of(rig, &images.previous).await;
    let plan = plan_for(rig, &images.this).await;
    times.took("upgrade offered");
    let approve = format!(
        "docker exec --env KUBECONFIG={KUBECONFIG} {} kubectl -n {NAMESPACE} patch installplan {plan} --type=merge --patch={{\"spec\":{{\"approved\":true}}}}",
        rig.server
    );
    let Outcome { report, folder } = run(
        rig,
        &["--faults", "rolling-update", "--rollout", &approve],
        std::future::pending(),
    )
    .await;
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
    let [trial] = report.trials.as_slice() else {
        panic!("one trial, not {}", report.trials.len())
    };
    assert_eq!(trial.reason, Some(Reason::Released));
    assert!(trial.exclusion.overlap.is_empty() && trial.exclusion.by_non_holder.is_empty());
    until_succeeded(rig, &images.this).await;
    times.took("upgraded, with the evictions before it");
    times.measured("upgrade: ", &report);
    let takeovers = report
        .all_checks()
        .find(|check| check.id == CheckId::Takeover)
        .unwrap();
    let handovers = takeovers.detail.split(", then ").count();
    times.add("upgrade: handovers", &handovers.to_string());
    let gap = longest_gap(&folder, trial);
    times.add(
        "upgrade: longest time without a work write",
        &format!("{gap:.3} s"),
    );
    let settings = report.settings.unwrap();
    // A handover, and then the first write of whoever leads next.
    let limit = trial.id.fault.limits(&settings, true).work_limit_ms() / 1000.0;
    assert!(gap <= limit, "{gap} s without work, of {limit} s");
    let versions = rig.olm("ClusterServiceVersion");
    rig.until("waiting for the version before to go", async || {
        versions
            .get_opt(&images.previous)
            .await
            .ok()?
            .is_none()
            .then_some(())
    })
    .await;
    is_available(rig).await;
    rig.until_rolled_out(&rig.deployments(), DEPLOYMENT).await;
    let pods = pods_of(rig, &images.this).await;
    assert!(pods.is_disjoint(&replaced), "{pods:?}, {replaced:?}");
    let kept = rig.budgets().await.remove(0);
    assert_eq!(
        kept.uid(),
        budget.uid(),
        "the disruption budget was away for a moment"
    );
    let image = &rig
        .deployment()
        .await
        .spec
        .unwrap()
        .template
        .spec
        .unwrap()
        .containers[0]
        .image;
    assert_eq!(image.as_ref(), Some(&images.operator));
}

/// The pods by their uids, all of which are of this version, as the Deployment is.
async fn pods_of(rig: &Rig<'_>, csv: &str) -> BTreeSet<String> {
    let deployment = rig.deployment().await;
    let owner = deployment.labels().get("olm.owner").map(String::as_str);
    assert_eq!(owner, Some(csv), "{:?}", deployment.labels());
    let pods = rig.pods().await;
    assert_eq!(pods.len(), usize::try_from(REPLICAS).unwrap());
    for pod in &pods {
        let env = pod.spec.as_ref().unwrap().containers[0].env.as_deref();
        let told = env
            .unwrap_or_default()
            .iter()
            .find(|variable| variable.name == VARIABLE)
            .and_then(|variable| variable.value.as_deref());
        assert_eq!(told, Some(csv), "{}", pod.name_any());
    }
    pods.iter().filter_map(ResourceExt::uid).collect()
}

/// The longest time between two work writes during the upgrade, in seconds, by the API server's clock. There is work ten
/// times a second.
fn longest_gap(folder: &Path, result: &TrialResult) -> f64 {
    let id = result.id;
    let file = format!("trials/{}-{}-{}.json", id.replicas, id.fault, id.number);
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let trial: TrialData = serde_json::from_str(&text).unwrap();
    let is_work =
        |call: &&failover_judging::observed::ApiCall| call.accepted() && trial.is_work(call);
    let mut writes: Vec<_> = trial
        .calls
        .iter()
        .filter(is_work)
        .map(|call| call.completed)
        .collect();
    // Of fewer there is no saying how long the work paused.
    assert!(writes.len() > 10, "{} work writes", writes.len());
    writes.sort();
    let gaps = writes
        .windows(2)
        .map(|pair| pair[1].since(pair[0]) / 1000.0);
    gaps.fold(0.0, f64::max)
}
