//! The registry of all metrics, with the prefix that their names share. Each module registers its own.

use prometheus_client::{
    metrics::gauge::ConstGauge,
    registry::{Registry, Unit},
};

/// What all names begin with.
const PREFIX: &str = "five_spot";

/// A registry that holds `five_spot_up` and the build's version.
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register("up", "1 while this replica runs", ConstGauge::new(1_i64));
    let version =
        prometheus_client::metrics::info::Info::new([("version", env!("CARGO_PKG_VERSION"))]);
    registry.register("build", "The version that runs", version);
    let started = ConstGauge::new(jiff::Timestamp::now().as_second());
    registry.register_with_unit(
        "start_time",
        "When this process started, since 1970",
        Unit::Seconds,
        started,
    );
    registry
}
