//! A disk of the slave that does not take what is to be written: its commands
//! wait until it does. A runner tells the slave, the slave its log (once) and
//! its master.

use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::StatVfsMountFlags;
use tracing::{info, warn};

use super::order::CommandDir;
use super::runner_log::News;
use crate::logs::disk;
use crate::model::CommandId;
use crate::wire::FromSlave;

/// How often a full disk is tried again.
pub(super) const DISK: Duration = Duration::from_secs(1);

/// A runner that waits says so again after [`DISK`]: who has said nothing for so long waits no
/// longer.
pub(super) const HELD: Duration = Duration::from_secs(5);

/// More of a file system than a small file takes.
const ROOM: u64 = 64 << 10;

/// Does what needs room on the disk: again and again, if there is none, as long as the command
/// is there.
pub(super) fn when_there_is_room<T>(
    dir: &CommandDir,
    news: &mut News,
    mut act: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    loop {
        match act() {
            Err(error) if disk::may_pass(&error) && dir.path().is_dir() => {
                news.tell_of_disk();
                thread::sleep(DISK);
            }
            done => return done,
        }
    }
}

/// What is the matter with the disk of a directory.
fn ailment(dir: &Path) -> String {
    let shown = dir.display();
    let Ok(found) = rustix::fs::statvfs(dir) else {
        return format!("`{shown}` cannot be looked at");
    };
    if found.f_flag.contains(StatVfsMountFlags::RDONLY) {
        format!("`{shown}` is on a file system that is read-only")
    } else if found.f_bavail.saturating_mul(found.f_frsize) < ROOM {
        format!("the file system of `{shown}` is full")
    } else if found.f_files > 0 && found.f_favail == 0 {
        format!("the file system of `{shown}` has no room for more files")
    } else {
        format!("the file system of `{shown}` does not take what is written")
    }
}

/// What was told of the disk.
#[derive(Debug, Default)]
pub(super) struct DiskNews {
    /// The commands that waited when it was told.
    held: Vec<CommandId>,
}

impl DiskNews {
    /// Whether the master was told that something waits, and not yet that nothing does.
    pub(super) fn is_bad(&self) -> bool {
        !self.held.is_empty()
    }

    /// What a master is to hear now that these commands wait; the log hears it too.
    pub(super) fn changed(&mut self, basedir: &Path, held: Vec<CommandId>) -> Option<FromSlave> {
        if held == self.held {
            return None;
        }
        let before = std::mem::replace(&mut self.held, held);
        let why = match (before.is_empty(), self.held.is_empty()) {
            (_, true) => {
                info!("the disk takes everything again; commands go on");
                None
            }
            (was_well, false) => {
                let why = ailment(basedir);
                if was_well {
                    let count = self.held.len();
                    warn!(count, "{why}; commands wait, and go on by themselves");
                }
                Some(why)
            }
        };
        Some(FromSlave::Troubled {
            why,
            commands: self.held.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BuildId;

    #[test]
    fn a_master_hears_each_change_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut news = DiskNews::default();
        let id = CommandId {
            build: BuildId(1),
            step: 0,
            index: 0,
            attempt: 0,
        };
        assert_eq!(news.changed(dir.path(), vec![]), None);
        assert!(!news.is_bad());
        let Some(FromSlave::Troubled { why, commands }) = news.changed(dir.path(), vec![id]) else {
            panic!("it begins");
        };
        assert!(news.is_bad());
        assert!(why.is_some_and(|it| it.contains("the file system of `")));
        assert_eq!(commands, [id]);
        assert_eq!(news.changed(dir.path(), vec![id]), None);
        let over = FromSlave::Troubled {
            why: None,
            commands: vec![],
        };
        assert_eq!(news.changed(dir.path(), vec![]), Some(over));
    }
}
