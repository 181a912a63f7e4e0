//! The decision: which waiting request is built where, and why another
//! waits. Facts come in as [`Event`]s; nothing in here does I/O or looks at
//! a clock. Events are hints and the store is the truth: `Pending` brings a
//! fresh reading at every tick, so a fact that was missed costs a delay.

#[path = "core_downtimes.rs"]
mod downtimes;
#[path = "core_line.rs"]
mod line;
#[path = "core_locks.rs"]
mod lines;
#[path = "core_shutdown.rs"]
mod shutdown;
#[path = "core_wanted.rs"]
mod wanted;

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use self::downtimes::Down;
pub(crate) use self::line::Lineup;
#[cfg(test)]
pub(crate) use self::line::Place;
use self::lines::Lines;
use crate::config::{BuilderOrder, BuilderPlan, MergeRequests, Plan, Rank};
use crate::config::{RequestOrder, SlaveOrder, SlavePlan};
use crate::locks::{Busy, LockHeld, Locks, Owner};
use crate::master::pauses::Pause;
use crate::master::phase::Phase;
use crate::master::shutdown::CleanShutdown;
use crate::master::subjects;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::ConfigId;
use crate::model::LockUse;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SlaveName;
use crate::model::Timestamp;
use crate::schedulers::Zone;

/// A fact.
#[derive(Debug)]
pub(crate) enum Event {
    /// A configuration is in force from now on, under its number.
    Planned {
        plan: Arc<Plan>,
        config: Option<ConfigId>,
    },
    SlaveAttached(SlaveName),
    SlaveDetached(SlaveName),
    /// How a slave that the master starts is doing.
    SlavePhase {
        slave: SlaveName,
        phase: Phase,
    },
    /// A slave is to end when its builds have; until it comes anew.
    SlaveLeaves(SlaveName),
    /// Somebody said that a slave takes no new builds; `None`: that it does again.
    SlavePaused {
        slave: SlaveName,
        pause: Option<Pause>,
    },
    /// Everybody who is here, freshly looked at.
    SlavesPresent(Vec<SlaveName>),
    /// Everything that waits, freshly read, oldest first.
    Pending(Vec<RequestRecord>),
    RequestsAdded(Vec<RequestRecord>),
    RequestGone(RequestId),
    /// The build of an assignment has its number.
    BuildBegun {
        ticket: Ticket,
        key: BuildKey,
    },
    /// The build of an assignment is over, or could not begin.
    BuildEnded {
        ticket: Ticket,
    },
    /// The build of an assignment does not go on before these have ended.
    BuildAwaits {
        ticket: Ticket,
        buildsets: Vec<BuildsetId>,
    },
    /// The master is to end when its builds have.
    ShutdownBegun(CleanShutdown),
    ShutdownCancelled,
    /// Locks were given back, or nobody waits for them any more.
    LocksMoved,
    /// A build of an earlier run of this master goes on.
    BuildResumed {
        ticket: Ticket,
        builder: BuilderName,
        slave: SlaveName,
        key: BuildKey,
        /// What it holds of its builder's locks.
        locks: Vec<LockUse>,
    },
}

/// Names one assignment in this run of the master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// Build these requests, as one build, on this slave.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    pub(crate) ticket: Ticket,
    pub(crate) builder: Arc<BuilderPlan>,
    /// The configuration that says so.
    pub(crate) config: Option<ConfigId>,
    pub(crate) slave: SlaveName,
    /// The oldest first; the others merge with it.
    pub(crate) requests: Vec<RequestRecord>,
}

/// What the master knows and has decided.
#[derive(Debug)]
pub(crate) struct Core {
    plan: Arc<Plan>,
    config: Option<ConfigId>,
    builders: HashMap<BuilderName, Known>,
    slaves: HashMap<SlaveName, Arc<SlavePlan>>,
    attached: HashMap<SlaveName, Seat>,
    /// Of those that the master starts.
    phases: HashMap<SlaveName, Phase>,
    /// Those that take no new builds because somebody said so.
    pauses: HashMap<SlaveName, Pause>,
    /// That the master ends when its builds have.
    shutdown: Option<CleanShutdown>,
    /// What the clock showed when it was looked at last, and where it hangs.
    clock: Timestamp,
    zone: Zone,
    /// Of the slaves with planned downtimes.
    downtimes: HashMap<SlaveName, Down>,
    /// Requests that wait for a slave to be started for them.
    waits_for: BTreeMap<RequestId, SlaveName>,
    /// The builders of these requests.
    reserved: HashMap<SlaveName, BTreeSet<BuilderName>>,
    /// What waits, by builder.
    queues: BTreeMap<BuilderName, Queue>,
    running: BTreeMap<Ticket, Running>,
    /// The requests of everything that runs.
    taken: HashSet<RequestId>,
    /// What runs on each slave.
    load: HashMap<SlaveName, BTreeSet<Ticket>>,
    locks: Locks,
    /// The builders that stand in line for the locks of their next build.
    lines: Lines,
    last_ticket: u64,
    /// Rules that could not be computed: each is told once.
    troubles: BTreeSet<String>,
    untold: Vec<String>,
}

/// Why a request waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) text: String,
    /// The builds that it waits for, as far as there are any.
    pub(crate) builds: Vec<BuildKey>,
}

/// Requests of one builder, oldest first.
type Queue = BTreeMap<(Timestamp, RequestId), RequestRecord>;

/// Where a builder stands in line for the next slave.
type Turn = (Option<Rank>, (Timestamp, RequestId), BuilderName);

/// A builder of the plan.
#[derive(Debug)]
struct Known {
    plan: Arc<BuilderPlan>,
    slaves: HashSet<SlaveName>,
}

/// A slave that is here.
#[derive(Debug, Default)]
struct Seat {
    /// The last ticket that it was given: idle slaves take turns.
    last_used: u64,
    leaving: Leaving,
}

/// How far a slave is on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Leaving {
    #[default]
    No,
    /// It takes no new builds.
    Asked,
    /// Its builds are done, and it was told to end.
    Told,
}

#[derive(Debug)]
struct Running {
    builder: BuilderName,
    slave: SlaveName,
    requests: Vec<RequestId>,
    key: Option<BuildKey>,
    /// The locks of its builder and of its slave.
    locks: Option<LockHeld>,
    /// What it triggered and waits for, or waited for.
    awaits: BTreeSet<BuildsetId>,
}

/// How busy a slave is that can take a build; the least is taken first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Load {
    ready: Ready,
    running: usize,
    /// The last ticket that it was given.
    last_used: u64,
}

/// How soon a slave can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ready {
    Here,
    /// It is being started, or expected back.
    Coming,
    /// It must be started.
    Down,
}

/// Why a slave cannot take a build.
enum Unable<'a> {
    NotConnected,
    /// It is stopped, or could not be started.
    Phase(&'a Phase),
    /// It ends when its builds have.
    Leaving,
    /// Somebody said so.
    Paused(&'a Pause),
    /// It is planned.
    Downtime(&'a str),
    /// Others wait for it to be started.
    Reserved,
    Building(Ticket, &'a Running),
    Unknown,
    Full(u32),
}

/// Why a builder builds nothing now.
enum Wait<'a> {
    NoBuilder,
    LeftOut,
    NoSlave,
    /// `next_slave` takes none of these.
    RefusedSlaves(Vec<&'a SlaveName>),
    /// This slave has room, and it is only for a lock that others have.
    Locked(&'a SlaveName, Busy),
}

impl Core {
    /// `first_ticket` leaves room for builds that are resumed.
    pub(crate) fn new(plan: Arc<Plan>, first_ticket: u64) -> Self {
        let mut core = Self {
            plan: Arc::clone(&plan),
            config: None,
            builders: HashMap::new(),
            slaves: HashMap::new(),
            attached: HashMap::new(),
            phases: HashMap::new(),
            pauses: HashMap::new(),
            shutdown: None,
            clock: Timestamp(0),
            zone: Zone::from(TimeZone::UTC),
            downtimes: HashMap::new(),
            waits_for: BTreeMap::new(),
            reserved: HashMap::new(),
            queues: BTreeMap::new(),
            running: BTreeMap::new(),
            taken: HashSet::new(),
            load: HashMap::new(),
            locks: Locks::default(),
            lines: Lines::new(),
            last_ticket: first_ticket,
            troubles: BTreeSet::new(),
            untold: Vec::new(),
        };
        core.take_in_plan(plan);
        core
    }

    /// Takes in a fact and says what is to be built now.
    pub(crate) fn handle(&mut self, event: Event) -> Vec<Assignment> {
        match event {
            Event::Planned { plan, config } => {
                self.config = config;
                self.take_in_plan(plan);
            }
            Event::SlaveAttached(slave) => {
                // Who comes anew does not want to go any more.
                self.attached.entry(slave).or_default().leaving = Leaving::No;
            }
            Event::SlaveLeaves(slave) => {
                if let Some(seat) = self.attached.get_mut(&slave)
                    && seat.leaving == Leaving::No
                {
                    seat.leaving = Leaving::Asked;
                }
            }
            Event::SlaveDetached(slave) => {
                self.attached.remove(&slave);
            }
            Event::SlavePhase { slave, phase } => self.take_in_phase(slave, phase),
            Event::SlavePaused {
                slave,
                pause: Some(pause),
            } => drop(self.pauses.insert(slave, pause)),
            Event::SlavePaused { slave, pause: None } => drop(self.pauses.remove(&slave)),
            Event::SlavesPresent(here) => {
                let here: HashSet<SlaveName> = here.into_iter().collect();
                self.attached.retain(|name, _| here.contains(name));
                for slave in here {
                    self.attached.entry(slave).or_default();
                }
            }
            Event::Pending(requests) => {
                self.queues.clear();
                self.enqueue(requests);
            }
            Event::RequestsAdded(requests) => self.enqueue(requests),
            Event::RequestGone(id) => {
                for queue in self.queues.values_mut() {
                    queue.retain(|(_, it), _| *it != id);
                }
            }
            Event::BuildBegun { ticket, key } => {
                if let Some(it) = self.running.get_mut(&ticket) {
                    it.key = Some(key);
                }
                // Nothing became free.
                return Vec::new();
            }
            Event::BuildEnded { ticket } => self.end(ticket),
            Event::BuildAwaits { ticket, buildsets } => {
                if let Some(it) = self.running.get_mut(&ticket) {
                    it.awaits.extend(buildsets);
                }
            }
            Event::ShutdownBegun(wish) => drop(self.shutdown.get_or_insert(wish)),
            Event::ShutdownCancelled => self.shutdown = None,
            Event::LocksMoved => {}
            Event::BuildResumed {
                ticket,
                builder,
                slave,
                key,
                locks: mut uses,
            } => {
                let of_slave = self.slaves.get(&slave).map(|it| it.locks.as_slice());
                uses.extend_from_slice(of_slave.unwrap_or_default());
                let locks =
                    (!uses.is_empty()).then(|| self.locks.retake(Owner(ticket.0), &slave, &uses));
                let running = Running {
                    builder,
                    slave,
                    requests: Vec::new(),
                    key: Some(key),
                    locks,
                    awaits: BTreeSet::new(),
                };
                self.begin(ticket, running);
            }
        }
        self.dispatch()
    }

    /// Rules that could not be computed, since the last call.
    pub(crate) fn troubles(&mut self) -> Vec<String> {
        std::mem::take(&mut self.untold)
    }

    /// For each request that waits: why.
    pub(crate) fn reasons(&self) -> BTreeMap<RequestId, Reason> {
        let mut reasons = BTreeMap::new();
        let mut troubles = Vec::new();
        let turns = self.turns(&mut troubles);
        let room = self.room();
        let in_line: HashSet<&BuilderName> = turns.iter().map(|(_, _, it)| it).collect();
        for (builder, queue) in &self.queues {
            let held_back = self.held_back(queue);
            let queue = match &held_back {
                Some((open, why, held)) => {
                    reasons.extend(held.iter().map(|it| (it.id, why.clone().into())));
                    open
                }
                None => queue,
            };
            if queue.is_empty() {
                continue;
            }
            let mut troubles = troubles.clone();
            let is_in_line = in_line.contains(builder);
            let known = self.builders.get(builder);
            let chosen = match known {
                None => Err(Wait::NoBuilder),
                Some(_) if !is_in_line => Err(Wait::LeftOut),
                Some(known) => self.choose_slave(known, &room, &mut troubles),
            };
            let head = match known {
                Some(known) => choose_request(&known.plan, queue, &mut troubles),
                None => queue.values().next(),
            };
            let mut builds = Vec::new();
            let mut text = match (chosen, head) {
                (Ok(_), None) => "next_build takes no request for now".into(),
                (Ok(slave), Some(_)) => self.explain_wake(slave),
                (Err(wait), _) => self.explain(builder, &wait, &mut builds),
            };
            let head = head.map(|it| it.id);
            for trouble in &troubles {
                text.push_str("; ");
                text.push_str(trouble);
            }
            let reason = Reason { text, builds };
            for request in queue.values() {
                let why = match head {
                    Some(head) if head != request.id => {
                        format!("waits behind request {head} of this builder").into()
                    }
                    _ => reason.clone(),
                };
                let why = match self.waits_for.get(&request.id) {
                    Some(slave) => self.explain_wake(slave).into(),
                    None => why,
                };
                reasons.insert(request.id, why);
            }
        }
        reasons
    }

    fn explain(
        &self,
        builder: &BuilderName,
        wait: &Wait<'_>,
        builds: &mut Vec<BuildKey>,
    ) -> String {
        let names = |all: &[&SlaveName]| {
            let all: Vec<&str> = all.iter().map(|it| it.as_str()).collect();
            all.join(", ")
        };
        match wait {
            Wait::NoBuilder => format!("builder {builder} is not in the configuration"),
            Wait::LeftOut => {
                format!("prioritize_builders leaves builder {builder} out for now")
            }
            Wait::RefusedSlaves(all) => format!("next_slave takes none of {}", names(all)),
            Wait::Locked(_, busy) => format!("waits for {}", self.explain_lock(busy, builds)),
            Wait::NoSlave => {
                let all = self.builders[builder].plan.slaves.iter();
                let reasons = all.filter_map(|it| Some((it, self.can_build(builder, it).err()?)));
                let reasons: Vec<String> = reasons
                    .map(|(slave, unable)| self.explain_slave(slave, &unable, builds))
                    .collect();
                reasons.join("; ")
            }
        }
    }

    fn explain_slave(
        &self,
        slave: &SlaveName,
        unable: &Unable<'_>,
        builds: &mut Vec<BuildKey>,
    ) -> String {
        match unable {
            Unable::NotConnected => match self.phases.get(slave) {
                Some(phase) => format!("slave {slave} {phase}"),
                None => format!("slave {slave} is not connected"),
            },
            Unable::Phase(phase) => format!("slave {slave} {phase}"),
            Unable::Leaving => format!("slave {slave} shuts down when its builds are done"),
            Unable::Paused(pause) => format!("slave {slave} {pause}"),
            Unable::Downtime(words) => format!("slave {slave} has a {words}"),
            Unable::Reserved => format!("slave {slave} is being started for others"),
            Unable::Unknown => format!("slave {slave} is not in the configuration"),
            Unable::Full(most) => {
                format!("slave {slave} has its {most} builds at once (max_builds)")
            }
            Unable::Building(ticket, running) => {
                let mut why = match &running.key {
                    Some(key) => {
                        builds.push(key.clone());
                        format!("slave {slave} is building {key}")
                    }
                    None => format!("slave {slave} is starting a build of {}", running.builder),
                };
                if let Some(busy) = self.locks.waits_for(Owner(ticket.0)) {
                    why.push_str(&format!(
                        ", which waits for {}",
                        self.explain_lock(&busy, builds)
                    ));
                }
                why
            }
        }
    }

    fn take_in_plan(&mut self, plan: Arc<Plan>) {
        let builders = plan.builders.iter();
        self.builders = builders
            .map(|it| {
                let known = Known {
                    plan: Arc::clone(it),
                    slaves: it.slaves.iter().cloned().collect(),
                };
                (it.name.clone(), known)
            })
            .collect();
        let slaves = plan.slaves.iter();
        self.slaves = slaves.map(|it| (it.name.clone(), Arc::clone(it))).collect();
        self.locks.plan(&plan.locks);
        // Other rules may have the same troubles for other reasons.
        self.troubles.clear();
        self.plan = plan;
        self.downtimes.clear();
        self.look_at_downtimes();
    }

    fn enqueue(&mut self, requests: Vec<RequestRecord>) {
        for request in requests {
            if self.taken.contains(&request.id) {
                continue;
            }
            let place = (request.submitted, request.id);
            let queue = self.queues.entry(request.builder.clone()).or_default();
            queue.entry(place).or_insert(request);
        }
    }

    fn begin(&mut self, ticket: Ticket, running: Running) {
        self.taken.extend(running.requests.iter().copied());
        let load = self.load.entry(running.slave.clone()).or_default();
        load.insert(ticket);
        self.running.insert(ticket, running);
    }

    fn end(&mut self, ticket: Ticket) {
        let Some(running) = self.running.remove(&ticket) else {
            return;
        };
        for request in &running.requests {
            self.taken.remove(request);
        }
        if let Some(load) = self.load.get_mut(&running.slave) {
            load.remove(&ticket);
        }
        if let Some(held) = running.locks {
            self.locks.release(held);
        }
    }

    /// Gives free slaves to builders in turn. A builder that finds none is not asked again in
    /// this round: slaves only become fewer.
    fn dispatch(&mut self) -> Vec<Assignment> {
        let held = self.hold_back();
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
        self.enqueue(held);
        assignments
    }

    fn give_out(&mut self) -> Vec<Assignment> {
        let mut assignments = Vec::new();
        self.queues.retain(|_, queue| !queue.is_empty());
        self.waits_for.clear();
        self.reserved.clear();
        if self.queues.is_empty() || self.room().is_empty() {
            return assignments;
        }
        let mut troubles = Vec::new();
        let mut turns = self.turns(&mut troubles);
        let mut room: Vec<SlaveName> = self.room().into_iter().cloned().collect();
        let mut waiting = Vec::new();
        while let Some((rank, _, builder)) = turns.pop_first() {
            if room.is_empty() {
                break;
            }
            match self.assign(&builder, &room, &mut troubles) {
                Some(Given::Slave(assignment)) => assignments.push(*assignment),
                Some(Given::Promise(requests)) => waiting.extend(requests),
                None => continue,
            }
            room.retain(|it| self.has_room(it).is_ok());
            let next = self.queues.get(&builder).and_then(|it| it.keys().next());
            if let Some(next) = next {
                // Its place may have changed with what it has to do.
                let turn = match (&self.plan.master.prioritize_builders, rank) {
                    (BuilderOrder(Some(_)), Some(_)) => self.turn(&builder).unwrap_or_default(),
                    _ => Some((None, *next, builder)),
                };
                turns.extend(turn);
            }
        }
        // They stay where they stood: whichever slave is free first takes them.
        self.enqueue(waiting);
        for trouble in troubles {
            if self.troubles.insert(trouble.clone()) {
                self.untold.push(trouble);
            }
        }
        assignments
    }

    /// The builders with something to do, in their order: the one with the oldest request
    /// first, unless `prioritize_builders` says otherwise.
    fn turns(&self, troubles: &mut Vec<String>) -> BTreeSet<Turn> {
        let known = self
            .queues
            .keys()
            .filter(|it| self.builders.contains_key(*it));
        let ranked: Result<Vec<_>, String> = known.clone().map(|it| self.turn(it)).collect();
        match ranked {
            Ok(turns) => turns.into_iter().flatten().collect(),
            Err(why) => {
                troubles.push(format!(
                    "prioritize_builders cannot be computed, so the oldest request is first: {why}"
                ));
                known.filter_map(|it| self.usual_turn(it)).collect()
            }
        }
    }

    fn usual_turn(&self, builder: &BuilderName) -> Option<Turn> {
        let place = self.queues.get(builder)?.keys().next()?;
        Some((None, *place, builder.clone()))
    }

    /// The builder's place in line; `None` if it is left out.
    fn turn(&self, builder: &BuilderName) -> Result<Option<Turn>, String> {
        let Some((_, place, name)) = self.usual_turn(builder) else {
            return Ok(None);
        };
        let BuilderOrder(Some(rule)) = &self.plan.master.prioritize_builders else {
            return Ok(Some((None, place, name)));
        };
        let (plan, queue) = (&self.builders[builder].plan, &self.queues[builder]);
        let oldest = &queue[&place];
        let running = self.running.values().filter(|it| it.builder == *builder);
        let seen = subjects::builder(plan, oldest, queue.len(), running.count());
        let rank = rule
            .rank(BuilderOrder::THING, seen)
            .map_err(|why| format!("{why} (of builder {builder})"))?;
        Ok(rank.map(|rank| (Some(rank), place, name)))
    }

    /// Begins the builder's next build, if a slave with room can take it.
    fn assign(
        &mut self,
        name: &BuilderName,
        room: &[SlaveName],
        troubles: &mut Vec<String>,
    ) -> Option<Given> {
        let known = self.builders.get(name)?;
        let builder = Arc::clone(&known.plan);
        let queue = self.queues.get(name)?;
        let (slave, is_locked) = match self.choose_slave(known, room, troubles) {
            Ok(slave) => (slave.clone(), false),
            Err(Wait::Locked(slave, _)) => (slave.clone(), true),
            Err(_) => return None,
        };
        let head = choose_request(&builder, queue, troubles)?;
        if is_locked {
            self.stand_in_line(&builder, &slave);
            return None;
        }
        let requests = merged(&builder, head, queue, troubles);
        if !self.attached.contains_key(&slave) {
            return Some(Given::Promise(self.promise(&slave, requests)));
        }
        let ticket = Ticket(self.last_ticket + 1);
        let locks = self.take_locks(ticket, &builder, &slave)?;
        let running = Running {
            builder: name.clone(),
            slave: slave.clone(),
            requests: requests.iter().map(|it| it.id).collect(),
            key: None,
            locks,
            awaits: BTreeSet::new(),
        };
        if let Some(seat) = self.attached.get_mut(&slave) {
            seat.last_used = ticket.0;
        }
        self.last_ticket = ticket.0;
        self.begin(ticket, running);
        if let Some(queue) = self.queues.get_mut(name) {
            for request in &requests {
                queue.remove(&(request.submitted, request.id));
            }
        }
        Some(Given::Slave(Box::new(Assignment {
            ticket,
            builder,
            config: self.config,
            slave,
            requests,
        })))
    }

    /// The slaves that could take one more build of some builder, in file order.
    fn room(&self) -> Vec<&SlaveName> {
        let all = self.plan.slaves.iter().map(|it| &it.name);
        all.filter(|it| self.has_room(it).is_ok()).collect()
    }

    /// The slave for the builder's next build, or why there is none: of those
    /// that can take one, the least busy, and of those the one idle longest. One
    /// for which the locks are free goes before all others.
    fn choose_slave<'a, T: Borrow<SlaveName>>(
        &'a self,
        known: &'a Known,
        room: &'a [T],
        troubles: &mut Vec<String>,
    ) -> Result<&'a SlaveName, Wait<'a>> {
        let builder = &known.plan;
        let able: Vec<_> = room
            .iter()
            .map(Borrow::borrow)
            .filter(|it| known.slaves.contains(*it))
            .filter_map(|it| Some((self.can_build(&builder.name, it).ok()?, it)))
            .collect();
        if able.is_empty() {
            return Err(Wait::NoSlave);
        }
        if let SlaveOrder(Some(rule)) = &builder.next_slave {
            let ranked: Result<Vec<_>, String> = able
                .iter()
                .map(|(load, name)| {
                    let seen = subjects::slave(&self.slaves[*name], load.running, load.last_used);
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
                    "next_slave of builder {} cannot be computed, so the least busy is taken: {why}",
                    builder.name
                )),
            }
        }
        self.first_unlocked(builder, able, |it| it.0, |it| it.1)
            .expect("one is able")
    }

    /// How busy the slave is, and when it last got a build; or why it can take none of this
    /// builder.
    fn can_build(&self, builder: &BuilderName, slave: &SlaveName) -> Result<Load, Unable<'_>> {
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
    fn has_room(&self, slave: &SlaveName) -> Result<Load, Unable<'_>> {
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
                last_used,
            }),
        }
    }
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self {
            text,
            builds: Vec::new(),
        }
    }
}

/// What a builder gets.
enum Given {
    Slave(Box<Assignment>),
    /// These requests wait for a slave that is started for them.
    Promise(Vec<RequestRecord>),
}

/// The request that is built next: the oldest, unless `next_build` says otherwise.
fn choose_request<'a>(
    builder: &BuilderPlan,
    queue: &'a Queue,
    troubles: &mut Vec<String>,
) -> Option<&'a RequestRecord> {
    let oldest = queue.values().next();
    let RequestOrder(Some(rule)) = &builder.next_build else {
        return oldest;
    };
    let ranked: Result<Vec<_>, String> = queue
        .values()
        .map(|it| {
            let seen = subjects::request(it).into();
            let rank = rule.rank(RequestOrder::THING, seen)?;
            Ok(rank.map(|rank| (rank, it)))
        })
        .collect();
    match ranked {
        // The first of equals is the oldest.
        Ok(ranked) => ranked
            .into_iter()
            .flatten()
            .min_by(|a, b| a.0.cmp(&b.0))
            .map(|(_, it)| it),
        Err(why) => {
            troubles.push(format!(
                "next_build of builder {} cannot be computed, so the oldest request is built: {why}",
                builder.name
            ));
            oldest
        }
    }
}

/// The requests that become one build with `head`, which comes first.
fn merged(
    builder: &BuilderPlan,
    head: &RequestRecord,
    queue: &Queue,
    troubles: &mut Vec<String>,
) -> Vec<RequestRecord> {
    let mut requests = vec![head.clone()];
    for other in queue.values().filter(|it| it.id != head.id) {
        let joins = match &builder.merge_requests {
            MergeRequests::No => false,
            MergeRequests::Yes => head.stamp.can_merge_with(&other.stamp),
            MergeRequests::If(rule) => {
                let (a, b) = subjects::pair(head, other);
                rule.joins(a, b).unwrap_or_else(|why| {
                    troubles.push(format!(
                        "merge_requests of builder {} cannot be computed, so requests that agree \
                         become one build: {why}",
                        builder.name
                    ));
                    head.stamp.can_merge_with(&other.stamp)
                })
            }
        };
        if joins {
            requests.push(other.clone());
        }
    }
    requests
}

#[cfg(test)]
#[path = "core_tests.rs"]
pub(super) mod tests;
