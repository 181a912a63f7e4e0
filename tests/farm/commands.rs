//! The command line as a newcomer uses it.

use std::fs;
use std::process::{Command, Output};

use crate::farm::{AUTOBOT, text};

fn run(dir: &std::path::Path, args: &[&str]) -> Output {
    Command::new(AUTOBOT)
        .args(args)
        .current_dir(dir)
        .output()
        .expect("run")
}

#[test]
fn a_created_pair_starts_builds_and_stops() {
    let dir = tempfile::tempdir().expect("a directory");
    let create = dir.path().join("create-autobot");
    std::os::unix::fs::symlink(AUTOBOT, &create).expect("a link");
    let free = |_| {
        let it = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        it.local_addr().expect("bound").port().to_string()
    };
    let [slaveport, htmlport, public] = [0, 1, 2].map(free);
    let created = Command::new(&create)
        .args([
            "-f",
            "hello",
            "--slaveport",
            &slaveport,
            "--htmlport",
            &htmlport,
        ])
        .args(["--publichtmlport", &public, "bot"])
        .current_dir(dir.path())
        .output()
        .expect("run");
    assert!(created.status.success(), "{}", text(&created));
    for file in [
        "master/master.ini",
        "master/state.sqlite",
        "slave/info/admin",
        "slave/info/host",
    ] {
        assert!(
            dir.path().join("bot").join(file).exists(),
            "{file} was made"
        );
    }

    let started = run(dir.path(), &["start", "bot"]);
    assert!(started.status.success(), "{}", text(&started));
    let status = run(dir.path(), &["status", "bot"]);
    assert!(status.status.success(), "{}", text(&status));
    let twice = run(dir.path(), &["start", "bot/master"]);
    assert_eq!(
        twice.status.code(),
        Some(1),
        "it runs already: {}",
        text(&twice)
    );
    let stopped = run(dir.path(), &["stop", "bot"]);
    assert!(stopped.status.success(), "{}", text(&stopped));
    let status = run(dir.path(), &["status", "bot"]);
    assert!(!status.status.success(), "{}", text(&status));
}

#[test]
fn a_master_that_cannot_start_says_why_and_where() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(
        dir.path().join("master.ini"),
        "[:master:]\nhtmlport = 127.0.0.1:0\n[slave:x]\nfactories = nothing\n",
    )
    .expect("written");
    let started = run(dir.path(), &["start", "."]);
    assert_eq!(started.status.code(), Some(1));
    let said = text(&started);
    assert!(said.contains("master.ini:3"), "{said}");
    assert!(said.contains("password"), "{said}");
    assert!(said.contains("nothing"), "every mistake in one run: {said}");
}

#[test]
fn the_demo_shows_one_change_going_green_and_one_going_red() {
    let dir = tempfile::tempdir().expect("a directory");
    let shown = run(dir.path(), &["demo", "shown", "--once"]);
    let said = text(&shown);
    assert!(shown.status.success(), "{said}");
    assert!(said.contains("FAIL:"), "the failing line is shown: {said}");
    assert!(
        said.contains("http://localhost:") || said.contains("http://127.0.0.1:"),
        "{said}"
    );
}

#[test]
fn a_service_manager_hears_when_the_master_is_ready_and_when_it_stops() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(
        dir.path().join("master.ini"),
        "[:master:]\nhtmlport = none\nslaveport = none\n",
    )
    .expect("written");
    let path = dir.path().join("notify");
    let ear = std::os::unix::net::UnixDatagram::bind(&path).expect("a socket");
    ear.set_read_timeout(Some(std::time::Duration::from_secs(60)))
        .expect("set");
    let mut master = Command::new(AUTOBOT)
        .args(["start", "--nodaemon"])
        .arg(dir.path())
        .env("NOTIFY_SOCKET", &path)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("started");
    let mut heard = String::new();
    let mut hear_until = |word: &str| {
        while !heard.contains(word) {
            let mut datagram = [0; 4096];
            let length = ear.recv(&mut datagram).expect("a word in time");
            heard.push_str(&String::from_utf8_lossy(&datagram[..length]));
        }
    };
    hear_until("READY=1");
    let ended = Command::new("kill").arg(master.id().to_string()).status();
    assert!(ended.expect("kill").success());
    hear_until("STOPPING=1");
    assert!(
        master.wait().expect("it ends").success(),
        "SIGTERM ends it cleanly"
    );
}

#[test]
fn what_a_killed_daemon_leaves_behind_is_in_nobodys_way() {
    let dir = tempfile::tempdir().expect("a directory");
    let none = "[:master:]\nhtmlport = none\nslaveport = none\n";
    fs::write(dir.path().join("master.ini"), none).expect("written");
    let started = run(dir.path(), &["start", "."]);
    assert!(started.status.success(), "{}", text(&started));
    let pid_file = dir.path().join("autobot.pid");
    let pid = fs::read_to_string(&pid_file).expect("a pid file");
    let killed = Command::new("kill").args(["-9", pid.trim()]).status();
    assert!(killed.expect("kill").success());
    // Its lock goes with it; `start` needs no help and takes no look at the old number.
    let again = run(dir.path(), &["restart", "."]);
    assert!(again.status.success(), "{}", text(&again));
    // Even without its file it is found, by the lock that it holds.
    fs::remove_file(&pid_file).expect("removed");
    let stopped = run(dir.path(), &["stop", "."]);
    assert!(stopped.status.success(), "{}", text(&stopped));
    let twice = run(dir.path(), &["stop", "."]);
    assert!(text(&twice).contains("not running"), "{}", text(&twice));
}
