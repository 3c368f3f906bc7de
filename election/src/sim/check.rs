//! What must hold at every step, each as a small check of its own.
//!
//! | check | what it demands | on condition that |
//! |---|---|---|
//! | `terms-overlap` | no two terms are live at one true instant | clock rates are in the bound, nobody edited or deleted the Lease, no forged hint was acted on behind the fence |
//! | `foreign-write` | no work write is accepted outside its writer's own hold on the Lease | see [`Checks::work_admitted`] and [`Checks::work_stored`] |
//! | `overwrite` | no write replaces one of a newer term, however late it is stored | see [`Checks::work_stored`] |
//! | `no-takeover` | somebody leads within the budget, counted from the last term | a replica has been fine, and the API up, for all that time |
//! | `transitions` | `leaseTransitions` counts every change of holder | nobody deleted the Lease in between |
//! | `livelock` | Lease writes and Lease calls per minute are bounded | none |
//! | `hops` | a rolling update moves the Lease once | nothing else happens |

use std::{collections::VecDeque, fmt, sync::atomic::Ordering};

use super::{
    gate::{Gate, Mode},
    objects::{Author, WorkWrite},
    pod::SimPod,
    server::{Held, Says, Server},
    settings::{PPM, Settings},
    time::Millis,
    trace,
};
use crate::term::{Term, TermOver};

/// A check that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which check.
    pub check: &'static str,
    /// True time since the start of the scenario, in milliseconds.
    pub at: u64,
    /// What was found.
    pub what: String,
}

/// What a scenario was made of, to see that it tested something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Terms that began.
    pub terms: u64,
    /// Work writes that were stored.
    pub writes: u64,
    /// Work writes that were refused because their object had changed since they were made.
    pub conflicts: u64,
    /// Lease writes that were accepted.
    pub lease_writes: u64,
    /// Changes of holder.
    pub takes: u64,
    /// Writes that landed after their sender was dead or had been dropped, outside its hold on the Lease.
    pub orphans: u64,
}

/// The checks of one scenario.
pub(super) struct Checks {
    pub(super) violation: Option<Violation>,
    pub(super) tally: Tally,
    settings: Settings,
    terms: Vec<Seen>,
    edited: bool,
    /// Whether a hint was forged, and whether the whole fence has refused a replica since, so that it may act on it.
    forged: bool,
    forged_behind_fence: bool,
    led_at: Millis,
    /// When last the Lease changed in a way that others have to wait for anew.
    quiet_since: Millis,
    /// The writes since the last term that counted as such: by whom, whether it was a take, and when.
    counted: Vec<(String, bool, Millis)>,
    /// The duration that the Lease states, or stated before it was deleted.
    stated: Option<i32>,
    written: VecDeque<Millis>,
    holders: Vec<String>,
}

/// A term as its work got it.
struct Seen {
    number: usize,
    gate: Gate,
    term: Term,
}

/// What calls, races among standbys and failed first tries may add to a takeover.
const SLACK: Millis = 1000;

impl Checks {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            violation: None,
            tally: Tally::default(),
            settings: settings.clone(),
            terms: Vec::new(),
            edited: false,
            forged: false,
            forged_behind_fence: false,
            led_at: 0,
            quiet_since: 0,
            counted: Vec::new(),
            stated: None,
            written: VecDeque::new(),
            holders: Vec::new(),
        }
    }

    /// Whoever edits or deletes a held Lease takes the promise back in the leader's name.
    pub(super) fn edited_by_a_stranger(&mut self) {
        self.edited = true;
    }

    pub(super) fn forged(&mut self) {
        self.forged = true;
    }

    /// The whole fence has just refused a replica that asked before it acts on a hint.
    pub(super) fn fence_refused(&mut self) {
        self.forged_behind_fence = self.forged;
    }

    fn fail(&mut self, check: &'static str, at: Millis, what: String) {
        trace::note(|| format!("VIOLATION of {check}: {what}"));
        self.violation.get_or_insert(Violation { check, at, what });
    }

    pub(super) fn look(&mut self, now: Millis, pods: &mut [SimPod], server: &Server) {
        self.terms_do_not_overlap(now);
        self.somebody_takes_over(now, pods, server);
    }

    /// The number of the term.
    pub(super) fn term_began(&mut self, now: Millis, number: usize, gate: Gate, term: Term) -> u64 {
        trace::note(|| "a term begins".to_owned());
        self.tally.terms += 1;
        self.terms.push(Seen { number, gate, term });
        self.terms_do_not_overlap(now);
        self.tally.terms
    }

    /// A term is live while [`Term::check`] passes; that of a process that is dead is not.
    fn terms_do_not_overlap(&mut self, now: Millis) {
        self.terms.retain(|seen| {
            seen.gate.mode() != Mode::Dead && !matches!(seen.term.check(), Err(TermOver::Ended(_)))
        });
        let mut live = self.terms.iter().filter(|seen| seen.term.check().is_ok());
        if let Some(first) = live.next() {
            self.led_at = now;
            self.counted.clear();
            let second = live.next().map(|second| second.number);
            if let Some(second) = second
                && self.settings.rates_in_bound
                && !self.edited
                && !self.forged_behind_fence
            {
                let what = format!(
                    "the terms of the processes {} and {second} are both live",
                    first.number
                );
                self.fail("terms-overlap", now, what);
            }
        }
    }

    /// While a replica is fine and the API is up, it takes no longer than the budget until somebody leads, counted from
    /// when last somebody led, and measured on that replica's own clock. A write of the Lease begins the count anew only
    /// where nothing else is possible: each process may have had one renewal under way when the last term ended, and may
    /// take the Lease once without hearing of it; a release and an edit count as well. See [`Self::lease_written`].
    ///
    /// - D + RP where the holder is silent: the expiry, and a retry period for a watch that died without a word;
    /// - 2 RP where the Lease is free: a named successor goes first, and again the dead watch;
    /// - RP where the holder is an earlier life of the same pod, or the API shows the proof of its death;
    /// - (D + 2 RP) D / RD and RP where it is the replica itself, and took the Lease in vain: it leaves it to others first.
    ///
    /// A replica that has just become fine gets RP and what a read may take at most: a call from before may hang for that
    /// long, and the next is made after the retry period.
    ///
    /// A record with a duration that no replica writes is waited for ten lease durations at most, or one.
    fn somebody_takes_over(&mut self, now: Millis, pods: &mut [SimPod], server: &Server) {
        let (duration, deadline, retry) = self.settings.lease_millis();
        let says = server.says();
        if let Some(says) = &says {
            self.stated = says.duration;
        }
        let patience = match self.stated {
            Some(seconds) if seconds > 3600 => 10 * duration,
            _ => duration,
        };
        let was_taken = says.is_some_and(|says| says.is_take);
        let leave = (duration + 2 * retry) * duration / deadline + retry;
        let held = server.held().filter(|held| !held.holder.is_empty());
        let proven = held.and_then(|held| {
            let words = |pod: &&SimPod| {
                pod.exists && pod.name == held.holder && pod.has_last_words_of(&held.incarnation)
            };
            pods.iter().find(words).map(|pod| pod.words_since)
        });
        let quiet_since = self.led_at.max(self.quiet_since);
        let mut late = None;
        for pod in pods.iter_mut() {
            if !(server.up && pod.is_fine()) {
                pod.fine_since = None;
                continue;
            }
            let fine_since = *pod.fine_since.get_or_insert(now);
            let earlier_life = |held: &Held| {
                held.holder == pod.name
                    && held.incarnation.split('/').next() == Some(pod.uid.as_str())
            };
            let its_own = |held: &Held| {
                held.holder == pod.name
                    && pod
                        .life
                        .as_ref()
                        .is_some_and(|life| held.incarnation == life.incarnation)
            };
            let local = |millis: Millis| millis * PPM / pod.rate;
            let sees_since = fine_since + local(retry + retry.max(deadline / 2));
            let (since, budget) = match (held, proven) {
                (None, _) if server.lease.is_some() => (quiet_since, 2 * retry),
                (Some(held), _) if was_taken && its_own(held) => {
                    (quiet_since.max(sees_since), leave)
                }
                (Some(held), _) if earlier_life(held) => (quiet_since, retry),
                (Some(_), Some(proven)) if !pod.deafened => (quiet_since.max(proven), retry),
                // A record that it never saw before is waited out as a whole.
                _ => (quiet_since.max(sees_since), patience + retry),
            };
            let due =
                (since + local(budget)).max(sees_since) + local(SLACK) + 10 * self.settings.latency;
            if now > due {
                late = Some((pod.name.clone(), now - since, due - since));
            }
        }
        if let Some((name, waited, budget)) = late {
            let what = format!(
                "pod {name} is fine, nobody leads for {waited} ms, and the budget is {budget} ms"
            );
            self.fail("no-takeover", now, what);
        }
    }

    pub(super) fn lease_edited(&mut self, now: Millis) {
        self.quiet_since = now;
    }

    /// Whether a write by this process begins the count of the budget anew.
    fn counts(&mut self, now: Millis, incarnation: &str, says: &Says) -> bool {
        if says.holder.is_empty() {
            return true;
        }
        // Whoever took it in vain leaves it to others for longer than they need.
        let (duration, ..) = self.settings.lease_millis();
        let long_ago = now.saturating_sub(duration * PPM / self.settings.rates.1);
        let known = self
            .counted
            .iter_mut()
            .find(|(by, is_take, _)| by == incarnation && *is_take == says.is_take);
        match known {
            Some((_, _, at)) if *at > long_ago => return false,
            Some((_, _, at)) => *at = now,
            None => self
                .counted
                .push((incarnation.to_owned(), says.is_take, now)),
        }
        true
    }

    /// A replica's write of the Lease is accepted.
    pub(super) fn lease_written(
        &mut self,
        now: Millis,
        (by, incarnation): (&str, &str),
        before: Option<&Says>,
        after: Option<Says>,
    ) {
        self.tally.lease_writes += 1;
        let after = after.unwrap_or_default();
        if self.counts(now, incarnation, &after) {
            self.quiet_since = now;
        }
        let was = before.map(|says| says.holder.as_str()).unwrap_or_default();
        let is = after.holder.as_str();
        if was != is {
            trace::note(|| {
                format!(
                    "{by} writes the Lease: {was:?} -> {is:?}, transitions {}",
                    after.transitions
                )
            });
        }
        if !is.is_empty() && self.holders.last().is_none_or(|last| last != is) {
            self.tally.takes += 1;
            self.holders.push(is.to_owned());
        }
        // As every elector counts: from nobody to somebody is a change, and a release is none.
        let counts = i32::from(!is.is_empty() && is != was);
        if let Some(before) = before
            && after.transitions != before.transitions + counts
        {
            let what = format!(
                "{was:?} -> {is:?} took leaseTransitions from {} to {}",
                before.transitions, after.transitions
            );
            self.fail("transitions", now, what);
        }
        self.written.push_back(now);
        while self.written.front().is_some_and(|at| at + 60_000 < now) {
            self.written.pop_front();
        }
        // Every failed call is followed by a pause of a quarter of the retry period.
        let most = 240_000 * self.settings.rates.1 / PPM / self.settings.lease_millis().2 + 60;
        if self.written.len() as u64 > most {
            self.fail(
                "livelock",
                now,
                format!("{} Lease writes in a minute", self.written.len()),
            );
        }
    }

    /// A call about the Lease is made.
    pub(super) fn called(&mut self, now: Millis, pods: &mut [SimPod], pod: usize) {
        let pod = &mut pods[pod];
        if pod.calls.0 + 60_000 < now {
            pod.calls = (now, 0);
        }
        pod.calls.1 += 1;
        let most = 2 * 240_000 * self.settings.rates.1 / PPM / self.settings.lease_millis().2 + 100;
        if pod.calls.1 > most {
            let what = format!(
                "{} calls about the Lease by pod {} in a minute",
                pod.calls.1, pod.name
            );
            self.fail("livelock", now, what);
        }
    }

    /// A work write passes a policy of the fence that is in force. A pod of the writer's name must hold the Lease now, or
    /// have held it not longer ago than the informer's lag. The fence knows pods and not lives: what an earlier life of the
    /// same pod still had on the wire passes.
    pub(super) fn work_admitted(&mut self, now: Millis, write: &WorkWrite, server: &Server) {
        let from = now.saturating_sub(self.settings.informer_lag);
        if !server.named_since(from, &write.name) {
            self.fail(
                "foreign-write",
                now,
                format!("the fence let a write of {} pass", write.name),
            );
        }
    }

    /// A work write is stored. The fence does not see this moment: the Lease may have moved since it was asked.
    ///
    /// - It must not replace a write of a newer term, whatever the fence. On condition that rates are in the bound, or the
    ///   write was guarded; and that nobody edited the Lease, or it was guarded. A namesake of the writer is the same pod
    ///   to the fence.
    /// - Where no policy in force guarded it, it must be its writer's hour: exactly the writer's process holds the Lease
    ///   now. On condition that rates are in the bound, nobody edited the Lease, no forged hint was acted on behind the
    ///   fence, and the write was not longer on its way than what lies between the end of a term and the earliest expiry.
    ///   An *orphan* is exempt: a write whose sender died or dropped it while it was on the wire may land after a takeover
    ///   that did not have to wait for the expiry (proof, reclaim, release).
    pub(super) fn work_stored(
        &mut self,
        now: Millis,
        write: &WorkWrite,
        is_guarded: bool,
        replaced: Option<Author>,
        server: &Server,
    ) {
        self.tally.writes += 1;
        let in_order = self.settings.rates_in_bound && !self.edited && !self.forged_behind_fence;
        if let Some(replaced) = replaced.filter(|replaced| replaced.term > write.term)
            && (in_order || (is_guarded && replaced.name != write.name))
        {
            let what = format!(
                "a write of process {} ({}) in term {} replaced one of {} in term {}",
                write.number, write.name, write.term, replaced.name, replaced.term
            );
            self.fail("overwrite", now, what);
        }
        let holder = server.held();
        if is_guarded
            || !in_order
            || holder.is_some_and(|held| held.incarnation == write.incarnation)
        {
            return;
        }
        let (duration, deadline, _) = self.settings.lease_millis();
        let rate = self.settings.rates.0;
        let on_the_wire = now - write.sent;
        let most = (duration * PPM / self.settings.rates.1).saturating_sub(deadline * PPM / rate);
        let orphan = write.abandoned.load(Ordering::Relaxed) || write.gate.mode() == Mode::Dead;
        if orphan {
            self.tally.orphans += 1;
        } else if on_the_wire <= most {
            let what = format!(
                "a write of process {} ({}), {on_the_wire} ms on the wire, landed while {:?} held the Lease",
                write.number,
                write.name,
                holder.map(|held| held.holder.as_str())
            );
            self.fail("foreign-write", now, what);
        }
    }

    /// At the end of a scenario in which nothing happened but a rolling update.
    pub(super) fn ended(&mut self, now: Millis) {
        if self.settings.rollout_only && self.holders.len() != 2 {
            let what = format!("a rolling update moved the Lease along {:?}", self.holders);
            self.fail("hops", now, what);
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, at, what } = self;
        write!(f, "{check} at {}.{:03} s: {what}", at / 1000, at % 1000)
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.terms += other.terms;
        self.writes += other.writes;
        self.conflicts += other.conflicts;
        self.lease_writes += other.lease_writes;
        self.takes += other.takes;
        self.orphans += other.orphans;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            terms,
            writes,
            conflicts,
            lease_writes,
            takes,
            orphans,
        } = self;
        write!(
            f,
            "{terms} terms, {takes} takeovers, {lease_writes} Lease writes, {writes} work writes, {conflicts} conflicts, {orphans} orphans"
        )
    }
}
