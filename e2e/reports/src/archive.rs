//! Reads the results of an earlier run back: its report, and the raw data of its trials.

use std::path::{Path, PathBuf};

use serde::{Deserialize, de::DeserializeOwned};

use crate::folder;
use failover_judging::{
    criteria::{Baseline, Percent},
    observed::TrialData,
    report::{FORMAT_VERSION, Report},
};

/// The name of the report in the folder of a run.
pub const REPORT: &str = "report.json";

/// The results of an earlier run.
#[derive(Clone, Debug)]
pub struct Archive {
    /// Where the report is.
    pub place: PathBuf,
    /// The report.
    pub report: Report,
    /// The raw data of every trial of the report; `None` when there is none beside it.
    pub trials: Option<Vec<TrialData>>,
}

/// Why an earlier run can't be read. All of these are the user's to mend.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum ReadError {
    #[error("failed to read {}", .path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is no {what}", .path.display())]
    Json {
        path: PathBuf,
        what: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "{}: format_version is {found}, this failover reads {FORMAT_VERSION}: read it with the version that wrote it, or \
         measure again", .path.display()
    )]
    Version { path: PathBuf, found: u32 },
}

/// What every version of the report has.
#[derive(Deserialize)]
struct Versioned {
    format_version: u32,
}

impl Archive {
    /// Reads the report at `path`, which may be the folder of a run, and the raw data beside it.
    pub fn read(path: &Path) -> Result<Self, ReadError> {
        let (place, report) = report(path)?;
        let folder = place.parent().unwrap_or(Path::new("."));
        let trials = if folder.join(folder::TRIALS).is_dir() {
            let ids = report.trials.iter().map(|trial| trial.id);
            let read = ids.map(|id| json(&folder.join(folder::trial_file(id)), "trial's data"));
            Some(read.collect::<Result<_, _>>()?)
        } else {
            None
        };
        Ok(Self {
            place,
            report,
            trials,
        })
    }
}

/// Reads the report of an earlier run at `path`, which may be its folder, to compare with.
pub fn baseline(path: &Path, regression: Percent) -> Result<Baseline, ReadError> {
    let (place, report) = report(path)?;
    Ok(Baseline {
        place,
        report,
        regression,
    })
}

/// Reads the report at `path`, which may be the folder of a run; gives where it is as well.
pub fn report(path: &Path) -> Result<(PathBuf, Report), ReadError> {
    let place = if path.is_dir() {
        path.join(REPORT)
    } else {
        path.to_owned()
    };
    // An older report may lack what this version asks for; what it says then is which version it is.
    let Versioned { format_version } = json(&place, "report of failover")?;
    if format_version != FORMAT_VERSION {
        return Err(ReadError::Version {
            path: place,
            found: format_version,
        });
    }
    let report = json(&place, "report of failover")?;
    Ok((place, report))
}

fn json<T: DeserializeOwned>(path: &Path, what: &'static str) -> Result<T, ReadError> {
    let bytes = std::fs::read(path).map_err(|source| ReadError::Open {
        path: path.to_owned(),
        source,
    })?;
    serde_json::from_slice(&bytes).map_err(|source| ReadError::Json {
        path: path.to_owned(),
        what,
        source,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::folder::Folder;
    use failover_judging::{
        judge::judge,
        samples::{PROMISE, handover, report as sample, says},
    };

    /// A run of one trial in a folder of its own.
    pub(crate) fn run() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(place.path().to_owned()).unwrap();
        let data = handover();
        folder.write_trial(&data).unwrap();
        let report = Report {
            trials: vec![judge(&data, PROMISE)],
            ..sample()
        };
        folder.write_json(REPORT, &report.concluded()).unwrap();
        place
    }

    fn change(place: &Path, key: &str, value: serde_json::Value) {
        let file = place.join(REPORT);
        let mut report: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        report[key] = value;
        std::fs::write(&file, report.to_string()).unwrap();
    }

    #[test]
    fn a_run_is_found_by_its_folder_and_by_its_report() {
        let place = run();
        let by_folder = Archive::read(place.path()).unwrap();
        let by_report = Archive::read(&place.path().join(REPORT)).unwrap();
        assert_eq!(by_folder.report, by_report.report);
        assert_eq!(by_folder.trials, by_report.trials);
        let ids = by_folder.trials.unwrap().into_iter().map(|data| data.id);
        assert_eq!(ids.collect::<Vec<_>>(), [handover().id]);
    }

    #[test]
    fn a_report_of_another_version_is_refused_even_if_it_looks_different() {
        let place = run();
        change(place.path(), "format_version", 1.into());
        change(place.path(), "trials", "elsewhere".into());
        let error = Archive::read(place.path()).unwrap_err().to_string();
        says(&error, &["format_version is 1"]);
        assert!(error.contains(REPORT), "{error}");
    }

    #[test]
    fn a_file_that_is_no_report_is_named() {
        let place = run();
        std::fs::write(place.path().join(REPORT), "{}").unwrap();
        let error = Archive::read(place.path()).unwrap_err().to_string();
        says(&error, &["is no report of failover"]);
        let missing = place.path().join("nowhere");
        let error = Archive::read(&missing).unwrap_err().to_string();
        says(&error, &["nowhere"]);
    }

    #[test]
    fn raw_data_may_be_missing_as_a_whole_and_not_in_part() {
        let place = run();
        std::fs::remove_file(place.path().join("trials/2-graceful-1.json")).unwrap();
        let error = Archive::read(place.path()).unwrap_err().to_string();
        says(&error, &["2-graceful-1.json"]);
        std::fs::remove_dir(place.path().join("trials")).unwrap();
        assert_eq!(Archive::read(place.path()).unwrap().trials, None);
    }
}
