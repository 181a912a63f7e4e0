//! Pieces of the master's files, for the steps that send them to a slave.

use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use crate::model::Command;
use crate::model::FileCommand;
use crate::model::FileWrite;
use crate::steps::Piece;
use crate::wire::Checksum;

/// Reads the piece, and gives the command that writes it on the slave; `Err` says why
/// there is nothing to send.
pub(super) async fn read(basedir: &Path, piece: Piece) -> Result<Command, String> {
    let basedir = basedir.to_owned();
    let read = tokio::task::spawn_blocking(move || now(&basedir, &piece)).await;
    let read = read.map_err(|_| "reading the file broke off; see the master's log".to_owned())?;
    read.map(|write| Command::File(FileCommand::Write(write)))
}

fn now(basedir: &Path, piece: &Piece) -> Result<FileWrite, String> {
    let path = place(basedir, &piece.file)?;
    let failed = |error: io::Error| format!("`{}` cannot be read: {error}", path.display());
    // Looked at before it is opened: opening a pipe would wait for who writes it.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(format!("`{}` is no file", path.display()));
    }
    let file = File::open(&path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    let size = metadata.len();
    let modified = metadata.modified().ok();
    let modified = modified.and_then(|it| it.duration_since(UNIX_EPOCH).ok());
    let version = format!("{size}-{:x}", modified.unwrap_or_default().as_nanos());
    let changed = || format!("`{}` changed while it was sent", path.display());
    if piece.version.as_ref().is_some_and(|it| *it != version) {
        return Err(changed());
    }
    let total = piece.max_size.map_or(size, |it| it.min(size));
    let end = total.min(piece.offset.saturating_add(piece.length));
    let length = end.checked_sub(piece.offset).ok_or_else(changed)?;
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| changed())?];
    match file.read_exact_at(&mut bytes, piece.offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(changed()),
        read => read.map_err(failed)?,
    }
    let is_last = end == total;
    let sha256 = match is_last {
        true => Some(checksum(&file, total).map_err(failed)?),
        false => None,
    };
    Ok(FileWrite {
        path: piece.path.clone(),
        offset: piece.offset,
        bytes,
        size,
        is_last,
        version,
        sha256,
        mode: piece.mode,
    })
}

/// Of all that is sent, of which the last piece is only the end.
fn checksum(file: &File, total: u64) -> io::Result<String> {
    let mut sum = Checksum::default();
    let mut block = vec![0; 256 << 10];
    let mut at = 0;
    while at < total {
        let most = usize::try_from(total - at).unwrap_or(block.len());
        let most = most.min(block.len());
        let size = file.read_at(&mut block[..most], at)?;
        if size == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        sum.write_all(&block[..size])?;
        at += size as u64;
    }
    Ok(sum.into_hex())
}

/// Relative to the master's directory; `~` is the home of who runs it.
fn place(basedir: &Path, path: &str) -> Result<PathBuf, String> {
    match path.strip_prefix("~/") {
        Some(rest) => match std::env::home_dir() {
            Some(home) => Ok(home.join(rest)),
            None => Err("`~` stands for a home directory, and the master has none".into()),
        },
        None => Ok(basedir.join(path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(file: &str, offset: u64) -> Piece {
        Piece {
            file: file.into(),
            path: "x".into(),
            offset,
            length: 4,
            max_size: None,
            version: None,
            mode: None,
        }
    }

    #[test]
    fn pieces_follow_each_other_until_the_file_ends() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("f"), "0123456789").expect("a file");
        let read = |piece: &Piece| now(dir.path(), piece).expect("a piece");
        let first = read(&piece("f", 0));
        assert_eq!(
            (&first.bytes[..], first.is_last, first.size),
            (&b"0123"[..], false, 10)
        );
        let next = Piece {
            version: Some(first.version),
            ..piece("f", 8)
        };
        let last = read(&next);
        assert_eq!((&last.bytes[..], last.is_last), (&b"89"[..], true));
        let cut = Piece {
            max_size: Some(6),
            ..piece("f", 4)
        };
        let last = read(&cut);
        assert_eq!(
            (&last.bytes[..], last.is_last, last.size),
            (&b"45"[..], true, 10)
        );

        std::fs::write(dir.path().join("f"), "other").expect("a file");
        let said = now(dir.path(), &next).expect_err("another version");
        assert!(said.ends_with("/f` changed while it was sent"), "{said}");
        std::fs::write(dir.path().join("f"), "").expect("a file");
        let empty = read(&piece("f", 0));
        assert_eq!((&empty.bytes[..], empty.is_last), (&b""[..], true));
    }

    #[test]
    fn what_is_no_file_is_told() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(dir.path().join("d")).expect("a directory");
        let said = |file: &str| now(dir.path(), &piece(file, 0)).expect_err(file);
        assert!(said("d").ends_with("/d` is no file"));
        assert!(
            said("gone").ends_with("/gone` cannot be read: No such file or directory (os error 2)")
        );
        assert!(said("/dev/null").ends_with("`/dev/null` is no file"));
    }
}
