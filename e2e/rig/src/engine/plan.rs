//! Which steps bring up an engine on this machine, decided from facts alone.

use super::running::running;

/// What the decision is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about a machine"
)]
pub struct Machine {
    /// The kernel is Linux.
    pub linux: bool,
    /// This process may install packages and start daemons.
    pub root: bool,
    /// The distribution installs from Debian's or Ubuntu's package lists.
    pub debian: bool,
    /// A `dockerd` program is installed.
    pub dockerd: bool,
    /// systemd runs services here.
    pub systemd: bool,
    /// A `dockerd` process of this machine, if one runs.
    pub running: Option<u32>,
    /// `DOCKER_HOST`, if it is set.
    pub docker_host: Option<String>,
}

impl Machine {
    /// Looks at the machine this process runs on.
    pub fn inspect() -> Self {
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let path = std::env::var_os("PATH").unwrap_or_default();
        // dockerd lives in a folder that only root has in its path.
        let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
        Self {
            linux: cfg!(target_os = "linux"),
            root: rustix::process::geteuid().is_root(),
            debian: installs_from_debian(&release),
            dockerd: folders.any(|folder| folder.join("dockerd").is_file()),
            systemd: std::path::Path::new("/run/systemd/system").is_dir(),
            running: running(),
            docker_host: std::env::var("DOCKER_HOST").ok(),
        }
    }
}

/// One step on the way to an engine that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Fetch the package lists.
    UpdatePackageLists,
    /// Install the engine's package.
    InstallEngine,
    /// Have systemd start the service.
    StartService,
    /// Start `dockerd` in a session of its own.
    StartDaemon,
    /// Wait for a daemon that runs already; never start a second one.
    AwaitRunning(u32),
}

/// Why no engine is started on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message says it")]
pub enum Refusal {
    #[error(
        "DOCKER_HOST={0} names an engine on another machine that does not answer; start it there, or unset DOCKER_HOST"
    )]
    Elsewhere(String),
    #[error(
        "this is not Linux; start Docker Desktop, Colima or another engine that speaks the Docker API, then try again"
    )]
    NotLinux,
    #[error(
        "starting an engine needs root; start the one that is installed with `sudo systemctl start docker`, or install one with `sudo apt-get install docker.io`"
    )]
    NotRoot,
    #[error(
        "no dockerd is installed and this is neither Debian nor Ubuntu; install the Docker engine with this system's package manager"
    )]
    NoPackage,
}

/// The steps that make an engine answer, given that none answers now.
pub fn plan(machine: &Machine) -> Result<Vec<Step>, Refusal> {
    if let Some(host) = machine
        .docker_host
        .as_ref()
        .filter(|host| !host.starts_with("unix://"))
    {
        return Err(Refusal::Elsewhere(host.clone()));
    }
    if !machine.linux {
        return Err(Refusal::NotLinux);
    }
    if let Some(pid) = machine.running {
        return Ok(vec![Step::AwaitRunning(pid)]);
    }
    if !machine.root {
        return Err(Refusal::NotRoot);
    }
    let mut steps = Vec::new();
    if !machine.dockerd {
        if !machine.debian {
            return Err(Refusal::NoPackage);
        }
        steps.extend([Step::UpdatePackageLists, Step::InstallEngine]);
    }
    steps.push(if machine.systemd {
        Step::StartService
    } else {
        Step::StartDaemon
    });
    Ok(steps)
}

fn installs_from_debian(os_release: &str) -> bool {
    let ids = os_release
        .lines()
        .filter_map(|line| line.strip_prefix("ID=").or(line.strip_prefix("ID_LIKE=")));
    ids.flat_map(|value| value.trim_matches('"').split_whitespace())
        .any(|id| matches!(id, "debian" | "ubuntu"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn bare_debian() -> Machine {
        Machine {
            linux: true,
            root: true,
            debian: true,
            dockerd: false,
            systemd: false,
            running: None,
            docker_host: None,
        }
    }

    #[test]
    fn a_bare_debian_installs_the_package_and_starts_the_daemon() {
        let steps = plan(&bare_debian()).unwrap();
        assert_eq!(
            steps,
            [
                Step::UpdatePackageLists,
                Step::InstallEngine,
                Step::StartDaemon
            ]
        );
    }

    #[test]
    fn an_installed_engine_is_started_and_not_installed_again() {
        let machine = Machine {
            dockerd: true,
            debian: false,
            ..bare_debian()
        };
        assert_eq!(plan(&machine).unwrap(), [Step::StartDaemon]);
    }

    #[test]
    fn where_systemd_runs_it_starts_the_service_itself() {
        let machine = Machine {
            dockerd: true,
            systemd: true,
            ..bare_debian()
        };
        assert_eq!(plan(&machine).unwrap(), [Step::StartService]);
    }

    #[rstest]
    #[case::as_root(true)]
    #[case::as_any_user(false)]
    fn a_daemon_that_runs_already_is_waited_for_and_never_doubled(#[case] root: bool) {
        let machine = Machine {
            running: Some(77),
            root,
            ..bare_debian()
        };
        assert_eq!(plan(&machine).unwrap(), [Step::AwaitRunning(77)]);
    }

    #[rstest]
    #[case::engine_elsewhere(Machine { docker_host: Some("tcp://10.0.0.1:2375".into()), ..bare_debian() }, "DOCKER_HOST=tcp://10.0.0.1:2375")]
    #[case::other_system(Machine { linux: false, ..bare_debian() }, "Docker Desktop")]
    #[case::plain_user(Machine { root: false, ..bare_debian() }, "sudo systemctl start docker")]
    #[case::other_distribution(Machine { debian: false, ..bare_debian() }, "package manager")]
    fn where_no_engine_can_be_started_the_refusal_says_what_to_do(
        #[case] machine: Machine,
        #[case] says: &str,
    ) {
        let message = plan(&machine).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }

    #[rstest]
    #[case::debian("ID=debian\nVERSION_ID=\"12\"", true)]
    #[case::ubuntu("NAME=\"Ubuntu\"\nID=ubuntu\nID_LIKE=debian", true)]
    #[case::derivative("ID=linuxmint\nID_LIKE=\"ubuntu debian\"", true)]
    #[case::fedora("ID=fedora", false)]
    #[case::nothing("", false)]
    fn debian_and_its_derivatives_are_recognised(#[case] os_release: &str, #[case] debian: bool) {
        assert_eq!(installs_from_debian(os_release), debian);
    }
}
