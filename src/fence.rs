//! The fence: the API server itself refuses work writes of a replica that does not hold the Lease.

use futures::future::BoxFuture;

/// Asks the API server whether the fence stands.
pub trait Fence: Send + Sync + 'static {
    /// Whether the API server has just refused, by the fence's policy, a work write of this very replica.
    ///
    /// `false` when it was accepted, refused for any other reason, or not answered in time.
    fn refuses_me(&self) -> BoxFuture<'_, bool>;
}
