//! What master and slave take while nothing happens.

use std::env;
use std::thread::sleep;
use std::time::Duration;

use crate::LOCAL;
use crate::buildbot::Buildbot;
use crate::farm::Farm;
use crate::figure::{Better, Figure, Report};
use crate::process::Process;

/// Threads that a busy moment needed end within this time.
const SETTLE: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_secs(20);

pub(crate) fn measure(report: &mut Report) {
    let mut farm = Farm::new(&format!("{LOCAL}[hi]\ntype = shell\ncommands = echo hi\n"));
    farm.start_master();
    farm.force("hi-linux", &[]);
    let peer = Buildbot::warm(
        &env::temp_dir(),
        &[("hi".to_owned(), &["echo", "hi"] as &[&str])],
    );
    let home = farm.path("").to_string_lossy().into_owned();
    let master = Process(farm.master_pid());
    let slave = Process::with(&["__slave", &home]).expect("a slave");
    sleep(SETTLE);
    let all = [
        ("master", master, peer.as_ref().map(Buildbot::master), 10.0),
        ("slave", slave, peer.as_ref().map(Buildbot::worker), 5.0),
    ];
    let count = |it: Process| (it.wake_ups(), it.processor());
    let before: Vec<_> = all
        .iter()
        .map(|(_, ours, theirs, _)| (count(*ours), theirs.map(count)))
        .collect();
    sleep(LOOK);
    for ((who, ours, theirs, wanted), (mine, others)) in all.into_iter().zip(before) {
        let (memory, own, wakes) = match who {
            "master" => ("idle_memory_master", "idle_own_master", "idle_wakes_master"),
            _ => ("idle_memory_slave", "idle_own_slave", "idle_wakes_slave"),
        };
        let mut figure = Figure::new(
            memory,
            format!("memory of an idle {who}"),
            "MB",
            Better::Lower,
        )
        .wanted(wanted);
        figure.round(
            ours.memory("VmRSS:"),
            theirs.map(|it| it.memory("VmRSS:")),
            || f64::NAN,
        );
        report.add(figure);
        let what = "… of which its own, not the file of its program";
        let mut figure = Figure::new(own, what, "MB", Better::Lower);
        figure.round(
            ours.memory("RssAnon:"),
            theirs.map(|it| it.memory("RssAnon:")),
            || f64::NAN,
        );
        report.add(figure);
        let per_second = |now: f64, before: f64| (now - before) / LOOK.as_secs_f64();
        let mut figure = Figure::new(
            wakes,
            format!("wake-ups of an idle {who}"),
            "per s",
            Better::Lower,
        )
        .wanted(2.0);
        let theirs = theirs.zip(others);
        figure.round(
            per_second(ours.wake_ups(), mine.0).max(0.0),
            theirs.map(|(it, before)| per_second(it.wake_ups(), before.0)),
            || f64::NAN,
        );
        report.add(figure);
    }
}
