//! A directory for what nobody needs a moment later.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::cli::exit::Failure;

/// It is gone when this is.
pub(super) struct Draft(PathBuf);

impl Draft {
    pub(super) fn new() -> Result<Self, Failure> {
        let dir = std::env::temp_dir().join(format!("autobot-try-{}", chance()?));
        let made = DirBuilder::new().mode(0o700).create(&dir);
        made.map_err(|error| {
            Failure::because(format!("failed to make `{}`", dir.display()), &error)
        })?;
        Ok(Self(dir))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0
    }

    pub(super) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // What is left of it is in nobody's way.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A number that nobody else has.
pub(super) fn chance() -> Result<u64, Failure> {
    getrandom::u64().map_err(|error| Failure::new(format!("this system has no chance: {error}")))
}
