//! Slaves on another host, which is this one behind a real sshd.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::json;

use crate::farm::{AUTOBOT, Farm, free_ports, sh, text};
use crate::proxy::Proxy;

const SSHD: &str = "/usr/sbin/sshd";

/// An sshd with keys and a configuration of its own; it ends with this.
pub(crate) struct Sshd {
    dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) user: String,
    server: Option<Child>,
}

impl Sshd {
    /// Keys and configuration, and nothing that runs.
    fn prepare(farm: &Farm) -> Self {
        let dir = farm.path("sshd");
        fs::create_dir(&dir).expect("a directory");
        for key in ["host", "other", "user"] {
            sh(
                &dir,
                "ssh-keygen",
                &["-q", "-t", "ed25519", "-N", "", "-f", key],
            );
        }
        fs::copy(dir.join("user.pub"), dir.join("authorized")).expect("copied");
        let [port] = free_ports();
        let at = dir.display();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {at}/host\nPidFile {at}/pid\n\
             AuthorizedKeysFile {at}/authorized\nStrictModes no\nUsePAM no\n\
             PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 100\n"
        );
        fs::write(dir.join("config"), config).expect("written");
        let user = sh(&dir, "id", &["-un"]);
        if user == "root" {
            // Which the system makes when it starts its own.
            fs::create_dir_all("/run/sshd").expect("a directory");
        }
        Self {
            dir,
            port,
            user,
            server: None,
        }
    }

    pub(crate) fn start(farm: &mut Farm) -> Self {
        let mut sshd = Self::prepare(farm);
        let log = fs::File::create(sshd.dir.join("log")).expect("a log");
        let server = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(sshd.dir.join("config"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn();
        sshd.server = Some(server.expect("sshd starts"));
        let pid = sshd.dir.join("pid");
        farm.wait("sshd", |_| pid.exists().then_some(()));
        sshd
    }

    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    /// The keys of a slave on this host, which works in `remote` of the farm.
    fn slave(&self, farm: &Farm, more: &str) -> String {
        format!(
            "[slave:far]\npassword = secret\nlaunch = ssh\nhost = 127.0.0.1\nport = {}\nuser = {}\n\
             basedir = {}\n{more}\n",
            self.port,
            self.user,
            farm.path("remote").display()
        )
    }

    fn with_key(&self, farm: &Farm, more: &str) -> String {
        let key = format!("key_file = {}\n{more}", self.file("user"));
        self.slave(farm, &key)
    }

    /// As `ssh-keygen` says it.
    fn fingerprint(&self, key: &str) -> String {
        let said = sh(&self.dir, "ssh-keygen", &["-lf", &format!("{key}.pub")]);
        said.split(' ').nth(1).expect("a fingerprint").to_owned()
    }

    /// Has the master know a key as that of this host.
    fn know(&self, farm: &Farm, key: &str) {
        let key = fs::read_to_string(self.dir.join(format!("{key}.pub"))).expect("a key");
        let line = format!("[127.0.0.1]:{} {key}", self.port);
        fs::write(farm.master_dir().join("known_hosts"), line).expect("written");
    }

    /// Has `ssh` know the key of this host, in the file `known`.
    pub(crate) fn know_for_ssh(&self) {
        let key = fs::read_to_string(self.dir.join("host.pub")).expect("a key");
        let line = format!("[127.0.0.1]:{} {key}", self.port);
        fs::write(self.dir.join("known"), line).expect("written");
    }

    /// Kills the connections that there are, as a broken network would.
    fn cut_lines(&self) {
        let server = self.server.as_ref().expect("started").id().to_string();
        let children = Command::new("pgrep").args(["-P", &server]).output();
        let children = children.expect("pgrep").stdout;
        let children = String::from_utf8(children).expect("numbers");
        assert!(!children.is_empty(), "there is a connection");
        for child in children.lines() {
            // With what it has started in this session, which is the end of the line.
            let below = Command::new("pgrep").args(["-P", child]).output();
            let below = String::from_utf8(below.expect("pgrep").stdout).expect("numbers");
            for pid in below.lines().chain([child]) {
                drop(Command::new("kill").args(["-9", pid]).status());
            }
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if let Some(server) = &mut self.server {
            drop(server.kill());
            drop(server.wait());
        }
    }
}

/// Puts this program where the slave looks for it, as an earlier start would have.
fn install(farm: &Farm) {
    let remote = farm.path("remote");
    fs::create_dir_all(&remote).expect("a directory");
    if fs::hard_link(AUTOBOT, remote.join("autobot")).is_err() {
        fs::copy(AUTOBOT, remote.join("autobot")).expect("copied");
    }
}

/// The processes of the slave on that host that stay.
fn kept_slaves(farm: &Farm) -> Vec<u32> {
    let remote = farm.path("remote").display().to_string();
    let all = fs::read_dir("/proc").expect("proc").flatten();
    let of_slave = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = line.split(|it| *it == 0).collect();
        words.get(1) == Some(&&b"__host"[..]) && words.get(2) == Some(&remote.as_bytes())
    };
    let pids = all.filter_map(|it| it.file_name().to_str()?.parse().ok());
    pids.filter(of_slave).collect()
}

fn why(farm: &Farm) -> String {
    let request = farm.json("/api/requests/1").expect("a request");
    request["why"].as_str().unwrap_or_default().to_owned()
}

fn why_says(farm: &mut Farm, words: &str) -> String {
    farm.wait(words, |farm| {
        Some(why(farm)).filter(|it| it.contains(words))
    })
}

const ECHO: &str = "factories = echo\n[echo]\ntype = shell\ncommands = echo $((6 * 7)); pwd\n";

#[test]
fn a_host_is_trusted_once_and_gets_the_program_and_the_slave_ends_when_it_is_idle() {
    let mut farm = Farm::new("");
    let sshd = Sshd::start(&mut farm);
    let more = format!("on_demand = yes\nbuild_wait_timeout = 0\n{ECHO}");
    farm.write_ini(&sshd.with_key(&farm, &more));
    farm.start_master();
    let forced = farm.autobot(&["force", "echo-far"]);
    assert!(forced.status.success(), "{}", text(&forced));

    let fingerprint = sshd.fingerprint("host");
    let said = why_says(&mut farm, "is not known");
    assert!(
        said.starts_with("substantiating slave far since "),
        "{said}"
    );
    let expected = format!(
        "the key of host `127.0.0.1` is not known: it shows ssh-ed25519 {fingerprint}, and `"
    );
    assert!(said.contains(&expected), "{said}");
    assert!(said.contains("`autobot ssh-trust far` shows it"), "{said}");
    assert!(
        !farm.path("remote").exists(),
        "nothing was told to the host"
    );

    // Nobody can be asked here, so the fingerprint must be said, and right.
    let asked = farm.autobot(&["ssh-trust", "far"]);
    assert!(!asked.status.success());
    assert!(text(&asked).contains(&fingerprint), "{}", text(&asked));
    let other = sshd.fingerprint("other");
    let wrong = farm.autobot(&["ssh-trust", "far", "--fingerprint", &other]);
    assert!(!wrong.status.success());
    assert!(
        text(&wrong).contains("nothing was added"),
        "{}",
        text(&wrong)
    );
    assert!(!farm.master_dir().join("known_hosts").exists());
    let right = farm.autobot(&["ssh-trust", "far", "--fingerprint", &fingerprint]);
    assert!(right.status.success(), "{}", text(&right));
    let again = farm.autobot(&["ssh-trust", "far"]);
    assert!(
        text(&again).contains("It is known already"),
        "{}",
        text(&again)
    );

    let build = farm.wait_builds("echo-far", 1);
    assert_eq!(build["results"], 0, "{build:#}");
    let log = farm.log("echo-far", 0, "shell");
    assert!(log.contains("42\n"), "{log}");
    let there = farm.path("remote/echo-far/build");
    assert!(log.contains(&there.display().to_string()), "{log}");
    let copied = farm.path("remote/autobot");
    assert_eq!(size(&copied), size(Path::new(AUTOBOT)));
    assert_eq!(fs::metadata(&copied).expect("a file").mode() & 0o777, 0o755);
    farm.wait("the end of the slave", |farm| {
        kept_slaves(farm).is_empty().then_some(())
    });
    let resting = "slave far is not started; a build that needs it starts it";
    let rests = |farm: &mut Farm| {
        text(&farm.autobot(&["status"]))
            .contains(resting)
            .then_some(())
    };
    farm.wait("the slave's rest", rests);
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).expect("a file").len()
}

#[test]
fn a_host_with_another_key_is_refused_with_both_fingerprints() {
    let mut farm = Farm::new("");
    let sshd = Sshd::start(&mut farm);
    sshd.know(&farm, "other");
    farm.write_ini(&sshd.with_key(&farm, ECHO));
    farm.start_master();
    let refused = |farm: &mut Farm| {
        let said = farm.master_output();
        said.contains("is another").then_some(said)
    };
    let said = farm.wait("the refusal", refused);
    let (shown, known) = (sshd.fingerprint("host"), sshd.fingerprint("other"));
    assert!(
        said.contains(&format!(
            "is another: it shows ssh-ed25519 {shown}, but line 1 of `"
        )),
        "{said}"
    );
    assert!(
        said.contains(&format!("has ssh-ed25519 {known}; somebody may stand")),
        "{said}"
    );
    let trust = farm.autobot(&["ssh-trust", "far", "--fingerprint", &shown]);
    assert!(
        !trust.status.success(),
        "it is not overwritten: {}",
        text(&trust)
    );
}

/// Prints numbered lines until the file `go` is in the work directory.
const COUNTING: &str = "factories = count\n[count]\ntype = shell\ncommands = \
     n=0; while [ ! -e go ]; do n=$((n+1)); echo line $n; sleep 0.01; done; \
     echo once >> ran; echo done after $n\n";

fn says(farm: &mut Farm, words: &str) {
    let path = "/builders/count-far/builds/0/steps/shell/logs/stdio/text?follow=0";
    farm.wait(words, |farm| {
        farm.get(path).filter(|it| it.1.contains(words))
    });
}

fn let_it_end(farm: &mut Farm) {
    let dir = farm.path("remote/count-far/build");
    fs::write(dir.join("go"), "").expect("written");
    let build = farm.wait_builds("count-far", 1);
    assert_eq!(build["results"], 0, "{build:#}");
    let log = farm.log("count-far", 0, "shell");
    let lines: Vec<&str> = log.lines().filter(|it| it.starts_with("line ")).collect();
    for (number, line) in (1..).zip(&lines) {
        assert_eq!(
            *line,
            format!("line {number}"),
            "no line is lost or doubled"
        );
    }
    assert!(
        log.contains(&format!("done after {}\n", lines.len())),
        "{log}"
    );
    let ran = fs::read_to_string(dir.join("ran")).expect("it ran");
    assert_eq!(ran, "once\n", "the command ran exactly once");
}

#[test]
fn a_lost_line_and_a_killed_master_find_the_same_command_again() {
    let mut farm = Farm::new("");
    let sshd = Sshd::start(&mut farm);
    sshd.know(&farm, "host");
    install(&farm);
    let more = format!("on_demand = yes\ncapability.place = pwd\n{COUNTING}");
    farm.write_ini(&sshd.with_key(&farm, &more));
    farm.start_master();
    let forced = farm.autobot(&["force", "count-far"]);
    assert!(forced.status.success(), "{}", text(&forced));
    says(&mut farm, "line 20\n");
    let slaves = kept_slaves(&farm);
    assert_eq!(slaves.len(), 1);
    let remote = farm.path("remote").canonicalize().expect("it is there");
    farm.wait("what its programs say", |farm| {
        let slave = farm.json("/json/slaves/far")?;
        (slave["capabilities"]["place"] == json!(remote)).then_some(())
    });

    sshd.cut_lines();
    farm.wait("the end of the line", |farm| {
        farm.master_output()
            .contains("opening it again")
            .then_some(())
    });
    says(&mut farm, "line 100\n");
    farm.kill_master();
    farm.start_master();
    says(&mut farm, "line 300\n");
    assert_eq!(kept_slaves(&farm), slaves, "it has stayed");
    let_it_end(&mut farm);
}

#[test]
fn another_program_on_the_host_is_replaced_under_a_running_command() {
    let mut farm = Farm::new("");
    let sshd = Sshd::start(&mut farm);
    sshd.know(&farm, "host");
    // What is there is no program of ours at all.
    fs::create_dir(farm.path("remote")).expect("a directory");
    let there = farm.path("remote/autobot");
    fs::write(&there, "#!/bin/sh\nexit 3\n").expect("written");
    fs::set_permissions(&there, fs::Permissions::from_mode(0o755)).expect("a mode");
    // The master has one for that kind of host, which differs a little from its own.
    let arch = sh(Path::new("/"), "uname", &["-m"]);
    let binaries = farm.master_dir().join("binaries").join(arch);
    fs::create_dir_all(&binaries).expect("a directory");
    let mut program = fs::read(AUTOBOT).expect("a program");
    program.push(b'\n');
    fs::write(binaries.join("autobot"), &program).expect("written");
    farm.write_ini(&sshd.with_key(&farm, COUNTING));
    farm.start_master();
    let forced = farm.autobot(&["force", "count-far"]);
    assert!(forced.status.success(), "{}", text(&forced));
    says(&mut farm, "line 20\n");
    assert_eq!(size(&there), program.len() as u64);
    let older = kept_slaves(&farm);

    fs::remove_file(binaries.join("autobot")).expect("removed");
    farm.kill_master();
    farm.start_master();
    says(&mut farm, "line 200\n");
    let_it_end(&mut farm);
    assert_eq!(size(&there), program.len() as u64 - 1);
    let newer = kept_slaves(&farm);
    assert_eq!(newer.len(), 1);
    assert_ne!(newer, older, "the slave runs the program that is there");
}

#[test]
fn a_line_that_is_held_up_is_opened_again_and_finds_its_command() {
    let mut farm = Farm::new("");
    let mut sshd = Sshd::start(&mut farm);
    let proxy = Proxy::to(sshd.port);
    sshd.port = proxy.port;
    sshd.know(&farm, "host");
    install(&farm);
    farm.write_ini(&format!(
        "heartbeat = 2s\n\n{}",
        sshd.with_key(&farm, COUNTING)
    ));
    farm.start_master();
    let forced = farm.autobot(&["force", "count-far"]);
    assert!(forced.status.success(), "{}", text(&forced));
    says(&mut farm, "line 20\n");
    let slaves = kept_slaves(&farm);

    proxy.stall(true);
    farm.wait("the end of the line", |farm| {
        farm.master_output()
            .contains("opening it again")
            .then_some(())
    });
    let slave = farm.json("/json/slaves/far").expect("a slave");
    assert_eq!(slave["connected"], false, "{slave:#}");
    proxy.stall(false);
    says(&mut farm, "line 300\n");
    assert_eq!(kept_slaves(&farm), slaves, "it has stayed");
    let_it_end(&mut farm);
}

#[test]
fn a_key_with_a_passphrase_is_refused_with_a_way_out() {
    let mut farm = Farm::new("");
    let sshd = Sshd::start(&mut farm);
    sshd.know(&farm, "host");
    install(&farm);
    sh(
        &sshd.dir,
        "ssh-keygen",
        &["-q", "-p", "-P", "", "-N", "locked", "-f", "user"],
    );
    farm.write_ini(&sshd.with_key(&farm, ECHO));
    farm.start_master();
    farm.wait("the refusal", |farm| {
        let words = "has a passphrase, which nobody can type here";
        farm.master_output().contains(words).then_some(())
    });
}

#[test]
fn an_agent_has_the_key_and_a_proxy_command_makes_the_connection() {
    let mut farm = Farm::new("");
    let sshd = Sshd::prepare(&farm);
    sshd.know(&farm, "host");
    install(&farm);
    let agent = Agent::start(&mut farm, &sshd);
    // An sshd that has no port at all.
    let more = format!(
        "proxy_command = exec {SSHD} -i -f {}\n{ECHO}",
        sshd.file("config")
    );
    farm.write_ini(&sshd.slave(&farm, &more));
    farm.env = vec![("SSH_AUTH_SOCK", agent.socket.clone())];
    farm.start_master();
    let build = farm.force("echo-far", &[]);
    assert_eq!(build["results"], 0, "{build:#}");

    // And without a key, or with a proxy command that fails, it is told.
    sh(
        &sshd.dir,
        "env",
        &[&format!("SSH_AUTH_SOCK={}", agent.socket), "ssh-add", "-qD"],
    );
    farm.kill_master();
    farm.start_master();
    farm.wait("the refusal", |farm| {
        let words = "the ssh agent has no key that `127.0.0.1` takes for";
        farm.master_output().contains(words).then_some(())
    });
    let more = format!("proxy_command = echo no way to %h >&2; exit 1\n{ECHO}");
    farm.write_ini(&sshd.slave(&farm, &more));
    farm.kill_master();
    farm.start_master();
    farm.wait("the proxy's last words", |farm| {
        let words = "its proxy_command says: no way to 127.0.0.1";
        farm.master_output().contains(words).then_some(())
    });
}

/// An ssh agent with the user's key.
struct Agent {
    process: Child,
    socket: String,
}

impl Agent {
    fn start(farm: &mut Farm, sshd: &Sshd) -> Self {
        let socket = sshd.file("agent");
        let process = Command::new("ssh-agent")
            .args(["-D", "-a", &socket])
            .stdout(Stdio::null())
            .spawn()
            .expect("an agent");
        farm.wait("the agent", |_| Path::new(&socket).exists().then_some(()));
        let variable = format!("SSH_AUTH_SOCK={socket}");
        sh(
            &sshd.dir,
            "env",
            &[&variable, "ssh-add", "-q", &sshd.file("user")],
        );
        Self { process, socket }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
