//! From milliseconds to places in a drawing, and round numbers for an axis.

use super::view::Span;
use failover_judging::clock::Millis;

/// A linear axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    domain: Span,
    left: f64,
    right: f64,
}

/// A coordinate to a whole unit: no eye sees more on a line of a thousand of them, and it is short.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Px(pub(super) f64);

impl std::fmt::Display for Px {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without a sign of a zero that was rounded.
        write!(f, "{}", self.0.round() + 0.0)
    }
}

impl Scale {
    /// The axis on which `domain` reaches from `left` to `right`.
    pub(super) fn new(domain: Span, left: f64, right: f64) -> Self {
        Self {
            domain,
            left,
            right,
        }
    }

    /// Where `at` is.
    pub(super) fn x(&self, at: Millis) -> f64 {
        let length = self.domain.length();
        if length <= 0.0 {
            return self.left;
        }
        self.left + (at - self.domain.from) / length * (self.right - self.left)
    }

    /// Round numbers within the domain, some `about` of them.
    pub(super) fn ticks(&self, about: f64) -> Vec<Millis> {
        let step = round_step(self.domain.length() / about);
        if step <= 0.0 {
            return Vec::new();
        }
        let first = (self.domain.from / step).ceil();
        let mut ticks = Vec::new();
        let mut index = 0.0;
        while (first + index) * step <= self.domain.to + step * 1e-9 {
            // A sum would drift, and a negative zero would show.
            ticks.push((first + index) * step + 0.0);
            index += 1.0;
        }
        ticks
    }
}

/// 1, 2 or 5 times a power of ten, at least `least`; 0 where there is none.
fn round_step(least: f64) -> f64 {
    if !least.is_finite() || least <= 0.0 {
        return 0.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0]
        .into_iter()
        .find(|factor| factor * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// The numbers of an axis, in milliseconds, or in seconds where all of them are whole or half ones.
pub(super) fn tick_labels(ticks: &[Millis]) -> (Vec<String>, &'static str) {
    let in_seconds = ticks.iter().all(|tick| (tick % 500.0).abs() < 1e-6)
        && ticks.iter().any(|tick| tick.abs() >= 1000.0);
    let unit = if in_seconds { 1000.0 } else { 1.0 };
    let labels = ticks
        .iter()
        // A sum of floating point numbers shows beyond the third place.
        .map(|tick| format!("{}", (tick / unit * 1000.0).round() / 1000.0).replace('-', "−"))
        .collect();
    (labels, if in_seconds { "s" } else { "ms" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_reaches_from_edge_to_edge() {
        let scale = Scale::new(Span::new(-100.0, 300.0), 10.0, 50.0);
        assert_eq!(
            (scale.x(-100.0), scale.x(0.0), scale.x(300.0)),
            (10.0, 20.0, 50.0)
        );
    }

    #[test]
    fn a_domain_of_no_length_has_a_place_and_no_ticks() {
        let scale = Scale::new(Span::new(5.0, 5.0), 10.0, 50.0);
        assert_eq!((scale.x(5.0), scale.ticks(5.0)), (10.0, Vec::new()));
    }

    #[rstest::rstest]
    #[case(-4088.0, 3655.0, 8.0, &[-4000.0, -3000.0, -2000.0, -1000.0, 0.0, 1000.0, 2000.0, 3000.0])]
    #[case(0.0, 0.9, 4.0, &[0.0, 0.5])]
    #[case(-24.0, 162.0, 6.0, &[0.0, 50.0, 100.0, 150.0])]
    fn ticks_are_round_numbers(
        #[case] from: f64,
        #[case] to: f64,
        #[case] about: f64,
        #[case] ticks: &[f64],
    ) {
        assert_eq!(
            Scale::new(Span::new(from, to), 0.0, 1.0).ticks(about),
            ticks
        );
    }

    #[test]
    fn an_axis_of_seconds_is_labelled_in_seconds() {
        assert_eq!(
            tick_labels(&[-500.0, 0.0, 500.0, 1000.0]).0,
            ["−0.5", "0", "0.5", "1"]
        );
        assert_eq!(tick_labels(&[0.0, 200.0, 400.0]).1, "ms");
    }

    #[rstest::rstest]
    #[case(12.34, "12")]
    #[case(12.5, "13")]
    #[case(-0.04, "0")]
    fn a_coordinate_is_short(#[case] value: f64, #[case] text: &str) {
        assert_eq!(Px(value).to_string(), text);
    }
}
