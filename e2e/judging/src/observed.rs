//! What was seen of a trial.

pub mod audit;
pub mod eviction;
pub mod holder;
pub mod lease;
pub mod roles;
pub mod trial;
pub mod work;
