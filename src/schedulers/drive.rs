//! Lends a scheduler a clock and a desk: the one place of this room that
//! waits. It hears of changes by reading them from the desk, so a message can
//! be late or lost without a change being so.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::Answer;
use super::ChangeFilter;
use super::Desk;
use super::Scheduler;
use crate::model::BuilderName;
use crate::model::Change;
use crate::model::ChangeId;
use crate::model::SchedulerName;

/// The first wait after a failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(1);

const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// Changes are read this often even when nobody tells of any: another master may store them.
const READ_AGAIN: Duration = Duration::from_mins(1);

/// What every scheduler has, whatever decides when it builds.
pub(crate) struct DriveSettings {
    pub(crate) name: SchedulerName,
    pub(crate) builders: Vec<BuilderName>,
    pub(crate) filter: ChangeFilter,
    /// Whether a change that passed the filter is worth a build by itself.
    pub(crate) is_important: Box<dyn Fn(&Change) -> bool + Send + Sync>,
    /// Why its builds are made, such as `scheduler`.
    pub(crate) reason: String,
}

/// Drives a scheduler until `stop`. `news` is marked as changed after a change
/// was stored; it says no more, because the desk is asked for what is new.
///
/// What the desk was asked for is always finished, even after `stop`: who
/// takes over under the same name must not read a state that is about to change.
pub(crate) async fn drive(
    scheduler: Box<dyn Scheduler>,
    settings: DriveSettings,
    news: watch::Receiver<()>,
    desk: Arc<dyn Desk>,
    stop: CancellationToken,
) {
    let driver = Driver {
        scheduler,
        link: Link {
            name: settings.name.clone(),
            desk,
            stop,
        },
        settings,
        seen: ChangeId(0),
    };
    let Err(Stopped) = driver.run(news).await;
}

/// The driver was told to stop.
struct Stopped;

struct Driver {
    scheduler: Box<dyn Scheduler>,
    settings: DriveSettings,
    link: Link,
    /// The newest change that was looked at; kept with the scheduler's state.
    seen: ChangeId,
}

impl Driver {
    async fn run(mut self, mut news: watch::Receiver<()>) -> Result<Infallible, Stopped> {
        self.take_up().await?;
        let mut teller_is_gone = false;
        loop {
            // Before reading: what is told from here on is read next time.
            news.mark_unchanged();
            self.read_changes().await?;
            let due = self.scheduler.due();
            tokio::select! {
                biased;
                () = self.link.stop.cancelled() => return Err(Stopped),
                () = until(due) => {}
                told = news.changed(), if !teller_is_gone => teller_is_gone = told.is_err(),
                () = tokio::time::sleep(READ_AGAIN) => {}
            }
        }
    }

    /// Continues where an earlier run ended; without one, at the newest change.
    async fn take_up(&mut self) -> Result<(), Stopped> {
        let name = &self.settings.name;
        let state = self.link.insist(|desk| desk.state(name)).await?;
        match state.get("seen").and_then(Value::as_i64) {
            Some(seen) => {
                self.seen = ChangeId(seen);
                self.scheduler.restore(&state, Instant::now());
            }
            None => {
                self.seen = self.link.insist(|desk| desk.newest_change()).await?;
                self.save().await?;
            }
        }
        Ok(())
    }

    /// Shows the scheduler what is new and carries out what is due. Until that
    /// is kept, a crash leaves it all to be read again.
    async fn read_changes(&mut self) -> Result<(), Stopped> {
        // The desk gives a batch at a time; what is behind it must not wait for news.
        while self.read_batch().await? {}
        Ok(())
    }

    /// Reads a batch of changes; `false` if there was nothing new.
    async fn read_batch(&mut self) -> Result<bool, Stopped> {
        let seen = self.seen;
        let changes = self.link.insist(|desk| desk.changes_since(seen)).await?;
        for change in &changes {
            if change.id <= self.seen {
                continue;
            }
            self.seen = change.id;
            if self.settings.filter.passes(change) {
                let important = (self.settings.is_important)(change);
                self.scheduler.on_change(change, important, Instant::now());
            }
        }
        let has_requested = self.request_due().await?;
        if self.seen != seen && !has_requested {
            self.save().await?;
        }
        Ok(self.seen != seen)
    }

    /// Asks for what is due now, and says whether anything was, because that has kept the state.
    async fn request_due(&mut self) -> Result<bool, Stopped> {
        let mut has_requested = false;
        while self
            .scheduler
            .due()
            .is_some_and(|due| due <= Instant::now())
        {
            let changes = self.scheduler.on_due(Instant::now());
            let state = self.state();
            let DriveSettings {
                name,
                builders,
                reason,
                ..
            } = &self.settings;
            self.link
                .insist(|desk| desk.request(name, reason, changes.clone(), builders, state.clone()))
                .await?;
            has_requested = true;
        }
        Ok(has_requested)
    }

    async fn save(&mut self) -> Result<(), Stopped> {
        let state = self.state();
        let name = &self.settings.name;
        self.link
            .insist(|desk| desk.save(name, state.clone()))
            .await
    }

    /// The scheduler's own state and, beside it, how far this driver has read.
    fn state(&self) -> Value {
        let mut state = self.scheduler.state();
        state["seen"] = json!(self.seen);
        state
    }
}

/// The way to the desk.
struct Link {
    name: SchedulerName,
    desk: Arc<dyn Desk>,
    stop: CancellationToken,
}

impl Link {
    /// Asks until there is an answer.
    async fn insist<'a, T>(
        &'a self,
        ask: impl Fn(&'a dyn Desk) -> Answer<'a, T>,
    ) -> Result<T, Stopped> {
        let mut wait = FIRST_RETRY;
        loop {
            match ask(self.desk.as_ref()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    warn!(scheduler = %self.name, %error, ?wait, "asking again later");
                }
            }
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Stopped),
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(LONGEST_RETRY);
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
