//! scratch
use five_spot_e2e::{page, report::Report, trial::TrialData};
fn main() {
    let dir = std::env::args().nth(1).unwrap();
    let out = std::env::args().nth(2).unwrap();
    let report: Report = serde_json::from_slice(&std::fs::read(format!("{dir}/report.json")).unwrap()).unwrap();
    let trials: Vec<TrialData> = std::fs::read_dir(format!("{dir}/trials")).unwrap().map(|e| serde_json::from_slice(&std::fs::read(e.unwrap().path()).unwrap()).unwrap()).collect();
    let report = if std::env::args().nth(3).is_some() {
        let mut r = report; r.trials = r.trials.iter().map(|t| five_spot_e2e::judge::judge(trials.iter().find(|d| d.id == t.id).unwrap(), r.promise.unwrap())).collect(); r.concluded()
    } else { report };
    std::fs::write(out, page::render(&report, &trials)).unwrap();
}
