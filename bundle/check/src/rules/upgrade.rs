//! Whether the release before can be upgraded to this one.

mod definition;
mod kept;

use semver::Version;
use serde_json::Value;

use crate::{
    finding::Findings,
    rule::{Needs, Rule},
    subject::{self, Subject},
};

pub(super) const RULES: &[Rule] = &[
    Rule::error("upgrade/version", version)
        .needs(Needs::Previous)
        .holds("spec.version is newer than that of the release before.")
        .why("OLM never goes back."),
    Rule::error("upgrade/edge", edge)
        .needs(Needs::Previous)
        .holds("spec.replaces or spec.skips names the release before.")
        .why("Otherwise users of that release stay with it."),
    Rule::error("upgrade/selector", selector)
        .needs(Needs::Previous)
        .holds("A Deployment of the same name has the same selector as before.")
        .why("Selectors can't be changed; the upgrade would fail (operator-lifecycle-manager issue 1608)."),
    Rule::error("upgrade/definition", definition::definition)
        .needs(Needs::Previous)
        .holds("No definition, version or field is gone; no field is newly required, of another type or default, not nullable any \
                more, or of a tighter enum, pattern or bound than before.")
        .why("OLM v0 fails the plan when an object does not keep the new schema; OLM v1 refuses the change whatever the objects."),
    Rule::error("upgrade/served", served)
        .needs(Needs::Previous)
        .holds("Every version of a definition that was served before is served.")
        .why("Whoever names the version is refused from then on; OLM v0 waits without end for one that is owned and not served."),
    Rule::warning("upgrade/rules", rules)
        .needs(Needs::Previous)
        .holds("No field that was there before has a new or another rule in CEL.")
        .why("Objects that were accepted may break it, and then their changes are refused; OLM v1 refuses the upgrade, for it can't \
              tell a tighter rule from a looser one."),
];

fn version(subject: &Subject, findings: &mut Findings) {
    let (Some(csv), Some(before)) = (subject.csv(), subject.previous.and_then(subject::csv)) else {
        return;
    };
    let place = csv.at("/spec/version");
    let then = Version::parse(before.text("/spec/version"));
    if let (Ok(now), Ok(then)) = (Version::parse(place.text("")), then)
        && now <= then
    {
        findings.at(
            &place,
            format!("spec.version is {now}: must be newer than {then}"),
        );
    }
}

fn edge(subject: &Subject, findings: &mut Findings) {
    let (Some(csv), Some(before)) = (subject.csv(), subject.previous.and_then(subject::csv)) else {
        return;
    };
    let name = before.text("/metadata/name");
    let replaces = csv.at("/spec/replaces");
    if replaces.text("") != name && !csv.words("/spec/skips").contains(&name) {
        findings.at(
            &replaces,
            format!("spec.replaces is {replaces}: must be {name:?}"),
        );
    }
}

fn selector(subject: &Subject, findings: &mut Findings) {
    let before = subject.previous.map(subject::deployments);
    let before = before.unwrap_or_default();
    for deployment in subject.deployments() {
        let name = deployment.name();
        let Some(same) = before.iter().find(|before| before.name() == name) else {
            continue;
        };
        let (now, then) = (deployment.spec("/selector"), same.spec("/selector"));
        if now.value() != then.value() {
            let message = format!(
                "Deployment {name}: its selector is {now}, and was {then}: must be the same, or the Deployment named otherwise"
            );
            findings.at(&now, message);
        }
    }
}

fn served(subject: &Subject, findings: &mut Findings) {
    for version in kept::versions(subject) {
        let (old, new) = (version.old.at("/served"), version.new.at("/served"));
        if old.is_true("") && !new.is_true("") {
            let name = version.new.at("/name");
            findings.at(
                &new,
                format!("version {name}: served is {new}, and was true"),
            );
        }
    }
}

fn rules(subject: &Subject, findings: &mut Findings) {
    const KEY: &str = "/x-kubernetes-validations";
    // What it says when it is broken may change.
    let judgement = |rule: &Value| ["rule", "optionalOldSelf"].map(|key| rule.get(key).cloned());
    for field in kept::versions(subject).iter().flat_map(kept::Pair::fields) {
        let before = field.old.get(KEY).and_then(Value::as_array);
        let before: Vec<_> = before.into_iter().flatten().map(judgement).collect();
        for rule in field.new.items(KEY) {
            if !before.contains(&judgement(rule.value().unwrap_or(&Value::Null))) {
                let message = format!("rule {} was not there before", rule.at("/rule"));
                findings.at(&rule, message);
            }
        }
    }
}
