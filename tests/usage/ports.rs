//! Which addresses the ports are reached on.

use super::operator::{Container, has_ipv6};

#[test]
fn both_ports_answer_on_every_family_that_the_machine_has() {
    let container = Container::create("families");
    let _operator = container.start();
    let families: &[&str] = if has_ipv6() {
        &["127.0.0.1", "::1"]
    } else {
        &["127.0.0.1"]
    };
    for ip in families {
        let answer = container.probe(ip, "/livez").unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{ip}: {answer}");
        container.follow(ip).unwrap();
    }
}

#[test]
fn one_address_is_used_as_it_is() {
    let container = Container::create("one-address");
    let (address, hint) = (
        format!("127.0.0.1:{}", container.port),
        format!("127.0.0.1:{}", container.hint_port),
    );
    let mut command = container.command();
    command
        .env("LISTEN_ADDRESS", address)
        .env("HINT_ADDRESS", hint);
    let _operator = container.start_as(command);
    assert!(container.probe("127.0.0.1", "/livez").is_ok());
    assert!(container.follow("127.0.0.1").is_ok());
    assert!(container.probe("::1", "/livez").is_err());
    assert!(container.follow("::1").is_err());
}
