//! The election of one replica, from its configuration.

use std::{sync::Arc, time::Duration};

use lease_election::{BuildError, Election, Observer};

use crate::{access::SERVICE_ACCOUNT, args, controller, leader};

/// Binds the port for hints, if there is one, and begins the termination log.
pub(super) fn prepare(
    settings: args::Election,
    drain_timeout: Duration,
    observer: Arc<dyn Observer>,
    kube_config: kube::Config,
) -> Result<Election, BuildError> {
    let (lease, fence) = (
        &settings.lease,
        leader::fence(settings.fence_probe.as_deref()),
    );
    Election::builder(lease.name(), lease.namespace())
        .identity(settings.identity)
        .timing(settings.timing)
        .annotations(leader::ANNOTATIONS)
        .reporter(SERVICE_ACCOUNT)
        .termination_log(settings.container_name, settings.termination_log)
        .fence(fence)
        .hints(settings.hint_address)
        .observer(observer)
        .drain_timeout(drain_timeout)
        .end_stuck_work(controller::STUCK_AFTER)
        .names(leader::SETTINGS)
        .build(kube_config)
}
