//! Secrets reach the commands that ask for them, and nothing that stays.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::farm::{Farm, property};

const TOKEN: &str = "tr0ub4dor-and-3";
const OTHER: &str = "correct horse battery";

/// Its first step prints the token in pieces, keeps it, and waits for the file `go`; the others
/// print what they should not know, and what somebody else asks for.
const RECIPE: &str = r#"
extends = "shell"
command = "echo begin"

[[steps]]
type = "shell"
command = '''
printf '%%s' "$TOKEN" > kept
printf 'a %%.5s' "$TOKEN"
while [ ! -e go ]; do sleep 0.01; done
printf '%%s\n' "${TOKEN#?????}"
'''
env.TOKEN = "${secret:up.token}"

[[steps]]
type = "shell"
command = "echo waiting; while [ ! -e go2 ]; do sleep 0.01; done; cat kept"

[[steps]]
type = "shell"
command = "cat kept; rm kept; echo"

[[steps]]
type = "set_property"
property = "asked"
command = ["printf", "%%s{secret:other}", "$"]

[[steps]]
type = "set_property"
property = "said"
command = ["echo", "%(asked)s <other> ${secret:other}"]
"#;

fn write_secrets(farm: &Farm, mode: u32) {
    let path = farm.path("secrets.json");
    let passwords = r#"{"slaves": {"passwords": {"*": "secret"}}"#;
    let text = format!("{passwords}, \"up\": {{\"token\": \"{TOKEN}\"}}, \"other\": \"{OTHER}\"}}");
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("changed");
}

fn farm() -> Farm {
    let mut farm = Farm::new(
        "[:secrets:]\nfile = ../secrets.json\n\n\
         [slave:linux]\npassword = ${secret:slaves.passwords.linux}\nfactories = up\n",
    );
    write_secrets(&farm, 0o600);
    let factories = farm.master_dir().join("factories");
    fs::create_dir(&factories).expect("a directory");
    fs::write(factories.join("up.toml"), RECIPE).expect("written");
    farm.start_master();
    farm.start_slave("linux");
    farm
}

/// Files below `dir` that hold one of the secrets.
fn leaks(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            leaks(&path, found);
        } else if kind.is_file() {
            let bytes = fs::read(&path).unwrap_or_default();
            let has = |value: &str| bytes.windows(value.len()).any(|it| it == value.as_bytes());
            if has(TOKEN) || has(OTHER) {
                found.push(path);
            }
        }
    }
}

#[test]
fn a_secret_is_used_and_is_nowhere_afterwards_whatever_is_killed_meanwhile() {
    let mut farm = farm();
    let forced = farm.autobot(&["force", "up-linux"]);
    assert!(forced.status.success(), "{forced:?}");
    farm.wait("the first piece", |farm| {
        let path = "/builders/up-linux/builds/0/steps/shell_1/logs/stdio/text?follow=0";
        farm.get(path).filter(|it| it.0 == 200 && it.1 == "a ")
    });
    farm.kill_master();
    farm.kill_slave();
    farm.start_slave("linux");
    farm.start_master();
    fs::write(farm.path("linux/up-linux/build/go"), "").expect("written");
    farm.wait("the second step", |farm| {
        let path = "/builders/up-linux/builds/0/steps/shell_2/logs/stdio/text?follow=0";
        farm.get(path)
            .filter(|it| it.0 == 200 && it.1 == "waiting\n")
    });
    farm.kill_master();
    farm.start_master();
    fs::write(farm.path("linux/up-linux/build/go2"), "").expect("written");
    let build = farm.wait_builds("up-linux", 1);
    assert_eq!(build["results"], 0, "{build:#}");

    let first = farm.log("up-linux", 0, "shell_1");
    assert!(first.contains("a <up.token>\n"), "{first}");
    assert!(first.contains("  TOKEN=<up.token>\n"), "{first}");
    // One of an earlier step is masked too, whoever started the later one.
    for step in ["shell_2", "shell_3"] {
        let later = farm.log("up-linux", 0, step);
        assert!(later.contains("<up.token>\n"), "{later}");
    }
    let third = farm.log("up-linux", 0, "setproperty_1");
    let said = "${secret:other} <other> <other>";
    assert!(third.contains(&format!("{said}\n")), "{third}");
    assert_eq!(property(&build, "said"), said);
    let text = build["steps"].to_string();
    assert!(!text.contains(OTHER), "{text}");

    let mut found = Vec::new();
    leaks(&farm.path(""), &mut found);
    assert_eq!(found, [farm.path("secrets.json")]);
}

#[test]
fn a_secret_that_cannot_be_read_ends_its_step_and_one_that_comes_back_is_seen() {
    let mut farm = farm();
    fs::create_dir_all(farm.path("linux/up-linux/build")).expect("a directory");
    for go in ["go", "go2"] {
        fs::write(farm.path("linux/up-linux/build").join(go), "").expect("written");
    }
    let good = farm.force("up-linux", &[]);
    assert_eq!(good["results"], 0, "{good:#}");

    write_secrets(&farm, 0o644);
    let bad = farm.force("up-linux", &[]);
    assert_eq!(bad["results"], 4, "{bad:#}");
    let path = "/builders/up-linux/builds/1/steps/shell_1/logs/err.text/text";
    let why = farm.get(path).expect("a log").1;
    assert!(
        why.contains("the secret `up.token` cannot be read")
            && why.contains("others may read it, its mode is 0644"),
        "{why}"
    );

    // A slave whose password cannot be read waits outside until it can be.
    farm.kill_slave();
    farm.start_slave("linux");
    farm.wait("a refusal", |farm| {
        let said = farm.master_output();
        said.contains("a slave's password cannot be read")
            .then_some(())
    });
    write_secrets(&farm, 0o600);
    let again = farm.force("up-linux", &[]);
    assert_eq!(again["results"], 0, "{again:#}");
}

#[test]
fn a_slave_of_the_master_does_not_inherit_variables_that_are_secrets() {
    let name = std::env::var("CARGO_PKG_NAME").expect("cargo tells its tests what they belong to");
    assert_eq!(name, "autobot");
    let mut farm = Farm::new(
        "[:secrets:]\nenvironment = CARGO_PKG_ NONE\n\n\
         [slave:linux]\npassword = ${secret:name}\nlaunch = local\nfactories = show\n\
         [show]\ntype = shell\ncommand = echo [$CARGO_PKG_NAME] ${secret:name}\n",
    );
    farm.start_master();
    let build = farm.force("show-linux", &[]);
    assert_eq!(build["results"], 0, "{build:#}");
    let log = farm.log("show-linux", 0, "shell");
    assert!(log.contains("\n[] <name>\n"), "{log}");
    assert!(!log.contains("  CARGO_PKG_NAME="), "{log}");
}
