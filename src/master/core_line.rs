//! Who stands in line for what, for those who ask when it is their turn.

use std::collections::{BTreeMap, BTreeSet};

use super::{Core, Reason, Unable, choose_request, merged};
use crate::estimate::Waiting;
use crate::locks::Owner;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::RequestId;
use crate::model::SlaveName;

/// What is built and what waits, as the core has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineup {
    /// Slaves that are here, and what they build.
    pub(crate) slaves: Vec<Place>,
    /// What waits, in the order in which it is built.
    pub(crate) waiting: Vec<Waiting>,
    /// For each request that waits, why.
    pub(crate) why: BTreeMap<RequestId, Reason>,
    /// Builds that go on only when they get a lock.
    pub(crate) held: BTreeSet<BuildKey>,
}

#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) slave: SlaveName,
    pub(crate) max_builds: Option<u32>,
    /// A build that has no number yet has no name.
    pub(crate) builds: Vec<(BuilderName, Option<BuildKey>)>,
}

/// Those who stand further behind are not told when it is their turn.
const FORESEEN: usize = 500;

impl Core {
    /// What is built and what waits. Left out is what nobody can foresee: what waits for a lock,
    /// for a slave that is started, or for somebody to change his mind.
    pub(crate) fn lineup(&self) -> Lineup {
        let places = self.plan.slaves.iter().filter_map(|it| {
            self.attached.get(&it.name)?;
            let tickets = self.load.get(&it.name).into_iter().flatten();
            let builds = tickets.map(|ticket| {
                let running = &self.running[ticket];
                (running.builder.clone(), running.key.clone())
            });
            Some(Place {
                slave: it.name.clone(),
                max_builds: it.max_builds,
                builds: builds.collect(),
            })
        });
        let held = self.running.iter().filter_map(|(ticket, it)| {
            self.locks.waits_for(Owner(ticket.0))?;
            it.key.clone()
        });
        Lineup {
            slaves: places.collect(),
            waiting: self.foreseen(),
            why: self.reasons(),
            held: held.collect(),
        }
    }

    fn foreseen(&self) -> Vec<Waiting> {
        let mut untold = Vec::new();
        let mut turns = self.turns(&mut untold);
        let mut queues = self.queues.clone();
        let mut foreseen = Vec::new();
        while let Some((rank, _, builder)) = turns.pop_first() {
            if foreseen.len() == FORESEEN {
                break;
            }
            let (Some(known), Some(queue)) =
                (self.builders.get(&builder), queues.get_mut(&builder))
            else {
                continue;
            };
            if let Some((open, _, _)) = self.held_back(queue) {
                *queue = open;
            }
            let Some(head) = choose_request(&known.plan, queue, &mut untold) else {
                continue;
            };
            let requests = merged(&known.plan, head, queue, &mut untold);
            for request in &requests {
                queue.remove(&(request.submitted, request.id));
            }
            if let Some(next) = queue.keys().next() {
                turns.insert((rank, *next, builder.clone()));
            }
            let is_promised = requests
                .iter()
                .any(|it| self.waits_for.contains_key(&it.id));
            if let Some(slaves) = self.able(&builder).filter(|_| !is_promised) {
                foreseen.push(Waiting {
                    requests: requests.iter().map(|it| it.id).collect(),
                    builder,
                    slaves,
                });
            }
        }
        foreseen
    }

    /// The slaves that will take the builder, sooner or later; `None` if one of them may do so
    /// at a time that nobody knows.
    fn able(&self, builder: &BuilderName) -> Option<Vec<SlaveName>> {
        let known = self.builders.get(builder)?;
        if self.is_in_line(builder) {
            return None;
        }
        let mut able = Vec::new();
        for slave in &known.plan.slaves {
            match self.can_build(builder, slave) {
                Ok(_) | Err(Unable::Building(..) | Unable::Full(_)) => able.push(slave.clone()),
                Err(Unable::Reserved) => return None,
                Err(
                    Unable::NotConnected
                    | Unable::Phase(_)
                    | Unable::Leaving
                    | Unable::Paused(_)
                    | Unable::Downtime(_)
                    | Unable::Unknown,
                ) => {}
            }
        }
        Some(able)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::master::core::Event;
    use crate::master::core::tests::{attached, plan, request};

    #[test]
    fn what_waits_stands_in_line_in_the_order_in_which_it_is_built() {
        let mut core = Core::new(
            plan(
                &[
                    ("a", &["s1", "s2"]),
                    ("b", &["s1", "gone"]),
                    ("c", &["gone"]),
                ],
                None,
            ),
            0,
        );
        attached(&mut core, "s1");
        attached(&mut core, "s2");
        let ask = |id, builder| request(id, builder, &[]);
        core.handle(Event::RequestsAdded(vec![ask(1, "a"), ask(2, "b")]));
        // Both slaves build `a`, and one of them `b`.
        core.handle(Event::RequestsAdded(vec![ask(3, "a")]));
        core.handle(Event::RequestsAdded(vec![
            ask(5, "b"),
            ask(6, "a"),
            ask(7, "c"),
        ]));

        let lineup = core.lineup();
        let shown = lineup.waiting.iter().map(|it| {
            let slaves: Vec<_> = it.slaves.iter().map(SlaveName::as_str).collect();
            format!(
                "{:?} of {} on {}",
                it.requests,
                it.builder,
                slaves.join(", ")
            )
        });
        insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r"
        [RequestId(5)] of b on s1
        [RequestId(6)] of a on s1, s2
        [RequestId(7)] of c on
        ");
        assert_eq!(lineup.slaves.len(), 2);
        assert!(lineup.held.is_empty());
    }
}
