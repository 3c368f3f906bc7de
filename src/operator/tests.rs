//! The order in which the parts end, and what the end of one does to the others.

use tokio::time::{Instant, sleep};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The parts as tasks that heed their tokens; the election takes a second to wind up.
struct Parts {
    tasks: JoinSet<(Part, Result<(), OperatorError>)>,
    shutdown: CancellationToken,
    stop: CancellationToken,
}

impl Parts {
    fn begin() -> Self {
        let mut parts = Self {
            tasks: JoinSet::new(),
            shutdown: CancellationToken::new(),
            stop: CancellationToken::new(),
        };
        parts.spawn_signals();
        parts
    }

    fn spawn_signals(&mut self) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            shutdown.cancelled().await;
            (Part::Signals, Ok(()))
        });
    }

    fn spawn_election(&mut self) {
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(async move {
            shutdown.cancelled().await;
            sleep(SECOND).await;
            (Part::Election, Ok(()))
        });
    }

    fn spawn_until_stop(&mut self, part: Part) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.cancelled().await;
            (part, Ok(()))
        });
    }

    fn spawn_failing(&mut self, part: Part, error: OperatorError) {
        self.tasks.spawn(async move {
            sleep(SECOND).await;
            (part, Err(error))
        });
    }

    async fn run(self) -> Result<(), OperatorError> {
        supervise(self.tasks, &self.shutdown, &self.stop).await
    }
}

#[tokio::test(start_paused = true)]
async fn probes_and_caches_outlive_the_election_and_then_all_ends_well() {
    let mut parts = Parts::begin();
    parts.spawn_election();
    parts.spawn_until_stop(Part::Admin);
    parts.spawn_until_stop(Part::Caches);
    let shutdown = parts.shutdown.clone();
    let (outcome, ()) = tokio::join!(parts.run(), async { shutdown.cancel() });
    assert!(outcome.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_part_that_fails_winds_up_the_election_before_the_process_ends() {
    let mut parts = Parts::begin();
    parts.spawn_election();
    parts.spawn_until_stop(Part::Admin);
    parts.spawn_failing(Part::Caches, OperatorError::WorkStopped);
    let begun = Instant::now();
    let outcome = parts.run().await;
    assert!(matches!(outcome, Err(OperatorError::WorkStopped)));
    assert!(
        begun.elapsed() >= SECOND + SECOND,
        "the election was not waited for"
    );
}

#[tokio::test(start_paused = true)]
async fn a_part_that_ends_unasked_ends_the_rest_too() {
    let mut parts = Parts::begin();
    parts.spawn_election();
    parts.spawn_until_stop(Part::Caches);
    parts.tasks.spawn(async { (Part::Admin, Ok(())) });
    assert!(parts.run().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn work_that_cannot_be_stopped_ends_the_process_without_waiting_for_anything() {
    let mut parts = Parts::begin();
    parts.spawn_until_stop(Part::Caches);
    let outlived = ElectorError::WorkOutlivedTerm(Generation(3));
    parts.spawn_failing(Part::Election, OperatorError::Election(outlived.into()));
    let begun = Instant::now();
    let outcome = parts.run().await;
    assert!(matches!(
        outcome,
        Err(OperatorError::Election(ElectionError::Elector(
            ElectorError::WorkOutlivedTerm(_)
        )))
    ));
    assert!(begun.elapsed() < SECOND + SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_does_not_stop_is_not_waited_for_long() {
    let mut parts = Parts::begin();
    parts.spawn_election();
    parts.tasks.spawn(std::future::pending());
    let (shutdown, begun) = (parts.shutdown.clone(), Instant::now());
    let (outcome, ()) = tokio::join!(parts.run(), async { shutdown.cancel() });
    assert!(outcome.is_ok());
    assert!(begun.elapsed() <= SECOND + STOP_TIMEOUT + SECOND);
}

#[test]
fn the_readme_has_the_table_of_the_metrics_that_are_exported() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("<!-- metrics -->\n").unwrap();
    let (table, _) = rest.split_once("<!-- /metrics -->\n").unwrap();
    assert_eq!(
        table,
        metrics_table().unwrap(),
        "run `just generate` to write the table"
    );
}

#[tokio::test(start_paused = true)]
async fn the_check_of_the_grace_period_is_made_once_and_its_end_ends_nothing() {
    let mut parts = Parts::begin();
    parts.spawn_election();
    parts.tasks.spawn(async { (Part::GracePeriod, Ok(())) });
    let shutdown = parts.shutdown.clone();
    let mut running = std::pin::pin!(parts.run());
    tokio::select! {
        ended = &mut running => panic!("{ended:?}"),
        () = sleep(60 * SECOND) => {}
    }
    assert!(!shutdown.is_cancelled());
    shutdown.cancel();
    running.await.unwrap();
}
