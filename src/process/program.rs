//! The file of this program, which may be replaced while it runs.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, WaitId, WaitIdOptions, WaitOptions, getpid, waitid, waitpid};

use super::tree;

/// What the system adds to the name of a file that is no longer there.
const GONE: &[u8] = b" (deleted)";

/// The file of this program; if it was replaced since this process started, the one that is
/// there now.
pub(crate) fn own_program() -> io::Result<PathBuf> {
    let path = env::current_exe()?;
    match path.as_os_str().as_bytes().strip_suffix(GONE) {
        Some(name) if !path.exists() => Ok(PathBuf::from(OsStr::from_bytes(name))),
        _ => Ok(path),
    }
}

/// What tells a file from the one that has its place later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

impl Sight {
    fn of(path: &Path) -> Option<Self> {
        let found = path.metadata().ok().filter(|it| it.is_file())?;
        Some(Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
        })
    }
}

/// Looks whether the file of a program was replaced.
#[derive(Debug)]
pub(crate) struct ProgramFile {
    path: PathBuf,
    /// The one that runs, or the last one that was found to be no good.
    known: Option<Sight>,
    /// Another one, as it was at the last look: while it changes it is being written.
    seen: Option<Sight>,
}

impl ProgramFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            known: Sight::of(&path),
            path,
            seen: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether another program lies there now, and as it did at the last look. Each is reported
    /// once.
    pub(crate) fn is_replaced(&mut self) -> bool {
        let now = Sight::of(&self.path);
        if now.is_none() || now == self.known {
            self.seen = None;
            return false;
        }
        if self.seen != now {
            self.seen = now;
            return false;
        }
        self.known = now;
        true
    }
}

/// What this process had started before it became this program: nobody else waits for it.
#[derive(Debug)]
pub(crate) struct Inherited(Vec<Pid>);

impl Inherited {
    /// To be asked before this program starts anything.
    pub(crate) fn now() -> Self {
        // Asked first: to know whose they are, all processes of the host are looked at.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::All, look) {
            Err(Errno::CHILD) => Self(Vec::new()),
            _ => Self(tree::descendants(getpid())),
        }
    }

    /// Buries those that have ended; `false` if there is nobody left.
    pub(crate) fn bury(&mut self) -> bool {
        // Who is no child of ours is somebody else's to bury.
        self.0
            .retain(|pid| matches!(waitpid(Some(*pid), WaitOptions::NOHANG), Ok(None)));
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_program_is_replaced_when_the_new_one_lies_still() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("program");
        let put = |text: &str| {
            let fresh = dir.path().join("fresh");
            fs::write(&fresh, text).unwrap();
            fs::rename(fresh, &path).unwrap();
        };
        put("1");
        let mut file = ProgramFile::new(path.clone());
        assert!(!file.is_replaced());
        put("2.0");
        assert!(!file.is_replaced(), "it may still be written");
        assert!(file.is_replaced());
        assert!(!file.is_replaced(), "said once");
        fs::remove_file(&path).unwrap();
        assert!(!file.is_replaced());
    }
}
