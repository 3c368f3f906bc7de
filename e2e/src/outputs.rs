//! What a finished run writes into its folder beside the raw data.

use crate::{
    archive,
    evidence::{Folder, WriteError},
    junit, markdown, page,
    report::Report,
};

/// Writes the report in all its forms. The page draws the raw data that the folder holds by then.
pub fn write(folder: &Folder, report: &Report) -> Result<(), WriteError> {
    folder.write_json(archive::REPORT, report)?;
    let document = junit::render(report);
    let document =
        document.map_err(|error| folder.failed(junit::FILE, std::io::Error::other(error)))?;
    folder.write(junit::FILE, &document)?;
    folder.write(markdown::FILE, &markdown::render(report))?;
    page::write(folder, report)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

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
