//! Commands that say much: how fast it is stored, what memory that takes, how fast it is had back.

use std::env;
use std::path::Path;

use crate::buildbot::Buildbot;
use crate::farm::Farm;
use crate::figure::{Better, Figure, Report};
use crate::process::Process;
use crate::{LOCAL, floor, force, http, ms, timed};

const ROUNDS: usize = 3;

/// A kind of much.
struct Much {
    name: &'static str,
    what: &'static str,
    memory: [&'static str; 2],
    bytes: usize,
    line: bool,
    wanted: Option<f64>,
    /// Whether the peer is asked, too: a line that is very long takes it minutes.
    asks_peer: bool,
}

const ALL: [Much; 3] = [
    Much {
        name: "log_lines",
        what: "1,000,000 lines of 80 bytes",
        memory: ["log_lines_master", "log_lines_slave"],
        bytes: 80_000_000,
        line: false,
        wanted: Some(150.0),
        asks_peer: true,
    },
    Much {
        name: "log_100mb",
        what: "100 MB",
        memory: ["log_100mb_master", "log_100mb_slave"],
        bytes: 100_000_000,
        line: false,
        wanted: None,
        asks_peer: false,
    },
    Much {
        name: "log_line",
        what: "one line of 10 MB",
        memory: ["log_line_master", "log_line_slave"],
        bytes: 10_000_000,
        line: true,
        wanted: None,
        asks_peer: false,
    },
];

pub(crate) fn measure(report: &mut Report) {
    let sources = tempfile::tempdir().expect("a directory");
    for much in &ALL {
        let source = sources.path().join(much.name);
        if much.line {
            std::fs::write(&source, vec![b'x'; much.bytes]).expect("written");
        } else {
            floor::write_lines(&source, much.bytes);
        }
        through(report, much, &source);
    }
}

fn through(report: &mut Report, much: &Much, source: &Path) {
    let mut farm = Farm::new(&format!(
        "{LOCAL}[loud]\ntype = shell\ncommands = cat {}\n[quiet]\ntype = shell\ncommands = true\n",
        source.display()
    ));
    farm.start_master();
    farm.force("quiet-linux", &[]);
    let home = farm.path("").to_string_lossy().into_owned();
    let master = Process(farm.master_pid());
    let slave = Process::with(&["__slave", &home]).expect("a slave");
    let idle = [master, slave].map(|it| it.memory("VmRSS:"));
    let cat = source.to_string_lossy().into_owned();
    let mut peer = Buildbot::new(
        &env::temp_dir(),
        &[("loud".to_owned(), &["cat", &cat] as &[&str])],
    )
    .filter(|_| much.asks_peer);
    if let Some(peer) = &mut peer {
        peer.start_master();
        peer.start_worker();
    }
    let rate = |took: std::time::Duration| much.bytes as f64 / 1e6 / took.as_secs_f64();
    let mut figure = Figure::new(
        much.name,
        format!("log intake: {}", much.what),
        "MB/s",
        Better::Higher,
    )
    .with_floor("through a pipe into a file");
    figure.wanted = much.wanted;
    for round in 0..ROUNDS {
        let ours = rate(timed(|| {
            force(&farm, "loud-linux");
            farm.wait_builds("loud-linux", round + 1);
        }));
        let theirs = peer.as_ref().filter(|_| round == 0).map(|peer| {
            rate(timed(|| {
                peer.force(1);
                peer.wait_done();
            }))
        });
        let to = farm.path("floor");
        figure.round(ours, theirs, || rate(floor::through_a_pipe(source, &to)));
    }
    report.add(figure);
    for (place, (who, process)) in [("master", master), ("slave", slave)]
        .into_iter()
        .enumerate()
    {
        let mut figure = Figure::new(
            much.memory[place],
            format!("… the {who}'s memory at most, above idle"),
            "MB",
            Better::Lower,
        )
        .wanted(10.0);
        figure.round(process.memory("VmHWM:") - idle[place], None, || f64::NAN);
        report.add(figure);
    }
    if much.name == "log_100mb" {
        download(report, &farm);
    }
}

/// The whole log, beside a file of the same size from the same server.
fn download(report: &mut Report, farm: &Farm) {
    let public = farm.master_dir().join("public_html");
    std::fs::create_dir_all(&public).expect("a directory");
    let path = "/builders/loud-linux/builds/0/steps/shell/logs/stdio/text";
    let log = http::get(farm.htmlport, path).expect("a log");
    assert_eq!(log.status, 200);
    std::fs::write(public.join("floor.txt"), &log.body).expect("written");
    let mut figure = Figure::new(
        "log_download",
        format!("download of a log of {} MB", log.body.len() / 1_000_000),
        "ms",
        Better::Lower,
    )
    .with_floor("a file from the same server");
    for _ in 0..5 {
        let ours = http::get(farm.htmlport, path).expect("a log");
        let floor = http::get(farm.htmlport, "/floor.txt").expect("a file");
        assert_eq!(floor.body.len(), ours.body.len());
        figure.round(ms(ours.whole), None, || ms(floor.whole));
    }
    report.add(figure);
}
