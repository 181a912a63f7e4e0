//! Where the mirrors are: a directory of each repository, with two locks and a page about it, and
//! how much room all of them take. What a directory of it is called, and what the page says, has
//! no credentials in it.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::io::{FdFlags, fcntl_setfd};
use serde::{Deserialize, Serialize};

use super::say;
use crate::model::Bytes;
use crate::model::MirrorKind;
use crate::slave::order::private;
use crate::wire::Checksum;

/// So many bytes of the disk are left to others.
const KEPT_FREE: u64 = 1 << 30;

/// How often is looked whether a mirror is free, how often that is told (who says nothing counts
/// as silent), and how often in all: an hour.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS_UNTIL_TOLD: u32 = 30 * 50;
const MOST_LOOKS: u32 = 3600 * 50;

/// The longest readable part of a name.
const NAME: usize = 40;

/// The directory of all mirrors of a slave.
#[derive(Clone, Debug)]
pub(super) struct Shelf {
    dir: PathBuf,
    /// So many bytes of the disk are left to others.
    kept_free: u64,
}

/// The place of one repository's mirror.
#[derive(Clone, Debug)]
pub(super) struct Place {
    shelf: Shelf,
    dir: PathBuf,
    url: String,
}

/// What is written down about a mirror.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// Of which repository it is.
    pub(super) url: String,
    /// How many fetches have begun, and the number of the last one that came to a good end.
    pub(super) begun: u64,
    pub(super) done: u64,
    /// The number of the last one that came to a bad end, if that was not a kill.
    pub(super) failed: u64,
    /// Bytes that it takes.
    pub(super) size: u64,
    /// Bytes that it took when that was more than all mirrors may take.
    pub(super) too_large: Option<u64>,
}

impl Shelf {
    pub(super) fn open(dir: &Path) -> io::Result<Self> {
        make_dir(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            kept_free: KEPT_FREE,
        })
    }

    pub(super) fn place(&self, kind: MirrorKind, url: &str) -> io::Result<Place> {
        let url = without_credentials(url);
        let place = Place {
            dir: self.dir.join(name(kind, &url)),
            shelf: self.clone(),
            url,
        };
        make_dir(&place.dir)?;
        Ok(place)
    }

    /// All mirrors but the one of `own`.
    fn others(&self, own: &Path) -> Vec<Other> {
        let mut others = Vec::new();
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let dir = entry.path();
            if entry.file_name().to_string_lossy().starts_with('.') {
                // Somebody was killed who removed it.
                let _ = fs::remove_dir_all(dir);
                continue;
            }
            if dir == own || !dir.is_dir() {
                continue;
            }
            let used = fs::metadata(dir.join("used")).and_then(|it| it.modified());
            others.push(Other {
                size: state_of(&dir).size,
                used: used.unwrap_or(SystemTime::UNIX_EPOCH),
                dir,
            });
        }
        others.sort_by_key(|it| it.used);
        others
    }
}

/// Another mirror, which may have to go.
struct Other {
    dir: PathBuf,
    size: u64,
    used: SystemTime,
}

impl Place {
    pub(super) fn repository(&self) -> PathBuf {
        self.dir.join("repository")
    }

    /// Where a mirror is made, before it is one.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.dir.join("unfinished")
    }

    /// Where the mirrors are.
    pub(super) fn above(&self) -> &Path {
        &self.shelf.dir
    }

    /// Whether there is a mirror that nobody doubts.
    pub(super) fn is_good(&self) -> bool {
        self.repository().is_dir() && !self.is_doubted()
    }

    pub(super) fn state(&self) -> State {
        state_of(&self.dir)
    }

    pub(super) fn write_state(&self, state: &State) -> io::Result<()> {
        let state = State {
            url: self.url.clone(),
            ..state.clone()
        };
        let text = serde_json::to_string_pretty(&state).map_err(io::Error::other)?;
        let fresh = self.dir.join("about.new");
        let mut file = private().create(true).truncate(true).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        fs::rename(fresh, self.dir.join("about.json"))
    }

    /// Notes that it is used. That it is not written down is not worth failing.
    pub(super) fn used(&self) {
        if let Ok(mut file) = private().create(true).open(self.dir.join("used")) {
            let _ = file.write_all(b"\n");
        }
    }

    /// Notes that something is wrong with it. Who uses it next looks.
    pub(super) fn doubt(&self) {
        let _ = private().create(true).open(self.dir.join("doubted"));
    }

    pub(super) fn is_doubted(&self) -> bool {
        self.dir.join("doubted").exists()
    }

    pub(super) fn trust(&self) -> io::Result<()> {
        is_gone(fs::remove_file(self.dir.join("doubted")))
    }

    /// Takes the right to change it, which what is started meanwhile has too: as long as any of
    /// that is there, nobody else has it. `None`: somebody has it for longer than anybody waits.
    pub(super) fn lock(&self, waits: impl Fn()) -> io::Result<Option<Lock>> {
        let mut looks = 0;
        loop {
            make_dir(&self.dir)?;
            let path = self.dir.join("lock");
            let file = private().create(true).open(&path)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) if looks == MOST_LOOKS => return Ok(None),
                Err(TryLockError::WouldBlock) => {
                    if looks % LOOKS_UNTIL_TOLD == 0 {
                        waits();
                    }
                    looks += 1;
                    std::thread::sleep(LOOK);
                    continue;
                }
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // It may have been removed while this waited; then it is nobody's any more.
            let is_there = fs::metadata(&path).map(|it| it.ino());
            if is_there.ok() == Some(file.metadata()?.ino()) {
                fcntl_setfd(&file, FdFlags::empty())?;
                return Ok(Some(Lock(file)));
            }
        }
    }

    /// Keeps it from being removed or put in order as long as the file is open. Without
    /// that it can be used too, only less surely.
    pub(super) fn using(&self) -> Option<File> {
        let file = private().create(true).open(self.dir.join("using")).ok()?;
        file.lock_shared().ok()?;
        Some(file)
    }

    /// The right to put it in order, unless somebody uses it.
    pub(super) fn alone(&self) -> Option<File> {
        let file = private().create(true).open(self.dir.join("using")).ok()?;
        file.try_lock().ok()?;
        Some(file)
    }

    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        is_gone(fs::remove_dir_all(self.unfinished()))
    }

    /// Removes the mirror. Who is using it notices, and does without.
    pub(super) fn remove_repository(&self) -> io::Result<()> {
        self.remove_unfinished()?;
        // In one go, so that half of it is never taken for all.
        is_gone(fs::rename(self.repository(), self.unfinished()))?;
        self.remove_unfinished()
    }

    /// Makes what was made a mirror.
    pub(super) fn finish(&self) -> io::Result<()> {
        fs::rename(self.unfinished(), self.repository())
    }

    /// How many bytes it takes.
    pub(super) fn measure(&self) -> u64 {
        measure(&self.repository())
    }

    /// Removes others, those first that were not used for the longest time, until all of them
    /// keep to the budget and the disk has room again.
    pub(super) fn make_room(&self, budget: u64) {
        let others = self.shelf.others(&self.dir);
        let mut total = others.iter().map(|it| it.size).sum::<u64>() + self.state().size;
        for other in others {
            if total <= budget && self.free() >= self.shelf.kept_free {
                return;
            }
            if remove(&other.dir).is_some() {
                total = total.saturating_sub(other.size);
                let name = other.dir.file_name().unwrap_or_default();
                let (name, size) = (name.display(), Bytes(other.size));
                say(&format!("`{name}` is removed, which took {size}"));
            }
        }
    }

    /// Makes room for a mirror, of which nobody knows how large it will be.
    pub(super) fn spare_the_disk(&self) -> Result<(), String> {
        self.make_room(u64::MAX);
        if self.free() >= self.shelf.kept_free {
            return Ok(());
        }
        let kept = Bytes(self.shelf.kept_free);
        Err(format!("less than {kept} of the disk are free"))
    }

    fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.dir);
        disk.map_or(u64::MAX, |it| it.f_bavail.saturating_mul(it.f_frsize))
    }
}

/// The right to change a mirror.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Something that fetched may have left a helper behind, which has the file open too.
        let _ = self.0.unlock();
    }
}

/// Removes a mirror, unless somebody uses or changes it.
fn remove(dir: &Path) -> Option<()> {
    let mut locks = Vec::new();
    for name in ["lock", "using"] {
        let file = private().create(true).open(dir.join(name)).ok()?;
        file.try_lock().ok()?;
        locks.push(file);
    }
    let (above, name) = (dir.parent()?, dir.file_name()?.display());
    let gone = above.join(format!(".{name}.gone"));
    is_gone(fs::remove_dir_all(&gone)).ok()?;
    fs::rename(dir, &gone).ok()?;
    fs::remove_dir_all(&gone).ok()
}

fn state_of(dir: &Path) -> State {
    let text = fs::read_to_string(dir.join("about.json")).unwrap_or_default();
    // One that cannot be read was cut off: it is as good as none.
    serde_json::from_str(&text).unwrap_or_default()
}

fn measure(path: &Path) -> u64 {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return 0;
    };
    let mut size = metadata.blocks() * 512;
    if metadata.is_dir() {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        size += entries.map(|it| measure(&it.path())).sum::<u64>();
    }
    size
}

fn make_dir(dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

fn is_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A URL without who asks, where that may be as good as a password, and without passwords.
fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let Some((who, host)) = authority.rsplit_once('@') else {
        return url.to_owned();
    };
    match who.split(':').next() {
        // A name that ssh logs in with is not secret, and another's repository is another.
        Some(user) if scheme.contains("ssh") => format!("{scheme}://{user}@{host}{path}"),
        _ => format!("{scheme}://{host}{path}"),
    }
}

/// What the directory of a mirror is called: something to read, and something that no two share.
fn name(kind: MirrorKind, url: &str) -> String {
    let kind = match kind {
        MirrorKind::Git => "git",
        MirrorKind::Hg => "hg",
    };
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next();
    let last = last.unwrap_or_default().trim_end_matches(".git");
    let is_plain = |it: &char| it.is_ascii_alphanumeric() || matches!(it, '-' | '_');
    let readable: String = last.chars().filter(is_plain).take(NAME).collect();
    let mut sum = Checksum::default();
    // Writing to a sum does not fail.
    let _ = write!(sum, "{kind} {url}");
    format!("{kind}-{readable}-{:.16}", sum.into_hex())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_readable_and_have_no_credentials() {
        let name_of = |url: &str| name(MirrorKind::Git, &without_credentials(url));
        let plain = name_of("https://host/a/tool.git");
        assert!(plain.starts_with("git-tool-"), "{plain}");
        assert_eq!(plain.len(), "git-tool-".len() + 16);
        assert_eq!(name_of("https://user:secret@host/a/tool.git"), plain);
        assert_eq!(name_of("https://token@host/a/tool.git"), plain);
        assert_ne!(name_of("https://host/b/tool.git"), plain);
        assert_ne!(name(MirrorKind::Hg, "https://host/a/tool.git"), plain);
        let odd = name_of("ssh://git:x@host/../..");
        assert!(odd.starts_with("git--"), "{odd}");
        assert_eq!(
            without_credentials("ssh://git:x@host/y@z"),
            "ssh://git@host/y@z"
        );
        assert_eq!(without_credentials("git@host:x"), "git@host:x");
    }

    fn shelf() -> (tempfile::TempDir, Shelf) {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(&dir.path().join("mirrors")).unwrap();
        (dir, shelf)
    }

    /// A mirror that says it takes 100 bytes.
    fn mirror(shelf: &Shelf, url: &str) -> Place {
        let place = shelf.place(MirrorKind::Git, url).unwrap();
        fs::create_dir(place.unfinished()).unwrap();
        place.finish().unwrap();
        let size = 100;
        place
            .write_state(&State {
                size,
                ..State::default()
            })
            .unwrap();
        place.used();
        place
    }

    fn age(place: &Place, secs: u64) {
        let file = File::options()
            .write(true)
            .open(place.dir.join("used"))
            .unwrap();
        let then = file.metadata().unwrap().modified().unwrap();
        file.set_modified(then - Duration::from_secs(secs)).unwrap();
    }

    #[test]
    fn the_one_that_nobody_used_for_the_longest_time_goes_first() {
        let (_dir, shelf) = shelf();
        let [old, young, own] = ["https://h/old", "https://h/young", "https://h/own"];
        let (old, young, own) = (
            mirror(&shelf, old),
            mirror(&shelf, young),
            mirror(&shelf, own),
        );
        age(&old, 100);
        age(&young, 50);
        age(&own, 1000);
        own.make_room(300);
        assert!(old.is_good() && young.is_good() && own.is_good());
        own.make_room(250);
        assert!(!old.is_good() && young.is_good() && own.is_good());
        own.make_room(0);
        assert!(!young.is_good() && own.is_good(), "its own stays");
        let left = fs::read_dir(&shelf.dir).unwrap().count();
        assert_eq!(left, 1, "nothing of the others is left");
        fs::create_dir(shelf.dir.join(".git-x.gone")).unwrap();
        own.make_room(300);
        let left = fs::read_dir(&shelf.dir).unwrap().count();
        assert_eq!(left, 1, "nor of one that was half gone");
    }

    #[test]
    fn a_disk_that_is_nearly_full_has_no_mirrors() {
        let (_dir, mut shelf) = shelf();
        shelf.kept_free = u64::MAX;
        let (one, own) = (
            mirror(&shelf, "https://h/one"),
            mirror(&shelf, "https://h/own"),
        );
        let refused = own.spare_the_disk().unwrap_err();
        assert!(refused.ends_with("of the disk are free"), "{refused}");
        assert!(!one.is_good());
        shelf.kept_free = 0;
        let (one, own) = (
            mirror(&shelf, "https://h/two"),
            mirror(&shelf, "https://h/three"),
        );
        assert_eq!(own.spare_the_disk(), Ok(()));
        assert!(one.is_good());
    }

    #[test]
    fn nobody_removes_what_is_used_or_changed() {
        let (_dir, shelf) = shelf();
        let used = mirror(&shelf, "https://h/used");
        let changed = mirror(&shelf, "https://h/changed");
        let own = mirror(&shelf, "https://h/own");
        let using = used.using();
        let lock = changed.lock(|| panic!("nobody else has it")).unwrap();
        assert!(lock.is_some());
        own.make_room(0);
        assert!(used.is_good() && changed.is_good());
        assert!(used.alone().is_none());
        drop((using, lock));
        own.make_room(0);
        assert!(!used.is_good() && !changed.is_good());
    }

    #[test]
    fn who_waited_for_a_place_that_was_removed_has_a_fresh_one() {
        let (_dir, shelf) = shelf();
        let place = mirror(&shelf, "https://h/x");
        let first = place.lock(|| panic!("nobody else has it")).unwrap();
        let dir = place.dir.clone();
        let waiting = std::thread::spawn(move || {
            // While somebody waits, the directory goes with all that is in it.
            let gone = || fs::remove_dir_all(&dir).unwrap();
            assert!(place.lock(gone).unwrap().is_some());
            place.dir.join("lock").exists()
        });
        while shelf.dir.read_dir().unwrap().count() > 0 {
            std::thread::yield_now();
        }
        drop(first);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn what_is_kept_is_for_the_slave_alone() {
        let (_dir, shelf) = shelf();
        let place = mirror(&shelf, "https://user:secret@h/x");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&shelf.dir), 0o700);
        assert_eq!(mode(&place.dir), 0o700);
        let about = place.dir.join("about.json");
        assert_eq!(mode(&about), 0o600);
        let text = fs::read_to_string(&about).unwrap();
        assert!(
            text.contains("https://h/x") && !text.contains("secret"),
            "{text}"
        );
        fs::write(&about, "{\"begun\":").unwrap();
        assert_eq!(place.state(), State::default());
    }
}
