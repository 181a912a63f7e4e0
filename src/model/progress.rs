//! What a step leaves behind for those who ask how long the next one of its
//! name takes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{SlaveName, Timestamp};

/// How far a step is, or how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whether it is one that estimates are about.
    pub(crate) counts: bool,
    /// When it had its locks, if it had to wait for any: how long others hold them says nothing
    /// about the step.
    pub(crate) began: Option<Timestamp>,
    /// What it had counted when it ended, [`OUTPUT`] first.
    pub(crate) metrics: Vec<Metric>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            counts: true,
            began: None,
            metrics: Vec::new(),
        }
    }
}

/// The metric of every step that says something: the length of its `stdio`.
pub(crate) const OUTPUT: &str = "output";

/// Something that grows while a step runs, as it was at the end: bytes, tests, files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Row", into = "Row")]
pub(crate) struct Metric {
    pub(crate) name: String,
    pub(crate) value: u64,
    /// When it was how much of that.
    pub(crate) pace: Option<Pace>,
}

/// A metric as it is kept.
type Row = (String, u64, Option<Pace>);

impl From<Row> for Metric {
    fn from((name, value, pace): Row) -> Self {
        Self { name, value, pace }
    }
}

impl From<Metric> for Row {
    fn from(it: Metric) -> Self {
        (it.name, it.value, it.pace)
    }
}

/// How far a metric of a step that runs has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reached {
    pub(crate) name: String,
    pub(crate) value: u64,
    /// How far it will come, if the program says so beforehand.
    pub(crate) announced: Option<u64>,
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
    pub(crate) metrics: Vec<Metric>,
}

/// At which part of its time, in 255ths, each further eighth of a metric was there: what a step has
/// said tells how far it is only if earlier ones said as much at the same part of their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Pace(pub(crate) [u8; 7]);

impl TryFrom<String> for Pace {
    type Error = &'static str;

    /// Reads fourteen hexadecimal digits.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.as_bytes().chunks_exact(2);
        let bytes: Option<Vec<u8>> = digits
            .map(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok())
            .collect();
        let marks = bytes.and_then(|it| it.try_into().ok());
        marks
            .map(Self)
            .ok_or("a pace has fourteen hexadecimal digits")
    }
}

impl From<Pace> for String {
    fn from(Pace(marks): Pace) -> Self {
        marks.iter().map(|it| format!("{it:02X}")).collect()
    }
}

impl Pace {
    /// The earliest and the latest part of its time at which `value` of `all` was there.
    pub(crate) fn when(self, value: u64, all: u64) -> (f64, f64) {
        let mark = |at: usize| match at {
            0 => 0.0,
            1..8 => f64::from(self.0[at - 1]) / 255.0,
            _ => 1.0,
        };
        if all == 0 {
            return (0.0, 1.0);
        }
        let eighths = u128::from(value) * 8 / u128::from(all);
        match usize::try_from(eighths) {
            Ok(at @ 0..8) => (mark(at), mark(at + 1)),
            _ => (1.0, 1.0),
        }
    }
}

/// Takes the pace of a metric while it grows, in little memory.
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
    /// Takes in that it is at `value` after `elapsed`.
    pub(crate) fn look(&mut self, elapsed: Duration, value: u64) {
        if let Some((last, _)) = self.seen.last()
            && elapsed < *last + self.apart
        {
            return;
        }
        self.seen.push((elapsed, value));
        if self.seen.len() == KEPT {
            let mut is_even = false;
            self.seen.retain(|_| {
                is_even = !is_even;
                is_even
            });
            self.apart = elapsed / (KEPT as u32 / 2);
        }
    }

    /// The pace of what is at `all` at its end, after `took`.
    pub(crate) fn pace(&self, took: Duration, all: u64) -> Option<Pace> {
        if took < SHORTEST || all == 0 {
            return None;
        }
        let mut marks = [255; 7];
        for (at, mark) in (1..).zip(&mut marks) {
            let enough = |it: &&(Duration, u64)| u128::from(it.1) * 8 >= u128::from(all) * at;
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
    fn a_metric_is_kept_as_a_short_row() {
        let metric = Metric {
            name: "tests".into(),
            value: 340,
            pace: Some(Pace([0, 16, 32, 64, 128, 254, 255])),
        };
        let row = serde_json::to_string(&metric).expect("it can be written");
        assert_eq!(row, r#"["tests",340,"0010204080FEFF"]"#);
        assert_eq!(serde_json::from_str::<Metric>(&row).expect("a row"), metric);
        for bad in ["00", "zz10204080FEFF", "0010204080FEFF00", "é010204080FEFF"] {
            assert!(Pace::try_from(bad.to_owned()).is_err(), "{bad}");
        }
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
