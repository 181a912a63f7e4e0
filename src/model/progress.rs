//! What a step leaves behind for those who ask how long the next one of its
//! name takes.

use std::time::Duration;

use super::{SlaveName, Timestamp};

/// How far a step is, or how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether it is one that estimates are about.
    pub(crate) counts: bool,
    /// When it had its locks, if it had to wait for any: how long others hold them says nothing
    /// about the step.
    pub(crate) began: Option<Timestamp>,
    /// The length of its `stdio`, once it has ended.
    pub(crate) said: u64,
    /// When it said that.
    pub(crate) pace: Option<Pace>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            counts: true,
            began: None,
            said: 0,
            pace: None,
        }
    }
}

/// A build that went through all of its steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PastRun {
    pub(crate) slave: SlaveName,
    /// Its steps that count.
    pub(crate) laps: Vec<Lap>,
}

/// A step of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lap {
    pub(crate) name: String,
    /// `None` if it was skipped.
    pub(crate) took: Option<Duration>,
    /// The length of what it said.
    pub(crate) said: u64,
    pub(crate) pace: Option<Pace>,
}

/// At which part of its time, in 255ths, each further eighth of a log was there: what a step has
/// said tells how far it is only if earlier ones said as much at the same part of their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace(pub(crate) [u8; 7]);

impl Pace {
    /// The earliest and the latest part of its time at which `said` of `all` bytes were there.
    pub(crate) fn when(self, said: u64, all: u64) -> (f64, f64) {
        let mark = |at: usize| match at {
            0 => 0.0,
            1..8 => f64::from(self.0[at - 1]) / 255.0,
            _ => 1.0,
        };
        if all == 0 {
            return (0.0, 1.0);
        }
        let eighths = u128::from(said) * 8 / u128::from(all);
        match usize::try_from(eighths) {
            Ok(at @ 0..8) => (mark(at), mark(at + 1)),
            _ => (1.0, 1.0),
        }
    }
}

/// Takes the pace of a log while it grows, in little memory.
#[derive(Debug, Default)]
pub(crate) struct PaceMeter {
    /// When it was how long.
    seen: Vec<(Duration, u64)>,
    /// What is nearer than this to the one before is left out.
    apart: Duration,
}

/// So many looks are kept, the first and later ones evenly.
const KEPT: usize = 64;

/// What is over faster than this has no pace worth its bytes.
const SHORTEST: Duration = Duration::from_secs(2);

impl PaceMeter {
    /// Takes in that the log has `length` bytes after `elapsed`.
    pub(crate) fn look(&mut self, elapsed: Duration, length: u64) {
        if let Some((last, _)) = self.seen.last()
            && elapsed < *last + self.apart
        {
            return;
        }
        self.seen.push((elapsed, length));
        if self.seen.len() == KEPT {
            let mut is_even = false;
            self.seen.retain(|_| {
                is_even = !is_even;
                is_even
            });
            self.apart = elapsed / (KEPT as u32 / 2);
        }
    }

    /// The pace of a log that has `length` bytes at its end, after `took`.
    pub(crate) fn pace(&self, took: Duration, length: u64) -> Option<Pace> {
        if took < SHORTEST || length == 0 {
            return None;
        }
        let mut marks = [255; 7];
        for (at, mark) in (1..).zip(&mut marks) {
            let enough = |it: &&(Duration, u64)| u128::from(it.1) * 8 >= u128::from(length) * at;
            if let Some((when, _)) = self.seen.iter().find(enough) {
                let part = when.as_secs_f64() / took.as_secs_f64();
                *mark = (part.min(1.0) * 255.0).round() as u8;
            }
        }
        Some(Pace(marks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_pace_of_a_log_says_when_which_part_of_it_was_there() {
        let mut even = PaceMeter::default();
        let mut sudden = PaceMeter::default();
        for second in 0..1000 {
            even.look(secs(second), second * 10);
            sudden.look(secs(second), 10_000);
        }
        let even = even.pace(secs(1000), 10_000).expect("a pace");
        let (from, to) = even.when(5100, 10_000);
        assert!((from - 0.5).abs() < 0.04 && (to - 0.625).abs() < 0.04);
        assert_eq!(even.when(10_000, 10_000), (1.0, 1.0));
        assert_eq!(even.when(0, 0), (0.0, 1.0));
        assert_eq!(even.when(u64::MAX, 1), (1.0, 1.0));

        // What is said at once tells nothing of what comes after.
        let sudden = sudden.pace(secs(1000), 10_100).expect("a pace");
        assert_eq!(sudden.when(10_000, 10_100), (0.0, 1.0));
    }

    #[test]
    fn a_meter_stays_small_and_short_steps_have_no_pace() {
        let mut meter = PaceMeter::default();
        for milli in 0..100_000 {
            meter.look(Duration::from_millis(milli), milli);
        }
        assert!(meter.seen.len() < KEPT && meter.seen.len() > KEPT / 4);
        assert_eq!(meter.pace(secs(1), 5), None);
        assert_eq!(meter.pace(secs(5), 0), None);
    }
}
