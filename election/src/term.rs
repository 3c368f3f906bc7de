//! A term: one uninterrupted stretch of leadership, as an object that work is scoped by.
//!
//! The election starts the work with a [`Term`] and ends it with the same; the two sides share nothing else.
//!
//! # Guarantees
//! - [`Term::check`] fails from the moment the term is lost, wound up or past its deadline, whichever comes first.
//! - The client made by [`Term::client`] sends no write unless the check passes at that moment, and abandons writes
//!   in flight when the term ends.
//! - A write that the fence refused is not repeated past the end of the term, and raises a doubt about the term that the
//!   election hears of at once.
//! - A client for another cluster sends no write before the moment from which the election lets it, which is where nothing but the
//!   term holds a leader back.
//!
//! # Non-guarantees
//! - A write that was sent within the term may reach the API server after it, and be stored later still. The gap between the
//!   renew deadline and the lease duration is room for that, and no bound. Where the fence is in force it refuses what
//!   reaches it after the Lease has moved; what it let pass before that replaces nothing that a later leader wrote, see
//!   [`crate::fence`].

mod first_write;
mod foreign;
mod gate;
mod generation;
mod scope;
#[cfg(test)]
mod tests;

pub use foreign::ForeignTooSoon;
pub use gate::Fenced;
pub use generation::Generation;
pub use scope::{Term, TermControl, TermOver};
