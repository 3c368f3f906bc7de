//! The page in a headless Chromium: `just page-test`. It loads without a word on the console, runs no script but its own,
//! and can be walked through by keyboard. Pictures for people to look at are left in `target/page`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    FILE, Logs, policy, render,
    tests::{hostile, many, recorded, report_on, troubled},
};
use failover_judging::{observed::TrialData, samples::says};

/// What a browser may be called.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Takes keys as a person would, and writes down what became of them.
const PROBE: &str = r##"<script>
(() => {
  const said = [];
  const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
  const tip = document.getElementById("tip");
  const timeline = document.querySelector("svg.timeline");
  timeline.focus();
  said.push("hidden " + tip.hidden);
  press("ArrowRight");
  said.push("first " + tip.textContent);
  press("ArrowRight");
  said.push("second " + document.activeElement.getAttribute("aria-label"));
  press("End");
  said.push("last " + tip.textContent);
  const rows = timeline.closest("details").querySelector("table.events").tBodies[0].rows;
  said.push("told " + [...rows].at(-1).cells[2].textContent);
  press("Escape");
  said.push("escaped " + tip.hidden);
  const [fault] = document.querySelectorAll("#filter select");
  fault.value = "crash";
  fault.dispatchEvent(new Event("change"));
  said.push("filtered " + document.querySelector("#filter output").textContent);
  const probe = document.createElement("pre");
  probe.id = "probe";
  probe.textContent = said.join("\n");
  document.body.append(probe);
})();
</script>"##;

struct Browser {
    program: &'static str,
    profile: tempfile::TempDir,
}

/// What a page became.
struct Loaded {
    dom: String,
    console: Vec<String>,
}

impl Browser {
    fn find() -> Self {
        let runs = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
        let program = NAMES.iter().find(runs).copied();
        Self {
            program: program
                .unwrap_or_else(|| panic!("no browser: install one of {}", NAMES.join(", "))),
            profile: tempfile::tempdir().unwrap(),
        }
    }

    fn run(&self, page: &Path, options: &[String]) -> (String, String) {
        let profile = format!("--user-data-dir={}", self.profile.path().display());
        let output = Command::new(self.program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--hide-scrollbars",
            ])
            .args([
                "--enable-logging=stderr",
                "--disable-background-networking",
                "--virtual-time-budget=10000",
            ])
            .arg(profile)
            .args(options)
            .arg(format!("file://{}", page.display()))
            .output()
            .unwrap();
        let (out, err) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{}: {err}", output.status);
        (out.into_owned(), err.into_owned())
    }

    fn load(&self, page: &Path) -> Loaded {
        let (dom, log) = self.run(page, &["--dump-dom".to_owned()]);
        let console = log
            .lines()
            .filter(|line| line.contains("CONSOLE"))
            .map(str::to_owned)
            .collect();
        Loaded { dom, console }
    }

    fn picture(&self, page: &Path, name: &str, options: &[&str]) {
        let path = page.with_file_name(name);
        let _absent = std::fs::remove_file(&path);
        let mut all: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let flag = if path.extension().is_some_and(|extension| extension == "pdf") {
            "--print-to-pdf"
        } else {
            "--screenshot"
        };
        all.push(format!("{flag}={}", path.display()));
        self.run(page, &all);
        assert!(path.is_file(), "no {}", path.display());
    }
}

/// Puts a page where people find it.
fn put(folder: &str, page: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/page")
        .join(folder)
        .join(FILE);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, page).unwrap();
    path
}

fn passing() -> String {
    let trials: Vec<TrialData> = (1..=6)
        .map(|number| {
            let mut data = recorded();
            data.id.number = number;
            data
        })
        .collect();
    render(&report_on(&trials), &trials, &Logs::default())
}

fn varied() -> String {
    let trials = many(12);
    render(&report_on(&trials), &trials, &Logs::default())
}

fn failing() -> String {
    let trials = [recorded(), troubled()];
    render(&report_on(&trials), &trials, &Logs::default())
}

#[test]
#[ignore = "needs Chromium: just page-test"]
fn the_page_loads_without_a_word_on_the_console_and_is_pictured() {
    let browser = Browser::find();
    for (name, page) in [("passing", passing()), ("failing", failing())] {
        let path = put(name, &page);
        let loaded = browser.load(&path);
        assert_eq!(loaded.console, Vec::<String>::new(), "{name}");
        says(&loaded.dom, &["class=\"js\"", "shown</output>"]);
        let wide = "--window-size=1280,4200";
        browser.picture(&path, "light.png", &[wide]);
        browser.picture(
            &path,
            "dark.png",
            &[wide, "--blink-settings=preferredColorScheme=0"],
        );
        browser.picture(&path, "narrow.png", &["--window-size=520,4200"]);
        browser.picture(&path, "print.pdf", &["--no-pdf-header-footer"]);
    }
}

#[test]
#[ignore = "needs Chromium: just page-test"]
fn hostile_text_makes_no_element_and_runs_nothing() {
    let (report, data, logs) = hostile();
    let path = put("hostile", &render(&report, &[data], &logs));
    let loaded = Browser::find().load(&path);
    assert_eq!(loaded.console, Vec::<String>::new());
    assert!(!loaded.dom.contains("<img"), "an element was made");
    assert_eq!(loaded.dom.matches("<script").count(), 1);
}

#[test]
#[ignore = "needs Chromium: just page-test"]
fn a_script_that_is_not_the_pages_own_is_refused() {
    let alien = "<script>document.documentElement.dataset.alien = 1</script></body>";
    let path = put("alien", &failing().replace("</body>", alien));
    let loaded = Browser::find().load(&path);
    assert!(!loaded.dom.contains("data-alien"), "it ran");
    assert!(
        loaded
            .console
            .iter()
            .any(|line| line.contains("Content Security Policy")),
        "{:?}",
        loaded.console
    );
    says(&loaded.dom, &["class=\"js\""]);
}

#[test]
#[ignore = "needs Chromium: just page-test"]
fn a_timeline_is_walked_by_keyboard_and_trials_are_filtered() {
    let page = varied()
        .replace(&policy(), "")
        .replace("</body>", &format!("{PROBE}</body>"));
    let loaded = Browser::find().load(&put("keyboard", &page));
    let said = loaded
        .dom
        .split("<pre id=\"probe\">")
        .nth(1)
        .unwrap_or_else(|| panic!("{:?}", loaded.console));
    let said: Vec<&str> = said.split("</pre>").next().unwrap().lines().collect();
    let [hidden, first, second, last, told, escaped, filtered] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert_eq!((*hidden, *escaped), ("hidden true", "escaped true"));
    says(&first, &[" ms"]);
    assert!(first.len() > 20, "{first}");
    assert!(second.starts_with("second "), "{second}");
    says(&second, &[" ms, "]);
    assert!(second != first, "{second}");
    let told = told.strip_prefix("told ").unwrap();
    assert!(last.contains(told), "{last} is not {told}");
    assert_eq!(*filtered, "filtered 3 of 12 shown");
}
