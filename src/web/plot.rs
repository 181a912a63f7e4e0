//! How long the newest builds of a builder took and what came of them, as a
//! picture that is drawn here: it needs no script, and its numbers stand in a
//! table beside it.

use std::time::Duration;

use serde::Serialize;

use crate::clock;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::Timestamp;
use crate::store::Glance;

use super::links;
use super::rows::Link;
use super::words::Badge;
use super::words::Moment;

/// Builds in the picture.
const BARS: usize = 60;

/// Fewer builds leave room for others, so that none becomes a wall.
const FEWEST: usize = 24;

/// The picture in its own units: bars stand on a line, and what was not good hangs below it.
const WIDTH: u64 = 1200;
const HEIGHT: u64 = 150;
const BOTTOM: u64 = 124;
const SPACE: u64 = 4;

/// The picture.
#[derive(Serialize)]
pub(super) struct Plot {
    width: u64,
    height: u64,
    bottom: u64,
    /// Where the line of the median is.
    median_at: Option<u64>,
    /// For those who hear it.
    summary: String,
    /// Oldest first.
    bars: Vec<Bar>,
}

/// A build in it.
#[derive(Serialize)]
struct Bar {
    x: u64,
    y: u64,
    width: u64,
    height: u64,
    /// How far its mark hangs below the line; nothing for what went well.
    mark: u64,
    build: Link,
    badge: Badge,
    took: String,
    slave: Link,
    started: Moment,
}

/// How long a build took, if it has ended.
pub(super) fn took(it: &Glance) -> Option<Duration> {
    Some(it.finished?.since(it.started))
}

/// The one in the middle; of an even number the shorter one.
pub(super) fn median(mut all: Vec<Duration>) -> Option<Duration> {
    all.sort_unstable();
    let middle = all.len().checked_sub(1)? / 2;
    Some(all[middle])
}

impl Plot {
    /// Of builds that have ended, newest first. `None` for fewer than two: there is nothing to
    /// compare.
    pub(super) fn new(builder: &BuilderName, glances: &[Glance], now: Timestamp) -> Option<Self> {
        let shown: Vec<_> = glances.iter().take(BARS).collect();
        let times: Vec<_> = shown.iter().filter_map(|it| took(it)).collect();
        if times.len() < 2 {
            return None;
        }
        let longest = times.iter().max().copied().unwrap_or_default();
        let most = u64::try_from(longest.as_millis())
            .unwrap_or(u64::MAX)
            .max(1);
        let high = |length: Duration| {
            let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
            (BOTTOM.saturating_mul(millis) / most).clamp(2, BOTTOM)
        };
        let slot = WIDTH / u64::try_from(shown.len().max(FEWEST)).expect("a few");
        let bar = |(at, it): (u64, &&Glance)| {
            let length = took(it).unwrap_or_default();
            let badge = Badge::of(it.outcome);
            let key = BuildKey {
                builder: builder.clone(),
                number: it.number,
            };
            Bar {
                x: at * slot,
                y: BOTTOM - high(length),
                width: slot.saturating_sub(SPACE).max(1),
                height: high(length),
                mark: match badge {
                    _ if badge.is_red() => HEIGHT - BOTTOM - SPACE,
                    _ if badge.class == "success" => 0,
                    _ => (HEIGHT - BOTTOM - SPACE) / 2,
                },
                build: Link {
                    name: format!("#{}", it.number),
                    url: links::build(&key),
                },
                badge,
                took: clock::human(length),
                slave: Link::slave(it.slave.as_str()),
                started: Moment::new(it.started, now),
            }
        };
        let median = median(times);
        let summary = summary(&shown, median, longest);
        Some(Self {
            width: WIDTH,
            height: HEIGHT,
            bottom: BOTTOM,
            median_at: median.map(|it| BOTTOM - high(it)),
            summary,
            bars: (0..).zip(shown.iter().rev()).map(bar).collect(),
        })
    }
}

/// What the picture says.
fn summary(shown: &[&Glance], median: Option<Duration>, longest: Duration) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for it in shown {
        let word = Badge::of(it.outcome).word;
        match counts.iter_mut().find(|it| it.0 == word) {
            Some(it) => it.1 += 1,
            None => counts.push((word, 1)),
        }
    }
    counts.sort_by_key(|it| std::cmp::Reverse(it.1));
    let counts: Vec<_> = counts
        .iter()
        .map(|(word, it)| format!("{it} {word}"))
        .collect();
    let numbers = shown.first().zip(shown.last());
    let numbers =
        numbers.map(|(newest, oldest)| format!("#{} to #{}", oldest.number, newest.number));
    format!(
        "{} builds, {}: {}. The median took {}, the longest {}.",
        shown.len(),
        numbers.unwrap_or_default(),
        counts.join(", "),
        clock::human(median.unwrap_or_default()),
        clock::human(longest),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;

    fn glance(number: i64, outcome: Outcome, secs: i64) -> Glance {
        let started = Timestamp::from_secs(number * 1000);
        Glance {
            number,
            branch: None,
            slave: "otter".into(),
            started,
            finished: Some(Timestamp(started.0 + secs * 1000)),
            outcome: Some(outcome),
        }
    }

    #[test]
    fn the_picture_says_in_words_and_marks_what_it_shows_in_heights_and_colours() {
        let all = [
            glance(7, Outcome::Failure, 10),
            glance(6, Outcome::Warnings, 0),
            glance(5, Outcome::Success, 40),
            glance(4, Outcome::Success, 20),
        ];
        let now = Timestamp::from_secs(9000);
        let plot = Plot::new(&"a".into(), &all, now).expect("builds");
        let bars: Vec<_> = plot
            .bars
            .iter()
            .map(|it| (it.build.name.as_str(), it.x, it.height, it.mark))
            .collect();
        assert_eq!(
            bars,
            [
                ("#4", 0, 62, 0),
                ("#5", 50, 124, 0),
                ("#6", 100, 2, 11),
                ("#7", 150, 31, 22),
            ]
        );
        assert_eq!(
            plot.summary,
            "4 builds, #4 to #7: 2 success, 1 failure, 1 warnings. The median took 10.0 s, the longest 40.0 s."
        );
        assert_eq!(plot.median_at, Some(BOTTOM - 31));
        assert!(Plot::new(&"a".into(), &all[..1], now).is_none());
    }

    #[test]
    fn a_clock_that_went_back_and_a_build_of_no_time_draw_no_nonsense() {
        let mut back = glance(2, Outcome::Success, 0);
        back.finished = Some(Timestamp(0));
        let all = [back, glance(1, Outcome::Success, 0)];
        let plot = Plot::new(&"a".into(), &all, Timestamp(0)).expect("builds");
        assert!(plot.bars.iter().all(|it| it.height == 2 && it.y < BOTTOM));
    }
}
