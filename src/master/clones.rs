//! Clones of repositories that no source follows any more: their directories
//! go. Only those that the names say to be the master's own are looked at, and none that was in use
//! today, so that a source which leaves the configuration and comes back finds what it had.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::changes;
use crate::config::Plan;
use crate::master::crew::Crew;

/// What something was done in since then is kept.
const A_DAY: Duration = Duration::from_hours(24);

/// Removes what no source of the plan works in.
pub(super) async fn clear(crew: &Crew) {
    let used = used(&crew.plan());
    let dir = crew.dir.join("pollers");
    let clearing = tokio::task::spawn_blocking(move || clear_dir(&dir, &used, A_DAY));
    match clearing.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(reason = %error, "failed to look for old clones"),
        Err(_) => warn!("looking for old clones broke off"),
    }
}

/// The names of the directories that the sources work in.
fn used(plan: &Plan) -> BTreeSet<String> {
    let sources = plan.sources.iter();
    sources
        .map(|it| changes::dir_of(&it.name, &it.settings))
        .collect()
}

fn clear_dir(dir: &Path, used: &BTreeSet<String>, idle: Duration) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let is_ours = entry.file_type()?.is_dir()
            && entry
                .file_name()
                .to_str()
                .is_some_and(|it| changes::is_dir_name(it) && !used.contains(it));
        let path = entry.path();
        if !is_ours || is_in_use(&path, idle)? {
            continue;
        }
        match fs::remove_dir_all(&path) {
            Ok(()) => info!(dir = %path.display(), "removed a clone that no source uses"),
            Err(error) => {
                warn!(dir = %path.display(), reason = %error, "failed to remove an old clone");
            }
        }
    }
    Ok(())
}

/// Whether something in it was written lately.
fn is_in_use(dir: &Path, idle: Duration) -> io::Result<bool> {
    let is_new = |it: fs::Metadata| -> io::Result<bool> {
        let age = now().duration_since(it.modified()?);
        // One from the future is as old as the clock that wrote it is wrong.
        Ok(age.is_ok_and(|it| it < idle))
    };
    if is_new(fs::metadata(dir)?)? {
        return Ok(true);
    }
    for entry in fs::read_dir(dir)? {
        // What goes meanwhile is written to.
        if entry?.metadata().is_ok_and(|it| is_new(it).unwrap_or(true)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn now() -> SystemTime {
    let since = u64::try_from(crate::clock::now().0).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_millis(since)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;

    #[test]
    fn a_clone_that_no_source_uses_goes_and_nothing_that_others_made() {
        let plan = plan_of(
            "[:master:]\nslaveport = none\nhtmlport = none\n\
             [source:x]\ntype = git\nurl = /srv/x\n[source:y]\ntype = bzr\nurl = /srv/y\n",
        );
        let used = used(&plan);
        assert_eq!(used.len(), 2);
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("pollers");
        clear_dir(&dir, &used, Duration::ZERO).expect("there is nothing yet");
        let old = "0123456789abcdef0123";
        let others = ["notes", "0123456789ABCDEF0123", "0123456789abcdef01234"];
        for name in used.iter().map(String::as_str).chain(others).chain([old]) {
            fs::create_dir_all(dir.join(name).join("refs")).expect("made");
        }
        let file = "fedcba98765432100123";
        fs::write(dir.join(file), "").expect("written");
        let elsewhere = base.path().join("elsewhere");
        fs::create_dir_all(&elsewhere).expect("made");
        let link = "aaaaaaaaaaaaaaaaaaaa";
        std::os::unix::fs::symlink(&elsewhere, dir.join(link)).expect("linked");

        clear_dir(&dir, &used, A_DAY).expect("cleared");
        assert!(dir.join(old).exists(), "it was in use today");
        clear_dir(&dir, &used, Duration::ZERO).expect("cleared");
        assert!(!dir.join(old).exists());
        for name in used
            .iter()
            .map(String::as_str)
            .chain(others)
            .chain([file, link])
        {
            assert!(dir.join(name).symlink_metadata().is_ok(), "{name}");
        }
        assert!(elsewhere.exists());
    }
}
