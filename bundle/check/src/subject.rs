//! A bundle as rules see it.

use serde_json::Value;

use crate::{
    bundle::{ANNOTATIONS, Bundle, MANIFESTS},
    document::{Document, Node},
};

/// The bundle, and what it is compared with.
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
pub(crate) struct Deployment<'a> {
    pub(crate) node: Node<'a>,
}

/// A container of a Deployment.
#[derive(Clone, Debug)]
pub(crate) struct Container<'a> {
    pub(crate) node: Node<'a>,
    pub(crate) name: &'a str,
    /// Whether it runs beside the others, and not before them.
    pub(crate) is_main: bool,
}

impl<'a> Subject<'a> {
    /// All manifests: of a file with several documents, OLM reads the first, but rules check each.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = Node<'a>> {
        manifests(self.bundle)
    }

    /// The manifests of a kind.
    pub(crate) fn of_kind(&self, kind: &'a str) -> impl Iterator<Item = Node<'a>> {
        of_kind(self.bundle, kind)
    }

    /// The ClusterServiceVersion; the first, should there be several.
    pub(crate) fn csv(&self) -> Option<Node<'a>> {
        csv(self.bundle)
    }

    /// The file of the bundle's annotations.
    pub(crate) fn annotations(&self) -> Option<Node<'a>> {
        let mut documents = self.bundle.documents.iter();
        let found = documents.find(|document| document.file == ANNOTATIONS);
        found.map(Document::root)
    }

    /// Whether the ClusterServiceVersion supports an install mode.
    pub(crate) fn supports(&self, mode: &str) -> bool {
        let modes = self.csv().map(|csv| csv.items("/spec/installModes"));
        let mut modes = modes.into_iter().flatten();
        modes.any(|found| found.text("/type") == mode && found.is_true("/supported"))
    }

    /// What the labels of the ClusterServiceVersion support: `arch` or `os`, in order.
    pub(crate) fn supported(&self, part: &str) -> Vec<&'a str> {
        let prefix = format!("operatorframework.io/{part}.");
        let labels = self
            .csv()
            .and_then(|csv| csv.get("/metadata/labels")?.as_object());
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
    pub(crate) fn deployments(&self) -> Vec<Deployment<'a>> {
        deployments(self.bundle)
    }

    /// The containers of all Deployments.
    pub(crate) fn containers(&self) -> Vec<Container<'a>> {
        self.deployments()
            .iter()
            .flat_map(Deployment::containers)
            .collect()
    }
}

pub(crate) fn manifests(bundle: &Bundle) -> impl Iterator<Item = Node<'_>> {
    let documents = bundle.documents.iter().map(Document::root);
    documents.filter(|node| node.document().file.starts_with(MANIFESTS))
}

pub(crate) fn of_kind<'a>(bundle: &'a Bundle, kind: &'a str) -> impl Iterator<Item = Node<'a>> {
    manifests(bundle).filter(move |manifest| manifest.text("/kind") == kind)
}

pub(crate) fn csv(bundle: &Bundle) -> Option<Node<'_>> {
    of_kind(bundle, "ClusterServiceVersion").next()
}

pub(crate) fn deployments(bundle: &Bundle) -> Vec<Deployment<'_>> {
    let list = csv(bundle).map(|csv| csv.items("/spec/install/spec/deployments"));
    let list = list.into_iter().flatten();
    list.map(|node| Deployment { node }).collect()
}

impl<'a> Deployment<'a> {
    pub(crate) fn name(&self) -> &'a str {
        self.node.text("/name")
    }

    /// A place in its spec.
    pub(crate) fn spec(&self, below: &str) -> Node<'a> {
        self.node.at("/spec").at(below)
    }

    /// A place in the spec of its pods.
    pub(crate) fn pod(&self, below: &str) -> Node<'a> {
        self.spec("/template/spec").at(below)
    }

    /// How many pods it has; one unless it is said.
    pub(crate) fn replicas(&self) -> i64 {
        let replicas = self.spec("/replicas").value();
        replicas.and_then(Value::as_i64).unwrap_or(1)
    }

    /// The labels of its pods.
    pub(crate) fn pod_labels(&self) -> &'a Value {
        let labels = self.spec("/template/metadata/labels").value();
        labels.unwrap_or(&Value::Null)
    }

    /// The account that its pods run as.
    pub(crate) fn account(&self) -> &'a str {
        self.pod("/serviceAccountName").str().unwrap_or("default")
    }

    pub(crate) fn containers(&self) -> Vec<Container<'a>> {
        let of = |list: &str, is_main: bool| {
            let containers = self.pod("").items(list).into_iter();
            containers.map(move |node| Container {
                name: node.text("/name"),
                node,
                is_main,
            })
        };
        of("/initContainers", false)
            .chain(of("/containers", true))
            .collect()
    }
}

/// Whether a label selector selects pods with these labels. An empty one selects all, a missing one none.
pub(crate) fn selects(selector: Option<&Value>, labels: &Value) -> bool {
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

/// Whether the API server takes a name for most of its objects, but for the length.
pub(crate) fn is_dns_subdomain(name: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.split('.').all(|part| {
        let bytes = part.as_bytes();
        bytes.first().copied().is_some_and(is_alphanumeric)
            && bytes.last().copied().is_some_and(is_alphanumeric)
            && bytes
                .iter()
                .all(|byte| is_alphanumeric(*byte) || *byte == b'-')
    })
}

/// A value as it is told in a message.
pub(crate) fn told(value: Option<&Value>) -> String {
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
