//! The two policies of the fence, and what is known of them.

use futures::future::BoxFuture;

/// What the election asks of the fence before it relies on it.
pub trait FenceCheck: Send + Sync {
    /// Whether the API server refused, just now and by the decision of both policies, work writes of this very replica.
    ///
    /// False when one of the writes would have been accepted, when one was refused for another reason, and when there was
    /// no answer in time.
    fn refuses_me(&self) -> BoxFuture<'_, bool>;
}

/// The fence of an operator, by the names that its objects have in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fence {
    /// The policies, and the bindings of the same names.
    pub policies: PerPolicy<String>,
    /// The `ConfigMaps` in the namespace of the Lease that they are tested on. None: the fence is not tested, and no hint is
    /// acted on.
    pub probes: Option<PerPolicy<String>>,
    /// What log lines advise where something is wrong with it.
    pub advice: Advice,
}

/// What to do about a fence that is not in force: clauses that end a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advice {
    /// It is not there.
    pub install: &'static str,
    /// This replica may not test it.
    pub permit: &'static str,
    /// It may go by another Lease.
    pub name_lease: &'static str,
    /// It may know this pod by another UID.
    pub know_uid: &'static str,
}

/// One of the two policies of the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// For what only the operator writes: it refuses where it can't tell who leads.
    Strict,
    /// For what others write too: it lets pass where it can't tell who leads.
    Lenient,
}

/// Something for each of the two policies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerPolicy<T> {
    /// That of the strict one.
    pub strict: T,
    /// That of the lenient one.
    pub lenient: T,
}

/// What is known of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in force, and by the Lease that this replica contends for.
    Active,
    /// It is not. Stale leaders are held back from what it guards by their own deadline only.
    Off {
        /// Why, and what to do about it.
        reason: String,
    },
    /// It could not be tested.
    Unknown {
        /// What went wrong.
        error: String,
    },
}

impl Fence {
    /// The fence whose policies, bindings and probes have these names.
    pub fn named(strict: &str, lenient: &str) -> Self {
        let policies = PerPolicy {
            strict: strict.to_owned(),
            lenient: lenient.to_owned(),
        };
        Self {
            probes: Some(policies.clone()),
            policies,
            advice: Advice::default(),
        }
    }
}

impl Default for Advice {
    fn default() -> Self {
        Self {
            install: "apply the manifest of the fence",
            permit: "grant the right to patch the ConfigMaps that the fence is tested on",
            name_lease: "paramRef of its binding must name the Lease of the election",
            know_uid: "the pod's UID must be that of the downward API",
        }
    }
}

impl Policy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Strict, Self::Lenient];
}

impl<T> PerPolicy<T> {
    /// The one of `policy`.
    pub fn of(&self, policy: Policy) -> &T {
        match policy {
            Policy::Strict => &self.strict,
            Policy::Lenient => &self.lenient,
        }
    }

    /// The one of `policy`, to be changed.
    pub fn of_mut(&mut self, policy: Policy) -> &mut T {
        match policy {
            Policy::Strict => &mut self.strict,
            Policy::Lenient => &mut self.lenient,
        }
    }

    /// What `make` makes of each.
    pub fn map<U>(self, mut make: impl FnMut(Policy, T) -> U) -> PerPolicy<U> {
        PerPolicy {
            strict: make(Policy::Strict, self.strict),
            lenient: make(Policy::Lenient, self.lenient),
        }
    }
}

impl PerPolicy<State> {
    /// Whether the fence is in force: both policies are.
    pub fn are_active(&self) -> bool {
        self.strict == State::Active && self.lenient == State::Active
    }
}
