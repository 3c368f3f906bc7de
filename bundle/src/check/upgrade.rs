//! Whether the release before can be upgraded to this one.

mod definition;

use semver::Version;

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
        holds: "No definition, version or field is gone; no field is newly required, of another type or default, or of a tighter \
                enum, pattern or bound than before.",
        why: "OLM v0 fails the plan when an object does not keep the new schema; OLM v1 refuses the change whatever the objects.",
        check: definition::definition,
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
