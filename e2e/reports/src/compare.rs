//! `failover compare`: runs side by side, each against the first. It passes no verdict; `--baseline` does.

use std::path::PathBuf;

use clap::Args;
use comfy_table::CellAlignment;

use crate::{
    archive::{self, ReadError},
    table::{self, seconds, wrapped},
};
use failover_judging::{
    criteria::{
        Comparisons, Pair, Sample,
        comparison::{ALPHA, differences},
    },
    fault::FaultKind,
    report::Report,
    statistics::Phase,
};

/// How runs are called, in order.
const NAMES: [&str; 10] = ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"];

/// Put runs side by side, of one operator or of several.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// The run that the others are compared with: its folder, or its report.json
    #[arg(value_name = "A")]
    pub first: PathBuf,
    /// The others, nine at most
    #[arg(value_name = "B", required = true, num_args = 1..=9)]
    pub others: Vec<PathBuf>,
}

impl CompareArgs {
    /// The comparison as text for a terminal of 80 columns.
    pub fn run(&self) -> Result<String, ReadError> {
        let paths = || std::iter::once(&self.first).chain(&self.others);
        let mut reports = Vec::new();
        for path in paths() {
            reports.push(archive::report(path)?.1);
        }
        let lines: Vec<String> = NAMES
            .iter()
            .zip(paths().zip(&reports))
            .map(|(name, (path, report))| {
                wrapped(&format!(
                    "{name}: {}, {}",
                    path.display(),
                    described(report)
                ))
            })
            .collect();
        let [first, others @ ..] = reports.as_slice() else {
            return Ok(String::new());
        };
        Ok(format!(
            "{}\n\n{}\n",
            lines.join("\n"),
            render(first, others)
        ))
    }
}

fn described(report: &Report) -> String {
    let run = &report.run;
    format!("{} of {} ({})", report.verdict, run.image, run.began)
}

/// The first run and each of the others, which have their names from the place they have here.
fn render(first: &Report, others: &[Report]) -> String {
    let named: Vec<(&str, Comparisons)> = NAMES
        .iter()
        .skip(1)
        .zip(others)
        .map(|(name, other)| (*name, Comparisons::of(first, other)))
        .collect();
    let mut parts = Vec::new();
    let most = named
        .iter()
        .map(|(_, comparisons)| comparisons)
        .max_by_key(|comparisons| comparisons.pairs.len());
    match most.filter(|most| !most.pairs.is_empty()) {
        None => parts.push("no phase of any fault has values in both runs".to_owned()),
        Some(most) => {
            parts.push(table(&named));
            parts.push(wrapped(&format!(
                "/A: ratio of the median to that of A. Slower, faster: than A by more than noise, two-sided Mann-Whitney U \
                 test on the values of all trials, corrected (Holm) for the comparisons of a run with A, {} at most, so \
                 that at most {:.0} % of such runs have any false alarm; too few: {} trials in each run are needed to tell.",
                most.pairs.len(),
                ALPHA * 100.0,
                most.trials_needed()
            )));
        }
    }
    let lines: Vec<String> = named
        .iter()
        .zip(others)
        .flat_map(|((name, comparisons), other)| {
            let different = differences(first, other).into_iter();
            let unmatched = comparisons.unmatched.iter();
            different
                .map(|what| format!("different: {what}"))
                .chain(unmatched.map(|what| format!("not compared: {what}")))
                .map(|line| wrapped(&format!("A, {name}: {line}")))
                .collect::<Vec<_>>()
        })
        .collect();
    if !lines.is_empty() {
        parts.push(lines.join("\n"));
    }
    parts.join("\n\n")
}

fn table(named: &[(&str, Comparisons)]) -> String {
    let mut table = table::with_header([
        "replicas, fault",
        "from",
        "",
        "n",
        "p50",
        "p95",
        "/A",
        "than A",
    ]);
    let mut seen: Vec<(u32, FaultKind, Phase)> = Vec::new();
    for pair in named.iter().flat_map(|(_, comparisons)| &comparisons.pairs) {
        let key = (pair.replicas, pair.fault, pair.phase);
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        let pairs: Vec<(&str, &Pair)> = named
            .iter()
            .filter_map(|(name, comparisons)| {
                let of_key = |pair: &&Pair| (pair.replicas, pair.fault, pair.phase) == key;
                Some((*name, comparisons.pairs.iter().find(of_key)?))
            })
            .collect();
        table.add_row(cells(pair, &pairs));
    }
    for column in table.column_iter_mut().skip(3).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// One row with a line for A and one for each run that has the like.
fn cells(of: &Pair, pairs: &[(&str, &Pair)]) -> [String; 8] {
    let phase = match of.phase {
        Phase::Lease => "lease",
        Phase::Work => "work",
        Phase::Release => "release",
    };
    let lines = |first: String, other: &dyn Fn(&str, &Pair) -> String| {
        let others = pairs.iter().map(|(name, pair)| other(name, pair));
        std::iter::once(first)
            .chain(others)
            .collect::<Vec<_>>()
            .join("\n")
    };
    let samples =
        |cell: &dyn Fn(&Sample) -> String| lines(cell(&of.before), &|_, pair| cell(&pair.after));
    [
        format!("{} {}", of.replicas, of.fault),
        phase.to_owned(),
        lines("A".to_owned(), &|name, _| name.to_owned()),
        samples(&|sample| sample.summary.n.to_string()),
        samples(&|sample| seconds(sample.summary.p50_ms)),
        samples(&|sample| seconds(sample.summary.p95_ms)),
        lines(String::new(), &|_, pair| {
            pair.ratio()
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"))
        }),
        lines(String::new(), &|_, pair| pair.difference().to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::{
        fault::FaultKind,
        judge::Reason,
        samples::{crashes, says, trial},
    };

    #[test]
    fn two_runs_stand_side_by_side_within_eighty_columns() {
        let values = |from: f64| {
            (0..10)
                .map(|step| from + f64::from(step))
                .collect::<Vec<_>>()
        };
        let before = crashes(&values(1000.0));
        let mut after = crashes(&values(2000.0));
        after.run.fence = false;
        after.trials.push(trial(
            2,
            FaultKind::HolderOverwritten,
            1,
            15_000.0,
            Reason::Expired,
        ));
        let text = render(&before, &[after]);
        says(
            &text,
            &[
                "2 crash",
                "1.004",
                "2.004",
                "2.00",
                "slower",
                "fence: deployed before, none after",
                "not compared: 2 replicas, holder-overwritten",
            ],
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn several_runs_stand_beside_the_first_one_each() {
        let values = |from: f64| {
            (0..10)
                .map(|step| from + f64::from(step))
                .collect::<Vec<_>>()
        };
        let [first, same, slow] = [1000.0, 1000.0, 9000.0].map(|from| crashes(&values(from)));
        let text = render(&first, &[same, crashes(&[]), slow]);
        let rows: Vec<&str> = text.lines().filter(|line| line.contains("10")).collect();
        for (name, expected) in [("B", "1.00"), ("D", "8.97")] {
            let row = rows.iter().find(|row| row.contains(&format!(" {name} ")));
            assert!(row.is_some_and(|row| row.contains(expected)), "{text}");
        }
        says(&text, &["A, C: not compared"]);
    }

    #[test]
    fn runs_of_different_faults_say_that_there_is_nothing_to_compare() {
        says(
            &render(&crashes(&[]), &[crashes(&[1.0])]),
            &["no phase of any fault has values in both runs"],
        );
    }
}
