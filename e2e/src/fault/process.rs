//! Processes as the node numbers them: found, signalled and looked at by plain commands, without a shell in between,
//! since a command that reaches a node by ssh is parsed once more on the way.

use serde_json::Value;

use super::error::FaultError;
use crate::context::RunContext;
use failover_judging::observed::{PodSeen, Strike};
use failover_rig::cluster::{ClusterError, Signal};

/// Names a container's sandbox in what the runtime tells of it.
const SANDBOX: &str = "io.kubernetes.cri.sandbox-id";

/// The node and the container of a pod.
pub(super) fn place(pod: &PodSeen) -> Result<(&str, &str), FaultError> {
    match (&pod.node, &pod.container_id) {
        (Some(node), Some(container)) => Ok((node, container)),
        _ => Err(FaultError::NoContainer(pod.name.clone())),
    }
}

/// The process id of the container that runs in `pod`.
pub(super) async fn of(context: &RunContext<'_>, pod: &PodSeen) -> Result<u32, FaultError> {
    let (node, container) = place(pod)?;
    let pid = context.cluster.container_pid(node, container).await;
    pid.map_err(FaultError::node(pod))?
        .ok_or_else(|| FaultError::NoContainer(pod.name.clone()))
}

/// Sends a signal to processes on the node of `pod`; gives when.
pub(super) async fn signal(
    context: &RunContext<'_>,
    pod: &PodSeen,
    signal: Signal,
    pids: &[u32],
) -> Result<Strike, FaultError> {
    let (node, _) = place(pod)?;
    let aimed = context.cluster.aim(node, signal, pids).await;
    let aimed = aimed.map_err(FaultError::node(pod))?;
    let issued = context.observations.now();
    aimed.fire().await.map_err(FaultError::node(pod))?;
    Ok(Strike::between(issued, context.observations.now()))
}

/// Runs a command on the node of `pod`, which must succeed; gives what it wrote.
pub(super) async fn run(
    context: &RunContext<'_>,
    pod: &PodSeen,
    node: &str,
    command: &[&str],
) -> Result<String, FaultError> {
    let output = context.cluster.on_node(node, command).await;
    output
        .and_then(|output| output.success(node, command))
        .map(|output| output.stdout)
        .map_err(FaultError::node(pod))
}

/// The process that holds the pod's network for as long as the pod lives, also when its container is restarted.
pub(super) async fn sandbox(context: &RunContext<'_>, pod: &PodSeen) -> Result<String, FaultError> {
    let (node, container) = place(pod)?;
    let id = container.split_once("://").map_or(container, |(_, id)| id);
    let command = ["ctr", "-n", "k8s.io", "containers", "info", id];
    let told = run(context, pod, node, &command).await?;
    let missing = || FaultError::NoEffect(format!("the runtime names no sandbox of {}", pod.name));
    let sandbox = sandbox_of(&told).ok_or_else(missing)?;
    let pid = context.cluster.container_pid(node, &sandbox).await;
    let pid = pid.map_err(FaultError::node(pod))?.ok_or_else(missing)?;
    Ok(pid.to_string())
}

/// The sandbox in what `ctr containers info` writes.
fn sandbox_of(info: &str) -> Option<String> {
    let info: Value = serde_json::from_str(info).ok()?;
    let annotations = info.get("Spec")?.get("annotations")?;
    annotations.get(SANDBOX)?.as_str().map(str::to_owned)
}

/// Whether the process is stopped by a signal.
pub(super) async fn is_stopped(
    context: &RunContext<'_>,
    node: &str,
    pid: impl std::fmt::Display + Send,
) -> Result<bool, ClusterError> {
    let path = format!("/proc/{pid}/stat");
    let stat = context.cluster.on_node(node, &["cat", &path]).await?;
    Ok(state_of(&stat.stdout) == Some('T'))
}

/// The state in `/proc/<pid>/stat`: the letter after the name, which may itself hold blanks and brackets.
fn state_of(stat: &str) -> Option<char> {
    stat.rsplit_once(") ")?.1.chars().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_is_read_from_what_the_runtime_tells() {
        let info = r#"{"ID": "c", "Labels": {"io.kubernetes.pod.name": "p"},
            "Spec": {"annotations": {"io.kubernetes.cri.sandbox-id": "s1"}}}"#;
        assert_eq!(sandbox_of(info).as_deref(), Some("s1"));
        assert_eq!(sandbox_of("{}"), None);
        assert_eq!(sandbox_of("ctr: not found"), None);
    }

    #[rstest::rstest]
    #[case("41 (kube) S 1 41", Some('S'))]
    #[case("41 (a ) b) T 1 41", Some('T'))]
    #[case("", None)]
    fn the_state_is_the_letter_after_the_name(#[case] stat: &str, #[case] state: Option<char>) {
        assert_eq!(state_of(stat), state);
    }
}
