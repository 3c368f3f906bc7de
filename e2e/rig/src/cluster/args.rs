//! Flags that say which cluster to use, and the checked options they become.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::RangedU64ValueParser;

use super::defaults::{AUDIT_POLICY, K3S_REPOSITORY, K3S_TAG, NODE_IMAGE, OPERATOR_IMAGE};
use super::error::ClusterError;
use super::kept::Kept;
use super::on_node::CommandTemplate;
use failover_judging::report::Provider;

/// More agents than this are more than one machine can carry.
const MOST_AGENTS: u64 = 8;

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
    /// Use a cluster that an earlier --keep left running, by the name that was said then, or `last`; it stays
    #[arg(long, value_name = "NAME|last", conflicts_with_all = ["keep", "agents", "kubeconfig", "context", "on_node"])]
    pub attach: Option<Kept>,
    /// Nodes beside the server's; with any, the operator runs on them alone. A fault that takes a node away has two
    #[arg(
        long, value_name = "N", default_value_t = 0,
        value_parser = RangedU64ValueParser::<u32>::new().range(0..=MOST_AGENTS)
    )]
    pub agents: u32,
    /// How long the cluster may take to become ready
    #[arg(long, value_name = "TIME", default_value = "180s", value_parser = humantime::parse_duration)]
    pub cluster_timeout: Duration,
    /// Version of k3s, a tag of its image
    #[arg(long, value_name = "TAG", env = "FAILOVER_K3S_TAG", default_value = K3S_TAG)]
    pub k3s_tag: String,
    /// Image of the provider `node`
    #[arg(long, value_name = "IMAGE", env = "FAILOVER_NODE_IMAGE", default_value = NODE_IMAGE)]
    pub node_image: String,
    /// Address of this machine that the API server reaches, for the fault slow-webhook [default: the gateway of the network
    /// of a started cluster]
    #[arg(long, value_name = "ADDRESS")]
    pub listen_on: Option<IpAddr>,
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
    /// A kept cluster that is used again instead of starting one.
    pub attach: Option<Kept>,
    /// Nodes beside the server's; with any, the server takes no pods of the operator.
    pub agents: u32,
    /// How long the cluster may take to become ready.
    pub timeout: Duration,
    /// Policy of the API server's audit log.
    pub audit_policy: String,
    /// The address of this machine that the API server reaches; `None` lets the engine tell.
    pub listen_on: Option<IpAddr>,
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
            attach: None,
            agents: 0,
            timeout: Duration::from_mins(3),
            audit_policy: AUDIT_POLICY.to_owned(),
            listen_on: None,
            brought: Brought::default(),
            guardian: std::env::current_exe().unwrap_or_else(|_| PathBuf::from("failover")),
        }
    }
}

impl ClusterOptions {
    /// Has a cluster that is started have at least this many agents; whether that is more than was asked for. One that
    /// exists already has what it has.
    pub fn raise_agents(&mut self, least: u32) -> bool {
        let starts = self.provider != Some(Provider::Kubeconfig) && self.attach.is_none();
        let raises = starts && self.agents < least;
        if raises {
            self.agents = least;
        }
        raises
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
            attach: self.attach.clone(),
            agents: self.agents,
            timeout: self.cluster_timeout,
            listen_on: self.listen_on,
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
        let starts_none = |field, value: String| {
            ClusterError::Setting {
            field,
            value,
            rule: "is for a cluster that the harness starts itself, and with --provider kubeconfig it starts none"
                .to_owned(),
        }
        };
        let is_brought = self.provider == Some(Provider::Kubeconfig)
            || (self.provider.is_none() && brings.is_some());
        if is_brought && self.agents > 0 {
            return Err(starts_none("--agents", self.agents.to_string()));
        }
        if let Some(kept) = self.attach.as_ref().filter(|_| is_brought) {
            return Err(starts_none("--attach", kept.to_string()));
        }
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
    use failover_judging::samples::says;

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
        says(&message, &["--kubeconfig=x.yaml", "--provider node"]);
    }

    #[rstest::rstest]
    #[case::agents(&["--kubeconfig", "x.yaml", "--agents", "2"], "--agents=2")]
    #[case::agents_by_provider(&["--provider", "kubeconfig", "--agents", "1"], "--agents=1")]
    #[case::kept(&["--provider", "kubeconfig", "--attach", "last"], "--attach=last")]
    fn what_is_for_a_started_cluster_is_refused_for_a_brought_one(
        #[case] flags: &[&str],
        #[case] named: &str,
    ) {
        let message = options(flags).unwrap_err().to_string();
        says(&message, &[named, "--provider kubeconfig"]);
    }

    #[rstest::rstest]
    #[case(&["--attach", "last", "--keep"], "--keep")]
    #[case(&["--attach", "last", "--agents", "2"], "--agents")]
    #[case(&["--attach", "last", "--kubeconfig", "x"], "--kubeconfig")]
    #[case(&["--agents", "9"], "9 is not in 0..=8")]
    #[case(&["--attach", ""], "must not be empty")]
    fn flags_that_contradict_each_other_are_named(#[case] flags: &[&str], #[case] named: &str) {
        let error = Command::try_parse_from([&["failover"], flags].concat()).unwrap_err();
        says(&error, &[named]);
    }

    #[rstest::rstest]
    #[case(&[], true, 2)]
    #[case(&["--agents", "1"], true, 2)]
    #[case(&["--agents", "3"], false, 3)]
    #[case(&["--attach", "last"], false, 0)]
    #[case(&["--kubeconfig", "x.yaml"], false, 0)]
    fn agents_that_are_needed_are_added_where_a_cluster_is_started(
        #[case] flags: &[&str],
        #[case] raises: bool,
        #[case] agents: u32,
    ) {
        let mut options = options(flags).unwrap();
        assert_eq!(options.raise_agents(2), raises);
        assert_eq!(options.agents, agents);
        assert!(!options.raise_agents(0));
    }

    #[test]
    fn an_address_to_listen_on_has_to_be_one() {
        let given = options(&["--listen-on", "172.17.0.1"]).unwrap();
        assert_eq!(given.listen_on.unwrap().to_string(), "172.17.0.1");
        let error = Command::try_parse_from(["failover", "--listen-on", "here"]).unwrap_err();
        says(&error, &["--listen-on"]);
    }

    #[test]
    fn without_flags_the_machine_decides() {
        let options = options(&[]).unwrap();
        assert_eq!((options.provider, options.agents), (None, 0));
        assert_eq!(options.attach, None);
        assert_eq!(options.timeout, Duration::from_mins(3));
    }

    #[test]
    fn an_audit_log_without_a_way_onto_its_node_is_refused() {
        let error =
            Command::try_parse_from(["failover", "--audit-log", "/var/log/audit.log"]).unwrap_err();
        says(&error, &["--on-node"]);
    }
}
