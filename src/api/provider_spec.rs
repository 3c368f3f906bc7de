//! The spec of an embedded object: anything, and nothing that is looked into here.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::{Map, Value};

/// A JSON object, kept as its text.
///
/// Ten thousand of them are in memory all the time and are read once in a machine's life; as maps they would take ten
/// times the space.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderSpec(Box<str>);

impl ProviderSpec {
    /// Its size in bytes, as JSON.
    pub(super) fn size(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Debug for ProviderSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProviderSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Map::<String, Value>::deserialize(deserializer)?;
        let text = serde_json::to_string(&fields).map_err(de::Error::custom)?;
        Ok(Self(text.into_boxed_str()))
    }
}

impl Serialize for ProviderSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields: Map<String, Value> =
            serde_json::from_str(&self.0).map_err(ser::Error::custom)?;
        fields.serialize(serializer)
    }
}

impl JsonSchema for ProviderSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ProviderSpec".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::fuzz::anything;

    proptest! {
        #[test]
        fn what_comes_in_goes_out(fields in anything().prop_map(|value| json!({ "field": value }))) {
            let spec: ProviderSpec = serde_json::from_value(fields.clone()).unwrap();
            prop_assert_eq!(serde_json::to_value(&spec).unwrap(), fields);
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for value in [json!([]), json!("text"), json!(1), Value::Null] {
            assert!(serde_json::from_value::<ProviderSpec>(value).is_err());
        }
    }
}
