//! Values of `failover.toml` and of the flags of the same names, each with its rule in the message that refuses another one.

use std::{borrow::Cow, fmt::Display, path::PathBuf, str::FromStr, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use toml::Spanned;

use super::{Config, ConfigError};
use crate::deploy::{LeaseDuration, Seconds};

/// A length of time such as `15s` or `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time(pub Duration);

/// A length of time above 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PositiveTime(pub Duration);

/// A number of replicas.
pub type Replicas = Within<1, 20>;

/// A number of trials.
pub type Trials = Within<1, 1000>;

/// A number of trials that may be 0.
pub type WarmUp = Within<0, 100>;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Within<const MIN: u32, const MAX: u32>(pub u32);

/// A value that is written as text.
#[derive(Clone, Debug, PartialEq)]
pub enum Written<T> {
    /// A flag has it.
    Flag(T),
    /// The file has it; it is read with [`Written::get`], which can say where it stands.
    File(Spanned<String>),
}

impl<T: FromStr<Err: Display> + Clone> Written<T> {
    /// The value, which in the file is that of `key`.
    pub fn get(&self, config: &Config, key: &str) -> Result<T, ConfigError> {
        match self {
            Self::Flag(value) => Ok(value.clone()),
            Self::File(text) => text.get_ref().parse().map_err(|rule| {
                let rule = format!("{:?}: {rule}", text.get_ref());
                config.wrong(&text.span(), key, rule)
            }),
        }
    }
}

impl<T: FromStr> FromStr for Written<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        text.parse().map(Self::Flag)
    }
}

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|why| format!("{text:?} must be a time such as 15s or 500ms ({why})"))
    }
}

impl FromStr for PositiveTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Time(time) = text.parse()?;
        if time.is_zero() {
            return Err("must be longer than 0s".to_owned());
        }
        Ok(Self(time))
    }
}

impl<const MIN: u32, const MAX: u32> Within<MIN, MAX> {
    fn new(number: i64) -> Result<Self, String> {
        let wanted = u32::try_from(number).ok();
        let wanted = wanted.filter(|number| (MIN..=MAX).contains(number));
        let rule = || format!("{number} must be a whole number from {MIN} to {MAX}");
        wanted.map(Self).ok_or_else(rule)
    }
}

impl<const MIN: u32, const MAX: u32> FromStr for Within<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text
            .parse()
            .map_err(|_| format!("{text:?} must be a whole number from {MIN} to {MAX}"))?;
        Self::new(number)
    }
}

impl<'de, T> Deserialize<'de> for Written<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Spanned::deserialize(deserializer).map(Self::File)
    }
}

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Within<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(i64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

/// Reads a value as the flag does, and describes it.
macro_rules! written_as_text {
    ($($value:ident: $description:literal;)+) => {$(
        impl<'de> Deserialize<'de> for $value {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $value {
            fn schema_name() -> Cow<'static, str> {
                stringify!($value).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "description": $description})
            }
        }
    )+};
}

written_as_text! {
    Time: "A length of time such as 15s or 500ms.";
    PositiveTime: "A length of time above 0, such as 15s or 500ms.";
    Seconds: "Whole seconds above 0, such as 15s.";
    LeaseDuration: "Whole seconds above 0, such as 15s, or lease: read from the Lease.";
}

impl<T> JsonSchema for Written<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Written".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
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

/// One path or several.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a path or a list of paths")]
pub(super) enum OneOrMany {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

impl OneOrMany {
    pub(super) fn paths<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<PathBuf>, D::Error> {
        Self::deserialize(deserializer).map(|paths| match paths {
            Self::One(path) => vec![path],
            Self::Many(paths) => paths,
        })
    }
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
