//! Who a replica is: the name that the Lease carries, and the one process life behind it.

use std::{env, fmt, str::FromStr};

use uuid::Uuid;

use crate::settings::InvalidSetting;

/// A replica as the Lease names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The pod's name, which becomes `holderIdentity`.
    pub pod_name: String,
    /// Which life of that pod this process is.
    pub incarnation: Incarnation,
}

/// One process life: the pod's UID and a nonce made when the process started.
///
/// Two processes never share one. The same UID with another nonce is an earlier or later life of the same pod, and
/// kubelet starts a container again only after its predecessor is dead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation {
    /// `metadata.uid` of the pod; empty where it is not known, which rules a reclaim out.
    pub pod_uid: String,
    /// Random, made at start.
    pub nonce: Uuid,
}

/// Text that is no incarnation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an incarnation is <pod uid>/<nonce>, not {0:?}")]
pub struct NotAnIncarnation(String);

impl Identity {
    /// The identity of a process that starts now in the pod that `POD_NAME` and `POD_UID` say, which the Deployment takes
    /// from the downward API (`fieldRef: metadata.name` and `metadata.uid`).
    ///
    /// # Errors
    /// Where `POD_NAME` is not set: replicas that share a name would each believe to hold the Lease. Without `POD_UID` a
    /// restarted container waits for the Lease to expire.
    pub fn from_downward_api() -> Result<Self, InvalidSetting> {
        let [name, uid] = ["POD_NAME", "POD_UID"].map(|name| env::var(name).unwrap_or_default());
        if name.is_empty() {
            let rule = "must be set; the Deployment takes it from the downward API";
            return Err(InvalidSetting::new("POD_NAME", name, rule));
        }
        Ok(Self::of_new_process(name, uid))
    }

    /// The identity of a process that starts now.
    pub fn of_new_process(pod_name: impl Into<String>, pod_uid: impl Into<String>) -> Self {
        let incarnation = Incarnation {
            pod_uid: pod_uid.into(),
            nonce: Uuid::new_v4(),
        };
        Self {
            pod_name: pod_name.into(),
            incarnation,
        }
    }
}

impl Incarnation {
    /// Whether `self` and `other` are different lives of one pod, which is known only if the pod's UID is.
    pub fn is_another_life_of(&self, other: &Self) -> bool {
        !self.pod_uid.is_empty() && self.pod_uid == other.pod_uid && self.nonce != other.nonce
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pod_uid, self.nonce)
    }
}

impl FromStr for Incarnation {
    type Err = NotAnIncarnation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || NotAnIncarnation(text.chars().take(120).collect());
        let (pod_uid, nonce) = text.split_once('/').ok_or_else(error)?;
        let nonce = nonce.parse().map_err(|_| error())?;
        Ok(Self {
            pod_uid: pod_uid.to_owned(),
            nonce,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incarnation_survives_being_written_and_read() {
        let me = Identity::of_new_process("a", "uid-1").incarnation;
        assert_eq!(me.to_string().parse(), Ok(me));
    }

    #[test]
    fn without_a_pod_uid_no_life_is_known_to_be_another() {
        let (a, b) = (
            Identity::of_new_process("a", ""),
            Identity::of_new_process("a", ""),
        );
        assert!(!a.incarnation.is_another_life_of(&b.incarnation));
    }

    #[test]
    fn foreign_text_is_no_incarnation() {
        assert!("".parse::<Incarnation>().is_err());
        assert!("uid".parse::<Incarnation>().is_err());
        assert!("uid/not-a-nonce".parse::<Incarnation>().is_err());
    }
}
