//! Enums whose variants are words: of the report, of the command line, and of messages.

/// An enum whose variants are written in one case, in JSON as in text.
macro_rules! named {
    ($case:tt, $(#[$attribute:meta])* pub enum $name:ident $variants:tt) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(serde::Serialize, serde::Deserialize, schemars::JsonSchema, strum::Display)]
        #[serde(rename_all = $case)]
        #[strum(serialize_all = $case)]
        pub enum $name $variants
    };
}

pub(crate) use named;
