//! 5-Spot: puts Cluster API machines into a cluster in weekly time windows, led by one replica at a time.
//!
//! | folder | answers |
//! |---|---|
//! | [`api`] | what a `ScheduledMachine` is |
//! | [`schedule`] | when its window is open |
//! | [`controller`] | what is done about it, and why |
//! | [`term`] | how long this replica may write |
//! | [`leader`] | who leads, and how that is decided |
//! | [`clock`] | which clock that is judged by |
//!
//! Only the composition root names both [`leader`] and [`controller`]; they meet in a [`term::Term`].

pub mod api;
pub mod clock;
pub mod controller;
pub mod leader;
pub mod manifest;
pub mod schedule;
pub mod term;
