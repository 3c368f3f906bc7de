//! What the API server checks for us: bounds, patterns and CEL rules of the schema.
//!
//! A CEL rule is used where a pattern alone would leave a person guessing: its message carries the value and the rule.
//! Every list, map and text that a rule looks at is bounded, because the API server refuses a definition whose rules
//! could become expensive
//! (<https://kubernetes.io/docs/reference/using-api/cel/#resource-constraints>).

use schemars::Schema;
use serde_json::{Value, json};

use super::names::{
    BOOTSTRAP_GROUPS, INFRASTRUCTURE_GROUPS, RESERVED_METADATA_PREFIXES, RESERVED_TAINT_PREFIXES,
};

pub(super) const API_VERSION: &str =
    "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/v[0-9]+((alpha|beta)[0-9]+)?$";
pub(super) const KIND: &str = "^[A-Za-z][A-Za-z0-9]*$";

const VALIDATIONS: &str = "x-kubernetes-validations";

const DAY: &str = "(mon|tue|wed|thu|fri|sat|sun)";
const HOUR: &str = "([01]?[0-9]|2[0-3])";
const LABEL_VALUE: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";
/// As Cluster API checks it; a backslash would have to be escaped for CEL.
const KUBERNETES_VERSION: &str = "^v(0|[1-9][0-9]*)([.](0|[1-9][0-9]*)){2}([-+_.0-9A-Za-z]*)$";
const TAINT_KEY: &str =
    "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";

/// As many items as anyone can mean: every hour of the day by itself.
const MOST_ITEMS: u32 = 24;
/// Room for every day or hour by itself, joined by commas.
const LONGEST_ITEM: u32 = 64;
const MOST_LABELS: u32 = 64;
const MOST_TAINTS: u32 = 32;

pub(super) fn days(schema: &mut Schema) {
    items(
        schema,
        DAY,
        "must be days (mon, tue, wed, thu, fri, sat, sun) or ranges of them (mon-fri), joined by commas",
    );
}

pub(super) fn hours(schema: &mut Schema) {
    items(
        schema,
        HOUR,
        "must be hours from 0 to 23 or ranges of them (9-17), joined by commas",
    );
}

/// A list whose items are ranges of `element`, joined by commas.
fn items(schema: &mut Schema, element: &str, meaning: &str) {
    schema.insert("minItems".to_owned(), json!(1));
    schema.insert("maxItems".to_owned(), json!(MOST_ITEMS));
    schema.insert("x-kubernetes-list-type".to_owned(), json!("atomic"));
    let range = format!("{element}(-{element})?");
    let rule = value_rule(&format!("self.matches('^{range}(,{range})*$')"), meaning);
    schema.insert(
        "items".to_owned(),
        json!({"type": "string", "maxLength": LONGEST_ITEM, "x-kubernetes-validations": [rule]}),
    );
}

/// A text of at most this many characters that keeps a rule.
fn text(schema: &mut Schema, longest: u32, rule: &str, meaning: &str) {
    schema.insert("maxLength".to_owned(), json!(longest));
    schema.insert(VALIDATIONS.to_owned(), json!([value_rule(rule, meaning)]));
}

pub(super) fn cluster_name(schema: &mut Schema) {
    text(
        schema,
        63,
        "self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')",
        "must be 1 to 63 letters, digits, '.', '_' or '-' and begin with a letter or digit",
    );
}

pub(super) fn timezone(schema: &mut Schema) {
    text(
        schema,
        64,
        "self.matches('^[A-Za-z][A-Za-z0-9_+/-]*$')",
        "must be a name of the IANA time zone database, such as Europe/Berlin",
    );
}

pub(super) fn timeout(schema: &mut Schema) {
    text(
        schema,
        16,
        // The pattern keeps the number far below what a CEL duration can hold, so the comparison can't fail.
        "self.matches('^0*[0-9]{1,6}[smh]$') && duration(self) <= duration('24h')",
        "must be a whole number with one unit, s, m or h (for example 5m), of at most 24h",
    );
}

pub(super) fn version(schema: &mut Schema) {
    text(
        schema,
        256,
        &format!("self.matches('{KUBERNETES_VERSION}')"),
        "must be a version of Kubernetes, such as v1.34.4",
    );
}

pub(super) fn bootstrap(schema: &mut Schema) {
    embedded(schema, &BOOTSTRAP_GROUPS);
}

pub(super) fn infrastructure(schema: &mut Schema) {
    embedded(schema, &INFRASTRUCTURE_GROUPS);
}

fn embedded(schema: &mut Schema, groups: &[&str]) {
    let rule = groups
        .iter()
        .map(|group| format!("self.apiVersion.startsWith('{group}/')"))
        .collect::<Vec<_>>()
        .join(" || ");
    let meaning = format!("must be of the API group {}", groups.join(" or "));
    schema.insert(
        VALIDATIONS.to_owned(),
        json!([{
            "rule": rule,
            "message": format!("apiVersion {meaning}"),
            "messageExpression": format!("'\"' + self.apiVersion + '\" {meaning}'"),
            "fieldPath": ".apiVersion",
        }]),
    );
}

/// The spec of an embedded object: its provider knows what is in it.
pub(super) fn labels(schema: &mut Schema) {
    metadata(
        schema,
        &json!({"type": "string", "maxLength": 63, "pattern": LABEL_VALUE}),
    );
}

pub(super) fn annotations(schema: &mut Schema) {
    metadata(schema, &json!({"type": "string", "maxLength": 4096}));
}

fn metadata(schema: &mut Schema, values: &Value) {
    let free = unreserved("key", &RESERVED_METADATA_PREFIXES);
    let meaning = format!(
        "must not begin with {}",
        RESERVED_METADATA_PREFIXES.join(", ")
    );
    schema.insert("maxProperties".to_owned(), json!(MOST_LABELS));
    schema.insert("additionalProperties".to_owned(), values.clone());
    schema.insert(
        VALIDATIONS.to_owned(),
        json!([{
            // Keys can't be bounded in a schema, so a message that repeats one would cost too much.
            "rule": format!("self.all(key, {free})"),
            "message": format!("keys {meaning}"),
        }]),
    );
}

pub(super) fn node_taints(schema: &mut Schema) {
    schema.insert("maxItems".to_owned(), json!(MOST_TAINTS));
    // The API server refuses a second item with the same keys, and appliers can own single items.
    schema.insert("x-kubernetes-list-type".to_owned(), json!("map"));
    schema.insert(
        "x-kubernetes-list-map-keys".to_owned(),
        json!(["key", "effect"]),
    );
    let key = value_rule(
        &format!("self.matches('{TAINT_KEY}')"),
        "must be a qualified name, such as example.com/name",
    );
    let reserved = value_rule(
        &unreserved("self", &RESERVED_TAINT_PREFIXES),
        &format!("must not begin with {}", RESERVED_TAINT_PREFIXES.join(", ")),
    );
    let Some(properties) = schema
        .pointer_mut("/items/properties")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    if let Some(Value::Object(schema)) = properties.get_mut("key") {
        schema.insert("minLength".to_owned(), json!(1));
        schema.insert("maxLength".to_owned(), json!(317));
        schema.insert(VALIDATIONS.to_owned(), json!([key, reserved]));
    }
    if let Some(Value::Object(schema)) = properties.get_mut("value") {
        schema.insert("maxLength".to_owned(), json!(63));
        schema.insert("pattern".to_owned(), json!(LABEL_VALUE));
    }
}

pub(super) fn commands(schema: &mut Schema) {
    schema.insert("maxItems".to_owned(), json!(100));
    schema.insert(
        "items".to_owned(),
        json!({"type": "string", "minLength": 1, "maxLength": 256}),
    );
}

pub(super) fn conditions(schema: &mut Schema) {
    schema.insert("maxItems".to_owned(), json!(16));
    schema.insert("x-kubernetes-list-type".to_owned(), json!("map"));
    schema.insert("x-kubernetes-list-map-keys".to_owned(), json!(["type"]));
}

fn unreserved(key: &str, prefixes: &[&str]) -> String {
    let tests: Vec<_> = prefixes
        .iter()
        .map(|prefix| format!("!{key}.startsWith('{prefix}')"))
        .collect();
    tests.join(" && ")
}

/// A rule about a text; the message shows the text, which the API server itself would not.
fn value_rule(rule: &str, meaning: &str) -> Value {
    // The meaning becomes part of a CEL text in single quotes.
    let quoted = meaning.replace('\'', "\\'");
    json!({
        "rule": rule,
        "message": meaning,
        "messageExpression": format!("'\"' + self + '\" {quoted}'"),
    })
}
