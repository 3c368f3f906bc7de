//! The annotations of the Lease, by which replicas tell each other more than its spec can say.

/// Their names, which share the prefix of the operator that the election is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotations {
    /// Carries the holder's [`Incarnation`](crate::identity::Incarnation).
    pub incarnation: String,
    /// Names the holder's pod with its UID, as `<name>/<uid>`. The fence compares both with the pod that a request's token is
    /// of.
    ///
    /// An elector that does not know it leaves it as it is, so it says something only of a holder of that name. A holder
    /// that does not know its UID does not write it.
    pub holder_pod: String,
    /// On a released Lease: names the pod that should take it.
    pub successor: String,
    /// Says why the holder could take the Lease: a [`Reason`](super::Reason).
    pub takeover: String,
    /// Says for how many more seconds an earlier leader, whose end is not proven, may go on to write where nothing is fenced;
    /// missing where there is no such leader.
    pub unproven: String,
}

impl Annotations {
    /// The names that begin with `prefix`, such as `example.com`.
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |name: &str| format!("{prefix}/{name}");
        Self {
            incarnation: name("incarnation"),
            holder_pod: name("holder-pod"),
            successor: name("successor"),
            takeover: name("takeover"),
            unproven: name("unproven-seconds"),
        }
    }
}
