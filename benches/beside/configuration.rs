//! A configuration of 1,000 builders: reading it, and taking it over while running.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::buildbot;
use crate::farm::{self, Farm};
use crate::figure::{Better, Figure, Report};
use crate::{floor, ms, timed};

const ROUNDS: usize = 7;
const PEER_ROUNDS: usize = 2;

/// Builders of each configuration, and the names of their rows.
const SIZES: [(usize, [&str; 2]); 3] = [
    (100, ["checkconfig_100", "reconfig_100"]),
    (1_000, ["checkconfig_1k", "reconfig_1k"]),
    (10_000, ["checkconfig_10k", "reconfig_10k"]),
];

pub(crate) fn measure(report: &mut Report) {
    for (builders, names) in SIZES {
        check(report, builders, names[0]);
        take_over(report, builders, names[1]);
    }
}

fn ini(builders: usize, comment: usize) -> String {
    let mut text = String::from("[slave:s]\npassword = x\n");
    for it in 0..builders {
        let said = if it == 7 { comment } else { 0 };
        let _ = write!(text, "[f{it}]\ntype = shell\ncommands = echo {it}.{said}\n");
        let _ = write!(text, "[builder:b{it}]\nfactory = f{it}\nslaves = s\n");
    }
    text
}

fn check(report: &mut Report, builders: usize, name: &'static str) {
    let farm = Farm::new(&ini(builders, 0));
    let dir = farm.master_dir().to_string_lossy().into_owned();
    let peer_dir = tempfile::tempdir().expect("a directory");
    let peer = buildbot::programs().filter(|_| builders <= 1_000);
    fs::write(peer_dir.path().join("master.cfg"), cfg(builders)).expect("written");
    let mut figure = Figure::new(
        name,
        format!("`checkconfig` of {builders} builders"),
        "ms",
        Better::Lower,
    )
    .with_floor("fork+exec");
    for round in 0..ROUNDS {
        let ours = ms(timed(|| {
            run(Path::new(farm::AUTOBOT), &["checkconfig", "-q", &dir])
        }));
        let theirs = peer
            .as_ref()
            .filter(|_| round < PEER_ROUNDS)
            .map(|programs| {
                let file = peer_dir.path().join("master.cfg");
                let file = file.to_string_lossy().into_owned();
                ms(timed(|| {
                    run(&programs.join("buildbot"), &["checkconfig", "-q", &file]);
                }))
            });
        figure.round(ours, theirs, floor::fork_exec);
    }
    report.add(figure);
}

fn cfg(builders: usize) -> String {
    let mut text = String::from(
        "from buildbot.plugins import schedulers, steps, util, worker\n\
         c = BuildmasterConfig = {}\n\
         c['workers'] = [worker.Worker('w', 'x')]\n\
         c['protocols'] = {'pb': {'port': 'tcp:0:interface=127.0.0.1'}}\n\
         c['buildbotNetUsageData'] = None\n\
         c['builders'] = []\n",
    );
    let _ = writeln!(
        text,
        "c['schedulers'] = [schedulers.ForceScheduler(name='force', \
         builderNames=['b%d' % it for it in range({builders})])]"
    );
    for it in 0..builders {
        let _ = writeln!(
            text,
            "c['builders'].append(util.BuilderConfig(name='b{it}', workernames=['w'], \
             factory=util.BuildFactory([steps.ShellCommand(command='echo {it}')])))"
        );
    }
    text
}

fn run(program: &Path, args: &[&str]) {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("run");
    assert!(output.status.success(), "{}", farm::text(&output));
}

fn take_over(report: &mut Report, builders: usize, name: &'static str) {
    let mut farm = Farm::new(&ini(builders, 0));
    let dir = farm.master_dir().to_string_lossy().into_owned();
    run(Path::new(farm::AUTOBOT), &["start", &dir]);
    let mut figure = Figure::new(
        name,
        format!("`reconfig` of a running master with {builders} builders, one line changed"),
        "ms",
        Better::Lower,
    )
    .with_floor("`autobot status` of the same master");
    for round in 1..=ROUNDS {
        farm.write_ini(&ini(builders, round));
        let ours = ms(timed(|| run(Path::new(farm::AUTOBOT), &["reconfig", &dir])));
        figure.round(ours, None, || {
            ms(timed(|| run(Path::new(farm::AUTOBOT), &["status", &dir])))
        });
    }
    report.add(figure);
    run(Path::new(farm::AUTOBOT), &["stop", &dir]);
    farm.wait("its end", |farm| farm.get("/").is_none().then_some(()));
}
