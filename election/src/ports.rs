//! Ports that anybody may connect to: where they listen, and that what connections cost is bounded.

mod connections;
mod listen;

pub use connections::{Connections, accept};
pub use listen::listen;
