//! What is logged on the thread of a test.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex},
};

use tracing::{Dispatch, subscriber::DefaultGuard};
use tracing_subscriber::fmt::MakeWriter;

/// A second subscriber, which nobody logs to. While there is one alone, tracing takes a no of a thread that does not
/// record for that of all.
static SECOND: LazyLock<Dispatch> =
    LazyLock::new(|| Dispatch::new(tracing_subscriber::fmt().with_writer(io::sink).finish()));

/// Keeps what is logged while it exists.
pub(crate) struct Logged {
    lines: Lines,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Logged {
    pub(crate) fn from_now_on() -> Self {
        LazyLock::force(&SECOND);
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_writer(lines.clone())
            .finish();
        Self {
            lines,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// The fields of the last line that says `message`.
    pub(crate) fn fields(&self, message: &str) -> serde_json::Value {
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
    pub(crate) fn with(&self, text: &str) -> Vec<String> {
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

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
