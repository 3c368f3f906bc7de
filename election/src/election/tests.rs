//! What a builder refuses, and that a run ends.

use std::{net::SocketAddr, path::Path, time::Duration};

use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::*;
use crate::{Fence, Identity, LeadershipStatus, SettingNames};

fn nowhere() -> kube::Config {
    kube::Config::new(http::Uri::from_static("http://127.0.0.1:1"))
}

fn builder() -> Builder {
    Election::builder("l", "n").identity(Identity::of_new_process("a", "uid-a"))
}

fn port() -> SocketAddr {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap()
}

#[tokio::test]
async fn what_is_missing_or_illegal_is_named_as_the_caller_calls_it() {
    let missing = Election::builder("l", "n").build(nowhere()).unwrap_err();
    assert!(
        missing
            .to_string()
            .starts_with("identity is \"\": must be given")
    );
    let names = SettingNames {
        lease: "LEASE",
        ..SettingNames::default()
    };
    let illegal = Election::builder("a/b", "n").names(names).build(nowhere());
    let illegal = illegal.unwrap_err().to_string();
    assert!(illegal.starts_with("LEASE is \"a/b\""), "{illegal}");
}

#[tokio::test]
async fn an_election_without_an_api_server_ends_when_it_is_told_to_and_not_before() {
    let election = builder().build(nowhere()).unwrap();
    let (status, stop) = (election.status(), CancellationToken::new());
    let run = election.run(async {}, stop.clone().cancelled_owned(), |_| async {});
    let mut run = std::pin::pin!(run);
    let early = timeout(Duration::from_millis(300), &mut run).await;
    assert!(early.is_err(), "it has not been told to");
    assert_eq!(*status.borrow(), LeadershipStatus::Leaderless);
    stop.cancel();
    timeout(Duration::from_secs(4), run).await.unwrap().unwrap();
}

#[tokio::test]
async fn hints_are_listened_for_only_where_a_fence_is_tested() {
    let address = port();
    let _unfenced = builder().hints(address).build(nowhere()).unwrap();
    drop(TcpListener::bind(address).await.unwrap());
    let fenced = builder()
        .fence(Fence::named("f", "f-shared"))
        .hints(address);
    let _fenced = fenced.build(nowhere()).unwrap();
    let again = builder()
        .fence(Fence::named("f", "f-shared"))
        .hints(address);
    let taken = again.build(nowhere()).unwrap_err();
    assert!(matches!(taken, BuildError::Hint(_)), "{taken}");
}

#[tokio::test]
async fn a_second_process_in_the_container_is_refused_and_a_log_that_is_not_there_is_not() {
    let path = std::env::temp_dir().join(format!("election-{}", Uuid::new_v4()));
    std::fs::write(&path, "").unwrap();
    let build = |path: &Path| builder().termination_log("c", path).build(nowhere());
    let first = build(&path).unwrap();
    assert!(first.termination_log().is_some());
    let held = build(&path).unwrap_err();
    assert!(matches!(held, BuildError::TerminationLog(_)), "{held}");
    std::fs::remove_file(&path).unwrap();
    let without = build(&path).unwrap();
    assert!(without.termination_log().is_none());
}
