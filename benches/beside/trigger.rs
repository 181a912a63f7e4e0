//! From asking for a build to the first byte of its command in the log as the web serves it.

use std::env;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::buildbot::Buildbot;
use crate::farm::Farm;
use crate::figure::{Better, Figure, Report, Samples};
use crate::{LOCAL, floor, force, http, ms, timed};

const ROUNDS: usize = 60;
/// One build of the peer takes a quarter of a second.
const PEER_ROUNDS: usize = 15;
const QUIET_ROUNDS: usize = 9;

pub(crate) fn measure(report: &mut Report) {
    let mut farm = Farm::new(&format!(
        "{LOCAL}[hi]\ntype = shell\ncommands = echo first-byte\n"
    ));
    farm.start_master();
    farm.force("hi-linux", &[]);
    let peer = Buildbot::warm(
        &env::temp_dir(),
        &[("hi".to_owned(), &["echo", "first-byte"] as &[&str])],
    );
    let mut figure = Figure::new(
        "trigger",
        "trigger to the first byte of output",
        "ms",
        Better::Lower,
    )
    .with_floor("fork+exec")
    .wanted(5.0);
    for round in 1..=ROUNDS {
        let path = format!("/builders/hi-linux/builds/{round}/steps/shell/logs/stdio/text");
        let ours = ms(timed(|| {
            force(&farm, "hi-linux");
            // The headers hold the command, too: its output is a line of its own. The log is
            // there long before that; who asks for it all the time has the master answer that.
            while http::follow(farm.htmlport, &path, "first-byte").is_none() {
                sleep(Duration::from_millis(1));
            }
        }));
        farm.wait_builds("hi-linux", round + 1);
        let theirs = peer.as_ref().filter(|_| round <= PEER_ROUNDS).map(|peer| {
            let path = format!("/builds/{}/steps/1/logs/stdio/contents", round + 1);
            let took = ms(timed(|| {
                peer.force(1);
                peer.wait("the first byte", |it| {
                    let log = it.json(&path)?;
                    let text = log["logchunks"][0]["content"].as_str()?.to_owned();
                    text.contains("\nofirst-byte").then_some(())
                });
            }));
            peer.wait_done();
            took
        });
        figure.round(ours, theirs, floor::fork_exec);
    }
    let mut late =
        Figure::new("trigger_p95", "the same, 95 of 100", "ms", Better::Lower).wanted(10.0);
    late.autobot = Samples::from_iter([figure.autobot.at(95)]);
    if !figure.buildbot.is_empty() {
        late.buildbot = Samples::from_iter([figure.buildbot.at(95)]);
    }
    report.add(figure);
    report.add(late);
    report.add(quiet());
}

/// From a line that a command prints, after it was quiet for a while, until who follows its log
/// has it.
fn quiet() -> Figure {
    let mut farm = Farm::new(&format!(
        "{LOCAL}[hi]\ntype = shell\ncommands = sleep 0.3; date +at=%%s%%N; sleep 0.3\n"
    ));
    farm.start_master();
    let mut figure = Figure::new(
        "quiet",
        "a line of a quiet command, until who follows its log has it",
        "ms",
        Better::Lower,
    )
    .wanted(200.0);
    for round in 0..QUIET_ROUNDS {
        force(&farm, "hi-linux");
        let path = format!("/builders/hi-linux/builds/{round}/steps/shell/logs/stdio/text");
        let said = loop {
            if let Some(said) = http::follow(farm.htmlport, &path, "at=") {
                break said;
            }
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("later");
        let printed: u64 = said.parse().expect("nanoseconds");
        let late = now.saturating_sub(Duration::from_nanos(printed));
        figure.round(ms(late), None, || f64::NAN);
        farm.wait_builds("hi-linux", round + 1);
    }
    figure
}
