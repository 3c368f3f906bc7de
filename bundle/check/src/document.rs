//! YAML documents with the line of every value in them, so that a finding can say where it is.

use std::{collections::BTreeMap, fmt};

use granit_parser::{Event, Parser};
use serde_json::Value;

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// Path of the file in the bundle.
    pub file: String,
    /// What it holds.
    pub value: Value,
    /// Line of each value, counted from 1, by its JSON pointer (RFC 6901).
    lines: BTreeMap<String, usize>,
}

/// A file is not valid YAML.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}:{line}: {reason}")]
pub struct Unreadable {
    /// Path of the file in the bundle.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Why.
    pub reason: String,
}

impl Document {
    /// All documents of a file; those that are empty are left out.
    pub fn parse(file: &str, content: &[u8]) -> Result<Vec<Self>, Unreadable> {
        let unreadable = |line, reason: String| Unreadable {
            file: file.to_owned(),
            line,
            reason,
        };
        let text = std::str::from_utf8(content)
            .map_err(|error| unreadable(1, format!("it is not UTF-8 ({error})")))?;
        let lines = lines(text).map_err(|(line, reason)| unreadable(line, reason))?;
        let values: Vec<Value> = serde_saphyr::from_multiple(text).map_err(|error| {
            let line = error.location().map_or(1, |location| location.line());
            let reason = error.without_snippet().to_string();
            unreadable(usize::try_from(line).unwrap_or(1), reason)
        })?;
        let values: Vec<_> = values
            .into_iter()
            .filter(|value| !value.is_null())
            .collect();
        let document = |(value, lines)| Self {
            file: file.to_owned(),
            value,
            lines,
        };
        Ok(values.into_iter().zip(lines).map(document).collect())
    }

    /// The whole document.
    pub fn root(&self) -> Node<'_> {
        Node {
            document: self,
            pointer: String::new(),
        }
    }

    /// The value at a pointer.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        self.value.pointer(pointer)
    }

    /// The text at a pointer.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.as_str()
    }

    /// The list at a pointer; empty when there is none.
    pub fn list(&self, pointer: &str) -> &[Value] {
        self.at(pointer)
            .and_then(Value::as_array)
            .map_or(&[], Vec::as_slice)
    }

    /// The line of a value, or of what would hold it where it is missing.
    pub fn line(&self, pointer: &str) -> usize {
        let mut pointer = pointer;
        loop {
            if let Some(line) = self.lines.get(pointer) {
                return *line;
            }
            match pointer.rsplit_once('/') {
                Some((parent, _)) => pointer = parent,
                None => return 1,
            }
        }
    }
}

/// A place in a document: where a value is, or where it is missing.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    document: &'a Document,
    pointer: String,
}

impl<'a> Node<'a> {
    /// The document that it is in.
    pub fn document(&self) -> &'a Document {
        self.document
    }

    /// The JSON pointer to it.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// The line of its value, or of what would hold it.
    pub fn line(&self) -> usize {
        self.document.line(&self.pointer)
    }

    /// The place at a pointer below it.
    #[must_use]
    pub fn at(&self, below: &str) -> Self {
        let Self { document, pointer } = self;
        let pointer = format!("{pointer}{below}");
        Self { document, pointer }
    }

    /// Its value.
    pub fn value(&self) -> Option<&'a Value> {
        self.document.at(&self.pointer)
    }

    /// Its value, where that is a text.
    pub fn str(&self) -> Option<&'a str> {
        self.value()?.as_str()
    }

    /// The value at a pointer below it.
    pub fn get(&self, below: &str) -> Option<&'a Value> {
        self.at(below).value()
    }

    /// The text at a pointer below it; empty when there is none.
    pub fn text(&self, below: &str) -> &'a str {
        self.at(below).str().unwrap_or_default()
    }

    /// Whether the value at a pointer below it is `true`.
    pub fn is_true(&self, below: &str) -> bool {
        self.get(below) == Some(&Value::Bool(true))
    }

    /// The places of a list at a pointer below it; empty when there is none.
    pub fn items(&self, below: &str) -> Vec<Self> {
        let list = self.at(below);
        let count = self.document.list(&list.pointer).len();
        (0..count)
            .map(|index| list.at(&format!("/{index}")))
            .collect()
    }

    /// The texts of a list at a pointer below it.
    pub fn words(&self, below: &str) -> Vec<&'a str> {
        let list = self.document.list(&self.at(below).pointer);
        list.iter().filter_map(Value::as_str).collect()
    }
}

/// The value as JSON, or that it is missing.
impl fmt::Display for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value() {
            Some(value) => value.fmt(f),
            None => f.write_str("missing"),
        }
    }
}

/// A level of a document while it is walked.
enum Level {
    /// The next scalar is a key.
    Key(String),
    /// The next node is the value at this pointer.
    Value(String, String),
    /// The next node is the item of this number.
    Item(String, usize),
}

/// The lines of all documents that hold something.
fn lines(text: &str) -> Result<Vec<BTreeMap<String, usize>>, (usize, String)> {
    let mut documents = Vec::new();
    let mut lines = BTreeMap::new();
    let mut levels: Vec<Level> = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| (error.marker().line(), error.to_string()))?;
        let line = span.start.line();
        match event {
            Event::DocumentStart(..) => lines = BTreeMap::new(),
            Event::DocumentEnd if !lines.is_empty() => {
                documents.push(std::mem::take(&mut lines));
            }
            Event::Scalar(content, style, ..) => {
                let is_key = matches!(levels.last(), Some(Level::Key(_)));
                if is_key {
                    enter(&mut levels, &content, line, &mut lines);
                } else {
                    let is_empty_document = levels.is_empty()
                        && ["", "~", "null"].contains(&content.as_ref())
                        && style == granit_parser::ScalarStyle::Plain;
                    if !is_empty_document {
                        place(&mut levels, line, &mut lines);
                    }
                }
            }
            Event::Alias(_) => {
                place(&mut levels, line, &mut lines);
            }
            Event::MappingStart(..) => {
                let pointer = place(&mut levels, line, &mut lines);
                levels.push(Level::Key(pointer));
            }
            Event::SequenceStart(..) => {
                let pointer = place(&mut levels, line, &mut lines);
                levels.push(Level::Item(pointer, 0));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                levels.pop();
            }
            _ => {}
        }
    }
    Ok(documents)
}

/// Notes a key: the value's line is that of its key.
fn enter(levels: &mut [Level], key: &str, line: usize, lines: &mut BTreeMap<String, usize>) {
    if let Some(level) = levels.last_mut()
        && let Level::Key(map) = level
    {
        let pointer = format!("{map}/{}", escape(key));
        lines.insert(pointer.clone(), line);
        *level = Level::Value(std::mem::take(map), pointer);
    }
}

/// Notes a node and gives its pointer.
fn place(levels: &mut [Level], line: usize, lines: &mut BTreeMap<String, usize>) -> String {
    let pointer = match levels.last_mut() {
        None => String::new(),
        Some(Level::Item(list, index)) => {
            let pointer = format!("{list}/{index}");
            *index += 1;
            pointer
        }
        Some(level @ (Level::Value(..) | Level::Key(_))) => {
            let (map, pointer) = match level {
                Level::Value(map, pointer) => (std::mem::take(map), std::mem::take(pointer)),
                // A key that is no scalar, which no manifest has: it is walked and has no pointer of its own.
                Level::Key(map) | Level::Item(map, _) => (map.clone(), map.clone()),
            };
            *level = Level::Key(map);
            pointer
        }
    };
    lines.entry(pointer.clone()).or_insert(line);
    pointer
}

/// A key as a part of a JSON pointer.
pub fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# A comment.\na:\n  b/c: 1\n  d:\n    - x\n    - y: 2\n      z: [3, 4]\ntext: |\n  one\n  two\nlast: x\n";

    #[test]
    fn every_value_knows_the_line_of_its_key_or_of_itself() {
        let documents = Document::parse("f", TEXT.as_bytes()).unwrap();
        let document = &documents[0];
        let at = |pointer| (document.at(pointer).is_some(), document.line(pointer));
        assert_eq!(at(""), (true, 2));
        assert_eq!(at("/a"), (true, 2));
        assert_eq!(at("/a/b~1c"), (true, 3));
        assert_eq!(at("/a/d/0"), (true, 5));
        assert_eq!(at("/a/d/1/y"), (true, 6));
        assert_eq!(at("/a/d/1/z/1"), (true, 7));
        assert_eq!(at("/text"), (true, 8));
        assert_eq!(at("/last"), (true, 11));
    }

    #[test]
    fn what_is_missing_is_where_it_would_be() {
        let documents = Document::parse("f", TEXT.as_bytes()).unwrap();
        assert_eq!(documents[0].line("/a/d/1/nothing/deeper"), 6);
        assert_eq!(documents[0].line("/nothing"), 2);
    }

    #[test]
    fn documents_are_told_apart_and_empty_ones_left_out() {
        let documents = Document::parse("f", b"---\n---\na: 1\n---\n# none\n---\nb: 2\n").unwrap();
        assert_eq!(documents.len(), 2);
        assert_eq!(
            (documents[1].text("/b"), documents[1].line("/b")),
            (None, 7)
        );
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_line() {
        let error = Document::parse("f", b"a: 1\nb: [\n").unwrap_err();
        assert_eq!((error.file.as_str(), error.line), ("f", 2), "{error}");
        let error = Document::parse("f", b"a: 1\na: 2\n").unwrap_err();
        assert_eq!(error.line, 2, "{error}");
        let error = Document::parse("f", b"\xff").unwrap_err();
        assert!(error.reason.contains("UTF-8"), "{error}");
    }
}
