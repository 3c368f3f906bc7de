//! Failover on real clusters: our operator keeps its promise whatever happens to the leader or its node, broken operators
//! are caught by name, and foreign ones are measured as a stopwatch measures them.
//!
//! Needs a container engine, the cluster image, and the images of the operator, of its build with mutants and of the
//! examples (`just failover-test` builds them). The tests run side by side, each on a cluster of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helper ends the test where it stands"
)]

mod examples;
mod flow;
mod lanes;
mod mutants;
mod nodes;
mod operator;

use std::sync::LazyLock;

use failover_judging::fault::FaultKind;
use failover_rig::cluster::OPERATOR_IMAGE;
use five_spot_e2e::fault;

use lanes::Lanes;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");

/// The operator built with the feature `mutants`; `FIVE_SPOT_MUTANT` says what it breaks.
const MUTANT_IMAGE: &str = "five-spot/mutant:dev";

/// All that the tests run, so that any of them can have any cluster.
const IMAGES: &[&str] = &[
    OPERATOR_IMAGE,
    MUTANT_IMAGE,
    "five-spot/client-go-peer:dev",
    "five-spot/lease-manager-peer:dev",
    "five-spot/kube-rs-peer:dev",
];

/// Clusters of one node. What is tried on them waits most of the time, for leases to expire and pods to start.
static ONE_NODE: LazyLock<Lanes> = LazyLock::new(|| Lanes::new(3, IMAGES, 0));

/// A cluster in which nothing was installed before: replicas warn of objects, and of leaders, that were left by others.
static UNTOUCHED: LazyLock<Lanes> = LazyLock::new(|| Lanes::new(1, &[OPERATOR_IMAGE], 0));

/// A cluster whose API server is flooded, and keeps an operator that no run has deployed.
static FLOODED: LazyLock<Lanes> = LazyLock::new(|| Lanes::new(1, IMAGES, 0));

/// A cluster whose nodes can be lost and drained.
static NODES: LazyLock<Lanes> = LazyLock::new(|| {
    let agents = fault::agents_for(&[FaultKind::NodeLoss]);
    Lanes::new(1, IMAGES, agents)
});
