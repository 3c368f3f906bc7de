//! The reference of the kind for people, made of the schema that the API server enforces.

use std::fmt::Write;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use crate::api::{GROUP, ScheduledMachine, VERSION};

/// Every field of `ScheduledMachine` with its type, default, rules and meaning, as Markdown.
pub fn reference_markdown() -> String {
    let mut text = format!(
        "<!-- Generated from src/api by `five-spot reference`; edits are lost. -->\n\n\
         # ScheduledMachine\n\n\
         `{GROUP}/{VERSION}`, namespaced, short name `sm`. The API server enforces the rules; what breaks one is refused \
         with the field, the value and the rule.\n"
    );
    let versions = ScheduledMachine::crd().spec.versions;
    let schemas = versions
        .into_iter()
        .filter_map(|version| version.schema?.open_api_v3_schema?.properties);
    for mut properties in schemas {
        for part in ["spec", "status"] {
            let Some(schema) = properties.remove(part) else {
                continue;
            };
            let mut rows = Vec::new();
            fields(&schema, part, &mut rows);
            section(&mut text, part, &schema, &rows);
        }
    }
    text
}

struct Row {
    path: String,
    sort: String,
    default: String,
    rules: String,
    meaning: String,
}

fn section(text: &mut String, part: &str, schema: &JSONSchemaProps, rows: &[Row]) {
    let meaning = schema.description.as_deref().unwrap_or_default();
    // Writing to a String does not fail.
    let _ = write!(
        text,
        "\n## {part}\n\n{}\n\n| field | type | default | rules | meaning |\n|---|---|---|---|---|\n",
        cell(meaning)
    );
    for row in rows {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} |",
            row.path, row.sort, row.default, row.rules, row.meaning
        );
    }
}

/// All fields below `schema`, which is at `path`; the outermost object itself is the heading.
fn fields(schema: &JSONSchemaProps, path: &str, rows: &mut Vec<Row>) {
    let required = schema.required.as_deref().unwrap_or_default();
    for (name, field) in schema.properties.iter().flatten() {
        let path = if path == "spec" || path == "status" {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        rows.push(Row {
            path: path.clone(),
            sort: sort(field),
            default: field
                .default
                .as_ref()
                .map_or_else(String::new, |value| format!("`{}`", value.0)),
            rules: cell(&rules(field, required.contains(name)).join("; ")),
            meaning: cell(field.description.as_deref().unwrap_or_default()),
        });
        fields(field, &path, rows);
        if let Some(item) = item(field) {
            fields(item, &format!("{path}[]"), rows);
        }
    }
}

fn item(field: &JSONSchemaProps) -> Option<&JSONSchemaProps> {
    match field.items.as_ref()? {
        JSONSchemaPropsOrArray::Schema(item) => Some(item),
        JSONSchemaPropsOrArray::Schemas(_) => None,
    }
}

fn sort(field: &JSONSchemaProps) -> String {
    let of = |inner: &JSONSchemaProps| inner.type_.clone().unwrap_or_default();
    match (
        field.type_.as_deref(),
        item(field),
        &field.additional_properties,
    ) {
        (Some("array"), Some(item), _) => format!("list of {}s", of(item)),
        (Some("object"), _, Some(JSONSchemaPropsOrBool::Schema(value))) => {
            format!("map to {}s", of(value))
        }
        (Some("string"), _, _) if field.format.as_deref() == Some("date-time") => "time".to_owned(),
        (Some(sort), _, _) => sort.to_owned(),
        (None, _, _) => "any".to_owned(),
    }
}

fn rules(field: &JSONSchemaProps, is_required: bool) -> Vec<String> {
    let mut rules = Vec::new();
    if is_required {
        rules.push("required".to_owned());
    }
    if let Some(values) = &field.enum_ {
        let values: Vec<_> = values
            .iter()
            .map(|value| format!("`{}`", value.0))
            .collect();
        rules.push(values.join(", "));
    }
    let bounds = [
        ("at least", field.minimum.map(|bound| bound.to_string()), ""),
        ("at most", field.maximum.map(|bound| bound.to_string()), ""),
        // One character is what any text has that is not empty.
        ("at most", number(field.max_length), " characters"),
        ("at most", number(field.max_items), " entries"),
        ("at most", number(field.max_properties), " entries"),
    ];
    for (word, bound, unit) in bounds {
        rules.extend(bound.map(|bound| format!("{word} {bound}{unit}")));
    }
    if field.min_length == Some(1) || field.min_items == Some(1) {
        rules.push("not empty".to_owned());
    }
    rules.extend(field.pattern.as_ref().map(|pattern| format!("`{pattern}`")));
    let said = |field: &JSONSchemaProps| -> Vec<String> {
        let validations = field.x_kubernetes_validations.iter().flatten();
        validations
            .filter_map(|rule| rule.message.clone())
            .collect()
    };
    rules.extend(said(field));
    if let Some(item) = item(field).filter(|item| item.properties.is_none()) {
        rules.extend(said(item).into_iter().map(|rule| format!("each {rule}")));
    }
    rules
}

fn number(bound: Option<i64>) -> Option<String> {
    bound.map(|bound| bound.to_string())
}

/// A text that fits into one cell of a table.
fn cell(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").replace('|', "\\|")
}
