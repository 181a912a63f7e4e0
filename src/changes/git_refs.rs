//! Follows several refs of a git repository, those of these names or patterns, in one clone.
//! The remote is asked once where they all are; each that has moved is then followed as a source
//! of that one would be, with its own part of the state. A tag is told when it appears and when
//! it moves, and what came before it is not.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tracing::warn;

use super::Delivery;
use super::GitPoller;
use super::Sink;
use super::branches::Wanted;
use super::git_poller::GitMirror;
use super::mirror::Mirror;
use super::mirror::PollError;
use super::poll;
use super::poll::Follow;
use super::poll::Lost;
use super::poll::Poll;
use super::settings::SourceSettings;
use super::yard::Seen;
use super::yard::Want;
use super::yard::Yard;
use crate::model::NewChange;

/// A poller of the refs that fit.
#[derive(Debug)]
pub(crate) struct GitRefs {
    settings: SourceSettings,
    wanted: Wanted,
    mirror: GitMirror,
    want: Want,
    yard: Arc<Yard>,
}

/// How far each ref has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Positions {
    repository: String,
    /// As a source of that one branch would keep it, by what changes call the branch.
    branches: BTreeMap<String, Value>,
    /// The objects that tags are at.
    #[serde(default)]
    tags: BTreeMap<String, String>,
    /// What was asked for: what fits none of these was there before it was asked for.
    #[serde(default)]
    patterns: Option<BTreeSet<String>>,
}

/// A ref of the remote that is followed.
struct Found<'a> {
    /// What changes call it.
    branch: &'a str,
    /// Its full name.
    name: &'a str,
    object: &'a str,
}

impl Found<'_> {
    fn is_tag(&self) -> bool {
        self.name.starts_with(TAGS)
    }
}

/// Where tags are.
const TAGS: &str = "refs/tags/";

impl GitRefs {
    /// Follows what is `wanted` in the clone of `yard`; the branch of `settings` says nothing.
    pub(crate) fn new(settings: SourceSettings, wanted: Wanted, yard: &Arc<Yard>) -> Self {
        let mirror = GitMirror::of_patterns(&settings, wanted.patterns());
        let want = yard.want(mirror.wants());
        Self {
            settings,
            wanted,
            mirror,
            want,
            yard: Arc::clone(yard),
        }
    }

    /// Every ref of the remote that is followed.
    fn found<'a>(&self, seen: &'a Seen) -> Vec<Found<'a>> {
        let followed = seen.refs.iter().filter_map(|(name, object)| {
            let branch = self.wanted.branch(name)?;
            Some(Found {
                branch,
                name,
                object,
            })
        });
        followed.collect()
    }

    fn of(&self, it: &Found<'_>) -> GitPoller {
        let settings = SourceSettings {
            branch: Some(it.branch.to_owned()),
            ..self.settings.clone()
        };
        let (name, branch) = (it.name.to_owned(), it.branch.to_owned());
        let mirror = GitMirror::new(&settings, Some(name), Some(branch));
        GitPoller::in_yard(settings, mirror, &self.yard)
    }

    fn position(&self, branch: &str, heads: Vec<String>) -> Value {
        poll::position(&self.settings.url, Some(branch), heads)
    }

    /// What is known of this repository, `None` if nothing is.
    fn positions(&self, state: &Value) -> Option<Positions> {
        if let Ok(positions) = Positions::deserialize(state) {
            return (positions.repository == self.settings.url).then_some(positions);
        }
        // One branch was followed before.
        let branch = state.get("branch")?.as_str()?;
        (state.get("repository")?.as_str()? == self.settings.url).then(|| Positions {
            repository: self.settings.url.clone(),
            branches: [(branch.to_owned(), state.clone())].into(),
            tags: BTreeMap::new(),
            patterns: Some([format!("refs/heads/{branch}")].into()),
        })
    }

    /// Notes where a ref is, and tells nothing.
    fn note(&self, positions: &mut Positions, it: &Found<'_>) {
        if it.is_tag() {
            let object = it.object.to_owned();
            positions.tags.insert(it.branch.to_owned(), object);
        } else {
            let position = self.position(it.branch, vec![it.object.to_owned()]);
            positions.branches.insert(it.branch.to_owned(), position);
        }
    }

    /// What is known, with what needs no telling put right.
    async fn known(
        &self,
        dir: &Path,
        all: &[Found<'_>],
        sink: &dyn Sink,
    ) -> Result<Positions, PollError> {
        let name = &self.settings.name;
        let patterns = self.wanted.patterns();
        let state = sink.state(name).await?;
        let mut known = self.positions(&state).unwrap_or_else(|| Positions {
            repository: self.settings.url.clone(),
            // The first look only notes where all of them are.
            patterns: Some(BTreeSet::new()),
            ..Positions::default()
        });
        let before = known.clone();
        let gone = |it: &String| !all.iter().any(|found| found.branch == it);
        known.branches.retain(|it, _| !gone(it));
        known.tags.retain(|it, _| !gone(it));
        let earlier = known.patterns.replace(patterns.clone()).unwrap_or(patterns);
        for it in all {
            let is_known =
                known.branches.contains_key(it.branch) || known.tags.contains_key(it.branch);
            // What is asked for from now on is not new because of that.
            if !is_known
                && !earlier
                    .iter()
                    .any(|pattern| super::git_poller::fits(pattern, it.name))
            {
                self.note(&mut known, it);
            }
        }
        if known != before || state.is_null() {
            sink.deliver(name, Vec::new(), known.value()).await?;
        }
        for branch in before.branches.keys().chain(before.tags.keys()) {
            if gone(branch)
                && let Err(error) = self.mirror.forget(dir, &self.wanted.name(branch)).await
            {
                warn!(source = %name, branch, %error, "failed to forget a branch");
            }
        }
        Ok(known)
    }

    /// Delivers what is new of one ref.
    async fn advance(
        &self,
        dir: &Path,
        seen: &Seen,
        it: &Found<'_>,
        lost: Lost,
        sink: &Part<'_>,
    ) -> Result<(), PollError> {
        let poller = self.of(it);
        if let Err(error) = poller.mirror.check() {
            // No program is to see such a name, and the others are told all the same.
            warn!(source = %self.settings.name, %error, "a branch is left alone");
            return Ok(());
        }
        match poller.mirror.tips(dir, seen).await {
            // Gone between two questions, or no commit at all.
            Err(PollError::NoBranch { .. }) if it.is_tag() => {
                let name = &self.settings.name;
                Ok(sink.deliver(name, Vec::new(), Value::Null).await?)
            }
            Err(PollError::NoBranch { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(tips) if it.is_tag() => poller.tell_newest(dir, &tips, sink).await,
            Ok(_) => poller.follow(dir, seen, lost, sink).await,
        }
    }
}

impl Poll for GitRefs {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn interval(&self) -> Duration {
        self.settings.poll_interval
    }

    fn jitter(&self) -> Duration {
        self.settings.poll_jitter
    }

    fn explain(&self, error: &PollError) -> String {
        self.settings.explain(error)
    }

    async fn poll_once(&self, sink: &dyn Sink) -> Result<(), PollError> {
        self.poll_since(sink, Instant::now()).await.0
    }

    async fn poll_since(
        &self,
        sink: &dyn Sink,
        since: Instant,
    ) -> (Result<(), PollError>, Instant) {
        if let Err(refused) = self.settings.check() {
            return (Err(refused), Instant::now());
        }
        poll::in_turn(&self.want, &self.mirror, &self.settings, since, self, sink).await
    }
}

impl Follow for GitRefs {
    async fn follow(
        &self,
        dir: &Path,
        seen: &Seen,
        lost: Lost,
        sink: &dyn Sink,
    ) -> Result<(), PollError> {
        let all = self.found(seen);
        let known = Mutex::new(self.known(dir, &all, sink).await?);
        let mut failed = None;
        for it in &all {
            let at = self.position(it.branch, vec![it.object.to_owned()]);
            let is_there = {
                let known = lock(&known);
                known
                    .tags
                    .get(it.branch)
                    .is_some_and(|tag| tag == it.object)
                    || known.branches.get(it.branch) == Some(&at)
            };
            if is_there {
                continue;
            }
            let part = Part {
                sink,
                of: it,
                // One that is new begins with its newest revision.
                unknown: self.position(it.branch, Vec::new()),
                known: &known,
            };
            match self.advance(dir, seen, it, lost, &part).await {
                Ok(()) => {}
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

/// One ref's part of the source's state.
struct Part<'a> {
    sink: &'a dyn Sink,
    of: &'a Found<'a>,
    unknown: Value,
    known: &'a Mutex<Positions>,
}

fn lock(known: &Mutex<Positions>) -> std::sync::MutexGuard<'_, Positions> {
    known.lock().expect("nobody panics while it is held")
}

impl Sink for Part<'_> {
    fn state(&self, _source: &str) -> Delivery<'_, Value> {
        let known = lock(self.known).branches.get(self.of.branch).cloned();
        Box::pin(async move { Ok(known.unwrap_or_else(|| self.unknown.clone())) })
    }

    fn deliver(&self, source: &str, changes: Vec<NewChange>, state: Value) -> Delivery<'_, ()> {
        let mut next = lock(self.known).clone();
        let branch = self.of.branch.to_owned();
        match self.of.is_tag() {
            true => drop(next.tags.insert(branch, self.of.object.to_owned())),
            false => drop(next.branches.insert(branch, state)),
        }
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
