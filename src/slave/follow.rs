//! Following a file that a command writes: what is added to it becomes a log
//! of its own, whether the file is there when the command begins, comes later,
//! is begun anew, or is moved away for another one.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

use rustix::fs::OFlags;

use super::order::MOST_UNACKNOWLEDGED;
use super::runner_log::RunnerLog;
use crate::logs::mask::{Masks, Stream};
use crate::model::Channel;

/// The most that one look takes, so that nobody else waits for long.
const LOOK: usize = 1 << 20;

const PIECE: usize = 64 << 10;

/// What a look at the file came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    /// Something; there is no more for now.
    Something,
    /// Something, and there is more.
    More,
    /// There is more, but the master has not kept enough of it yet.
    HeldBack,
}

/// A file, which may not be there yet, and its log.
pub(super) struct Follower {
    path: PathBuf,
    /// Whether what was there before the command is left out.
    follow: bool,
    /// The file as the command found it: until that changes it is not the command's.
    before: Option<Sight>,
    open: Option<Open>,
    pub(super) log: RunnerLog,
    stream: Stream,
    pub(super) acknowledged: u64,
    /// Nothing comes any more: how far the file is read.
    last: bool,
}

struct Open {
    file: File,
    device: u64,
    inode: u64,
    position: u64,
    /// Nothing behind it is taken, once this is set.
    end: Option<u64>,
}

/// What of a file tells whether somebody has touched it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Sight {
    device: u64,
    inode: u64,
    changed: (i64, i64),
    modified: (i64, i64),
    size: u64,
}

impl Sight {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            size: metadata.len(),
        }
    }
}

impl Follower {
    /// Begins before the command does.
    pub(super) fn new(path: PathBuf, follow: bool, log: RunnerLog) -> Self {
        let before = path.metadata().ok().map(|it| Sight::of(&it));
        Self {
            path,
            follow,
            before,
            open: None,
            log,
            stream: Stream::default(),
            acknowledged: 0,
            last: false,
        }
    }

    pub(super) fn is_held_back(&self) -> bool {
        let unacknowledged = self.log.length().saturating_sub(self.acknowledged);
        unacknowledged > MOST_UNACKNOWLEDGED || self.log.has_pending()
    }

    /// Takes what the file has more than at the last look.
    pub(super) fn look(&mut self, masks: &Masks) -> Found {
        if self.is_held_back() {
            return Found::HeldBack;
        }
        let mut found = Found::Nothing;
        // The end of a file that was moved away, and what there is of its heir.
        for _ in 0..2 {
            if self.open.is_none() {
                self.open = self.find();
            }
            match self.take(masks) {
                Ok(Found::Nothing) => {}
                Ok(more @ (Found::More | Found::HeldBack)) => return more,
                Ok(Found::Something) => found = Found::Something,
                // It is gone, or nobody may read it: so it is until the next look.
                Err(_) => self.open = None,
            }
            if self.last || !self.is_replaced() {
                break;
            }
            self.open = None;
        }
        self.log.write();
        found
    }

    /// Takes what is left when the command has ended, and no more than that.
    pub(super) fn look_at_the_end(&mut self, masks: &Masks) -> Found {
        if !self.last {
            match self.look(masks) {
                Found::Nothing | Found::Something => {}
                more => return more,
            }
            self.last = true;
            if let Some(open) = &mut self.open {
                open.end = open.file.metadata().ok().map(|it| it.len());
            }
        }
        let found = match self.open {
            Some(_) => self.look(masks),
            None => Found::Nothing,
        };
        if matches!(found, Found::Nothing | Found::Something) {
            let held = self.stream.finish(masks);
            self.log.push(Channel::Stdout, &held);
            self.log.write();
        }
        found
    }

    fn find(&mut self) -> Option<Open> {
        let metadata = self.path.metadata().ok()?;
        let sight = Sight::of(&metadata);
        if !metadata.is_file() || self.before == Some(sight) {
            return None;
        }
        // Without waiting: it may have become a pipe since it was looked at.
        let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(&self.path)
            .ok()?;
        let now = file.metadata().ok().filter(Metadata::is_file)?;
        let before = self.before.take();
        let is_same = |it: &Sight| (it.device, it.inode) == (now.dev(), now.ino());
        let position = match before.filter(is_same) {
            Some(before) if self.follow && before.size <= now.len() => before.size,
            _ => 0,
        };
        Some(Open {
            file,
            device: now.dev(),
            inode: now.ino(),
            position,
            end: None,
        })
    }

    /// Whether another file has the name now.
    fn is_replaced(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let now = self.path.metadata();
        now.is_ok_and(|it| (it.dev(), it.ino()) != (open.device, open.inode))
    }

    fn take(&mut self, masks: &Masks) -> io::Result<Found> {
        let Some(open) = &mut self.open else {
            return Ok(Found::Nothing);
        };
        if open.file.metadata()?.len() < open.position {
            // Begun anew: what is there now was not there before.
            open.position = 0;
        }
        let mut taken = 0;
        let mut piece = vec![0; PIECE];
        while taken < LOOK {
            let left = open
                .end
                .map_or(u64::MAX, |it| it.saturating_sub(open.position));
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let size = match open.file.read_at(&mut piece[..most], open.position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if size == 0 {
                let found = if taken > 0 {
                    Found::Something
                } else {
                    Found::Nothing
                };
                return Ok(found);
            }
            open.position += size as u64;
            taken += size;
            if masks.is_empty() {
                self.log.push(Channel::Stdout, &piece[..size]);
            } else {
                let seen = self.stream.push(&piece[..size], masks);
                self.log.push(Channel::Stdout, &seen);
            }
            self.log.write();
            let unacknowledged = self.log.length().saturating_sub(self.acknowledged);
            if unacknowledged > MOST_UNACKNOWLEDGED || self.log.has_pending() {
                return Ok(Found::HeldBack);
            }
        }
        Ok(Found::More)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::runner_log::News;
    use super::*;
    use crate::logs::record;
    use crate::model::Mask;

    struct Bench {
        dir: tempfile::TempDir,
        masks: Masks,
        follower: Follower,
    }

    impl Bench {
        /// Where the file holds `before`, if anything, when the command begins.
        fn new(before: Option<&str>, follow: bool) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("file");
            if let Some(text) = before {
                fs::write(&path, text).unwrap();
            }
            let log = RunnerLog::create(&dir.path().join("log"), News::new(None, 0)).unwrap();
            let follower = Follower::new(path, follow, log);
            let masks = Masks::new(&[]);
            Self {
                dir,
                masks,
                follower,
            }
        }

        fn file(&self) -> PathBuf {
            self.dir.path().join("file")
        }

        fn append(&self, text: &str) {
            use std::io::Write;
            let mut file = File::options()
                .append(true)
                .create(true)
                .open(self.file())
                .unwrap();
            file.write_all(text.as_bytes()).unwrap();
        }

        fn look(&mut self) -> Found {
            self.follower.look(&self.masks)
        }

        fn end(&mut self) -> String {
            while self.follower.look_at_the_end(&self.masks) == Found::More {}
            said(&self.dir.path().join("log"))
        }
    }

    fn said(log: &Path) -> String {
        let bytes = fs::read(log).unwrap();
        let mut rest = &bytes[..];
        let mut reader = record::Reader::new();
        let mut said = Vec::new();
        while let Some((channel, bytes)) = reader.next(&mut rest).unwrap() {
            assert_eq!(channel, Channel::Stdout);
            said.extend_from_slice(bytes);
        }
        assert!(reader.is_between_records());
        String::from_utf8(said).unwrap()
    }

    #[test]
    fn a_file_that_comes_later_and_grows_is_taken_once() {
        let mut bench = Bench::new(None, false);
        assert_eq!(bench.look(), Found::Nothing);
        bench.append("one\n");
        assert_eq!(bench.look(), Found::Something);
        assert_eq!(bench.look(), Found::Nothing);
        bench.append("two\n");
        assert_eq!(bench.end(), "one\ntwo\n");
    }

    #[test]
    fn an_old_file_is_left_alone_until_it_changes() {
        let mut bench = Bench::new(Some("old\n"), false);
        assert_eq!(bench.look(), Found::Nothing);
        bench.append("new\n");
        assert_eq!(bench.look(), Found::Something);
        assert_eq!(bench.end(), "old\nnew\n");
        assert_eq!(Bench::new(Some("old\n"), false).end(), "");
    }

    #[test]
    fn what_was_there_before_may_be_left_out() {
        let mut bench = Bench::new(Some("old\n"), true);
        bench.append("new\n");
        assert_eq!(bench.end(), "new\n");
        // Not if it is begun anew.
        let mut bench = Bench::new(Some("much that is old\n"), true);
        fs::write(bench.file(), "new\n").unwrap();
        assert_eq!(bench.end(), "new\n");
    }

    #[test]
    fn a_file_that_is_moved_away_is_taken_to_its_end_and_then_its_heir() {
        let mut bench = Bench::new(None, false);
        bench.append("one\n");
        bench.look();
        bench.append("two\n");
        fs::rename(bench.file(), bench.dir.path().join("file.1")).unwrap();
        bench.append("three\n");
        bench.look();
        fs::write(bench.file(), "4\n").unwrap();
        bench.look();
        fs::remove_file(bench.file()).unwrap();
        bench.look();
        assert_eq!(bench.end(), "one\ntwo\nthree\n4\n");
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let mut bench = Bench::new(None, false);
        fs::create_dir(bench.file()).unwrap();
        assert_eq!(bench.look(), Found::Nothing);
        fs::remove_dir(bench.file()).unwrap();
        let fifo = rustix::fs::FileType::Fifo;
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, bench.file(), fifo, mode, 0).unwrap();
        assert_eq!(bench.look(), Found::Nothing);
        assert_eq!(bench.end(), "");
    }

    #[test]
    fn a_long_file_waits_for_the_master_and_secrets_in_it_are_masked() {
        let mut bench = Bench::new(None, false);
        bench.masks = Masks::new(&[Mask {
            text: "hunter2".into(),
            shown: "<db>".into(),
        }]);
        bench.append(&"a hunter2 ".repeat(12 << 20));
        let mut looks = 0;
        while bench.look() == Found::More {
            looks += 1;
        }
        assert!(looks > 10, "{looks}");
        assert_eq!(
            bench.follower.look_at_the_end(&bench.masks),
            Found::HeldBack
        );
        let length = bench.follower.log.length();
        assert!(length < (64 << 20) + (1 << 20), "{length}");
        bench.follower.acknowledged = length;
        let said = bench.end();
        assert_eq!(said.len(), 7 * (12 << 20));
        assert!(said.starts_with("a <db> a <db> ") && said.ends_with("a <db> "));
    }
}
