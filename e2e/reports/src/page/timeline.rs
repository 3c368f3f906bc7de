//! The timeline of a trial as SVG: one axis, a lane for the Lease, for each pod and for the harness; where the takeover
//! is short against the whole trial, a close-up of it below.

mod layout;
mod milestones;

use std::fmt::Write as _;

use layout::{LEFT, LETTER, RIGHT};
use maud::{Markup, PreEscaped, html};
use milestones::Placed;

use super::{
    scale::{Px, Scale, tick_labels},
    view::{Event, Glyph, Lane, Span, Track, TrialView},
};

const WIDTH: f64 = 1080.0;

const LEASE_HEIGHT: f64 = 30.0;
const POD_HEIGHT: f64 = 48.0;
const HARNESS_HEIGHT: f64 = 24.0;
const AXIS_HEIGHT: f64 = 26.0;
/// Between the whole and its close-up.
const FUNNEL_HEIGHT: f64 = 26.0;

/// Within a pod's lane, from its top: the strip of the Lease, the bar of the state, the ticks of the writes.
const HOLD: (f64, f64) = (6.0, 5.0);
const BAR: (f64, f64) = (12.0, 13.0);
const TICKS: (f64, f64) = (29.0, 9.0);

/// Between the writes and the next lane.
const LOG: f64 = 43.0;

/// Writes that follow each other faster than this, in milliseconds, are drawn as one bar: what shows is when there were
/// none. A canary asks for ten in a second.
const WRITE_GAP: f64 = 200.0;
/// The same of requests.
const REQUEST_GAP: f64 = 300.0;
/// What such a pause may be in a drawing: narrower ones would not be seen, and wider ones are worth a look.
const SHORTEST_PAUSE: f64 = 3.0;
const LONGEST_PAUSE: f64 = 20.0;

/// One drawing of a stretch of time.
struct Panel<'a> {
    view: &'a TrialView,
    scale: Scale,
    span: Span,
    top: f64,
    labels: Vec<Placed<'a>>,
    /// The pods that have a lane, as they are numbered in the view.
    pods: Vec<usize>,
    /// Whether the requests of the harness have a lane.
    harness: bool,
}

/// The timeline, which `label` names for those who do not see it.
pub(super) fn timeline(view: &TrialView, label: &str) -> Markup {
    let whole = Panel::new(view, view.whole, 0.0, true);
    let close_up = view
        .close_up
        .map(|span| Panel::new(view, span, whole.bottom() + FUNNEL_HEIGHT, false));
    let height = close_up.as_ref().map_or(whole.bottom(), Panel::bottom);
    let drawing = html! {
        svg class="timeline" viewBox=(format!("0 0 {} {}", Px(WIDTH), Px(height))) role="group" aria-label=(label) {
            @if let Some(close_up) = &close_up { (funnel(&whole, close_up)) }
            (whole.draw())
            @if let Some(close_up) = &close_up { (close_up.draw()) }
        }
    };
    // In SVG an element without content may close itself. No text has such an end in it: what looks like one is escaped.
    PreEscaped(
        drawing
            .into_string()
            .replace("></use>", "/>")
            .replace("></path>", "/>")
            .replace("></rect>", "/>"),
    )
}

/// What part of the whole the close-up shows.
fn funnel(whole: &Panel<'_>, close_up: &Panel<'_>) -> Markup {
    let (from, to) = (
        whole.scale.x(close_up.span.from),
        whole.scale.x(close_up.span.to),
    );
    let (top, middle, bottom) = (whole.lanes_top(), whole.bottom(), close_up.top + 2.0);
    let line = format!(
        "M{} {}V{}L{} {}H{}L{} {}V{}Z",
        Px(from),
        Px(top),
        Px(middle),
        Px(LEFT),
        Px(bottom),
        Px(RIGHT),
        Px(to),
        Px(middle),
        Px(top)
    );
    html! {
        path class="funnel" d=(line) {}
        text class="note" x=(Px(LEFT + 4.0)) y=(Px(bottom - 5.0)) { "close-up" }
    }
}

impl<'a> Panel<'a> {
    fn new(view: &'a TrialView, span: Span, top: f64, harness: bool) -> Self {
        let scale = Scale::new(span, LEFT, RIGHT);
        let crowded = view.close_up.filter(|close_up| *close_up != span);
        Self {
            view,
            scale,
            span,
            top,
            labels: milestones::place(&view.milestones, &scale, span, crowded),
            // A close-up is of those who take part.
            pods: (0..view.lanes.len())
                .filter(|lane| harness || view.takes_part(*lane, span))
                .collect(),
            harness,
        }
    }

    fn lanes_top(&self) -> f64 {
        self.top + milestones::height(&self.labels)
    }

    /// The top of what is in this place below the Lease.
    fn below_lease(&self, place: usize) -> f64 {
        let place = f64::from(u32::try_from(place).unwrap_or(u32::MAX));
        self.lanes_top() + LEASE_HEIGHT + place * POD_HEIGHT
    }

    /// The top of a pod's lane, if it has one.
    fn pod_top(&self, lane: usize) -> Option<f64> {
        let place = self.pods.iter().position(|pod| *pod == lane)?;
        Some(self.below_lease(place))
    }

    fn pods_bottom(&self) -> f64 {
        self.below_lease(self.pods.len())
    }

    fn lanes_bottom(&self) -> f64 {
        self.pods_bottom() + if self.harness { HARNESS_HEIGHT } else { 0.0 }
    }

    fn bottom(&self) -> f64 {
        self.lanes_bottom() + AXIS_HEIGHT
    }

    /// The middle of the lane of the harness.
    fn harness_y(&self) -> f64 {
        self.pods_bottom() + HARNESS_HEIGHT / 2.0
    }

    fn lease_y(&self) -> f64 {
        self.lanes_top() + LEASE_HEIGHT / 2.0
    }

    fn draw(&self) -> Markup {
        html! {
            (self.grid())
            (self.fault())
            (self.lease())
            @for (index, lane) in self.view.lanes.iter().enumerate() {
                @if let Some(top) = self.pod_top(index) { (self.pod(top, lane)) }
            }
            @if self.harness { (self.requests()) }
            (milestones::draw(&self.labels, self.top, self.lanes_bottom()))
            @for (index, event) in self.view.events.iter().enumerate() { (self.mark(index, event)) }
        }
    }

    /// The axis, its lines, and the lines between the lanes.
    fn grid(&self) -> Markup {
        let ticks = self.scale.ticks(10.0);
        let (labels, unit) = tick_labels(&ticks);
        let (top, bottom) = (self.lanes_top(), self.lanes_bottom());
        let lines = ticks.iter().fold(String::new(), |mut path, tick| {
            // Writing into a string does not fail.
            let _ = write!(
                path,
                "M{} {}V{}",
                Px(self.scale.x(*tick)),
                Px(top),
                Px(bottom)
            );
            path
        });
        let mut between = vec![top, top + LEASE_HEIGHT, bottom];
        between.extend((1..=self.pods.len()).map(|place| self.below_lease(place)));
        let between = between.iter().fold(String::new(), |mut path, y| {
            let _ = write!(path, "M0 {}H{}", Px(*y), Px(RIGHT));
            path
        });
        html! {
            path class="grid" d=(lines) {}
            path class="rule" d=(between) {}
            g class="axis" {
                @for (tick, label) in ticks.iter().zip(&labels) {
                    text x=(Px(self.scale.x(*tick))) y=(Px(bottom + 14.0)) { (label) }
                }
            }
            text class="unit" x=(Px(LEFT - 10.0)) y=(Px(bottom + 14.0)) { (unit) " from the fault" }
        }
    }

    /// While the call that does the fault was out, and until it was undone.
    fn fault(&self) -> Markup {
        let lasting = self
            .view
            .undone
            .and_then(|undone| Span::new(0.0, undone).within(self.span));
        let strike = self.view.strike.within(self.span);
        let band = |class: &str, span: Span| {
            let (top, height) = (self.lanes_top(), self.lanes_bottom() - self.lanes_top());
            self.bar(class, span, top, height)
        };
        html! {
            @if let Some(span) = lasting { (band("lasting", span)) }
            @if let Some(span) = strike { (band("strike", span)) }
        }
    }

    fn lease(&self) -> Markup {
        let y = self.lease_y();
        html! {
            text class="name" x="0" y=(Px(y + 4.0)) { "Lease" }
            (self.renewals())
            @for term in &self.view.terms {
                @if let Some(span) = term.span.within(self.span) {
                    @let active = Span::new(span.from, term.silent.map_or(span.to, |silent| silent.from.max(span.from)));
                    path class="term" d=(self.line(active, y)) {}
                    @if let Some(silent) = term.silent.and_then(|silent| silent.within(self.span)) {
                        path class="silent" d=(self.line(silent, y)) {}
                    }
                    @let label = self.view.names.label(&term.holder);
                    @if self.fits(span, &label) {
                        text class="holder" x=(Px(self.scale.x(span.from) + 9.0)) y=(Px(y - 5.0)) { (label) }
                    }
                }
            }
        }
    }

    /// A bar over `part` of this stretch, which is seen however short it is.
    fn bar(&self, class: &str, part: Span, top: f64, height: f64) -> Markup {
        let (left, right) = (
            self.scale.x(part.from).round(),
            self.scale.x(part.to).round(),
        );
        let width = (right - left).max(1.0);
        let path = format!("M{left} {}h{width}v{}h-{width}z", Px(top), Px(height));
        html! { path class=(class) d=(path) {} }
    }

    fn line(&self, span: Span, y: f64) -> String {
        format!(
            "M{} {}H{}",
            Px(self.scale.x(span.from)),
            Px(y),
            Px(self.scale.x(span.to))
        )
    }

    fn fits(&self, span: Span, text: &str) -> bool {
        let width = self.scale.x(span.to) - self.scale.x(span.from);
        let letters = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        width >= f64::from(letters) * LETTER + 14.0
    }

    fn pod(&self, top: f64, lane: &Lane) -> Markup {
        html! {
            text class="name" x="0" y=(Px(top + 18.0)) { (self.view.names.label(&lane.name)) }
            text class="note" x="0" y=(Px(top + 32.0)) {
                (lane.role) @if let Some(node) = &lane.node { ", " (node) }
            }
            @for span in &lane.holds {
                @if let Some(part) = span.within(self.span) { (self.bar("holds", part, top + HOLD.0, HOLD.1)) }
            }
            @for (span, state) in &lane.states {
                @if let Some(part) = span.within(self.span) {
                    (self.bar(state.class(), part, top + BAR.0, BAR.1))
                    @if self.fits(part, state.word()) {
                        text class="state" x=(Px(self.scale.x(part.from) + 6.0)) y=(Px(top + BAR.0 + 10.0)) { (state.word()) }
                    }
                }
            }
            (self.ticks("writes", &lane.writes, top + TICKS.0 + TICKS.1 / 2.0, WRITE_GAP))
        }
    }

    fn requests(&self) -> Markup {
        let y = self.harness_y();
        html! {
            text class="name" x="0" y=(Px(y + 4.0)) { "harness" }
            (self.ticks("requests", &self.view.answered, y, REQUEST_GAP))
        }
    }

    /// A tick for each moment, in one path; ticks that would touch are one bar, so that a long trial weighs no more and
    /// what shows is when there were none.
    fn ticks(&self, class: &str, moments: &[f64], y: f64, gap_ms: f64) -> Markup {
        let places = moments
            .iter()
            .filter(|at| self.span.holds(**at))
            .map(|at| self.scale.x(*at).round());
        let gap = (self.scale.x(gap_ms) - self.scale.x(0.0)).clamp(SHORTEST_PAUSE, LONGEST_PAUSE);
        let mut path = String::new();
        let mut pen: Option<f64> = None;
        let mut bar: Option<(f64, f64)> = None;
        for x in places.map(Some).chain([None]) {
            match (bar, x) {
                (Some((from, to)), Some(x)) if x - to < gap => bar = Some((from, to.max(x))),
                (done, next) => {
                    if let Some((from, to)) = done {
                        let length = to - from + 1.0;
                        // Writing into a string does not fail.
                        let _ = match pen {
                            None => write!(path, "M{from} {}h{length}", Px(y)),
                            Some(pen) => write!(path, "m{} 0h{length}", from - pen),
                        };
                        pen = Some(to + 1.0);
                    }
                    bar = next.map(|x| (x, x));
                }
            }
        }
        html! { @if !path.is_empty() { path class=(class) d=(path) {} } }
    }

    /// A dot for each renewal, in one path.
    fn renewals(&self) -> Markup {
        let y = self.lease_y();
        let path = self
            .view
            .renewals
            .iter()
            .filter(|at| self.span.holds(**at))
            .fold(String::new(), |mut path, at| {
                // Writing into a string does not fail.
                let _ = write!(path, "M{} {}h0", Px(self.scale.x(*at)), Px(y));
                path
            });
        html! { @if !path.is_empty() { path class="renewals" d=(path) {} } }
    }

    /// What can be pointed at of an event.
    fn mark(&self, index: usize, event: &Event) -> Markup {
        let (Some(at), Some((y, height))) = (event.at, self.place(event)) else {
            return html! {};
        };
        let lasts = event
            .until
            .and_then(|until| Span::new(at, until).within(self.span));
        let moment = self.span.holds(at).then(|| self.scale.x(at));
        let spread = matches!(
            event.glyph,
            Glyph::Writes
                | Glyph::Renewal
                | Glyph::Slow
                | Glyph::Failed
                | Glyph::Refused
                | Glyph::Unanswered
                | Glyph::Stray
                | Glyph::LeaseRefused
        );
        // What is drawn as ticks, dots or a bar has no mark of its own.
        let bar = matches!(event.glyph, Glyph::Writes | Glyph::Slow)
            || (event.glyph == Glyph::Renewal && event.until.is_some());
        html! {
            @if let (Some(span), true) = (lasts, spread) {
                rect class=(format!("hit {}", event.glyph)) data-e=(index)
                    x=(Px(self.scale.x(span.from) - 2.0)) y=(Px(y - height / 2.0))
                    width=(Px(self.scale.x(span.to) - self.scale.x(span.from) + 4.0)) height=(Px(height)) {}
            } @else if let (Some(x), true) = (moment, bar) {
                rect class=(format!("hit {}", event.glyph)) data-e=(index)
                    x=(Px(x - 3.0)) y=(Px(y - height / 2.0)) width="6" height=(Px(height)) {}
            }
            @if let (Some(x), false) = (moment, bar) {
                use href=(format!("#g-{}", event.glyph)) data-e=(index) x=(Px(x)) y=(Px(y)) {}
            }
        }
    }

    /// The middle and the height of where an event is drawn; `None` where this panel does not draw it.
    fn place(&self, event: &Event) -> Option<(f64, f64)> {
        let in_lane = |lane: usize, y: f64, height: f64| Some((self.pod_top(lane)? + y, height));
        match event.track {
            Track::Fault => Some((self.lanes_top(), 12.0)),
            Track::Lease => Some((self.lease_y(), 12.0)),
            Track::Pod(lane) => in_lane(lane, BAR.0 + BAR.1 / 2.0, BAR.1),
            Track::Writes(lane) if event.glyph == Glyph::LeaseRefused => {
                in_lane(lane, HOLD.0 + HOLD.1 / 2.0, 10.0)
            }
            Track::Writes(lane) => in_lane(lane, TICKS.0 + TICKS.1 / 2.0, 12.0),
            Track::Log(lane) => in_lane(lane, LOG, 8.0),
            Track::Harness => self.harness.then(|| (self.harness_y(), 14.0)),
            Track::Table => None,
        }
    }
}

#[cfg(test)]
mod tests;
