//! Many slaves: how long until all are connected, and what a master takes for each of them.

use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::buildbot::Buildbot;
use crate::farm::Farm;
use crate::figure::{Better, Figure, Report};
use crate::process::Process;
use crate::{floor, ms, timed};

const SIZES: [(&str, usize); 3] = [
    ("slaves_50", PEERS),
    ("slaves_150", 150),
    ("slaves_500", 500),
];
/// As many as Buildbot is asked to take.
const PEERS: usize = 50;
const ROUNDS: usize = 3;
/// A disk looks the longer for a place for a file the more were deleted just before, by the
/// round before.
const FAST: &str = "/dev/shm";
/// What coming took is no part of staying.
const SETTLE: Duration = Duration::from_secs(5);
const REST: Duration = Duration::from_secs(15);

pub(crate) fn measure(report: &mut Report) {
    for (name, count) in SIZES {
        let mut figure = Figure::new(
            name,
            format!("{count} slaves, each a process, from their start until all are connected"),
            "ms",
            Better::Lower,
        )
        .with_floor("fork+exec and a bare connection of each");
        let is_last = count == SIZES[SIZES.len() - 1].1;
        for round in 0..ROUNDS {
            let mut crowd = Ours::new(count);
            let ours = crowd.come(count);
            let theirs = (count == PEERS).then(theirs).flatten();
            figure.round(ours, theirs, || alone(count));
            if is_last && round == ROUNDS - 1 {
                crowd.rest(count, report);
            }
        }
        report.add(figure);
    }
}

struct Ours {
    farm: Farm,
    /// Megabytes of the master before anybody came.
    alone: f64,
}

impl Ours {
    fn new(count: usize) -> Self {
        let mut ini = String::from("builders = factory\n[a]\ntype = shell\ncommands = true\n");
        for number in 0..count {
            let _ = write!(ini, "[slave:s{number}]\npassword = secret\nfactories = a\n");
        }
        let mut farm = Farm::in_dir(Path::new(FAST), &ini);
        farm.start_master();
        let alone = Process(farm.master_pid()).memory("VmRSS:");
        Self { farm, alone }
    }

    /// Milliseconds until all are there.
    fn come(&mut self, count: usize) -> f64 {
        ms(timed(|| {
            for number in 0..count {
                self.farm.start_slave(&format!("s{number}"));
            }
            // Asking for all again and again would be what is measured.
            let last = format!("/json/slaves/s{}", count - 1);
            self.farm.wait("the last slave", |farm| {
                (farm.json(&last)?["connected"] == true).then_some(())
            });
            self.farm.wait("all slaves", |farm| {
                let slaves = farm.json("/json/slaves")?;
                let all = slaves.as_object()?.values();
                let there = all.filter(|it| it["connected"] == true).count();
                (there == count).then_some(())
            });
        }))
    }

    /// What they cost while nothing happens.
    fn rest(&self, count: usize, report: &mut Report) {
        thread::sleep(SETTLE);
        let master = Process(self.farm.master_pid());
        let (before, since) = (master.processor(), Instant::now());
        thread::sleep(REST);
        let busy = (master.processor() - before) / since.elapsed().as_secs_f64();
        let mut figure = Figure::new(
            "slaves_memory",
            "the master's memory for each of them",
            "kB",
            Better::Lower,
        );
        let each = (master.memory("VmRSS:") - self.alone) * 1024.0 / count as f64;
        figure.autobot.push(each);
        report.add(figure);
        let mut figure = Figure::new(
            "slaves_processor",
            format!("the master's processor with {count} idle slaves"),
            "%",
            Better::Lower,
        );
        figure.autobot.push(busy * 100.0);
        report.add(figure);
    }
}

/// Milliseconds until Buildbot has as many workers, which share a process: their own start is not
/// in it.
fn theirs() -> Option<f64> {
    let mut peer = Buildbot::with_workers(Path::new(FAST), PEERS)?;
    peer.start_master();
    peer.start_crowd(PEERS);
    let first = peer.wait("the first worker", |it| {
        (it.connected()? > 0).then(Instant::now)
    });
    let last = peer.wait("all workers", |it| {
        (it.connected()? == PEERS).then(Instant::now)
    });
    Some(ms(last - first))
}

/// Milliseconds for as many of the smallest of programs and as many connections, one after the
/// other.
fn alone(count: usize) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let taking = thread::spawn(move || {
        let taken = listener.incoming().take(count);
        taken.collect::<Result<Vec<_>, _>>().expect("connections")
    });
    let began = Instant::now();
    let made: Vec<_> = (0..count)
        .map(|_| {
            floor::fork_exec();
            TcpStream::connect(address).expect("connected")
        })
        .collect();
    let taken = taking.join().expect("taken");
    let took = began.elapsed();
    drop((made, taken));
    ms(took)
}
