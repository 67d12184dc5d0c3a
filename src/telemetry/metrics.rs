//! What is counted, as atomics: one number costs one uncontended instruction on the way of a request.
//!
//! A counter stands beside what it counts, in an array whose index is one of our own enums or tables: there is no map
//! from text to number, so nothing that comes from outside can make a new series. As the log, the counters are the
//! process's own and never decide anything.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::domain::event::EventCode;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// At 0.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// One more.
    pub fn count(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// So many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many there are at present.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// At 0.
    pub const fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// One has come.
    pub fn enter(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One has gone.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// So many are there; never less than none, also where one goes while another is counted.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed).max(0)
    }
}

/// Upper bounds of a histogram's buckets: in microseconds, and as the exposition writes them in seconds.
pub const BUCKETS: [(u64, &str); 13] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
];

/// How long things took.
#[derive(Debug)]
pub struct Histogram {
    /// Of each bucket alone, the last one of what took longer than all bounds.
    counts: [Counter; BUCKETS.len() + 1],
    micros: Counter,
}

/// A histogram as it stood at one look.
#[derive(Clone, Debug, PartialEq)]
pub struct Durations {
    /// So many took at most each bound, and then: so many in all.
    pub at_most: Vec<(&'static str, u64)>,
    /// All of them.
    pub count: u64,
    /// All together, in seconds.
    pub seconds: f64,
}

impl Histogram {
    /// With nothing in it.
    pub const fn new() -> Self {
        Self { counts: [const { Counter::new() }; BUCKETS.len() + 1], micros: Counter::new() }
    }

    /// One thing took so long.
    pub fn observe(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // What is usual is found at once.
        let bucket = BUCKETS.iter().position(|(bound, _)| micros <= *bound).unwrap_or(BUCKETS.len());
        self.counts[bucket].count();
        self.micros.add(micros);
    }

    /// What it holds. The count is the sum of the buckets that were read: they always fit together.
    pub fn read(&self) -> Durations {
        let mut count = 0;
        let mut up_to = |bucket: usize| {
            count += self.counts[bucket].get();
            count
        };
        let at_most = BUCKETS.iter().enumerate().map(|(at, (_, bound))| (*bound, up_to(at))).collect();
        let count = up_to(BUCKETS.len());
        Durations { at_most, count, seconds: Duration::from_micros(self.micros.get()).as_secs_f64() }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

static EVENTS: [Counter; EventCode::ALL.len()] = [const { Counter::new() }; EventCode::ALL.len()];

/// Counts a security event that goes to the trail.
pub fn count_event(code: EventCode) {
    // The codes are numbered as they stand in the list.
    EVENTS[code as usize].count();
}

/// How many events of this code went to the trail since the start.
pub fn events(code: EventCode) -> u64 {
    EVENTS[code as usize].get()
}

/// What is counted for its own sake, beside events: the trail hears of a flood only how it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Figure {
    /// A login, begun here or not, that did not succeed.
    FailedLogin,
    /// A presented token, code, key or signature that was not accepted.
    InvalidToken,
    /// A session, or a login in progress, that ended because its time was over.
    SessionTimeout,
    /// A request whose bytes, headers, size or syntax were not in order.
    MalformedRequest,
    /// A request with what is written only to be read as something else.
    InjectionAttempt,
    /// A well-formed request whose values were refused.
    ValidationError,
    /// A TLS handshake with a client that failed.
    TlsFailure,
    /// An answer that told somebody to come back later.
    RateLimited,
    /// A connection that was closed for a newcomer.
    ConnectionShed,
}

static FIGURES: [Counter; 9] = [const { Counter::new() }; 9];

impl Figure {
    /// One more.
    pub fn count(self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(self, more: u64) {
        FIGURES[self as usize].add(more);
    }

    /// So many since the start.
    pub fn get(self) -> u64 {
        FIGURES[self as usize].get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_adds_up_at_and_between_its_bounds() {
        let histogram = Histogram::new();
        for micros in [0, 1_000, 1_001, 30_000_000, 30_000_001, u64::from(u32::MAX)] {
            histogram.observe(Duration::from_micros(micros));
        }
        let read = histogram.read();
        assert_eq!((read.at_most[0], read.at_most[1]), (("0.001", 2), ("0.0025", 3)));
        assert_eq!((read.at_most[BUCKETS.len() - 1], read.count), (("30", 4), 6));
        assert!(read.seconds > 4_354.0 && read.seconds < 4_356.0, "{}", read.seconds);
    }

    #[test]
    fn bounds_ascend_and_are_written_in_seconds() {
        for pair in BUCKETS.windows(2) {
            assert!(pair[0].0 < pair[1].0);
        }
        for (micros, seconds) in BUCKETS {
            let seconds: f64 = seconds.parse().unwrap();
            assert!((seconds * 1e6 - Duration::from_micros(micros).as_secs_f64() * 1e6).abs() < 1e-3);
        }
    }

    #[test]
    fn every_code_has_its_own_number() {
        for (at, code) in EventCode::ALL.iter().enumerate() {
            assert_eq!(*code as usize, at, "{}", code.name());
        }
        assert_eq!(Figure::ConnectionShed as usize + 1, FIGURES.len());
    }
}
