//! A master that does not exist, for tests that draw pages: a real store with the history of
//! [`sample`](super::sample), and answers to all that is asked for.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{broadcast, oneshot};

use crate::changes::hooks::Knock;
use crate::changes::hooks::Refused;
use crate::clock;
use crate::config;
use crate::config::BuilderOrder;
use crate::config::BuilderPlan;
use crate::config::ClientsPlan;
use crate::config::MasterPlan;
use crate::config::Plan;
use crate::config::ValidationPlan;
use crate::estimate::Waiting;
use crate::master::Access;
use crate::master::absences::Missing;
use crate::master::absences::Unsent;
use crate::master::again::Rebuild;
use crate::master::figures::FiguresView;
use crate::master::figures::Level;
use crate::master::figures::SlaveCounts;
use crate::master::forcing;
use crate::master::handle::Denied;
use crate::master::handle::Force;
use crate::master::handle::ShutdownView;
use crate::master::handle::SlaveView;
use crate::master::hooks::KnockError;
use crate::master::lock_view::LockUserView;
use crate::master::lock_view::LockView;
use crate::master::outlook;
use crate::master::outlook::Histories;
use crate::master::outlook::Lineup;
use crate::master::outlook::Moment;
use crate::master::outlook::Outlook;
use crate::master::outlook::Place;
use crate::master::outlook::{Scope, SlavesOf};
use crate::master::pauses::Pause;
use crate::master::ping::{PingAnswer, Pinged};
use crate::master::prune::Report;
use crate::master::shutdown::CleanShutdown;
use crate::master::source_view::SourceView;
use crate::master::tries::Tried;
use crate::master::tries::TryError;
use crate::master::tries::TryPass;
use crate::master::troubles::Trouble;
use crate::master::users::UserOrder;
use crate::master::users::UserReply;
use crate::metrics::Histogram;
use crate::metrics::Process;
use crate::model;
use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::ChangeId;
use crate::model::ConfigId;
use crate::model::EventKind;
use crate::model::Machine;
use crate::model::OUTPUT;
use crate::model::Properties;
use crate::model::Reached;
use crate::model::RequestId;
use crate::model::SchedulerName;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::Timestamp;
use crate::store::Amount;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::StoreHandle;

use super::desk::Answer;
use super::desk::Desk;
use super::desk::Verbs;
use super::frame::Frame;
use super::sample::HOSTILE;
use super::sample::at;
use super::sample::history;
use super::sample::log_bytes;
use super::sample::tell;

pub(super) struct SampleDesk {
    pub(super) dir: Arc<TempDir>,
    pub(super) plan: Arc<Plan>,
    pub(super) store: StoreHandle,
    /// What waits, for `hello` and for the hostile name.
    pub(super) waiting: [RequestId; 2],
    pub(super) events: broadcast::Sender<Arc<Status>>,
    /// What was asked for, a line each.
    pub(super) asked: Mutex<Vec<String>>,
    /// Set by tests whose files have mistakes.
    pub(super) bad_since: Mutex<Option<Timestamp>>,
    /// Set by tests of disks that are full.
    pub(super) troubles: Mutex<Vec<Trouble>>,
    /// Who asked for a clean shutdown, in tests of one.
    pub(super) shutdown_by: Mutex<Option<&'static str>>,
}

pub(super) fn master_plan() -> MasterPlan {
    MasterPlan {
        clients: ClientsPlan::default(),
        pb_port: None,
        title: "Otter & Newt".into(),
        title_url: Some("https://ci.test/".into()),
        base_url: Some("http://ci.test/".into()),
        slaveport: None,
        htmlport: None,
        publichtmlport: None,
        properties: Properties::new(),
        line: Default::default(),
        lost_timeout: Duration::from_secs(600),
        validation: ValidationPlan::default(),
        prioritize_builders: BuilderOrder::default(),
        horizons: Default::default(),
        change_horizon: None,
        change_age: None,
        log_size: None,
        logs: Default::default(),
        log: Default::default(),
        database: "state.sqlite".into(),
        watch: false,
    }
}

pub(super) fn frame(path: &str) -> Frame {
    let granted = |_| config::Permission::Granted;
    Frame::new(path, &master_plan(), granted, Access::Full, clock::now())
}

/// What `master.ini` says of one builder; the others differ in their names, which a file
/// could not give them.
const INI: &str = "[:master:]\nslaveport = 1\n\n[slave:otter]\npassword = x\nfactories = hello\n\n\
    [slave:newt]\npassword = x\nfactories = hello\n\n[hello]\ntype = shell\ncommand = true\n";

fn builders(dir: &Path) -> Vec<Arc<BuilderPlan>> {
    fs::write(dir.join("master.ini"), INI).expect("written");
    let plan = config::load(dir).expect("a configuration without mistakes");
    let builder = |(name, category): (&str, Option<&str>)| {
        Arc::new(BuilderPlan {
            name: name.into(),
            builddir: "dir".into(),
            slaves: vec!["otter".into(), "newt".into()],
            category: category.map(str::to_owned),
            ..plan.builders[0].as_ref().clone()
        })
    };
    [
        ("hello", Some("quick")),
        (HOSTILE, None),
        ("docs", Some("<cat>")),
        ("never built", None),
    ]
    .map(builder)
    .into()
}

impl SampleDesk {
    /// Has who asked for the newest buildset call it so.
    pub(super) async fn call_newest_buildset(&self, external_id: &'static str) {
        let called = self.store.write(move |store| {
            let newest = store.newest_buildset()?;
            store.put_external_id(newest, external_id)
        });
        called.await.expect("kept");
    }

    pub(super) async fn new() -> Arc<Self> {
        Self::with(|_| {}).await
    }

    /// A master whose configuration differs from the usual one.
    pub(super) async fn with(change: impl FnOnce(&mut Plan)) -> Arc<Self> {
        let now = clock::now();
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir(dir.path().join("builds")).expect("a directory");
        let history = history(now);
        for log in history.iter().flat_map(|it| &it.1).flat_map(|it| &it.logs) {
            fs::write(dir.path().join("builds").join(&log.file), log_bytes()).expect("written");
        }
        let store = StoreHandle::open(&dir.path().join("state.sqlite")).expect("a new store");
        let waiting = store
            .write(move |store| tell(store, &history, now))
            .await
            .expect("written");
        let mut plan = Plan {
            files: Vec::new(),
            left_out: Vec::new(),
            status: Vec::new(),
            master: master_plan(),
            slaves: Vec::new(),
            builders: builders(dir.path()),
            sources: Vec::new(),
            schedulers: Vec::new(),
            users: Vec::new(),
            metrics: None,
            web: Default::default(),
            authz: Default::default(),
            secrets: Default::default(),
            secret_names: Vec::new(),
            locks: Vec::new(),
            warnings: Default::default(),
            origins: Default::default(),
            known: Default::default(),
            port_places: Default::default(),
        };
        change(&mut plan);
        Arc::new(Self {
            dir: Arc::new(dir),
            plan: Arc::new(plan),
            store,
            waiting,
            events: broadcast::channel(16).0,
            asked: Mutex::default(),
            bad_since: Mutex::default(),
            troubles: Mutex::default(),
            shutdown_by: Mutex::default(),
        })
    }

    /// The same master, with another configuration.
    pub(super) fn again(&self, plan: Plan) -> Arc<Self> {
        Arc::new(Self {
            dir: Arc::clone(&self.dir),
            plan: Arc::new(plan),
            store: self.store.clone(),
            waiting: self.waiting,
            events: broadcast::channel(16).0,
            asked: Mutex::default(),
            bad_since: Mutex::default(),
            troubles: Mutex::default(),
            shutdown_by: Mutex::default(),
        })
    }

    fn ask(&self, line: String) {
        self.asked.lock().expect("not poisoned").push(line);
    }
}

impl Desk for SampleDesk {
    fn plan(&self) -> Arc<Plan> {
        Arc::clone(&self.plan)
    }

    fn basedir(&self) -> &Path {
        self.dir.path()
    }

    fn started(&self) -> Timestamp {
        at(clock::now(), 90_000)
    }

    fn config(&self) -> Option<ConfigId> {
        Some(ConfigId(3))
    }

    fn config_bad_since(&self) -> Option<Timestamp> {
        *self.bad_since.lock().expect("not poisoned")
    }

    fn troubles(&self) -> Vec<Trouble> {
        self.troubles.lock().expect("not poisoned").clone()
    }

    fn reasons_not_ready(&self) -> Answer<'_, Vec<String>> {
        let bad = self.troubles.lock().expect("nobody panicked");
        let reasons = bad.iter().map(|it| it.place.to_string()).collect();
        Box::pin(async { reasons })
    }

    fn figures(&self) -> Answer<'_, Result<FiguresView, StoreError>> {
        let histogram = Histogram::default();
        histogram.note(Duration::from_millis(30));
        let held = histogram.snapshot();
        let plan = self.plan();
        let builders = plan.builders.iter().map(|it| it.name.clone());
        let builders: Vec<_> = builders.collect();
        let ended = |at: usize, outcome| ((builders[at].clone(), outcome), 2);
        let view = FiguresView {
            started: Timestamp(1_000_000),
            counters: [("added_changes", 3), ("active_builds", 1)].into(),
            timers: [("dispatch", 0.03)].into(),
            alarms: vec![("disk", Level::Critical, Some("full".into()))],
            builds: [
                ended(0, "success"),
                ended(1, "failure"),
                ended(2, "failure"),
            ]
            .into(),
            waiting: vec![(builders[0].clone(), 4), (builders[2].clone(), 1)],
            builders,
            oldest: Some(Timestamp(clock::now().0 - 5000)),
            slaves: SlaveCounts {
                configured: 2,
                connected: 1,
                busy: 1,
                paused: 0,
            },
            log_bytes: 12_345,
            dispatch: held.clone(),
            lateness: held.clone(),
            store_reads: held.clone(),
            store_writes: held,
            process: Process::default(),
        };
        Box::pin(async { Ok(view) })
    }

    fn subscribe(&self) -> broadcast::Receiver<Arc<Status>> {
        self.events.subscribe()
    }

    fn slaves(&self) -> Vec<SlaveView> {
        let builders: Vec<BuilderName> = self
            .plan
            .builders
            .iter()
            .map(|it| it.name.clone())
            .collect();
        let slave = |name: &str, connected| SlaveView {
            name: name.into(),
            connected,
            phase: None,
            shuts_down: false,
            kept: false,
            pause: None,
            missing: None,
            downtimes: None,
            downtime: None,
            on_demand: false,
            admin: connected.then(|| "Ines <ines@test>\n".into()),
            host: connected.then(|| "a <small> board".into()),
            access_uri: connected.then(|| "ssh://otter".into()),
            version: connected.then(|| "0.2.0".into()),
            os: connected.then(|| "linux".into()),
            machine: Machine {
                cores: Some(8),
                ..Machine::default()
            },
            kernel: Some("6.12 <rc1>".into()),
            capabilities: BTreeMap::from([("<git>".into(), "git version <2>".into())]),
            builders: builders.clone(),
            running: Vec::new(),
            last_heard: connected.then(|| at(clock::now(), 3)),
            connects: 1,
            line: connected.then(|| "10.0.0.5:4711, TLS".into()),
            nonsense: None,
        };
        let mut otter = slave("otter", true);
        otter.running = vec![BuildKey {
            builder: "hello".into(),
            number: 6,
        }];
        let mut eel = slave("<eel>", true);
        eel.shuts_down = true;
        eel.pause = Some(Pause {
            since: at(clock::now(), 120),
            by: Some("<ann>".into()),
            reason: Some("a <new> disk".into()),
        });
        eel.nonsense = Some((at(clock::now(), 60), "a log named `<b>`".into()));
        otter.downtimes = Some("<sun> 02:00-04:00".into());
        let until = at(clock::now(), -600);
        otter.downtime = Some((until, "planned downtime until <noon>".into()));
        let mut newt = slave("newt", false);
        newt.missing = Some(Missing {
            since: at(clock::now(), 7200),
            told: Some(at(clock::now(), 3600)),
            trouble: Some(Unsent {
                why: "<bo@test> is unknown".into(),
                again: None,
            }),
        });
        vec![newt, otter, eel]
    }

    fn sources(&self) -> Vec<SourceView> {
        let now = clock::now();
        let source = |name: &str, describe: &str| SourceView {
            describe: describe.into(),
            ..SourceView::new(name)
        };
        let otter = "GitPoller: https://git.test/otter.git#<main>";
        let mut well = source(otter, otter);
        well.heard(Err("fatal: <b>busy</b>".into()), at(now, 4000));
        well.heard(Ok(()), at(now, 40));
        well.waits(Duration::from_secs(60), at(now, 40));
        let mut failing = source(
            "HgPoller: https://hg.test/newt",
            "HgPoller: https://hg.test/newt",
        );
        failing.heard(Err("abort: <error> no such host".into()), at(now, 40));
        failing.waits(Duration::from_mins(2), now);
        let mut looking = source("svn <x>", "SVNPoller: https://svn.test/eel");
        looking.looks();
        let mut hook = source("github", "change hook for GitHub");
        hook.heard(Ok(()), at(now, 400));
        vec![
            well,
            failing,
            source("new", "GitPoller: https://git.test/new.git"),
            looking,
            hook,
        ]
    }

    fn read(&self, verbs: Verbs) -> Answer<'_, Result<(), StoreError>> {
        Box::pin(self.store.read(verbs))
    }

    fn write(&self, verbs: Verbs) -> Answer<'_, Result<(), StoreError>> {
        Box::pin(self.store.write(verbs))
    }

    fn write_behind(&self, verbs: Verbs) {
        self.store.write_behind(verbs);
    }

    fn runs(&self, build: &BuildKey) -> bool {
        build.builder.as_str() == "hello" && build.number == 6
    }

    fn outlook(&self, _: Scope) -> Answer<'_, Result<Outlook, StoreError>> {
        let why = "waiting for slave otter, which is building hello/6 <now>".to_owned();
        Box::pin(async move {
            let key = BuildKey {
                builder: "hello".into(),
                number: 6,
            };
            let reached = |name: &str, value, announced| Reached {
                name: name.into(),
                value,
                announced,
            };
            let reached = vec![
                reached(OUTPUT, 2_000, None),
                reached("tests", 120, Some(340)),
            ];
            let reached = HashMap::from([(key, reached)]);
            let lineup = Lineup {
                slaves: vec![Place {
                    slave: "otter".into(),
                    max_builds: Some(1),
                    builds: vec![(
                        "hello".into(),
                        Some(BuildKey {
                            builder: "hello".into(),
                            number: 6,
                        }),
                    )],
                }],
                waiting: vec![Waiting {
                    requests: vec![self.waiting[0]],
                    builder: "hello".into(),
                    slaves: vec!["otter".into()],
                }],
                why: BTreeMap::from([(self.waiting[0], why.into())]),
                ..Lineup::default()
            };
            let read = move |verbs: &mut dyn Store| {
                outlook::read(
                    verbs,
                    (&Histories::default(), Moment::default()),
                    lineup,
                    &reached,
                    clock::now(),
                )
            };
            self.store.read(read).await
        })
    }

    fn users(&self, order: UserOrder) -> Answer<'_, Result<UserReply, Denied>> {
        Box::pin(order.carry_out(&self.store))
    }

    fn prune(&self, dry_run: bool) -> Answer<'_, Result<Report, StoreError>> {
        let asked = if dry_run { "what would go" } else { "prune" };
        self.asked.lock().expect("not poisoned").push(asked.into());
        let amount = Amount {
            builds: 2,
            logs: 3,
            bytes: 4096,
        };
        Box::pin(async move {
            Ok(Report {
                builders: [("hello".into(), amount)].into(),
                changes: 5,
                left: 6,
                ..Report::default()
            })
        })
    }

    fn locks(&self) -> Answer<'_, Vec<LockView>> {
        let user = |build: Option<(&str, i64)>, access| LockUserView {
            build: build.map(|(builder, number)| BuildKey {
                builder: builder.into(),
                number,
            }),
            builder: Some("hello".into()),
            access,
        };
        let database = LockView {
            name: "database <1>".into(),
            is_of_slaves: false,
            slave: None,
            max_count: 1,
            holders: vec![user(Some(("hello", 6)), model::Access::Exclusive)],
            waiting: vec![user(None, model::Access::Counting)],
        };
        let idle = LockView {
            name: "cpu".into(),
            is_of_slaves: true,
            max_count: 4,
            holders: Vec::new(),
            waiting: Vec::new(),
            ..database.clone()
        };
        Box::pin(async move { vec![database, idle] })
    }

    fn force(&self, mut force: Force) -> Answer<'_, Result<(BuildsetId, RequestId), Denied>> {
        Box::pin(async move {
            if !self.plan.builders.iter().any(|it| it.name == force.builder) {
                return Err(Denied::NoBuilder(force.builder.to_string()));
            }
            forcing::check(&mut force, &self.plan)?;
            if let Some(act) = force.act {
                let written = Arc::clone(&act);
                let noted = self.store.write(move |it| written.begin(it, clock::now()));
                act.stand(noted.await?);
            }
            self.ask(format!(
                "force {} {:?} {}",
                force.builder,
                force.branch.filter(|it| !it.is_empty()),
                force.reason
            ));
            Ok((BuildsetId(9), RequestId(99)))
        })
    }

    fn stop_build<'a>(
        &'a self,
        build: &'a BuildKey,
        reason: &'a str,
    ) -> Answer<'a, Result<(), Denied>> {
        Box::pin(async move {
            if build.number != 6 {
                return Err(Denied::Finished(build.clone()));
            }
            self.ask(format!("stop {build} {reason}"));
            Ok(())
        })
    }

    fn slaves_of<'a>(&'a self, _: &'a BuilderName) -> Answer<'a, SlavesOf> {
        let busy = "slave otter is building hello/6".to_owned();
        Box::pin(async move { vec![("otter".into(), Some(busy.into())), ("newt".into(), None)] })
    }

    fn stop_builds<'a>(
        &'a self,
        of: Option<&'a [BuilderName]>,
        reason: &'a str,
    ) -> Answer<'a, Result<Vec<BuildKey>, Denied>> {
        Box::pin(async move {
            self.ask(format!("stop builds of {of:?} {reason}"));
            Ok(Vec::new())
        })
    }

    fn ping(&self, builder: &BuilderName) -> Result<oneshot::Receiver<Pinged>, Denied> {
        if builder.as_str() != "hello" {
            return Err(Denied::NoBuilder(builder.to_string()));
        }
        self.ask(format!("ping {builder}"));
        let (tell, told) = oneshot::channel();
        let answered = PingAnswer::Answered(Duration::from_millis(12));
        let pinged = Pinged {
            end: EventKind::PingFailed,
            slaves: vec![
                ("newt".into(), PingAnswer::Silent),
                ("otter".into(), answered),
            ],
        };
        drop(tell.send(pinged));
        Ok(told)
    }

    fn rebuild(&self, rebuild: Rebuild) -> Answer<'_, Result<(BuildsetId, RequestId), Denied>> {
        Box::pin(async move {
            if rebuild.build.number == 6 {
                return Err(Denied::Running(rebuild.build));
            }
            forcing::check_typed(&rebuild, &self.plan)?;
            self.ask(format!("{rebuild:?}"));
            Ok((BuildsetId(8), RequestId(9)))
        })
    }

    fn cancel_request<'a>(
        &'a self,
        request: RequestId,
        why: &'a str,
    ) -> Answer<'a, Result<(), Denied>> {
        Box::pin(async move {
            self.ask(format!("cancel {request} {why}"));
            Ok(())
        })
    }

    fn cancel_change<'a>(
        &'a self,
        change: ChangeId,
        builder: Option<&'a BuilderName>,
        why: &'a str,
    ) -> Answer<'a, Result<Vec<RequestId>, Denied>> {
        Box::pin(async move {
            self.ask(format!("cancel change {change} of {builder:?} {why}"));
            Ok(vec![self.waiting[0]])
        })
    }

    fn pause<'a>(
        &'a self,
        slave: &'a SlaveName,
        by: Option<&'a str>,
        reason: Option<&'a str>,
    ) -> Answer<'a, Result<Pause, Denied>> {
        Box::pin(async move {
            if !self.slaves().iter().any(|it| it.name == *slave) {
                return Err(Denied::NoSlave(slave.to_string()));
            }
            self.ask(format!("pause {slave} {by:?} {reason:?}"));
            Ok(Pause {
                since: Timestamp(0),
                by: by.map(Into::into),
                reason: reason.map(Into::into),
            })
        })
    }

    fn unpause<'a>(&'a self, slave: &'a SlaveName) -> Answer<'a, Result<(), Denied>> {
        Box::pin(async move {
            if slave.as_str() == "newt" {
                return Err(Denied::NotPaused(slave.clone()));
            }
            self.ask(format!("unpause {slave}"));
            Ok(())
        })
    }

    fn shut_down<'a>(&'a self, slave: &'a SlaveName) -> Answer<'a, Result<(), Denied>> {
        Box::pin(async move {
            if slave.as_str() == "newt" {
                return Err(Denied::NotConnected(slave.clone()));
            }
            self.ask(format!("shut down {slave}"));
            Ok(())
        })
    }

    fn shutdown(&self) -> Option<ShutdownView> {
        let by = *self.shutdown_by.lock().expect("not poisoned");
        let since = at(clock::now(), 300);
        let build = |number| BuildKey {
            builder: HOSTILE.into(),
            number,
        };
        by.map(|by| ShutdownView {
            wish: CleanShutdown {
                since,
                by: Some(by.into()),
            },
            builds: (0..7).map(build).collect(),
        })
    }

    fn begin_shutdown<'a>(&'a self, by: Option<&'a str>) -> Answer<'a, Result<(), Denied>> {
        self.ask(format!("begin shutdown {by:?}"));
        Box::pin(async { Ok(()) })
    }

    fn cancel_shutdown(&self) -> Answer<'_, bool> {
        self.ask("cancel shutdown".into());
        Box::pin(async { true })
    }

    fn reload(&self) -> Answer<'_, Result<String, String>> {
        Box::pin(async move { Ok("builders: 4 kept\n".to_owned()) })
    }

    fn next_of(&self, scheduler: &SchedulerName) -> Option<Timestamp> {
        (scheduler.as_str() == "night").then_some(Timestamp(0))
    }

    fn let_try(
        &self,
        scheduler: &str,
        said: Option<&str>,
        access: Access,
    ) -> Result<TryPass, TryError> {
        match (scheduler, said) {
            ("try", _) if access == Access::ReadOnly => Err(TryError::ReadOnly),
            ("try", Some("Basic YW5uOnB3")) => Ok(TryPass::of("try", "ann")),
            ("try", _) => Err(TryError::Login),
            _ => Err(TryError::NoScheduler(scheduler.to_owned())),
        }
    }

    fn let_known_try(&self, scheduler: &str, user: &str, _: Access) -> Result<TryPass, TryError> {
        match user {
            "ann" => Ok(TryPass::of(scheduler, user)),
            _ => Err(TryError::Stranger(user.to_owned())),
        }
    }

    fn trying(&self, _: &TryPass) -> Result<Vec<BuilderName>, TryError> {
        Ok(vec!["hello".into(), HOSTILE.into()])
    }

    fn try_job(&self, _: TryPass, bytes: Vec<u8>) -> Answer<'_, Result<Tried, TryError>> {
        Box::pin(async move {
            self.ask(format!("try {} bytes", bytes.len()));
            Ok(Tried {
                buildset: BuildsetId(9),
                requests: vec![(RequestId(99), "hello".into())],
            })
        })
    }

    fn knock<'a>(
        &'a self,
        name: &'a str,
        knock: Knock,
        access: Access,
    ) -> Answer<'a, Result<bool, KnockError>> {
        Box::pin(async move {
            match name {
                "base" if access != Access::ReadOnly => Ok(!knock.body.is_empty()),
                "base" => Err(KnockError::ReadOnly),
                "github" => Err(Refused::Forged("not signed").into()),
                "strange" => Err(Refused::Strange("a form".into()).into()),
                _ => Err(KnockError::Unknown(name.to_owned())),
            }
        })
    }
}
