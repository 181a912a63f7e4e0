//! A hundred builds of many chatty steps while master and slave are killed,
//! stopped and cut off at random moments: each command runs once, and what it
//! said is there to the byte. The same promise is played over thousands of
//! seeds in `src/tests/simulation`.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::farm::{Farm, text};
use crate::proxy::Proxy;

const STEPS: usize = 5;
/// In each of four tests, besides one that nothing happens to.
const BUILDS: i64 = 25;

#[test]
fn killed_masters_lose_nothing() {
    torture(1, &[Fault::KillMaster, Fault::StopMaster]);
}

#[test]
fn killed_slaves_lose_nothing() {
    torture(2, &[Fault::KillSlave, Fault::StopSlave]);
}

#[test]
fn lines_that_stall_and_break_lose_nothing() {
    torture(3, &[Fault::Stall, Fault::Cut, Fault::StopMaster]);
}

#[test]
fn whatever_is_killed_nothing_is_lost() {
    torture(
        4,
        &[
            Fault::KillBoth,
            Fault::KillMaster,
            Fault::KillSlave,
            Fault::Stall,
            Fault::Cut,
            Fault::StopMaster,
            Fault::StopSlave,
        ],
    );
}

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    KillMaster,
    KillSlave,
    KillBoth,
    StopMaster,
    StopSlave,
    Stall,
    Cut,
}

/// Prints lines in bursts, on both outputs, and leaves its mark once.
fn command(step: usize) -> String {
    format!(
        "n=0; while [ $n -lt 150 ]; do n=$((n+1)); echo step {step} says line $n of 150; \
         [ $((n %% 50)) -ne 0 ] || {{ echo so far $n >&2; sleep 0.02; }}; done; echo {step} >> ran"
    )
}

/// Numbers that follow from a seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    /// Lets a random time go by: the moment is what is random here.
    fn pass(&mut self, below_ms: u64) {
        thread::sleep(Duration::from_millis(self.below(below_ms)));
    }
}

fn torture(seed: u64, faults: &[Fault]) {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let commands: Vec<String> = (0..STEPS).map(command).collect();
    let mut farm = Farm::new(&format!(
        "heartbeat = 2s\n[slave:linux]\npassword = secret\nfactories = chat\n\n\
         [chat]\ntype = shell\ncommands =\n    {}\n",
        commands.join("\n    ")
    ));
    farm.start_master();
    let proxy = Proxy::to(farm.slaveport);
    let start_slave = |farm: &mut Farm| {
        let master = format!("127.0.0.1:{}", proxy.port);
        farm.start_slave_at("linux", &master, "password = secret\n");
    };
    start_slave(&mut farm);
    let undisturbed = {
        force(&farm);
        farm.wait_builds("chat-linux", 1);
        said(&mut farm, 0)
    };
    assert!(undisturbed.iter().all(|it| it.lines().count() > 150));

    for number in 1..=BUILDS {
        force(&farm);
        let mut story = Vec::new();
        for _ in 0..1 + chance.below(2) {
            chance.pass(250);
            let which = usize::try_from(chance.below(faults.len() as u64)).expect("few");
            let fault = faults[which];
            story.push(fault);
            match fault {
                Fault::KillMaster => {
                    farm.kill_master();
                    chance.pass(50);
                    farm.start_master();
                }
                Fault::KillSlave => {
                    farm.kill_slave();
                    chance.pass(100);
                    start_slave(&mut farm);
                }
                Fault::KillBoth => {
                    farm.kill_slave();
                    chance.pass(20);
                    farm.kill_master();
                    chance.pass(50);
                    start_slave(&mut farm);
                    farm.start_master();
                }
                Fault::StopMaster => {
                    farm.signal_master("STOP");
                    chance.pass(200);
                    farm.signal_master("CONT");
                }
                Fault::StopSlave => {
                    farm.signal_slave("STOP");
                    chance.pass(200);
                    farm.signal_slave("CONT");
                }
                Fault::Stall => {
                    proxy.stall(true);
                    chance.pass(300);
                    proxy.stall(false);
                }
                Fault::Cut => proxy.cut(),
            }
        }
        let count = usize::try_from(number).expect("few") + 1;
        let build = farm.wait_builds("chat-linux", count);
        let what = format!("seed {seed}, build {number}, {story:?}");
        assert_eq!(build["results"], 0, "{what}: {build:#}");
        for (step, (now, before)) in said(&mut farm, number).iter().zip(&undisturbed).enumerate() {
            assert!(now == before, "{what}: step {step} said\n{now}");
        }
    }

    let builds = farm.json("/json/builders/chat-linux/builds").expect("JSON");
    let builds = builds.as_object().expect("numbers").len();
    assert_eq!(
        builds,
        usize::try_from(BUILDS).expect("few") + 1,
        "none is doubled"
    );
    let ran = fs::read_to_string(farm.path("linux/chat-linux/build/ran")).expect("it ran");
    let once: String = (0..STEPS).map(|step| format!("{step}\n")).collect();
    assert_eq!(ran, once.repeat(builds), "each command ran once, in order");
    let left = fs::read_dir(farm.path("linux/spool")).expect("a spool");
    for master in left.flatten().filter(|it| it.path().is_dir()) {
        farm.wait("an empty spool", |_| {
            let commands = fs::read_dir(master.path()).expect("readable").flatten();
            (commands.filter(|it| it.path().is_dir()).count() == 0).then_some(())
        });
    }
}

/// Asks for a build of its own: the others of the same source would become one.
fn force(farm: &Farm) {
    let forced = farm.autobot(&["force", "chat-linux"]);
    assert!(forced.status.success(), "{}", text(&forced));
}

/// What each step said, and how often its end was told.
fn said(farm: &mut Farm, number: i64) -> Vec<String> {
    (0..STEPS)
        .map(|step| {
            let name = match step {
                0 => "shell".to_owned(),
                _ => format!("shell_{step}"),
            };
            let log = farm.log("chat-linux", number, &name);
            // Between the two outputs there is no order, but within each there is.
            let kinds = ["step ", "so far ", "program "].iter();
            let lines = kinds.flat_map(|kind| log.lines().filter(move |it| it.starts_with(*kind)));
            lines.collect::<Vec<_>>().join("\n")
        })
        .collect()
}
