//! Values of a `failover.toml`, each with its rule in the message that refuses another one.

use std::{borrow::Cow, path::PathBuf, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use crate::deploy::{LeaseDuration, Seconds};

/// A length of time such as `15s` or `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// A number of replicas.
pub type Replicas = Within<1, 20>;

/// A number of trials.
pub type Trials = Within<1, 1000>;

/// A number of trials that may be 0.
pub type WarmUp = Within<0, 100>;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within<const MIN: u32, const MAX: u32>(pub u32);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(|why| {
            de::Error::custom(format!(
                "{text:?} must be a time such as 15s or 500ms ({why})"
            ))
        })
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for LeaseDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Within<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = i64::deserialize(deserializer)?;
        let wanted = u32::try_from(number).ok();
        let wanted = wanted.filter(|number| (MIN..=MAX).contains(number));
        wanted.map(Self).ok_or_else(|| {
            de::Error::custom(format!(
                "{number} must be a whole number from {MIN} to {MAX}"
            ))
        })
    }
}

/// One path, or a list of them.
pub(super) fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<PathBuf>, D::Error> {
    struct Paths;

    impl<'de> Visitor<'de> for Paths {
        type Value = Vec<PathBuf>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a path or a list of paths")
        }

        fn visit_str<E: de::Error>(self, path: &str) -> Result<Self::Value, E> {
            Ok(vec![path.into()])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut paths = Vec::new();
            while let Some(path) = list.next_element()? {
                paths.push(path);
            }
            Ok(paths)
        }
    }

    deserializer.deserialize_any(Paths)
}

/// A table as JSON.
pub fn json(table: &toml::Table) -> Result<serde_json::Value, String> {
    table
        .iter()
        .map(|(key, value)| {
            Ok((
                key.clone(),
                json_of(value).map_err(|rule| format!("{key}: {rule}"))?,
            ))
        })
        .collect::<Result<serde_json::Map<_, _>, String>>()
        .map(serde_json::Value::Object)
}

fn json_of(value: &toml::Value) -> Result<serde_json::Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Boolean(switch) => (*switch).into(),
        toml::Value::Float(number) => serde_json::Number::from_f64(*number)
            .ok_or_else(|| format!("{number} must be a number that JSON knows"))?
            .into(),
        // Kubernetes has its times as text.
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items
            .iter()
            .map(json_of)
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        toml::Value::Table(table) => json(table)?,
    })
}

fn time_schema(description: &str) -> Schema {
    json_schema!({"type": "string", "description": description})
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        time_schema("A length of time such as 15s or 500ms.")
    }
}

impl JsonSchema for Seconds {
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        time_schema("Whole seconds above 0, such as 15s.")
    }
}

impl JsonSchema for LeaseDuration {
    fn schema_name() -> Cow<'static, str> {
        "LeaseDuration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        time_schema("Whole seconds above 0, such as 15s, or lease: read from the Lease.")
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Within<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("From{MIN}To{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": MIN, "maximum": MAX})
    }
}
