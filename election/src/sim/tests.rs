//! Nothing is violated, the same seed gives the same scenario, and whatever rule is broken is found out.

use rstest::rstest;

use super::*;

/// Runs so many scenarios from this seed on.
fn run_all(from: u64, seeds: u64) -> Tally {
    let mut sum = Tally::default();
    for seed in from..from + seeds {
        let outcome = run(seed).unwrap();
        assert_eq!(
            outcome.violation, None,
            "seed {seed}: replay it with `just sim --seed {seed} --trace`"
        );
        sum += outcome.tally;
    }
    sum
}

// In quarters, because tests run beside each other.
#[rstest]
#[case(0)]
#[case(1)]
#[case(2)]
#[case(3)]
fn two_thousand_scenarios_violate_nothing(#[case] quarter: u64) {
    let sum = run_all(500 * quarter, 500);
    assert!(
        sum.takes > 500 && sum.terms > 500 && sum.writes > 5000,
        "nothing happened: {sum}"
    );
}

/// Seeds that once found something. What it was is fixed; each runs the same world as then only as long as nothing is drawn
/// in another order, so what a seed found is a test of its own beside the code that it is about.
#[rstest]
#[case::every_answer_to_a_take_was_lost_and_it_was_repeated_in_a_spin(601)]
#[case::the_same_with_five_replicas(349)]
#[case::an_update_before_anybody_led(374)]
#[case::a_read_from_before_the_lease_existed(119_511)]
fn seeds_that_found_something_find_nothing_more(#[case] seed: u64) {
    run_all(seed, 1);
}

#[test]
fn the_same_seed_gives_the_same_scenario_line_by_line() {
    let mut lines = 0;
    for seed in 0..20 {
        let (first, second) = (replay(seed).unwrap(), replay(seed).unwrap());
        assert_eq!(first, second, "seed {seed}");
        lines += first.1.len();
    }
    assert!(lines > 1000, "the traces say nothing");
}

/// Each from a seed that is a little before the one that finds it: `just sim --mutants` hunts from zero.
#[rstest]
#[case(Mutation::WritesWithoutVersion, 1_000_000, "transitions")]
#[case(Mutation::TrustsRenewTime, 1_000_000, "terms-overlap")]
#[case(Mutation::TakesWhatItSeesFirst, 1_000_000, "terms-overlap")]
#[case(Mutation::CountsFromTheAnswer, 1_026_370, "terms-overlap")]
#[case(Mutation::IgnoresTheRenewDeadline, 1_000_000, "terms-overlap")]
#[case(Mutation::ReleasesBeforeTheWorkStopped, 1_000_000, "terms-overlap")]
#[case(Mutation::BelievesAnyLastWords, 1_000_000, "terms-overlap")]
#[case(Mutation::BelievesANamesake, 1_000_400, "terms-overlap")]
#[case(Mutation::BelievesADeletion, 1_000_000, "terms-overlap")]
#[case(Mutation::ReclaimsByName, 1_000_000, "terms-overlap")]
#[case(Mutation::WritesFromAnyVersion, 1_000_000, "overwrite")]
#[case(Mutation::ActsOnAHintUnfenced, 1_000_000, "terms-overlap")]
#[case(Mutation::AsksTheStrictPolicyOnly, 1_000_400, "terms-overlap")]
#[case(Mutation::BelievesAnySight, 1_000_000, "terms-overlap")]
#[case(Mutation::IgnoresSights, 1_000_000, "livelock")]
#[case(Mutation::NeverLeavesTheLease, 1_001_750, "no-takeover")]
fn a_broken_rule_is_found_out(#[case] mutation: Mutation, #[case] from: u64, #[case] check: &str) {
    let found = hunt(mutation, from, 60).unwrap();
    let (_, violation) = found.unwrap_or_else(|| panic!("{mutation:?} is not found out"));
    assert_eq!(violation.check, check, "{violation}");
}

#[test]
fn every_mutation_is_hunted() {
    // The table above has one line for each.
    assert_eq!(Mutation::simulated().count(), 16);
}
