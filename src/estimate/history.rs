//! What the earlier builds of a builder say about the next one.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::Metric;
use crate::model::PastRun;
use crate::model::Reached;
use crate::model::SlaveName;

use super::Interval;
use super::Left;
use super::points::{FINE, Points, above, smear};

/// A step that is not over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StepNow<'a> {
    pub(crate) name: &'a str,
    /// How long it has been running and what it has counted, if it has begun.
    pub(crate) running: Option<(Duration, &'a [Reached])>,
}

/// What the earlier builds of one builder took, the newest first.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// The names of all steps, by their places in `laps`.
    names: HashMap<String, usize>,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    slave: SlaveName,
    laps: Vec<Option<Timing>>,
}

#[derive(Clone, Debug)]
struct Timing {
    took: Option<f64>,
    metrics: Vec<Metric>,
}

/// A slave with fewer builds than this is taken for one like the others.
const OWN: usize = 3;

/// What the build before counts beside the last one: a builder changes with what it builds.
const FADES: f64 = 0.94;

/// A step that outlasts all but this share of what was likely is overdue.
const UNLIKELY: f64 = 0.02;

/// Of fewer builds than this, every point of the step is seen with every point of what comes
/// after it; more of them mix by themselves.
const FEW: usize = 8;

/// Which points of what comes after a step are seen with each point of it.
const SHUFFLED: [usize; FINE] = [2, 4, 1, 3, 0];

impl History {
    /// `runs` are the newest first.
    pub(crate) fn new(runs: Vec<PastRun>) -> Self {
        let mut history = Self::default();
        for run in runs {
            let mut laps = Vec::new();
            for lap in run.laps {
                let next = history.names.len();
                let place = *history.names.entry(lap.name).or_insert(next);
                if laps.len() <= place {
                    laps.resize(place + 1, None);
                }
                laps[place] = Some(Timing {
                    // Less than a clock tick is not nothing.
                    took: lap.took.map(|it| it.as_secs_f64().max(0.001)),
                    metrics: lap.metrics,
                });
            }
            history.runs.push(Run {
                slave: run.slave,
                laps,
            });
        }
        history
    }

    /// How long it still takes to go through `steps`, of which the first may be running, on
    /// this slave. `None` if no build has gone through them.
    pub(crate) fn left(&self, slave: &SlaveName, steps: &[StepNow<'_>]) -> Option<Left> {
        if steps.is_empty() {
            return Some(Left::Within(Interval::default()));
        }
        let places: Option<Vec<usize>> = steps
            .iter()
            .map(|it| self.names.get(it.name).copied())
            .collect();
        let places = places?;
        let runs = self.choose(slave, |run| {
            let first = run.lap(places[0]);
            let is_like = steps[0].running.is_none() || first.is_some_and(|it| it.took.is_some());
            is_like && places.iter().all(|it| run.lap(*it).is_some())
        });
        let running = steps[0].running.map(|(elapsed, reached)| {
            let elapsed = elapsed.as_secs_f64();
            let expected = |timing: &Timing| timing.stretched(elapsed, reached);
            let totals = runs
                .iter()
                .map(|it| it.0.lap(places[0]).map_or(0.0, expected));
            (elapsed, totals.collect::<Vec<f64>>())
        });
        let later = &places[usize::from(running.is_some())..];
        let rests: Vec<f64> = runs.iter().map(|it| it.0.sum(later)).collect();
        let weights = || runs.iter().map(|it| it.1);
        let smeared = smear(rests.iter().copied().zip(weights()));

        let mut points = Points::default();
        let Some((elapsed, totals)) = running else {
            for (rest, weight) in rests.iter().zip(weights()) {
                for rest in above(*rest, smeared, 0.0).0 {
                    points.add(rest, weight);
                }
            }
            return points.interval().map(Left::Within);
        };
        let step_smeared = smear(totals.iter().copied().zip(weights()));
        let (mut likely, mut all) = (0.0, 0.0);
        let rounds = if runs.len() < FEW { FINE } else { 1 };
        for (at, ((total, rest), weight)) in totals.iter().zip(&rests).zip(weights()).enumerate() {
            let (totals, alive) = above(*total, step_smeared, elapsed);
            let rests = above(*rest, smeared, 0.0).0;
            for round in 0..rounds {
                for (total, rest) in totals.iter().zip(SHUFFLED) {
                    let rest = rests[(rest + at + round) % FINE];
                    points.add(total - elapsed + rest, weight * alive);
                }
            }
            likely += weight * alive;
            all += weight;
        }
        if all > 0.0 && likely < UNLIKELY * all {
            return Some(Left::Overdue(overdue(&totals, weights(), elapsed)));
        }
        points.interval().map(Left::Within)
    }

    /// The middle of what a metric of the step came to, as far as that is known.
    pub(crate) fn usual(&self, slave: &SlaveName, step: &str, metric: &str) -> Option<u64> {
        let place = *self.names.get(step)?;
        let ran = |run: &Run| run.lap(place).is_some_and(|it| it.took.is_some());
        let runs = self.choose(slave, ran);
        let mut values: Vec<u64> = runs
            .iter()
            .filter_map(|it| it.0.lap(place)?.metric(metric))
            .map(|it| it.value)
            .collect();
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    }

    /// The runs to go by, with their weights: those of the slave, or all if it has hardly any.
    fn choose(&self, slave: &SlaveName, fits: impl Fn(&Run) -> bool) -> Vec<(&Run, f64)> {
        let fitting: Vec<&Run> = self.runs.iter().filter(|it| fits(it)).collect();
        let own = fitting.iter().filter(|it| it.slave == *slave);
        let runs: Vec<&Run> = match own.clone().count() {
            ..OWN => fitting,
            _ => own.copied().collect(),
        };
        let weights = std::iter::successors(Some(1.0), |it| Some(it * FADES));
        runs.into_iter().zip(weights).collect()
    }
}

/// By how much a step is late, beside the longest that was likely.
fn overdue(totals: &[f64], weights: impl Iterator<Item = f64>, elapsed: f64) -> Duration {
    let mut points = Points::default();
    for (total, weight) in totals.iter().zip(weights) {
        points.add(*total, weight);
    }
    let latest = points.interval().map_or(0.0, |it| it.high.as_secs_f64());
    Duration::try_from_secs_f64(elapsed - latest).unwrap_or_default()
}

impl Run {
    fn lap(&self, place: usize) -> Option<&Timing> {
        self.laps.get(place)?.as_ref()
    }

    fn sum(&self, places: &[usize]) -> f64 {
        let laps = places.iter().filter_map(|it| self.lap(*it));
        laps.filter_map(|it| it.took).sum()
    }
}

impl Timing {
    fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics.iter().find(|it| it.name == name)
    }

    /// How long the step would take in all if it went on as it did here, from what it has
    /// counted after `elapsed`.
    ///
    /// Where a metric was as far at a known part of its time, the one that runs is slower or faster
    /// than this one was. That counts as far as the metric tells the time (one that is all there
    /// at once does not), and the more, the further it is: a slow beginning may be only that.
    /// Several metrics are one opinion, in which those count most that tell most.
    fn stretched(&self, elapsed: f64, reached: &[Reached]) -> f64 {
        let took = self.took.unwrap_or(0.0);
        let (mut slower, mut weight, mut most) = (0.0, 0.0, 0.0_f64);
        for reached in reached {
            let known = self.metric(&reached.name);
            let Some((all, pace)) = known.and_then(|it| Some((it.value, it.pace?))) else {
                continue;
            };
            // What was said to come in all is counted as if it were as much as then.
            let value = match reached.announced {
                Some(now @ 1..) => part_of(reached.value, now, all),
                _ => reached.value,
            };
            let (from, to) = pace.when(value, all);
            let eighths = value as f64 * 8.0 / all.max(1) as f64;
            let part = from + (to - from) * eighths.fract();
            let then = part * took;
            if then <= 0.0 || elapsed <= 0.0 {
                continue;
            }
            let tells = 1.0 - (to - from);
            let trust = tells * part.sqrt();
            slower += trust * (elapsed / then).ln();
            weight += trust;
            most = most.max(trust);
        }
        match weight > 0.0 {
            true => took * (most * slower / weight).exp(),
            false => took,
        }
    }
}

/// As much of `all` as `value` is of `whole`.
fn part_of(value: u64, whole: u64, all: u64) -> u64 {
    let part = u128::from(value) * u128::from(all) / u128::from(whole.max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}
