//! Watches a maildir. A mail in `new` is read, then its change is kept, then it is moved to
//! `cur`: whatever ends the master in between, the mail is read again, and its change, whose
//! origin is the mail, is kept once.
//!
//! A mail that should be a change and cannot be read is put aside: it lies in `cur` with Maildir's
//! flag `F`, and the pages say why until it is taken away or put back into `new`.

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::UNIX_EPOCH;

use notify::EventKind;
use notify::RecommendedWatcher;
use notify::RecursiveMode;
use notify::Watcher as _;
use notify::event::ModifyKind;
use notify::event::RenameMode;
use rustix::fs::CWD;
use rustix::fs::OFlags;
use rustix::fs::RenameFlags;
use rustix::io::Errno;
use serde::Deserialize;
use serde::Serialize;
use sha2::Digest;
use sha2::Sha256;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use tracing::info;
use tracing::warn;

use super::Letter;
use super::MailSettings;
use super::Unheard;
use crate::changes::Sink;
use crate::changes::mirror::PollError;
use crate::changes::poll;
use crate::changes::settings;
use crate::model::NewChange;
use crate::model::Timestamp;
use crate::model::hex;

/// No mail about a commit that anybody reads is longer.
const LARGEST: u64 = 8 << 20;

/// Mails of one delivery, all of them no longer than the longest one: few enough for one short
/// transaction.
const BATCH: usize = 50;

/// Who does not deliver through `tmp`, as one should, has this long to write on.
const SETTLED: Duration = Duration::from_secs(1);

/// A mail that is no change may be the half of one for as long.
const HALF_WRITTEN: Duration = Duration::from_mins(1);

/// Bytes of a name that are kept: a file system takes 255.
const LONGEST_NAME: usize = 200;

/// Mails put aside that are remembered.
const REMEMBERED: usize = 20;

/// Watches one maildir.
pub(crate) struct MaildirPoller {
    name: String,
    settings: Arc<MailSettings>,
    dir: PathBuf,
    interval: Duration,
    now: fn() -> Timestamp,
    watch: Mutex<Option<Watch>>,
    wake: Arc<Notify>,
}

/// The kernel tells of what comes into `new`.
struct Watch {
    _watcher: RecommendedWatcher,
    /// The directory that is watched: another one may take its place.
    inode: u64,
}

/// A mail that was read.
struct Found {
    name: OsString,
    /// What it is called in `cur`.
    target: String,
    heard: Result<NewChange, Unheard>,
}

/// What a look came to.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::changes) struct Looked {
    /// What somebody has to look at.
    pub(in crate::changes) complaint: Option<String>,
    /// Whether a mail was left because it may not be whole yet.
    pub(in crate::changes) is_waiting: bool,
}

/// What is kept of a maildir.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Memory {
    /// The newest last.
    aside: Vec<Aside>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Aside {
    /// Its name in `cur`.
    file: String,
    why: String,
}

/// Looks until `stop`: at once, when something has come or `wake` says so, and every interval.
pub(in crate::changes) async fn run(
    poller: MaildirPoller,
    sink: Arc<dyn Sink>,
    stop: CancellationToken,
) {
    let mut told = None;
    loop {
        let looked = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            looked = poller.look(sink.as_ref()) => looked,
        };
        let (said, is_waiting) = match looked {
            Ok(looked) => (looked.complaint, looked.is_waiting),
            Err(error) => {
                let reason = settings::explain("", &error);
                // Once, and not every few seconds.
                if told.as_ref() != Some(&reason) {
                    warn!(source = %poller.name, reason, "cannot read the maildir");
                }
                (Some(reason), false)
            }
        };
        sink.report(&poller.name, said.clone().map_or(Ok(()), Err));
        told = said;
        let wait = match is_waiting {
            true => SETTLED.min(poller.interval),
            false => poller.interval,
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = poller.wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

impl MaildirPoller {
    pub(in crate::changes) fn new(
        name: String,
        settings: MailSettings,
        now: fn() -> Timestamp,
        wake: Arc<Notify>,
    ) -> Self {
        let prefix = &settings.prefix.0;
        if !(prefix.is_empty() || prefix.ends_with('/')) {
            info!(source = %name, prefix, "a prefix without a `/` at its end may fit other directories, too");
        }
        Self {
            name,
            dir: settings.maildir.clone(),
            interval: settings.poll_interval.unwrap_or(super::USUAL_INTERVAL),
            settings: Arc::new(settings),
            now,
            watch: Mutex::new(None),
            wake,
        }
    }

    /// Reads all that is new once, and delivers it.
    pub(in crate::changes) async fn look(&self, sink: &dyn Sink) -> Result<Looked, PollError> {
        for part in ["new", "cur"] {
            if !self.dir.join(part).is_dir() {
                return Err(PollError::Maildir {
                    dir: self.dir.clone(),
                    why: format!("there is no directory `{part}` in it"),
                });
            }
        }
        // What comes from here on is told, what came before is found.
        self.watch();
        let state = sink.state(&self.name).await?;
        let mut memory = Memory::deserialize(state).unwrap_or_default();
        let dir = self.dir.clone();
        let names = aside(move || names(&dir.join("new"))).await;
        let names = names.map_err(|source| poll::io(&self.dir, source))?;
        let mut is_waiting = false;
        let mut left = names.as_slice();
        while !left.is_empty() {
            let (dir, settings) = (self.dir.clone(), Arc::clone(&self.settings));
            let (batch, now) = (left[..left.len().min(BATCH)].to_vec(), (self.now)());
            let found = aside(move || find_some(&dir, &batch, &settings, now)).await;
            left = &left[found.len()..];
            is_waiting |= found.iter().any(|it| matches!(it, Look::Later));
            let found = found.into_iter().filter_map(|it| match it {
                Look::Found(found) => Some(*found),
                Look::Later | Look::Gone => None,
            });
            self.keep(found.collect(), &mut memory, sink).await?;
        }
        memory
            .aside
            .retain(|it| self.dir.join("cur").join(&it.file).exists());
        let complaint = memory.aside.last().map(|last| {
            let (file, why) = (&last.file, &last.why);
            match memory.aside.len() {
                1 => format!("the mail `{file}` in `cur` could not be read: {why}"),
                count => format!(
                    "{count} mails in `cur` could not be read, the last one is `{file}`: {why}"
                ),
            }
        });
        Ok(Looked {
            complaint,
            is_waiting,
        })
    }

    /// Keeps what was read, then moves it out of the way.
    async fn keep(
        &self,
        found: Vec<Found>,
        memory: &mut Memory,
        sink: &dyn Sink,
    ) -> Result<(), PollError> {
        let (mut changes, mut moves) = (Vec::new(), Vec::new());
        let mut is_new = false;
        for it in found {
            let file = it.target.clone();
            match it.heard {
                Ok(change) => changes.push(change),
                Err(Unheard::Nothing(why)) => {
                    info!(source = %self.name, file, why, "a mail is no change");
                }
                Err(Unheard::Bad(why)) => {
                    warn!(source = %self.name, file, why, "a mail is put aside");
                    memory.aside.retain(|it| it.file != file);
                    memory.aside.push(Aside { file, why });
                    is_new = true;
                }
            }
            moves.push((it.name, it.target));
        }
        let spare = memory.aside.len().saturating_sub(REMEMBERED);
        memory.aside.drain(..spare);
        if is_new || !changes.is_empty() {
            let state = serde_json::to_value(&*memory).expect("names are plain JSON");
            sink.deliver(&self.name, changes, state).await?;
        }
        let dir = self.dir.clone();
        let moved = aside(move || {
            moves
                .iter()
                .try_for_each(|(from, to)| shift(&dir, from, to))
        });
        moved.await.map_err(|source| PollError::Maildir {
            dir: self.dir.clone(),
            why: format!("failed to move a mail from `new` to `cur`: {source}"),
        })
    }

    /// Has the kernel tell of what comes, unless it does; without, the interval finds it.
    fn watch(&self) {
        let new = self.dir.join("new");
        let Ok(inode) = fs::metadata(&new).map(|it| it.ino()) else {
            return;
        };
        let mut watch = self.watch.lock().expect("nobody panics with the watch");
        if watch.as_ref().is_some_and(|it| it.inode == inode) {
            return;
        }
        let wake = Arc::clone(&self.wake);
        let heard = move |event: notify::Result<notify::Event>| {
            // That a mail was moved away is this poller's own doing.
            let is_news = event.map_or(true, |it| {
                !matches!(
                    it.kind,
                    EventKind::Access(_)
                        | EventKind::Remove(_)
                        | EventKind::Modify(ModifyKind::Name(RenameMode::From | RenameMode::Both))
                )
            });
            if is_news {
                wake.notify_one();
            }
        };
        let begun = notify::recommended_watcher(heard).and_then(|mut watcher| {
            watcher.watch(&new, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        match begun {
            Ok(watcher) => {
                *watch = Some(Watch {
                    _watcher: watcher,
                    inode,
                });
            }
            Err(reason) => debug!(source = %self.name, %reason, "cannot be told of new mails"),
        }
    }
}

/// Runs what waits for the disk where it holds up nobody.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = tokio::task::spawn_blocking(work).await;
    done.expect("reading a mail does not panic")
}

/// The names in `new`, the oldest first as far as their names tell.
fn names(new: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(new)? {
        let name = entry?.file_name();
        // Maildir has it that these are none.
        if !name.as_encoded_bytes().starts_with(b".") {
            names.push(name);
        }
    }
    names.sort_by_cached_key(|it| {
        let text = it.to_string_lossy();
        let digits = text.find(|it: char| !it.is_ascii_digit());
        let seconds = text[..digits.unwrap_or(text.len())]
            .parse()
            .unwrap_or(u64::MAX);
        (seconds, it.clone())
    });
    Ok(names)
}

/// What became of a name.
enum Look {
    Found(Box<Found>),
    /// It may not be whole yet.
    Later,
    /// Somebody else took it.
    Gone,
}

/// Reads mails from the first on, as many as there is room for at a time, but at least one.
fn find_some(dir: &Path, names: &[OsString], settings: &MailSettings, now: Timestamp) -> Vec<Look> {
    let mut room = LARGEST;
    let mut found = Vec::new();
    for name in names {
        let told = fs::symlink_metadata(dir.join("new").join(name));
        // What is larger is not read.
        let size = told.map_or(0, |it| it.len());
        let size = if size > LARGEST { 0 } else { size };
        if size > room {
            break;
        }
        room -= size;
        found.push(find(dir, name, settings, now));
    }
    found
}

fn find(dir: &Path, name: &OsStr, settings: &MailSettings, now: Timestamp) -> Look {
    let path = dir.join("new").join(name);
    let (bytes, written) = match bytes(&path) {
        Ok(Some(read)) => read,
        Ok(None) => return Look::Gone,
        Err(why) => (Err(why), Timestamp(0)),
    };
    let age = now.since(written);
    if written <= now && age < SETTLED {
        return Look::Later;
    }
    let (base, flagless) = (base(name), flagless(name));
    let read = |bytes: Vec<u8>| {
        let letter = Letter::read(&bytes);
        let letter = letter.ok_or_else(|| Unheard::Bad("there is no mail in it".into()))?;
        let origin = Sha256::new_with_prefix(flagless).chain_update([0]);
        let origin = origin.chain_update(letter.id.as_bytes()).finalize();
        let origin = hex(&origin[..10]);
        settings.change(&letter, format!("mail {} {origin}", dir.display()), now)
    };
    // Anybody may write a mail, and the parser is others' work.
    let heard = bytes.and_then(|bytes| {
        let read = std::panic::catch_unwind(AssertUnwindSafe(|| read(bytes)));
        read.unwrap_or_else(|_| Err(Unheard::Bad("reading it fails, which is a bug".into())))
    });
    if heard.is_err() && written <= now && age < HALF_WRITTEN && written != Timestamp(0) {
        return Look::Later;
    }
    let flag = match heard {
        Err(Unheard::Bad(_)) => "F",
        Ok(_) | Err(Unheard::Nothing(_)) => "S",
    };
    Look::Found(Box::new(Found {
        name: name.to_owned(),
        target: free(&dir.join("cur"), &base, flag),
        heard,
    }))
}

/// What lies there and when it was last written. The inner error is what is wrong with it.
type Written = (Result<Vec<u8>, Unheard>, Timestamp);

/// `None` if it is not there any more, or is a directory, which is no mail.
fn bytes(path: &Path) -> Result<Option<Written>, Unheard> {
    let bad = Unheard::Bad;
    let told = match fs::symlink_metadata(path) {
        Ok(told) => told,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(bad(error.to_string())),
    };
    if told.is_dir() {
        return Ok(None);
    }
    if !told.is_file() {
        return Err(bad("it is no file".into()));
    }
    let written = told
        .modified()
        .ok()
        .and_then(|it| it.duration_since(UNIX_EPOCH).ok());
    let written = written.and_then(|it| i64::try_from(it.as_millis()).ok());
    let written = Timestamp(written.unwrap_or_default());
    if told.len() > LARGEST {
        let why = format!("it has more than {LARGEST} bytes");
        return Ok(Some((Err(bad(why)), written)));
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path);
    let mut bytes = Vec::new();
    match opened.and_then(|it| it.take(LARGEST).read_to_end(&mut bytes)) {
        Ok(_) => Ok(Some((Ok(bytes), written))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Ok(Some((Err(bad(error.to_string())), written))),
    }
}

/// A name without the flags that it may have.
fn flagless(name: &OsStr) -> &[u8] {
    let name = name.as_encoded_bytes();
    let flags = name.windows(3).position(|it| it == b":2,");
    &name[..flags.unwrap_or(name.len())]
}

/// The same in letters that anything can write, with room for flags behind it.
fn base(name: &OsStr) -> String {
    let name = match std::str::from_utf8(flagless(name)) {
        Ok(name) if !name.contains(char::is_control) => name.to_owned(),
        _ => flagless(name).escape_ascii().to_string(),
    };
    let mut end = name.len().min(LONGEST_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

/// A name in `cur` that nothing has.
fn free(cur: &Path, base: &str, flag: &str) -> String {
    let plain = format!("{base}:2,{flag}");
    let more = (1_u64..).map(|it| format!("{base}_{it}:2,{flag}"));
    let mut all = std::iter::once(plain).chain(more);
    all.find(|it| fs::symlink_metadata(cur.join(it)).is_err())
        .expect("numbers do not end")
}

/// Moves a mail from `new` to `cur`, over nothing that is there.
fn shift(dir: &Path, from: &OsStr, to: &str) -> io::Result<()> {
    let from = dir.join("new").join(from);
    let to = dir.join("cur").join(to);
    match rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
        // Somebody else took it.
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        // A file system that cannot; the name was free a moment ago.
        Err(Errno::INVAL | Errno::NOSYS) => fs::rename(&from, &to),
        Err(error) => Err(error.into()),
    }
}
