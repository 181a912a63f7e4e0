//! Which room may name which. Between crates Cargo checks this; inside one
//! crate nobody does, so this test does. A new entry here is a design
//! decision.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every room (a folder or a file of `src/`) and the rooms that it may name besides itself.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("cores", &[]),
    ("syntax", &["model", "cores"]),
    ("clock", &["model"]),
    ("expr", &["model", "syntax"]),
    // It fills a command with values, and knows neither who asks nor where it goes.
    ("secrets", &["model", "syntax"]),
    // Reads its own section and values, and decides; the master's core holds it.
    ("locks", &["model", "syntax"]),
    // Numbers in, numbers out; who asks reads the store for it.
    ("estimate", &["model"]),
    ("process", &[]),
    // Figures, of whatever: who counts keeps them.
    ("metrics", &[]),
    // It reads its own sections, and rules about changes are expressions. Who may send it jobs
    // has a password.
    ("schedulers", &["model", "syntax", "expr", "secrets"]),
    ("factories", &["model", "syntax", "expr", "steps"]),
    // Whether a password is the right one; what is shown in a header is read where secrets are.
    ("logins", &["secrets"]),
    // A mail and its relay; a password is of the files that it stands in.
    ("mail", &["model", "syntax"]),
    // Who hears what is a rule over outcomes; the texts are templates. A target that mails says
    // how it does, and who listens has a password.
    ("reporters", &["model", "syntax", "expr", "mail", "secrets"]),
    // A proxy command is a child; and it knows nothing of slaves.
    ("ssh", &["process"]),
    ("xml", &[]),
    // Certificates and the two ends of TLS; what is wrong with one has a day in it.
    ("tls", &["model", "clock"]),
    ("steps", &["model", "syntax", "expr", "xml", "locks"]),
    // Reads its own settings, as steps and factories do, and what `svn` prints. Who knocks at a
    // hook has its secret. Feeds come over TLS, and what has no time of its own is dated.
    (
        "changes",
        &[
            "model", "syntax", "process", "xml", "secrets", "tls", "clock",
        ],
    ),
    ("wire", &["model"]),
    ("logs", &["model"]),
    // Slaves of another program, in the words of our own.
    // One that comes over a WebSocket shows its password in a header.
    ("buildbot", &["model", "wire", "logs", "secrets"]),
    ("slave", &["model", "process", "wire", "logs", "tls"]),
    // It counts how long it takes.
    ("store", &["model", "metrics"]),
    (
        "config",
        &[
            "model",
            "cores",
            "syntax",
            "secrets",
            "reporters",
            "locks",
            "expr",
            "process",
            "steps",
            "factories",
            "schedulers",
            "changes",
            // It looks at the certificate on this machine.
            "tls",
            // Whether what it is given as a hash is one.
            "logins",
        ],
    ),
    (
        "master",
        &[
            "model",
            "clock",
            "syntax",
            // It gives conditions of steps the values that they are computed over.
            "expr",
            // It says how long builds take, from what the store and the core know.
            "estimate",
            "secrets",
            "process",
            // It starts slaves on other hosts.
            "ssh",
            // It tells that one of them is missing.
            "mail",
            "steps",
            "locks",
            "schedulers",
            "changes",
            "wire",
            // It lets its slaves in.
            "buildbot",
            "tls",
            "logs",
            "store",
            "config",
            "metrics",
            // What it is told as the password of a user is to be a hash.
            "logins",
        ],
    ),
    (
        "web",
        // Of changes the hooks only: what knocks is handed on as it came.
        &[
            "model", "clock", "estimate", "logs", "store", "config", "changes", "master",
            // It shows the master's figures and has some of visits; and visitors come over TLS.
            "metrics", "tls",
            // Who comes is let in here; a password of the configuration may be a secret.
            "logins", "secrets",
        ],
    ),
    // It believes a master that comes over TLS, or not, and shows what it is let in with.
    ("client", &["model", "tls", "secrets"]),
    ("scaffold", &[]),
];

/// These may name everything: they are how the rooms are entered.
const FREE: &[&str] = &["cli", "lib", "main"];

#[test]
fn rooms_name_only_what_they_may() {
    let mut wrong = Vec::new();
    for (room, text, file) in sources() {
        let Some((_, allowed)) = MAY_NAME.iter().find(|(it, _)| *it == room) else {
            continue;
        };
        for (number, line) in (1..).zip(text.lines()) {
            for path in line.split("crate::").skip(1) {
                let named = path
                    .split(|c: char| !c.is_alphanumeric() && c != '_')
                    .next();
                let named = named.unwrap_or_default(); // empty for `crate::{`, so refused
                if named != room && !allowed.contains(&named) {
                    wrong.push(format!("{file}:{number}: {}", line.trim()));
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "these lines name a room they may not:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_room_is_on_the_list() {
    let mut known: Vec<&str> = MAY_NAME
        .iter()
        .map(|it| it.0)
        .chain(FREE.iter().copied())
        .collect();
    let mut there: Vec<String> = sources().into_iter().map(|it| it.0).collect();
    known.sort_unstable();
    there.sort();
    there.dedup();
    assert_eq!(there, known);
}

/// What a room was allowed and no longer needs is taken off the list.
#[test]
fn no_room_is_allowed_what_it_does_not_use() {
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    for (room, text, _) in sources() {
        used.entry(room).or_default().push_str(&text);
    }
    let mut idle = Vec::new();
    for (room, allowed) in MAY_NAME {
        for name in *allowed {
            if !used[*room].contains(&format!("crate::{name}")) {
                idle.push(format!("{room} -> {name}"));
            }
        }
    }
    assert!(
        idle.is_empty(),
        "these entries are not needed: {}",
        idle.join(", ")
    );
}

/// Room, text and name of every source file.
fn sources() -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    visit(Path::new("src"), &mut |file, text| {
        let room = file
            .strip_prefix("src")
            .expect("below src")
            .components()
            .next();
        let room = room.expect("a first part").as_os_str().to_string_lossy();
        let room = room.strip_suffix(".rs").unwrap_or(&room).to_owned();
        all.push((room, text, file.display().to_string()));
    });
    all
}

fn is_for_tests(path: &Path) -> bool {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    name.ends_with("tests")
        || name == "bench"
        || name == "sample"
        || path.components().any(|part| part.as_os_str() == "tests")
}

fn visit(dir: &Path, see: &mut dyn FnMut(&Path, String)) {
    for entry in fs::read_dir(dir).expect("a room is a folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            visit(&path, see);
        } else if is_for_tests(&path) {
            // A bench may borrow a noun of another room to stand for the real thing.
        } else if path.extension().is_some_and(|it| it == "rs") {
            see(&path, fs::read_to_string(&path).expect("a readable file"));
        }
    }
}
