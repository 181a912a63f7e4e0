//! The locks of builds. Those of its builder and of its slave a build has when it begins: while
//! they are not to be had its requests wait, and hold nobody's place. They do stand in line
//! for the locks, as long as some slave has room for the build, so that who comes later does
//! not take them. Those of its steps a build waits for when it has come to them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::dispatch::Room;
use super::{Core, Ticket, Wait};
use crate::config::BuilderPlan;
use crate::locks::{Busy, Claim, LockHeld, LockKind, LockUser, Owner};
use crate::master::lock_view::{LockUserView, LockView};
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::LockUse;
use crate::model::SlaveName;

/// Where builders stand in line for the locks of their next build.
pub(super) type Lines = BTreeMap<BuilderName, InLine>;

/// A place in line. It stays who was there first, even when the builder steps aside.
#[derive(Clone, Copy, Debug)]
pub(super) struct InLine {
    claim: Claim,
    /// Whether a slave had room when it was looked at last: only then are the locks kept.
    is_present: bool,
    /// Whether it was found waiting in this round.
    was_seen: bool,
}

/// Which locks no slave with room can give in this round, whoever asks: others hold them.
#[derive(Debug, Default)]
pub(super) struct Locked(BTreeMap<Vec<LockUse>, bool>);

impl Locked {
    /// A build has begun: others hold more.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Core {
    /// Whether the builder stands in line for locks that are still held on every slave with
    /// room: then all that a look at each of these would say is that it stays there.
    pub(super) fn stays_in_line(
        &mut self,
        name: &BuilderName,
        room: &Room,
        locked: &mut Locked,
    ) -> bool {
        let (Some(known), Some(line)) = (self.builders.get(name), self.lines.get(name)) else {
            return false;
        };
        let is_usual = line.is_present && known.plan.next_slave.0.is_none();
        let uses = self.locks.wanted(line.claim).filter(|(slave, uses)| {
            is_usual
                && known.slaves.contains(*slave)
                && self.can_build(name, slave).is_ok()
                && **uses == *self.uses(&known.plan, slave)
        });
        if uses.is_none() || !self.queues.contains_key(name) {
            return false;
        }
        let builder = &known.plan;
        let own = builder.locks.as_slice();
        let is_locked = match locked.0.get(own) {
            Some(known) => *known,
            None => {
                let mut held = room.iter().map(|(slave, _)| {
                    let uses = self.uses(builder, slave);
                    self.locks.are_held(slave, &uses)
                });
                let all = held.all(|it| it);
                locked.0.insert(own.to_vec(), all);
                all
            }
        };
        let is_open = self.head(builder, &self.queues[name], &mut Vec::new());
        let stays = is_locked && is_open.request().is_some();
        if stays && let Some(line) = self.lines.get_mut(name) {
            line.was_seen = true;
        }
        stays
    }

    /// Puts a running build in line for the locks of a step.
    ///
    /// # Errors
    /// It would wait for itself.
    pub(crate) fn ask_locks(&mut self, ticket: Ticket, uses: &[LockUse]) -> Result<Claim, String> {
        let Some(slave) = self.running.get(&ticket).map(|it| it.slave.clone()) else {
            return Err("the build is over".into());
        };
        self.locks
            .ask(Owner(ticket.0), &slave, uses)
            .map_err(|busy| format!("the build holds {} already", busy.lock))
    }

    pub(crate) fn leave_line(&mut self, claim: Claim) {
        self.locks.give_up(claim);
    }

    /// The steps whose turn it is now.
    pub(crate) fn granted_locks(&mut self) -> Vec<LockHeld> {
        self.locks.granted()
    }

    /// Takes back what a step held; [`super::Event::LocksMoved`] should follow.
    pub(crate) fn return_locks(&mut self, held: LockHeld) {
        self.locks.release(held);
    }

    /// Gives a step of a resumed build what it held in an earlier run, `None` for nothing.
    pub(crate) fn retake_locks(&mut self, ticket: Ticket, uses: &[LockUse]) -> Option<LockHeld> {
        let slave = self.running.get(&ticket)?.slave.clone();
        (!uses.is_empty()).then(|| self.locks.retake(Owner(ticket.0), &slave, uses))
    }

    /// What a build of the builder holds on the slave.
    fn uses<'a>(&'a self, builder: &'a BuilderPlan, slave: &SlaveName) -> Cow<'a, [LockUse]> {
        let own = builder.locks.as_slice();
        let of_slave = self.slaves.get(slave).map(|it| it.locks.as_slice());
        match of_slave.unwrap_or_default() {
            [] => Cow::Borrowed(own),
            of_slave if own.is_empty() => Cow::Borrowed(of_slave),
            of_slave => Cow::Owned([own, of_slave].concat()),
        }
    }

    fn place(&self, builder: &BuilderName) -> Option<Claim> {
        self.lines.get(builder).map(|it| it.claim)
    }

    /// The first of these slaves on which the builder can have its locks; if there is none, the
    /// first of all, and which lock it is. `None` of no slaves.
    pub(super) fn first_unlocked<'a, T, K: Ord>(
        &self,
        builder: &BuilderPlan,
        mut slaves: Vec<T>,
        key: impl Fn(&T) -> K,
        name: impl Fn(&T) -> &'a SlaveName,
    ) -> Option<Result<&'a SlaveName, Wait<'a>>> {
        slaves.sort_by_key(key);
        let place = self.place(&builder.name);
        let mut all = slaves.iter().map(&name);
        let free = all.find(|slave| {
            let uses = self.uses(builder, slave);
            self.locks.are_free(place, slave, &uses)
        });
        if let Some(slave) = free {
            return Some(Ok(slave));
        }
        let first = slaves.first().map(name)?;
        let busy = self.locks.look(place, first, &self.uses(builder, first));
        Some(busy.map(|()| first).map_err(|it| Wait::Locked(first, it)))
    }

    /// Gives a build its locks; the builder leaves the line.
    pub(super) fn take_locks(
        &mut self,
        ticket: Ticket,
        builder: &BuilderPlan,
        slave: &SlaveName,
    ) -> Option<Option<LockHeld>> {
        let uses = self.uses(builder, slave).into_owned();
        let place = self.lines.remove(&builder.name).map(|it| it.claim);
        let owner = Owner(ticket.0);
        let taken = match uses.is_empty() {
            true => Some(None),
            false => self.locks.take(place, owner, slave, &uses).map(Some),
        };
        // A new plan may need no lock any more.
        if let Some(place) = place {
            self.locks.give_up(place);
        }
        taken
    }

    /// Has the locks of the builder's next build kept for it.
    pub(super) fn stand_in_line(&mut self, builder: &BuilderPlan, slave: &SlaveName) {
        let uses = self.uses(builder, slave).into_owned();
        let claim = self.locks.stand(self.place(&builder.name), slave, &uses);
        let line = InLine {
            claim,
            is_present: true,
            was_seen: true,
        };
        self.lines.insert(builder.name.clone(), line);
    }

    /// Whether the builder stands in line for the locks of its next build.
    pub(super) fn is_in_line(&self, builder: &BuilderName) -> bool {
        self.lines.get(builder).is_some_and(|it| it.is_present)
    }

    /// Takes those out of the line who were not found waiting for a lock in this round: they
    /// wait for something else now, which may itself wait for their locks. `true` if there was one.
    pub(super) fn step_aside(&mut self) -> bool {
        let mut moved = false;
        let (locks, queues) = (&mut self.locks, &self.queues);
        self.lines.retain(|builder, it| {
            if !it.was_seen && it.is_present {
                locks.step_aside(it.claim);
                it.is_present = false;
                moved = true;
            }
            it.was_seen = false;
            let stays = it.is_present || queues.get(builder).is_some_and(|it| !it.is_empty());
            if !stays {
                locks.give_up(it.claim);
            }
            stays
        });
        moved
    }

    /// Every lock as it is now, in file order; one of slaves for each slave on which somebody
    /// wants it.
    pub(crate) fn lock_views(&self) -> Vec<LockView> {
        let builder_of = |claim: Claim| {
            let mut lines = self.lines.iter();
            lines.find_map(|(builder, it)| (it.claim == claim).then_some(builder))
        };
        let user = |it: &LockUser| {
            let running = it.owner.and_then(|it| self.running.get(&Ticket(it.0)));
            let builder = running
                .map(|it| &it.builder)
                .or_else(|| builder_of(it.claim));
            LockUserView {
                build: running.and_then(|it| it.key.clone()),
                builder: builder.cloned(),
                access: it.access,
            }
        };
        let mut views = Vec::new();
        for plan in &self.plan.locks {
            for it in self.locks.states(plan) {
                views.push(LockView {
                    name: plan.name.clone(),
                    is_of_slaves: plan.kind == LockKind::Slave,
                    slave: it.slave,
                    max_count: it.max_count,
                    holders: it.holders.iter().map(user).collect(),
                    waiting: it.waiting.iter().map(user).collect(),
                });
            }
        }
        views
    }

    /// The lock, and who has it.
    pub(super) fn explain_lock(&self, busy: &Busy, builds: &mut Vec<BuildKey>) -> String {
        let holders = busy.holders.iter().map(|it| {
            let running = self.running.get(&Ticket(it.0));
            match running.map(|it| (&it.key, &it.builder)) {
                Some((Some(key), _)) => {
                    builds.push(key.clone());
                    key.to_string()
                }
                Some((None, builder)) => format!("a build of {builder}"),
                None => "a build that ends".into(),
            }
        });
        let holders: Vec<String> = holders.collect();
        if holders.is_empty() {
            format!("{}, for which others waited earlier", busy.lock)
        } else {
            format!("{}, which {} has", busy.lock, holders.join(" and "))
        }
    }
}

#[cfg(test)]
#[path = "core_locks_tests.rs"]
pub(super) mod tests;
