//! Estimates in words: no more digits than they deserve.

use std::fmt;
use std::time::Duration;

use super::Expected;
use super::Interval;
use super::Left;

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Within(it) if it.high < Duration::from_secs(1) => {
                f.write_str("less than 1 s left")
            }
            Self::Within(it) => write!(f, "about {} left{}", length(it.middle), around(it)),
            Self::Overdue(by) => write!(f, "overdue by {}", length(*by)),
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = |it: &Interval| match it.high < Duration::from_secs(1) {
            true => "in less than 1 s".to_owned(),
            false => format!("in about {}{}", length(it.middle), around(it)),
        };
        write!(f, "begins {}", moment(&self.begin))?;
        match &self.end {
            Some(end) => write!(f, ", ends {}", moment(end)),
            None => Ok(()),
        }
    }
}

/// ` (3–6 min)`, or nothing where that says no more than the middle.
fn around(interval: &Interval) -> String {
    let unit = Unit::of(interval.high);
    let (low, high) = (unit.count(interval.low), unit.count(interval.high));
    if low == high {
        return String::new();
    }
    match unit {
        Unit::Hour => format!(" ({}–{})", length(interval.low), length(interval.high)),
        Unit::Sec | Unit::Min => format!(" ({low}–{high} {})", unit.word()),
    }
}

fn length(it: Duration) -> String {
    let unit = Unit::of(it);
    let count = unit.count(it);
    match unit {
        Unit::Sec => format!("{} {}", count.max(1), unit.word()),
        Unit::Min => format!("{count} {}", unit.word()),
        Unit::Hour if count.is_multiple_of(60) => format!("{} h", count / 60),
        Unit::Hour => format!("{} h {} min", count / 60, count % 60),
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Sec,
    Min,
    /// Counted in minutes, by tens.
    Hour,
}

impl Unit {
    fn of(it: Duration) -> Self {
        match it.as_secs() {
            0..90 => Self::Sec,
            90..5400 => Self::Min,
            _ => Self::Hour,
        }
    }

    fn count(self, it: Duration) -> u64 {
        let secs = it.as_secs_f64();
        match self {
            Self::Sec if secs < 20.0 => secs.round() as u64,
            Self::Sec => (secs / 5.0).round() as u64 * 5,
            Self::Min => (secs / 60.0).round() as u64,
            Self::Hour => (secs / 600.0).round() as u64 * 10,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Sec => "s",
            Self::Min | Self::Hour => "min",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: u64, middle: u64, high: u64) -> Interval {
        Interval {
            low: Duration::from_millis(low),
            middle: Duration::from_millis(middle),
            high: Duration::from_millis(high),
        }
    }

    #[test]
    fn estimates_have_no_more_digits_than_they_deserve() {
        let said = |low, middle, high| Left::Within(interval(low, middle, high)).to_string();
        assert_eq!(said(0, 20, 400), "less than 1 s left");
        assert_eq!(said(900, 2400, 3200), "about 2 s left (1–3 s)");
        assert_eq!(said(41_000, 48_000, 62_000), "about 50 s left (40–60 s)");
        assert_eq!(
            said(170_000, 233_000, 371_000),
            "about 4 min left (3–6 min)"
        );
        assert_eq!(said(20_000, 70_000, 200_000), "about 70 s left (0–3 min)");
        assert_eq!(said(300_000, 301_000, 302_000), "about 5 min left");
        assert_eq!(
            said(5_000_000, 7_300_000, 12_000_000),
            "about 2 h left (83 min–3 h 20 min)"
        );
        let late = Left::Overdue(Duration::from_secs(150));
        assert_eq!(late.to_string(), "overdue by 3 min");
        assert!((late.secs() + 150.0).abs() < 1e-9);
    }

    #[test]
    fn a_request_says_when_it_begins_and_when_it_ends() {
        let begin = interval(60_000, 120_000, 180_000);
        let mut expected = Expected { begin, end: None };
        assert_eq!(expected.to_string(), "begins in about 2 min (1–3 min)");
        expected.end = Some(interval(240_000, 300_000, 420_000));
        assert_eq!(
            expected.to_string(),
            "begins in about 2 min (1–3 min), ends in about 5 min (4–7 min)"
        );
    }
}
