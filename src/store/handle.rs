//! How others reach the store: a thread that writes, and readers beside it.
//!
//! Commits are what a database is slow at. The writer takes every job that
//! waits, runs each in a savepoint of its own, commits them all at once, and
//! only then answers. What has to be followed by more, before anybody hears of it,
//! is answered before its commit and goes to disk with what follows.

use std::future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::time::{self, Instant};

use crate::metrics::Histogram;

use super::sqlite::Sqlite;
use super::{Result, Store, StoreError};

/// Jobs that may wait for the writer: more make their senders wait.
const WAITING: usize = 1024;
/// Jobs in one commit: bounds the time until the first of them is answered.
const TOGETHER: usize = 128;
/// How long something waits that is written behind, when nothing else is written.
const SOON: Duration = Duration::from_millis(100);
/// Reading connections: as many pages as are drawn at once.
const READERS: usize = 4;

/// The store, cheap to clone. The writer ends when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct StoreHandle {
    jobs: mpsc::Sender<Told>,
    behind: Behind,
    readers: Arc<Readers>,
    health: watch::Receiver<Option<StoreError>>,
    times: Arc<[Histogram; 2]>,
}

/// Runs in the writer's transaction, if there is one, and gives back what answers its
/// sender once the commit is known.
type Job = Box<dyn FnOnce(Option<&mut Sqlite>) -> Ran + Send>;

/// Jobs that go down with the next one that somebody waits for.
type Behind = Arc<Mutex<Vec<Job>>>;

/// A job that has run.
struct Ran {
    answer: Answer,
    /// Somebody waits for the commit.
    is_waited_for: bool,
    /// What the disk did not take of it.
    trouble: Option<StoreError>,
}

type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// Where the writer says whether the disk takes what it writes.
type Health = watch::Sender<Option<StoreError>>;

/// What the writer is told.
enum Told {
    Run(Job),
    /// Put everything into the one database file.
    Settle(oneshot::Sender<Result<()>>),
}

/// Whether what was answered before its commit is on disk.
#[derive(Clone, Debug)]
pub(crate) struct Promise(watch::Receiver<Option<Result<()>>>);

impl Promise {
    /// Whether it was undone: to be asked by what follows, in its own verbs.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(*self.0.borrow(), Some(Err(_)))
    }

    /// Returns when it was undone, and never if it stands.
    pub(crate) async fn broken(self) {
        if self.committed().await.is_ok() {
            future::pending().await
        }
    }

    /// Returns when its commit is known.
    ///
    /// # Errors
    /// It was undone.
    pub(crate) async fn committed(mut self) -> Result<()> {
        match self.0.wait_for(Option::is_some).await {
            Ok(committed) => committed.clone().unwrap_or(Ok(())),
            Err(_) => Err(StoreError::new("the writer has ended")),
        }
    }
}

struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Sqlite>>,
    permits: Arc<Semaphore>,
}

impl StoreHandle {
    /// Opens the database, making it or bringing it up to date, and starts the writer.
    ///
    /// # Errors
    /// The file cannot be opened, or is not a database of autobot.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let writer = Sqlite::open(path)?;
        let (jobs, inbox) = mpsc::channel(WAITING);
        let (tell, health) = watch::channel(None);
        let behind = Behind::default();
        start_writer(
            Writer {
                sqlite: writer,
                behind: Arc::clone(&behind),
                health: tell,
            },
            inbox,
        )?;
        let readers = Readers {
            path: path.to_owned(),
            idle: Mutex::default(),
            permits: Arc::new(Semaphore::new(READERS)),
        };
        Ok(Self {
            jobs,
            behind,
            readers: Arc::new(readers),
            health,
            times: Arc::default(),
        })
    }

    /// How long reading takes and how long writing, waiting included.
    pub(crate) fn times(&self) -> (&Histogram, &Histogram) {
        let [reads, writes] = &*self.times;
        (reads, writes)
    }

    /// What is wrong with the disk, as far as the last writing tells: `None` if it took what
    /// was written.
    pub(crate) fn health(&self) -> watch::Receiver<Option<StoreError>> {
        self.health.clone()
    }

    /// Runs the verbs as one transaction, after everything that was asked before, and
    /// returns when it is on disk. An error rolls it back.
    pub(crate) async fn write<T, F>(&self, verbs: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |sqlite| {
            let done = match sqlite {
                Some(sqlite) => sqlite.in_savepoint(verbs),
                None => Err(StoreError::new("there is no transaction")),
            };
            let trouble = done.as_ref().err().filter(|it| it.is_disk).cloned();
            let answer: Answer = Box::new(move |committed| {
                // Who no longer listens has been cancelled; the commit stands.
                drop(tell.send(committed.and(done)));
            });
            Ran {
                answer,
                is_waited_for: true,
                trouble,
            }
        });
        let gone = || StoreError::new("the writer has ended");
        let begun = Instant::now();
        self.jobs.send(Told::Run(job)).await.map_err(|_| gone())?;
        let answer = told.await.map_err(|_| gone())?;
        self.times().1.note(begun.elapsed());
        answer
    }

    /// The same for what somebody goes on with who will write more before anything of it is
    /// seen outside: it is answered before its commit, and goes to disk with what is written
    /// next, or soon if nothing is. A commit that fails undoes both.
    pub(crate) async fn write_ahead<T, F>(&self, verbs: F) -> Result<(T, Promise)>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
    {
        let (done, promise) = self.write_early_or_ahead(verbs, false).await?;
        let open = promise.0.clone();
        self.write_soon(move |_| open.borrow().is_none());
        Ok((done, promise))
    }

    /// The same for what is to be on disk as soon as can be: it is answered when its commit
    /// begins.
    pub(crate) async fn write_early<T, F>(&self, verbs: F) -> Result<(T, Promise)>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
    {
        self.write_early_or_ahead(verbs, true).await
    }

    async fn write_early_or_ahead<T, F>(&self, verbs: F, at_once: bool) -> Result<(T, Promise)>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let (keep, kept) = watch::channel(None);
        let job: Job = Box::new(move |sqlite| {
            let done = match sqlite {
                Some(sqlite) => sqlite.in_savepoint(verbs),
                None => Err(StoreError::new("there is no transaction")),
            };
            let trouble = done.as_ref().err().filter(|it| it.is_disk).cloned();
            // Nothing follows what has failed: the transaction is not kept open for it.
            let is_waited_for = at_once || done.is_err();
            drop(tell.send(done));
            let answer: Answer = Box::new(move |committed| {
                keep.send_replace(Some(committed));
            });
            Ran {
                answer,
                is_waited_for,
                trouble,
            }
        });
        let gone = || StoreError::new("the writer has ended");
        self.jobs.send(Told::Run(job)).await.map_err(|_| gone())?;
        let done = told.await.map_err(|_| gone())??;
        Ok((done, Promise(kept)))
    }

    /// Has the verbs run before what is written next, in the same transaction, or soon if
    /// nothing is: nobody waits for them, and a commit of their own is seldom needed. They are
    /// lost if the process is killed before that.
    pub(crate) fn write_behind<F>(&self, verbs: F)
    where
        F: FnOnce(&mut dyn Store) -> Result<()> + Send + 'static,
    {
        let job: Job = Box::new(move |sqlite| {
            let done = sqlite.map_or(Ok(()), |it| it.in_savepoint(verbs));
            let trouble = done.err().filter(|it| it.is_disk);
            Ran {
                answer: Box::new(|_| {}),
                is_waited_for: false,
                trouble,
            }
        });
        let is_first = {
            let mut behind = self.behind();
            behind.push(job);
            behind.len() == 1
        };
        if is_first {
            self.write_soon(|it| !it.behind().is_empty());
        }
    }

    /// Has what nobody waits for written, if that is not done in a moment anyway.
    fn write_soon(&self, is_left: impl FnOnce(&Self) -> bool + Send + 'static) {
        let store = self.clone();
        tokio::spawn(async move {
            time::sleep(SOON).await;
            if is_left(&store) {
                drop(store.write(|_| Ok(())).await);
            }
        });
    }

    /// Has the running transaction given up, as SQLite does when a disk is full.
    #[cfg(test)]
    pub(crate) async fn lose_transaction(&self) {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(|sqlite| {
            sqlite.expect("a transaction").roll_back();
            Ran {
                answer: Box::new(move |committed| assert!(tell.send(committed.is_err()).is_ok())),
                is_waited_for: true,
                trouble: None,
            }
        });
        assert!(self.jobs.send(Told::Run(job)).await.is_ok());
        assert_eq!(told.await, Ok(true), "the commit fails");
    }

    fn behind(&self) -> MutexGuard<'_, Vec<Job>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts everything into the one database file, so that a copy of it is whole while
    /// nobody writes.
    pub(crate) async fn settle(&self) -> Result<()> {
        let (tell, told) = oneshot::channel();
        let gone = || StoreError::new("the writer has ended");
        self.jobs
            .send(Told::Settle(tell))
            .await
            .map_err(|_| gone())?;
        told.await.map_err(|_| gone())?
    }

    /// Runs reading verbs on a snapshot, beside the writer.
    pub(crate) async fn read<T, F>(&self, verbs: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut dyn Store) -> Result<T> + Send + 'static,
    {
        let begun = Instant::now();
        let readers = Arc::clone(&self.readers);
        let permit = Arc::clone(&readers.permits).acquire_owned().await;
        let reading = move || {
            let idle = readers
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop();
            let mut sqlite = match idle {
                Some(sqlite) => sqlite,
                None => Sqlite::open_to_read(&readers.path)?,
            };
            let answer = sqlite.in_snapshot(verbs);
            readers
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(sqlite);
            drop(permit);
            answer
        };
        #[cfg(test)]
        if bench::is_here() {
            return reading();
        }
        let answer = tokio::task::spawn_blocking(reading)
            .await
            .map_err(|error| StoreError::new(format!("reading broke off: {error}")))?;
        self.times().0.note(begun.elapsed());
        answer
    }
}

/// The one who writes.
struct Writer {
    sqlite: Sqlite,
    behind: Behind,
    health: Health,
}

/// Starts the writer on a thread of its own.
fn start_writer(mut writer: Writer, mut inbox: mpsc::Receiver<Told>) -> Result<()> {
    #[cfg(test)]
    if bench::is_here() {
        bench::start_writer(writer, inbox);
        return Ok(());
    }
    let life = move || {
        while let Some(first) = inbox.blocking_recv() {
            writer.write_together(first, &mut inbox, mpsc::Receiver::blocking_recv);
        }
    };
    let thread = thread::Builder::new().name("store".into()).spawn(life);
    thread
        .map(drop)
        .map_err(|error| StoreError::new(format!("no thread to write with: {error}")))
}

impl Writer {
    /// Carries out what waits, as one transaction, and answers. If nobody waits for the commit,
    /// it is left to what comes next; `wait` gets that.
    fn write_together(
        &mut self,
        first: Told,
        inbox: &mut mpsc::Receiver<Told>,
        wait: impl Fn(&mut mpsc::Receiver<Told>) -> Option<Told>,
    ) {
        let changes = self.sqlite.changes();
        // Becomes an error when SQLite gives the transaction up: then nothing of it stands,
        // and the jobs that come after must not stand alone.
        let mut begun = self.sqlite.begin();
        let mut trouble = begun.as_ref().err().filter(|it| it.is_disk).cloned();
        let mut answers = Vec::new();
        let mut is_waited_for = false;
        let mut settle = None;
        let mut next = Some(first);
        while let Some(told) = next.take() {
            // Who had something written behind goes before what they asked for next.
            let behind = self.behind.lock();
            let mut jobs = mem::take(&mut *behind.unwrap_or_else(PoisonError::into_inner));
            match told {
                Told::Run(job) => jobs.push(job),
                Told::Settle(tell) => settle = Some(tell),
            }
            for job in jobs {
                if let Some(ran) = run(&mut self.sqlite, job, begun.is_ok()) {
                    answers.push(ran.answer);
                    is_waited_for |= ran.is_waited_for;
                    trouble = trouble.or(ran.trouble);
                }
                if begun.is_ok() && self.sqlite.has_lost_transaction() {
                    let what = "the transaction was rolled back; the disk may be full";
                    begun = Err(trouble.clone().unwrap_or_else(|| StoreError::new(what)));
                }
            }
            if settle.is_none() && answers.len() < TOGETHER {
                next = inbox.try_recv().ok();
                if next.is_none() && !is_waited_for && !answers.is_empty() && begun.is_ok() {
                    next = wait(inbox);
                }
            }
        }
        let committed = begun.and_then(|()| self.sqlite.commit());
        let trouble = trouble.or_else(|| committed.clone().err().filter(|it| it.is_disk));
        // What changed nothing has not asked the disk either.
        if trouble.is_some() || (committed.is_ok() && self.sqlite.changes() > changes) {
            self.health.send_if_modified(|it| {
                let is_other = it.is_some() != trouble.is_some();
                *it = trouble;
                is_other
            });
        }
        for answer in answers {
            answer(committed.clone());
        }
        if let Some(tell) = settle {
            drop(tell.send(self.sqlite.checkpoint()));
        }
    }
}

/// Runs a job; without a transaction it is only asked for the answer to give.
fn run(sqlite: &mut Sqlite, job: Job, is_begun: bool) -> Option<Ran> {
    let ran = catch_unwind(AssertUnwindSafe(|| job(is_begun.then_some(&mut *sqlite))));
    if ran.is_err() && !sqlite.has_lost_transaction() {
        // A panic is a bug in one verb; its sender hears that the writer dropped it, and the
        // savepoint keeps the others whole.
        sqlite.abandon_job();
    }
    ran.ok()
}

/// The store as a part of a runtime whose time is paused: a thread of its own would be
/// waited for by nobody.
#[cfg(test)]
pub(crate) mod bench {
    use std::cell::{Cell, RefCell};

    use tokio::sync::mpsc;
    use tokio::task::AbortHandle;

    use super::{Told, Writer};

    thread_local! {
        static HERE: Cell<bool> = const { Cell::new(false) };
        static WRITERS: RefCell<Vec<AbortHandle>> = const { RefCell::new(Vec::new()) };
    }

    /// Stores that this thread opens from now on write and read on it.
    pub(crate) fn stay_here() {
        HERE.set(true);
    }

    /// Ends every writer of this thread; what it was told last is not written.
    pub(crate) fn kill_writers() {
        for writer in WRITERS.take() {
            writer.abort();
        }
    }

    pub(super) fn is_here() -> bool {
        HERE.get()
    }

    pub(super) fn start_writer(mut writer: Writer, mut inbox: mpsc::Receiver<Told>) {
        let life = async move {
            while let Some(first) = inbox.recv().await {
                // Nothing may wait here but the runtime: an open transaction is committed.
                writer.write_together(first, &mut inbox, |_| None);
            }
        };
        let writer = tokio::spawn(life).abort_handle();
        WRITERS.with_borrow_mut(|it| it.push(writer));
    }
}
