//! The head of a builder's column: how it went the last time, and what it does now.

use std::collections::HashMap;
use std::collections::HashSet;

use serde::Serialize;

use crate::clock;
use crate::config::BuilderPlan;
use crate::master::handle::SlaveView;
use crate::master::outlook::Outlook;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::Outcome;
use crate::model::SlaveName;
use crate::model::Timestamp;
use crate::store::StoreError;

use super::super::links;
use super::super::words::Badge;
use super::columns::Source;

/// Builds that are read at once to find the last that has ended, and the most.
const BLOCK: usize = 5;
const FARTHEST: usize = 200;

/// The statistic of a step that counts its failed tests.
const FAILED_TESTS: &str = "tests-failed";

/// What is known of all builders before the store is read.
pub(super) struct Now {
    pub(super) outlook: Outlook,
    /// Slaves that are here, or would be if they were needed.
    pub(super) online: HashSet<SlaveName>,
    /// When a scheduler's plan has a builder build next.
    pub(super) upcoming: HashMap<BuilderName, Vec<Timestamp>>,
}

impl Now {
    pub(super) fn online(slaves: &[SlaveView]) -> HashSet<SlaveName> {
        let here = slaves.iter().filter(|it| it.connected || it.on_demand);
        here.map(|it| it.name.clone()).collect()
    }

    fn is_online(&self, builder: &BuilderPlan) -> bool {
        builder.slaves.iter().any(|it| self.online.contains(it))
    }
}

/// What waits and what runs, by builder.
pub(super) struct Busy {
    pub(super) pending: HashMap<BuilderName, usize>,
    pub(super) running: HashMap<BuilderName, Vec<BuildRecord>>,
}

impl Busy {
    pub(super) fn read(source: &Source<'_>) -> Result<Self, StoreError> {
        let mut store = source.store.borrow_mut();
        let mut running: HashMap<BuilderName, Vec<_>> = HashMap::new();
        for build in store.running_builds()? {
            running
                .entry(build.key.builder.clone())
                .or_default()
                .push(build);
        }
        Ok(Self {
            pending: store.count_pending()?.into_iter().collect(),
            running,
        })
    }

    fn running(&self, builder: &BuilderName) -> &[BuildRecord] {
        self.running.get(builder).map_or(&[], Vec::as_slice)
    }
}

#[derive(Serialize)]
pub(super) struct Head {
    name: String,
    url: String,
    last: Option<Last>,
    pub(super) state: &'static str,
    pub(super) lines: Vec<String>,
}

/// The last build that has ended.
#[derive(Serialize)]
struct Last {
    url: String,
    badge: Badge,
    text: String,
    /// Failed tests of all of its steps.
    failed: i64,
}

impl Head {
    pub(super) fn read(
        source: &Source<'_>,
        builder: &BuilderPlan,
        now: &Now,
        busy: &Busy,
    ) -> Result<Self, StoreError> {
        let running = busy.running(&builder.name);
        let upcoming = now.upcoming.get(&builder.name);
        let state = match (running.is_empty(), now.is_online(builder)) {
            (false, _) => "building",
            (true, false) => "offline",
            (true, true) if upcoming.is_some() => "waiting",
            (true, true) => "idle",
        };
        let at = source.wanted.bounds.now;
        let mut lines = Vec::new();
        for build in running {
            if let Some(left) = now.outlook.left(&build.key) {
                lines.push(eta(left.secs(), at));
            }
        }
        if let Some(pending) = busy.pending.get(&builder.name).filter(|it| **it > 0) {
            lines.push(format!("{pending} pending"));
        }
        for next in upcoming.into_iter().flatten() {
            let secs = (next.0 - at.0).max(0) / 1000;
            lines.push(format!("next in {} at {}", about(secs), hour(*next)));
        }
        Ok(Self {
            name: builder.name.to_string(),
            url: links::builder(builder.name.as_str()),
            last: last(source, &builder.name)?,
            state,
            lines,
        })
    }
}

/// Whether somebody who asks for failures is shown the builder.
pub(super) fn is_bad(
    source: &Source<'_>,
    builder: &BuilderPlan,
    now: &Now,
    busy: &Busy,
) -> Result<bool, StoreError> {
    if !now.is_online(builder) {
        return Ok(true);
    }
    let ended = ended(source, &builder.name, |_| Ok(true))?;
    if ended.is_some_and(|it| it.outcome != Some(Outcome::Success)) {
        return Ok(true);
    }
    for build in busy.running(&builder.name) {
        let steps = source.store.borrow_mut().steps(build.id)?;
        if steps.iter().any(|it| it.outcome == Some(Outcome::Failure)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The newest build that has ended and that is taken.
fn ended(
    source: &Source<'_>,
    builder: &BuilderName,
    takes: impl Fn(&BuildRecord) -> Result<bool, StoreError>,
) -> Result<Option<BuildRecord>, StoreError> {
    let (mut before, mut looked) = (None, 0);
    while looked < FARTHEST {
        let builds = {
            let mut store = source.store.borrow_mut();
            store.recent_builds(Some(builder), before, BLOCK)?
        };
        looked += builds.len();
        let is_last = builds.len() < BLOCK;
        before = builds.last().map(|it| it.id);
        for build in builds {
            if build.finished.is_some() && takes(&build)? {
                return Ok(Some(build));
            }
        }
        if is_last {
            break;
        }
    }
    Ok(None)
}

fn last(source: &Source<'_>, builder: &BuilderName) -> Result<Option<Last>, StoreError> {
    let Some(build) = ended(source, builder, |it| source.takes(it))? else {
        return Ok(None);
    };
    let steps = source.store.borrow_mut().steps(build.id)?;
    let failed = steps.iter().flat_map(|it| &it.statistics);
    let failed = failed.filter(|(name, _)| name == FAILED_TESTS);
    Ok(Some(Last {
        url: links::build(&build.key),
        badge: Badge::of(build.outcome),
        text: build.text.join(" "),
        failed: failed.map(|(_, count)| count).sum(),
    }))
}

/// When a build ends that has so many seconds left.
fn eta(left: f64, now: Timestamp) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    let secs = left as i64;
    match secs {
        ..0 => "ETA has gone by".into(),
        0..60 => "< 1 min".into(),
        _ => {
            let at = Timestamp(now.0.saturating_add(secs.saturating_mul(1000)));
            format!("ETA in {} at {}", about(secs), hour(at))
        }
    }
}

/// A length without seconds: `~ 1 hrs 20 mins`.
fn about(secs: i64) -> String {
    let (mut rest, mut parts) = (secs, vec!["~".to_owned()]);
    if rest > 3600 {
        parts.push(format!("{} hrs", rest / 3600));
        rest %= 3600;
    }
    if rest > 60 {
        parts.push(format!("{} mins", rest / 60));
    }
    match parts.len() {
        1 => "< 1 min".into(),
        _ => parts.join(" "),
    }
}

/// `10:14`.
fn hour(at: Timestamp) -> String {
    clock::time_of_day(at).chars().take(5).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_hours_above_one_and_minutes_above_one() {
        let check = |secs, expected| assert_eq!(about(secs), expected, "{secs}");
        check(30, "< 1 min");
        check(61, "~ 1 mins");
        check(3600, "~ 60 mins");
        check(3601, "~ 1 hrs");
        check(3 * 3600 + 90, "~ 3 hrs 1 mins");
    }

    #[test]
    fn an_end_within_a_minute_is_said_without_a_time() {
        let now = Timestamp::from_secs(1_325_500_000);
        assert_eq!(eta(59.0, now), "< 1 min");
        assert_eq!(eta(-3.0, now), "ETA has gone by");
        let at = hour(Timestamp::from_secs(1_325_500_000 + 125));
        assert_eq!(eta(125.0, now), format!("ETA in ~ 2 mins at {at}"));
    }
}
