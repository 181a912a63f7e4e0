//! What the master counts of itself: builds by their ends, changes, how long requests wait and
//! the store takes. `/metrics` and `/json/metrics` show it, and with `[:metrics:]` the log has it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{self, Instant};
use tracing::info;

use crate::clock;
use crate::config::MetricsPlan;
use crate::master::handle::MasterHandle;
use crate::metrics::{Histogram, Process, Snapshot};
use crate::model::{BuilderName, Outcome, Status, Timestamp};
use crate::store::StoreError;

/// A timer of which the lateness says how busy the master is.
const TICK: Duration = Duration::from_millis(100);
/// How often is looked whether the configuration wants something by now.
const LOOK: Duration = Duration::from_secs(10);

/// What is counted from the master's start on.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// As many as there are builders and outcomes.
    builds: Mutex<BTreeMap<(BuilderName, &'static str), u64>>,
    changes: AtomicU64,
    configs: AtomicU64,
    /// From the oldest of a build's requests to the build's begin.
    pub(super) dispatch: Histogram,
    lateness: Histogram,
}

impl Figures {
    /// Counts what the pages are told.
    pub(super) fn note(&self, status: &Status) {
        match status {
            Status::BuildFinished { build, outcome, .. } => {
                let builds = self.builds.lock();
                let mut builds = builds.unwrap_or_else(PoisonError::into_inner);
                let ended = (build.builder.clone(), word(*outcome));
                *builds.entry(ended).or_default() += 1;
            }
            Status::ChangeAdded { .. } => drop(self.changes.fetch_add(1, Ordering::Relaxed)),
            Status::Reloaded => drop(self.configs.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    pub(super) fn dispatched(&self, submitted: Timestamp, now: Timestamp) {
        let waited = u64::try_from(now.0 - submitted.0).unwrap_or(0);
        self.dispatch.note(Duration::from_millis(waited));
    }
}

const fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Warnings => "warnings",
        Outcome::Failure => "failure",
        Outcome::Skipped => "skipped",
        Outcome::Exception => "exception",
        Outcome::Retry => "retry",
    }
}

/// How bad a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Ok,
    Warn,
    Critical,
}

impl Level {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warn => "WARN",
            Self::Critical => "CRIT",
        }
    }
}

/// All figures at a moment.
#[derive(Clone, Debug)]
pub(crate) struct FiguresView {
    pub(crate) started: Timestamp,
    pub(crate) counters: BTreeMap<&'static str, u64>,
    /// The mean of the last ten, in seconds.
    pub(crate) timers: BTreeMap<&'static str, f64>,
    pub(crate) alarms: Vec<(&'static str, Level, Option<String>)>,
    /// Builds that have ended since the start.
    pub(crate) builds: BTreeMap<(BuilderName, &'static str), u64>,
    /// In the order of the configuration.
    pub(crate) builders: Vec<BuilderName>,
    /// Requests that wait, by builder.
    pub(crate) waiting: Vec<(BuilderName, usize)>,
    /// Since when the oldest of them does.
    pub(crate) oldest: Option<Timestamp>,
    pub(crate) slaves: SlaveCounts,
    pub(crate) log_bytes: u64,
    pub(crate) dispatch: Snapshot,
    pub(crate) lateness: Snapshot,
    pub(crate) store_reads: Snapshot,
    pub(crate) store_writes: Snapshot,
    pub(crate) process: Process,
}

/// How many slaves do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlaveCounts {
    pub(crate) configured: u64,
    pub(crate) connected: u64,
    /// With at least one build.
    pub(crate) busy: u64,
    pub(crate) paused: u64,
}

impl MasterHandle {
    /// All figures as they are now.
    pub(crate) async fn figures(&self) -> Result<FiguresView, StoreError> {
        let crew = self.crew();
        let read = crew.store.read(|verbs| {
            let waiting = verbs.count_pending()?;
            let oldest = match verbs.pending_ids()?.first() {
                Some(id) => verbs.request(*id)?.map(|it| it.submitted),
                None => None,
            };
            Ok((waiting, oldest, verbs.log_bytes(None)?))
        });
        let (waiting, oldest, log_bytes) = read.await?;
        let plan = self.plan();
        let figures = &crew.figures;
        let mut slaves = SlaveCounts::default();
        for slave in self.slaves() {
            slaves.configured += 1;
            slaves.connected += u64::from(slave.connected);
            slaves.busy += u64::from(!slave.running.is_empty());
            slaves.paused += u64::from(slave.pause.is_some());
        }
        let process = Process::now();
        let active = crew.live().len() as u64;
        let (reads, writes) = crew.store.times();
        let (store_reads, store_writes) = (reads.snapshot(), writes.snapshot());
        let (dispatch, lateness) = (figures.dispatch.snapshot(), figures.lateness.snapshot());
        let count = |it: usize| it as u64;
        let waiting_in_all = waiting.iter().map(|it| it.1 as u64).sum();
        let counters = [
            ("added_changes", figures.changes.load(Ordering::Relaxed)),
            ("loaded_config", figures.configs.load(Ordering::Relaxed) + 1),
            ("num_slaves", slaves.configured),
            ("num_builders", count(plan.builders.len())),
            ("num_schedulers", count(plan.schedulers.len())),
            ("num_sources", count(plan.sources.len())),
            ("num_status", count(plan.status.len())),
            ("num_user_managers", 0),
            ("active_builds", active),
            ("pending_requests", waiting_in_all),
            ("BotMaster.attached_slaves", slaves.connected),
            ("AbstractBuildSlave.attached_slaves", slaves.connected),
            // SQLite's own cache is the only one.
            ("buildCache.hits", 0),
            ("buildCache.misses", 0),
            ("resource.resident_bytes", process.resident_bytes),
            ("resource.open_files", process.open_files),
            ("resource.threads", process.threads),
        ];
        let timers = [
            ("reactorDelay", lateness.mean),
            ("dispatch", dispatch.mean),
            ("store.read", store_reads.mean),
            ("store.write", store_writes.mean),
        ];
        let troubles = self.troubles();
        let disks: Vec<_> = troubles.iter().map(ToString::to_string).collect();
        let disk = match disks.is_empty() {
            true => ("disk", Level::Ok, None),
            false => ("disk", Level::Critical, Some(disks.join("; "))),
        };
        let config = match self.config_bad_since() {
            None => ("configuration", Level::Ok, None),
            Some(since) => (
                "configuration",
                Level::Warn,
                Some(format!(
                    "the files have mistakes since {}",
                    clock::iso(since)
                )),
            ),
        };
        let builds = figures.builds.lock();
        let builds = builds.unwrap_or_else(PoisonError::into_inner).clone();
        Ok(FiguresView {
            started: self.started(),
            counters: counters.into(),
            timers: timers
                .into_iter()
                .filter_map(|(name, mean)| Some((name, mean?)))
                .collect(),
            alarms: vec![("attached_slaves", Level::Ok, None), disk, config],
            builds,
            builders: plan.builders.iter().map(|it| it.name.clone()).collect(),
            waiting,
            oldest,
            slaves,
            log_bytes,
            dispatch,
            lateness,
            store_reads,
            store_writes,
            process,
        })
    }
}

impl FiguresView {
    /// As the log has it, a line each.
    fn lines(&self) -> Vec<String> {
        let counters = self.counters.iter();
        let counters = counters.map(|(name, value)| format!("Counter {name}: {value}"));
        let timers = self.timers.iter();
        let timers = timers.map(|(name, mean)| format!("Timer {name}: {}", digits(*mean)));
        let alarms = self.alarms.iter().map(|(name, level, why)| match why {
            Some(why) => format!("{} {name}: {why}", level.as_str()),
            None => format!("{} {name}", level.as_str()),
        });
        counters.chain(timers).chain(alarms).collect()
    }
}

/// Three digits that say something.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".into();
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the exponent of a time is small"
    )]
    let places = 2 - value.abs().log10().floor() as i32;
    let places = usize::try_from(places.max(0)).unwrap_or(0);
    format!("{value:.places$}")
}

/// Takes figures and writes them down as often as the configuration says, until the master stops.
pub(super) async fn run(handle: MasterHandle) {
    let crew = Arc::clone(handle.crew());
    let begun = Instant::now();
    let (mut taken, mut told) = (begun, begun);
    loop {
        let plan: Option<MetricsPlan> = crew.plan().metrics;
        let (every, tell) = match plan {
            Some(plan) => (plan.periodic_interval, plan.log_interval),
            None => (None, None),
        };
        let next = |last: Instant, every: Option<Duration>| every.map(|it| last + it);
        let look = Instant::now() + LOOK;
        let due = [next(taken, every), next(told, tell)];
        let due = due
            .into_iter()
            .flatten()
            .min()
            .map_or(look, |it| it.min(look));
        tokio::select! {
            () = crew.stop.cancelled() => return,
            () = time::sleep_until(due) => {}
        }
        let now = Instant::now();
        if next(taken, every).is_some_and(|it| it <= now) {
            taken = now;
            time::sleep(TICK).await;
            let late = now.elapsed().saturating_sub(TICK);
            crew.figures.lateness.note(late);
        }
        if next(told, tell).is_some_and(|it| it <= now) {
            told = now;
            match handle.figures().await {
                Ok(view) => {
                    for line in view.lines() {
                        info!(target: "autobot::metrics", "{line}");
                    }
                }
                Err(error) => info!(reason = %error, "no figures could be taken"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_told_with_three_digits() {
        let check = |value: f64, expected: &str| assert_eq!(digits(value), expected);
        check(0.0, "0");
        check(0.001_234_5, "0.00123");
        check(0.5, "0.500");
        check(12.345, "12.3");
        check(12_345.6, "12346");
    }

    #[test]
    fn builds_are_counted_by_builder_and_outcome() {
        let figures = Figures::default();
        let ended = |builder: &str, outcome| {
            let build = crate::model::BuildKey {
                builder: builder.into(),
                number: 1,
            };
            figures.note(&Status::BuildFinished {
                build,
                slave: "linux".into(),
                outcome,
            });
        };
        ended("a", Outcome::Success);
        ended("a", Outcome::Success);
        ended("a", Outcome::Failure);
        ended("b", Outcome::Retry);
        let builds = figures.builds.lock().expect("nobody panicked");
        let shown = builds
            .iter()
            .map(|(key, count)| (key.0.as_str(), key.1, *count));
        let shown: Vec<_> = shown.collect();
        assert_eq!(
            shown,
            [("a", "failure", 1), ("a", "success", 2), ("b", "retry", 1)]
        );
    }
}
