//! What all pollers share: when they look, how far they came, and what they
//! do when something is in the way. What they look with is a [`Mirror`].
//!
//! The position of a source is a set of heads: everything that they reach has
//! been delivered. It moves in the transaction that keeps the changes, so a
//! crash anywhere repeats a question, never a change, and skips none.

use std::future::Future;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing::warn;

use super::Sink;
use super::mirror::Detail;
use super::mirror::Mirror;
use super::mirror::PollError;
use super::mirror::Revision;
use super::mirror::Tips;
use super::record::Record;
use super::settings::SourceSettings;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::Vc;

/// Changes of one delivery: few enough for one short transaction.
const BATCH: usize = 200;

/// Failures make the wait longer, up to this, unless the interval is longer anyway.
const LONGEST_WAIT: Duration = Duration::from_mins(10);

/// How far a source has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    repository: String,
    /// As it was configured; another repository or branch starts afresh.
    branch: Option<String>,
    /// All that these reach has been delivered; none: the branch did not exist.
    heads: Vec<String>,
}

/// What a missing revision means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lost {
    /// The clone may be damaged.
    Suspect,
    /// The clone is fresh: the remote has forgotten it.
    Forgotten,
}

/// Follows one branch of one repository.
#[derive(Debug)]
pub(crate) struct Poller<M> {
    pub(super) settings: SourceSettings,
    pub(super) mirror: M,
}

/// What looks for changes again and again.
pub(crate) trait Poll: Send + Sync {
    /// The source's name, under which its state is kept.
    fn name(&self) -> &str;

    /// From the end of one look to the next.
    fn interval(&self) -> Duration;

    /// The error with its causes and without passwords.
    fn explain(&self, error: &PollError) -> String;

    /// Looks once, and delivers what is new.
    fn poll_once(&self, sink: &dyn Sink) -> impl Future<Output = Result<(), PollError>> + Send;
}

impl<M: Mirror> Poll for Poller<M> {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn interval(&self) -> Duration {
        self.settings.poll_interval
    }

    fn explain(&self, error: &PollError) -> String {
        self.settings.explain(error)
    }

    async fn poll_once(&self, sink: &dyn Sink) -> Result<(), PollError> {
        Self::poll_once(self, sink).await
    }
}

/// Polls until `stop`, at once and then an interval after each poll, or
/// sooner when `wake` says so. Polls never overlap, and failures never end it.
pub(crate) async fn run<P: Poll>(
    poller: P,
    sink: Arc<dyn Sink>,
    stop: CancellationToken,
    wake: Arc<Notify>,
) {
    let name = poller.name().to_owned();
    let mut failures = 0;
    loop {
        let polled = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            polled = poller.poll_once(sink.as_ref()) => polled,
        };
        match polled {
            Ok(()) => {
                failures = 0;
                sink.report(&name, Ok(()));
            }
            Err(error) => {
                failures += 1;
                let reason = poller.explain(&error);
                warn!(source = %name, failures, reason, "poll failed");
                sink.report(&name, Err(reason));
            }
        }
        let wait = wait_after(poller.interval(), failures);
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = wake.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// The interval, doubled by each failure after the first in a row.
fn wait_after(interval: Duration, failures: u32) -> Duration {
    let factor = 1 << failures.saturating_sub(1).min(16);
    let longest = LONGEST_WAIT.max(interval);
    interval.saturating_mul(factor).min(longest)
}

impl<M: Mirror> Poller<M> {
    /// Looks once, and delivers what is new.
    pub(crate) async fn poll_once(&self, sink: &dyn Sink) -> Result<(), PollError> {
        self.settings.check()?;
        let dir = &self.settings.workdir;
        let first = self.attempt(dir, Lost::Suspect, sink).await;
        let Err(damage) = first else {
            return Ok(());
        };
        if !damage.blames_the_clone() {
            return Err(damage);
        }
        // A clone that works replaces one that does not; the old one stays
        // until then, because the fault may be the network's.
        let fresh = beside(dir);
        remove(&fresh).await?;
        if let Err(error) = self.pull(&fresh).await {
            let reason = self.settings.explain(&error);
            warn!(source = %self.settings.name, reason, "a fresh clone fails too");
            return Err(damage);
        }
        remove(dir).await?;
        std::fs::rename(&fresh, dir).map_err(|source| io(dir, source))?;
        info!(source = %self.settings.name, reason = %damage, "the clone was made afresh");
        self.attempt(dir, Lost::Forgotten, sink).await
    }

    async fn pull(&self, dir: &Path) -> Result<Tips, PollError> {
        std::fs::create_dir_all(dir).map_err(|source| io(dir, source))?;
        self.mirror.pull(dir).await
    }

    async fn attempt(&self, dir: &Path, lost: Lost, sink: &dyn Sink) -> Result<(), PollError> {
        let name = &self.settings.name;
        let position = self.position(&sink.state(name).await?);
        let tips = match self.pull(dir).await {
            Ok(tips) => tips,
            Err(error @ PollError::NoBranch { .. }) => {
                if position.is_none() {
                    // From now on the branch is new when it appears.
                    sink.deliver(name, Vec::new(), self.state(Vec::new()))
                        .await?;
                }
                return Err(error);
            }
            Err(error) => return Err(error),
        };
        let Some(seen) = position else {
            let state = self.state(tips.heads);
            return Ok(sink.deliver(name, Vec::new(), state).await?);
        };
        if is_same_set(&seen, &tips.heads) {
            return Ok(());
        }
        let known = self.mirror.known(dir, &seen).await?;
        if lost == Lost::Suspect
            && let Some(revision) = seen.iter().find(|it| !known.contains(it))
        {
            return Err(PollError::Missing {
                dir: dir.to_owned(),
                revision: revision.clone(),
            });
        }
        let news = if known.is_empty() {
            // A new branch, or a history that shares nothing with what is
            // known: all of it would be a flood, its newest revision is news.
            let newest = tips.heads.last().cloned();
            let revision = |id| Revision {
                id,
                parents: Vec::new(),
            };
            newest.into_iter().map(revision).collect()
        } else {
            self.mirror.since(dir, &tips, &known).await?
        };
        self.deliver(dir, &tips, known, &news, sink).await?;
        if let Err(error) = self.mirror.tidy(dir).await {
            let reason = self.settings.explain(&error);
            warn!(source = %name, reason, "failed to clear up the clone");
        }
        Ok(())
    }

    async fn deliver(
        &self,
        dir: &Path,
        tips: &Tips,
        mut reached: Vec<String>,
        news: &[Revision],
        sink: &dyn Sink,
    ) -> Result<(), PollError> {
        let name = &self.settings.name;
        let mut left = news;
        let mut size = BATCH;
        if news.is_empty() {
            // The branch went back to what is known.
            let state = self.state(tips.heads.clone());
            sink.deliver(name, Vec::new(), state).await?;
        }
        while !left.is_empty() {
            let detail = if size == 0 {
                Detail::NoFiles
            } else {
                Detail::Full
            };
            let (batch, rest) = left.split_at(size.clamp(1, left.len()));
            let records = match self.mirror.describe(dir, batch, detail).await {
                // Smaller and smaller, and at last without its files: one huge
                // commit must not hold up those behind it.
                Err(error) if error.said_too_much() && size > 0 => {
                    size = batch.len() / 2;
                    continue;
                }
                other => other?,
            };
            if !records
                .iter()
                .map(|it| &it.revision)
                .eq(batch.iter().map(|it| &it.id))
            {
                let program = M::VCS.to_owned();
                return Err(PollError::Unreadable { program });
            }
            for revision in batch {
                reached.retain(|it| !revision.parents.contains(it));
                reached.push(revision.id.clone());
            }
            let changes = records
                .into_iter()
                .map(|it| self.change(tips, it))
                .collect();
            // What was reached on the way is all of it at the end, and no more
            // than the tips: a rewritten history is forgotten.
            let heads = if rest.is_empty() {
                tips.heads.clone()
            } else {
                reached.clone()
            };
            sink.deliver(name, changes, self.state(heads)).await?;
            left = rest;
            size = BATCH;
        }
        Ok(())
    }

    fn change(&self, tips: &Tips, record: Record) -> NewChange {
        let settings = &self.settings;
        let branch = tips.branch.as_deref().unwrap_or("HEAD");
        let origin = format!("{} {} {branch} {}", M::VCS, settings.url, record.revision);
        NewChange {
            author: record.author,
            files: record.files,
            comments: record.comments,
            branch: tips.branch.clone(),
            category: settings.category.clone(),
            revlink: settings.revlink(&record.revision),
            revision: Some(record.revision),
            repository: settings.url.clone(),
            project: settings.project.clone(),
            when: settings.use_timestamps.then_some(record.when),
            properties: Properties::new(),
            vc: Vc::from_word(M::VCS),
            origin: Some(origin),
        }
    }

    /// The heads that were reached, `None` if nothing is known of this repository and branch.
    fn position(&self, state: &Value) -> Option<Vec<String>> {
        let position = Position::deserialize(state).ok()?;
        let settings = &self.settings;
        let is_mine = position.repository == settings.url && position.branch == settings.branch;
        let is_whole = position.heads.iter().all(|it| is_revision(it));
        (is_mine && is_whole).then_some(position.heads)
    }

    fn state(&self, heads: Vec<String>) -> Value {
        position(&self.settings.url, self.settings.branch.as_deref(), heads)
    }
}

/// The state of a source that has reached `heads` of a branch.
pub(super) fn position(url: &str, branch: Option<&str>, heads: Vec<String>) -> Value {
    let position = Position {
        repository: url.to_owned(),
        branch: branch.map(str::to_owned),
        heads,
    };
    serde_json::to_value(position).expect("a position is plain JSON")
}

/// A full revision of git (SHA-1 or SHA-256) or hg.
fn is_revision(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|it| it.is_ascii_hexdigit())
}

fn is_same_set(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().all(|it| b.contains(it))
}

/// Where a clone is made that may replace the one in `dir`.
fn beside(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_owned();
    name.push(".fresh");
    dir.with_file_name(name)
}

/// Removes a tree, which may be large.
async fn remove(dir: &Path) -> Result<(), PollError> {
    let tree = dir.to_owned();
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(tree)).await;
    match removed.expect("removing a tree does not panic") {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(io(dir, error)),
        _ => Ok(()),
    }
}

pub(super) fn io(dir: &Path, source: std::io::Error) -> PollError {
    PollError::Io {
        dir: dir.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_make_the_wait_longer_up_to_ten_minutes() {
        let waits = |interval: u64| {
            let wait = |failures| wait_after(Duration::from_secs(interval), failures).as_secs();
            [0, 1, 2, 3, 4, 5, 99].map(wait)
        };
        assert_eq!(waits(60), [60, 60, 120, 240, 480, 600, 600]);
        assert_eq!(waits(3600), [3600; 7]);
    }
}
