//! How long each step took the last time, kept between runs.

use std::{collections::BTreeMap, fmt::Write, fs, io, path::PathBuf, time::Duration};

/// The times of earlier runs.
#[derive(Debug)]
pub(crate) struct Times {
    file: PathBuf,
    seconds: BTreeMap<String, u64>,
}

impl Times {
    /// Reads the file of an earlier run. Without one, or with one that can't be read, nothing is known.
    pub(crate) fn read(file: PathBuf) -> Self {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let entry = |line: &str| {
            let (name, seconds) = line.split_once('\t')?;
            Some((name.to_owned(), seconds.parse().ok()?))
        };
        let seconds = text.lines().filter_map(entry).collect();
        Self { file, seconds }
    }

    /// What the step took the last time.
    pub(crate) fn last(&self, step: &str) -> Option<u64> {
        self.seconds.get(step).copied()
    }

    /// Keeps what a step took.
    pub(crate) fn keep(&mut self, step: &str, took: Duration) -> io::Result<()> {
        self.seconds.insert(step.to_owned(), took.as_secs());
        let mut text = String::new();
        for (name, seconds) in &self.seconds {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{name}\t{seconds}");
        }
        fs::write(&self.file, text)
    }
}

/// Minutes and seconds, as in `2:05`.
pub(crate) fn clock(seconds: u64) -> String {
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_from_one_run_to_the_next() {
        let folder = std::env::temp_dir().join(format!("steps-times-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("times");
        let mut times = Times::read(file.clone());
        assert_eq!(times.last("unit"), None);
        times.keep("unit", Duration::from_millis(65_900)).unwrap();
        assert_eq!(Times::read(file).last("unit"), Some(65));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_time_is_short_to_read() {
        assert_eq!(
            [clock(0), clock(65), clock(3725)],
            ["0:00", "1:05", "62:05"]
        );
    }
}
