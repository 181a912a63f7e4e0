//! Builds of `true`: how many per second through four slots, and what each takes.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;

use autobot::fill_history;
use serde_json::Value;

use crate::buildbot::{Buildbot, LOOK};
use crate::farm::Farm;
use crate::figure::{Better, Figure, Report};
use crate::process::Process;
use crate::{LOCAL, floor, force, timed};

const BUILDERS: usize = 4;
const ROUNDS: usize = 5;
/// Of each builder in a round.
const EACH: usize = 150;
const PEER_EACH: usize = 10;
/// Builds that the masters have behind them, ten times as many, twice.
const HISTORIES: [(usize, &str); 3] = [
    (1_000, "tiny_rate_1k"),
    (10_000, "tiny_rate_10k"),
    (100_000, "tiny_rate_100k"),
];

pub(crate) fn measure(report: &mut Report) {
    // A sync costs nothing there.
    let fast = Path::new("/dev/shm");
    let mut ours = Ours::new(fast, 0);
    let mut peer = theirs(fast);
    let mut rate = Figure::new(
        "tiny_rate",
        "tiny builds, four at a time, on a tmpfs",
        "per s",
        Better::Higher,
    )
    .with_floor("spawn+wait, four at a time")
    .wanted(400.0);
    let mut work = Figure::new(
        "tiny_processor",
        "the master's processor time for each",
        "ms",
        Better::Lower,
    )
    .wanted(1.0);
    let mut disk = Figure::new("tiny_disk", "disk for each", "kB", Better::Lower).wanted(2.0);
    let mut sizes = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mine = ours.round(EACH);
        let other = peer.as_mut().map(round_of_peer);
        rate.round(
            mine.rate,
            other.as_ref().map(|it| it.rate),
            floor::spawn_rate,
        );
        work.round(mine.work, other.as_ref().map(|it| it.work), || f64::NAN);
        sizes.0.push(mine.size);
        sizes.1.extend(other.as_ref().map(|it| it.size));
    }
    let theirs = (!sizes.1.is_empty()).then(|| growth(&sizes.1, PEER_EACH));
    disk.round(growth(&sizes.0, EACH), theirs, || f64::NAN);
    report.add(rate);
    report.add(work);
    report.add(disk);
    drop((ours, peer));
    behind_histories(report, fast);
    syncs(report);
}

/// Whether builds get slower when more were built before.
fn behind_histories(report: &mut Report, at: &Path) {
    let mut all = HISTORIES.map(|(size, name)| {
        let what = format!("tiny builds behind {size} others");
        (
            Ours::new(at, size),
            Figure::new(name, what, "per s", Better::Higher),
        )
    });
    for _ in 0..ROUNDS {
        for (ours, figure) in &mut all {
            figure.round(ours.round(EACH).rate, None, || f64::NAN);
        }
    }
    for (_, figure) in all {
        report.add(figure);
    }
}

/// What a round gave, for each build where it says nothing else.
struct Round {
    /// Builds per second.
    rate: f64,
    /// Milliseconds.
    work: f64,
    /// Kilobytes of all there is after it.
    size: f64,
}

impl Round {
    fn of(builds: usize, dir: &Path, master: Process, act: impl FnOnce()) -> Self {
        let work = master.processor();
        let took = timed(act);
        let builds = builds as f64;
        Self {
            rate: builds / took.as_secs_f64(),
            work: (master.processor() - work) * 1000.0 / builds,
            size: size(dir) / 1000.0,
        }
    }
}

struct Ours {
    farm: Farm,
    done: usize,
}

impl Ours {
    /// A master that has built so many before.
    fn new(at: &Path, history: usize) -> Self {
        let mut ini = String::from(LOCAL);
        for it in 1..=BUILDERS {
            ini.push_str(&format!(
                "[t{it}]\ntype = shell\ncommands = true\nmerge_requests = no\n"
            ));
        }
        let mut farm = Farm::in_dir(at, &ini);
        fill_history(&farm.master_dir(), history, 0).expect("a history");
        farm.start_master();
        for it in 1..=BUILDERS {
            force(&farm, &format!("t{it}-linux"));
        }
        let ours = Self {
            farm,
            done: history / BUILDERS + 1,
        };
        for it in 1..=BUILDERS {
            ours.wait_done(&format!("t{it}-linux"));
        }
        ours
    }

    fn round(&mut self, each: usize) -> Round {
        let home = self.farm.path("");
        let master = Process(self.farm.master_pid());
        Round::of(BUILDERS * each, &home, master, || {
            for _ in 0..each {
                for it in 1..=BUILDERS {
                    force(&self.farm, &format!("t{it}-linux"));
                }
            }
            self.done += each;
            for it in 1..=BUILDERS {
                self.wait_done(&format!("t{it}-linux"));
            }
        })
    }
}

impl Ours {
    /// Waits as for the peer: who asks more often has a part of the work done for itself.
    fn wait_done(&self, builder: &str) {
        let path = format!("/json/builders/{builder}/builds/{}", self.done - 1);
        let is_done = |it: Value| !it["results"].is_null();
        while !self.farm.json(&path).is_some_and(is_done) {
            sleep(LOOK);
        }
    }
}

fn theirs(at: &Path) -> Option<Buildbot> {
    let builders: Vec<(String, &[&str])> = (1..=BUILDERS)
        .map(|it| (format!("t{it}"), &["true"] as &[&str]))
        .collect();
    Buildbot::warm(at, &builders)
}

fn round_of_peer(peer: &mut Buildbot) -> Round {
    Round::of(BUILDERS * PEER_EACH, &peer.dir(), peer.master(), || {
        force_peer(peer);
    })
}

fn force_peer(peer: &Buildbot) {
    let before = peer.builds();
    for _ in 0..PEER_EACH {
        for it in 1..=BUILDERS {
            peer.force(it);
        }
    }
    peer.wait_done();
    let built = usize::try_from(peer.builds() - before).expect("more");
    assert_eq!(built, BUILDERS * PEER_EACH, "no requests are merged");
}

/// What each build has left, once all is there that does not grow: the journal of the database,
/// the logs of the newest builds.
fn growth(sizes: &[f64], each: usize) -> f64 {
    let builds = (BUILDERS * each * (sizes.len() - 1)) as f64;
    (sizes[sizes.len() - 1] - sizes[0]) / builds
}

/// Bytes on the disk of all that is in the directory.
fn size(dir: &Path) -> f64 {
    let mut all = 0.0;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let Ok(data) = entry.metadata() else {
            continue;
        };
        all += data.blocks() as f64 * 512.0;
        if data.is_dir() {
            all += size(&entry.path());
        }
    }
    all
}

/// How often the master has the disk make things durable, on a disk where that takes time.
fn syncs(report: &mut Report) {
    let each = 25;
    let mut ours = Ours::new(&std::env::temp_dir(), 0);
    let mut figure = Figure::new(
        "tiny_syncs",
        "the master's fdatasyncs for each, under load, on a disk",
        "",
        Better::Lower,
    )
    .wanted(4.0);
    let mut rate = Figure::new(
        "tiny_rate_disk",
        "tiny builds, four at a time, on a disk",
        "per s",
        Better::Higher,
    );
    let mut peer = theirs(&std::env::temp_dir());
    let mine = ours.round(each);
    let other = peer.as_mut().map(round_of_peer);
    rate.round(mine.rate, other.map(|it| it.rate), || f64::NAN);
    report.add(rate);
    let master = Process(ours.farm.master_pid());
    let Some(mine) = counted(master, || {
        ours.round(each);
    }) else {
        eprintln!("strace is not here: syncs are not counted");
        return;
    };
    let other = peer.as_mut().and_then(|peer| {
        let all = counted(peer.master(), || force_peer(peer))?;
        Some(all / (BUILDERS * PEER_EACH) as f64)
    });
    figure.round(mine / (BUILDERS * each) as f64, other, || f64::NAN);
    report.add(figure);
}

/// How often the process syncs a file meanwhile.
fn counted(process: Process, act: impl FnOnce()) -> Option<f64> {
    let list = tempfile::NamedTempFile::new().expect("a file");
    let mut tracer: Child = Command::new("strace")
        .args([
            "-f",
            "-q",
            "-e",
            "trace=fsync,fdatasync,sync_file_range",
            "-o",
        ])
        .arg(list.path())
        .args(["-p", &process.0.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    // It is there when the kernel says so.
    let status = format!("/proc/{}/status", process.0);
    while !fs::read_to_string(&status)
        .unwrap_or_default()
        .lines()
        .any(|it| {
            it.strip_prefix("TracerPid:")
                .is_some_and(|it| it.trim() != "0")
        })
    {
        if tracer.try_wait().ok()?.is_some() {
            return None;
        }
        sleep(std::time::Duration::from_millis(5));
    }
    act();
    let pid = tracer.id().to_string();
    drop(Command::new("kill").args(["-INT", &pid]).status());
    drop(tracer.wait());
    let text = fs::read_to_string(list.path()).ok()?;
    let calls = text
        .lines()
        .filter(|it| it.contains("sync(") || it.contains("sync_file_range("));
    Some(calls.count() as f64)
}
