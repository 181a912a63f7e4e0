//! A step that prints a gigabyte: how fast it goes through, beside `cat` into a
//! file, and what memory it takes on its way: `cargo bench --bench output`.
//! Prints a table; asserts nothing.

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
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use farm::Farm;

/// A line of 80 bytes.
const LINE: &str =
    "[ 57%] Building CXX object src/CMakeFiles/core.dir/parser/expression_tree.cc.o\n";

fn main() {
    println!("| what | autobot | floor | ratio |\n|---|---|---|---|");
    through("1 GB from `cat`", 1 << 30);
    through("1,000,000 lines of 80 bytes", 80_000_000);
}

/// Sends a file of this length through a step.
fn through(what: &str, length: usize) {
    let source = std::env::temp_dir().join(format!("autobot-bench-{}", std::process::id()));
    let block = LINE.repeat(13_108);
    let mut text = Vec::with_capacity(length);
    while text.len() < length {
        let rest = (length - text.len()).min(block.len());
        text.extend_from_slice(&block.as_bytes()[..rest]);
    }
    fs::write(&source, &text).expect("written");
    drop(text);
    let command = format!("cat {}", source.display());
    let mut farm = Farm::new(&format!(
        "[slave:linux]\npassword = x\nlaunch = local\nfactories = *\n\n\
         [loud]\ntype = shell\ncommands = {command}\nmerge_requests = no\n\n\
         [quiet]\ntype = shell\ncommands = true\n"
    ));
    farm.start_master();
    farm.force("quiet-linux", &[]);
    let home = farm.path("").to_string_lossy().into_owned();
    let (master, slave) = (find("start", &home), find("__slave", &home));
    let (master, slave) = (master.expect("a master"), slave.expect("a slave"));
    let idle = [memory(&master, "VmRSS:"), memory(&slave, "VmRSS:")];

    let begun = Instant::now();
    let forced = farm.post("/builders/loud-linux/force", "comments=bench");
    assert_eq!(forced.expect("an answer").0, 200);
    let mut runner = 0.0_f64;
    while farm
        .json("/json/builders/loud-linux/builds/0")
        .is_none_or(|it| it["results"].is_null())
    {
        // It ends with its command, so it is looked at while it runs; the process that it was
        // forked from has the same words and less memory.
        for it in all("__runner", &home) {
            runner = runner.max(memory(&it, "VmHWM:").unwrap_or(0.0));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let took = begun.elapsed();

    let floor = farm.path("floor");
    let begun = Instant::now();
    let copied = Command::new("sh")
        .args([
            "-c",
            &format!("cat {} | cat > {}", source.display(), floor.display()),
        ])
        .stdout(Stdio::null())
        .status();
    assert!(copied.expect("run").success());
    let bare = begun.elapsed();
    let rate = |took: Duration| length as f64 / 1e6 / took.as_secs_f64();
    let (ours, floor) = (rate(took), rate(bare));
    println!(
        "| {what} | {ours:.1} MB/s | {floor:.1} MB/s (pipe to a file) | {:.2} |",
        ours / floor
    );
    for (who, process, idle) in [("master", &master, idle[0]), ("slave", &slave, idle[1])] {
        let most = memory(process, "VmHWM:").unwrap_or(f64::NAN);
        let above = most - idle.unwrap_or(f64::NAN);
        println!(
            "| {what}: the {who}'s memory at most | {most:.1} MB, {above:.1} above idle | – | – |"
        );
    }
    println!("| {what}: the runner's memory at most | {runner:.1} MB | – | – |");
    drop(fs::remove_file(source));
}

/// The process of this program with these words in its command line.
fn find(word: &str, home: &str) -> Option<PathBuf> {
    all(word, home).into_iter().next()
}

/// All of them.
fn all(word: &str, home: &str) -> Vec<PathBuf> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let of_these = processes.filter(|entry| {
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains("autobot") && line.contains(word) && line.contains(home)
    });
    of_these.map(|entry| entry.path()).collect()
}

/// Megabytes, as the system counts them.
fn memory(process: &Path, what: &str) -> Option<f64> {
    let status = fs::read_to_string(process.join("status")).ok()?;
    let kb = status.lines().find_map(|it| it.strip_prefix(what))?;
    Some(kb.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
}
