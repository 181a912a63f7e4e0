//! A round of forgetting: builds, logs and changes by number and by age, then logs by size. Files
//! go before their rows, so that what is cut off in between is found again.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{debug, warn};

use crate::config::BuilderPlan;
use crate::config::Plan;
use crate::logs;
use crate::logs::times;
use crate::model::BuildId;
use crate::model::BuilderName;
use crate::model::Timestamp;
use crate::store::{Amount, Holders, Kept, OldBuild, Result, StoreHandle};

/// Builds in one transaction.
pub(super) const PIECE: usize = 50;
/// Changes in one transaction.
const CHANGES: usize = 200;
/// Requests in one transaction.
const REQUESTS: usize = 200;

/// What a round goes by; the master need not run for it.
pub(crate) struct Round {
    pub(crate) store: StoreHandle,
    /// The master's base directory.
    pub(crate) dir: PathBuf,
    pub(crate) plan: Arc<Plan>,
    pub(crate) now: Timestamp,
    /// When it is enough for once.
    pub(crate) until: Option<Instant>,
}

/// What was forgotten, or would be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Of builders of which something goes.
    pub(crate) builders: BTreeMap<BuilderName, Amount>,
    pub(crate) changes: usize,
    /// Requests that were completed without a build.
    pub(crate) requests: usize,
    pub(crate) events: usize,
    /// Bytes of logs that stay.
    pub(crate) left: u64,
    /// How many of them are above a budget, because somebody needs them.
    pub(crate) over: u64,
    /// The time was up; there may be more to forget.
    pub(crate) more: bool,
}

impl Report {
    pub(super) fn add(&mut self, builder: &BuilderName, more: Amount) {
        if more != Amount::default() {
            *self.builders.entry(builder.clone()).or_default() += more;
        }
    }
}

impl Round {
    /// Whether the time is up, written down.
    pub(super) fn is_enough(&self, report: &mut Report) -> bool {
        report.more |= self.until.is_some_and(|it| Instant::now() >= it);
        report.more
    }

    /// Forgets everything that is not kept.
    pub(crate) async fn prune_all(&self) -> Result<Report> {
        let mut report = Report::default();
        self.measure().await?;
        for builder in &self.plan.builders {
            self.prune_builder(builder, &mut report).await?;
        }
        self.prune_to_size(None, self.plan.master.log_size, &mut report)
            .await?;
        self.prune_changes(&mut report).await?;
        self.prune_events(&mut report).await?;
        report.left = self.store.read(|verbs| verbs.log_bytes(None)).await?;
        Ok(report)
    }

    /// Forgets what a build has pushed out that has just ended.
    pub(super) async fn after_a_build(&self, builder: &BuilderName) -> Result<()> {
        let mut report = Report::default();
        let planned = self.plan.builders.iter().find(|it| it.name == *builder);
        if let Some(planned) = planned {
            self.prune_builder(planned, &mut report).await?;
        }
        self.prune_to_size(None, self.plan.master.log_size, &mut report)
            .await
    }

    /// Writes down how much the logs take of builds that have ended.
    pub(super) async fn measure(&self) -> Result<()> {
        loop {
            let ended = self.store.read(|verbs| verbs.unmeasured(PIECE)).await?;
            if ended.is_empty() {
                return Ok(());
            }
            let is_last = ended.len() < PIECE;
            let dir = self.dir.join("builds");
            let measuring = tokio::task::spawn_blocking(move || -> Vec<_> {
                let files_of = |it: &OldBuild| -> Vec<_> {
                    it.files.iter().map(|file| dir.join(file)).collect()
                };
                let measured = ended
                    .iter()
                    .map(|it| (it.id, logs::bytes_of(&files_of(it))));
                measured.collect()
            });
            let Ok(measured) = measuring.await else {
                warn!("measuring logs broke off");
                return Ok(());
            };
            self.store
                .write(move |verbs| verbs.measure(&measured))
                .await?;
            if is_last {
                return Ok(());
            }
        }
    }

    pub(super) async fn oldest_kept(
        &self,
        builder: &BuilderName,
        newest: Option<u32>,
        age: Option<Duration>,
    ) -> Result<i64> {
        let kept = self.kept(newest, age);
        let name = builder.clone();
        self.store
            .read(move |verbs| verbs.oldest_kept(&name, kept))
            .await
    }

    pub(super) fn kept(&self, newest: Option<u32>, age: Option<Duration>) -> Kept {
        kept(self.now, newest, age)
    }

    async fn prune_builder(&self, builder: &BuilderPlan, report: &mut Report) -> Result<()> {
        let horizons = builder.horizons;
        if horizons.builds.is_some() || horizons.build_age.is_some() {
            let below = self
                .oldest_kept(&builder.name, horizons.builds, horizons.build_age)
                .await?;
            self.prune_builds(&builder.name, below, report).await?;
            self.prune_unbuilt(builder, report).await?;
        }
        if horizons.logs.is_some() || horizons.log_age.is_some() {
            let below = self
                .oldest_kept(&builder.name, horizons.logs, horizons.log_age)
                .await?;
            self.prune_logs(&builder.name, below, report).await?;
        }
        self.prune_to_size(Some(&builder.name), horizons.log_size, report)
            .await
    }

    async fn prune_builds(
        &self,
        builder: &BuilderName,
        below: i64,
        report: &mut Report,
    ) -> Result<()> {
        let name = builder.clone();
        // A branch without builds does not hold the one that began its failures for ever.
        self.store
            .write(move |verbs| verbs.forget_branches(&name, below))
            .await?;
        while !self.is_enough(report) {
            let name = builder.clone();
            let old = self
                .store
                .read(move |verbs| verbs.old_builds(&name, below, PIECE))
                .await?;
            if old.is_empty() {
                break;
            }
            debug!(%builder, builds = old.len(), "forgetting old builds");
            let ids = self.remove_files(&old).await;
            let (name, holders) = (builder.clone(), self.holders());
            self.store
                .write(move |verbs| verbs.forget_builds(&name, &ids, &holders))
                .await?;
            for it in &old {
                let builds = Amount {
                    builds: 1,
                    ..amount_of_logs(it)
                };
                report.add(builder, builds);
            }
        }
        Ok(())
    }

    /// Forgets requests that never became a build, as long ago as builds that are forgotten.
    async fn prune_unbuilt(&self, builder: &BuilderPlan, report: &mut Report) -> Result<()> {
        let kept = self.kept(builder.horizons.builds, builder.horizons.build_age);
        while !self.is_enough(report) {
            let (name, holders) = (builder.name.clone(), self.holders());
            let gone = self
                .store
                .write(move |verbs| verbs.forget_unbuilt(&name, kept, &holders, REQUESTS));
            let gone = gone.await?;
            if gone == 0 {
                break;
            }
            debug!(builder = %builder.name, requests = gone, "forgot old requests");
            report.requests += gone;
        }
        Ok(())
    }

    async fn prune_logs(
        &self,
        builder: &BuilderName,
        below: i64,
        report: &mut Report,
    ) -> Result<()> {
        while !self.is_enough(report) {
            let name = builder.clone();
            let old = self
                .store
                .read(move |verbs| verbs.old_logs(&name, below, PIECE))
                .await?;
            if old.is_empty() {
                break;
            }
            self.forget_logs(&old, report).await?;
        }
        Ok(())
    }

    /// Forgets the oldest logs until the others are within the budget.
    async fn prune_to_size(
        &self,
        builder: Option<&BuilderName>,
        budget: Option<u64>,
        report: &mut Report,
    ) -> Result<()> {
        let Some(budget) = budget else {
            return Ok(());
        };
        while !self.is_enough(report) {
            let of = builder.cloned();
            let (bytes, mut old) = self
                .store
                .read(move |verbs| {
                    let bytes = verbs.log_bytes(of.as_ref())?;
                    let over = bytes > budget;
                    let old = over.then(|| verbs.oldest_logs(of.as_ref(), PIECE));
                    Ok((bytes, old.transpose()?.unwrap_or_default()))
                })
                .await?;
            let over = bytes.saturating_sub(budget);
            if old.is_empty() {
                report.over = report.over.max(over);
                break;
            }
            let mut freed = 0;
            let enough = old.iter().take_while(|it| {
                let goes = freed < over;
                freed += it.bytes;
                goes
            });
            let enough = enough.count();
            old.truncate(enough);
            self.forget_logs(&old, report).await?;
        }
        Ok(())
    }

    async fn forget_logs(&self, old: &[OldBuild], report: &mut Report) -> Result<()> {
        let ids = self.remove_files(old).await;
        self.store
            .write(move |verbs| verbs.forget_logs(&ids))
            .await?;
        for it in old {
            report.add(&it.builder, amount_of_logs(it));
        }
        Ok(())
    }

    pub(super) async fn prune_changes(&self, report: &mut Report) -> Result<()> {
        let kept = self.kept_changes();
        if kept == Kept::default() {
            return Ok(());
        }
        while !self.is_enough(report) {
            let holders = self.holders();
            let gone = self
                .store
                .write(move |verbs| verbs.forget_changes(kept, &holders, CHANGES))
                .await?;
            if gone == 0 {
                break;
            }
            debug!(changes = gone, "forgot old changes");
            report.changes += gone;
        }
        Ok(())
    }

    pub(super) fn kept_changes(&self) -> Kept {
        let master = &self.plan.master;
        self.kept(master.change_horizon, master.change_age)
    }

    /// Whose states say which changes and buildsets are still waited for.
    pub(super) fn holders(&self) -> Holders {
        let schedulers = self.plan.schedulers.iter();
        Holders(schedulers.map(|it| it.object()).collect())
    }

    /// Removes log files away from the threads that serve everybody; gives back whose they were.
    async fn remove_files(&self, old: &[OldBuild]) -> Vec<BuildId> {
        let files = old.iter().flat_map(|it| it.files.clone()).collect();
        self.remove_logs(files).await;
        old.iter().map(|it| it.id).collect()
    }

    pub(super) async fn remove_logs(&self, files: Vec<String>) {
        let dir = self.dir.join("builds");
        let removing = tokio::task::spawn_blocking(move || {
            for file in files {
                remove_log(&dir.join(file));
            }
        });
        if removing.await.is_err() {
            warn!("removing old logs broke off");
        }
    }
}

fn amount_of_logs(build: &OldBuild) -> Amount {
    Amount {
        builds: 0,
        logs: u64::from(build.bytes > 0),
        bytes: build.bytes,
    }
}

fn remove_log(path: &Path) {
    if let Err(error) = times::remove(path) {
        warn!(log = %path.display(), reason = %error, "failed to remove the times of an old log");
    }
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => {
            warn!(log = %path.display(), reason = %error, "failed to remove an old log");
        }
    }
}

/// So many of the newest, and what is younger than `age`.
pub(super) fn kept(now: Timestamp, newest: Option<u32>, age: Option<Duration>) -> Kept {
    let before = |age: Duration| {
        let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        Timestamp(now.0.saturating_sub(age))
    };
    Kept {
        newest,
        since: age.map(before),
    }
}
