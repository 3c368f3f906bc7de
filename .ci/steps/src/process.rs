//! One step as a process of its own: started at its priority, its output in a log, ended with all that it started.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::Sender,
    thread,
};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::tally::Tally;

/// What a running step tells.
#[derive(Debug)]
pub(crate) enum Event {
    /// A line of its output.
    Line(usize, String),
    /// It ended.
    Ended(usize, Ended),
}

/// How a step ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) tally: Tally,
    /// Why its end could not be learned.
    pub(crate) error: Option<io::Error>,
}

/// A step that runs.
#[derive(Debug)]
pub(crate) struct Running {
    group: Option<Pid>,
    pub(crate) log: PathBuf,
}

/// Nice values count only within a session where the kernel groups sessions (autogroup), so the session is niced too.
const NICE: &str = "{ echo $0 >/proc/self/autogroup; } 2>/dev/null || true; [ $0 -gt 0 ] || exec \"$@\"; exec nice -n $0 \"$@\"";

impl Running {
    /// Starts a recipe without its dependencies. Its session is its own, so that all of it can be ended.
    pub(crate) fn start(
        index: usize,
        recipe: &str,
        just: &Path,
        nice: i8,
        logs: &Path,
        events: &Sender<Event>,
    ) -> io::Result<Self> {
        let log = logs.join(format!("{recipe}.log"));
        let (reader, writer) = io::pipe()?;
        let mut command = Command::new("setsid");
        let child = command
            .args(["sh", "-c", NICE, &nice.to_string()])
            .arg(just)
            .args(["--no-deps", recipe])
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .spawn()?;
        // The command holds the writing ends until it is dropped, and the reader would wait for them.
        drop(command);
        let group = Pid::from_raw(child.id().cast_signed());
        let file = File::create(&log)?;
        let events = events.clone();
        thread::spawn(move || {
            let ended = follow(index, child, reader, file, &events);
            // Nobody listens any more once the run is over.
            let _ = events.send(Event::Ended(index, ended));
        });
        Ok(Self { group, log })
    }

    /// Ends the step and all that it started.
    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may have ended by itself.
            let _ = kill_process_group(group, signal);
        }
    }
}

fn follow(
    index: usize,
    mut child: Child,
    reader: io::PipeReader,
    mut file: File,
    events: &Sender<Event>,
) -> Ended {
    let mut tally = Tally::default();
    let copy = || -> io::Result<()> {
        let mut lines = BufReader::new(reader);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            file.write_all(&line)?;
            let text = String::from_utf8_lossy(&line);
            tally.count(&text);
            let _ = events.send(Event::Line(index, text.trim().to_owned()));
            line.clear();
        }
        Ok(())
    };
    let copied = copy();
    let status = child.wait();
    Ended {
        success: copied.is_ok() && status.as_ref().is_ok_and(std::process::ExitStatus::success),
        tally,
        error: copied.err().or(status.err()),
    }
}
