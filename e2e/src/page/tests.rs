//! The page of hand-made reports and of one recorded trial: it tells what it should, escapes what it is given, and stays
//! small.

use std::time::Duration;

use super::*;
use crate::{
    audit::{ApiCall, OwnCall, Wall},
    budget::FaultKind,
    clock::Stamp,
    judge::{Promise, judge},
    leader_metric::Role,
    report::tests::report,
    trial::RigFault,
    verdict::{Check, CheckId},
};

/// What a page may weigh with 60 trials.
const HEAVIEST: usize = 1_000_000;

/// What would do something if any of it were not escaped.
const HOSTILE: &str = r#"x"><img src=x onerror=alert(1)>'</style></script></title><script>alert(2)</script><!-- &lt;"#;

/// A trial as it was recorded: three replicas, the leader's pod was deleted.
pub(super) fn recorded() -> TrialData {
    serde_json::from_str(include_str!("fixture/graceful.json")).unwrap()
}

/// Shifts a moment.
fn later(at: Stamp, by: Duration) -> Stamp {
    at + by
}

/// The recorded trial, drawn out until `lasts` is over: the new leader does again and again what it did.
pub(super) fn drawn_out(lasts: Duration) -> TrialData {
    let old = recorded().before.pod().to_owned();
    repeated(lasts, &|call| call.pod.as_deref() != Some(&old))
}

/// The same, but that the old leader writes on as well.
pub(super) fn never_stopped(lasts: Duration) -> TrialData {
    repeated(lasts, &|_| true)
}

fn repeated(lasts: Duration, goes_on: &dyn Fn(&ApiCall) -> bool) -> TrialData {
    let mut data = recorded();
    let span = Duration::from_secs(4);
    let (mut calls, own, leases) = (data.calls.clone(), data.own.clone(), data.leases.clone());
    calls.retain(goes_on);
    let mut round = 1;
    while span * round < lasts {
        let by = span * round;
        let micros = i64::try_from(by.as_micros()).unwrap();
        let version = u64::from(round) * 1000;
        data.calls.extend(calls.iter().map(|call| ApiCall {
            audit_id: format!("{}-{round}", call.audit_id),
            received: Wall(call.received.0 + micros),
            completed: Wall(call.completed.0 + micros),
            resource_version: call.resource_version.map(|own| own + version),
            lease: None,
            ..call.clone()
        }));
        data.own.extend(own.iter().map(|own| OwnCall {
            audit_id: own.audit_id.as_ref().map(|id| format!("{id}-{round}")),
            sent: later(own.sent, by),
            answered: later(own.answered, by),
            ..own.clone()
        }));
        // The Lease is renewed every two seconds.
        for (half, last) in [0_u64, 2]
            .into_iter()
            .zip(leases.last().into_iter().cycle())
        {
            let mut again = last.clone();
            again.at = later(last.at, by + Duration::from_secs(half));
            again.record.resource_version += version + half;
            data.leases.push(again);
        }
        data.ended = later(data.ended, span);
        round += 1;
    }
    data
}

/// A report on these trials, judged.
pub(super) fn report_on(trials: &[TrialData]) -> Report {
    let mut report = report();
    let promise = Promise {
        within_ms: 15_000.0,
    };
    report.trials = trials.iter().map(|data| judge(data, promise)).collect();
    report.concluded()
}

/// `count` trials of several faults, of which every third takes half a minute.
pub(super) fn many(count: u32) -> Vec<TrialData> {
    let faults = [
        FaultKind::Graceful,
        FaultKind::Crash,
        FaultKind::RollingUpdate,
        FaultKind::Scale,
        FaultKind::CrashLoop,
    ];
    (0..count)
        .map(|index| {
            let mut data = if index % 3 == 0 {
                drawn_out(Duration::from_secs(30))
            } else {
                recorded()
            };
            let fault = usize::try_from(index).unwrap() % faults.len();
            data.id.fault = faults[fault];
            data.id.number = index + 1;
            data
        })
        .collect()
}

/// A trial in which much went wrong: the old leader wrote on, a write was refused, a request hung, the rig had trouble.
pub(super) fn troubled() -> TrialData {
    let mut data = recorded();
    data.id.number = 2;
    let old = data.before.pod().to_owned();
    let stray: Vec<ApiCall> = data
        .calls
        .iter()
        .filter(|call| call.is_work_write() && call.pod.as_deref() == Some(&old))
        .take(3)
        .cloned()
        .collect();
    let last = data.calls.iter().map(|call| call.completed).max().unwrap();
    for (number, call) in (1_i64..).zip(stray) {
        data.calls.push(ApiCall {
            audit_id: format!("stray-{number}"),
            received: Wall(last.0 - 1_500_000 + number * 300_000),
            completed: Wall(last.0 - 1_495_000 + number * 300_000),
            resource_version: None,
            code: if number == 3 { 403 } else { 200 },
            ..call
        });
    }
    let hung = data.own.last().unwrap().clone();
    data.own.push(OwnCall {
        audit_id: None,
        sent: later(data.strike.issued, Duration::from_millis(400)),
        answered: later(data.strike.issued, Duration::from_millis(1900)),
        code: 0,
        ..hung
    });
    data.rig.push(RigFault::WatchGap {
        resource: "pods".to_owned(),
        lasted_ms: 1500.0,
    });
    data
}

fn page_of(trials: &[TrialData]) -> String {
    render(&report_on(trials), trials, &Logs::default())
}

#[test]
fn the_page_tells_the_verdict_the_figures_and_every_trial() {
    let trials = [recorded()];
    let report = report_on(&trials);
    let page = render(&report, &trials, &Logs::default());
    for expected in [
        "<h1>PASS</h1>",
        "id=\"trial-3-graceful-1\"",
        "nearest rank",
        "new holder of the Lease",
        "nz7zr took over from 26tcn",
        "first write of the new leader",
        "Lease released",
        "limit 2.00 s",
        "LEASE_RETRY_PERIOD_SECONDS=2",
    ] {
        assert!(page.contains(expected), "no {expected}");
    }
    assert!(!page.contains("id=\"why\""), "nothing to explain");
}

#[test]
fn what_was_not_passed_is_explained_at_the_top_and_leads_to_its_trial() {
    let trials = [recorded(), troubled()];
    let page = page_of(&trials);
    let why = page
        .split("id=\"why\"")
        .nth(1)
        .unwrap()
        .split("</section>")
        .next()
        .unwrap();
    assert!(why.contains("href=\"#trial-3-graceful-2\""), "{why}");
    assert!(
        why.contains("only-holder-writes") && why.contains("badge fail\">FAIL<"),
        "{why}"
    );
    assert!(
        !why.contains("trial-3-graceful-1"),
        "the first one was passed: {why}"
    );
    for expected in [
        "<h1>FAIL</h1>",
        "stray writes: ",
        "no answer",
        "the watch on pods was broken",
        "1 work write refused",
    ] {
        assert!(page.contains(expected), "no {expected}");
    }
}

#[test]
fn a_check_of_the_run_leads_to_the_other_checks() {
    let mut report = report();
    report
        .checks
        .push(Check::fail(CheckId::Standby, "1 replica", "no standby"));
    let page = render(&report.concluded(), &[], &Logs::default());
    let why = page.split("id=\"why\"").nth(1).unwrap();
    assert!(why.contains("href=\"#rest\""), "{why}");
}

#[test]
fn a_trial_without_raw_data_says_so() {
    let page = render(&report_on(&[recorded()]), &[], &Logs::default());
    assert!(page.contains("there is no timeline"));
    assert!(!page.contains("<svg class=\"timeline\""));
}

#[test]
fn a_run_that_ended_before_its_first_trial_has_a_page() {
    let mut report = report();
    report.trials.clear();
    report.groups.clear();
    report.settings = None;
    report.idle = None;
    let page = render(&report.concluded(), &[], &Logs::default());
    assert!(page.contains("The run ended before the first trial."));
}

/// A report and a trial in which every text is hostile.
pub(super) fn hostile() -> (Report, TrialData, Logs) {
    let text = || HOSTILE.to_owned();
    let mut data = troubled();
    let rename = |name: &str| format!("{name}{HOSTILE}");
    for pod in &mut data.pods {
        pod.name = rename(&pod.name);
        pod.waiting = Some(text());
        pod.last_words = vec![text()];
    }
    for call in &mut data.calls {
        call.audit_id = rename(&call.audit_id);
        call.pod = call.pod.as_deref().map(rename);
        call.name = text();
        if let Some(lease) = &mut call.lease {
            lease.holder = rename(&lease.holder);
            lease.takeover = Some(text());
        }
    }
    for seen in &mut data.leases {
        seen.record.incarnation = Some(text());
        seen.record.takeover = Some(text());
        if !seen.record.holder.is_empty() {
            seen.record.holder = rename(&seen.record.holder);
        }
    }
    data.before.holder = rename(&data.before.holder);
    for own in &mut data.own {
        own.purpose = rename(&own.purpose);
        own.audit_id = own.audit_id.as_deref().map(rename);
    }
    for roles in &mut data.roles {
        roles.roles.insert(text(), Role::Unknown(text()));
    }
    data.rig.push(RigFault::AuditLost { detail: text() });
    data.recovery.waiting_for = Some(text());
    let mut logs = Logs::default();
    logs.add(&data.pods[0].name, &said_at(&data, 50.0, HOSTILE));
    let mut report = report_on(std::slice::from_ref(&data));
    let run = &mut report.run;
    for field in [
        &mut run.id,
        &mut run.harness_version,
        &mut run.began,
        &mut run.provider_reason,
        &mut run.kubernetes_version,
        &mut run.image,
    ] {
        *field = text();
    }
    run.cluster_image = Some(text());
    run.set_env.insert(text(), text());
    run.not_observed.push(text());
    report
        .checks
        .push(Check::fail(CheckId::Gate, text(), text()));
    if let Some(idle) = &mut report.idle {
        idle.calls.insert(text(), crate::idle::CallCount::default());
    }
    for eviction in report
        .disruptions
        .iter_mut()
        .flat_map(|one| &mut one.evictions)
    {
        eviction.pod = text();
        eviction.message = text();
    }
    for group in &mut report.groups {
        group.budget.lease.reason = text();
    }
    for trial in &mut report.trials {
        trial.old_leader = text();
        trial.new_leader = Some(text());
    }
    run_target(&mut report, HOSTILE);
    (report, data, logs)
}

fn run_target(report: &mut Report, text: &str) {
    report.run.target = Some(crate::report::TargetInfo {
        namespace: text.to_owned(),
        deployment: text.to_owned(),
        container: text.to_owned(),
        lease: text.to_owned(),
        holder: crate::holder::HolderIdentity::Any,
    });
}

/// A line of a log, written so many milliseconds after the fault.
pub(super) fn said_at(data: &TrialData, after_ms: f64, text: &str) -> String {
    let map = crate::audit::ClockMap::measure(&data.own, &data.calls).unwrap();
    let after = Duration::from_secs_f64((after_ms + 10_000.0) / 1000.0);
    let at =
        map.wall(data.strike.issued).0 - 10_000_000 + i64::try_from(after.as_micros()).unwrap();
    let at = jiff::Timestamp::from_microsecond(at).unwrap();
    format!("{at} {text}\n")
}

#[test]
fn no_text_of_others_becomes_markup() {
    let (report, data, logs) = hostile();
    let page = render(&report, &[data], &logs);
    let hits = page.matches("&lt;img src=x onerror=alert(1)&gt;").count();
    assert!(hits > 50, "{hits} hostile texts are in the page");
    assert!(!page.contains("<img"));
    assert!(!page.contains("x\"&gt;"), "a quote ends an attribute");
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("</script>").count(), 1);
    assert_eq!(page.matches("</style>").count(), 1);
    assert_eq!(
        page.matches("</title>").count(),
        page.matches("<title>").count()
    );
    assert!(!page.contains("<!--"));
}

#[test]
fn sixty_trials_weigh_less_than_a_megabyte() {
    let trials = many(60);
    let page = page_of(&trials);
    assert_eq!(page.matches("<svg class=\"timeline\"").count(), 60);
    assert!(page.len() < HEAVIEST, "{} bytes", page.len());
}

#[test]
fn sixty_trials_of_an_operator_that_breaks_every_rule_weigh_no_more() {
    let trials: Vec<TrialData> = (1..=60)
        .map(|number| {
            let mut data = never_stopped(Duration::from_secs(30));
            data.id.number = number;
            data
        })
        .collect();
    let report = report_on(&trials);
    let strays = &report.trials[0].exclusion.overlap;
    assert!(strays.len() > 100, "{} stray writes in each", strays.len());
    let page = render(&report, &trials, &Logs::default());
    assert!(page.contains("stray writes: "), "they are not told");
    assert!(page.len() < HEAVIEST, "{} bytes", page.len());
}

#[test]
fn every_mark_has_its_row_and_every_link_its_place() {
    let trials = [recorded(), troubled()];
    let page = page_of(&trials);
    let ids: std::collections::HashSet<&str> = values(&page, " id=").collect();
    for link in values(&page, "href=").filter_map(|link| link.strip_prefix('#')) {
        assert!(ids.contains(link), "nothing at #{link}");
    }
    let body = page.split("<script").next().unwrap();
    for article in body.split("<details class=\"trial").skip(1) {
        let table = article.split("<table class=\"events\">").nth(1).unwrap();
        let table = table.split("</table>").next().unwrap();
        let rows = table.matches("<tr>").count() - 1;
        let marks: Vec<usize> = values(article, "data-e=")
            .map(|mark| mark.parse().unwrap())
            .collect();
        assert!(marks.len() > 10, "{marks:?}");
        for mark in marks {
            assert!(mark < rows, "no row {mark} of {rows}");
        }
    }
}

/// The values of an attribute, wherever it is.
fn values<'a>(page: &'a str, attribute: &'a str) -> impl Iterator<Item = &'a str> {
    page.split(attribute)
        .skip(1)
        .filter_map(|rest| rest.strip_prefix('"')?.split('"').next())
}

#[test]
fn nothing_is_loaded_and_only_the_pages_own_script_may_run() {
    let page = page_of(&[recorded()]);
    for loading in [
        "http:", "https:", "src=", "url(\"", "@import", "style=\"", "onclick",
    ] {
        let lines: Vec<&str> = page.lines().filter(|line| line.contains(loading)).collect();
        assert!(lines.is_empty(), "{loading} in {lines:?}");
    }
    let policy = policy();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    // Attribute values are escaped, which the quotes of a policy are not in need of.
    assert!(page.contains(&policy), "{policy}");
}

#[test]
fn the_page_is_written_beside_the_report_and_reads_the_raw_data_there() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::create(place.path().to_owned()).unwrap();
    let data = recorded();
    let report = report_on(std::slice::from_ref(&data));
    let path = write(&folder, &report).unwrap();
    assert_eq!(path, place.path().join(FILE));
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("there is no timeline")
    );
    folder.write_trial(&data).unwrap();
    write(&folder, &report).unwrap();
    assert!(
        std::fs::read_to_string(&path)
            .unwrap()
            .contains("<svg class=\"timeline\"")
    );
}

#[test]
fn what_a_pod_logged_is_in_the_page_that_is_written_beside_its_log() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::create(place.path().to_owned()).unwrap();
    let data = recorded();
    folder.write_trial(&data).unwrap();
    let line = r#"{"level":"INFO","message":"gave up the Lease"}"#;
    let log = format!("{}-0.log", data.before.pod());
    std::fs::write(folder.logs().join(log), said_at(&data, 90.0, line)).unwrap();
    let page = std::fs::read_to_string(write(&folder, &report_on(&[data])).unwrap()).unwrap();
    assert!(page.contains("<td>log<td>gave up the Lease<"));
    assert!(page.contains("href=\"#g-log\""));
}

#[test]
fn what_the_run_did_not_look_at_is_said_at_the_top_and_where_its_figures_would_be() {
    let mut data = recorded();
    data.unobserved = vec![crate::trial::Unobserved::Audit];
    data.calls.clear();
    let mut report = report_on(std::slice::from_ref(&data));
    let missing = crate::trial::Unobserved::Audit.to_string();
    report.run.not_observed = vec![missing.clone()];
    let page = render(&report, &[data], &Logs::default());
    let header = page.split("</header>").next().unwrap();
    assert!(header.contains(&missing), "{header}");
    assert!(page.contains("colspan=\"4\">not observed<"));
    assert!(page.contains("Not observed in this run: writes and who released the Lease"));
    assert!(!page.contains(">no value<"), "it looks as if nobody worked");
    assert!(
        !page.contains("no request of the harness is in the audit log"),
        "there is none"
    );
}

#[test]
fn the_page_names_the_target_the_nodes_the_budget_and_what_counts_as_work() {
    let mut data = recorded();
    data.work.ignore = vec!["secrets".parse().unwrap()];
    let mut report = report_on(std::slice::from_ref(&data));
    run_target(&mut report, "foreign");
    report.run.agents = 2;
    report.run.budget = crate::deploy::BudgetShape::MaxUnavailable1;
    let page = render(&report, &[data], &Logs::default());
    for expected in [
        "Deployment foreign in foreign, container foreign",
        "the server, which takes no replicas, and 2 for them",
        "max-unavailable-1",
        "writes of secrets",
    ] {
        assert!(page.contains(expected), "no {expected}");
    }
}

#[test]
fn what_broke_in_many_trials_is_one_line_that_leads_to_each() {
    let trials: Vec<TrialData> = (2..=5)
        .map(|number| {
            let mut data = troubled();
            data.id.number = number;
            data
        })
        .collect();
    let page = page_of(&trials);
    let why = page.split("id=\"why\"").nth(1).unwrap();
    let why = why.split("</section>").next().unwrap();
    assert_eq!(why.matches("only-holder-writes").count(), 1, "{why}");
    for number in 2..=5 {
        let link = format!("href=\"#trial-3-graceful-{number}\"");
        assert!(why.contains(&link), "{why}");
    }
}

#[test]
fn raw_data_that_can_not_be_read_is_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::create(place.path().to_owned()).unwrap();
    let data = recorded();
    std::fs::write(place.path().join(trial_file(data.id)), "{}").unwrap();
    let error = write(&folder, &report_on(&[data])).unwrap_err();
    let message = crate::progress::chain(&error);
    assert!(message.contains("trials/3-graceful-1.json"), "{message}");
}
