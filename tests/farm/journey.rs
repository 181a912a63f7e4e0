//! From a push to a green page.

use std::fs;

use serde_json::json;

use crate::farm::{Farm, commit, git_init, property, sh, text};

#[test]
fn a_pushed_commit_is_built_and_its_page_is_green() {
    let repo = tempfile::tempdir().expect("a directory");
    fs::write(repo.path().join("file with space ü"), "1\n").expect("written");
    git_init(repo.path(), "main");
    let url = repo.path().display();
    let mut farm = Farm::new(&format!(
        "poll_interval = 1\ntree_stable = 1\n\n\
         [slave:linux]\npassword = secret\nfactories = thing\n\n\
         [thing]\ntype = shell\ngit = {url}#main\ncommands =\n    cat 'file with space ü'\n    git log --format=%%H -1\n"
    ));
    farm.start_master();
    farm.start_slave("linux");
    // The first poll only notes where the branch is.
    farm.wait("the first poll", |farm| {
        farm.get("/changes")
            .filter(|it| it.1.contains("last poll") || it.1.contains("ago"))
    });

    fs::write(repo.path().join("file with space ü"), "2\n").expect("written");
    let revision = commit(repo.path(), "Say two\n\nwith a body");

    let build = farm.wait_builds("thing-linux", 1);
    assert_eq!(build["results"], 0, "{build:#}");
    assert_eq!(property(&build, "got_revision"), revision.as_str());
    assert_eq!(build["blame"], json!(["ann@example.org"]), "{build:#}");
    assert_eq!(property(&build, "scheduler"), "thing", "{build:#}");
    let change = &build["sourceStamp"]["changes"][0];
    assert_eq!(
        change["files"],
        json!([{"name": "file with space ü", "url": null}])
    );
    assert_eq!(change["comments"], "Say two\nwith a body");
    assert!(
        farm.log("thing-linux", 0, "shell").contains("\n2\n"),
        "the new file was built"
    );
    assert!(farm.log("thing-linux", 0, "shell_1").contains(&revision));
    let page = farm
        .get("/builders/thing-linux/builds/0")
        .expect("a page")
        .1;
    assert!(page.contains("success"), "{page}");
    assert!(page.contains("Why this build ran"), "{page}");
    let told = farm.explain(&["build", "thing-linux/0"]);
    for word in [
        "ann@example.org",
        "`thing` builds when",
        "request",
        "on slave `linux`",
        "success",
    ] {
        assert!(told.contains(word), "{word}:\n{told}");
    }
}

#[test]
fn a_subversion_commit_is_built_on_its_branch() {
    let dir = tempfile::tempdir().expect("a directory");
    sh(dir.path(), "svnadmin", &["create", "r"]);
    let root = format!("file://{}/r", dir.path().display());
    for branch in ["trunk", "releases/1.2.X"] {
        let (url, message) = (format!("{root}/{branch}"), format!("make {branch}"));
        let line = ["mkdir", "-q", "--parents", "-m", &message, &url];
        sh(dir.path(), "svn", &line);
    }
    let mut farm = Farm::new(&format!(
        "poll_interval = 1\ntree_stable = 1\n\n\
         [slave:linux]\npassword = secret\nfactories = thing\nlaunch = local\n\n\
         [thing]\ntype = shell\nsvn.trunk = {root}/trunk\nsvn.1.2.X = {root}/releases/1.2.X\n\
         commands = cat file\n"
    ));
    farm.start_master();
    farm.wait("the first polls", |farm| {
        let page = farm.get("/api/status")?.1;
        (page.matches("\"last_poll\":\"").count() == 2).then_some(())
    });
    let work = dir.path().join("w");
    let url = format!("{root}/releases/1.2.X");
    sh(dir.path(), "svn", &["checkout", "-q", &url, "w"]);
    fs::write(work.join("file"), "of the release\n").expect("written");
    sh(&work, "svn", &["add", "-q", "file"]);
    sh(&work, "svn", &["commit", "-q", "-m", "A file"]);

    let build = farm.wait_builds("thing-linux", 1);
    assert_eq!(build["results"], 0, "{build:#}");
    assert_eq!(property(&build, "branch"), "1.2.X", "{build:#}");
    assert_eq!(property(&build, "got_revision"), "3", "{build:#}");
    let log = farm.log("thing-linux", 0, "shell");
    assert!(log.contains("\nof the release\n"), "{log}");
}

#[test]
fn a_mercurial_push_is_built_too() {
    let repo = tempfile::tempdir().expect("a directory");
    fs::write(repo.path().join("a"), "1\n").expect("written");
    sh(repo.path(), "hg", &["init"]);
    sh(repo.path(), "hg", &["commit", "-A", "-q", "-m", "first"]);
    let url = repo.path().display();
    let mut farm = Farm::new(&format!(
        "poll_interval = 1\ntree_stable = 0\n\n\
         [slave:linux]\npassword = secret\nfactories = thing\n\n\
         [thing]\ntype = shell\nhg = {url}\ncommands = cat a\n"
    ));
    farm.start_master();
    farm.start_slave("linux");
    farm.wait("the first poll", |farm| {
        farm.get("/changes")
            .filter(|it| it.1.contains("last poll") || it.1.contains("ago"))
    });
    fs::write(repo.path().join("a"), "two\n").expect("written");
    sh(repo.path(), "hg", &["commit", "-q", "-m", "second"]);
    let revision = sh(
        repo.path(),
        "hg",
        &["log", "-r", "tip", "--template", "{node}"],
    );

    let build = farm.wait_builds("thing-linux", 1);
    assert_eq!(build["results"], 0, "{build:#}");
    assert_eq!(property(&build, "got_revision"), revision.as_str());
    assert!(farm.log("thing-linux", 0, "shell").contains("two"));
}

#[test]
fn a_factory_section_gives_its_factory_keyword_parameters_and_the_platform() {
    let mut farm = Farm::new(
        "[slave:box]\npassword = secret\nos = linux\nfactories = foo\nlaunch = local\n\n\
         [foo]\nbar = fleem\nbaz = another parameter\n",
    );
    fs::create_dir(farm.master_dir().join("factories")).expect("a directory");
    fs::write(
        farm.master_dir().join("factories/foo.toml"),
        r#"
description = "The example of the manual"

[params]
bar = { type = "str", default = "" }
baz = { type = "str", default = "" }

[[steps]]
type = "shell"
command = ["echo", "bar={{ bar }}", "baz={{ baz }}", "os={{ platform.os }}"]
"#,
    )
    .expect("written");
    farm.start_master();

    let build = farm.force("foo-box", &[]);

    assert_eq!(build["results"], 0, "{build:#}");
    assert_eq!(build["slave"], "box");
    let log = farm.log("foo-box", 0, "shell");
    assert!(
        log.contains("\nbar=fleem baz=another parameter os=linux\n"),
        "{log}"
    );
}

#[test]
fn a_forced_build_waits_for_its_slave_and_can_be_stopped() {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = sleepy\n\n\
         [sleepy]\ntype = shell\ncommands =\n    echo begun; setsid sleep 1000\n    echo never\n",
    );
    farm.start_master();
    let forced = farm.autobot(&["force", "sleepy-linux", "--reason", "a look", "--json"]);
    assert!(forced.status.success(), "{}", text(&forced));
    let waiting = farm.json("/api/requests/1").expect("a request");
    assert_eq!(waiting["state"], "waiting");
    assert_eq!(waiting["why"], "slave linux is not connected");

    farm.start_slave("linux");
    farm.wait("the first line", |farm| {
        let log =
            farm.get("/builders/sleepy-linux/builds/0/steps/shell/logs/stdio/text?follow=0")?;
        log.1.contains("begun").then_some(())
    });
    let stopped = farm.post("/builders/sleepy-linux/builds/0/stop", "comments=enough");
    assert_eq!(stopped.expect("an answer").0, 200);

    let build = farm.wait_builds("sleepy-linux", 1);
    assert_eq!(build["results"], 4, "{build:#}");
    assert_eq!(build["text"], json!(["exception", "interrupted"]));
    assert_eq!(
        build["steps"][1]["isStarted"], false,
        "the second command never ran"
    );
    let page = farm.get("/builders/sleepy-linux/builds/0/steps/shell/logs/interrupt/text");
    assert!(page.expect("a log").1.contains("enough"));
    // Also the child that made a session of its own is gone.
    farm.wait("the end of the whole tree", |_| {
        let found = std::process::Command::new("pgrep")
            .args(["-f", "^sleep 1000$"])
            .output();
        (!found.expect("pgrep").status.success()).then_some(())
    });
}

#[test]
fn a_python_package_is_installed_in_an_environment_of_its_own() {
    let repo = tempfile::tempdir().expect("a directory");
    fs::write(
        repo.path().join("setup.py"),
        "from setuptools import setup\nsetup(name='tiny', version='1.0', py_modules=['tiny'])\n",
    )
    .expect("written");
    fs::write(repo.path().join("tiny.py"), "WORD = 'tiny'\n").expect("written");
    git_init(repo.path(), "main");
    let name = repo
        .path()
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let mut farm = Farm::new(&format!(
        "[slave:linux]\npassword = secret\nfactories = py\nlaunch = local\n\n\
         [py]\ntype = python_source\ngit = {}#main\n",
        repo.path().display()
    ));
    farm.start_master();

    let build = farm.force("py-linux", &[]);

    assert_eq!(build["results"], 0, "{build:#}");
    let environment = property(&build, "virtualenv");
    let environment = environment.as_str().expect("a path").to_owned();
    assert!(
        environment.ends_with("/py-linux/build/env"),
        "{environment}"
    );
    let python = property(&build, "python")
        .as_str()
        .expect("a path")
        .to_owned();
    assert_eq!(
        sh(
            farm.path("").as_path(),
            &python,
            &["-c", "print(__import__('tiny').WORD)"]
        ),
        "tiny"
    );
    assert!(
        farm.path("master/slaves/linux/py-linux/build/env/src")
            .join(name)
            .exists()
    );
}

#[test]
fn a_build_that_never_falls_silent_can_be_stopped() {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = loud\nlaunch = local\n\n\
         [loud]\ntype = shell\ncommands = while :; do echo still talking; done\n",
    );
    farm.start_master();
    assert_eq!(
        farm.post("/builders/loud-linux/force", "")
            .expect("an answer")
            .0,
        200
    );
    farm.wait("some talk", |farm| {
        let path = "/builders/loud-linux/builds/0/steps/shell/logs/stdio/text?follow=0";
        farm.get(path).filter(|it| it.1.len() > 100_000)
    });
    let stopped = farm.post("/builders/loud-linux/builds/0/stop", "comments=enough");
    assert_eq!(stopped.expect("an answer").0, 200);
    let build = farm.wait_builds("loud-linux", 1);
    assert_eq!(
        build["text"],
        json!(["exception", "interrupted"]),
        "{build:#}"
    );
}
