//! What the model's small values stand for in the types of the election, and what the real code says of them.
//!
//! That code is pure, and in millions of states it is asked the same few hundred questions. So each answer is remembered.

use std::{
    cell::RefCell, collections::HashMap, hash::Hash, sync::Arc, thread::LocalKey, time::Duration,
};

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use serde_json::json;
use uuid::Uuid;

use super::{D, Process, RP, Says, View};
use crate::{
    clock::Moment,
    evidence::proves_death,
    identity::{Identity, Incarnation},
    mutation::{self, Mutation},
    record::{Annotations, Evidence, Observed, Record, Verdict, Waits, decide},
};

/// How long a replica waits for others.
const WAITS: Waits = Waits {
    duration: ticks(D),
    retry_period: ticks(RP),
    leave: ticks(4 * D),
};

/// Long after every clock's start.
const NOW: u64 = 100;

/// What the API shows of a pod: which of its lives is dead (none is 0), and whether it is being deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Shown {
    pub(super) pod: u8,
    pub(super) dead: u8,
    pub(super) deleting: bool,
}

/// Answers by question, and by the rule that is broken.
type Answers<Q, A> = RefCell<HashMap<(Q, Option<Mutation>), A>>;

thread_local! {
    static VERDICTS: Answers<(View, Process), Verdict> = RefCell::default();
    static TAKEN_IN: Answers<(Option<View>, Option<Says>), (u8, bool)> = RefCell::default();
    static PROOFS: Answers<(Shown, Process), bool> = RefCell::default();
}

fn remembered<Q: Copy + Eq + Hash, A: Copy>(
    answers: &'static LocalKey<Answers<Q, A>>,
    question: Q,
    ask: impl FnOnce(Q) -> A,
) -> A {
    let key = (question, mutation::broken());
    let known = answers.with_borrow(|answers| answers.get(&key).copied());
    known.unwrap_or_else(|| {
        let answer = ask(question);
        answers.with_borrow_mut(|answers| answers.insert(key, answer));
        answer
    })
}

/// The real decision on what this replica knows.
pub(super) fn verdict(view: View, me: Process) -> Verdict {
    remembered(&VERDICTS, (view, me), |(view, me)| decided(view, me))
}

/// Whether the real rule for proof sees in a pod that this process is dead.
pub(super) fn proves(shown: Shown, process: Process) -> bool {
    remembered(&PROOFS, (shown, process), |(shown, process)| {
        proves_death(&pod(shown), &incarnation(process), "controller")
    })
}

/// How old what is known is once the server's Lease was read, by the real rule for what is news; and whether it is the same.
pub(super) fn taken_in(view: Option<View>, lease: Option<Says>) -> (u8, bool) {
    remembered(&TAKEN_IN, (view, lease), |(view, lease)| {
        let now = moment(0);
        let read = |renewed| lease.map(|says| record(says, renewed));
        let Some(view) = view else {
            return (age(&Observed::first(read(0), now, WAITS)), false);
        };
        let mut observed = observed(view);
        if observed.update(read(u8::from(!view.current)), now) {
            (age(&observed), false)
        } else {
            (view.age, true)
        }
    })
}

fn age(observed: &Observed) -> u8 {
    u8::try_from(moment(0).since(observed.changed_at()).as_secs())
        .unwrap_or(u8::MAX)
        .min(D + 1)
}

fn decided(view: View, me: Process) -> Verdict {
    let me = Identity {
        pod_name: format!("p{}", me.0),
        incarnation: incarnation(me),
    };
    let dead = view
        .says
        .and_then(|says| says.holder)
        .filter(|_| view.proven)
        .map(incarnation);
    decide(
        &observed(view),
        &me,
        &Evidence {
            dead,
            ..Evidence::default()
        },
        moment(0),
    )
}

fn observed(view: View) -> Observed {
    Observed::first(
        view.says.map(|says| record(says, 0)),
        moment(view.age),
        WAITS,
    )
}

fn moment(ago: u8) -> Moment {
    Moment::from_start(Duration::from_secs(NOW - u64::from(ago)))
}

const fn ticks(ticks: u8) -> Duration {
    Duration::from_secs(ticks as u64)
}

fn incarnation((pod, life): Process) -> Incarnation {
    Incarnation {
        pod_uid: format!("uid-{pod}"),
        nonce: Uuid::from_u128(u128::from(pod) << 8 | u128::from(life)),
    }
}

fn record(says: Says, renewed: u8) -> Record {
    let lease = json!({"spec": {
        "holderIdentity": says.holder.map(|(pod, _)| format!("p{pod}")).unwrap_or_default(),
        "leaseDurationSeconds": if says.holder.is_some() { D } else { 1 },
        "renewTime": format!("1970-01-01T00:00:{renewed:02}.000000Z"),
    }});
    let mut lease: Lease = serde_json::from_value(lease).unwrap();
    let names = Arc::new(Annotations::with_prefix("example.com"));
    let annotations = lease.metadata.annotations.get_or_insert_default();
    if let Some(holder) = says.holder {
        annotations.insert(names.incarnation.clone(), incarnation(holder).to_string());
    }
    if let Some(successor) = says.successor {
        annotations.insert(names.successor.clone(), format!("p{successor}"));
    }
    Record::new(lease, &names)
}

fn pod(shown: Shown) -> Pod {
    let words = format!("{}\n", incarnation((shown.pod, shown.dead)).nonce);
    let ended = (shown.dead > 0).then(|| json!({"terminated": {"exitCode": 0, "message": words}}));
    let container = json!({
        "name": "controller", "image": "", "imageID": "", "ready": false, "restartCount": 0, "lastState": ended,
    });
    let deleted = shown.deleting.then_some("1970-01-01T00:00:00Z");
    let pod = json!({
        "metadata": {"uid": format!("uid-{}", shown.pod), "deletionTimestamp": deleted},
        "status": {"containerStatuses": [container]},
    });
    serde_json::from_value(pod).unwrap()
}
