//! The round in which free slaves are given to builders in turn.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::effort;
use super::lines::Locked;
use super::queue::{Next, Queue};
use super::warmth::{Warm, repository_of};
use super::{Assignment, Core, Known, Load, Running, Ticket, Unable, Wait};
use crate::config::{BuilderPlan, MergeRequests, SlaveOrder};
use crate::master::subjects;
use crate::model::BuilderName;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SlaveName;

/// The slaves with room for one more build, in file order, and how busy each is.
pub(super) type Room = Vec<(SlaveName, Load)>;

impl Core {
    /// Gives free slaves to builders in turn. A builder that finds none is not asked again in
    /// this round: slaves only become fewer.
    pub(super) fn dispatch(&mut self) -> Vec<Assignment> {
        let mut assignments = Vec::new();
        loop {
            let given = self.give_out();
            // What was given out took room from those in line, and who stepped aside no longer
            // keeps locks from others.
            let is_over = given.is_empty() || self.lines.is_empty();
            assignments.extend(given);
            if !self.step_aside() && is_over {
                break;
            }
        }
        assignments
    }

    fn give_out(&mut self) -> Vec<Assignment> {
        let mut assignments = Vec::new();
        self.waits_for.clear();
        self.reserved.clear();
        self.refresh_turns();
        if self.queues.is_empty() || self.holds_everything() {
            return assignments;
        }
        let mut room = self.room();
        if room.is_empty() {
            return assignments;
        }
        let mut troubles = Vec::new();
        let mut turns = self.line(&mut troubles);
        let mut locked = Locked::default();
        let mut waiting = Vec::new();
        while let Some(turn) = turns.pop_first() {
            if room.is_empty() {
                break;
            }
            let builder = turn.builder;
            let slave = match self.assign(&builder, &room, &mut locked, &mut troubles) {
                Some(Given::Slave(assignment)) => {
                    let slave = assignment.slave.clone();
                    assignments.push(*assignment);
                    slave
                }
                Some(Given::Promise(slave, requests)) => {
                    waiting.extend(requests);
                    slave
                }
                None => continue,
            };
            locked.forget();
            // Nothing else has become less.
            match self.has_room(&slave) {
                Ok(load) => room
                    .iter_mut()
                    .filter(|it| it.0 == slave)
                    .for_each(|it| it.1 = load),
                Err(_) => room.retain(|it| it.0 != slave),
            }
            // Its place may have changed with what it has to do.
            self.refresh_turns();
            turns.extend(self.next_turn(&builder));
        }
        // They stay where they stood: whichever slave is free first takes them.
        self.enqueue(waiting);
        self.refresh_turns();
        for trouble in troubles {
            if self.troubles.insert(trouble.clone()) {
                self.untold.push(trouble);
            }
        }
        assignments
    }

    /// The request that is built next: the most urgent, of those the oldest, unless `next_build`
    /// says otherwise.
    pub(super) fn head<'a>(
        &self,
        builder: &BuilderPlan,
        queue: &'a Queue,
        troubles: &mut Vec<String>,
    ) -> Next<'a> {
        if let Some(why) = queue.trouble() {
            troubles.push(format!(
                "next_build of builder {} ({}) cannot be computed, so the oldest request is built: {why}",
                builder.name,
                builder.origin.at()
            ));
        }
        queue.next(self.open_to(&builder.name))
    }

    /// Begins the builder's next build, if a slave with room can take it.
    fn assign(
        &mut self,
        name: &BuilderName,
        room: &Room,
        locked: &mut Locked,
        troubles: &mut Vec<String>,
    ) -> Option<Given> {
        effort::made();
        if self.stays_in_line(name, room, locked) {
            return None;
        }
        let known = self.builders.get(name)?;
        if !room.iter().any(|it| known.slaves.contains(&it.0)) {
            return None;
        }
        let builder = Arc::clone(&known.plan);
        let queue = self.queues.get(name)?;
        let head = self.head(&builder, queue, troubles).request()?;
        let repository = repository_of(&builder, head);
        let (slave, is_locked) = match self.choose_slave(known, &repository, room, troubles) {
            Ok(slave) => (slave.clone(), false),
            Err(Wait::Locked(slave, _)) => (slave.clone(), true),
            Err(_) => return None,
        };
        if is_locked {
            self.stand_in_line(&builder, &slave);
            return None;
        }
        let others = queue.candidates(&builder.merge_requests, head, self.open_to(name));
        let requests = merged(&builder, head, others, troubles);
        let requests: Vec<RequestId> = requests.iter().map(|it| it.id).collect();
        if !self.attached.contains_key(&slave) {
            let requests = self.promise(&slave, &requests);
            return Some(Given::Promise(slave, requests));
        }
        let ticket = Ticket(self.last_ticket + 1);
        let locks = self.take_locks(ticket, &builder, &slave)?;
        let running = Running {
            builder: name.clone(),
            slave: slave.clone(),
            requests: requests.clone(),
            repository,
            key: None,
            locks,
            awaits: BTreeSet::new(),
        };
        if let Some(seat) = self.attached.get_mut(&slave) {
            seat.last_used = ticket.0;
        }
        self.last_ticket = ticket.0;
        self.begin(ticket, running);
        self.turns.serve(name, self.clock, ticket.0);
        let requests = requests.into_iter().filter_map(|it| self.take_out(it));
        let requests = requests.collect();
        Some(Given::Slave(Box::new(Assignment {
            ticket,
            builder,
            config: self.config,
            slave,
            requests,
        })))
    }

    /// The slaves that could take one more build of some builder, in file order.
    pub(super) fn room(&self) -> Room {
        let all = self.plan.slaves.iter().map(|it| &it.name);
        all.filter_map(|it| Some((it.clone(), self.has_room(it).ok()?)))
            .collect()
    }

    /// The slave for the builder's next build, or why there is none: of those
    /// that can take one, the least busy, of those the one that has most of what the build
    /// needs, and of those the one idle longest. One for which the locks are free goes before
    /// all others.
    pub(super) fn choose_slave<'a>(
        &'a self,
        known: &'a Known,
        repository: &str,
        room: &'a Room,
        troubles: &mut Vec<String>,
    ) -> Result<&'a SlaveName, Wait<'a>> {
        let builder = &known.plan;
        let able: Vec<_> = room
            .iter()
            .filter(|(it, _)| known.slaves.contains(it) && self.takes(&builder.name, it))
            .map(|(it, load)| {
                let warm = self.warmth.of(builder, &self.slaves[it], repository);
                (Load { warm, ..*load }, it)
            })
            .collect();
        if able.is_empty() {
            return Err(Wait::NoSlave);
        }
        if let SlaveOrder(Some(rule)) = &builder.next_slave {
            let ranked: Result<Vec<_>, String> = able
                .iter()
                .map(|(load, name)| {
                    let seen = subjects::slave(
                        rule,
                        &self.slaves[*name],
                        load.running,
                        load.last_used,
                        load.warm.as_str(),
                    );
                    let rank = rule.rank(SlaveOrder::THING, seen)?;
                    Ok(rank.map(|rank| (rank, *load, *name)))
                })
                .collect();
            match ranked {
                Ok(ranked) => {
                    let taken: Vec<_> = ranked.into_iter().flatten().collect();
                    let refused = || Wait::RefusedSlaves(able.iter().map(|it| it.1).collect());
                    return self
                        .first_unlocked(builder, taken, |it| (it.0.clone(), it.1), |it| it.2)
                        .unwrap_or_else(|| Err(refused()));
                }
                Err(why) => troubles.push(format!(
                    "next_slave of builder {} ({}) cannot be computed, so the least busy is taken: {why}",
                    builder.name,
                    builder.origin.at()
                )),
            }
        }
        self.first_unlocked(builder, able, |it| it.0, |it| it.1)
            .expect("one is able")
    }

    /// Whether a slave with room has it for this builder, too.
    fn takes(&self, builder: &BuilderName, slave: &SlaveName) -> bool {
        effort::made();
        let mut builds = self.load.get(slave).into_iter().flatten();
        builds.all(|it| self.running[it].builder != *builder) && !self.is_reserved(slave, builder)
    }

    /// How busy the slave is, and when it last got a build; or why it can take none of this
    /// builder.
    pub(super) fn can_build(
        &self,
        builder: &BuilderName,
        slave: &SlaveName,
    ) -> Result<Load, Unable<'_>> {
        let load = self.load.get(slave);
        let mut builds = load
            .into_iter()
            .flatten()
            .map(|it| (*it, &self.running[it]));
        let same = builds.find(|(_, it)| it.builder == *builder);
        match (self.has_room(slave), same) {
            // What it is doing says more than how much that is.
            (Ok(_) | Err(Unable::Full(_) | Unable::Reserved), Some((ticket, same))) => {
                Err(Unable::Building(ticket, same))
            }
            (load, _) if self.is_reserved(slave, builder) => load.and(Err(Unable::Reserved)),
            (load, _) => load,
        }
    }

    /// How busy the slave is, and when it last got a build; or why it can take none at all.
    pub(super) fn has_room(&self, slave: &SlaveName) -> Result<Load, Unable<'_>> {
        effort::made();
        let (ready, last_used) = self.readiness(slave)?;
        let Some(plan) = self.slaves.get(slave) else {
            return Err(Unable::Unknown);
        };
        let running = self.load.get(slave).map_or(0, BTreeSet::len);
        let promised = self.reserved.get(slave).map_or(0, BTreeSet::len);
        match plan.max_builds {
            Some(most) if running >= most as usize => Err(Unable::Full(most)),
            Some(most) if running + promised >= most as usize => Err(Unable::Reserved),
            _ => Ok(Load {
                ready,
                running: running + promised,
                warm: Warm::Cold,
                last_used,
            }),
        }
    }
}

/// What a builder gets.
enum Given {
    Slave(Box<Assignment>),
    /// These requests wait for a slave that is started for them.
    Promise(SlaveName, Vec<RequestRecord>),
}

/// Of so many others, the oldest, a `merge_requests` rule is asked for each build: a decision
/// takes no longer because more wait.
pub(super) const ASKED: usize = 500;

/// The requests that become one build with `head`, which comes first.
pub(super) fn merged<'a>(
    builder: &BuilderPlan,
    head: &'a RequestRecord,
    others: impl Iterator<Item = &'a RequestRecord>,
    troubles: &mut Vec<String>,
) -> Vec<&'a RequestRecord> {
    let mut requests = vec![head];
    if builder.merge_requests == MergeRequests::No {
        return requests;
    }
    let most = match &builder.merge_requests {
        MergeRequests::If(_) => ASKED,
        MergeRequests::Yes | MergeRequests::No => usize::MAX,
    };
    let others = others.filter(|it| it.id != head.id).take(most);
    requests.extend(others.filter(|it| joins(builder, head, it, troubles)));
    requests
}

/// Whether the other one becomes one build with `head`.
pub(super) fn joins(
    builder: &BuilderPlan,
    head: &RequestRecord,
    other: &RequestRecord,
    troubles: &mut Vec<String>,
) -> bool {
    effort::made();
    match &builder.merge_requests {
        MergeRequests::No => false,
        MergeRequests::Yes => head.stamp.can_merge_with(&other.stamp),
        MergeRequests::If(rule) => {
            let (a, b) = subjects::pair(rule, head, other);
            rule.joins(a, b).unwrap_or_else(|why| {
                let trouble = format!(
                    "merge_requests of builder {} ({}) cannot be computed, so requests that agree \
                     become one build: {why}",
                    builder.name,
                    builder.origin.at()
                );
                if troubles.last() != Some(&trouble) {
                    troubles.push(trouble);
                }
                head.stamp.can_merge_with(&other.stamp)
            })
        }
    }
}
