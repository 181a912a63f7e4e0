//! Who stands in line for what, for those who ask when it is their turn.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::dispatch::merged;
use super::{Core, Reason, Scope, Unable};
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
    /// For each request that was asked about and waits, why.
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

/// So many of a builder's requests are asked whether they become one build with another.
const LOOKED_AT: usize = 200;

impl Core {
    /// What is built and what waits. Left out is what nobody can foresee: what waits for a lock,
    /// for a slave that is started, or for somebody to change his mind.
    pub(crate) fn lineup(&self, scope: &Scope) -> Lineup {
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
            waiting: match *scope == Scope::Nothing {
                true => Vec::new(),
                false => self.foreseen(),
            },
            why: self.reasons(scope),
            held: held.collect(),
        }
    }

    fn foreseen(&self) -> Vec<Waiting> {
        let mut untold = Vec::new();
        let mut turns = self.line(&mut untold);
        // Of each builder: what is still to come, and what has become one with others.
        let mut rest = HashMap::new();
        let mut taken = HashSet::new();
        let mut foreseen = Vec::new();
        // What nobody can foresee is passed over, and not for ever.
        for _ in 0..2 * FORESEEN {
            let Some(turn) = turns.pop_first().filter(|_| foreseen.len() < FORESEEN) else {
                break;
            };
            let builder = turn.builder.clone();
            let (Some(known), Some(queue)) =
                (self.builders.get(&builder), self.queues.get(&builder))
            else {
                continue;
            };
            let rest = rest
                .entry(builder.clone())
                .or_insert_with(|| queue.in_order());
            let mut open = rest.filter(|it| !taken.contains(&it.id) && self.may_begin(it));
            let Some(head) = open.next() else {
                continue;
            };
            let others = queue
                .candidates(&known.plan.merge_requests, head)
                .filter(|it| !taken.contains(&it.id) && self.may_begin(it))
                .take(LOOKED_AT);
            let requests = merged(&known.plan, head, others, &mut untold);
            taken.extend(requests.iter().map(|it| it.id));
            let ticket = self.last_ticket + 1 + foreseen.len() as u64;
            turns.insert(turn.after(head, self.clock, ticket));
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

        let lineup = core.lineup(&Scope::Everything);
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
