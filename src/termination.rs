//! The last words of this process: what kubelet puts into the pod's status when the container has died.
//!
//! The first line is the nonce of this process life, written at start, so that whoever reads it in the status knows that
//! exactly this process is dead. Why it died is added after it. Kubelet keeps the *end* of a message that is longer than
//! 4096 bytes, so what is added is bounded: the first line must not be cut off.
//!
//! Source: the Kubernetes documentation, "Determine the Reason for Pod Failure".

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

/// The most that is ever written: half of what kubelet reads.
const LONGEST: usize = 2048;

/// The termination log can't be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write the nonce of this process into TERMINATION_LOG {path}")]
pub struct TerminationLogError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// The termination log, with the nonce in it.
#[derive(Clone, Debug)]
pub struct TerminationLog {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    file: File,
    left: usize,
}

impl TerminationLog {
    /// Writes `nonce` as the first line of the file at `path`, which kubelet has made.
    pub fn begin(path: &Path, nonce: Uuid) -> Result<Self, TerminationLogError> {
        let write = || {
            let mut file = OpenOptions::new().write(true).truncate(true).open(path)?;
            let line = format!("{nonce}\n");
            file.write_all(line.as_bytes())?;
            Ok((file, LONGEST - line.len()))
        };
        let (file, left) = write().map_err(|source| TerminationLogError {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            state: Arc::new(Mutex::new(State { file, left })),
        })
    }

    /// Adds why the process ends, as far as there is room.
    pub fn add(&self, text: &str) -> io::Result<()> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = text;
        if text.len() + 1 > state.left {
            text = &text[..text.floor_char_boundary(state.left.saturating_sub(1))];
        }
        if text.is_empty() {
            return Ok(());
        }
        state.left -= text.len() + 1;
        writeln!(state.file, "{text}")
    }

    /// Adds the message of every panic from now on, and leaves what else is done about it as it is.
    pub fn add_panics(&self) {
        let (log, before) = (self.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            // The panic is on standard error already; there is nowhere else to say that this failed.
            let _ = log.add(&panic.to_string());
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Uuid = Uuid::from_u128(0x6f0c_1f2e_0f3c_4b36_9d5c_0a4f_4f6f_0a11);

    fn begun() -> (PathBuf, TerminationLog) {
        let path = std::env::temp_dir().join(format!("termination-log-{}", Uuid::new_v4()));
        std::fs::write(&path, "left by nobody").unwrap();
        let log = TerminationLog::begin(&path, NONCE).unwrap();
        (path, log)
    }

    fn read(path: &Path) -> String {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::remove_file(path).unwrap();
        text
    }

    #[test]
    fn the_nonce_is_the_first_line_and_reasons_follow() {
        let (path, log) = begun();
        log.add("boom").unwrap();
        log.add("and again").unwrap();
        assert_eq!(read(&path), format!("{NONCE}\nboom\nand again\n"));
    }

    #[test]
    fn however_much_is_added_kubelet_reads_the_first_line_too() {
        let (path, log) = begun();
        log.add(&"ä".repeat(5000)).unwrap();
        log.add("more").unwrap();
        let text = read(&path);
        assert!(
            text.len() <= LONGEST && text.len() > LONGEST - 4,
            "{}",
            text.len()
        );
        assert_eq!(text.lines().next(), Some(NONCE.to_string().as_str()));
    }

    #[test]
    fn a_file_that_kubelet_has_not_made_is_an_error_that_names_it() {
        let error =
            TerminationLog::begin(Path::new("/nowhere/termination-log"), NONCE).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("TERMINATION_LOG /nowhere/termination-log"),
            "{error}"
        );
    }
}
