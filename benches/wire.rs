//! What a message costs in each language that slaves speak, beside a copy of its bytes; and two
//! hundred of Buildbot's own workers: `cargo bench --bench wire`. Prints a table; asserts nothing
//! but that all of them come and build.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "real time is what is measured"
)]

#[path = "../tests/farm/buildbot_programs.rs"]
#[expect(dead_code, reason = "of the programs of the tests a crowd is used")]
mod buildbot_programs;
#[path = "../tests/farm/farm.rs"]
#[expect(dead_code, reason = "the farm of the tests, of which a part is used")]
mod farm;

use std::fmt::Write as _;
use std::fs;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use autobot::WireBench;
use buildbot_programs::{Crowd, connected};
use farm::Farm;

/// A line of 80 bytes.
const LINE: &str =
    "[ 57%] Building CXX object src/CMakeFiles/core.dir/parser/expression_tree.cc.o\n";
/// So long each row is measured.
const LAP: Duration = Duration::from_millis(400);

const WORKERS: usize = 200;
const IN_ONE: usize = 50;

fn main() {
    println!("| what | autobot | floor | ratio |\n|---|---|---|---|");
    for (what, lines) in [("a line", 1), ("200 lines", 200)] {
        let text = LINE.repeat(lines);
        for language in WireBench::ALL {
            let bytes = language.say(&text);
            let copy = each(|| drop(black_box(black_box(&bytes).clone())));
            let say = each(|| drop(black_box(language.say(black_box(&text)))));
            let hear = each(|| language.hear(black_box(&bytes)));
            for (does, ours) in [("said", say), ("heard", hear)] {
                println!(
                    "| {what} {does}, {language:?} | {:.2} us | {:.2} us (copy of {} bytes) | {:.1} |",
                    ours * 1e6,
                    copy * 1e6,
                    bytes.len(),
                    ours / copy
                );
            }
        }
    }
    crowd("pb", "calls");
    crowd("msgpack_experimental_v7", "messages");
}

/// The seconds that one of these takes.
fn each(mut act: impl FnMut()) -> f64 {
    let begun = Instant::now();
    let mut count = 0_u32;
    while begun.elapsed() < LAP {
        for _ in 0..16 {
            act();
        }
        count += 16;
    }
    begun.elapsed().as_secs_f64() / f64::from(count)
}

/// Two hundred workers connect, and each builds once.
fn crowd(protocol: &str, name: &str) {
    let mut ini = String::from("[a]\ntype = shell\ncommand = true\n");
    for number in 0..WORKERS {
        let _ = write!(ini, "[slave:w{number}]\npassword = x\nfactories = a\n");
    }
    let mut farm = Farm::new(&ini);
    farm.start_master();
    let alone = resident(farm.master_pid());
    let begun = Instant::now();
    let crowds: Vec<Crowd> = (0..WORKERS)
        .step_by(IN_ONE)
        .map(|first| Crowd::start(&farm, first..first + IN_ONE, protocol))
        .collect();
    farm.wait("the first worker", |farm| {
        (connected(farm) > 0).then_some(())
    });
    // Python's own start is none of it.
    let started = begun.elapsed();
    farm.wait("all workers", |farm| {
        (connected(farm) == WORKERS).then_some(())
    });
    let all = begun.elapsed();
    println!(
        "| {WORKERS} workers with {name}, from the first to the last ({:.1} s until the first) | {:.0} ms | – | – |",
        started.as_secs_f64(),
        (all - started).as_secs_f64() * 1000.0,
    );
    thread::sleep(Duration::from_secs(5));
    println!(
        "| memory of the master for each of them | {:.1} kB | – | – |",
        (resident(farm.master_pid()) - alone) / WORKERS as f64
    );
    let begun = Instant::now();
    for number in 0..WORKERS {
        let forced = farm.post(&format!("/builders/a-w{number}/force"), "comments=bench");
        assert_eq!(forced.expect("an answer").0, 200);
    }
    for number in 0..WORKERS {
        let build = farm.wait_builds(&format!("a-w{number}"), 1);
        assert_eq!(build["results"], 0, "{build:#}");
    }
    println!(
        "| a build on each of them | {:.1} s | – | – |",
        begun.elapsed().as_secs_f64()
    );
    drop(crowds);
    farm.kill_master();
}

/// The memory of a process, in kB.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.trim().strip_suffix(" kB"));
    number.expect("a size").parse().expect("a number")
}
