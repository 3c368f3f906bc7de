//! The registry of all metrics, with the prefix that their names share. Each module registers its own.
//!
//! What a registry exports can be read back from its text: names, kinds, meanings and labels. The README's table is
//! made from that, and alerts and dashboards are checked against it.

use std::{collections::BTreeMap, fmt::Write};

use prometheus_client::{
    encoding::text::encode,
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

/// A metric as Prometheus knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Such as `counter`.
    pub kind: String,
    /// What it means.
    pub help: String,
    /// The names of its labels, in their order.
    pub labels: Vec<String>,
}

/// What `registry` exports, by the name that a query uses. Of a histogram that is the name without suffix.
///
/// # Errors
/// Only where the registry can't be encoded, which a scrape would meet as well.
pub fn exported(registry: &Registry) -> Result<BTreeMap<String, Exported>, std::fmt::Error> {
    let mut text = String::new();
    encode(&mut text, registry)?;
    let mut found = BTreeMap::<String, Exported>::new();
    for line in text.lines() {
        let comment = |kind| line.strip_prefix(kind)?.split_once(' ');
        if let Some((name, help)) = comment("# HELP ") {
            let metric = found.entry(name.to_owned()).or_default();
            metric.help.push_str(help.trim_end_matches('.'));
        } else if let Some((name, kind)) = comment("# TYPE ") {
            found
                .entry(name.to_owned())
                .or_default()
                .kind
                .push_str(kind);
        } else if let Some((sample, labels)) = line.split_once('{')
            && let Some(metric) = found.iter_mut().find_map(|(name, metric)| {
                let suffix = sample.strip_prefix(name.as_str())?;
                ["", "_total", "_info", "_bucket"]
                    .contains(&suffix)
                    .then_some(metric)
            })
        {
            metric.labels = label_names(labels);
        }
    }
    let queried = found.into_iter().map(|(name, metric)| {
        let suffix = match metric.kind.as_str() {
            "counter" => "_total",
            "info" => "_info",
            _ => "",
        };
        (name + suffix, metric)
    });
    Ok(queried.collect())
}

/// The names in `a="1",b="2"} 3`, but for that of a histogram's buckets.
fn label_names(labels: &str) -> Vec<String> {
    labels
        .split("\",")
        .filter_map(|label| label.split_once("=\""))
        .map(|(name, _)| name.to_owned())
        .filter(|name| name != "le")
        .collect()
}

/// What `registry` exports, as the rows of a table in Markdown.
///
/// # Errors
/// As for [`exported`].
pub fn table(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut table = "| name | kind | meaning |\n|---|---|---|\n".to_owned();
    for (name, metric) in exported(registry)? {
        let labels = if metric.labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", metric.labels.join(","))
        };
        let (kind, help) = (metric.kind, metric.help);
        writeln!(table, "| `{name}{labels}` | {kind} | {help} |")?;
    }
    Ok(table)
}
