//! Reports and trials to make pages of: a recorded one, and what was made of it by hand.

use std::time::Duration;

use crate::page::logs::Logs;
use failover_judging::{
    clock::Stamp,
    fault::FaultKind,
    judge::judge,
    observed::{ApiCall, ClockMap, OwnCall, RigFault, Role, TrialData, Wall},
    report::{Report, TargetInfo},
    samples::{PROMISE, report},
    verdict::{Check, CheckId},
};

/// What would do something if any of it were not escaped.
pub(super) const HOSTILE: &str = r#"x"><img src=x onerror=alert(1)>'</style></script></title><script>alert(2)</script><!-- &lt;"#;

/// A trial as it was recorded: three replicas, the leader's pod was deleted.
pub(in crate::page) fn recorded() -> TrialData {
    serde_json::from_str(include_str!("../fixture/graceful.json")).unwrap()
}

/// Shifts a moment.
fn later(at: Stamp, by: Duration) -> Stamp {
    at + by
}

/// The recorded trial, drawn out until `lasts` is over: the new leader does again and again what it did.
pub(in crate::page) fn drawn_out(lasts: Duration) -> TrialData {
    let old = recorded().before.pod().to_owned();
    repeated(lasts, &|call| call.pod.as_deref() != Some(&old))
}

/// The same, but that the old leader writes on as well.
pub(in crate::page) fn never_stopped(lasts: Duration) -> TrialData {
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
pub(in crate::page) fn report_on(trials: &[TrialData]) -> Report {
    let mut report = report();
    report.trials = trials.iter().map(|data| judge(data, PROMISE)).collect();
    report.concluded()
}

/// `count` trials of several faults, of which every third takes half a minute.
pub(in crate::page) fn many(count: u32) -> Vec<TrialData> {
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
pub(in crate::page) fn troubled() -> TrialData {
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

/// A report and a trial in which every text is hostile.
pub(in crate::page) fn hostile() -> (Report, TrialData, Logs) {
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
        idle.calls
            .insert(text(), failover_judging::judge::idle::CallCount::default());
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
        group.limits.lease.reason = text();
    }
    for trial in &mut report.trials {
        trial.old_leader = text();
        trial.new_leader = Some(text());
    }
    run_target(&mut report, HOSTILE);
    (report, data, logs)
}

pub(super) fn run_target(report: &mut Report, text: &str) {
    report.run.target = Some(TargetInfo {
        namespace: text.to_owned(),
        deployment: text.to_owned(),
        container: text.to_owned(),
        lease: text.to_owned(),
        holder: failover_judging::observed::HolderIdentity::Any,
    });
}

/// A line of a log, written so many milliseconds after the fault.
pub(in crate::page) fn said_at(data: &TrialData, after_ms: f64, text: &str) -> String {
    let map = ClockMap::measure(&data.own, &data.calls).unwrap();
    let after = Duration::from_secs_f64((after_ms + 10_000.0) / 1000.0);
    let at =
        map.wall(data.strike.issued).0 - 10_000_000 + i64::try_from(after.as_micros()).unwrap();
    let at = jiff::Timestamp::from_microsecond(at).unwrap();
    format!("{at} {text}\n")
}
