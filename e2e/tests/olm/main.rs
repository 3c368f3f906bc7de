//! The operator as users of the Operator Lifecycle Manager have it: installed from the catalog, failed over, upgraded,
//! drained, configured and removed, on a cluster into which nothing is pulled.
//!
//! One test, because each step begins where the one before it ended. Its times are printed and written to
//! `target/olm/times.md`. Needs a container engine, the cluster image, the operator image, and the programs of OLM
//! (`just e2e-olm` builds them).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helper ends the test where it stands"
)]

mod access;
mod alone;
mod failover;
mod images;
mod install;
#[path = "../failover/lanes.rs"]
#[expect(
    dead_code,
    reason = "the runs of this test come in between its own steps"
)]
mod lanes;
mod left;
mod lifecycle_manager;
mod rig;
mod settings;
mod times;
mod uninstall;
mod upgrade;

use std::sync::LazyLock;

use lanes::Lanes;
use rig::Rig;
use times::Times;

/// Two agents, so that one can be drained. All images are loaded by digest, once the cluster runs.
static CLUSTER: LazyLock<Lanes> = LazyLock::new(|| Lanes::new(1, &[], 2));

#[test]
fn the_bundle_is_installed_upgraded_failed_over_and_removed_through_olm() {
    let lane = CLUSTER.take();
    lanes::block_on(async {
        let console = &lane.console;
        let rig = Rig::new(lane.cluster, console).await;
        let mut times = Times::begin();
        let images = images::load(&rig).await;
        times.took("images loaded into both nodes");
        lifecycle_manager::deploy(&rig, &images).await;
        times.took("OLM runs");

        let before = left::cluster_wide(&rig).await;
        install::install(&rig, &images, &mut times).await;
        upgrade::upgrade(&rig, &images, &mut times).await;
        settings::change(&rig, &images, &mut times).await;
        failover::add_the_rest(&rig).await;
        failover::fail_over(&rig, &images, &mut times).await;
        access::stays_in_its_namespace(&rig).await;
        alone::starts_without_olm(&rig).await;
        times.took("access, and a start without OLM's variable");
        uninstall::uninstall(&rig, &images, &before).await;
        times.took("uninstalled");
        install::install_as_documented(&rig, &images, &mut times).await;
        rig.nothing_was_pulled().await;
        times.tell(console);
    });
}
