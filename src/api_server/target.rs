//! What a request is about.

use super::table::Name;

/// What a request is about.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) group: &'a str,
    pub(super) version: &'a str,
    pub(super) plural: &'a str,
    pub(super) namespace: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) subresource: Option<&'a str>,
}

impl<'a> Target<'a> {
    pub(super) fn of(segments: &[&'a str]) -> Option<Self> {
        let (group, version, rest) = match segments {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let plural = *rest.first()?;
        Some(Self {
            group,
            version,
            plural,
            namespace,
            name: rest.get(1).copied(),
            subresource: rest.get(2).copied(),
        })
    }

    pub(super) fn table(&self) -> String {
        format!("{}/{}", self.group, self.plural)
    }

    pub(super) fn key(&self) -> Name {
        (
            self.namespace.unwrap_or_default().to_owned(),
            self.name.unwrap().to_owned(),
        )
    }

    pub(super) fn is_status(&self) -> bool {
        self.subresource == Some("status")
    }

    /// Without the name.
    pub(super) fn sort(&self) -> String {
        let subresource = self
            .subresource
            .map(|sub| format!("/{sub}"))
            .unwrap_or_default();
        format!("{}/{}{subresource}", self.group, self.plural)
    }

    pub(super) fn words(&self) -> String {
        let name = [self.namespace, self.name];
        format!(
            "{} {}",
            self.sort(),
            name.into_iter().flatten().collect::<Vec<_>>().join("/")
        )
    }
}
