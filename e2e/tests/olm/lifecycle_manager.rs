//! OLM itself, from its own chart.

use std::{path::PathBuf, process::Command};

use five_spot_e2e::deploy::{Applied, Manifests, apply};
use k8s_openapi::{
    api::apps::v1::Deployment,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{Api, ResourceExt as _};

use crate::{images::Images, rig::Rig};

/// Where `just olm` has put what it made.
pub(crate) const BUILT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/olm");

pub(crate) const NAMESPACE: &str = "olm";

/// Puts OLM into the cluster, and waits until it runs.
pub(crate) async fn deploy(rig: &Rig<'_>, images: &Images) {
    rig.step("deploying OLM");
    let definitions = chart(&["-definitions"]);
    let mut applied = Applied::default();
    apply(&rig.client, &definitions, NAMESPACE, &mut applied)
        .await
        .unwrap();
    let known: Api<CustomResourceDefinition> = Api::all(rig.client.clone());
    for definition in &definitions.objects {
        let name = definition.name_any();
        rig.until(&format!("waiting for {name}"), async || {
            let conditions = known.get(&name).await.ok()?.status?.conditions?;
            let established = |kind: &str, status: &str| kind == "Established" && status == "True";
            conditions
                .iter()
                .any(|one| established(&one.type_, &one.status))
                .then_some(())
        })
        .await;
    }
    let rest = chart(&["-olm", &images.olm, "-opm", &images.opm]);
    apply(&rig.client, &rest, NAMESPACE, &mut applied)
        .await
        .unwrap();
    let deployments: Api<Deployment> = Api::namespaced(rig.client.clone(), NAMESPACE);
    for name in ["olm-operator", "catalog-operator"] {
        rig.until_rolled_out(&deployments, name).await;
    }
}

fn chart(flags: &[&str]) -> Manifests {
    let program = format!("{BUILT}/bin/chart");
    let output = Command::new(&program)
        .args(["-chart", &format!("{BUILT}/chart"), "-namespace", NAMESPACE])
        .args(flags)
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: `just olm` makes it"));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    manifests(&String::from_utf8(output.stdout).unwrap())
}

/// The objects of a YAML text.
pub(crate) fn manifests(text: &str) -> Manifests {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file: PathBuf = folder.path().join("manifests.yaml");
    std::fs::write(&file, text).unwrap();
    Manifests::read(&[file]).unwrap()
}
