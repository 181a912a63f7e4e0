//! Many workers of Buildbot at once, a crowd of them in each process.

use std::fmt::Write as _;

use crate::buildbot_programs::{Crowd, connected};
use crate::farm::{Farm, text};

/// In the test; `cargo bench --bench wire` has two hundred.
const WORKERS: usize = 60;
const IN_ONE: usize = 20;

#[test]
fn a_crowd_of_workers_connects_and_each_builds_once() {
    let mut ini = String::from("[a]\ntype = shell\ncommand = echo hi\n");
    for number in 0..WORKERS {
        let _ = write!(ini, "[slave:w{number}]\npassword = x\nfactories = a\n");
    }
    let mut farm = Farm::new(&ini);
    farm.start_master();
    let start = |first: usize| {
        // Every other crowd comes over WebSockets.
        let protocol = match first / IN_ONE % 2 {
            0 => "pb",
            _ => "msgpack_experimental_v7",
        };
        Crowd::start(&farm, first..first + IN_ONE, protocol)
    };
    let _crowds: Vec<Crowd> = (0..WORKERS).step_by(IN_ONE).map(start).collect();
    farm.wait("the crowd", |farm| {
        (connected(farm) == WORKERS).then_some(())
    });
    for number in 0..WORKERS {
        let forced = farm.autobot(&["force", &format!("a-w{number}")]);
        assert!(forced.status.success(), "{}", text(&forced));
    }
    for number in 0..WORKERS {
        let build = farm.wait_builds(&format!("a-w{number}"), 1);
        assert_eq!(build["results"], 0, "{build:#}");
    }
    assert_eq!(connected(&farm), WORKERS, "none was lost");
}
