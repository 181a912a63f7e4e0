//! One daemon per directory: a lock that the kernel lets go of when its holder
//! dies, and the holder's process id for people and for `stop`.

use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::process;
use std::thread;
use std::time::Duration;

const LOCK: &str = "autobot.lock";
const PID: &str = "autobot.pid";

/// While it lives, no other daemon runs in its directory.
#[derive(Debug)]
pub(in crate::cli) struct Lock {
    _held: File,
    pid: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum LockError {
    /// The process id is known unless the other one is just starting.
    #[error("it is already running{}", .0.map_or(String::new(), |pid| format!(" as process {pid}")))]
    Held(Option<u32>),
    #[error("failed to take `{}`", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl Lock {
    /// Takes the lock of `dir` and writes down who has it.
    pub(in crate::cli) fn take(dir: &Path) -> Result<Self, LockError> {
        let path = dir.join(LOCK);
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        let file = open(&path).map_err(failed)?;
        // Somebody who looks whether a daemon runs holds the lock for a moment.
        let mut tries = 0;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < 10 => {
                    tries += 1;
                    thread::sleep(Duration::from_millis(10));
                }
                Err(TryLockError::WouldBlock) => return Err(LockError::Held(pid_in(dir))),
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
        }
        let pid = dir.join(PID);
        fs::write(&pid, format!("{}\n", process::id())).map_err(|source| LockError::Io {
            path: pid.clone(),
            source,
        })?;
        Ok(Self { _held: file, pid })
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.pid);
    }
}

/// A daemon that runs in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) struct Running {
    /// Not known while it is just starting or just ending.
    pub(in crate::cli) pid: Option<u32>,
}

/// Who runs in `dir`. A process id that a crash left behind counts for nothing.
pub(in crate::cli) fn running(dir: &Path) -> Result<Option<Running>, LockError> {
    let path = dir.join(LOCK);
    let failed = |source| LockError::Io {
        path: path.clone(),
        source,
    };
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(None),
        Err(TryLockError::WouldBlock) => {
            let pid = pid_in(dir).or_else(|| holder(&file));
            Ok(Some(Running { pid }))
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
}

/// Who holds the lock, as the kernel tells it: for a base directory whose file with the
/// process id somebody has removed.
fn holder(lock: &File) -> Option<u32> {
    let inode = format!(":{}", lock.metadata().ok()?.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_ours = words.next() == Some("FLOCK") && words.nth(1) == Some("WRITE");
        let pid = words.next()?.parse().ok()?;
        (is_ours && words.next()?.ends_with(&inode)).then_some(pid)
    })
}

fn pid_in(dir: &Path) -> Option<u32> {
    let text = fs::read_to_string(dir.join(PID)).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_directory_has_one_daemon() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(running(dir.path()).unwrap(), None);

        let lock = Lock::take(dir.path()).unwrap();
        let me = Some(process::id());
        assert_eq!(running(dir.path()).unwrap(), Some(Running { pid: me }));
        let error = Lock::take(dir.path()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("it is already running as process {}", process::id())
        );

        drop(lock);
        assert_eq!(running(dir.path()).unwrap(), None);
        assert!(!dir.path().join(PID).exists());
    }

    #[test]
    fn what_a_crash_left_behind_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LOCK), "").unwrap();
        fs::write(dir.path().join(PID), "1234\n").unwrap();
        assert_eq!(running(dir.path()).unwrap(), None);
        let lock = Lock::take(dir.path()).unwrap();
        assert_eq!(pid_in(dir.path()), Some(process::id()));
        drop(lock);
    }
}
