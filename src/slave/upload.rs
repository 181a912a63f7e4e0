//! What goes to the master: a file or a directory is copied into the spool, as
//! the content of its command, and goes from there. So it is what it was when
//! the command was carried out, and a cut line or a restarted slave goes on
//! where it was.

use std::env;
use std::fs;
use std::fs::File;
use std::io;
use std::io::{BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::MIRRORS;
use super::SPOOL;
use super::files::{Doing, FileError, own_place};
use super::order::private;
use crate::model::Sent;
use crate::model::Upload;
use crate::model::UploadKind;
use crate::wire::Checksum;
use crate::wire::pack::{Head, Kind, MAGIC};
use rustix::fs::OFlags;

/// Copies what is asked for to `content`.
pub(super) fn send(upload: &Upload, basedir: &Path, content: &Path) -> Result<Sent, FileError> {
    let source = source(&upload.path, basedir)?;
    let file = private().create(true).truncate(true).open(content);
    let file = file.doing("write", content)?;
    let mut out = Out {
        file: BufWriter::new(file),
        sum: Checksum::default(),
        size: 0,
    };
    let metadata = fs::metadata(&source).doing("look at", &source)?;
    let is_cut = match upload.kind {
        UploadKind::File => out.file(&source, upload.max_size)?,
        UploadKind::Directory => {
            out.directory(&source, upload.max_size)?;
            false
        }
    };
    out.file.flush().doing("write", content)?;
    out.file.get_ref().sync_data().doing("write", content)?;
    let nanos = |secs: i64, nanos: i64| secs.saturating_mul(1_000_000_000).saturating_add(nanos);
    Ok(Sent {
        size: out.size,
        sha256: out.sum.into_hex(),
        is_cut,
        accessed: nanos(metadata.atime(), metadata.atime_nsec()),
        modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// Where it is: below the base directory, or where an absolute path says; nowhere in
/// the spool, where there are secrets of other commands.
fn source(path: &str, basedir: &Path) -> Result<PathBuf, FileError> {
    let absolute = match path.strip_prefix("~/") {
        Some(rest) => env::home_dir().ok_or(FileError::Homeless)?.join(rest),
        None => PathBuf::from(path),
    };
    let is_own = !absolute.is_absolute();
    let named = match is_own {
        true => own_place(basedir, path)?,
        false => absolute,
    };
    let found = match fs::canonicalize(&named) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(FileError::Missing(named));
        }
        found => found.doing("look at", &named)?,
    };
    let base = fs::canonicalize(basedir).doing("look at", basedir)?;
    if is_own && !found.starts_with(&base) {
        return Err(FileError::Outside(path.to_owned()));
    }
    let is_slaves = |it| found.starts_with(base.join(it));
    if is_slaves(SPOOL) || is_slaves(MIRRORS) || base.join(SPOOL).starts_with(&found) {
        return Err(FileError::Own(path.to_owned()));
    }
    Ok(found)
}

struct Out {
    file: BufWriter<File>,
    sum: Checksum,
    size: u64,
}

impl Out {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.sum.write_all(bytes)?;
        self.size += bytes.len() as u64;
        Ok(())
    }

    /// Copies a file, or its beginning; says whether there is more.
    fn file(&mut self, source: &Path, most: Option<u64>) -> Result<bool, FileError> {
        let mut file = open(source)?;
        self.copy(&mut (&mut file).take(most.unwrap_or(u64::MAX)))
            .doing("copy", source)?;
        if most.is_none() {
            return Ok(false);
        }
        let more = file.read(&mut [0]).doing("read", source)?;
        Ok(more > 0)
    }

    fn copy(&mut self, from: &mut impl Read) -> io::Result<u64> {
        let mut piece = vec![0; 128 << 10];
        let mut copied = 0;
        loop {
            let size = match from.read(&mut piece) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            if size == 0 {
                return Ok(copied);
            }
            self.put(&piece[..size])?;
            copied += size as u64;
        }
    }

    fn directory(&mut self, source: &Path, most: Option<u64>) -> Result<(), FileError> {
        if !source.is_dir() {
            return Err(FileError::NoDirectory(source.to_owned()));
        }
        self.put(MAGIC).doing("write", source)?;
        self.entries(source, source, most)?;
        let end = Head::END.to_bytes().expect("it has no name");
        self.put(&end).doing("write", source)
    }

    fn entries(&mut self, root: &Path, dir: &Path, most: Option<u64>) -> Result<(), FileError> {
        let mut found = Vec::new();
        for entry in fs::read_dir(dir).doing("read", dir)? {
            found.push(entry.doing("read", dir)?.path());
        }
        found.sort();
        for path in found {
            let metadata = fs::symlink_metadata(&path).doing("look at", &path)?;
            let kind = metadata.file_type();
            let name = path.strip_prefix(root).unwrap_or(&path);
            let mut head = Head {
                kind: Kind::Directory,
                mode: metadata.mode() & 0o777,
                size: 0,
                name: name.as_os_str().as_bytes().to_vec(),
            };
            if kind.is_dir() {
                self.head(&head, &path)?;
                self.entries(root, &path, most)?;
            } else if kind.is_symlink() {
                let target = fs::read_link(&path).doing("read", &path)?;
                let target = target.as_os_str().as_bytes();
                (head.kind, head.size) = (Kind::Link, target.len() as u64);
                self.head(&head, &path)?;
                self.put(target).doing("write", &path)?;
            } else if kind.is_file() {
                let mut file = open(&path)?;
                head.size = file.metadata().doing("look at", &path)?.len();
                head.kind = Kind::File;
                if most.is_some_and(|most| self.size.saturating_add(head.size) > most) {
                    return Err(too_large(root, most));
                }
                self.head(&head, &path)?;
                let copied = self.copy(&mut (&mut file).take(head.size));
                if copied.doing("copy", &path)? < head.size {
                    let source = io::Error::other("it became shorter meanwhile");
                    return Err(source).doing("copy", &path);
                }
            }
            // Sockets, pipes and devices belong to whoever made them.
            if most.is_some_and(|most| self.size > most) {
                return Err(too_large(root, most));
            }
        }
        Ok(())
    }

    fn head(&mut self, head: &Head, path: &Path) -> Result<(), FileError> {
        let too_long = || io::Error::other("its name is too long");
        let bytes = head.to_bytes().ok_or_else(too_long).doing("send", path)?;
        self.put(&bytes).doing("write", path)
    }
}

/// Opens a file and nothing else: opening a pipe would wait for who writes it.
fn open(path: &Path) -> Result<File, FileError> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path);
    let file = file.doing("read", path)?;
    if !file.metadata().doing("look at", path)?.is_file() {
        return Err(FileError::NoFile(path.to_owned()));
    }
    Ok(file)
}

fn too_large(dir: &Path, most: Option<u64>) -> FileError {
    FileError::TooLarge {
        path: dir.to_owned(),
        most: most.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn upload(path: &str, kind: UploadKind, max_size: Option<u64>) -> Upload {
        Upload {
            path: path.to_owned(),
            kind,
            max_size,
            piece: None,
        }
    }

    #[test]
    fn a_file_is_cut_only_where_more_of_it_is() {
        let base = tempfile::tempdir().unwrap();
        let content = base.path().join("content");
        fs::write(base.path().join("f"), "0123456789").unwrap();
        for (most, expected, is_cut) in [
            (None, "0123456789", false),
            (Some(10), "0123456789", false),
            (Some(9), "012345678", true),
            (Some(0), "", true),
        ] {
            let sent = send(&upload("f", UploadKind::File, most), base.path(), &content);
            let sent = sent.unwrap();
            assert_eq!((sent.size, sent.is_cut), (expected.len() as u64, is_cut));
            assert_eq!(fs::read_to_string(&content).unwrap(), expected);
            let sum = Checksum::of(&mut expected.as_bytes()).unwrap();
            assert_eq!(sent.sha256, sum);
        }
    }

    #[test]
    fn a_directory_is_sent_with_what_can_be_sent_of_it() {
        let base = tempfile::tempdir().unwrap();
        let content = base.path().join("content");
        fs::create_dir_all(base.path().join("d/empty")).unwrap();
        fs::write(base.path().join("d/f"), "text").unwrap();
        symlink("f", base.path().join("d/link")).unwrap();
        let fifo = base.path().join("d/pipe");
        let kind = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, fifo, kind, rustix::fs::Mode::RWXU, 0).unwrap();
        let of = |most| {
            send(
                &upload("d/", UploadKind::Directory, most),
                base.path(),
                &content,
            )
        };
        let sent = of(None).unwrap();
        let bytes = fs::read(&content).unwrap();
        assert_eq!(sent.size, bytes.len() as u64);
        let mut rest = bytes.strip_prefix(MAGIC).unwrap();
        let mut names = Vec::new();
        loop {
            let head = Head::read(&mut rest).unwrap();
            if head.kind == Kind::End {
                break;
            }
            let (data, more) = rest.split_at(usize::try_from(head.size).unwrap());
            let text = |it: &[u8]| String::from_utf8(it.to_vec()).unwrap();
            names.push((head.kind, text(&head.name), text(data)));
            rest = more;
        }
        assert!(rest.is_empty());
        let expected = [
            (Kind::Directory, "empty", ""),
            (Kind::File, "f", "text"),
            (Kind::Link, "link", "f"),
        ];
        assert_eq!(
            names,
            expected.map(|(kind, name, text)| (kind, name.into(), text.into()))
        );
        assert!(of(Some(sent.size)).is_ok());
        let error = of(Some(20)).unwrap_err().to_string();
        assert!(error.ends_with("takes more than 20 bytes"), "{error}");
    }

    #[test]
    fn nothing_of_the_spool_and_nothing_by_a_way_out_is_sent() {
        let home = tempfile::tempdir().unwrap();
        let base = home.path().join("base");
        fs::create_dir_all(base.join("spool/m")).unwrap();
        fs::write(base.join("spool/m/secret"), "x").unwrap();
        fs::write(home.path().join("outside"), "x").unwrap();
        symlink(home.path().join("outside"), base.join("way")).unwrap();
        symlink("spool/m/secret", base.join("inner")).unwrap();
        let content = home.path().join("content");
        let try_path = |path: &str, kind| {
            let error = send(&upload(path, kind, None), &base, &content).unwrap_err();
            error.to_string()
        };
        let spool = base.join("spool/m").display().to_string();
        for path in ["../outside", "way"] {
            let error = try_path(path, UploadKind::File);
            assert!(
                error.ends_with("leaves the slave's base directory"),
                "{error}"
            );
        }
        fs::create_dir(base.join("mirrors")).unwrap();
        fs::write(base.join("mirrors/x"), "x").unwrap();
        for path in ["spool/m/secret", "inner", spool.as_str(), "mirrors/x"] {
            let error = try_path(path, UploadKind::File);
            assert!(
                error.ends_with("belongs to the slave itself"),
                "{path}: {error}"
            );
        }
        let all = base.display().to_string();
        let error = try_path(&all, UploadKind::Directory);
        assert!(error.ends_with("belongs to the slave itself"), "{error}");
        assert!(try_path("none", UploadKind::File).ends_with("is not there"));
        fs::create_dir(base.join("dir")).unwrap();
        assert!(try_path("dir", UploadKind::File).ends_with("is no file"));
    }
}
