//! The slaves of a builder: who is here, and how its builds went on each.

use std::time::Duration;

use serde::Serialize;

use crate::clock;
use crate::master::handle::SlaveView;
use crate::model::Outcome;
use crate::model::SlaveName;
use crate::model::Timestamp;
use crate::store::Glance;

use super::plot;
use super::rows::Link;
use super::slaves::SlaveLine;
use super::words::Moment;

/// A slave, and the newest builds of the builder on it.
#[derive(Serialize)]
pub(super) struct SlaveOfBuilder {
    slave: Link,
    /// `None` for one that does not build for it any more.
    now: Option<SlaveLine>,
    builds: usize,
    /// Of those that came to a verdict, how many went well, in a hundred.
    good: Option<usize>,
    /// Of those that went well.
    median: Option<String>,
    last: Option<Moment>,
}

/// What builds came to.
#[derive(Default)]
struct Sum {
    builds: usize,
    good: usize,
    bad: usize,
    times: Vec<Duration>,
    last: Option<Timestamp>,
}

impl Sum {
    fn add(&mut self, it: &Glance) {
        self.builds += 1;
        self.last = self.last.max(Some(it.started));
        match it.outcome {
            Some(Outcome::Success | Outcome::Warnings) => {
                self.good += 1;
                self.times.extend(plot::took(it));
            }
            Some(Outcome::Failure) => self.bad += 1,
            // What broke off or was passed over says nothing of a slave's builds.
            Some(Outcome::Skipped | Outcome::Exception | Outcome::Retry) | None => {}
        }
    }
}

impl SlaveOfBuilder {
    /// Its slaves as they are configured, then those that are named by its builds alone.
    pub(super) fn all(slaves: &[SlaveView], glances: &[Glance], now: Timestamp) -> Vec<Self> {
        let mut sums: Vec<(SlaveName, Sum)> = slaves
            .iter()
            .map(|it| (it.name.clone(), Sum::default()))
            .collect();
        for it in glances {
            let at = sums.iter().position(|(name, _)| *name == it.slave);
            let at = at.unwrap_or_else(|| {
                sums.push((it.slave.clone(), Sum::default()));
                sums.len() - 1
            });
            sums[at].1.add(it);
        }
        let line = |(name, sum): (SlaveName, Sum)| Self {
            now: slaves
                .iter()
                .find(|it| it.name == name)
                .map(|it| SlaveLine::new(it, 0, now)),
            slave: Link::slave(name.as_str()),
            builds: sum.builds,
            good: (100 * sum.good).checked_div(sum.good + sum.bad),
            median: plot::median(sum.times).map(clock::human),
            last: sum.last.map(|it| Moment::new(it, now)),
        };
        sums.into_iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slave_is_judged_by_builds_that_came_to_a_verdict() {
        let now = Timestamp::from_secs(9000);
        let glance = |slave: &str, outcome, secs: i64| Glance {
            number: 0,
            branch: None,
            slave: slave.into(),
            started: Timestamp::from_secs(100),
            finished: Some(Timestamp::from_secs(100 + secs)),
            outcome: Some(outcome),
        };
        let all = [
            glance("b", Outcome::Success, 30),
            glance("b", Outcome::Warnings, 10),
            glance("b", Outcome::Success, 20),
            glance("b", Outcome::Failure, 1),
            glance("b", Outcome::Exception, 500),
            glance("a", Outcome::Retry, 1),
        ];
        let told: Vec<_> = SlaveOfBuilder::all(&[], &all, now)
            .into_iter()
            .map(|it| (it.slave.name, it.builds, it.good, it.median))
            .collect();
        assert_eq!(
            told,
            [
                ("b".into(), 5, Some(75), Some("20.0 s".into())),
                ("a".to_owned(), 1, None, None),
            ]
        );
    }
}
