//! What a finished run writes into its folder beside the raw data.

use crate::{
    archive,
    folder::{Folder, WriteError},
    junit, markdown, page,
};
use failover_judging::report::Report;

/// Writes the report in all its forms. The page draws the raw data that the folder holds by then.
pub fn write(folder: &Folder, report: &Report) -> Result<(), WriteError> {
    keep(folder, report)?;
    page::write(folder, report).map(drop)
}

/// Writes what can be read back of a report that is not at its end yet. The page is left out: it reads and draws every
/// trial there was, and a run has no time for that between two trials.
pub fn keep(folder: &Folder, report: &Report) -> Result<(), WriteError> {
    folder.write_json(archive::REPORT, report)?;
    let document = junit::render(report);
    let document =
        document.map_err(|error| folder.failed(junit::FILE, std::io::Error::other(error)))?;
    folder.write(junit::FILE, &document)?;
    folder.write(markdown::FILE, &markdown::render(report))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::samples::report;

    #[test]
    fn what_is_kept_between_trials_can_be_read_back_and_is_not_drawn() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(place.path().to_owned()).unwrap();
        keep(&folder, &report()).unwrap();
        assert_eq!(archive::report(place.path()).unwrap().1, report());
        assert!(!place.path().join(page::FILE).exists());
    }

    #[test]
    fn every_form_is_written() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(place.path().to_owned()).unwrap();
        write(&folder, &report()).unwrap();
        let (_, read) = archive::report(place.path()).unwrap();
        assert_eq!(read, report());
        for (name, begin) in [
            ("junit.xml", "<?xml"),
            ("summary.md", "### Failover"),
            ("report.html", "<!DOCTYPE html>"),
        ] {
            let text = std::fs::read_to_string(place.path().join(name)).unwrap();
            assert!(text.starts_with(begin), "{name}: {text}");
        }
    }
}
