//! What a slave does without a program: make, remove and copy trees, look
//! whether something is there. Every path stays below the base directory,
//! links included. Only a file that the master sends may go elsewhere, where
//! the master names an absolute path: `received.rs`.

use std::fs;
use std::fs::FileTimes;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};

use super::MIRRORS;
use super::SPOOL;
use super::clean_up::GONE;
use super::glob::glob;
use super::received;
use super::upload;
use crate::logs::disk;
use crate::model::FileKind;
use crate::model::FileResult;
use crate::model::FileStat;
use crate::wire::WireFile;

/// As many names as one answer has.
pub(super) const MOST_NAMES: usize = 10_000;

/// As many bytes as they have together: a message holds twice as much.
const MOST_OF_NAMES: usize = 512 << 10;

/// Why a file command failed: what the log says.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("path `{0}` leaves the slave's base directory")]
    Outside(String),
    #[error("path `{0}` belongs to the slave itself")]
    Own(String),
    #[error("`{}` is not there", .0.display())]
    Missing(PathBuf),
    #[error("`{}` is no file", .0.display())]
    NoFile(PathBuf),
    #[error("`{}` is no directory", .0.display())]
    NoDirectory(PathBuf),
    #[error("`{}` takes more than {most} bytes", path.display())]
    TooLarge { path: PathBuf, most: u64 },
    #[error("`{0}` stands for more names than one answer has")]
    TooMany(String),
    #[error("`{}` did not arrive as it was sent: its checksum is another one", .0.display())]
    Garbled(PathBuf),
    #[error("`{to}` is inside of `{from}`, from which it would be copied")]
    Inside { from: String, to: String },
    #[error("`{}` has lost the pieces before byte {offset}", path.display())]
    Gap { path: PathBuf, offset: u64 },
    #[error("`~` stands for a home directory, and the slave has none")]
    Homeless,
    #[error("failed to {act} `{}`: {source}", path.display())]
    Failed {
        act: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl FileError {
    /// Whether all that is missing is room on the disk.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Failed { source, .. } if disk::is_full(source))
    }
}

pub(super) trait Doing<T> {
    fn doing(self, act: &'static str, path: &Path) -> Result<T, FileError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, act: &'static str, path: &Path) -> Result<T, FileError> {
        self.map_err(|source| FileError::Failed {
            act,
            path: path.to_owned(),
            source,
        })
    }
}

/// Carries out `command` below `basedir`. Doing it twice is as good as once.
/// What an upload sends is left in the file `content`.
pub(super) fn carry_out(
    command: &WireFile,
    basedir: &Path,
    content: &Path,
) -> Result<Option<FileResult>, FileError> {
    match command {
        WireFile::Mkdir { dir } => {
            let dir = place(basedir, dir)?;
            fs::create_dir_all(&dir).doing("make", &dir)?;
        }
        WireFile::Rmdir { dir, .. } => remove(&own_place(basedir, dir)?)?,
        WireFile::Cpdir { from, to } => {
            let source = place(basedir, from)?;
            let target = own_place(basedir, to)?;
            if target.starts_with(&source) {
                let (from, to) = (from.clone(), to.clone());
                return Err(FileError::Inside { from, to });
            }
            if !source.exists() {
                return Err(FileError::Missing(source));
            }
            remove(&target)?;
            if let Some(parent) = target.parent() {
                fs::create_dir_all(parent).doing("make", parent)?;
            }
            copy(&source, &target)?;
        }
        WireFile::Write(piece) => received::write(piece, basedir)?,
        WireFile::Stat { path } => {
            let found = stat(&place(basedir, path)?)?;
            return Ok(Some(FileResult::Stat(found)));
        }
        WireFile::Glob { pattern } => {
            let names = glob(pattern, basedir)?;
            return answer(names, pattern).map(Some);
        }
        WireFile::Listdir { dir } => {
            let names = listed(&place(basedir, dir)?)?;
            return answer(names, dir).map(Some);
        }
        WireFile::Rmfile { path } => {
            let path = own_place(basedir, path)?;
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(FileError::Missing(path));
                }
                removed => removed.doing("remove", &path)?,
            }
        }
        WireFile::Upload(upload) => {
            let sent = upload::send(upload, basedir, content).inspect_err(|_| {
                // What nobody will send is in the way of all others.
                let _ = fs::remove_file(content);
            })?;
            return Ok(Some(FileResult::Sent(sent)));
        }
    }
    Ok(None)
}

/// Names as the result of a command, if they fit into one message.
fn answer(names: Vec<String>, asked: &str) -> Result<FileResult, FileError> {
    let length: usize = names.iter().map(|it| it.len() + 8).sum();
    if length > MOST_OF_NAMES {
        return Err(FileError::TooMany(asked.to_owned()));
    }
    Ok(FileResult::Names(names))
}

fn stat(path: &Path) -> Result<FileStat, FileError> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(FileError::Missing(path.to_owned()));
        }
        found => found.doing("look at", path)?,
    };
    Ok(FileStat {
        kind: match metadata.file_type() {
            it if it.is_file() => FileKind::File,
            it if it.is_dir() => FileKind::Directory,
            _ => FileKind::Other,
        },
        mode: metadata.mode() & 0o7777,
        size: metadata.len(),
        modified: metadata.mtime(),
    })
}

fn listed(dir: &Path) -> Result<Vec<String>, FileError> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).doing("read", dir)? {
        let name = entry.doing("read", dir)?.file_name();
        names.push(name.to_string_lossy().into_owned());
        if names.len() > MOST_NAMES {
            return Err(FileError::TooMany(dir.display().to_string()));
        }
    }
    names.sort();
    Ok(names)
}

/// Says whether `path` stays below the base directory by its words alone.
pub(super) fn is_below(path: &str) -> bool {
    let is_inside = |it| matches!(it, Component::Normal(_) | Component::CurDir);
    !path.contains('\0') && Path::new(path).components().all(is_inside)
}

/// A path as it is said below `basedir`: below `/` every absolute one is.
pub(super) fn below<'a>(basedir: &Path, path: &'a str) -> &'a str {
    match basedir == Path::new("/") {
        true => path.trim_start_matches('/'),
        false => path,
    }
}

/// Where `path` is; its directory stays below `basedir` through every link.
fn place(basedir: &Path, path: &str) -> Result<PathBuf, FileError> {
    let path = below(basedir, path);
    let outside = || FileError::Outside(path.to_owned());
    if !is_below(path) {
        return Err(outside());
    }
    let base = fs::canonicalize(basedir).doing("look at", basedir)?;
    let mut place = base.clone();
    for part in Path::new(path).components() {
        if let Component::Normal(name) = part {
            // Each directory on the way, but not the last word: a link
            // is removed itself, and not what it leads to.
            if place.is_symlink() {
                place = fs::canonicalize(&place).doing("follow", &place)?;
            }
            if !place.starts_with(&base) {
                return Err(outside());
            }
            place.push(name);
        }
    }
    Ok(place)
}

/// Where `path` is, if it may be removed or replaced.
pub(super) fn own_place(basedir: &Path, path: &str) -> Result<PathBuf, FileError> {
    let place = place(basedir, path)?;
    let base = fs::canonicalize(basedir).doing("look at", basedir)?;
    let is_slaves = |it| place.starts_with(base.join(it));
    if place == base || is_slaves(SPOOL) || is_slaves(MIRRORS) || is_slaves(GONE) {
        return Err(FileError::Own(path.to_owned()));
    }
    Ok(place)
}

pub(super) fn remove(path: &Path) -> Result<(), FileError> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let removed = if metadata.is_dir() {
        match fs::remove_dir_all(path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                open_up(path);
                fs::remove_dir_all(path)
            }
            removed => removed,
        }
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.doing("remove", path),
    }
}

/// Gives the owner all rights on every directory below `dir`. What fails
/// here shows when the tree is removed.
fn open_up(dir: &Path) {
    if let Ok(metadata) = fs::symlink_metadata(dir) {
        let mut permissions = metadata.permissions();
        permissions.set_mode(permissions.mode() | 0o700);
        let _ = fs::set_permissions(dir, permissions);
    }
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Copies a tree with its links, rights and times, so that `make` sees no news.
fn copy(from: &Path, to: &Path) -> Result<(), FileError> {
    let metadata = fs::symlink_metadata(from).doing("look at", from)?;
    let kind = metadata.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(from).doing("read", from)?;
        return std::os::unix::fs::symlink(target, to).doing("make", to);
    }
    if kind.is_dir() {
        fs::create_dir(to).doing("make", to)?;
        for entry in fs::read_dir(from).doing("read", from)? {
            let entry = entry.doing("read", from)?;
            copy(&entry.path(), &to.join(entry.file_name()))?;
        }
        // Last, since a directory may be closed to its own owner.
        fs::set_permissions(to, metadata.permissions()).doing("give rights to", to)?;
    } else if kind.is_file() {
        fs::copy(from, to).doing("copy", from)?;
    } else {
        // Sockets, pipes and devices belong to whoever made them.
        return Ok(());
    }
    if let (Ok(accessed), Ok(modified)) = (metadata.accessed(), metadata.modified())
        && let Ok(file) = fs::File::open(to)
    {
        let times = FileTimes::new()
            .set_accessed(accessed)
            .set_modified(modified);
        let _ = file.set_times(times);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mkdir(dir: &str) -> WireFile {
        WireFile::Mkdir { dir: dir.into() }
    }
    fn rmdir(dir: &str) -> WireFile {
        WireFile::Rmdir {
            dir: dir.into(),
            why: None,
        }
    }
    fn cpdir(from: &str, to: &str) -> WireFile {
        let (from, to) = (from.into(), to.into());
        WireFile::Cpdir { from, to }
    }
    fn stat_of(path: &str) -> WireFile {
        WireFile::Stat { path: path.into() }
    }

    #[test]
    fn trees_are_made_copied_found_and_removed() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        let act = |command: WireFile| carry_out(&command, base, Path::new("/nowhere"));
        act(mkdir("a/b")).unwrap();
        act(mkdir("a/b")).unwrap();
        fs::write(base.join("a/b/file"), "text").unwrap();
        fs::set_permissions(base.join("a/b/file"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("file", base.join("a/b/link")).unwrap();
        act(mkdir("c/old")).unwrap();

        act(cpdir("a", "c")).unwrap();
        assert!(!base.join("c/old").exists(), "the copy is fresh");
        assert_eq!(fs::read_to_string(base.join("c/b/link")).unwrap(), "text");
        assert!(base.join("c/b/link").is_symlink());
        let times = ["a", "c"].map(|it| {
            let file = fs::metadata(base.join(it).join("b/file")).unwrap();
            (file.modified().unwrap(), file.permissions().mode())
        });
        assert_eq!(times[0], times[1]);

        act(stat_of("c/b")).unwrap();
        act(rmdir("c")).unwrap();
        act(rmdir("c")).unwrap();
        assert!(matches!(act(stat_of("c/b")), Err(FileError::Missing(_))));
        assert!(matches!(act(cpdir("c", "d")), Err(FileError::Missing(_))));
        assert!(matches!(
            act(cpdir("a", "a/x")),
            Err(FileError::Inside { .. })
        ));
    }

    #[test]
    fn what_is_found_out_is_a_value() {
        let base = tempfile::tempdir().unwrap();
        let base = base.path();
        fs::create_dir_all(base.join("a/.d")).unwrap();
        fs::write(base.join("a/file"), "12345").unwrap();
        fs::set_permissions(base.join("a/file"), PermissionsExt::from_mode(0o640)).unwrap();
        let act = |command: WireFile| carry_out(&command, base, Path::new("/nowhere"));
        let Some(FileResult::Stat(found)) = act(stat_of("a/file")).unwrap() else {
            panic!("no result")
        };
        let expected = (FileKind::File, 0o640, 5);
        assert_eq!((found.kind, found.mode, found.size), expected);
        assert!(found.modified > 1_600_000_000);
        let Some(FileResult::Stat(found)) = act(stat_of("a")).unwrap() else {
            panic!("no result")
        };
        assert_eq!(found.kind, FileKind::Directory);
        let names = |names: [&str; 2]| Some(FileResult::Names(names.map(str::to_owned).to_vec()));
        let dir = "a".to_owned();
        assert_eq!(
            act(WireFile::Listdir { dir }).unwrap(),
            names([".d", "file"])
        );
        fs::create_dir(base.join("many")).unwrap();
        for number in 0..2500 {
            fs::write(base.join(format!("many/{number:0>250}")), "").unwrap();
        }
        let dir = "many".to_owned();
        assert!(matches!(
            act(WireFile::Listdir { dir }),
            Err(FileError::TooMany(_))
        ));
        let pattern = "many/*".to_owned();
        assert!(matches!(
            act(WireFile::Glob { pattern }),
            Err(FileError::TooMany(_))
        ));
        let rmfile = |path: &str| {
            let path = path.to_owned();
            act(WireFile::Rmfile { path })
        };
        assert_eq!(rmfile("a/file").unwrap(), None);
        assert!(matches!(rmfile("a/file"), Err(FileError::Missing(_))));
        assert!(matches!(rmfile("../x"), Err(FileError::Outside(_))));
        assert!(rmfile("a").is_err(), "a directory is no file");
    }

    #[test]
    fn a_tree_without_rights_is_removed_all_the_same() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir_all(base.path().join("a/b/c")).unwrap();
        for dir in ["a/b/c", "a/b", "a"] {
            fs::set_permissions(base.path().join(dir), PermissionsExt::from_mode(0o000)).unwrap();
        }
        carry_out(&rmdir("a"), base.path(), Path::new("/nowhere")).unwrap();
        assert!(!base.path().join("a").exists());
    }

    #[test]
    fn nothing_outside_is_touched() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("base");
        fs::create_dir_all(base.join("spool/m/1-0-0-0")).unwrap();
        fs::create_dir_all(base.join("mirrors/x")).unwrap();
        fs::create_dir_all(home.path().join("outside/kept")).unwrap();
        symlink("../outside", base.join("way")).unwrap();
        for path in ["..", "/tmp", "a/../../outside", "way/kept", "way/new"] {
            for command in [
                mkdir(path),
                rmdir(path),
                cpdir("spool", path),
                stat_of(path),
            ] {
                let error = carry_out(&command, &base, Path::new("/nowhere")).unwrap_err();
                assert!(
                    matches!(error, FileError::Outside(_)),
                    "{command:?}: {error}"
                );
            }
        }
        for path in [
            "",
            ".",
            "spool",
            "spool/m",
            "mirrors",
            "mirrors/x",
            ".gone/0",
        ] {
            let error = carry_out(&rmdir(path), &base, Path::new("/nowhere")).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("path `{path}` belongs to the slave itself")
            );
        }
        carry_out(&rmdir("way"), &base, Path::new("/nowhere")).unwrap();
        assert!(!base.join("way").is_symlink(), "the link itself may go");
        assert!(home.path().join("outside/kept").exists());
    }
}
