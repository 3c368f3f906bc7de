//! What an image is made with: labels, and instructions that a bundle has no use for.

use std::collections::BTreeMap;

use serde_json::Value;

/// The label that tells the version of an image's content
/// ([OCI image specification](https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md)).
pub const VERSION_LABEL: &str = "org.opencontainers.image.version";

/// What an image is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSettings {
    /// Where this is said: the Dockerfile, or the archive's configuration.
    pub file: String,
    /// Labels, with the line where each is said.
    pub labels: BTreeMap<String, (String, usize)>,
    /// Instructions that a bundle has no use for, with their line: `WORKDIR`, `USER`, `ENTRYPOINT`, `CMD`, `RUN`, and
    /// `FROM` anything but scratch.
    pub superfluous: Vec<(String, usize)>,
}

impl ImageSettings {
    /// What a Dockerfile says.
    pub fn of_dockerfile(file: &str, text: &str) -> Self {
        let mut settings = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        for (index, line) in text.lines().enumerate() {
            let line_number = index + 1;
            let (instruction, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
            match instruction.to_ascii_uppercase().as_str() {
                "LABEL" => {
                    if let Some((key, value)) = rest.split_once('=') {
                        let unquoted = |text: &str| text.trim().trim_matches('"').to_owned();
                        let value = (unquoted(value), line_number);
                        settings.labels.insert(unquoted(key), value);
                    }
                }
                "FROM" if rest.trim() == "scratch" => {}
                "FROM" | "WORKDIR" | "USER" | "ENTRYPOINT" | "CMD" | "RUN" => {
                    let instruction = (line.trim().to_owned(), line_number);
                    settings.superfluous.push(instruction);
                }
                _ => {}
            }
        }
        settings
    }

    /// What the configuration of an image says
    /// ([OCI image specification](https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md)).
    pub fn of_configuration(configuration: &Value) -> Self {
        let at = |pointer: &str| configuration.pointer(pointer);
        let text = |pointer: &str| at(pointer).and_then(Value::as_str).unwrap_or_default();
        let words = |pointer: &str| {
            let words = at(pointer).and_then(Value::as_array).into_iter().flatten();
            let words: Vec<_> = words.filter_map(Value::as_str).collect();
            words.join(" ")
        };
        // Builders write the root as the working directory where none is asked for.
        let folder = Some(text("/config/WorkingDir")).filter(|folder| *folder != "/");
        let said = [
            ("WORKDIR", folder.unwrap_or_default().to_owned()),
            ("USER", text("/config/User").to_owned()),
            ("ENTRYPOINT", words("/config/Entrypoint")),
            ("CMD", words("/config/Cmd")),
        ];
        let labels = at("/config/Labels").and_then(Value::as_object);
        Self {
            file: "image configuration".to_owned(),
            labels: labels
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.clone(), (value.as_str()?.to_owned(), 1))))
                .collect(),
            superfluous: said
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(instruction, value)| (format!("{instruction} {value}"), 1))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_dockerfile_tells_labels_and_what_a_bundle_has_no_use_for() {
        let found = ImageSettings::of_dockerfile(
            "Dockerfile",
            "# x\nFROM scratch\nLABEL a=b\nlabel \"c\"=\"d\"\nWORKDIR /x\nCOPY a b\n",
        );
        let labels: Vec<_> = found
            .labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.0.as_str(), value.1))
            .collect();
        assert_eq!(labels, [("a", "b", 3), ("c", "d", 4)]);
        assert_eq!(found.superfluous, [("WORKDIR /x".to_owned(), 5)]);
    }

    #[test]
    fn settings_that_a_bundle_has_no_use_for_are_told() {
        let found = ImageSettings::of_configuration(&json!({"config": {
            "WorkingDir": "/x",
            "Entrypoint": ["/a", "b"],
        }}));
        let said: Vec<_> = found
            .superfluous
            .iter()
            .map(|(text, _)| text.as_str())
            .collect();
        assert_eq!(said, ["WORKDIR /x", "ENTRYPOINT /a b"]);
        let root = json!({"config": {"WorkingDir": "/"}});
        assert_eq!(ImageSettings::of_configuration(&root).superfluous, []);
    }
}
