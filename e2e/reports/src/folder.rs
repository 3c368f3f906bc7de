//! What a run leaves behind: raw data of every trial, the logs of every container, and for what went wrong a folder a
//! person can read.

use std::{
    fmt::Write as _,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

use failover_judging::{
    judge::TrialResult,
    observed::{ApiCall, ClockMap, LeaseSeen, TrialData, TrialId},
};

/// The folder of raw data in the folder of a run.
pub const TRIALS: &str = "trials";

/// The folder of the logs in the folder of a run.
const LOGS: &str = "logs";

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

/// Why something could not be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write {}", .path.display())]
pub struct WriteError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Folder {
    /// Creates the folder and what is in it.
    pub fn create(path: PathBuf) -> Result<Self, WriteError> {
        for folder in [path.clone(), path.join(TRIALS), path.join(LOGS)] {
            std::fs::create_dir_all(&folder).map_err(|source| WriteError {
                path: folder,
                source,
            })?;
        }
        Ok(Self { path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the logs of containers go.
    pub fn logs(&self) -> PathBuf {
        self.path.join(LOGS)
    }

    /// Copies the logs of another run's folder, where it has any.
    pub fn take_logs(&self, run: &Path) -> Result<(), WriteError> {
        let from = run.join(LOGS);
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| WriteError { path, source }
        };
        let same = match (from.canonicalize(), self.logs().canonicalize()) {
            (Ok(from), Ok(to)) => from == to,
            _ => false,
        };
        // To copy a file onto itself would empty it.
        if same || !from.is_dir() {
            return Ok(());
        }
        for entry in std::fs::read_dir(&from).map_err(failed(&from))? {
            let entry = entry.map_err(failed(&from))?;
            let to = self.logs().join(entry.file_name());
            std::fs::copy(entry.path(), &to).map_err(failed(&to))?;
        }
        Ok(())
    }

    /// Writes `value` as JSON.
    pub fn write_json(&self, name: &str, value: &impl Serialize) -> Result<PathBuf, WriteError> {
        let text = serde_json::to_string_pretty(value);
        let text = text.map_err(|error| WriteError {
            path: self.path.join(name),
            source: error.into(),
        })?;
        self.write(name, &(text + "\n"))
    }

    /// Writes the raw data of a trial.
    pub fn write_trial(&self, data: &TrialData) -> Result<PathBuf, WriteError> {
        self.write_json(&trial_file(data.id), data)
    }

    /// Writes what a person needs to understand a trial that was not passed; gives the name of its folder.
    pub fn write_failure(
        &self,
        data: &TrialData,
        result: &TrialResult,
    ) -> Result<String, WriteError> {
        let name = format!("failures/{}", slug(data.id));
        self.write_json(&format!("{name}/result.json"), result)?;
        self.write(
            &format!("{name}/lease.txt"),
            &lease_lines(&data.leases, data),
        )?;
        self.write(
            &format!("{name}/audit.txt"),
            &audit_lines(&data.calls, data),
        )?;
        Ok(name)
    }

    /// That `name` could not be written.
    pub fn failed(&self, name: &str, source: std::io::Error) -> WriteError {
        WriteError {
            path: self.path.join(name),
            source,
        }
    }

    /// Writes a file as a whole or not at all: whoever reads it meanwhile, or after this process was killed, finds the
    /// old one or the new one.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf, WriteError> {
        let path = self.path.join(name);
        let folder = path.parent().unwrap_or(&self.path);
        let write = || {
            std::fs::create_dir_all(folder)?;
            let mut file = tempfile::Builder::new()
                .permissions(std::fs::Permissions::from_mode(0o644))
                .tempfile_in(folder)?;
            file.write_all(text.as_bytes())?;
            file.persist(&path).map_err(|error| error.error)
        };
        write().map_err(|source| self.failed(name, source))?;
        Ok(path)
    }
}

/// Where the raw data of a trial is, in the folder of its run.
pub fn trial_file(id: TrialId) -> String {
    format!("{TRIALS}/{}.json", slug(id))
}

fn slug(id: TrialId) -> String {
    format!("{}-{}-{}", id.replicas, id.fault, id.number)
}

/// The Lease over time, in milliseconds around the fault.
fn lease_lines(leases: &[LeaseSeen], data: &TrialData) -> String {
    let mut text = "ms from fault, revision, transitions, holder, incarnation\n".to_owned();
    for seen in leases {
        let record = &seen.record;
        let holder = if seen.deleted {
            "(deleted)"
        } else {
            record.holder.as_str()
        };
        let holder = if holder.is_empty() {
            "(released)"
        } else {
            holder
        };
        let incarnation = record.incarnation.as_deref().unwrap_or("-");
        let at = seen.at.since(data.strike.issued);
        // Writing into a string does not fail.
        let _ = writeln!(
            text,
            "{at:>9.1} {:>8} {:>3} {holder} {incarnation}",
            record.resource_version, record.transitions
        );
    }
    text
}

/// Writes and Lease calls in the audit log, in the API server's order.
fn audit_lines(calls: &[ApiCall], data: &TrialData) -> String {
    let map = ClockMap::measure(&data.own, calls);
    let mut text = "ms from fault, revision, code, who, what, audit event\n".to_owned();
    let mut told: Vec<&ApiCall> = calls
        .iter()
        .filter(|call| call.user == data.operator)
        .collect();
    told.sort_by_key(|call| call.completed);
    for call in told {
        let at = map.map_or(f64::NAN, |map| {
            map.stamp(call.completed).since(data.strike.issued)
        });
        let version = call
            .resource_version
            .map_or_else(|| "-".to_owned(), |version| version.to_string());
        let pod = call.pod.as_deref().unwrap_or("(no pod named)");
        let _ = writeln!(
            text,
            "{at:>9.1} {version:>8} {} {pod} {} {}",
            call.code,
            call.phrase(),
            call.audit_id
        );
    }
    text
}

#[cfg(test)]
mod tests;
