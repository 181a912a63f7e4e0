//! Why what waits does so. The questions are those of the decision itself, so
//! an answer is never a second opinion.

use std::collections::{BTreeMap, HashMap};

use super::dispatch::joins;
use super::queue::{Next, Queue};
use super::warmth::repository_of;
use super::{Core, Running, Ticket, Unable, Wait};
use crate::locks::Owner;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SlaveName;

/// So many slaves are named that cannot take a build.
const NAMED: usize = 8;

/// Of so many requests is said at once why they wait: who asks for more asks again, and the
/// decisions in between do not wait for him.
pub(crate) const TOLD: usize = 200;

/// Why a request waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reason {
    pub(crate) text: String,
    /// The builds that it waits for, as far as there are any.
    pub(crate) builds: Vec<BuildKey>,
}

/// Of which requests somebody wants to know why they wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    Nothing,
    Request(RequestId),
    Requests(Vec<RequestId>),
    /// Only why, not when they are built.
    Why(Vec<RequestId>),
    /// Its oldest requests, no more than [`TOLD`] of them.
    Builder(BuilderName),
    #[cfg(test)]
    Everything,
}

impl From<String> for Reason {
    fn from(text: String) -> Self {
        Self {
            text,
            builds: Vec::new(),
        }
    }
}

/// What holds back a builder as a whole.
struct Held<'a> {
    head: Option<&'a RequestRecord>,
    reason: Reason,
}

impl Core {
    /// For each request of the scope that waits: why.
    pub(crate) fn reasons(&self, scope: &Scope) -> BTreeMap<RequestId, Reason> {
        match scope {
            Scope::Nothing => BTreeMap::new(),
            Scope::Request(id) => self.reasons_of(&[*id]),
            Scope::Requests(ids) | Scope::Why(ids) => self.reasons_of(&ids[..ids.len().min(TOLD)]),
            Scope::Builder(builder) => {
                let queue = self.queues.get_key_value(builder);
                self.all_reasons(queue.into_iter(), TOLD)
            }
            #[cfg(test)]
            Scope::Everything => self.all_reasons(self.queues.iter(), usize::MAX),
        }
    }

    fn reasons_of(&self, ids: &[RequestId]) -> BTreeMap<RequestId, Reason> {
        let mut builders = HashMap::new();
        let reasons = ids.iter().filter_map(|id| {
            let (builder, submitted) = self.places.get(id)?;
            let queue = self.queues.get(builder)?;
            let request = queue.get((*submitted, *id))?;
            let held = builders.entry(builder);
            let held = held.or_insert_with(|| self.held(builder, queue));
            Some((*id, self.reason(builder, queue, request, held)))
        });
        reasons.collect()
    }

    /// Of each queue, the oldest.
    fn all_reasons<'a>(
        &'a self,
        queues: impl Iterator<Item = (&'a BuilderName, &'a Queue)>,
        most: usize,
    ) -> BTreeMap<RequestId, Reason> {
        let mut reasons = BTreeMap::new();
        for (builder, queue) in queues {
            let held = self.held(builder, queue);
            for request in queue.by_age().take(most) {
                reasons.insert(request.id, self.reason(builder, queue, request, &held));
            }
        }
        reasons
    }

    /// What each slave of a builder has to say to its next build; `None`: it can take it.
    pub(crate) fn slaves_of(&self, builder: &BuilderName) -> Vec<(SlaveName, Option<Reason>)> {
        let known = self.builders.get(builder);
        let slaves = known.into_iter().flat_map(|it| &it.plan.slaves);
        slaves
            .map(|slave| {
                let mut builds = Vec::new();
                let unable = self.can_build(builder, slave).err();
                let why = unable.map(|it| Reason {
                    text: self.explain_slave(slave, &it, &mut builds),
                    builds,
                });
                (slave.clone(), why)
            })
            .collect()
    }

    fn held<'a>(&'a self, builder: &BuilderName, queue: &'a Queue) -> Held<'a> {
        let mut troubles: Vec<String> = self.turn_trouble().into_iter().collect();
        let room = self.room();
        let Some(known) = self.builders.get(builder) else {
            return Held {
                head: queue.oldest(),
                reason: self
                    .explain(builder, &Wait::NoBuilder, &mut Vec::new())
                    .into(),
            };
        };
        let head = self.head(&known.plan, queue, &mut troubles);
        let refused = matches!(head, Next::Refused);
        let head = head.request();
        let chosen = match head.or_else(|| queue.oldest()) {
            _ if !self.has_turn(builder) => Err(Wait::LeftOut),
            None => Err(Wait::NoSlave),
            Some(request) => {
                let repository = repository_of(&known.plan, request);
                self.choose_slave(known, &repository, &room, &mut troubles)
            }
        };
        let mut builds = Vec::new();
        let mut text = match chosen {
            Ok(_) if refused => "next_build takes no request for now".into(),
            Ok(slave) => self.explain_wake(slave),
            Err(wait) => self.explain(builder, &wait, &mut builds),
        };
        for trouble in &troubles {
            text.push_str("; ");
            text.push_str(trouble);
        }
        Held {
            head,
            reason: Reason { text, builds },
        }
    }

    fn reason(
        &self,
        builder: &BuilderName,
        queue: &Queue,
        request: &RequestRecord,
        held: &Held<'_>,
    ) -> Reason {
        if let Some(why) = self.shutdown.as_ref().filter(|_| !self.may_begin(request)) {
            return why.to_string().into();
        }
        if let Some(slave) = self.waits_for.get(&request.id) {
            return self.explain_wake(slave).into();
        }
        let Some(head) = held.head.filter(|it| it.id != request.id) else {
            return held.reason.clone();
        };
        let known = self.builders.get(builder);
        if known.is_some_and(|it| joins(&it.plan, head, request, &mut Vec::new())) {
            return Reason {
                text: format!(
                    "becomes one build with request {}: {}",
                    head.id, held.reason.text
                ),
                builds: held.reason.builds.clone(),
            };
        }
        let (own, first) = (queue.priority_of(request), queue.priority_of(head));
        let urgent = match first > own {
            true => format!(", which has priority {first}"),
            false => String::new(),
        };
        format!("waits behind request {} of this builder{urgent}", head.id).into()
    }

    fn explain(
        &self,
        builder: &BuilderName,
        wait: &Wait<'_>,
        builds: &mut Vec<BuildKey>,
    ) -> String {
        match wait {
            Wait::NoBuilder => format!("builder {builder} is not in the configuration"),
            Wait::LeftOut => {
                format!("prioritize_builders leaves builder {builder} out for now")
            }
            Wait::RefusedSlaves(all) => {
                let all: Vec<&str> = all.iter().map(|it| it.as_str()).collect();
                format!("next_slave takes none of {}", all.join(", "))
            }
            Wait::Locked(_, busy) => format!("waits for {}", self.explain_lock(busy, builds)),
            Wait::NoSlave => {
                let all = self.builders[builder].plan.slaves.iter();
                let unable = all.filter_map(|it| Some((it, self.can_build(builder, it).err()?)));
                let unable: Vec<_> = unable.collect();
                let mut reasons: Vec<String> = unable
                    .iter()
                    .take(NAMED)
                    .map(|(slave, unable)| self.explain_slave(slave, unable, builds))
                    .collect();
                if unable.len() > NAMED {
                    reasons.push(format!("and {} more slaves", unable.len() - NAMED));
                }
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
                let running = self.load.get(slave).into_iter().flatten();
                let running: Vec<String> = running
                    .map(|it| self.explain_build(&self.running[it], builds))
                    .collect();
                format!(
                    "slave {slave} has its {most} builds at once (max_builds): {}",
                    running.join(", ")
                )
            }
            Unable::Building(ticket, running) => {
                self.explain_building(slave, *ticket, running, builds)
            }
        }
    }

    fn explain_build(&self, running: &Running, builds: &mut Vec<BuildKey>) -> String {
        match &running.key {
            Some(key) => {
                builds.push(key.clone());
                key.to_string()
            }
            None => format!("a build of {}", running.builder),
        }
    }

    fn explain_building(
        &self,
        slave: &SlaveName,
        ticket: Ticket,
        running: &Running,
        builds: &mut Vec<BuildKey>,
    ) -> String {
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
