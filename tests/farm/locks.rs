//! Builds and steps that exclude each other.

use std::fs;

use serde_json::{Value, json};

use crate::farm::{Farm, text};

/// A builder `NAME-linux` that holds the lock for all of a build and waits for a file `go`.
const HELD: &str = "[lock:database]\n\n[slave:linux]\npassword = secret\nfactories = one two\n\n\
    [one]\ntype = shell\nlocks = database exclusive\n\
    commands = while [ ! -e ../../go ]; do sleep 0.02; done; echo one\n\n\
    [two]\ntype = shell\nlocks = database exclusive\ncommands = test -e ../../go && echo two\n";

fn first_text(farm: &Farm, builder: &str) -> Option<Value> {
    let build = farm.json(&format!("/json/builders/{builder}/builds/0"))?;
    Some(build["steps"][0]["text"].clone())
}

fn force(farm: &Farm, builder: &str) {
    let forced = farm.autobot(&["force", builder]);
    assert!(forced.status.success(), "{}", text(&forced));
}

/// Waits until a request of a builder says that it waits for the lock.
fn queues(farm: &mut Farm, builder: &str) {
    farm.wait("a request that waits", |farm| {
        let (_, page) = farm.get(&format!("/builders/{builder}"))?;
        page.contains("waits for lock database, which")
            .then_some(())
    });
}

fn waits(farm: &mut Farm, builder: &str) {
    farm.wait("a build that waits", |farm| {
        first_text(farm, builder).filter(|it| *it == json!(["waiting for locks"]))
    });
}

/// Waits until the first step of a build has what it needs.
fn runs(farm: &mut Farm, builder: &str) {
    farm.wait("a running step", |farm| {
        let build = farm.json(&format!("/json/builders/{builder}/builds/0"))?;
        let step = &build["steps"][0];
        let is_begun = step["isStarted"] == true && step["text"] != json!(["waiting for locks"]);
        is_begun.then_some(())
    });
}

#[test]
fn builds_of_one_lock_follow_each_other_even_over_a_killed_master() {
    let mut farm = Farm::new(HELD);
    farm.start_master();
    farm.start_slave("linux");
    force(&farm, "one-linux");
    runs(&mut farm, "one-linux");
    force(&farm, "two-linux");
    queues(&mut farm, "two-linux");
    let locks = farm.json("/api/locks").expect("a list");
    let one = json!([{ "builder": "one-linux", "number": 0, "access": "exclusive" }]);
    let two = json!([{ "builder": "two-linux", "number": null, "access": "exclusive" }]);
    assert_eq!((&locks[0]["holders"], &locks[0]["waiting"]), (&one, &two));
    let (_, page) = farm.get("/locks").expect("a page");
    assert!(page.contains("a build of two-linux"), "{page}");

    farm.kill_master();
    farm.start_master();
    queues(&mut farm, "two-linux");
    fs::write(farm.path("linux/go"), "").expect("written");

    let one = farm.wait_builds("one-linux", 1);
    let two = farm.wait_builds("two-linux", 1);
    assert_eq!(
        (&one["results"], &two["results"]),
        (&json!(0), &json!(0)),
        "{one:#} {two:#}"
    );
    let (ended, began) = (&one["times"][1], &two["steps"][0]["times"][0]);
    assert!(ended.as_f64() <= began.as_f64(), "{ended} {began}");
}

/// A step that holds the lock until there is a file `go`, and one that always runs.
const STEPS: &str = "description = \"steps\"\nextends = \"source\"\n\n[[steps]]\ntype = \"shell\"\n\
    command = \"while [ ! -e ../../go ]; do sleep 0.02; done; echo done\"\nlocks = [\"database\"]\n\n\
    [[steps]]\ntype = \"shell\"\nname = \"always\"\ncommand = \"echo always\"\nalways_run = true\n";

#[test]
fn a_step_that_waits_for_a_lock_can_be_stopped_and_stands_in_nobodys_way() {
    let mut farm = Farm::new(
        "[lock:database]\n\n[slave:linux]\npassword = secret\nfactories = one two three\n\n\
         [one]\ntype = steps\n\n[two]\ntype = steps\n\n[three]\ntype = steps\n",
    );
    fs::create_dir_all(farm.master_dir().join("factories")).expect("made");
    fs::write(farm.master_dir().join("factories/steps.toml"), STEPS).expect("written");
    farm.start_master();
    farm.start_slave("linux");
    force(&farm, "one-linux");
    runs(&mut farm, "one-linux");
    force(&farm, "two-linux");
    waits(&mut farm, "two-linux");
    force(&farm, "three-linux");
    waits(&mut farm, "three-linux");

    let stopped = farm.post("/builders/two-linux/builds/0/stop", "comments=enough");
    assert!(stopped.is_some_and(|(status, _)| status < 400));
    let two = farm.wait_builds("two-linux", 1);
    assert_eq!(two["results"], 4, "{two:#}");
    let step = &two["steps"][0];
    assert!(step["text"].to_string().contains("interrupted"), "{step:#}");
    let logs = step["logs"].to_string();
    assert!(logs.contains("interrupt while waiting for locks"), "{logs}");
    assert_eq!(two["steps"][1]["results"][0], 0, "what always runs ran");

    // The first one holds its lock over a restart, and gives it to the third.
    farm.kill_master();
    farm.start_master();
    waits(&mut farm, "three-linux");
    fs::write(farm.path("linux/go"), "").expect("written");
    assert_eq!(farm.wait_builds("one-linux", 1)["results"], 0);
    assert_eq!(farm.wait_builds("three-linux", 1)["results"], 0);
}
