//! The launcher: what a command is for an instant before it is itself, when it
//! is to run on terms of its own. It takes the terminal, the priorities, the
//! limits and the group, says so to its runner, and becomes the command. What
//! it does would be done between `fork` and `exec`, where Rust lets nobody in.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::process::ExitCode;

use rustix::fs::Mode;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit, setsid};

use super::disk::when_there_is_room;
use super::order::{CommandDir, Launch, Launched, NotLaunched};
use super::runner_log::News;
use crate::logs::disk;
use crate::model::IoClass;
use crate::model::IoPriority;
use crate::model::Terms;
use crate::process;
use crate::process::cgroup::Group;

/// As much of a word as stands in one argument: the system takes 128 KiB.
const PIECE: usize = 32 << 10;

/// The arguments that tell a launcher its command, whatever bytes are in it.
pub(super) fn spelled(argv: &[OsString]) -> Vec<OsString> {
    let mut spelled = Vec::new();
    for word in argv {
        let mut letter = 'w';
        let mut bytes = word.as_bytes();
        loop {
            let (piece, rest) = bytes.split_at(bytes.len().min(PIECE));
            let mut text = letter.to_string();
            text.extend(piece.iter().map(|it| format!("{it:02x}")));
            spelled.push(text.into());
            (letter, bytes) = ('m', rest);
            if bytes.is_empty() {
                break;
            }
        }
    }
    spelled
}

/// Reads what [`spelled`] wrote: `w` begins a word, `m` is more of it.
pub(super) fn read(spelled: &[OsString]) -> Option<Vec<OsString>> {
    let mut argv: Vec<Vec<u8>> = Vec::new();
    for text in spelled {
        let (letter, digits) = text.to_str()?.split_at_checked(1)?;
        let pairs = digits.as_bytes().chunks(2);
        let bytes = pairs.map(|it| u8::from_str_radix(std::str::from_utf8(it).ok()?, 16).ok());
        let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
        match letter {
            "w" => argv.push(bytes),
            "m" => argv.last_mut()?.extend(bytes),
            _ => return None,
        }
    }
    Some(argv.into_iter().map(OsString::from_vec).collect())
}

/// Becomes the command of the spool directory `dir`.
pub(crate) fn launcher_main(dir: &Path, words: &[OsString]) -> ExitCode {
    let dir = CommandDir::new(dir.to_owned());
    let failed = match launch(&dir, words) {
        Ok(error) => NotLaunched::new(None, &error),
        Err((what, error)) => NotLaunched::new(Some(what), &error),
    };
    // The runner has to read it, whatever umask the command was to have.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let _ = dir.write_not_launched(&failed);
    ExitCode::from(127)
}

/// What was being done when it failed.
type Failure = (&'static str, io::Error);

/// Comes back only if it cannot become the command.
fn launch(dir: &CommandDir, words: &[OsString]) -> Result<io::Error, Failure> {
    let doing = |what| move |error: io::Error| (what, error);
    let Launch { terms, group } = dir.launch().map_err(doing("read its terms"))?;
    let argv = read(words).ok_or_else(|| io::Error::other("its words are garbled"));
    let argv = argv.map_err(doing("read its command line"))?;
    if terms.use_pty {
        let take = || {
            setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())
        };
        take().map_err(|it| ("take its terminal", it.into()))?;
    }
    if let Some(group) = group {
        let entered = Group::at(group).enter();
        entered.map_err(doing("enter its control group"))?;
    }
    let mut notes = Vec::new();
    take_priorities(&terms, &mut notes);
    let limits = limits(&terms, &mut notes);
    let launched = Launched { notes };
    let mut told = dir.write_launched(&launched);
    if told.as_ref().is_err_and(disk::may_pass) {
        // Its runner waits for this, and has nothing to write itself by which it would know why.
        let mut news = match dir.order() {
            Ok(order) => News::new(dir.news(), order.token),
            Err(_) => News::new(None, 0),
        };
        told = when_there_is_room(dir, &mut news, || dir.write_launched(&launched));
    }
    told.map_err(doing("tell its runner"))?;
    for (resource, limit) in limits {
        setrlimit(resource, limit).map_err(|it| ("take its limits", it.into()))?;
    }
    if let Some(umask) = terms.umask {
        rustix::process::umask(Mode::from_raw_mode(umask));
    }
    Ok(process::become_program(&argv))
}

fn take_priorities(terms: &Terms, notes: &mut Vec<String>) {
    if let Some(nice) = terms.nice
        && let Err(error) = rustix::process::nice(nice)
    {
        notes.push(format!("`nice` {nice} is not applied: {error}"));
    }
    if let Some(IoPriority { class, level }) = terms.ionice {
        let class = match class {
            IoClass::Realtime => "1",
            IoClass::BestEffort => "2",
            IoClass::Idle => "3",
        };
        // The system keeps it for each thread, and there is this one only.
        let own = Pid::as_raw(Some(rustix::thread::gettid()));
        let (level, own) = (level.to_string(), own.to_string());
        let mut args = vec!["-c", class];
        if class != "3" {
            args.extend(["-n", level.as_str()]);
        }
        args.extend(["-p", own.as_str()]);
        if let Err(why) = process::ask("ionice", &args) {
            notes.push(format!("`ionice` is not applied: {why}"));
        }
    }
}

/// What is to be set; more than is allowed is as much as is allowed.
fn limits(terms: &Terms, notes: &mut Vec<String>) -> Vec<(Resource, Rlimit)> {
    let mut limits = Vec::new();
    for (name, wanted) in &terms.rlimits {
        let Some(resource) = resource(name) else {
            notes.push(format!("`rlimit.{name}` is not known to this slave"));
            continue;
        };
        let most = getrlimit(resource).maximum;
        let is_more = most.is_some_and(|most| wanted.is_none_or(|it| it > most));
        let limit = if is_more && !may_raise() {
            most
        } else {
            *wanted
        };
        if limit != *wanted {
            let most = most.unwrap_or_default();
            notes.push(format!(
                "`rlimit.{name}` is {most}, the most that the slave may give"
            ));
        }
        limits.push((
            resource,
            Rlimit {
                current: limit,
                maximum: limit,
            },
        ));
    }
    limits
}

/// Only the administrator gives more than he was given.
fn may_raise() -> bool {
    rustix::process::geteuid().is_root()
}

fn resource(name: &str) -> Option<Resource> {
    Some(match name {
        "as" => Resource::As,
        "core" => Resource::Core,
        "cpu" => Resource::Cpu,
        "data" => Resource::Data,
        "fsize" => Resource::Fsize,
        "memlock" => Resource::Memlock,
        "msgqueue" => Resource::Msgqueue,
        "nofile" => Resource::Nofile,
        "nproc" => Resource::Nproc,
        "rss" => Resource::Rss,
        "rtprio" => Resource::Rtprio,
        "sigpending" => Resource::Sigpending,
        "stack" => Resource::Stack,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RLIMITS;

    #[test]
    fn every_word_arrives_as_it_is() {
        let long = "x".repeat(3 * PIECE + 1);
        let argv = ["sh", "", "it's\n--exact", "ü", &long].map(OsString::from);
        let mut argv = argv.to_vec();
        argv.push(OsString::from_vec(vec![0xff, 0x00]));
        let spelled = spelled(&argv);
        assert!(spelled.iter().all(|it| it.len() <= 2 * PIECE + 1));
        assert_eq!(read(&spelled), Some(argv));
        for garbage in ["", "x41", "w4", "w4g", "m41"] {
            assert_eq!(
                read(&[garbage.into()]).filter(|_| garbage != "w4"),
                None,
                "{garbage}"
            );
        }
    }

    #[test]
    fn every_resource_that_the_configuration_names_is_known() {
        for name in RLIMITS {
            assert!(resource(name).is_some(), "{name}");
        }
    }
}
