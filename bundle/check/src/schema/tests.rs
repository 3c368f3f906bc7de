//! Schemas and rules, as the API server takes them.

use rstest::rstest;
use serde_json::{Value, json};

use super::*;

fn schema(field: &Value) -> Value {
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"field": field}}}})
}

fn found(field: &Value, value: &Value) -> Vec<Fault> {
    faults(
        &schema(field),
        &json!({"kind": "K", "spec": {"field": value}}),
    )
}

#[rstest]
#[case::type_(json!({"type": "string"}), json!(1))]
#[case::not_listed(json!({"type": "string", "enum": ["a"]}), json!("b"))]
#[case::too_large(json!({"type": "integer", "maximum": 2}), json!(3))]
#[case::exclusive(json!({"type": "integer", "maximum": 2, "exclusiveMaximum": true}), json!(2))]
#[case::pattern(json!({"type": "string", "pattern": "^a$"}), json!("b"))]
#[case::required(json!({"type": "object", "required": ["x"], "properties": {"x": {"type": "string"}}}), json!({}))]
#[case::null(json!({"type": "string"}), json!(null))]
#[case::unknown(json!({"type": "object", "properties": {"x": {"type": "string"}}}), json!({"y": 1}))]
#[case::int_or_string(json!({"x-kubernetes-int-or-string": true}), json!(true))]
fn an_object_that_the_api_server_refuses_or_cuts_is_found(
    #[case] field: Value,
    #[case] value: Value,
) {
    let found = found(&field, &value);
    assert!(
        matches!(found.as_slice(), [Fault::Schema { .. }]),
        "{found:?}"
    );
}

#[rstest]
#[case::nullable(json!({"type": "string", "enum": ["a"], "nullable": true}), json!(null))]
#[case::preserved(json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}), json!({"y": 1}))]
#[case::map(json!({"type": "object", "additionalProperties": {"type": "string"}}), json!({"y": "1"}))]
#[case::int(json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]}), json!(1))]
#[case::default(json!({"type": "object", "required": ["x"], "properties": {"x": {"type": "string", "default": "a"}}}), json!({}))]
fn an_object_that_the_api_server_takes_is_taken(#[case] field: Value, #[case] value: Value) {
    assert_eq!(found(&field, &value), []);
}

fn by_rule(rule: &str, field: &Value, value: &Value) -> Vec<Fault> {
    let mut field = field.clone();
    field["x-kubernetes-validations"] = json!([{"rule": rule, "message": "broken"}]);
    found(&field, value)
}

#[rstest]
#[case::text("self.startsWith('a')", json!({"type": "string"}), json!("a"), json!("b"))]
#[case::integer("self <= 3", json!({"type": "integer"}), json!(3), json!(4))]
#[case::number("self < 3.5", json!({"type": "number"}), json!(3), json!(4))]
#[case::duration("duration(self) <= duration('1h')", json!({"type": "string"}), json!("5m"), json!("2h"))]
#[case::keys("self.all(key, key != 'x')", json!({"type": "object", "additionalProperties": {"type": "string"}}), json!({"y": ""}), json!({"x": ""}))]
#[case::items("self.exists(item, item == 'a')", json!({"type": "array", "items": {"type": "string"}}), json!(["a"]), json!(["b"]))]
#[case::has("has(self.x)", json!({"type": "object", "properties": {"x": {"type": "string"}}}), json!({"x": ""}), json!({}))]
#[case::strings("self.lowerAscii() == 'a'", json!({"type": "string"}), json!("A"), json!("B"))]
fn a_rule_is_kept_or_broken(
    #[case] rule: &str,
    #[case] field: Value,
    #[case] good: Value,
    #[case] bad: Value,
) {
    assert_eq!(by_rule(rule, &field, &good), []);
    let path = "/spec/field".to_owned();
    let reason = "broken".to_owned();
    assert_eq!(by_rule(rule, &field, &bad), [Fault::Rule { path, reason }]);
}

#[test]
fn a_rule_about_a_change_does_not_apply_to_a_new_object() {
    assert_eq!(
        by_rule("self == oldSelf", &json!({"type": "string"}), &json!("a")),
        []
    );
}

#[rstest]
#[case::function("isURL(self)")]
#[case::syntax("self ==")]
fn a_rule_that_is_not_understood_is_told_and_not_passed(#[case] rule: &str) {
    let found = by_rule(rule, &json!({"type": "string"}), &json!("a"));
    assert!(
        matches!(found.as_slice(), [Fault::NotEvaluated { .. }]),
        "{found:?}"
    );
}

#[rstest]
#[case::no_type(json!({}), "type is missing")]
#[case::both(json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}), "exclude each other")]
#[case::closed(json!({"type": "object", "additionalProperties": false}), "additionalProperties is false")]
#[case::reference(json!({"type": "object", "$ref": "#/x"}), "$ref")]
#[case::pattern(json!({"type": "string", "pattern": "("}), "not a regular expression")]
fn a_schema_that_is_not_structural_is_found_with_its_place(
    #[case] field: Value,
    #[case] reason: &str,
) {
    let found = structural_faults(&schema(&field));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].0, "/properties/spec/properties/field");
    assert!(found[0].1.contains(reason), "{found:?}");
}

#[rstest]
#[case::field("field", true)]
#[case::deeper("field.x", true)]
#[case::indexed("list[0].y", true)]
#[case::dotted("list.0.y", true)]
#[case::unindexed("list.y", true)]
#[case::in_a_map("map.anything", true)]
#[case::preserved("any.thing.at.all", true)]
#[case::missing("nothing", false)]
#[case::too_deep("field.x.y", false)]
#[case::empty("", false)]
fn a_descriptor_is_of_a_field_or_of_none(#[case] path: &str, #[case] is_field: bool) {
    let text = json!({"type": "string"});
    let schema = json!({"properties": {"spec": {"properties": {
        "field": {"properties": {"x": text}},
        "list": {"items": {"properties": {"y": text}}},
        "map": {"additionalProperties": text},
        "any": {"x-kubernetes-preserve-unknown-fields": true},
    }}}});
    assert_eq!(has_field(&schema, "spec", path), is_field);
}
