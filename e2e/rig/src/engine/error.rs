//! Why no engine could be used, and what to do about it.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::Duration;

use super::address::Address;
use super::plan::Refusal;

/// Why no engine could be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum EngineError {
    #[error("no docker engine answers at {address}; {advice}")]
    Unreachable {
        address: String,
        advice: String,
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    #[error("the docker engine at {address} did not answer within {} s; look into its log, or restart it", .limit.as_secs())]
    Silent { address: String, limit: Duration },
    #[error("cannot start a docker engine here")]
    Refused(#[from] Refusal),
    #[error("cannot {step}; the end of {}:\n{tail}", .log.display())]
    Step {
        step: String,
        log: PathBuf,
        tail: String,
    },
    #[error("cannot {action}")]
    Io {
        action: String,
        #[source]
        source: std::io::Error,
    },
    #[error("dockerd (pid {pid}) was told to end and still runs after {} s; see {}", .limit.as_secs(), .log.display())]
    Lingers {
        pid: u32,
        limit: Duration,
        log: PathBuf,
    },
}

impl EngineError {
    pub(super) fn unreachable(
        address: &Address,
        source: impl StdError + Send + Sync + 'static,
    ) -> Self {
        let source: Box<dyn StdError + Send + Sync> = Box::new(source);
        Self::Unreachable {
            address: address.text.clone(),
            advice: advice(address, source.as_ref()),
            source,
        }
    }

    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }
}

fn advice(address: &Address, source: &(dyn StdError + 'static)) -> String {
    let mut cause = Some(source);
    while let Some(error) = cause {
        // The client library reports the refused socket only as text.
        if error
            .to_string()
            .to_lowercase()
            .contains("permission denied")
        {
            return "this user may not open it: run as root or join the group that owns it"
                .to_owned();
        }
        cause = error.source();
    }
    if address.text.starts_with("unix://") {
        "start one with `just engine`".to_owned()
    } else {
        "correct DOCKER_HOST or start the engine there; without DOCKER_HOST `just engine` starts one here".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::samples::says;

    fn address() -> Address {
        Address {
            text: "unix:///var/run/docker.sock".to_owned(),
            local: true,
            host: None,
        }
    }

    #[test]
    fn a_refused_socket_asks_for_the_right_user_and_not_for_another_engine() {
        let address = address();
        let refused = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let message = EngineError::unreachable(&address, refused).to_string();
        says(&message, &["may not open it"]);
        assert!(!message.contains("just engine"), "{message}");
    }

    #[test]
    fn a_missing_engine_names_the_address_and_the_command_that_starts_one() {
        let address = address();
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        let message = EngineError::unreachable(&address, missing).to_string();
        says(&message, &["unix:///var/run/docker.sock", "`just engine`"]);
    }
}
