//! How long what runs still takes, and when what waits begins: what the core
//! and the store know, shown to `estimate`. Read when somebody asks; what the
//! estimates go by is kept until the builder's next build ends.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::estimate::{Expected, History, Interval, Left, Seat, StepNow, line_up};
#[cfg(test)]
pub(crate) use crate::master::core::Place;
pub(crate) use crate::master::core::{Lineup, Reason, Scope};
pub(crate) use crate::master::crew::SlavesOf;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::OUTPUT;
use crate::model::Reached;
use crate::model::RequestId;
use crate::model::SlaveName;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::store::{Result, Store};

/// Builds that a history looks back on: those of one slave are among them.
const LOOKED_AT: usize = 64;

/// Of so many builds that a request waits for it is said what is left of them.
const NAMED: usize = 3;

/// What is left of everything that runs, and when what waits begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlook {
    pub(crate) running: BTreeMap<BuildKey, BuildLeft>,
    pub(crate) waiting: BTreeMap<RequestId, Expected>,
    /// For each request that was asked about and waits, why.
    pub(crate) why: BTreeMap<RequestId, Reason>,
}

impl Outlook {
    /// What is left of a build, if it runs and somebody knows.
    pub(crate) fn left(&self, build: &BuildKey) -> Option<Left> {
        self.running.get(build)?.left
    }

    /// Why a request waits.
    pub(crate) fn why(&self, request: RequestId) -> Option<&str> {
        Some(&self.why.get(&request)?.text)
    }

    /// What is known of when a request is built: what is left of that for which it waits, and
    /// when it begins and ends.
    pub(crate) fn expected(&self, request: RequestId) -> Option<String> {
        let builds = self.why.get(&request).map(|it| it.builds.as_slice());
        let builds = builds.unwrap_or_default().iter().take(NAMED);
        let left = builds.filter_map(|it| Some(format!("{it}: {}", self.left(it)?)));
        let own = self.waiting.get(&request).map(ToString::to_string);
        let parts: Vec<String> = left.chain(own).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// What is left of a build and of each of its steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct BuildLeft {
    pub(crate) left: Option<Left>,
    pub(crate) steps: Vec<StepLeft>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct StepLeft {
    /// `None` for one that is over, too.
    pub(crate) left: Option<Left>,
    /// What it has counted.
    pub(crate) metrics: Vec<MetricNow>,
}

/// A metric of a step that runs or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetricNow {
    pub(crate) name: String,
    pub(crate) value: u64,
    /// How far it comes: what was announced, or else what it usually comes to.
    pub(crate) expected: Option<u64>,
    pub(crate) is_announced: bool,
}

/// What the builds of each builder took, kept while no further one ends.
#[derive(Debug, Default)]
pub(crate) struct Histories(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    moment: Moment,
    kept: HashMap<BuilderName, Kept>,
}

/// Grows with each end of a build. Who reads asks for it before the store is looked at: what ends
/// after that may be missing in what is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

#[derive(Debug, Default)]
struct Kept {
    /// What was read before that is not kept.
    forgotten: Moment,
    /// So many of its builds are being written down as ended: what is read meanwhile may be old
    /// in a moment.
    ending: u32,
    history: Option<Arc<History>>,
}

impl Histories {
    /// Now: for who is about to read.
    pub(crate) fn moment(&self) -> Moment {
        self.shelf().moment
    }

    /// The end of a build of the builder is about to be written down. It is when what this gives
    /// is dropped, or it never will be.
    pub(crate) fn build_ends<'a>(&'a self, builder: &'a BuilderName) -> Ending<'a> {
        self.forget(builder, |ending| ending + 1);
        Ending {
            histories: self,
            builder,
        }
    }

    fn forget(&self, builder: &BuilderName, ending: impl Fn(u32) -> u32) {
        let mut shelf = self.shelf();
        shelf.moment.0 += 1;
        let forgotten = shelf.moment;
        let kept = shelf.kept.entry(builder.clone()).or_default();
        *kept = Kept {
            forgotten,
            ending: ending(kept.ending),
            history: None,
        };
    }

    /// Of the builder, as the store has it that is looked at since `moment`.
    fn of(
        &self,
        verbs: &mut dyn Store,
        builder: &BuilderName,
        moment: Moment,
    ) -> Result<Arc<History>> {
        let kept = self
            .shelf()
            .kept
            .get(builder)
            .and_then(|it| it.history.clone());
        if let Some(history) = kept {
            return Ok(history);
        }
        let runs = verbs.past_runs(builder, LOOKED_AT)?;
        let history = Arc::new(History::new(runs));
        let mut shelf = self.shelf();
        let kept = shelf.kept.entry(builder.clone()).or_default();
        if kept.forgotten <= moment && kept.ending == 0 {
            kept.history = Some(Arc::clone(&history));
        }
        Ok(history)
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While the end of a build is being written down.
#[derive(Debug)]
#[must_use = "the end is over when this is dropped"]
pub(crate) struct Ending<'a> {
    histories: &'a Histories,
    builder: &'a BuilderName,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.histories
            .forget(self.builder, |ending| ending.saturating_sub(1));
    }
}

/// Reads what runs and says when that and what waits is done. The step of each build that runs
/// has come as far as `reached` says.
pub(crate) fn read(
    verbs: &mut dyn Store,
    (histories, moment): (&Histories, Moment),
    lineup: Lineup,
    reached: &HashMap<BuildKey, Vec<Reached>>,
    now: Timestamp,
) -> Result<Outlook> {
    let mut running = BTreeMap::new();
    for build in verbs.running_builds()? {
        let steps = verbs.steps(build.id)?;
        let history = histories.of(verbs, &build.key.builder, moment)?;
        let left = match lineup.held.contains(&build.key) {
            true => BuildLeft::default(),
            false => {
                let reached = reached.get(&build.key).map_or(&[][..], Vec::as_slice);
                left(&build, &steps, &history, reached, now)
            }
        };
        running.insert(build.key, left);
    }
    let mut known = HashMap::new();
    for next in &lineup.waiting {
        if !known.contains_key(&next.builder) {
            let steps = verbs.steps_to_come(&next.builder)?;
            let history = histories.of(verbs, &next.builder, moment)?;
            known.insert(&next.builder, (history, steps));
        }
    }
    let seats: Vec<Seat> = lineup
        .slaves
        .iter()
        .map(|place| Seat {
            slave: place.slave.clone(),
            running: place
                .builds
                .iter()
                .map(|(builder, key)| {
                    let key = key.as_ref();
                    let left = key.and_then(|it| running.get(it)).and_then(|it| it.left);
                    (builder.clone(), left)
                })
                .collect(),
            max_builds: place.max_builds,
        })
        .collect();
    let takes = |builder: &BuilderName, slave: &SlaveName| -> Option<Interval> {
        let (history, steps) = known.get(builder)?;
        let steps: Vec<_> = steps.iter().map(|it| ahead(it)).collect();
        match history.left(slave, &steps)? {
            Left::Within(it) => Some(it),
            Left::Overdue(_) => None,
        }
    };
    Ok(Outlook {
        waiting: line_up(&seats, &lineup.waiting, &takes),
        running,
        why: lineup.why,
    })
}

fn ahead(name: &str) -> StepNow<'_> {
    StepNow {
        name,
        running: None,
    }
}

/// What is left of a build that runs.
fn left(
    build: &BuildRecord,
    steps: &[StepRecord],
    history: &History,
    reached: &[Reached],
    now: Timestamp,
) -> BuildLeft {
    let mut open = Vec::new();
    let mut each = Vec::new();
    for step in steps {
        let mut it = StepLeft::default();
        let began = match (step.started, step.finished) {
            (Some(_), None) => step.progress.began,
            _ => None,
        };
        let usual = |metric: &str| history.usual(&build.slave, &step.name, metric);
        it.metrics = match began {
            // It has begun this moment.
            Some(_) if reached.is_empty() => vec![shown(&nothing_yet(), usual)],
            Some(_) => reached.iter().map(|it| shown(it, usual)).collect(),
            None => over(step, usual),
        };
        if step.finished.is_none() && step.progress.counts {
            let step = StepNow {
                name: &step.name,
                running: began.map(|began| (now.since(began), reached)),
            };
            it.left = history.left(&build.slave, &[step]);
            open.push(step);
        }
        each.push(it);
    }
    // Steps that are not yet known, or that nothing is known about, may take any time.
    let is_planned = steps.iter().any(|it| it.progress.counts);
    BuildLeft {
        left: is_planned
            .then(|| history.left(&build.slave, &open))
            .flatten(),
        steps: each,
    }
}

/// What a step has said before it says anything.
fn nothing_yet() -> Reached {
    Reached {
        name: OUTPUT.to_owned(),
        value: 0,
        announced: None,
    }
}

/// A metric of a step that runs.
fn shown(it: &Reached, usual: impl Fn(&str) -> Option<u64>) -> MetricNow {
    MetricNow {
        name: it.name.clone(),
        value: it.value,
        expected: it.announced.or_else(|| usual(&it.name)),
        is_announced: it.announced.is_some(),
    }
}

/// The metrics of a step that is over.
fn over(step: &StepRecord, usual: impl Fn(&str) -> Option<u64>) -> Vec<MetricNow> {
    let metrics = step.progress.metrics.iter();
    let metric = |it: &crate::model::Metric| MetricNow {
        name: it.name.clone(),
        value: it.value,
        expected: usual(&it.name),
        is_announced: false,
    };
    metrics.map(metric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::estimate::Waiting;
    use crate::model::LogRecord;
    use crate::model::Metric;
    use crate::model::NewBuildset;
    use crate::model::Outcome;
    use crate::model::Progress;
    use crate::model::Properties;
    use crate::model::SourceStamp;
    use crate::store::{BuildEnd, NewBuild, StoreHandle};

    fn step(number: u32, name: &str, times: (Option<i64>, Option<i64>)) -> StepRecord {
        let began = times.0.map(Timestamp::from_secs);
        StepRecord {
            number,
            name: name.into(),
            started: began,
            finished: times.1.map(Timestamp::from_secs),
            outcome: times.1.map(|_| Outcome::Success),
            text: vec![],
            build_text: vec![],
            statistics: vec![],
            urls: vec![],
            hidden: false,
            usage: None,
            ended: None,
            progress: Progress {
                began,
                metrics: vec![Metric {
                    name: OUTPUT.into(),
                    value: 1000,
                    pace: None,
                }],
                ..Progress::default()
            },
            logs: vec![LogRecord {
                name: "stdio".into(),
                file: "log".into(),
                complete: false,
            }],
        }
    }

    fn build(verbs: &mut dyn Store, steps: &[StepRecord], outcome: Option<Outcome>) -> Result<()> {
        let now = Timestamp::from_secs(0);
        let wanted = NewBuildset {
            reason: String::new(),
            stamp: SourceStamp::default(),
            properties: Properties::new(),
            priority: None,
            builders: vec!["a".into()],
        };
        let (_, requests) = verbs.add_buildset(&wanted, now)?;
        let new = NewBuild {
            builder: "a".into(),
            slave: "s1".into(),
            requests,
            stamp: SourceStamp::default(),
            reason: String::new(),
            config: None,
            locks: Vec::new(),
        };
        let begun = verbs.start_build(&new, now)?.expect("a request that waits");
        for step in steps {
            verbs.put_step(begun.id, step)?;
        }
        let end = |outcome| BuildEnd {
            outcome,
            text: vec![],
            properties: Properties::new(),
        };
        match outcome {
            Some(outcome) => verbs.finish_build(begun.id, &end(outcome), now).map(drop),
            None => Ok(()),
        }
    }

    fn key(number: i64) -> BuildKey {
        BuildKey {
            builder: "a".into(),
            number,
        }
    }

    /// One build of `make` (20 s) and `test` (10 s), and one that has made for 5 s.
    async fn shown(lineup: Lineup) -> Outlook {
        let dir = tempfile::tempdir().expect("a directory");
        let store = StoreHandle::open(&dir.path().join("state.sqlite")).expect("a store");
        let written = store.write(|verbs| {
            let past = [
                step(0, "make", (Some(0), Some(20))),
                step(1, "test", (Some(20), Some(30))),
            ];
            build(verbs, &past, Some(Outcome::Success))?;
            let now = [
                step(0, "make", (Some(100), None)),
                step(1, "test", (None, None)),
            ];
            build(verbs, &now, None)
        });
        written.await.expect("written");
        let reached = |name: &str, value, announced| Reached {
            name: name.into(),
            value,
            announced,
        };
        let reached = vec![
            reached(OUTPUT, 250, None),
            reached("tests", 3, Some(12)),
            reached("files", 2, None),
        ];
        let reached = HashMap::from([(key(1), reached)]);
        let now = Timestamp::from_secs(105);
        let read = move |verbs: &mut dyn Store| {
            read(
                verbs,
                (&Histories::default(), Moment::default()),
                lineup,
                &reached,
                now,
            )
        };
        store.read(read).await.expect("readable")
    }

    fn lineup(held: &[BuildKey]) -> Lineup {
        Lineup {
            slaves: vec![Place {
                slave: "s1".into(),
                max_builds: None,
                builds: vec![("a".into(), Some(key(1)))],
            }],
            waiting: vec![Waiting {
                requests: vec![RequestId(3)],
                builder: "a".into(),
                slaves: vec!["s1".into()],
            }],
            why: BTreeMap::from([(
                RequestId(3),
                Reason {
                    text: "slave s1 is building a/1".into(),
                    builds: vec![key(1)],
                },
            )]),
            held: held.iter().cloned().collect(),
        }
    }

    #[tokio::test]
    async fn what_runs_and_what_waits_go_by_the_builds_before() {
        let outlook = shown(lineup(&[])).await;
        let left = outlook.left(&key(1)).expect("it is known").secs();
        assert!((20.0..35.0).contains(&left), "{left}");
        let steps = &outlook.running[&key(1)].steps;
        let test = steps[1].left.expect("it is known").secs();
        assert!((8.0..12.0).contains(&test), "{test}");
        let metrics: Vec<_> = steps[0]
            .metrics
            .iter()
            .map(|it| (it.name.as_str(), it.value, it.expected, it.is_announced))
            .collect();
        let expected = [
            (OUTPUT, 250, Some(1000), false),
            ("tests", 3, Some(12), true),
            ("files", 2, None, false),
        ];
        assert_eq!(metrics, expected);
        let waits = outlook.waiting[&RequestId(3)];
        let takes = waits.end.expect("it is known").middle - waits.begin.middle;
        assert!((waits.begin.middle.as_secs_f64() - left).abs() < 0.001);
        assert!((25..40).contains(&takes.as_secs()), "{takes:?}");
        assert_eq!(outlook.why(RequestId(3)), Some("slave s1 is building a/1"));
        let said = outlook.expected(RequestId(3)).expect("it is known");
        assert!(said.starts_with("a/1: about "), "{said}");
        assert!(said.contains("; begins in about "), "{said}");
    }

    #[tokio::test]
    async fn of_a_build_that_waits_for_a_lock_nothing_is_known() {
        let outlook = shown(lineup(&[key(1)])).await;
        assert_eq!(outlook.left(&key(1)), None);
        assert!(outlook.waiting.is_empty(), "nor of what waits for it");
        assert_eq!(outlook.expected(RequestId(3)), None);
    }

    #[tokio::test]
    async fn what_is_read_while_a_build_ends_is_not_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = StoreHandle::open(&dir.path().join("state.sqlite")).expect("a store");
        let histories = Arc::new(Histories::default());
        let builder = BuilderName::from("a");
        let read = |moment| {
            let (histories, builder) = (Arc::clone(&histories), builder.clone());
            store.read(move |verbs| histories.of(verbs, &builder, moment).map(drop))
        };
        let is_kept = || histories.shelf().kept[&builder].history.is_some();
        let before = histories.moment();
        let ending = histories.build_ends(&builder);
        read(histories.moment()).await.expect("readable");
        assert!(!is_kept(), "the end is not written down yet");
        drop(ending);
        read(before).await.expect("readable");
        assert!(!is_kept(), "it may be of before the end");
        read(histories.moment()).await.expect("readable");
        assert!(is_kept());
        drop(histories.build_ends(&"other".into()));
        assert!(is_kept(), "that of another builder is");
    }
}
