//! `autobot statuslog` over the life and death of a master; and users that are looked after over
//! the network.

use std::fs;
use std::process::{Child, Command, Stdio};

use crate::farm::{AUTOBOT, Farm, text};

/// A listener that ends with this.
struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn listen(farm: &Farm, name: &str, more: &[&str]) -> Listener {
    let out = fs::File::create(farm.path(name)).expect("a file");
    let master = format!("http://127.0.0.1:{}", farm.htmlport);
    let child = Command::new(AUTOBOT)
        .args(["statuslog", &master])
        .args(more)
        .current_dir(farm.path(""))
        .env_remove("AUTOBOT_DIR")
        .stdin(Stdio::null())
        .stdout(out)
        .spawn();
    Listener(child.expect("run"))
}

/// Waits until a listener has printed these lines, in this order; gives all that it has.
fn hears(farm: &mut Farm, name: &str, lines: &[&str]) -> String {
    farm.wait(&format!("{lines:?}"), |farm| {
        let told = fs::read_to_string(farm.path(name)).expect("a file");
        let mut all = told.lines();
        let is_whole = lines.iter().all(|wanted| all.any(|it| it == *wanted));
        is_whole.then_some(told)
    })
}

#[test]
fn what_a_master_does_is_told_and_what_it_did_while_nobody_listened() {
    let mut farm = Farm::new(
        "[slave:one]\npassword = secret\nfactories = good bad\n\
         [good]\ntype = shell\ncommand = true\n[bad]\ntype = shell\ncommand = false\n",
    );
    farm.start_master();
    farm.start_slave("one");
    farm.force("good-one", &[]);
    let _all = listen(&farm, "all", &[]);
    let _some = listen(&farm, "some", &["-b", "bad-one", "--level=builds"]);
    let told = hears(
        &mut farm,
        "all",
        &[
            "connected",
            "builderAdded good-one",
            "builderChangedState good-one idle None",
        ],
    );
    assert!(!told.contains("buildFinished"), "that was before: {told}");
    hears(
        &mut farm,
        "some",
        &["builderChangedState bad-one idle None"],
    );
    farm.force("bad-one", &[]);
    hears(
        &mut farm,
        "all",
        &[
            "buildStarted bad-one",
            "stepStarted bad-one shell",
            "stepFinished bad-one shell (2, [\"'false'\", 'failed'])",
            "buildFinished 2 bad-one/0",
        ],
    );
    hears(
        &mut farm,
        "some",
        &["buildStarted bad-one", "buildFinished 2 bad-one/0"],
    );
    farm.force("good-one", &[]);
    hears(&mut farm, "all", &["buildFinished 0 good-one/1"]);

    // The master is away, and what it does before anybody listens again is not lost.
    farm.kill_master();
    hears(&mut farm, "all", &["connected", "lost connection"]);
    farm.start_master();
    farm.force("bad-one", &[]);
    let again = [
        "lost connection",
        "connected",
        "buildStarted bad-one",
        "buildFinished 2 bad-one/1",
    ];
    hears(&mut farm, "all", &again);
    let told = hears(&mut farm, "some", &again);
    assert_eq!(
        told.matches("buildFinished 2 bad-one/1").count(),
        1,
        "{told}"
    );
    for never in ["good-one", "stepStarted"] {
        assert!(!told.contains(never), "{told}");
    }
}

#[test]
fn a_master_that_is_not_there_is_told_at_once() {
    let farm = Farm::new("");
    let master = format!("http://127.0.0.1:{}", farm.htmlport);
    let refused = farm.autobot(&["statuslog", &master]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused).contains("failed to reach the master at"),
        "{}",
        text(&refused)
    );
}

#[test]
fn users_are_looked_after_over_the_network_by_who_may() {
    let mut farm = Farm::new(
        "[:authz:]\nusers = ann:quiet bob:louder\nmanage_users = user.name == \"ann\"\n\
         [slave:one]\npassword = secret\nfactories = good\n[good]\ntype = shell\ncommand = true\n",
    );
    farm.start_master();
    let master = format!("http://127.0.0.1:{}", farm.htmlport);
    let user = |login: &[&str], more: &[&str]| {
        let output = Command::new(AUTOBOT)
            .args(["user", "-m", &master])
            .args(login)
            .args(more)
            .env("HOME", farm.path("home"))
            .env_remove("AUTOBOT_DIR")
            .stdin(Stdio::null())
            .output()
            .expect("run");
        (output.status.code(), text(&output))
    };
    let ann = ["-u", "ann", "-p", "quiet"];
    let added = user(&ann, &["--op=add", "--info=svn=bo,email=b@x.test"]);
    assert_eq!(
        added,
        (Some(0), "user(s) added:\nidentifier: bo\nuid: 1\n\n".into())
    );
    let login = [
        "update",
        "bo",
        "--bb-username=bo",
        "--bb-password=longer than that",
    ];
    assert_eq!(
        user(&ann, &login),
        (Some(0), "user(s) updated:\nidentifier: bo\n".into())
    );
    let (code, told) = user(&ann, &["--op=show", "--ids=bo"]);
    assert_eq!(code, Some(0));
    assert!(
        told.contains("bb_username: bo\nemail: b@x.test\nidentifier: bo\nsvn: bo\n"),
        "{told}"
    );
    for (login, why) in [
        (
            &["-u", "bob", "-p", "louder"][..],
            "does not let `bob` do this",
        ),
        (
            &["-u", "ann", "-p", "loud"],
            "the name or the password is wrong",
        ),
        (&[], "asks for a login"),
    ] {
        let (code, told) = user(login, &["remove", "bo"]);
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains("user op NOT sent") && told.contains(why),
            "{told}"
        );
    }
    assert_eq!(
        user(&ann, &["remove", "bo"]),
        (Some(0), "user(s) removed:\nidentifier: bo\n".into())
    );
}
