//! What happened in a scenario, in order, for a reader.
//!
//! It is off unless a seed is replayed. Then it has what the world does and what the replicas themselves log, each line
//! with the true time since the start and with who it is about.

use std::{
    cell::{Cell, RefCell},
    fmt::{self, Write},
    sync::LazyLock,
};

use tracing::{
    Dispatch, Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
    static NOW: Cell<u64> = const { Cell::new(0) };
    static SPEAKER: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Takes what the replicas log on this thread into the trace.
struct Logs;

/// A second subscriber, which nobody logs to. While there is one alone, tracing asks the thread that comes to a line of code
/// first whether the line is wanted, and takes a no of a thread that does not record for that of all.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(Logs));

struct Line(String);

/// While it exists, what is logged is the replica's.
pub(super) struct Speaking(Option<usize>);

/// Runs `scenario` with the trace on, and gives back both.
pub(super) fn record<T>(scenario: impl FnOnce() -> T) -> (T, Vec<String>) {
    LazyLock::force(&SECOND);
    LINES.set(Some(Vec::new()));
    let outcome = tracing::subscriber::with_default(Logs, scenario);
    (outcome, LINES.take().unwrap_or_default())
}

/// The true time of what follows, in milliseconds.
pub(super) fn at(now: u64) {
    NOW.set(now);
}

/// Notes what the world does. The text is made only if somebody reads it.
pub(super) fn note(text: impl FnOnce() -> String) {
    LINES.with_borrow_mut(|lines| {
        if let Some(lines) = lines {
            lines.push(line("", &text()));
        }
    });
}

/// Names the replica that what follows comes from.
pub(super) fn speaks(who: usize) -> Speaking {
    Speaking(SPEAKER.replace(Some(who)))
}

fn line(level: &str, text: &str) -> String {
    let now = NOW.get();
    let who = match (SPEAKER.get(), level) {
        (Some(who), _) => format!("process {who}"),
        (None, _) => "world".to_owned(),
    };
    format!(
        "{:>4}.{:03}  {who:<11} {level}{text}",
        now / 1000,
        now % 1000
    )
}

impl Drop for Speaking {
    fn drop(&mut self) {
        SPEAKER.set(self.0);
    }
}

impl Subscriber for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Line(String::new());
        event.record(&mut text);
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines {
                let level = format!("{}: ", event.metadata().level().as_str().to_lowercase());
                lines.push(line(&level, &text.0));
            }
        });
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a String cannot fail.
        let _ = if field.name() == "message" {
            write!(self.0, "{value:?} ")
        } else {
            write!(self.0, "{}={value:?} ", field.name())
        };
    }
}
