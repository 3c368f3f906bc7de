//! What is in both releases: definitions, their versions, and the fields of these.

use serde_json::Value;

use crate::{
    document::{Node, escape},
    subject::{Subject, of_kind},
};

/// Something that is in both releases, as it was and as it is.
pub(super) struct Pair<'a> {
    pub(super) old: Node<'a>,
    pub(super) new: Node<'a>,
}

/// Definitions of the release before, each with the one of the same name, if there is one still.
pub(super) fn definitions<'a>(subject: &Subject<'a>) -> Vec<(Node<'a>, Option<Node<'a>>)> {
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

/// Versions that the definitions of both releases have.
pub(super) fn versions<'a>(subject: &Subject<'a>) -> Vec<Pair<'a>> {
    let pairs = definitions(subject).into_iter();
    let kept = pairs.filter_map(|(old, new)| Some(Pair { old, new: new? }));
    kept.flat_map(|definition| definition.versions()).collect()
}

impl<'a> Pair<'a> {
    /// Versions that a definition had and has.
    pub(super) fn versions(&self) -> Vec<Self> {
        let before = self.old.items("/spec/versions");
        let mut versions = Vec::new();
        for new in self.new.items("/spec/versions") {
            let same = before
                .iter()
                .find(|old| old.get("/name") == new.get("/name"));
            if let Some(old) = same.cloned() {
                versions.push(Self { old, new });
            }
        }
        versions
    }

    /// Fields that the schemas of a version had and have, the whole object being the first.
    pub(super) fn fields(&self) -> Vec<Self> {
        let mut fields = Vec::new();
        self.below("/schema/openAPIV3Schema", &mut fields);
        fields
    }

    /// Collects the schema at a pointer and all that is below it.
    fn below(&self, pointer: &str, fields: &mut Vec<Pair<'a>>) {
        let here = Pair {
            old: self.old.at(pointer),
            new: self.new.at(pointer),
        };
        if here.old.value().is_none() || here.new.value().is_none() {
            return;
        }
        let properties = here.old.get("/properties").and_then(Value::as_object);
        let mut pointers: Vec<_> = properties
            .into_iter()
            .flat_map(|fields| fields.keys())
            .map(|name| format!("/properties/{}", escape(name)))
            .collect();
        pointers.extend(["/items".to_owned(), "/additionalProperties".to_owned()]);
        let index = fields.len();
        for pointer in pointers {
            here.below(&pointer, fields);
        }
        fields.insert(index, here);
    }
}
