//! A slave that is paused over a restart of its master.

use crate::farm::{Farm, text};

#[test]
fn a_pause_holds_over_a_kill_of_the_master_until_the_command_line_ends_it() {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = hi\n\
         [hi]\ntype = shell\ncommands = echo hi\n",
    );
    farm.start_master();
    let slip = farm.autobot(&["slave", "pause", "linus"]);
    assert!(!slip.status.success());
    assert!(
        text(&slip).contains("did you mean `linux`?"),
        "{}",
        text(&slip)
    );
    let paused = farm.autobot(&["slave", "pause", "linux", "--reason", "new disk"]);
    assert!(paused.status.success(), "{}", text(&paused));
    let said = text(&paused);
    assert!(said.starts_with("slave linux is paused since "), "{said}");
    assert!(said.ends_with(": new disk\n"), "{said}");

    farm.kill_master();
    farm.start_master();
    farm.start_slave("linux");
    farm.wait("the slave", |farm| {
        let slave = farm.json("/json/slaves/linux")?;
        (slave["connected"] == true && slave["paused"]["reason"] == "new disk").then_some(())
    });
    let status = text(&farm.autobot(&["status"]));
    assert!(status.contains(said.trim_end()), "{status}");
    let forced = farm.autobot(&["force", "hi-linux", "--json"]);
    let forced: serde_json::Value = serde_json::from_slice(&forced.stdout).expect("JSON");
    let request = format!("/api/requests/{}", forced["request"]);
    farm.wait("why the request waits", |farm| {
        let waits = farm.json(&request)?;
        assert_eq!(waits["state"], "waiting", "{waits:#}");
        (waits["why"] == said.trim_end()).then_some(())
    });

    let unpaused = farm.autobot(&["slave", "unpause", "linux"]);
    assert_eq!(text(&unpaused), "slave linux takes builds again\n");
    assert_eq!(farm.wait_builds("hi-linux", 1)["results"], 0);
    let again = farm.autobot(&["slave", "unpause", "linux"]);
    assert!(
        text(&again).contains("slave linux is not paused"),
        "{}",
        text(&again)
    );
}
