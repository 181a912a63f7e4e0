//! Follows a branch of Bazaar, with `bzr` or Breezy's `brz`: asks for its newest revision, then
//! for the log from the one it knows. There is nothing to clone.
//!
//! The position is the last revisions that were delivered, by number and id: after `uncommit` or
//! `push --overwrite` the newest that is still there tells where to go on.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use tracing::warn;

use super::Sink;
use super::bzr_log;
use super::bzr_log::Entry;
use super::mirror::PollError;
use super::poll;
use super::poll::Poll;
use super::program::Program;
use super::settings;
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

/// Revisions that are asked for at a time.
const BATCH: u64 = 100;

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
    /// Where the program runs; nothing is kept there.
    workdir: PathBuf,
}

/// How far a source has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    repository: String,
    /// Number and id, the newest last.
    delivered: Vec<(u64, String)>,
}

impl BzrPoller {
    pub(crate) fn new(
        name: String,
        settings: BzrSettings,
        interval: Duration,
        workdir: PathBuf,
    ) -> Self {
        Self {
            bzr: Program {
                name: settings.program.clone().unwrap_or_else(|| "bzr".to_owned()),
                env: ENV,
            },
            name,
            interval,
            settings,
            workdir,
        }
    }

    async fn bzr(&self, dir: &Path, args: &[&str]) -> Result<String, PollError> {
        let said = self.bzr.text(dir, args).await;
        said.map_err(|source| PollError::Remote {
            url: self.settings.url.clone(),
            source,
        })
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
        number: Option<u64>,
    ) -> Result<Option<(u64, String)>, PollError> {
        let of = format!("--directory={}", self.settings.url);
        let number = number.map(|it| format!("--revision={it}"));
        let mut line = vec!["revision-info", &of];
        line.extend(number.as_deref());
        let said = match self.bzr(dir, &line).await {
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

    async fn log(&self, dir: &Path, range: &str) -> Result<Vec<Entry>, PollError> {
        let range = format!("--revision={range}");
        let line = [
            "log",
            "--verbose",
            "--show-ids",
            "--forward",
            "--levels=1",
            "--log-format=long",
            "--timezone=utc",
            &range,
            "--",
            &self.settings.url,
        ];
        let said = self.bzr(dir, &line).await?;
        bzr_log::read(&said).ok_or_else(|| self.unreadable())
    }

    /// Where to go on: the newest that was delivered and is still there.
    async fn reached(
        &self,
        dir: &Path,
        delivered: &[(u64, String)],
    ) -> Result<Option<u64>, PollError> {
        for (number, id) in delivered.iter().rev() {
            let there = self.revision(dir, Some(*number)).await?;
            if there.is_some_and(|(_, there)| there == *id) {
                return Ok(Some(*number));
            }
            warn!(source = %self.name, revision = number, "a revision is gone");
        }
        Ok(None)
    }

    async fn change(&self, dir: &Path, entry: Entry) -> Result<NewChange, PollError> {
        let settings = &self.settings;
        let mut author = entry.author;
        if settings.blame_merge_author
            && let [_, .., merged] = entry.parents.as_slice()
        {
            let merged = self.log(dir, &format!("revid:{merged}")).await?;
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
        settings::refuse_option("repository", &self.settings.url)?;
        let dir = &self.workdir;
        std::fs::create_dir_all(dir).map_err(|source| poll::io(dir, source))?;
        let newest = self.revision(dir, None).await?;
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
        let mut reached = match self.reached(dir, &delivered).await? {
            Some(number) => number,
            None => last - 1,
        };
        delivered.retain(|(number, _)| *number <= reached);
        while reached < last {
            let until = last.min(reached + BATCH);
            let entries = self.log(dir, &format!("{}..{until}", reached + 1)).await?;
            if entries.last().is_none_or(|it| it.number != until) {
                return Err(self.unreadable());
            }
            let mut changes = Vec::new();
            for entry in entries {
                delivered.push((entry.number, entry.id.clone()));
                changes.push(self.change(dir, entry).await?);
            }
            reached = until;
            sink.deliver(&self.name, changes, self.state(&delivered))
                .await?;
        }
        Ok(())
    }
}
