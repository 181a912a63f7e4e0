//! Small logs that stand in the database until the disk has their files. A file that is new
//! is made safe by writing down what else the disk has to do, which takes longer than a short
//! command; so the log goes down with the command's end, and files are made safe together.

use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time;
use tracing::{info, warn};

use crate::master::crew::Crew;
use crate::store::{Result, StoreHandle};

/// How long a log stands in the database: what ends within that time is made safe together.
const WHILE: Duration = Duration::from_secs(5);
/// So many are not kept waiting: what they take of the database's file is taken for good.
const MANY: u32 = 128;

/// Writes files again that a power cut has taken; whether all of them are there now. It is for the
/// start: later a file may be gone because it was pruned.
///
/// # Errors
/// The database cannot be read.
pub(crate) async fn restore(store: &StoreHandle, dir: &Path) -> Result<bool> {
    let builds = dir.join("builds");
    store
        .read(move |verbs| {
            let mut is_whole = true;
            verbs.fresh_logs(&mut |file, bytes| {
                let path = builds.join(file);
                if fs::read(&path).is_ok_and(|it| it.starts_with(bytes)) {
                    return;
                }
                let parent = path.parent().unwrap_or(&builds);
                match fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes)) {
                    Ok(()) => info!(log = file, "a log was lost with the power, and is back"),
                    Err(error) => {
                        warn!(log = file, reason = %error, "failed to bring a log back");
                        is_whole = false;
                    }
                }
            })?;
            Ok(is_whole)
        })
        .await
}

/// Makes the files safe, until the master stops. Where one could not be written at the start, all
/// stay in the database until the next.
pub(crate) async fn run(crew: Arc<Crew>) {
    // An earlier master may have left some.
    crew.fresh_logs.add_permits(1);
    loop {
        tokio::select! {
            () = crew.stop.cancelled() => return,
            () = some(&crew.fresh_logs) => {}
        }
        if let Err(error) = make_safe(&crew.store, &crew.dir).await {
            warn!(reason = %error, "failed to let go of small logs");
        }
    }
}

/// Returns when there are some, after a while or when there are many. Each has a permit.
async fn some(fresh: &Semaphore) {
    if fresh.acquire().await.is_ok() {
        drop(time::timeout(WHILE, fresh.acquire_many(MANY)).await);
    }
    fresh.forget_permits(usize::MAX);
}

async fn make_safe(store: &StoreHandle, dir: &Path) -> Result<()> {
    // Asked of who writes: what has come in just now is on disk when this is answered.
    let Some(last) = store.write(|verbs| verbs.last_fresh_log()).await? else {
        return Ok(());
    };
    let builds = dir.join("builds");
    let syncing = tokio::task::spawn_blocking(move || Ok(rustix::fs::syncfs(File::open(builds)?)?));
    let synced: std::io::Result<()> = match syncing.await {
        Ok(synced) => synced,
        Err(error) => Err(error.into()),
    };
    match synced {
        Ok(()) => {
            store
                .write(move |verbs| verbs.forget_fresh_logs(last))
                .await
        }
        Err(error) => {
            warn!(reason = %error, "failed to make small logs safe; they stay in the database");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::model::BuildId;
    use crate::store::Store;

    fn keep(verbs: &mut dyn Store, file: &str, bytes: &[u8]) -> Result<()> {
        verbs.keep_fresh_log(BuildId(1), file, bytes)
    }

    async fn store(dir: &Path) -> StoreHandle {
        let path = dir.join("state.sqlite");
        let store = StoreHandle::open(&path).expect("a store");
        let made = store.write(|verbs| {
            let (_, requests) = verbs.add_buildset(
                &crate::model::NewBuildset {
                    priority: None,
                    reason: String::new(),
                    stamp: crate::model::SourceStamp::default(),
                    properties: crate::model::Properties::new(),
                    builders: vec!["b".into()],
                },
                crate::model::Timestamp(1),
            )?;
            let new = crate::store::NewBuild {
                config: None,
                builder: "b".into(),
                slave: "s".into(),
                requests,
                stamp: crate::model::SourceStamp::default(),
                reason: String::new(),
                locks: Vec::new(),
            };
            verbs.start_build(&new, crate::model::Timestamp(1))
        });
        assert_eq!(made.await.expect("made").expect("free").id, BuildId(1));
        store
    }

    #[tokio::test]
    async fn what_the_power_took_of_small_logs_is_written_again_and_more_is_left() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(dir.path()).await;
        let logs = [("b/gone", "one"), ("b/torn", "two"), ("b/more", "three")];
        let written = store.write(move |verbs| {
            keep(verbs, "b/torn", b"an earlier command of the step")?;
            logs.iter()
                .try_for_each(|(file, text)| keep(verbs, file, text.as_bytes()))
        });
        written.await.expect("written");
        let builds = dir.path().join("builds");
        fs::create_dir_all(builds.join("b")).expect("made");
        fs::write(builds.join("b/torn"), "\0\0").expect("written");
        fs::write(builds.join("b/more"), "three and four").expect("written");

        assert!(restore(&store, dir.path()).await.expect("read"));

        let text = |file: &str| fs::read_to_string(builds.join(file)).expect("a log");
        let now: BTreeMap<_, _> = logs.map(|(file, _)| (file, text(file))).into();
        assert_eq!(now["b/gone"], "one");
        assert_eq!(now["b/torn"], "two");
        assert_eq!(now["b/more"], "three and four");
    }

    #[tokio::test]
    async fn what_cannot_be_written_again_is_not_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(dir.path()).await;
        let written = store.write(|verbs| keep(verbs, "b/log", b"one"));
        written.await.expect("written");
        fs::write(dir.path().join("builds"), "in the way").expect("written");

        let last = store.read(|verbs| verbs.last_fresh_log()).await;
        assert_eq!(last.expect("read"), Some(1));
        fs::remove_file(dir.path().join("builds")).expect("out of the way");
        assert!(restore(&store, dir.path()).await.expect("read"));
        let log = fs::read_to_string(dir.path().join("builds/b/log"));
        assert_eq!(log.expect("back"), "one");
    }

    #[tokio::test(start_paused = true)]
    async fn logs_are_made_safe_after_a_while_and_at_once_when_there_are_many() {
        let fresh = Semaphore::new(0);
        fresh.add_permits(1);
        let begun = time::Instant::now();
        some(&fresh).await;
        assert_eq!(begun.elapsed(), WHILE);

        fresh.add_permits(MANY as usize);
        let begun = time::Instant::now();
        some(&fresh).await;
        assert_eq!(begun.elapsed(), Duration::ZERO);

        let none = time::timeout(Duration::from_hours(1), some(&fresh));
        assert!(none.await.is_err(), "nothing has come since");
    }

    #[tokio::test]
    async fn logs_leave_the_database_when_their_files_are_safe() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(dir.path()).await;
        fs::create_dir_all(dir.path().join("builds")).expect("made");
        let written = store.write(|verbs| keep(verbs, "b/log", b"one"));
        written.await.expect("written");

        make_safe(&store, dir.path()).await.expect("safe");

        let last = store.read(|verbs| verbs.last_fresh_log()).await;
        assert_eq!(last.expect("read"), None);
        let log = dir.path().join("builds/b/log");
        assert!(!log.exists(), "its file was pruned meanwhile");
    }
}
