//! Many workers of Buildbot at once, a crowd of them in each process.

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Command, Stdio};

use crate::buildbot_programs::cached;
use crate::farm::{Farm, text};

/// In the test; `cargo bench --bench wire` has two hundred.
const WORKERS: usize = 60;
const IN_ONE: usize = 20;

/// Services of Buildbot's own worker, in one program for as many as are named.
const CROWD: &str = include_str!("buildbot_crowd.py");

struct Crowd(Vec<Child>);

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

#[test]
fn a_crowd_of_workers_connects_and_each_builds_once() {
    let mut ini = String::from("[a]\ntype = shell\ncommand = echo hi\n");
    for number in 0..WORKERS {
        let _ = write!(ini, "[slave:w{number}]\npassword = x\nfactories = a\n");
    }
    let mut farm = Farm::new(&ini);
    farm.start_master();
    let script = farm.path("crowd.py");
    fs::write(&script, CROWD).expect("written");
    let python = cached("AUTOBOT_TEST_TOOLS", "tools").join("bin/python");
    let start = |first: usize| {
        // Every other crowd comes over WebSockets.
        let protocol = match first / IN_ONE % 2 {
            0 => "pb",
            _ => "msgpack_experimental_v7",
        };
        let said = fs::File::create(farm.path(&format!("crowd{first}.out"))).expect("a file");
        Command::new(&python)
            .arg(&script)
            .args([&farm.slaveport.to_string(), protocol, "w"])
            .args([&first.to_string(), &(first + IN_ONE).to_string()])
            .arg(farm.path("crowd"))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said)
            .spawn()
            .expect("run")
    };
    let _crowd = Crowd((0..WORKERS).step_by(IN_ONE).map(start).collect());
    let connected = |farm: &Farm| {
        let slaves = farm.json("/json/slaves").unwrap_or_default();
        let slaves = slaves
            .as_object()
            .map(|it| it.values().cloned().collect::<Vec<_>>());
        let slaves = slaves.unwrap_or_default();
        slaves.iter().filter(|it| it["connected"] == true).count()
    };
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
