//! Who stands in line for what, for those who ask when it is their turn.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::dispatch::merged;
use super::{Core, Reason, Scope, Unable};
use crate::config::MergeRequests;
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

/// So many times a `merge_requests` rule is asked in all: decisions wait meanwhile.
const RULED: usize = 400;

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
            waiting: match scope {
                Scope::Nothing | Scope::Why(_) => Vec::new(),
                Scope::Request(_) | Scope::Requests(_) | Scope::Builder(_) => self.foreseen(),
                #[cfg(test)]
                Scope::Everything => self.foreseen(),
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
        let mut able = Able::of(self);
        let mut ruled = RULED;
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
            let mut open = rest.filter(|it| self.may_begin(it) && !taken.contains(&it.id));
            let Some(head) = open.next() else {
                continue;
            };
            let others = queue
                .candidates(&known.plan.merge_requests, head, self.open_to(&builder))
                .filter(|it| !taken.contains(&it.id))
                .take(LOOKED_AT);
            let requests = match &known.plan.merge_requests {
                MergeRequests::If(_) => {
                    let others: Vec<_> = others.take(ruled).collect();
                    ruled -= others.len();
                    merged(&known.plan, head, others.into_iter(), &mut untold)
                }
                MergeRequests::Yes | MergeRequests::No => {
                    merged(&known.plan, head, others, &mut untold)
                }
            };
            taken.extend(requests.iter().map(|it| it.id));
            let ticket = self.last_ticket + 1 + foreseen.len() as u64;
            turns.insert(turn.after(head, self.clock, ticket));
            let is_promised = requests
                .iter()
                .any(|it| self.waits_for.contains_key(&it.id));
            if let Some(slaves) = able.take(&builder).filter(|_| !is_promised) {
                foreseen.push(Waiting {
                    requests: requests.iter().map(|it| it.id).collect(),
                    builder,
                    slaves,
                });
            }
        }
        foreseen
    }
}

/// Which slaves will take a builder. Each slave is asked once, not for each builder anew.
struct Able<'a> {
    core: &'a Core,
    /// Those that take builds, sooner or later.
    open: HashSet<&'a SlaveName>,
    /// Those of them that are kept for somebody, at a time that nobody knows.
    reserved: HashSet<&'a SlaveName>,
    /// Of builders with the same slaves, in file order: those that are open.
    lists: HashMap<&'a [SlaveName], List>,
}

#[derive(Clone)]
struct List {
    slaves: Vec<SlaveName>,
    has_reserved: bool,
}

impl<'a> Able<'a> {
    fn of(core: &'a Core) -> Self {
        let mut open = HashSet::new();
        for slave in &core.plan.slaves {
            if let Ok(_) | Err(Unable::Full(_) | Unable::Reserved) = core.has_room(&slave.name) {
                open.insert(&slave.name);
            }
        }
        let reserved = open.iter().filter(|it| core.reserved.contains_key(**it));
        Self {
            core,
            reserved: reserved.copied().collect(),
            open,
            lists: HashMap::new(),
        }
    }

    /// The slaves that will take the builder, sooner or later; `None` if one of them may do so
    /// at a time that nobody knows.
    fn take(&mut self, builder: &BuilderName) -> Option<Vec<SlaveName>> {
        let core = self.core;
        let slaves = core.builders.get(builder)?.plan.slaves.as_slice();
        if core.is_in_line(builder) {
            return None;
        }
        let (open, reserved) = (&self.open, &self.reserved);
        let list = self.lists.entry(slaves).or_insert_with(|| {
            let slaves = slaves.iter().filter(|it| open.contains(it));
            List {
                has_reserved: slaves.clone().any(|it| reserved.contains(it)),
                slaves: slaves.cloned().collect(),
            }
        });
        let is_unsure = list.has_reserved
            && list.slaves.iter().any(|slave| {
                let unable = core.can_build(builder, slave).err();
                matches!(unable, Some(Unable::Reserved))
            });
        (!is_unsure).then(|| list.slaves.clone())
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
