//! What the slave keeps on its disk: a directory for each command of each
//! master, `BASEDIR/spool/MASTER/COMMAND/`. The disk is the truth; after a
//! restart the slave knows its commands from here alone.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Pid;
use tracing::warn;

use super::SPOOL;
use super::leases::Leases;
use super::order::{self, Begun, CommandDir, Ended, Order, STDIO};
use crate::logs::record;
use crate::model::BuildId;
use crate::model::Channel;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::process::cgroup::Group;
use crate::process::tree;
use crate::wire::WireCommand;

/// The form of the spool, which only grows: programs read every form up to their own.
const FORM: u32 = 2;

/// Their places have to fit into one byte.
const MOST_LOGFILES: usize = 200;

const RESTARTED: &str = "the slave's host was restarted";

/// How far a command has come.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Stage {
    /// Nobody has begun; the slave ended in between.
    Ordered,
    Running,
    Ended(Ended),
    /// Whoever carried it out is gone, and did not write down an end.
    Lost(String),
}

/// The spool of one master.
#[derive(Debug)]
pub(super) struct Spool {
    dir: PathBuf,
    /// Made by chance with the directory: another spool in its place has another one.
    token: String,
    leases: Leases,
}

/// Makes the FIFO in which runners tell their news.
pub(super) fn make_news(basedir: &Path) -> io::Result<PathBuf> {
    let spool = basedir.join(SPOOL);
    make_private_dir(&spool)?;
    check_form(&spool)?;
    let news = spool.join("news");
    make_fifo(&news)?;
    Ok(news)
}

/// Refuses a spool that a later program has written: nothing of it is read or removed.
fn check_form(spool: &Path) -> io::Result<()> {
    let path = spool.join("form");
    let form = match fs::read_to_string(&path) {
        Ok(text) if text.ends_with('\n') => text.trim().parse().unwrap_or(u32::MAX),
        // Torn by a power cut while it was new.
        Ok(_) => 0,
        // As it was before there was this file.
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if form > FORM {
        let shown = path.display();
        return Err(io::Error::other(format!(
            "it was written by a newer autobot (`{shown}` says {form}, this program knows \
             {FORM}); start that one, or end what it runs and remove the spool"
        )));
    }
    if form < FORM {
        let fresh = spool.join("form.new");
        let mut file = File::create(&fresh)?;
        file.write_all(format!("{FORM}\n").as_bytes())?;
        // Once in the life of a spool: what a later program left must not be taken for torn.
        file.sync_all()?;
        fs::rename(fresh, path)?;
    }
    Ok(())
}

impl Spool {
    /// Opens the spool of `master`, and clears away what other masters left
    /// that has ended.
    pub(super) fn open(basedir: &Path, master: &str) -> io::Result<Self> {
        let all = basedir.join(SPOOL);
        let own = dir_name(master);
        make_private_dir(&all)?;
        let dir = all.join(&own);
        make_private_dir(&dir)?;
        for entry in fs::read_dir(&all)?.flatten() {
            if entry.path().is_dir() && entry.file_name() != *own {
                clear_away(&entry.path());
            }
        }
        clear_halves(&dir);
        let leases = Leases::open(&dir)?;
        let token = token(&dir)?;
        Ok(Self { dir, token, leases })
    }

    /// What this spool is called, and no other.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Every command that is here.
    pub(super) fn commands(&self) -> io::Result<Vec<CommandId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            found.extend(entry?.file_name().to_str().and_then(parse_id));
        }
        found.sort_unstable();
        Ok(found)
    }

    pub(super) fn command(&self, id: CommandId) -> CommandDir {
        CommandDir::new(self.dir.join(id.to_string()))
    }

    /// The highest lease seen for a build.
    pub(super) fn lease(&self, build: BuildId) -> u64 {
        self.leases.of(build)
    }

    /// Obeys `lease` from now on. Gives the highest that was seen if this one is lower.
    pub(super) fn obey(&mut self, build: BuildId, lease: u64) -> Result<(), u64> {
        let highest = self.lease(build);
        if lease < highest {
            return Err(highest);
        }
        if lease > highest {
            self.leases.raise(build, lease);
        }
        Ok(())
    }

    /// Writes down a command that is to be carried out. It is there as a
    /// whole or not at all.
    pub(super) fn create(&self, id: CommandId, order: &Order) -> io::Result<CommandDir> {
        let fresh = CommandDir::new(self.dir.join(format!("{id}.new")));
        remove(fresh.path())?;
        make_private_dir(fresh.path())?;
        let dir = self.command(id);
        let fill = || {
            fresh.lay_down_order(order)?;
            make_fifo(&fresh.control())?;
            // Made now, so that nobody needs room on the disk only to look.
            fresh.claim()?;
            fs::rename(fresh.path(), dir.path())
        };
        if let Err(error) = fill() {
            // What is there of it may hold a secret, and nobody would look for it.
            remove(fresh.path())?;
            return Err(error);
        }
        Ok(dir)
    }

    /// Removes what is known of a command.
    pub(super) fn forget(&mut self, id: CommandId) -> io::Result<()> {
        let gone = self.dir.join(format!("{id}.gone"));
        match fs::rename(self.command(id).path(), &gone) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => remove(&gone)?,
        }
        self.trim_leases()
    }

    /// Forgets the leases of builds that are long over and have no commands here.
    fn trim_leases(&mut self) -> io::Result<()> {
        if self.leases.are_many() {
            let here = self.commands()?;
            let is_here = |build: i64| here.iter().any(|id| id.build.0 == build);
            self.leases.forget(is_here);
        }
        Ok(())
    }
}

/// What the spool in `dir` is called; one that is new, or was torn by a power cut, gets a name.
fn token(dir: &Path) -> io::Result<String> {
    let path = dir.join("token");
    match order::read::<String>(&path) {
        Ok(token) if !token.is_empty() => return Ok(token),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        _ => {}
    }
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let token = format!("{:016x}", u64::from_ne_bytes(bytes));
    order::write(&path, &token)?;
    Ok(token)
}

/// Finds out how far a command has come.
pub(super) fn stage(dir: &CommandDir) -> io::Result<Stage> {
    match look(dir) {
        // Files are there as a whole or not at all, but for a power cut.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            let why = "the slave's host went down before its spool was on the disk";
            Ok(Stage::Lost(why.to_owned()))
        }
        stage => stage,
    }
}

fn look(dir: &CommandDir) -> io::Result<Stage> {
    if let Some(ended) = dir.ended()? {
        return Ok(Stage::Ended(ended));
    }
    let Some(_claim) = dir.claim()? else {
        return Ok(Stage::Running);
    };
    // Nobody works on it, and nobody can begin while the claim is held; but
    // somebody may have come to the end since we looked.
    if let Some(ended) = dir.ended()? {
        return Ok(Stage::Ended(ended));
    }
    let Some(begun) = dir.begun()? else {
        return Ok(match dir.order()?.is_of_another_boot() {
            // That it was begun may never have come to the disk.
            true => Stage::Lost(RESTARTED.to_owned()),
            false => Stage::Ordered,
        });
    };
    let why = if begun.boot_id == order::boot_id() {
        end_leftovers(&begun);
        let complaint = fs::read_to_string(dir.complaint()).unwrap_or_default();
        match complaint.trim().lines().last() {
            Some(line) => format!("the runner of the command failed: {line}"),
            None => "the runner of the command was killed".to_owned(),
        }
    } else {
        RESTARTED.to_owned()
    };
    Ok(Stage::Lost(why))
}

/// Writes down the end of a command that is lost, after what it said.
pub(super) fn write_lost(dir: &CommandDir, why: &str) -> io::Result<Ended> {
    if let Some(spent) = dir.order().ok().and_then(|it| it.spent()) {
        dir.write_order(&spent)?;
    }
    let names = dir.order().map(|it| order::log_names(&it.command));
    let names = names.unwrap_or_else(|_| vec![STDIO.to_owned()]);
    let (mut logs, mut said) = (BTreeMap::new(), BTreeMap::new());
    for (place, name) in names.into_iter().enumerate() {
        let mut log = order::private().create(true).open(dir.log(place))?;
        let mut tail = missing_tail(&mut log)?;
        said.insert(name.clone(), log.metadata()?.len());
        if place == 0 {
            let line = format!("\nthe command is lost: {why}\n");
            record::push(Channel::Header, line.as_bytes(), &mut tail);
        }
        log.seek(io::SeekFrom::End(0))?;
        log.write_all(&tail)?;
        logs.insert(name, log.metadata()?.len());
    }
    let cause = ExitCause::Lost(why.to_owned());
    let (code, elapsed_ms) = (-1, 0);
    let ended = Ended {
        exit: Exit::new(code, cause, elapsed_ms),
        logs,
        said,
    };
    dir.write_ended(&ended)?;
    Ok(ended)
}

/// What completes a log whose last record is cut: nothing may be taken
/// back, since the master may have it.
fn missing_tail(log: &mut File) -> io::Result<Vec<u8>> {
    let mut reader = record::Reader::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let size = log.read(&mut buffer)?;
        if size == 0 {
            break;
        }
        skim(&mut reader, &buffer[..size])?;
    }
    let mut tail = Vec::new();
    while !reader.is_between_records() {
        tail.push(0);
        skim(&mut reader, &[0])?;
    }
    Ok(tail)
}

fn skim(reader: &mut record::Reader, mut bytes: &[u8]) -> io::Result<()> {
    while reader.next(&mut bytes).map_err(io::Error::other)?.is_some() {}
    Ok(())
}

/// Ends what a runner that was killed left running.
fn end_leftovers(begun: &Begun) {
    if let Some(child) = begun.child.filter(|it| it.is_alive())
        && let Some(pid) = Pid::from_raw(child.pid)
    {
        tree::kill_tree(pid);
    }
    if let Some(group) = begun.group.clone().map(Group::at) {
        group.kill();
        group.remove();
    }
}

/// Removes commands that a slave was killed at writing down, or at removing.
fn clear_halves(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_half = path
            .extension()
            .is_some_and(|it| it == "new" || it == "gone");
        if is_half
            && path.is_dir()
            && let Err(error) = remove(&path)
        {
            warn!(path = %path.display(), %error, "half a command cannot be removed");
        }
    }
}

/// Removes what another master's commands left, unless they still run.
/// Whether commands of other masters than one run here: what has ended of theirs is cleared
/// away when a master comes.
pub(super) fn has_others(basedir: &Path) -> bool {
    let spools = fs::read_dir(basedir.join(SPOOL)).into_iter().flatten();
    spools.flatten().filter(|it| it.path().is_dir()).count() > 1
}

fn clear_away(dir: &Path) {
    let mut is_idle = true;
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_command = entry.file_name().to_str().and_then(parse_id).is_some();
        if is_command && matches!(stage(&CommandDir::new(path.clone())), Ok(Stage::Running)) {
            is_idle = false;
        } else if is_command && let Err(error) = remove(&path) {
            warn!(path = %path.display(), %error, "an old spool cannot be removed");
        }
    }
    if is_idle && let Err(error) = remove(dir) {
        warn!(path = %dir.display(), %error, "an old spool cannot be removed");
    }
}

/// Says whether a command could be carried out at all.
pub(super) fn check(command: &WireCommand) -> Result<(), String> {
    use crate::wire::WireLine;
    let WireCommand::Shell(shell) = command else {
        return Ok(());
    };
    if let WireLine::Argv(words) = &shell.line
        && words.first().is_none_or(String::is_empty)
    {
        return Err("the command line is empty".to_owned());
    }
    if shell.logfiles.len() > MOST_LOGFILES || shell.logfiles.contains_key(STDIO) {
        return Err("the log files of the command cannot be told apart".to_owned());
    }
    let is_absolute = shell.workdir.starts_with('/');
    if !is_absolute && !super::files::is_below(&shell.workdir) {
        let workdir = &shell.workdir;
        return Err(format!(
            "directory `{workdir}` leaves the slave's base directory"
        ));
    }
    Ok(())
}

fn parse_id(name: &str) -> Option<CommandId> {
    let mut parts = name.rsplitn(4, '-');
    let attempt = parts.next()?.parse().ok()?;
    let index = parts.next()?.parse().ok()?;
    let step = parts.next()?.parse().ok()?;
    let build = BuildId(parts.next()?.parse().ok()?);
    Some(CommandId {
        build,
        step,
        index,
        attempt,
    })
}

/// A master's name as a name of a directory: no path, and never the same for two.
fn dir_name(master: &str) -> String {
    let mut name = "m-".to_owned();
    for byte in master.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("={byte:02x}"));
        }
    }
    name
}

pub(super) fn make_private_dir(dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir)
}

fn make_fifo(path: &Path) -> io::Result<()> {
    match mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn remove(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::tree::ProcessName;
    use crate::wire::WireFile;

    fn id(build: i64) -> CommandId {
        CommandId {
            build: BuildId(build),
            step: 2,
            index: 0,
            attempt: 1,
        }
    }

    fn order() -> Order {
        let dir = "a".to_owned();
        Order::new(5, WireCommand::File(WireFile::Mkdir { dir }))
    }

    fn begun(boot_id: String) -> Begun {
        Begun {
            boot_id,
            runner: ProcessName::own(),
            child: None,
            group: None,
        }
    }

    #[test]
    fn a_command_goes_through_its_stages() {
        let base = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(base.path(), "one").unwrap();
        let dir = spool.create(id(1), &order()).unwrap();
        assert_eq!(dir.order().unwrap(), order());
        assert_eq!(stage(&dir).unwrap(), Stage::Ordered);

        let claim = dir.claim().unwrap();
        assert!(claim.is_some());
        assert_eq!(stage(&dir).unwrap(), Stage::Running);
        dir.write_begun(&begun(order::boot_id())).unwrap();
        drop(claim);
        let why = "the runner of the command was killed".to_owned();
        assert_eq!(stage(&dir).unwrap(), Stage::Lost(why.clone()));

        dir.write_begun(&begun("another start".to_owned())).unwrap();
        let why = "the slave's host was restarted".to_owned();
        assert_eq!(stage(&dir).unwrap(), Stage::Lost(why.clone()));
        let ended = write_lost(&dir, &why).unwrap();
        assert_eq!(stage(&dir).unwrap(), Stage::Ended(ended));

        let spool_again = Spool::open(base.path(), "one").unwrap();
        assert_eq!(spool_again.commands().unwrap(), [id(1)]);
        spool.forget(id(1)).unwrap();
        spool.forget(id(1)).unwrap();
        assert!(!spool.command(id(1)).path().is_dir());
    }

    #[test]
    fn what_a_power_cut_has_torn_is_not_begun_again() {
        let base = tempfile::tempdir().unwrap();
        let spool = Spool::open(base.path(), "one").unwrap();
        for (number, file) in [(1, "begun"), (2, "exit"), (3, "command")] {
            let dir = spool.create(id(number), &order()).unwrap();
            fs::write(dir.path().join(file), b"\x82").unwrap();
            let Stage::Lost(why) = stage(&dir).unwrap() else {
                panic!("{file} is taken for whole");
            };
            assert_eq!(
                why,
                "the slave's host went down before its spool was on the disk"
            );
        }
        // What was ordered before the power was cut may have been begun.
        let dir = spool.create(id(4), &order()).unwrap();
        super::super::bench::play_boot("the next start");
        assert_eq!(stage(&dir).unwrap(), Stage::Lost(RESTARTED.to_owned()));
        let dir = spool.create(id(5), &order()).unwrap();
        assert_eq!(stage(&dir).unwrap(), Stage::Ordered);
    }

    #[test]
    fn another_spool_in_its_place_is_called_otherwise() {
        let base = tempfile::tempdir().unwrap();
        let first = Spool::open(base.path(), "one").unwrap();
        let again = Spool::open(base.path(), "one").unwrap();
        assert_eq!(first.token(), again.token());
        fs::write(first.dir.join("token"), b"").unwrap();
        let torn = Spool::open(base.path(), "one").unwrap();
        assert_ne!(torn.token(), first.token());
        fs::remove_dir_all(base.path().join("spool")).unwrap();
        let new = Spool::open(base.path(), "one").unwrap();
        assert_ne!(new.token(), torn.token());
    }

    #[test]
    fn halves_of_commands_go_with_the_next_slave() {
        let base = tempfile::tempdir().unwrap();
        let spool = Spool::open(base.path(), "one").unwrap();
        let dir = spool.create(id(1), &order()).unwrap();
        for half in ["7-0-0-0.gone", "8-0-0-0.new"] {
            fs::create_dir(spool.dir.join(half)).unwrap();
            fs::write(spool.dir.join(half).join("log.stdio"), "x").unwrap();
        }
        let again = Spool::open(base.path(), "one").unwrap();
        assert_eq!(again.commands().unwrap(), [id(1)]);
        let left = fs::read_dir(&spool.dir).unwrap().flatten();
        let left: Vec<_> = left.map(|it| it.path()).filter(|it| it.is_dir()).collect();
        assert_eq!(left, [dir.path()]);
    }

    #[test]
    fn a_log_that_was_cut_is_completed_before_the_loss_is_told() {
        let base = tempfile::tempdir().unwrap();
        let spool = Spool::open(base.path(), "one").unwrap();
        let dir = spool.create(id(1), &order()).unwrap();
        fs::write(dir.log(0), b"o\0\0\0\x02hio\0\0\0\x05ab").unwrap();
        let ended = write_lost(&dir, "gone").unwrap();
        let log = fs::read(dir.log(0)).unwrap();
        assert_eq!(ended.logs[STDIO], log.len() as u64);
        let expected = b"o\0\0\0\x02hio\0\0\0\x05ab\0\0\0h\0\0\0\x1b\nthe command is lost: gone\n";
        assert_eq!(log, expected);
    }

    #[test]
    fn a_lower_lease_is_refused_and_the_highest_is_remembered() {
        let base = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(base.path(), "one").unwrap();
        let build = BuildId(7);
        assert_eq!(spool.obey(build, 3), Ok(()));
        assert_eq!(spool.obey(build, 3), Ok(()));
        let mut again = Spool::open(base.path(), "one").unwrap();
        assert_eq!(again.obey(build, 2), Err(3));
        assert_eq!(again.obey(BuildId(8), 1), Ok(()));
    }

    #[test]
    fn a_spool_of_a_later_program_is_left_alone() {
        let base = tempfile::tempdir().unwrap();
        make_news(base.path()).unwrap();
        make_news(base.path()).unwrap();
        let form = base.path().join("spool/form");
        assert_eq!(fs::read_to_string(&form).unwrap(), "2\n");
        for later in ["3\n", "3.5 beta\n"] {
            fs::write(&form, later).unwrap();
            let error = make_news(base.path()).unwrap_err().to_string();
            assert!(
                error.starts_with("it was written by a newer autobot"),
                "{error}"
            );
            assert_eq!(fs::read_to_string(&form).unwrap(), later);
        }
    }

    #[test]
    fn leases_do_not_pile_up() {
        let base = tempfile::tempdir().unwrap();
        let mut spool = Spool::open(base.path(), "one").unwrap();
        spool.create(id(0), &order()).unwrap();
        for build in 0..600 {
            spool.obey(BuildId(build), 9).unwrap();
        }
        spool.forget(id(599)).unwrap();
        assert_eq!(spool.leases.len(), 256);
        assert_eq!(spool.lease(BuildId(0)), 9, "its command is here");
        assert_eq!(spool.lease(BuildId(599)), 9, "the youngest are kept");
    }

    #[test]
    fn another_masters_spool_goes_when_nothing_of_it_runs() {
        let base = tempfile::tempdir().unwrap();
        let other = Spool::open(base.path(), "../other").unwrap();
        let dir = other.create(id(1), &order()).unwrap();
        let claim = dir.claim().unwrap();
        Spool::open(base.path(), "one").unwrap();
        assert!(dir.path().exists(), "it still runs");
        drop(claim);
        Spool::open(base.path(), "one").unwrap();
        assert!(!dir.path().exists());
        assert!(base.path().join("spool/m-one").exists());
    }

    #[test]
    fn ids_are_read_as_they_are_written() {
        for build in [0, 12, -3] {
            assert_eq!(parse_id(&id(build).to_string()), Some(id(build)));
        }
        for other in ["leases", "1-2-3", "1-2-0-1.new", "a-1-1-1"] {
            assert_eq!(parse_id(other), None);
        }
    }
}
