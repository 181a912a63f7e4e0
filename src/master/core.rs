//! The decision: which waiting request is built where, and why another
//! waits. Facts come in as [`Event`]s; nothing in here does I/O or looks at
//! a clock. Events are hints and the store is the truth: `StillWaiting` brings
//! a fresh reading at every tick, so a fact that was missed costs a delay.

#[path = "core_dispatch.rs"]
mod dispatch;
#[path = "core_downtimes.rs"]
mod downtimes;
#[path = "core_effort.rs"]
mod effort;
#[path = "core_line.rs"]
mod line;
#[path = "core_locks.rs"]
mod lines;
#[path = "core_queue.rs"]
mod queue;
#[path = "core_reasons.rs"]
mod reasons;
#[path = "core_shutdown.rs"]
mod shutdown;
#[path = "core_turns.rs"]
mod turns;
#[path = "core_wanted.rs"]
mod wanted;
#[path = "core_warmth.rs"]
mod warmth;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use self::downtimes::Down;
pub(crate) use self::line::Lineup;
#[cfg(test)]
pub(crate) use self::line::Place;
use self::lines::Lines;
use self::queue::Queue;
pub(crate) use self::reasons::{Reason, Scope, TOLD};
use self::shutdown::Exempt;
use self::turns::Turns;
use self::warmth::{Warm, Warmth};
use crate::config::{BuilderPlan, Plan, SlavePlan};
use crate::locks::{Busy, LockHeld, Locks, Owner};
use crate::master::pauses::Pause;
use crate::master::phase::Phase;
use crate::master::shutdown::CleanShutdown;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::ConfigId;
use crate::model::LockUse;
use crate::model::Outcome;
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
    /// Everything that waits, whole.
    #[cfg(test)]
    Pending(Vec<RequestRecord>),
    /// The numbers of everything that waits, freshly read, ascending; what was news of it has
    /// been [`Self::Learned`].
    StillWaiting {
        ids: Vec<RequestId>,
    },
    RequestsAdded(Vec<RequestRecord>),
    /// Some of what waits, while there is more to be read: nothing is begun before all is known.
    Learned(Vec<RequestRecord>),
    RequestGone(RequestId),
    /// The build of an assignment has its number.
    BuildBegun {
        ticket: Ticket,
        key: BuildKey,
    },
    /// The build of an assignment is over, or could not begin.
    BuildEnded {
        ticket: Ticket,
        outcome: Outcome,
    },
    /// Where each builder's last good build ran, in earlier runs of this master.
    BuiltBefore(Vec<(BuilderName, SlaveName)>),
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
    /// What is built even so.
    exempt: Exempt,
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
    /// Where in these it stands.
    places: BTreeMap<RequestId, (BuilderName, Timestamp)>,
    turns: Turns,
    warmth: Warmth,
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
    /// Of what it builds.
    repository: String,
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
    /// Whether it has what the build needs; asked of those only that could take one.
    warm: Warm,
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
            exempt: Exempt::new(),
            clock: Timestamp(0),
            zone: Zone::from(TimeZone::UTC),
            downtimes: HashMap::new(),
            waits_for: BTreeMap::new(),
            reserved: HashMap::new(),
            queues: BTreeMap::new(),
            places: BTreeMap::new(),
            turns: Turns::default(),
            warmth: Warmth::default(),
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
            #[cfg(test)]
            Event::Pending(requests) => {
                let ids: BTreeSet<RequestId> = requests.iter().map(|it| it.id).collect();
                self.keep_only(ids.into_iter());
                self.enqueue(requests);
            }
            Event::StillWaiting { ids } => self.keep_only(ids.into_iter()),
            Event::RequestsAdded(requests) => self.enqueue(requests),
            Event::Learned(requests) => {
                self.enqueue(requests);
                return Vec::new();
            }
            Event::RequestGone(id) => drop(self.take_out(id)),
            Event::BuiltBefore(all) => {
                for (builder, slave) in all {
                    self.warmth.built(&builder, &slave, "");
                }
            }
            Event::BuildBegun { ticket, key } => {
                if let Some(it) = self.running.get_mut(&ticket) {
                    it.key = Some(key);
                }
                // Nothing became free.
                return Vec::new();
            }
            Event::BuildEnded { ticket, outcome } => self.end(ticket, outcome),
            Event::BuildAwaits { ticket, buildsets } => {
                if let Some(it) = self.running.get_mut(&ticket) {
                    it.awaits.extend(buildsets);
                    self.look_for_exempt();
                }
            }
            Event::ShutdownBegun(wish) => {
                self.shutdown.get_or_insert(wish);
                self.look_for_exempt();
            }
            Event::ShutdownCancelled => {
                self.shutdown = None;
                self.look_for_exempt();
            }
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
                    repository: String::new(),
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
        let (builders, slaves) = (&self.builders, &self.slaves);
        self.warmth
            .forget_others(|it| builders.contains_key(it), |it| slaves.contains_key(it));
        self.turns.forget_others(|it| builders.contains_key(it));
        for (name, queue) in &mut self.queues {
            queue.refit(builders.get(name).map(|it| it.plan.as_ref()));
            self.turns.touch(name);
        }
        self.downtimes.clear();
        self.look_at_downtimes();
    }

    /// Those of these requests, which ascend, that are neither waiting nor being built here.
    pub(crate) fn unknown(&self, ids: &[RequestId]) -> Vec<RequestId> {
        let mut known = self.places.keys().peekable();
        let mut unknown = Vec::new();
        for id in ids {
            while known.next_if(|it| *it < id).is_some() {}
            if known.peek() != Some(&id) && !self.taken.contains(id) {
                unknown.push(*id);
            }
        }
        unknown
    }

    fn enqueue(&mut self, requests: Vec<RequestRecord>) {
        let awaited = self.awaited();
        for request in requests {
            if self.taken.contains(&request.id) || self.places.contains_key(&request.id) {
                continue;
            }
            let builder = request.builder.clone();
            let place = (builder.clone(), request.submitted);
            self.places.insert(request.id, place);
            if awaited.contains(&request.buildset) {
                let exempt = self.exempt.entry(builder.clone()).or_default();
                exempt.insert((request.submitted, request.id));
            }
            self.turns.touch(&builder);
            let known = self.builders.get(&builder).map(|it| it.plan.as_ref());
            let queue = self.queues.entry(builder);
            queue.or_insert_with(|| Queue::of(known)).insert(request);
        }
    }

    /// Takes a request out of its queue.
    fn take_out(&mut self, id: RequestId) -> Option<RequestRecord> {
        let (builder, submitted) = self.places.remove(&id)?;
        self.turns.touch(&builder);
        if let Some(exempt) = self.exempt.get_mut(&builder) {
            exempt.remove(&(submitted, id));
        }
        let queue = self.queues.get_mut(&builder)?;
        let request = queue.remove((submitted, id));
        if queue.is_empty() {
            self.queues.remove(&builder);
        }
        request
    }

    /// Forgets what waited and does so no longer. `ids` ascend.
    fn keep_only(&mut self, ids: impl Iterator<Item = RequestId>) {
        let mut ids = ids.peekable();
        let mut gone = Vec::new();
        for known in self.places.keys() {
            while ids.next_if(|it| it < known).is_some() {}
            if ids.peek() != Some(known) {
                gone.push(*known);
            }
        }
        for id in gone {
            self.take_out(id);
        }
    }

    fn begin(&mut self, ticket: Ticket, running: Running) {
        self.taken.extend(running.requests.iter().copied());
        self.turns.touch(&running.builder);
        let load = self.load.entry(running.slave.clone()).or_default();
        load.insert(ticket);
        self.running.insert(ticket, running);
    }

    fn end(&mut self, ticket: Ticket, outcome: Outcome) {
        let Some(running) = self.running.remove(&ticket) else {
            return;
        };
        self.turns.touch(&running.builder);
        if matches!(outcome, Outcome::Success | Outcome::Warnings) {
            let repository = &running.repository;
            self.warmth
                .built(&running.builder, &running.slave, repository);
        }
        for request in &running.requests {
            self.taken.remove(request);
        }
        if let Some(load) = self.load.get_mut(&running.slave) {
            load.remove(&ticket);
        }
        if let Some(held) = running.locks {
            self.locks.release(held);
        }
        if !running.awaits.is_empty() {
            self.look_for_exempt();
        }
    }
}

#[cfg(test)]
#[path = "core_effort_tests.rs"]
mod effort_tests;
#[cfg(test)]
#[path = "core_order_tests.rs"]
mod order_tests;
#[cfg(test)]
#[path = "core_tests.rs"]
pub(super) mod tests;
