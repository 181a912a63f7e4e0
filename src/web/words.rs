//! How pages say times, lengths, revisions and outcomes.

use std::time::Duration;

use serde::Serialize;

use crate::clock;
use crate::model::Outcome;
use crate::model::TestEnd;
use crate::model::Timestamp;

/// A point in time: how long ago, with the absolute time behind it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Moment {
    pub(super) iso: String,
    pub(super) ago: String,
}

impl Moment {
    pub(super) fn new(at: Timestamp, now: Timestamp) -> Self {
        Self {
            iso: clock::iso(at),
            ago: age(now.since(at)),
        }
    }
}

/// A result as a word, its CSS class and a sign, so that no meaning is in a colour alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Badge {
    pub(super) word: &'static str,
    pub(super) class: &'static str,
    pub(super) sign: &'static str,
}

impl Badge {
    /// Of a build or step that was begun; without outcome it is running.
    pub(super) fn of(outcome: Option<Outcome>) -> Self {
        let Some(outcome) = outcome else {
            return Self {
                word: "running",
                class: "running",
                sign: "▸",
            };
        };
        let sign = match outcome {
            Outcome::Success => "✓",
            Outcome::Warnings => "!",
            Outcome::Failure => "✗",
            Outcome::Skipped => "–",
            Outcome::Exception => "‼",
            Outcome::Retry => "↻",
        };
        Self {
            word: outcome.as_str(),
            class: outcome.as_str(),
            sign,
        }
    }

    /// Of a single test.
    pub(super) fn of_test(end: TestEnd) -> Self {
        let sign = match end {
            TestEnd::Error => "‼",
            TestEnd::ExpectedFailure => "✓",
            _ => Self::of(Some(end.outcome())).sign,
        };
        Self {
            word: end.as_str(),
            class: end.outcome().as_str(),
            sign,
        }
    }

    /// Whether somebody has to look at it.
    pub(super) fn is_red(self) -> bool {
        ["failure", "exception"].contains(&self.class)
    }

    /// Of a step that waits for its turn.
    pub(super) const NOT_STARTED: Self = Self {
        word: "not started",
        class: "notstarted",
        sign: "·",
    };
}

/// How long ago, roughly.
pub(super) fn age(length: Duration) -> String {
    let secs = length.as_secs();
    let about = |count: u64, unit: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("about {count} {unit}{plural} ago")
    };
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match secs {
        1 => "1 second ago".to_owned(),
        0..=90 => format!("{secs} seconds ago"),
        91..5400 => about(secs / MINUTE, "minute"),
        5400..86_400 => about(secs / HOUR, "hour"),
        86_400..1_209_600 => about(secs / DAY, "day"),
        1_209_600..5_184_000 => about(secs / (7 * DAY), "week"),
        _ => "a long time ago".to_owned(),
    }
}

/// How long something took or has taken so far.
pub(super) fn length(started: Timestamp, finished: Option<Timestamp>, now: Timestamp) -> String {
    clock::human(finished.unwrap_or(now).since(started))
}

/// How long a step or a build took, to the second: a unit stands there from more than one of it.
pub(super) fn interval(length: Duration) -> String {
    let mut secs = length.as_secs();
    let mut parts = Vec::new();
    for (unit, name) in [(3600, "hrs"), (60, "mins")] {
        if secs > unit {
            parts.push(format!("{} {name}", secs / unit));
            secs %= unit;
        }
    }
    parts.push(format!("{secs} secs"));
    parts.join(", ")
}

/// The first 12 characters of a revision, and a sign that there are more.
pub(super) fn short(revision: &str) -> String {
    if revision.chars().count() <= 12 {
        revision.to_owned()
    } else {
        let first: String = revision.chars().take(12).collect();
        format!("{first}...")
    }
}

/// The first line of a text.
pub(super) fn headline(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default().trim_end();
    let mut short: String = line.chars().take(120).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

/// The name in `Name <address>`, or all of it.
pub(super) fn person(author: &str) -> String {
    match author.split_once('<') {
        Some((name, _)) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => author.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_round() {
        for (secs, expected) in [
            (0, "0 seconds ago"),
            (1, "1 second ago"),
            (90, "90 seconds ago"),
            (60, "60 seconds ago"),
            (91, "about 1 minute ago"),
            (5399, "about 89 minutes ago"),
            (5400, "about 1 hour ago"),
            (86_400, "about 1 day ago"),
            (1_209_599, "about 13 days ago"),
            (1_209_600, "about 2 weeks ago"),
            (5_184_000, "a long time ago"),
        ] {
            assert_eq!(age(Duration::from_secs(secs)), expected);
        }
    }

    #[test]
    fn intervals_have_hours_and_minutes_from_more_than_one_on() {
        for (secs, expected) in [
            (0, "0 secs"),
            (59, "59 secs"),
            (60, "60 secs"),
            (61, "1 mins, 1 secs"),
            (3600, "60 mins, 0 secs"),
            (3601, "1 hrs, 1 secs"),
            (3661, "1 hrs, 1 mins, 1 secs"),
            (90_000, "25 hrs, 0 secs"),
        ] {
            assert_eq!(interval(Duration::from_secs(secs)), expected);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(short("0123456789abcdef"), "0123456789ab...");
        assert_eq!(short("0123456789ab"), "0123456789ab");
        assert_eq!(short("é"), "é");
        assert_eq!(headline("\n first \nsecond"), "first");
        assert_eq!(headline(&"ä".repeat(121)), format!("{}…", "ä".repeat(120)));
        assert_eq!(person("Ann <ann@x>"), "Ann");
        assert_eq!(person("<ann@x>"), "<ann@x>");
    }
}
