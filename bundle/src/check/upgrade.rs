//! Whether the release before can be upgraded to this one.

mod definition;
mod kept;

use semver::Version;
use serde_json::Value;

use super::{
    Findings, Level, Needs, Rule, Subject,
    subject::{self, told},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "upgrade/version",
        level: Level::Error,
        needs: Needs::Previous,
        holds: "spec.version is newer than that of the release before.",
        why: "OLM never goes back.",
        check: version,
    },
    Rule {
        code: "upgrade/edge",
        level: Level::Error,
        needs: Needs::Previous,
        holds: "spec.replaces or spec.skips names the release before.",
        why: "Otherwise users of that release stay with it.",
        check: edge,
    },
    Rule {
        code: "upgrade/selector",
        level: Level::Error,
        needs: Needs::Previous,
        holds: "A Deployment of the same name has the same selector as before.",
        why: "Selectors can't be changed; the upgrade would fail (operator-lifecycle-manager issue 1608).",
        check: selector,
    },
    Rule {
        code: "upgrade/definition",
        level: Level::Error,
        needs: Needs::Previous,
        holds: "No definition, version or field is gone; no field is newly required, of another type or default, not nullable any \
                more, or of a tighter enum, pattern or bound than before.",
        why: "OLM v0 fails the plan when an object does not keep the new schema; OLM v1 refuses the change whatever the objects.",
        check: definition::definition,
    },
    Rule {
        code: "upgrade/served",
        level: Level::Error,
        needs: Needs::Previous,
        holds: "Every version of a definition that was served before is served.",
        why: "Whoever names the version is refused from then on; OLM v0 waits for ever for one that is owned and not served.",
        check: served,
    },
    Rule {
        code: "upgrade/rules",
        level: Level::Warning,
        needs: Needs::Previous,
        holds: "No field that was there before has a new or another rule in CEL.",
        why: "Objects that were accepted may break it, and then their changes are refused; OLM v1 refuses the upgrade, for it can't \
              tell a tighter rule from a looser one.",
        check: rules,
    },
];

fn version(subject: &Subject, findings: &mut Findings) {
    let (Some(csv), Some(before)) = (subject.csv(), subject.previous.and_then(subject::csv)) else {
        return;
    };
    let parse = |text: Option<&str>| text.and_then(|text| Version::parse(text).ok());
    let (now, then) = (
        parse(csv.text("/spec/version")),
        parse(before.text("/spec/version")),
    );
    if let (Some(now), Some(then)) = (now, then)
        && now <= then
    {
        findings.at(
            csv,
            "/spec/version",
            format!("spec.version is {now}: must be newer than {then}"),
        );
    }
}

fn edge(subject: &Subject, findings: &mut Findings) {
    let (Some(csv), Some(before)) = (subject.csv(), subject.previous.and_then(subject::csv)) else {
        return;
    };
    let name = before.text("/metadata/name").unwrap_or_default();
    let skipped = csv
        .list("/spec/skips")
        .iter()
        .any(|skip| skip.as_str() == Some(name));
    if csv.text("/spec/replaces") != Some(name) && !skipped {
        let message = format!(
            "spec.replaces is {}: must be {name:?}",
            told(csv.at("/spec/replaces"))
        );
        findings.at(csv, "/spec/replaces", message);
    }
}

fn selector(subject: &Subject, findings: &mut Findings) {
    let before = subject
        .previous
        .and_then(subject::csv)
        .map(subject::deployments)
        .unwrap_or_default();
    for deployment in subject.deployments() {
        let same = before
            .iter()
            .find(|before| before.name() == deployment.name());
        let Some(same) = same else { continue };
        let (now, then) = (deployment.at("/selector"), same.at("/selector"));
        if now != then {
            let message = format!(
                "Deployment {}: its selector is {}, and was {}: must be the same, or the Deployment named otherwise",
                deployment.name(),
                told(now),
                told(then)
            );
            findings.at(deployment.csv, &deployment.spec("/selector"), message);
        }
    }
}

fn served(subject: &Subject, findings: &mut Findings) {
    let is_served = |version: &Value| version.get("served") == Some(&Value::Bool(true));
    for version in kept::versions(subject) {
        if is_served(version.old) && !is_served(version.new) {
            let message = format!(
                "version {}: served is {}, and was true",
                told(version.new.get("name")),
                told(version.new.get("served"))
            );
            let pointer = format!("{}/served", version.pointer);
            findings.at(version.definition, &pointer, message);
        }
    }
}

fn rules(subject: &Subject, findings: &mut Findings) {
    const KEY: &str = "x-kubernetes-validations";
    let list = |schema: &Value| {
        schema
            .get(KEY)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    // What it says when it is broken may change.
    let judgement = |rule: &Value| ["rule", "optionalOldSelf"].map(|key| rule.get(key).cloned());
    for version in kept::versions(subject) {
        for field in version.fields() {
            let before: Vec<_> = list(field.old).iter().map(judgement).collect();
            for (index, rule) in list(field.new).iter().enumerate() {
                if !before.contains(&judgement(rule)) {
                    let message = format!("rule {} was not there before", told(rule.get("rule")));
                    let pointer = format!("{}/{KEY}/{index}", field.pointer);
                    findings.at(version.definition, &pointer, message);
                }
            }
        }
    }
}
