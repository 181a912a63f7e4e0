//! `shutdown.stamp` in the base directory: who touches it asks the slave to
//! end when its builds have.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::interval;
use tokio_util::sync::CancellationToken;
use tracing::info;

const FILE: &str = "shutdown.stamp";

/// Between two looks.
const EVERY: Duration = Duration::from_secs(10);

/// The file as it was when the slave started.
pub(super) struct Stamp {
    path: PathBuf,
    before: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(basedir: &Path) -> Self {
        let path = basedir.join(FILE);
        let before = modified(&path);
        Self { path, before }
    }

    /// Looks until the file is newer than it was; then cancels `going`.
    pub(super) async fn watch(self, going: CancellationToken) {
        let mut look = interval(EVERY);
        while !self.is_newer() {
            look.tick().await;
        }
        info!(file = FILE, "somebody asks this slave to end");
        going.cancel();
    }

    fn is_newer(&self) -> bool {
        // That it is not there is less than any time.
        modified(&self.path) > self.before
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).ok()?.modified().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path, secs: u64) {
        let file = fs::File::options().create(true).append(true).open(path);
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
        file.unwrap().set_modified(at).unwrap();
    }

    #[test]
    fn only_a_newer_stamp_or_its_making_counts() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join(FILE);
        let none = Stamp::of(base.path());
        assert!(!none.is_newer());
        touch(&path, 1000);
        assert!(none.is_newer(), "it was made");
        let old = Stamp::of(base.path());
        assert!(!old.is_newer());
        touch(&path, 999);
        assert!(!old.is_newer());
        touch(&path, 1001);
        assert!(old.is_newer());
        fs::remove_file(&path).unwrap();
        assert!(!old.is_newer());
    }

    #[tokio::test(start_paused = true)]
    async fn a_touch_is_seen() {
        let base = tempfile::tempdir().unwrap();
        let stamp = Stamp::of(base.path());
        let going = CancellationToken::new();
        let watching = tokio::spawn(stamp.watch(going.clone()));
        tokio::task::yield_now().await;
        assert!(!going.is_cancelled());
        touch(&base.path().join(FILE), 1000);
        going.cancelled().await;
        watching.await.unwrap();
    }
}
