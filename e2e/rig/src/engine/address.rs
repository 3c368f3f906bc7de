//! Where the engine is looked for: the same way as testcontainers does, by `DOCKER_HOST`, else at the first of the usual
//! sockets that exists.

use std::path::{Path, PathBuf};

use super::running::running;

/// Where the engine is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address as it was given or found.
    pub text: String,
    /// The engine runs on this machine's kernel, so its files and processes can be looked at.
    pub local: bool,
    /// The host that published ports are reached at; `None` where that has to be asked of the engine.
    pub(super) host: Option<String>,
}

impl Address {
    /// The address that `DOCKER_HOST` names, or the first of the usual sockets that exists.
    pub fn from_env() -> Self {
        // A container may be handed the socket of an engine outside; one that runs a daemon itself uses that.
        let outside = Path::new("/.dockerenv").exists() && running().is_none();
        let text = std::env::var("DOCKER_HOST").unwrap_or_else(|_| {
            let folder = |name| std::env::var_os(name).map(PathBuf::from);
            let (runtime, home) = (folder("XDG_RUNTIME_DIR"), folder("HOME"));
            usual_socket(runtime.as_deref(), home.as_deref(), Path::exists)
        });
        Self::parse(&text, outside)
    }

    fn parse(text: &str, outside: bool) -> Self {
        let text = text.trim().to_owned();
        if text.starts_with("unix://") || text.starts_with("npipe://") {
            // An engine outside of this container publishes ports on the bridge's gateway.
            let host = (!outside).then(|| "127.0.0.1".to_owned());
            return Self {
                text,
                local: !outside,
                host,
            };
        }
        let host = text
            .parse::<http::Uri>()
            .ok()
            .and_then(|uri| uri.host().map(str::to_owned));
        Self {
            text,
            local: false,
            host,
        }
    }
}

/// The sockets that testcontainers tries without `DOCKER_HOST`, in its order; the system's one when none exists.
fn usual_socket(
    runtime: Option<&Path>,
    home: Option<&Path>,
    exists: impl Fn(&Path) -> bool,
) -> String {
    let system = PathBuf::from("/var/run/docker.sock");
    let run = Path::new(".docker/run/docker.sock");
    let desktop = Path::new(".docker/desktop/docker.sock");
    let in_home = home
        .into_iter()
        .flat_map(|home| [home.join(run), home.join(desktop)]);
    let found = std::iter::once(system.clone())
        .chain(runtime.map(|folder| folder.join(run)))
        .chain(in_home)
        .find(|path| exists(path));
    format!("unix://{}", found.unwrap_or(system).display())
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::socket("unix:///run/docker.sock", false, true, Some("127.0.0.1"))]
    #[case::socket_of_an_engine_outside_this_container(
        "unix:///var/run/docker.sock",
        true,
        false,
        None
    )]
    #[case::tcp("tcp://10.1.2.3:2375", false, false, Some("10.1.2.3"))]
    #[case::https("https://engine.example:2376", false, false, Some("engine.example"))]
    fn ports_are_reached_where_the_engine_is(
        #[case] docker_host: &str,
        #[case] in_container: bool,
        #[case] local: bool,
        #[case] host: Option<&str>,
    ) {
        let address = Address::parse(docker_host, in_container);
        assert_eq!((address.local, address.host.as_deref()), (local, host));
    }

    #[rstest]
    #[case::none(&[], "/var/run/docker.sock")]
    #[case::rootless(&["/run/user/7/.docker/run/docker.sock"], "/run/user/7/.docker/run/docker.sock")]
    #[case::home(&["/home/me/.docker/run/docker.sock"], "/home/me/.docker/run/docker.sock")]
    #[case::desktop(&["/home/me/.docker/desktop/docker.sock"], "/home/me/.docker/desktop/docker.sock")]
    #[case::system_first(
        &["/home/me/.docker/run/docker.sock", "/var/run/docker.sock"],
        "/var/run/docker.sock"
    )]
    fn without_docker_host_the_first_usual_socket_that_exists_is_taken(
        #[case] present: &[&str],
        #[case] socket: &str,
    ) {
        let found = usual_socket(
            Some(Path::new("/run/user/7")),
            Some(Path::new("/home/me")),
            |path| present.iter().any(|there| Path::new(there) == path),
        );
        assert_eq!(found, format!("unix://{socket}"));
    }
}
