//! Slaves that are away: since when, and whether that was told. It is in the
//! store, so a master that starts anew neither forgets an absence nor tells
//! it twice. Nothing in here does I/O or looks at a clock.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::error;

use crate::clock;
use crate::config::SlavePlan;
use crate::master::phase::Phase;
use crate::model::SlaveName;
use crate::model::Timestamp;
use crate::schedulers::Zone;
use crate::store::Result;
use crate::store::Store;

/// Under which the store keeps all of it.
pub(super) const OBJECT: &str = "absent slaves";

/// A slave that dials in has come back by then when its master was away: it waits for five
/// minutes at most between two tries.
const RETURN: Duration = Duration::from_mins(6);

/// As many downtimes as are stepped over.
const DOWNTIMES: usize = 10;

/// That a slave is away.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Absence {
    /// When it was heard of last, or else when the master began to wait for it.
    pub(crate) since: Timestamp,
    /// Whether it was heard of before.
    #[serde(default)]
    pub(crate) was_here: bool,
    /// Who looks after it, in its own words.
    #[serde(default)]
    pub(crate) admin: Option<String>,
    /// Why it could not be started, if it is started on demand.
    #[serde(default)]
    pub(crate) failed: Option<String>,
    /// When that was told.
    #[serde(default)]
    pub(crate) told: Option<Timestamp>,
}

/// A mail about an absence that could not be sent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unsent {
    pub(crate) why: String,
    /// When it is tried again; `None` if somebody must do something first.
    pub(crate) again: Option<Timestamp>,
}

/// An absence as pages show it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Missing {
    pub(crate) since: Timestamp,
    /// When those who are to be told were.
    pub(crate) told: Option<Timestamp>,
    pub(crate) trouble: Option<Unsent>,
}

impl fmt::Display for Missing {
    /// Continues a sentence that begins with the slave.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is missing since {}", clock::iso(self.since))?;
        if let Some(told) = self.told {
            write!(f, ", which was told at {}", clock::iso(told))?;
        }
        match &self.trouble {
            Some(trouble) => write!(f, "; {trouble}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a mail about it could not be sent: {}", self.why)?;
        match self.again {
            Some(at) => write!(f, "; it is tried again at {}", clock::iso(at)),
            None => Ok(()),
        }
    }
}

/// What is seen of a slave at a moment.
pub(super) struct Sight {
    pub(super) is_here: bool,
    pub(super) last_heard: Option<Timestamp>,
    pub(super) admin: Option<String>,
    /// Of one that the master starts.
    pub(super) phase: Option<Phase>,
}

/// Every absence.
pub(super) type All = BTreeMap<SlaveName, Absence>;

/// Takes in what is seen of a slave of the plan.
pub(super) fn see(all: &mut All, slave: &SlavePlan, sight: Sight, now: Timestamp) {
    let name = &slave.name;
    let was_back = |it: &Absence| sight.last_heard.is_some_and(|heard| heard > it.since);
    if sight.is_here || all.get(name).is_some_and(was_back) {
        all.remove(name);
    }
    if sight.is_here {
        return;
    }
    let fresh = |since| Absence {
        since,
        was_here: sight.last_heard.is_some(),
        admin: sight.admin,
        failed: None,
        told: None,
    };
    if slave.on_demand.is_none() {
        let since = sight.last_heard.unwrap_or(now);
        all.entry(name.clone()).or_insert_with(|| fresh(since));
        return;
    }
    // One that rests is not missed: only while it is being started it is.
    match sight.phase {
        Some(Phase::Starting { since, .. }) => {
            let it = all.entry(name.clone()).or_insert_with(|| fresh(since));
            if it.told.is_none() && it.failed.is_none() {
                it.since = since;
            }
        }
        Some(Phase::Failed { why, .. }) => {
            let it = all.entry(name.clone()).or_insert_with(|| fresh(now));
            it.failed = Some(why);
        }
        Some(Phase::Down | Phase::Up { .. } | Phase::Stopping { .. }) | None => {}
    }
}

/// When the absence is to be told, by a master that runs since `started`; `None` if never or no
/// more.
///
/// Nobody is told within a planned downtime; what began in one counts from its end.
pub(super) fn due(
    it: &Absence,
    slave: &SlavePlan,
    started: Timestamp,
    zone: &Zone,
) -> Option<Timestamp> {
    let patience = slave.missing_timeout?;
    if it.told.is_some() || slave.notify_on_missing.is_empty() {
        return None;
    }
    let down_until = |at| slave.downtime.until(at, zone);
    let mut due = match slave.on_demand {
        Some(_) => it.failed.as_ref().map(|_| it.since)?,
        None => {
            let since = down_until(it.since).unwrap_or(it.since);
            // While the master was away, the slave could not come.
            later(since, patience).max(later(started, patience.min(RETURN)))
        }
    };
    // A slave has time to come back afterwards, if that is before the next downtime.
    for _ in 0..DOWNTIMES {
        match down_until(due) {
            Some(end) => due = later(end, patience.min(RETURN)),
            None => break,
        }
    }
    Some(due)
}

pub(super) fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
    Timestamp(at.0.saturating_add(by))
}

/// The absences of the slaves of a master.
#[derive(Debug, Default)]
pub(crate) struct Absences {
    all: Mutex<All>,
    troubles: Mutex<BTreeMap<SlaveName, Unsent>>,
}

impl Absences {
    pub(super) fn read(verbs: &mut dyn Store) -> Result<Self> {
        let state = verbs.state(OBJECT)?;
        let all = match state {
            serde_json::Value::Null => All::new(),
            state => read(state),
        };
        Ok(Self {
            all: Mutex::new(all),
            troubles: Mutex::default(),
        })
    }

    /// That a slave is missing; one on demand is when it could not be started.
    pub(super) fn missing(&self, slave: &SlavePlan) -> Option<Missing> {
        let absence = locked(&self.all).get(&slave.name).cloned();
        let absence = absence.filter(|it| slave.on_demand.is_none() || it.failed.is_some())?;
        Some(Missing {
            since: absence.since,
            told: absence.told,
            trouble: self.trouble(&slave.name),
        })
    }

    pub(super) fn trouble(&self, slave: &SlaveName) -> Option<Unsent> {
        locked(&self.troubles).get(slave).cloned()
    }

    pub(super) fn all(&self) -> All {
        locked(&self.all).clone()
    }

    pub(super) fn set(&self, all: All) {
        locked(&self.troubles).retain(|name, _| all.contains_key(name));
        *locked(&self.all) = all;
    }

    pub(super) fn set_trouble(&self, slave: &SlaveName, trouble: Option<Unsent>) {
        match trouble {
            Some(trouble) => drop(locked(&self.troubles).insert(slave.clone(), trouble)),
            None => drop(locked(&self.troubles).remove(slave)),
        }
    }
}

fn read(state: serde_json::Value) -> All {
    match serde_json::from_value::<BTreeMap<String, Absence>>(state) {
        Ok(all) => all
            .into_iter()
            .map(|(name, it)| (name.as_str().into(), it))
            .collect(),
        Err(error) => {
            // A newer version's, most likely.
            error!(reason = %error, "failed to read which slaves are away; they are waited for anew");
            All::new()
        }
    }
}

pub(super) fn written(all: &All) -> serde_json::Value {
    let rows = all
        .iter()
        .filter_map(|(name, it)| Some((name.to_string(), serde_json::to_value(it).ok()?)));
    serde_json::Value::Object(rows.collect())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The maps are whole between statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;

    const MINUTE: i64 = 60_000;
    const HOUR: i64 = 60 * MINUTE;

    fn slave(more: &str) -> SlavePlan {
        let text = format!(
            "[:master:]\nslaveport = none\nhtmlport = none\n[status:mail]\nfromaddr = ci@example.org\n\
             [slave:s]\npassword = x\nnotify_on_missing = ann@example.org\n{more}\n\
             [echo]\ntype = shell\ncommands = true\n[builder:a]\nfactory = echo\nslaves = s\n"
        );
        SlavePlan::clone(&plan_of(&text).slaves[0])
    }

    fn sight(last_heard: Option<i64>, is_here: bool) -> Sight {
        Sight {
            is_here,
            last_heard: last_heard.map(Timestamp),
            admin: last_heard.map(|_| "Ann".into()),
            phase: None,
        }
    }

    fn phase(phase: Phase) -> Sight {
        Sight {
            phase: Some(phase),
            ..sight(None, false)
        }
    }

    fn utc() -> Zone {
        Zone::from(jiff::tz::TimeZone::UTC)
    }

    fn due_of(all: &All, slave: &SlavePlan) -> Option<i64> {
        due(all.get(&slave.name)?, slave, Timestamp(0), &utc()).map(|it| it.0)
    }

    #[test]
    fn an_absence_is_told_when_it_has_lasted_an_hour_since_the_slave_was_heard_of() {
        let slave = slave("");
        let mut all = All::new();
        see(
            &mut all,
            &slave,
            sight(Some(5 * HOUR), true),
            Timestamp(5 * HOUR),
        );
        assert_eq!(all, All::new());
        see(
            &mut all,
            &slave,
            sight(Some(5 * HOUR), false),
            Timestamp(5 * HOUR + MINUTE),
        );
        assert_eq!(due_of(&all, &slave), Some(6 * HOUR));
        let absence = &all[&slave.name];
        assert!(absence.was_here && absence.admin.as_deref() == Some("Ann"));

        // It was back so briefly that nobody saw it: another absence.
        let back = 5 * HOUR + 30 * MINUTE;
        see(
            &mut all,
            &slave,
            sight(Some(back), false),
            Timestamp(back + 1),
        );
        assert_eq!(due_of(&all, &slave), Some(back + HOUR));

        see(
            &mut all,
            &slave,
            sight(Some(back), true),
            Timestamp(back + 2),
        );
        assert_eq!(all, All::new());
    }

    #[test]
    fn a_slave_that_never_came_is_waited_for_from_the_start_of_the_master() {
        let slave = slave("missing_timeout = 10m");
        let mut all = All::new();
        see(&mut all, &slave, sight(None, false), Timestamp(7));
        assert_eq!(due_of(&all, &slave), Some(7 + 10 * MINUTE));
        assert!(!all[&slave.name].was_here);
    }

    #[test]
    fn what_was_told_is_not_told_again_and_nothing_is_for_nobody_or_without_end() {
        let patient = slave("");
        let mut all = All::new();
        see(&mut all, &patient, sight(None, false), Timestamp(0));
        let absence = all.get_mut(&patient.name).expect("away");
        absence.told = Some(Timestamp(HOUR));
        assert_eq!(due_of(&all, &patient), None);
        let absence = all.get_mut(&patient.name).expect("away");
        absence.told = None;
        for more in ["missing_timeout = 0", "missing_timeout = none"] {
            assert_eq!(due_of(&all, &slave(more)), None);
        }
        let nobody = SlavePlan {
            notify_on_missing: Vec::new(),
            ..patient
        };
        assert_eq!(due_of(&all, &nobody), None);
    }

    #[test]
    fn a_restart_within_an_absence_gives_the_slave_time_to_dial_in_and_no_more() {
        let slave = slave("");
        let mut all = All::new();
        see(&mut all, &slave, sight(None, false), Timestamp(0));
        let absence = &all[&slave.name];
        let due = |started: i64| due(absence, &slave, Timestamp(started), &utc()).map(|it| it.0);
        assert_eq!(due(30 * MINUTE), Some(HOUR), "the time goes on");
        assert_eq!(due(58 * MINUTE), Some(64 * MINUTE));
        assert_eq!(due(9 * HOUR), Some(9 * HOUR + 6 * MINUTE));
    }

    #[test]
    fn nobody_is_told_in_a_planned_downtime_nor_of_what_began_in_one_and_ends_soon_after() {
        let slave = slave("downtime = 02:00-04:00, 05:02-06:00\ntime_zone = UTC");
        let due = |since: i64| {
            let mut all = All::new();
            see(
                &mut all,
                &slave,
                sight(Some(since), false),
                Timestamp(since),
            );
            due_of(&all, &slave)
        };
        assert_eq!(due(7 * HOUR), Some(8 * HOUR));
        assert_eq!(due(HOUR + 30 * MINUTE), Some(4 * HOUR + 6 * MINUTE));
        assert_eq!(due(3 * HOUR), Some(5 * HOUR));
        // It would be told within the next one.
        assert_eq!(due(4 * HOUR + 10 * MINUTE), Some(6 * HOUR + 6 * MINUTE));
    }

    #[test]
    fn a_slave_on_demand_is_missed_when_it_could_not_be_started_and_once() {
        let slave = slave("launch = local\non_demand = yes");
        let mut all = All::new();
        see(&mut all, &slave, phase(Phase::Down), Timestamp(0));
        assert_eq!(all, All::new(), "it rests");
        see(
            &mut all,
            &slave,
            phase(Phase::starting(Timestamp(5))),
            Timestamp(6),
        );
        assert_eq!(due_of(&all, &slave), None, "it may come yet");
        let (why, until) = ("no machine".to_owned(), Timestamp(100));
        let failed = Phase::Failed { why, until };
        see(&mut all, &slave, phase(failed.clone()), Timestamp(50));
        assert_eq!(due_of(&all, &slave), Some(5));

        let absence = all.get_mut(&slave.name).expect("missed");
        absence.told = Some(Timestamp(51));
        for next in [Phase::Down, Phase::starting(Timestamp(100)), failed] {
            see(&mut all, &slave, phase(next), Timestamp(101));
            assert_eq!(due_of(&all, &slave), None);
        }
        see(&mut all, &slave, sight(Some(200), true), Timestamp(200));
        assert_eq!(all, All::new());
    }

    #[test]
    fn what_is_written_is_read_again_and_what_cannot_be_read_is_as_nothing() {
        let mut all = All::new();
        let slave = slave("");
        see(&mut all, &slave, sight(Some(3), false), Timestamp(4));
        assert_eq!(read(written(&all)), all);
        assert_eq!(read(serde_json::json!({"s": {"since": 3}})).len(), 1);
        assert_eq!(
            read(serde_json::json!({"s": {"since": "soon"}})),
            All::new()
        );
    }
}
