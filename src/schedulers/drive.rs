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
use super::Desk;
use super::Filter;
use super::Now;
use super::Scheduler;
use crate::model::ChangeId;
use crate::model::SchedulerName;

/// The first wait after a failure; each further one doubles it.
const FIRST_RETRY: Duration = Duration::from_secs(1);

const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// The desk is looked at this often even when nobody tells of any news: another
/// master may store some, and the wall clock may be set.
const LOOK_AGAIN: Duration = Duration::from_mins(1);

/// Drives a scheduler until `stop`. It hears of the changes that `filter` lets
/// pass; without one, of none. `news` is marked as changed after a change was
/// stored or a buildset made or finished; it says no more, because the desk is
/// asked for what is new.
///
/// What the desk was asked for is always finished, even after `stop`: who
/// takes over under the same name must not read a state that is about to change.
pub(crate) async fn drive(
    name: SchedulerName,
    scheduler: Box<dyn Scheduler>,
    filter: Option<Filter>,
    news: watch::Receiver<()>,
    desk: Arc<dyn Desk>,
    stop: CancellationToken,
) {
    let driver = Driver {
        scheduler,
        filter,
        link: Link { name, desk, stop },
        seen: None,
        kept: Value::Null,
    };
    let Err(Stopped) = driver.run(news).await;
}

/// The driver was told to stop.
struct Stopped;

struct Driver {
    scheduler: Box<dyn Scheduler>,
    filter: Option<Filter>,
    link: Link,
    /// The newest change that was looked at; kept with the scheduler's state.
    seen: Option<ChangeId>,
    /// The state that the desk has.
    kept: Value,
}

impl Driver {
    async fn run(mut self, mut news: watch::Receiver<()>) -> Result<Infallible, Stopped> {
        self.take_up().await?;
        let mut teller_is_gone = false;
        loop {
            // Before reading: what is told from here on is read next time.
            news.mark_unchanged();
            self.look().await?;
            let now = self.now();
            let due = self.scheduler.due(now);
            self.link.desk.announce(due.map(|it| now.shown(it)));
            tokio::select! {
                biased;
                () = self.link.stop.cancelled() => return Err(Stopped),
                () = until(due) => {}
                told = news.changed(), if !teller_is_gone => teller_is_gone = told.is_err(),
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
        }
    }

    fn now(&self) -> Now {
        Now {
            instant: Instant::now(),
            wall: self.link.desk.wall(),
        }
    }

    /// Continues where an earlier run ended; without one, at the newest change.
    async fn take_up(&mut self) -> Result<(), Stopped> {
        self.kept = self.link.insist(|desk| desk.state()).await?;
        // Who hears of no changes does not go on from where an earlier one was.
        let seen = self.kept.get("seen").and_then(Value::as_i64);
        self.seen = seen.map(ChangeId).filter(|_| self.filter.is_some());
        let now = self.now();
        self.scheduler.restore(&self.kept, now);
        if self.seen.is_none() && self.filter.is_some() {
            self.seen = Some(self.link.insist(|desk| desk.newest_change()).await?);
            self.keep().await?;
        }
        Ok(())
    }

    /// Shows the scheduler what is new and carries out what is due. Until that
    /// is kept, a crash leaves it all to be read again.
    async fn look(&mut self) -> Result<(), Stopped> {
        self.look_at_buildsets().await?;
        // The desk gives a batch at a time; what is behind it must not wait for news.
        while self.read_batch().await? {
            self.carry_out().await?;
        }
        self.carry_out().await
    }

    async fn look_at_buildsets(&mut self) -> Result<(), Stopped> {
        let Some(question) = self.scheduler.follows() else {
            return Ok(());
        };
        let seen = self
            .link
            .insist(|desk| desk.buildsets(question.clone()))
            .await?;
        self.scheduler.on_buildsets(&seen);
        Ok(())
    }

    /// Reads a batch of changes; `false` if there was nothing new.
    async fn read_batch(&mut self) -> Result<bool, Stopped> {
        let (Some(filter), Some(mut seen)) = (&self.filter, self.seen) else {
            return Ok(false);
        };
        let before = seen;
        let changes = self.link.insist(|desk| desk.changes_since(seen)).await?;
        for change in &changes {
            if change.id <= seen {
                continue;
            }
            seen = change.id;
            let verdict = filter.verdict(change);
            if verdict.passes {
                let now = self.now();
                self.scheduler.on_change(change, verdict.important, now);
            }
        }
        self.seen = Some(seen);
        Ok(seen != before)
    }

    /// Asks for what is due now, and keeps what changed.
    async fn carry_out(&mut self) -> Result<(), Stopped> {
        loop {
            let now = self.now();
            let is_due = |due: Instant| due <= now.instant;
            if !self.scheduler.due(now).is_some_and(is_due) {
                break;
            }
            let wish = self.scheduler.on_due(now);
            let Some(wish) = wish else {
                self.keep().await?;
                // What is still due is not waited for: it would be so for ever.
                break;
            };
            let state = self.state();
            self.link
                .insist(|desk| desk.request(wish.clone(), state.clone()))
                .await?;
            self.kept = state;
        }
        if self.state() == self.kept {
            return Ok(());
        }
        self.keep().await
    }

    async fn keep(&mut self) -> Result<(), Stopped> {
        let state = self.state();
        self.link.insist(|desk| desk.save(state.clone())).await?;
        self.kept = state;
        Ok(())
    }

    /// The scheduler's own state and, beside it, how far this driver has read.
    fn state(&self) -> Value {
        let mut state = self.scheduler.state();
        if let Some(seen) = self.seen {
            state["seen"] = json!(seen);
        }
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
