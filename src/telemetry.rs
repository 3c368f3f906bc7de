//! How log lines look and which are written.

use tracing_subscriber::{EnvFilter, filter::ParseError, util::TryInitError};
use tracing_subscriber::{layer::SubscriberExt, util::SubscriberInitExt};

use crate::args::LogFormat;

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one that tracing understands.
    #[error(
        "RUST_LOG is {filter:?}: must be tracing directives like \"info\" or \"five_spot=debug,kube=info\""
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What the parser says.
        #[source]
        source: ParseError,
    },
    /// Somebody set up logging before.
    #[error("failed to install the log subscriber")]
    Installed(#[source] TryInitError),
}

/// Installs the log subscriber for the whole process; log lines go to standard error.
pub fn init(filter: &str, format: LogFormat) -> Result<(), TelemetryError> {
    let directives = EnvFilter::try_new(filter).map_err(|source| TelemetryError::Filter {
        filter: filter.to_owned(),
        source,
    })?;
    let registry = tracing_subscriber::registry().with(directives);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::Text => registry.with(lines).try_init(),
    }
    .map_err(TelemetryError::Installed)
}
