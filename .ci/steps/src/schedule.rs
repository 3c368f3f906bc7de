//! Which steps to start now. Pure: it knows no process and no clock.

use crate::graph::{Class, Step};

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Waiting,
    Running,
    Passed,
    Failed,
}

/// For each step the seconds until the goal is reached when it starts now and nothing else is waited for.
pub(crate) fn urgency(steps: &[Step]) -> Vec<u64> {
    let mut urgency: Vec<u64> = steps.iter().map(|step| step.usual).collect();
    for (index, step) in steps.iter().enumerate().rev() {
        for &before in &step.after {
            urgency[before] = urgency[before].max(steps[before].usual + urgency[index]);
        }
    }
    urgency
}

/// The steps to start, the most urgent ones first. Needs come before all others, and nothing starts after a failure, but
/// for the rest of the needs: all that the machine lacks is to be said at once.
pub(crate) fn startable(steps: &[Step], states: &[State], urgency: &[u64]) -> Vec<usize> {
    let waits = |index: &usize| states[*index] == State::Waiting;
    let is_need = |index: &usize| steps[*index].class == Class::Need;
    let all = 0..steps.len();
    let needs_left = all
        .clone()
        .any(|index| is_need(&index) && matches!(states[index], State::Waiting | State::Running));
    if !needs_left && states.contains(&State::Failed) {
        return Vec::new();
    }
    let has_passed = |&before: &usize| states[before] == State::Passed;
    let mut candidates: Vec<usize> = all
        .filter(waits)
        .filter(|index| !needs_left || is_need(index))
        .filter(|&index| steps[index].after.iter().all(has_passed))
        .collect();
    candidates.sort_by_key(|&index| std::cmp::Reverse(urgency[index]));
    let mut start: Vec<usize> = Vec::new();
    for index in candidates {
        let class = steps[index].class;
        let counts = |&other: &usize| {
            let as_urgent = class.is_strict() || urgency[other] >= urgency[index];
            steps[other].class == class && as_urgent
        };
        let running = (0..steps.len()).filter(|&other| states[other] == State::Running);
        let busy = running.filter(counts).count();
        let chosen = start.iter().filter(|&other| counts(other)).count();
        if busy + chosen < class.limit() {
            start.push(index);
        }
    }
    start
}

#[cfg(test)]
mod tests {
    use super::State::{Failed, Passed, Waiting};
    use super::*;

    fn step(class: Class, usual: u64, after: &[usize]) -> Step {
        Step {
            name: String::new(),
            class,
            usual,
            after: after.to_vec(),
        }
    }

    #[test]
    fn classes_run_side_by_side_and_one_build_at_a_time_in_each() {
        let steps = [
            step(Class::Rust, 10, &[]),
            step(Class::Rust, 20, &[]),
            step(Class::Go, 5, &[]),
            step(Class::Cluster, 100, &[2]),
        ];
        let urgency = urgency(&steps);
        assert_eq!(urgency, [10, 20, 105, 100]);
        let mut states = [Waiting; 4];
        assert_eq!(startable(&steps, &states, &urgency), [2, 1]);
        states = [Waiting, State::Running, Passed, Waiting];
        assert_eq!(startable(&steps, &states, &urgency), [3]);
    }

    #[test]
    fn what_much_waits_for_does_not_wait_for_what_nothing_waits_for() {
        let steps = [
            step(Class::Go, 10, &[]),
            step(Class::Go, 10, &[]),
            step(Class::Go, 10, &[]),
            step(Class::Go, 390, &[]),
        ];
        let urgency = urgency(&steps);
        let states = [State::Running, State::Running, Waiting, Waiting];
        assert_eq!(startable(&steps, &states, &urgency), [3]);
        let strict = steps.map(|go| Step {
            class: Class::Rust,
            ..go
        });
        assert!(startable(&strict, &states, &urgency).is_empty());
    }

    #[test]
    fn nothing_is_built_before_every_need_has_been_checked() {
        let steps = [
            step(Class::Need, 0, &[]),
            step(Class::Need, 0, &[]),
            step(Class::Rust, 10, &[]),
        ];
        let urgency = urgency(&steps);
        assert_eq!(startable(&steps, &[Waiting; 3], &urgency), [0]);
        assert_eq!(
            startable(&steps, &[Failed, Waiting, Waiting], &urgency),
            [1]
        );
        assert!(startable(&steps, &[Failed, Passed, Waiting], &urgency).is_empty());
        assert_eq!(startable(&steps, &[Passed, Passed, Waiting], &urgency), [2]);
    }

    #[test]
    fn a_failure_starts_nothing_more() {
        let steps = [step(Class::Rust, 1, &[]), step(Class::Go, 1, &[])];
        let states = [Failed, Waiting];
        assert!(startable(&steps, &states, &[1, 1]).is_empty());
    }
}
