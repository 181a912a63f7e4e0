//! Buildbot's own slaves, from the Python registry and unchanged: the same build there and on a
//! slave of autobot, one that is killed, and one with a wrong password.

use std::env;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;

use serde_json::Value;

use crate::farm::Farm;
use crate::farm::commit;
use crate::farm::git_init;
use crate::farm::property;
use crate::farm::text;

/// `buildbot-worker` of an environment that `scripts/test.sh` makes.
fn newest() -> PathBuf {
    let dir = env::var_os("AUTOBOT_TEST_TOOLS").map(PathBuf::from);
    let home = env::var_os("HOME").map(|it| Path::new(&it).join(".cache/autobot-test/tools"));
    let dir = dir.or(home).expect("AUTOBOT_TEST_TOOLS is set");
    let program = dir.join("bin/buildbot-worker");
    assert!(program.exists(), "{program:?}: run scripts/test.sh once");
    program
}

/// A worker in the foreground; it ends with the test.
struct Worker(Child);

impl Worker {
    fn start(farm: &Farm, name: &str, password: &str) -> Self {
        let dir = farm.path(name);
        if !dir.exists() {
            let master = format!("127.0.0.1:{}", farm.slaveport);
            let made = Command::new(newest())
                .arg("create-worker")
                .args([
                    dir.as_os_str(),
                    master.as_ref(),
                    name.as_ref(),
                    password.as_ref(),
                ])
                .output()
                .expect("run");
            assert!(made.status.success(), "{}", text(&made));
        }
        let said = fs::File::create(farm.path(&format!("{name}.out"))).expect("a file");
        let child = Command::new(newest())
            .args(["start", "--nodaemon"])
            .arg(&dir)
            // Its programs are not the tests' own.
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said)
            .spawn()
            .expect("run");
        Self(child)
    }

    fn kill(mut self, farm: &Farm, name: &str) {
        drop(self.0.kill());
        drop(self.0.wait());
        drop(fs::remove_file(farm.path(name).join("twistd.pid")));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

const RECIPE: &str = r#"
git = "GIT"

[[steps]]
type = "shell"
name = "talk"
command = "echo out; echo err >&2; cat a.txt; rm -rf d && mkdir -p d/sub && echo x > d/x && echo y > d/sub/y && ln -s x d/l"

[[steps]]
type = "shell"
name = "words"
command = ["printf", "%%s|%%s\n", "a b", "$HOME"]

[[steps]]
type = "file_upload"
name = "up"
slavesrc = "a.txt"
masterdest = "got/%(buildername)s.txt"

[[steps]]
type = "directory_upload"
name = "updir"
slavesrc = "d"
masterdest = "got/%(buildername)s"

[[steps]]
type = "file_download"
name = "down"
mastersrc = "big.bin"
slavedest = "down.bin"

[[steps]]
type = "set_property"
command = "wc -c < down.bin"
property = "bytes"

[[steps]]
type = "shell"
name = "bad"
command = "echo no; exit 3"
flunk_on_failure = true
"#;

fn farm(recipe: &str) -> Farm {
    let ini = "[slave:native]\npassword = pw1\nfactories = all\n\n[slave:worker]\npassword = pw2\n\
               factories = all\n\n[all]\n";
    let mut farm = Farm::new(ini);
    let repository = farm.path("repository");
    fs::create_dir(&repository).expect("a directory");
    git_init(&repository, "master");
    fs::write(repository.join("a.txt"), "first\n").expect("written");
    commit(&repository, "one");
    let dir = farm.master_dir();
    fs::create_dir(dir.join("factories")).expect("a directory");
    let recipe = recipe.replace("GIT", &format!("file://{}", repository.display()));
    fs::write(dir.join("factories/all.toml"), recipe).expect("written");
    let big: Vec<u8> = (0..1_500_000_u32).map(|it| (it % 251) as u8).collect();
    fs::write(dir.join("big.bin"), big).expect("written");
    farm.start_master();
    farm
}

fn wait_for(farm: &mut Farm, slave: &str, connected: bool) {
    let path = format!("/json/slaves/{slave}");
    farm.wait("the slave", |farm| {
        farm.json(&path).filter(|it| it["connected"] == connected)
    });
}

/// What is the same wherever a build runs.
fn shape(build: &Value) -> Vec<(Value, Value, Value)> {
    let steps = build["steps"].as_array().expect("steps").iter();
    steps
        .map(|it| {
            (
                it["name"].clone(),
                it["text"].clone(),
                it["results"][0].clone(),
            )
        })
        .collect()
}

#[test]
fn a_build_on_a_slave_of_buildbot_is_the_build_on_a_slave_of_autobot() {
    let mut farm = farm(RECIPE);
    farm.start_slave_with("native", "pw1");
    let _worker = Worker::start(&farm, "worker", "pw2");
    wait_for(&mut farm, "native", true);
    wait_for(&mut farm, "worker", true);
    let here = farm.force("all-native", &[]);
    let there = farm.force("all-worker", &[]);
    assert_eq!(shape(&there), shape(&here), "{there:#}");
    assert_eq!(there["results"], 2, "{there:#}");
    for name in ["got_revision", "bytes"] {
        assert_eq!(property(&there, name), property(&here, name), "{name}");
    }
    assert_eq!(property(&there, "bytes"), "1500000");
    for step in ["talk", "words", "bad"] {
        let said = |builder| {
            let path = format!("/builders/{builder}/builds/0/steps/{step}/logs/stdio/text");
            let text = farm.get(&path).expect("a log").1;
            // Which of two pipes is read first is chance, here and there.
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(said("all-worker"), said("all-native"), "{step}");
    }
    let got = farm.master_dir().join("got");
    let read = |name: &str| fs::read_to_string(got.join(name)).expect("it came");
    assert_eq!(read("all-worker.txt"), "first\n");
    assert_eq!(read("all-worker/sub/y"), "y\n");
    assert_eq!(
        fs::read_link(got.join("all-worker/l")).expect("a link"),
        Path::new("x")
    );
}

const SLOW: &str = r#"
[[steps]]
type = "shell"
name = "slow"
command = "if test -e ../again; then echo second; else touch ../again; echo first; sleep 600; fi"
"#;

#[test]
fn what_a_killed_worker_ran_is_run_again_and_a_stop_reaches_it() {
    let mut farm = farm(SLOW);
    let worker = Worker::start(&farm, "worker", "pw2");
    wait_for(&mut farm, "worker", true);
    let forced = farm.autobot(&["force", "all-worker"]);
    assert!(forced.status.success(), "{}", text(&forced));
    // Such a slave keeps a short output back; what its command does is seen at once.
    let mark = farm.path("worker").join("all-worker/again");
    let runs = |farm: &mut Farm| farm.wait("the command", |_| mark.exists().then_some(()));
    runs(&mut farm);
    worker.kill(&farm, "worker");
    wait_for(&mut farm, "worker", false);
    let worker = Worker::start(&farm, "worker", "pw2");
    let lost = farm.wait_builds("all-worker", 1);
    assert_eq!(lost["results"], 5, "it is tried again: {lost:#}");
    let again = farm.wait_builds("all-worker", 2);
    assert_eq!(again["results"], 0, "{again:#}");

    fs::remove_file(&mark).expect("it was there");
    let forced = farm.autobot(&["force", "all-worker"]);
    assert!(forced.status.success(), "{}", text(&forced));
    runs(&mut farm);
    let stopped = farm.autobot(&["stop-build", "all-worker/2"]);
    assert!(stopped.status.success(), "{}", text(&stopped));
    let stopped = farm.wait_builds("all-worker", 3);
    assert_eq!(stopped["results"], 4, "{stopped:#}");
    drop(worker);
}

#[test]
fn a_worker_with_a_wrong_password_hears_so_and_comes_again() {
    let mut farm = farm(SLOW);
    let _worker = Worker::start(&farm, "worker", "guessed");
    farm.wait("the master's word", |farm| {
        farm.master_output()
            .contains("`worker` has another password")
            .then_some(())
    });
    let said = farm.wait("the worker's word", |farm| {
        let said = fs::read_to_string(farm.path("worker.out")).unwrap_or_default();
        let log = fs::read_to_string(farm.path("worker/twistd.log")).unwrap_or_default();
        let said = format!("{said}{log}");
        said.contains("retry").then_some(said)
    });
    assert!(!farm.master_output().contains("guessed"), "{said}");
}
