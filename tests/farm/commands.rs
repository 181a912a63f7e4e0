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

/// A master whose files are good, on no port.
const QUIET: &str = "[:master:]\nhtmlport = none\nslaveport = none\n\
    [slave:one]\npassword = hunter2\nfactories = words\n\
    [words]\ntype = shell\ngit = /srv/words.git#main\ncommand = make\n";

fn master(ini: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("master.ini");
    fs::write(&path, ini).expect("written");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&path, private).expect("a mode");
    dir
}

#[test]
fn checkconfig_ends_with_0_if_all_is_good_1_if_not_and_2_if_it_is_called_wrongly() {
    let code = |ini: &str, args: &[&str]| {
        let dir = master(ini);
        let all = [&["checkconfig"], args].concat();
        let output = run(dir.path(), &all);
        (output.status.code(), text(&output))
    };
    assert_eq!(code(QUIET, &[]).0, Some(0));
    let (status, said) = code(&format!("{QUIET}tpye = x\n"), &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("unknown-key"), "{said}");
    assert_eq!(code(QUIET, &["--colour"]).0, Some(2));
    assert_eq!(code(QUIET, &["--show", "--quiet"]).0, Some(2));
    assert_eq!(code(QUIET, &["/nonexistent"]).0, Some(1));
    let secret = QUIET.replace("hunter2", "${secret:one}");
    let (status, said) = code(&secret, &[]);
    assert_eq!(status, Some(1), "{said}");
    assert!(
        said.contains("error[bad-secret]") && said.contains("master.ini:5"),
        "{said}"
    );
    assert_eq!(
        code(&secret, &["--offline"]).0,
        Some(0),
        "the secret is elsewhere"
    );
    let started = run(master(&secret).path(), &["start", "."]);
    assert_eq!(started.status.code(), Some(1), "{}", text(&started));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").to_string();
    let ports = QUIET.replace("htmlport = none", &format!("htmlport = {port}"));
    // The file is good; it is another program that is in the way.
    let (status, said) = code(&ports, &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("warning[port]") && said.contains("master.ini:2"),
        "{said}"
    );
    assert_eq!(code(&ports, &["--offline"]).0, Some(0));
    // A program that is missing keeps no master from starting.
    let hg = format!("{QUIET}[source:x]\ntype = hg\nrepourl = /srv/x\nhgbin = /nonexistent/hg\n");
    let (status, said) = code(&hg, &[]);
    assert_eq!(status, Some(0), "{said}");
    assert!(
        said.contains("warning[environment]") && said.contains("/nonexistent/hg"),
        "{said}"
    );
}

#[test]
fn the_model_is_shown_with_its_origins_and_without_passwords() {
    let dir = master(QUIET);
    let shown = run(dir.path(), &["checkconfig", "--show", "--format", "json"]);
    assert!(shown.status.success(), "{}", text(&shown));
    let shown = String::from_utf8(shown.stdout).expect("text");
    assert!(!shown.contains("hunter2"), "{shown}");
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("a document");
    assert_eq!(shown["builders"][0]["name"], "words-one");
    let origin = shown["builders"][0]["origin"]["place"].as_str();
    assert!(
        origin.is_some_and(|it| it.ends_with("master.ini:4:2")),
        "{origin:?}"
    );
    assert_eq!(shown["master"]["poll_interval"]["origin"]["how"], "default");
    let shown = run(dir.path(), &["checkconfig", "--show"]);
    let said = String::from_utf8(shown.stdout).expect("text");
    assert!(
        said.contains("[scheduler:words]") && said.contains("derived: "),
        "{said}"
    );
}

#[test]
fn a_change_is_explained_by_the_files_alone() {
    let dir = master(QUIET);
    let told = run(
        dir.path(),
        &[
            "explain",
            "--repository",
            "/srv/words.git",
            "--branch",
            "main",
            "--file",
            "a.c",
        ],
    );
    assert!(told.status.success(), "{}", text(&told));
    let said = text(&told);
    assert!(
        said.contains("builder `words-one`: would build, by scheduler `words`"),
        "{said}"
    );
    let near = run(
        dir.path(),
        &[
            "explain",
            "--repository",
            "/srv/word.git",
            "--branch",
            "main",
            "--format",
            "json",
        ],
    );
    let near: serde_json::Value = serde_json::from_slice(&near.stdout).expect("a document");
    assert_eq!(near["hint"], "did you mean `/srv/words.git`?");
    let nothing = run(dir.path(), &["explain"]);
    assert_eq!(nothing.status.code(), Some(2), "{}", text(&nothing));
    let build = run(
        dir.path(),
        &["explain", "build", "words-one/0", "--dir", "."],
    );
    assert_eq!(
        build.status.code(),
        Some(1),
        "no master runs: {}",
        text(&build)
    );
}
