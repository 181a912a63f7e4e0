//! What stands while a configuration is in force: listeners, pollers,
//! schedulers, slaves that the master launches. A reload is the difference
//! between two plans; a start is the difference to nothing. What did not
//! change is not touched.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config;
use crate::config::{Launch, Plan, SchedulerPlan, SlavePlan, SourcePlan};
use crate::master::core::Event;
use crate::master::crew::Crew;
use crate::master::handle::MasterHandle;
use crate::master::pages::{Access, Door, Pages};
use crate::master::{launch, slaves};
use crate::model::Status;
use crate::syntax::Problems;
use crate::wire::native::{FrameReader, FrameWriter};

/// What stands.
pub(crate) struct Fixtures {
    standing: Mutex<Standing>,
}

struct Standing {
    pages: Arc<dyn Pages>,
    /// By what they are for: `slaveport`, `htmlport`, `publichtmlport`.
    listeners: BTreeMap<&'static str, Fixture<SocketAddr>>,
    sources: BTreeMap<String, Fixture<Arc<SourcePlan>>>,
    schedulers: BTreeMap<String, Fixture<Arc<SchedulerPlan>>>,
    launched: BTreeMap<String, Fixture<Arc<SlavePlan>>>,
}

/// A task and the settings it was started with.
struct Fixture<T> {
    settings: T,
    stop: CancellationToken,
    /// Cancelled when the task is over.
    ended: CancellationToken,
}

/// A port of the plan that was bound anew.
type Bound = (&'static str, SocketAddr, TcpListener);

impl Fixtures {
    /// Nothing stands yet.
    pub(crate) fn new(pages: Arc<dyn Pages>) -> Self {
        let standing = Standing {
            pages,
            listeners: BTreeMap::new(),
            sources: BTreeMap::new(),
            schedulers: BTreeMap::new(),
            launched: BTreeMap::new(),
        };
        Self {
            standing: Mutex::new(standing),
        }
    }

    /// Puts the plan's fixtures up, and takes down what it no longer has.
    ///
    /// # Errors
    /// A port cannot be listened on: then nothing was changed.
    pub(crate) async fn apply(
        &self,
        handle: &MasterHandle,
        plan: &Arc<Plan>,
    ) -> Result<(), String> {
        let mut standing = self.standing.lock().await;
        let crew = handle.crew();
        let bound = standing
            .bind(plan)
            .await
            .map_err(|problems| problems.render(false))?;

        let old = crew.plan();
        crew.set_plan(Arc::clone(plan));
        for slave in &old.slaves {
            let kept = plan.slaves.iter().any(|it| {
                it.name == slave.name && it.password == slave.password && it.launch == slave.launch
            });
            if !kept {
                crew.slaves.dismiss(&slave.name);
            }
        }
        crew.tell_core(Event::Planned(Arc::clone(plan))).await;
        standing.listen(handle, plan, bound);
        standing.poll(crew, plan);
        standing.schedule(crew, plan);
        standing.launch(crew, plan);
        crew.tell(Status::Reloaded);
        Ok(())
    }

    /// Reads the configuration again and applies it, whole or not at all.
    ///
    /// # Errors
    /// The rendered problems.
    pub(crate) async fn reload(&self, handle: &MasterHandle) -> Result<String, String> {
        let dir = handle.basedir().to_owned();
        let read = tokio::task::spawn_blocking(move || config::load(&dir)).await;
        let read =
            read.map_err(|_| "reading the configuration broke off; see the log".to_owned())?;
        let plan = match read {
            Ok(plan) => Arc::new(plan),
            Err(problems) => {
                warn!("the configuration was not reloaded");
                return Err(problems.render(false));
            }
        };
        let changed = config::diff(&handle.plan(), &plan);
        self.apply(handle, &plan).await?;
        for line in &changed {
            info!("reload: {line}");
        }
        let mut text = changed.join("\n");
        if !plan.warnings.is_empty() {
            text = format!("{}\n{text}", plan.warnings.render(false).trim_end());
        }
        Ok(text)
    }
}

impl Standing {
    /// Binds the ports that are new, so that a port that is taken changes nothing.
    async fn bind(&self, plan: &Plan) -> Result<Vec<Bound>, Problems> {
        let mut bound = Vec::new();
        let mut problems = Problems::default();
        for (name, address) in plan.master.ports() {
            let Some(address) = address else { continue };
            if self
                .listeners
                .get(name)
                .is_some_and(|it| it.settings == address)
            {
                continue;
            }
            match TcpListener::bind(address).await {
                Ok(listener) => bound.push((name, address, listener)),
                Err(error) => {
                    problems.note(config::cannot_listen(plan, name, address, &error));
                }
            }
        }
        if problems.has_errors() {
            Err(problems)
        } else {
            Ok(bound)
        }
    }

    fn listen(&mut self, handle: &MasterHandle, plan: &Plan, bound: Vec<Bound>) {
        let wanted = plan.master.ports();
        self.listeners.retain(|name, it| {
            let stays = wanted.contains(&(*name, Some(it.settings)));
            if !stays {
                it.stop.cancel();
            }
            stays
        });
        let crew = handle.crew();
        for (name, settings, listener) in bound {
            let (stop, ended) = (crew.stop.child_token(), CancellationToken::new());
            let access = if name == "htmlport" {
                Access::Full
            } else {
                Access::ReadOnly
            };
            if name == "slaveport" {
                let task = accept_slaves(Arc::clone(crew), listener, stop.clone());
                crew.supervise(name.into(), task);
            } else {
                let door = Door::Tcp(listener);
                let task = self.pages.serve(door, handle.clone(), access, stop.clone());
                crew.supervise(name.into(), task);
            }
            self.listeners.insert(
                name,
                Fixture {
                    settings,
                    stop,
                    ended,
                },
            );
        }
    }

    fn poll(&mut self, crew: &Arc<Crew>, plan: &Plan) {
        let wanted = plan
            .sources
            .iter()
            .map(|it| (it.name.clone(), Arc::clone(it)));
        replace(&mut self.sources, wanted, crew, launch::poll);
    }

    fn schedule(&mut self, crew: &Arc<Crew>, plan: &Plan) {
        let wanted = plan
            .schedulers
            .iter()
            .map(|it| (it.name.to_string(), Arc::clone(it)));
        replace(&mut self.schedulers, wanted, crew, launch::schedule);
    }

    fn launch(&mut self, crew: &Arc<Crew>, plan: &Plan) {
        let local = plan
            .slaves
            .iter()
            .filter(|it| matches!(it.launch, Launch::Local { .. }));
        let wanted = local.map(|it| (it.name.to_string(), Arc::clone(it)));
        replace(&mut self.launched, wanted, crew, launch::keep_slave);
    }
}

/// Stops fixtures that left or changed, starts those that are new. The successor of one that
/// is stopping begins when that has ended: they share a state and a directory.
fn replace<T, F>(
    standing: &mut BTreeMap<String, Fixture<Arc<T>>>,
    wanted: impl Iterator<Item = (String, Arc<T>)>,
    crew: &Arc<Crew>,
    start: impl Fn(Arc<Crew>, Arc<T>, CancellationToken) -> F,
) where
    T: PartialEq,
    F: Future<Output = ()> + Send + 'static,
{
    let wanted: BTreeMap<String, Arc<T>> = wanted.collect();
    let mut leaving = BTreeMap::new();
    standing.retain(|name, it| {
        let stays = wanted.get(name).is_some_and(|new| **new == *it.settings);
        if !stays {
            it.stop.cancel();
            leaving.insert(name.clone(), it.ended.clone());
        }
        stays
    });
    for (name, settings) in wanted {
        if standing.contains_key(&name) {
            continue;
        }
        let (stop, ended) = (crew.stop.child_token(), CancellationToken::new());
        let predecessor = leaving.remove(&name);
        let task = start(Arc::clone(crew), Arc::clone(&settings), stop.clone());
        let says_so = ended.clone().drop_guard();
        crew.supervise(name.clone(), async move {
            if let Some(predecessor) = predecessor {
                predecessor.cancelled().await;
            }
            task.await;
            drop(says_so);
        });
        standing.insert(
            name,
            Fixture {
                settings,
                stop,
                ended,
            },
        );
    }
}

/// Takes slaves in that dial.
async fn accept_slaves(crew: Arc<Crew>, listener: TcpListener, stop: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others must close some first.
                warn!(reason = %error, "failed to take a slave in");
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                continue;
            }
        };
        // Small messages must not wait for larger ones.
        drop(stream.set_nodelay(true));
        let line_crew = Arc::clone(&crew);
        crew.supervise(format!("slave line from {from}"), async move {
            let (read, write) = stream.into_split();
            let plan = line_crew.plan();
            let password_of = |name: &str| {
                let slave = plan.slaves.iter().find(|it| it.name.as_str() == name)?;
                (slave.launch == Launch::None).then(|| slave.password.clone())
            };
            let (reader, writer) = (FrameReader::new(read), FrameWriter::new(write));
            slaves::serve(&line_crew, &from.to_string(), reader, writer, password_of).await;
        });
    }
}
