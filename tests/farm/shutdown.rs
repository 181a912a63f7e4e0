//! A slave that ends when its builds have.

use std::fs;

use crate::farm::{Farm, sh, text};

#[test]
fn a_slave_that_is_asked_by_a_signal_ends_after_its_build_and_takes_no_other() {
    let mut farm = Farm::new("");
    let gate = farm.path("gate").display().to_string();
    sh(&farm.path(""), "mkfifo", &[&gate]);
    farm.write_ini(&format!(
        "[slave:linux]\npassword = secret\nfactories = slow quick\n\
         [slow]\ntype = shell\ncommands = cat {gate}\n\
         [quick]\ntype = shell\ncommands = true\n"
    ));
    farm.start_master();
    let master = format!("127.0.0.1:{}", farm.slaveport);
    let more = "password = secret\nallow_shutdown = signal\n";
    farm.start_slave_at("linux", &master, more);
    let forced = farm.autobot(&["force", "slow-linux"]);
    assert!(forced.status.success(), "{}", text(&forced));
    farm.wait("the build", |farm| {
        let build = farm.json("/json/builders/slow-linux/builds/0")?;
        build["currentStep"].is_object().then_some(())
    });

    farm.signal_slave("HUP");
    farm.wait("the word on the page", |farm| {
        let page = farm.get("/buildslaves/linux")?.1;
        page.contains("It shuts down when its builds are done")
            .then_some(())
    });
    let forced = farm.autobot(&["force", "quick-linux", "--json"]);
    let forced: serde_json::Value = serde_json::from_slice(&forced.stdout).expect("JSON");
    let request = format!("/api/requests/{}", forced["request"]);
    farm.wait("why the request waits", |farm| {
        let waits = farm.json(&request)?;
        (waits["why"] == "slave linux shuts down when its builds are done").then_some(())
    });
    assert!(!farm.slave_output("linux").contains("slave ended"));

    fs::write(&gate, "through\n").expect("somebody reads");
    assert_eq!(farm.wait_builds("slow-linux", 1)["results"], 0);
    farm.wait("the slave's end", |farm| {
        let said = farm.slave_output("linux");
        said.contains("slave ended").then_some(())
    });
    farm.start_slave_in("linux");
    assert_eq!(farm.wait_builds("quick-linux", 1)["results"], 0);
}

#[test]
fn the_command_line_ends_a_slave_or_says_what_is_in_the_way() {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = hi\n[hi]\ntype = shell\ncommands = true\n",
    );
    farm.start_master();
    let slip = farm.autobot(&["slave", "shutdown", "linus"]);
    assert!(!slip.status.success());
    let said = text(&slip);
    assert!(said.contains("did you mean `linux`?"), "{said}");
    let away = farm.autobot(&["slave", "shutdown", "linux"]);
    assert!(!away.status.success());
    let said = text(&away);
    assert!(said.contains("slave linux is not connected"), "{said}");

    farm.start_slave("linux");
    farm.wait("the slave", |farm| {
        let slave = farm.json("/json/slaves/linux")?;
        assert_eq!(slave["shuts_down"], false, "{slave:#}");
        (slave["connected"] == true).then_some(())
    });
    let told = farm.autobot(&["slave", "shutdown", "linux"]);
    assert_eq!(
        text(&told),
        "slave linux shuts down when its builds are done\n"
    );
    farm.wait("the slave's end", |farm| {
        let said = farm.slave_output("linux");
        said.contains("slave ended").then_some(())
    });
}
