//! The command line and the environment, as typed; and the checked configuration made of them.
//!
//! This is the only reader of the environment.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{ArgAction, Parser, Subcommand, ValueEnum};
use tracing_subscriber::EnvFilter;

use lease_election::{Identity, InvalidSetting, Timing, settings::LeaseName};

use crate::{access, leader::SETTINGS};

/// Puts Cluster API machines into a cluster in weekly time windows.
#[derive(Debug, Parser)]
#[command(name = "five-spot", version, about, long_about = None)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    run: RunArgs,
}

/// What the program is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the operator (also the default)
    Run,
    /// Print the CustomResourceDefinition as YAML
    Crd,
    /// Print the ServiceAccount and its roles as YAML
    Rbac,
    /// Print the fence's admission policy as YAML, for the Lease and the namespace that are set
    Fence,
    /// Print the FlowSchema of the calls about Leases as YAML, for the namespace that is set
    FlowSchema,
    /// Print the reference of the kind as Markdown
    Reference,
    /// Print the table of the metrics as Markdown
    Metrics,
}

/// Settings of the operator. A flag wins over its variable.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// Contend for leadership; without it this replica works alone and unconditionally
    #[arg(long, env, default_value_t = true, action = ArgAction::Set, global = true)]
    enable_leader_election: bool,

    /// Name of the Lease
    #[arg(long, env, default_value = "5spot-leader", global = true)]
    lease_name: String,

    /// How long a silent leader is waited for
    #[arg(
        long,
        env,
        default_value_t = 15,
        allow_negative_numbers = true,
        global = true
    )]
    lease_duration_seconds: i64,

    /// How long a leader works on without an acknowledged renewal
    #[arg(
        long,
        env,
        default_value_t = 10,
        allow_negative_numbers = true,
        global = true
    )]
    lease_renew_deadline_seconds: i64,

    /// How often the leader renews, and how often a standby reads the Lease when its watch is silent
    #[arg(
        long,
        env,
        default_value_t = 2,
        allow_negative_numbers = true,
        global = true
    )]
    lease_retry_period_seconds: i64,

    /// Name of this pod, from the downward API: the holder that the Lease names
    #[arg(long, env, default_value = "", global = true)]
    pod_name: String,

    /// Namespace of this pod, from the downward API: where the Lease is
    #[arg(long, env, default_value = "", global = true)]
    pod_namespace: String,

    /// UID of this pod, from the downward API: lets a restarted container reclaim its own Lease at once
    #[arg(long, env, default_value = "", global = true)]
    pod_uid: String,

    /// Name of the operator's container in its pod: only its last words prove that a leader is dead
    #[arg(long, env, default_value = "controller", global = true)]
    container_name: String,

    /// Where kubelet looks for the last words of this container
    #[arg(long, env, default_value = "/dev/termination-log", global = true)]
    termination_log: PathBuf,

    /// Act on the loss of the connection to the leader's process, while the fence stands
    #[arg(long, env, default_value_t = true, action = ArgAction::Set, global = true)]
    enable_hint: bool,

    /// Address at which standbys connect to this replica; they use the same port of the leader's pod. The address :: is
    /// every address, IPv6 and IPv4
    #[arg(long, env, default_value = "[::]:8081", global = true)]
    hint_address: SocketAddr,

    /// Name of the ConfigMap in the pod's namespace that the fence is tested on, and, with -shared after it, of that of its
    /// second policy; empty where there is no fence
    #[arg(long, env, default_value = access::FENCE, global = true)]
    fence_probe: String,

    /// How long work in flight may take to finish on SIGTERM before it is dropped; less than the pod's grace period
    #[arg(
        long,
        env,
        default_value_t = 20,
        allow_negative_numbers = true,
        global = true
    )]
    drain_timeout_seconds: i64,

    /// Address of the one HTTP port: /livez, /readyz, /metrics. The address :: is every address, IPv6 and IPv4
    #[arg(long, env, default_value = "[::]:8080", global = true)]
    listen_address: SocketAddr,

    /// Which log lines are written, as tracing's directives
    #[arg(long, env = "RUST_LOG", default_value = "info", global = true)]
    log_filter: String,

    /// How log lines look
    #[arg(long, env = "RUST_LOG_FORMAT", value_enum, default_value_t = LogFormat::Json, global = true)]
    log_format: LogFormat,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// The checked configuration of the operator.
#[derive(Clone, Debug)]
pub struct Config {
    /// The election, or none where this replica works alone.
    pub election: Option<Election>,
    /// Name of this pod for metrics and events; `five-spot` where it is not set.
    pub pod_name: String,
    /// How long work in flight may take to finish on SIGTERM.
    pub drain_timeout: Duration,
    /// Where `/livez`, `/readyz` and `/metrics` are served.
    pub listen_address: SocketAddr,
    /// Which log lines are written.
    pub log_filter: String,
    /// How log lines look.
    pub log_format: LogFormat,
}

/// The part of the configuration that the election needs.
#[derive(Clone, Debug)]
pub struct Election {
    /// The Lease.
    pub lease: LeaseName,
    /// Its durations.
    pub timing: Timing,
    /// Who this replica is.
    pub identity: Identity,
    /// Name of the operator's container in its pod.
    pub container_name: String,
    /// Where kubelet looks for the last words of this container.
    pub termination_log: PathBuf,
    /// Where standbys connect to this replica; none where hints are off.
    pub hint_address: Option<SocketAddr>,
    /// The ConfigMap that the fence is tested on, or none where there is no fence.
    pub fence_probe: Option<String>,
}

/// The longest drain that is accepted: an hour, as no pod's grace period should be longer.
const LONGEST_DRAIN: i64 = 3600;

impl Args {
    /// What is asked for.
    pub fn asked(&self) -> Command {
        self.command.unwrap_or(Command::Run)
    }

    /// The Lease that the fence is for: as set, and in the namespace of `deploy/` where there is no pod to ask.
    ///
    /// # Errors
    /// The first setting of the Lease that breaks a rule, with its value and the rule.
    pub fn lease(&self) -> Result<LeaseName, InvalidSetting> {
        self.run.lease(match self.run.pod_namespace.as_str() {
            "" => access::NAMESPACE,
            namespace => namespace,
        })
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The first setting that breaks a rule, with its value and the rule.
    pub fn into_config(self) -> Result<Config, InvalidSetting> {
        let args = self.run;
        if !(0..=LONGEST_DRAIN).contains(&args.drain_timeout_seconds) {
            let rule = format!("must be from 0 to {LONGEST_DRAIN} seconds");
            return Err(InvalidSetting::new(
                "DRAIN_TIMEOUT_SECONDS",
                args.drain_timeout_seconds,
                rule,
            ));
        }
        if let Err(error) = EnvFilter::try_new(&args.log_filter) {
            let rule =
                format!("must be directives like info or five_spot=debug,kube=info ({error})");
            return Err(InvalidSetting::new("RUST_LOG", &args.log_filter, rule));
        }
        let election = if args.enable_leader_election {
            Some(args.election()?)
        } else {
            None
        };
        let pod_name = if args.pod_name.is_empty() {
            "five-spot".to_owned()
        } else {
            args.pod_name
        };
        Ok(Config {
            election,
            pod_name,
            drain_timeout: Duration::from_secs(args.drain_timeout_seconds.unsigned_abs()),
            listen_address: args.listen_address,
            log_filter: args.log_filter,
            log_format: args.log_format,
        })
    }
}

impl RunArgs {
    fn election(&self) -> Result<Election, InvalidSetting> {
        // Replicas that share a name would each believe to hold the Lease, so there is no fallback for it.
        let rule = "must be set when ENABLE_LEADER_ELECTION is true; the Deployment takes it from the downward API";
        for (setting, value) in [
            ("POD_NAME", &self.pod_name),
            ("POD_NAMESPACE", &self.pod_namespace),
        ] {
            if value.is_empty() {
                return Err(InvalidSetting::new(setting, value, rule));
            }
        }
        Ok(Election {
            lease: self.lease(&self.pod_namespace)?,
            timing: Timing::of_seconds(
                self.lease_duration_seconds,
                self.lease_renew_deadline_seconds,
                self.lease_retry_period_seconds,
                &SETTINGS,
            )?,
            identity: Identity::of_new_process(&self.pod_name, &self.pod_uid),
            container_name: self.container_name.clone(),
            termination_log: self.termination_log.clone(),
            hint_address: self.enable_hint.then_some(self.hint_address),
            fence_probe: (!self.fence_probe.is_empty()).then(|| self.fence_probe.clone()),
        })
    }

    fn lease(&self, namespace: &str) -> Result<LeaseName, InvalidSetting> {
        LeaseName::new(&self.lease_name, namespace, &SETTINGS)
    }
}

/// Breaks the rule that `FIVE_SPOT_MUTANT` names: for images on which the harness shows that it fails when it should.
#[cfg(feature = "mutants")]
pub fn break_a_rule() {
    let named = std::env::var("FIVE_SPOT_MUTANT").unwrap_or_default();
    if let Ok(mutation) = named.parse() {
        lease_election::mutation::break_in_this_process(mutation);
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;

    const POD: [&str; 4] = ["--pod-name", "a", "--pod-namespace", "n"];

    fn config(flags: &[&str]) -> Result<Config, InvalidSetting> {
        Args::try_parse_from([&["five-spot"], flags].concat())
            .unwrap()
            .into_config()
    }

    #[test]
    fn the_command_line_is_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_readme_lists_exactly_the_settings_that_are_read_with_their_defaults() {
        let rows: Vec<_> = include_str!("../README.md")
            .lines()
            .filter_map(|line| {
                let (names, rest) = line.strip_prefix("| `")?.split_once("` |")?;
                let is_variable = |byte: u8| byte.is_ascii_uppercase() || b"_`, ".contains(&byte);
                names.bytes().all(is_variable).then_some((names, rest))
            })
            .collect();
        let mut listed: Vec<_> = rows
            .iter()
            .flat_map(|(names, _)| names.split("`, `"))
            .collect();
        let command = Args::command();
        let mut read = Vec::new();
        for arg in command.get_arguments() {
            let Some(variable) = arg.get_env().and_then(|name| name.to_str()) else {
                continue;
            };
            read.push(variable);
            let row = rows.iter().find(|(names, _)| names.contains(variable));
            for default in arg.get_default_values() {
                let default = default.to_str().unwrap();
                let is_told = |rest: &str| rest.starts_with(&format!(" `{default}` |"));
                assert!(
                    default.is_empty() || row.is_some_and(|(_, rest)| is_told(rest)),
                    "{variable}: {row:?}"
                );
            }
        }
        listed.sort_unstable();
        read.sort_unstable();
        assert_eq!(listed, read);
    }

    #[test]
    fn the_defaults_are_those_of_the_documentation() {
        let election = config(&POD).unwrap().election.unwrap();
        assert_eq!(election.lease.name(), "5spot-leader");
        assert_eq!(election.lease.namespace(), "n");
        assert_eq!(election.timing, Timing::default());
        assert_eq!(election.identity.pod_name, "a");
    }

    #[rstest]
    #[case::no_pod_name(&["--pod-namespace", "n"], "POD_NAME is \"\": must be set when ENABLE_LEADER_ELECTION is true")]
    #[case::no_namespace(&["--pod-name", "a"], "POD_NAMESPACE is \"\": must be set when ENABLE_LEADER_ELECTION is true")]
    #[case::retry(&["--pod-name=a", "--pod-namespace=n", "--lease-retry-period-seconds=0"], "LEASE_RETRY_PERIOD_SECONDS is \"0\"")]
    #[case::negative(&["--pod-name=a", "--pod-namespace=n", "--lease-duration-seconds", "-1"], "LEASE_DURATION_SECONDS is \"-1\"")]
    #[case::log_filter(&["--log-filter=a=b=c"], "RUST_LOG is \"a=b=c\": must be directives like")]
    #[case::drain(&["--drain-timeout-seconds=-1"], "DRAIN_TIMEOUT_SECONDS is \"-1\": must be from 0 to 3600 seconds")]
    fn a_bad_setting_is_refused_by_name_value_and_rule(
        #[case] flags: &[&str],
        #[case] message: &str,
    ) {
        let error = config(flags).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }

    #[test]
    fn without_election_no_pod_name_is_needed() {
        let config = config(&["--enable-leader-election=false"]).unwrap();
        assert!(config.election.is_none());
    }

    #[rstest]
    #[case::by_default(&["fence"], "5spot-system", "5spot-leader")]
    #[case::elsewhere(&["fence", "--pod-namespace=elsewhere"], "elsewhere", "5spot-leader")]
    #[case::another(&["fence", "--lease-name=another"], "5spot-system", "another")]
    fn the_fence_is_for_the_lease_that_is_set(
        #[case] flags: &[&str],
        #[case] namespace: &str,
        #[case] name: &str,
    ) {
        let args = Args::try_parse_from([&["five-spot"], flags].concat()).unwrap();
        let lease = args.lease().unwrap();
        assert_eq!((lease.namespace(), lease.name()), (namespace, name));
    }

    #[test]
    fn a_fence_for_a_name_that_no_lease_can_have_is_refused() {
        let args = Args::try_parse_from(["five-spot", "fence", "--lease-name=a: b"]).unwrap();
        let refused = args.lease().unwrap_err().to_string();
        assert!(
            refused.contains("LEASE_NAME") && refused.contains("a: b"),
            "{refused}"
        );
    }

    #[rstest]
    #[case::by_default(&[], Some("5spot-fence"))]
    #[case::another(&["--fence-probe=x"], Some("x"))]
    #[case::none(&["--fence-probe="], None)]
    fn an_empty_fence_probe_says_that_there_is_no_fence(
        #[case] flags: &[&str],
        #[case] probe: Option<&str>,
    ) {
        let election = config(&[&POD, flags].concat()).unwrap().election.unwrap();
        assert_eq!(election.fence_probe.as_deref(), probe);
    }

    #[test]
    fn two_processes_of_one_pod_are_different_incarnations() {
        let incarnation = || config(&POD).unwrap().election.unwrap().identity.incarnation;
        assert_ne!(incarnation(), incarnation());
    }
}
