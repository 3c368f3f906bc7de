//! Where an object does not keep a schema.

use serde_json::Value;

/// Why an object does not keep a schema. Paths are JSON pointers into the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not of the schema, or has a field that the schema does not know.
    Schema {
        /// Where.
        path: String,
        /// Why.
        reason: String,
    },
    /// It breaks a rule in CEL.
    Rule {
        /// Where.
        path: String,
        /// The rule's message.
        reason: String,
    },
    /// A rule in CEL uses something of Kubernetes that is not known here.
    NotEvaluated {
        /// Where.
        path: String,
        /// What.
        reason: String,
    },
}

/// The fields that a schema names, each with its schema.
pub(super) fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.into_iter().flatten()
}
