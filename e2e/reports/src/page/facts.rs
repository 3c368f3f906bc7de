//! What was run, and where.

use maud::{Markup, html};

use super::words::millis;
use failover_judging::{
    observed::{TrialData, WorkRule},
    report::{BudgetShape, Report, RunInfo, TargetInfo},
};

type Fact = (&'static str, String);

pub(super) fn section(report: &Report, trials: &[TrialData]) -> Markup {
    let run = &report.run;
    let facts = [
        target(run),
        cluster(run),
        promises(report),
        trials
            .first()
            .map_or_else(Vec::new, |data| work(&data.work)),
        asked(run),
        limits(run),
    ]
    .concat();
    html! {
        section id="facts" aria-labelledby="facts-title" {
            h2 id="facts-title" { "What was run, and where" }
            dl class="facts" {
                @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
            }
        }
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    let words: Vec<String> = items.iter().map(ToString::to_string).collect();
    words.join(", ")
}

fn target(run: &RunInfo) -> Vec<Fact> {
    let mut facts = vec![("Image of the operator", run.image.clone())];
    if let Some(target) = &run.target {
        let TargetInfo {
            namespace,
            deployment,
            container,
            lease,
            holder,
        } = target;
        facts.extend([
            (
                "Put to the test",
                format!("Deployment {deployment} in {namespace}, container {container}"),
            ),
            ("Lease", format!("{lease}; its holder is read as {holder}")),
        ]);
    }
    facts
}

fn cluster(run: &RunInfo) -> Vec<Fact> {
    let mut facts = vec![
        ("Kubernetes", run.kubernetes_version.clone()),
        (
            "Cluster",
            format!("{}: {}", run.provider, run.provider_reason),
        ),
    ];
    if let Some(image) = &run.cluster_image {
        facts.push(("Image of the cluster", image.clone()));
    }
    if run.agents > 0 {
        facts.push((
            "Nodes",
            format!(
                "the server, which takes no replicas, and {} for them",
                run.agents
            ),
        ));
    }
    facts
}

fn promises(report: &Report) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(settings) = &report.settings {
        facts.push((
            "Election",
            format!(
                "lease duration {} s, renew deadline {} s, retry period {} s",
                settings.duration_seconds,
                settings.renew_deadline_seconds,
                settings.retry_period_seconds
            ),
        ));
    }
    if let Some(promise) = &report.promise {
        facts.push((
            "Promised",
            format!("every takeover within {}", millis(promise.within_ms)),
        ));
    }
    if let Some(error) = report.measuring_error_ms {
        facts.push(("Largest measuring error", format!("±{error:.1} ms")));
    }
    facts
}

/// What counted as work, where that is not what counts by itself.
fn work(rule: &WorkRule) -> Vec<Fact> {
    let mut facts = Vec::new();
    if !rule.ignore.is_empty() {
        facts.push(("Not work", format!("writes of {}", list(&rule.ignore))));
    }
    if let Some(answer) = &rule.answer {
        let name = answer.name.as_deref().map(|name| format!(" {name}"));
        facts.push((
            "Answer to the canary",
            format!("a write of {}{}", answer.resource, name.unwrap_or_default()),
        ));
    }
    facts
}

fn asked(run: &RunInfo) -> Vec<Fact> {
    let hint = match run.hint {
        Some(true) => "switched on",
        Some(false) => "switched off",
        None => "as deployed",
    };
    let mut facts = vec![
        ("Replicas", list(&run.replicas)),
        ("Faults", list(&run.faults)),
        ("Trials of each", run.trials.to_string()),
    ];
    if run.warm_up > 0 {
        facts.push(("Warm-up trials of each", run.warm_up.to_string()));
    }
    facts.extend(
        run.max_trials
            .map(|most| ("Trials of each, at most", most.to_string())),
    );
    facts.extend([
        ("Seed", run.seed.to_string()),
        (
            "Fence",
            if run.fence { "deployed" } else { "none" }.to_owned(),
        ),
        ("Hint", hint.to_owned()),
        (
            "Disruption budget",
            match run.budget {
                BudgetShape::AsIs => "as the manifests have it".to_owned(),
                shape => shape.to_string(),
            },
        ),
    ]);
    if !run.set_env.is_empty() {
        let set: Vec<String> = run
            .set_env
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        facts.push(("Variables set", list(&set)));
    }
    facts
}

fn limits(run: &RunInfo) -> Vec<Fact> {
    let goals = run.until_confident.iter();
    let mut facts: Vec<Fact> = goals
        .map(|goal| ("Until confident", goal.clone()))
        .collect();
    facts.extend(run.gates.iter().map(|gate| ("Fails if", gate.clone())));
    facts.extend(
        run.baseline
            .iter()
            .map(|baseline| ("Compared with", baseline.clone())),
    );
    facts.extend(
        run.regression_percent
            .map(|percent| ("A median may be slower by", format!("{percent} %"))),
    );
    facts
}
