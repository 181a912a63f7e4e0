//! Where a log is read from.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::logs::pack::{self, Packed};
use crate::logs::times;

/// Where a log is read from.
#[derive(Clone, Debug)]
pub(crate) enum LogPlace {
    /// A file, which may not be there yet, or any more.
    File(PathBuf),
    Packed(Arc<Packed>),
}

impl LogPlace {
    /// The file at `path`, unless it is gone and the log is in the pack that `pack` finds.
    ///
    /// # Errors
    /// What `pack` says, or the pack is damaged.
    pub(crate) async fn of<E: From<io::Error>>(
        path: PathBuf,
        file: &str,
        pack: impl Future<Output = Result<Option<Vec<u8>>, E>>,
    ) -> Result<Self, E> {
        if path.exists() {
            return Ok(Self::File(path));
        }
        let found = match pack.await? {
            Some(pack) => pack::find(&pack, file)?,
            None => None,
        };
        Ok(found.map_or(Self::File(path), |it| Self::Packed(it.into())))
    }

    /// Opens it; `None` if nothing was written yet, or the file is gone. What was packed is a
    /// file in memory, so that all logs are read in one way.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn open(&self) -> io::Result<Option<File>> {
        match self {
            Self::File(path) => match File::open(path) {
                Ok(file) => Ok(Some(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            },
            Self::Packed(packed) => in_memory(&packed.bytes).map(Some),
        }
    }

    /// Opens what was noted down of when it came, if there is anything.
    pub(crate) fn open_times(&self) -> Option<File> {
        match self {
            Self::File(path) => File::open(times::path_of(path)).ok(),
            Self::Packed(packed) => {
                let times = packed.times.as_deref()?;
                in_memory(times).ok()
            }
        }
    }
}

fn in_memory(bytes: &[u8]) -> io::Result<File> {
    let mut file = File::from(memfd_create("log", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}
