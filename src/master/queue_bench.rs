//! The queue without slaves and builds, for benchmarks: a core and a store
//! that are shown what a farm would show them.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use tokio::runtime::Runtime;

use crate::clock;
use crate::config;
use crate::config::Plan;
use crate::master::core::{Assignment, Core, Event, Scope, Ticket};
use crate::master::intake::{Asker, take_in};
use crate::model::BuilderName;
use crate::model::NewBuildset;
use crate::model::NewChange;
use crate::model::Outcome;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SourceStamp;
use crate::schedulers::{QueueRules, Zone};
use crate::store::StoreHandle;

/// A queue: for benchmarks.
#[expect(
    missing_debug_implementations,
    reason = "nobody prints a benchmark's queue"
)]
pub struct QueueBench {
    runtime: Runtime,
    store: StoreHandle,
    plan: Arc<Plan>,
    core: Core,
    running: VecDeque<Ticket>,
    /// What waits, as it was read last.
    ids: Vec<RequestId>,
}

/// Requests that are read at a time, as they are when they come in; and buildsets that are stored so.
const TOGETHER: usize = 1000;

impl QueueBench {
    /// Reads the configuration in `dir`, and makes a store there; every slave is connected.
    ///
    /// # Errors
    /// The configuration has mistakes, or the store cannot be made.
    pub fn new(dir: &Path) -> Result<Self, String> {
        let plan = config::load_offline(dir).map_err(|it| it.render(false))?;
        let plan = Arc::new(plan);
        let store = StoreHandle::open(&dir.join("state.sqlite")).map_err(|it| it.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|it| it.to_string())?;
        let mut core = Core::new(Arc::clone(&plan), 0);
        core.set_clock(clock::now(), &Zone::from(clock::zone()));
        for slave in &plan.slaves {
            core.handle(Event::SlaveAttached(slave.name.clone()));
        }
        Ok(Self {
            runtime,
            store,
            plan,
            core,
            running: VecDeque::new(),
            ids: Vec::new(),
        })
    }

    fn write<T: Send + 'static>(
        &self,
        verbs: impl FnOnce(&mut dyn crate::store::Store) -> crate::store::Result<T> + Send + 'static,
    ) -> T {
        let written = self.runtime.block_on(self.store.write(verbs));
        written.expect("the store takes it")
    }

    /// Stores so many changes, each in a transaction, and asks for a build of each alone.
    pub fn push(&mut self, count: usize) {
        for number in 0..count {
            let plan = Arc::clone(&self.plan);
            let requests = self.write(move |verbs| {
                let change = NewChange {
                    revision: Some(format!("{number:040x}")),
                    branch: Some("main".into()),
                    repository: "https://example.org/words.git".into(),
                    ..NewChange::by("ann")
                };
                let id = verbs.add_change(&change, clock::now())?;
                let mut properties = Properties::new();
                properties.set("scheduler", "words", "Scheduler");
                let wanted = NewBuildset {
                    reason: "scheduler".into(),
                    stamp: SourceStamp {
                        branch: change.branch,
                        revision: change.revision,
                        repository: change.repository,
                        project: String::new(),
                        patch: None,
                        changes: id.into_iter().collect(),
                    },
                    properties,
                    priority: None,
                    builders: vec![plan.builders[0].name.clone()],
                };
                let rules = QueueRules::default();
                let intake = take_in(verbs, &plan, &wanted, Asker::Scheduler(&rules))?;
                Ok(intake.unwrap_or_default().requests)
            });
            self.add(requests);
        }
    }

    /// Stores so many requests for each builder, none of which agrees with another, and shows
    /// the core none of them.
    pub fn fill(&mut self, each: usize) {
        let builders: Vec<BuilderName> = self
            .plan
            .builders
            .iter()
            .map(|it| it.name.clone())
            .collect();
        let numbers: Vec<usize> = (0..each).collect();
        for some in numbers.chunks(TOGETHER) {
            let (some, builders) = (some.to_vec(), builders.clone());
            self.write(move |verbs| {
                for number in some {
                    let wanted = NewBuildset {
                        reason: "by hand".into(),
                        stamp: SourceStamp {
                            revision: Some(number.to_string()),
                            ..SourceStamp::default()
                        },
                        properties: Properties::new(),
                        priority: None,
                        builders: builders.clone(),
                    };
                    verbs.add_buildset(&wanted, clock::now())?;
                }
                Ok(())
            });
        }
    }

    fn add(&mut self, requests: Vec<RequestRecord>) -> usize {
        let given = self.core.handle(Event::RequestsAdded(requests));
        self.take(&given)
    }

    fn take(&mut self, given: &[Assignment]) -> usize {
        self.running.extend(given.iter().map(|it| it.ticket));
        given.iter().map(|it| it.requests.len()).sum()
    }

    /// Looks at what waits as a master does every few seconds; says how many builds began.
    pub fn tick(&mut self) -> usize {
        self.learn();
        self.look()
    }

    /// Reads what is not known of all that waits.
    pub fn learn(&mut self) {
        let read = self.store.read(|verbs| verbs.pending_ids());
        let ids = self.runtime.block_on(read).expect("readable");
        let unknown = self.core.unknown(&ids);
        for some in unknown.chunks(TOGETHER) {
            let some = some.to_vec();
            let read = self.store.read(move |verbs| verbs.requests(&some));
            let new = self.runtime.block_on(read).expect("readable");
            self.core.handle(Event::Learned(new));
        }
        self.ids = ids;
    }

    /// Decides what is built of what was read; says how many builds began.
    pub fn look(&mut self) -> usize {
        let ids = std::mem::take(&mut self.ids);
        let given = self.core.handle(Event::StillWaiting { ids });
        self.take(&given);
        given.len()
    }

    /// Ends the build that runs longest; says how many requests became a build for that.
    pub fn decide(&mut self) -> usize {
        self.core
            .set_clock(clock::now(), &Zone::from(clock::zone()));
        let Some(ticket) = self.running.pop_front() else {
            return 0;
        };
        let outcome = Outcome::Success;
        let given = self.core.handle(Event::BuildEnded { ticket, outcome });
        self.take(&given)
    }

    /// Asks why every request of a builder waits; says of how many that was.
    #[must_use]
    pub fn why(&self) -> usize {
        let Some(builder) = self.plan.builders.last() else {
            return 0;
        };
        self.core
            .lineup(&Scope::Builder(builder.name.clone()))
            .why
            .len()
    }
}
