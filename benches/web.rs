//! How long pages and documents of a master with 100,000 builds are waited for, beside a static
//! file of the same size from the same server: `cargo bench --bench web`. Prints a table; asserts
//! nothing but that there is an answer. Numbers after `--` are builds, builders and slaves; other
//! words choose the addresses that begin with them.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a real server is asked in real time"
)]

#[path = "../tests/farm/farm.rs"]
#[expect(dead_code, reason = "the farm of the tests, of which a part is used")]
mod farm;

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use autobot::fill_history;
use farm::Farm;

const BUILDS: usize = 100_000;
const BUILDERS: usize = 1000;
const SLAVES: usize = 60;
const WAITING: usize = 500;
/// Asked for each address, one after the other.
const TIMES: usize = 40;
/// Connections that stay open on the live stream.
const LISTENERS: usize = 1000;

/// What is asked; `B` stands for a builder's newest number.
const ADDRESSES: &[&str] = &[
    "/",
    "/builders",
    "/builders/b7",
    "/builders/b7?numbuilds=200",
    "/builders/b7/builds/B",
    "/builders/b7/builds/B/steps/compile",
    "/builders/b7/builds/B/steps/compile/logs/stdio",
    "/builders/b7/builds/B/steps/compile/logs/stdio/text",
    "/waterfall",
    "/waterfall?builder=b1&builder=b2&builder=b3",
    "/grid",
    "/tgrid",
    "/console",
    "/one_line_per_build",
    "/one_box_per_builder",
    "/changes",
    "/changes/1900",
    "/buildslaves",
    "/buildslaves/s7",
    "/users",
    "/users/7",
    "/sources",
    "/about",
    "/rss",
    "/atom",
    "/badges/b7.svg",
    "/json",
    "/json/builders",
    "/json/builders/b7",
    "/json/builders/b7/builds",
    "/json/builders/b7/builds/_all",
    "/json/builders/b7/builds/-1",
    "/json/builders/b7/pendingBuilds",
    "/json/slaves",
    "/json/slaves/s7",
    "/json/project",
    "/api/status",
    "/api/builders",
    "/api/builds",
    "/api/builds?builder=b7&limit=100",
    "/api/builders/b7/builds/B",
    "/api/builders/b7/builds/B/why",
    "/api/changes",
    "/api/schedulers",
    "/api/users",
    "/api/why/builders/b7",
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut numbers = words.iter().filter_map(|it| it.parse::<usize>().ok());
    let builds = numbers.next().unwrap_or(BUILDS);
    let builders = numbers.next().unwrap_or(BUILDERS);
    let slaves = numbers.next().unwrap_or(SLAVES);
    let chosen: Vec<&String> = words.iter().filter(|it| it.starts_with('/')).collect();

    let mut farm = Farm::new(&ini(builders, slaves));
    let began = Instant::now();
    fill_history(&farm.master_dir(), builds, WAITING).expect("a history");
    eprintln!("{builds} builds were told in {:?}", began.elapsed());
    let public = farm.master_dir().join("public_html");
    fs::create_dir_all(&public).expect("a directory");
    farm.start_master();

    println!(
        "| address | size | first byte, half of all | 95 of 100 | a file as large | ratio |\n\
         |---|---|---|---|---|---|"
    );
    let newest = (builds / builders).saturating_sub(1).to_string();
    for address in ADDRESSES {
        let address = address.replace("builds/B", &format!("builds/{newest}"));
        if !chosen.is_empty() && !chosen.iter().any(|it| address.starts_with(it.as_str())) {
            continue;
        }
        let ours = Asked::of(farm.htmlport, &address);
        fs::write(public.join("floor.bin"), vec![b'x'; ours.size]).expect("written");
        let floor = Asked::of(farm.htmlport, "/floor.bin");
        assert!(floor.status == 200, "the file is there: {}", floor.status);
        let mark = match ours.status {
            200 => String::new(),
            status => format!(" ({status})"),
        };
        println!(
            "| `{address}`{mark} | {:.1} kB | {:.2} ms | {:.2} ms | {:.2} ms | {:.1} |",
            ours.size as f64 / 1000.0,
            ms(ours.middle),
            ms(ours.late),
            ms(floor.middle),
            ours.middle.as_secs_f64() / floor.middle.as_secs_f64(),
        );
    }
    if chosen.is_empty() {
        throughput(&farm);
        // What large pages left in its memory would hide what a stream takes.
        farm.kill_master();
        farm.start_master();
        live(&farm);
    }
}

/// Every builder runs on every slave, which is the most that a page can show of them.
fn ini(builders: usize, slaves: usize) -> String {
    let mut text = String::new();
    for slave in 0..slaves {
        let _ = write!(text, "[slave:s{slave}]\npassword = x\nmax_builds = 1\n");
    }
    text.push_str("[echo]\ntype = shell\ncommands = true\n");
    for builder in 0..builders {
        let _ = write!(
            text,
            "[builder:b{builder}]\nfactory = echo\nslaves = *\ncategory = c{}\n",
            builder % 16
        );
    }
    text
}

fn ms(it: Duration) -> f64 {
    it.as_secs_f64() * 1000.0
}

/// What came of asking for an address many times.
struct Asked {
    status: u16,
    /// Of the body.
    size: usize,
    middle: Duration,
    late: Duration,
}

impl Asked {
    fn of(port: u16, address: &str) -> Self {
        let (mut status, mut size) = (0, 0);
        let mut all = Vec::new();
        // The first answer warms what is read.
        for turn in 0..=TIMES {
            let (first, answer) = ask(port, address);
            let text = String::from_utf8_lossy(&answer[..answer.len().min(16)]).into_owned();
            status = text
                .split(' ')
                .nth(1)
                .map_or(0, |it| it.parse().unwrap_or(0));
            let head = answer.windows(4).position(|it| it == b"\r\n\r\n");
            size = answer.len() - head.map_or(0, |it| it + 4);
            if turn > 0 {
                all.push(first);
            }
            // What takes very long is not asked forty times.
            if first > Duration::from_secs(1) && turn >= 3 {
                break;
            }
        }
        all.sort_unstable();
        Self {
            status,
            size,
            middle: all[all.len() / 2],
            late: all[(all.len() * 95 / 100).min(all.len() - 1)],
        }
    }
}

/// The time until the first byte, and the whole answer.
fn ask(port: u16, address: &str) -> (Duration, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.set_nodelay(true).expect("set");
    let request = format!("GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let began = Instant::now();
    stream.write_all(request.as_bytes()).expect("asked");
    let mut answer = vec![0; 64 * 1024];
    let count = stream.read(&mut answer).expect("an answer");
    let first = began.elapsed();
    answer.truncate(count);
    stream.read_to_end(&mut answer).expect("the rest");
    (first, answer)
}

/// What `wrk` says, where it is installed.
fn throughput(farm: &Farm) {
    for address in ["/builders/b7", "/json/builders/b7", "/floor.bin"] {
        let url = format!("http://127.0.0.1:{}{address}", farm.htmlport);
        let wrk = Command::new("wrk")
            .args(["-t2", "-c16", "-d5s", "--latency", &url])
            .stderr(Stdio::null())
            .output();
        let Ok(said) = wrk else {
            println!("\n`wrk` is not installed; nothing is asked at once.");
            return;
        };
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let line = |name: &str| {
            let line = said.lines().find(|it| it.trim_start().starts_with(name));
            let line = line.and_then(|it| it.split_whitespace().last());
            line.unwrap_or("?").to_owned()
        };
        println!(
            "\n`wrk`, 16 at once, `{address}`: {} per second, 99 of 100 within {}.",
            line("Requests/sec:"),
            line("99%")
        );
    }
}

/// The memory that listeners of the live stream take.
fn live(farm: &Farm) {
    let resident = || {
        let pid = farm.master_pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
        let kb = line.and_then(|it| it.trim().strip_suffix(" kB"));
        kb.expect("resident").parse::<f64>().expect("a number") / 1024.0
    };
    let before = resident();
    let mut open = Vec::new();
    for _ in 0..LISTENERS {
        let mut stream = TcpStream::connect(("127.0.0.1", farm.htmlport)).expect("a connection");
        let request = "GET /events?kind=build_finished HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).expect("asked");
        let mut first = [0; 512];
        let count = stream.read(&mut first).expect("an answer");
        assert!(count > 0, "the stream begins");
        open.push(stream);
    }
    println!(
        "\n{LISTENERS} open live streams: {:.1} MB more than before.",
        resident() - before
    );
}
