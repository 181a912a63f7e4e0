//! `periodic`: builds again and again, with the same time between.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde_json::Value;
use serde_json::json;
use tokio::time::Instant;

use crate::model::SchedulerName;
use crate::model::Timestamp;
use crate::syntax::Keys;

use super::Now;
use super::Scheduler;
use super::SchedulerKind;
use super::Settings;
use super::Wanted;
use super::Wish;
use super::filter::Name;
use super::on_changes::shown;

pub(super) const KIND: SchedulerKind = SchedulerKind {
    name: "periodic",
    aliases: &["periodic_scheduler"],
    summary: "Builds again and again, with the same time between.",
    example: "periodic_build_timer = 6h\nbranch = main",
    read: |keys| Some(Arc::new(Periodic::read(keys)?)),
};

#[derive(Clone, Debug, PartialEq)]
struct Periodic {
    every: Duration,
    branch: Option<String>,
}

impl Periodic {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let names = ["periodic_build_timer", "every"];
        let every = keys.required_as::<Duration>(&names);
        let branch = keys.or("branch", Name(None));
        let every = every?;
        if every < Duration::from_secs(1) {
            let name = names.into_iter().find(|it| keys.has(it));
            keys.wrong(name.unwrap_or(names[0]), "expected at least `1s`");
            return None;
        }
        Some(Self {
            every,
            branch: branch?.0,
        })
    }
}

impl Settings for Periodic {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn begin(&self, name: &SchedulerName, _zone: &TimeZone) -> Box<dyn Scheduler> {
        Box::new(Rhythm {
            settings: self.clone(),
            name: name.clone(),
            last: None,
            begun: None,
        })
    }

    fn describe(&self) -> String {
        format!("builds every {}", shown(self.every))
    }
}

/// Keeps its rhythm: runs are counted from when they were planned.
#[derive(Debug)]
struct Rhythm {
    settings: Periodic,
    name: SchedulerName,
    /// The last run; none before the first.
    last: Option<Timestamp>,
    /// When this run of the scheduler began.
    begun: Option<Timestamp>,
}

impl Rhythm {
    /// The next run; at once if there was none.
    fn planned(&self, now: Now) -> Timestamp {
        let every = i64::try_from(self.settings.every.as_millis()).unwrap_or(i64::MAX);
        match self.last {
            Some(last) => Timestamp(last.0.saturating_add(every)),
            None => now.wall,
        }
    }
}

impl Scheduler for Rhythm {
    fn due(&self, now: Now) -> Option<Instant> {
        now.until(self.planned(now))
    }

    fn on_due(&mut self, now: Now) -> Option<Wish> {
        let planned = self.planned(now);
        if planned > now.wall {
            return None;
        }
        // What was due before the start, or was slept through, is made up for once.
        let is_late = now.wall.since(planned) >= self.settings.every
            || self.begun.is_none_or(|begun| planned < begun);
        self.last = Some(if is_late { now.wall } else { planned });
        let name = &self.name;
        Some(Wish {
            what: Wanted::latest(self.settings.branch.clone()),
            reason: format!("The Periodic scheduler named '{name}' triggered this build"),
        })
    }

    fn state(&self) -> Value {
        json!({ "last": self.last })
    }

    fn restore(&mut self, state: &Value, now: Now) {
        let last = state.get("last").and_then(Value::as_i64).map(Timestamp);
        // A clock that was set back must not stop it for longer than a period.
        self.last = last.map(|it| it.min(now.wall));
        self.begun = Some(now.wall);
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::now;
    use super::*;

    fn periodic(every: u64, state: &Value, begun: i64) -> Box<dyn Scheduler> {
        let settings = Periodic {
            every: Duration::from_secs(every),
            branch: Some("main".into()),
        };
        let mut scheduler = settings.begin(&"often".into(), &TimeZone::UTC);
        scheduler.restore(state, now(begun));
        scheduler
    }

    /// In how many seconds it is due.
    fn due_in(scheduler: &dyn Scheduler, second: i64) -> u64 {
        let now = now(second);
        let due = scheduler.due(now).expect("always");
        due.duration_since(now.instant).as_secs()
    }

    #[test]
    fn it_builds_at_once_and_then_in_its_rhythm() {
        let mut scheduler = periodic(60, &Value::Null, 100);
        assert_eq!(due_in(scheduler.as_ref(), 100), 0);
        let wish = scheduler.on_due(now(100)).expect("a build");
        assert_eq!(wish.what, Wanted::latest(Some("main".into())));
        let reason = "The Periodic scheduler named 'often' triggered this build";
        assert_eq!(wish.reason, reason);
        assert_eq!(due_in(scheduler.as_ref(), 100), 60);
        assert_eq!(scheduler.on_due(now(159)), None);
        // Three seconds late: the rhythm does not drift.
        assert!(scheduler.on_due(now(163)).is_some());
        assert_eq!(due_in(scheduler.as_ref(), 163), 57);
        assert_eq!(scheduler.state(), json!({"last": 160_000}));
    }

    #[test]
    fn a_restart_counts_from_the_last_run() {
        let state = json!({"last": 0});
        assert_eq!(due_in(periodic(3600, &state, 600).as_ref(), 600), 3000);
        let mut overdue = periodic(300, &state, 600);
        assert_eq!(due_in(overdue.as_ref(), 600), 0);
        assert!(overdue.on_due(now(600)).is_some());
        assert_eq!(due_in(overdue.as_ref(), 600), 300, "from the start on");
    }

    #[test]
    fn what_was_slept_through_is_built_once() {
        let mut scheduler = periodic(60, &json!({"last": 0}), 0);
        assert!(scheduler.on_due(now(1000)).is_some());
        assert_eq!(due_in(scheduler.as_ref(), 1000), 60);
    }

    #[test]
    fn a_clock_that_is_set_back_delays_it_for_a_period_at_most() {
        let scheduler = periodic(60, &json!({"last": 900_000}), 100);
        assert_eq!(due_in(scheduler.as_ref(), 100), 60);
    }
}
