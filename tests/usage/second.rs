//! A second process in the container of a running one, such as by `kubectl exec ... /five-spot run`.

use rstest::rstest;

use super::operator::Container;

#[rstest]
#[case::as_the_first("as-the-first", &[], "LISTEN_ADDRESS")]
#[case::without_hints("without-hints", &[("ENABLE_HINT", "false")], "LISTEN_ADDRESS")]
#[case::on_another_port("on-another-port", &[("LISTEN_ADDRESS", "[::]:0")], "HINT_ADDRESS")]
#[case::on_other_ports(
    "on-other-ports", &[("LISTEN_ADDRESS", "[::]:0"), ("HINT_ADDRESS", "[::]:0")], "TERMINATION_LOG"
)]
#[case::on_another_port_without_hints(
    "on-another-port-without-hints", &[("LISTEN_ADDRESS", "[::]:0"), ("ENABLE_HINT", "false")], "TERMINATION_LOG"
)]
fn it_ends_and_leaves_the_termination_log_as_it_is(
    #[case] name: &str,
    #[case] variables: &[(&str, &str)],
    #[case] named: &str,
) {
    let container = Container::create(name);
    let _first = container.start();
    let before = container.termination_log();
    let second = container.run_second(variables);
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1), "{message}");
    assert!(message.contains(named), "{message}");
    assert_eq!(container.termination_log(), before);
}

#[test]
fn the_next_process_begins_the_log_anew() {
    let container = Container::create("next");
    let first = container.start();
    let before = container.nonce();
    first.kill();
    assert_eq!(container.nonce(), before, "kubelet reads it now");
    std::fs::write(container.folder.join("termination-log"), "").unwrap();
    let _next = container.start();
    assert_ne!(container.nonce(), before);
}
