//! Boundaries, and wall clocks that are stepped.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_boundary_is_acted_on_when_it_comes_and_not_before() {
    let (server, _replica, _control) = begun(BEFORE_OFFICE, server_with(&["a"])).await;
    sleep(Duration::from_mins(10) - Duration::from_millis(5)).await;
    assert_eq!(phases(&server), of_a(&["Inactive"]));
    sleep(Duration::from_millis(10)).await;
    assert_eq!(phases(&server)[1..], of_a(&["Pending", "Active"]));
    let status = &server.object("a")["status"];
    assert_eq!(status["nextDeactivation"], "2026-03-02T18:00:00Z");
    assert_eq!(status["nextActivation"], "2026-03-03T09:00:00Z");
    assert_eq!(status["inSchedule"], true);

    sleep(Duration::from_hours(9)).await;
    assert_eq!(phases(&server)[3..], of_a(&["ShuttingDown", "Inactive"]));
}

#[tokio::test(start_paused = true)]
async fn what_comes_due_together_is_acted_on_by_priority() {
    let server = ApiServer::default();
    for priority in 0..100_u32 {
        // By name they would come in another order.
        let mut object = office_json(&format!("m{:02}", priority * 7 % 100));
        object["spec"]["priority"] = json!(priority);
        server.put(object);
    }
    let (server, _replica, _control) = begun(BEFORE_OFFICE, server).await;
    sleep(Duration::from_mins(9)).await;
    server.fail(|faults| faults.status_takes = Duration::from_millis(5));
    sleep(Duration::from_mins(2)).await;
    let mut writes = server.writes().split_off(100);
    writes.retain(|write| write.status["phase"] == "Pending");
    assert_eq!(writes.len(), 100);
    for (place, write) in writes.iter().enumerate() {
        let priority = server.object(&write.name)["spec"]["priority"].clone();
        let expected = 99 - i64::try_from(place).unwrap();
        // Sixteen are on their way at a time, and those may finish in any order.
        assert!(
            priority.as_i64().unwrap().abs_diff(expected) < 16,
            "{priority} at {place}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_boundary_is_acted_on_in_time_although_writes_failed_until_then() {
    let server = server_with(&["a"]);
    server.fail(|faults| faults.refuse_status = Some(500));
    let (server, _replica, _control) = begun(BEFORE_OFFICE, server).await;
    sleep(Duration::from_mins(10) - Duration::from_millis(5)).await;
    server.set_faults(Faults::default());
    sleep(Duration::from_millis(10)).await;
    assert_eq!(phases(&server), of_a(&["Pending", "Active"]));
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_forward_is_noticed_within_a_second() {
    let (server, replica, _control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
    replica.wall.step(SignedDuration::from_mins(15));
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(phases(&server)[1..], of_a(&["Pending", "Active"]));
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_makes_a_look_wait_again_and_not_spin() {
    let (server, replica, _control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
    replica.wall.step(SignedDuration::from_mins(-30));
    sleep(Duration::from_mins(39)).await;
    assert_eq!(
        server.writes().len(),
        1,
        "the office is still shut by the wall clock"
    );
    let verify = replica.reconciliations("success");
    assert!(verify <= 4, "{verify}");
    sleep(Duration::from_mins(2)).await;
    assert_eq!(phases(&server)[1..], of_a(&["Pending", "Active"]));
}
