//! `nightly`: builds at times of the day, the week or the year.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value as Json;
use serde_json::json;
use tokio::time::Instant;

use crate::model::Change;
use crate::model::SchedulerName;
use crate::model::Timestamp;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

use super::Filter;
use super::Now;
use super::Scheduler;
use super::SchedulerKind;
use super::Settings;
use super::Wanted;
use super::Wish;
use super::filter::Criterion;
use super::filter::Field as Attribute;
use super::filter::Name;
use super::times::Field;
use super::times::Times;
use super::tree_stable::Waiting;
use super::zone::Zone;

pub(super) const KIND: SchedulerKind = SchedulerKind {
    name: "nightly",
    aliases: &["nightly_scheduler"],
    summary: "Builds at times of the day, the week or the year.",
    example: "branch = main\nhour = 3\nminute = 30\nday_of_week = 0-4\nonly_if_changed = yes",
    read: |keys| Some(Arc::new(Nightly::read(keys)?)),
};

#[derive(Clone, Debug, PartialEq)]
struct Nightly {
    branch: Option<String>,
    times: Times,
    /// As the file says it, for people.
    said: String,
    /// The master's own where none is named.
    zone: Option<Zone>,
    /// Which changes it hears of; nothing if it builds whether there are any or not.
    if_changed: Option<Filter>,
}

const FIELDS: [&str; 5] = ["minute", "hour", "day_of_month", "month", "day_of_week"];

impl Nightly {
    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let branch = keys.required::<Name>("branch");
        let said = Self::said(keys);
        let times = Self::times(keys);
        let zone = keys.optional("time_zone");
        let only_if_changed = keys.or("only_if_changed", false);
        let filter = Filter::read(keys, None);
        if only_if_changed == Some(false) {
            let why = "only `only_if_changed = yes` looks at changes";
            for key in Filter::keys() {
                keys.without_effect(key, why);
            }
        }
        let branch = branch?.0;
        let mut filter = filter?;
        let own = Criterion::OneOf(vec![branch.clone()]);
        filter.conditions.push((Attribute::Branch, own));
        Some(Self {
            branch,
            times: times?,
            said,
            zone: zone?,
            if_changed: only_if_changed?.then_some(filter),
        })
    }

    fn times(keys: &mut Keys<'_>) -> Option<Times> {
        let cron = keys.optional::<Times>("cron");
        let minute = keys.or("minute", Field::of(&[0]));
        let hour = keys.or("hour", Field::ANY);
        let day_of_month = keys.or("day_of_month", Field::ANY);
        let month = keys.or("month", Field::ANY);
        let day_of_week = keys.or("day_of_week", Field::ANY);
        let times = match cron? {
            Some(cron) => {
                if let Some(other) = FIELDS.into_iter().find(|it| keys.has(it)) {
                    let what = format!("`cron` and `{other}` both say when");
                    let problem = Problem::error(Code::Contradiction, what)
                        .at(&keys.place(other))
                        .label("this")
                        .also(&keys.place("cron"), "and this");
                    keys.note(problem);
                    return None;
                }
                cron
            }
            None => {
                let (day_of_month, day_of_week) = (day_of_month?, day_of_week?);
                Times {
                    minute: minute?,
                    hour: hour?,
                    day_of_month,
                    month: month?,
                    day_of_week,
                    // If both kinds of day are restricted, one suffices.
                    either: !day_of_month.is_any() && !day_of_week.is_any(),
                }
            }
        };
        if !times.can_come() {
            let key = if keys.has("cron") {
                "cron"
            } else {
                "day_of_month"
            };
            keys.wrong(key, "there is no such day in these months");
            return None;
        }
        Some(times)
    }

    /// The keys that say when, as they stand in the file, without TOML's quotes.
    fn said(keys: &Keys<'_>) -> String {
        let said = |key: &&str| keys.has(key);
        let all = ["cron"].iter().chain(&FIELDS).filter(|it| said(it));
        let all: Vec<_> = all
            .map(|key| {
                let place = keys.place(key);
                format!("{key} = {}", place.text().trim_matches(['"', '\'']))
            })
            .collect();
        all.join(", ")
    }
}

impl Settings for Nightly {
    fn kind(&self) -> &'static str {
        KIND.name
    }

    fn begin(&self, name: &SchedulerName, zone: &TimeZone) -> Box<dyn Scheduler> {
        let zone = self.zone.as_ref().map_or(zone, Zone::as_zone);
        Box::new(Alarm {
            settings: self.clone(),
            name: name.clone(),
            zone: zone.clone(),
            base: Timestamp(0),
            last: None,
            waiting: Waiting::default(),
        })
    }

    fn describe(&self) -> String {
        let mut text = match self.said.as_str() {
            "" => "builds every hour".to_owned(),
            said => format!("builds at {said}"),
        };
        if self.if_changed.is_some() {
            text.push_str(", if there was an important change");
        }
        text
    }

    fn filter(&self) -> Option<&Filter> {
        self.if_changed.as_ref()
    }
}

/// Waits for the next of its times.
#[derive(Debug)]
struct Alarm {
    settings: Nightly,
    name: SchedulerName,
    zone: TimeZone,
    /// The next run is after this: the last one, or the start.
    base: Timestamp,
    last: Option<Timestamp>,
    waiting: Waiting,
}

impl Alarm {
    fn planned(&self) -> Option<Timestamp> {
        self.settings.times.next(self.base, &self.zone)
    }
}

impl Scheduler for Alarm {
    fn on_change(&mut self, change: &Change, important: bool, _now: Now) {
        self.waiting.add(change.id, important);
    }

    fn due(&self, now: Now) -> Option<Instant> {
        now.until(self.planned()?)
    }

    /// However many runs were missed, they are made up for by one.
    fn on_due(&mut self, now: Now) -> Option<Wish> {
        if self.planned()? > now.wall {
            return None;
        }
        self.base = now.wall;
        self.last = Some(now.wall);
        let what = if self.settings.if_changed.is_none() {
            Wanted::latest(self.settings.branch.clone())
        } else if self.waiting.has_important() {
            Wanted::Changes(self.waiting.take())
        } else {
            return None;
        };
        let name = &self.name;
        Some(Wish {
            what,
            reason: format!("The Nightly scheduler named '{name}' triggered this build"),
        })
    }

    fn state(&self) -> Json {
        json!({ "last": self.last, "changes": self.waiting.to_json() })
    }

    fn restore(&mut self, state: &Json, now: Now) {
        let last = state.get("last").and_then(Json::as_i64).map(Timestamp);
        // After a clock was set back, the next time still counts from today.
        self.last = last.map(|it| it.min(now.wall));
        self.base = self.last.unwrap_or(now.wall);
        self.waiting = match &self.settings.if_changed {
            Some(_) => Waiting::from_json(&state["changes"]),
            None => Waiting::default(),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::change;
    use super::super::bench::now;
    use super::*;

    const DAY: i64 = 86400;

    /// At 03:00 UTC.
    fn nightly(if_changed: bool, state: &Json, begun: i64) -> Box<dyn Scheduler> {
        let settings = Nightly {
            branch: Some("main".into()),
            times: Times {
                minute: Field::of(&[0]),
                hour: Field::of(&[3]),
                day_of_month: Field::ANY,
                month: Field::ANY,
                day_of_week: Field::ANY,
                either: false,
            },
            said: String::new(),
            zone: None,
            if_changed: if_changed.then(Filter::default),
        };
        let mut scheduler = settings.begin(&"night".into(), &TimeZone::UTC);
        scheduler.restore(state, now(begun));
        scheduler
    }

    fn due_at(scheduler: &dyn Scheduler, second: i64) -> i64 {
        let now = now(second);
        let wait = scheduler.due(now).expect("a time") - now.instant;
        second + i64::try_from(wait.as_secs()).expect("few")
    }

    #[test]
    fn it_waits_for_its_time_and_builds_the_latest() {
        let mut scheduler = nightly(false, &Json::Null, 100);
        assert_eq!(due_at(scheduler.as_ref(), 100), 3 * 3600);
        assert_eq!(scheduler.on_due(now(3 * 3600 - 1)), None);
        let wish = scheduler.on_due(now(3 * 3600)).expect("a build");
        assert_eq!(wish.what, Wanted::latest(Some("main".into())));
        let reason = "The Nightly scheduler named 'night' triggered this build";
        assert_eq!(wish.reason, reason);
        assert_eq!(due_at(scheduler.as_ref(), 3 * 3600), 27 * 3600);
    }

    #[test]
    fn runs_that_were_missed_are_made_up_for_once_and_a_new_one_has_missed_none() {
        let state = json!({"last": 0, "changes": []});
        let mut late = nightly(false, &state, 10 * DAY);
        assert_eq!(due_at(late.as_ref(), 10 * DAY), 10 * DAY);
        assert!(late.on_due(now(10 * DAY)).is_some());
        assert_eq!(due_at(late.as_ref(), 10 * DAY), 10 * DAY + 3 * 3600);
        let new = nightly(false, &Json::Null, 10 * DAY);
        assert_eq!(due_at(new.as_ref(), 10 * DAY), 10 * DAY + 3 * 3600);
    }

    #[test]
    fn only_if_changed_waits_for_an_important_change_and_keeps_the_others() {
        let mut scheduler = nightly(true, &Json::Null, 0);
        scheduler.on_change(&change(1), false, now(5));
        assert_eq!(scheduler.on_due(now(3 * 3600)), None);
        let state = scheduler.state();
        assert_eq!(state, json!({"last": 10_800_000, "changes": [[1, false]]}));

        let mut scheduler = nightly(true, &state, DAY);
        scheduler.on_change(&change(2), true, now(DAY));
        let wish = scheduler.on_due(now(DAY + 3 * 3600)).expect("a build");
        let both = [1, 2].map(crate::model::ChangeId).to_vec();
        assert_eq!(wish.what, Wanted::Changes(both));
        assert_eq!(scheduler.state()["changes"], json!([]));

        let without = nightly(false, &state, DAY);
        assert_eq!(without.state()["changes"], json!([]));
    }
}
