//! A bundle as rules look at it.

use serde_json::Value;

use crate::{
    bundle::{ANNOTATIONS, Bundle, MANIFESTS},
    document::Document,
};

/// Where the Deployments of a ClusterServiceVersion are.
const DEPLOYMENTS: &str = "/spec/install/spec/deployments";

/// The bundle, and what it is held against.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The bundle.
    pub bundle: &'a Bundle,
    /// The release before.
    pub previous: Option<&'a Bundle>,
    /// The documents of the catalog that will offer it.
    pub catalog: Option<&'a [Document]>,
}

/// A Deployment in a ClusterServiceVersion.
#[derive(Clone, Debug)]
pub(super) struct Deployment<'a> {
    pub(super) csv: &'a Document,
    pub(super) pointer: String,
}

/// A container of a Deployment.
#[derive(Clone, Debug)]
pub(super) struct Container<'a> {
    pub(super) csv: &'a Document,
    pub(super) pointer: String,
    pub(super) name: &'a str,
    /// Whether it runs beside the others, and not before them.
    pub(super) is_main: bool,
}

impl<'a> Subject<'a> {
    /// A bundle, and what it is held against.
    pub fn new(
        bundle: &'a Bundle,
        previous: Option<&'a Bundle>,
        catalog: Option<&'a [Document]>,
    ) -> Self {
        Self {
            bundle,
            previous,
            catalog,
        }
    }

    /// All manifests: of a file with several documents, OLM reads the first, but rules look at each.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &'a Document> {
        manifests(self.bundle)
    }

    /// The manifests of a kind.
    pub(super) fn of_kind(&self, kind: &'a str) -> impl Iterator<Item = &'a Document> {
        of_kind(self.bundle, kind)
    }

    /// The ClusterServiceVersion; the first, should there be several.
    pub(super) fn csv(&self) -> Option<&'a Document> {
        csv(self.bundle)
    }

    /// The file of the bundle's annotations.
    pub(super) fn annotations(&self) -> Option<&'a Document> {
        let mut documents = self.bundle.documents.iter();
        documents.find(|document| document.file == ANNOTATIONS)
    }

    /// Whether the ClusterServiceVersion supports an install mode.
    pub(super) fn supports(&self, mode: &str) -> bool {
        let modes = self
            .csv()
            .map_or(&[][..], |csv| csv.list("/spec/installModes"));
        modes.iter().any(|found| {
            found.get("type").and_then(Value::as_str) == Some(mode)
                && found.get("supported").and_then(Value::as_bool) == Some(true)
        })
    }

    /// What the labels of the ClusterServiceVersion support: `arch` or `os`, in order.
    pub(super) fn supported(&self, part: &str) -> Vec<&'a str> {
        let prefix = format!("operatorframework.io/{part}.");
        let labels = self
            .csv()
            .and_then(|csv| csv.at("/metadata/labels")?.as_object());
        let mut supported: Vec<_> = labels
            .into_iter()
            .flatten()
            .filter(|(_, value)| value.as_str() == Some("supported"))
            .filter_map(|(label, _)| label.strip_prefix(&prefix))
            .collect();
        supported.sort_unstable();
        supported
    }

    /// The Deployments of the ClusterServiceVersion.
    pub(super) fn deployments(&self) -> Vec<Deployment<'a>> {
        self.csv().map_or_else(Vec::new, deployments)
    }

    /// The containers of all Deployments.
    pub(super) fn containers(&self) -> Vec<Container<'a>> {
        self.deployments()
            .iter()
            .flat_map(Deployment::containers)
            .collect()
    }
}

pub(super) fn manifests(bundle: &Bundle) -> impl Iterator<Item = &Document> {
    let documents = bundle.documents.iter();
    documents.filter(|document| document.file.starts_with(MANIFESTS))
}

pub(super) fn of_kind<'a>(bundle: &'a Bundle, kind: &'a str) -> impl Iterator<Item = &'a Document> {
    manifests(bundle).filter(move |document| document.text("/kind") == Some(kind))
}

pub(super) fn csv(bundle: &Bundle) -> Option<&Document> {
    of_kind(bundle, "ClusterServiceVersion").next()
}

pub(super) fn deployments(csv: &Document) -> Vec<Deployment<'_>> {
    (0..csv.list(DEPLOYMENTS).len())
        .map(|index| Deployment {
            csv,
            pointer: format!("{DEPLOYMENTS}/{index}"),
        })
        .collect()
}

impl<'a> Deployment<'a> {
    pub(super) fn name(&self) -> &'a str {
        self.csv
            .text(&format!("{}/name", self.pointer))
            .unwrap_or_default()
    }

    /// The pointer to something of its spec.
    pub(super) fn spec(&self, rest: &str) -> String {
        format!("{}/spec{rest}", self.pointer)
    }

    /// The pointer to something of its pods' spec.
    pub(super) fn pod(&self, rest: &str) -> String {
        self.spec(&format!("/template/spec{rest}"))
    }

    /// Something of its spec.
    pub(super) fn at(&self, rest: &str) -> Option<&'a Value> {
        self.csv.at(&self.spec(rest))
    }

    /// How many pods it has; one unless it is said.
    pub(super) fn replicas(&self) -> i64 {
        self.at("/replicas").and_then(Value::as_i64).unwrap_or(1)
    }

    /// The labels of its pods.
    pub(super) fn pod_labels(&self) -> &'a Value {
        self.at("/template/metadata/labels").unwrap_or(&Value::Null)
    }

    /// The account that its pods run as.
    pub(super) fn account(&self) -> &'a str {
        let account = self.csv.text(&self.pod("/serviceAccountName"));
        account.unwrap_or("default")
    }

    pub(super) fn containers(&self) -> Vec<Container<'a>> {
        let of = |list: &str, is_main: bool| {
            let list = self.pod(list);
            (0..self.csv.list(&list).len())
                .map(|index| {
                    let pointer = format!("{list}/{index}");
                    let name = self.csv.text(&format!("{pointer}/name"));
                    Container {
                        csv: self.csv,
                        name: name.unwrap_or_default(),
                        pointer,
                        is_main,
                    }
                })
                .collect::<Vec<_>>()
        };
        [of("/initContainers", false), of("/containers", true)].concat()
    }
}

impl<'a> Container<'a> {
    /// The pointer to something of it.
    pub(super) fn pointer(&self, rest: &str) -> String {
        format!("{}{rest}", self.pointer)
    }

    /// Something of it.
    pub(super) fn at(&self, rest: &str) -> Option<&'a Value> {
        self.csv.at(&self.pointer(rest))
    }
}

/// Whether a label selector selects pods with these labels. An empty one selects all, a missing one none.
pub(super) fn selects(selector: Option<&Value>, labels: &Value) -> bool {
    let Some(selector) = selector else {
        return false;
    };
    let value_of = |key: &str| labels.get(key).and_then(Value::as_str);
    let by_labels = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .is_none_or(|wanted| {
            wanted
                .iter()
                .all(|(key, value)| value_of(key) == value.as_str())
        });
    let by_expressions = selector
        .get("matchExpressions")
        .and_then(Value::as_array)
        .is_none_or(|expressions| {
            expressions.iter().all(|expression| {
                let text = |field: &str| expression.get(field).and_then(Value::as_str);
                let found = text("key").and_then(value_of);
                let is_listed = expression
                    .get("values")
                    .and_then(Value::as_array)
                    .is_some_and(|values| {
                        values
                            .iter()
                            .any(|value| found.is_some() && value.as_str() == found)
                    });
                match text("operator") {
                    Some("In") => is_listed,
                    Some("NotIn") => !is_listed,
                    Some("Exists") => found.is_some(),
                    Some("DoesNotExist") => found.is_none(),
                    _ => false,
                }
            })
        });
    by_labels && by_expressions
}

/// A value as it is told in a message.
pub(super) fn told(value: Option<&Value>) -> String {
    value.map_or_else(|| "missing".to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::missing(None, false)]
    #[case::empty(Some(json!({})), true)]
    #[case::label(Some(json!({"matchLabels": {"a": "1"}})), true)]
    #[case::other(Some(json!({"matchLabels": {"a": "2"}})), false)]
    #[case::listed(Some(json!({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1", "2"]}]})), true)]
    #[case::not_listed(Some(json!({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]})), false)]
    #[case::not_there(Some(json!({"matchExpressions": [{"key": "b", "operator": "NotIn", "values": ["1"]}]})), true)]
    #[case::exists(Some(json!({"matchExpressions": [{"key": "b", "operator": "Exists"}]})), false)]
    #[case::exists_not(Some(json!({"matchExpressions": [{"key": "b", "operator": "DoesNotExist"}]})), true)]
    fn a_selector_selects_as_kubernetes_says(
        #[case] selector: Option<Value>,
        #[case] selected: bool,
    ) {
        assert_eq!(selects(selector.as_ref(), &json!({"a": "1"})), selected);
    }
}
