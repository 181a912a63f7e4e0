//! What a thousand visitors cost who follow events: `cargo bench --bench live`. Prints a table.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "real time is what is measured"
)]

#[path = "../tests/farm/farm.rs"]
#[expect(dead_code, reason = "the farm of the tests, of which a part is used")]
mod farm;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use farm::Farm;

const VISITORS: usize = 1000;

fn main() {
    let ini = "[slave:a]\npassword = x\nfactories = hi\n[hi]\ntype = shell\ncommand = true\n";
    let mut farm = Farm::new(ini);
    farm.start_master();
    // What the first pages take is no part of it.
    for _ in 0..20 {
        farm.get("/builders").expect("a page");
    }
    let before = resident(&farm);
    let begun = Instant::now();
    let followers: Vec<_> = (0..VISITORS).map(|_| follow(&farm)).collect();
    let came = begun.elapsed();
    let during = resident(&farm);
    let mut pages: Vec<_> = (0..50)
        .map(|_| {
            let asked = Instant::now();
            let (status, _) = farm.get("/builders").expect("a page");
            assert_eq!(status, 200, "a page beside the followers");
            asked.elapsed()
        })
        .collect();
    pages.sort_unstable();
    let figures = farm.get("/metrics").expect("figures").1;
    let live = format!("autobot_http_live_connections {VISITORS}\n");
    assert!(figures.contains(&live), "{figures}");
    println!("| what | autobot |\n|---|---|");
    println!(
        "| {VISITORS} visitors follow events | {:.0} ms |",
        millis(came)
    );
    println!(
        "| memory for all of them | {:.1} MB |",
        (during - before) / 1024.0
    );
    println!(
        "| a page meanwhile, 95 of 100 | {:.1} ms |",
        millis(pages[47])
    );
    drop(followers);
}

/// One who follows, after the head of the answer.
fn follow(farm: &Farm) -> TcpStream {
    let mut line = TcpStream::connect(("127.0.0.1", farm.htmlport)).expect("connected");
    line.write_all(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("asked");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(line.read(&mut byte).expect("an answer"), 1, "it ends early");
        head.push(byte[0]);
    }
    assert!(
        head.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&head)
    );
    line
}

/// What the master takes, in KiB.
fn resident(farm: &Farm) -> f64 {
    let pid = fs::read_to_string(farm.master_dir().join("autobot.pid")).expect("a pid");
    let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).expect("its status");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let number = line.and_then(|it| it.split_whitespace().next());
    number.and_then(|it| it.parse().ok()).expect("a number")
}

fn millis(it: Duration) -> f64 {
    it.as_secs_f64() * 1000.0
}
