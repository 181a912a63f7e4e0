//! The peer: Buildbot's newest master and worker from a virtual environment, in directories and
//! on ports of their own. It is asked over its REST interface, as its own pages ask it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::farm::free_ports;
use crate::http;
use crate::process::Process;

/// Longer than anything that is asked of it takes.
const PATIENCE: Duration = Duration::from_secs(300);
/// A pause between two looks that costs the one who is looked at little.
pub(crate) const LOOK: Duration = Duration::from_millis(10);

/// Where its programs are, if the machine has it.
pub(crate) fn programs() -> Option<PathBuf> {
    let dir = PathBuf::from(std::env::var_os("AUTOBOT_BENCH_BUILDBOT")?);
    dir.join("buildbot").exists().then_some(dir)
}

pub(crate) struct Buildbot {
    programs: PathBuf,
    dir: tempfile::TempDir,
    port: u16,
    pb: u16,
    master: Option<Child>,
    worker: Option<Child>,
}

/// Many workers in one process.
const CROWD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/farm/buildbot_crowd.py");

impl Buildbot {
    /// A master with a worker of four slots; each builder runs its command. `None` if the machine
    /// has no Buildbot.
    pub(crate) fn new(at: &Path, builders: &[(String, &[&str])]) -> Option<Self> {
        let it = Self::bare(at)?;
        it.configure("worker.Worker('w', 'secret', max_builds=4)", "w", builders);
        let master = format!("127.0.0.1:{}", it.pb);
        it.run(
            "buildbot-worker",
            &["create-worker", "-q", "worker", &master, "w", "secret"],
        );
        Some(it)
    }

    /// A master that knows so many workers, of which none is there yet.
    pub(crate) fn with_workers(at: &Path, count: usize) -> Option<Self> {
        let it = Self::bare(at)?;
        let workers = format!("*[worker.Worker('w%d' % it, 'x') for it in range({count})]");
        it.configure(&workers, "w0", &[("hi".to_owned(), &["true"])]);
        Some(it)
    }

    fn bare(at: &Path) -> Option<Self> {
        let programs = programs()?;
        let dir = tempfile::tempdir_in(at).expect("a directory");
        let [port, pb] = free_ports();
        let it = Self {
            programs,
            dir,
            port,
            pb,
            master: None,
            worker: None,
        };
        it.run("buildbot", &["create-master", "-q", "master"]);
        Some(it)
    }

    /// The same, with master and worker at work, and a first build of each builder behind them.
    pub(crate) fn warm(at: &Path, builders: &[(String, &[&str])]) -> Option<Self> {
        let mut it = Self::new(at, builders)?;
        it.start_master();
        it.start_worker();
        for builder in 1..=builders.len() {
            it.force(builder);
        }
        it.wait_done();
        Some(it)
    }

    /// Writes its file: the workers as it says them, and builders on one of them.
    fn configure(&self, workers: &str, one: &str, builders: &[(String, &[&str])]) {
        let names: Vec<&str> = builders.iter().map(|it| it.0.as_str()).collect();
        let mut text = format!(
            "from buildbot.plugins import schedulers, steps, util, worker\n\
             c = BuildmasterConfig = {{}}\n\
             c['workers'] = [{workers}]\n\
             c['protocols'] = {{'pb': {{'port': 'tcp:{}:interface=127.0.0.1'}}}}\n\
             c['schedulers'] = [schedulers.ForceScheduler(name='force', builderNames={})]\n\
             c['collapseRequests'] = False\n\
             c['www'] = dict(port='tcp:{}:interface=127.0.0.1', plugins={{}})\n\
             c['db'] = dict(db_url='sqlite:///state.sqlite')\n\
             c['buildbotNetUsageData'] = None\n\
             c['builders'] = []\n",
            self.pb,
            json!(names),
            self.port
        );
        for (name, command) in builders {
            let _ = writeln!(
                text,
                "c['builders'].append(util.BuilderConfig(name={}, workernames=['{one}'], \
                 factory=util.BuildFactory([steps.ShellCommand(command={})])))",
                json!(name),
                json!(command)
            );
        }
        fs::write(self.dir.path().join("master/master.cfg"), text).expect("written");
    }

    fn run(&self, program: &str, args: &[&str]) {
        let output = Command::new(self.programs.join(program))
            .args(args)
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("run");
        assert!(
            output.status.success(),
            "{program} {args:?}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn start(&self, program: &str, what: &str) -> Child {
        Command::new(self.programs.join(program))
            .args(["start", "--nodaemon", what])
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started")
    }

    /// Starts the master and waits for its first answer.
    pub(crate) fn start_master(&mut self) {
        self.master = Some(self.start("buildbot", "master"));
        self.wait("its first page", |it| {
            let answer = http::get(it.port, "/api/v2/builders?limit=1")?;
            (answer.status == 200).then_some(())
        });
    }

    /// Starts the worker and waits until the master has it.
    pub(crate) fn start_worker(&mut self) {
        self.worker = Some(self.start("buildbot-worker", "worker"));
        self.wait("its worker", |it| {
            let workers = it.json("/workers")?;
            let connected = workers["workers"][0]["connected_to"].as_array()?;
            (!connected.is_empty()).then_some(())
        });
    }

    /// Starts so many workers in one process.
    pub(crate) fn start_crowd(&mut self, count: usize) {
        let child = Command::new(self.programs.join("python"))
            .arg(CROWD)
            .args([&self.pb.to_string(), "pb", "w", "0", &count.to_string()])
            .arg(self.dir.path().join("crowd"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.worker = Some(child.expect("started"));
    }

    /// How many workers are there.
    pub(crate) fn connected(&self) -> Option<usize> {
        let workers = self.json("/workers")?;
        let is_there = |it: &&Value| {
            it["connected_to"]
                .as_array()
                .is_some_and(|it| !it.is_empty())
        };
        Some(
            workers["workers"]
                .as_array()?
                .iter()
                .filter(is_there)
                .count(),
        )
    }

    pub(crate) fn kill_master(&mut self) {
        kill(&mut self.master);
    }

    pub(crate) fn master(&self) -> Process {
        Process(self.master.as_ref().expect("started").id())
    }

    pub(crate) fn worker(&self) -> Process {
        Process(self.worker.as_ref().expect("started").id())
    }

    /// Where its state is.
    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("master")
    }

    pub(crate) fn json(&self, path: &str) -> Option<Value> {
        let answer = http::get(self.port, &format!("/api/v2{path}"))?;
        serde_json::from_slice(&answer.body).ok()
    }

    /// Asks for a build of the builder with this number, which counts from 1.
    pub(crate) fn force(&self, builder: usize) {
        let call = json!({
            "id": 1, "jsonrpc": "2.0", "method": "force",
            "params": { "builderid": builder.to_string(), "reason": "bench" },
        });
        let path = "/api/v2/forceschedulers/force";
        let answer = http::post(self.port, path, "application/json", &call.to_string());
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Waits until nothing is asked for any more.
    pub(crate) fn wait_done(&self) {
        self.wait("all builds", |it| {
            let open = it.json("/buildrequests?complete=false&limit=1")?;
            open["buildrequests"].as_array()?.is_empty().then_some(())
        });
    }

    /// How many builds it has begun.
    pub(crate) fn builds(&self) -> i64 {
        let newest = self.json("/builds?order=-buildid&limit=1");
        let newest = newest.and_then(|it| it["builds"][0]["buildid"].as_i64());
        newest.unwrap_or(0)
    }

    pub(crate) fn wait<T>(&self, what: &str, look: impl Fn(&Self) -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(seen) = look(self) {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE, "Buildbot: waited for {what}");
            sleep(LOOK);
        }
    }
}

impl Drop for Buildbot {
    fn drop(&mut self) {
        kill(&mut self.worker);
        kill(&mut self.master);
    }
}

fn kill(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        drop(child.kill());
        drop(child.wait());
    }
}
