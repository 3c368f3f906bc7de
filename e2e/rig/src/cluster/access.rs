//! Kubeconfigs: the one of a started cluster, rewritten to be used from here, and the one that a user brings.

use std::path::Path;
use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::api::{Api, ListParams};
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config, ResourceExt};
use tokio::time::timeout;

use super::args::Brought;
use super::error::ClusterError;
use super::on_node::NodeAccess;
use crate::progress::Progress;

/// Where the API server writes down what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLog {
    /// The node whose file system has it.
    pub node: String,
    /// Its path there.
    pub path: String,
}

/// How long a server that exists may take to answer its first call.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A cluster that a user brought and that answers.
pub(super) struct Reached {
    pub(super) kubeconfig: Kubeconfig,
    pub(super) version: String,
    pub(super) access: NodeAccess,
    pub(super) audit_log: Option<AuditLog>,
}

/// The kubeconfig of a server in a container, with the address that its port has here.
pub(super) fn rewritten(text: &str, address: &str) -> Result<Kubeconfig, KubeconfigError> {
    let mut kubeconfig = Kubeconfig::from_yaml(text)?;
    for cluster in kubeconfig
        .clusters
        .iter_mut()
        .filter_map(|named| named.cluster.as_mut())
    {
        cluster.server = Some(address.to_owned());
    }
    Ok(kubeconfig)
}

pub(super) async fn config(
    kubeconfig: &Kubeconfig,
    context: Option<&str>,
) -> Result<Config, ClusterError> {
    let options = KubeConfigOptions {
        context: context.map(str::to_owned),
        ..KubeConfigOptions::default()
    };
    let loaded = Config::from_custom_kubeconfig(kubeconfig.clone(), &options).await;
    loaded.map_err(|source| ClusterError::Kubeconfig {
        path: "of the cluster".to_owned(),
        context: context.map(str::to_owned),
        source: Box::new(source),
    })
}

pub(super) async fn client(
    kubeconfig: &Kubeconfig,
    context: Option<&str>,
) -> Result<Client, ClusterError> {
    let config = config(kubeconfig, context).await?;
    Client::try_from(config).map_err(ClusterError::api("make a client from the kubeconfig"))
}

/// Reaches a cluster that exists already.
pub(super) async fn reach(
    brought: &Brought,
    progress: &dyn Progress,
) -> Result<Reached, ClusterError> {
    let (path, read) = kubeconfig(brought.kubeconfig.as_deref());
    let failed = |source| ClusterError::Kubeconfig {
        path: path.clone(),
        context: brought.context.clone(),
        source: Box::new(source),
    };
    let mut kubeconfig = read.map_err(failed)?;
    if let Some(context) = &brought.context {
        let available: Vec<&str> = kubeconfig
            .contexts
            .iter()
            .map(|context| context.name.as_str())
            .collect();
        if !available.contains(&context.as_str()) {
            let available = if available.is_empty() {
                "none".to_owned()
            } else {
                available.join(", ")
            };
            return Err(ClusterError::NoContext {
                path,
                context: context.clone(),
                available,
            });
        }
        kubeconfig.current_context = Some(context.clone());
    }
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig.clone(), &KubeConfigOptions::default())
            .await
            .map_err(failed)?;
    config.connect_timeout = Some(CONNECT_LIMIT);
    let server = config.cluster_url.to_string();
    progress.step(&format!("reaching the cluster at {server}"));
    let client = Client::try_from(config).map_err(ClusterError::api(format!(
        "make a client from the kubeconfig {path}"
    )))?;
    let unreachable = |source| ClusterError::Unreachable {
        server: server.clone(),
        limit: CONNECT_LIMIT,
        source,
    };
    let version = match timeout(CONNECT_LIMIT, client.apiserver_version()).await {
        Err(_) => return Err(unreachable(None)),
        Ok(Err(source)) => return Err(unreachable(Some(Box::new(source)))),
        Ok(Ok(version)) => version.git_version,
    };
    let nodes = nodes(client, progress).await?;
    let audit_log = audit_log(brought, &nodes)?;
    let nodes: Vec<String> = nodes.iter().map(ResourceExt::name_any).collect();
    let access = match &brought.on_node {
        Some(template) if nodes.len() > 1 && !template.names_the_node() => {
            return Err(ClusterError::Setting {
                field: "--on-node",
                value: template.to_string(),
                rule: format!(
                    "has to contain {{node}}, because the cluster has {} nodes",
                    nodes.len()
                ),
            });
        }
        Some(template) => NodeAccess::Template {
            template: template.clone(),
            nodes,
        },
        None => NodeAccess::Closed { nodes },
    };
    Ok(Reached {
        kubeconfig,
        version,
        access,
        audit_log,
    })
}

async fn nodes(client: Client, progress: &dyn Progress) -> Result<Vec<Node>, ClusterError> {
    match Api::<Node>::all(client).list(&ListParams::default()).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            progress.warn("this user may not list nodes, so their names are taken on trust");
            Ok(Vec::new())
        }
        Err(source) => Err(ClusterError::Api {
            action: "list the nodes".to_owned(),
            source: Box::new(source),
        }),
    }
}

fn audit_log(brought: &Brought, nodes: &[Node]) -> Result<Option<AuditLog>, ClusterError> {
    let Some(path) = brought.audit_log.clone() else {
        return Ok(None);
    };
    let names = || {
        nodes
            .iter()
            .map(ResourceExt::name_any)
            .collect::<Vec<_>>()
            .join(", ")
    };
    if let Some(node) = &brought.audit_node {
        let known = nodes.is_empty() || nodes.iter().any(|other| other.name_any() == *node);
        return if known {
            Ok(Some(AuditLog {
                node: node.clone(),
                path,
            }))
        } else {
            Err(ClusterError::NoSuchNode {
                node: node.clone(),
                available: names(),
            })
        };
    }
    let control_plane = |node: &&Node| {
        node.labels()
            .contains_key("node-role.kubernetes.io/control-plane")
    };
    let only = || if let [only] = nodes { Some(only) } else { None };
    match nodes.iter().find(control_plane).or_else(only) {
        Some(node) => Ok(Some(AuditLog {
            node: node.name_any(),
            path,
        })),
        None => Err(ClusterError::Setting {
            field: "--audit-log",
            value: path,
            rule: format!(
                "needs --audit-node here, because no node is labelled as control plane (nodes: {})",
                names()
            ),
        }),
    }
}

/// The kubeconfig of this file, or where kubectl looks; with the place to name it by.
pub fn kubeconfig(file: Option<&Path>) -> (String, Result<Kubeconfig, KubeconfigError>) {
    let usual_place =
        || std::env::var("KUBECONFIG").unwrap_or_else(|_| "~/.kube/config".to_owned());
    let place = file.map_or_else(usual_place, |file| file.display().to_string());
    (
        place,
        file.map_or_else(Kubeconfig::read, Kubeconfig::read_from),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::samples::says;

    fn node(name: &str, control_plane: bool) -> Node {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        if control_plane {
            node.labels_mut().insert(
                "node-role.kubernetes.io/control-plane".to_owned(),
                String::new(),
            );
        }
        node
    }

    fn brought(audit_node: Option<&str>) -> Brought {
        let audit_node = audit_node.map(str::to_owned);
        Brought {
            audit_log: Some("/var/log/audit.log".to_owned()),
            audit_node,
            ..Brought::default()
        }
    }

    #[test]
    fn the_audit_log_is_looked_for_on_the_control_plane() {
        let found = audit_log(&brought(None), &[node("w", false), node("c", true)]).unwrap();
        assert_eq!(found.unwrap().node, "c");
    }

    #[test]
    fn without_a_control_plane_label_the_node_has_to_be_named() {
        let message = audit_log(&brought(None), &[node("a", false), node("b", false)])
            .unwrap_err()
            .to_string();
        says(&message, &["--audit-node", "a, b"]);
    }

    #[test]
    fn a_named_node_that_does_not_exist_is_refused_with_those_that_do() {
        let message = audit_log(&brought(Some("x")), &[node("a", true)])
            .unwrap_err()
            .to_string();
        says(&message, &["no node x", "it has: a"]);
    }
}
