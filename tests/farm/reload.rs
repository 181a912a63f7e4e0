//! A configuration is applied whole or not at all.

use std::fs;

use serde_json::Value;

use crate::farm::{Farm, text};

const ONE: &str = "[slave:linux]\npassword = secret\nfactories = one\nlaunch = local\n\n\
                   [one]\ntype = shell\ncommands = echo one\n";

#[test]
fn a_reload_adds_what_is_new_and_a_mistake_changes_nothing() {
    let mut farm = Farm::new(ONE);
    farm.start_master();
    farm.write_ini(&format!(
        "{}\n[two]\ntype = shell\ncomands = echo two\n",
        ONE.replace("factories = one", "factories = one two")
    ));
    let refused = farm.autobot(&["reconfig", "master"]);
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let said = text(&refused);
    assert!(said.contains("unknown key `comands`"), "{said}");
    assert!(said.contains("did you mean `commands`?"), "{said}");
    assert_eq!(farm.get("/builders/two-linux").expect("an answer").0, 404);

    farm.write_ini(&format!(
        "{}\n[two]\ntype = shell\ncommands = echo two\n",
        ONE.replace("factories = one", "factories = one two")
    ));
    let applied = farm.autobot(&["reconfig", "master"]);
    assert!(applied.status.success(), "{}", text(&applied));
    assert!(text(&applied).contains("two-linux"), "{}", text(&applied));

    let build = farm.force("two-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    assert!(farm.log("two-linux", 0, "shell").contains("two"));
}

#[test]
fn a_hangup_reloads_and_a_file_with_a_mistake_leaves_everything_as_it_was() {
    let mut farm = Farm::new(ONE);
    farm.start_master();
    farm.write_ini(&format!("{ONE}comands = x\n"));
    farm.signal_master("HUP");
    farm.wait("the refusal in the log", |farm| {
        farm.master_output()
            .contains("did you mean `commands`?")
            .then_some(())
    });
    assert_eq!(farm.force("one-linux", &[])["results"], 0);

    farm.write_ini(&ONE.replace("one", "other"));
    farm.signal_master("HUP");
    farm.wait("the new builder", |farm| {
        farm.get("/builders/other-linux")
            .filter(|(status, _)| *status == 200)
    });
    assert_eq!(farm.force("other-linux", &[])["results"], 0);
}

/// A build that ends when the file `go` is there; `{word}` says which factory it is of.
fn waiting(word: &str) -> String {
    format!(
        "[work]\ntype = shell\ncommands =\n    echo {word} begins; while [ ! -e go ]; do sleep 0.01; done\n    \
         echo {word} ends; rm go\n"
    )
}

fn dialling(password: &str, factories: &str) -> String {
    format!("[slave:linux]\npassword = {password}\nfactories = {factories}\n\n")
}

fn request(farm: &Farm, builder: &str) -> i64 {
    let forced = farm.autobot(&["force", builder, "--json"]);
    assert!(forced.status.success(), "{}", text(&forced));
    let request: Value = serde_json::from_slice(&forced.stdout).expect("JSON");
    request["request"].as_i64().expect("a number")
}

fn wait_running(farm: &mut Farm, build: &str) {
    let (builder, number) = build.split_once('/').expect("a build");
    let path = format!("/builders/{builder}/builds/{number}/steps/shell/logs/stdio/text?follow=0");
    farm.wait(build, |farm| {
        farm.get(&path).filter(|it| it.1.contains("begins"))
    });
}

fn let_end(farm: &Farm, builder: &str) {
    fs::write(farm.path(&format!("linux/{builder}/build/go")), "").expect("written");
}

fn reconfig(farm: &Farm) -> String {
    let applied = farm.autobot(&["reconfig", "master"]);
    assert!(applied.status.success(), "{}", text(&applied));
    text(&applied)
}

fn connects(farm: &Farm) -> usize {
    farm.master_output().matches("slave attached").count()
}

#[test]
fn what_runs_goes_on_as_it_was_and_what_waits_gets_the_new_steps() {
    let mut farm = Farm::new(&(dialling("secret", "work") + &waiting("old")));
    farm.start_master();
    farm.start_slave("linux");
    request(&farm, "work-linux");
    wait_running(&mut farm, "work-linux/0");
    request(&farm, "work-linux");
    request(&farm, "work-linux");

    farm.write_ini(
        &(dialling("secret", "work more")
            + &waiting("new")
            + "[more]\ntype = shell\ncommands = echo more\n"),
    );
    let told = reconfig(&farm);

    for line in [
        "added builder `more-linux`",
        "changed builder `work-linux`: factory",
        "kept 1 slave",
        "build work-linux/0 goes on with its old steps",
        "2 requests of builder `work-linux` are built with the new steps",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    assert_eq!(
        farm.force("more-linux", &[])["results"],
        0,
        "beside the running build, on a slave that is here already"
    );
    let_end(&farm, "work-linux");
    assert_eq!(farm.wait_builds("work-linux", 1)["results"], 0);
    assert!(farm.log("work-linux", 0, "shell_1").contains("old ends"));
    wait_running(&mut farm, "work-linux/1");
    let_end(&farm, "work-linux");
    assert_eq!(farm.wait_builds("work-linux", 2)["results"], 0);
    assert!(farm.log("work-linux", 1, "shell_1").contains("new ends"));
    let build = farm
        .json("/api/builders/work-linux/builds/1")
        .expect("a build");
    assert_eq!(
        build["requests"].as_array().map(Vec::len),
        Some(2),
        "{build}"
    );
    assert_eq!(build["config"], 2);
    assert_eq!(connects(&farm), 1, "it was not sent away");
    for words in [
        "loading configuration from ",
        "configuration update started",
        "configuration update complete",
    ] {
        assert!(farm.master_output().contains(words), "{words}");
    }
}

#[test]
fn a_removed_builder_finishes_its_build_and_builds_what_waited_when_it_returns() {
    let ini = dialling("secret", "work") + &waiting("one");
    let mut farm = Farm::new(&ini);
    farm.start_master();
    farm.start_slave("linux");
    let first = request(&farm, "work-linux");
    wait_running(&mut farm, "work-linux/0");
    let second = request(&farm, "work-linux");

    farm.write_ini("[slave:linux]\npassword = secret\nfactories =\n");
    let told = reconfig(&farm);

    assert!(told.contains("removed builder `work-linux`"), "{told}");
    assert!(
        told.contains("1 request of builder `work-linux` waits until it returns"),
        "{told}"
    );
    let_end(&farm, "work-linux");
    let path = format!("/api/requests/{first}");
    let done = farm.wait("the request's end", |farm| {
        farm.json(&path).filter(|it| it["state"] == "complete")
    });
    assert_eq!(done["outcome"], "success");
    let builders = farm.json("/json/builders").expect("builders");
    assert_eq!(builders.as_object().map(serde_json::Map::len), Some(0));
    let path = format!("/api/requests/{second}");
    assert_eq!(farm.json(&path).expect("a request")["state"], "waiting");

    farm.write_ini(&ini);
    reconfig(&farm);
    wait_running(&mut farm, "work-linux/1");
    let_end(&farm, "work-linux");
    assert_eq!(farm.wait_builds("work-linux", 2)["results"], 0);
    assert_eq!(connects(&farm), 1);
}

#[test]
fn a_slave_with_another_password_is_sent_away_and_its_build_is_built_again() {
    let mut farm = Farm::new(&(dialling("secret", "work") + &waiting("one")));
    farm.start_master();
    farm.start_slave("linux");
    request(&farm, "work-linux");
    wait_running(&mut farm, "work-linux/0");

    farm.write_ini(&(dialling("other", "work") + &waiting("one")));
    let told = reconfig(&farm);

    assert!(
        told.contains("build work-linux/0 ended: slave `linux` has another password"),
        "{told}"
    );
    assert_eq!(farm.wait_builds("work-linux", 1)["results"], 5, "retry");
    farm.wait("the refusal", |farm| {
        farm.master_output()
            .contains("slave `linux` has another password")
            .then_some(())
    });
    farm.kill_slave();
    farm.start_slave_with("linux", "other");
    wait_running(&mut farm, "work-linux/1");
    let_end(&farm, "work-linux");
    assert_eq!(farm.wait_builds("work-linux", 2)["results"], 0);
}

#[test]
fn the_slaveport_moves_while_slaves_stay_attached() {
    let ini = dialling("secret", "work")
        + &waiting("one")
        + "[slave:second]\npassword = secret\nfactories = quick\n[quick]\ntype = shell\ncommands = echo quick\n";
    let mut farm = Farm::new(&ini);
    farm.start_master();
    farm.start_slave("linux");
    request(&farm, "work-linux");
    wait_running(&mut farm, "work-linux/0");
    let old = farm.slaveport;
    farm.slaveport = std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|it| it.local_addr())
        .expect("a free port")
        .port();
    farm.write_ini(&ini);
    let told = reconfig(&farm);
    assert!(told.contains("changed slaveport "), "{told}");
    farm.wait("the old port's end", |_| {
        std::net::TcpStream::connect(("127.0.0.1", old))
            .is_err()
            .then_some(())
    });
    let_end(&farm, "work-linux");
    assert_eq!(farm.wait_builds("work-linux", 1)["results"], 0);
    farm.start_slave("second");
    assert_eq!(farm.force("quick-second", &[])["results"], 0);
    assert_eq!(connects(&farm), 2);
}

#[test]
fn a_watched_file_is_read_and_its_mistakes_are_told_until_they_are_gone() {
    let mut farm = Farm::new(&format!("watch = yes\n{ONE}"));
    farm.start_master();
    farm.write_ini(&format!("watch = yes\ntitle = two\n{ONE}comands = x\n"));
    let told = "The configuration on the disk has errors since";
    farm.wait("the banner", |farm| {
        farm.get("/").filter(|it| it.1.contains(told))
    });
    let status = farm.autobot(&["status", "master"]);
    assert!(
        text(&status).contains("config problem: the files on the disk have mistakes since"),
        "{}",
        text(&status)
    );
    let log = farm.master_output();
    assert!(log.contains("unknown key `comands`"), "{log}");
    assert!(
        log.contains("I will keep using the previous config file instead."),
        "{log}"
    );
    farm.write_ini(&format!("watch = yes\ntitle = three\n{ONE}"));
    farm.wait("the new title", |farm| {
        farm.get("/")
            .filter(|it| it.1.contains("three") && !it.1.contains(told))
    });
}

#[test]
fn configurations_are_listed_printed_and_put_back() {
    let mut farm = Farm::new(&format!("title = one\n{ONE}"));
    let ini = farm.master_dir().join("master.ini");
    let none = farm.autobot(&["config", "history", "master"]);
    assert!(text(&none).contains("no configuration was applied yet"));
    farm.start_master();
    let first = fs::read_to_string(&ini).expect("a file");
    farm.write_ini(&format!("title = two\n{ONE}"));
    reconfig(&farm);

    let history = farm.autobot(&["config", "history", "--format", "json"]);
    let history: Value = serde_json::from_slice(&history.stdout).expect("JSON");
    assert_eq!(history[0]["number"], 2);
    assert_eq!(history[0]["changes"], serde_json::json!(["changed title"]));
    let shown = farm.autobot(&["config", "show", "1"]);
    assert_eq!(String::from_utf8_lossy(&shown.stdout), first);
    let shown = farm.autobot(&["config", "show", "1", "--builder", "one-linux"]);
    let shown = text(&shown);
    assert!(
        shown.contains("[one]") && shown.contains("password = …"),
        "{shown}"
    );
    assert!(!shown.contains("title"), "{shown}");
    assert_eq!(
        farm.autobot(&["config", "show", "9"]).status.code(),
        Some(1)
    );

    // What nobody has applied yet is not overwritten.
    farm.write_ini(&format!("title = unsaved\n{ONE}"));
    let refused = farm.autobot(&["config", "rollback", "1"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused).contains("`master.ini` changed since configuration 2 was applied"),
        "{}",
        text(&refused)
    );
    let forced = farm.autobot(&["config", "rollback", "1", "--force"]);
    assert!(forced.status.success(), "{}", text(&forced));
    assert!(text(&forced).contains("changed title"), "{}", text(&forced));
    assert_eq!(fs::read_to_string(&ini).expect("a file"), first);
    let beside = farm.master_dir().join("master.ini.before-rollback");
    assert!(
        fs::read_to_string(beside)
            .expect("kept")
            .contains("title = unsaved")
    );
    assert_eq!(farm.json("/api/status").expect("a status")["config"], 3);

    farm.kill_master();
    fs::remove_file(&ini).expect("removed");
    let stopped = farm.autobot(&["config", "rollback", "2"]);
    assert!(stopped.status.success(), "{}", text(&stopped));
    assert!(
        text(&stopped).contains("will start with the files of configuration 2"),
        "{}",
        text(&stopped)
    );
    farm.start_master();
    let status = farm.json("/api/status").expect("a status");
    assert_eq!(
        (&status["title"], &status["config"]),
        (&"two".into(), &4.into())
    );
    let history = text(&farm.autobot(&["config", "history"]));
    assert!(
        history.contains("changed file `master.ini` while the master was down"),
        "{history}"
    );
}

#[test]
fn a_rollback_to_what_cannot_be_applied_leaves_the_files_alone() {
    let stranger = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = stranger.local_addr().expect("bound").port();
    let public = |port: u16| format!("publichtmlport = 127.0.0.1:{port}\n{ONE}");
    drop(stranger);
    let mut farm = Farm::new(&public(taken));
    farm.start_master();
    farm.write_ini(ONE);
    reconfig(&farm);
    let stranger = std::net::TcpListener::bind(("127.0.0.1", taken));
    let _stranger = farm.wait("the port", {
        let mut stranger = Some(stranger);
        move |_| match stranger.take() {
            Some(Ok(it)) => Some(it),
            _ => std::net::TcpListener::bind(("127.0.0.1", taken)).ok(),
        }
    });
    let ini = farm.master_dir().join("master.ini");
    let before = fs::read_to_string(&ini).expect("a file");

    let refused = farm.autobot(&["config", "rollback", "1"]);

    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
    let said = text(&refused);
    assert!(
        said.contains("`publichtmlport`: cannot listen on"),
        "{said}"
    );
    assert!(said.contains("the files are as they were"), "{said}");
    assert_eq!(fs::read_to_string(&ini).expect("a file"), before);
    assert_eq!(farm.force("one-linux", &[])["results"], 0);
}

#[test]
fn a_slave_that_the_master_starts_keeps_its_process_until_it_leaves() {
    let ini = |more: &str| {
        format!(
            "[slave:linux]\npassword = secret\nfactories = work\nlaunch = local\n{more}\n\
             [work]\ntype = shell\ncommands = echo $$ begins; exec sleep 1000\n"
        )
    };
    let mut farm = Farm::new(&ini(""));
    farm.start_master();
    request(&farm, "work-linux");
    wait_running(&mut farm, "work-linux/0");
    farm.write_ini(&ini("max_builds = 3\nproperty.a = b\n"));
    let told = reconfig(&farm);
    assert!(
        told.contains("changed slave `linux`: max_builds, properties"),
        "{told}"
    );
    assert_eq!(connects(&farm), 1, "the same process");
    let log = farm.get("/builders/work-linux/builds/0/steps/shell/logs/stdio/text?follow=0");
    let log = log.expect("a log").1;
    let pid = log
        .split(" begins")
        .next()
        .and_then(|it| it.split_whitespace().last());
    let pid: u32 = pid.and_then(|it| it.parse().ok()).expect("a process");
    let process = std::path::PathBuf::from(format!("/proc/{pid}"));
    assert!(process.exists());

    farm.write_ini("title = empty\n");
    reconfig(&farm);

    // Its pages outlive the builder.
    let build = farm.wait("the build's end", |farm| {
        let build = farm.json("/api/builders/work-linux/builds/0")?;
        (!build["outcome"].is_null()).then_some(build)
    });
    assert_eq!(build["outcome"], "retry");
    farm.wait("the end of the command", |_| {
        (!process.exists()).then_some(())
    });
    assert_eq!(connects(&farm), 1);
}

#[test]
fn a_removed_slave_is_refused_and_another_builds_on() {
    let ini = |slaves: &str| {
        format!(
            "builders = factory\npassword = secret\nfactories = work\n{slaves}{}",
            waiting("one")
        )
    };
    let mut farm = Farm::new(&ini("[slave:linux]\n[slave:other]\n"));
    farm.start_master();
    farm.start_slave("linux");
    request(&farm, "work");
    wait_running(&mut farm, "work/0");
    farm.write_ini(&ini("[slave:other]\n"));
    let told = reconfig(&farm);
    assert!(told.contains("removed slave `linux`"), "{told}");
    assert!(
        told.contains("build work/0 ended: slave `linux` left"),
        "{told}"
    );
    assert_eq!(farm.wait_builds("work", 1)["results"], 5, "retry");
    farm.wait("the refusal", |farm| {
        farm.master_output()
            .contains("slave `linux` is not configured")
            .then_some(())
    });
    farm.start_slave("other");
    wait_running(&mut farm, "work/1");
    fs::write(farm.path("other/work/build/go"), "").expect("written");
    let build = farm.wait_builds("work", 2);
    assert_eq!(
        (&build["results"], &build["slave"]),
        (&0.into(), &"other".into())
    );
}
