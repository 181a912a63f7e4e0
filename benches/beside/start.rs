//! From starting a master to its first page.

use std::env;

use crate::buildbot::Buildbot;
use crate::farm::Farm;
use crate::figure::{Better, Figure, Report};
use crate::{LOCAL, floor, ms, timed};

const ROUNDS: usize = 11;
/// One start of the peer takes seconds.
const PEER_ROUNDS: usize = 3;

pub(crate) fn measure(report: &mut Report) {
    let mut farm = Farm::new(&format!("{LOCAL}[hi]\ntype = shell\ncommands = echo hi\n"));
    let mut peer = Buildbot::new(
        &env::temp_dir(),
        &[("hi".to_owned(), &["echo", "hi"] as &[&str])],
    );
    let mut figure = Figure::new(
        "cold_start",
        "cold start to the first page",
        "ms",
        Better::Lower,
    )
    .with_floor("fork+exec")
    .wanted(15.0);
    for round in 0..ROUNDS {
        let ours = ms(timed(|| farm.start_master()));
        farm.kill_master();
        let theirs = peer.as_mut().filter(|_| round < PEER_ROUNDS).map(|peer| {
            let took = ms(timed(|| peer.start_master()));
            peer.kill_master();
            took
        });
        figure.round(ours, theirs, floor::fork_exec);
    }
    report.add(figure);
    let size = std::fs::metadata(crate::farm::AUTOBOT).map_or(0, |it| it.len());
    let mut figure = Figure::new("binary", "the program's file", "MB", Better::Lower).wanted(20.0);
    figure.autobot.push(size as f64 / 1e6);
    report.add(figure);
}
