//! Follows a branch of Bazaar, with `bzr` or Breezy's `brz`: asks for its newest revision, then
//! for the log from the one it knows. There is nothing to clone; sources of one branch share
//! what they were told.
//!
//! The position is the last revisions that were delivered, by number and id: after `uncommit` or
//! `push --overwrite` the newest that is still there tells where to go on.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use super::Sink;
use super::asked;
use super::asked::Asks;
use super::bzr_log;
use super::bzr_log::Entry;
use super::mirror::PollError;
use super::poll::Poll;
use super::program::Program;
use super::settings;
use super::yard::Seen;
use super::yard::Want;
use super::yard::Yard;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::Vc;

const ENV: &[(&str, &str)] = &[
    ("LC_ALL", "C.UTF-8"),
    ("BZR_PROGRESS_BAR", "none"),
    ("BRZ_PROGRESS_BAR", "none"),
];

/// What Bazaar and Breezy say of a number that no revision has.
const NO_SUCH_REVISION: &str = "does not exist in branch";

/// Revisions that are asked for at a time: the program takes its time to begin.
const ASKED: u64 = 1000;

/// With the files of each revision.
const VERBOSE: &[&str] = &["--verbose"];

/// Changes of one delivery: few enough for one short transaction.
const BATCH: usize = 100;

/// Delivered revisions that are remembered.
const REMEMBERED: usize = 50;

/// What is configured of a branch of Bazaar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BzrSettings {
    pub(crate) url: String,
    /// `None` is the master's usual one.
    pub(crate) poll_interval: Option<Duration>,
    /// The next look is up to so much later, by chance.
    pub(crate) poll_jitter: Duration,
    /// A merge is of who made the last of what it merges.
    pub(crate) blame_merge_author: bool,
    pub(crate) branch_name: BranchName,
    /// The program, `bzr` if `None`.
    pub(crate) program: Option<String>,
    /// Whether a change is as old as its revision; if not, it is made when it arrives.
    pub(crate) use_timestamps: bool,
    /// Where a revision can be looked at; `%s` stands for it.
    pub(crate) revlink: Option<String>,
    pub(crate) project: String,
    pub(crate) category: Option<String>,
}

/// The branch that its changes name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BranchName {
    None,
    /// The nick of the branch in which the revision was made.
    Nick,
    /// The address.
    Full,
    Fixed(String),
}

/// A poller of a branch of Bazaar.
#[derive(Debug)]
pub(crate) struct BzrPoller {
    name: String,
    interval: Duration,
    settings: BzrSettings,
    bzr: Program,
    want: Want,
}

/// How far a source has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    repository: String,
    /// Number and id, the newest last.
    delivered: Vec<(u64, String)>,
}

impl BzrPoller {
    #[cfg(test)]
    pub(crate) fn new(
        name: String,
        settings: BzrSettings,
        interval: Duration,
        workdir: std::path::PathBuf,
    ) -> Self {
        Self::sharing(name, settings, interval, &Yard::at(workdir))
    }

    /// What others of `yard` were told of the same branch is not asked for again.
    pub(crate) fn sharing(
        name: String,
        settings: BzrSettings,
        interval: Duration,
        yard: &Arc<Yard>,
    ) -> Self {
        Self {
            bzr: Program {
                name: settings.program.clone().unwrap_or_else(|| "bzr".to_owned()),
                env: ENV,
            },
            name,
            interval,
            settings,
            want: yard.want(BTreeSet::new()),
        }
    }

    fn unreadable(&self) -> PollError {
        PollError::Unreadable {
            program: self.bzr.name.clone(),
        }
    }

    /// The newest revision, or that of a number; `None` if there is none.
    async fn revision(
        &self,
        dir: &Path,
        seen: &Seen,
        number: Option<u64>,
    ) -> Result<Option<(u64, String)>, PollError> {
        let of = format!("--directory={}", self.settings.url);
        let number = number.map(|it| format!("--revision={it}"));
        let mut line = vec!["revision-info", &of];
        line.extend(number.as_deref());
        let said = match asked::told(self, dir, seen, &line).await {
            Ok(said) => said,
            // Any other failure is no word about the revision.
            Err(PollError::Remote { source, .. })
                if number.is_some() && source.complains(NO_SUCH_REVISION) =>
            {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let (number, id) = said
            .trim()
            .split_once(' ')
            .ok_or_else(|| self.unreadable())?;
        let number = number.parse().map_err(|_| self.unreadable())?;
        // An empty branch is at 0.
        Ok((number > 0).then(|| (number, id.trim().to_owned())))
    }

    async fn log(
        &self,
        dir: &Path,
        seen: &Seen,
        range: &str,
        verbose: &[&str],
    ) -> Result<Vec<Entry>, PollError> {
        let range = format!("--revision={range}");
        let mut line = vec![
            "log",
            "--show-ids",
            "--forward",
            "--levels=1",
            "--log-format=long",
            "--timezone=utc",
        ];
        line.extend_from_slice(verbose);
        line.extend([range.as_str(), "--", &self.settings.url]);
        let said = asked::told(self, dir, seen, &line).await?;
        bzr_log::read(&said).ok_or_else(|| self.unreadable())
    }

    /// Where to go on: the newest that was delivered and is still there.
    async fn reached(
        &self,
        dir: &Path,
        seen: &Seen,
        delivered: &[(u64, String)],
    ) -> Result<Option<u64>, PollError> {
        for (number, id) in delivered.iter().rev() {
            let there = self.revision(dir, seen, Some(*number)).await?;
            if there.is_some_and(|(_, there)| there == *id) {
                return Ok(Some(*number));
            }
            warn!(source = %self.name, revision = number, "a revision is gone");
        }
        Ok(None)
    }

    async fn change(&self, dir: &Path, seen: &Seen, entry: Entry) -> Result<NewChange, PollError> {
        let settings = &self.settings;
        let mut author = entry.author;
        if settings.blame_merge_author
            && let [_, .., merged] = entry.parents.as_slice()
        {
            let merged = self.log(dir, seen, &format!("revid:{merged}"), &[]).await?;
            author = merged.into_iter().next().map_or(author, |it| it.author);
        }
        let revision = entry.number.to_string();
        Ok(NewChange {
            author,
            files: entry.files,
            comments: entry.message,
            vc: Some(Vc::Bzr),
            origin: Some(format!("bzr {} {}", settings.url, entry.id)),
            revlink: settings::revlink(settings.revlink.as_deref(), &revision),
            revision: Some(revision),
            branch: match &settings.branch_name {
                BranchName::None => None,
                BranchName::Nick => Some(entry.nick),
                BranchName::Full => Some(settings.url.clone()),
                BranchName::Fixed(name) => Some(name.clone()),
            },
            category: settings.category.clone(),
            repository: settings.url.clone(),
            project: settings.project.clone(),
            when: entry.when.filter(|_| settings.use_timestamps),
            properties: Properties::new(),
        })
    }

    fn state(&self, delivered: &[(u64, String)]) -> Value {
        let first = delivered.len().saturating_sub(REMEMBERED);
        let position = Position {
            repository: self.settings.url.clone(),
            delivered: delivered[first..].to_vec(),
        };
        serde_json::to_value(position).expect("a position is plain JSON")
    }
}

impl Poll for BzrPoller {
    fn name(&self) -> &str {
        &self.name
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn jitter(&self) -> Duration {
        self.settings.poll_jitter
    }

    fn explain(&self, error: &PollError) -> String {
        settings::explain(&self.settings.url, error)
    }

    async fn poll_once(&self, sink: &dyn Sink) -> Result<(), PollError> {
        self.poll_since(sink, Instant::now()).await.0
    }

    async fn poll_since(
        &self,
        sink: &dyn Sink,
        since: Instant,
    ) -> (Result<(), PollError>, Instant) {
        asked::in_turn(self, since, sink).await
    }
}

impl Asks for BzrPoller {
    fn want(&self) -> &Want {
        &self.want
    }

    fn url(&self) -> &str {
        &self.settings.url
    }

    async fn ask(&self, dir: &Path, args: &[&str]) -> Result<String, PollError> {
        let said = self.bzr.text(dir, args).await;
        said.map_err(|source| PollError::Remote {
            url: self.settings.url.clone(),
            source,
        })
    }

    async fn look(&self, dir: &Path, seen: &Seen) -> Result<(), PollError> {
        self.revision(dir, seen, None).await.map(drop)
    }

    async fn follow(&self, dir: &Path, seen: &Seen, sink: &dyn Sink) -> Result<(), PollError> {
        let newest = self.revision(dir, seen, None).await?;
        let state = sink.state(&self.name).await?;
        let position = Position::deserialize(&state).ok();
        let mut delivered = position
            .filter(|it| it.repository == self.settings.url)
            .map(|it| it.delivered)
            .unwrap_or_default();
        let Some((last, id)) = newest else {
            return Ok(());
        };
        if delivered.last() == Some(&(last, id)) {
            return Ok(());
        }
        // Who is new here is told the newest, and only that.
        let mut reached = match self.reached(dir, seen, &delivered).await? {
            Some(number) => number,
            None => last - 1,
        };
        delivered.retain(|(number, _)| *number <= reached);
        let mut asked = ASKED;
        while reached < last {
            let until = last.min(reached + asked);
            let range = format!("{}..{until}", reached + 1);
            let entries = match self.log(dir, seen, &range, VERBOSE).await {
                // Smaller and smaller, and at last without its files: one huge
                // commit must not hold up those behind it.
                Err(error) if error.said_too_much() && asked > 1 => {
                    asked /= 2;
                    continue;
                }
                Err(error) if error.said_too_much() => self.log(dir, seen, &range, &[]).await?,
                entries => entries?,
            };
            if entries.last().is_none_or(|it| it.number != until) {
                return Err(self.unreadable());
            }
            let mut entries = entries.into_iter().peekable();
            while entries.peek().is_some() {
                let mut changes = Vec::new();
                for entry in entries.by_ref().take(BATCH) {
                    delivered.push((entry.number, entry.id.clone()));
                    changes.push(self.change(dir, seen, entry).await?);
                }
                sink.deliver(&self.name, changes, self.state(&delivered))
                    .await?;
            }
            reached = until;
        }
        Ok(())
    }
}
