//! A model of the election, small enough that a checker walks every interleaving of it.
//!
//! It runs the real [`decide`], the real [`Observed`] and the real [`proves_death`]; around them is the least that can lead:
//! a Lease with compare-and-swap, a write in flight per replica that can be lost, late, answered late, or seen by a
//! read although it was given up, a term that counts from its sending. Time goes in ticks, clocks are at most one tick apart, a lease lasts four, a term one.
//!
//! Only what matters of a version is kept: whether it is still the one that the server has. So the model is finite.

mod real;
mod step;

use stateright::{Checker, Model, Property};

use crate::{
    mutation::{self, Mutation},
    record::Reason,
};

/// Ticks: the lease duration, the renew deadline, the retry period.
const D: u8 = 4;
const RD: u8 = 1;
const RP: u8 = 1;

/// A small world.
#[derive(Clone, Copy, Debug)]
struct Small {
    replicas: u8,
    /// How many processes a pod may have, one after the other.
    lives: u8,
    /// How many ticks clocks are apart at most.
    skew: u8,
    /// Whether a write that its sender gave up may still arrive.
    late_writes: bool,
    /// How many steps are walked; none for all that lead to something new.
    depth: Option<usize>,
    mutation: Option<Mutation>,
}

/// A process: the pod, and which of its lives.
type Process = (u8, u8);

/// What the Lease says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Says {
    holder: Option<Process>,
    successor: Option<u8>,
}

/// What a replica last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct View {
    says: Option<Says>,
    /// Whether the server still has that version.
    current: bool,
    age: u8,
    /// Whether the API showed it the proof of the holder's death.
    proven: bool,
}

/// A write of the Lease that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Flight {
    writes: Says,
    reason: Option<Reason>,
    age: u8,
    at: At,
    /// Before its arrival: whether it names the server's version. After it: whether it is still the latest write.
    current: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Client,
    Accepted,
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Term {
    age: u8,
    reason: Option<Reason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Replica {
    alive: bool,
    life: u8,
    ahead: u8,
    view: Option<View>,
    flight: Option<Flight>,
    term: Option<Term>,
    /// SIGTERM was sent: the work winds up, and the Lease is released after that.
    going: bool,
    /// A write that was given up: it has not arrived yet, or it has and can still be seen.
    late: Option<Flight>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    lease: Option<Says>,
    replicas: Vec<Replica>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Action {
    Tick(u8),
    Read(u8),
    Look(u8),
    Take(u8),
    Renew(u8),
    Terminate(u8),
    Release(u8, Option<u8>),
    Arrive(u8),
    Answer(u8),
    GiveUp(u8),
    ArriveLate(u8),
    Crash(u8),
    Restart(u8),
}

impl Model for Small {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let replica = Replica {
            alive: true,
            life: 1,
            ahead: 0,
            view: None,
            flight: None,
            term: None,
            going: false,
            late: None,
        };
        vec![State {
            lease: None,
            replicas: vec![replica; usize::from(self.replicas)],
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, replica) in (0..).zip(&state.replicas) {
            // Only a first sieve; whether an action is possible is for `State::act` to say.
            actions.push(Action::Tick(number));
            if replica.late.is_some_and(|late| late.at == At::Client) {
                actions.push(Action::ArriveLate(number));
            }
            match replica.flight {
                Some(Flight { at: At::Client, .. }) => actions.push(Action::Arrive(number)),
                Some(_) => actions.push(Action::Answer(number)),
                None => {}
            }
            if !replica.alive {
                actions.push(Action::Restart(number));
                continue;
            }
            actions.extend([Action::Look(number), Action::Crash(number)]);
            if replica.flight.is_some() {
                actions.push(Action::GiveUp(number));
                continue;
            }
            actions.push(Action::Read(number));
            if replica.term.is_none() {
                actions.push(Action::Take(number));
            } else if !replica.going {
                actions.extend([Action::Renew(number), Action::Terminate(number)]);
            } else {
                actions.push(Action::Renew(number));
                let others = (0..self.replicas)
                    .filter(|other| *other != number)
                    .map(Some);
                actions.extend(
                    others
                        .chain([None])
                        .map(|successor| Action::Release(number, successor)),
                );
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        mutation::with(self.mutation, || next.act(*self, action))?;
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn taken(state: &State, reason: Reason) -> bool {
            state.replicas.iter().any(|replica| {
                replica.is_live() && replica.term.is_some_and(|term| term.reason == Some(reason))
            })
        }
        vec![
            Property::always("terms never overlap", |_, state: &State| {
                state
                    .replicas
                    .iter()
                    .filter(|replica| replica.is_live())
                    .count()
                    < 2
            }),
            Property::sometimes("a free Lease is taken", |_, state| {
                taken(state, Reason::Released)
            }),
            Property::sometimes("an expired Lease is taken", |_, state| {
                taken(state, Reason::Expired)
            }),
            Property::sometimes("a dead holder's Lease is taken", |_, state| {
                taken(state, Reason::Proof)
            }),
            Property::sometimes("a pod reclaims its Lease", |_, state| {
                taken(state, Reason::Reclaimed)
            }),
            Property::sometimes("a lost answer is made up for", |_, state| {
                taken(state, Reason::Own)
            }),
        ]
    }
}

/// What a walk of every interleaving finds: how many states, and the properties that fail.
fn walk(small: Small) -> (usize, Vec<&'static str>) {
    let mut builder = small.checker().threads(2);
    if let Some(depth) = small.depth {
        builder = builder.target_max_depth(depth);
    }
    let checker = builder.spawn_bfs().join();
    let failed = small
        .properties()
        .into_iter()
        .filter(|property| match property.expectation {
            stateright::Expectation::Always => checker.discovery(property.name).is_some(),
            _ => checker.discovery(property.name).is_none(),
        })
        .map(|property| property.name)
        .collect();
    (checker.unique_state_count(), failed)
}

const TWO: Small = Small {
    replicas: 2,
    lives: 2,
    skew: 1,
    late_writes: false,
    depth: None,
    mutation: None,
};

#[test]
fn no_interleaving_of_two_replicas_makes_two_leaders_and_every_takeover_comes_about() {
    let (states, failed) = walk(TWO);
    println!("{states} states");
    assert!(failed.is_empty(), "{failed:?} in {states} states");
}

#[test]
fn nor_do_writes_that_arrive_after_they_were_given_up() {
    let (states, failed) = walk(Small {
        lives: 1,
        late_writes: true,
        ..TWO
    });
    println!("{states} states");
    assert_eq!(failed, ["a pod reclaims its Lease"], "in {states} states");
}

/// Three replicas have too many interleavings to walk all; these are all of up to so many steps, with one clock.
#[test]
fn nor_do_the_first_steps_of_three_replicas() {
    let (states, failed) = walk(Small {
        replicas: 3,
        lives: 1,
        skew: 0,
        depth: Some(16),
        ..TWO
    });
    println!("{states} states");
    assert!(
        !failed.contains(&"terms never overlap"),
        "in {states} states"
    );
    assert!(
        !failed.contains(&"a free Lease is taken"),
        "in {states} states"
    );
    assert!(
        !failed.contains(&"a dead holder's Lease is taken"),
        "in {states} states"
    );
}

/// What the model sees of the mutations. It has neither wall clocks nor namesakes, so three of them are the simulator's.
#[rstest::rstest]
#[case(Mutation::WritesWithoutVersion)]
#[case(Mutation::TakesWhatItSeesFirst)]
#[case(Mutation::CountsFromTheAnswer)]
#[case(Mutation::IgnoresTheRenewDeadline)]
#[case(Mutation::ReleasesBeforeTheWorkStopped)]
#[case(Mutation::BelievesAnyLastWords)]
#[case(Mutation::BelievesADeletion)]
#[case(Mutation::BelievesAnySight)]
fn a_broken_rule_makes_two_leaders(#[case] mutation: Mutation) {
    let (states, failed) = walk(Small {
        mutation: Some(mutation),
        ..TWO
    });
    println!("{mutation:?}: {states} states, {failed:?}");
    assert!(
        failed.contains(&"terms never overlap"),
        "{mutation:?} in {states} states"
    );
}
