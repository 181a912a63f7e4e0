//! Follows a Subversion repository: asks for its newest revision, then for
//! the log from the one it knows. There is nothing to clone.
//!
//! The position is a revision: what stands before it has been delivered. It
//! moves in the transaction that keeps the changes, so a crash anywhere
//! repeats a question, never a change, and skips none.

use std::collections::BTreeMap;
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
use super::mirror::PollError;
use super::poll::Poll;
use super::program::Program;
use super::settings;
use super::split::Prefix;
use super::split::Split;
use super::svn_log;
use super::svn_log::Entry;
use super::svn_log::Info;
use super::yard::Seen;
use super::yard::Want;
use super::yard::Yard;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::Vc;

const ENV: &[(&str, &str)] = &[("LC_ALL", "C.UTF-8")];

/// Asks where the repository is.
const INFO: &[&str] = &["info"];

/// What is configured of a Subversion repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SvnSettings {
    pub(crate) url: String,
    pub(crate) split: Split,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// `None` is the master's usual one.
    pub(crate) poll_interval: Option<Duration>,
    /// The next look is up to so much later, by chance.
    pub(crate) poll_jitter: Duration,
    /// How many revisions are asked for at a time.
    pub(crate) hist_max: u32,
    /// The program, `svn` if `None`.
    pub(crate) program: Option<String>,
    /// Whether a change is as old as its revision; if not, it is made when it arrives.
    pub(crate) use_timestamps: bool,
    /// Where a revision can be looked at; `%s` stands for it.
    pub(crate) revlink: Option<String>,
    pub(crate) project: String,
    pub(crate) category: Option<String>,
}

impl SvnSettings {
    /// All below the URL, as a branch of that name if it has one, with nothing else said.
    pub(crate) fn new(url: &str, branch: Option<&str>) -> Self {
        let prefix = branch.and_then(|it| Prefix::new(it, "").ok());
        Self {
            url: url.trim_end_matches('/').to_owned(),
            split: prefix.map_or(Split::None, |it| Split::Map(vec![it])),
            user: None,
            password: None,
            poll_interval: None,
            poll_jitter: Duration::ZERO,
            hist_max: 100,
            program: None,
            use_timestamps: false,
            revlink: None,
            project: String::new(),
            category: None,
        }
    }
}

/// A poller of a Subversion repository.
#[derive(Debug)]
pub(crate) struct SvnPoller {
    name: String,
    interval: Duration,
    settings: SvnSettings,
    svn: Program,
    want: Want,
}

/// How far a source has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    repository: String,
    /// Another repository at the same place starts afresh.
    uuid: String,
    revision: u64,
}

impl SvnPoller {
    #[cfg(test)]
    pub(crate) fn new(
        name: String,
        settings: SvnSettings,
        interval: Duration,
        workdir: std::path::PathBuf,
    ) -> Self {
        Self::sharing(name, settings, interval, &Yard::at(workdir))
    }

    /// What others of `yard` were told of the same repository is not asked for again.
    pub(crate) fn sharing(
        name: String,
        settings: SvnSettings,
        interval: Duration,
        yard: &Arc<Yard>,
    ) -> Self {
        Self {
            svn: Program {
                name: settings.program.clone().unwrap_or_else(|| "svn".to_owned()),
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
            program: self.svn.name.clone(),
        }
    }

    async fn info(&self, dir: &Path, seen: &Seen) -> Result<Info, PollError> {
        let said = asked::told(self, dir, seen, INFO).await?;
        let info = svn_log::info(&said).ok().flatten();
        info.ok_or_else(|| self.unreadable())
    }

    /// At most `limit` revisions from `first` to `last`, in order.
    async fn log(
        &self,
        dir: &Path,
        seen: &Seen,
        (first, last): (u64, u64),
        limit: u32,
    ) -> Result<Vec<Entry>, PollError> {
        let range = format!("--revision={first}:{last}");
        let mut limit = limit.max(1);
        let entries = loop {
            let most = format!("--limit={limit}");
            let asked = ["log", "--verbose", &range, &most];
            let said = asked::told(self, dir, seen, &asked).await;
            match said {
                // Smaller and smaller, and at last without its files: one huge
                // commit must not hold up those behind it.
                Err(error) if error.said_too_much() && limit > 1 => limit /= 2,
                Err(error) if error.said_too_much() => {
                    break self.ask(dir, &["log", &range, &most]).await?;
                }
                said => break said?,
            }
        };
        let entries = svn_log::log(&entries).ok().flatten();
        let entries = entries.ok_or_else(|| self.unreadable())?;
        let mut before = first.saturating_sub(1);
        for entry in &entries {
            if entry.revision <= before || entry.revision > last {
                return Err(self.unreadable());
            }
            before = entry.revision;
        }
        Ok(entries)
    }

    fn position(&self, state: &Value, info: &Info) -> Option<u64> {
        let position = Position::deserialize(state).ok()?;
        if position.repository != self.settings.url {
            return None;
        }
        if position.uuid != info.uuid {
            warn!(source = %self.name, uuid = info.uuid, "another repository is there now");
            return None;
        }
        Some(position.revision)
    }

    fn state(&self, info: &Info, revision: u64) -> Value {
        let position = Position {
            repository: self.settings.url.clone(),
            uuid: info.uuid.clone(),
            revision,
        };
        serde_json::to_value(position).expect("a position is plain JSON")
    }

    /// A change for each branch that the revision touches.
    fn changes(&self, info: &Info, entry: &Entry) -> Vec<NewChange> {
        let mut branches: BTreeMap<Option<String>, Vec<(String, bool)>> = BTreeMap::new();
        for touched in &entry.paths {
            let Some(path) = below(&touched.path, &info.path) else {
                continue;
            };
            if let Some((branch, file)) = self.settings.split.split(path) {
                let files = branches.entry(branch).or_default();
                files.push((file, touched.is_deleted));
            }
        }
        if entry.paths.is_empty() && self.settings.split == Split::None {
            // It had too many to be told.
            branches.insert(None, Vec::new());
        }
        // A branch that goes away is nothing to build.
        branches.retain(|_, files| {
            !matches!(files.as_slice(), [(file, is_deleted)] if file.is_empty() && *is_deleted)
        });
        let change = |(branch, files)| self.change(info, entry, branch, files);
        branches.into_iter().map(change).collect()
    }

    fn change(
        &self,
        info: &Info,
        entry: &Entry,
        branch: Option<String>,
        files: Vec<(String, bool)>,
    ) -> NewChange {
        let settings = &self.settings;
        let revision = entry.revision.to_string();
        let shown = branch.as_deref().unwrap_or("-");
        let date = entry.date.as_deref().unwrap_or_default();
        let unknown = || "<unknown>".to_owned();
        // The branch's own directory has no name in it.
        let named = |(file, _): (String, bool)| match file.is_empty() {
            true => ".".to_owned(),
            false => file,
        };
        let mut comments = entry.message.clone().unwrap_or_else(unknown);
        comments.truncate(comments.trim_end().len());
        NewChange {
            author: entry.author.clone().unwrap_or_else(unknown),
            files: files.into_iter().map(named).collect(),
            comments,
            // With its date: a repository that was set back uses numbers again.
            vc: Some(Vc::Svn),
            origin: Some(format!(
                "svn {} {} {shown} {revision} {date}",
                settings.url, info.uuid
            )),
            revlink: settings::revlink(settings.revlink.as_deref(), &revision),
            revision: Some(revision),
            branch,
            category: settings.category.clone(),
            repository: settings.url.clone(),
            project: settings.project.clone(),
            when: entry.when().filter(|_| settings.use_timestamps),
            properties: Properties::new(),
        }
    }
}

/// The path from `dir` on; both are of the repository.
fn below<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    if dir.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(dir)? {
        "" => Some(""),
        rest => rest.strip_prefix('/'),
    }
}

impl Poll for SvnPoller {
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
        let said = settings::explain(&self.settings.url, error);
        match self
            .settings
            .password
            .as_deref()
            .filter(|it| !it.is_empty())
        {
            Some(password) => said.replace(password, "…"),
            None => said,
        }
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

impl Asks for SvnPoller {
    fn want(&self) -> &Want {
        &self.want
    }

    fn url(&self) -> &str {
        &self.settings.url
    }

    async fn ask(&self, dir: &Path, args: &[&str]) -> Result<String, PollError> {
        let user = self
            .settings
            .user
            .as_ref()
            .map(|it| format!("--username={it}"));
        let password = self.settings.password.as_ref();
        let password = password.map(|it| format!("--password={it}"));
        // Behind the last `@` svn looks for a revision, which none of ours is.
        let url = format!("{}@", self.settings.url);
        let mut line = args.to_vec();
        line.extend(["--xml", "--non-interactive", "--no-auth-cache"]);
        line.extend(user.as_deref());
        line.extend(password.as_deref());
        line.extend(["--", &url]);
        let said = self.svn.text(dir, &line).await;
        said.map_err(|source| PollError::Remote {
            url: self.settings.url.clone(),
            source,
        })
    }

    async fn look(&self, dir: &Path, seen: &Seen) -> Result<(), PollError> {
        asked::told(self, dir, seen, INFO).await.map(drop)
    }

    async fn follow(&self, dir: &Path, seen: &Seen, sink: &dyn Sink) -> Result<(), PollError> {
        let info = self.info(dir, seen).await?;
        let state = sink.state(&self.name).await?;
        let Some(mut reached) = self.position(&state, &info) else {
            // The first look only notes where the repository is.
            let state = self.state(&info, info.revision);
            return Ok(sink.deliver(&self.name, Vec::new(), state).await?);
        };
        if reached > info.revision {
            // A repository that was set back from a backup: what comes now is new. A mirror
            // that only lags says nothing that is not known by its origin.
            warn!(source = %self.name, reached, revision = info.revision, "revisions are gone");
            let state = self.state(&info, info.revision);
            return Ok(sink.deliver(&self.name, Vec::new(), state).await?);
        }
        while reached < info.revision {
            let limit = self.settings.hist_max;
            let range = (reached + 1, info.revision);
            let entries = self.log(dir, seen, range, limit).await?;
            // No more of ours: the others are of other directories.
            reached = entries.last().map_or(info.revision, |it| it.revision);
            let all = entries.iter().flat_map(|it| self.changes(&info, it));
            let state = self.state(&info, reached);
            sink.deliver(&self.name, all.collect(), state).await?;
        }
        Ok(())
    }
}
