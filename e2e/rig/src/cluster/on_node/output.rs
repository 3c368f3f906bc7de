//! What commands on a node write.

use std::fmt::Write as _;

use futures::stream::BoxStream;

use crate::cluster::error::ClusterError;

/// What a command on a node wrote, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 and the signal's number for a command that a signal ended.
    pub status: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Lines as a command on a node writes them.
///
/// Ends with an error in every case: whoever follows a file does not expect its end. Dropping the stream ends the command;
/// where a command of the user's leads to the node, it ends that one, and what it left there is up to it.
pub type LineStream = BoxStream<'static, Result<String, ClusterError>>;

impl Output {
    /// Itself, unless the status says failure.
    pub fn success(self, node: &str, command: &[&str]) -> Result<Self, ClusterError> {
        if self.status == 0 {
            return Ok(self);
        }
        let stderr = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let stderr = stderr.trim().to_owned();
        Err(ClusterError::CommandFailed {
            node: node.to_owned(),
            command: joined(command),
            status: self.status,
            stderr,
        })
    }
}

pub(super) fn joined(command: &[&str]) -> String {
    let mut text = String::new();
    for word in command {
        let gap = if text.is_empty() { "" } else { " " };
        if word.contains(char::is_control) {
            let _ = write!(text, "{gap}{word:?}");
        } else if word.is_empty() || word.contains(char::is_whitespace) {
            let _ = write!(text, "{gap}'{word}'");
        } else {
            let _ = write!(text, "{gap}{word}");
        }
    }
    text
}
