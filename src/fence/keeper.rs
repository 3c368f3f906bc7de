//! Tests the fence at the start and every minute, and says what it found.

use std::{convert::Infallible, fmt, time::Duration};

use jiff::Timestamp;
use tokio::{sync::watch, time::sleep};
use tracing::{info, warn};

use super::{Answer, Each, FenceMetrics, KubeFence, Policy, Refusal, State, Test, Why};

/// How often a fence that is in force is tested; the longest pause for one that is not.
const PERIOD: Duration = Duration::from_mins(1);

/// How soon a test is repeated that may have met the API server, or the election, between two states. Also the first
/// pause for a fence that is not in force; each further one is twice as long.
const AGAIN: Duration = Duration::from_secs(2);

/// The `renewTime` of the last acknowledged write of a replica that leads; none on one that does not.
pub type Acknowledged = Box<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// Keeps the state of the fence.
pub struct FenceKeeper {
    fence: KubeFence,
    acknowledged: Acknowledged,
    metrics: FenceMetrics,
    states: watch::Sender<Each<State>>,
}

/// What one test of a policy came to.
#[derive(Debug)]
struct Finding {
    state: State,
    /// Whether a change that is under way would explain it: a Lease that has just changed hands, a lost answer.
    is_passing: bool,
}

impl FenceKeeper {
    /// A keeper for a replica of which `acknowledged` tells at any moment whether it leads, and where to read its
    /// findings.
    pub fn new(
        fence: KubeFence,
        acknowledged: Acknowledged,
        metrics: FenceMetrics,
    ) -> (Self, watch::Receiver<Each<State>>) {
        let untested = State::unknown("it has not been tested yet");
        let (states, receiver) = watch::channel(Each {
            strict: untested.clone(),
            lenient: untested,
        });
        let keeper = Self {
            fence,
            acknowledged,
            metrics,
            states,
        };
        (keeper, receiver)
    }

    /// Tests until it is dropped.
    pub async fn run(self) -> Infallible {
        let mut pause = AGAIN;
        let mut is_repetition = false;
        loop {
            let found = self.test().await;
            if !is_repetition && self.is_worth_another_look(&found) {
                is_repetition = true;
                sleep(AGAIN).await;
                continue;
            }
            is_repetition = false;
            let states = found.map(|_, finding| finding.state);
            let are_active = states.are_active();
            self.tell(states);
            if are_active {
                pause = AGAIN;
                sleep(PERIOD).await;
            } else {
                sleep(pause).await;
                pause = PERIOD.min(pause * 2);
            }
        }
    }

    async fn test(&self) -> Each<Finding> {
        let acknowledged = (self.acknowledged)();
        let leads = acknowledged.is_some();
        let answers = self.fence.ask(Test::Nobodys, acknowledged).await;
        let has_changed = (self.acknowledged)().is_some() != leads;
        answers.map(|policy, answer| {
            if has_changed {
                let state = State::unknown("leadership changed while it was tested");
                return Finding::passing(state);
            }
            Finding::of(leads, policy, answer, self.fence.probe(policy))
        })
    }

    /// Whether there is something new that may be over in a moment.
    fn is_worth_another_look(&self, found: &Each<Finding>) -> bool {
        let known = self.states.borrow();
        Policy::ALL.iter().any(|policy| {
            let finding = found.of(*policy);
            finding.is_passing && finding.state != *known.of(*policy)
        })
    }

    fn tell(&self, states: Each<State>) {
        let known = self.states.borrow().clone();
        if states == known {
            return;
        }
        if states.are_active() {
            info!("the fence is in force: the API server refuses stale leaders");
        }
        for policy in Policy::ALL {
            let state = states.of(policy);
            if state != known.of(policy) {
                tell_of(policy, state);
            }
        }
        self.metrics.show(&states);
        self.states.send_replace(states);
    }
}

fn tell_of(policy: Policy, state: &State) {
    match state {
        State::Active => {}
        State::Off { reason } => {
            warn!(
                %policy,
                reason,
                "a policy of the fence is off: nothing but its own deadline keeps a stale leader from what it guards"
            );
        }
        State::Unknown { error } => {
            warn!(%policy, error, "it is not known whether a policy of the fence is in force");
        }
    }
}

impl Finding {
    /// What the answer to [`Test::Nobodys`] means for a replica that leads or does not.
    fn of(leads: bool, policy: Policy, answer: Answer, probe: &str) -> Self {
        match answer {
            Answer::Refused(Refusal { why, message, .. }) => match (why, leads) {
                (Why::NotHolder, false) | (Why::InForce, true) => Self::lasting(State::Active),
                (Why::NotHolder, true) => Self::passing(State::off(format!(
                    "it refuses the leader: paramRef in deploy/fence.yaml must name the Lease of LEASE_NAME, and POD_UID \
                     must be the UID of this pod ({message})"
                ))),
                (Why::InForce, false) => Self::passing(State::off(
                    "it takes a standby for the holder: paramRef in deploy/fence.yaml must name the Lease of LEASE_NAME",
                )),
                (Why::Behind, _) => Self::passing(State::off(
                    "the API server does not follow the Lease any more, and will refuse every new leader: restart \
                     kube-apiserver, or delete the ValidatingAdmissionPolicyBindings 5spot-fence and 5spot-fence-shared \
                     and do not apply them again before (kubernetes/kubernetes issue 130887)",
                )),
                (Why::Undecided, _) => Self::passing(State::unknown(message)),
            },
            Answer::Accepted => Self::lasting(State::off(format!(
                "ValidatingAdmissionPolicy {policy} or its binding refuses nothing: apply deploy/fence.yaml, which is what \
                 `five-spot fence` prints, or set FENCE_PROBE to \"\" to do without"
            ))),
            Answer::NoLease => Self::passing(State::unknown(
                "there is no Lease, and without one this policy lets everybody write",
            )),
            Answer::NoProbe => Self::lasting(State::off(format!(
                "there is no ConfigMap {probe} to test it on: apply deploy/fence.yaml, which is what `five-spot fence` \
                 prints, or set FENCE_PROBE to \"\" to do without"
            ))),
            Answer::NotAllowed(message) => Self::lasting(State::off(format!(
                "it can't be tested: apply deploy/rbac.yaml ({message})"
            ))),
            Answer::Failed(error) => Self::passing(State::unknown(error)),
        }
    }

    fn lasting(state: State) -> Self {
        Self {
            state,
            is_passing: false,
        }
    }

    fn passing(state: State) -> Self {
        Self {
            state,
            is_passing: true,
        }
    }
}

impl State {
    fn off(reason: impl Into<String>) -> Self {
        Self::Off {
            reason: reason.into(),
        }
    }

    fn unknown(error: impl Into<String>) -> Self {
        Self::Unknown {
            error: error.into(),
        }
    }
}

impl fmt::Debug for FenceKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FenceKeeper")
            .field("fence", &self.fence)
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}
