//! Lines of cron, and ten years of them beside what other programs make of them.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::json;

use super::*;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;

fn read(line: &str) -> Option<Times> {
    let source = Source::new("master.ini", "/base", format!("[x]\ncron = {line}\n"));
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let node = &tree.sections[0].entries[0].value;
    Times::read(node).ok()
}

fn times(line: &str) -> Times {
    read(line).unwrap_or_else(|| panic!("`{line}` is not read"))
}

#[test]
fn names_of_months_and_days_are_as_good_as_numbers_and_sunday_is_either_end_of_the_week() {
    for (named, numbered) in [
        ("30 3 * * mon-fri", "30 3 * * 1-5"),
        ("0 0 * jan,Jul,DEC *", "0 0 * 1,7,12 *"),
        ("0 0 * feb-apr/2 *", "0 0 * 2,4 *"),
        ("0 0 * * sun", "0 0 * * 0"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * fri-sun", "0 0 * * 0,5,6"),
        ("0 0 * * sun-tue", "0 0 * * 0-2"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@hourly", "0 * * * *"),
    ] {
        assert_eq!(times(named), times(numbered), "{named}");
    }
    for bad in [
        "0 0 * * sat-mon",
        "0 0 * * monday",
        "0 0 * mon *",
        "mon 0 * * *",
        "0 0 * 0 *",
        "0 0 * * 8",
        "@reboot",
        "0 0 , * *",
    ] {
        assert_eq!(read(bad), None, "{bad}");
    }
}

#[test]
fn monday_is_0_in_fields_and_1_in_lines_of_cron() {
    let line = times("0 0 * * 1");
    assert_eq!(line.day_of_week, Field::of(&[0]));
    assert_eq!(times("0 0 * * sun").day_of_week, Field::of(&[6]));
}

#[test]
fn what_a_star_stands_in_restricts_no_day_by_itself() {
    assert!(times("0 0 1 * 1").either);
    assert!(!times("0 0 */2 * 1").either);
    assert!(!times("0 0 1 * *").either);
    assert!(times("0 0 30 2 1").can_come());
    assert!(!times("0 0 30 2 */2").can_come());
}

/// Fields of every form; what runs often does so about the days on which clocks are set.
const LINES: [&str; 9] = [
    "30 2 * * *",
    "15 */12 * * mon-fri",
    "0 3 1,15 * sun",
    "0 * 1-14,25-31 3,4,10,11 *",
    "*/20 1-3 1-14,25-31 3,4,10,11 *",
    "59 23 31 12 *",
    "0 12 29 2 *",
    "5 0 13 jan-mar fri",
    "0 0 * 4,10 7",
];

/// Clocks that are set in the north, in the south by half an hour, and at midnight.
const ZONES: [&str; 4] = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/Havana",
];

#[test]
fn ten_years_in_four_zones_agree_with_croniter_and_zoneinfo() {
    let (from, to) = ("2020-01-01T00:00:00", "2030-01-01T00:00:00");
    let asked = json!({ "zones": ZONES, "lines": LINES, "from": from, "to": to });
    #[expect(
        clippy::disallowed_methods,
        reason = "a program that says what is right"
    )]
    let mut other = std::process::Command::new("/usr/bin/python3")
        .args(["-c", include_str!("cron_runs.py")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut stdin = other.stdin.take().expect("piped");
    stdin
        .write_all(asked.to_string().as_bytes())
        .expect("written");
    drop(stdin);
    let told = other.wait_with_output().expect("it ends");
    assert!(
        told.status.success(),
        "python3 has croniter (python3-croniter)"
    );
    let mut compared = 0;
    for said in String::from_utf8(told.stdout).expect("text").lines() {
        let (zone, line, expected): (String, String, Vec<i64>) =
            serde_json::from_str(said).expect("JSON");
        let zone_of = TimeZone::get(&zone).expect("a zone");
        let moment = |text: &str| {
            let time: DateTime = text.parse().expect("a time");
            let at = zone_of.to_timestamp(time).expect("in range");
            Timestamp(at.as_millisecond())
        };
        let mut base = Timestamp(moment(from).0 - 1);
        let end = moment(to);
        let mut runs = Vec::new();
        let wanted = times(&line);
        while let Some(next) = wanted.next(base, &zone_of).filter(|it| *it < end) {
            runs.push(next.0 / 1000);
            base = next;
        }
        let differ = runs.iter().zip(&expected).position(|(a, b)| a != b);
        let differ = differ.map(|at| (runs[at], expected[at]));
        assert_eq!(
            (differ, runs.len()),
            (None, expected.len()),
            "{line} in {zone}"
        );
        compared += runs.len();
    }
    assert!(compared > 140_000, "{compared} runs");
}
