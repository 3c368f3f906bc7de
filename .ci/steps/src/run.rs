//! Runs steps until all have passed or one has failed.

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::{
    graph::{Class, Step},
    process::{Ended, Event, Running},
    schedule::{State, startable, urgency},
    screen::{Active, Row, Screen, table},
    tally::Tally,
    times::{Times, clock},
};

/// How often the status is shown and signals are looked for.
const TICK: Duration = Duration::from_millis(500);
/// How long a step has to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(10);

/// A step while the goal is pursued.
#[derive(Debug, Default)]
struct Course {
    running: Option<Running>,
    began: Option<Instant>,
    took: Option<Duration>,
    line: String,
}

struct Run<'a> {
    steps: &'a [Step],
    just: &'a Path,
    folder: &'a Path,
    states: Vec<State>,
    courses: Vec<Course>,
    expected: Vec<u64>,
    last: Vec<Option<u64>>,
    times: Times,
    screen: Screen,
    tally: Tally,
    begin: Instant,
    shown: Instant,
    sender: Sender<Event>,
}

/// Runs the steps; logs and times are kept in `folder`. The exit code is 0 when all passed, 1 when one failed, 2 when the
/// machine lacks something, and 130 after a signal.
pub(crate) fn run(steps: &[Step], just: &Path, folder: &Path) -> io::Result<u8> {
    fs::create_dir_all(folder)?;
    let stopped = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stopped))?;
    }
    let times = Times::read(folder.join("times"));
    let last: Vec<Option<u64>> = steps.iter().map(|step| times.last(&step.name)).collect();
    let expected = steps
        .iter()
        .zip(&last)
        .map(|(step, last)| last.unwrap_or(step.usual))
        .collect();
    let (sender, events) = channel();
    let mut run = Run {
        steps,
        just,
        folder,
        states: vec![State::Waiting; steps.len()],
        courses: steps.iter().map(|_| Course::default()).collect(),
        expected,
        last,
        times,
        screen: Screen::new(),
        tally: Tally::default(),
        begin: now(),
        shown: now(),
        sender,
    };
    let completed = run.pursue(&events, &stopped)?;
    Ok(run.conclude(completed))
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a build takes is measured on the machine's own clock"
)]
fn now() -> Instant {
    Instant::now()
}

impl Run<'_> {
    /// Runs until nothing is left to do; `false` after a signal.
    fn pursue(&mut self, events: &Receiver<Event>, stopped: &AtomicBool) -> io::Result<bool> {
        // By the usual times: the last ones say little where much was built already.
        let urgency = urgency(self.steps);
        loop {
            for index in startable(self.steps, &self.states, &urgency) {
                let waits =
                    |other: &usize| matches!(self.states[*other], State::Waiting | State::Running);
                let most = (0..self.steps.len())
                    .filter(waits)
                    .map(|other| urgency[other])
                    .max();
                // Half of the longest way to the goal still lies behind it.
                let is_urgent = most.is_some_and(|most| 2 * urgency[index] >= most);
                self.start(index, is_urgent)?;
            }
            if !self.states.contains(&State::Running) {
                return Ok(true);
            }
            self.hear(events);
            if stopped.load(Ordering::Relaxed) {
                self.screen.say("steps: interrupted; ending what runs");
                self.end_all(events);
                return Ok(false);
            }
            let is_need = |index: usize| self.steps[index].class == Class::Need;
            if (0..self.steps.len())
                .any(|index| self.states[index] == State::Failed && !is_need(index))
            {
                self.end_all(events);
                return Ok(true);
            }
        }
    }

    fn start(&mut self, index: usize, is_urgent: bool) -> io::Result<()> {
        let step = &self.steps[index];
        let course = &mut self.courses[index];
        let running = Running::start(
            index,
            &step.name,
            self.just,
            step.class.nice(is_urgent),
            self.folder,
            &self.sender,
        )?;
        course.running = Some(running);
        course.began = Some(now());
        self.states[index] = State::Running;
        if step.class != Class::Need {
            let (how, expected) = match self.last[index] {
                Some(last) => ("last time", last),
                None => ("as a rule", step.usual),
            };
            let (ended, all) = self.progress();
            self.screen.say(&format!(
                "[{ended}/{all}] {} {}: begins; {how} {}",
                clock(self.begin.elapsed().as_secs()),
                step.name,
                clock(expected)
            ));
        }
        Ok(())
    }

    /// Takes one event, or none within a tick.
    fn hear(&mut self, events: &Receiver<Event>) {
        match events.recv_timeout(TICK) {
            Ok(Event::Line(index, line)) => self.courses[index].line = line,
            Ok(Event::Ended(index, ended)) => self.end(index, ended),
            // The sender of this run is never dropped before it.
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
        }
        if self.shown.elapsed() >= TICK {
            self.shown = now();
            self.show();
        }
    }

    fn end(&mut self, index: usize, ended: Ended) {
        let step = &self.steps[index];
        let course = &mut self.courses[index];
        let took = course.began.map_or(Duration::ZERO, |began| began.elapsed());
        course.took = Some(took);
        self.states[index] = if ended.success {
            State::Passed
        } else {
            State::Failed
        };
        self.tally += ended.tally;
        let log = course
            .running
            .take()
            .map(|running| running.log)
            .unwrap_or_default();
        if step.class == Class::Need {
            if !ended.success {
                // What a need says is the message: one line, without a heading.
                let said = fs::read_to_string(&log).unwrap_or_default();
                for line in said.lines().filter(|line| !line.starts_with("error: ")) {
                    self.screen.say(line);
                }
            }
            return;
        }
        if let Some(error) = ended.error {
            self.screen
                .say(&format!("steps: cannot follow {}: {error}", step.name));
        }
        self.screen
            .log(&step.name, took.as_secs(), ended.success, &log);
        let (passed, all) = self.progress();
        self.screen.say(&format!(
            "[{passed}/{all}] {} {}: {} after {}",
            clock(self.begin.elapsed().as_secs()),
            step.name,
            if ended.success { "done" } else { "failed" },
            clock(took.as_secs())
        ));
        if ended.success
            && let Err(error) = self.times.keep(&step.name, took)
        {
            self.screen.say(&format!(
                "steps: cannot keep the time of {}: {error}",
                step.name
            ));
        }
    }

    /// Ends what runs: first asked to, then without asking.
    fn end_all(&mut self, events: &Receiver<Event>) {
        for (signal, limit) in [
            (Signal::TERM, GRACE),
            (Signal::KILL, Duration::from_secs(2)),
        ] {
            for running in self
                .courses
                .iter()
                .filter_map(|course| course.running.as_ref())
            {
                running.signal(signal);
            }
            let deadline = now() + limit;
            while self.courses.iter().any(|course| course.running.is_some()) {
                let left = deadline.saturating_duration_since(now());
                match events.recv_timeout(left) {
                    Ok(Event::Ended(index, ended)) => {
                        self.states[index] = State::Waiting;
                        self.courses[index].running = None;
                        self.tally += ended.tally;
                    }
                    Ok(Event::Line(..)) => {}
                    Err(_) => break,
                }
            }
        }
    }

    /// How many steps have passed, and how many there are; needs are none.
    fn progress(&self) -> (usize, usize) {
        let steps = self.steps.iter().zip(&self.states);
        let steps = steps.filter(|(step, _)| step.class != Class::Need);
        let passed = steps.clone().filter(|(_, state)| **state == State::Passed);
        (passed.count(), steps.count())
    }

    fn show(&mut self) {
        let running = |index: &usize| self.states[*index] == State::Running;
        let active: Vec<Active<'_>> = (0..self.steps.len())
            .filter(running)
            .map(|index| Active {
                name: &self.steps[index].name,
                seconds: self.courses[index]
                    .began
                    .map_or(0, |began| began.elapsed().as_secs()),
                expected: self.expected[index],
                line: &self.courses[index].line,
            })
            .collect();
        let seconds = self.begin.elapsed().as_secs();
        self.screen.status(self.progress(), seconds, &active);
    }

    /// Says how it went.
    fn conclude(&self, completed: bool) -> u8 {
        let failed = |class: fn(Class) -> bool| {
            let states = self.steps.iter().zip(&self.states);
            states
                .filter(|(step, state)| **state == State::Failed && class(step.class))
                .count()
        };
        if failed(|class| class == Class::Need) > 0 {
            return 2;
        }
        let mut rows: Vec<(Instant, Row<'_>)> = (0..self.steps.len())
            .filter(|&index| self.steps[index].class != Class::Need)
            .filter_map(|index| {
                let course = &self.courses[index];
                let (began, took) = course.began.zip(course.took)?;
                let row = Row {
                    name: &self.steps[index].name,
                    began: (began - self.begin).as_secs(),
                    took: took.as_secs(),
                    last: self.last[index],
                    passed: self.states[index] == State::Passed,
                };
                Some((began, row))
            })
            .collect();
        rows.sort_by_key(|(began, _)| *began);
        let rows: Vec<Row<'_>> = rows.into_iter().map(|(_, row)| row).collect();
        self.screen.say(&format!(
            "\n{}all in {}",
            table(&rows),
            clock(self.begin.elapsed().as_secs())
        ));
        let failures = failed(|_| true);
        if self.tally != Tally::default() {
            self.screen.say(&format!(
                "{} passed, {} failed",
                self.tally.passed,
                self.tally.failed.max(u64::from(failures > 0))
            ));
        }
        match (completed, failures) {
            (false, _) => 130,
            (true, 0) => 0,
            (true, _) => 1,
        }
    }
}

#[cfg(test)]
mod tests;
