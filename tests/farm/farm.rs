//! A master and its slaves in a directory of their own, on ports of their own.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Everything that is waited for comes within this time, or the test fails.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) const AUTOBOT: &str = env!("CARGO_BIN_EXE_autobot");

pub(crate) struct Farm {
    dir: tempfile::TempDir,
    pub(crate) htmlport: u16,
    pub(crate) slaveport: u16,
    master: Option<Child>,
    slaves: Vec<Child>,
    /// What master and slaves are started with.
    pub(crate) program: PathBuf,
    /// For the master.
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Farm {
    /// A farm whose `master.ini` is the ports and `ini`.
    pub(crate) fn new(ini: &str) -> Self {
        Self::in_dir(&std::env::temp_dir(), ini)
    }

    /// The same on another file system.
    pub(crate) fn in_dir(dir: &Path, ini: &str) -> Self {
        let [htmlport, slaveport] = free_ports();
        let farm = Self {
            dir: tempfile::tempdir_in(dir).expect("a directory"),
            htmlport,
            slaveport,
            master: None,
            slaves: Vec::new(),
            program: AUTOBOT.into(),
            env: Vec::new(),
        };
        fs::create_dir(farm.master_dir()).expect("a directory");
        farm.write_ini(ini);
        farm
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn master_dir(&self) -> PathBuf {
        self.path("master")
    }

    /// Writes `master.ini` anew: `ini` may begin with more keys of `[:master:]`.
    pub(crate) fn write_ini(&self, ini: &str) {
        let text = format!(
            "[:master:]\nhtmlport = 127.0.0.1:{}\nslaveport = 127.0.0.1:{}\n{ini}",
            self.htmlport, self.slaveport
        );
        fs::write(self.master_dir().join("master.ini"), text).expect("written");
    }

    /// Starts the master in the foreground and waits for its first page.
    pub(crate) fn start_master(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("master.out"))
            .expect("a log");
        let child = Command::new(&self.program)
            .args(["start", "--nodaemon"])
            .arg(self.master_dir())
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("started");
        self.master = Some(child);
        self.wait("the master's first page", |farm| {
            if let Some(status) = farm
                .master
                .as_mut()
                .expect("started")
                .try_wait()
                .expect("child")
            {
                panic!("the master ended ({status}):\n{}", farm.master_output());
            }
            farm.get("/").filter(|(status, _)| *status == 200)
        });
    }

    /// What `autobot explain` says of the running master.
    pub(crate) fn explain(&self, args: &[&str]) -> String {
        let output = Command::new(AUTOBOT)
            .arg("explain")
            .args(args)
            .arg("--dir")
            .arg(self.master_dir())
            .output()
            .expect("run");
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    }

    pub(crate) fn master_output(&self) -> String {
        fs::read_to_string(self.path("master.out")).unwrap_or_default()
    }

    /// Starts a slave that dials in, with its base directory beside the master's.
    pub(crate) fn start_slave(&mut self, name: &str) {
        self.start_slave_with(name, "secret");
    }

    pub(crate) fn start_slave_with(&mut self, name: &str, password: &str) {
        let master = format!("127.0.0.1:{}", self.slaveport);
        self.start_slave_at(name, &master, &format!("password = {password}\n"));
    }

    /// Starts a slave that dials `master`, with more keys in its file.
    pub(crate) fn start_slave_at(&mut self, name: &str, master: &str, more: &str) {
        let dir = self.path(name);
        fs::create_dir_all(dir.join("info")).expect("a directory");
        let lines = format!("master = {master}\nname = {name}\nmax_delay = 1\n{more}");
        fs::write(dir.join("slave.ini"), format!("[:slave:]\n{lines}")).expect("written");
        self.start_slave_in(name);
    }

    /// What a slave has said.
    pub(crate) fn slave_output(&self, name: &str) -> String {
        fs::read_to_string(self.path(&format!("{name}.out"))).unwrap_or_default()
    }

    /// Starts the slave of a directory that is there.
    pub(crate) fn start_slave_in(&mut self, name: &str) {
        let dir = self.path(name);
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path(&format!("{name}.out")))
            .expect("a log");
        let child = Command::new(&self.program)
            .args(["start", "--nodaemon"])
            .arg(&dir)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("started");
        self.slaves.push(child);
    }

    /// Kills the master as the kernel does when memory is short.
    pub(crate) fn kill_master(&mut self) {
        kill(self.master.as_mut().expect("started"));
    }

    /// Waits for a master that ends by itself, without a failure.
    pub(crate) fn wait_master_end(&mut self) {
        let ended = self.wait("the master's end", |farm| {
            let master = farm.master.as_mut().expect("started");
            master.try_wait().expect("child")
        });
        assert!(ended.success(), "{ended}");
    }

    pub(crate) fn kill_slave(&mut self) {
        kill(self.slaves.last_mut().expect("started"));
    }

    /// Sends a signal to the slave that was started last.
    pub(crate) fn signal_slave(&self, signal: &str) {
        self.signal(self.slaves.last(), signal);
    }

    /// The number of the slave's process that was started last.
    pub(crate) fn slave_pid(&self) -> u32 {
        self.slaves.last().expect("started").id()
    }

    /// The number of the master's process.
    pub(crate) fn master_pid(&self) -> u32 {
        self.master.as_ref().expect("started").id()
    }

    /// The most memory that the master's process has taken since its start.
    pub(crate) fn master_peak_kib(&self) -> u64 {
        let pid = self.master_pid();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
        let peak = status.lines().find_map(|it| it.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|it| it.trim().strip_suffix(" kB"));
        peak.expect("a peak").parse().expect("a number")
    }

    pub(crate) fn signal_master(&self, signal: &str) {
        self.signal(self.master.as_ref(), signal);
    }

    fn signal(&self, child: Option<&Child>, signal: &str) {
        let pid = child.expect("started").id().to_string();
        sh(self.dir.path(), "kill", &[&format!("-{signal}"), &pid]);
    }

    /// Runs the program to its end.
    pub(crate) fn autobot(&self, args: &[&str]) -> Output {
        Command::new(AUTOBOT)
            .args(args)
            .env("AUTOBOT_DIR", self.master_dir())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .output()
            .expect("run")
    }

    /// Forces a build, waits for its end, and gives its document.
    pub(crate) fn force(&mut self, builder: &str, more: &[&str]) -> Value {
        let mut args = vec!["force", builder, "--json"];
        args.extend_from_slice(more);
        let forced = self.autobot(&args);
        assert!(forced.status.success(), "force: {}", text(&forced));
        let request: Value = serde_json::from_slice(&forced.stdout).expect("JSON");
        let path = format!("/api/requests/{}", request["request"]);
        let done = self.wait("the request's end", |farm| {
            farm.json(&path).filter(|it| it["state"] == "complete")
        });
        let builds = done["builds"].as_array().expect("a list");
        self.build(
            builder,
            builds.last().expect("a build").as_i64().expect("a number"),
        )
    }

    pub(crate) fn build(&mut self, builder: &str, number: i64) -> Value {
        self.json(&format!("/json/builders/{builder}/builds/{number}"))
            .expect("a build")
    }

    /// Waits until the builder has finished so many builds; gives the newest.
    pub(crate) fn wait_builds(&mut self, builder: &str, count: usize) -> Value {
        self.wait(&format!("{count} builds of {builder}"), |farm| {
            let number = i64::try_from(count).expect("few") - 1;
            farm.json(&format!("/json/builders/{builder}/builds/{number}"))
                .filter(|it| !it["results"].is_null())
        })
    }

    /// The text of a step's `stdio`, headers too.
    pub(crate) fn log(&mut self, builder: &str, number: i64, step: &str) -> String {
        let path =
            format!("/builders/{builder}/builds/{number}/steps/{step}/logs/stdio/text?headers=1");
        self.get(&path).expect("a log").1
    }

    pub(crate) fn json(&self, path: &str) -> Option<Value> {
        let (status, body) = self.get(path)?;
        (status == 200)
            .then(|| serde_json::from_str(&body).unwrap_or_else(|_| panic!("JSON: {body}")))
    }

    /// Status and body; `None` if nobody answers.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        http(
            self.htmlport,
            &format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"),
        )
    }

    /// Posts a form; status and body.
    pub(crate) fn post(&self, path: &str, form: &str) -> Option<(u16, String)> {
        let request = format!(
            "POST {path} HTTP/1.0\r\nHost: localhost\r\nAccept: application/json\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        http(self.htmlport, &request)
    }

    /// Looks until there is something to see.
    pub(crate) fn wait<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&mut Self) -> Option<T>,
    ) -> T {
        let begun = Instant::now();
        loop {
            if let Some(seen) = look(self) {
                return seen;
            }
            assert!(
                begun.elapsed() < PATIENCE,
                "waited too long for {what}; the master said:\n{}",
                self.master_output()
            );
            // Not a wait for a length of time, only a pause between two looks.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Farm {
    fn drop(&mut self) {
        for child in self.master.iter_mut().chain(&mut self.slaves) {
            kill(child);
        }
        // Runners outlive their slave on purpose; a test that failed may have left some.
        let mark = self.dir.path().to_string_lossy().into_owned();
        // One may be forked while others are looked for, so it is looked until there is none.
        for _ in 0..100 {
            let killed = Command::new("pkill").args(["-9", "-f", &mark]).status();
            if !killed.is_ok_and(|it| it.success()) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        if std::thread::panicking() {
            eprintln!("--- the master said:\n{}", self.master_output());
        }
    }
}

fn kill(child: &mut Child) {
    drop(child.kill());
    drop(child.wait());
}

fn http(port: u16, request: &str) -> Option<(u16, String)> {
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(5)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    listeners.map(|it| it.local_addr().expect("bound").port())
}

pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs a program in a directory; it must succeed.
pub(crate) fn sh(dir: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("GIT_AUTHOR_NAME", "Ann Author")
        .env("GIT_AUTHOR_EMAIL", "ann@example.org")
        .env("GIT_COMMITTER_NAME", "Ann Author")
        .env("GIT_COMMITTER_EMAIL", "ann@example.org")
        .env("HGUSER", "Ann Author <ann@example.org>")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        text(&output)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Makes a repository of what is in the directory.
pub(crate) fn git_init(dir: &Path, branch: &str) {
    sh(dir, "git", &["init", "-q", "-b", branch]);
    commit(dir, "first");
}

/// Commits everything; gives the revision.
pub(crate) fn commit(dir: &Path, comment: &str) -> String {
    sh(dir, "git", &["add", "-A", "-f"]);
    sh(
        dir,
        "git",
        &["commit", "-q", "--allow-empty", "-m", comment],
    );
    sh(dir, "git", &["rev-parse", "HEAD"])
}

/// The value of a property of a build document.
pub(crate) fn property(build: &Value, name: &str) -> Value {
    let properties = build["properties"].as_array().expect("a list");
    let found = properties.iter().find(|it| it[0] == name);
    found.map_or(Value::Null, |it| it[1].clone())
}
