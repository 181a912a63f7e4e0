//! Spans of time by the clock of a place: every night, every week or once. A
//! moment is in a span if the clock shows so; on days on which clocks are set
//! that may be an hour more or less.

use std::ops::Range;

use jiff::ToSpan;
use jiff::civil::Date;
use jiff::civil::DateTime;
use jiff::tz::AmbiguousOffset;
use jiff::tz::TimeZone;

use crate::model::Timestamp;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Value;

/// Spans, as a file says them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Windows {
    all: Vec<Window>,
    said: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Window {
    /// On these days of the week, Monday first.
    Weekly {
        days: [bool; 7],
        from: Minute,
        /// The day on which it ends, counted from the one on which it begins.
        days_later: i64,
        to: Minute,
    },
    Once {
        from: DateTime,
        to: DateTime,
    },
}

/// A minute of a day; 24:00 is the end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Minute(i64);

/// How many spans that follow each other at once are told as one: more go on for ever.
const CHAIN: usize = 100;
/// The longest weekly span is a week and ends on the day after.
const REACH: i64 = 9;

impl Windows {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// As the file says them.
    pub(crate) fn said(&self) -> &[String] {
        &self.said
    }

    /// Until when `now` is in a span; `None` if it is in none. Spans that follow each other at
    /// once are one.
    pub(crate) fn until(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut until = self.end_at(now, zone)?;
        for _ in 0..CHAIN {
            match self.end_at(until, zone) {
                Some(later) => until = later,
                None => break,
            }
        }
        Some(until)
    }

    /// The latest end of a span that `now` is in.
    fn end_at(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let spans = self.spans(now, zone).into_iter();
        let around = spans.filter(|it| it.contains(&now));
        around.map(|it| it.end).max()
    }

    /// When it may be otherwise than at `now`: the next beginning or end, or a day later.
    pub(crate) fn next_edge(&self, now: Timestamp, zone: &TimeZone) -> Timestamp {
        let day = Timestamp(now.0.saturating_add(24 * 60 * 60 * 1000));
        let spans = self.spans(now, zone).into_iter();
        let edges = spans.flat_map(|it| [it.start, it.end]);
        edges.filter(|it| *it > now).min().unwrap_or(day).min(day)
    }

    /// Every span about `now`.
    fn spans(&self, now: Timestamp, zone: &TimeZone) -> Vec<Range<Timestamp>> {
        let mut spans = Vec::new();
        let Ok(moment) = jiff::Timestamp::from_millisecond(now.0) else {
            return spans;
        };
        let today = zone.to_datetime(moment).date();
        let mut add = |from: DateTime, to: DateTime| {
            if let (Some(from), Some(to)) = (instant(from, zone, false), instant(to, zone, true)) {
                spans.push(from..to);
            }
        };
        for window in &self.all {
            match window {
                Window::Once { from, to } => add(*from, *to),
                Window::Weekly {
                    days,
                    from,
                    days_later,
                    to,
                } => {
                    for offset in -REACH..=REACH {
                        let Ok(day) = today.checked_add(offset.days()) else {
                            continue;
                        };
                        let weekday =
                            usize::from(day.weekday().to_monday_zero_offset().unsigned_abs());
                        let end = day.checked_add(days_later.days()).ok();
                        if let (true, Some(from), Some(to)) =
                            (days[weekday], from.of(day), end.and_then(|it| to.of(it)))
                        {
                            add(from, to);
                        }
                    }
                }
            }
        }
        spans
    }
}

impl Minute {
    fn of(self, day: Date) -> Option<DateTime> {
        let midnight = day.at(0, 0, 0, 0);
        midnight.checked_add(self.0.minutes()).ok()
    }
}

/// When the clock shows `time`, the first or the last time; if it never does, when it jumps over
/// it.
fn instant(time: DateTime, zone: &TimeZone, is_last: bool) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(time);
    let at = match (ambiguous.offset(), is_last) {
        (AmbiguousOffset::Gap { .. }, _) => {
            let before = ambiguous.earlier().ok()?;
            zone.following(before).next()?.timestamp()
        }
        (_, true) => ambiguous.later().ok()?,
        (_, false) => ambiguous.earlier().ok()?,
    };
    Some(Timestamp(at.as_millisecond()))
}

impl Value for Windows {
    const EXPECTED: &'static str = "spans such as `02:00-04:00`, `sat sun 22:00-06:00`, \
         `fri 22:00 - mon 06:00` or `2026-12-24 18:00 - 2026-12-27 08:00`, with commas between";

    fn read(node: &Node) -> Result<Self, Misread> {
        let text = node.as_text()?;
        let mut windows = Self::default();
        let mut at = 0;
        for part in text.split(',') {
            let wrong = |wrong: Wrong| {
                let at = at + wrong.at.start..at + wrong.at.end;
                node.misread(text, at, wrong.what)
            };
            windows.all.push(Parser::window(part).map_err(wrong)?);
            windows.said.push(part.trim().to_owned());
            at += part.len() + 1;
        }
        Ok(windows)
    }
}

/// What is wrong with a span, and where.
struct Wrong {
    at: Range<usize>,
    what: String,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Day(usize),
    Date(Date),
    Time(Minute),
    Dash,
}

/// The day or days of an end of a span.
enum Days {
    None,
    Week([bool; 7]),
    Date(Date),
}

struct Parser {
    tokens: Vec<(Token, Range<usize>)>,
    next: usize,
    /// Where the text ends.
    end: usize,
}

const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

impl Parser {
    fn window(text: &str) -> Result<Window, Wrong> {
        let end = text.trim_end().len();
        let tokens = tokens(text)?;
        let mut parser = Self {
            tokens,
            next: 0,
            end,
        };
        let (from_days, from, _) = parser.point()?;
        parser.dash()?;
        let begin = parser.at();
        let (to_days, to, to_at) = parser.point()?;
        if let Some((_, at)) = parser.tokens.get(parser.next) {
            let what = "expected a comma before the next span".to_owned();
            return Err(Wrong {
                at: at.clone(),
                what,
            });
        }
        let days_at = begin.start..to_at.end;
        let is_later = to > from;
        match (from_days, to_days) {
            (Days::Date(day), to_day @ (Days::None | Days::Date(_))) => {
                let to_day = match to_day {
                    Days::Date(it) => Some(it),
                    _ if is_later => Some(day),
                    _ => day.tomorrow().ok(),
                };
                let to = to_day.and_then(|it| to.of(it));
                match (from.of(day), to) {
                    (Some(from), Some(to)) if to > from => Ok(Window::Once { from, to }),
                    _ => Err(wrong(days_at, "this is not after the beginning")),
                }
            }
            (Days::Date(_), Days::Week(_)) => Err(wrong(
                days_at,
                "expected a date such as `2026-12-27`, as at the beginning",
            )),
            (_, Days::Date(_)) => Err(wrong(
                days_at,
                "the beginning has no date such as `2026-12-24`",
            )),
            (Days::None, Days::Week(_)) => {
                Err(wrong(days_at, "the beginning has no day such as `fri`"))
            }
            (Days::None, Days::None) => Ok(Window::Weekly {
                days: [true; 7],
                from,
                days_later: i64::from(!is_later),
                to,
            }),
            (Days::Week(days), Days::None) => Ok(Window::Weekly {
                days,
                from,
                days_later: i64::from(!is_later),
                to,
            }),
            (Days::Week(days), Days::Week(to_days)) => {
                let (Some(first), Some(last)) = (only(days), only(to_days)) else {
                    let what = "an end with a day belongs to a beginning with one day";
                    return Err(wrong(days_at, what));
                };
                let days_later = match (last + 7 - first) % 7 {
                    0 if !is_later => 7,
                    other => other,
                };
                Ok(Window::Weekly {
                    days,
                    from,
                    days_later: i64::try_from(days_later).unwrap_or_default(),
                    to,
                })
            }
        }
    }

    /// Where the next token stands.
    fn at(&self) -> Range<usize> {
        let next = self.tokens.get(self.next);
        next.map_or(self.end..self.end, |it| it.1.clone())
    }

    fn point(&mut self) -> Result<(Days, Minute, Range<usize>), Wrong> {
        let mut days = Days::None;
        loop {
            let at = self.at();
            let token = self.tokens.get(self.next).map(|it| it.0.clone());
            match (token, &mut days) {
                (Some(Token::Time(time)), _) => {
                    self.next += 1;
                    return Ok((days, time, at));
                }
                (Some(Token::Date(date)), Days::None) => days = Days::Date(date),
                (Some(Token::Day(day)), Days::None) => {
                    let mut all = [false; 7];
                    all[day] = true;
                    days = Days::Week(all);
                }
                (Some(Token::Day(day)), Days::Week(all)) => all[day] = true,
                (Some(Token::Dash), Days::Week(all)) => {
                    let last = self.tokens.get(self.next + 1).map(|it| it.0.clone());
                    let before = self.tokens[self.next - 1].0.clone();
                    let (Token::Day(first), Some(Token::Day(last))) = (before, last) else {
                        return Err(wrong(at, "expected a time such as `02:00` before this"));
                    };
                    let mut day = first;
                    while day != last {
                        day = (day + 1) % 7;
                        all[day] = true;
                    }
                    self.next += 1;
                }
                (_, Days::None) => {
                    let what = "expected a time such as `02:00`, or a day or a date before it";
                    return Err(wrong(at, what));
                }
                (_, Days::Week(_) | Days::Date(_)) => {
                    return Err(wrong(at, "expected a time such as `02:00`"));
                }
            }
            self.next += 1;
        }
    }

    fn dash(&mut self) -> Result<(), Wrong> {
        let is_dash = matches!(self.tokens.get(self.next), Some((Token::Dash, _)));
        if !is_dash {
            return Err(wrong(self.at(), "expected `-` and the end of the span"));
        }
        self.next += 1;
        Ok(())
    }
}

fn wrong(at: Range<usize>, what: &str) -> Wrong {
    let what = what.to_owned();
    Wrong { at, what }
}

/// The day, if there is one alone.
fn only(days: [bool; 7]) -> Option<usize> {
    let mut all = (0..7).filter(|it| days[*it]);
    let first = all.next()?;
    all.next().is_none().then_some(first)
}

fn tokens(text: &str) -> Result<Vec<(Token, Range<usize>)>, Wrong> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let length = |is_in: fn(char) -> bool| rest.find(|c| !is_in(c)).unwrap_or(rest.len());
        let (token, length) = match first {
            _ if first.is_whitespace() => {
                at += first.len_utf8();
                continue;
            }
            '-' => (Token::Dash, 1),
            '0'..='9' => {
                let digits = length(|c| c.is_ascii_digit());
                // A date is longer than what stands between it and a dash.
                let is_date = digits == 4 && rest[digits..].starts_with('-');
                let length = match is_date {
                    true => rest.len().min(10),
                    false => length(|c| c.is_ascii_digit() || c == ':'),
                };
                let length = (0..=length).rev().find(|it| rest.is_char_boundary(*it));
                let length = length.unwrap_or(digits);
                let word = &rest[..length];
                let token = match is_date {
                    true => word.parse::<Date>().ok().map(Token::Date),
                    false => time(word).map(Token::Time),
                };
                let what = match is_date {
                    true => "there is no such day; expected a date such as `2026-12-24`",
                    false => "expected a time from `00:00` to `24:00`",
                };
                (token.ok_or_else(|| wrong(at..at + length, what))?, length)
            }
            _ if first.is_alphabetic() => {
                let length = length(char::is_alphabetic);
                let word = rest[..length].to_lowercase();
                let day = DAYS.iter().position(|it| it.starts_with(&word));
                let day = day.filter(|_| word.len() >= 3).ok_or_else(|| {
                    let what = "expected a day: `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`";
                    wrong(at..at + length, what)
                })?;
                (Token::Day(day), length)
            }
            _ => {
                let what = "expected a day, a date, a time or `-`";
                return Err(wrong(at..at + first.len_utf8(), what));
            }
        };
        tokens.push((token, at..at + length));
        at += length;
    }
    Ok(tokens)
}

fn time(word: &str) -> Option<Minute> {
    let (hour, minute) = word.split_once(':')?;
    if hour.is_empty() || hour.len() > 2 || minute.len() != 2 {
        return None;
    }
    let (hour, minute): (i64, i64) = (hour.parse().ok()?, minute.parse().ok()?);
    let is_time = hour < 24 && minute < 60 || (hour, minute) == (24, 0);
    is_time.then_some(Minute(hour * 60 + minute))
}

#[cfg(test)]
#[path = "windows_tests.rs"]
mod tests;
