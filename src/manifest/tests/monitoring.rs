//! `deploy/monitoring` asks only for metrics that exist, with labels that they have, and each of its alerts is tested.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{documents, read};
use crate::{metrics::Exported, operator::exported_metrics};

/// What Prometheus and its operator add to every series.
const TARGET_LABELS: [&str; 4] = ["namespace", "job", "pod", "instance"];

fn alerts() -> Vec<Value> {
    let rule = documents("monitoring/alerts.yaml").remove(0);
    assert_eq!(rule["kind"], "PrometheusRule");
    serde_json::from_value(rule["spec"]["groups"][0]["rules"].clone()).unwrap()
}

fn text<'a>(value: &'a Value, what: &str) -> &'a str {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{what} is {value}"))
}

/// Every string under a key `expr`, `query` or `definition`, however deep.
fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value.as_str() {
                    Some(expression) if ["expr", "query", "definition"].contains(&key.as_str()) => {
                        found.push(expression.to_owned());
                    }
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// The metrics of ours in a query, each with the labels that its selector names.
fn selectors(expression: &str) -> Vec<(String, Vec<String>)> {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    expression
        .match_indices("five_spot_")
        .map(|(at, _)| {
            let rest = &expression[at..];
            let name: String = rest.chars().take_while(|c| is_name(*c)).collect();
            let labels = rest[name.len()..]
                .strip_prefix('{')
                .and_then(|labels| labels.split_once('}'))
                .map(|(labels, _)| labels.split(", ").collect::<Vec<_>>())
                .unwrap_or_default()
                .into_iter()
                .map(|label| label.chars().take_while(|c| is_name(*c)).collect())
                .collect();
            (name, labels)
        })
        .collect()
}

/// The words in `by (…)` and `ignoring (…)`.
fn grouped_by(expression: &str) -> BTreeSet<String> {
    ["by (", "ignoring ("]
        .iter()
        .flat_map(|word| expression.split(word).skip(1))
        .filter_map(|rest| rest.split_once(')'))
        .flat_map(|(labels, _)| labels.split(", "))
        .filter(|label| *label != "le")
        .map(str::to_owned)
        .collect()
}

fn metric<'a>(name: &str, metrics: &'a BTreeMap<String, Exported>) -> Option<&'a Exported> {
    let histogram = name.strip_suffix("_bucket");
    metrics
        .get(histogram.unwrap_or(name))
        .filter(|metric| histogram.is_none() || metric.kind == "histogram")
}

#[test]
fn alerts_and_dashboard_use_metrics_that_are_exported_with_labels_that_they_have() {
    let metrics = exported_metrics();
    let dashboard = serde_json::from_str(&read("monitoring/dashboard.json")).unwrap();
    let mut queries = Vec::new();
    expressions(&dashboard, &mut queries);
    expressions(&Value::from(alerts()), &mut queries);
    let mut unknown = BTreeSet::new();
    let mut used = BTreeSet::new();
    for query in &queries {
        let mut labels: BTreeSet<_> = TARGET_LABELS.map(str::to_owned).into();
        for (name, selected) in selectors(query) {
            let Some(metric) = metric(&name, &metrics) else {
                unknown.insert(name);
                continue;
            };
            let known = |label: &String| {
                metric.labels.contains(label) || TARGET_LABELS.contains(&label.as_str())
            };
            assert!(selected.iter().all(known), "{name} in {query}");
            labels.extend(metric.labels.clone());
            used.insert(name.trim_end_matches("_bucket").to_owned());
        }
        let grouped = grouped_by(query);
        assert!(grouped.is_subset(&labels), "{grouped:?} in {query}");
    }
    assert!(unknown.is_empty(), "used, and not exported: {unknown:?}");
    let exported: BTreeSet<_> = metrics.keys().cloned().collect();
    let unused: Vec<_> = exported.difference(&used).collect();
    assert!(unused.is_empty(), "shown nowhere: {unused:?}");
}

#[test]
fn the_documented_alert_is_there_as_it_is_written() {
    let alert = alerts().remove(0);
    assert_eq!(alert["alert"], "FiveSpotLeaderDown");
    assert_eq!(
        alert["expr"],
        "five_spot_leader_status{is_leader=\"true\"} == 0"
    );
    assert_eq!(alert["for"], "30s");
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_means_and_what_to_do() {
    for alert in alerts() {
        let name = text(&alert["alert"], "a name");
        assert!(
            ["critical", "warning"].contains(&text(&alert["labels"]["severity"], name)),
            "{name}"
        );
        for annotation in ["summary", "description", "runbook"] {
            assert!(
                text(&alert["annotations"][annotation], name).len() > 20,
                "{annotation} of {name}"
            );
        }
    }
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let tests = documents("monitoring/alerts.test.yaml").remove(0);
    let mut fired = BTreeSet::new();
    for test in tests["tests"].as_array().unwrap() {
        for query in test["promql_expr_test"].as_array().unwrap() {
            for sample in query["exp_samples"].as_array().unwrap() {
                let labels = text(&sample["labels"], "labels");
                let name = labels.split('"').nth(1).unwrap();
                fired.insert(name.to_owned());
            }
        }
    }
    let alerts: BTreeSet<_> = alerts()
        .iter()
        .map(|alert| text(&alert["alert"], "a name").to_owned())
        .collect();
    assert_eq!(fired, alerts);
}

#[test]
fn panels_do_not_overlap_and_each_has_a_number_and_a_query_of_its_own() {
    let dashboard: Value = serde_json::from_str(&read("monitoring/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert_eq!(ids.len(), panels.len());
    let mut taken = BTreeSet::new();
    for panel in panels {
        let at = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        for x in at("x")..at("x") + at("w") {
            assert!(x < 24, "{panel}");
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} overlaps", panel["title"]);
            }
        }
        let queries = panel["targets"].as_array().map_or(0, Vec::len);
        assert_eq!(queries == 0, panel["type"] == "row", "{}", panel["title"]);
    }
}
