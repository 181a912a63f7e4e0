//! Buildbot's own clients, connected as they are: `sendchange`, `try`, `user`, `debugclient` and
//! what listens to the status. Who has logged in has an avatar, which has the methods of its
//! [`Role`] and no other; what it is given as objects is its own, and nobody else's.
//!
//! A [`Client`] knows the protocol and asks an [`Office`] for everything else; the master is one.

mod build;
mod change;
mod debug;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
#[cfg(test)]
mod hostile_tests;
mod line;
mod listener;
#[cfg(test)]
mod listener_tests;
#[cfg(test)]
mod recorded_tests;
#[cfg(any(test, fuzzing))]
mod scene;
mod tried;
mod user;
mod watch;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast;

use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::StepRecord;
use crate::wire::pb::broker::Broker;
use crate::wire::pb::broker::Heard;
use crate::wire::pb::broker::Owed;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::failure::Kind;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

pub(crate) use change::Fields;
pub(crate) use debug::Wanted;
pub(crate) use line::serve;
pub(crate) use listener::BUILDING;
pub(crate) use listener::BuilderSeen;
use listener::Listener;
pub(crate) use listener::LogPiece;
pub(crate) use tried::TryCall;
pub(crate) use user::UserCall;
pub(crate) use user::UsersFound;
use watch::Watch;

/// What a client may do: which methods its avatar has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `sendchange`.
    Changes,
    /// `try`.
    Tries,
    /// `user`.
    Users,
    /// `debugclient`.
    Debug,
    /// `statuslog` and its like.
    Status,
}

/// A request of a try job, and its builder.
pub(crate) type Wished = (RequestId, BuilderName);

/// A buildset, what who asked for it calls it, and its requests.
pub(crate) type Asked = (BuildsetId, Option<String>, Vec<Wished>);

/// How long a build still takes, as far as somebody knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct BuildLeft {
    pub(crate) seconds: Option<f64>,
    /// Of its steps, in their order.
    pub(crate) steps: Vec<StepLeft>,
}

/// How long a step still takes, and how far it has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct StepLeft {
    pub(crate) seconds: Option<f64>,
    /// What it counts, how far it is, and how far it usually comes.
    pub(crate) metrics: Vec<(String, u64, u64)>,
}

/// Who carries out what clients ask for. What cannot be done is said in a sentence.
pub(crate) trait Office: Send + Sync {
    fn add_change(&self, fields: Fields) -> impl Future<Output = Result<(), String>> + Send;

    /// The builders that may try something.
    fn offered(&self) -> Vec<BuilderName>;

    /// `None` if a builder is named that may not try it.
    fn try_job(
        &self,
        call: TryCall,
    ) -> impl Future<Output = Result<Option<(BuildsetId, Vec<Wished>)>, String>> + Send;

    fn users(&self, call: UserCall) -> impl Future<Output = Result<UsersFound, String>> + Send;

    fn force(&self, wanted: Wanted) -> impl Future<Output = Result<(), String>> + Send;

    fn ping(&self, builder: &str) -> Result<(), String>;

    fn reload(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Somebody wants this in the log.
    fn note(&self, text: &str);

    fn requests(
        &self,
        ids: Vec<RequestId>,
    ) -> impl Future<Output = Result<Vec<RequestRecord>, String>> + Send;

    /// A build and its steps; `None` if it is forgotten.
    fn build(
        &self,
        build: &BuildKey,
    ) -> impl Future<Output = Result<Option<(BuildRecord, Vec<StepRecord>)>, String>> + Send;

    /// How long each of them still takes; one that does not run is left out.
    fn left(
        &self,
        builds: Vec<BuildKey>,
    ) -> impl Future<Output = Vec<(BuildKey, BuildLeft)>> + Send;

    /// The builders that may be listened to, in the order of the configuration.
    fn builders(&self) -> impl Future<Output = Vec<BuilderSeen>> + Send;

    /// Whether a slave is connected; `None` if there is no such slave.
    fn is_connected(&self, slave: &SlaveName) -> Option<bool>;

    /// Buildsets that are not over, with what their senders call them.
    fn buildsets(&self) -> impl Future<Output = Result<Vec<Asked>, String>> + Send;

    /// The last build of a builder that is over.
    fn last_build(
        &self,
        builder: &BuilderName,
    ) -> impl Future<Output = Result<Option<BuildKey>, String>> + Send;

    /// What a log's file says from a place on; not all of it at once.
    fn log(
        &self,
        build: &BuildKey,
        file: &str,
        from: u64,
    ) -> impl Future<Output = Result<LogPiece, String>> + Send;

    /// What happens from now on. These are hints: who missed some looks again.
    fn news(&self) -> broadcast::Receiver<Arc<Status>>;
}

/// What a client is given to call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Avatar,
    Buildset(BuildsetId),
    Request(RequestId, BuilderName),
    Build(BuildKey),
    /// In the place of a build that a request never had.
    Unbuilt(RequestId, BuilderName),
    Builder(BuilderName),
    Slave(SlaveName),
    /// By its number.
    Step(BuildKey, u32),
    Log(BuildKey, u32, String),
}

/// What becomes of a call.
enum Reply {
    Value(Value),
    /// When the build is over.
    Over(BuildKey),
    /// When all requests of the buildset are over.
    AllOver(BuildsetId, Vec<RequestId>),
    /// The call is answered with an error, and the line ends.
    Closes(String),
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        Self::Value(value)
    }
}

/// A client that has logged in.
struct Client<O> {
    broker: Broker<Thing>,
    role: Role,
    office: O,
    /// What its try jobs asked for.
    buildsets: Vec<(BuildsetId, Vec<Wished>)>,
    watch: Watch,
    listener: Listener,
    /// How often it hears how long builds still take.
    pace: Duration,
    /// Nothing more is listened to: what is to be said is said, and the line ends.
    is_over: bool,
}

/// Try jobs of one line that are remembered; a client sends one.
const MOST_JOBS: usize = 256;

type Answer = Result<Reply, Failure>;

impl<O: Office> Client<O> {
    /// Welcomes a client, whose login waits for its answer.
    fn new<T>(broker: Broker<T>, owed: Owed, role: Role, office: O) -> Self
    where
        T: Clone + PartialEq,
    {
        let mut broker = broker.handing_out();
        let avatar = broker.object(&Thing::Avatar);
        broker.answer(owed, Ok(avatar));
        Self {
            broker,
            role,
            office,
            buildsets: Vec::new(),
            watch: Watch::default(),
            listener: Listener::default(),
            pace: line::ETA,
            is_over: false,
        }
    }

    async fn heard(&mut self, heard: Heard<Thing>) {
        match heard {
            Heard::Called {
                on,
                method,
                arguments,
                owed,
            } => {
                if speaks_bytes(&arguments) {
                    self.broker.speak_bytes();
                }
                let result = self.called(on, &method, &arguments).await;
                match result {
                    Ok(Reply::Value(value)) => self.broker.answer(owed, Ok(value)),
                    Ok(Reply::Over(build)) => self.watch.wait(build, owed),
                    Ok(Reply::AllOver(id, requests)) => {
                        self.watch.wait_for_all(id, requests, owed);
                    }
                    Ok(Reply::Closes(why)) => {
                        self.broker.answer(owed, Err(runtime(why)));
                        self.is_over = true;
                    }
                    Err(failure) => self.broker.answer(owed, Err(failure)),
                }
                // What a subscription is to begin with comes behind its answer.
                self.look_around().await;
            }
            // Who is told something has nothing to say to it; and who lets an object go may
            // listen to it still.
            Heard::Answered { .. } | Heard::Released(_) => {}
        }
    }

    async fn called(&mut self, on: Option<Thing>, method: &str, arguments: &Arguments) -> Answer {
        match on {
            Some(Thing::Avatar) => match self.role {
                Role::Changes => self.of_changes(method, arguments).await,
                Role::Tries => self.of_tries(method, arguments).await,
                Role::Users => self.of_users(method, arguments).await,
                Role::Debug => self.of_debug(method, arguments).await,
                Role::Status => self.of_status(method, arguments).await,
            },
            Some(Thing::Buildset(id)) => self.of_buildset(id, method).await,
            Some(Thing::Request(id, name)) => self.of_request(id, name, method, arguments).await,
            Some(Thing::Build(key)) => self.of_build(key, method, arguments).await,
            Some(Thing::Unbuilt(id, name)) => self.of_unbuilt(id, name, method),
            Some(Thing::Builder(name)) => self.of_builder(name, method, arguments).await,
            Some(Thing::Slave(name)) => match method {
                "getName" => Ok(Value::text(name.as_str()).into()),
                "isConnected" => {
                    let is_connected = self.office.is_connected(&name);
                    Ok(Value::Bool(is_connected.unwrap_or_default()).into())
                }
                _ => Err(no_method(method)),
            },
            Some(Thing::Step(key, number)) => self.of_step((key, number), method).await,
            Some(Thing::Log(key, number, name)) => self.of_log((key, number, name), method).await,
            None => Err(no_method(method)),
        }
    }

    async fn of_changes(&mut self, method: &str, arguments: &Arguments) -> Answer {
        if method != "addChange" {
            return Err(no_perspective(method));
        }
        let fields = change::read(arguments.get(0, "changedict")).map_err(runtime)?;
        self.office.add_change(fields).await.map_err(runtime)?;
        Ok(Value::None.into())
    }

    async fn of_tries(&mut self, method: &str, arguments: &Arguments) -> Answer {
        match method {
            "getAvailableBuilderNames" => Ok(names(&self.office.offered()).into()),
            "try" => {
                let made = match tried::read(arguments) {
                    Ok(call) => self.office.try_job(call).await,
                    Err(why) => Err(why),
                };
                let (id, requests) = match made {
                    Ok(Some(made)) => made,
                    // It has words of its own for that.
                    Ok(None) => return Ok(Value::None.into()),
                    // It prints an error, and would wait for ever.
                    Err(why) => return Ok(Reply::Closes(why)),
                };
                self.remember(id, requests);
                Ok(self.broker.object(&Thing::Buildset(id)).into())
            }
            _ => Err(no_perspective(method)),
        }
    }

    /// Remembers whom a buildset asked.
    fn remember(&mut self, id: BuildsetId, requests: Vec<Wished>) {
        self.buildsets.retain(|(it, _)| *it != id);
        if self.buildsets.len() >= MOST_JOBS {
            self.buildsets.remove(0);
        }
        self.buildsets.push((id, requests));
    }

    /// How often it wants to hear how long builds still take.
    fn set_pace(&mut self, seconds: Option<f64>) {
        let seconds = seconds.filter(|it| (1.0..=3600.0).contains(it));
        self.pace = seconds.map_or(line::ETA, Duration::from_secs_f64);
    }

    async fn of_users(&mut self, method: &str, arguments: &Arguments) -> Answer {
        if method != "commandline" {
            return Err(no_perspective(method));
        }
        let call = user::read(arguments).map_err(runtime)?;
        let found = self.office.users(call.clone()).await.map_err(runtime)?;
        Ok(Value::text(user::told(&call, &found)).into())
    }
}

/// Whether a program of Python 2 calls, to which texts are bytes. What is bytes to all of them,
/// such as a patch or what git says of a revision, tells nothing.
fn speaks_bytes(arguments: &Arguments) -> bool {
    let is_bytes = |it: &Value| matches!(it, Value::Bytes(_));
    let of_bytes = |it: &Value| match it {
        Value::List(items) => items.iter().any(is_bytes),
        Value::Dict(pairs) => pairs.iter().any(|(key, _)| is_bytes(key)),
        _ => false,
    };
    let places = &arguments.places;
    places.first().is_some_and(is_bytes) || places.iter().any(of_bytes)
}

/// What could not be done, for the person who reads it.
fn runtime(why: impl Into<String>) -> Failure {
    Failure::new(Kind::Runtime, why)
}

/// An object has no such method.
fn no_method(method: &str) -> Failure {
    let what = format!("No such method: remote_{method}");
    Failure::new(Kind::NoMethod, what)
}

/// An account has no such method: another one may.
fn no_perspective(method: &str) -> Failure {
    let what = format!("this account has no method `{}`", method.escape_debug());
    Failure::new(Kind::NoMethod, what)
}

fn names(all: &[BuilderName]) -> Value {
    Value::List(all.iter().map(|it| Value::text(it.as_str())).collect())
}
