//! The words above the lanes: what happened when, so that nobody has to point at anything to understand a takeover.

use std::cmp::Ordering;

use maud::{Markup, html};

use super::layout::{LEFT, LETTER, RIGHT};
use crate::page::{
    scale::{Px, Scale},
    view::{Milestone, MilestoneKind, Span},
};

const ROW_HEIGHT: f64 = 14.0;
/// Between the lowest words and the lanes.
const FOOT: f64 = 9.0;
/// Between the words and their line, and between words in a row.
const GAP: f64 = 4.0;

pub(super) struct Placed<'a> {
    milestone: &'a Milestone,
    x: f64,
    /// Counted from below.
    row: usize,
    /// Whether the words are left of their line.
    left: bool,
    covered: Span,
}

/// Places the milestones within `span` so that no words cover others and no line goes through words: each above those that
/// its words reach. Words that go to the right begin with the last of them, those that go to the left with the first. Where a close-up tells the steps of the takeover, they are left out.
pub(super) fn place<'a>(
    milestones: &'a [Milestone],
    scale: &Scale,
    span: Span,
    close_up: Option<Span>,
) -> Vec<Placed<'a>> {
    let told_elsewhere = |milestone: &Milestone| {
        milestone.kind == MilestoneKind::Step
            && close_up.is_some_and(|close_up| close_up.holds(milestone.at))
    };
    let shown = milestones
        .iter()
        .filter(|milestone| span.holds(milestone.at) && !told_elsewhere(milestone));
    let (left, mut right): (Vec<_>, Vec<_>) = shown
        .map(|milestone| {
            let x = scale.x(milestone.at);
            let letters = u32::try_from(milestone.label.chars().count()).unwrap_or(u32::MAX);
            let width = f64::from(letters) * LETTER + GAP;
            let left = x + width > RIGHT && x - width >= LEFT;
            (milestone, x, width, left)
        })
        .partition(|(.., left)| *left);
    right.reverse();
    let mut placed: Vec<Placed<'a>> = Vec::new();
    for (milestone, x, width, left) in right.into_iter().chain(left) {
        let covered = if left {
            Span::new(x - width, x - 1.0)
        } else {
            Span::new(x + 1.0, x + width)
        };
        let highest = placed.iter().map(|other| other.row + 1).max().unwrap_or(0);
        let row = (0..highest)
            .find(|row| placed.iter().all(|other| other.leaves(*row, x, covered)))
            .unwrap_or(highest);
        placed.push(Placed {
            milestone,
            x,
            row,
            left,
            covered,
        });
    }
    placed
}

impl Placed<'_> {
    /// Whether it leaves room for words that cover `covered` in `row`, and for the line at `x` down from there.
    fn leaves(&self, row: usize, x: f64, covered: Span) -> bool {
        match self.row.cmp(&row) {
            Ordering::Equal => covered.to < self.covered.from || covered.from > self.covered.to,
            Ordering::Greater => !covered.holds(self.x),
            Ordering::Less => !self.covered.holds(x),
        }
    }
}

/// How much room they take.
pub(super) fn height(placed: &[Placed<'_>]) -> f64 {
    placed
        .iter()
        .map(|label| rows(label.row + 1))
        .fold(rows(1), f64::max)
        + FOOT
}

fn rows(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) * ROW_HEIGHT
}

/// Draws them from `top`, with lines down to `bottom`.
pub(super) fn draw(placed: &[Placed<'_>], top: f64, bottom: f64) -> Markup {
    let lowest = top + height(placed) - FOOT;
    html! {
        @for label in placed {
            @let base = lowest - rows(label.row) - 3.0;
            g class=(format!("milestone {}", class(label.milestone.kind))) {
                path d=(format!("M{} {}V{}", Px(label.x), Px(base - 8.0), Px(bottom))) {}
                @if label.left {
                    text class="end" x=(Px(label.x - GAP)) y=(Px(base)) { (label.milestone.label) }
                } @else {
                    text x=(Px(label.x + GAP)) y=(Px(base)) { (label.milestone.label) }
                }
            }
        }
    }
}

fn class(kind: MilestoneKind) -> &'static str {
    match kind {
        MilestoneKind::Fault => "at-fault",
        MilestoneKind::Step => "step",
        MilestoneKind::Limit => "limit",
        MilestoneKind::Restored => "back",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milestone(at: f64, label: &str) -> Milestone {
        Milestone {
            at,
            label: label.to_owned(),
            kind: MilestoneKind::Step,
        }
    }

    #[test]
    fn words_never_cover_others_and_stay_inside() {
        let span = Span::new(0.0, 1000.0);
        let scale = Scale::new(span, LEFT, RIGHT);
        let all: Vec<Milestone> = [0.0, 121.0, 122.5, 201.0, 205.0, 960.0, 990.0]
            .into_iter()
            .map(|at| milestone(at, "something at some time"))
            .collect();
        let placed = place(&all, &scale, span, None);
        assert_eq!(placed.len(), all.len());
        for (index, label) in placed.iter().enumerate() {
            let Span { from, to } = label.covered;
            assert!(from >= LEFT - 1.0 && to <= RIGHT + 1.0, "{from} to {to}");
            for other in placed.iter().skip(index + 1) {
                if other.row == label.row {
                    let (a, b) = (label.covered, other.covered);
                    assert!(a.to <= b.from || a.from >= b.to, "{a:?} over {b:?}");
                }
            }
        }
    }

    #[test]
    fn no_line_goes_through_the_words_of_another() {
        let span = Span::new(0.0, 1000.0);
        let scale = Scale::new(span, LEFT, RIGHT);
        let all: Vec<Milestone> = [100.0, 104.0, 105.0, 106.0, 220.0, 700.0, 880.0, 940.0]
            .into_iter()
            .map(|at| milestone(at, "something at some time"))
            .collect();
        let placed = place(&all, &scale, span, None);
        for label in &placed {
            for other in placed.iter().filter(|other| other.row > label.row) {
                assert!(
                    !label.covered.holds(other.x),
                    "{} in {:?}",
                    other.x,
                    label.covered
                );
            }
        }
        assert_eq!(placed.len(), 8);
        assert!(placed.iter().any(|label| label.left));
    }

    #[test]
    fn what_the_close_up_tells_is_told_there() {
        let span = Span::new(0.0, 1000.0);
        let scale = Scale::new(span, LEFT, RIGHT);
        let all = [milestone(100.0, "a"), milestone(800.0, "b")];
        let placed = place(&all, &scale, span, Some(Span::new(0.0, 200.0)));
        assert_eq!(placed.len(), 1);
    }
}
