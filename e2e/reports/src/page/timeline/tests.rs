//! The drawing of the recorded trial.

use super::*;
use crate::page::{
    logs::Logs,
    tests::{recorded, troubled},
};
use failover_judging::{
    judge::judge,
    observed::TrialData,
    samples::{PROMISE, says},
};

fn drawn(data: &TrialData) -> String {
    timeline(
        &TrialView::of(data, &judge(data, PROMISE), &Logs::default()),
        "a timeline",
    )
    .into_string()
}

/// The numbers of an attribute, wherever it is.
fn numbers(text: &str, attribute: &str) -> Vec<f64> {
    text.split(&format!(" {attribute}=\""))
        .skip(1)
        .filter_map(|rest| rest.split('"').next()?.parse().ok())
        .collect()
}

#[test]
fn every_lane_has_its_name_and_the_marks_their_shapes() {
    let svg = drawn(&recorded());
    says(
        &svg,
        &[
            ">Lease</text>",
            ">26tcn</text>",
            ">old leader</text>",
            ">harness</text>",
            "#g-taken",
            "#g-released",
            "#g-first-write",
            "#g-last-write",
            "class=\"terminating\"",
            "class=\"down\"",
            "class=\"funnel\"",
            ">fault: graceful</text>",
            ">ms from the fault</text>",
        ],
    );
}

#[test]
fn nothing_is_drawn_beyond_the_edges() {
    let svg = drawn(&troubled());
    for x in numbers(&svg, "x") {
        assert!((0.0..=RIGHT + 1.0).contains(&x), "x is {x}");
    }
    let widths = numbers(&svg, "width");
    assert!(
        widths
            .iter()
            .all(|width| *width >= 0.0 && *width <= RIGHT - LEFT + 8.0),
        "{widths:?}"
    );
}

#[test]
fn a_stray_write_and_a_hung_request_are_marked() {
    let svg = drawn(&troubled());
    says(&svg, &["#g-stray", "#g-refused", "#g-failed"]);
}

#[test]
fn ticks_that_would_touch_are_one_bar() {
    let data = recorded();
    let mut view = TrialView::of(&data, &judge(&data, PROMISE), &Logs::default());
    let span = Span::new(0.0, 1000.0);
    view.whole = span;
    let panel = Panel::new(&view, span, 0.0, true);
    let pixel = span.length() / (RIGHT - LEFT);
    let moments = [0.0, 1.0, 2.0, 20.0].map(|x| x * pixel);
    let path = |gap| panel.ticks("writes", &moments, 7.0, gap).into_string();
    let pause = path(5.0 * pixel);
    says(&pause, &["d=\"M152 7h3m17 0h1\""]);
    let none = path(19.0 * pixel);
    says(&none, &["d=\"M152 7h21\""]);
    let wide = path(900.0 * pixel);
    assert_eq!(wide, none, "a pause that is seen is not covered up");
}

#[test]
fn a_close_up_leaves_out_pods_that_nothing_happens_to() {
    let svg = drawn(&recorded());
    let lanes = |pod: &str| svg.matches(&format!(">{pod}</text>")).count();
    assert_eq!(lanes("standby"), 1);
    assert_eq!((lanes("old leader"), lanes("new leader")), (2, 2));
}
