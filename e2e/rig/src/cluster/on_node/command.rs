//! Commands on nodes of the user's own cluster, by a command that the user gives.
//!
//! The words of the template are split at spaces and the command is appended as arguments: no shell reads them here.

use std::fmt;
use std::process::{ExitStatus, Stdio};
use std::str::FromStr;

use futures::StreamExt;
use futures::stream::unfold;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use super::output::{LineStream, Output, joined};
use crate::cluster::error::ClusterError;

const NODE: &str = "{node}";

/// A command such as `docker exec {node}` or `ssh root@{node}`; what is to be run on the node is appended to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandTemplate(Vec<String>);

impl FromStr for CommandTemplate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            return Err("the command that reaches a node must not be empty");
        }
        Ok(Self(words))
    }
}

impl fmt::Display for CommandTemplate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join(" "))
    }
}

impl CommandTemplate {
    /// The node's name is part of the command, so it can reach more than one.
    pub(in crate::cluster) fn names_the_node(&self) -> bool {
        self.0.iter().any(|word| word.contains(NODE))
    }

    fn words(&self, node: &str, command: &[&str]) -> Vec<String> {
        let template = self.0.iter().map(|word| word.replace(NODE, node));
        template
            .chain(command.iter().map(|word| (*word).to_owned()))
            .collect()
    }

    fn spawn(&self, node: &str, command: &[&str]) -> Result<Child, ClusterError> {
        let words = self.words(node, command);
        let spawned = Command::new(&words[0])
            .args(&words[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        spawned.map_err(|source| failed(node, &words.join(" "), source))
    }
}

fn failed(node: &str, command: &str, source: std::io::Error) -> ClusterError {
    ClusterError::OnNode {
        node: node.to_owned(),
        command: command.to_owned(),
        source: Box::new(source),
    }
}

fn number(status: ExitStatus) -> i64 {
    use std::os::unix::process::ExitStatusExt as _;
    let number = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    number.map_or(-1, i64::from)
}

pub(super) async fn run(
    template: &CommandTemplate,
    node: &str,
    command: &[&str],
) -> Result<Output, ClusterError> {
    let child = template.spawn(node, command)?;
    let output = child
        .wait_with_output()
        .await
        .map_err(|source| failed(node, &joined(command), source))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Output {
        status: number(output.status),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    })
}

struct Followed {
    node: String,
    command: String,
    child: Child,
    stdout: Option<Lines<BufReader<ChildStdout>>>,
    stderr: Option<ChildStderr>,
}

pub(super) fn follow(
    template: &CommandTemplate,
    node: &str,
    command: &[&str],
) -> Result<LineStream, ClusterError> {
    let mut child = template.spawn(node, command)?;
    let followed = Followed {
        node: node.to_owned(),
        command: joined(command),
        stdout: child
            .stdout
            .take()
            .map(|stdout| BufReader::new(stdout).lines()),
        stderr: child.stderr.take(),
        child,
    };
    Ok(unfold(followed, |mut followed| async move {
        followed.next().await.map(|line| (line, followed))
    })
    .boxed())
}

impl Followed {
    async fn next(&mut self) -> Option<Result<String, ClusterError>> {
        let lines = self.stdout.as_mut()?;
        match lines.next_line().await {
            Ok(Some(line)) => Some(Ok(line)),
            Ok(None) => {
                self.stdout = None;
                Some(Err(self.end().await))
            }
            Err(source) => {
                self.stdout = None;
                Some(Err(failed(&self.node, &self.command, source)))
            }
        }
    }

    async fn end(&mut self) -> ClusterError {
        let mut stderr = String::new();
        if let Some(mut pipe) = self.stderr.take()
            && let Err(source) = pipe.read_to_string(&mut stderr).await
        {
            return failed(&self.node, &self.command, source);
        }
        match self.child.wait().await {
            Err(source) => failed(&self.node, &self.command, source),
            Ok(status) => ClusterError::CommandFailed {
                node: self.node.clone(),
                command: self.command.clone(),
                status: number(status),
                stderr: stderr.trim().to_owned(),
            },
        }
    }
}
