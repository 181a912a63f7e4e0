//! Times of day and year, as cron has them: five fields, and when all of them
//! fit next. Days on which the clock is set are whole days here: what stands
//! at an hour that is left out or comes twice is done once.

use std::ops::RangeInclusive;

use jiff::civil::Date;
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::tz::Offset;
use jiff::tz::TimeZone;

use crate::model::Timestamp;
use crate::syntax::Content;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// Which numbers from `LOW` to `HIGH` fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Field<const LOW: u8, const HIGH: u8>(u64);

/// The five fields. Monday is 0, January is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) minute: Field<0, 59>,
    pub(super) hour: Field<0, 23>,
    pub(super) day_of_month: Field<1, 31>,
    pub(super) month: Field<1, 12>,
    pub(super) day_of_week: Field<0, 6>,
    /// Whether either kind of day is enough; if not, a day must be of both.
    pub(super) either: bool,
}

/// Every combination of days and months comes within this: 29 February on a
/// Monday is up to 40 years away where a century leaves its leap year out.
const SEARCH_DAYS: usize = 41 * 366;

impl<const LOW: u8, const HIGH: u8> Field<LOW, HIGH> {
    pub(super) const ANY: Self = Self(Self::mask(LOW, HIGH));

    const fn mask(low: u8, high: u8) -> u64 {
        (u64::MAX >> (63 - high)) & (u64::MAX << low)
    }

    /// Exactly these.
    pub(super) fn of(all: &[u8]) -> Self {
        Self(all.iter().fold(0, |mask, it| mask | (1 << it)))
    }

    fn has(self, number: i8) -> bool {
        u8::try_from(number).is_ok_and(|it| it < 64 && self.0 & (1 << it) != 0)
    }

    pub(super) fn is_any(self) -> bool {
        self == Self::ANY
    }

    fn all(self) -> impl Iterator<Item = i8> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let lowest = rest.trailing_zeros();
            rest &= rest.checked_sub(1)?;
            i8::try_from(lowest).ok()
        })
    }
}

/// What a field may hold, as messages say it.
const fn expected(low: u8, high: u8) -> &'static str {
    match (low, high) {
        (0, 59) => "`*`, or numbers from 0 to 59 such as `0 30`, `10-20` or `*/15`",
        (0, 23) => "`*`, or numbers from 0 to 23 such as `3`, `8-18` or `*/2`",
        (1, 31) => "`*`, or numbers from 1 to 31 such as `1 15`",
        (1, 12) => "`*`, or numbers from 1 (January) to 12 such as `1-3`",
        _ => "`*`, or numbers from 0 (Monday) to 6 (Sunday) such as `0-4`",
    }
}

impl<const LOW: u8, const HIGH: u8> Value for Field<LOW, HIGH> {
    const EXPECTED: &'static str = expected(LOW, HIGH);
    const SHAPE: Shape = Shape::OneOrMore(&Shape::Any);

    fn read(node: &Node) -> Result<Self, Misread> {
        let misplaced = |place| Misread {
            place: Some(place),
            ..Misread::default()
        };
        match &node.content {
            Content::Int(number) => {
                let number = u8::try_from(*number).ok();
                let number = number.filter(|it| (LOW..=HIGH).contains(it));
                number
                    .map(|it| Self::of(&[it]))
                    .ok_or_else(Misread::default)
            }
            Content::List(all) if !all.is_empty() => {
                let mut mask = 0;
                for item in all.iter() {
                    mask |= Self::read(item)
                        .map_err(|_| misplaced(item.place.clone()))?
                        .0;
                }
                Ok(Self(mask))
            }
            Content::Text(text) => {
                // Python's list is as good as words.
                let inside = text.trim().strip_prefix('[');
                let inside = inside.and_then(|it| it.strip_suffix(']')).unwrap_or(text);
                let mut mask = 0;
                for (at, word) in words(inside, |it| it == ',' || it.is_whitespace()) {
                    let from = offset(text, inside) + at;
                    let numbers = numbers(word, LOW..=HIGH);
                    mask |= numbers
                        .ok_or_else(|| misplaced(node.part(text, from..from + word.len())))?;
                }
                (mask != 0)
                    .then_some(Self(mask))
                    .ok_or_else(Misread::default)
            }
            _ => Err(Misread::default()),
        }
    }
}

/// The words of a text, with where they begin.
fn words(text: &str, is_between: impl Fn(char) -> bool) -> impl Iterator<Item = (usize, &str)> {
    let all = text.split(is_between).filter(|it| !it.is_empty());
    all.map(move |word| (offset(text, word), word))
}

/// Where a part of a text begins in it.
fn offset(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize
}

/// `*`, `3`, `1-5`, each perhaps with `/2` behind it, as a mask.
fn numbers(word: &str, range: RangeInclusive<u8>) -> Option<u64> {
    named_numbers(word, range, &[])
}

/// The same, where the first numbers of the range have names, too.
fn named_numbers(word: &str, range: RangeInclusive<u8>, names: &[&str]) -> Option<u64> {
    let digits = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
        is_number.then(|| text.parse::<u8>().ok()).flatten()
    };
    let named = |text: &str| {
        let at = names.iter().position(|it| it.eq_ignore_ascii_case(text))?;
        u8::try_from(at).ok().map(|at| range.start() + at)
    };
    let number = |text: &str| named(text).or_else(|| digits(text).filter(|it| range.contains(it)));
    let (which, step) = match word.split_once('/') {
        Some((which, step)) => (which, Some(digits(step).filter(|it| *it > 0)?)),
        None => (word, None),
    };
    let (low, high) = match which.split_once('-') {
        _ if which == "*" => (*range.start(), *range.end()),
        Some((low, high)) => match (number(low)?, number(high)?) {
            // A week that ends with its Sunday: `fri-sun`.
            (low, 0) if low > 0 && named(high).is_some() => (low, 7),
            both => both,
        },
        None => {
            let low = number(which)?;
            (low, if step.is_some() { *range.end() } else { low })
        }
    };
    if low > high {
        return None;
    }
    let all = (low..=high).step_by(usize::from(step.unwrap_or(1)));
    Some(all.fold(0, |mask, it| mask | (1 << it)))
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Cron's words for whole lines.
const NICKNAMES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// A line of cron: `minute hour day-of-month month day-of-week`, Sunday is 0 and 7. Months and
/// days of the week have their names, too.
impl Value for Times {
    const EXPECTED: &'static str = "five fields of cron such as `0 3 * * 1-5`";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let whole = NICKNAMES.iter().find(|(name, _)| *name == text.trim());
        let text = whole.map_or(text, |(_, line)| line);
        let all: Vec<_> = words(text, char::is_whitespace).collect();
        let &[minute, hour, day, month, weekday] = all.as_slice() else {
            let what = format!("expected five fields, and there are {}", all.len());
            let at = all.get(5).map_or(0, |(at, _)| *at);
            return Err(node.misread(text, at..text.len(), what));
        };
        let mask =
            |(at, field): (usize, &str), range: RangeInclusive<u8>, names: &[&str], name: &str| {
                let mut mask = 0;
                for (from, part) in words(field, |it| it == ',') {
                    let (low, high) = (range.start(), range.end());
                    let what = format!("expected {name} from {low} to {high}, or `*`");
                    let from = at + from;
                    mask |= named_numbers(part, range.clone(), names)
                        .ok_or_else(|| node.misread(text, from..from + part.len(), what))?;
                }
                let what = format!("expected {name}");
                let nothing = || node.misread(text, at..at + field.len(), what);
                (mask != 0).then_some(mask).ok_or_else(nothing)
            };
        // As cron has it, what a `*` stands in restricts nothing by itself.
        let is_open = |(_, field): (usize, &str)| field.contains('*');
        let either = !is_open(day) && !is_open(weekday);
        let minute = mask(minute, 0..=59, &[], "minutes")?;
        let hour = mask(hour, 0..=23, &[], "hours")?;
        let day = mask(day, 1..=31, &[], "days of the month")?;
        let month = mask(month, 1..=12, &MONTHS, "months")?;
        let weekday = mask(weekday, 0..=7, &WEEKDAYS, "days of the week (Sunday is 0)")?;
        // From Sunday, 0 and 7, to Monday, 0.
        let sunday = (weekday | weekday >> 7) & 1;
        Ok(Self {
            minute: Field(minute),
            hour: Field(hour),
            day_of_month: Field(day),
            month: Field(month),
            day_of_week: Field((weekday >> 1 & 0b11_1111) | sunday << 6),
            either,
        })
    }
}

impl Times {
    /// Whether there is such a day at all: 30 February is none.
    pub(super) fn can_come(&self) -> bool {
        const LONGEST: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let first = self.day_of_month.all().next();
        let is_long_enough = |(month, days): (i8, i8)| {
            self.month.has(month) && first.is_some_and(|first| first <= days)
        };
        self.either || (1..).zip(LONGEST).any(is_long_enough)
    }

    /// The first whole minute after `base` that fits, by the clocks of `zone`.
    pub(super) fn next(&self, base: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = jiff::Timestamp::from_millisecond(base.0).ok()?;
        let first = zone.to_datetime(start).date().yesterday().ok()?;
        let mut days = first.series(jiff::Span::new().days(1)).take(SEARCH_DAYS);
        let fits = |day: Date| {
            let all = self.instants(day, zone);
            all.filter(|it| *it > base).min()
        };
        while let Some(day) = days.next() {
            if let Some(found) = fits(day) {
                // Where clocks are set at midnight, the next day may begin before this one's end.
                let tomorrow = days.next().and_then(fits);
                return Some(tomorrow.map_or(found, |it| it.min(found)));
            }
        }
        None
    }

    fn has_day(&self, day: Date) -> bool {
        let month_day = self.day_of_month.has(day.day());
        let weekday = self.day_of_week.has(day.weekday().to_monday_zero_offset());
        let is_day = match self.either {
            true => month_day || weekday,
            false => month_day && weekday,
        };
        self.month.has(day.month()) && is_day
    }

    /// Every moment of the day that fits, in no order.
    fn instants(&self, day: Date, zone: &TimeZone) -> impl Iterator<Item = Timestamp> {
        let day = Some(day).filter(|it| self.has_day(*it));
        // On almost every day one offset holds from midnight to midnight.
        let offset = day.and_then(|it| offset_of(it, zone));
        let hours = day
            .into_iter()
            .flat_map(|it| self.hour.all().map(move |hour| (it, hour)));
        let times = hours.flat_map(|(day, hour)| {
            let minutes = self.minute.all();
            minutes.map(move |minute| day.at(hour, minute, 0, 0))
        });
        let moments = times.flat_map(move |it| match offset {
            Some(offset) => [offset.to_timestamp(it).ok(), None],
            None => self.moments(it, zone),
        });
        moments.flatten().map(|it| Timestamp(it.as_millisecond()))
    }

    /// When the clock shows `time`. What is to be done at some hours of the day
    /// is done once: after the gap if its hour is left out, the first time if
    /// it comes twice. What is to be done every hour goes on with the hours as they come.
    fn moments(&self, time: DateTime, zone: &TimeZone) -> [Option<jiff::Timestamp>; 2] {
        let ambiguous = zone.to_ambiguous_timestamp(time);
        let is_hourly = self.hour.is_any();
        match ambiguous.offset() {
            AmbiguousOffset::Gap { .. } if is_hourly => [None, None],
            AmbiguousOffset::Fold { .. } if is_hourly => {
                let earlier = zone.to_ambiguous_timestamp(time).earlier();
                [earlier.ok(), ambiguous.later().ok()]
            }
            AmbiguousOffset::Unambiguous { .. }
            | AmbiguousOffset::Gap { .. }
            | AmbiguousOffset::Fold { .. } => [ambiguous.compatible().ok(), None],
        }
    }
}

/// The offset of a day on which the clock is not set.
fn offset_of(day: Date, zone: &TimeZone) -> Option<Offset> {
    let unambiguous = |day: Date| match zone.to_ambiguous_timestamp(day.at(0, 0, 0, 0)).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(offset),
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => None,
    };
    let offset = unambiguous(day)?;
    let tomorrow = day.tomorrow().ok()?;
    let (from, to) = (day.at(0, 0, 0, 0), tomorrow.at(0, 0, 0, 0));
    let (from, to) = (
        offset.to_timestamp(from).ok()?,
        offset.to_timestamp(to).ok()?,
    );
    let is_set = zone
        .following(from)
        .next()
        .is_some_and(|it| it.timestamp() <= to);
    (!is_set && unambiguous(tomorrow) == Some(offset)).then_some(offset)
}

#[cfg(test)]
#[path = "cron_tests.rs"]
mod cron_tests;

#[cfg(test)]
mod tests {
    use super::*;

    fn default() -> Times {
        Times {
            minute: Field::of(&[0]),
            hour: Field::ANY,
            day_of_month: Field::ANY,
            month: Field::ANY,
            day_of_week: Field::ANY,
            either: false,
        }
    }

    /// Central Europe: forward on the last Sunday of March at 2, back in October at 3.
    fn berlin() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone")
    }

    fn at(text: &str, zone: &TimeZone) -> Timestamp {
        let time: DateTime = text.parse().expect("a time");
        let zoned = time.to_zoned(zone.clone()).expect("in range");
        Timestamp(zoned.timestamp().as_millisecond())
    }

    fn check(times: Times, base: &str, expected: &str) {
        let zone = TimeZone::UTC;
        let next = times.next(at(base, &zone), &zone);
        assert_eq!(next, Some(at(expected, &zone)), "{times:?} after {base}");
    }

    #[test]
    fn the_next_time_is_the_first_whole_minute_that_fits() {
        let hourly = default();
        check(hourly, "2012-05-04T09:17:42", "2012-05-04T10:00:00");
        check(hourly, "2012-05-04T09:00:00", "2012-05-04T10:00:00");
        let minute = |all: &[u8]| Times {
            minute: Field::of(all),
            ..default()
        };
        check(minute(&[30]), "2012-05-04T09:59:59", "2012-05-04T10:30:00");
        check(
            minute(&[10, 40]),
            "2012-05-04T09:10:00",
            "2012-05-04T09:40:00",
        );
        let every = Times {
            minute: Field::ANY,
            ..default()
        };
        check(every, "2012-05-04T23:59:30", "2012-05-05T00:00:00");
        let hour = |all: &[u8]| Times {
            hour: Field::of(all),
            ..default()
        };
        check(hour(&[3]), "2012-05-04T03:00:00", "2012-05-05T03:00:00");
        let even: Vec<u8> = (0..24).step_by(2).collect();
        check(hour(&even), "2012-05-04T05:00:00", "2012-05-04T06:00:00");
    }

    #[test]
    fn fields_are_lists_of_numbers_ranges_and_steps_and_nothing_else() {
        let all = |word: &str| {
            let mask = numbers(word, 1..=12)?;
            Some(
                (0..64)
                    .filter(|it| mask & (1 << it) != 0)
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(all("3"), Some(vec![3]));
        assert_eq!(all("10-12"), Some(vec![10, 11, 12]));
        assert_eq!(all("*/5"), Some(vec![1, 6, 11]));
        assert_eq!(all("2-9/3"), Some(vec![2, 5, 8]));
        assert_eq!(all("9/2"), Some(vec![9, 11]));
        for bad in [
            "",
            "-",
            "/",
            "*/",
            "*/0",
            "0",
            "13",
            "1-",
            "-1",
            "3-1",
            "1-13",
            "+1",
            "1.5",
            "x",
            "**",
            "*-3",
            "1-2-3",
            "1/2/3",
            "999999999999",
            "٣",
            "1/-1",
        ] {
            assert_eq!(all(bad), None, "{bad}");
        }
    }

    #[test]
    fn days_of_the_month_and_of_the_week_are_alternatives() {
        let mondays = Times {
            minute: Field::of(&[23]),
            hour: Field::of(&[6, 8]),
            day_of_week: Field::of(&[0]),
            ..default()
        };
        check(mondays, "2012-05-04T07:22:59", "2012-05-07T06:23:00");
        check(mondays, "2012-05-07T06:23:00", "2012-05-07T08:23:00");
        let day = |day| Times {
            hour: Field::of(&[0]),
            day_of_month: Field::of(&[day]),
            ..default()
        };
        check(day(31), "2012-05-04T00:00:00", "2012-05-31T00:00:00");
        check(day(30), "2012-02-28T23:30:00", "2012-03-30T00:00:00");
        let either = Times {
            hour: Field::of(&[2]),
            day_of_month: Field::of(&[8]),
            day_of_week: Field::of(&[5]),
            either: true,
            ..default()
        };
        check(either, "2012-05-04T12:00:00", "2012-05-05T02:00:00");
        check(either, "2012-05-06T12:00:00", "2012-05-08T02:00:00");
    }

    #[test]
    fn months_and_leap_years_are_waited_for() {
        let christmas = Times {
            hour: Field::of(&[12]),
            day_of_month: Field::of(&[24]),
            month: Field::of(&[12]),
            ..default()
        };
        check(christmas, "2012-05-04T00:00:00", "2012-12-24T12:00:00");
        let march = Times {
            month: Field::of(&[3]),
            ..default()
        };
        check(march, "2012-05-04T00:00:00", "2013-03-01T00:00:00");
        check(march, "2013-03-01T00:00:00", "2013-03-01T01:00:00");
        let leap = Times {
            hour: Field::of(&[0]),
            day_of_month: Field::of(&[29]),
            month: Field::of(&[2]),
            ..default()
        };
        check(leap, "2096-03-01T00:00:00", "2104-02-29T00:00:00");
        let never = Times {
            day_of_month: Field::of(&[30]),
            ..leap
        };
        assert!(leap.can_come() && !never.can_come());
        assert_eq!(never.next(Timestamp(0), &TimeZone::UTC), None);
        let mondays_too = Times {
            day_of_week: Field::of(&[0]),
            either: true,
            ..never
        };
        assert!(mondays_too.can_come());
    }

    /// Every run from `from` until `to`, as the clock on the wall shows it.
    fn runs(times: Times, from: &str, to: &str) -> Vec<String> {
        let zone = berlin();
        let (mut base, to) = (at(from, &zone), at(to, &zone));
        let mut shown = Vec::new();
        while let Some(next) = times.next(base, &zone).filter(|it| *it < to) {
            let moment = jiff::Timestamp::from_millisecond(next.0).expect("in range");
            let zoned = moment.to_zoned(zone.clone());
            shown.push(zoned.strftime("%d %H:%M %Z").to_string());
            base = next;
        }
        shown
    }

    #[test]
    fn a_time_at_which_the_clock_is_set_comes_once_on_either_day() {
        let nightly = Times {
            minute: Field::of(&[30]),
            hour: Field::of(&[2]),
            ..default()
        };
        assert_eq!(
            runs(nightly, "2026-03-28T12:00", "2026-03-30T12:00"),
            ["29 03:30 CEST", "30 02:30 CEST"]
        );
        assert_eq!(
            runs(nightly, "2026-10-24T12:00", "2026-10-26T12:00"),
            ["25 02:30 CEST", "26 02:30 CET"]
        );
        // Two that fall together are one.
        let twice = Times {
            hour: Field::of(&[2, 3]),
            ..nightly
        };
        assert_eq!(
            runs(twice, "2026-03-28T12:00", "2026-03-29T12:00"),
            ["29 03:30 CEST"]
        );
        // The earlier of two comes first, though its hour is the later one.
        let crossed = Times {
            minute: Field::of(&[15, 30]),
            hour: Field::of(&[2, 3]),
            ..default()
        };
        assert_eq!(
            runs(crossed, "2026-03-28T12:00", "2026-03-29T12:00"),
            ["29 03:15 CEST", "29 03:30 CEST"]
        );
    }

    #[test]
    fn what_comes_every_hour_goes_on_with_the_hours_as_they_come() {
        assert_eq!(
            runs(default(), "2026-03-29T00:30", "2026-03-29T04:30"),
            ["29 01:00 CET", "29 03:00 CEST", "29 04:00 CEST"]
        );
        assert_eq!(
            runs(default(), "2026-10-25T01:30", "2026-10-25T03:30"),
            ["25 02:00 CEST", "25 02:00 CET", "25 03:00 CET"]
        );
    }
}
