//! What a term does with its objects, from its beginning to its end.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_new_term_looks_at_every_object_without_listing_again() {
    let server = server_with(&["a", "b", "c"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    sleep(Duration::from_secs(60)).await;
    assert!(server.writes().is_empty(), "a standby writes nothing");

    let begun = Instant::now();
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    assert_eq!(server.writes().len(), 3);
    assert!(
        server
            .writes()
            .iter()
            .all(|write| write.at - begun < MOMENT)
    );
    assert_eq!(server.lists(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_comes_first_and_the_rest_by_priority() {
    let server = ApiServer::default();
    let with = |name: &str, priority: u8, due: Option<&str>| {
        let mut object = office_json(name);
        object["spec"]["priority"] = json!(priority);
        if let Some(due) = due {
            object["status"] =
                json!({"phase": "Active", "nextDeactivation": due, "observedGeneration": 1});
        }
        server.put(object);
    };
    // More objects than are worked on at a time, so that the order is not only that of the first handful.
    for index in 0..60 {
        with(&format!("a-routine-{index:02}"), 50, None);
    }
    for index in 0..40 {
        with(
            &format!("z-overdue-{index:02}"),
            0,
            Some("2026-03-01T18:00:00Z"),
        );
    }
    with("m-important", 100, None);
    server.fail(|faults| faults.status_takes = Duration::from_millis(5));
    let (server, _replica, _control) = begun(BEFORE_OFFICE, server).await;
    sleep(Duration::from_secs(5)).await;

    let order: Vec<_> = server
        .writes()
        .into_iter()
        .map(|write| write.name)
        .collect();
    assert_eq!(order.len(), 101);
    // Sixteen are on their way at a time, and those may finish in any order.
    assert!(
        order[56..].iter().all(|name| name.starts_with("a-routine")),
        "{order:?}"
    );
    assert!(
        order[..24].iter().all(|name| name.starts_with("z-overdue")),
        "{order:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_term_that_ended_writes_nothing_more_and_drops_what_hangs() {
    let server = server_with(&["a", "b"]);
    server.fail(|faults| faults.status_takes = Duration::from_mins(5));
    let (server, mut replica, control) = led(BEFORE_OFFICE, server).await;
    let ended = Instant::now();
    control.end();
    replica.work_ends().await;
    let took = ended.elapsed();
    assert!(took < Duration::from_millis(5), "{took:?}");
    sleep(Duration::from_mins(30)).await;
    assert!(server.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_term_that_winds_down_finishes_what_is_in_flight_and_starts_nothing() {
    let names: Vec<_> = (0..100).map(|index| format!("m{index}")).collect();
    let server = server_with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    server.fail(|faults| faults.status_takes = Duration::from_millis(100));
    let (server, mut replica, control) = begun(BEFORE_OFFICE, server).await;
    sleep(Duration::from_millis(50)).await;
    let asked = Instant::now();
    control.wind_down();
    replica.work_ends().await;
    let took = asked.elapsed();
    assert!(took < Duration::from_millis(70), "{took:?}");
    assert_eq!(server.writes().len(), 16, "one batch was in flight");
}

#[tokio::test(start_paused = true)]
async fn the_next_term_of_the_same_replica_takes_up_all_timers() {
    let (server, mut replica, control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
    control.end();
    replica.work_ends().await;
    let _control = replica.begin_term();
    sleep(Duration::from_mins(11)).await;
    assert_eq!(phases(&server)[1..], of_a(&["Pending", "Active"]));
}

#[tokio::test(start_paused = true)]
async fn a_term_that_falls_behind_the_watch_looks_at_everything() {
    const MANY: usize = 5000;
    let server = ApiServer::default();
    let replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let wall: Arc<dyn WallClock> = Arc::clone(&replica.wall) as _;
    let queue = Queue::new(
        &replica.caches,
        Arc::new(WorkSlots::new(MANY)),
        Arc::default(),
        wall,
    );
    for index in 0..MANY {
        server.put(office_json(&format!("m{index}")));
    }
    sleep(MOMENT).await;
    let requests = queue.into_stream().take(MANY).collect::<Vec<_>>();
    let requests = timeout(Duration::from_mins(1), requests)
        .await
        .expect("all are requested");
    let names: HashSet<_> = requests
        .into_iter()
        .map(|request| request.unwrap().obj_ref.name)
        .collect();
    assert_eq!(names.len(), MANY);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_the_fence_refuses_by_mistake_writes_soon_after_it_no_longer_does() {
    let server = server_with(&["a"]);
    server.fail(|faults| faults.fence_refuses = true);
    let (server, _replica, _control) = begun(BEFORE_OFFICE, server).await;
    sleep(Duration::from_mins(5)).await;
    assert!(server.writes().is_empty());
    server.set_faults(Faults::default());
    sleep(Duration::from_secs(5) + MOMENT).await;
    assert_eq!(server.writes().len(), 1);
}

/// The fence is asked before webhooks, quota and storage, so a write that it let pass may be stored much later.
#[tokio::test(start_paused = true)]
async fn a_status_that_is_stored_late_does_not_replace_that_of_the_next_leader() {
    let server = server_with(&["a"]);
    let mut old = Replica::synced(BEFORE_OFFICE, &server).await;
    let mut new = Replica::synced("2026-03-02T09:10:00Z", &server).await;
    server.fail(|faults| faults.status_takes = Duration::from_secs(5));
    let old_control = old.begin_term();
    sleep(MOMENT).await;
    old_control.wind_down();
    server.set_faults(Faults::default());
    let _new_control = new.begin_term();
    sleep(Duration::from_secs(10)).await;
    let written = phases(&server);
    assert!(
        !written.is_empty() && !written.contains(&of_a(&["Inactive"])[0]),
        "{written:?}"
    );
    assert_eq!(
        server.object("a")["status"]["phase"],
        written.last().unwrap().1
    );
    assert_eq!(
        server.traffic()["REFUSED PATCH 5spot.finos.org/scheduledmachines/status"].0,
        1
    );
}

/// Its watch is dead without a word, so it does not know of the change.
#[tokio::test(start_paused = true)]
async fn a_status_that_was_decided_on_an_older_object_is_decided_anew() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    server.silence_watches();
    let mut schedule = server.object("a")["spec"]["schedule"].clone();
    schedule["enabled"] = json!(false);
    server.patch("a", "/spec/schedule", schedule);
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    assert_eq!(phases(&server), of_a(&["Disabled"]));
}

#[tokio::test(start_paused = true)]
async fn a_reconcile_that_outlives_its_term_can_write_nothing() {
    let server = server_with(&["a"]);
    let replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let deadline = replica.clock.now() + Duration::from_secs(10);
    let (term, _control) = Term::begin(
        Generation(1),
        deadline,
        Arc::clone(&replica.clock),
        Some(leader::policies()),
    );
    let wall: Arc<dyn WallClock> = Arc::clone(&replica.wall) as _;
    let context = Arc::new(Context::new(
        term,
        server.client(),
        replica.caches.clone(),
        wall,
        replica.metrics.clone(),
        Arc::new(Timers::default()),
        POD.to_owned(),
    ));
    let object = replica.caches.store().state().remove(0);
    sleep(Duration::from_secs(11)).await;
    reconcile(object, context).await.unwrap_err();
    assert!(server.writes().is_empty());
}

/// The longest that the work has given no sign of progress within `watched`.
async fn longest_silence(control: &TermControl, watched: Duration) -> Duration {
    let begun = Instant::now();
    let (mut signs, mut since, mut longest) = (control.progress(), begun, Duration::ZERO);
    while begun.elapsed() < watched {
        sleep(Duration::from_millis(100)).await;
        if control.progress() != signs {
            (signs, since) = (control.progress(), Instant::now());
        }
        longest = longest.max(since.elapsed());
    }
    longest
}

#[tokio::test(start_paused = true)]
async fn work_that_has_nothing_to_do_says_that_it_goes_on() {
    let (_server, _replica, control) = begun(BEFORE_OFFICE, server_with(&["a"])).await;
    let silence = longest_silence(&control, Duration::from_mins(2)).await;
    assert!(silence <= Duration::from_millis(1_200), "{silence:?}");
}

/// More objects than there are places, and each call hangs until it is given up.
#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_not_taken_for_work_that_hangs() {
    let names: Vec<_> = (0..200).map(|index| format!("m{index}")).collect();
    let server = server_with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    server.fail(|faults| faults.status_takes = Duration::from_hours(1));
    let (_server, _replica, control) = begun(BEFORE_OFFICE, server).await;
    let silence = longest_silence(&control, Duration::from_mins(10)).await;
    assert!(silence < super::super::STUCK_AFTER / 4, "{silence:?}");
}
