//! The words above the lanes: what happened when, so that nobody has to point at anything to understand a takeover.

use maud::{Markup, html};

use super::{LEFT, LETTER, RIGHT};
use crate::page::{
    scale::{Px, Scale},
    story::{Milestone, MilestoneKind, Span},
};

const ROW_HEIGHT: f64 = 14.0;
/// Between the lowest words and the lanes.
const FOOT: f64 = 9.0;
/// Between the words and their line, and between words in a row.
const GAP: f64 = 4.0;

/// A milestone with its place.
pub(super) struct Placed<'a> {
    milestone: &'a Milestone,
    x: f64,
    /// Counted from below.
    row: usize,
    /// Whether the words are left of their line.
    left: bool,
}

/// Places the milestones within `span` so that no words cover others. Where a close-up tells the steps of the takeover,
/// they are left out.
pub(super) fn place<'a>(
    milestones: &'a [Milestone],
    scale: &Scale,
    span: Span,
    close_up: Option<Span>,
) -> Vec<Placed<'a>> {
    // For each row from below, what is covered already.
    let mut rows: Vec<Vec<Span>> = Vec::new();
    let mut placed = Vec::new();
    let told_elsewhere = |milestone: &Milestone| {
        milestone.kind == MilestoneKind::Step
            && close_up.is_some_and(|close_up| close_up.holds(milestone.at))
    };
    for milestone in milestones
        .iter()
        .filter(|milestone| span.holds(milestone.at) && !told_elsewhere(milestone))
    {
        let x = scale.x(milestone.at);
        let letters = u32::try_from(milestone.label.chars().count()).unwrap_or(u32::MAX);
        let width = f64::from(letters) * LETTER + GAP;
        let left = x + width > RIGHT && x - width >= LEFT;
        let covered = if left {
            Span::new(x - width, x + 1.0)
        } else {
            Span::new(x - 1.0, x + width)
        };
        let free = |row: &Vec<Span>| {
            row.iter()
                .all(|other| covered.to < other.from || covered.from > other.to)
        };
        let row = rows.iter().position(free).unwrap_or(rows.len());
        if row == rows.len() {
            rows.push(Vec::new());
        }
        if let Some(row) = rows.get_mut(row) {
            row.push(covered);
        }
        // A line that goes up to its words must not be written over by words below.
        for below in rows.iter_mut().take(row) {
            below.push(Span::new(x - 1.0, x + 1.0));
        }
        placed.push(Placed {
            milestone,
            x,
            row,
            left,
        });
    }
    placed
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

    fn covered(label: &Placed<'_>) -> (f64, f64) {
        let letters = u32::try_from(label.milestone.label.len()).unwrap();
        let width = f64::from(letters) * LETTER + GAP;
        if label.left {
            (label.x - width, label.x)
        } else {
            (label.x, label.x + width)
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
            let (from, to) = covered(label);
            assert!(from >= LEFT && to <= RIGHT, "{from} to {to}");
            for other in placed
                .iter()
                .take(index)
                .filter(|other| other.row == label.row)
            {
                let (other_from, other_to) = covered(other);
                assert!(
                    to <= other_from || from >= other_to,
                    "{from} to {to} over {other_from} to {other_to}"
                );
            }
        }
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
