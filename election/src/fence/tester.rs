//! Tests the fence at the start and every minute, and says what it found.

use std::{convert::Infallible, time::Duration};

use jiff::Timestamp;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{
    policy::{Advice, PerPolicy, Policy, State},
    probe::{Answer, KubeFence, Test},
    refusal::{Refusal, Why},
};

/// How often a fence that is in force is tested; the longest pause for one that is not.
const PERIOD: Duration = Duration::from_mins(1);

/// How soon a test is repeated that may have met the API server, or the election, between two states. Also the first
/// pause for a fence that is not in force; each further one is twice as long.
const AGAIN: Duration = Duration::from_secs(2);

/// The `renewTime` of the last acknowledged write of a replica that leads; none on one that does not.
pub(crate) type Acknowledged = Box<dyn Fn() -> Option<Timestamp> + Send + Sync>;

/// Told of the states whenever one of them changes.
pub(crate) type Shown = Box<dyn Fn(&PerPolicy<State>) + Send + Sync>;

/// Tests the fence, and keeps what it found.
pub(crate) struct FenceTester {
    fence: KubeFence,
    advice: Advice,
    acknowledged: Acknowledged,
    shown: Shown,
    states: PerPolicy<State>,
}

/// What one test of a policy came to.
#[derive(Debug)]
struct Finding {
    state: State,
    /// Whether a change that is under way would explain it: a Lease that has just changed hands, a lost answer.
    is_passing: bool,
}

impl FenceTester {
    /// For a replica of which `acknowledged` tells at any moment whether it leads.
    pub(crate) fn new(
        fence: KubeFence,
        advice: Advice,
        acknowledged: Acknowledged,
        shown: Shown,
    ) -> Self {
        let untested = State::unknown("it has not been tested yet");
        Self {
            fence,
            advice,
            acknowledged,
            shown,
            states: PerPolicy {
                strict: untested.clone(),
                lenient: untested,
            },
        }
    }

    /// Tests until it is dropped.
    pub(crate) async fn run(mut self) -> Infallible {
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

    async fn test(&self) -> PerPolicy<Finding> {
        let acknowledged = (self.acknowledged)();
        let leads = acknowledged.is_some();
        let answers = self.fence.ask(Test::Nobodys, acknowledged).await;
        let has_changed = (self.acknowledged)().is_some() != leads;
        answers.map(|policy, answer| {
            if has_changed {
                let state = State::unknown("leadership changed while it was tested");
                return Finding::passing(state);
            }
            self.finding(leads, policy, answer)
        })
    }

    /// Whether there is something new that may be over in a moment.
    fn is_worth_another_look(&self, found: &PerPolicy<Finding>) -> bool {
        Policy::ALL.iter().any(|policy| {
            let finding = found.of(*policy);
            finding.is_passing && finding.state != *self.states.of(*policy)
        })
    }

    fn tell(&mut self, states: PerPolicy<State>) {
        if states == self.states {
            return;
        }
        if states.are_active() {
            info!("the fence is in force: the API server refuses stale leaders");
        }
        for policy in Policy::ALL {
            let (state, name) = (states.of(policy), self.fence.policies().of(policy));
            match state {
                _ if state == self.states.of(policy) => {}
                State::Active => {}
                State::Off { reason } => warn!(
                    policy = name,
                    reason,
                    "a policy of the fence is off: nothing but its own deadline keeps a stale leader from what it guards"
                ),
                State::Unknown { error } => {
                    warn!(
                        policy = name,
                        error, "it is not known whether a policy of the fence is in force"
                    );
                }
            }
        }
        (self.shown)(&states);
        self.states = states;
    }

    /// What the answer to [`Test::Nobodys`] means for a replica that leads or does not.
    fn finding(&self, leads: bool, policy: Policy, answer: Answer) -> Finding {
        let advice = self.advice;
        match answer {
            Answer::Refused(Refusal { why, message, .. }) => match (why, leads) {
                (Why::NotHolder, false) | (Why::InForce, true) => Finding::lasting(State::Active),
                (Why::NotHolder, true) => Finding::passing(State::off(format!(
                    "it refuses the leader: {}, and {} ({message})",
                    advice.name_lease, advice.know_uid
                ))),
                (Why::InForce, false) => Finding::passing(State::off(format!(
                    "it takes a standby for the holder: {}",
                    advice.name_lease
                ))),
                (Why::Behind, _) => {
                    let PerPolicy { strict, lenient } = self.fence.policies();
                    Finding::passing(State::off(format!(
                        "the API server does not follow the Lease any more, and will refuse every new leader: restart \
                         kube-apiserver, or delete the ValidatingAdmissionPolicyBindings {strict} and {lenient} and do \
                         not apply them again before (kubernetes/kubernetes issue 130887)"
                    )))
                }
                (Why::Undecided, _) => Finding::passing(State::unknown(message)),
            },
            Answer::Accepted => Finding::lasting(State::off(format!(
                "ValidatingAdmissionPolicy {} or its binding refuses nothing: {}",
                self.fence.policies().of(policy),
                advice.install
            ))),
            Answer::NoLease => Finding::passing(State::unknown(
                "there is no Lease, and without one this policy lets everybody write",
            )),
            Answer::NoProbe => Finding::lasting(State::off(format!(
                "there is no ConfigMap {} to test it on: {}",
                self.fence.probe(policy),
                advice.install
            ))),
            Answer::NotAllowed(message) => Finding::lasting(State::off(format!(
                "it can't be tested: {} ({message})",
                advice.permit
            ))),
            Answer::Failed(error) => Finding::passing(State::unknown(error)),
        }
    }
}

impl Finding {
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
