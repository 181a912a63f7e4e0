//! The decision: which waiting request is built where, and why another
//! waits. Facts come in as [`Event`]s; nothing in here does I/O or looks at
//! a clock. Events are hints and the store is the truth: `Pending` brings a
//! fresh reading at every tick, so a fact that was missed costs a delay.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::BuilderPlan;
use crate::config::Plan;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SlaveName;

/// A fact.
#[derive(Debug)]
pub(crate) enum Event {
    /// A configuration is in force from now on.
    Planned(Arc<Plan>),
    SlaveAttached(SlaveName),
    SlaveDetached(SlaveName),
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
    /// A build of an earlier run of this master goes on.
    BuildResumed {
        ticket: Ticket,
        builder: BuilderName,
        slave: SlaveName,
        key: BuildKey,
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
    pub(crate) slave: SlaveName,
    /// The oldest first; the others merge with it.
    pub(crate) requests: Vec<RequestRecord>,
}

/// What the master knows and has decided.
#[derive(Debug)]
pub(crate) struct Core {
    plan: Arc<Plan>,
    attached: BTreeMap<SlaveName, Seat>,
    pending: Vec<RequestRecord>,
    running: BTreeMap<Ticket, Running>,
    last_ticket: u64,
}

/// A slave that is here.
#[derive(Debug, Default)]
struct Seat {
    /// The last ticket that it was given: idle slaves take turns.
    last_used: u64,
}

#[derive(Debug)]
struct Running {
    builder: BuilderName,
    slave: SlaveName,
    requests: Vec<RequestId>,
    key: Option<BuildKey>,
}

impl Core {
    /// `first_ticket` leaves room for builds that are resumed.
    pub(crate) fn new(plan: Arc<Plan>, first_ticket: u64) -> Self {
        Self {
            plan,
            attached: BTreeMap::new(),
            pending: Vec::new(),
            running: BTreeMap::new(),
            last_ticket: first_ticket,
        }
    }

    /// Takes in a fact and says what is to be built now.
    pub(crate) fn handle(&mut self, event: Event) -> Vec<Assignment> {
        match event {
            Event::Planned(plan) => self.plan = plan,
            Event::SlaveAttached(slave) => {
                self.attached.entry(slave).or_default();
            }
            Event::SlaveDetached(slave) => {
                self.attached.remove(&slave);
            }
            Event::SlavesPresent(here) => {
                self.attached.retain(|name, _| here.contains(name));
                for slave in here {
                    self.attached.entry(slave).or_default();
                }
            }
            Event::Pending(requests) => self.pending = requests,
            Event::RequestsAdded(requests) => {
                for request in requests {
                    if self.pending.iter().all(|it| it.id != request.id) {
                        self.pending.push(request);
                    }
                }
            }
            Event::RequestGone(id) => self.pending.retain(|it| it.id != id),
            Event::BuildBegun { ticket, key } => {
                if let Some(it) = self.running.get_mut(&ticket) {
                    it.key = Some(key);
                }
            }
            Event::BuildEnded { ticket } => {
                self.running.remove(&ticket);
            }
            Event::BuildResumed {
                ticket,
                builder,
                slave,
                key,
            } => {
                let running = Running {
                    builder,
                    slave,
                    requests: Vec::new(),
                    key: Some(key),
                };
                self.running.insert(ticket, running);
            }
        }
        self.dispatch()
    }

    /// For each request that waits: why.
    pub(crate) fn why_waiting(&self) -> BTreeMap<RequestId, String> {
        let mut heads: BTreeMap<&BuilderName, RequestId> = BTreeMap::new();
        let mut reasons = BTreeMap::new();
        for request in self.waiting() {
            let reason = match heads.get(&request.builder) {
                Some(head) => format!("waits behind request {head} of this builder"),
                None => {
                    heads.insert(&request.builder, request.id);
                    match self.choose_slave(&request.builder) {
                        Ok((_, slave)) => format!("is about to be built on slave {slave}"),
                        Err(wait) => wait,
                    }
                }
            };
            reasons.insert(request.id, reason);
        }
        reasons
    }

    /// Pending requests that no assignment has taken.
    fn waiting(&self) -> impl Iterator<Item = &RequestRecord> {
        self.pending.iter().filter(|request| {
            !self
                .running
                .values()
                .any(|running| running.requests.contains(&request.id))
        })
    }

    fn dispatch(&mut self) -> Vec<Assignment> {
        let mut assignments = Vec::new();
        // The oldest request decides which builder is next; each round starts one build, so
        // the next round sees the slave as taken.
        while let Some(assignment) = self.next_assignment() {
            let running = Running {
                builder: assignment.builder.name.clone(),
                slave: assignment.slave.clone(),
                requests: assignment.requests.iter().map(|it| it.id).collect(),
                key: None,
            };
            if let Some(seat) = self.attached.get_mut(&assignment.slave) {
                seat.last_used = assignment.ticket.0;
            }
            self.last_ticket = assignment.ticket.0;
            self.running.insert(assignment.ticket, running);
            self.pending
                .retain(|it| assignment.requests.iter().all(|taken| taken.id != it.id));
            assignments.push(assignment);
        }
        assignments
    }

    fn next_assignment(&self) -> Option<Assignment> {
        let mut tried: Vec<&BuilderName> = Vec::new();
        for head in self.waiting() {
            if tried.contains(&&head.builder) {
                continue;
            }
            tried.push(&head.builder);
            let Ok((builder, slave)) = self.choose_slave(&head.builder) else {
                continue;
            };
            let mut requests = vec![head.clone()];
            if builder.merge_requests {
                let others = self.waiting().filter(|it| {
                    it.id != head.id
                        && it.builder == head.builder
                        && head.stamp.can_merge_with(&it.stamp)
                });
                requests.extend(others.cloned());
            }
            let ticket = Ticket(self.last_ticket + 1);
            let builder = Arc::clone(builder);
            return Some(Assignment {
                ticket,
                builder,
                slave: slave.clone(),
                requests,
            });
        }
        None
    }

    /// The slave for the builder's next build, or why there is none: of those
    /// that can take one, the least busy, and of those the one idle longest.
    fn choose_slave(
        &self,
        builder: &BuilderName,
    ) -> Result<(&Arc<BuilderPlan>, &SlaveName), String> {
        let Some(plan) = self.plan.builders.iter().find(|it| it.name == *builder) else {
            return Err(format!("builder {builder} is not in the configuration"));
        };
        let mut best = None;
        let mut reasons = Vec::new();
        for name in &plan.slaves {
            match self.can_build(builder, name) {
                Ok(rank) if best.is_none_or(|(least, _)| rank < least) => best = Some((rank, name)),
                Ok(_) => {}
                Err(reason) => reasons.push(reason),
            }
        }
        match best {
            Some((_, name)) => Ok((plan, name)),
            None => Err(reasons.join("; ")),
        }
    }

    fn can_build(&self, builder: &BuilderName, slave: &SlaveName) -> Result<(usize, u64), String> {
        let Some(seat) = self.attached.get(slave) else {
            return Err(format!("slave {slave} is not connected"));
        };
        let builds: Vec<&Running> = self
            .running
            .values()
            .filter(|it| it.slave == *slave)
            .collect();
        if let Some(same) = builds.iter().find(|it| it.builder == *builder) {
            return Err(match &same.key {
                Some(key) => format!("slave {slave} is building {key}"),
                None => format!("slave {slave} is starting a build of {builder}"),
            });
        }
        let plan = self.plan.slaves.iter().find(|it| it.name == *slave);
        let Some(plan) = plan else {
            return Err(format!("slave {slave} is not in the configuration"));
        };
        if let Some(most) = plan.max_builds
            && builds.len() >= most as usize
        {
            return Err(format!(
                "slave {slave} has its {most} builds at once (max_builds)"
            ));
        }
        Ok((builds.len(), seat.last_used))
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
