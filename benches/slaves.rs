//! A farm of many slaves: how long until all are connected, and what the master
//! takes for each of them while nothing happens: `cargo bench --bench slaves`.
//! Prints a table; asserts nothing but that all of them come.

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
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use farm::Farm;

const SLAVES: usize = 500;
/// The slaves are light: so many share a process.
const IN_ONE: usize = 250;
/// So long nothing happens.
const REST: Duration = Duration::from_secs(20);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    if let [_, verb, dir, port, first] = args.as_slice()
        && verb == "slaves"
    {
        let port = port.parse().expect("a port");
        let first: usize = first.parse().expect("a number");
        autobot::run_slaves(Path::new(dir), port, first..first + IN_ONE).expect("slaves");
        return;
    }
    let mut ini = String::from("builders = factory\n[a]\ntype = shell\ncommand = true\n");
    for number in 0..SLAVES {
        let _ = write!(ini, "[slave:s{number}]\npassword = x\nfactories = a\n");
    }
    let mut farm = Farm::new(&ini);
    farm.start_master();
    let pid = pid_of(&farm.master_dir()).expect("the master");
    let alone = resident(pid);
    let floor = connections();

    let begun = Instant::now();
    let slaves: Vec<_> = (0..SLAVES)
        .step_by(IN_ONE)
        .map(|first| start(&farm, first))
        .collect();
    farm.wait("all slaves", |farm| {
        (connected(farm) == SLAVES).then_some(())
    });
    let ours = begun.elapsed();
    println!("| what | autobot | floor | ratio |\n|---|---|---|---|");
    println!(
        "| {SLAVES} slaves connect | {:.0} ms | {:.0} ms (bare connections) | {:.1} |",
        millis(ours),
        millis(floor),
        millis(ours) / millis(floor)
    );
    // What coming took is no part of staying.
    thread::sleep(REST / 4);
    let (before, since) = (ticks(pid), Instant::now());
    thread::sleep(REST);
    let busy = (ticks(pid) - before) / 100.0 / since.elapsed().as_secs_f64();
    println!(
        "| processor of a master with {SLAVES} idle slaves | {:.2} % of a core | – | – |",
        busy * 100.0
    );
    println!(
        "| memory of the master for each of them | {:.1} kB | – | – |",
        (resident(pid) - alone) / SLAVES as f64
    );
    for mut it in slaves {
        drop(it.kill());
        drop(it.wait());
    }
    farm.kill_master();
}

/// Many slaves in a process of their own.
fn start(farm: &Farm, first: usize) -> Child {
    Command::new(std::env::current_exe().expect("this program"))
        .arg("slaves")
        .arg(farm.path("slaves"))
        .arg(farm.slaveport.to_string())
        .arg(first.to_string())
        .stdin(Stdio::null())
        .spawn()
        .expect("started")
}

fn connected(farm: &Farm) -> usize {
    let slaves = farm.json("/json/slaves").expect("slaves");
    let all = slaves.as_object().expect("an object").values();
    all.filter(|it| it["connected"] == true).count()
}

/// As many connections as slaves, one after the other, to a port where nobody says anything.
fn connections() -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let taking = thread::spawn(move || {
        let taken = listener.incoming().take(SLAVES);
        taken.collect::<Result<Vec<_>, _>>().expect("connections")
    });
    let begun = Instant::now();
    let made: Vec<_> = (0..SLAVES)
        .map(|_| TcpStream::connect(address).expect("connected"))
        .collect();
    let taken = taking.join().expect("taken");
    let elapsed = begun.elapsed();
    drop((made, taken));
    elapsed
}

fn millis(length: Duration) -> f64 {
    length.as_secs_f64() * 1000.0
}

/// The process of the master in `dir`.
fn pid_of(dir: &Path) -> Option<u32> {
    let dir = dir.to_string_lossy();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let is_master = line.contains("--nodaemon") && line.contains(&*dir);
        entry
            .file_name()
            .to_str()?
            .parse()
            .ok()
            .filter(|_| is_master)
    })
}

/// Kilobytes of memory.
fn resident(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let kb = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kb = kb.expect("a figure").trim().trim_end_matches(" kB");
    kb.parse().expect("a number")
}

/// Hundredths of a second that the processor worked for it.
fn ticks(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    // Behind the name, which may hold anything.
    let (_, rest) = stat.rsplit_once(')').expect("a name");
    let figures: Vec<f64> = rest.split(' ').filter_map(|it| it.parse().ok()).collect();
    // State and the first ten figures stand before them; the state is no number.
    figures[10] + figures[11]
}
