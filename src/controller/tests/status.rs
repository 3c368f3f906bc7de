//! What is written, when, and what is not.

use super::*;

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_nothing_changes() {
    let (server, replica, _control) = led("2026-03-02T09:10:00Z", server_with(&["a", "b"])).await;
    // Being created, and there.
    assert_eq!(server.writes().len(), 4);
    let writes = server.all_writes();
    let verify = |replica: &Replica| replica.reconciliations("success");
    let before = verify(&replica);

    sleep(Duration::from_hours(8)).await;
    assert_eq!(server.all_writes(), writes);
    assert_eq!(verify(&replica), before);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_spec_leads_to_exactly_one_write() {
    let (server, _replica, _control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
    for round in 1..=5_u8 {
        server.patch("a", "/spec/clusterName", json!(format!("lab-{round}")));
        sleep(MOMENT).await;
        assert_eq!(server.writes().len(), 1 + usize::from(round));
        let status = &server.object("a")["status"];
        assert_eq!(status["observedGeneration"], 1 + round);
        assert_eq!(status["conditions"][0]["observedGeneration"], 1 + round);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_lags_behind_our_write_does_not_repeat_it() {
    let (server, _replica, _control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
    server.hold_news();
    server.patch("a", "/spec/clusterName", json!("other"));
    server.patch("a", "/metadata", {
        let mut metadata = server.object("a")["metadata"].clone();
        metadata["labels"] = json!({"touched": "yes"});
        metadata
    });
    server.release_one();
    sleep(MOMENT).await;
    // The first try was refused, because the object had its new label already.
    assert_eq!(server.writes().len(), 2);
    // The object as it was before our write, with a new label.
    server.release_one();
    sleep(MOMENT).await;
    assert_eq!(server.writes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_somebody_else_changed_is_put_right() {
    let (server, _replica, _control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
    server.patch("a", "/status/phase", json!("Active"));
    sleep(MOMENT).await;
    assert_eq!(server.object("a")["status"]["phase"], "Inactive");
    assert_eq!(server.writes().len(), 2);
}

/// An object whose schedule is off, with a time in its status that another manager put there.
fn with_a_time_of_others() -> ApiServer {
    let mut object = office_json("a");
    object["spec"]["schedule"]["enabled"] = json!(false);
    object["status"] = json!({"phase": "Active", "nextActivation": "2026-03-01T09:00:00Z"});
    let server = ApiServer::default();
    server.put(object);
    server
}

#[tokio::test(start_paused = true)]
async fn a_field_that_others_own_too_is_removed_once_and_then_nothing_is_written() {
    let server = with_a_time_of_others();
    let (server, _replica, _control) = begun(BEFORE_OFFICE, server).await;
    sleep(Duration::from_hours(1)).await;
    assert_eq!(server.object("a")["status"].get("nextActivation"), None);
    assert_eq!(server.writes().len(), 1);
    assert_eq!(server.removals(), [json!({"nextActivation": null})]);
    assert_eq!(server.events().len(), 1);

    server.patch("a", "/metadata/namespace", json!("default"));
    sleep(MOMENT).await;
    assert_eq!((server.writes().len(), server.removals().len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_changed_meanwhile_is_looked_at_again_before_a_field_is_removed() {
    let server = with_a_time_of_others();
    server.fail(|faults| faults.meddle = Some(json!({"touched": "yes"})));
    let (server, replica, _control) = led(BEFORE_OFFICE, server).await;
    assert_eq!(server.object("a")["status"].get("nextActivation"), None);
    assert_eq!(server.object("a")["metadata"]["labels"]["touched"], "yes");
    assert_eq!(server.removals().len(), 1);
    assert_eq!(replica.errors("status"), 0);
}

#[tokio::test(start_paused = true)]
async fn conditions_of_others_stay_and_times_of_ours_are_kept() {
    let (server, _replica, _control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
    let mut conditions = server.object("a")["status"]["conditions"].clone();
    let foreign = json!({"type": "example.com/Seen", "status": "True", "reason": "Seen", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    conditions.as_array_mut().unwrap().push(foreign);
    server.patch("a", "/status/conditions", conditions.clone());
    sleep(MOMENT).await;
    assert_eq!(
        server.writes().len(),
        1,
        "a condition of somebody else is none of our business"
    );

    sleep(Duration::from_mins(10)).await;
    let after = server.object("a")["status"]["conditions"].clone();
    let find = |list: &Value, kind: &str| {
        let mut all = list.as_array().unwrap().iter();
        let found = all.find(|condition| condition["type"] == kind);
        found.unwrap().clone()
    };
    assert_eq!(
        find(&after, "example.com/Seen"),
        find(&conditions, "example.com/Seen")
    );
    let time = |list, kind| find(list, kind)["lastTransitionTime"].clone();
    assert_eq!(
        time(&after, "ReferencesValid"),
        time(&conditions, "ReferencesValid")
    );
    assert_eq!(time(&after, "Scheduled"), json!("2026-03-02T09:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn a_bad_schedule_is_reported_and_a_new_one_is_taken_up() {
    let server = server_with(&["a"]);
    server.patch("a", "/spec/schedule/daysOfWeek", json!(["someday"]));
    let (server, replica, _control) = led(BEFORE_OFFICE, server).await;
    let status = &server.object("a")["status"];
    assert_eq!(status["phase"], "Error");
    assert!(
        status["message"].as_str().unwrap().contains("someday"),
        "{status}"
    );
    assert_eq!(replica.reconciliations("error"), 0);

    server.patch("a", "/spec/schedule/daysOfWeek", json!(["mon"]));
    sleep(MOMENT).await;
    assert_eq!(server.object("a")["status"]["phase"], "Inactive");
}

#[tokio::test(start_paused = true)]
async fn a_phase_change_is_announced_after_it_is_written() {
    let (server, _replica, _control) = begun(BEFORE_OFFICE, server_with(&["a"])).await;
    sleep(Duration::from_mins(11)).await;
    let events = server.events();
    assert_eq!(events.len(), 3);
    assert_eq!(events[1]["reason"], "CreatingMachine");
    assert_eq!(events[1]["regarding"]["uid"], "uid-of-a");
    assert_eq!(events[1]["reportingController"], "5spot-controller");
    assert_eq!(events[1]["reportingInstance"], POD);
    assert!(
        events[1]["note"]
            .as_str()
            .unwrap()
            .starts_with("Inactive -> Pending"),
        "{}",
        events[1]
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_fails_nothing() {
    let server = server_with(&["a"]);
    server.fail(|faults| faults.refuse_events = Some(403));
    let (server, replica, _control) = begun(BEFORE_OFFICE, server).await;
    sleep(Duration::from_mins(5)).await;
    assert_eq!(server.writes().len(), 1);
    assert_eq!(replica.errors("event"), 1);
    assert_eq!(replica.reconciliations("error"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_tried_again_ever_later() {
    let server = server_with(&["a"]);
    server.fail(|faults| faults.refuse_status = Some(500));
    let (server, replica, _control) = begun(BEFORE_OFFICE, server).await;
    sleep(Duration::from_mins(4)).await;
    let failures = replica.errors("status");
    assert!((5..=20).contains(&failures), "{failures}");
    server.set_faults(Faults::default());
    sleep(Duration::from_mins(1)).await;
    assert_eq!(server.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_never_answered_is_tried_again() {
    let server = server_with(&["a"]);
    server.fail(|faults| faults.status_takes = Duration::from_hours(1));
    let (server, _replica, _control) = led(BEFORE_OFFICE, server).await;
    server.set_faults(Faults::default());
    sleep(Duration::from_secs(35)).await;
    assert_eq!(server.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_goes_away_under_a_write_is_no_failure() {
    let server = server_with(&["a"]);
    server.fail(|faults| faults.status_takes = Duration::from_millis(50));
    let (server, replica, _control) = led(BEFORE_OFFICE, server).await;
    server.delete("a");
    sleep(Duration::from_mins(20)).await;
    assert_eq!(replica.errors("status"), 0);
    assert!(server.writes().is_empty());
}
