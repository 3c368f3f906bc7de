//! Where things are in the drawing.

/// Left of this are the names of the lanes.
pub(super) const LEFT: f64 = 152.0;
/// Here the lanes end.
pub(super) const RIGHT: f64 = 1066.0;
/// The width of a letter, for what fits where.
pub(super) const LETTER: f64 = 6.2;
