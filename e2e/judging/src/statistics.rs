//! What many trials show: figures by name, percentiles with their confidence, and whether two samples differ.

pub mod figure;
pub mod percentile;
pub mod rank_test;

pub use figure::{Figure, FigureError, Phase, Statistic};
pub use percentile::{Interval, IntervalMethod, Method, Summary};
