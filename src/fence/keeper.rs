//! Tests the fence at the start and every minute, and says what it found.

use std::{convert::Infallible, fmt, time::Duration};

use tokio::{sync::watch, time::sleep};
use tracing::{info, warn};

use super::{Answer, FenceMetrics, KubeFence, Refusal, State, Test};

/// How often a fence that is in force is tested; the longest pause for one that is not.
const PERIOD: Duration = Duration::from_mins(1);

/// How soon a test is repeated that may have met the API server, or the election, between two states. Also the first
/// pause for a fence that is not in force; each further one is twice as long.
const AGAIN: Duration = Duration::from_secs(2);

/// Keeps the state of the fence.
pub struct FenceKeeper {
    fence: KubeFence,
    leads: Box<dyn Fn() -> bool + Send + Sync>,
    metrics: FenceMetrics,
    state: watch::Sender<State>,
}

/// What one test came to.
#[derive(Debug)]
struct Finding {
    state: State,
    /// Whether a change that is under way would explain it: a Lease that has just changed hands, a lost answer.
    is_passing: bool,
}

impl FenceKeeper {
    /// A keeper for a replica of which `leads` says whether it leads at that moment, and where to read its findings.
    pub fn new(
        fence: KubeFence,
        leads: Box<dyn Fn() -> bool + Send + Sync>,
        metrics: FenceMetrics,
    ) -> (Self, watch::Receiver<State>) {
        let error = "it has not been tested yet".to_owned();
        let (state, receiver) = watch::channel(State::Unknown { error });
        let keeper = Self {
            fence,
            leads,
            metrics,
            state,
        };
        (keeper, receiver)
    }

    /// Tests for ever.
    pub async fn run(self) -> Infallible {
        let mut pause = AGAIN;
        let mut is_repetition = false;
        loop {
            let Finding { state, is_passing } = self.test().await;
            let is_news = state != *self.state.borrow();
            if is_news && is_passing && !is_repetition {
                is_repetition = true;
                sleep(AGAIN).await;
                continue;
            }
            is_repetition = false;
            let is_active = state == State::Active;
            if is_news {
                self.tell(state);
            }
            if is_active {
                pause = AGAIN;
                sleep(PERIOD).await;
            } else {
                sleep(pause).await;
                pause = PERIOD.min(pause * 2);
            }
        }
    }

    async fn test(&self) -> Finding {
        let led = (self.leads)();
        let test = if led {
            Test::Holders
        } else {
            Test::HoldersByFreshNews
        };
        let mut holders = self.fence.ask(test).await;
        if led && matches!(&holders, Answer::Refused(refusal) if refusal.is_decision) {
            // A refused leader has the read of the Lease to spare, to learn why.
            holders = self.fence.ask(Test::HoldersByFreshNews).await;
        }
        let nobodys = match holders {
            // Either this replica holds the Lease, or there is no fence: what nobody may do tells which.
            Answer::Accepted => Some(self.fence.ask(Test::Nobodys).await),
            _ => None,
        };
        let finding = Finding::of(led, &holders, nobodys.as_ref(), self.fence.probe());
        if led == (self.leads)() {
            finding
        } else {
            Finding::passing(State::Unknown {
                error: "leadership changed while it was tested".to_owned(),
            })
        }
    }

    fn tell(&self, state: State) {
        match &state {
            State::Active => {
                info!("the fence is in force: the API server refuses stale leaders");
            }
            State::Off { reason } => {
                warn!(
                    reason,
                    "the fence is off: nothing but its own deadline holds back a stale leader"
                );
            }
            State::Unknown { error } => {
                warn!(error, "it is not known whether the fence is in force");
            }
        }
        self.metrics.show(&state);
        self.state.send_replace(state);
    }
}

impl Finding {
    /// What the answers to the two tests mean for a replica that leads or does not. The second test is made only if the
    /// first was accepted.
    fn of(leads: bool, holders: &Answer, nobodys: Option<&Answer>, probe: &str) -> Self {
        match (holders, nobodys) {
            (Answer::Refused(refusal), _) if refusal.is_behind() => Self::passing(State::off(
                "the API server does not follow the Lease any more, and will refuse every new leader: restart \
                 kube-apiserver, or delete ValidatingAdmissionPolicyBinding 5spot-fence and do not apply it again before \
                 (kubernetes/kubernetes issue 130887)",
            )),
            (Answer::Accepted, Some(Answer::Refused(_))) if leads => Self::lasting(State::Active),
            (Answer::Accepted, Some(Answer::Refused(_))) => Self::passing(State::off(
                "it accepts the writes of a standby: paramRef in deploy/fence.yaml must name the Lease of LEASE_NAME",
            )),
            (Answer::Accepted, Some(Answer::Accepted)) => Self::lasting(State::off(
                "no policy refuses anything: apply deploy/fence.yaml, or set FENCE_PROBE to \"\" to do without",
            )),
            (
                Answer::Refused(Refusal {
                    is_decision,
                    message,
                }),
                _,
            ) if *is_decision && leads => Self::passing(State::off(format!(
                "it refuses the leader: paramRef in deploy/fence.yaml must name the Lease of LEASE_NAME ({message})"
            ))),
            (Answer::Refused(Refusal { is_decision, .. }), _) if *is_decision => {
                Self::lasting(State::Active)
            }
            (Answer::NoProbe, _) | (_, Some(Answer::NoProbe)) => {
                Self::lasting(State::off(format!(
                    "there is no ConfigMap {probe} to test it on: apply deploy/fence.yaml, or set FENCE_PROBE to \"\" to do \
                 without"
                )))
            }
            (Answer::NotAllowed(message), _) | (_, Some(Answer::NotAllowed(message))) => {
                Self::lasting(State::off(format!(
                    "it can't be tested: apply deploy/rbac.yaml ({message})"
                )))
            }
            (Answer::Refused(Refusal { message: error, .. }) | Answer::Failed(error), _)
            | (_, Some(Answer::Failed(error))) => Self::passing(State::Unknown {
                error: error.clone(),
            }),
            (Answer::Accepted, None) => Self::passing(State::Unknown {
                error: "only half of the test was made".to_owned(),
            }),
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
}

impl fmt::Debug for FenceKeeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FenceKeeper")
            .field("fence", &self.fence)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
