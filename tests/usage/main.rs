//! The program as it is started, without a cluster: its ports, and what a second process in its container does.
//!
//! The kubeconfig that it is given names an API server that refuses connections: so it contends for nothing, and its ports
//! are all that there is to see.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helper ends the test where it stands"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the process under test has the real clock, and no test here pauses time"
)]

mod crowd;
mod operator;
mod ports;
mod second;
