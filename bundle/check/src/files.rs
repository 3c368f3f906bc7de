//! A set of files by their path in a folder: what is generated, and what is checked.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Files by path, with `/` between folders whatever the platform.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Vec<u8>>);

/// A file or folder can't be read or written.
#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {}", .path.display())]
pub struct FileError {
    /// What was attempted.
    pub action: &'static str,
    /// The file or folder.
    pub path: PathBuf,
    /// Why it failed.
    #[source]
    pub source: io::Error,
}

impl FileError {
    /// What to make of an error when `action` was attempted on the file or folder at `path`.
    pub fn of(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

impl Files {
    /// Reads a folder with everything in it. Symbolic links are followed.
    pub fn read(folder: &Path) -> Result<Self, FileError> {
        let mut files = Self::default();
        files.read_into(folder, "")?;
        Ok(files)
    }

    fn read_into(&mut self, folder: &Path, prefix: &str) -> Result<(), FileError> {
        let failed = FileError::of;
        for entry in fs::read_dir(folder).map_err(failed("list", folder))? {
            let path = entry.map_err(failed("list", folder))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name else {
                let source = io::Error::new(io::ErrorKind::InvalidData, "its name is not UTF-8");
                return Err(failed("read", &path)(source));
            };
            let inner = format!("{prefix}{name}");
            if path.is_dir() {
                self.read_into(&path, &format!("{inner}/"))?;
            } else {
                let content = fs::read(&path).map_err(failed("read", &path))?;
                self.insert(inner, content);
            }
        }
        Ok(())
    }

    /// Adds a file, or replaces it.
    pub fn insert(&mut self, path: impl Into<String>, content: impl Into<Vec<u8>>) {
        self.0.insert(path.into(), content.into());
    }

    /// Takes a file away; whether it was there.
    pub fn remove(&mut self, path: &str) -> bool {
        self.0.remove(path).is_some()
    }

    /// The content of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// All files, by path in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// The files whose path begins with one of the prefixes.
    #[must_use]
    pub fn within(&self, prefixes: &[&str]) -> Self {
        let is_within = |path: &str| prefixes.iter().any(|prefix| path.starts_with(prefix));
        Self(
            self.0
                .iter()
                .filter(|(path, _)| is_within(path))
                .map(|(path, content)| (path.clone(), content.clone()))
                .collect(),
        )
    }

    /// Writes all of them below `folder`. Of the folders in `owned` nothing else is left, so that a file that is no longer
    /// generated does not stay.
    pub fn write(&self, folder: &Path, owned: &[&str]) -> Result<(), FileError> {
        for name in owned {
            let path = folder.join(name);
            match fs::remove_dir_all(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError {
                        action: "empty",
                        path,
                        source,
                    });
                }
                _ => {}
            }
        }
        for (name, content) in self.iter() {
            let path = folder.join(name);
            let failed = |action| FileError::of(action, &path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent).map_err(failed("create the folder of"))?;
            }
            fs::write(&path, content).map_err(failed("write"))?;
        }
        Ok(())
    }

    /// How `other` differs, one line for each file; empty when it does not.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let here = self.iter().filter_map(|(path, content)| {
            let found = other.get(path);
            (found != Some(content)).then(|| match found {
                None => format!("{path}: missing"),
                Some(_) => format!("{path}: differs"),
            })
        });
        let there = other
            .iter()
            .filter(|(path, _)| self.get(path).is_none())
            .map(|(path, _)| format!("{path}: not generated"));
        here.chain(there).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(contents: &[(&str, &str)]) -> Files {
        let mut files = Files::default();
        for (path, content) in contents {
            files.insert(*path, *content);
        }
        files
    }

    #[test]
    fn what_is_written_is_what_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let written = files(&[("a/b/c", "1"), ("a/d", "2"), ("e", "3")]);
        written.write(folder.path(), &["a"]).unwrap();
        assert_eq!(Files::read(folder.path()).unwrap(), written);
    }

    #[test]
    fn a_file_that_is_no_longer_generated_goes_but_only_from_an_owned_folder() {
        let folder = tempfile::tempdir().unwrap();
        let old = files(&[("a/old", ""), ("b/old", "")]);
        old.write(folder.path(), &[]).unwrap();
        files(&[("a/new", "")])
            .write(folder.path(), &["a"])
            .unwrap();
        let left = files(&[("a/new", ""), ("b/old", "")]);
        assert_eq!(Files::read(folder.path()).unwrap(), left);
    }

    #[test]
    fn differences_name_each_file_and_how_it_differs() {
        let generated = files(&[("same", "1"), ("changed", "1"), ("gone", "1")]);
        let committed = files(&[("same", "1"), ("changed", "2"), ("extra", "1")]);
        assert_eq!(
            generated.differences(&committed),
            ["changed: differs", "gone: missing", "extra: not generated"]
        );
        assert!(generated.differences(&generated).is_empty());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = Files::read(Path::new("/nowhere")).unwrap_err();
        assert_eq!(error.to_string(), "failed to list /nowhere");
    }
}
