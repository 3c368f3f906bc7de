//! Carries out a plan. Every step is safe to repeat and to race, and goes through the term's client.
//!
//! What is created is created only where nothing of its name is; what is deleted is named by its UID; what is changed on
//! an object that others change too is owned by field, or guarded by the resource version that was read.

mod node;
mod objects;
mod status;

use kube::ResourceExt;
use tokio::time::Instant;

use super::{
    Category, ControllerError,
    plan::{CLEANUP_TIMED_OUT, Failure, Step},
    reconcile::Context,
};
use crate::{
    api::ScheduledMachine,
    errors::Chain,
    machine::{ClusterKey, DrainReport, ObjectView},
};

/// What came of a step.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each step, and none is kept"
)]
pub(super) enum Progress {
    /// It is done, and this object came of it.
    Done(Option<ObjectView>),
    /// This is left on the Node, or it can't be said.
    Drain(Result<DrainReport, String>),
    /// The object is gone or another one by now; the watch brings the news.
    Ended,
}

/// The object that a step is about, and where its Node is.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) object: &'a ScheduledMachine,
    pub(super) cluster: ClusterKey,
}

/// Does one step.
pub(super) async fn apply(
    context: &Context,
    target: &Target<'_>,
    step: &Step,
) -> Result<Progress, ControllerError> {
    let object = target.object;
    let began = Instant::now();
    let done = match step {
        Step::WriteStatus(status) => status::write(context, object, status).await?,
        Step::Announce(announcement) => {
            if announcement.reason == CLEANUP_TIMED_OUT {
                context.metrics.failed(Category::Cleanup);
            }
            status::announce(context, object, announcement).await;
            Progress::Done(None)
        }
        Step::AddFinalizer => objects::set_finalizer(context, object, true).await?,
        Step::RemoveFinalizer => objects::set_finalizer(context, object, false).await?,
        Step::DisableSchedule => objects::disable_schedule(context, object).await?,
        Step::Create(role) => objects::create(context, object, *role).await?,
        Step::Adopt(role, view) => objects::adopt(context, object, *role, view).await?,
        Step::Delete(role, view) => objects::delete(context, *role, view).await?,
        Step::SkipDrain(machine, skip) => objects::skip_drain(context, machine, *skip).await?,
        Step::Cordon(view, cordon) => node::cordon(context, target, view, *cordon).await?,
        Step::Taint(view, taints) => node::taint(context, target, view, taints).await?,
        Step::Drain(view) => Progress::Drain(node::drain(context, target, view).await?),
    };
    tracing::debug!(name = %object.name_any(), took = ?began.elapsed(), ?step, "did a step");
    Ok(done)
}

/// What people are told of a step that failed.
pub(super) fn failure(error: &ControllerError) -> Failure {
    let is_refused = |code| matches!(code, 400 | 403 | 422);
    let is_lasting = match error {
        ControllerError::NameTaken { .. } => true,
        ControllerError::Step { source, .. } => {
            matches!(source.as_ref(), kube::Error::Api(status) if is_refused(status.code))
        }
        _ => false,
    };
    Failure {
        reason: error.reason(),
        message: Chain(error).to_string(),
        is_lasting: is_lasting && !error.is_fenced(),
    }
}
