//! Checkouts from real servers: what they bring, how they go on when a server dies meanwhile,
//! and with a patch on top.

use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::farm::{Farm, property, sh, text};
use crate::servers::Server;

/// A farm whose builder `tree` has the step `checkout` with these lines.
fn farm(checkout: &str) -> Farm {
    farm_with(checkout, "", "")
}

/// The same with more sections, and another factory `asks`.
fn farm_with(checkout: &str, ini: &str, asks: &str) -> Farm {
    let mut farm = Farm::new(&format!(
        "derive = no\npassword = secret\nbuilders = factory\n\n\
         [slave:linux]\nfactories = tree main\n\n[tree]\n\n\
         [main]\ntype = shell\ncommand = true\n{ini}"
    ));
    fs::create_dir_all(farm.master_dir().join("factories")).expect("a directory");
    let recipe = format!(
        "[[steps]]\n{checkout}\nname = \"checkout\"\n\n\
         [[steps]]\ntype = \"shell\"\ncommand = \"ls -a\"\n"
    );
    fs::write(farm.master_dir().join("factories/tree.toml"), recipe).expect("written");
    if !asks.is_empty() {
        fs::write(farm.master_dir().join("factories/asks.toml"), asks).expect("written");
    }
    farm.start_master();
    farm.start_slave("linux");
    farm
}

fn git(url: &str, more: &str) -> String {
    format!("type = \"git\"\nrepourl = \"{url}\"\nbranch = \"main\"\n{more}")
}

fn tree(farm: &Farm) -> PathBuf {
    farm.path("linux/tree/build")
}

/// Builds, and tells what `file` says then.
fn build(farm: &mut Farm, more: &[&str]) -> (String, Value) {
    let build = farm.force("tree", more);
    let number = build["number"].as_i64().expect("a number");
    let log = farm.log("tree", number, "checkout");
    assert_eq!(build["results"], 0, "{log}\n{build:#}");
    (file(farm), build)
}

fn file(farm: &Farm) -> String {
    fs::read_to_string(tree(farm).join("file")).expect("a file")
}

fn got_revision(build: &Value) -> String {
    let revision = property(build, "got_revision");
    revision.as_str().expect("a revision").to_owned()
}

#[test]
fn a_git_tree_follows_commits_branches_and_a_branch_that_was_pushed_by_force() {
    let server = Server::git();
    server.git_init("r");
    let first = server.git_commit("r", "one");
    let mut farm = farm(&git(&server.url("r"), ""));
    assert_eq!(build(&mut farm, &[]).0, "one");
    let second = server.git_commit("r", "two");
    let (said, built) = build(&mut farm, &[]);
    assert_eq!((said.as_str(), got_revision(&built)), ("two", second));
    sh(&server.path("r"), "git", &["checkout", "-q", "-b", "side"]);
    server.git_commit("r", "side");
    assert_eq!(build(&mut farm, &["--branch", "side"]).0, "side");
    assert_eq!(build(&mut farm, &["--revision", &first]).0, "one");
    // The branch goes on elsewhere, as if it had never been where the tree has it.
    sh(&server.path("r"), "git", &["checkout", "-q", "main"]);
    sh(&server.path("r"), "git", &["reset", "-q", "--hard", &first]);
    let other = server.git_commit("r", "another two");
    let (said, built) = build(&mut farm, &["--branch", "main"]);
    assert_eq!(
        (said.as_str(), got_revision(&built)),
        ("another two", other)
    );
}

#[test]
fn submodules_come_along_and_a_shallow_tree_has_one_commit() {
    let server = Server::git();
    server.git_init("sub");
    server.git_commit("sub", "inner one");
    server.git_init("r");
    let add = ["submodule", "--quiet", "add", &server.url("sub"), "inner"];
    sh(&server.path("r"), "git", &add);
    server.git_commit("r", "one");
    server.git_commit("r", "two");
    let mut farm = farm(&git(&server.url("r"), "submodules = true\nshallow = true"));
    assert_eq!(build(&mut farm, &[]).0, "two");
    let inner = tree(&farm).join("inner/file");
    assert_eq!(fs::read_to_string(&inner).expect("a file"), "inner one");
    let commits = || sh(&tree(&farm), "git", &["rev-list", "--count", "HEAD"]);
    assert_eq!(commits(), "1");

    let revision = server.git_commit("sub", "inner two");
    let moved = server.path("r/inner");
    sh(&moved, "git", &["fetch", "-q", "origin"]);
    sh(&moved, "git", &["checkout", "-q", &revision]);
    let third = server.git_commit("r", "three");
    assert_eq!(build(&mut farm, &["--revision", &third]).0, "three");
    assert_eq!(fs::read_to_string(&inner).expect("a file"), "inner two");
}

#[test]
fn a_patch_set_of_gerrit_is_built_with_and_without_mirrors() {
    let server = Server::git();
    server.git_init("r");
    let first = server.git_commit("r", "one");
    let reviewed = server.git_commit("r", "under review");
    let patch_set = "refs/changes/34/1234/5";
    sh(
        &server.path("r"),
        "git",
        &["update-ref", patch_set, &reviewed],
    );
    sh(&server.path("r"), "git", &["reset", "-q", "--hard", &first]);
    for (lines, uses_mirror) in [
        ("mode = \"incremental\"", true),
        ("mode = \"full\"\nmethod = \"clobber\"", true),
        ("mirror = false", false),
        ("mirror = false\nmode = \"copy\"", false),
    ] {
        let mut farm = farm(&git(&server.url("r"), lines));
        // From nothing, and over a tree of the branch.
        for _ in 0..2 {
            let (said, built) = build(&mut farm, &["--property", "gerrit_change=1234/5"]);
            let expected = ("under review", reviewed.clone());
            assert_eq!((said.as_str(), got_revision(&built)), expected, "{lines}");
            assert_eq!(property(&built, "gerrit_branch"), patch_set);
            assert_eq!(build(&mut farm, &[]).0, "one", "{lines}");
        }
        assert_eq!(farm.path("linux/mirrors").is_dir(), uses_mirror, "{lines}");
    }
}

#[test]
fn a_clone_waits_for_a_server_that_was_away_across_restarts_of_master_and_slave() {
    let mut server = Server::git();
    server.git_init("r");
    server.git_commit("r", "one");
    server.end();
    let mut farm = farm(&git(&server.url("r"), "retry = [1, 100]"));
    let forced = farm.autobot(&["force", "tree"]);
    assert!(forced.status.success(), "{}", text(&forced));
    let waits = |farm: &mut Farm, least: usize| {
        farm.wait("a wait for the server", |farm| {
            let path = "/builders/tree/builds/0/steps/checkout/logs/stdio/text?follow=0";
            let (_, log) = farm.get(path)?;
            let tries = log.matches("it is tried again in 1 s").count();
            (tries >= least).then_some(tries)
        })
    };
    waits(&mut farm, 1);
    farm.kill_master();
    farm.start_master();
    waits(&mut farm, 2);
    farm.kill_slave();
    farm.start_slave("linux");
    waits(&mut farm, 3);
    server.begin();
    let built = farm.wait_builds("tree", 1);
    assert_eq!(built["results"], 0, "{built:#}");
    assert_eq!(file(&farm), "one");
}

#[test]
fn a_wait_for_the_next_try_ends_with_its_build() {
    let mut server = Server::git();
    server.git_init("r");
    server.end();
    let mut farm = farm(&git(&server.url("r"), "retry = [\"1h\", 3]"));
    let forced = farm.autobot(&["force", "tree"]);
    assert!(forced.status.success(), "{}", text(&forced));
    farm.wait("a wait for the server", |farm| {
        let path = "/builders/tree/builds/0/steps/checkout/logs/stdio/text?follow=0";
        let (_, log) = farm.get(path)?;
        let told = "the checkout failed; it is tried again in 3600 s, and 2 times more after that";
        log.contains(told).then_some(())
    });
    assert!(
        farm.post("/builders/tree/builds/0/stop", "comments=enough")
            .is_some()
    );
    let built = farm.wait_builds("tree", 1);
    assert_eq!(built["results"], 4, "{built:#}");
}

#[test]
fn a_triggered_build_has_its_patch_which_is_gone_with_the_next_one() {
    let server = Server::git();
    server.git_init("r");
    server.git_commit("r", "one\n");
    let patch = "--- a/file\n+++ b/file\n@@ -1 +1 @@\n-one\n+patched\n\
                 --- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+made\n";
    let asks = |patch: &str| {
        format!(
            "[[steps]]\ntype = \"trigger\"\nscheduler_names = [\"patched\"]\nwait_for_finish = true\n\
             source_stamp = {{ branch = \"main\", patch_level = \"1\", patch_author = \"ann\", \
             patch_comment = \"try it\", patch_body = {} }}\n",
            serde_json::to_string(patch).expect("JSON")
        )
    };
    let mut farm = farm_with(
        &git(&server.url("r"), ""),
        "\n[slave:two]\nfactories = asks\n\n[asks]\n\n\
         [scheduler:patched]\ntype = triggerable\nbuilders = tree\n",
        &asks(patch),
    );
    farm.start_slave("two");
    assert_eq!(build(&mut farm, &[]).0, "one\n");

    let asked = farm.force("asks", &[]);
    assert_eq!(asked["results"], 0, "{asked:#}");
    assert_eq!(file(&farm), "patched\n");
    assert!(tree(&farm).join("new").exists());
    let built = farm.build("tree", 1);
    assert_eq!(built["sourceStamp"]["hasPatch"], true, "{built:#}");
    let log = farm.get("/builders/tree/builds/1/steps/checkout/logs/patch/text");
    assert!(log.expect("a log").1.contains("+patched"));

    assert_eq!(build(&mut farm, &[]).0, "one\n");
    assert!(!tree(&farm).join("new").exists());

    let outside = patch.replace("b/new", "b/../../../new");
    let recipe = farm.master_dir().join("factories/asks.toml");
    fs::write(recipe, asks(&outside)).expect("written");
    assert!(farm.autobot(&["reconfig", "master"]).status.success());
    let asked = farm.force("asks", &[]);
    assert_eq!(asked["results"], 2, "{asked:#}");
    let log = farm.get("/builders/tree/builds/3/steps/checkout/logs/err.text/text");
    let log = log.expect("a log").1;
    assert!(log.contains("which is outside of the tree"), "{log}");
    assert!(!farm.path("linux/new").exists() && !farm.path("new").exists());
}

#[test]
fn a_subversion_tree_follows_revisions_and_branches_and_outlives_a_server_that_was_away() {
    let mut server = Server::svn();
    let local = format!("file://{}", server.path("r").display());
    let import = |name: &str, said: &str| {
        let dir = server.path("import");
        fs::create_dir_all(&dir).expect("a directory");
        fs::write(dir.join("file"), said).expect("written");
        let to = format!("{local}/{name}");
        sh(&dir, "svn", &["import", "-q", "-m", name, ".", &to]);
    };
    import("trunk", "one");
    import("branches/b", "of b");
    let work = server.path("work");
    let trunk = format!("{local}/trunk");
    sh(&server.path(""), "svn", &["checkout", "-q", &trunk, "work"]);
    let lines = format!(
        "type = \"svn\"\nbase_url = \"{}/\"\ndefault_branch = \"trunk\"\nretry = [1, 100]",
        server.url("r")
    );
    let mut farm = farm(&lines);
    let (said, built) = build(&mut farm, &[]);
    assert_eq!((said.as_str(), got_revision(&built).as_str()), ("one", "2"));
    fs::write(work.join("file"), "three").expect("written");
    sh(&work, "svn", &["commit", "-q", "-m", "three"]);
    let (said, built) = build(&mut farm, &[]);
    assert_eq!(
        (said.as_str(), got_revision(&built).as_str()),
        ("three", "3")
    );
    let (said, built) = build(&mut farm, &["--branch", "branches/b"]);
    assert_eq!(said, "of b");
    assert_eq!(built["steps"][0]["text"][1], "[branch]", "{built:#}");
    assert_eq!(
        build(&mut farm, &["--branch", "trunk", "--revision", "1"]).0,
        "one"
    );

    // A server that does not answer is no reason to remove what is there.
    fs::write(tree(&farm).join("left"), "by a build").expect("written");
    server.end();
    let failed = farm.force("tree", &["--branch", "trunk"]);
    assert_eq!(failed["results"], 2, "{failed:#}");
    assert!(tree(&farm).join("left").exists());
    server.begin();
    assert_eq!(build(&mut farm, &["--branch", "trunk"]).0, "three");
    assert!(tree(&farm).join("left").exists());
}

#[test]
fn a_mercurial_tree_follows_commits_and_branches_of_a_server() {
    let server = Server::hg();
    let commit = |said: &str| {
        fs::write(server.path("r/file"), said).expect("written");
        sh(&server.path("r"), "hg", &["commit", "-q", "-A", "-m", said]);
    };
    commit("one");
    let lines = format!("type = \"hg\"\nrepourl = \"{}\"", server.url("r"));
    let mut farm = farm(&lines);
    assert_eq!(build(&mut farm, &[]).0, "one");
    commit("two");
    assert_eq!(build(&mut farm, &[]).0, "two");
    sh(&server.path("r"), "hg", &["branch", "-q", "side"]);
    commit("side");
    let (said, built) = build(&mut farm, &["--branch", "side"]);
    assert_eq!(said, "side");
    assert_eq!(built["steps"][0]["text"][1], "[branch]", "{built:#}");
    assert_eq!(build(&mut farm, &["--branch", "default"]).0, "two");
}

#[test]
fn a_git_server_that_dies_while_it_is_asked_is_asked_again() {
    let mut server = Server::git();
    server.git_init("r");
    server.git_commit("r", "one");
    let lines = git(
        &server.url("r"),
        "retry = [1, 100]\nmirror = false\nprogress = true",
    );
    let mut farm = farm(&lines);
    server.signal("STOP");
    let forced = farm.autobot(&["force", "tree"]);
    assert!(forced.status.success(), "{}", text(&forced));
    farm.wait("a clone that has begun", |farm| {
        let path = "/builders/tree/builds/0/steps/checkout/logs/stdio/text?follow=0";
        farm.get(path)?.1.contains("Cloning into").then_some(())
    });
    server.end();
    server.begin();
    let built = farm.wait_builds("tree", 1);
    assert_eq!(built["results"], 0, "{built:#}");
    assert_eq!(file(&farm), "one");
    let log = farm.log("tree", 0, "checkout");
    assert!(
        log.contains("the checkout failed; it is tried again in 1 s"),
        "{log}"
    );
}
