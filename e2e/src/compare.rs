//! `failover compare`: two runs side by side. It passes no verdict; `--baseline` does.

use std::path::PathBuf;

use clap::Args;
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::{
    archive::{self, ReadError},
    clock::Millis,
    comparison::{ALPHA, Comparisons, Pair, differences},
    figure::Phase,
    report::Report,
    table::wrapped,
};

/// Put two runs side by side.
#[derive(Clone, Debug, Args)]
pub struct CompareArgs {
    /// The earlier run: its folder, or its report.json
    #[arg(value_name = "A")]
    pub before: PathBuf,
    /// The later run: its folder, or its report.json
    #[arg(value_name = "B")]
    pub after: PathBuf,
}

impl CompareArgs {
    /// The comparison as text for a terminal of 80 columns.
    pub fn run(&self) -> Result<String, ReadError> {
        let (_, before) = archive::report(&self.before)?;
        let (_, after) = archive::report(&self.after)?;
        let name = |path: &PathBuf| path.display().to_string();
        let runs = format!(
            "A: {}, {}\nB: {}, {}",
            name(&self.before),
            described(&before),
            name(&self.after),
            described(&after)
        );
        Ok(format!("{runs}\n\n{}\n", render(&before, &after)))
    }
}

fn described(report: &Report) -> String {
    let run = &report.run;
    format!("{} of {} ({})", report.verdict, run.image, run.began)
}

fn render(before: &Report, after: &Report) -> String {
    let comparisons = Comparisons::of(before, after);
    let mut parts = Vec::new();
    if comparisons.pairs.is_empty() {
        parts.push("no phase of any fault has values in both runs".to_owned());
    } else {
        parts.push(table(&comparisons.pairs));
        parts.push(wrapped(&format!(
            "B/A: ratio of the medians. Slower, faster: by more than noise, two-sided Mann-Whitney U test on the values \
             of all trials, corrected (Holm) for {} comparisons, at most {:.0} % for one false alarm; too few: {} trials \
             in each run are needed to tell.",
            comparisons.pairs.len(),
            ALPHA * 100.0,
            comparisons.trials_needed()
        )));
    }
    let unmatched = comparisons.unmatched.iter();
    let lines: Vec<String> = differences(before, after)
        .into_iter()
        .map(|what| format!("different: {what}"))
        .chain(unmatched.map(|what| format!("not compared: {what}")))
        .map(|line| wrapped(&line))
        .collect();
    if !lines.is_empty() {
        parts.push(lines.join("\n"));
    }
    parts.join("\n\n")
}

fn table(pairs: &[Pair]) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Disabled);
    table.set_header([
        "replicas, fault",
        "from",
        "",
        "n",
        "p50",
        "p95",
        "B/A",
        "B is",
    ]);
    for pair in pairs {
        table.add_row(cells(pair));
    }
    for column in table.column_iter_mut().skip(3).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

/// One row of two lines.
fn cells(pair: &Pair) -> [String; 8] {
    let (before, after) = (pair.before.summary, pair.after.summary);
    let phase = match pair.phase {
        Phase::Lease => "lease",
        Phase::Work => "work",
        Phase::Release => "release",
    };
    let two = |first: String, second: String| format!("{first}\n{second}");
    [
        format!("{} {}", pair.replicas, pair.fault),
        phase.to_owned(),
        two("A".to_owned(), "B".to_owned()),
        two(before.n.to_string(), after.n.to_string()),
        two(seconds(before.p50_ms), seconds(after.p50_ms)),
        two(seconds(before.p95_ms), seconds(after.p95_ms)),
        two(
            String::new(),
            pair.ratio()
                .map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        ),
        two(String::new(), pair.difference().to_string()),
    ]
}

fn seconds(value: Millis) -> String {
    format!("{:.3}", value / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        budget::FaultKind, comparison::tests::run, report::tests::trial, takeover::Reason,
    };

    #[test]
    fn two_runs_stand_side_by_side_within_eighty_columns() {
        let values = |from: f64| {
            (0..10)
                .map(|step| from + f64::from(step))
                .collect::<Vec<_>>()
        };
        let before = run(&values(1000.0));
        let mut after = run(&values(2000.0));
        after.run.fence = false;
        after.trials.push(trial(
            2,
            FaultKind::HolderOverwritten,
            1,
            15_000.0,
            Reason::Expired,
        ));
        let text = render(&before, &after);
        for expected in [
            "2 crash",
            "1.004",
            "2.004",
            "2.00",
            "slower",
            "fence: deployed before, none after",
        ] {
            assert!(text.contains(expected), "no {expected} in\n{text}");
        }
        assert!(
            text.contains("not compared: 2 replicas, holder-overwritten"),
            "{text}"
        );
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    #[test]
    fn runs_of_different_faults_say_that_there_is_nothing_to_compare() {
        assert!(
            render(&run(&[]), &run(&[1.0]))
                .contains("no phase of any fault has values in both runs")
        );
    }
}
