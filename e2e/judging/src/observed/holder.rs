//! How the holder that a Lease names leads to a pod.
//!
//! Electors write what they like into `holderIdentity`. What they write is either made from the name of the pod, in one
//! of three ways, or opaque; then the audit log tells, for it names the pod whose token was used to write the Lease.

use clap::ValueEnum;

use crate::named::named;

/// The hostname of a pod is its name, cut to what a DNS label may be long.
const HOSTNAME_LIMIT: usize = 63;

/// The length of a UUID in its usual form.
const UUID_LENGTH: usize = 36;

named! {
    "snake_case",
    /// How the holder that a Lease names leads to a pod.
    #[derive(Default, ValueEnum)]
    #[value(rename_all = "snake_case")]
    pub enum HolderIdentity {
        /// The holder is the name of the pod
        PodName,
        /// The name of the pod, `_`, and anything, as controller-runtime writes it; a bare name as well
        #[default]
        NameSuffix,
        /// The hostname, `-` or `_`, and a UUID
        HostnameUuid,
        /// Anything: the audit log tells which pod wrote it
        Any,
    }
}

impl HolderIdentity {
    /// The pod that `holder` names, if it does. `pods` are the names of those that are there: a hostname may be a name
    /// that was cut.
    pub fn pod<'a>(self, holder: &str, pods: impl Iterator<Item = &'a str>) -> Option<String> {
        if holder.is_empty() {
            return None;
        }
        match self {
            Self::PodName => Some(holder.to_owned()),
            Self::NameSuffix => Some(before_suffix(holder).to_owned()),
            Self::HostnameUuid => {
                let hostname = before_uuid(holder)?;
                let mut cut = pods
                    .filter(|pod| hostname.len() == HOSTNAME_LIMIT && pod.starts_with(hostname));
                Some(cut.next().unwrap_or(hostname).to_owned())
            }
            Self::Any => None,
        }
    }

    /// The narrowest way in which `holder` leads to one of `pods`; [`Self::Any`] where none does.
    pub fn guess(holder: &str, pods: &[&str]) -> Self {
        [Self::PodName, Self::NameSuffix, Self::HostnameUuid]
            .into_iter()
            .find(|way| {
                let named = way.pod(holder, pods.iter().copied());
                named.is_some_and(|named| pods.contains(&named.as_str()))
            })
            .unwrap_or(Self::Any)
    }
}

/// What comes before the `_` of an elector that appends a random part, which no pod's name has.
pub fn before_suffix(holder: &str) -> &str {
    holder.split_once('_').map_or(holder, |(pod, _)| pod)
}

fn before_uuid(holder: &str) -> Option<&str> {
    let at = holder.len().checked_sub(UUID_LENGTH)?;
    let (start, uuid) = holder.split_at_checked(at)?;
    uuid::Uuid::try_parse(uuid).ok()?;
    start
        .strip_suffix(['-', '_'])
        .filter(|hostname| !hostname.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "1b4e28ba-2fa1-11d2-883f-0016d3cca427";

    #[rstest::rstest]
    #[case(HolderIdentity::PodName, "peer-0", Some("peer-0"))]
    #[case(HolderIdentity::NameSuffix, "peer-0", Some("peer-0"))]
    #[case(HolderIdentity::NameSuffix, "peer-0_x_y", Some("peer-0"))]
    #[case(HolderIdentity::HostnameUuid, &format!("peer-0-{UUID}"), Some("peer-0"))]
    #[case(HolderIdentity::HostnameUuid, &format!("peer-0_{UUID}"), Some("peer-0"))]
    #[case(HolderIdentity::HostnameUuid, "peer-0", None)]
    #[case(HolderIdentity::HostnameUuid, UUID, None)]
    #[case(HolderIdentity::HostnameUuid, &format!("-{UUID}"), None)]
    #[case(
        HolderIdentity::HostnameUuid,
        "ünïcödé-1b4e28ba-2fa1-11d2-883f-0016d3cca4ü",
        None
    )]
    #[case(HolderIdentity::Any, "peer-0", None)]
    #[case(HolderIdentity::PodName, "", None)]
    fn each_way_finds_its_pod_and_no_other(
        #[case] way: HolderIdentity,
        #[case] holder: &str,
        #[case] pod: Option<&str>,
    ) {
        assert_eq!(way.pod(holder, std::iter::empty()).as_deref(), pod);
    }

    #[test]
    fn a_hostname_that_was_cut_is_completed_by_the_pods_that_are_there() {
        let long = format!("{}-7d9c5bcf4-abcde", "x".repeat(60));
        let holder = format!("{}_{UUID}", &long[..63]);
        let pods = ["other-0", long.as_str()];
        let found = HolderIdentity::HostnameUuid.pod(&holder, pods.into_iter());
        assert_eq!(found.as_deref(), Some(long.as_str()));
    }

    #[rstest::rstest]
    #[case("peer-0", HolderIdentity::PodName)]
    #[case("peer-0_4f9a", HolderIdentity::NameSuffix)]
    #[case(&format!("peer-1-{UUID}"), HolderIdentity::HostnameUuid)]
    #[case("peer-9", HolderIdentity::Any)]
    #[case(UUID, HolderIdentity::Any)]
    #[case("", HolderIdentity::Any)]
    fn the_narrowest_way_that_leads_to_a_pod_is_guessed(
        #[case] holder: &str,
        #[case] way: HolderIdentity,
    ) {
        assert_eq!(HolderIdentity::guess(holder, &["peer-0", "peer-1"]), way);
    }
}
