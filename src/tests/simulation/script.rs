//! What the programs of the farm do. It follows from the command line alone,
//! so that what a build must have said is known beforehand.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::chance::Chance;
use crate::logs::record;
use crate::model::Channel;
use crate::slave::bench::Act;
use crate::wire::{WireLine, WireShell};

/// The commit of the one repository there is.
pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What `line` does, and to its work directory `dir`.
pub(super) fn acts(shell: &WireShell, dir: &Path) -> Vec<Act> {
    fs::create_dir_all(dir).expect("a work directory");
    match &shell.line {
        WireLine::Script(line) => acts_of(line),
        WireLine::Argv(words) => git(words, dir),
    }
}

/// A command `say NUMBER`.
pub(super) fn acts_of(line: &str) -> Vec<Act> {
    let number = line.strip_prefix("say ").expect("a known command");
    let mut chance = Chance::new(number.parse().expect("a number"), "script");
    let mut acts = vec![Act::Say(Channel::Header, format!("{line}\n").into_bytes())];
    let pieces = match chance.below(10) {
        0 => 0,
        1 => 60,
        _ => chance.below(12),
    };
    for piece in 0..pieces {
        acts.push(Act::Wait(pause(&mut chance)));
        let channel = match chance.below(3) {
            0 => Channel::Stderr,
            _ => Channel::Stdout,
        };
        // Now and then more than a line takes at once.
        let size = match chance.below(40) {
            0 => 300_000,
            1..4 => 5_000,
            _ => 60,
        };
        let size = 1 + chance.place(size);
        let text = format!("{line}, piece {piece}, ").into_bytes();
        let mut bytes = text.repeat(size / text.len() + 1);
        bytes.truncate(size);
        acts.push(Act::Say(channel, bytes));
    }
    acts.push(Act::Wait(pause(&mut chance)));
    acts.push(Act::End(code_of(line)));
    acts
}

/// Mostly short, now and then longer than most of what goes wrong.
fn pause(chance: &mut Chance) -> Duration {
    let digits = if chance.once_in(12) { 5 } else { 4 };
    chance.span(digits)
}

/// How it ends: mostly well.
pub(super) fn code_of(line: &str) -> i32 {
    i32::from(Chance::new(line.len() as u64, line).once_in(12))
}

/// What the log of such a command holds, without the master's own last line.
pub(super) fn log_of(line: &str) -> Vec<u8> {
    let mut log = Vec::new();
    for act in acts_of(line) {
        if let Act::Say(channel, bytes) = act {
            record::push(channel, &bytes, &mut log);
        }
    }
    log
}

fn git(words: &[String], dir: &Path) -> Vec<Act> {
    let pause = Act::Wait(Duration::from_millis(300));
    let said = match words.get(1).map(String::as_str) {
        Some("--version") => "git version 2.47.3\n".to_owned(),
        Some("clone") => {
            fs::create_dir_all(dir.join(".git")).expect("a checkout");
            "Cloning into '.'...\n".to_owned()
        }
        Some("rev-parse") => format!("{COMMIT}\n"),
        _ => String::new(),
    };
    let said = Act::Say(Channel::Stdout, said.into_bytes());
    vec![pause.clone(), said, pause, Act::End(0)]
}
