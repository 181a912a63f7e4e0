//! What Buildbot's clients ask for, carried out: the same things as over the web, by the same ways.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, broadcast};
use tracing::info;

use crate::buildbot;
use crate::buildbot::LineError;
use crate::buildbot::client::Asked;
use crate::buildbot::client::BUILDING;
use crate::buildbot::client::BuildLeft;
use crate::buildbot::client::BuilderSeen;
use crate::buildbot::client::Fields;
use crate::buildbot::client::LogPiece;
use crate::buildbot::client::Office;
use crate::buildbot::client::StepLeft;
use crate::buildbot::client::TryCall;
use crate::buildbot::client::UserCall;
use crate::buildbot::client::UsersFound;
use crate::buildbot::client::Wanted;
use crate::buildbot::client::Wished;
use crate::changes::hooks;
use crate::estimate::Left;
use crate::logs;
use crate::logs::place::LogPlace;
use crate::master::buildbot_accounts::{Client, Who};
use crate::master::handle::{Force, MasterHandle};
use crate::master::outlook;
use crate::master::outlook::Scope;
use crate::master::tries::TryError;
use crate::master::users::UserOrder;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::Patch;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SlaveName;
use crate::model::SourceStamp;
use crate::model::Status;
use crate::model::StepRecord;
use crate::schedulers::{BadJob, Job};

/// Clients at once. Each costs some memory for what it listens to.
const MOST: usize = 512;

static SEATS: Semaphore = Semaphore::const_new(MOST);

/// The source of properties that the debug client gives.
const REMOTE: &str = "remote requestBuild";

/// Serves a client that has shown that it knows its password.
pub(super) async fn serve<S>(
    master: MasterHandle,
    client: Client,
    peer: buildbot::Caller<S, Who>,
) -> Result<(), LineError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Ok(_seat) = SEATS.try_acquire() else {
        let why = format!("{MOST} clients are connected already, and no more may be");
        return peer.refuse(&why).await;
    };
    let stop = master.crew().stop.clone();
    let role = client.role();
    let desk = Desk { master, client };
    tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = buildbot::client::serve(peer, role, desk) => ended,
    }
}

/// Buildsets that are listed at once.
const MOST_BUILDSETS: usize = 200;

/// How much of a log is read at once, and the longest text that is told of it.
const PIECE: u64 = 64 << 10;

/// Reads the whole records of a log from a place on. Of one that is longer than a piece,
/// as it comes in a block.
fn piece(log: &LogPlace, from: u64) -> io::Result<LogPiece> {
    let file = log.open()?.ok_or(io::ErrorKind::NotFound)?;
    let mut reader = logs::record::Reader::at(from);
    let mut chunks = Vec::new();
    let (mut next, mut read) = (from, 0);
    let most = from + PIECE + logs::record::MAX_RECORD as u64 + logs::record::HEAD as u64;
    let mut wrong = None;
    logs::read::blocks_of(file, from, most, &mut |mut bytes| {
        loop {
            match reader.next(&mut bytes) {
                Ok(Some((channel, data))) => {
                    read += data.len() as u64;
                    chunks.push((reader.record(), channel, data.to_vec()));
                    if reader.is_between_records() {
                        next = reader.offset();
                        if read >= PIECE {
                            return false;
                        }
                    }
                }
                Ok(None) => return true,
                Err(error) => {
                    wrong = Some(error);
                    return false;
                }
            }
        }
    })?;
    if let Some(error) = wrong {
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    // What is still being written is told when it is whole.
    chunks.retain(|(record, ..)| *record < next);
    Ok(LogPiece {
        chunks: chunks
            .into_iter()
            .map(|(_, channel, data)| (channel, data))
            .collect(),
        next,
        is_all: read < PIECE,
    })
}

/// How far a step usually comes is told of what it usually counts.
fn left_of_step(step: &outlook::StepLeft) -> StepLeft {
    let metrics = step.metrics.iter();
    let metric = |it: &outlook::MetricNow| Some((it.name.clone(), it.value, it.expected?));
    StepLeft {
        seconds: step.left.map(Left::secs),
        metrics: metrics.filter_map(metric).collect(),
    }
}

/// Where one client is served.
struct Desk {
    master: MasterHandle,
    client: Client,
}

impl Office for Desk {
    async fn add_change(&self, fields: Fields) -> Result<(), String> {
        let change = hooks::change(&fields).map_err(|it| it.to_string());
        let (name, change) = match &self.client {
            Client::Changes(name) => {
                let change = change.inspect_err(|why| {
                    let why = format!("what was sent is refused: {why}");
                    self.master.report(name, Err(why));
                })?;
                let plan = self.master.plan();
                let found = plan.sources.iter().find(|it| it.name == *name);
                let settings = found.and_then(|it| it.settings.pb());
                let settings = settings.ok_or("this source is not configured any more")?;
                (name.as_str(), settings.take(change))
            }
            // It sits in the master's own chair.
            Client::Debug | Client::Tries(_) | Client::Users | Client::Status(_) => {
                ("debug", Some(change?))
            }
        };
        let Some(change) = change else {
            info!(source = name, "a change has no file below the prefix");
            return Ok(());
        };
        let kept = self.master.keep(name, vec![change], None).await;
        kept.map_err(|error| error.to_string())?;
        if let Client::Changes(name) = &self.client {
            self.master.report(name, Ok(()));
        }
        Ok(())
    }

    fn offered(&self) -> Vec<BuilderName> {
        let Client::Tries(pass) = &self.client else {
            return Vec::new();
        };
        self.master.trying(pass).unwrap_or_default()
    }

    async fn try_job(&self, call: TryCall) -> Result<Option<(BuildsetId, Vec<Wished>)>, String> {
        let Client::Tries(pass) = &self.client else {
            return Err("this account tries nothing".into());
        };
        let patch = call.patch.map(|(level, diff)| Patch {
            level,
            diff,
            subdir: None,
            author: None,
            comment: None,
        });
        let stamp = SourceStamp {
            branch: call.branch,
            revision: call.revision,
            repository: call.repository,
            project: call.project,
            patch,
            changes: Vec::new(),
        };
        let job = Job::of_call(
            stamp,
            (call.who, call.comment),
            call.builders,
            call.properties,
        );
        let tried = match job {
            Ok(job) => self.master.ask_for(pass, job).await,
            Err(bad) => Err(bad.into()),
        };
        match tried {
            Ok(tried) => Ok(Some((tried.buildset, tried.requests))),
            Err(TryError::Job(BadJob::NoBuilder { builder, .. })) => {
                info!(builder, "a try job names a builder that may not try it");
                Ok(None)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    async fn users(&self, call: UserCall) -> Result<UsersFound, String> {
        let login = (call.username.as_deref(), call.password.as_deref());
        let order = UserOrder::of_call(&call.op, call.ids, call.infos, login)?;
        let reply = self.master.users(order).await;
        let reply = reply.map_err(|denied| denied.to_string())?;
        Ok(UsersFound {
            users: reply.users,
            missing: reply.missing,
        })
    }

    async fn force(&self, wanted: Wanted) -> Result<(), String> {
        let mut properties = Properties::new();
        for (name, value) in wanted.properties {
            properties.set(name, value, REMOTE);
        }
        let force = Force {
            builder: BuilderName::from(wanted.builder.as_str()),
            branch: wanted.branch,
            revision: wanted.revision,
            repository: String::new(),
            project: String::new(),
            reason: wanted.reason,
            properties,
            parameters: Vec::new(),
            owner: None,
            priority: None,
            act: None,
        };
        let made = self.master.force(force).await;
        made.map(drop).map_err(|denied| denied.to_string())
    }

    fn ping(&self, builder: &str) -> Result<(), String> {
        let pinged = self.master.ping(&BuilderName::from(builder));
        pinged.map(drop).map_err(|denied| denied.to_string())
    }

    async fn reload(&self) -> Result<(), String> {
        self.master.reload().await.map(drop)
    }

    fn note(&self, text: &str) {
        info!(text = %text.escape_debug(), "debug");
    }

    async fn requests(&self, ids: Vec<RequestId>) -> Result<Vec<RequestRecord>, String> {
        let read = self.master.store().read(move |verbs| verbs.requests(&ids));
        read.await.map_err(|error| error.to_string())
    }

    async fn build(
        &self,
        build: &BuildKey,
    ) -> Result<Option<(BuildRecord, Vec<StepRecord>)>, String> {
        let build = build.clone();
        let read = self.master.store().read(move |verbs| {
            let Some(record) = verbs.build(&build.builder, build.number)? else {
                return Ok(None);
            };
            let steps = verbs.steps(record.id)?;
            Ok(Some((record, steps)))
        });
        read.await.map_err(|error| error.to_string())
    }

    async fn left(&self, builds: Vec<BuildKey>) -> Vec<(BuildKey, BuildLeft)> {
        let Ok(outlook) = self.master.outlook(Scope::Nothing).await else {
            return Vec::new();
        };
        let left = |key: BuildKey| {
            let build = outlook.running.get(&key)?;
            let left = BuildLeft {
                seconds: build.left.map(Left::secs),
                steps: build.steps.iter().map(left_of_step).collect(),
            };
            Some((key, left))
        };
        builds.into_iter().filter_map(left).collect()
    }

    async fn builders(&self) -> Vec<BuilderSeen> {
        let plan = self.master.plan();
        let Client::Status(name) = &self.client else {
            return Vec::new();
        };
        let status = plan.status.iter().find(|it| it.name == *name);
        let Some(listener) = status.and_then(|it| it.settings.as_pb_listener()) else {
            return Vec::new();
        };
        let crew = self.master.crew();
        let served = crew.serving.of(&plan);
        let mut slaves: HashMap<&BuilderName, Vec<SlaveName>> = HashMap::new();
        for (slave, builders) in served.iter() {
            for builder in builders {
                slaves.entry(builder).or_default().push(slave.clone());
            }
        }
        let mut running: HashMap<BuilderName, Vec<BuildKey>> = HashMap::new();
        for build in crew.live().keys() {
            let all = running.entry(build.builder.clone()).or_default();
            all.push(build.clone());
        }
        let heard = plan.builders.iter();
        let heard =
            heard.filter(|it| listener.hears_of(&it.name, it.category.as_deref(), &it.tags));
        let seen = heard.map(|builder| {
            let mut running = running.remove(&builder.name).unwrap_or_default();
            running.sort();
            let slaves = slaves.remove(&builder.name).unwrap_or_default();
            let is_here = |it: &SlaveName| crew.slaves.session(it).is_some();
            let state = match (running.is_empty(), slaves.iter().any(is_here)) {
                (false, _) => BUILDING,
                (true, true) => "idle",
                (true, false) => "offline",
            };
            BuilderSeen {
                name: builder.name.clone(),
                category: builder.category.clone(),
                state,
                running,
                slaves,
            }
        });
        seen.collect()
    }

    fn is_connected(&self, slave: &SlaveName) -> Option<bool> {
        let plan = self.master.plan();
        let is_known = plan.slaves.iter().any(|it| it.name == *slave);
        is_known.then(|| self.master.crew().slaves.session(slave).is_some())
    }

    async fn buildsets(&self) -> Result<Vec<Asked>, String> {
        let mut seen: Vec<BuilderName> = Vec::new();
        seen.extend(self.builders().await.into_iter().map(|it| it.name));
        let read = self.master.store().read(move |verbs| {
            let mut ids = BTreeSet::new();
            for builder in &seen {
                let open = verbs.open_requests(builder)?;
                ids.extend(open.iter().map(|it| it.buildset));
            }
            // The newest, if there are many.
            let ids = ids.into_iter().rev().take(MOST_BUILDSETS);
            let mut all = Vec::new();
            for id in ids {
                let name = verbs.external_id(id)?;
                let wished = verbs.requests_of(id)?.into_iter();
                let wished = wished.filter(|it| seen.contains(&it.builder));
                all.push((id, name, wished.map(|it| (it.id, it.builder)).collect()));
            }
            Ok(all)
        });
        read.await.map_err(|error| error.to_string())
    }

    async fn last_build(&self, builder: &BuilderName) -> Result<Option<BuildKey>, String> {
        let builder = builder.clone();
        let read = self.master.store().read(move |verbs| {
            let end = verbs.last_end(&builder)?;
            Ok(end.map(|(number, _)| BuildKey { builder, number }))
        });
        read.await.map_err(|error| error.to_string())
    }

    async fn log(&self, build: &BuildKey, file: &str, from: u64) -> Result<LogPiece, String> {
        let path = self.master.basedir().join("builds").join(file);
        let key = build.clone();
        let read = self.master.store().read(move |verbs| verbs.pack_of(&key));
        let pack = async { read.await.map_err(io::Error::other) };
        let place = LogPlace::of(path, file, pack).await;
        let place = place.map_err(|error| error.to_string())?;
        let read = tokio::task::spawn_blocking(move || piece(&place, from));
        let read = read.await.map_err(|error| error.to_string())?;
        read.map_err(|error| error.to_string())
    }

    fn news(&self) -> broadcast::Receiver<Arc<Status>> {
        self.master.subscribe()
    }
}
