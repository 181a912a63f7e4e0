//! A file that the master sends in pieces. They are collected beside the
//! file's place under another name; the last piece puts them there, so that
//! what is there is whole at any time.

use std::env;
use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use super::SPOOL;
use super::files::{Doing, FileError, own_place};
use crate::model::hex;
use crate::wire::Checksum;
use crate::wire::WireWrite;

/// Writes a piece. Doing it twice is as good as once.
pub(super) fn write(piece: &WireWrite, basedir: &Path) -> Result<(), FileError> {
    let target = target(&piece.path, basedir)?;
    let part = part_of(&target);
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).doing("make", parent)?;
    }
    let file = match open(&part, piece) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && piece.offset > 0 => {
            if piece.is_last && ends_with(&target, piece) {
                // Put in its place already, just before somebody pulled the plug.
                return Ok(());
            }
            let offset = piece.offset;
            return Err(FileError::Gap {
                path: target,
                offset,
            });
        }
        Err(error) => return Err(error).doing("write", &target),
    };
    let done = fill(&file, piece, &target).and_then(|()| {
        if piece.is_last {
            check(&part, piece, &target)?;
            settle(&file, piece.mode, &part).doing("write", &target)?;
            fs::rename(&part, &target).doing("replace", &target)?;
        }
        Ok(())
    });
    if done.as_ref().is_err_and(|it| !it.is_full()) {
        // Half a file is of no use. On a full disk it stays: this piece is written again.
        let _ = fs::remove_file(&part);
    }
    done
}

/// Throws away what has come of a file that nobody wants any more.
pub(super) fn abandon(piece: &WireWrite, basedir: &Path) {
    if let Ok(target) = target(&piece.path, basedir) {
        let _ = fs::remove_file(part_of(&target));
    }
}

/// The first piece begins anew, whatever an earlier try left.
fn open(part: &Path, piece: &WireWrite) -> io::Result<File> {
    let mut options = File::options();
    let no_follow = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or(0);
    options.write(true).custom_flags(no_follow);
    if piece.offset > 0 {
        return options.open(part);
    }
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if piece.mode.is_some() {
        // Nobody reads it before it has the rights that it is to have.
        options.mode(0o600);
    }
    options.create_new(true).open(part)
}

fn fill(file: &File, piece: &WireWrite, target: &Path) -> Result<(), FileError> {
    let length = file.metadata().doing("look at", target)?.len();
    if length < piece.offset {
        return Err(FileError::Gap {
            path: target.to_owned(),
            offset: piece.offset,
        });
    }
    // What lies behind is from a try that was cut off.
    file.set_len(piece.offset).doing("write", target)?;
    file.write_all_at(&piece.bytes, piece.offset)
        .doing("write", target)
}

/// Whether all that has come is what was sent.
fn check(part: &Path, piece: &WireWrite, target: &Path) -> Result<(), FileError> {
    let Some(expected) = &piece.sha256 else {
        return Ok(());
    };
    let mut came = File::open(part).doing("read", target)?;
    let sum = Checksum::of(&mut came).doing("read", target)?;
    match sum == *expected {
        true => Ok(()),
        false => Err(FileError::Garbled(target.to_owned())),
    }
}

fn settle(file: &File, mode: Option<u32>, part: &Path) -> io::Result<()> {
    // Some disks only say now that they are full.
    file.sync_data()?;
    match mode {
        Some(mode) => fs::set_permissions(part, PermissionsExt::from_mode(mode)),
        None => Ok(()),
    }
}

/// Whether the file is what this last piece would make of it.
fn ends_with(target: &Path, piece: &WireWrite) -> bool {
    let read = || {
        let file = File::open(target)?;
        let length = file.metadata()?.len();
        if length != piece.offset + piece.bytes.len() as u64 {
            return Ok(false);
        }
        let mut tail = vec![0; piece.bytes.len()];
        file.read_exact_at(&mut tail, piece.offset)?;
        Ok::<_, io::Error>(tail == piece.bytes)
    };
    read().unwrap_or(false)
}

/// Where the file goes: below the base directory, or where an absolute path says.
fn target(path: &str, basedir: &Path) -> Result<PathBuf, FileError> {
    let absolute = match path.strip_prefix("~/") {
        Some(rest) => env::home_dir().ok_or(FileError::Homeless)?.join(rest),
        None => PathBuf::from(path),
    };
    if !absolute.is_absolute() {
        return own_place(basedir, path);
    }
    let own = || FileError::Own(path.to_owned());
    let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
        return Err(own());
    };
    fs::create_dir_all(parent).doing("make", parent)?;
    let parent = fs::canonicalize(parent).doing("look at", parent)?;
    let spool = fs::canonicalize(basedir)
        .doing("look at", basedir)?
        .join(SPOOL);
    if parent.starts_with(spool) {
        return Err(own());
    }
    Ok(parent.join(name))
}

/// Where the pieces are collected. The name may be as long as names can be,
/// so it is not made longer.
fn part_of(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default();
    let digest = Sha256::digest(name.as_encoded_bytes());
    let digest = hex(&digest[..8]);
    target.with_file_name(format!(".autobot-{digest}.part"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn piece(path: &str, offset: u64, bytes: &str, is_last: bool) -> WireWrite {
        WireWrite {
            path: path.into(),
            offset,
            bytes: bytes.into(),
            size: 0,
            is_last,
            version: String::new(),
            sha256: None,
            mode: None,
        }
    }

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> = entries
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_when_its_last_piece_is() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        fs::create_dir(base.join("b")).unwrap();
        let file = base.join("b/new/file");
        let write = |piece: WireWrite| write(&piece, base);
        write(piece("b/new/file", 0, "one ", false)).unwrap();
        assert!(!file.exists());
        // Every piece may come twice, the last one also when all is done.
        write(piece("b/new/file", 0, "one ", false)).unwrap();
        write(piece("b/new/file", 4, "two ", false)).unwrap();
        write(piece("b/new/file", 4, "two ", false)).unwrap();
        write(piece("b/new/file", 8, "three", true)).unwrap();
        write(piece("b/new/file", 8, "three", true)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one two three");
        assert_eq!(names(&base.join("b/new")), ["file"]);

        write(piece("b/new/file", 0, "", true)).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "");
        let mode = WireWrite {
            mode: Some(0o640),
            ..piece("b/new/file", 0, "x", true)
        };
        write(mode).unwrap();
        let permissions = fs::metadata(&file).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o7777, 0o640);
        let long = "n".repeat(255);
        write(piece(&long, 0, "x", true)).unwrap();
        assert!(base.join(long).exists());
    }

    #[test]
    fn what_is_not_what_was_sent_does_not_take_the_place_of_the_file() {
        let base = tempfile::tempdir().unwrap();
        let with_sum = |offset, bytes, sum: &str| WireWrite {
            sha256: Some(sum.to_owned()),
            ..piece("f", offset, bytes, true)
        };
        let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
        write(&piece("f", 0, "hel", false), base.path()).unwrap();
        write(&with_sum(3, "lo", hello), base.path()).unwrap();
        write(&piece("f", 0, "hex", false), base.path()).unwrap();
        let error = write(&with_sum(3, "lo", hello), base.path()).unwrap_err();
        assert!(matches!(error, FileError::Garbled(_)), "{error}");
        assert_eq!(fs::read_to_string(base.path().join("f")).unwrap(), "hello");
        assert_eq!(names(base.path()), ["f"]);
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("base");
        fs::create_dir(&base).unwrap();
        let outside = home.path().join("outside");
        fs::write(&outside, "kept").unwrap();
        symlink(&outside, base.join("link")).unwrap();
        symlink(&outside, part_of(&base.join("link"))).unwrap();
        write(&piece("link", 0, "new", true), &base).unwrap();
        assert!(!base.join("link").is_symlink());
        assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
        symlink(&outside, part_of(&base.join("link"))).unwrap();
        assert!(write(&piece("link", 1, "new", true), &base).is_err());
        assert_eq!(fs::read_to_string(&outside).unwrap(), "kept");
    }

    #[test]
    fn what_cannot_be_written_is_told_and_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("base");
        fs::create_dir_all(base.join("spool/m/1-0-0-0")).unwrap();
        fs::create_dir_all(base.join("dir/full")).unwrap();
        let said = |piece: WireWrite| {
            let error = write(&piece, &base).unwrap_err().to_string();
            error.replace(&*home.path().canonicalize().unwrap().to_string_lossy(), "")
        };
        assert_eq!(
            said(piece("../x", 0, "", true)),
            "path `../x` leaves the slave's base directory"
        );
        for path in [
            "spool/m/1-0-0-0/exit".to_owned(),
            format!("{}/spool/m/1-0-0-0/exit", base.display()),
            format!("{}/dir/../spool/news", base.display()),
        ] {
            let expected = "belongs to the slave itself";
            assert!(
                said(piece(&path, 0, "", true)).ends_with(expected),
                "{path}"
            );
        }
        let gap = "`/base/dir/x` has lost the pieces before byte 5";
        assert_eq!(said(piece("dir/x", 5, "y", true)), gap);
        write(&piece("dir/x", 0, "abc", false), &base).unwrap();
        assert_eq!(said(piece("dir/x", 5, "y", true)), gap);
        let told = said(piece("dir/full", 0, "x", true));
        assert!(
            told.starts_with("failed to replace `/base/dir/full`: "),
            "{told}"
        );
        assert_eq!(names(&base.join("dir")), ["full"]);
        let absolute = home.path().join("elsewhere/file");
        write(&piece(&absolute.to_string_lossy(), 0, "x", true), &base).unwrap();
        assert_eq!(fs::read_to_string(absolute).unwrap(), "x");
    }

    #[test]
    fn a_full_disk_is_told() {
        let base = tempfile::tempdir().unwrap();
        let part = part_of(&base.path().join("x"));
        // A device that is always full stands for the disk.
        let full = File::options().write(true).open("/dev/full").unwrap();
        let told = full.write_all_at(b"x", 0).doing("write", &part);
        let told = told.unwrap_err().to_string();
        assert!(told.contains("No space left on device"), "{told}");
    }
}
