//! What all pollers share: when they look, how far they came, and what they
//! do when something is in the way. What they look with is a [`Mirror`].
//!
//! The position of a source is a set of heads: everything that they reach has
//! been delivered. It moves in the transaction that keeps the changes, so a
//! crash anywhere repeats a question, never a change, and skips none.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use sha2::Digest;
use sha2::Sha256;
use tokio::sync::Notify;
use tokio::time::Instant;
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
use super::yard::Seen;
use super::yard::Turn;
use super::yard::Want;
use super::yard::Yard;
use crate::model::NewChange;
use crate::model::Properties;
use crate::model::Vc;

/// Changes of one delivery: few enough for one short transaction.
const BATCH: usize = 200;

/// Revisions that a program is asked for at a time: few enough for its line.
const ASKED: usize = 5 * BATCH;

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
pub(super) enum Lost {
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
    pub(super) want: Want,
}

/// What looks for changes again and again.
pub(crate) trait Poll: Send + Sync {
    /// The source's name, under which its state is kept.
    fn name(&self) -> &str;

    /// From the end of one look to the next.
    fn interval(&self) -> Duration;

    /// The next look is up to so much later, by chance.
    fn jitter(&self) -> Duration {
        Duration::ZERO
    }

    /// The error with its causes and without passwords.
    fn explain(&self, error: &PollError) -> String;

    /// Looks once, and delivers what is new.
    fn poll_once(&self, sink: &dyn Sink) -> impl Future<Output = Result<(), PollError>> + Send;

    /// Like [`Poll::poll_once`], but what somebody else has seen of the repository after `since`
    /// is new enough. Says when that was.
    fn poll_since(
        &self,
        sink: &dyn Sink,
        _since: Instant,
    ) -> impl Future<Output = (Result<(), PollError>, Instant)> + Send {
        async {
            let polled = self.poll_once(sink).await;
            (polled, Instant::now())
        }
    }
}

/// What goes on from what was seen.
pub(super) trait Follow: Send + Sync {
    /// Delivers what is new by what was `seen`; `lost` is what a missing revision means.
    fn follow(
        &self,
        dir: &Path,
        seen: &Seen,
        lost: Lost,
        sink: &dyn Sink,
    ) -> impl Future<Output = Result<(), PollError>> + Send;
}

impl<M: Mirror> Poll for Poller<M> {
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
        in_turn(&self.want, &self.mirror, &self.settings, since, self, sink).await
    }
}

/// Takes a turn in the yard: looks, unless somebody has since, and goes on from what is there.
pub(super) async fn in_turn<M: Mirror, F: Follow>(
    want: &Want,
    mirror: &M,
    settings: &SourceSettings,
    since: Instant,
    follower: &F,
    sink: &dyn Sink,
) -> (Result<(), PollError>, Instant) {
    if let Err(refused) = mirror.check() {
        return (Err(refused), Instant::now());
    }
    want.show();
    let mut turn = want.yard().turn().await;
    let polled = take_turn(&mut turn, want, mirror, settings, since, follower, sink).await;
    let at = turn.looked_at().unwrap_or_else(Instant::now);
    (polled, at)
}

async fn take_turn<M: Mirror, F: Follow>(
    turn: &mut Turn<'_>,
    want: &Want,
    mirror: &M,
    settings: &SourceSettings,
    since: Instant,
    follower: &F,
    sink: &dyn Sink,
) -> Result<(), PollError> {
    let dir = turn.dir().to_owned();
    let wanted = turn.wanted();
    let answer = turn.look(want, since, look(mirror, &dir, &wanted)).await;
    let followed = match answer.seen {
        Ok(seen) => follower.follow(&dir, &seen, Lost::Suspect, sink).await,
        // Who looked has done about it what can be done.
        Err(error) if !answer.is_own => return Err(error),
        Err(error) => Err(error),
    };
    let Err(damage) = followed else {
        return Ok(());
    };
    if !damage.blames_the_clone() {
        return Err(damage);
    }
    // A clone that works replaces one that does not; the old one stays
    // until then, because the fault may be the network's.
    let fresh = beside(&dir);
    remove(&fresh).await?;
    let seen = match look(mirror, &fresh, &wanted).await {
        Ok(seen) => seen,
        Err(error) => {
            let reason = settings.explain(&error);
            warn!(source = %settings.name, reason, "a fresh clone fails too");
            return Err(damage);
        }
    };
    turn.forget();
    remove(&dir).await?;
    std::fs::rename(&fresh, &dir).map_err(|source| io(&dir, source))?;
    info!(source = %settings.name, reason = %damage, "the clone was made afresh");
    follower.follow(&dir, &seen, Lost::Forgotten, sink).await
}

async fn look<M: Mirror>(
    mirror: &M,
    dir: &Path,
    wanted: &BTreeSet<String>,
) -> Result<Seen, PollError> {
    std::fs::create_dir_all(dir).map_err(|source| io(dir, source))?;
    mirror.look(dir, wanted).await
}

/// Polls until `stop`, at once and then an interval after each look, or
/// sooner when `wake` says so. Polls never overlap, and failures never end it.
pub(crate) async fn run<P: Poll>(
    poller: P,
    sink: Arc<dyn Sink>,
    stop: CancellationToken,
    wake: Arc<Notify>,
) {
    let name = poller.name().to_owned();
    let mut jitter = Jitter::of(&name, poller.jitter());
    let mut failures = 0;
    // What others saw shortly before this began is good enough for a first look.
    let now = Instant::now();
    let mut since = now.checked_sub(poller.interval()).unwrap_or(now);
    let mut due = now + jitter.next();
    loop {
        sink.waits(&name, due.saturating_duration_since(Instant::now()));
        let asked = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Who knocks knows of something that nobody has seen before now.
            () = wake.notified() => Instant::now(),
            () = tokio::time::sleep_until(due) => since,
        };
        sink.looks(&name);
        let (polled, at) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            polled = poller.poll_since(sink.as_ref(), asked) => polled,
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
        since = at;
        due = at + wait_after(poller.interval(), failures) + jitter.next();
    }
}

/// The interval, doubled by each failure after the first in a row.
fn wait_after(interval: Duration, failures: u32) -> Duration {
    let factor = 1 << failures.saturating_sub(1).min(16);
    let longest = LONGEST_WAIT.max(interval);
    interval.saturating_mul(factor).min(longest)
}

/// Spreads those apart who would all ask at the same time.
struct Jitter {
    most: Duration,
    state: u64,
}

impl Jitter {
    /// Each source, and each process, has its own.
    fn of(name: &str, most: Duration) -> Self {
        let digest = Sha256::digest(format!("{} {name}", std::process::id()).as_bytes());
        let seed = digest[..8].try_into().expect("eight bytes");
        Self::new(u64::from_le_bytes(seed), most)
    }

    const fn new(seed: u64, most: Duration) -> Self {
        Self { most, state: seed }
    }

    /// Up to the most. This is SplitMix64: good enough to be unlike one's neighbours.
    fn next(&mut self) -> Duration {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        let most = u64::try_from(self.most.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(mixed % most.saturating_add(1))
    }
}

impl<M: Mirror> Poller<M> {
    /// A poller that looks for itself and for all others of the yard.
    pub(super) fn in_yard(settings: SourceSettings, mirror: M, yard: &Arc<Yard>) -> Self {
        let want = yard.want(mirror.wants());
        Self {
            settings,
            mirror,
            want,
        }
    }
}

impl<M: Mirror> Follow for Poller<M> {
    async fn follow(
        &self,
        dir: &Path,
        seen: &Seen,
        lost: Lost,
        sink: &dyn Sink,
    ) -> Result<(), PollError> {
        let name = &self.settings.name;
        let position = self.position(&sink.state(name).await?);
        let tips = match self.mirror.tips(dir, seen).await {
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
        let Some(reached) = position else {
            let state = self.state(tips.heads);
            return Ok(sink.deliver(name, Vec::new(), state).await?);
        };
        if is_same_set(&reached, &tips.heads) {
            return Ok(());
        }
        let known = self.mirror.known(dir, &reached).await?;
        if lost == Lost::Suspect
            && let Some(revision) = reached.iter().find(|it| !known.contains(it))
        {
            return Err(PollError::Missing {
                dir: dir.to_owned(),
                revision: revision.clone(),
            });
        }
        let news = if known.is_empty() {
            // A new branch, or a history that shares nothing with what is
            // known: all of it would be a flood, its newest revision is news.
            newest(&tips)
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
}

/// The newest revision alone, as if nothing were known of those before it.
fn newest(tips: &Tips) -> Vec<Revision> {
    let revision = |id| Revision {
        id,
        parents: Vec::new(),
    };
    tips.heads
        .last()
        .cloned()
        .into_iter()
        .map(revision)
        .collect()
}

impl<M: Mirror> Poller<M> {
    /// Tells the newest revision, whatever was told before it.
    pub(super) async fn tell_newest(
        &self,
        dir: &Path,
        tips: &Tips,
        sink: &dyn Sink,
    ) -> Result<(), PollError> {
        self.deliver(dir, tips, Vec::new(), &newest(tips), sink)
            .await
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
        let mut size = ASKED;
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
            let mut records = records.into_iter();
            let mut parts = batch.chunks(BATCH).peekable();
            while let Some(part) = parts.next() {
                for revision in part {
                    reached.retain(|it| !revision.parents.contains(it));
                    reached.push(revision.id.clone());
                }
                let changes = records.by_ref().take(part.len());
                let changes = changes.map(|it| self.change(tips, it)).collect();
                // What was reached on the way is all of it at the end, and no more
                // than the tips: a rewritten history is forgotten.
                let heads = if rest.is_empty() && parts.peek().is_none() {
                    tips.heads.clone()
                } else {
                    reached.clone()
                };
                sink.deliver(name, changes, self.state(heads)).await?;
            }
            left = rest;
            size = ASKED;
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
        let settings = &self.settings;
        // One of several, before it was the only one.
        let branch = settings.branch.as_deref().unwrap_or_default();
        let own = state.get("branches").and_then(|it| it.get(branch));
        let position = Position::deserialize(own.unwrap_or(state)).ok()?;
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

    #[test]
    fn the_same_seed_gives_the_same_jitter_and_none_is_more_than_the_most() {
        let drawn = |seed, most| {
            let mut jitter = Jitter::new(seed, Duration::from_secs(most));
            [(); 5].map(|()| jitter.next())
        };
        assert_eq!(drawn(7, 10), drawn(7, 10));
        assert_ne!(drawn(7, 10), drawn(8, 10));
        assert_eq!(drawn(7, 0), [Duration::ZERO; 5]);
        for seed in 0..1000 {
            let all = drawn(seed, 10);
            assert!(
                all.iter().all(|it| *it <= Duration::from_secs(10)),
                "{all:?}"
            );
            assert!(all.windows(2).any(|it| it[0] != it[1]), "{all:?}");
        }
    }
}
