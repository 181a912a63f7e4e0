//! Which builder gets the next slave. Each builder with something to do has
//! its turn in one line; a turn is computed anew only when something of its
//! builder has changed.
//!
//! The order: what `prioritize_builders` says, then the more urgent first, then who waits longest.
//! A builder that has just had a slave has waited since then, however old its other requests are:
//! so who has ten thousand of them takes turns with who has one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Core;
use crate::config::{BuilderOrder, Rank};
use crate::master::subjects;
use crate::model::BuilderName;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::Timestamp;

/// Where a builder stands in line for the next slave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    rank: Option<Rank>,
    priority: Reverse<i64>,
    /// Since when it waits: since its oldest request came, or since it had a slave.
    since: Timestamp,
    /// Of those that had one at the same moment, who had it first.
    served: u64,
    oldest: RequestId,
    pub(super) builder: BuilderName,
}

impl Turn {
    /// The builder's turn after this one, as far as it can be foreseen: behind all who wait.
    pub(super) fn after(self, head: &RequestRecord, now: Timestamp, ticket: u64) -> Self {
        let is_served = now >= head.submitted;
        Self {
            since: head.submitted.max(now),
            served: if is_served { ticket } else { 0 },
            oldest: head.id,
            ..self
        }
    }
}

/// Every builder's turn.
#[derive(Debug, Default)]
pub(super) struct Turns {
    line: BTreeSet<Turn>,
    of: HashMap<BuilderName, Turn>,
    /// Builders whose turn has to be computed anew.
    stale: BTreeSet<BuilderName>,
    /// Builders of which `prioritize_builders` could not be computed, and why.
    broken: BTreeMap<BuilderName, String>,
    /// When a builder was given a slave, and as the how many-th of all.
    served: HashMap<BuilderName, (Timestamp, u64)>,
}

impl Turns {
    /// Something of the builder has changed.
    pub(super) fn touch(&mut self, builder: &BuilderName) {
        if !self.stale.contains(builder) {
            self.stale.insert(builder.clone());
        }
    }

    /// The builder has a slave.
    pub(super) fn serve(&mut self, builder: &BuilderName, now: Timestamp, ticket: u64) {
        self.served.insert(builder.clone(), (now, ticket));
        self.touch(builder);
    }

    /// The clock was set back: who had a slave later than that had it now.
    pub(super) fn set_back(&mut self, now: Timestamp) {
        for (builder, (at, _)) in &mut self.served {
            if *at > now {
                *at = now;
                self.stale.insert(builder.clone());
            }
        }
    }

    /// Forgets builders that are gone, and every turn.
    pub(super) fn forget_others(&mut self, is_known: impl Fn(&BuilderName) -> bool) {
        self.served.retain(|name, _| is_known(name));
        self.line.clear();
        self.of.clear();
        self.broken.clear();
    }

    fn put(&mut self, builder: &BuilderName, turn: Option<Turn>) {
        if let Some(old) = self.of.remove(builder) {
            self.line.remove(&old);
        }
        if let Some(turn) = turn {
            self.line.insert(turn.clone());
            self.of.insert(builder.clone(), turn);
        }
    }
}

impl Core {
    /// Computes the turns of builders that something has changed of.
    pub(super) fn refresh_turns(&mut self) {
        while let Some(builder) = self.turns.stale.pop_first() {
            self.turns.broken.remove(&builder);
            let turn = match self.turn(&builder) {
                Ok(turn) => turn,
                Err(why) => {
                    self.turns.broken.insert(builder.clone(), why);
                    None
                }
            };
            self.turns.put(&builder, turn);
        }
    }

    /// The builders with something to do, in their order. If the order of one of them cannot be
    /// computed, all stand where they would without the rule.
    pub(super) fn line(&self, troubles: &mut Vec<String>) -> BTreeSet<Turn> {
        let Some(trouble) = self.turn_trouble() else {
            return self.turns.line.clone();
        };
        troubles.push(trouble);
        let all = self.queues.keys();
        all.filter_map(|it| self.usual_turn(it)).collect()
    }

    /// Why `prioritize_builders` does not say who is next.
    pub(super) fn turn_trouble(&self) -> Option<String> {
        let (builder, why) = self.turns.broken.first_key_value()?;
        Some(format!(
            "prioritize_builders of [:master:] cannot be computed, so the oldest request is first: \
             {why} (of builder {builder})"
        ))
    }

    /// The turn of a builder that has had one in this round.
    pub(super) fn next_turn(&self, builder: &BuilderName) -> Option<Turn> {
        match self.turns.broken.is_empty() {
            true => self.turns.of.get(builder).cloned(),
            false => self.usual_turn(builder),
        }
    }

    /// Whether `prioritize_builders` lets the builder have a turn.
    pub(super) fn has_turn(&self, builder: &BuilderName) -> bool {
        self.next_turn(builder).is_some()
    }

    /// `None` without anything to do.
    fn usual_turn(&self, builder: &BuilderName) -> Option<Turn> {
        if !self.builders.contains_key(builder) {
            return None;
        }
        let queue = self.queues.get(builder)?;
        let oldest = queue.oldest()?;
        let (since, served) = match self.turns.served.get(builder) {
            Some((at, ticket)) if *at >= oldest.submitted => (*at, *ticket),
            _ => (oldest.submitted, 0),
        };
        Some(Turn {
            rank: None,
            priority: Reverse(queue.top_priority()),
            since,
            served,
            oldest: oldest.id,
            builder: builder.clone(),
        })
    }

    /// The builder's place in line; `None` if it is left out, or has nothing to do.
    fn turn(&self, builder: &BuilderName) -> Result<Option<Turn>, String> {
        let Some(turn) = self.usual_turn(builder) else {
            return Ok(None);
        };
        let BuilderOrder(Some(rule)) = &self.plan.master.prioritize_builders else {
            return Ok(Some(turn));
        };
        let (plan, queue) = (&self.builders[builder].plan, &self.queues[builder]);
        let Some(oldest) = queue.oldest() else {
            return Ok(None);
        };
        let running = || {
            let running = self.running.values();
            running.filter(|it| it.builder == *builder).count()
        };
        let load = subjects::BuilderLoad {
            waiting: queue.len(),
            running: &running,
            priority: queue.top_priority(),
        };
        let seen = subjects::builder(rule, plan, oldest, &load);
        let rank = rule.rank(BuilderOrder::THING, seen)?;
        Ok(rank.map(|rank| Turn {
            rank: Some(rank),
            ..turn
        }))
    }
}
