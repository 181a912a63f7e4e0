//! A directory that try jobs come into, as maildirs have it: who sends one
//! writes it into `tmp` and moves it to `new`; the master moves it to `cur`,
//! where it stays, and reads it.
//!
//! No job is lost, and none is built twice: before one is moved, its name is
//! written down, and it is crossed out in the transaction that makes the
//! buildset. Whoever begins after a kill finds it by that name, in either
//! directory. What lay in `cur` before anybody wrote it down is left alone.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::SchedulerPlan;
use crate::master::crew::Crew;
use crate::master::intake::{Asker, take_in};
use crate::master::ports::properties_of;
use crate::model::NewBuildset;
use crate::schedulers::{BadJob, Job};
use crate::store::StoreError;

/// It is looked at this often even when the kernel tells of nothing: it cannot tell of what
/// another machine does on a shared file system.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// So many are taken in hand at a time, the first by name first.
const BATCH: usize = 100;

/// Longer files would not fit into the database.
const LONGEST: u64 = 250_000_000;

/// Builds the jobs that come into `dir` until `stop`.
pub(crate) async fn watch(
    crew: Arc<Crew>,
    plan: Arc<SchedulerPlan>,
    dir: PathBuf,
    stop: CancellationToken,
) {
    // One word waits at most; it says all that there is to say.
    let (tell, mut told) = mpsc::channel(1);
    let mut jobdir = Jobdir {
        crew,
        plan,
        dir,
        in_hand: None,
        told: None,
    };
    let mut watcher = None;
    loop {
        // The directory may come later than the master, and go, and come again.
        if watcher.is_none() {
            watcher = listen(&jobdir.dir, tell.clone()).ok();
        }
        match jobdir.sweep().await {
            Ok(()) => jobdir.told = None,
            Err(why) => {
                watcher = None;
                jobdir.complain(&why.to_string());
            }
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = told.recv() => {}
            () = sleep(LOOK_AGAIN) => {}
        }
    }
}

/// Has the kernel tell of files that are moved into `new`, or written there.
fn listen(dir: &Path, tell: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
    let heard = move |event: notify::Result<notify::Event>| {
        let is_news = event.is_ok_and(|it| !it.kind.is_access() && !it.kind.is_remove());
        if is_news {
            // A word that finds another waiting says nothing new.
            let _ = tell.try_send(());
        }
    };
    let mut watcher = notify::recommended_watcher(heard)?;
    watcher.watch(&dir.join("new"), RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Why a directory cannot be looked through now; it is tried again.
#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error("failed to {doing} `{}`: {error}", .path.display())]
    Directory {
        doing: &'static str,
        path: PathBuf,
        error: io::Error,
    },
    #[error("the store cannot keep its jobs: {0}")]
    Store(#[from] StoreError),
}

struct Jobdir {
    crew: Arc<Crew>,
    plan: Arc<SchedulerPlan>,
    dir: PathBuf,
    /// The names that are written down; nothing before they were read.
    in_hand: Option<BTreeSet<String>>,
    /// What was said of its trouble, so that the log says it once.
    told: Option<String>,
}

impl Jobdir {
    /// What its state is kept under: another kind of the same name is another scheduler.
    fn object(&self) -> String {
        format!("scheduler {} {}", self.plan.settings.kind(), self.plan.name)
    }

    fn complain(&mut self, why: &str) {
        if self.told.as_deref() != Some(why) {
            warn!(scheduler = %self.plan.name, "{why}");
            self.told = Some(why.to_owned());
        }
    }

    /// Does all that is there.
    async fn sweep(&mut self) -> Result<(), SweepError> {
        if self.in_hand.is_none() {
            let (dir, names) = self.written_down().await?;
            self.in_hand = Some(names);
            // What was in hand when the configuration named another directory is there.
            let own = std::mem::replace(&mut self.dir, dir);
            let done = self.finish().await;
            self.dir = own;
            if done.is_err() {
                self.in_hand = None;
            }
            done?;
        }
        loop {
            self.finish().await?;
            let Found {
                jobs: found,
                nameless,
            } = self.look().await?;
            // More of them may be behind these.
            let is_all = nameless.len() < BATCH;
            for name in nameless {
                self.put_aside(name).await?;
            }
            if found.is_empty() && is_all {
                return Ok(());
            }
            self.write_down(found.into_iter().collect()).await?;
        }
    }

    /// What an earlier run had in hand, and in which directory.
    async fn written_down(&self) -> Result<(PathBuf, BTreeSet<String>), StoreError> {
        let object = self.object();
        let read = self.crew.store.read(move |verbs| verbs.state(&object));
        let state = read.await?;
        let dir = state["jobdir"]
            .as_str()
            .map_or_else(|| self.dir.clone(), PathBuf::from);
        let names = state["in_hand"].as_array().into_iter().flatten();
        let names = names.filter_map(Value::as_str).map(str::to_owned);
        Ok((dir, names.collect()))
    }

    async fn write_down(&mut self, names: BTreeSet<String>) -> Result<(), StoreError> {
        let (object, state) = (self.object(), self.state(&names));
        let saved = self
            .crew
            .store
            .write(move |verbs| verbs.save_state(&object, &state));
        saved.await?;
        self.in_hand = Some(names);
        Ok(())
    }

    fn state(&self, names: &BTreeSet<String>) -> Value {
        json!({ "jobdir": self.dir.to_string_lossy(), "in_hand": names })
    }

    /// The names of the files in `new`, the first ones.
    async fn look(&self) -> Result<Found, SweepError> {
        let new = self.dir.join("new");
        let found = blocking(move || names_in(&new).map_err(|error| (new, error)));
        found.await.map_err(|(path, error)| SweepError::Directory {
            doing: "read",
            path,
            error,
        })
    }

    /// Moves, reads and crosses out everything that is in hand.
    async fn finish(&mut self) -> Result<(), SweepError> {
        let names = self.in_hand.clone().unwrap_or_default();
        for name in names {
            let (from, to) = (
                self.dir.join("new").join(&name),
                self.dir.join("cur").join(&name),
            );
            let file = to.clone();
            let moved = blocking(move || take(&from, &to));
            let Taken::Bytes(bytes) = moved.await.map_err(|error| SweepError::Directory {
                doing: "move a job into",
                path: self.dir.join("cur"),
                error,
            })?
            else {
                self.refuse(&name, &file, "it is no file that can be read")
                    .await?;
                continue;
            };
            match bytes {
                None => {
                    self.refuse(&name, &file, "somebody has taken it away")
                        .await?
                }
                Some(bytes) => match self.read(bytes).await {
                    Ok(wanted) => self.ask(&name, wanted).await?,
                    Err(bad) => self.refuse(&name, &file, &bad.to_string()).await?,
                },
            }
        }
        Ok(())
    }

    /// Reads a job, away from the threads that serve everybody: it may be long.
    async fn read(&self, bytes: Vec<u8>) -> Result<(NewBuildset, Option<String>), BadJob> {
        let plan = Arc::clone(&self.plan);
        blocking(move || {
            let job = Job::read(&bytes)?;
            let wanted = NewBuildset {
                reason: job.reason(false),
                builders: job.choose(&plan.builders)?,
                properties: properties_of(&plan.name, plan.properties.clone()),
                stamp: job.stamp,
                priority: plan.queue.priority,
            };
            Ok((wanted, job.id))
        })
        .await
    }

    /// Makes the buildset of a job and crosses the job out.
    async fn ask(
        &mut self,
        name: &str,
        (wanted, id): (NewBuildset, Option<String>),
    ) -> Result<(), StoreError> {
        let left = self.without(name);
        let (object, state) = (self.object(), self.state(&left));
        let (rules, plan) = (self.plan.queue.clone(), self.crew.plan());
        let made = self.crew.store.write(move |verbs| {
            let intake = take_in(verbs, &plan, &wanted, Asker::Scheduler(&rules))?;
            // A scheduler is never refused.
            let intake = intake.unwrap_or_default();
            if let (Some(buildset), Some(id)) = (intake.buildset, &id) {
                verbs.put_external_id(buildset, id)?;
            }
            verbs.save_state(&object, &state)?;
            Ok(intake)
        });
        let intake = made.await?;
        self.in_hand = Some(left);
        let buildset = intake.buildset.map(|it| it.0);
        info!(scheduler = %self.plan.name, job = %name.escape_debug(), buildset, "a try job came");
        self.crew.taken_in(intake).await;
        Ok(())
    }

    /// Tells of a bad job, which stays where it is, and crosses it out.
    async fn refuse(&mut self, name: &str, file: &Path, why: &str) -> Result<(), StoreError> {
        warn!(
            scheduler = %self.plan.name, file = %file.display().to_string().escape_debug(),
            "a bad try job is not built: {why}"
        );
        self.write_down(self.without(name)).await
    }

    /// Tells of a file whose name cannot be written down, and moves it where bad jobs stay.
    async fn put_aside(&self, name: OsString) -> Result<(), SweepError> {
        let (from, to) = (
            self.dir.join("new").join(&name),
            self.dir.join("cur").join(&name),
        );
        let file = to.clone();
        let moved = blocking(move || take(&from, &to));
        moved.await.map_err(|error| SweepError::Directory {
            doing: "move a job into",
            path: self.dir.join("cur"),
            error,
        })?;
        warn!(
            scheduler = %self.plan.name, file = %file.display().to_string().escape_debug(),
            "a bad try job is not built: its name is not UTF-8; give it another one, and move it \
             into `new` again"
        );
        Ok(())
    }

    fn without(&self, name: &str) -> BTreeSet<String> {
        let mut left = self.in_hand.clone().unwrap_or_default();
        left.remove(name);
        left
    }
}

/// What became of a file.
enum Taken {
    /// `None`: it is in neither directory.
    Bytes(Option<Vec<u8>>),
    /// Nobody would want to read it, or nobody may.
    Unreadable,
}

/// Moves a job that is not moved yet, for good, and reads it.
fn take(from: &Path, to: &Path) -> io::Result<Taken> {
    match fs::rename(from, to) {
        Ok(()) => {
            // Before the job is crossed out: a power cut must not put it back.
            for path in [to, from] {
                if let Some(dir) = path.parent() {
                    File::open(dir)?.sync_all()?;
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOFOLLOW;
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).expect("few flags"))
        .open(to);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Taken::Bytes(None)),
        Err(_) => return Ok(Taken::Unreadable),
    };
    let about = file.metadata()?;
    if !about.is_file() || about.len() > LONGEST {
        return Ok(Taken::Unreadable);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Taken::Bytes(Some(bytes)))
}

/// Files in `new`.
struct Found {
    jobs: Vec<String>,
    /// Those whose names are no text, and cannot be written down.
    nameless: Vec<OsString>,
}

/// The files in a directory that may be jobs, by name; what begins with a dot is nobody's.
fn names_in(dir: &Path) -> io::Result<Found> {
    let mut names = BTreeSet::new();
    let mut nameless = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let is_job = entry.file_type().is_ok_and(|it| !it.is_dir());
        let name = entry.file_name();
        if !is_job || name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        // Flat, however many there are.
        match name.into_string() {
            Ok(name) => {
                names.insert(name);
                if names.len() > BATCH {
                    names.pop_last();
                }
            }
            Err(name) if nameless.len() < BATCH => nameless.push(name),
            Err(_) => {}
        }
    }
    Ok(Found {
        jobs: names.into_iter().collect(),
        nameless,
    })
}

/// Runs what waits for the disk where that holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let done = spawn_blocking(work).await;
    done.unwrap_or_else(|broken| std::panic::resume_unwind(broken.into_panic()))
}

#[cfg(test)]
#[path = "jobdir_tests.rs"]
mod tests;
