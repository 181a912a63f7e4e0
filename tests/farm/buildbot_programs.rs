//! Buildbot's own slaves of several ages, from the Python registry and unchanged, in environments
//! that `scripts/test.sh` makes.

use std::env;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::farm::{Farm, sh, text};

/// A program, and the protocol that it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// `buildbot-worker` 4.3.0.
    Worker4,
    /// The same over a WebSocket.
    Packed4,
    /// `buildbot-worker` 0.9.15, with Python 3.7.
    Worker09,
    /// `buildslave` 0.8.14, with Python 2.7.
    Slave08,
}

/// A program of the environment of today's tools.
pub(crate) fn tool(name: &str) -> PathBuf {
    let program = cached("AUTOBOT_TEST_TOOLS", "tools").join("bin").join(name);
    assert!(program.exists(), "{program:?}: run scripts/test.sh once");
    program
}

/// `buildbot` 0.8.14, with Python 2.7, if that is here, as a program in the farm's directory.
pub(crate) fn old_buildbot(farm: &Farm) -> Option<PathBuf> {
    let dir = cached("AUTOBOT_TEST_OLD_SLAVES", "old-slaves").join("0.8");
    if !dir.join("lib/buildbot").exists() {
        eprintln!("skipped: buildbot 0.8.14, which needs Python 2.7");
        return None;
    }
    let lines = format!(
        "#!/bin/sh\nexport PYTHONPATH={}\nexec {} -u -c \
         'from buildbot.scripts import runner; runner.run()' \"$@\"\n",
        dir.join("lib").display(),
        dir.join("python").display(),
    );
    let program = farm.path("buildbot-0.8.14");
    fs::write(&program, lines).expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("a program");
    Some(program)
}

impl Program {
    pub(crate) const NEW: [Self; 2] = [Self::Worker4, Self::Packed4];

    /// Those that are here. Which are not is said.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = Self::NEW.to_vec();
        for (program, python) in [(Self::Worker09, "3.7"), (Self::Slave08, "2.7")] {
            match program.command().is_some() {
                true => all.push(program),
                false => eprintln!("skipped: {program:?}, which needs Python {python}"),
            }
        }
        all
    }

    /// The name of its slave.
    pub(crate) const fn slave(self) -> &'static str {
        match self {
            Self::Worker4 => "worker",
            Self::Packed4 => "packed",
            Self::Worker09 => "worker09",
            Self::Slave08 => "slave08",
        }
    }

    /// As it says it of itself.
    pub(crate) const fn version(self) -> &'static str {
        match self {
            Self::Worker4 | Self::Packed4 => "buildbot-worker 4.3.0",
            Self::Worker09 => "buildbot-worker 0.9.15",
            Self::Slave08 => "buildbot-slave 0.8.14",
        }
    }

    fn command(self) -> Option<Command> {
        let program = match self {
            Self::Worker4 | Self::Packed4 => tool("buildbot-worker"),
            Self::Worker09 => {
                cached("AUTOBOT_TEST_OLD_SLAVES", "old-slaves").join("0.9/bin/buildbot-worker")
            }
            Self::Slave08 => cached("AUTOBOT_TEST_OLD_SLAVES", "old-slaves").join("0.8/python"),
        };
        if !program.exists() {
            return None;
        }
        let mut command = Command::new(&program);
        if self == Self::Slave08 {
            let lib = program.with_file_name("lib");
            command.arg(lib.join("bin/buildslave"));
            command.env("PYTHONPATH", lib);
        }
        Some(command)
    }

    /// Makes the base directory `dir` of the farm.
    pub(crate) fn create(self, farm: &Farm, dir: &str, password: &str, more: &[&str]) {
        let master = format!("127.0.0.1:{}", farm.slaveport);
        let dir = farm.path(dir);
        let verb = match self {
            Self::Slave08 => "create-slave",
            Self::Worker4 | Self::Packed4 | Self::Worker09 => "create-worker",
        };
        let mut command = self.command().expect("it is here");
        command.arg(verb).args(more);
        if self == Self::Packed4 {
            command.args(["--protocol", "msgpack_experimental_v7"]);
        }
        let words: [&std::ffi::OsStr; 4] = [
            dir.as_ref(),
            master.as_ref(),
            self.slave().as_ref(),
            password.as_ref(),
        ];
        let made = command.args(words).output().expect("run");
        assert!(made.status.success(), "{}", text(&made));
    }

    /// Starts it in the foreground, in a base directory that it makes if there is none.
    pub(crate) fn start(self, farm: &Farm) -> Worker {
        self.start_with(farm, "secret")
    }

    pub(crate) fn start_with(self, farm: &Farm, password: &str) -> Worker {
        if !farm.path(self.slave()).exists() {
            self.create(farm, self.slave(), password, &[]);
        }
        self.start_in(farm, self.slave())
    }

    pub(crate) fn start_in(self, farm: &Farm, dir: &str) -> Worker {
        let said = fs::File::create(farm.path(&format!("{dir}.out"))).expect("a file");
        let dir = farm.path(dir);
        let mut command = self.command().expect("it is here");
        let child = command
            .args(["start", "--nodaemon"])
            .arg(&dir)
            // Its programs are not the tests' own.
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said)
            .spawn()
            .expect("run");
        Worker { child, dir }
    }
}

/// A directory that `scripts/test.sh` makes.
pub(crate) fn cached(variable: &str, name: &str) -> PathBuf {
    let dir = env::var_os(variable).map(PathBuf::from);
    let home = env::var_os("HOME").map(|it| Path::new(&it).join(".cache/autobot-test").join(name));
    dir.or(home).expect("a home directory")
}

/// A slave that runs; it ends with the test.
pub(crate) struct Worker {
    child: Child,
    dir: PathBuf,
}

impl Worker {
    /// Kills it as the kernel does when memory is short.
    pub(crate) fn kill(mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(fs::remove_file(self.dir.join("twistd.pid")));
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        sh(&self.dir, "kill", &[&format!("-{signal}"), &pid]);
    }

    /// Waits until it ends by itself.
    pub(crate) fn end(&mut self, farm: &mut Farm) -> ExitStatus {
        farm.wait("the end of a slave", |_| {
            self.child.try_wait().expect("a child")
        })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Services of Buildbot's own worker, as many as are named.
const CROWD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/farm/buildbot_crowd.py");

/// Workers in one process, named `w` and a number; their password is `x`. They end with this.
pub(crate) struct Crowd(Child);

impl Crowd {
    pub(crate) fn start(farm: &Farm, numbers: Range<usize>, protocol: &str) -> Self {
        let (first, end) = (numbers.start.to_string(), numbers.end.to_string());
        let said = fs::File::create(farm.path(&format!("crowd{first}.out"))).expect("a file");
        let child = Command::new(tool("python"))
            .arg(CROWD)
            .args([&farm.slaveport.to_string(), protocol, "w", &first, &end])
            .arg(farm.path("crowd"))
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .stdout(said.try_clone().expect("a file"))
            .stderr(said)
            .spawn();
        Self(child.expect("run"))
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// How many slaves are connected.
pub(crate) fn connected(farm: &Farm) -> usize {
    let slaves = farm.json("/json/slaves").unwrap_or_default();
    let all = slaves.as_object().into_iter().flat_map(|it| it.values());
    all.filter(|it| it["connected"] == true).count()
}

/// Waits until a slave is there, or is no longer.
pub(crate) fn wait_for(farm: &mut Farm, slave: &str, connected: bool) {
    let path = format!("/json/slaves/{slave}");
    farm.wait(&format!("{slave} to come or go"), |farm| {
        farm.json(&path).filter(|it| it["connected"] == connected)
    });
}
