//! Locks: who may build while who else does. Plain values that know names,
//! counts and the order in which was asked; they wait for nobody and look at
//! no clock.
//!
//! A holder asks for all of its locks together and gets all or none. Who must
//! wait has those kept for it that were not to be had, from the moment when they were not,
//! behind everybody who asked earlier: who comes later takes none of these, be it for shared or
//! sole use. Others it may take meanwhile; each can be taken from under who waits only once, so
//! nobody waits for ever, and no lock lies idle for the sake of another. Only who holds something that the other waits for is let past, because
//! the other would wait for what it keeps from being given back. A
//! [`LockHeld`] is the proof that the locks were given, and the only thing
//! that gives them back.
//!
//! Who has begun asks once and hears when it is its turn ([`Locks::ask`], [`Locks::granted`]).
//! Who could begin stands in the same line ([`Locks::stand`]) and tries again
//! ([`Locks::take`]), each time for the slave that it would begin on; it keeps its place
//! when it steps aside for a while, because no slave has room for it.

mod check;
mod plan;
mod uses;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound;

use crate::model::Access;
use crate::model::LockName;
use crate::model::LockUse;
use crate::model::SlaveName;

pub(crate) use check::BuilderLocks;
pub(crate) use check::check;
pub(crate) use plan::LockKind;
pub(crate) use plan::LockPlan;
pub(crate) use plan::LockSection;
pub(crate) use plan::read;
pub(crate) use uses::LockUses;

/// Who holds or waits: a build, by the number of its assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner(pub(crate) u64);

/// One asking; later ones are higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Claim(u64);

/// A lock there really is: a slave lock is one for each slave.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    lock: LockName,
    slave: Option<SlaveName>,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.slave {
            None => write!(f, "lock {}", self.lock),
            Some(slave) => write!(f, "lock {} of slave {slave}", self.lock),
        }
    }
}

/// Proof that locks are held. It cannot be copied; [`Locks::release`] takes it back.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct LockHeld {
    claim: Claim,
    uses: Vec<LockUse>,
}

impl LockHeld {
    pub(crate) const fn claim(&self) -> Claim {
        self.claim
    }

    pub(crate) fn uses(&self) -> &[LockUse] {
        &self.uses
    }
}

/// A lock that cannot be had now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Busy {
    /// `lock database`, or `lock cpu of slave s1`.
    pub(crate) lock: String,
    /// Who holds it; nobody, if others were only earlier.
    pub(crate) holders: Vec<Owner>,
}

/// A lock as it is at the moment.
#[derive(Debug)]
pub(crate) struct LockState {
    /// Of a lock of slaves that is in use: which one's.
    pub(crate) slave: Option<SlaveName>,
    /// Holders at once with counting access.
    pub(crate) max_count: u32,
    pub(crate) holders: Vec<LockUser>,
    /// Who comes first stands first.
    pub(crate) waiting: Vec<LockUser>,
}

/// Who has a lock, or waits for it.
#[derive(Debug)]
pub(crate) struct LockUser {
    /// `None` has not begun.
    pub(crate) owner: Option<Owner>,
    pub(crate) claim: Claim,
    pub(crate) access: Access,
}

/// The locks of a master.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    plans: BTreeMap<LockName, LockPlan>,
    held: BTreeMap<Key, BTreeMap<Claim, (Owner, Access)>>,
    /// In the order in which was asked.
    waiting: BTreeMap<Claim, Waiting>,
    /// Of those in line, who has begun.
    begun: BTreeSet<Claim>,
    /// What is kept for those in line, each with the how many-th it is of what it wants.
    kept: BTreeMap<Key, BTreeMap<(Claim, usize), Access>>,
    /// Those in line who could have had it so far.
    open: BTreeMap<Key, BTreeSet<Claim>>,
    /// What those have missed who stepped aside.
    aside: BTreeMap<Claim, BTreeSet<Key>>,
    last: u64,
    #[cfg(test)]
    pub(crate) looked_at: std::cell::Cell<u64>,
}

#[derive(Debug)]
struct Waiting {
    /// `None` has not begun: it holds nothing, and takes what it waits for itself.
    owner: Option<Owner>,
    slave: SlaveName,
    uses: Vec<LockUse>,
    /// Those that were not to be had since it waits: they are kept for it.
    missed: BTreeSet<Key>,
}

impl Locks {
    /// Takes in the locks of a plan: from now on their counts hold. Who holds more than the
    /// new count keeps it until the end.
    pub(crate) fn plan(&mut self, plans: &[LockPlan]) {
        for plan in plans {
            self.plans.insert(plan.name.clone(), plan.clone());
        }
        let is_there = |it: &LockName| plans.iter().any(|plan| plan.name == *it);
        let (held, waiting) = (&self.held, &self.waiting);
        self.plans.retain(|name, _| {
            // A build of the earlier plan may still use a lock that has left.
            is_there(name)
                || held.keys().any(|it| it.lock == *name)
                || waiting
                    .values()
                    .any(|it| it.uses.iter().any(|it| it.lock == *name))
        });
        self.begun.clear();
        self.kept.clear();
        self.open.clear();
        for (claim, it) in std::mem::take(&mut self.waiting) {
            self.put_in_line(claim, it);
        }
        let wanted: Vec<Key> = self.open.keys().cloned().collect();
        self.look_for_missed(wanted);
    }

    /// What who has not begun stands in line for, and the slave that it would begin on.
    pub(crate) fn wanted(&self, claim: Claim) -> Option<(&SlaveName, &[LockUse])> {
        let it = self.waiting.get(&claim)?;
        Some((&it.slave, &it.uses))
    }

    /// Whether those who hold them leave no room for all of these, whoever asks.
    pub(crate) fn are_held(&self, slave: &SlaveName, uses: &[LockUse]) -> bool {
        uses.iter().any(|it| {
            let key = self.key(slave, it);
            let holders = self.held.get(&key).into_iter().flat_map(BTreeMap::values);
            !self.is_free(&key, slave, it.access, holders.map(|(_, access)| *access))
        })
    }

    /// Whether who stands at `place`, or comes new, could have them all at once on `slave`.
    pub(crate) fn look(
        &self,
        place: Option<Claim>,
        slave: &SlaveName,
        uses: &[LockUse],
    ) -> Result<(), Busy> {
        if uses.is_empty() {
            return Ok(());
        }
        self.first_busy(None, place, slave, uses)
            .map_or(Ok(()), |key| Err(self.busy(&key)))
    }

    /// The same without saying what is in the way.
    pub(crate) fn are_free(
        &self,
        place: Option<Claim>,
        slave: &SlaveName,
        uses: &[LockUse],
    ) -> bool {
        uses.is_empty() || self.first_busy(None, place, slave, uses).is_none()
    }

    /// Gives who stands at `place`, or comes new, the locks at once, or none. With them it has
    /// left the line.
    pub(crate) fn take(
        &mut self,
        place: Option<Claim>,
        owner: Owner,
        slave: &SlaveName,
        uses: &[LockUse],
    ) -> Option<LockHeld> {
        self.look(place, slave, uses).ok()?;
        let claim = place.unwrap_or_else(|| self.next_claim());
        self.give_up(claim);
        Some(self.hand_out(claim, owner, slave, uses.to_vec()))
    }

    /// Has them kept for who has not begun: at its old place, if it had one.
    pub(crate) fn stand(
        &mut self,
        place: Option<Claim>,
        slave: &SlaveName,
        uses: &[LockUse],
    ) -> Claim {
        let claim = place.unwrap_or_else(|| self.next_claim());
        if self.wanted(claim) == Some((slave, uses)) {
            return claim;
        }
        let mut missed = self.aside.remove(&claim).unwrap_or_default();
        missed.extend(
            self.take_from_line(claim)
                .into_iter()
                .flat_map(|it| it.missed),
        );
        let waiting = Waiting {
            owner: None,
            slave: slave.clone(),
            uses: uses.to_vec(),
            missed,
        };
        let wanted = self.put_in_line(claim, waiting);
        self.look_for_missed(wanted);
        claim
    }

    /// Gives back what an earlier run of the master had handed out, whatever the counts say.
    pub(crate) fn retake(&mut self, owner: Owner, slave: &SlaveName, uses: &[LockUse]) -> LockHeld {
        let claim = self.next_claim();
        self.hand_out(claim, owner, slave, uses.to_vec())
    }

    /// Stands in line for them; [`Locks::granted`] says when they are there.
    ///
    /// # Errors
    /// The owner holds one of them already: it would wait for itself.
    pub(crate) fn ask(
        &mut self,
        owner: Owner,
        slave: &SlaveName,
        uses: &[LockUse],
    ) -> Result<Claim, Busy> {
        for it in uses {
            let key = self.key(slave, it);
            let holders = self.held.get(&key);
            if holders.is_some_and(|all| all.values().any(|(holder, _)| *holder == owner)) {
                return Err(self.busy(&key));
            }
        }
        let claim = self.next_claim();
        let waiting = Waiting {
            owner: Some(owner),
            slave: slave.clone(),
            uses: uses.to_vec(),
            missed: BTreeSet::new(),
        };
        let wanted = self.put_in_line(claim, waiting);
        self.look_for_missed(wanted);
        Ok(claim)
    }

    /// Leaves the line for good.
    pub(crate) fn give_up(&mut self, claim: Claim) {
        self.take_from_line(claim);
        self.aside.remove(&claim);
    }

    /// Leaves the line for a while: nothing is kept for it until it stands there again.
    pub(crate) fn step_aside(&mut self, claim: Claim) {
        if let Some(it) = self.take_from_line(claim) {
            self.aside.insert(claim, it.missed);
        }
    }

    /// Those in line, of all who have begun, whose turn it is.
    pub(crate) fn granted(&mut self) -> Vec<LockHeld> {
        let mut granted = Vec::new();
        for claim in self.begun.clone() {
            let it = &self.waiting[&claim];
            let owner = it.owner.filter(|owner| {
                let busy = self.first_busy(Some(*owner), Some(claim), &it.slave, &it.uses);
                busy.is_none()
            });
            if let Some(owner) = owner
                && let Some(it) = self.take_from_line(claim)
            {
                granted.push(self.hand_out(claim, owner, &it.slave, it.uses));
            }
        }
        granted
    }

    /// Takes locks back.
    pub(crate) fn release(&mut self, held: LockHeld) {
        self.held.retain(|_, holders| {
            holders.remove(&held.claim);
            !holders.is_empty()
        });
    }

    /// What the owner waits for, if it does.
    pub(crate) fn waits_for(&self, owner: Owner) -> Option<Busy> {
        let mut begun = self.begun.iter();
        let claim = begun.find(|it| self.waiting[*it].owner == Some(owner))?;
        let it = &self.waiting[claim];
        self.first_busy(Some(owner), Some(*claim), &it.slave, &it.uses)
            .map(|key| self.busy(&key))
    }

    /// The lock of this plan as it is now: once, or for each slave on which somebody wants it.
    pub(crate) fn states(&self, plan: &LockPlan) -> Vec<LockState> {
        let mut keys = BTreeSet::new();
        let waiting = self.waiting.values().flat_map(|it| {
            let uses = it.uses.iter();
            uses.map(|wanted| self.key(&it.slave, wanted))
        });
        let used = self.held.keys().cloned().chain(waiting);
        keys.extend(used.filter(|it| it.lock == plan.name));
        if keys.is_empty() {
            keys.insert(Key {
                lock: plan.name.clone(),
                slave: None,
            });
        }
        keys.into_iter().map(|key| self.state(plan, key)).collect()
    }

    fn state(&self, plan: &LockPlan, key: Key) -> LockState {
        let holders = self.held.get(&key).into_iter().flatten();
        let holders = holders.map(|(claim, (owner, access))| LockUser {
            owner: Some(*owner),
            claim: *claim,
            access: *access,
        });
        let waiting = self.waiting.iter().flat_map(|(claim, it)| {
            let uses = it.uses.iter();
            let uses = uses.filter(|wanted| self.key(&it.slave, wanted) == key);
            uses.map(|wanted| LockUser {
                owner: it.owner,
                claim: *claim,
                access: wanted.access,
            })
        });
        LockState {
            holders: holders.collect(),
            waiting: waiting.collect(),
            max_count: key
                .slave
                .as_ref()
                .map_or(plan.max_count, |it| plan.count_for(it)),
            slave: key.slave,
        }
    }

    fn next_claim(&mut self) -> Claim {
        self.last += 1;
        Claim(self.last)
    }

    fn hand_out(
        &mut self,
        claim: Claim,
        owner: Owner,
        slave: &SlaveName,
        uses: Vec<LockUse>,
    ) -> LockHeld {
        let mut taken = Vec::new();
        for it in &uses {
            let key = self.key(slave, it);
            let holders = self.held.entry(key.clone()).or_default();
            holders.insert(claim, (owner, it.access));
            taken.push(key);
        }
        self.look_for_missed(taken);
        LockHeld { claim, uses }
    }

    /// Says which keys it wants.
    fn put_in_line(&mut self, claim: Claim, it: Waiting) -> Vec<Key> {
        let mut wanted = Vec::new();
        for (number, access) in it.uses.iter().enumerate() {
            let key = self.key(&it.slave, access);
            if it.missed.contains(&key) {
                let kept = self.kept.entry(key.clone()).or_default();
                kept.insert((claim, number), access.access);
            } else {
                self.open.entry(key.clone()).or_default().insert(claim);
            }
            wanted.push(key);
        }
        if it.owner.is_some() {
            self.begun.insert(claim);
        }
        self.waiting.insert(claim, it);
        wanted
    }

    fn take_from_line(&mut self, claim: Claim) -> Option<Waiting> {
        let it = self.waiting.remove(&claim)?;
        self.begun.remove(&claim);
        for (number, access) in it.uses.iter().enumerate() {
            let key = self.key(&it.slave, access);
            if let Some(kept) = self.kept.get_mut(&key) {
                kept.remove(&(claim, number));
                if kept.is_empty() {
                    self.kept.remove(&key);
                }
            }
            if let Some(open) = self.open.get_mut(&key) {
                open.remove(&claim);
                if open.is_empty() {
                    self.open.remove(&key);
                }
            }
        }
        Some(it)
    }

    /// Notes for everybody in line which of these locks it cannot have as it is now. Who has
    /// missed one already is not looked at: of a long line, those are nearly all.
    fn look_for_missed(&mut self, keys: Vec<Key>) {
        for key in keys {
            for claim in self.open.get(&key).cloned().unwrap_or_default() {
                let it = &self.waiting[&claim];
                let is_missed = it.uses.iter().any(|wanted| {
                    let alone = std::slice::from_ref(wanted);
                    self.key(&it.slave, wanted) == key
                        && self
                            .first_busy(it.owner, Some(claim), &it.slave, alone)
                            .is_some()
                });
                if is_missed {
                    self.note_missed(claim, &key);
                }
            }
        }
    }

    /// From now on the lock is kept for who stands there.
    fn note_missed(&mut self, claim: Claim, key: &Key) {
        if let Some(it) = self.take_from_line(claim) {
            let mut missed = it.missed.clone();
            missed.insert(key.clone());
            self.put_in_line(claim, Waiting { missed, ..it });
        }
    }

    /// The first of them that is held otherwise, or kept for those before `place`; all are before
    /// who comes new.
    fn first_busy(
        &self,
        owner: Option<Owner>,
        place: Option<Claim>,
        slave: &SlaveName,
        uses: &[LockUse],
    ) -> Option<Key> {
        uses.iter().find_map(|it| {
            let key = self.key(slave, it);
            let holders = self.held.get(&key).into_iter().flat_map(BTreeMap::values);
            let end = place.map_or(Bound::Unbounded, |it| Bound::Excluded((it, 0)));
            let earlier = self.kept.get(&key).into_iter();
            let earlier = earlier.flat_map(|it| it.range((Bound::Unbounded, end)));
            let earlier =
                earlier.filter(|((claim, _), _)| !owner.is_some_and(|it| self.blocks(it, *claim)));
            let others = holders
                .map(|(_, access)| *access)
                .chain(earlier.map(|(_, access)| *access));
            let others = others.inspect(|_| self.looked_at());
            let is_free = self.is_free(&key, slave, it.access, others);
            (!is_free).then_some(key)
        })
    }

    /// Counted in tests: how much is looked at.
    fn looked_at(&self) {
        #[cfg(test)]
        self.looked_at.set(self.looked_at.get() + 1);
    }

    /// Whether there is room beside those who have it or are to have it first.
    fn is_free(
        &self,
        key: &Key,
        slave: &SlaveName,
        access: Access,
        mut others: impl Iterator<Item = Access>,
    ) -> bool {
        if access == Access::Exclusive {
            return others.next().is_none();
        }
        let plan = self.plans.get(&key.lock);
        let mut free = plan.map_or(1, |it| it.count_for(slave));
        // Kept exact: one more for each, and none beside sole use.
        while free > 0 {
            match others.next() {
                None => return true,
                Some(Access::Counting) => free -= 1,
                Some(Access::Exclusive) => return false,
            }
        }
        false
    }

    /// Whether one in line waits, itself or through others, for what the owner holds.
    fn blocks(&self, owner: Owner, claim: Claim) -> bool {
        let holds = |it: &(Owner, Access)| it.0 == owner;
        if !self.held.values().any(|it| it.values().any(holds)) {
            return false;
        }
        let mut seen = BTreeSet::from([claim]);
        let mut next = vec![claim];
        while let Some(claim) = next.pop() {
            let Some(it) = self.waiting.get(&claim) else {
                continue;
            };
            for key in it.uses.iter().map(|wanted| self.key(&it.slave, wanted)) {
                let holders = self.held.get(&key).into_iter().flat_map(BTreeMap::values);
                let holders: BTreeSet<Owner> = holders.map(|(holder, _)| *holder).collect();
                if holders.contains(&owner) {
                    return true;
                }
                for (other, it) in &self.waiting {
                    // A holder that waits for more, or who has it kept before this one.
                    let is_before = *other < claim
                        && it
                            .uses
                            .iter()
                            .any(|wanted| self.key(&it.slave, wanted) == key);
                    let is_holder = it.owner.is_some_and(|it| holders.contains(&it));
                    if (is_holder || is_before) && seen.insert(*other) {
                        next.push(*other);
                    }
                }
            }
        }
        false
    }

    fn key(&self, slave: &SlaveName, it: &LockUse) -> Key {
        let kind = self.plans.get(&it.lock).map(|it| it.kind);
        Key {
            lock: it.lock.clone(),
            slave: (kind == Some(LockKind::Slave)).then(|| slave.clone()),
        }
    }

    fn busy(&self, key: &Key) -> Busy {
        let holders = self.held.get(key).into_iter().flat_map(BTreeMap::values);
        let mut holders: Vec<Owner> = holders.map(|(owner, _)| *owner).collect();
        holders.dedup();
        Busy {
            lock: key.to_string(),
            holders,
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod torture_tests;
