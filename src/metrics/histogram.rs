//! How long things took: so many up to each bound. Whoever counts waits for nobody.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Bounds in microseconds: from what a cache takes to what a build may wait.
const BOUNDS: [u64; 14] = [
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    30_000_000,
    300_000_000,
    3_600_000_000,
];

/// So many of the last times make the usual one.
const LAST: usize = 10;

/// Times by how long they took.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
    /// Microseconds and one more, so that nothing is no time.
    last: [AtomicU64; LAST],
    next: AtomicUsize,
}

/// What a histogram holds at a moment.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot {
    /// Seconds, and how many took no longer.
    pub(crate) up_to: Vec<(f64, u64)>,
    pub(crate) count: u64,
    pub(crate) sum: f64,
    /// The mean of the last ten in seconds; `None` if there is none.
    pub(crate) mean: Option<f64>,
}

impl Histogram {
    pub(crate) fn note(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX >> 1);
        let at = BOUNDS.iter().position(|it| micros <= *it);
        self.counts[at.unwrap_or(BOUNDS.len())].fetch_add(1, Ordering::Relaxed);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        let place = self.next.fetch_add(1, Ordering::Relaxed);
        self.last[place % LAST].store(micros.saturating_add(1), Ordering::Relaxed);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let mut count = 0;
        let mut up_to = Vec::with_capacity(BOUNDS.len());
        for (bound, here) in BOUNDS.iter().zip(&self.counts) {
            count += here.load(Ordering::Relaxed);
            up_to.push((seconds(*bound), count));
        }
        count += self.counts[BOUNDS.len()].load(Ordering::Relaxed);
        let last = self.last.iter().map(|it| it.load(Ordering::Relaxed));
        let last: Vec<_> = last.filter(|it| *it > 0).map(|it| it - 1).collect();
        let all: u64 = last.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "at most ten")]
        let mean = (!last.is_empty()).then(|| seconds(all) / last.len() as f64);
        Snapshot {
            up_to,
            count,
            sum: seconds(self.micros.load(Ordering::Relaxed)),
            mean,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few digits are enough")]
fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_holds_all_that_took_no_longer() {
        let histogram = Histogram::default();
        assert_eq!(histogram.snapshot().mean, None);
        for millis in [0, 1, 2, 40, 7_200_000] {
            histogram.note(Duration::from_millis(millis));
        }
        let held = histogram.snapshot();
        assert_eq!(held.count, 5);
        assert_eq!(held.up_to[0], (0.001, 2));
        assert_eq!(held.up_to[1], (0.0025, 3));
        assert_eq!(held.up_to.last(), Some(&(3600.0, 4)));
        assert!((held.sum - 7200.043).abs() < 1e-9);
        for _ in 0..LAST {
            histogram.note(Duration::from_secs(2));
        }
        assert_eq!(histogram.snapshot().mean, Some(2.0));
    }
}
