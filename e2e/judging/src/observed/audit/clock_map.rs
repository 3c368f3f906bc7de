//! Brings the API server's wall clock onto the run's clock, with an error that is measured and not assumed.
//!
//! Each of the harness's own requests was received and answered by the API server between the moments at which the
//! harness sent it and had the answer. Each such pair narrows the offset between the two clocks; what is left is the
//! error.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ApiCall, Wall};
use crate::clock::{Millis, Stamp, millis};

/// A request of the harness itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OwnCall {
    /// The response header `Audit-Id`; `None` when no response came.
    pub audit_id: Option<String>,
    /// What it was for.
    pub purpose: String,
    /// When it was sent.
    pub sent: Stamp,
    /// When the answer, or the error, was there.
    pub answered: Stamp,
    /// HTTP status; 0 when no response came.
    pub code: u16,
    /// `metadata.generation` of the object in the response, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// `metadata.resourceVersion` of the object in the response, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<u64>,
}

/// The offset from the API server's wall clock to the run's clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClockMap {
    offset_micros: i64,
    /// Half the width of what the offset may be, in milliseconds.
    pub error_ms: Millis,
    /// How many requests it was measured by.
    pub samples: usize,
    /// Whether the requests contradict each other: the wall clock was stepped or slewed while they were made. The error
    /// then covers all of them.
    pub stepped: bool,
}

impl OwnCall {
    /// Whether the API server did what was asked.
    pub fn is_accepted(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// How long the answer took.
    pub fn latency_ms(&self) -> Millis {
        self.answered.since(self.sent)
    }
}

impl ClockMap {
    /// Measures the offset by those of `own` that are found in `calls`; `None` when there are none.
    pub fn measure(own: &[OwnCall], calls: &[ApiCall]) -> Option<Self> {
        let by_id: std::collections::HashMap<&str, &ApiCall> = calls
            .iter()
            .map(|call| (call.audit_id.as_str(), call))
            .collect();
        let pairs: Vec<(i64, i64)> = own
            .iter()
            .filter_map(|own| {
                let call = by_id.get(own.audit_id.as_deref()?)?;
                Some((
                    own.sent.micros() - call.received.0,
                    own.answered.micros() - call.completed.0,
                ))
            })
            .collect();
        let lowest = pairs.iter().map(|(low, _)| *low).max()?;
        let highest = pairs.iter().map(|(_, high)| *high).min()?;
        let stepped = lowest > highest;
        Some(Self {
            offset_micros: lowest.midpoint(highest),
            error_ms: millis((highest - lowest).abs()) / 2.0,
            samples: pairs.len(),
            stepped,
        })
    }

    /// The moment on the run's clock, right to within `error_ms`.
    pub fn stamp(&self, wall: Wall) -> Stamp {
        Stamp::from_micros(wall.0 + self.offset_micros)
    }

    /// The moment on the API server's clock, right to within `error_ms`.
    pub fn wall(&self, stamp: Stamp) -> Wall {
        Wall(stamp.micros() - self.offset_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{self, call};

    /// A request sent and answered at these moments of the run (ms), received and answered by an API server whose wall
    /// clock is ahead by 1000 ms.
    fn exchange(
        id: &str,
        sent: i64,
        received: i64,
        completed: i64,
        answered: i64,
    ) -> (OwnCall, ApiCall) {
        let own = OwnCall {
            audit_id: Some(id.to_owned()),
            ..samples::own("test", sent, answered - sent)
        };
        let mut seen = call("harness", "get", "scheduledmachines");
        seen.audit_id = id.to_owned();
        seen.received = Wall((received + 1000) * 1000);
        seen.completed = Wall((completed + 1000) * 1000);
        (own, seen)
    }

    fn measure(exchanges: impl IntoIterator<Item = (OwnCall, ApiCall)>) -> Option<ClockMap> {
        let (own, calls): (Vec<_>, Vec<_>) = exchanges.into_iter().unzip();
        ClockMap::measure(&own, &calls)
    }

    #[test]
    fn the_error_is_half_of_what_the_exchanges_leave_open() {
        let map = measure([exchange("a", 0, 4, 5, 10), exchange("b", 20, 21, 29, 40)]).unwrap();
        // a: the offset is at least -1004 and at most -995; b: at least -1001 and at most -989.
        assert_eq!((map.error_ms, map.samples, map.stepped), (3.0, 2, false));
        let mapped = map.stamp(Wall(1_025_000));
        assert!(
            (mapped.since(Stamp::from_micros(25_000))).abs() <= map.error_ms,
            "{mapped:?}"
        );
        assert_eq!(map.wall(mapped), Wall(1_025_000));
    }

    #[test]
    fn a_stepped_wall_clock_is_noticed_and_covered_by_the_error() {
        let (own, mut stepped) = exchange("b", 20, 22, 23, 25);
        stepped.received.0 += 500_000;
        stepped.completed.0 += 500_000;
        let map = measure([exchange("a", 0, 2, 3, 5), (own, stepped)]).unwrap();
        assert!(map.stepped);
        assert!(map.error_ms > 240.0, "{}", map.error_ms);
    }

    #[test]
    fn without_a_request_found_in_the_log_there_is_no_map() {
        let (own, _) = exchange("a", 0, 2, 3, 5);
        assert_eq!(ClockMap::measure(&[own], &[]), None);
    }
}
