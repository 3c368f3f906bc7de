//! Flags that say which cluster to use, and the checked options they become.

use std::path::PathBuf;
use std::time::Duration;

use super::on_node::CommandTemplate;
use super::{
    AUDIT_POLICY, ClusterError, K3S_REPOSITORY, K3S_TAG, NODE_IMAGE, OPERATOR_IMAGE, Provider,
};

/// Which cluster to use.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct ClusterArgs {
    /// Where the cluster comes from [default: k3s where its image is present or can be pulled, else node]
    #[arg(long, value_enum, env = "FAILOVER_PROVIDER")]
    pub provider: Option<Provider>,
    /// Image of the operator, loaded from the engine into a started cluster [default: of the file, or our own]
    #[arg(long, value_name = "IMAGE", env = "FAILOVER_IMAGE")]
    pub image: Option<String>,
    /// Leave the cluster running at the end and say how to reach it
    #[arg(long)]
    pub keep: bool,
    /// How long the cluster may take to become ready
    #[arg(long, value_name = "TIME", default_value = "180s", value_parser = humantime::parse_duration)]
    pub cluster_timeout: Duration,
    /// Version of k3s, a tag of its image
    #[arg(long, value_name = "TAG", env = "FAILOVER_K3S_TAG", default_value = K3S_TAG)]
    pub k3s_tag: String,
    /// Image of the provider `node`
    #[arg(long, value_name = "IMAGE", env = "FAILOVER_NODE_IMAGE", default_value = NODE_IMAGE)]
    pub node_image: String,
    /// Use the cluster of this kubeconfig [default with --provider kubeconfig: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Command that runs its further arguments on a node of a brought cluster, such as `docker exec {node}`
    #[arg(long, value_name = "COMMAND")]
    pub on_node: Option<CommandTemplate>,
    /// Audit log of a brought cluster, a file on its control plane node
    #[arg(long, value_name = "PATH", requires = "on_node")]
    pub audit_log: Option<String>,
    /// Node that holds the audit log [default: the first control plane node]
    #[arg(long, value_name = "NODE", requires = "audit_log")]
    pub audit_node: Option<String>,
}

/// What [`super::Cluster::start`] needs to know.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// The provider that was asked for; `None` lets the machine decide.
    pub provider: Option<Provider>,
    /// Image of k3s.
    pub k3s_image: String,
    /// Image of the provider `node`.
    pub node_image: String,
    /// Images of the engine that the cluster has from the beginning.
    pub images: Vec<String>,
    /// The cluster is to outlive the run: no later run sweeps it away.
    pub keep: bool,
    /// How long the cluster may take to become ready.
    pub timeout: Duration,
    /// Policy of the API server's audit log.
    pub audit_policy: String,
    /// The cluster that the user brings.
    pub brought: Brought,
    /// This program, which also is the guardian (`failover guard`).
    pub guardian: PathBuf,
}

/// A cluster that exists already.
#[derive(Debug, Clone, Default)]
pub struct Brought {
    /// Its kubeconfig; `None` means the usual places.
    pub kubeconfig: Option<PathBuf>,
    /// The context to use; `None` means the current one.
    pub context: Option<String>,
    /// How commands are run on its nodes.
    pub on_node: Option<CommandTemplate>,
    /// Its audit log, a path on `audit_node`.
    pub audit_log: Option<String>,
    /// The node that has the audit log; `None` means the first control plane node.
    pub audit_node: Option<String>,
}

impl Default for ClusterOptions {
    /// The provider that the machine decides on, guarded by the running program.
    fn default() -> Self {
        Self {
            provider: None,
            k3s_image: format!("{K3S_REPOSITORY}:{K3S_TAG}"),
            node_image: NODE_IMAGE.to_owned(),
            images: vec![OPERATOR_IMAGE.to_owned()],
            keep: false,
            timeout: Duration::from_mins(3),
            audit_policy: AUDIT_POLICY.to_owned(),
            brought: Brought::default(),
            guardian: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("failover")),
        }
    }
}

impl ClusterArgs {
    /// The options that the flags amount to.
    ///
    /// # Errors
    /// When flags of a brought cluster are given together with a provider that starts one.
    pub fn options(&self) -> Result<ClusterOptions, ClusterError> {
        Ok(ClusterOptions {
            provider: self.checked_provider()?,
            k3s_image: format!("{K3S_REPOSITORY}:{}", self.k3s_tag),
            node_image: self.node_image.clone(),
            images: vec![
                self.image
                    .clone()
                    .unwrap_or_else(|| OPERATOR_IMAGE.to_owned()),
            ],
            keep: self.keep,
            timeout: self.cluster_timeout,
            brought: Brought {
                kubeconfig: self.kubeconfig.clone(),
                context: self.context.clone(),
                on_node: self.on_node.clone(),
                audit_log: self.audit_log.clone(),
                audit_node: self.audit_node.clone(),
            },
            ..ClusterOptions::default()
        })
    }

    fn checked_provider(&self) -> Result<Option<Provider>, ClusterError> {
        let brings = [
            (
                "--kubeconfig",
                self.kubeconfig
                    .as_ref()
                    .map(|path| path.display().to_string()),
            ),
            ("--context", self.context.clone()),
            ("--on-node", self.on_node.as_ref().map(ToString::to_string)),
        ];
        let brings = brings
            .into_iter()
            .find_map(|(field, value)| value.map(|value| (field, value)));
        match (self.provider, brings) {
            (None, Some(_)) => Ok(Some(Provider::Kubeconfig)),
            (Some(provider @ (Provider::K3s | Provider::Node)), Some((field, value))) => {
                Err(ClusterError::Setting {
                    field,
                    value,
                    rule: format!(
                        "is for a cluster that exists already, but --provider {provider} starts a new one"
                    ),
                })
            }
            (provider, _) => Ok(provider),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        cluster: ClusterArgs,
    }

    fn options(flags: &[&str]) -> Result<ClusterOptions, ClusterError> {
        let flags = [&["failover"], flags].concat();
        Command::try_parse_from(flags).unwrap().cluster.options()
    }

    #[test]
    fn a_kubeconfig_alone_means_the_cluster_it_names() {
        assert_eq!(
            options(&["--kubeconfig", "x.yaml"]).unwrap().provider,
            Some(Provider::Kubeconfig)
        );
    }

    #[test]
    fn a_kubeconfig_with_a_provider_that_starts_a_cluster_is_refused_with_both_names() {
        let message = options(&["--provider", "node", "--kubeconfig", "x.yaml"])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("--kubeconfig=x.yaml") && message.contains("--provider node"),
            "{message}"
        );
    }

    #[test]
    fn without_flags_the_machine_decides() {
        let options = options(&[]).unwrap();
        assert_eq!(options.provider, None);
        assert_eq!(options.timeout, Duration::from_mins(3));
    }

    #[test]
    fn an_audit_log_without_a_way_onto_its_node_is_refused() {
        let error =
            Command::try_parse_from(["failover", "--audit-log", "/var/log/audit.log"]).unwrap_err();
        assert!(error.to_string().contains("--on-node"), "{error}");
    }
}
