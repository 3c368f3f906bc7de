//! How the page writes numbers and names.

use std::collections::{BTreeMap, BTreeSet};

use failover_judging::{clock::Millis, observed::TrialData};

/// A pod's name that is longer than this is shortened in the middle where room is scarce.
const LONGEST_LABEL: usize = 18;

/// How the pods of a trial are called: by what follows the part that all of their names begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// What all of them begin with; empty where that is nothing worth leaving out.
    pub(super) prefix: String,
    /// The pods of holders whose identity is not the name of a pod.
    pods: BTreeMap<String, String>,
}

impl Names {
    /// The names of all pods of a trial.
    pub(super) fn of(data: &TrialData) -> Self {
        let pods = data.pods.iter().map(|pod| pod.name.as_str());
        let callers = data.calls.iter().filter_map(|call| call.pod.as_deref());
        let names: BTreeSet<&str> = pods.chain(callers).chain([data.before.pod()]).collect();
        let seen = data.leases.iter().map(|seen| &seen.record);
        let written = data.calls.iter().filter_map(|call| call.lease.as_ref());
        let pods = std::iter::once(&data.before)
            .chain(seen)
            .chain(written)
            .filter(|record| record.pod() != record.holder)
            .map(|record| (record.holder.clone(), record.pod().to_owned()))
            .collect();
        Self {
            pods,
            ..Self::among(&names)
        }
    }

    pub(super) fn among(names: &BTreeSet<&str>) -> Self {
        // In a sorted set the first and the last have in common what all have.
        let (Some(first), Some(last)) = (names.first(), names.last()) else {
            return Self::default();
        };
        let common: usize = first
            .chars()
            .zip(last.chars())
            .take_while(|(a, b)| a == b)
            .map(|(a, _)| a.len_utf8())
            .sum();
        let prefix = first
            .get(..common)
            .and_then(|common| common.rfind('-').and_then(|dash| common.get(..=dash)))
            .unwrap_or_default();
        let tells_apart = names.len() > 1 && names.iter().all(|name| name.len() > prefix.len());
        Self {
            prefix: if tells_apart {
                prefix.to_owned()
            } else {
                String::new()
            },
            pods: BTreeMap::new(),
        }
    }

    /// The pod of this holder; a pod's name as it stands.
    pub(super) fn pod<'a>(&'a self, holder: &'a str) -> &'a str {
        self.pods.get(holder).map_or(holder, String::as_str)
    }

    /// What tells this pod, or the pod of this holder, apart.
    pub(super) fn short<'a>(&'a self, name: &'a str) -> &'a str {
        let pod = self.pod(name);
        pod.strip_prefix(&self.prefix).unwrap_or(pod)
    }

    /// The same where room is scarce.
    pub(super) fn label(&self, name: &str) -> String {
        shortened(self.short(name))
    }
}

fn shortened(text: &str) -> String {
    let count = text.chars().count();
    if count <= LONGEST_LABEL {
        return text.to_owned();
    }
    let side = LONGEST_LABEL / 2 - 1;
    let head: String = text.chars().take(side).collect();
    let tail: String = text.chars().skip(count - side).collect();
    format!("{head}…{tail}")
}

/// A length of time as a person says it.
pub(super) fn millis(value: Millis) -> String {
    let sign = if value < 0.0 { "−" } else { "" };
    let size = value.abs();
    if size < 9.95 {
        format!("{sign}{size:.1} ms")
    } else if size < 999.5 {
        format!("{sign}{size:.0} ms")
    } else {
        format!("{sign}{:.2} s", size / 1000.0)
    }
}

/// How long something took that a person waits for.
pub(super) fn duration(value: Millis) -> String {
    let seconds = value / 1000.0;
    if seconds < 99.5 {
        return millis(value);
    }
    let minutes = (seconds / 60.0).floor();
    format!(
        "{minutes:.0} min {:.0} s",
        (seconds - minutes * 60.0).floor()
    )
}

/// A moment from the fault as a person says it.
pub(super) fn signed(value: Millis) -> String {
    if value > 0.0 {
        format!("+{}", millis(value))
    } else {
        millis(value)
    }
}

/// A moment from the fault in milliseconds, for a column of numbers.
pub(super) fn column(value: Millis) -> String {
    let sign = if value < -0.05 { "−" } else { "" };
    format!("{sign}{:.1}", value.abs())
}

/// Seconds as in the terminal's table.
pub(super) fn seconds(value: Option<Millis>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.3}", value / 1000.0))
}

pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(0.0, "0.0 ms")]
    #[case(3.06, "3.1 ms")]
    #[case(121.26, "121 ms")]
    #[case(-894.2, "−894 ms")]
    #[case(2361.0, "2.36 s")]
    fn a_time_is_as_exact_as_it_is_worth(#[case] value: f64, #[case] text: &str) {
        assert_eq!(millis(value), text);
    }

    #[rstest::rstest]
    #[case(1500.0, "1.50 s")]
    #[case(636_620.0, "10 min 36 s")]
    fn a_run_took_minutes(#[case] value: f64, #[case] text: &str) {
        assert_eq!(duration(value), text);
    }

    #[test]
    fn a_holder_is_called_by_its_pod() {
        let mut data = crate::page::tests::recorded();
        let pod = data.before.pod().to_owned();
        data.before.holder = format!("{pod}_42ef0945-8d46");
        let names = Names::of(&data);
        assert_eq!(names.short(&data.before.holder), names.short(&pod));
        assert_eq!(names.short(&pod), "26tcn");
    }

    #[test]
    fn only_what_comes_after_the_fault_has_a_plus() {
        assert_eq!(
            (signed(5.0).as_str(), signed(-5.0).as_str()),
            ("+5.0 ms", "−5.0 ms")
        );
        assert_eq!(
            (column(-0.01).as_str(), column(12.34).as_str()),
            ("0.0", "12.3")
        );
    }

    #[rstest::rstest]
    #[case(&["op-7d-aaa", "op-7d-bbb"], "op-7d-")]
    #[case(&["op-7d-aaa", "op-8e-bbb"], "op-")]
    #[case(&["a", "b"], "")]
    #[case(&["alone-1"], "")]
    #[case(&["op-", "op-a"], "")]
    #[case(&["ö-ä", "ö-å"], "ö-")]
    fn pods_are_called_by_what_tells_them_apart(#[case] names: &[&str], #[case] prefix: &str) {
        assert_eq!(
            Names::among(&names.iter().copied().collect()).prefix,
            prefix
        );
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        let label = shortened("a-very-long-name-of-a-pod-0");
        assert!(
            label.starts_with("a-very-l") && label.ends_with("-a-pod-0"),
            "{label}"
        );
        assert!(label.chars().count() <= LONGEST_LABEL);
    }
}
