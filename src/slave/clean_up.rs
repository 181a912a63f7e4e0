//! Removes the directories of builders that are gone for as long as the
//! master says, and says once which are gone. What goes is first moved aside,
//! in one step, so that a builder that comes back begins in a new directory.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::files;
use super::leftovers::Leftovers;
use super::order;
use super::spool;
use crate::model::Timestamp;

/// In the base directory: the record, and what is being removed.
pub(super) const GONE: &str = ".gone";
const RECORD: &str = "record";
/// The longest time between two looks at what runs.
const BETWEEN_LOOKS: Duration = Duration::from_mins(1);

/// The directories of builders here.
#[derive(Debug)]
pub(super) struct CleanUp {
    base: PathBuf,
    leftovers: Leftovers,
    /// What the master that is attached has said.
    said: Option<Said>,
    /// Those of which it was told that they cannot be removed.
    stuck: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Said {
    master: String,
    /// What its clock showed, and when.
    now: Timestamp,
    at: Instant,
    after: Option<Duration>,
    next_look: Instant,
}

impl CleanUp {
    /// Reads the record of an earlier process, and goes on removing what that moved aside.
    pub(super) fn open(base: &Path) -> Self {
        let leftovers = match order::read(&base.join(GONE).join(RECORD)) {
            Ok(leftovers) => leftovers,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Leftovers::default(),
            Err(error) => {
                // Torn by a power cut: what is not known is not removed.
                warn!(%error, "the record of builders' directories cannot be read");
                Leftovers::default()
            }
        };
        for entry in fs::read_dir(base.join(GONE))
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.file_type().is_ok_and(|it| it.is_dir()) {
                remove(entry.path(), "moved aside earlier".to_owned());
            }
        }
        Self {
            base: base.to_owned(),
            leftovers,
            said: None,
            stuck: BTreeSet::new(),
        }
    }

    /// Nothing is removed before the master of a new line has said what it wants.
    pub(super) fn begin_line(&mut self) {
        self.said = None;
    }

    /// Takes in which directories the master's builders have here, what its clock shows, and
    /// after which time the others are to go, if at all.
    pub(super) fn hear(
        &mut self,
        master: &str,
        listed: Vec<String>,
        now: Timestamp,
        after: Option<Duration>,
    ) {
        let listed = listed.into_iter().collect();
        let before = self.leftovers.clone();
        let gone = self.leftovers.list(master, &listed, now);
        for dir in self.leftovers.gone() {
            if fs::symlink_metadata(self.base.join(&dir)).is_err() {
                self.leftovers.forget(&dir);
            } else if gone.contains(&dir) {
                match after {
                    Some(after) => info!(
                        dir,
                        secs = after.as_secs(),
                        "no builder has this directory any more; it is removed after that time"
                    ),
                    None => info!(
                        dir,
                        "no builder has this directory any more; it may be removed"
                    ),
                }
            }
        }
        if self.leftovers != before {
            self.write_down();
        }
        let (master, at) = (master.to_owned(), Instant::now());
        self.said = Some(Said {
            master,
            now,
            at,
            after,
            next_look: at,
        });
    }

    /// Removes what is due and where nothing runs, as `is_busy` says. May be called as often as
    /// wanted.
    pub(super) fn look(&mut self, is_busy: impl Fn(&Path) -> bool) {
        let Some(said) = &mut self.said else { return };
        let Some(after) = said.after else { return };
        if said.next_look > Instant::now() {
            return;
        }
        said.next_look = Instant::now() + (after / 10).min(BETWEEN_LOOKS);
        let said = said.clone();
        let passed = i64::try_from(said.at.elapsed().as_millis()).unwrap_or(i64::MAX);
        let now = Timestamp(said.now.0.saturating_add(passed));
        let mut is_news = false;
        for dir in self.leftovers.gone() {
            if is_busy(&self.base.join(&dir)) {
                is_news |= self.leftovers.used(&dir, now);
            }
        }
        if is_news {
            self.write_down();
        }
        for dir in self.leftovers.due(&said.master, after, now) {
            if self.stuck.contains(&dir) {
                continue;
            }
            match self.move_aside(&dir) {
                Ok(aside) => {
                    self.leftovers.forget(&dir);
                    self.write_down();
                    remove(aside, dir);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.leftovers.forget(&dir);
                    self.write_down();
                }
                Err(error) => {
                    warn!(dir, %error, "the directory of a builder that is gone cannot be removed");
                    self.stuck.insert(dir);
                }
            }
        }
    }

    /// Moves a directory to where it is removed; one that is a link, or behind one, stays.
    fn move_aside(&self, dir: &str) -> io::Result<PathBuf> {
        let mut place = self.base.clone();
        for part in Path::new(dir) {
            place.push(part);
            is_real_dir(&place)?;
        }
        let gone = self.base.join(GONE);
        spool::make_private_dir(&gone)?;
        let free = (0_u64..).map(|it| gone.join(it.to_string()));
        let aside = { free }
            .find(|it| fs::symlink_metadata(it).is_err())
            .expect("numbers do not end");
        fs::rename(&place, &aside)?;
        // Somebody may have put a link there in between: it goes back.
        if let Err(error) = is_real_dir(&aside) {
            fs::rename(&aside, &place)?;
            return Err(error);
        }
        Ok(aside)
    }

    fn write_down(&self) {
        let gone = self.base.join(GONE);
        let written = spool::make_private_dir(&gone)
            .and_then(|()| order::write(&gone.join(RECORD), &self.leftovers));
        if let Err(error) = written {
            // What is not written down is removed later, or never.
            warn!(%error, "the record of builders' directories cannot be written");
        }
    }
}

fn is_real_dir(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        return Ok(());
    }
    let what = format!("`{}` is no directory", path.display());
    Err(io::Error::other(what))
}

/// Removes a tree on a thread of its own, which may take long and ends with the process; the
/// next one goes on.
fn remove(path: PathBuf, dir: String) {
    let work = move || match files::remove(&path) {
        Ok(()) => info!(dir, "removed the directory of a builder that is gone"),
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            warn!(dir, error, "what is left of a builder cannot be removed");
        }
    };
    let thread = thread::Builder::new().name("clean-up".into());
    if let Err(error) = thread.spawn(work) {
        warn!(%error, "no thread to remove the directory of a builder");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const AFTER: Option<Duration> = Some(Duration::from_millis(1000));

    fn say(it: &mut CleanUp, dirs: &[&str], now: i64, after: Option<Duration>) {
        let dirs = dirs.iter().map(|it| (*it).to_owned()).collect();
        it.hear("m", dirs, Timestamp(now), after);
    }

    fn base(dirs: &[&str]) -> tempfile::TempDir {
        let base = tempfile::tempdir().unwrap();
        for dir in dirs {
            fs::create_dir_all(base.path().join(dir).join("build")).unwrap();
        }
        base
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_gone_long_enough_is_removed_over_restarts_and_nothing_else() {
        let base = base(&["a", "b", "mine", "info", "spool"]);
        let there = |dir: &str| base.path().join(dir).is_dir();
        let mut slave = CleanUp::open(base.path());
        say(&mut slave, &["a", "b"], 0, AFTER);
        say(&mut slave, &["a"], 10, AFTER);
        slave.look(|_| false);
        assert!(there("b"), "its time has not come");

        let mut slave = CleanUp::open(base.path());
        tokio::time::advance(Duration::from_mins(1)).await;
        slave.look(|_| false);
        assert!(there("b"), "no master has said anything");
        // By the clock of the master, which counts on.
        say(&mut slave, &["a"], 1000, AFTER);
        slave.look(|_| false);
        assert!(there("b"));
        let wait = async |ms| tokio::time::advance(Duration::from_millis(ms)).await;
        wait(500).await;
        slave.look(|_| true);
        assert!(there("b"), "something runs there");
        wait(900).await;
        slave.look(|_| false);
        assert!(there("b"), "something ran there a moment ago");
        wait(100).await;
        slave.look(|_| false);
        for (dir, stays) in [("a", true), ("b", false), ("mine", true), ("info", true)] {
            assert_eq!(there(dir), stays, "{dir}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_time_nothing_is_removed() {
        let base = base(&["a"]);
        let mut slave = CleanUp::open(base.path());
        say(&mut slave, &["a"], 0, None);
        say(&mut slave, &[], 10, None);
        tokio::time::advance(Duration::from_hours(10_000)).await;
        slave.look(|_| false);
        assert!(base.path().join("a").is_dir());
    }

    #[tokio::test(start_paused = true)]
    async fn links_and_what_is_behind_them_stay() {
        let outside = base(&["victim", "other"]);
        let base = base(&["real"]);
        symlink(outside.path().join("victim"), base.path().join("link")).unwrap();
        symlink(outside.path(), base.path().join("way")).unwrap();
        fs::write(base.path().join("file"), "text").unwrap();
        let mut slave = CleanUp::open(base.path());
        let dirs = ["link", "way/other", "file", "../x", "/", "", "real"];
        say(&mut slave, &dirs, 0, AFTER);
        say(&mut slave, &[], 0, AFTER);
        tokio::time::advance(Duration::from_mins(1)).await;
        slave.look(|_| false);
        assert!(outside.path().join("victim/build").is_dir());
        assert!(outside.path().join("other/build").is_dir());
        assert!(base.path().join("link").is_symlink());
        assert!(base.path().join("file").is_file());
        assert!(!base.path().join("real").exists());
    }

    #[test]
    fn a_torn_record_removes_nothing_and_what_was_moved_aside_goes_at_the_next_start() {
        let base = base(&["a", ".gone/0"]);
        fs::write(base.path().join(".gone/record"), "torn").unwrap();
        let slave = CleanUp::open(base.path());
        assert_eq!(slave.leftovers, Leftovers::default());
        // On a thread of its own.
        let begun = Instant::now();
        while base.path().join(".gone/0").exists() {
            assert!(begun.elapsed() < Duration::from_secs(60));
            thread::yield_now();
        }
        assert!(base.path().join("a").is_dir());
    }
}
