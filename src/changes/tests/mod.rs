//! The pollers against real repositories, one poll at a time, without a clock.

mod bonsai;
mod bzr;
mod far;
mod feed;
mod git;
mod git_refs;
mod hg;
mod mails;
mod p4;
mod pace;
mod site;
mod svn;
mod torture;

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Notify;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Delivery;
use super::GitPoller;
use super::HgPoller;
use super::Sink;
use super::SinkError;
use super::SourceSettings;
use super::poll::Poll;
use super::poll::run;
use crate::model::NewChange;
use crate::model::Timestamp;
use crate::model::Vc;
use crate::process;

/// The store's side: it keeps what is delivered, unless told to fail.
#[derive(Default)]
struct Kept {
    state: Value,
    changes: Vec<NewChange>,
    /// Changes of each delivery.
    sizes: Vec<usize>,
    fail_after: Option<usize>,
    /// Refuses one question or delivery, after so many others.
    refuse_after: Option<usize>,
}

impl Kept {
    fn refuses(&mut self) -> bool {
        let left = self.refuse_after;
        self.refuse_after = left.and_then(|it| it.checked_sub(1));
        left == Some(0)
    }
}

struct Store {
    kept: Mutex<Kept>,
    reports: mpsc::UnboundedSender<Result<(), String>>,
}

impl Sink for Store {
    fn state(&self, _source: &str) -> Delivery<'_, Value> {
        let mut kept = self.kept.lock().unwrap();
        if kept.refuses() {
            return Box::pin(async { Err(SinkError("disk full".into())) });
        }
        let state = kept.state.clone();
        Box::pin(async { Ok(state) })
    }

    fn deliver(&self, _source: &str, changes: Vec<NewChange>, state: Value) -> Delivery<'_, ()> {
        let mut kept = self.kept.lock().unwrap();
        if kept.refuses() {
            return Box::pin(async { Err(SinkError("disk full".into())) });
        }
        if let Some(left) = &mut kept.fail_after {
            if *left == 0 {
                return Box::pin(async { Err(SinkError("disk full".into())) });
            }
            *left -= 1;
        }
        kept.state = state;
        kept.sizes.push(changes.len());
        kept.changes.extend(changes);
        Box::pin(async { Ok(()) })
    }

    fn report(&self, _source: &str, health: Result<(), String>) {
        let _ = self.reports.send(health);
    }
}

/// A remote repository, a place for a clone, and a store.
struct Bench {
    dir: TempDir,
    store: Arc<Store>,
    reports: mpsc::UnboundedReceiver<Result<(), String>>,
}

impl Bench {
    async fn git() -> Self {
        let bench = Self::empty();
        bench.run("git", &["init", "-q", "-b", "master", "."]).await;
        bench
    }

    async fn hg() -> Self {
        let bench = Self::empty();
        bench.run("hg", &["init", "."]).await;
        bench
    }

    fn empty() -> Self {
        Self::of(TempDir::new().unwrap())
    }

    /// In memory, if this system has a place for that: for what writes many small files.
    fn in_memory() -> Self {
        let there = TempDir::new_in("/dev/shm");
        Self::of(there.or_else(|_| TempDir::new()).unwrap())
    }

    fn of(dir: TempDir) -> Self {
        std::fs::create_dir(dir.path().join("remote")).unwrap();
        let (tx, reports) = mpsc::unbounded_channel();
        let store = Arc::new(Store {
            kept: Mutex::new(Kept::default()),
            reports: tx,
        });
        Self {
            dir,
            store,
            reports,
        }
    }

    fn remote(&self) -> PathBuf {
        self.dir.path().join("remote")
    }

    fn clone_dir(&self) -> PathBuf {
        self.dir.path().join("clones/one")
    }

    fn settings(&self, branch: Option<&str>) -> SourceSettings {
        SourceSettings {
            name: "source".into(),
            url: self.remote().to_str().unwrap().into(),
            branch: branch.map(str::to_owned),
            workdir: self.clone_dir(),
            poll_interval: Duration::from_hours(1),
            poll_jitter: Duration::ZERO,
            program: None,
            use_timestamps: true,
            project: "hello".into(),
            category: Some("nightly".into()),
            revlink: None,
        }
    }

    fn git_poller(&self) -> GitPoller {
        GitPoller::new(self.settings(None))
    }

    fn hg_poller(&self) -> HgPoller {
        HgPoller::new(self.settings(None))
    }

    async fn try_run(&self, program: &str, args: &[&str]) -> process::Output {
        let env = [
            ("GIT_AUTHOR_NAME", "Ann"),
            ("GIT_AUTHOR_EMAIL", "ann@example.org"),
            ("GIT_COMMITTER_NAME", "Con"),
            ("GIT_COMMITTER_EMAIL", "con@example.org"),
            ("GIT_AUTHOR_DATE", "1000000000 +0000"),
            ("GIT_COMMITTER_DATE", "1200000000 +0100"),
            ("HGUSER", "Ann <ann@example.org>"),
            ("HGPLAIN", "1"),
            ("HGENCODING", "UTF-8"),
        ];
        let limit = Duration::from_mins(2);
        process::run(program, args, &env, &self.remote(), limit, 1 << 20)
            .await
            .unwrap()
    }

    /// Runs a program in the remote repository.
    async fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.try_run(program, args).await;
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.code, 0, "{program} {args:?}: {complaint}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.remote().join(file), text).unwrap();
    }

    /// A program of these lines of shell.
    fn script(&self, name: &str, lines: &str) -> String {
        let path = self.dir.path().join(name);
        // Written under another name: a program that is open for writing cannot be run.
        let aside = path.with_extension("new");
        std::fs::write(&aside, format!("#!/bin/sh\n{lines}\n")).unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&aside, executable).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn git_commit(&self, message: &str) -> String {
        self.write("file", message);
        self.run("git", &["add", "-A"]).await;
        self.run("git", &["commit", "-q", "-m", message]).await;
        self.run("git", &["rev-parse", "HEAD"]).await
    }

    async fn hg_commit(&self, message: &str) -> String {
        self.write("file", message);
        let line = [
            "commit",
            "-q",
            "-A",
            "-m",
            message,
            "-d",
            "1200000000 -3600",
        ];
        self.run("hg", &line).await;
        self.run("hg", &["log", "-r", ".", "-T", "{node}"]).await
    }

    /// Polls once, and gives the comments of what was delivered.
    async fn poll<P: Poll>(&self, poller: &P) -> Vec<String> {
        let polled = poller.poll_once(self.store.as_ref()).await;
        polled.unwrap_or_else(|error| panic!("{error}: {:?}", std::error::Error::source(&error)));
        self.news()
    }

    async fn fails<P: Poll>(&self, poller: &P) -> String {
        let polled = poller.poll_once(self.store.as_ref()).await;
        let error = polled.expect_err("the poll fails").to_string();
        error.replace(self.dir.path().to_str().unwrap(), "DIR")
    }

    /// What was delivered since this was last asked.
    fn taken(&self) -> Vec<NewChange> {
        std::mem::take(&mut self.store.kept.lock().unwrap().changes)
    }

    fn news(&self) -> Vec<String> {
        self.taken().into_iter().map(|it| it.comments).collect()
    }

    /// Lets so many deliveries pass and fails those after them.
    fn fail_after(&self, deliveries: Option<usize>) {
        self.store.kept.lock().unwrap().fail_after = deliveries;
    }

    fn sizes(&self) -> Vec<usize> {
        std::mem::take(&mut self.store.kept.lock().unwrap().sizes)
    }

    fn state(&self) -> Value {
        self.store.kept.lock().unwrap().state.clone()
    }
}

const NOTHING: [&str; 0] = [];
