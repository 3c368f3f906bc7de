//! How much is measured.

/// What is measured.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Sizes {
    /// How many objects there are
    #[arg(long, default_value_t = 10_000)]
    pub objects: usize,
    /// How many windows open while nobody leads
    #[arg(long, default_value_t = 100)]
    pub overdue: usize,
    /// How many windows open in one second
    #[arg(long, default_value_t = 1_000)]
    pub together: usize,
    /// How many seconds nothing happens
    #[arg(long, default_value_t = 600)]
    pub quiet_seconds: u64,
}
