use super::*;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problems;

fn read(text: &str) -> Result<Windows, String> {
    let source = crate::syntax::Source::new(
        "master.ini",
        std::path::Path::new("/"),
        format!("[x]\ndowntime = {text}\n"),
    );
    let mut problems = Problems::default();
    let tree = crate::syntax::ini::read(&source, &mut problems);
    let mut keys = Keys::of(&tree.sections[0], &mut problems);
    let read = keys.required::<Windows>("downtime");
    keys.finish();
    match problems.0.first() {
        Some(problem) => {
            assert_eq!(problem.code, Code::BadValue);
            let place = problem.place.clone().expect("a place");
            let label = problem.label.clone().unwrap_or_default();
            Err(format!("{}: {label}", place.text()))
        }
        None => Ok(read.expect("no problem")),
    }
}

/// Central Europe: forward on the last Sunday of March at 2, back in October at 3.
fn berlin() -> TimeZone {
    TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("a zone")
}

fn at(text: &str) -> Timestamp {
    let time: DateTime = text.parse().expect("a time");
    let zoned = time.to_zoned(berlin()).expect("in range");
    Timestamp(zoned.timestamp().as_millisecond())
}

fn clock(at: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(at.0).expect("in range");
    let zoned = moment.to_zoned(berlin());
    zoned.strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// Until when the spans last at `now`.
fn until(windows: &str, now: &str) -> String {
    let windows = read(windows).expect(windows);
    match windows.until(at(now), &berlin()) {
        Some(until) => clock(until),
        None => "-".into(),
    }
}

#[test]
fn a_span_is_every_day_or_on_some_days_of_the_week_and_may_end_on_the_next() {
    // 20 November 2026 is a Friday.
    let check = |windows: &str, now: &str, expected: &str| {
        assert_eq!(until(windows, now), expected, "{windows} at {now}");
    };
    check("02:00-04:00", "2026-11-20T01:59:59", "-");
    check("02:00-04:00", "2026-11-20T02:00", "2026-11-20 04:00 CET");
    check("02:00-04:00", "2026-11-20T04:00", "-");
    check("22:00-6:00", "2026-11-20T05:00", "2026-11-20 06:00 CET");
    check("22:00-6:00", "2026-11-20T23:00", "2026-11-21 06:00 CET");
    check("sun 02:00-04:00", "2026-11-20T03:00", "-");
    check(
        "sun 02:00-04:00",
        "2026-11-22T03:00",
        "2026-11-22 04:00 CET",
    );
    check(
        "Sat Sunday 22:00-06:00",
        "2026-11-23T05:00",
        "2026-11-23 06:00 CET",
    );
    check(
        "mon-fri 20:00-24:00",
        "2026-11-20T23:00",
        "2026-11-21 00:00 CET",
    );
    check("mon-fri 20:00-24:00", "2026-11-21T23:00", "-");
    check(
        "sat-mon wed 01:00-02:00",
        "2026-11-22T01:30",
        "2026-11-22 02:00 CET",
    );
    check("sat-mon wed 01:00-02:00", "2026-11-24T01:30", "-");
    check(
        "fri 22:00 - mon 06:00",
        "2026-11-22T12:00",
        "2026-11-23 06:00 CET",
    );
    check("fri 22:00 - mon 06:00", "2026-11-20T21:59", "-");
    // Nearly a week.
    check(
        "fri 12:00 - fri 11:00",
        "2026-11-20T10:00",
        "2026-11-20 11:00 CET",
    );
    check("fri 12:00 - fri 11:00", "2026-11-20T11:30", "-");
}

#[test]
fn a_span_may_come_once() {
    let christmas = "2026-12-24 18:00 - 2026-12-27 08:00";
    assert_eq!(until(christmas, "2026-12-24T17:59"), "-");
    assert_eq!(until(christmas, "2026-12-25T12:00"), "2026-12-27 08:00 CET");
    assert_eq!(until(christmas, "2027-12-25T12:00"), "-");
    let night = "2026-12-24 22:00-02:00";
    assert_eq!(until(night, "2026-12-25T01:00"), "2026-12-25 02:00 CET");
}

#[test]
fn spans_that_follow_each_other_at_once_are_told_as_one_and_what_never_ends_is_told_too() {
    let two = "fri 22:00-24:00, sat 00:00-05:00, sat 04:00-07:30";
    assert_eq!(until(two, "2026-11-20T23:00"), "2026-11-21 07:30 CET");
    assert_ne!(until("00:00-24:00", "2026-11-20T23:00"), "-");
}

#[test]
fn on_the_day_on_which_the_clock_jumps_a_span_is_what_the_clock_shows_of_it() {
    // At 02:00 it is 03:00.
    let check = |windows: &str, now: &str, expected: &str| {
        assert_eq!(until(windows, now), expected, "{windows} at {now}");
    };
    check("01:00-02:30", "2026-03-29T01:30", "2026-03-29 03:00 CEST");
    check("02:30-04:00", "2026-03-29T03:00", "2026-03-29 04:00 CEST");
    check("02:30-04:00", "2026-03-29T01:59", "-");
    // All of it is jumped over.
    check("02:10-02:50", "2026-03-29T03:00", "-");
    check("02:10-02:50", "2026-03-30T02:20", "2026-03-30 02:50 CEST");
}

#[test]
fn on_the_day_on_which_an_hour_comes_twice_a_span_begins_the_first_and_ends_the_last_time() {
    // At 03:00 it is 02:00 again.
    let hour = 60 * 60 * 1000;
    let windows = read("02:15-02:45").expect("a span");
    let first = at("2026-10-25T01:00").0 + hour;
    let check = |millis: i64, expected: &str| {
        let until = windows.until(Timestamp(first + millis), &berlin());
        assert_eq!(until.map_or("-".into(), clock), expected, "{millis}");
    };
    check(hour / 6, "-");
    check(hour / 4, "2026-10-25 02:45 CET");
    check(hour, "2026-10-25 02:45 CET");
    check(hour + hour * 3 / 4, "-");
    check(24 * hour + hour + hour / 4, "2026-10-26 02:45 CET");
}

#[test]
fn the_next_edge_is_a_beginning_an_end_or_a_day_away() {
    let check = |windows: &str, now: &str, expected: &str| {
        let windows = read(windows).expect(windows);
        assert_eq!(clock(windows.next_edge(at(now), &berlin())), expected);
    };
    check("02:00-04:00", "2026-11-20T01:00", "2026-11-20 02:00 CET");
    check("02:00-04:00", "2026-11-20T02:00", "2026-11-20 04:00 CET");
    check(
        "mon 02:00-04:00",
        "2026-11-20T02:00",
        "2026-11-21 02:00 CET",
    );
    check(
        "2030-01-01 00:00-01:00",
        "2026-11-20T02:00",
        "2026-11-21 02:00 CET",
    );
}

#[test]
fn a_mistake_is_told_at_its_characters() {
    let check = |text: &str, expected: &str| {
        assert_eq!(read(text).expect_err(text), expected, "{text}");
    };
    let day = "expected a day: `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`";
    let time = "expected a time from `00:00` to `24:00`";
    check("sun 02:00-04:00, son 02:00-04:00", &format!("son: {day}"));
    check("su 02:00-04:00", &format!("su: {day}"));
    check("02:00-25:00", &format!("25:00: {time}"));
    check("02:00-24:01", &format!("24:01: {time}"));
    check("2-4", &format!("2: {time}"));
    check(
        "02:00-04:00 05:00",
        "05:00: expected a comma before the next span",
    );
    check("02:00 04:00", "04:00: expected `-` and the end of the span");
    check("sun sun", ": expected a time such as `02:00`");
    check(
        "02:00-04:00,, 05:00-06:00",
        ": expected a time such as `02:00`, or a day or a date before it",
    );
    check("02:00 / 04:00", "/: expected a day, a date, a time or `-`");
    check(
        "2026-02-30 02:00-04:00",
        "2026-02-30: there is no such day; expected a date such as `2026-12-24`",
    );
    check(
        "2026-12-24 18:00 - 2026-12-23 18:00",
        "2026-12-23 18:00: this is not after the beginning",
    );
    check(
        "2026-12-24 18:00 - sun 18:00",
        "sun 18:00: expected a date such as `2026-12-27`, as at the beginning",
    );
    check(
        "sun 18:00 - 2026-12-24 18:00",
        "2026-12-24 18:00: the beginning has no date such as `2026-12-24`",
    );
    check(
        "02:00 - sun 04:00",
        "sun 04:00: the beginning has no day such as `fri`",
    );
    check(
        "sat sun 02:00 - mon 04:00",
        "mon 04:00: an end with a day belongs to a beginning with one day",
    );
    assert!(read("2026-1é-30").is_err());
}
