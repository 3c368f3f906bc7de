//! What a cluster is made of where nobody says otherwise.

/// Repository of the k3s image.
pub const K3S_REPOSITORY: &str = "rancher/k3s";

/// Tag of the k3s image; the one place that names it.
pub const K3S_TAG: &str = "v1.34.12-k3s1";

/// The image that `just node` builds.
pub const NODE_IMAGE: &str = "five-spot/node:v1.34.4";

/// The image that `just image` builds.
pub const OPERATOR_IMAGE: &str = concat!("ghcr.io/finos/5spot-rs:v", env!("CARGO_PKG_VERSION"));

/// The audit policy of started clusters.
pub const AUDIT_POLICY: &str = include_str!("audit-policy.yaml");
