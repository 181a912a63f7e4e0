//! `kill -9` of a master that has much to do: how long until it works on.

use std::fmt::Write as _;
use std::time::Instant;

use crate::farm::Farm;
use crate::figure::{Better, Figure, Report};
use crate::{LOCAL, floor, force, ms, timed};

/// Requests that wait when it is killed, and the names of their rows.
const SIZES: [(usize, [&str; 2]); 3] = [
    (100, ["recovery_page_100", "recovery_build_100"]),
    (1_000, ["recovery_page_1k", "recovery_build_1k"]),
    (10_000, ["recovery_page_10k", "recovery_build_10k"]),
];
const ROUNDS: usize = 5;
const BUILDERS: usize = 20;

pub(crate) fn measure(report: &mut Report) {
    for (waiting, names) in SIZES {
        after_a_kill(report, waiting, names);
    }
}

fn after_a_kill(report: &mut Report, waiting: usize, names: [&'static str; 2]) {
    // One build runs as long as it is wanted, so that all the others wait.
    let mut ini = format!("{LOCAL}max_builds = 1\n");
    for it in 0..BUILDERS {
        let _ = write!(
            ini,
            "[b{it}]\ntype = shell\ncommands = sleep 3600\nmerge_requests = no\n"
        );
    }
    let mut farm = Farm::new(&ini);
    farm.start_master();
    for it in 0..waiting {
        force(&farm, &format!("b{}-linux", it % BUILDERS));
    }
    running(&mut farm);
    let mut page = Figure::new(
        names[0],
        format!("first page after `kill -9` with {waiting} requests"),
        "ms",
        Better::Lower,
    )
    .with_floor("fork+exec");
    let mut build = Figure::new(
        names[1],
        format!("the build that ran goes on after `kill -9` with {waiting} requests"),
        "ms",
        Better::Lower,
    )
    .with_floor("fork+exec");
    for _ in 0..ROUNDS {
        farm.kill_master();
        let began = Instant::now();
        page.round(ms(timed(|| farm.start_master())), None, floor::fork_exec);
        running(&mut farm);
        build.round(ms(began.elapsed()), None, floor::fork_exec);
    }
    report.add(page);
    report.add(build);
}

/// Waits until the slave is here and a build runs on it.
fn running(farm: &mut Farm) {
    farm.wait("a build that runs", |farm| {
        let slave = farm.json("/json/slaves/linux")?;
        let runs = slave["runningBuilds"].as_array()?;
        (slave["connected"] == true && !runs.is_empty()).then_some(())
    });
}
