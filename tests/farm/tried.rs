//! `autobot try`: what was changed in a tree of any version control is built before it is
//! committed, whichever way it gets to the master.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::farm::{AUTOBOT, Farm, commit, git_init, sh, text};

/// Prints every file of the tree, and fails if `word` is bad.
const LOOK: &str = "find . -name '.?*' -prune -o -name CVS -prune -o -name _darcs -prune -o -type f -print0 \
                    | xargs -0 grep -H --binary-files=text -n '' | cat -v; \
                    find . -type f -empty; ! grep -q bad word";

/// A farm with a builder for each of these checkouts, and a scheduler of the same name.
fn farm(checkouts: &[(&str, String)]) -> Farm {
    let mut farm = Farm::new("");
    let mut ini = String::from(
        "builders = factory\npoll_interval = 1h\n[slave:one]\npassword = secret\nfactories =",
    );
    for (name, _) in checkouts {
        ini.push_str(&format!(" {name}"));
    }
    ini.push('\n');
    let dir = farm.master_dir().join("factories");
    fs::create_dir(&dir).expect("a directory");
    for (name, checkout) in checkouts {
        ini.push_str(&format!(
            "[{name}]\n[scheduler:try-{name}]\ntype = try_userpass\nuserpass.ann = quiet\nbuilders = {name}\n"
        ));
        let recipe = format!(
            "[[steps]]\n{checkout}\n\n[[steps]]\ntype = \"shell\"\nname = \"look\"\ncommand = {LOOK:?}\n"
        );
        fs::write(dir.join(format!("{name}.toml")), recipe).expect("written");
    }
    farm.write_ini(&ini);
    farm.start_master();
    farm.start_slave("one");
    farm
}

/// Runs `autobot try` in a tree, as somebody who has nothing else.
pub(crate) fn try_in(farm: &Farm, tree: &Path, args: &[&str]) -> Output {
    let home = farm.path("home");
    fs::create_dir_all(&home).expect("a directory");
    Command::new(AUTOBOT)
        .arg("try")
        .args(args)
        .current_dir(tree)
        .env("HOME", home)
        .env_remove("AUTOBOT_DIR")
        .stdin(Stdio::null())
        .output()
        .expect("run")
}

/// The same, over the web, with the right password.
fn send(farm: &Farm, tree: &Path, more: &[&str]) -> Output {
    let master = format!("http://127.0.0.1:{}", farm.htmlport);
    let mut args = vec!["-m", &master, "-u", "ann", "--passwd", "quiet"];
    args.extend_from_slice(more);
    try_in(farm, tree, &args)
}

/// The files that every repository begins with.
fn first_files(dir: &Path) {
    fs::create_dir_all(dir.join("d")).expect("a directory");
    for (name, bytes) in [
        ("word", &b"old\n"[..]),
        ("a b", b"blank\n"),
        ("d/name", b"name\n"),
        ("bin", b"was\0\n"),
        ("gone", b"gone\n"),
    ] {
        fs::write(dir.join(name), bytes).expect("written");
    }
}

/// What is changed in them by hand.
fn change_files(dir: &Path) {
    for (name, bytes) in [
        ("word", &b"new\n"[..]),
        ("a b", b"blank\nmore\n"),
        ("bin", b"is now\0\xff\n"),
        ("made", b"made\n"),
        ("loose file", b"loose\n"),
        ("none", b""),
        ("zero", b"\0\n"),
    ] {
        fs::write(dir.join(name), bytes).expect("written");
    }
}

/// What the build saw of that.
fn assert_seen(log: &str, about: &str) {
    for line in [
        "./word:1:new",
        "./a b:2:more",
        "./bin:1:is now^@M-^?",
        "./d/other:1:name",
        "./made:1:made",
        "./loose file:1:loose",
        "./zero:1:^@",
    ] {
        let found = log.lines().any(|it| it == line);
        assert!(found, "{about} lacks {line}:\n{log}");
    }
    assert!(log.lines().any(|it| it == "./none"), "{about}:\n{log}");
    for gone in ["./gone:", "./d/name:"] {
        assert!(!log.contains(gone), "{about} has {gone}:\n{log}");
    }
}

/// A repository of git, and a clone of it.
pub(crate) fn git(farm: &Path) -> (PathBuf, PathBuf) {
    let (repo, dev) = (farm.join("repo"), farm.join("dev"));
    fs::create_dir(&repo).expect("a directory");
    first_files(&repo);
    git_init(&repo, "main");
    sh(farm, "git", &["clone", "-q", "repo", "dev"]);
    (repo, dev)
}

fn of_git(repo: &Path) -> String {
    format!(
        "type = \"git\"\nrepourl = \"{}\"\nbranch = \"main\"",
        repo.display()
    )
}

#[test]
fn what_was_changed_in_a_clone_of_git_is_tried_and_followed_to_its_end() {
    let world = tempfile::tempdir().expect("a directory");
    let (repo, dev) = git(world.path());
    let mut farm = farm(&[("git", of_git(&repo))]);
    // One commit that nobody has yet, and more that is not committed.
    sh(&dev, "git", &["mv", "d/name", "d/other"]);
    sh(&dev, "git", &["rm", "-q", "gone"]);
    let base = sh(&dev, "git", &["rev-parse", "HEAD"]);
    commit(&dev, "mine");
    change_files(&dev);
    fs::write(dev.join("line\nend"), "odd\n").expect("written");
    sh(&dev, "git", &["add", "made"]);
    // Others have gone on meanwhile, and it is not undone.
    fs::write(repo.join("late"), "late\n").expect("written");
    commit(&repo, "theirs");
    sh(&dev, "git", &["fetch", "-q"]);

    // Nothing is asked where nobody can answer.
    let below = dev.join("d");
    let refused = send(&farm, &below, &["--wait"]);
    assert_eq!(refused.status.code(), Some(1));
    let told = text(&refused);
    assert!(
        told.contains("these files are not tracked: `line\\nend`, `loose file`"),
        "{told}"
    );
    assert!(
        told.contains("`--untracked=include` tries them too"),
        "{told}"
    );

    let include = [
        "--untracked=include",
        "--wait",
        "--who=Ann",
        "-C",
        "so that",
    ];
    let good = send(&farm, &below, &include);
    let told = text(&good);
    assert!(good.status.success(), "{told}");
    assert!(told.starts_with("using 'http' connect method\njob created\nDelivering job; comment= so that\njob has been delivered\n"), "{told}");
    assert!(told.contains("success    look"), "{told}");
    assert!(
        told.ends_with("All Builds Complete\ngit: success (build successful)\n"),
        "{told}"
    );
    let log = farm.log("git", 0, "look");
    assert_seen(&log, "git");
    assert!(log.contains("\nend:1:odd"), "{log}");
    assert!(!log.contains("late"), "{log}");
    let build = farm.build("git", 0);
    assert_eq!(build["reason"], "'try' job by user Ann (so that)");
    assert_eq!(build["sourceStamp"]["revision"], json!(base));
    assert_eq!(build["sourceStamp"]["branch"], "main");

    // A bad one fails, and says why.
    fs::write(dev.join("word"), "bad\n").expect("written");
    let ignore = ["--untracked=ignore", "--wait", "--property", "kind=quick"];
    let bad = send(&farm, &dev, &ignore);
    let told = text(&bad);
    assert_eq!(bad.status.code(), Some(1), "{told}");
    assert!(told.contains("==> git/1 look stdio\n"), "{told}");
    assert!(told.contains("./word:1:bad"), "{told}");
    assert!(told.contains("\ngit: failure (failed look)\n"), "{told}");
    assert!(
        !farm.log("git", 1, "look").contains("loose"),
        "it was ignored"
    );
    assert_eq!(
        crate::farm::property(&farm.build("git", 1), "kind"),
        "quick"
    );

    // Nothing is sent for show, nor with a wrong password, nor to nobody.
    let shown = send(&farm, &dev, &["--untracked=ignore", "--dry-run"]);
    let told = text(&shown);
    assert!(
        told.contains(&format!(
            "Branch: main\n  Revision: {base}\n  Builders: all\n"
        )),
        "{told}"
    );
    assert!(
        told.contains("rename from d/name\nrename to d/other\n"),
        "{told}"
    );
    let wrong = try_in(
        &farm,
        &dev,
        &[
            "-m",
            &format!("127.0.0.1:{}", farm.htmlport),
            "-u",
            "ann",
            "--passwd",
            "loud",
            "--untracked=ignore",
        ],
    );
    assert_eq!(wrong.status.code(), Some(1));
    assert!(
        text(&wrong).contains("the name or the password is wrong"),
        "{}",
        text(&wrong)
    );
    let other = send(&farm, &dev, &["--untracked=ignore", "-b", "others"]);
    assert!(
        text(&other).contains("there is no builder `others` to try it; there are `git`"),
        "{}",
        text(&other)
    );
    let names = send(&farm, &dev, &["--get-builder-names"]);
    assert!(
        text(&names).ends_with("scheduler:\ngit\n"),
        "{}",
        text(&names)
    );

    // A patch that is not of its base is not sent either.
    let diff = farm.path("late.diff");
    fs::write(
        &diff,
        "--- a/word\n+++ b/word\n@@ -1 +1 @@\n-older\n+newer\n",
    )
    .expect("written");
    let file = diff.display().to_string();
    let given = ["--diff", &file, "-p1", "--baserev", &base];
    let refused = send(&farm, &dev, &given);
    let told = text(&refused);
    assert_eq!(refused.status.code(), Some(1), "{told}");
    assert!(
        told.contains(&format!(
            "the patch does not apply to `{base}`, so nothing was sent"
        )),
        "{told}"
    );
    assert!(
        told.contains("cause: error: patch failed: word:1"),
        "{told}"
    );
    fs::write(&diff, "--- a/word\n+++ b/word\n@@ -1 +1 @@\n-old\n+given\n").expect("written");
    let given = send(&farm, &dev, &[&given[..], &["--wait"]].concat());
    assert!(given.status.success(), "{}", text(&given));
    assert!(farm.log("git", 2, "look").contains("./word:1:given"));
    let all = farm.json("/api/builds?limit=100").expect("builds");
    assert_eq!(
        all.as_array().map(Vec::len),
        Some(3),
        "nothing else was built"
    );
}

#[test]
fn options_that_are_always_the_same_stand_in_a_file_and_a_token_is_as_good_as_a_password() {
    let world = tempfile::tempdir().expect("a directory");
    let (repo, dev) = git(world.path());
    let mut farm = farm(&[("git", of_git(&repo)), ("twin", of_git(&repo))]);
    fs::write(dev.join("word"), "new\n").expect("written");
    let port = farm.htmlport;
    let options = |more: &str| {
        fs::create_dir_all(dev.join(".buildbot")).expect("a directory");
        let text = format!(
            "# as for Buildbot\ntry_connect = 'pb'\ntry_master = '127.0.0.1:{port}'\n\
             try_builders = ['twin']\ntry_untracked = 'ignore'\ntry_wait = True\n{more}"
        );
        fs::write(dev.join(".buildbot/options"), text).expect("written");
    };
    options("try_username = 'ann'\ntry_password = 'quiet'\n");
    let unsure = try_in(&farm, &dev, &[]);
    assert_eq!(unsure.status.code(), Some(2));
    assert!(
        text(&unsure).contains("several schedulers take jobs: try-git, try-twin"),
        "{}",
        text(&unsure)
    );
    let sent = try_in(&farm, &dev, &["--scheduler", "try-twin"]);
    assert!(sent.status.success(), "{}", text(&sent));
    assert!(farm.log("twin", 0, "look").contains("./word:1:new"));

    options("try_scheduler = 'try-twin'\n");
    let token = |user: &str, scope: &str| {
        let name = format!("{user}-{scope}");
        let made = farm.autobot(&[
            "token", "add", &name, "--user", user, "--scope", scope, "--json",
        ]);
        let made: serde_json::Value = serde_json::from_slice(&made.stdout).expect("JSON");
        made["token"].as_str().expect("a token").to_owned()
    };
    let with = |token: &str| {
        let tried = Command::new(AUTOBOT)
            .args(["try", "-q"])
            .current_dir(&dev)
            .env("AUTOBOT_TOKEN", token)
            .env_remove("AUTOBOT_DIR")
            .stdin(Stdio::null())
            .output();
        let tried = tried.expect("run");
        (tried.status.success(), text(&tried))
    };
    let good = with(&token("ann", "force_build"));
    assert_eq!(
        good,
        (
            true,
            "All Builds Complete\ntwin: success (build successful)\n".into()
        )
    );
    let (is_good, told) = with(&token("bob", "force_build"));
    assert!(
        !is_good && told.contains("`bob` is nobody whom the scheduler lets try something"),
        "{told}"
    );
    let (is_good, told) = with(&token("ann", "read"));
    assert!(
        !is_good && told.contains("it has no scope `force_build`"),
        "{told}"
    );
    let (is_good, told) = with("nothing");
    assert!(
        !is_good && told.contains("this token is not known"),
        "{told}"
    );
    assert!(farm.json("/json/builders/twin/builds/2").is_none());
    let twice = farm.build("twin", 1);
    assert_eq!(twice["results"], 0);
}

/// A repository of another program, and a tree of it in which the same was changed.
fn world_of(dir: &Path, kind: &str) -> (PathBuf, String) {
    let (repo, dev) = (dir.join("repo"), dir.join("dev"));
    let at = |path: &Path| path.display().to_string();
    fs::create_dir(dir).expect("a directory");
    let first = dir.join("files");
    first_files(&first);
    let checkout = match kind {
        "hg" => {
            sh(dir, "hg", &["init", "repo"]);
            first_files(&repo);
            sh(&repo, "hg", &["commit", "-q", "-A", "-m", "first"]);
            sh(dir, "hg", &["clone", "-q", "repo", "dev"]);
            sh(&dev, "hg", &["mv", "d/name", "d/other"]);
            sh(&dev, "hg", &["rm", "gone"]);
            // Something that nobody has yet.
            sh(&dev, "hg", &["commit", "-m", "mine"]);
            change_files(&dev);
            sh(&dev, "hg", &["add", "made"]);
            format!("type = \"mercurial\"\nrepourl = \"{}\"", at(&repo))
        }
        "svn" => {
            sh(dir, "svnadmin", &["create", "repo"]);
            let url = format!("file://{}", at(&repo));
            sh(dir, "svn", &["import", "-q", "-m", "first", "files", &url]);
            sh(dir, "svn", &["checkout", "-q", &url, "dev"]);
            sh(&dev, "svn", &["mv", "-q", "d/name", "d/other"]);
            sh(&dev, "svn", &["rm", "-q", "gone"]);
            change_files(&dev);
            sh(&dev, "svn", &["add", "-q", "made", "none"]);
            format!("type = \"svn\"\nrepourl = \"{url}\"")
        }
        "bzr" => {
            sh(dir, "bzr", &["init", "-q", "repo"]);
            sh(
                &repo,
                "bzr",
                &["whoami", "--branch", "Ann <ann@example.org>"],
            );
            first_files(&repo);
            sh(&repo, "bzr", &["add", "-q"]);
            sh(&repo, "bzr", &["commit", "-q", "-m", "first"]);
            sh(dir, "bzr", &["branch", "-q", "repo", "dev"]);
            // A directory takes what is in it along.
            sh(&dev, "bzr", &["mv", "-q", "d/name", "d/other"]);
            sh(&dev, "bzr", &["rm", "-q", "gone"]);
            change_files(&dev);
            sh(&dev, "bzr", &["add", "-q", "made"]);
            format!("type = \"bzr\"\nrepourl = \"{}\"", at(&repo))
        }
        "darcs" => {
            sh(dir, "darcs", &["init", "-q", "repo"]);
            first_files(&repo);
            let record = [
                "record",
                "-l",
                "-q",
                "-a",
                "--author=ann@example.org",
                "-m",
                "first",
            ];
            sh(&repo, "darcs", &record);
            sh(dir, "darcs", &["clone", "-q", "repo", "dev"]);
            sh(&dev, "darcs", &["mv", "-q", "d/name", "d/other"]);
            fs::remove_file(dev.join("gone")).expect("removed");
            change_files(&dev);
            sh(&dev, "darcs", &["add", "-q", "made"]);
            format!("type = \"darcs\"\nrepourl = \"{}\"", at(&repo))
        }
        "cvs" => {
            let root = at(&repo);
            sh(dir, "cvs", &["-Q", "-d", &root, "init"]);
            let import = [
                "-Q", "-d", &root, "import", "-kb", "-m", "first", "mod", "V", "R",
            ];
            sh(&first, "cvs", &import);
            sh(
                dir,
                "cvs",
                &["-Q", "-d", &root, "checkout", "-d", "dev", "mod"],
            );
            fs::rename(dev.join("d/name"), dev.join("d/other")).expect("renamed");
            fs::remove_file(dev.join("gone")).expect("removed");
            sh(&dev, "cvs", &["-Q", "rm", "gone", "d/name"]);
            sh(&dev, "cvs", &["-Q", "add", "d/other"]);
            change_files(&dev);
            sh(&dev, "cvs", &["-Q", "add", "made"]);
            format!("type = \"cvs\"\ncvsroot = \"{root}\"\ncvsmodule = \"mod\"")
        }
        other => panic!("{other} is no kind"),
    };
    (dev, checkout)
}

#[test]
fn what_was_changed_in_trees_of_the_other_programs_is_tried_whole() {
    let world = tempfile::tempdir().expect("a directory");
    let kinds = ["hg", "svn", "bzr", "darcs", "cvs"];
    let made: Vec<_> = kinds
        .into_iter()
        .map(|it| (it, world_of(&world.path().join(it), it)))
        .collect();
    let checkouts: Vec<_> = made.iter().map(|it| (it.0, it.1.1.clone())).collect();
    let mut farm = farm(&checkouts);
    for (kind, (dev, _)) in &made {
        let scheduler = format!("try-{kind}");
        let tried = send(
            &farm,
            &dev.join("d"),
            &["--scheduler", &scheduler, "--untracked=include", "--wait"],
        );
        assert!(tried.status.success(), "{kind}: {}", text(&tried));
        assert_seen(&farm.log(kind, 0, "look"), kind);
    }

    // What does not fit is not sent, whoever has the tree.
    let diff = farm.path("other.diff");
    fs::write(&diff, "--- word\n+++ word\n@@ -1 +1 @@\n-older\n+newer\n").expect("written");
    let file = diff.display().to_string();
    let hg = sh(
        &made[0].1.0,
        "hg",
        &["log", "-r", "0", "--template", "{node}"],
    );
    let bzr = sh(&made[2].1.0, "bzr", &["revision-info", "-r1"]);
    let bzr = format!("revid:{}", bzr.split(' ').nth(1).expect("an id"));
    let context = sh(&made[3].1.0, "darcs", &["changes", "--context"]);
    let revisions = [hg.as_str(), "1", &bzr, &context, "2099-01-01"];
    for ((kind, (dev, _)), revision) in made.iter().zip(revisions) {
        let scheduler = format!("try-{kind}");
        let args = [
            "--scheduler",
            &scheduler,
            "--diff",
            &file,
            "--baserev",
            revision,
        ];
        let refused = send(&farm, dev, &args);
        let told = text(&refused);
        assert_eq!(refused.status.code(), Some(1), "{kind}: {told}");
        assert!(
            told.contains("the patch does not apply to "),
            "{kind}: {told}"
        );
        assert!(told.contains("FAILED"), "{kind}: {told}");
    }
    let all = farm.json("/api/builds?limit=100").expect("builds");
    assert_eq!(all.as_array().map(Vec::len), Some(kinds.len()));
}

/// Plays Perforce and Monotone.
const PLAYER: &str = r#"#!/bin/sh
name=${0##*/}
echo "$name $*" >>"$RECORD"
case "$name $*" in
    "p4 changes -m1 ...") echo "Change 812 on 2012/01/02 by ines@otter 'reword'" ;;
    "p4 diff -du") printf '==== //depot/trunk/a b#3 - /x/a b ====\n@@ -1 +1 @@\n-x\n+y\n' ;;
    "mtn automate get_base_revision_id") echo 0123456789abcdef0123456789abcdef01234567 ;;
    "mtn diff") printf -- '--- word\t1\n+++ word\t2\n@@ -1 +1 @@\n-x\n+y\n' ;;
    "mtn list unknown") echo "loose file" ;;
esac
"#;

#[test]
fn what_perforce_and_monotone_are_asked_reaches_a_stand_in_that_writes_it_down() {
    let farm = Farm::new("");
    let bin = farm.path("bin");
    fs::create_dir_all(&bin).expect("a directory");
    for name in ["p4", "mtn"] {
        fs::write(bin.join(name), PLAYER).expect("written");
        fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).expect("a program");
    }
    let tree = farm.path("tree");
    fs::create_dir_all(tree.join("_MTN")).expect("a directory");
    fs::write(tree.join("loose file"), "loose\n").expect("written");
    let record = farm.path("record");
    let rehearse = |args: &[&str]| {
        let path = format!(
            "{}:{}",
            bin.display(),
            std::env::var("PATH").expect("a path")
        );
        drop(fs::remove_file(&record));
        let output = Command::new(AUTOBOT)
            .args(["try", "--dry-run", "-q", "--untracked=include"])
            .args(args)
            .current_dir(&tree)
            .env("PATH", path)
            .env("RECORD", &record)
            .env("HOME", farm.path("home"))
            .stdin(Stdio::null())
            .output()
            .expect("run");
        (
            text(&output),
            fs::read_to_string(&record).unwrap_or_default(),
        )
    };
    let (told, asked) = rehearse(&[]);
    assert_eq!(
        asked,
        "mtn automate get_base_revision_id\nmtn list unknown\nmtn diff\n"
    );
    assert!(
        told.contains("  Revision: 0123456789abcdef0123456789abcdef01234567\n"),
        "{told}"
    );
    assert!(
        told.contains("--- word\t1\n+++ word\t2\n@@ -1 +1 @@\n-x\n+y\n"),
        "{told}"
    );
    assert!(
        told.contains("diff --git loose file loose file\nnew file mode 100644\n"),
        "{told}"
    );

    let (told, asked) = rehearse(&["--vc=p4", "--branch=trunk"]);
    assert_eq!(asked, "p4 changes -m1 ...\np4 diff -du\n");
    assert!(
        told.contains("  Branch: trunk\n  Revision: 812\n"),
        "{told}"
    );
    assert!(
        told.ends_with("--- a b#3\n+++ a b\n@@ -1 +1 @@\n-x\n+y\n"),
        "{told}"
    );
    let (told, asked) = rehearse(&["--vc=p4"]);
    assert_eq!(asked, "");
    assert!(
        told.contains("a try with Perforce needs `--branch`"),
        "{told}"
    );
}
