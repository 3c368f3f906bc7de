//! The shapes of the marks, drawn once and used everywhere, and the legend that explains them.

use maud::{Markup, PreEscaped, html};

use super::view::{Glyph, State};

const DEFINITIONS: &str = include_str!("glyphs.svg");

/// The shapes, which show nothing by themselves.
pub(super) fn definitions() -> Markup {
    PreEscaped(DEFINITIONS.to_owned())
}

const MARKS: [(Glyph, &str); 19] = [
    (Glyph::Fault, "fault"),
    (Glyph::Undone, "fault undone"),
    (Glyph::Restored, "restored"),
    (Glyph::Renewal, "Lease renewed"),
    (Glyph::Taken, "Lease taken"),
    (Glyph::Released, "Lease released"),
    (Glyph::Lapsed, "right to it lapses"),
    (Glyph::Deleted, "Lease deleted or overwritten"),
    (Glyph::Pod, "pod changes"),
    (Glyph::Dead, "process dead"),
    (Glyph::LastWrite, "last write before"),
    (Glyph::FirstWrite, "first write after"),
    (Glyph::Refused, "write or request refused"),
    (Glyph::Unanswered, "write ended with an error"),
    (Glyph::Stray, "stray write"),
    (Glyph::Log, "log"),
    (Glyph::Warning, "log: warning or error"),
    (Glyph::Metrics, "metrics read"),
    (Glyph::Slow, "slow request, or no processor"),
];

/// What the shapes mean.
pub(super) fn legend() -> Markup {
    let bars = [
        State::Ready,
        State::Starting,
        State::NotReady,
        State::Terminating,
        State::Down,
    ];
    html! {
        details class="legend" open {
            summary { "Legend" }
            ul {
                li { svg viewBox="0 0 26 16" aria-hidden="true" { rect class="holds" y="5.5" width="26" height="5" {} } "holds the Lease" }
                @for state in bars {
                    li { svg viewBox="0 0 26 16" aria-hidden="true" { rect class=(state.class()) x=".5" y="1.5" width="25" height="13" {} } (state.word()) }
                }
                li { svg viewBox="0 0 26 16" aria-hidden="true" { path class="silent" d="M0 8H26" {} } "holder silent" }
                li { svg viewBox="0 0 26 16" aria-hidden="true" { path class="writes" d="M3 8h1m5 0h1m4 0h1m5 0h1" {} } "work write accepted" }
                li { svg viewBox="0 0 26 16" aria-hidden="true" { path class="requests" d="M3 8h1m3 0h1m3 0h1m3 0h1m3 0h1" {} } "request of the harness answered" }
                li { svg viewBox="0 0 26 16" aria-hidden="true" { rect class="strike" width="26" height="16" {} } "the fault's call" }
                li { svg viewBox="0 0 26 16" aria-hidden="true" { rect class="lasting" width="26" height="16" {} } "until undone" }
                @for (glyph, word) in MARKS {
                    li {
                        @if glyph == Glyph::Slow {
                            svg viewBox="0 0 26 16" aria-hidden="true" { rect class="hit slow" x="1" y="1" width="24" height="14" {} }
                        } @else {
                            svg viewBox="-13 -8 26 16" aria-hidden="true" { use href=(format!("#g-{glyph}")) {} }
                        }
                        (word)
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_that_is_explained_is_drawn() {
        for (glyph, word) in MARKS {
            let drawn = DEFINITIONS.contains(&format!("id=\"g-{glyph}\""));
            assert!(drawn || glyph == Glyph::Slow, "{word}");
        }
    }
}
