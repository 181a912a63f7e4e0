//! Forgets old events: those of a builder by its own horizons, those of a slave or of the master
//! by the widest of the builders that show them.

use std::time::Duration;

use tracing::debug;

use crate::config::{Horizons, Plan};
use crate::model::{Subject, Timestamp};
use crate::store::{Kept, Result};

use super::round::{Report, Round};

/// Events in one transaction.
const EVENTS: usize = 500;

/// How many events are kept, and for how long; `None` is all, and for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Width {
    newest: Option<u32>,
    age: Option<Duration>,
}

impl Width {
    const fn of(horizons: Horizons) -> Self {
        Self {
            newest: horizons.events,
            age: horizons.event_age,
        }
    }

    /// What keeps all that either keeps.
    fn with(self, other: Self) -> Self {
        Self {
            newest: self.newest.zip(other.newest).map(|(a, b)| a.max(b)),
            age: self.age.zip(other.age).map(|(a, b)| a.max(b)),
        }
    }
}

impl Round {
    /// Forgets the events that are not kept.
    pub(super) async fn prune_events(&self, report: &mut Report) -> Result<()> {
        for (subject, kept) in self.events_kept().await? {
            while !self.is_enough(report) {
                let of = subject.clone();
                let gone = self
                    .store
                    .write(move |verbs| verbs.forget_events(&of, kept, EVENTS))
                    .await?;
                if gone > 0 {
                    debug!(?subject, events = gone, "forgot old events");
                }
                report.events += gone;
                if gone < EVENTS {
                    break;
                }
            }
        }
        Ok(())
    }

    /// How many events [`Round::prune_all`] would forget.
    pub(super) async fn old_events(&self) -> Result<usize> {
        let all = self.events_kept().await?;
        self.store
            .read(move |verbs| {
                let counts = all.iter().map(|(of, kept)| verbs.old_events(of, *kept));
                counts.sum()
            })
            .await
    }

    /// Who has more events than are kept, and what is kept of each.
    async fn events_kept(&self) -> Result<Vec<(Subject, Kept)>> {
        let subjects = self.store.read(|verbs| verbs.event_subjects()).await?;
        let all: Vec<_> = subjects
            .into_iter()
            .map(|subject| {
                let kept = kept(&self.plan, &subject, self.now);
                (subject, kept)
            })
            .collect();
        // One reading finds those of whom something goes: the others cost no writing.
        self.store
            .read(move |verbs| {
                let mut over = Vec::new();
                for (subject, kept) in all {
                    if kept != Kept::default() && verbs.old_events(&subject, kept)? > 0 {
                        over.push((subject, kept));
                    }
                }
                Ok(over)
            })
            .await
    }
}

/// What is kept of somebody's events; of who left the configuration, what all others have.
fn width(plan: &Plan, subject: &Subject) -> Width {
    let usual = Width::of(plan.master.horizons);
    let builders = plan.builders.iter();
    let shows = |width: Width, it: &Horizons| width.with(Width::of(*it));
    match subject {
        Subject::Builder(name) => {
            let mut mine = builders.filter(|it| it.name == *name);
            mine.next().map_or(usual, |it| Width::of(it.horizons))
        }
        Subject::Slave(name) => builders
            .filter(|it| it.slaves.contains(name))
            .map(|it| it.horizons)
            .fold(None, |sum, it| {
                Some(sum.map_or(Width::of(it), |sum| shows(sum, &it)))
            })
            .unwrap_or(usual),
        Subject::Master => builders
            .map(|it| it.horizons)
            .fold(usual, |sum, it| shows(sum, &it)),
    }
}

/// What is kept of somebody's events, now.
pub(crate) fn kept(plan: &Plan, subject: &Subject, now: Timestamp) -> Kept {
    let width = width(plan, subject);
    super::round::kept(now, width.newest, width.age)
}
