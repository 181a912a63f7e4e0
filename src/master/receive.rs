//! What a slave sends, on its way to the place that the configuration gives it
//! on the master. It is collected beside that place under another name, and
//! comes there when it is whole and its checksum is right. Nothing in it is
//! believed: see `unpack` for directories.

use std::fmt;
use std::fs;
use std::fs::{File, FileTimes, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::logs::disk;
use crate::master::unpack;
use crate::model::CommandId;
use crate::model::Sent;
use crate::model::UploadKind;
use crate::model::hex;
use crate::steps::Receipt;
use crate::wire::Checksum;

/// What of an upload has come so far.
#[derive(Debug)]
pub(crate) struct Receiver {
    receipt: Receipt,
    target: PathBuf,
    part: PathBuf,
    file: File,
    length: u64,
}

/// Why a piece is not kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeepError {
    #[error("bytes before it are missing")]
    Gap,
    #[error("it is more than {0} bytes, its `max_size`")]
    TooMuch(u64),
    #[error("`{}` cannot be written", .0.display())]
    Disk(PathBuf, #[source] io::Error),
}

/// Why what has come is not in its place.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettleError {
    /// The disk does not take it now; it is tried again.
    #[error("{0}")]
    Disk(String),
    #[error("{0}")]
    Refused(String),
}

impl SettleError {
    pub(super) fn refused(why: &str) -> Self {
        Self::Refused(why.to_owned())
    }

    pub(super) fn because(what: impl fmt::Display, error: io::Error) -> Self {
        let why = format!("{what}: {error}");
        match disk::may_pass(&error) {
            true => Self::Disk(why),
            false => Self::Refused(why),
        }
    }
}

impl Receiver {
    /// Goes on with what there is of it. What it says when it cannot is for people.
    pub(crate) fn open(
        basedir: &Path,
        receipt: Receipt,
        identity: &str,
        id: CommandId,
    ) -> Result<Self, SettleError> {
        let target = place(basedir, &receipt)?;
        let mut hash = Sha256::new();
        hash.update(identity);
        hash.update(id.to_string());
        hash.update(target.as_os_str().as_encoded_bytes());
        let digest = hex(&hash.finalize()[..8]);
        let part = target.with_file_name(format!(".autobot-{digest}.part"));
        // Never a link, whoever made it.
        let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(true)
            .create(true)
            .custom_flags(no_follow);
        if receipt.mode.is_some() || receipt.upload.kind == UploadKind::Directory {
            // Nobody reads it before it has the rights that it is to have.
            options.mode(0o600);
        }
        let opened = options.open(&part);
        let opened = opened.and_then(|it| Ok((it.metadata()?, it)));
        let what = format!("`{}` cannot be written", target.display());
        let failed = |error| SettleError::because(&what, error);
        let (metadata, file) = opened.map_err(failed)?;
        if !metadata.is_file() {
            let why = format!("`{}` is no file", part.display());
            return Err(SettleError::Refused(why));
        }
        Ok(Self {
            receipt,
            length: metadata.len(),
            target,
            part,
            file,
        })
    }

    /// How much of it is here.
    pub(crate) const fn len(&self) -> u64 {
        self.length
    }

    /// Puts a piece where it belongs; one that is here already is skipped.
    pub(crate) fn keep(&mut self, offset: u64, bytes: &[u8]) -> Result<(), KeepError> {
        let known = self.length.checked_sub(offset).ok_or(KeepError::Gap)?;
        let Some(fresh) = bytes.get(usize::try_from(known).unwrap_or(usize::MAX)..) else {
            return Ok(());
        };
        let length = self.length.saturating_add(fresh.len() as u64);
        if let Some(most) = self.receipt.upload.max_size.filter(|most| length > *most) {
            return Err(KeepError::TooMuch(most));
        }
        let written = self.file.write_all_at(fresh, self.length);
        written.map_err(|error| KeepError::Disk(self.target.clone(), error))?;
        self.length = length;
        Ok(())
    }

    /// Puts what has come in its place, if it is what was sent. Doing it again with the same
    /// is as good as once.
    pub(crate) fn settle(&mut self, sent: &Sent) -> Result<(), SettleError> {
        let settled = self.try_settle(sent);
        if !matches!(settled, Err(SettleError::Disk(_))) {
            self.discard();
        }
        settled
    }

    fn try_settle(&self, sent: &Sent) -> Result<(), SettleError> {
        let what = format!("`{}` cannot be written", self.target.display());
        let failed = |error| SettleError::because(&what, error);
        if self.length < sent.size {
            let why = format!("{} bytes of {} have come", self.length, sent.size);
            return Err(SettleError::Refused(why));
        }
        self.file.set_len(sent.size).map_err(failed)?;
        let mut content = File::open(&self.part).map_err(failed)?;
        if Checksum::of(&mut content).map_err(failed)? != sent.sha256 {
            let why = "it did not arrive as it was sent: its checksum is another one";
            return Err(SettleError::refused(why));
        }
        match self.receipt.upload.kind {
            UploadKind::File => self.settle_file(sent).map_err(failed),
            UploadKind::Directory => {
                let stage = self.part.with_extension("new");
                let unpacked = unpack::unpack(&self.part, &stage)
                    .and_then(|()| unpack::merge(&stage, &self.target));
                // Nothing of it is left, however it went.
                let _ = fs::remove_dir_all(&stage);
                unpacked.map_err(|error| match error {
                    SettleError::Refused(why) => {
                        SettleError::Refused(format!("the directory is not taken: {why}"))
                    }
                    full @ SettleError::Disk(_) => full,
                })
            }
        }
    }

    fn settle_file(&self, sent: &Sent) -> io::Result<()> {
        if let Some(mode) = self.receipt.mode {
            self.file.set_permissions(PermissionsExt::from_mode(mode))?;
        }
        if self.receipt.keep_stamp {
            let times = FileTimes::new()
                .set_accessed(moment(sent.accessed))
                .set_modified(moment(sent.modified));
            self.file.set_times(times)?;
        }
        self.file.sync_all()?;
        fs::rename(&self.part, &self.target)?;
        let parent = self.target.parent().unwrap_or(&self.target);
        File::open(parent)?.sync_all()
    }

    /// Throws away what has come and is not in its place.
    pub(crate) fn discard(&self) {
        // It is in its place most of the time.
        let _ = fs::remove_file(&self.part);
    }
}

fn moment(nanos: i64) -> SystemTime {
    let length = Duration::from_nanos(nanos.unsigned_abs());
    let at = match nanos {
        0.. => UNIX_EPOCH.checked_add(length),
        _ => UNIX_EPOCH.checked_sub(length),
    };
    at.unwrap_or(UNIX_EPOCH)
}

/// Where it goes: relative to the master's directory, or absolute; its directories are made.
fn place(basedir: &Path, receipt: &Receipt) -> Result<PathBuf, SettleError> {
    let resolve = |path: &str| match path.strip_prefix("~/") {
        Some(rest) => match std::env::home_dir() {
            Some(home) => Ok(home.join(rest)),
            None => Err(SettleError::refused(
                "`~` stands for a home directory, and the master has none",
            )),
        },
        None => Ok(basedir.join(path)),
    };
    let named = resolve(&receipt.target)?;
    let (Some(parent), Some(name)) = (named.parent(), named.file_name()) else {
        let why = format!("`{}` is no place for a file", named.display());
        return Err(SettleError::Refused(why));
    };
    let made = |dir: &Path| {
        let made = fs::create_dir_all(dir).and_then(|()| fs::canonicalize(dir));
        made.map_err(|error| {
            SettleError::because(format!("`{}` cannot be made", dir.display()), error)
        })
    };
    if let Some(anchor) = &receipt.anchor {
        // What properties say leads nowhere else, not by a link either. Looked at from the
        // deepest directory that there is, before any is made.
        let anchor = made(&resolve(anchor)?)?;
        let there = parent.ancestors().find(|it| it.exists());
        let there = there.and_then(|it| fs::canonicalize(it).ok());
        let climbs = receipt.target.split('/').any(|part| part == "..");
        if climbs || !there.is_some_and(|it| it.starts_with(&anchor)) {
            let why = format!("`{}` leaves `{}`", receipt.target, anchor.display());
            return Err(SettleError::Refused(why));
        }
    }
    Ok(made(parent)?.join(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;
    use crate::model::BuildId;
    use crate::model::Upload;

    fn receipt(target: &str) -> Receipt {
        Receipt {
            upload: Upload {
                path: "f".into(),
                kind: UploadKind::File,
                max_size: Some(100),
                piece: None,
            },
            target: target.into(),
            anchor: None,
            mode: None,
            keep_stamp: false,
        }
    }

    fn sent(content: &str) -> Sent {
        Sent {
            size: content.len() as u64,
            sha256: hex(&Sha256::digest(content)),
            is_cut: false,
            accessed: 2_000_000_000,
            modified: 1_000_000_001,
        }
    }

    const ID: CommandId = CommandId {
        build: BuildId(1),
        step: 2,
        index: 0,
        attempt: 0,
    };

    fn open(dir: &Path, receipt: Receipt) -> Result<Receiver, String> {
        Receiver::open(dir, receipt, "store", ID).map_err(|it| it.to_string())
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).expect("a directory").flatten();
        let mut names: Vec<_> = entries
            .map(|it| it.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_comes_to_its_place_when_it_is_whole() {
        let dir = tempfile::tempdir().expect("a directory");
        let wanted = Receipt {
            mode: Some(0o640),
            keep_stamp: true,
            ..receipt("out/new/f")
        };
        let mut receiver = open(dir.path(), wanted.clone()).expect("open");
        receiver.keep(0, b"one ").expect("kept");
        assert!(matches!(receiver.keep(5, b"x"), Err(KeepError::Gap)));
        let target = dir.path().join("out/new/f");
        assert!(!target.exists());
        drop(receiver);
        // The master was restarted.
        let mut receiver = open(dir.path(), wanted.clone()).expect("open");
        assert_eq!(receiver.len(), 4);
        receiver.keep(0, b"one t").expect("kept");
        receiver.keep(5, b"wo").expect("kept");
        receiver.settle(&sent("one two")).expect("settled");
        assert_eq!(fs::read_to_string(&target).expect("there"), "one two");
        let metadata = fs::metadata(&target).expect("there");
        assert_eq!(metadata.mode() & 0o7777, 0o640);
        assert_eq!((metadata.mtime(), metadata.mtime_nsec()), (1, 1));
        assert_eq!(names(&dir.path().join("out/new")), ["f"]);
        // The master was killed before the end was written down: all comes again.
        let mut again = open(dir.path(), wanted).expect("open");
        assert_eq!(again.len(), 0);
        again.keep(0, b"one two").expect("kept");
        again.settle(&sent("one two")).expect("settled");
        assert_eq!(names(&dir.path().join("out/new")), ["f"]);
    }

    #[test]
    fn what_is_wrong_leaves_the_target_as_it_was() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("f"), "kept").expect("written");
        let mut receiver = open(dir.path(), receipt("f")).expect("open");
        receiver.keep(0, b"one tvo").expect("kept");
        let why = receiver
            .settle(&sent("one two"))
            .expect_err("garbled")
            .to_string();
        assert!(why.contains("checksum"), "{why}");
        let mut receiver = open(dir.path(), receipt("f")).expect("open");
        receiver.keep(0, b"one").expect("kept");
        let why = receiver
            .settle(&sent("one two"))
            .expect_err("short")
            .to_string();
        assert_eq!(why, "3 bytes of 7 have come");
        let mut receiver = open(dir.path(), receipt("f")).expect("open");
        let much = receiver.keep(0, &[b'x'; 101]);
        assert!(matches!(much, Err(KeepError::TooMuch(100))));
        receiver.discard();
        assert_eq!(
            fs::read_to_string(dir.path().join("f")).expect("there"),
            "kept"
        );
        assert_eq!(names(dir.path()), ["f"]);
    }

    #[test]
    fn links_and_properties_lead_nowhere_else() {
        let home = tempfile::tempdir().expect("a directory");
        let dir = home.path().join("master");
        fs::create_dir_all(dir.join("public/a")).expect("made");
        fs::write(home.path().join("outside"), "kept").expect("written");
        symlink(home.path().join("outside"), dir.join("public/f")).expect("a link");
        let mut receiver = open(&dir, receipt("public/f")).expect("open");
        receiver.keep(0, b"new").expect("kept");
        receiver.settle(&sent("new")).expect("settled");
        assert!(!dir.join("public/f").is_symlink(), "the link is replaced");

        symlink(home.path(), dir.join("public/way")).expect("a link");
        let anchored = |target: &str| Receipt {
            anchor: Some("public".into()),
            ..receipt(target)
        };
        for target in ["public/way/outside", "public/../x", "public/way/new/x"] {
            let why = open(&dir, anchored(target)).expect_err(target);
            assert!(why.contains("leaves"), "{why}");
        }
        open(&dir, anchored("public/new/dir/f"))
            .expect("within")
            .discard();
        assert_eq!(names(home.path()), ["master", "outside"]);
        let kept = fs::read_to_string(home.path().join("outside"));
        assert_eq!(kept.expect("there"), "kept");

        // Somebody who guesses the name of the part finds no way out either.
        let receiver = open(&dir, receipt("g")).expect("open");
        let part = receiver.part.clone();
        receiver.discard();
        symlink(home.path().join("outside"), &part).expect("a link");
        open(&dir, receipt("g")).expect_err("no link is followed");
        fs::remove_file(&part).expect("removed");
        fs::create_dir(&part).expect("made");
        open(&dir, receipt("g")).expect_err("a directory is no file");
    }
}
