//! The last words of this process: what kubelet puts into the pod's status when the container has died.
//!
//! The nonce of this process life is written at start, as a line of its own, so that whoever reads it in the status knows
//! that exactly this process is dead. Why it died is added after it.
//!
//! # What kubelet does to it
//! It puts the container runtime's message before it, if there is one, on the same line: so the log begins with an empty
//! line. It keeps the *end* of a log that is longer than 4096 bytes, and then the *beginning* of all that a pod's containers
//! say, 12 KiB divided by their number: so what is added is bounded and comes last. A nonce that is cut off all the same
//! costs the proof, and the Lease is waited out.
//!
//! # One process
//! The file is locked for as long as the process lives. A second one in the same container, such as by `kubectl exec`, ends
//! with an error and leaves the log as it is.
//!
//! Sources: the Kubernetes documentation, "Determine the Reason for Pod Failure"; kubelet's `convertToKubeContainerStatus`
//! and `normalizeStatus`.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use uuid::Uuid;

/// The most that is ever written: half of what kubelet reads.
const LONGEST: usize = 2048;

/// Why the termination log was not begun.
#[derive(Debug, thiserror::Error)]
pub enum TerminationLogError {
    /// A process that has begun it still runs.
    #[error("{setting} {path} is held by another process: only one replica may run in a container")]
    Held {
        /// What the caller calls it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// It can't be written.
    #[error("failed to write the nonce of this process into {setting} {path}")]
    Write {
        /// What the caller calls it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

/// The termination log, with the nonce in it.
#[derive(Clone, Debug)]
pub struct TerminationLog {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    /// Locked; the lock goes with the last clone or with the process.
    file: File,
    left: usize,
}

impl TerminationLog {
    /// Locks the file at `path`, which kubelet has made, and replaces what is in it by a line with `nonce`.
    ///
    /// # Errors
    /// [`TerminationLogError::Held`] where another process has it; its text is left as it is. Errors name the file as
    /// `setting`.
    pub(crate) fn begin(
        path: &Path,
        nonce: Uuid,
        setting: &'static str,
    ) -> Result<Self, TerminationLogError> {
        let write = |source| TerminationLogError::Write {
            setting,
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new().write(true).open(path).map_err(write)?;
        if !file.metadata().map_err(write)?.is_file() {
            let source = io::Error::new(ErrorKind::InvalidInput, "it is no regular file");
            return Err(write(source));
        }
        file.try_lock().map_err(|refused| match refused {
            TryLockError::WouldBlock => TerminationLogError::Held {
                setting,
                path: path.to_owned(),
            },
            TryLockError::Error(source) => write(source),
        })?;
        let text = format!("\n{nonce}\n");
        file.set_len(0)
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(write)?;
        let left = LONGEST - text.len();
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
    pub(crate) fn add_panics(&self) {
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

    fn begin(path: &Path, nonce: Uuid) -> Result<TerminationLog, TerminationLogError> {
        TerminationLog::begin(path, nonce, "LOG")
    }

    fn begun() -> (PathBuf, TerminationLog) {
        let path = std::env::temp_dir().join(format!("termination-log-{}", Uuid::new_v4()));
        std::fs::write(&path, "left by nobody").unwrap();
        let log = begin(&path, NONCE).unwrap();
        (path, log)
    }

    fn read(path: &Path) -> String {
        let text = std::fs::read_to_string(path).unwrap();
        std::fs::remove_file(path).unwrap();
        text
    }

    #[test]
    fn the_nonce_is_a_line_behind_whatever_kubelet_puts_before_it_and_reasons_follow() {
        let (path, log) = begun();
        log.add("boom").unwrap();
        log.add("and again").unwrap();
        assert_eq!(read(&path), format!("\n{NONCE}\nboom\nand again\n"));
    }

    #[test]
    fn however_much_is_added_kubelet_reads_the_nonce_too() {
        let (path, log) = begun();
        log.add(&"ä".repeat(5000)).unwrap();
        log.add("more").unwrap();
        let text = read(&path);
        assert!(
            text.len() <= LONGEST && text.len() > LONGEST - 4,
            "{}",
            text.len()
        );
        assert_eq!(text.lines().nth(1), Some(NONCE.to_string().as_str()));
    }

    #[test]
    fn a_second_process_leaves_the_log_of_the_first_as_it_is() {
        let (path, log) = begun();
        log.add("boom").unwrap();
        let error = begin(&path, Uuid::nil()).unwrap_err();
        assert!(matches!(error, TerminationLogError::Held { .. }), "{error}");
        assert_eq!(read(&path), format!("\n{NONCE}\nboom\n"));
    }

    #[test]
    fn the_lock_goes_with_the_process() {
        let (path, log) = begun();
        drop(log);
        let successor = begin(&path, Uuid::nil()).unwrap();
        assert_eq!(read(&path), format!("\n{}\n", Uuid::nil()));
        drop(successor);
    }

    #[test]
    fn what_keeps_no_text_is_no_termination_log() {
        let error = begin(Path::new("/dev/null"), NONCE).unwrap_err();
        assert!(
            matches!(error, TerminationLogError::Write { .. }),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_kubelet_has_not_made_is_an_error_that_names_it() {
        let error = begin(Path::new("/nowhere/termination-log"), NONCE).unwrap_err();
        assert!(
            error.to_string().contains("LOG /nowhere/termination-log"),
            "{error}"
        );
    }
}
