//! One copy of each repository for all builds of a slave. A command line that clones or fetches
//! has its repository from there: the mirror is brought up to date, once for all that ask at the
//! same time, and the line is run with the mirror in the place of the URL. Whatever stands in the
//! way of that, the line is run as it is.
//!
//! `wish` brings a mirror up to date, `shelf` is what is on the disk, `git` and `hg` are what the
//! two programs need. None of them shows a URL: there may be a password in it.

mod git;
mod hg;
mod shelf;
mod wish;

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use self::shelf::Shelf;
use self::wish::{Found, Wish};
use super::MIRRORS;
use super::launcher;
use super::order::CommandDir;
use crate::model::Mirror;
use crate::model::MirrorKind;
use crate::process;

/// Runs the command of the spool directory `dir` with a mirror, or becomes it.
pub(crate) fn mirror_main(dir: &Path, words: &[OsString]) -> ExitCode {
    let Some(argv) = launcher::read(words) else {
        let _ = writeln!(io::stderr(), "the command's words are garbled");
        return ExitCode::from(126);
    };
    let dir = CommandDir::new(dir.to_owned());
    if let (Some(basedir), Ok(mirror)) = (dir.basedir(), dir.mirror())
        && let Some(code) = run_mirrored(&basedir.join(MIRRORS), &mirror, &argv)
    {
        return ExitCode::from(code);
    }
    let error = process::become_program(&argv);
    let name = argv.first().map(|it| it.display());
    let name = name.map_or(String::new(), |it| it.to_string());
    let (code, why) = match error.kind() {
        io::ErrorKind::NotFound => (127, "is not found".to_owned()),
        _ => (126, format!("cannot be started: {error}")),
    };
    let _ = writeln!(io::stderr(), "program `{name}` {why}");
    ExitCode::from(code)
}

/// Tells the reader of the log. Not on the error channel, which steps look through.
fn say(text: &str) {
    let mut out = io::stdout();
    let _ = writeln!(out, "mirror: {text}").and_then(|()| out.flush());
}

/// How the line ended with a mirror. `None`: it is still to be run.
fn run_mirrored(mirrors: &Path, mirror: &Mirror, argv: &[OsString]) -> Option<u8> {
    let url = argv.get(mirror.word)?.to_str()?;
    let place = match Shelf::open(mirrors).and_then(|it| it.place(mirror.kind, url)) {
        Ok(place) => place,
        Err(error) => {
            say(&format!("none, as `{MIRRORS}` cannot be used: {error}"));
            return None;
        }
    };
    if mirror.is_doubted {
        say("not used, as what came from it did not do; it is checked before it is used again");
        place.doubt();
        return None;
    }
    let talks = argv.iter().any(|it| it == "--progress");
    let wish = Wish { url, mirror, talks };
    let found = match wish.make_ready(&place) {
        Ok(found) => found,
        Err(why) => {
            say(&format!("not used: {why}"));
            return None;
        }
    };
    let _using = place.using();
    let repository = place.repository();
    let mut line = argv.to_vec();
    line[mirror.word] = repository.clone().into();
    let ended = process::run_here(&line).ok()?;
    let has_followed = ended.success()
        && match mirror.kind {
            MirrorKind::Git => git::follow(argv, place.above(), url),
            MirrorKind::Hg => hg::follow(argv, url),
        };
    if has_followed {
        return Some(0);
    }
    if let (Found::NoBranch, Some(code)) = (found, ended.code()) {
        // It was asked just now: the repository itself has no such branch either.
        return u8::try_from(code).ok();
    }
    say("did not do; it is checked before it is used again");
    place.doubt();
    None
}

/// Words of a command line.
fn words<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().map(|it| OsStr::new(*it)).collect()
}
