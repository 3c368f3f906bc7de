//! What a Deployment, its pods and the Leases beside it tell of an election: a pure guess, with what it could not guess.

use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Container};
use kube::ResourceExt;

use crate::deploy::container::{
    LEASE_NAME, SETTINGS, containers, elected, first_port, label_selector, variable,
};
use failover_judging::observed::{HolderIdentity, LeaseRecord};

/// What was found in the cluster.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The Deployment.
    pub deployment: Deployment,
    /// The Leases of its namespace, or the one that was named.
    pub leases: Vec<Lease>,
    /// The names of its pods.
    pub pods: Vec<String>,
    /// The moments of renewals of the Lease, as its holder wrote them.
    pub renewals: Vec<Timestamp>,
}

/// What is to be written into the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guess {
    /// Namespace.
    pub namespace: String,
    /// The Deployment.
    pub deployment: String,
    /// Its elected container.
    pub container: Option<String>,
    /// Names of its containers, where it is not known which is elected.
    pub containers: Vec<String>,
    /// The Lease.
    pub lease: Option<String>,
    /// How its holder leads to a pod, with the holder that told.
    pub holder: Option<(HolderIdentity, String)>,
    /// The election settings.
    pub settings: GuessedSettings,
    /// How many replicas there are.
    pub replicas: u32,
    /// The first port of the elected container.
    pub port: Option<i32>,
    /// What could not be guessed, a sentence each.
    pub unknown: Vec<String>,
}

/// What was found out about the election settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GuessedSettings {
    /// Whether the container has variables for all of them.
    pub by_variables: bool,
    /// The duration that the Lease records.
    pub lease_duration: Option<u32>,
    /// The time between two renewals, in whole seconds.
    pub retry_period: Option<u32>,
}

impl Guess {
    /// Guesses from what was found; `lease` is the Lease that the user names.
    pub fn of(found: &Found, lease: Option<&str>) -> Self {
        let mut unknown = Vec::new();
        let containers = containers(&found.deployment);
        let container = elected(containers, None);
        if container.is_none() {
            unknown.push(format!(
                "which container is elected: target.container must name one of {}",
                names(containers).join(", ")
            ));
        }
        let lease = chosen(found, lease, container);
        let record = lease.as_ref().ok().map(|lease| LeaseRecord::from(*lease));
        let (holder, doubt) = record
            .as_ref()
            .map_or((None, None), |record| holder(record, &found.pods));
        let name = lease.as_ref().ok().map(|lease| lease.name_any());
        if let Err(why) = lease {
            unknown.push(format!(
                "which Lease it is: {why}; target.lease must name it"
            ));
        }
        unknown.extend(doubt);
        let settings = settings(container, record.as_ref(), &found.renewals);
        unknown.extend(settings.unknown());
        unknown.push(
            "what makes the leader write: without [canary] only the Lease is timed".to_owned(),
        );
        Self {
            namespace: found.deployment.namespace().unwrap_or_default(),
            deployment: found.deployment.name_any(),
            containers: names(containers),
            lease: name,
            holder,
            settings,
            replicas: replicas(&found.deployment),
            port: container.and_then(first_port),
            container: container.map(|container| container.name.clone()),
            unknown,
        }
    }
}

impl GuessedSettings {
    /// What is not known of them.
    fn unknown(&self) -> Vec<String> {
        if self.by_variables {
            return Vec::new();
        }
        let mut unknown = vec![
            "when a leader that can't renew gives up: target.election.renew_deadline is set to the lease duration, the latest \
             that is safe"
                .to_owned(),
        ];
        if self.lease_duration.is_none() {
            unknown.push(
                "how long the Lease lasts: target.election.lease_duration is to be read from it"
                    .to_owned(),
            );
        }
        if self.retry_period.is_none() {
            unknown.push(
                "how often the leader renews, since no two renewals were seen: target.election.retry_period must say it"
                    .to_owned(),
            );
        }
        unknown
    }
}

/// The selector of the Deployment as the API takes it.
pub fn selector(deployment: &Deployment) -> String {
    let labels = deployment
        .spec
        .as_ref()
        .and_then(|spec| spec.selector.match_labels.as_ref());
    labels.map(label_selector).unwrap_or_default()
}

fn names(containers: &[Container]) -> Vec<String> {
    containers
        .iter()
        .map(|container| container.name.clone())
        .collect()
}

/// The Lease: the one that is named, that a variable names, or whose holder is one of the pods.
fn chosen<'a>(
    found: &'a Found,
    named: Option<&str>,
    container: Option<&Container>,
) -> Result<&'a Lease, String> {
    let by_variable = container.and_then(|container| variable(container, LEASE_NAME));
    if let Some(name) = named.or(by_variable) {
        let lease = found.leases.iter().find(|lease| lease.name_any() == name);
        return lease.ok_or_else(|| format!("there is no Lease {name} yet"));
    }
    let held_by_a_pod = |lease: &&Lease| {
        let holder = LeaseRecord::from(*lease).holder;
        HolderIdentity::guess(&holder, &borrowed(&found.pods)) != HolderIdentity::Any
    };
    let held: Vec<&Lease> = found.leases.iter().filter(held_by_a_pod).collect();
    let all = |leases: &[&Lease]| {
        let each: Vec<String> = leases.iter().map(|lease| lease.name_any()).collect();
        each.join(", ")
    };
    match held.as_slice() {
        [only] => Ok(*only),
        [] => Err(format!(
            "no Lease of the namespace is held by one of the pods (there are: {})",
            if found.leases.is_empty() {
                "none".to_owned()
            } else {
                all(&found.leases.iter().collect::<Vec<_>>())
            }
        )),
        several => Err(format!("the pods hold several: {}", all(several))),
    }
}

fn borrowed(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// How the holder leads to a pod, with the holder that told, and what is not known about it.
fn holder(
    record: &LeaseRecord,
    pods: &[String],
) -> (Option<(HolderIdentity, String)>, Option<String>) {
    if record.is_free() {
        let why = "how the holder leads to a pod, since nobody holds the Lease: target.holder is left at its default";
        return (None, Some(why.to_owned()));
    }
    let way = HolderIdentity::guess(&record.holder, &borrowed(pods));
    let doubt = (way == HolderIdentity::Any).then(|| {
        format!(
            "how the holder {:?} leads to a pod: target.holder is set to any, which needs the audit log",
            record.holder
        )
    });
    (Some((way, record.holder.clone())), doubt)
}

fn settings(
    container: Option<&Container>,
    record: Option<&LeaseRecord>,
    renewals: &[Timestamp],
) -> GuessedSettings {
    let by_variables = container.is_some_and(|container| {
        SETTINGS
            .iter()
            .all(|name| variable(container, name).is_some())
    });
    // An elector may shorten the duration of a Lease that it releases.
    let held = record.filter(|record| !record.is_free());
    GuessedSettings {
        by_variables,
        lease_duration: held
            .and_then(|record| record.duration_seconds)
            .and_then(|seconds| u32::try_from(seconds).ok()),
        retry_period: period(renewals),
    }
}

/// The time between two renewals: the median of what was seen, in whole seconds.
fn period(renewals: &[Timestamp]) -> Option<u32> {
    let mut between: Vec<f64> = renewals
        .windows(2)
        .filter_map(|pair| match pair {
            [earlier, later] => Some(later.duration_since(*earlier).as_secs_f64()),
            _ => None,
        })
        .collect();
    between.sort_by(f64::total_cmp);
    let median = *between.get(between.len() / 2)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 1 and an hour"
    )]
    let seconds = median.round().clamp(1.0, 3600.0) as u32;
    Some(seconds)
}

fn replicas(deployment: &Deployment) -> u32 {
    let replicas = deployment.spec.as_ref().and_then(|spec| spec.replicas);
    replicas
        .and_then(|replicas| u32::try_from(replicas).ok())
        .unwrap_or(1)
}

#[cfg(test)]
pub(super) mod tests;
