//! Scripts tell a master of changes: its owner beside it, others with a secret.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::farm::{Farm, git_init, sh, text};

const CONTRIB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/share/contrib");

/// A farm that builds whatever changes.
fn farm(more: &str) -> Farm {
    let mut farm = Farm::new(&format!(
        "tree_stable = 0\n[slave:linux]\npassword = secret\nfactories = words\n\
         [words]\ntype = shell\ncommands = true\n\
         [scheduler:any]\ntype = any_branch\ntree_stable = 0\nbuilders = words-linux\n{more}"
    ));
    farm.start_master();
    farm
}

/// What is known of the changes, oldest first.
fn changes(farm: &Farm) -> Vec<Value> {
    let all = farm.json("/api/changes").expect("a list");
    let mut all = all.as_array().expect("a list").clone();
    all.reverse();
    all
}

fn shown(change: &Value) -> String {
    let files = change["files"].as_array().expect("a list");
    let files: Vec<&str> = files.iter().filter_map(|it| it["name"].as_str()).collect();
    format!(
        "{} {} {:?} {:?}",
        change["who"].as_str().unwrap_or("?"),
        change["branch"].as_str().unwrap_or("-"),
        change["comments"].as_str().unwrap_or("?").trim_end(),
        files
    )
}

/// A directory with `autobot` in it, for the path of a hook.
fn path_with_autobot(farm: &Farm) -> String {
    let bin = farm.path("bin");
    fs::create_dir_all(&bin).expect("made");
    let link = bin.join("autobot");
    if !link.exists() {
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_autobot"), link).expect("linked");
    }
    format!(
        "{}:{}",
        bin.display(),
        std::env::var("PATH").expect("a path")
    )
}

fn run(farm: &Farm, dir: &Path, program: &str, args: &[&str]) -> String {
    let out = Command::new(program)
        .args(args)
        .current_dir(dir)
        .env("PATH", path_with_autobot(farm))
        .env("AUTOBOT_DIR", farm.master_dir())
        .env("HGUSER", "Ann <ann@example.org>")
        .output()
        .expect(program);
    assert!(out.status.success(), "{program} {args:?}: {}", text(&out));
    text(&out)
}

#[test]
fn the_owner_tells_of_a_change_beside_the_master_and_others_with_a_secret() {
    let mut farm = farm("[source:base]\nsecret = quiet\nproject = From outside\n");
    farm.start_slave("linux");
    let sent = farm.autobot(&[
        "sendchange",
        "-W",
        "ines",
        "-r",
        "812",
        "-p",
        "kind:doc",
        "-c",
        "reword intro",
        "-b",
        "topic",
        "intro.txt",
        "a b.txt",
    ]);
    assert_eq!(text(&sent).trim(), "change sent successfully");
    let build = farm.wait_builds("words-linux", 1);
    assert_eq!(crate::farm::property(&build, "kind"), json!("doc"));
    assert_eq!(
        shown(&changes(&farm)[0]),
        r#"ines topic "reword intro" ["a b.txt", "intro.txt"]"#
    );

    let address = format!("http://127.0.0.1:{}", farm.htmlport);
    let tell = |auth: &[&str]| {
        let mut all = vec!["sendchange", "--who", "bo", "--master", &address, "x"];
        all.extend(auth);
        farm.autobot(&all)
    };
    let refused = tell(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        text(&refused).contains("change NOT sent"),
        "{}",
        text(&refused)
    );
    assert!(
        text(&refused).contains("--auth SECRET"),
        "{}",
        text(&refused)
    );
    assert!(!tell(&["--auth", "guessed"]).status.success());
    assert!(tell(&["--auth", "change:quiet"]).status.success());
    assert_eq!(changes(&farm)[1]["project"], "From outside");
    let nobody = farm.autobot(&["sendchange", "x"]);
    assert_eq!(nobody.status.code(), Some(2), "{}", text(&nobody));
}

/// A bare repository with the hook, and a clone of it.
fn git_with_hook(farm: &Farm) -> PathBuf {
    let (bare, clone) = (farm.path("bare"), farm.path("clone"));
    fs::create_dir_all(&clone).expect("made");
    sh(
        &farm.path(""),
        "git",
        &["init", "-q", "--bare", "-b", "main", "bare"],
    );
    fs::copy(
        format!("{CONTRIB}/git-post-receive"),
        bare.join("hooks/post-receive"),
    )
    .expect("copied");
    sh(&bare, "git", &["config", "autobot.project", "Words"]);
    git_init(&clone, "main");
    sh(
        &clone,
        "git",
        &["remote", "add", "origin", &bare.to_string_lossy()],
    );
    clone
}

fn save(dir: &Path, name: &str, comment: &str) {
    fs::write(dir.join(name), comment).expect("written");
    sh(dir, "git", &["add", "-A"]);
    sh(dir, "git", &["commit", "-q", "-m", comment]);
}

#[test]
fn a_push_to_git_is_told_by_its_hook_branch_by_branch() {
    let farm = farm("");
    let clone = git_with_hook(&farm);
    save(&clone, "a b", "begins");
    save(&clone, "c\"d", "second 'quoted' $(touch hacked)");
    run(&farm, &clone, "git", &["push", "-q", "origin", "main"]);
    sh(&clone, "git", &["checkout", "-q", "-b", "topic"]);
    save(&clone, "e", "on topic");
    run(&farm, &clone, "git", &["push", "-q", "origin", "topic"]);
    sh(&clone, "git", &["reset", "-q", "--hard", "HEAD^"]);
    save(&clone, "f", "instead");
    run(
        &farm,
        &clone,
        "git",
        &["push", "-q", "-f", "origin", "topic"],
    );
    run(&farm, &clone, "git", &["push", "-q", "origin", ":topic"]);
    let all = changes(&farm);
    let told: Vec<String> = all.iter().map(shown).collect();
    let who = sh(&clone, "git", &["log", "-1", "--format=%an <%ae>"]);
    assert_eq!(
        told,
        [
            format!(r#"{who} main "first" []"#),
            format!(r#"{who} main "begins" ["a b"]"#),
            format!(r#"{who} main "second 'quoted' $(touch hacked)" ["c\"d"]"#),
            format!(r#"{who} topic "on topic" ["e"]"#),
            r#"dummy topic "Rewind branch" ["e"]"#.to_owned(),
            format!(r#"{who} topic "instead" ["f"]"#),
        ]
    );
    assert_eq!(all[0]["project"], "Words");
}

#[test]
fn a_push_to_mercurial_is_told_by_its_hook() {
    let farm = farm("");
    let (there, clone) = (farm.path("there"), farm.path("clone"));
    run(&farm, &farm.path(""), "hg", &["init", "there"]);
    run(
        &farm,
        &farm.path(""),
        "hg",
        &["clone", "-q", "there", "clone"],
    );
    let hook = format!(
        "[hooks]\nchangegroup.autobot = {CONTRIB}/hg-changegroup\n[autobot]\nbranchtype = inrepo\ncategory = hg\n"
    );
    fs::write(there.join(".hg/hgrc"), hook).expect("written");
    for name in ["a b", "c"] {
        fs::write(clone.join(name), name).expect("written");
        run(
            &farm,
            &clone,
            "hg",
            &[
                "commit",
                "-q",
                "-A",
                "-m",
                &format!("adds {name}\n\nfor good"),
            ],
        );
    }
    run(&farm, &clone, "hg", &["push", "-q"]);
    let all = changes(&farm);
    let told: Vec<String> = all.iter().map(shown).collect();
    assert_eq!(
        told,
        [
            r#"Ann <ann@example.org> default "adds a b\n\nfor good" ["a b"]"#,
            r#"Ann <ann@example.org> default "adds c\n\nfor good" ["c"]"#,
        ]
    );
    assert_eq!(all[0]["category"], "hg");
}

#[test]
fn a_commit_to_subversion_is_told_by_its_hook_branch_by_branch() {
    let farm = farm("");
    let there = farm.path("there");
    sh(&farm.path(""), "svnadmin", &["create", "there"]);
    let hook = there.join("hooks/post-commit");
    let script = format!(
        "#!/bin/sh\nPATH='{}'\nexport PATH\nAUTOBOT_DIR='{}' {CONTRIB}/svn-post-commit \"$1\" \"$2\"\n",
        path_with_autobot(&farm),
        farm.master_dir().display()
    );
    fs::write(&hook, script).expect("written");
    sh(&there, "chmod", &["+x", "hooks/post-commit"]);
    let url = format!("file://{}", there.display());
    run(
        &farm,
        &farm.path(""),
        "svn",
        &["checkout", "-q", &url, "tree"],
    );
    let tree = farm.path("tree");
    for dir in ["trunk", "branches/1.x"] {
        fs::create_dir_all(tree.join(dir)).expect("made");
        fs::write(tree.join(dir).join("a b"), dir).expect("written");
    }
    run(&farm, &tree, "svn", &["add", "-q", "trunk", "branches"]);
    run(
        &farm,
        &tree,
        "svn",
        &["commit", "-q", "--username", "ann", "-m", "both"],
    );
    let mut told: Vec<String> = changes(&farm).iter().map(shown).collect();
    told.sort();
    assert_eq!(
        told,
        [
            r#"ann - "both" ["a b"]"#,
            r#"ann branches/1.x "both" ["a b"]"#
        ]
    );
}

#[test]
fn a_commit_to_cvs_is_told_by_its_script_directory_by_directory() {
    let farm = farm("");
    let root = farm.path("there").display().to_string();
    let cvs = |dir: &Path, args: &[&str]| {
        let first = ["-Q", "-d", root.as_str()];
        run(&farm, dir, "cvs", &[&first, args].concat())
    };
    cvs(&farm.path(""), &["init"]);
    let loginfo = farm.path("there/CVSROOT/loginfo");
    fs::remove_file(&loginfo).expect("removed");
    let line = format!("ALL AUTOBOT_CATEGORY=cvs {CONTRIB}/cvs-loginfo %p %{{sVv}}\n");
    fs::write(&loginfo, line).expect("written");
    let import = farm.path("import");
    fs::create_dir_all(import.join("sub")).expect("made");
    for name in ["a b", "c", "sub/d"] {
        fs::write(import.join(name), "one\n").expect("written");
    }
    cvs(&import, &["import", "-m", "begins", "mod", "V", "R"]);
    cvs(&farm.path(""), &["checkout", "-d", "tree", "mod"]);
    let tree = farm.path("tree");
    for name in ["a b", "sub/d", "e\"f"] {
        fs::write(tree.join(name), "two\n").expect("written");
    }
    fs::create_dir(tree.join("empty")).expect("made");
    fs::remove_file(tree.join("c")).expect("removed");
    cvs(&tree, &["add", "e\"f", "empty"]);
    cvs(&tree, &["remove", "c"]);
    cvs(&tree, &["commit", "-m", "all 'of' it\n\n$(touch hacked)"]);
    cvs(&tree, &["tag", "-b", "topic"]);
    cvs(&tree, &["update", "-r", "topic"]);
    fs::write(tree.join("a b"), "three\n").expect("written");
    cvs(&tree, &["commit", "-m", "on topic"]);

    let who = sh(&tree, "id", &["-un"]);
    let all = changes(&farm);
    let told: Vec<String> = all.iter().map(shown).collect();
    let comment = r#""all 'of' it\n\n$(touch hacked)""#;
    let began = told.first().expect("an import");
    assert!(began.starts_with(&format!("{who} - \"begins")), "{began}");
    assert!(began.ends_with(r#"["mod/."]"#), "{began}");
    assert_eq!(
        told[1..],
        [
            format!(r#"{who} - {comment} ["mod/a b", "mod/c", "mod/e\"f"]"#),
            format!(r#"{who} - {comment} ["mod/sub/d"]"#),
            format!(r#"{who} topic "on topic" ["mod/a b"]"#),
        ]
    );
    assert!(
        all.iter()
            .all(|it| it["category"] == "cvs" && it["repository"] == root)
    );

    // As CVS 1.11 calls it.
    let said = "Update of /cvs/mod\n\nModified Files:\n\ta b \nLog Message:\nolder\n";
    fs::write(farm.path("said"), said).expect("written");
    let line = format!("{CONTRIB}/cvs-loginfo 'mod a b,1.1,1.2 c,NONE,1.1.2.1' <said");
    run(&farm, &farm.path(""), "sh", &["-c", &line]);
    let last = changes(&farm).last().map(shown);
    assert_eq!(
        last,
        Some(format!(r#"{who} - "older" ["mod/a b", "mod/c"]"#))
    );
}
