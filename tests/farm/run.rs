//! `autobot run`: the steps of a factory here, without a master.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::farm::text;

/// A directory with a recipe `words` in `factories`.
fn tree(recipe: &str) -> TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir(dir.path().join("factories")).expect("made");
    fs::write(dir.path().join("factories/words.toml"), recipe).expect("written");
    dir
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_autobot"));
    // What it makes for itself is looked at, too.
    let scratch = dir.join(".tmp");
    fs::create_dir_all(&scratch).expect("made");
    command
        .arg("run")
        .args(args)
        .current_dir(dir)
        .env("TMPDIR", scratch);
    command
}

/// Runs it to its end; nothing of it is left.
fn run(dir: &Path, args: &[&str]) -> Output {
    let output = command(dir, args).output().expect("it runs");
    let left: Vec<_> = fs::read_dir(dir.join(".tmp"))
        .expect("a directory")
        .flatten()
        .collect();
    assert!(left.is_empty(), "{left:?} is left: {}", text(&output));
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Without the times.
fn plain(output: &Output) -> String {
    let lines = stdout(output);
    let lines = lines.lines().map(|line| match line.split_once(" after ") {
        Some((before, rest)) => match rest.split_once(": ") {
            Some((_, after)) => format!("{before}: {after}"),
            None => before.to_owned(),
        },
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

const WORDS: &str = r#"
description = "Words"

[params]
greeting = { type = "string" }

[[steps]]
type = "git"
repourl = "https://git.invalid/words.git"

[[steps]]
type = "set_property"
property = "size"
command = "wc -c < words.txt"

[[steps]]
type = "compile"
command = "echo 'a.c:1: warning: {{ greeting }} %(size)s %(note:-nothing)s'"

[[steps]]
type = "test"
command = "echo bad >&2; exit 3"
halt_on_failure = true

[[steps]]
type = "shell"
name = "never"
command = "echo never"

[[steps]]
type = "shell"
name = "docs"
command = "echo docs"
do_step_if = "branch == 'docs'"
always_run = true

[[steps]]
type = "shell"
name = "clean"
command = "echo clean > cleaned"
always_run = true
"#;

#[test]
fn a_recipe_is_run_here_as_a_master_would_run_it() {
    let dir = tree(WORDS);
    fs::write(dir.path().join("words.txt"), "12345").expect("written");
    let args = ["words", "--param", "greeting=hello", "--property", "note=n"];
    let ran = run(dir.path(), &args);
    insta::assert_snapshot!(plain(&ran), @"
    ==> git  skipped: the sources are what is here
    ==> setproperty
    wc -c < words.txt
    5
    program finished with exit code 0
    success: property 'size' set
    ==> compile
    echo 'a.c:1: warning: hello 5 n'
    a.c:1: warning: hello 5 n
    program finished with exit code 0
    warnings: compile warnings
    ==> test
    echo bad >&2; exit 3
    bad
    program finished with exit code 3
    failure: test failed
    ==> docs  skipped: its do_step_if does not hold
    ==> clean
    echo clean > cleaned
    program finished with exit code 0
    success: 'echo clean ...'

    words: failure: failed test
    ");
    assert_eq!(ran.status.code(), Some(1), "{}", text(&ran));
    assert!(dir.path().join("cleaned").exists());

    let only = [&args[..], &["--step", "setproperty", "--step", "compile"]].concat();
    let ran = run(dir.path(), &only);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
    assert!(stdout(&ran).contains("==> test  skipped: it was not asked for\n"));
    assert!(
        stdout(&ran).contains("\nwords: success after "),
        "{}",
        text(&ran)
    );

    let from = [&args[..], &["--from", "never"]].concat();
    let ran = run(dir.path(), &from);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
    assert!(stdout(&ran).contains("\nnever\n"), "{}", text(&ran));
}

#[test]
fn the_steps_are_listed_with_their_commands() {
    let dir = tree(WORDS);
    let listed = run(
        dir.path(),
        &["words", "--param", "greeting=hello", "--list"],
    );
    assert_eq!(listed.status.code(), Some(0), "{}", text(&listed));
    insta::assert_snapshot!(stdout(&listed), @"
    git          skipped: the sources are what is here
    setproperty  wc -c < words.txt
    compile      known only when it is run: property `size` is not set; `%(size:-…)s` gives a value for that case
    test         echo bad >&2; exit 3
    never        echo never
    docs         echo docs
    clean        echo clean > cleaned
    ");
}

#[test]
fn mistakes_are_shown_where_they_were_made_and_nothing_is_run() {
    let dir = tree(WORDS);
    let bad = run(dir.path(), &["words", "--param", "greting=hello"]);
    assert_eq!(bad.status.code(), Some(2));
    insta::assert_snapshot!(text(&bad), @"
    error[unknown-key]: unknown key `greting` in [factory:words]
     --> the command line:3:1
      |
    3 | greting = hello
      | ^^^^^^^ did you mean `greeting`?
    ");
    let bad = run(dir.path(), &["wrods"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(
        text(&bad).contains("did you mean `words`?"),
        "{}",
        text(&bad)
    );
    let args = ["words", "--param", "greeting=x", "--step", "tset"];
    let bad = run(dir.path(), &args);
    assert_eq!(bad.status.code(), Some(2));
    assert!(
        text(&bad).contains("there is no step `tset`"),
        "{}",
        text(&bad)
    );
    let bad = run(dir.path(), &["factories/none.toml"]);
    assert!(text(&bad).contains("there is no recipe `factories/none.toml`"));
    let bad = run(dir.path(), &["words", "--param", "greeting"]);
    assert!(
        text(&bad).contains("should be `--param NAME=VALUE`"),
        "{}",
        text(&bad)
    );
}

#[test]
fn a_step_that_cannot_go_on_says_why_and_ends_with_two() {
    let dir = tree(WORDS);
    let ran = run(
        dir.path(),
        &["words", "--param", "greeting=x", "--step", "compile"],
    );
    assert_eq!(ran.status.code(), Some(2), "{}", text(&ran));
    assert!(stdout(&ran).contains("`size`"), "{}", text(&ran));
}

const FILES: &str = r#"
[[steps]]
type = "file_download"
mastersrc = "share/given.txt"
slavedest = "sub/given.txt"

[[steps]]
type = "make_directory"
dir = "build/made"

[[steps]]
type = "file_exists"
file = "build/sub/given.txt"

[[steps]]
type = "file_upload"
slavesrc = "sub/given.txt"
masterdest = "results/back.txt"
"#;

#[test]
fn files_come_from_beside_the_recipe_and_go_where_that_is_said() {
    let dir = tree(FILES);
    fs::create_dir(dir.path().join("share")).expect("made");
    fs::write(dir.path().join("share/given.txt"), "given").expect("written");
    let elsewhere = tempfile::tempdir().expect("a directory");
    let recipe = dir.path().join("factories/words.toml");
    let recipe = recipe.to_str().expect("text");
    let ran = run(elsewhere.path(), &[recipe, "--uploads", "kept"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
    let read = |name: &str| fs::read_to_string(elsewhere.path().join(name)).expect(name);
    assert_eq!(read("sub/given.txt"), "given");
    assert_eq!(read("kept/results/back.txt"), "given");
    assert!(elsewhere.path().join("made").is_dir());
}

/// Waits until the file is there.
fn wait_for(path: &Path) {
    let begun = Instant::now();
    while !path.exists() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{path:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn interrupt(child: &Child) {
    let pid = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &pid]).status();
    assert!(killed.expect("kill runs").success());
}

/// Whether a process is there, by the file that holds its number.
fn is_alive(file: &Path) -> bool {
    let pid = fs::read_to_string(file).expect("a number");
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|it| !it.contains(") Z "))
}

const SLOW: &str = r#"
[[steps]]
type = "shell"
name = "slow"
command = "sh -c 'echo $$ > child; exec sleep 600' & echo $$ > parent; touch begun; wait"

[[steps]]
type = "shell"
name = "next"
command = "touch next"

[[steps]]
type = "shell"
name = "clean"
command = "touch cleaning; test ! -e stuck || exec sleep 600"
always_run = true
"#;

#[test]
fn ctrl_c_ends_the_whole_tree_and_what_always_runs_still_does() {
    let dir = tree(SLOW);
    let child = command(dir.path(), &["words"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    wait_for(&dir.path().join("begun"));
    wait_for(&dir.path().join("child"));
    interrupt(&child);
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(2), "{}", text(&ended));
    assert!(dir.path().join("cleaning").exists(), "{}", text(&ended));
    assert!(!dir.path().join("next").exists());
    for name in ["parent", "child"] {
        assert!(!is_alive(&dir.path().join(name)), "{name} runs on");
    }
    assert!(
        stdout(&ended).contains("exception after "),
        "{}",
        text(&ended)
    );
}

#[test]
fn a_second_ctrl_c_ends_what_always_runs_too() {
    let dir = tree(SLOW);
    fs::write(dir.path().join("stuck"), "").expect("written");
    let child = command(dir.path(), &["words"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    wait_for(&dir.path().join("begun"));
    interrupt(&child);
    wait_for(&dir.path().join("cleaning"));
    interrupt(&child);
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(2), "{}", text(&ended));
    assert!(
        fs::read_dir(dir.path().join(".tmp"))
            .expect("there")
            .next()
            .is_none()
    );
}

#[test]
fn a_checkout_is_run_in_a_directory_of_its_own_where_that_is_wanted() {
    let repository = tempfile::tempdir().expect("a directory");
    crate::farm::git_init(repository.path(), "main");
    fs::write(repository.path().join("a.txt"), "a").expect("written");
    crate::farm::commit(repository.path(), "first");
    let url = repository.path().display().to_string();
    let dir = tempfile::tempdir().expect("a directory");
    let git = format!("git={url}#main");
    let args = ["shell", "--param", &git, "--param", "command=cat a.txt"];
    let ran = run(
        dir.path(),
        &[&args[..], &["--checkout", "--dir", "there"]].concat(),
    );
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran));
    assert_eq!(
        fs::read_to_string(dir.path().join("there/a.txt")).expect("a file"),
        "a"
    );
    let ran = run(dir.path(), &args);
    assert_eq!(
        ran.status.code(),
        Some(1),
        "there is none here: {}",
        text(&ran)
    );
}
