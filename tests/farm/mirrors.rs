//! One mirror of a repository for all builds of a slave, from the configuration to the tree.

use std::fs;

use crate::farm::{Farm, sh};
use crate::servers::Server;

/// The repository `r`, with one commit.
fn serve() -> Server {
    let server = Server::git();
    server.git_init("r");
    server.git_commit("r", "one");
    server
}

fn asked(server: &Server) -> usize {
    server.log().matches("Request upload-pack").count()
}

/// `ini` with factories of the names, all of one repository.
fn ini(server: &Server, slave: &str, factories: &[&str]) -> String {
    let mut ini = format!("derive = no\npassword = secret\nbuilders = factory\n\n{slave}\n");
    for name in factories {
        let url = server.url("r");
        ini.push_str(&format!(
            "\n[{name}]\ntype = shell\ngit = {url}#main\ncommand = cat file\n"
        ));
    }
    ini
}

/// What the checkout of a builder's first build has said.
fn so_far(farm: &Farm, builder: &str) -> Option<String> {
    let path = format!("/builders/{builder}/builds/0/steps/git/logs/stdio/text?follow=0");
    let (status, log) = farm.get(&path)?;
    (status == 200).then_some(log)
}

fn is_green(build: &serde_json::Value) {
    assert_eq!(build["results"], 0, "{build:#}");
}

#[test]
fn builders_of_one_repository_fetch_it_once_and_need_no_mirror_afterwards() {
    let server = serve();
    let names = ["a", "b", "c", "d", "e"];
    let slave = "[slave:linux]\nfactories = a b c d e";
    let mut farm = Farm::new(&ini(&server, slave, &names));
    farm.start_master();
    farm.start_slave("linux");
    let head = server.git_commit("r", "two");
    // So that all of them are at it before anybody has anything.
    server.signal("STOP");
    for name in names {
        let args = ["force", name, "--branch", "main", "--revision", &head];
        let forced = farm.autobot(&args);
        assert!(forced.status.success(), "{forced:?}");
    }
    farm.wait("four that wait for the fifth", |farm| {
        let logs = names.map(|name| so_far(farm, name).unwrap_or_default());
        let count = |text: &str| logs.iter().filter(|it| it.contains(text)).count();
        let waiting = count("mirror: another command is at it; waiting");
        (count("mirror: is made") == 1 && waiting == 4).then_some(())
    });
    server.signal("CONT");
    for name in names {
        is_green(&farm.wait_builds(name, 1));
        assert!(farm.log(name, 0, "shell").contains("two"));
    }
    assert_eq!(asked(&server), 1);

    // Whoever removes the mirrors breaks no tree.
    fs::remove_dir_all(farm.path("linux/mirrors")).expect("there were mirrors");
    let head = server.git_commit("r", "three");
    let build = farm.force("a", &["--branch", "main", "--revision", &head]);
    is_green(&build);
    assert!(farm.log("a", 1, "shell").contains("three"));
    let origin = sh(
        &farm.path("linux/a/build"),
        "git",
        &["remote", "get-url", "origin"],
    );
    assert_eq!(origin.trim(), server.url("r"));
    assert!(farm.path("linux/mirrors").is_dir(), "they are back");
}

#[test]
fn a_first_mirror_outlives_master_and_slave() {
    let server = serve();
    let slave = "[slave:linux]\nfactories = a";
    let mut farm = Farm::new(&ini(&server, slave, &["a"]));
    farm.start_master();
    farm.start_slave("linux");
    server.signal("STOP");
    let forced = farm.autobot(&["force", "a"]);
    assert!(forced.status.success(), "{forced:?}");
    farm.wait("a mirror that is made", |farm| {
        so_far(farm, "a")?.contains("mirror: is made").then_some(())
    });
    farm.kill_slave();
    farm.kill_master();
    farm.start_master();
    farm.start_slave("linux");
    server.signal("CONT");
    is_green(&farm.wait_builds("a", 1));
    assert!(farm.log("a", 0, "shell").contains("one"));
    // The branch `main`; nobody asked for more.
    assert_eq!(asked(&server), 1);
}

#[test]
fn a_slave_or_a_step_may_do_without_mirrors_and_a_budget_holds() {
    let server = serve();
    let slaves = "[slave:plain]\nfactories = a\nmirrors = no\n\n\
                  [slave:small]\nfactories = b c\nmirror_budget = 1K";
    let mut text = ini(&server, slaves, &["a", "b", "c"]);
    text.push_str("mirror = no\n");
    let mut farm = Farm::new(&text);
    farm.start_master();
    farm.start_slave("plain");
    farm.start_slave("small");
    for name in ["a", "b", "c"] {
        is_green(&farm.force(name, &[]));
        assert!(farm.log(name, 0, "shell").contains("one"));
        let log = farm.log(name, 0, "git");
        assert_eq!(log.contains("mirror:"), name == "b", "{log}");
    }
    assert!(!farm.path("plain/mirrors").exists());
    let log = farm.log("b", 0, "git");
    assert!(log.contains("and `mirror_budget` is 1.0 KiB"), "{log}");
}
