//! What the pages and the command line may ask of a running master.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{broadcast, oneshot};
use tracing::info;

use crate::clock;
use crate::config::Launch;
use crate::config::Plan;
use crate::config::SlavePlan;
use crate::master::absences::Missing;
use crate::master::crew::{Crew, SlavesOf};
use crate::master::forcing::{self, FormErrors};
use crate::master::intake::{Asker, Full, take_in};
use crate::master::lock_view::LockView;
use crate::master::outlook::{self, Outlook, Scope};
use crate::master::pauses::{self, Pause};
use crate::master::phase::Phase;
use crate::master::ping::{self, Pinged};
use crate::master::ports::properties_of;
use crate::master::prune;
use crate::master::reload::Fixtures;
use crate::master::shutdown::{CleanShutdown, Wish};
use crate::master::source_view::SourceView;
use crate::master::troubles::Trouble;
use crate::master::users::{UserOrder, UserReply};
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::ConfigId;
use crate::model::Machine;
use crate::model::NewBuildset;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::SchedulerName;
use crate::model::SlaveName;
use crate::model::SourceStamp;
use crate::model::Status;
use crate::model::Timestamp;
use crate::schedulers::Zone;
use crate::store::Act;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::StoreHandle;
use crate::wire::SlaveFacts;

/// Attachments within this time are counted on a slave's page.
const CONNECTS_WITHIN_SECS: i64 = 3600;

/// A running master, cheap to clone.
#[derive(Clone)]
pub(crate) struct MasterHandle {
    crew: Arc<Crew>,
    fixtures: Arc<Fixtures>,
}

/// What a person asks to be built.
#[derive(Clone, Debug)]
pub(crate) struct Force {
    pub(crate) builder: BuilderName,
    pub(crate) branch: Option<String>,
    pub(crate) revision: Option<String>,
    pub(crate) repository: String,
    pub(crate) project: String,
    pub(crate) reason: String,
    pub(crate) properties: Properties,
    /// What was answered to the builder's questions, as it was typed.
    pub(crate) parameters: Vec<(String, String)>,
    /// Who has logged in and asks: whose the build is, whatever was typed.
    pub(crate) owner: Option<String>,
    /// Over the one that the scheduler or the builder has.
    pub(crate) priority: Option<i64>,
    /// Goes down with the request, or neither does.
    pub(crate) act: Option<Arc<Act>>,
}

/// Why a wish is not granted. The text is for the person who asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Denied {
    #[error("there is no builder `{0}`")]
    NoBuilder(String),
    #[error("there is no slave `{0}`")]
    NoSlave(String),
    #[error("there is no build {0}")]
    NoBuild(String),
    #[error("{0}")]
    BadInput(String),
    #[error(transparent)]
    BadForm(FormErrors),
    #[error("build {0} is finished")]
    Finished(BuildKey),
    #[error("build {0} is not finished; only what is finished can be built again")]
    Running(BuildKey),
    #[error(transparent)]
    Full(Full),
    #[error("request {0} is not waiting")]
    NotWaiting(RequestId),
    #[error("builder `{0}` is being pinged; its slaves have not answered yet")]
    Pinging(BuilderName),
    #[error("slave {0} is not connected")]
    NotConnected(SlaveName),
    #[error(
        "slave {0} is started by the master, which would start it again; a slave that is paused \
         takes no builds"
    )]
    Kept(SlaveName),
    #[error("slave {0} is not paused")]
    NotPaused(SlaveName),
    /// What cannot be done with users.
    #[error("{0}")]
    NotForUsers(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A slave as pages show it.
#[derive(Clone, Debug)]
pub(crate) struct SlaveView {
    pub(crate) name: SlaveName,
    pub(crate) connected: bool,
    /// How it is doing, if the master starts it and it is not connected.
    pub(crate) phase: Option<Phase>,
    /// It ends when its builds have.
    pub(crate) shuts_down: bool,
    /// That it takes no new builds because somebody said so.
    pub(crate) pause: Option<Pause>,
    /// What is planned, and where the clock hangs: `sun 02:00-04:00 (Europe/Berlin)`.
    pub(crate) downtimes: Option<String>,
    /// The downtime that lasts now, and its end in words.
    pub(crate) downtime: Option<(Timestamp, String)>,
    /// That it is away, and should not be.
    pub(crate) missing: Option<Missing>,
    /// The master starts it.
    pub(crate) kept: bool,
    /// A build that needs it starts it.
    pub(crate) on_demand: bool,
    pub(crate) admin: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) access_uri: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) os: Option<String>,
    /// What it has, as it said the last time.
    pub(crate) machine: Machine,
    /// The version of its system.
    pub(crate) kernel: Option<String>,
    /// What programs there say of themselves, by name.
    pub(crate) capabilities: BTreeMap<String, String>,
    /// Builders configured for it, in order.
    pub(crate) builders: Vec<BuilderName>,
    pub(crate) running: Vec<BuildKey>,
    pub(crate) last_heard: Option<Timestamp>,
    /// Times it attached within the last hour.
    pub(crate) connects: usize,
    /// Where it comes from and how, while it is connected: `10.0.0.5:4711, TLS`.
    pub(crate) line: Option<String>,
    /// When and why it was cut off the last time because it talked nonsense.
    pub(crate) nonsense: Option<(Timestamp, String)>,
}

/// A clean shutdown, and what it waits for.
#[derive(Clone, Debug)]
pub(crate) struct ShutdownView {
    pub(crate) wish: CleanShutdown,
    /// In order of their names.
    pub(crate) builds: Vec<BuildKey>,
}

/// What is planned for a slave, as its section says it.
fn downtimes(slave: &SlavePlan) -> Option<String> {
    let downtime = &slave.downtime;
    let zone = downtime.zone_name().map(|it| format!(" ({it})"));
    (!downtime.is_empty()).then(|| downtime.said().join(", ") + zone.as_deref().unwrap_or_default())
}

/// What programs of the slave say: those that it asks by itself, and those that its section
/// wants to know.
fn capabilities(
    slave: &SlavePlan,
    facts: Option<&SlaveFacts>,
    told: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let wanted = told
        .iter()
        .filter(|(name, _)| slave.capabilities.contains_key(*name));
    let own = facts.into_iter().flat_map(|it| &it.capabilities);
    wanted
        .chain(own)
        .map(|(name, said)| (name.clone(), said.clone()))
        .collect()
}

impl MasterHandle {
    pub(crate) fn new(crew: Arc<Crew>, fixtures: Arc<Fixtures>) -> Self {
        Self { crew, fixtures }
    }

    /// The configuration in force.
    pub(crate) fn plan(&self) -> Arc<Plan> {
        self.crew.plan()
    }

    /// The master's base directory.
    pub(crate) fn basedir(&self) -> &Path {
        &self.crew.dir
    }

    /// When a scheduler does something by its own plan, if it has one.
    pub(crate) fn next_of(&self, scheduler: &SchedulerName) -> Option<Timestamp> {
        self.crew.next_of(scheduler)
    }

    pub(crate) fn store(&self) -> &StoreHandle {
        &self.crew.store
    }

    /// Hears what happens from now on. Who lags must read the store again.
    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Arc<Status>> {
        self.crew.status.subscribe()
    }

    /// The configured slaves, in file order.
    pub(crate) fn slaves(&self) -> Vec<SlaveView> {
        let plan = self.plan();
        let (now, zone) = (clock::now(), Zone::from(clock::zone()));
        let recent = now.0 - CONNECTS_WITHIN_SECS * 1000;
        let mut running = self.crew.running_by_slave();
        let served = self.crew.serving.of(&plan);
        plan.slaves
            .iter()
            .map(|slave| {
                let seat = self.crew.slaves.seat(&slave.name);
                let facts = seat.facts.as_deref();
                let info = |name: &str| facts.and_then(|it| it.info.get(name).cloned());
                let session = seat.session.filter(|it| !it.closed.is_cancelled());
                let connected = session.is_some();
                let shuts_down = session.is_some_and(|it| it.shuts_down.is_cancelled());
                let phase = self.crew.fleet.phase(&slave.name).filter(|_| !connected);
                SlaveView {
                    name: slave.name.clone(),
                    connected,
                    line: seat.line.filter(|_| connected),
                    phase,
                    shuts_down,
                    pause: self.crew.pauses.of(&slave.name),
                    downtimes: downtimes(slave),
                    downtime: slave
                        .downtime
                        .until(now, &zone)
                        .map(|until| (until, slave.downtime.words(until, &zone))),
                    missing: self.crew.absences.missing(slave).filter(|_| !connected),
                    kept: slave.launch != Launch::None,
                    on_demand: slave.on_demand.is_some(),
                    admin: info("admin"),
                    host: info("host"),
                    access_uri: info("access_uri"),
                    version: facts.map(|it| it.version.clone()),
                    os: slave
                        .os
                        .clone()
                        .or_else(|| facts.map(|it| it.platform.os.clone())),
                    machine: facts.map(|it| it.machine.clone()).unwrap_or_default(),
                    kernel: facts.map(|it| it.platform.version.clone()),
                    capabilities: capabilities(slave, facts, &seat.told),
                    builders: served.get(&slave.name).cloned().unwrap_or_default(),
                    running: running.remove(&slave.name).unwrap_or_default(),
                    last_heard: seat.last_heard,
                    connects: seat.connects.iter().filter(|at| at.0 > recent).count(),
                    nonsense: seat.nonsense,
                }
            })
            .collect()
    }

    /// The configured change sources, in order.
    pub(crate) fn sources(&self) -> Vec<SourceView> {
        let known = self.crew.sources();
        let plan = self.plan();
        let views = plan.sources.iter().map(|it| {
            let view = known.get(&it.name).cloned();
            SourceView {
                describe: it.settings.describe(),
                ..view.unwrap_or_else(|| SourceView::new(&*it.name))
            }
        });
        views.collect()
    }

    /// How long what runs still takes; for each request of the scope that waits, when it is built
    /// and why it waits: `slave linux-1 is building hello/12`, `slave linux-1 is not connected`.
    pub(crate) async fn outlook(&self, scope: Scope) -> Result<Outlook, StoreError> {
        let lineup = self.crew.lineup(scope).await;
        let crew = Arc::clone(&self.crew);
        let moment = crew.histories.moment();
        let read = move |verbs: &mut dyn Store| {
            outlook::read(
                verbs,
                (&crew.histories, moment),
                lineup,
                &crew.reached(),
                clock::now(),
            )
        };
        self.crew.store.read(read).await
    }

    /// Adds, changes, removes or looks up users.
    ///
    /// # Errors
    /// See [`UserOrder::carry_out`].
    pub(crate) async fn users(&self, order: UserOrder) -> Result<UserReply, Denied> {
        order.carry_out(&self.crew.store).await
    }

    /// Forgets what is not kept, for a while, or says what that would be.
    pub(crate) async fn prune(&self, dry_run: bool) -> Result<prune::Report, StoreError> {
        match dry_run {
            true => prune::preview(&self.crew).await,
            false => prune::now(&self.crew).await,
        }
    }

    /// What each slave of a builder says to its next build; without a reason: that it takes it.
    pub(crate) async fn slaves_of(&self, builder: &BuilderName) -> SlavesOf {
        self.crew.slaves_of(builder.clone()).await
    }

    /// Every lock, with who has it and who waits for it.
    pub(crate) async fn locks(&self) -> Vec<LockView> {
        self.crew.locks().await
    }

    /// Makes a buildset with one request.
    ///
    /// # Errors
    /// An unknown builder, or answers that are none: then nothing is built.
    pub(crate) async fn force(&self, mut force: Force) -> Result<(BuildsetId, RequestId), Denied> {
        let plan = self.plan();
        if !plan.builders.iter().any(|it| it.name == force.builder) {
            return Err(Denied::NoBuilder(force.builder.to_string()));
        }
        forcing::check(&mut force, &plan)?;
        let scheduler = plan.forcing(&force.builder);
        let usual_priority = scheduler.and_then(|it| it.queue.priority);
        let properties = match scheduler {
            Some(scheduler) => {
                let mut properties = scheduler.properties.clone();
                properties.overlay(&force.properties);
                properties_of(&scheduler.name, properties)
            }
            None => force.properties,
        };
        let wanted = NewBuildset {
            reason: force.reason,
            stamp: SourceStamp {
                branch: force.branch.filter(|it| !it.is_empty()),
                revision: force.revision.filter(|it| !it.is_empty()),
                repository: force.repository,
                project: force.project,
                patch: None,
                changes: Vec::new(),
            },
            properties,
            priority: force.priority.or(usual_priority),
            builders: vec![force.builder],
        };
        let act = force.act.clone();
        // What begins the build is got ready while the disk takes its request.
        let made = self.crew.store.write_early(move |verbs| {
            let noted = act.map(|it| it.begin(verbs, clock::now())).transpose()?;
            Ok((noted, take_in(verbs, &plan, &wanted, Asker::Person)?))
        });
        let ((noted, intake), promise) = made.await?;
        if let Ok(intake) = &intake {
            self.crew.may_begin(intake).await;
        }
        let stands = promise.committed().await;
        if let (Ok(intake), Err(_)) = (&intake, &stands) {
            self.crew.was_undone(intake).await;
        }
        stands?;
        if let Some(act) = force.act {
            act.stand(noted.flatten());
        }
        let intake = intake?;
        let made = intake.made();
        self.crew.tell_intake(intake);
        Ok(made?)
    }

    /// Whether a build has begun and is not over.
    pub(crate) fn runs(&self, build: &BuildKey) -> bool {
        self.crew.live().contains_key(build)
    }

    /// Stops a running build: it ends with an exception, and the reason stands in
    /// the log `interrupt` of the step that was running.
    ///
    /// # Errors
    /// The build is not there or is finished.
    pub(crate) async fn stop_build(&self, build: &BuildKey, reason: &str) -> Result<(), Denied> {
        let id = self.crew.live().get(build).map(|it| it.id);
        let Some(id) = id else {
            let key = build.clone();
            let found = self
                .crew
                .store
                .read(move |verbs| verbs.build(&key.builder, key.number))
                .await?;
            return Err(match found {
                Some(_) => Denied::Finished(build.clone()),
                None => Denied::NoBuild(build.to_string()),
            });
        };
        let why = reason.to_owned();
        self.crew
            .store
            .write(move |verbs| verbs.request_stop(id, &why))
            .await?;
        self.crew.stop_live(build, reason);
        Ok(())
    }

    /// Asks the slaves of a builder whether they are there. The event that says so is written
    /// down before the receiver hears of it.
    ///
    /// # Errors
    /// There is no such builder, or it is being pinged.
    pub(crate) fn ping(&self, builder: &BuilderName) -> Result<oneshot::Receiver<Pinged>, Denied> {
        ping::begin(&self.crew, builder)
    }

    /// Completes a waiting request as a failure.
    ///
    /// # Errors
    /// It is not waiting.
    pub(crate) async fn cancel_request(&self, request: RequestId, why: &str) -> Result<(), Denied> {
        let why = why.to_owned();
        let cancelled = self.crew.store.write(move |verbs| {
            let builder = verbs.request(request)?.map(|it| it.builder);
            Ok(verbs
                .cancel_request(request, &why, clock::now())?
                .then_some(builder)
                .flatten())
        });
        let Some(builder) = cancelled.await? else {
            return Err(Denied::NotWaiting(request));
        };
        self.crew.request_gone(request, builder).await;
        Ok(())
    }

    /// Gives a slave no new builds from now on, until [`Self::unpause`]; what it builds goes
    /// on. Who pauses it again gives a newer reason.
    ///
    /// # Errors
    /// An unknown slave, or longer words than a page shows.
    pub(crate) async fn pause(
        &self,
        slave: &SlaveName,
        by: Option<&str>,
        reason: Option<&str>,
    ) -> Result<Pause, Denied> {
        if !self.plan().slaves.iter().any(|it| it.name == *slave) {
            return Err(Denied::NoSlave(slave.to_string()));
        }
        let pause = Pause::new(clock::now(), by, reason).map_err(Denied::BadInput)?;
        self.crew.set_pause(slave, Some(pause.clone())).await?;
        Ok(pause)
    }

    /// Gives a slave no new builds, and has it end when it has none; it takes builds again when
    /// somebody starts it.
    ///
    /// # Errors
    /// It is not there, not connected, or kept by the master.
    pub(crate) async fn shut_down(&self, slave: &SlaveName) -> Result<(), Denied> {
        let plan = self.plan();
        let Some(known) = plan.slaves.iter().find(|it| it.name == *slave) else {
            return Err(Denied::NoSlave(slave.to_string()));
        };
        if known.launch != Launch::None {
            return Err(Denied::Kept(slave.clone()));
        }
        let Some(session) = self.crew.slaves.session(slave) else {
            return Err(Denied::NotConnected(slave.clone()));
        };
        info!(%slave, "slave is to be shut down when its builds are done");
        self.crew.shut_down_slave(slave, &session).await;
        Ok(())
    }

    /// Gives a slave builds again, also one that the configuration has no longer.
    ///
    /// # Errors
    /// It is not there, or not paused.
    pub(crate) async fn unpause(&self, slave: &SlaveName) -> Result<(), Denied> {
        if self.crew.set_pause(slave, None).await? {
            return Ok(());
        }
        if self.plan().slaves.iter().any(|it| it.name == *slave) {
            Err(Denied::NotPaused(slave.clone()))
        } else {
            Err(Denied::NoSlave(slave.to_string()))
        }
    }

    /// Begins no builds any more, and ends the master when the last one is done, until
    /// [`Self::cancel_shutdown`]. Who asks again changes nothing.
    ///
    /// # Errors
    /// A longer name than a page shows.
    pub(crate) async fn begin_shutdown(&self, by: Option<&str>) -> Result<(), Denied> {
        let by = pauses::line("name", by, pauses::NAME).map_err(Denied::BadInput)?;
        let since = clock::now();
        let wish = Wish::Begin(CleanShutdown { since, by });
        self.crew.wish_shutdown(wish).await;
        Ok(())
    }

    /// Begins builds again; `false` if the master was not about to end.
    pub(crate) async fn cancel_shutdown(&self) -> bool {
        self.crew.wish_shutdown(Wish::Cancel).await
    }

    /// The clean shutdown that is under way.
    pub(crate) fn shutdown(&self) -> Option<ShutdownView> {
        let wish = self.crew.shutdown()?;
        let mut builds: Vec<BuildKey> = self.crew.live().keys().cloned().collect();
        builds.sort();
        Some(ShutdownView { wish, builds })
    }

    /// Reads the configuration again. `Ok` says what was added, changed, removed and kept,
    /// a line each.
    ///
    /// # Errors
    /// The rendered problems: nothing was changed.
    pub(crate) async fn reload(&self) -> Result<String, String> {
        let handle = self.clone();
        // On a task of its own: who asked may go away in the middle, and half a configuration
        // is none.
        let reloading = async move { handle.fixtures.reload(&handle).await };
        let reloaded = self.crew.tasks.spawn(reloading).await;
        reloaded.unwrap_or_else(|_| Err("the reload broke off; see the master's log".into()))
    }

    /// The number of the configuration in force.
    pub(crate) fn config(&self) -> Option<ConfigId> {
        self.crew.config()
    }

    /// Since when there are mistakes in the files of the configuration, so that an older one
    /// is in force.
    pub(crate) fn config_bad_since(&self) -> Option<Timestamp> {
        self.crew.bad_since()
    }

    /// The disks that builds wait for.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        self.crew.troubles.all()
    }

    /// When the master started.
    pub(crate) fn started(&self) -> Timestamp {
        self.crew.started
    }

    pub(super) const fn crew(&self) -> &Arc<Crew> {
        &self.crew
    }

    #[cfg(test)]
    pub(super) const fn fixtures(&self) -> &Arc<Fixtures> {
        &self.fixtures
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan_of;

    #[test]
    fn a_slave_has_what_it_says_by_itself_and_what_its_section_asks_for_now() {
        let plan = plan_of(
            "[slave:s]\npassword = x\nfactories = hi\ncapability.git = git --version\n\
             capability.own = true\n[hi]\ntype = shell\ncommand = true\n",
        );
        let map = |all: &[(&str, &str)]| -> BTreeMap<String, String> {
            all.iter()
                .map(|(name, said)| ((*name).to_owned(), (*said).to_owned()))
                .collect()
        };
        let facts = SlaveFacts {
            capabilities: map(&[("java", "21"), ("own", "its own")]),
            ..SlaveFacts::default()
        };
        let told = map(&[("git", "2.47"), ("gone", "1"), ("own", "theirs")]);
        assert_eq!(
            capabilities(&plan.slaves[0], Some(&facts), &told),
            map(&[("git", "2.47"), ("java", "21"), ("own", "its own")])
        );
        assert_eq!(capabilities(&plan.slaves[0], None, &map(&[])), map(&[]));
    }
}
