//! Follows several branches of a git repository, those of these names or
//! patterns, in one clone. The remote is asked once where its branches are;
//! each that has moved is then polled as a source of one branch would be,
//! with its own part of the state.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use tracing::warn;

use super::Delivery;
use super::GitPoller;
use super::Sink;
use super::branches::Patterns;
use super::git_poller;
use super::mirror::PollError;
use super::poll;
use super::poll::Poll;
use super::settings::SourceSettings;
use crate::model::NewChange;

/// A poller of the branches that fit.
#[derive(Debug)]
pub(crate) struct GitBranches {
    settings: SourceSettings,
    patterns: Patterns,
}

/// How far each branch has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Positions {
    repository: String,
    /// As a source of that one branch would keep it.
    branches: BTreeMap<String, Value>,
}

impl GitBranches {
    /// Follows what fits `patterns`; the branch of `settings` says nothing.
    pub(crate) fn new(settings: SourceSettings, patterns: Patterns) -> Self {
        Self { settings, patterns }
    }

    /// Every branch of the remote that is followed, with its revision.
    async fn remote(&self, dir: &Path) -> Result<BTreeMap<String, String>, PollError> {
        let url = &self.settings.url;
        let ask = ["ls-remote", "--heads", "--", url];
        let said = git_poller::git(&self.settings).text(dir, &ask).await;
        let said = said.map_err(|source| PollError::Remote {
            url: url.clone(),
            source,
        })?;
        let branches = said.lines().filter_map(|line| {
            let (revision, name) = line.split_once('\t')?;
            let name = name.strip_prefix("refs/heads/")?;
            // A name that looks like an option is left alone, and no others with it.
            let is_followed = self.patterns.fit(name) && !name.starts_with('-');
            is_followed.then(|| (name.to_owned(), revision.to_owned()))
        });
        Ok(branches.collect())
    }

    fn branch(&self, name: &str) -> GitPoller {
        GitPoller::one_of_several(SourceSettings {
            branch: Some(name.to_owned()),
            ..self.settings.clone()
        })
    }

    fn position(&self, branch: &str, heads: Vec<String>) -> Value {
        poll::position(&self.settings.url, Some(branch), heads)
    }

    /// What is known of this repository, `None` if nothing is.
    fn positions(&self, state: &Value) -> Option<Positions> {
        let positions = Positions::deserialize(state).ok()?;
        (positions.repository == self.settings.url).then_some(positions)
    }

    /// Lets go what is kept of a branch that is no more.
    async fn forget(&self, dir: &Path, branch: &str) {
        let head = git_poller::head_of(branch);
        let line = ["--git-dir=.", "update-ref", "-d", &head];
        if dir.join("HEAD").exists()
            && let Err(error) = git_poller::git(&self.settings).run(dir, &line).await
        {
            warn!(source = %self.settings.name, branch, %error, "failed to forget a branch");
        }
    }
}

impl Poll for GitBranches {
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
        self.settings.check()?;
        let name = &self.settings.name;
        let dir = &self.settings.workdir;
        std::fs::create_dir_all(dir).map_err(|source| poll::io(dir, source))?;
        let remote = self.remote(dir).await?;
        let Some(mut known) = self.positions(&sink.state(name).await?) else {
            // The first look only notes where the branches are.
            let at = |(branch, revision): (&String, &String)| {
                let position = self.position(branch, vec![revision.clone()]);
                (branch.clone(), position)
            };
            let positions = Positions {
                repository: self.settings.url.clone(),
                branches: remote.iter().map(at).collect(),
            };
            return Ok(sink.deliver(name, Vec::new(), positions.value()).await?);
        };
        let gone: Vec<_> = known
            .branches
            .keys()
            .filter(|it| !remote.contains_key(*it))
            .cloned()
            .collect();
        for branch in &gone {
            known.branches.remove(branch);
            self.forget(dir, branch).await;
        }
        if !gone.is_empty() {
            sink.deliver(name, Vec::new(), known.value()).await?;
        }
        let known = Mutex::new(known);
        let mut failed = None;
        for (branch, revision) in &remote {
            let position = self.position(branch, vec![revision.clone()]);
            if lock(&known).branches.get(branch) == Some(&position) {
                continue;
            }
            let part = Part {
                sink,
                branch,
                // A branch that is new begins with its newest revision.
                unknown: self.position(branch, Vec::new()),
                known: &known,
            };
            match self.branch(branch).poll_once(&part).await {
                // Gone between two questions: the next look sees it so.
                Ok(()) | Err(PollError::NoBranch { .. }) => {}
                // A store that takes nothing takes nothing of the others either.
                Err(error @ PollError::Sink(_)) => return Err(error),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Positions {
    fn value(&self) -> Value {
        serde_json::to_value(self).expect("positions are plain JSON")
    }
}

/// One branch's part of the source's state.
struct Part<'a> {
    sink: &'a dyn Sink,
    branch: &'a str,
    unknown: Value,
    known: &'a Mutex<Positions>,
}

fn lock(known: &Mutex<Positions>) -> std::sync::MutexGuard<'_, Positions> {
    known.lock().expect("nobody panics while it is held")
}

impl Sink for Part<'_> {
    fn state(&self, _source: &str) -> Delivery<'_, Value> {
        let known = lock(self.known).branches.get(self.branch).cloned();
        Box::pin(async move { Ok(known.unwrap_or_else(|| self.unknown.clone())) })
    }

    fn deliver(&self, source: &str, changes: Vec<NewChange>, state: Value) -> Delivery<'_, ()> {
        let mut next = lock(self.known).clone();
        next.branches.insert(self.branch.to_owned(), state);
        let delivery = self.sink.deliver(source, changes, next.value());
        Box::pin(async move {
            delivery.await?;
            *lock(self.known) = next;
            Ok(())
        })
    }

    fn report(&self, source: &str, health: Result<(), String>) {
        self.sink.report(source, health);
    }
}
