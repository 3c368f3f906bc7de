//! What is in both releases: definitions, their versions, and the fields of these.

use serde_json::Value;

use super::super::{Subject, subject::of_kind};
use crate::document::{Document, escape};

/// Definitions of the release before, each with the one of the same name, if there is one still.
pub(super) fn definitions<'a>(subject: &Subject<'a>) -> Vec<(&'a Document, Option<&'a Document>)> {
    const KIND: &str = "CustomResourceDefinition";
    let previous = subject.previous.into_iter();
    previous
        .flat_map(|previous| of_kind(previous, KIND))
        .map(|before| {
            let name = before.text("/metadata/name");
            let mut definitions = subject.of_kind(KIND);
            let same = definitions.find(|definition| definition.text("/metadata/name") == name);
            (before, same)
        })
        .collect()
}

/// A version that a definition has in both releases.
pub(super) struct Version<'a> {
    /// The definition as it is now.
    pub(super) definition: &'a Document,
    /// Where the version is in it.
    pub(super) pointer: String,
    /// The version as it was before.
    pub(super) old: &'a Value,
    /// And as it is now.
    pub(super) new: &'a Value,
}

/// Versions that the definitions of both releases have.
pub(super) fn versions<'a>(subject: &Subject<'a>) -> Vec<Version<'a>> {
    let pairs = definitions(subject);
    let kept = pairs.into_iter().filter_map(|(old, new)| Some((old, new?)));
    kept.flat_map(|(old, new)| of_definition(old, new))
        .collect()
}

/// Versions that a definition had and has.
pub(super) fn of_definition<'a>(old: &'a Document, new: &'a Document) -> Vec<Version<'a>> {
    let mut versions = Vec::new();
    for (index, now) in new.list("/spec/versions").iter().enumerate() {
        let mut before = old.list("/spec/versions").iter();
        if let Some(before) = before.find(|before| before.get("name") == now.get("name")) {
            versions.push(Version {
                definition: new,
                pointer: format!("/spec/versions/{index}"),
                old: before,
                new: now,
            });
        }
    }
    versions
}

/// A field that a schema has in both releases, as its schema was and is.
pub(super) struct Field<'a> {
    pub(super) pointer: String,
    pub(super) old: &'a Value,
    pub(super) new: &'a Value,
}

impl<'a> Version<'a> {
    /// Fields that the schemas of both have, the whole object being the first.
    pub(super) fn fields(&self) -> Vec<Field<'a>> {
        let schema = "/schema/openAPIV3Schema";
        let mut fields = Vec::new();
        if let (Some(old), Some(new)) = (self.old.pointer(schema), self.new.pointer(schema)) {
            let whole = Field {
                pointer: format!("{}{schema}", self.pointer),
                old,
                new,
            };
            whole.collect(&mut fields);
        }
        fields
    }
}

impl Field<'_> {
    /// Itself and all that is below it.
    fn collect(self, fields: &mut Vec<Self>) {
        let (old, new, pointer) = (self.old, self.new, self.pointer.clone());
        fields.push(self);
        let mut below = |inner: String| {
            if let (Some(old), Some(new)) = (old.pointer(&inner), new.pointer(&inner)) {
                let pointer = format!("{pointer}{inner}");
                Field { pointer, old, new }.collect(fields);
            }
        };
        let properties = old.get("properties").and_then(Value::as_object);
        for name in properties.into_iter().flat_map(|fields| fields.keys()) {
            below(format!("/properties/{}", escape(name)));
        }
        for inner in ["/items", "/additionalProperties"] {
            below(inner.to_owned());
        }
    }
}
