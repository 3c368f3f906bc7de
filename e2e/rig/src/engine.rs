//! The container engine that clusters are started on.
//!
//! One place resolves where the engine is, asks it what it is, and turns each way of not answering into an error that says
//! what to do.

mod address;
pub mod command;
mod daemon;
mod error;
mod plan;
mod probe;
mod running;

pub use self::address::Address;
pub use self::command::EngineCommand;
pub use self::error::EngineError;
pub use self::plan::{Machine, Refusal, Step, plan};
pub use self::probe::{Engine, EngineFacts, probe};
