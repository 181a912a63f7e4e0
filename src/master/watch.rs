//! `watch = yes`: a changed file of the configuration is put into force by
//! itself. The kernel tells of changes where it can; elsewhere the files are
//! looked at every few seconds. Only another text counts, not another time.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config;
use crate::config::Plan;
use crate::master::handle::MasterHandle;

/// Who saves several files, or one in several steps, is given the time to finish.
const SETTLED: Duration = Duration::from_millis(300);
/// How often the files are looked at where the kernel tells nothing.
const LOOK: Duration = Duration::from_secs(3);

/// The files of the plan in force, and where others that belong to it may appear.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Watched {
    files: BTreeMap<PathBuf, u64>,
    /// The files again, by every name that the kernel may tell.
    names: BTreeSet<PathBuf>,
    dirs: BTreeSet<PathBuf>,
}

/// What each file holds; a file that cannot be read holds nothing.
type Texts = BTreeMap<PathBuf, Option<u64>>;

impl Watched {
    pub(super) fn of(dir: &Path, plan: &Plan) -> Self {
        let files: BTreeMap<_, _> = plan
            .files
            .iter()
            // What a program prints is no file.
            .filter(|it| !config::is_printed(&it.name))
            .map(|it| (config::path_of(it), print(it.text.as_bytes())))
            .chain(certificates(plan))
            .collect();
        let mut dirs = BTreeSet::from([dir.to_owned(), dir.join("factories")]);
        let mut names: BTreeSet<PathBuf> = files.keys().cloned().collect();
        // Behind a link the file changes elsewhere.
        names.extend(files.keys().filter_map(|it| fs::canonicalize(it).ok()));
        dirs.extend(
            names
                .iter()
                .filter_map(|it| it.parent())
                .map(Path::to_owned),
        );
        dirs.retain(|it| it.is_dir());
        Self { files, names, dirs }
    }

    #[cfg(test)]
    pub(super) fn watch_too(&mut self, dir: PathBuf) {
        self.dirs.insert(dir);
    }

    /// The texts as they are now: of the plan's files, and of those that may belong to it.
    fn texts(&self) -> Texts {
        let mut paths: BTreeSet<PathBuf> = self.files.keys().cloned().collect();
        for dir in &self.dirs {
            let entries = fs::read_dir(dir).into_iter().flatten().flatten();
            paths.extend(entries.map(|it| it.path()).filter(|it| belongs(it)));
        }
        let read = |path: PathBuf| {
            let text = fs::read(&path).ok();
            (path, text.map(|it| print(&it)))
        };
        paths.into_iter().map(read).collect()
    }

    /// Whether the plan was made of other texts.
    fn is_behind(&self, texts: &Texts) -> bool {
        let mut files = self.files.iter();
        files.any(|(path, print)| texts.get(path) != Some(&Some(*print)))
    }
}

/// The certificates of the port for slaves and of the pages, and their keys: what they hold is not
/// in the plan, and is read with every reload.
fn certificates(plan: &Plan) -> impl Iterator<Item = (PathBuf, u64)> {
    let line = &plan.master.line;
    let files = [&line.certificate, &line.key].into_iter().flatten();
    let pages = plan.web.server.tls.iter();
    let files = files.chain(pages.flat_map(|it| [&it.certificate, &it.key]));
    files.filter_map(|it| Some((it.clone(), print(&fs::read(it).ok()?))))
}

/// Whether a file may be part of a configuration; editors keep their own beside it.
fn belongs(path: &Path) -> bool {
    let is_hidden = path
        .file_name()
        .is_none_or(|it| it.as_encoded_bytes().starts_with(b"."));
    !is_hidden
        && path
            .extension()
            .is_some_and(|it| it == "ini" || it == "toml")
}

fn print(text: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Reloads when a text has changed, until `stop`.
pub(super) async fn watch(handle: MasterHandle, watched: Arc<Watched>, stop: CancellationToken) {
    // One that waits says all there is to say.
    let (tell, mut told) = mpsc::channel(1);
    let told_by = match listen(&watched, tell) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            warn!(reason = %error, "cannot be told of changed files; looking every few seconds");
            None
        }
    };
    // Only now: what changes from here on is told. What changed since the plan was read is
    // seen at the first look.
    let mut seen = look(&watched).await;
    let mut is_news = watched.is_behind(&seen);
    loop {
        if is_news {
            info!("a file of the configuration has changed");
            // The problems are in the log, and on the pages until they are gone.
            drop(handle.reload().await);
        }
        let next = async {
            match &told_by {
                None => time::sleep(LOOK).await,
                Some(_) => {
                    if told.recv().await.is_none() {
                        std::future::pending().await
                    }
                    while let Ok(Some(())) = time::timeout(SETTLED, told.recv()).await {}
                }
            }
        };
        if stop.run_until_cancelled(next).await.is_none() {
            return;
        }
        let texts = look(&watched).await;
        is_news = texts != seen;
        seen = texts;
    }
}

async fn look(watched: &Arc<Watched>) -> Texts {
    let watched = Arc::clone(watched);
    let texts = tokio::task::spawn_blocking(move || watched.texts()).await;
    texts.unwrap_or_default()
}

/// Has the kernel tell of the files in the directories.
fn listen(watched: &Watched, tell: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let names = watched.names.clone();
    let heard = move |event: notify::Result<notify::Event>| {
        let concerns = match event {
            // The database and the log lie there too, and change all the time.
            Ok(event) => {
                let is_ours = |it: &PathBuf| belongs(it) || names.contains(it);
                !event.kind.is_access() && event.paths.iter().any(is_ours) || event.need_rescan()
            }
            // It may stand for events that were lost.
            Err(_) => true,
        };
        if concerns {
            // A word that finds another waiting says nothing new.
            let _ = tell.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(heard)?;
    for dir in &watched.dirs {
        watcher.watch(dir, RecursiveMode::NonRecursive)?;
    }
    Ok(watcher)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(dir: &Path, files: &[(&str, &str)]) -> Watched {
        let files: BTreeMap<_, _> = files
            .iter()
            .map(|(name, text)| (dir.join(name), print(text.as_bytes())))
            .collect();
        Watched {
            names: files.keys().cloned().collect(),
            files,
            dirs: BTreeSet::from([dir.to_owned()]),
        }
    }

    #[test]
    fn only_what_may_be_configuration_counts() {
        for name in ["master.ini", "factories/a.toml", "conf.d/b.ini"] {
            assert!(belongs(Path::new(name)), "{name}");
        }
        for name in [
            "state.sqlite-wal",
            "autobot.log",
            ".master.ini.swp",
            ".#a.toml",
            "master.ini~",
            "master.ini.before-rollback",
        ] {
            assert!(!belongs(Path::new(name)), "{name}");
        }
    }

    #[test]
    fn a_text_counts_and_not_its_time() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            fs::write(dir.path().join(name), text).expect("written");
        };
        let watched = watched(dir.path(), &[("master.ini", "one")]);
        assert!(watched.is_behind(&watched.texts()), "it is not there");
        write("master.ini", "one");
        let seen = watched.texts();
        assert!(!watched.is_behind(&seen));
        write("master.ini", "one");
        write("autobot.log", "much");
        assert_eq!(watched.texts(), seen);
        write("more.ini", "");
        assert_ne!(watched.texts(), seen, "it may belong to it");
        write("master.ini", "two");
        assert!(watched.is_behind(&watched.texts()));
    }

    #[test]
    fn a_certificate_that_is_renewed_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let mut plan = config::plan_of("[:master:]\nslaveport = none\nhtmlport = none\n");
        plan.files.clear();
        plan.master.line.certificate = Some(write("server.pem", "one"));
        plan.master.line.key = Some(write("server.key", "one"));
        let watched = Watched::of(dir.path(), &plan);
        assert!(!watched.is_behind(&watched.texts()));
        write("server.key", "two");
        assert!(watched.is_behind(&watched.texts()));
        let both = ["server.pem", "server.key"].map(|it| dir.path().join(it));
        assert!(both.iter().all(|it| watched.names.contains(it)));
    }

    #[tokio::test]
    async fn the_kernel_tells_of_a_file_and_not_of_the_database_beside_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let watched = watched(dir.path(), &[("master.ini", "")]);
        let (tell, mut told) = mpsc::channel(1);
        let _watcher = listen(&watched, tell).expect("inotify");
        fs::write(dir.path().join("state.sqlite-wal"), "x").expect("written");
        fs::write(dir.path().join("master.ini"), "x").expect("written");
        fs::read(dir.path().join("master.ini")).expect("read");
        told.recv().await.expect("told");
    }

    #[test]
    fn what_cannot_be_watched_is_an_error() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut watched = watched(dir.path(), &[]);
        watched.dirs.insert(dir.path().join("gone"));
        assert!(listen(&watched, mpsc::channel(1).0).is_err());
    }
}
