//! A master that shuts down when its builds are done.

use std::fs;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::farm::{AUTOBOT, Farm, sh, text};

/// Runs `autobot stop --clean` beside the test; what it says is in `stop.out`.
pub(crate) fn stop_clean(farm: &Farm) -> Child {
    let said = fs::File::create(farm.path("stop.out")).expect("a file");
    Command::new(AUTOBOT)
        .args(["stop", "--clean"])
        .arg(farm.master_dir())
        .env("USER", "ann")
        .stdin(Stdio::null())
        .stdout(said.try_clone().expect("a file"))
        .stderr(said)
        .spawn()
        .expect("started")
}

pub(crate) fn wait_for_line(farm: &mut Farm, line: &str) {
    farm.wait(line, |farm| {
        let said = fs::read_to_string(farm.path("stop.out")).expect("a file");
        said.contains(line).then_some(())
    });
}

pub(crate) fn wait_for_end(farm: &mut Farm, mut stop: Child) -> bool {
    farm.wait("the command's end", |_| stop.try_wait().expect("a child"))
        .success()
}

/// Asks for a build; gives the way to its request.
fn ask(farm: &Farm, builder: &str) -> String {
    let forced = farm.autobot(&["force", builder, "--json"]);
    let forced: Value = serde_json::from_slice(&forced.stdout).expect("JSON");
    format!("/api/requests/{}", forced["request"])
}

#[test]
fn a_master_that_is_stopped_cleanly_ends_its_builds_begins_no_others_and_can_be_held_back() {
    let mut farm = Farm::new("");
    let gate = farm.path("gate").display().to_string();
    sh(&farm.path(""), "mkfifo", &[&gate]);
    farm.write_ini(&format!(
        "[slave:linux]\npassword = secret\nfactories = slow hi\n\
         [slow]\ntype = shell\ncommands = cat {gate}\n\
         [hi]\ntype = shell\ncommands = echo hi\n"
    ));
    farm.start_master();
    farm.start_slave("linux");
    let slow = ask(&farm, "slow-linux");
    farm.wait("the slow build", |farm| {
        (farm.json(&slow)?["state"] == "building").then_some(())
    });

    let stop = stop_clean(&farm);
    wait_for_line(&mut farm, "; 1 build is left: slow-linux/0\n");
    let hi = ask(&farm, "hi-linux");
    farm.wait("why the request waits", |farm| {
        let waits = farm.json(&hi)?;
        assert_eq!(waits["state"], "waiting", "{waits:#}");
        let why = waits["why"].as_str()?;
        let begins = "the master shuts down when its builds are done, asked for at ";
        assert!(why.starts_with(begins) && why.ends_with(" by ann"), "{why}");
        Some(())
    });
    let (_, page) = farm.get("/builders/hi-linux").expect("a page");
    assert!(page.contains("1 is left: <a href"), "{page}");
    let status = text(&farm.autobot(&["status"]));
    assert!(
        status.contains("shutdown: the master shuts down"),
        "{status}"
    );

    let held = farm.autobot(&["stop", "--cancel"]);
    assert!(held.status.success(), "{}", text(&held));
    assert!(!wait_for_end(&mut farm, stop), "it was cancelled");
    wait_for_line(&mut farm, "goes on: its shutdown was cancelled");
    assert_eq!(farm.wait_builds("hi-linux", 1)["results"], 0);
    let again = farm.autobot(&["stop", "--cancel"]);
    let said = text(&again);
    assert!(said.contains("was not about to shut down"), "{said}");

    // A master that is killed meanwhile knows nothing of it afterwards.
    assert_eq!(farm.post("/shutdown", "").expect("an answer").0, 200);
    farm.kill_master();
    farm.start_master();
    let shutdown = farm.json("/api/shutdown").expect("a document");
    assert_eq!(shutdown, json!({ "shutdown": null, "builds": [] }));
    let hi = ask(&farm, "hi-linux");
    farm.wait("the next build", |farm| {
        (farm.json(&hi)?["state"] == "complete").then_some(())
    });

    let stop = stop_clean(&farm);
    wait_for_line(&mut farm, "; 1 build is left: slow-linux/0\n");
    ask(&farm, "hi-linux");
    fs::write(&gate, "gone through\n").expect("written");
    assert!(wait_for_end(&mut farm, stop));
    wait_for_line(&mut farm, " has ended; it was process ");
    farm.wait_master_end();
    farm.start_master();
    assert_eq!(farm.build("slow-linux", 0)["results"], 0);
    assert!(farm.log("slow-linux", 0, "shell").contains("gone through"));
    // What came too late is built by the next run.
    assert_eq!(farm.wait_builds("hi-linux", 3)["results"], 0);
}
