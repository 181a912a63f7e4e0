//! How good and how fast estimates are: each build of a history is foreseen
//! from those before it, before it begins and on its way, and the truth is
//! compared: `cargo bench --bench estimates`. Prints a table; asserts nothing.
//!
//! `estimates.csv` was recorded from real builds, which
//! `cargo bench --bench estimates -- record` does again; the other series are
//! made up by a seed.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "real time is what is measured"
)]

#[path = "../tests/farm/farm.rs"]
#[expect(dead_code, reason = "the farm of the tests, of which a part is used")]
mod farm;

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

use autobot::{Foresight, Laps};
use farm::Farm;

const RECORDED: &str = include_str!("estimates.csv");

/// So many builds are looked back on, as a master does.
const LOOKED_AT: usize = 64;

/// The first builds are foreseen from nothing.
const KNOWN: usize = 4;

/// A build: where it ran, and its steps.
type Build = (String, Laps);

/// Parts of a build at which it is asked how long it still takes; the first is before its start.
const PARTS: [f64; 4] = [0.0, 0.25, 0.5, 0.75];

fn main() {
    if std::env::args().any(|it| it == "record") {
        return record();
    }
    println!(
        "| history | when | held | width | error | usual rule's error |\n|---|---|---|---|---|---|"
    );
    let recorded = read(RECORDED);
    judge("recorded", &recorded);
    let without: Vec<_> = recorded.iter().cloned().map(without_logs).collect();
    judge("recorded, logs unseen", &without);
    judge("made up: steady", &made_up(|_, dice| dice.near(0.2)));
    judge(
        "made up: 1 % slower with each",
        &made_up(|at, dice| 1.01_f64.powi(at) * dice.near(0.1)),
    );
    judge(
        "made up: heavy tail",
        &made_up(|_, dice| dice.near(0.4) * if dice.roll() < 0.05 { 5.0 } else { 1.0 }),
    );
    judge(
        "made up: every third from scratch",
        &made_up(|_, dice| dice.near(0.1) * if dice.roll() < 0.33 { 4.0 } else { 1.0 }),
    );
    judge(
        "made up: twice as fast from the middle on",
        &made_up(|at, dice| dice.near(0.1) * if at < BUILDS / 2 { 2.0 } else { 1.0 }),
    );
    speed(&recorded);
}

/// What became of the estimates at one part of the builds.
#[derive(Default)]
struct Score {
    asked: usize,
    held: usize,
    /// Of the interval, and of the difference between its middle and the truth, beside the truth.
    widths: Vec<f64>,
    errors: Vec<f64>,
    usual: Vec<f64>,
}

/// Prints how often the intervals of a history held the truth.
fn judge(what: &str, builds: &[Build]) {
    for part in PARTS {
        let mut score = Score::default();
        for at in KNOWN..builds.len() {
            let history = builds[..at].iter().rev().take(LOOKED_AT).cloned();
            ask(
                &Foresight::new(history),
                &builds[..at],
                &builds[at],
                part,
                &mut score,
            );
        }
        let middle = |all: &mut Vec<f64>| {
            all.sort_by(f64::total_cmp);
            all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
        };
        let when = match part {
            0.0 => "before the start".to_owned(),
            part => format!("at {:.0} %", part * 100.0),
        };
        println!(
            "| {what} | {when} | {:.0} % of {} | {:.2} | {:.2} | {:.2} |",
            100.0 * score.held as f64 / score.asked as f64,
            score.asked,
            middle(&mut score.widths),
            middle(&mut score.errors),
            middle(&mut score.usual),
        );
    }
}

/// Asks for what is left of a build at a part of its time.
fn ask(
    foresight: &Foresight,
    before: &[Build],
    (slave, laps): &Build,
    part: f64,
    score: &mut Score,
) {
    let total: Duration = laps.iter().filter_map(|it| it.1).sum();
    let mut gone = total.mul_f64(part);
    let left = total - gone;
    let mut steps: Vec<(&str, Option<(Duration, u64)>)> = Vec::new();
    let mut usual = 0.0;
    for (name, took, said, pace) in laps {
        let mut running = None;
        if steps.is_empty() && part > 0.0 {
            match took {
                Some(took) if gone < *took => {
                    let part = gone.as_secs_f64() / took.as_secs_f64();
                    running = Some((gone, said_at(*said, *pace, part)));
                    usual += (usually(before, name) - gone.as_secs_f64()).max(0.0);
                }
                took => {
                    gone -= took.unwrap_or_default();
                    continue;
                }
            }
        } else {
            usual += usually(before, name);
        }
        steps.push((name, running));
    }
    score.asked += 1;
    // What is overdue holds nothing.
    let Some([low, middle, high]) = foresight.left(slave, &steps) else {
        return;
    };
    let truth = left.as_secs_f64();
    score.held += usize::from(low <= left && left <= high);
    score.widths.push((high - low).as_secs_f64() / truth);
    score
        .errors
        .push((middle.as_secs_f64() - truth).abs() / truth);
    score.usual.push((usual - truth).abs() / truth);
}

/// What half of the last length and half of what was expected before make of a step: the usual
/// rule, which knows no interval.
fn usually(before: &[Build], name: &str) -> f64 {
    let took = before.iter().flat_map(|it| &it.1).filter(|it| it.0 == name);
    let took = took.map(|it| it.1.unwrap_or_default().as_secs_f64());
    took.reduce(|expected, last| (expected + last) / 2.0)
        .unwrap_or(0.0)
}

/// How much a step had said at a part of its time.
fn said_at(said: u64, pace: Option<[u8; 7]>, part: f64) -> u64 {
    let Some(pace) = pace else { return said };
    let marks: Vec<f64> = [0]
        .iter()
        .chain(&pace)
        .chain(&[255])
        .map(|it| f64::from(*it) / 255.0)
        .collect();
    let at = marks.iter().rposition(|it| *it <= part).unwrap_or(0).min(7);
    let into = (part - marks[at]) / (marks[at + 1] - marks[at]).max(1e-6);
    (said as f64 * (at as f64 + into.min(1.0)) / 8.0) as u64
}

fn without_logs((slave, laps): Build) -> Build {
    let laps = laps.into_iter();
    let laps = laps.map(|(name, took, said, _)| (name, took, said, None));
    (slave, laps.collect())
}

/// How long an estimate takes, beside the sorting of as many lengths.
fn speed(builds: &[Build]) {
    let history = || builds.iter().rev().take(LOOKED_AT).cloned();
    let foresight = Foresight::new(history());
    let (slave, laps) = &builds[0];
    let mut steps: Vec<_> = laps.iter().map(|it| (it.0.as_str(), None)).collect();
    steps[0].1 = Some((Duration::from_millis(1), 10));
    let each = time(|| {
        black_box(foresight.left(slave, black_box(&steps)));
    });
    let lengths: Vec<f64> = history()
        .map(|it| {
            it.1.iter()
                .filter_map(|it| it.1)
                .sum::<Duration>()
                .as_secs_f64()
        })
        .collect();
    let floor = time(|| {
        let mut sorted = black_box(&lengths).clone();
        sorted.sort_by(f64::total_cmp);
        black_box(sorted[sorted.len() / 2]);
    });
    let runs: Vec<_> = history().collect();
    let reading = time(|| drop(black_box(Foresight::new(black_box(&runs).iter().cloned()))));
    println!("\n| what | autobot | floor | ratio |\n|---|---|---|---|");
    println!(
        "| an estimate from {} builds of {} steps | {:.1} µs | {:.1} µs (sorting their lengths) | {:.1} |",
        lengths.len(),
        laps.len(),
        each * 1e6,
        floor * 1e6,
        each / floor
    );
    println!(
        "| taking in the history | {:.1} µs | – | – |",
        reading * 1e6
    );
}

/// Seconds for one call, the least of some rounds.
fn time(mut it: impl FnMut()) -> f64 {
    let rounds = (0..20).map(|_| {
        let begun = Instant::now();
        for _ in 0..200 {
            it();
        }
        begun.elapsed().as_secs_f64() / 200.0
    });
    rounds.fold(f64::INFINITY, f64::min)
}

// --- histories --------------------------------------------------------------

/// Builds in a series that is made up.
const BUILDS: i32 = 400;

/// Three steps whose lengths are a usual one times what `factor` says for the build, and a
/// little of their own.
fn made_up(mut factor: impl FnMut(i32, &mut Dice) -> f64) -> Vec<Build> {
    let mut dice = Dice(11);
    let builds = (0..BUILDS).map(|at| {
        let all = factor(at, &mut dice);
        let laps = [("checkout", 5.0), ("compile", 120.0), ("test", 60.0)];
        let laps = laps.map(|(name, usual)| {
            let took = Duration::from_secs_f64(usual * all * dice.near(0.1));
            (name.to_owned(), Some(took), 0, None)
        });
        ("one".to_owned(), laps.into())
    });
    builds.collect()
}

/// Chances from a seed.
struct Dice(u64);

impl Dice {
    /// From 0 to 1.
    fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut it = self.0;
        it = (it ^ (it >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        it = (it ^ (it >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((it ^ (it >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A factor whose logarithm spreads normally.
    fn near(&mut self, spread: f64) -> f64 {
        let (radius, angle) = (self.roll().max(1e-12), self.roll());
        let z = (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos();
        (z * spread).exp()
    }
}

fn read(text: &str) -> Vec<Build> {
    let mut builds: Vec<(&str, Build)> = Vec::new();
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let fields: Vec<&str> = line.split(',').collect();
        let [build, slave, step, took, said, pace] = fields[..] else {
            panic!("six fields: {line}");
        };
        if builds.last().is_none_or(|it| it.0 != build) {
            builds.push((build, (slave.to_owned(), Vec::new())));
        }
        let took = took.parse().ok().map(Duration::from_millis);
        let said = said.parse().expect("a length");
        let pace: Vec<u8> = pace.split('.').filter_map(|it| it.parse().ok()).collect();
        let laps = &mut builds.last_mut().expect("just pushed").1.1;
        laps.push((step.to_owned(), took, said, pace.try_into().ok()));
    }
    builds.into_iter().map(|it| it.1).collect()
}

/// How many builds are recorded.
const RECORDED_BUILDS: i64 = 100;

/// Runs real builds and writes down what their steps took: a clone of this repository, as many C
/// files as chance will have it, an archive, tests of it, and documents now and then, on two
/// slaves that get in each other's way.
fn record() {
    let repository = env!("CARGO_MANIFEST_DIR");
    let compile = "mkdir -p out; for n in $(seq 1 $(shuf -i 6-14 -n 1)); do \
        (for f in $(seq 1 $(shuf -i 40-120 -n 1)); do \
        echo \"int f$f(int a, int b) { for (int i = 0; i < b; i++) a = a * $f + (a >> (i & 7)); return a; }\"; \
        done) > out/$n.c; echo \"CC out/$n.c\"; cc -O2 -c out/$n.c -o out/$n.o || exit 1; done";
    let test = "for n in $(seq 1 $(shuf -i 3-6 -n 1)); do xz -dc src.tar.xz | sha256sum; \
        echo \"ok $n\"; sleep 0.$(shuf -i 1-9 -n 1); done";
    let steps = serde_json::json!([
        { "type": "shell", "name": "clone", "command": format!("rm -rf src && git clone -q {repository} src") },
        { "type": "compile", "command": compile },
        { "type": "shell", "name": "archive", "command": "tar c src/src | xz -1 > src.tar.xz" },
        { "type": "test", "command": test },
        { "type": "shell", "name": "docs", "command": "for f in src/docs/*.md; do echo $f; \
            python3 -c 'import re, sys; [re.sub(r\"(\\w+)\\s+\\1\", \"\", open(sys.argv[1]).read()) for _ in range(3)]' $f; done",
            "do_step_if": "build.number % 3 == 0" },
    ]);
    let slave = |name: &str| format!("[slave:{name}]\npassword = x\nlaunch = local\n\n");
    let mut farm = Farm::new(&format!(
        "{}{}[project]\ntype = source\nmerge_requests = no\nsteps = {steps}\n\n\
         [builder:project]\nfactory = project\nslaves = one two\n",
        slave("one"),
        slave("two"),
    ));
    farm.start_master();
    for number in 0..RECORDED_BUILDS {
        let forced = farm.post("/builders/project/force", "comments=record");
        assert_eq!(forced.expect("an answer").0, 200);
        // Two of them are under way.
        let ended = format!("/json/builders/project/builds/{}", number - 1);
        let begun = Instant::now();
        while number > 0 && farm.json(&ended).is_none_or(|it| it["results"].is_null()) {
            assert!(begun.elapsed() < Duration::from_secs(300), "it hangs");
            std::thread::sleep(Duration::from_millis(50));
        }
        eprintln!("{number}");
    }
    farm.wait("the last build", |farm| {
        let path = format!("/json/builders/project/builds/{}", RECORDED_BUILDS - 1);
        (!farm.json(&path)?["results"].is_null()).then_some(())
    });
    let db = rusqlite::Connection::open(farm.master_dir().join("state.sqlite")).expect("a store");
    let mut select = db
        .prepare(
            "SELECT builds.number, slave, name, steps.outcome, steps.finished - began, said, pace \
             FROM builds JOIN steps ON build = id WHERE builds.outcome IN (0, 1) \
             ORDER BY builds.number, steps.number",
        )
        .expect("readable");
    let mut csv = String::from(
        "# Real builds, recorded by `cargo bench --bench estimates -- record`.\n\
         # build,slave,step,took in ms,bytes said,pace in 255ths\n",
    );
    let mut rows = select.query([]).expect("readable");
    while let Some(row) = rows.next().expect("a row") {
        let (build, slave, step): (i64, String, String) = (
            row.get(0).expect("a number"),
            row.get(1).expect("a slave"),
            row.get(2).expect("a name"),
        );
        let is_skipped = row.get::<_, i64>(3).expect("an outcome") == 3;
        let took: Option<i64> = row.get(4).expect("a length");
        let took = took.filter(|_| !is_skipped).map(|it| it.to_string());
        let said: i64 = row.get(5).expect("bytes");
        let pace: Option<[u8; 7]> = row.get(6).expect("a pace");
        let pace = pace.map_or(String::new(), |it| it.map(|it| it.to_string()).join("."));
        let took = took.unwrap_or_else(|| "-".into());
        writeln!(csv, "{build},{slave},{step},{took},{said},{pace}").expect("text");
    }
    let path = format!("{repository}/benches/estimates.csv");
    fs::write(path, csv).expect("written");
}
