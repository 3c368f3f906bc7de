//! Rules of admission that a fault puts in the way of the Lease.

use std::time::Duration;

use serde_json::Value;

use super::error::FaultError;
use crate::context::RunContext;

/// How long the API server may take to act on a new rule.
pub(super) const ACTIVE_LIMIT: Duration = Duration::from_secs(10);

/// Creates such an object, which must not be there already.
pub(super) async fn create(
    context: &RunContext<'_>,
    collection: &str,
    object: &Value,
) -> Result<(), FaultError> {
    let answer = context.requests.create("fault", collection, object).await;
    let answer = answer.map_err(FaultError::request("create the rule of admission"))?;
    FaultError::unless_accepted(&answer, "the rule of admission could not be created")
}
