//! What a Lease said, and when the harness learned it.

use std::collections::BTreeMap;

use k8s_openapi::api::coordination::v1::Lease;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{clock::Stamp, observed::holder::before_suffix};

/// The annotation that names the process life of the present holder, as the holder says; behind a prefix that is the
/// operator's own.
const INCARNATION: &str = "incarnation";

/// The annotation that names the reason by which the present holder took the Lease, as the holder says; likewise.
const TAKEOVER: &str = "takeover";

/// One state of the Lease, as the API server stored it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseRecord {
    /// Revision of the store; it orders this record among all writes of the cluster.
    pub resource_version: u64,
    /// Who holds the Lease; empty when it is released.
    #[serde(default)]
    pub holder: String,
    /// The name of that pod, where the holder is not made from it in the usual way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The holder's process life, where the elector writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incarnation: Option<String>,
    /// The reason by which the holder says that it took the Lease, where the elector writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<String>,
    /// `acquireTime` as written by the holder's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acquire_time: Option<String>,
    /// `renewTime` as written by the holder's clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_time: Option<String>,
    /// `leaseDurationSeconds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<i32>,
    /// `leaseTransitions`.
    #[serde(default)]
    pub transitions: i32,
}

/// A [`LeaseRecord`] with the moment at which it arrived.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseSeen {
    /// When the harness saw it.
    pub at: Stamp,
    /// What it saw.
    pub record: LeaseRecord,
    /// Whether this is the deletion of the Lease.
    #[serde(default)]
    pub deleted: bool,
}

impl LeaseRecord {
    /// Whether `other` belongs to the same term: the same holder in the same process life.
    ///
    /// An elector that writes no incarnation is told apart by `acquireTime`, which changes when a Lease is taken and
    /// not when it is renewed.
    pub fn same_term(&self, other: &Self) -> bool {
        self.holder == other.holder
            && match (&self.incarnation, &other.incarnation) {
                (Some(mine), Some(theirs)) => mine == theirs,
                _ => self.acquire_time == other.acquire_time,
            }
    }

    /// The pod that holds the Lease: the one that was found for the holder, or the one that the holder names in the
    /// usual way.
    pub fn pod(&self) -> &str {
        self.pod
            .as_deref()
            .unwrap_or_else(|| before_suffix(&self.holder))
    }

    /// Writes down the pod that was found for the holder, where the holder does not name it in the usual way.
    pub fn identify(&mut self, pod: &str) {
        if !self.is_free() && before_suffix(&self.holder) != pod {
            self.pod = Some(pod.to_owned());
        }
    }

    /// The UID of the holder's pod and the nonce of its process, where the elector writes them.
    pub fn life(&self) -> Option<(&str, &str)> {
        self.incarnation.as_deref()?.split_once('/')
    }

    /// Whether the elector is one that can prove the death of a leader: it writes who leads, and why.
    pub fn is_provable(&self) -> bool {
        self.incarnation.is_some() && self.takeover.is_some()
    }

    /// Whether nobody holds the Lease.
    pub fn is_free(&self) -> bool {
        self.holder.is_empty()
    }
}

impl From<&Lease> for LeaseRecord {
    fn from(lease: &Lease) -> Self {
        let spec = lease.spec.clone().unwrap_or_default();
        let annotations = lease.metadata.annotations.as_ref();
        let (incarnation, takeover) = annotations.map(said_by_holder).unwrap_or_default();
        Self {
            resource_version: parse_resource_version(lease.metadata.resource_version.as_deref()),
            holder: spec.holder_identity.unwrap_or_default(),
            pod: None,
            incarnation,
            takeover,
            acquire_time: spec.acquire_time.map(|time| time.0.to_string()),
            renew_time: spec.renew_time.map(|time| time.0.to_string()),
            duration_seconds: spec.lease_duration_seconds,
            transitions: spec.lease_transitions.unwrap_or_default(),
        }
    }
}

/// The incarnation and the takeover that the holder wrote. Both are behind one prefix.
pub(crate) fn said_by_holder(
    annotations: &BTreeMap<String, String>,
) -> (Option<String>, Option<String>) {
    let of = |prefix: &str, name: &str| annotations.get(&format!("{prefix}/{name}")).cloned();
    let prefix = annotations.keys().find_map(|key| {
        let (prefix, name) = key.split_once('/')?;
        (name == INCARNATION).then_some(prefix)
    });
    prefix.map_or((None, None), |prefix| {
        (of(prefix, INCARNATION), of(prefix, TAKEOVER))
    })
}

/// The revision in a `resourceVersion`; 0 where there is none.
///
/// Opaque by the API conventions until Kubernetes 1.35, comparable since (KEP-5504); etcd and kine have always used
/// the store's revision.
pub fn parse_resource_version(text: Option<&str>) -> u64 {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// Inserts what was seen in the order of the store, once per revision and with the earliest arrival.
///
/// A watch that was opened anew repeats what is known, and a read may overtake the watch.
pub fn insert(history: &mut Vec<LeaseSeen>, seen: LeaseSeen) {
    let version = seen.record.resource_version;
    match history.binary_search_by_key(&version, |known| known.record.resource_version) {
        Ok(index) => {
            if let Some(known) = history.get_mut(index) {
                known.at = known.at.min(seen.at);
                known.record.pod = known.record.pod.take().or(seen.record.pod);
            }
        }
        Err(index) => history.insert(index, seen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(
        version: u64,
        holder: &str,
        incarnation: Option<&str>,
        acquired: &str,
    ) -> LeaseRecord {
        LeaseRecord {
            resource_version: version,
            holder: holder.to_owned(),
            incarnation: incarnation.map(str::to_owned),
            acquire_time: Some(acquired.to_owned()),
            ..LeaseRecord::default()
        }
    }

    #[test]
    fn what_a_holder_says_is_behind_a_prefix_of_its_own() {
        let said = |annotations: &[(&str, &str)]| {
            said_by_holder(
                &annotations
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                    .collect(),
            )
        };
        let both = [
            ("example.com/incarnation", "u/n"),
            ("example.com/takeover", "proof"),
        ];
        assert_eq!(said(&both), (Some("u/n".into()), Some("proof".into())));
        let apart = [
            ("example.com/incarnation", "u/n"),
            ("other/takeover", "proof"),
        ];
        assert_eq!(said(&apart), (Some("u/n".into()), None));
        assert_eq!(
            said(&[("incarnation", "u/n"), ("other/takeover", "x")]),
            (None, None)
        );
    }

    #[test]
    fn a_renewal_is_the_same_term_and_a_restarted_process_is_not() {
        let first = record(1, "a", Some("uid/1"), "t0");
        assert!(first.same_term(&record(2, "a", Some("uid/1"), "t0")));
        assert!(!first.same_term(&record(2, "a", Some("uid/2"), "t0")));
        assert!(!first.same_term(&record(2, "b", Some("uid/1"), "t0")));
    }

    #[rstest::rstest]
    #[case("pod-a", "pod-a")]
    #[case("pod-a_3f2b", "pod-a")]
    fn a_random_part_behind_the_pods_name_is_no_part_of_it(
        #[case] holder: &str,
        #[case] pod: &str,
    ) {
        assert_eq!(record(1, holder, None, "t0").pod(), pod);
    }

    #[test]
    fn a_pod_that_the_holder_does_not_name_is_written_down() {
        let mut record = record(1, "4711", None, "t0");
        record.identify("pod-a");
        assert_eq!(record.pod(), "pod-a");
        record.holder = "pod-b_3f2b".to_owned();
        record.pod = None;
        record.identify("pod-b");
        assert_eq!(record.pod, None, "the holder says it");
        record.holder = String::new();
        record.identify("pod-a");
        assert_eq!(record.pod(), "", "nobody holds it");
    }

    #[test]
    fn an_elector_that_says_who_leads_and_why_can_prove_a_death() {
        let mut record = record(1, "a", Some("uid/nonce"), "t0");
        assert_eq!(record.life(), Some(("uid", "nonce")));
        assert!(!record.is_provable());
        record.takeover = Some("released".to_owned());
        assert!(record.is_provable());
    }

    #[test]
    fn without_an_incarnation_the_acquire_time_tells_terms_apart() {
        let first = record(1, "a", None, "t0");
        assert!(first.same_term(&record(2, "a", None, "t0")));
        assert!(!first.same_term(&record(2, "a", None, "t9")));
    }

    #[test]
    fn the_history_is_in_store_order_once_each_with_the_earliest_arrival() {
        let mut history = Vec::new();
        for (version, at) in [(5, 50), (7, 70), (6, 71), (5, 40), (7, 90)] {
            insert(
                &mut history,
                LeaseSeen {
                    at: Stamp::from_micros(at),
                    record: record(version, "a", None, "t"),
                    deleted: false,
                },
            );
        }
        let order: Vec<_> = history
            .iter()
            .map(|seen| (seen.record.resource_version, seen.at.micros()))
            .collect();
        assert_eq!(order, [(5, 40), (6, 71), (7, 70)]);
    }
}
