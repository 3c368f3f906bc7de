//! The user's command that has the Deployment rolled out anew.

use std::{fmt, process::Stdio, str::FromStr};

use tokio::process::Command;

/// A command that has the Deployment rolled out anew. Its words are split at spaces; no shell reads them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolloutCommand {
    program: String,
    arguments: Vec<String>,
}

impl FromStr for RolloutCommand {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace().map(str::to_owned);
        Ok(Self {
            program: words.next().ok_or("the command must not be empty")?,
            arguments: words.collect(),
        })
    }
}

impl fmt::Display for RolloutCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.program)?;
        self.arguments
            .iter()
            .try_for_each(|word| write!(formatter, " {word}"))
    }
}

/// Why the Deployment is not rolled out anew.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum RolloutError {
    #[error("--rollout (run.rollout): failed to run `{command}`")]
    Run {
        command: String,
        #[source]
        source: std::io::Error,
    },
    #[error("--rollout (run.rollout): `{command}` ended with {status}: {stderr}")]
    Failed {
        command: String,
        status: std::process::ExitStatus,
        stderr: String,
    },
}

impl RolloutCommand {
    /// Runs it to its end.
    pub async fn run(&self) -> Result<(), RolloutError> {
        let output = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await;
        let output = output.map_err(|source| RolloutError::Run {
            command: self.to_string(),
            source,
        })?;
        if output.status.success() {
            return Ok(());
        }
        Err(RolloutError::Failed {
            command: self.to_string(),
            status: output.status,
            stderr: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::samples::says;

    #[test]
    fn a_command_is_words_and_must_not_be_empty() {
        let command: RolloutCommand = "helm  upgrade operator ./chart".parse().unwrap();
        assert_eq!(command.to_string(), "helm upgrade operator ./chart");
        assert!(" ".parse::<RolloutCommand>().is_err());
    }

    #[tokio::test]
    async fn a_command_that_fails_says_what_it_said() {
        let works: RolloutCommand = "true".parse().unwrap();
        works.run().await.unwrap();
        let fails: RolloutCommand = "ls /nowhere/at/all".parse().unwrap();
        let said = fails.run().await.unwrap_err().to_string();
        says(&said, &["--rollout", "/nowhere/at/all"]);
        let missing: RolloutCommand = "/nowhere/at/all".parse().unwrap();
        let said = missing.run().await.unwrap_err().to_string();
        assert_eq!(
            said,
            "--rollout (run.rollout): failed to run `/nowhere/at/all`"
        );
    }
}
