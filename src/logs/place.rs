//! Where a log is read from.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::logs::pack::Packed;
use crate::logs::times;

/// Where a log is read from.
#[derive(Clone, Debug)]
pub(crate) enum LogPlace {
    /// A file, which may not be there yet, or any more.
    File(PathBuf),
    Packed(Arc<Packed>),
}

impl LogPlace {
    /// The file, unless it is gone and was `packed`.
    pub(crate) async fn of<E>(
        path: PathBuf,
        packed: impl Future<Output = Result<Option<Packed>, E>>,
    ) -> Result<Self, E> {
        if path.exists() {
            return Ok(Self::File(path));
        }
        Ok(match packed.await? {
            Some(packed) => Self::Packed(packed.into()),
            None => Self::File(path),
        })
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
