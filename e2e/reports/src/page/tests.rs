//! The page of hand-made reports and of one recorded trial: it tells what it should, escapes what it is given, and stays
//! small.

mod samples;

use std::time::Duration;

use samples::run_target;

use super::*;
use failover_judging::{
    samples::{report, says},
    verdict::{Check, CheckId},
};
pub(super) use samples::{
    drawn_out, hostile, many, never_stopped, recorded, report_on, said_at, troubled,
};

/// What a page may weigh with 60 trials.
const HEAVIEST: usize = 1_000_000;

/// The part that says why the run was not passed.
fn why(page: &str) -> &str {
    let (_, rest) = page.split_once("id=\"why\"").unwrap();
    rest.split("</section>").next().unwrap()
}

fn numbered(numbers: std::ops::RangeInclusive<u32>, data: &TrialData) -> Vec<TrialData> {
    let mut trials = vec![data.clone(); numbers.clone().count()];
    for (trial, number) in trials.iter_mut().zip(numbers) {
        trial.id.number = number;
    }
    trials
}

fn page_of(trials: &[TrialData]) -> String {
    render(&report_on(trials), trials, &Logs::default())
}

#[test]
fn the_page_tells_the_verdict_the_figures_and_every_trial() {
    let trials = [recorded()];
    let report = report_on(&trials);
    let page = render(&report, &trials, &Logs::default());
    says(
        &page,
        &[
            "<h1>PASS</h1>",
            "id=\"trial-3-graceful-1\"",
            "nearest rank",
            "new holder of the Lease",
            "nz7zr took over from 26tcn",
            "first write of the new leader",
            "Lease released",
            "limit 2.00 s",
            "LEASE_RETRY_PERIOD_SECONDS=2",
        ],
    );
    assert!(!page.contains("id=\"why\""), "nothing to explain");
}

#[test]
fn what_was_not_passed_is_explained_at_the_top_and_leads_to_its_trial() {
    let trials = [recorded(), troubled()];
    let page = page_of(&trials);
    let why = why(&page);
    let link = "href=\"#trial-3-graceful-2\"";
    says(&why, &[link, "only-holder-writes", "badge fail\">FAIL<"]);
    assert!(
        !why.contains("trial-3-graceful-1"),
        "the first one was passed: {why}"
    );
    says(
        &page,
        &[
            "<h1>FAIL</h1>",
            "stray writes: ",
            "no answer",
            "the watch on pods was broken",
            "1 work write refused",
        ],
    );
}

#[test]
fn a_check_of_the_run_leads_to_the_other_checks() {
    let mut report = report();
    report
        .checks
        .push(Check::fail(CheckId::Standby, "1 replica", "no standby"));
    let page = render(&report.concluded(), &[], &Logs::default());
    says(&why(&page), &["href=\"#rest\""]);
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
    let trials = numbered(1..=60, &never_stopped(Duration::from_secs(30)));
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
    says(
        &std::fs::read_to_string(&path).unwrap(),
        &["there is no timeline"],
    );
    folder.write_trial(&data).unwrap();
    write(&folder, &report).unwrap();
    says(
        &std::fs::read_to_string(&path).unwrap(),
        &["<svg class=\"timeline\""],
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
    data.unobserved = vec![failover_judging::observed::Unobserved::Audit];
    data.calls.clear();
    let mut report = report_on(std::slice::from_ref(&data));
    let missing = failover_judging::observed::Unobserved::Audit.to_string();
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
    report.run.budget = failover_judging::report::BudgetShape::MaxUnavailable1;
    let page = render(&report, &[data], &Logs::default());
    says(
        &page,
        &[
            "Deployment foreign in foreign, container foreign",
            "the server, which takes no replicas, and 2 for them",
            "max-unavailable-1",
            "writes of secrets",
        ],
    );
}

#[test]
fn what_broke_in_many_trials_is_one_line_that_leads_to_each() {
    let trials = numbered(2..=5, &troubled());
    let page = page_of(&trials);
    let why = why(&page);
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
    let message = format!("{error:?}");
    assert!(message.contains("trials/3-graceful-1.json"), "{message}");
}
