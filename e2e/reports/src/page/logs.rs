//! The logs of the replicas, as far as a page has room for them: what a pod said around a takeover explains it best.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use failover_judging::observed::Wall;

/// A line is cut to this many characters.
const LONGEST: usize = 140;

/// The logs in the folder of a run, by pod.
#[derive(Debug, Default)]
pub struct Logs(BTreeMap<String, Vec<Line>>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// By the clock of the pod's node.
    pub(super) at: Wall,
    text: String,
}

impl Logs {
    /// Reads the `<pod>-<restarts>.log` in `folder`, in each line a moment before the text. A folder that is not there
    /// holds no logs.
    pub(super) fn read(folder: &Path) -> Result<Self, (PathBuf, io::Error)> {
        let failed = |error| (folder.to_owned(), error);
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            entries => entries.map_err(failed)?,
        };
        let mut logs = Self::default();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let pod = name
                .and_then(|name| name.strip_suffix(".log"))
                .and_then(|name| name.rsplit_once('-'));
            if let Some((pod, _)) = pod {
                // What is no text is shown as far as it is one.
                let text = std::fs::read(&path).map_err(|error| (path.clone(), error))?;
                logs.add(pod, &String::from_utf8_lossy(&text));
            }
        }
        Ok(logs)
    }

    pub(super) fn add(&mut self, pod: &str, text: &str) {
        let lines = self.0.entry(pod.to_owned()).or_default();
        lines.extend(text.lines().filter_map(Line::of));
        lines.sort_by_key(|line| line.at);
    }

    pub(super) fn between(&self, pod: &str, from: Wall, to: Wall) -> &[Line] {
        let lines = self.0.get(pod).map_or(&[][..], Vec::as_slice);
        let first = lines.partition_point(|line| line.at < from);
        let end = lines.partition_point(|line| line.at <= to);
        lines.get(first..end).unwrap_or_default()
    }
}

impl Line {
    fn of(line: &str) -> Option<Self> {
        let (moment, text) = line.split_once(' ')?;
        let at = moment.parse::<jiff::Timestamp>().ok()?;
        Some(Self {
            at: Wall(at.as_microsecond()),
            text: text.to_owned(),
        })
    }

    /// Whether it warns or worse, in the words of the usual loggers.
    pub(super) fn warns(&self) -> bool {
        let level = match self.fields() {
            Some(fields) => fields
                .get("level")
                .and_then(|level| level.as_str())
                .unwrap_or_default()
                .to_ascii_lowercase(),
            // klog puts a letter before the date.
            None => match self.text.as_bytes() {
                [b'W' | b'E' | b'F', digit, ..] if digit.is_ascii_digit() => return true,
                _ => self.text.to_ascii_lowercase(),
            },
        };
        ["warn", "error", "fatal", "panic"]
            .iter()
            .any(|word| level.contains(word))
    }

    /// What it says; of a structured line the message.
    pub(super) fn words(&self) -> String {
        let message = self.fields().and_then(|fields| {
            ["message", "msg"]
                .iter()
                .find_map(|key| fields.get(*key)?.as_str().map(str::to_owned))
        });
        let text = message.unwrap_or_else(|| self.text.trim().to_owned());
        if text.chars().count() <= LONGEST {
            return text;
        }
        text.chars().take(LONGEST).chain(['…']).collect()
    }

    fn fields(&self) -> Option<serde_json::Map<String, serde_json::Value>> {
        self.text
            .starts_with('{')
            .then(|| serde_json::from_str(&self.text).ok())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line::of(&format!("2026-11-25T05:29:30.444303466Z {text}")).unwrap()
    }

    #[rstest::rstest]
    #[case(
        r#"{"level":"INFO","message":"took the Lease","reason":"hint"}"#,
        "took the Lease",
        false
    )]
    #[case(r#"{"level":"error","msg":"lost it"}"#, "lost it", true)]
    #[case(
        "W1125 05:29:30.4 1 leader.go:1] slow",
        "W1125 05:29:30.4 1 leader.go:1] slow",
        true
    )]
    #[case(
        "I1125 05:29:30.4 1 leader.go:1] fine",
        "I1125 05:29:30.4 1 leader.go:1] fine",
        false
    )]
    #[case("{broken", "{broken", false)]
    fn a_line_says_its_message_and_whether_it_warns(
        #[case] text: &str,
        #[case] words: &str,
        #[case] warns: bool,
    ) {
        assert_eq!(
            (line(text).words().as_str(), line(text).warns()),
            (words, warns)
        );
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(line(&"x".repeat(5000)).words().chars().count(), LONGEST + 1);
    }

    #[test]
    fn the_lives_of_a_pod_are_one_log_in_order_and_other_files_are_none() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("op-a-1.log", "2026-11-25T05:29:31Z second\nno moment\n");
        write("op-a-0.log", "2026-11-25T05:29:30Z first\n");
        write("notes.txt", "2026-11-25T05:29:30Z neither\n");
        let logs = Logs::read(folder.path()).unwrap();
        let all = logs.between("op-a", Wall(i64::MIN), Wall(i64::MAX));
        let words: Vec<String> = all.iter().map(Line::words).collect();
        assert_eq!(words, ["first", "second"]);
        let later = logs.between("op-a", all[1].at, Wall(i64::MAX));
        assert_eq!(later, &all[1..]);
        assert!(logs.between("op-b", Wall(0), Wall(i64::MAX)).is_empty());
    }

    #[test]
    fn a_folder_that_is_not_there_holds_no_logs() {
        let folder = tempfile::tempdir().unwrap();
        assert!(
            Logs::read(&folder.path().join("logs"))
                .unwrap()
                .0
                .is_empty()
        );
    }
}
