//! autobot beside Buildbot and beside what cannot be undercut, in one run, in turn, on this
//! machine: `scripts/bench.sh`. Prints a table and, with `--json FILE`, writes it down; with
//! `--baseline FILE` it says what has changed. Words choose the parts that are run. It asserts
//! nothing about time.
//!
//! Without `AUTOBOT_BENCH_BUILDBOT`, the directory of Buildbot's programs, it runs without the
//! peer.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "real time is what is measured"
)]

mod buildbot;
#[path = "../../tests/farm/farm.rs"]
#[expect(dead_code, reason = "the farm of the tests, of which a part is used")]
mod farm;
mod figure;
mod floor;
mod http;
mod process;

mod configuration;
mod history;
mod idle;
mod log;
mod polls;
mod recovery;
mod slaves;
mod start;
mod tiny;
mod trigger;

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use figure::Report;

/// A part of the table.
struct Part {
    name: &'static str,
    measure: fn(&mut Report),
}

const PARTS: &[Part] = &[
    part("start", start::measure),
    part("idle", idle::measure),
    part("trigger", trigger::measure),
    part("tiny", tiny::measure),
    part("log", log::measure),
    part("history", history::measure),
    part("configuration", configuration::measure),
    part("recovery", recovery::measure),
    part("polls", polls::measure),
    part("slaves", slaves::measure),
];

const fn part(name: &'static str, measure: fn(&mut Report)) -> Part {
    Part { name, measure }
}

fn main() {
    let mut words = std::env::args().skip(1);
    let (mut json, mut baseline, mut chosen) = (None, None, Vec::new());
    while let Some(word) = words.next() {
        match word.as_str() {
            // What cargo says to every bench.
            "--bench" => {}
            "--json" => json = words.next().map(PathBuf::from),
            "--baseline" => baseline = words.next().map(PathBuf::from),
            _ => chosen.push(word),
        }
    }
    let names = PARTS.iter().map(|it| it.name);
    if let Some(unknown) = chosen
        .iter()
        .find(|word| !names.clone().any(|it| it == *word))
    {
        let names: Vec<_> = names.collect();
        eprintln!(
            "there is no part `{unknown}`; there are {}",
            names.join(", ")
        );
        std::process::exit(2);
    }
    let mut report = Report {
        machine: machine(),
        ..Report::default()
    };
    if buildbot::programs().is_none() {
        eprintln!("Buildbot is not here: its column stays empty");
    }
    for part in PARTS {
        if chosen.is_empty() || chosen.iter().any(|it| it == part.name) {
            eprintln!("-- {}", part.name);
            (part.measure)(&mut report);
            // What is measured stays, whatever becomes of the next part.
            if let Some(path) = &json {
                let text = serde_json::to_string_pretty(&report.json()).expect("JSON");
                fs::write(path, text + "\n").expect("written");
            }
        }
    }
    println!("{}", report.table());
    if let Some(path) = baseline {
        match fs::read(&path).map(|it| serde_json::from_slice::<Value>(&it)) {
            Ok(Ok(baseline)) => {
                println!("Against {}:\n", path.display());
                println!("{}", report.compared_with(&baseline));
            }
            _ => eprintln!("{} is not a baseline", path.display()),
        }
    }
}

/// What was measured on, and what.
fn machine() -> Value {
    let said = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let processor = processor
        .lines()
        .find_map(|it| it.strip_prefix("model name"));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let peer = buildbot::programs().and_then(|dir| {
        let program = dir.join("buildbot").to_string_lossy().into_owned();
        let said = said(&program, &["--version"])?;
        Some(said.lines().next()?.to_owned())
    });
    json!({
        "date": said("date", &["-u", "+%Y-%m-%d"]),
        "kernel": said("uname", &["-sr"]),
        "processor": processor.map(|it| it.trim_start_matches([' ', '\t', ':'])),
        "cores": std::thread::available_parallelism().map_or(0, |it| it.get()),
        "load_at_begin": load.split(' ').next(),
        "autobot": said(farm::AUTOBOT, &["--version"]),
        "buildbot": peer,
        "binary_bytes": fs::metadata(farm::AUTOBOT).map_or(0, |it| it.len()),
    })
}

fn timed(act: impl FnOnce()) -> Duration {
    let began = Instant::now();
    act();
    began.elapsed()
}

fn ms(it: Duration) -> f64 {
    it.as_secs_f64() * 1000.0
}

/// Asks our master for a build.
fn force(farm: &farm::Farm, builder: &str) {
    let path = format!("/builders/{builder}/force");
    let kind = "application/x-www-form-urlencoded";
    let answer = http::post(farm.htmlport, &path, kind, "comments=bench");
    assert_eq!(answer.expect("an answer").status, 200);
}

/// A slave that the master starts; every factory runs on it.
const LOCAL: &str = "[slave:linux]\npassword = x\nlaunch = local\nfactories = *\n";
