//! What waits, and what is built again, from the command line.

use serde_json::Value;

use crate::farm::{Farm, text};

#[test]
fn requests_are_asked_about_cancelled_and_built_and_builds_are_built_again_and_stopped() {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = hi long\n\
         [hi]\ntype = shell\ncommands = echo hi\n\
         [long]\ntype = shell\ncommands = sleep 600\n",
    );
    farm.start_master();
    let forced = |line: &[&str]| -> String {
        let forced = farm.autobot(line);
        assert!(forced.status.success(), "{}", text(&forced));
        let forced: Value = serde_json::from_slice(&forced.stdout).expect("JSON");
        forced["request"].to_string()
    };
    let first = forced(&["force", "hi-linux", "--revision", "1", "--json"]);
    let urgent = [
        "force",
        "hi-linux",
        "--revision",
        "2",
        "--priority",
        "9",
        "--json",
    ];
    let second = forced(&urgent);

    let why = text(&farm.autobot(&["why", &first]));
    let behind =
        format!("it waits: waits behind request {second} of this builder, which has priority 9");
    assert!(why.contains(&behind), "{why}");
    let why = text(&farm.autobot(&["why", "hi-linux"]));
    assert!(why.contains("slave linux is not connected"), "{why}");
    let cancelled = farm.autobot(&["cancel", &first, "--reason", "not now"]);
    assert_eq!(text(&cancelled), format!("request {first} was cancelled\n"));
    let why = text(&farm.autobot(&["why", &first]));
    assert!(
        why.contains("it was cancelled: ") && why.contains(": not now"),
        "{why}"
    );
    let again = farm.autobot(&["cancel", &first]);
    assert!(!again.status.success());
    assert!(text(&again).contains("is not waiting"), "{}", text(&again));

    farm.start_slave("linux");
    farm.wait_builds("hi-linux", 1);
    let rebuilt = farm.autobot(&[
        "rebuild",
        "hi-linux/0",
        "--wait",
        "-p",
        "colour=red",
        "--json",
    ]);
    assert!(rebuilt.status.success(), "{}", text(&rebuilt));
    let build = farm
        .json("/json/builders/hi-linux/builds/1")
        .expect("a build");
    assert_eq!(build["sourceStamp"]["revision"], "2", "{build:#}");
    let why = text(&farm.autobot(&["why", "hi-linux/1"]));
    assert!(why.contains("The 'rebuild' button was pressed by"), "{why}");

    farm.autobot(&["force", "long-linux"]);
    farm.wait("the long build", |farm| {
        let status = farm.json("/api/status")?;
        (status["running"] == serde_json::json!(["long-linux/0"])).then_some(())
    });
    let unfinished = farm.autobot(&["rebuild", "long-linux/0"]);
    assert!(
        text(&unfinished).contains("is not finished"),
        "{}",
        text(&unfinished)
    );
    let stopped = farm.autobot(&["stop-build", "--all", "--reason", "enough"]);
    assert_eq!(text(&stopped), "build long-linux/0 is stopped\n");
    assert_eq!(farm.wait_builds("long-linux", 1)["results"], 4);
    let none = farm.autobot(&["stop-build", "--all"]);
    assert_eq!(text(&none), "no build is stopped: there is none\n");
}
