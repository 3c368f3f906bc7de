//! Processes as the node numbers them: found, signalled and looked at by plain commands, without a shell in between,
//! since a command that reaches a node by ssh is parsed once more on the way.

use super::FaultError;
use crate::{cluster::ClusterError, scene::Scene, trial::PodSeen};

/// The node and the container of a pod.
pub(super) fn place(pod: &PodSeen) -> Result<(&str, &str), FaultError> {
    match (&pod.node, &pod.container_id) {
        (Some(node), Some(container)) => Ok((node, container)),
        _ => Err(FaultError::NoContainer(pod.name.clone())),
    }
}

/// The process id of the container that runs in `pod`.
pub(super) async fn of(scene: &Scene<'_>, pod: &PodSeen) -> Result<String, FaultError> {
    let (node, container) = place(pod)?;
    let pid = scene.cluster.container_pid(node, container).await;
    pid.map_err(FaultError::node(pod))?
        .map(|pid| pid.to_string())
        .ok_or_else(|| FaultError::NoContainer(pod.name.clone()))
}

/// Whether the process is stopped by a signal.
pub(super) async fn is_stopped(
    scene: &Scene<'_>,
    node: &str,
    pid: &str,
) -> Result<bool, ClusterError> {
    let path = format!("/proc/{pid}/stat");
    let stat = scene.cluster.on_node(node, &["cat", &path]).await?;
    Ok(state_of(&stat.stdout) == Some('T'))
}

/// The state in `/proc/<pid>/stat`: the letter after the name, which may itself hold blanks and brackets.
fn state_of(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("41 (kube) S 1 41", Some('S'))]
    #[case("41 (a ) b) T 1 41", Some('T'))]
    #[case("", None)]
    fn the_state_is_the_letter_after_the_name(#[case] stat: &str, #[case] state: Option<char>) {
        assert_eq!(state_of(stat), state);
    }
}
