//! How many tests passed and failed, counted from what `cargo test` and `go test -v` print.

use std::ops::AddAssign;

/// Tests that ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Counts a line of output.
    pub(crate) fn count(&mut self, line: &str) {
        if let Some(result) = line.strip_prefix("test result: ") {
            let number = |what: &str| -> u64 {
                let before = result
                    .split(what)
                    .next()
                    .filter(|before| before.len() < result.len());
                let digits = before.and_then(|before| before.trim_end().rsplit(' ').next());
                digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
            };
            self.passed += number(" passed");
            self.failed += number(" failed");
        } else if line.starts_with("--- PASS: ") {
            self.passed += 1;
        } else if line.starts_with("--- FAIL: ") {
            self.failed += 1;
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_runners_are_counted_and_nothing_else() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok. 652 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 1.00s",
            "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
            "--- PASS: TestOne (0.00s)",
            "    --- PASS: TestOne/part (0.00s)",
            "--- FAIL: TestTwo (0.00s)",
            "test leader::tests::passes ... ok",
        ] {
            tally.count(line);
        }
        assert_eq!(
            tally,
            Tally {
                passed: 654,
                failed: 3
            }
        );
    }
}
