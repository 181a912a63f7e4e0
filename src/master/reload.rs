//! What stands while a configuration is in force: listeners, pollers,
//! schedulers, slaves that the master launches. A reload is the difference
//! between two plans; a start is the difference to nothing. What did not
//! change is not touched, and what cannot be had changes nothing at all.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock;
use crate::config;
use crate::config::{Difference, Plan, SchedulerPlan, SlavePlan, SourcePlan};
use crate::master::core::Event;
use crate::master::crew::Crew;
use crate::master::diary;
use crate::master::effects::{Work, effects};
use crate::master::handle::MasterHandle;
use crate::master::keeper::{self, Launched};
use crate::master::launch;
use crate::master::listeners::Listeners;
use crate::master::pages::Pages;
use crate::master::reader::Reader;
use crate::master::watch::{self, Watched};
use crate::model::ConfigId;
use crate::model::Status;
use crate::store::{ConfigFile, NewConfig, Result as Stored, Store};

/// What stands. Who changes it holds the lock from the reading of the files to the end, so
/// that the files that were read last are the ones in force.
pub(crate) struct Fixtures {
    standing: Mutex<Standing>,
}

struct Standing {
    listeners: Listeners,
    sources: Group<Arc<SourcePlan>>,
    schedulers: Group<Arc<SchedulerPlan>>,
    launched: Group<Launched>,
    watcher: Group<Arc<Watched>>,
    reader: Reader,
}

/// What a reload changes.
struct Changed {
    /// In words.
    lines: Vec<String>,
    /// Builders that were there and are not what they were.
    builders: Vec<String>,
}

/// Tasks of one kind by name.
struct Group<T> {
    standing: BTreeMap<String, Fixture<T>>,
    /// Those that were told to stop: cancelled when they have.
    leaving: BTreeMap<String, CancellationToken>,
}

/// A task and the settings it was started with.
struct Fixture<T> {
    settings: T,
    stop: CancellationToken,
    /// Cancelled when the task is over.
    ended: CancellationToken,
}

impl Fixtures {
    /// Nothing stands yet.
    pub(crate) fn new(pages: Arc<dyn Pages>) -> Self {
        Self {
            standing: Mutex::new(Standing {
                listeners: Listeners::new(pages),
                sources: Group::default(),
                schedulers: Group::default(),
                launched: Group::default(),
                watcher: Group::default(),
                reader: Reader::default(),
            }),
        }
    }

    /// Puts everything of the plan up that the master starts with.
    ///
    /// # Errors
    /// A port cannot be listened on, or the store cannot write: then nothing stands.
    pub(crate) async fn begin(
        &self,
        handle: &MasterHandle,
        plan: &Arc<Plan>,
    ) -> Result<(), String> {
        let mut standing = self.standing.lock().await;
        standing.apply(handle, plan, None).await.map(drop)
    }

    /// Reads the configuration again and applies it, whole or not at all. Says what was
    /// added, changed, removed and kept, and what that did to the work under way.
    ///
    /// # Errors
    /// The rendered problems.
    pub(crate) async fn reload(&self, handle: &MasterHandle) -> Result<String, String> {
        let crew = handle.crew();
        let mut standing = self.standing.lock().await;
        if crew.stop.is_cancelled() {
            return Err("the master is stopping; its next start reads the configuration".into());
        }
        // Programs that look after Buildbot masters wait for these words.
        info!(
            "loading configuration from {}",
            crew.dir.join("master.ini").display()
        );
        info!("configuration update started");
        let done = standing.reload(handle).await;
        match &done {
            Ok(lines) => {
                for line in lines.lines() {
                    info!("reload: {line}");
                }
                crew.config_is_good();
                crew.tell(Status::Reloaded);
                info!("configuration update complete");
            }
            Err(problems) => {
                crew.config_is_bad(clock::now());
                crew.tell(Status::ReloadRefused);
                error!("configuration not reloaded:\n{}", problems.trim_end());
                error!("I will keep using the previous config file instead.");
            }
        }
        done
    }
}

impl Standing {
    async fn reload(&mut self, handle: &MasterHandle) -> Result<String, String> {
        let old = handle.plan();
        let read = self.reader.read(handle.basedir(), &old).await;
        let read = read.ok_or("reading the configuration broke off; see the log")?;
        let plan = Arc::new(read.map_err(|problems| problems.render(false))?);
        let fixed = config::needs_restart(&old, &plan);
        if fixed.has_errors() {
            return Err(fixed.render(false));
        }
        let difference = Difference::between(&old, &plan);
        let mut lines = difference.lines();
        let changed = Changed {
            lines: lines.clone(),
            builders: difference.builders.changed.keys().cloned().collect(),
        };
        let mut work = work(handle.crew(), &difference, &old, &plan).await;
        lines.extend(self.apply(handle, &plan, Some(changed)).await?);
        lines.extend(effects(&difference, &plan, &mut work));
        // It is many small pieces, and nobody waits for them to go.
        drop(tokio::task::spawn_blocking(move || drop(old)));
        let text = lines.join("\n");
        if plan.warnings.is_empty() {
            Ok(text)
        } else {
            let warnings = plan.warnings.render(false);
            Ok(format!("{}\n{text}", warnings.trim_end()))
        }
    }

    /// `changes` says what is different; a start does not know that. Gives what else is.
    async fn apply(
        &mut self,
        handle: &MasterHandle,
        plan: &Arc<Plan>,
        changes: Option<Changed>,
    ) -> Result<Option<String>, String> {
        let crew = handle.crew();
        let bound = self
            .listeners
            .bind(handle, plan)
            .await
            .map_err(|problems| problems.render(false))?;
        let config = match write_down(crew, plan, changes).await {
            Ok(config) => config,
            Err(error) => {
                self.listeners.give_back(handle, bound).await;
                return Err(format!("failed to write the configuration down: {error}"));
            }
        };
        // From here on nothing fails.
        let old = crew.plan();
        crew.set_plan(Arc::clone(plan), config);
        for (slave, why) in leaving(&old, plan) {
            crew.let_go(&slave.name, &why).await;
        }
        let planned = Event::Planned {
            plan: Arc::clone(plan),
            config: Some(config),
        };
        crew.tell_core(planned).await;
        crew.ask_anew(&old);
        crew.list_builders_anew();
        let news = self.listeners.take_over(handle, plan, bound);
        self.poll(crew, plan);
        self.schedule(crew, plan);
        self.launch(crew, plan);
        self.watch(handle, plan);
        Ok(news)
    }

    fn poll(&mut self, crew: &Arc<Crew>, plan: &Plan) {
        let wanted = plan.sources.iter();
        let wanted = wanted.map(|it| (it.name.clone(), Arc::clone(it)));
        self.sources.replace(wanted, crew, |it, stop| {
            launch::poll(Arc::clone(crew), it, stop)
        });
    }

    fn schedule(&mut self, crew: &Arc<Crew>, plan: &Plan) {
        let wanted = plan.schedulers.iter();
        let wanted = wanted.map(|it| (it.name.to_string(), Arc::clone(it)));
        self.schedulers.replace(wanted, crew, |it, stop| {
            launch::schedule(Arc::clone(crew), it, stop)
        });
    }

    fn launch(&mut self, crew: &Arc<Crew>, plan: &Plan) {
        let left = crew.fleet.left_over(plan).into_iter();
        let left = left.map(|(name, means)| Launched::left(name, means));
        // What is started anew under the same name stops first what was there.
        let wanted = left.chain(plan.slaves.iter().filter_map(|it| Launched::of(it)));
        let wanted = wanted.map(|it| (it.name.to_string(), it));
        self.launched.replace(wanted, crew, |it, stop| {
            keeper::keep(Arc::clone(crew), it, stop)
        });
    }

    fn watch(&mut self, handle: &MasterHandle, plan: &Plan) {
        let watched = plan
            .master
            .watch
            .then(|| Watched::of(handle.basedir(), plan));
        let wanted = watched.map(|it| ("watch".to_owned(), Arc::new(it)));
        self.watcher
            .replace(wanted.into_iter(), handle.crew(), |it, stop| {
                watch::watch(handle.clone(), it, stop)
            });
    }
}

/// The slaves of `old` that `new` has no longer, or lets in by other ways, and why.
fn leaving<'a>(old: &'a Plan, new: &Plan) -> Vec<(&'a SlavePlan, String)> {
    let stay: BTreeMap<_, _> = new.slaves.iter().map(|it| (&it.name, it)).collect();
    let leave = old.slaves.iter().filter_map(|slave| {
        let name = &slave.name;
        let why = match stay.get(name) {
            None => format!("slave `{name}` left the configuration"),
            Some(new) if !new.launch.is_same(&slave.launch) => {
                format!("slave `{name}` is started another way")
            }
            // Those that the master starts have a password of their own for each line.
            Some(new) if slave.launch.dials_in() && new.password != slave.password => {
                format!("slave `{name}` has another password")
            }
            Some(_) => return None,
        };
        Some((&**slave, why))
    });
    leave.collect()
}

/// What is under way; it is for the report only, so what cannot be read is left out.
async fn work(crew: &Crew, difference: &Difference, old: &Plan, new: &Plan) -> Work {
    let waiting = if difference.builders.is_empty() {
        Vec::new()
    } else {
        let waiting = crew.store.read(|verbs| verbs.count_pending()).await;
        waiting.unwrap_or_else(|error| {
            warn!(reason = %error, "failed to read what waits");
            Vec::new()
        })
    };
    let leaving = leaving(old, new);
    Work {
        waiting: waiting.into_iter().collect(),
        running: crew
            .live()
            .iter()
            .map(|(key, it)| (key.clone(), it.slave.clone()))
            .collect(),
        leaving: leaving
            .into_iter()
            .map(|(slave, why)| (slave.name.clone(), why))
            .collect(),
    }
}

/// Keeps the plan's files; gives their number.
async fn write_down(crew: &Crew, plan: &Arc<Plan>, changes: Option<Changed>) -> Stored<ConfigId> {
    let count = |count: usize, noun: &str| match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    };
    let slaves = count(plan.slaves.len(), "slave");
    let first = format!("first: {slaves}, {}", count(plan.builders.len(), "builder"));
    let (dir, plan) = (crew.dir.clone(), Arc::clone(plan));
    let kept = crew.store.write(move |verbs| {
        // Long texts are copied where they are written: every thread keeps some of the memory
        // that it once needed.
        let files = plan.files.iter().map(|it| ConfigFile {
            name: config::stored_name(&dir, it),
            text: it.text.clone(),
        });
        let files: Vec<_> = files.collect();
        let parts = files.iter().map(|it| (it.name.as_str(), it.text.as_str()));
        let hash = config::hash(parts);
        let (lines, updated) = match changes {
            Some(changes) => (Some(changes.lines), changes.builders),
            None => (None, Vec::new()),
        };
        let mut summary = match lines {
            Some(lines) => lines,
            None => changes_since_the_last(verbs, &files)?.unwrap_or_else(|| vec![first]),
        };
        summary.retain(|line| !line.starts_with("kept "));
        let new = NewConfig {
            hash,
            files,
            summary,
        };
        let sections: Vec<_> = plan.users.iter().map(|it| it.section()).collect();
        let now = clock::now();
        verbs.set_sections(&sections)?;
        diary::configured(verbs, &plan, &updated, now)?;
        verbs.add_config(&new, now)
    });
    kept.await
}

/// What a start finds changed; `None` if it is the first.
fn changes_since_the_last(
    verbs: &mut dyn Store,
    files: &[ConfigFile],
) -> Stored<Option<Vec<String>>> {
    let Some(newest) = verbs.recent_configs(1)?.pop() else {
        return Ok(None);
    };
    let before = verbs.config(newest.id)?.map(|it| it.1).unwrap_or_default();
    let find = |all: &[ConfigFile], name: &str| all.iter().position(|it| it.name == name);
    let mut lines = Vec::new();
    for file in files {
        match find(&before, &file.name) {
            None => lines.push(format!("added file `{}`", file.name)),
            Some(at) if before[at] != *file => lines.push(format!("changed file `{}`", file.name)),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|it| find(files, &it.name).is_none());
    lines.extend(gone.map(|it| format!("removed file `{}`", it.name)));
    for line in &mut lines {
        line.push_str(" while the master was down");
    }
    Ok(Some(lines))
}

/// What a task is started with.
trait Settings: Clone {
    /// Whether the task that was started with `other` may go on.
    fn is_kept_by(&self, other: &Self) -> bool;
}

impl<T: PartialEq> Settings for Arc<T> {
    fn is_kept_by(&self, other: &Self) -> bool {
        self == other
    }
}

impl Settings for Launched {
    fn is_kept_by(&self, other: &Self) -> bool {
        Self::is_kept_by(self, other)
    }
}

impl<T> Default for Group<T> {
    fn default() -> Self {
        Self {
            standing: BTreeMap::new(),
            leaving: BTreeMap::new(),
        }
    }
}

impl<T: Settings> Group<T> {
    /// Stops those that left or changed, starts those that are new. The successor of one that
    /// is stopping begins when that has ended: they share a state and a directory.
    fn replace<F>(
        &mut self,
        wanted: impl Iterator<Item = (String, T)>,
        crew: &Arc<Crew>,
        start: impl Fn(T, CancellationToken) -> F,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let wanted: BTreeMap<String, T> = wanted.collect();
        self.leaving.retain(|_, ended| !ended.is_cancelled());
        let leaving = &mut self.leaving;
        self.standing.retain(|name, it| {
            let stays = wanted
                .get(name)
                .is_some_and(|new| new.is_kept_by(&it.settings));
            if !stays {
                it.stop.cancel();
                // Whom it waits for itself has ended before it.
                leaving.insert(name.clone(), it.ended.clone());
            }
            stays
        });
        for (name, settings) in wanted {
            if self.standing.contains_key(&name) {
                continue;
            }
            let (stop, ended) = (crew.stop.child_token(), CancellationToken::new());
            let predecessor = self.leaving.get(&name).cloned();
            let task = start(settings.clone(), stop.clone());
            let says_so = ended.clone().drop_guard();
            crew.supervise(name.clone(), async move {
                if let Some(predecessor) = predecessor {
                    predecessor.cancelled().await;
                }
                task.await;
                drop(says_so);
            });
            let fixture = Fixture {
                settings,
                stop,
                ended,
            };
            self.standing.insert(name, fixture);
        }
    }
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
