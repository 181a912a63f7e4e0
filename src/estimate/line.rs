//! When what waits begins: the builds that run end one after the other, and
//! each place that becomes free goes to the next in line.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::BuilderName;
use crate::model::RequestId;
use crate::model::SlaveName;

use super::Interval;
use super::Left;

/// A slave that can take builds, and what it builds.
#[derive(Clone, Debug)]
pub(crate) struct Seat {
    pub(crate) slave: SlaveName,
    /// `None` for what nobody knows.
    pub(crate) running: Vec<(BuilderName, Option<Left>)>,
    pub(crate) max_builds: Option<u32>,
}

/// Requests that become one build, in the order in which they are built.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) requests: Vec<RequestId>,
    pub(crate) builder: BuilderName,
    /// Where it can be built.
    pub(crate) slaves: Vec<SlaveName>,
}

/// When a request is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) begin: Interval,
    /// `None` if nobody knows how long it takes.
    pub(crate) end: Option<Interval>,
}

/// A moment and how sure it is: how far it may be before and after, as squares, so that the
/// doubts of what comes one after the other add up.
#[derive(Clone, Copy, Debug, Default)]
struct Moment {
    middle: f64,
    before: f64,
    after: f64,
}

impl Moment {
    fn of(it: Interval) -> Self {
        let [low, middle, high] = [it.low, it.middle, it.high].map(|it| it.as_secs_f64());
        Self {
            middle,
            before: (middle - low).powi(2),
            after: (high - middle).powi(2),
        }
    }

    fn and(self, next: Interval) -> Self {
        let next = Self::of(next);
        Self {
            middle: self.middle + next.middle,
            before: self.before + next.before,
            after: self.after + next.after,
        }
    }

    fn interval(self) -> Interval {
        let length =
            |secs: f64| Duration::try_from_secs_f64(secs.max(0.0)).unwrap_or(Duration::MAX);
        Interval {
            low: length(self.middle - self.before.sqrt()),
            middle: length(self.middle),
            high: length(self.middle + self.after.sqrt()),
        }
    }
}

/// What a slave does, and until when; `None` for what nobody knows.
type Jobs<'a> = Vec<(&'a BuilderName, Option<Moment>)>;

/// Says when what waits begins and ends, as far as that is known. `takes` says how long a build
/// of the builder takes on the slave. Waiting for locks is not foreseen.
pub(crate) fn line_up(
    seats: &[Seat],
    waiting: &[Waiting],
    takes: &dyn Fn(&BuilderName, &SlaveName) -> Option<Interval>,
) -> BTreeMap<RequestId, Expected> {
    let mut jobs: BTreeMap<&SlaveName, (Jobs<'_>, Option<u32>)> = BTreeMap::new();
    for seat in seats {
        let running = seat.running.iter().map(|(builder, left)| {
            let left = left.and_then(|it| match it {
                Left::Within(it) => Some(Moment::of(it)),
                // It has outlasted all that is known of it.
                Left::Overdue(_) => None,
            });
            (builder, left)
        });
        jobs.insert(&seat.slave, (running.collect(), seat.max_builds));
    }
    let mut expected = BTreeMap::new();
    for next in waiting {
        let able = next
            .slaves
            .iter()
            .filter_map(|it| Some((it, jobs.get(it)?)));
        let free: Option<Vec<_>> = able
            .map(|(slave, (jobs, most))| Some((slave, free_for(&next.builder, jobs, *most)?)))
            .collect();
        // One that is free at an unknown time may be the first.
        let first = free.and_then(|all| {
            let mut all = all.into_iter();
            let first = all.next()?;
            Some(
                all.fold(first, |best, it| match it.1.middle < best.1.middle {
                    true => it,
                    false => best,
                }),
            )
        });
        let Some((slave, begin)) = first else {
            continue;
        };
        let takes = takes(&next.builder, slave);
        let end = takes.map(|it| begin.and(it));
        let it = Expected {
            begin: begin.interval(),
            end: end.map(Moment::interval),
        };
        expected.extend(next.requests.iter().map(|id| (*id, it)));
        if let Some((jobs, _)) = jobs.get_mut(slave) {
            jobs.push((&next.builder, end));
        }
    }
    expected
}

/// When a slave that does these jobs can build the builder; `None` if nobody knows.
fn free_for(builder: &BuilderName, jobs: &Jobs<'_>, max_builds: Option<u32>) -> Option<Moment> {
    let later = |a: Moment, b: Moment| if b.middle > a.middle { b } else { a };
    let own = jobs.iter().filter(|it| it.0 == builder);
    // It builds no builder twice at once.
    let own = own.map(|it| it.1).collect::<Option<Vec<_>>>()?;
    let own = own.into_iter().fold(Moment::default(), later);
    let Some(most) = max_builds.map(|it| it as usize) else {
        return Some(own);
    };
    // The last ones to end are those that leave no room; what nobody knows ends last.
    let mut ends: Vec<Option<Moment>> = jobs.iter().map(|it| it.1).collect();
    ends.sort_by(|a, b| {
        let middle = |it: &Option<Moment>| it.map_or(f64::INFINITY, |it| it.middle);
        middle(b).total_cmp(&middle(a))
    });
    match ends.get(most.checked_sub(1)?) {
        Some(end) => Some(later(own, (*end)?)),
        None => Some(own),
    }
}
