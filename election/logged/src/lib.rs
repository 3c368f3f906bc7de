//! What is logged on the thread of a test.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "it is a part of tests, which the clippy settings for tests do not know"
)]

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{Dispatch, subscriber::DefaultGuard};

/// A second subscriber, which nobody logs to. While there is one alone, tracing takes a no of a thread that does not
/// record for that of all.
static SECOND: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish()));

/// Keeps what is logged while it exists.
#[derive(Debug)]
pub struct Logged {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Logged {
    /// Records from now on, as JSON.
    #[must_use]
    pub fn from_now_on() -> Self {
        LazyLock::force(&SECOND);
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(move || writer.clone())
            .finish();
        Self {
            lines,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// The fields of the last line that says `message`.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn fields(&self, message: &str) -> serde_json::Value {
        let lines = self.with(message);
        let fields = |line: &String| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            line["fields"].clone()
        };
        let mut said = lines.iter().rev().map(fields);
        said.find(|fields| fields["message"] == message)
            .unwrap_or_else(|| panic!("{message} is not in {lines:#?}"))
    }

    /// The lines that hold this text.
    ///
    /// # Panics
    /// If the recording has panicked before.
    pub fn with(&self, text: &str) -> Vec<String> {
        let bytes = self.lines.0.lock().unwrap();
        let all = String::from_utf8_lossy(&bytes);
        let found = all.lines().filter(|line| line.contains(text));
        found.map(str::to_owned).collect()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
