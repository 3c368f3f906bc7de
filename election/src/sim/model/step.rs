//! What each action does to a state.

use super::{
    Action, At, D, Flight, RD, Replica, Says, Small, State, Term, View,
    real::{Shown, proves, taken_in, verdict},
};
use crate::{
    mutation::{self, Mutation},
    record::{Reason, Verdict},
};

impl Replica {
    pub(super) fn is_live(&self) -> bool {
        self.alive && self.term.is_some_and(|term| term.age <= RD)
    }
}
impl State {
    /// `None` where the action is not possible.
    #[expect(clippy::too_many_lines, reason = "one arm for each action")]
    pub(super) fn act(&mut self, world: Small, action: Action) -> Option<()> {
        match action {
            // Clocks that are never apart go on together, and the first of them stands for all.
            Action::Tick(number) if world.skew == 0 => {
                (number == 0).then_some(())?;
                for number in 0..world.replicas {
                    self.tick(number, 1)?;
                }
            }
            Action::Tick(number) => self.tick(number, world.skew)?,
            Action::Read(number) => {
                let lease = self.lease;
                let replica = self
                    .replica(number)
                    .filter(|replica| replica.alive && replica.flight.is_none())?;
                replica.read(lease);
                replica.sighted();
            }
            Action::Look(number) => {
                let replica = *self.replica(number).filter(|replica| replica.alive)?;
                let holder = replica.view?.says?.holder?;
                let proven = proves(self.pod(holder.0), holder);
                self.replica(number)?.view.as_mut()?.proven |= proven;
            }
            Action::Take(number) => {
                let replica = self
                    .replica(number)
                    .filter(|replica| replica.alive && !replica.going)?;
                if replica.flight.is_some() || replica.term.is_some() {
                    return None;
                }
                let view = replica.view?;
                let Verdict::Take(reason) = verdict(view, (number, replica.life)) else {
                    return None;
                };
                let says = Says {
                    holder: Some((number, replica.life)),
                    successor: None,
                };
                replica.send(says, Some(reason), view.current);
            }
            Action::Renew(number) => {
                let replica = self.replica(number).filter(|replica| replica.is_live())?;
                if replica.flight.is_some() {
                    return None;
                }
                let view = replica.view?;
                replica.send(view.says?, None, view.current);
            }
            Action::Terminate(number) => {
                let replica = self.replica(number).filter(|replica| replica.is_live())?;
                replica.going = true;
            }
            Action::Release(number, successor) => {
                let replica = self
                    .replica(number)
                    .filter(|replica| replica.is_live() && replica.going)?;
                if replica.flight.is_some() {
                    return None;
                }
                let view = replica.view?;
                if !mutation::is(Mutation::ReleasesBeforeTheWorkStopped) {
                    replica.term = None;
                }
                replica.send(
                    Says {
                        holder: None,
                        successor,
                    },
                    None,
                    view.current,
                );
            }
            Action::Arrive(number) => {
                let flight = self
                    .replica(number)?
                    .flight
                    .filter(|flight| flight.at == At::Client)?;
                let accepted = self.write(flight.writes, flight.current);
                let flight = self.replica(number)?.flight.as_mut()?;
                flight.at = if accepted { At::Accepted } else { At::Refused };
                flight.current = accepted;
            }
            Action::Answer(number) => {
                let lease = self.lease;
                let replica = self.replica(number)?;
                let flight = replica.flight.filter(|flight| flight.at != At::Client)?;
                replica.flight = None;
                replica.answered(flight, lease);
            }
            Action::GiveUp(number) => {
                let replica = self.replica(number).filter(|replica| replica.alive)?;
                let flight = replica.flight.take()?;
                let seen = flight.at == At::Accepted && flight.writes.holder.is_some();
                let any = mutation::is(Mutation::BelievesAnySight);
                if seen || ((world.late_writes || any) && flight.at == At::Client) {
                    // Why it was sent is of no matter any more.
                    replica.late = Some(Flight {
                        reason: None,
                        ..flight
                    });
                    replica.forget();
                }
            }
            Action::ArriveLate(number) => {
                let late = &mut self.replica(number)?.late;
                let mut flight = late.take_if(|late| late.at == At::Client)?;
                if self.write(flight.writes, flight.current) {
                    (flight.at, flight.current) = (At::Accepted, true);
                    let replica = self.replica(number)?;
                    replica.late = Some(flight);
                    replica.forget();
                }
            }
            Action::Crash(number) => {
                let replica = self.replica(number).filter(|replica| replica.alive)?;
                let flight = replica
                    .flight
                    .take()
                    .filter(|flight| world.late_writes && flight.at == At::Client);
                let late = flight.or(replica.late).filter(|late| late.at == At::Client);
                *replica = Replica {
                    alive: false,
                    view: None,
                    term: None,
                    going: false,
                    late,
                    ..*replica
                };
            }
            Action::Restart(number) => {
                let replica = self
                    .replica(number)
                    .filter(|replica| !replica.alive && replica.life < world.lives)?;
                *replica = Replica {
                    alive: true,
                    life: replica.life + 1,
                    ..*replica
                };
            }
        }
        Some(())
    }

    fn replica(&mut self, number: u8) -> Option<&mut Replica> {
        self.replicas.get_mut(usize::from(number))
    }

    /// One clock goes on, unless that takes it too far ahead of another.
    fn tick(&mut self, number: u8, skew: u8) -> Option<()> {
        let replica = self.replica(number)?;
        replica.ahead += 1;
        if let Some(view) = &mut replica.view {
            view.age = (view.age + 1).min(D + 1);
        }
        if let Some(flight) = &mut replica.flight {
            flight.age = (flight.age + 1).min(RD + 1);
        }
        if let Some(late) = &mut replica.late {
            late.age = (late.age + 1).min(RD + 1);
        }
        replica.forget();
        if let Some(term) = &mut replica.term
            && !mutation::is(Mutation::IgnoresTheRenewDeadline)
        {
            term.age += 1;
        }
        replica.end_what_is_over();
        let behind = self
            .replicas
            .iter()
            .map(|replica| replica.ahead)
            .min()
            .unwrap_or(0);
        for replica in &mut self.replicas {
            replica.ahead -= behind;
        }
        self.replicas
            .iter()
            .all(|replica| replica.ahead <= skew)
            .then_some(())
    }

    /// A write arrives at the server; whether it is accepted.
    fn write(&mut self, says: Says, current: bool) -> bool {
        let unconditional = mutation::is(Mutation::WritesWithoutVersion) && self.lease.is_some();
        if !current && !unconditional {
            return false;
        }
        self.lease = Some(says);
        for replica in &mut self.replicas {
            if let Some(view) = &mut replica.view {
                view.current = false;
            }
            if let Some(flight) = &mut replica.flight {
                flight.current = false;
            }
            if let Some(late) = &mut replica.late {
                late.current = false;
            }
            replica.forget();
        }
        true
    }

    /// What the API shows of a pod: which of its lives is dead, and whether it is being deleted.
    fn pod(&self, number: u8) -> Shown {
        let replica = self.replicas.get(usize::from(number));
        let dead = replica.map_or(0, |replica| replica.life - u8::from(replica.alive));
        Shown {
            pod: number,
            dead,
            deleting: replica.is_some_and(|replica| replica.going),
        }
    }
}

impl Replica {
    fn send(&mut self, writes: Says, reason: Option<Reason>, current: bool) {
        self.flight = Some(Flight {
            writes,
            reason,
            age: 0,
            at: At::Client,
            current,
        });
    }

    fn answered(&mut self, flight: Flight, lease: Option<Says>) {
        if flight.at == At::Refused {
            self.read(lease);
            let mine = self.view.and_then(|view| view.says?.holder) == flight.writes.holder;
            if flight.reason.is_none() && !mine {
                self.term = None;
            }
            return;
        }
        self.view = Some(View {
            says: Some(flight.writes),
            current: flight.current,
            age: 0,
            proven: false,
        });
        if flight.writes.holder.is_none() {
            self.term = None;
            return;
        }
        let age = if mutation::is(Mutation::CountsFromTheAnswer) {
            0
        } else {
            flight.age
        };
        let reason = flight.reason.or(self.term.and_then(|term| term.reason));
        // A renewal prolongs a term and does not revive one.
        if flight.reason.is_some() || self.term.is_some() {
            self.term = Some(Term { age, reason });
        }
        self.end_what_is_over();
    }

    /// What was given up and can neither arrive nor count any more is of no matter.
    fn forget(&mut self) {
        let any = mutation::is(Mutation::BelievesAnySight);
        self.late.take_if(|late| match late.at {
            At::Client => false,
            _ => late.age > RD || !(any || late.current),
        });
    }

    fn end_what_is_over(&mut self) {
        if !self.is_live() {
            self.term = None;
        }
    }

    /// A write that was given up acknowledges itself where the Lease still is as it left it. A renewal that is seen after
    /// its term begins another.
    fn sighted(&mut self) {
        if mutation::is(Mutation::IgnoresSights) || self.going {
            return;
        }
        let holder = self.view.and_then(|view| view.says?.holder);
        let Some(late) = self.late else { return };
        let exact = late.at == At::Accepted && late.current;
        let any = mutation::is(Mutation::BelievesAnySight) && late.writes.holder == holder;
        // A term that rests on a later write is not cut short.
        let older = self.term.is_some_and(|term| term.age <= late.age);
        if (exact || any) && !older && holder.is_some() {
            self.term = Some(Term {
                age: late.age,
                reason: Some(Reason::Own),
            });
            self.late = None;
            self.end_what_is_over();
        }
    }

    /// Takes in what the server has, by the real rule for what is news.
    fn read(&mut self, lease: Option<Says>) {
        let (age, same) = taken_in(self.view, lease);
        let proven = same && self.view.is_some_and(|view| view.proven);
        self.view = Some(View {
            says: lease,
            current: true,
            age,
            proven,
        });
    }
}
