//! The removal, by the commands of the documents, and what it leaves.

use std::{collections::BTreeSet, time::Duration};

use five_spot_e2e::deploy::{Applied, Manifests, apply};
use kube::ResourceExt;
use tokio::time::{Instant, sleep};

use crate::{
    images::Images,
    install::documented,
    left::{
        CATALOG_SOURCE, OF_THE_GROUP, OPERATOR_GROUP, Object, are_documented, cluster_wide,
        in_namespace, is_hash, undocumented,
    },
    rig::{DEPLOYMENT, NAMESPACE, Rig},
};

/// How long what is to go may take.
const SETTLES: Duration = Duration::from_secs(60);
const PACE: Duration = Duration::from_millis(100);

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/sample.yaml");

/// Removes the operator, and compares what is left with what the documents say. `before` is what was there beside the
/// namespaces before the operator was installed.
pub(crate) async fn uninstall(rig: &Rig<'_>, images: &Images, before: &BTreeSet<Object>) {
    let sample = Manifests::read(&[SAMPLE.into()]).unwrap();
    apply(&rig.client, &sample, NAMESPACE, &mut Applied::default())
        .await
        .unwrap();
    let (namespace, machine) = sample
        .objects
        .iter()
        .find(|object| {
            object
                .types
                .as_ref()
                .is_some_and(|types| types.kind == "ScheduledMachine")
        })
        .map(|object| {
            (
                object.namespace().unwrap_or_else(|| NAMESPACE.to_owned()),
                object.name_any(),
            )
        })
        .unwrap();
    let installed = made(rig, before).await;
    rig.shell(&documented("console", "delete subscription"))
        .await;
    let versions = rig.olm("ClusterServiceVersion");
    rig.until("waiting for the operator to be removed", async || {
        let gone = versions.get_opt(&images.this).await.ok()?.is_none()
            && rig.deployments().get_opt(DEPLOYMENT).await.ok()?.is_none()
            && rig.budgets().await.is_empty();
        gone.then_some(())
    })
    .await;
    let machines = rig.api(
        &namespace,
        "5spot.finos.org",
        "v1alpha1",
        "ScheduledMachine",
    );
    machines.get(&machine).await.unwrap();
    let left = settled(rig, before).await;
    let removed: Vec<_> = installed
        .difference(&left)
        .map(|(kind, name)| format!("{kind} {name}"))
        .collect();
    rig.step(&format!("removed: {}", removed.join(", ")));
    are_documented(&left);

    rig.shell(&format!(
        "kubectl -n {NAMESPACE} delete catalogsource/{CATALOG_SOURCE} operatorgroup/{OPERATOR_GROUP}"
    ))
    .await;
    rig.until(
        "waiting for what catalog and group had made to go",
        async || {
            let left = made(rig, before).await;
            let is_theirs = |(_, name): &Object| {
                is_hash(name) || name.starts_with(CATALOG_SOURCE) || name.starts_with(OF_THE_GROUP)
            };
            (!left.iter().any(is_theirs)).then_some(())
        },
    )
    .await;
}

/// What is in the namespace, and what came beside it since `before`.
async fn made(rig: &Rig<'_>, before: &BTreeSet<Object>) -> BTreeSet<Object> {
    let came = &cluster_wide(rig).await - before;
    &came | &in_namespace(rig).await
}

/// What is left when everything that is to go has gone, or has had its time: the cluster and OLM remove what the version
/// owned when they get round to it.
async fn settled(rig: &Rig<'_>, before: &BTreeSet<Object>) -> BTreeSet<Object> {
    rig.step("waiting for what OLM owns to go");
    let deadline = Instant::now() + SETTLES;
    loop {
        let left = made(rig, before).await;
        if undocumented(&left).is_empty() || Instant::now() > deadline {
            return left;
        }
        sleep(PACE).await;
    }
}
