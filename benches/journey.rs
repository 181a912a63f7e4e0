//! What users wait for, measured on the real program beside a bare floor of
//! the same run: `cargo bench --bench journey`. Prints a table; asserts nothing.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "programs are started and waited for in real time"
)]

#[path = "../tests/farm/farm.rs"]
#[expect(dead_code, reason = "the farm of the tests, of which a part is used")]
mod farm;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use farm::Farm;

fn main() {
    println!("| what | autobot | floor | ratio |\n|---|---|---|---|");
    cold_start();
    first_byte();
    tiny_builds();
    log_intake();
}

fn row(what: &str, ours: f64, unit: &str, floor: Option<(&str, f64)>) {
    match floor {
        Some((name, floor)) => {
            println!(
                "| {what} | {ours:.1} {unit} | {floor:.1} {unit} ({name}) | {:.2} |",
                ours / floor
            );
        }
        None => println!("| {what} | {ours:.1} {unit} | – | – |"),
    }
}

fn median(mut all: Vec<Duration>) -> f64 {
    all.sort();
    all[all.len() / 2].as_secs_f64() * 1000.0
}

fn timed(act: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    act();
    begun.elapsed()
}

/// Starting and waiting for the smallest of programs.
fn fork_exec() -> f64 {
    median(
        (0..50)
            .map(|_| timed(|| drop(Command::new("true").status())))
            .collect(),
    )
}

const LOCAL: &str = "[slave:linux]\npassword = x\nlaunch = local\nfactories = *\n\n";

fn cold_start() {
    let mut farm = Farm::new(&format!("{LOCAL}[hi]\ntype = shell\ncommands = echo hi\n"));
    let mut starts = Vec::new();
    for _ in 0..11 {
        starts.push(timed(|| farm.start_master()));
        farm.kill_master();
    }
    row(
        "cold start to the first 200",
        median(starts),
        "ms",
        Some(("fork+exec", fork_exec())),
    );

    let master = farm.master_dir();
    assert!(
        farm.autobot(&["start", &master.to_string_lossy()])
            .status
            .success()
    );
    farm.force("hi-linux", &[]);
    // Threads that a busy moment needed end after ten seconds of idleness.
    std::thread::sleep(Duration::from_secs(12));
    let name = farm.path("").to_string_lossy().into_owned();
    for (what, mark) in [("master", "__daemon"), ("slave", "__slave")] {
        let memory = resident(&[mark, &name]).unwrap_or(f64::NAN);
        row(
            &format!("resident memory of an idle {what}"),
            memory,
            "MB",
            None,
        );
    }
    farm.autobot(&["stop", &master.to_string_lossy()]);
}

/// Resident megabytes of the process whose command line holds all the words.
fn resident(words: &[&str]) -> Option<f64> {
    for entry in fs::read_dir("/proc").ok()?.flatten() {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains("autobot") && words.iter().all(|it| line.contains(it)) {
            let status = fs::read_to_string(entry.path().join("status")).ok()?;
            let kb = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
            return Some(kb.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0);
        }
    }
    None
}

fn first_byte() {
    let mut farm = Farm::new(&format!(
        "{LOCAL}[hi]\ntype = shell\ncommands = echo first-byte\n"
    ));
    farm.start_master();
    farm.force("hi-linux", &[]);
    let mut waits = Vec::new();
    for number in 1..40 {
        let path = format!("/builders/hi-linux/builds/{number}/steps/shell/logs/stdio/text");
        waits.push(timed(|| {
            post(&farm, "/builders/hi-linux/force");
            while !farm
                .get(&path)
                .is_some_and(|it| it.1.contains("first-byte"))
            {}
        }));
        farm.wait_builds("hi-linux", number + 1);
    }
    row(
        "trigger to the first byte",
        median(waits),
        "ms",
        Some(("fork+exec", fork_exec())),
    );
}

fn post(farm: &Farm, path: &str) {
    farm.post(path, "comments=bench").expect("an answer");
}

fn tiny_builds() {
    const EACH: usize = 150;
    let sections: String = (1..=4)
        .map(|it| format!("[t{it}]\ntype = shell\ncommands = true\nmerge_requests = no\n\n"))
        .collect();
    let mut farm = Farm::in_dir(Path::new("/dev/shm"), &format!("{LOCAL}{sections}"));
    farm.start_master();
    for it in 1..=4 {
        farm.force(&format!("t{it}-linux"), &[]);
    }
    let took = timed(|| {
        for _ in 0..EACH {
            for it in 1..=4 {
                post(&farm, &format!("/builders/t{it}-linux/force"));
            }
        }
        for it in 1..=4 {
            farm.wait_builds(&format!("t{it}-linux"), EACH + 1);
        }
    });
    let rate = (4 * EACH) as f64 / took.as_secs_f64();
    row(
        "tiny builds with 4 slots on a tmpfs",
        rate,
        "per s",
        Some(("fork+exec", 1000.0 / fork_exec())),
    );
}

fn log_intake() {
    const MEGABYTES: u32 = 200;
    let print = format!(
        "yes 'a line of a build log, of the usual length: cc -O2 -c hello.c' | head -c {MEGABYTES}M"
    );
    let mut farm = Farm::new(&format!(
        "{LOCAL}[loud]\ntype = shell\ncommands = {print}\n"
    ));
    farm.start_master();
    let took = timed(|| {
        farm.force("loud-linux", &[]);
    });
    let file = farm.path("floor");
    let floor = timed(|| {
        let to = format!("{print} | cat > {}", file.display());
        drop(
            Command::new("sh")
                .args(["-c", &to])
                .stdout(Stdio::null())
                .status(),
        );
    });
    let rate = |took: Duration| f64::from(MEGABYTES) / took.as_secs_f64();
    row(
        "log intake",
        rate(took),
        "MB/s",
        Some(("pipe to a file", rate(floor))),
    );
}
