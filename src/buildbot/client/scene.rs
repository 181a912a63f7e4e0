//! For tests and fuzzing: an office that does what a test says, and a client of it whose line is a vector.

#![cfg_attr(not(test), expect(dead_code, reason = "tests use more of it"))]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;

use tokio::sync::broadcast;

use super::Asked;
use super::BuildLeft;
use super::BuilderSeen;
use super::Client;
use super::Fields;
use super::LogPiece;
use super::Office;
use super::Role;
use super::TryCall;
use super::UserCall;
use super::UsersFound;
use super::Wanted;
use super::Wished;
use crate::buildbot::login::Login;
use crate::model::BuildId;
use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::Channel;
use crate::model::Outcome;
use crate::model::Progress;
use crate::model::Properties;
use crate::model::RequestId;
use crate::model::RequestRecord;
use crate::model::SlaveName;
use crate::model::SourceStamp;
use crate::model::Status;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::wire::pb::banana;
use crate::wire::pb::banana::Decoder;
use crate::wire::pb::banana::Limits;
use crate::wire::pb::broker::Broker;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said;
use crate::wire::pb::said::Arguments;
use crate::wire::pb::said::Receiver;
use crate::wire::pb::said::Said;

/// What the office was asked, and what there is.
#[derive(Debug, Default)]
pub(super) struct Books {
    pub(super) changes: Vec<Fields>,
    pub(super) jobs: Vec<TryCall>,
    pub(super) users: Vec<UserCall>,
    pub(super) found: UsersFound,
    pub(super) forced: Vec<Wanted>,
    pub(super) pinged: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) reloads: usize,
    /// Why nothing is done, if it is to go wrong.
    pub(super) trouble: Option<String>,
    pub(super) offered: Vec<BuilderName>,
    pub(super) requests: BTreeMap<RequestId, RequestRecord>,
    pub(super) builds: BTreeMap<BuildKey, (BuildRecord, Vec<StepRecord>)>,
    pub(super) left: Vec<(BuildKey, BuildLeft)>,
    pub(super) seen: Vec<BuilderSeen>,
    /// What files say, a chunk for each place.
    pub(super) logs: BTreeMap<String, Vec<(Channel, Vec<u8>)>>,
}

#[derive(Clone, Default)]
pub(super) struct Fake(Arc<Mutex<Books>>);

impl Fake {
    pub(super) fn offering(names: &[&str]) -> Self {
        let fake = Self::default();
        fake.books().offered = names.iter().map(|it| BuilderName::from(*it)).collect();
        fake
    }

    pub(super) fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().expect("nobody panicked")
    }

    fn trouble<T>(&self, value: T) -> Result<T, String> {
        self.books().trouble.clone().map_or(Ok(value), Err)
    }
}

pub(super) fn key(builder: &str, number: i64) -> BuildKey {
    BuildKey {
        builder: builder.into(),
        number,
    }
}

/// A build that still takes so long; of its steps nothing is known.
pub(super) fn left(seconds: f64) -> BuildLeft {
    BuildLeft {
        seconds: Some(seconds),
        steps: Vec::new(),
    }
}

impl Books {
    /// A build of a request begins.
    pub(super) fn begin(&mut self, request: i64, number: i64) -> BuildKey {
        let request = self.requests.get_mut(&RequestId(request)).expect("one");
        let key = BuildKey {
            builder: request.builder.clone(),
            number,
        };
        request.builds.push(key.clone());
        let record = BuildRecord {
            id: BuildId(number + 1),
            key: key.clone(),
            slave: "s".into(),
            reason: "'try' job".into(),
            stamp: SourceStamp::default(),
            properties: Properties::new(),
            requests: vec![request.id],
            blame: vec!["ann".into()],
            started: Timestamp(1000),
            finished: None,
            outcome: None,
            failing_since: None,
            text: Vec::new(),
            config: None,
        };
        self.builds.insert(key.clone(), (record, Vec::new()));
        key
    }

    pub(super) fn begin_step(&mut self, build: &BuildKey, name: &str) {
        let steps = &mut self.builds.get_mut(build).expect("a build").1;
        let number = u32::try_from(steps.len()).expect("few");
        steps.push(StepRecord {
            number,
            name: name.into(),
            started: Some(Timestamp(1000)),
            finished: None,
            outcome: None,
            text: Vec::new(),
            build_text: Vec::new(),
            statistics: Vec::new(),
            urls: Vec::new(),
            hidden: false,
            usage: None,
            ended: None,
            progress: Progress::default(),
            logs: Vec::new(),
        });
    }

    pub(super) fn end_step(&mut self, build: &BuildKey, outcome: Outcome) {
        let steps = &mut self.builds.get_mut(build).expect("a build").1;
        let step = steps.last_mut().expect("a step");
        step.finished = Some(Timestamp(2000));
        step.outcome = Some(outcome);
    }

    /// The build ends, and its request too, unless it is tried again.
    pub(super) fn end(&mut self, build: &BuildKey, outcome: Outcome, text: &[&str]) {
        let record = &mut self.builds.get_mut(build).expect("a build").0;
        record.finished = Some(Timestamp(3000));
        record.outcome = Some(outcome);
        record.text = text.iter().map(ToString::to_string).collect();
        if outcome != Outcome::Retry {
            for id in record.requests.clone() {
                self.requests.get_mut(&id).expect("one").outcome = Some(outcome);
            }
        }
    }

    pub(super) fn cancel(&mut self, request: i64) {
        let request = self.requests.get_mut(&RequestId(request)).expect("one");
        request.outcome = Some(Outcome::Failure);
        request.cancelled = Some("not wanted".into());
    }
}

impl Office for Fake {
    async fn add_change(&self, fields: Fields) -> Result<(), String> {
        self.books().changes.push(fields);
        self.trouble(())
    }

    fn offered(&self) -> Vec<BuilderName> {
        self.books().offered.clone()
    }

    async fn try_job(&self, call: TryCall) -> Result<Option<(BuildsetId, Vec<Wished>)>, String> {
        self.trouble(())?;
        let mut books = self.books();
        let mut builders = books.offered.clone();
        if call
            .builders
            .iter()
            .any(|it| !builders.contains(&it.as_str().into()))
        {
            return Ok(None);
        }
        builders.retain(|it| call.builders.is_empty() || call.builders.contains(&it.to_string()));
        books.jobs.push(call);
        let buildset = BuildsetId(i64::try_from(books.jobs.len()).expect("few"));
        let mut wished = Vec::new();
        for builder in builders {
            let id = RequestId(i64::try_from(books.requests.len()).expect("few") + 1);
            let record = RequestRecord {
                id,
                buildset,
                builder: builder.clone(),
                submitted: Timestamp(0),
                reason: "'try' job".into(),
                stamp: Arc::default(),
                properties: Arc::new(Properties::new()),
                priority: None,
                outcome: None,
                cancelled: None,
                builds: Vec::new(),
                claimed: false,
            };
            books.requests.insert(id, record);
            wished.push((id, builder));
        }
        Ok(Some((buildset, wished)))
    }

    async fn users(&self, call: UserCall) -> Result<UsersFound, String> {
        self.trouble(())?;
        let mut books = self.books();
        books.users.push(call);
        Ok(books.found.clone())
    }

    async fn force(&self, wanted: Wanted) -> Result<(), String> {
        self.trouble(())?;
        self.books().forced.push(wanted);
        Ok(())
    }

    fn ping(&self, builder: &str) -> Result<(), String> {
        self.trouble(())?;
        self.books().pinged.push(builder.to_owned());
        Ok(())
    }

    async fn reload(&self) -> Result<(), String> {
        self.trouble(())?;
        self.books().reloads += 1;
        Ok(())
    }

    fn note(&self, text: &str) {
        self.books().notes.push(text.to_owned());
    }

    async fn requests(&self, ids: Vec<RequestId>) -> Result<Vec<RequestRecord>, String> {
        self.trouble(())?;
        let books = self.books();
        Ok(ids
            .iter()
            .filter_map(|it| books.requests.get(it).cloned())
            .collect())
    }

    async fn build(
        &self,
        build: &BuildKey,
    ) -> Result<Option<(BuildRecord, Vec<StepRecord>)>, String> {
        self.trouble(())?;
        Ok(self.books().builds.get(build).cloned())
    }

    async fn left(&self, builds: Vec<BuildKey>) -> Vec<(BuildKey, BuildLeft)> {
        let left = self.books().left.clone();
        left.into_iter()
            .filter(|(key, _)| builds.contains(key))
            .collect()
    }

    async fn builders(&self) -> Vec<BuilderSeen> {
        self.books().seen.clone()
    }

    fn is_connected(&self, slave: &SlaveName) -> Option<bool> {
        (slave.as_str() == "s").then_some(true)
    }

    async fn buildsets(&self) -> Result<Vec<Asked>, String> {
        let books = self.books();
        let wished = |it: &RequestRecord| (it.id, it.builder.clone());
        let wished = books.requests.values().map(wished).collect();
        Ok(vec![(BuildsetId(1), Some("job-1".into()), wished)])
    }

    async fn last_build(&self, builder: &BuilderName) -> Result<Option<BuildKey>, String> {
        let books = self.books();
        let mut over = books.builds.values().filter(|it| it.0.outcome.is_some());
        let found = over.rfind(|it| it.0.key.builder == *builder);
        Ok(found.map(|it| it.0.key.clone()))
    }

    async fn log(&self, _: &BuildKey, file: &str, from: u64) -> Result<LogPiece, String> {
        let books = self.books();
        let all = books.logs.get(file).ok_or("it is not there")?;
        let at = usize::try_from(from).expect("few");
        let chunks: Vec<_> = all.iter().skip(at).take(1).cloned().collect();
        let next = at + chunks.len();
        Ok(LogPiece {
            chunks,
            next: next as u64,
            is_all: next == all.len(),
        })
    }

    fn news(&self) -> broadcast::Receiver<Arc<Status>> {
        broadcast::channel(1).1
    }
}

/// A client that has logged in, and what was said to it.
pub(super) struct Scene {
    pub(super) client: Client<Fake>,
    decoder: Decoder,
    last_call: i128,
}

/// The object that a client logs in to.
pub(super) const AVATAR: u64 = 2;

impl Scene {
    pub(super) fn new(role: Role, office: Fake) -> Self {
        let mut broker = Broker::new();
        let mut login = Login::new([7; 16]);
        let mut hello = Vec::new();
        banana::encode_bytes(b"pb", &mut hello);
        for (request, receiver, method, places) in [
            (
                1,
                Receiver::Root,
                "login",
                vec![Value::Bytes(b"ann".to_vec())],
            ),
            (
                2,
                Receiver::Object(1),
                "respond",
                vec![Value::Bytes(Vec::new()), Value::None],
            ),
        ] {
            let call = call(request, receiver, method, places);
            banana::encode(&said::write(&call), &mut hello);
        }
        broker.hear(&hello);
        let claim = login.go_on(&mut broker).expect("words").expect("a claim");
        broker.trust();
        let client = Client::new(broker, claim.owed, role, office);
        let mut scene = Self {
            client,
            decoder: Decoder::new(Limits::KNOWN),
            last_call: 2,
        };
        scene.client.broker.out.clear();
        scene.decoder.use_words();
        scene
    }

    /// What was said to the client since.
    pub(super) fn said(&mut self) -> Vec<Said> {
        self.decoder
            .push(&std::mem::take(&mut self.client.broker.out));
        let mut all = Vec::new();
        while let Some(element) = self.decoder.next().expect("words") {
            all.push(said::read(element).expect("words"));
        }
        all
    }

    /// Says something, and has it heard.
    pub(super) async fn say(&mut self, said: &Said) {
        let mut bytes = Vec::new();
        banana::encode(&said::write(said), &mut bytes);
        self.client.broker.hear(&bytes);
        while let Some(heard) = self.client.broker.next().expect("words") {
            self.client.heard(heard).await;
        }
    }

    /// Calls a method and gives its answer, and what came behind it; `None` if there is no answer yet.
    pub(super) async fn ask(
        &mut self,
        object: u64,
        method: &str,
        places: Vec<Value>,
    ) -> (Option<Result<Value, Failure>>, Vec<Said>) {
        self.last_call += 1;
        let asked = self.last_call;
        self.say(&call(asked, Receiver::Object(object), method, places))
            .await;
        let mut all = self.said();
        let place = all.iter().position(|it| match it {
            Said::Answer { request, .. } | Said::Error { request, .. } => *request == asked,
            _ => false,
        });
        let answer = place.map(|it| match all.remove(it) {
            Said::Answer { value, .. } => Ok(value.expect("a value")),
            Said::Error { failure, .. } => Err(failure),
            other => panic!("{other:?}"),
        });
        (answer, all)
    }

    /// As [`Self::ask`], where the answer is an object.
    pub(super) async fn object(&mut self, object: u64, method: &str, places: Vec<Value>) -> u64 {
        match self.ask(object, method, places).await.0 {
            Some(Ok(Value::Theirs(number))) => number,
            other => panic!("{method}: {other:?}"),
        }
    }

    /// Something has happened.
    pub(super) async fn news(&mut self, status: Status) {
        self.client.hear(&status);
        self.client.look_around().await;
    }
}

pub(super) fn call(request: i128, receiver: Receiver, method: &str, places: Vec<Value>) -> Said {
    Said::Call {
        request,
        receiver,
        method: method.to_owned(),
        wants_answer: true,
        arguments: Ok(Arguments::places(places)),
    }
}

/// What a call of this side says, in a line.
pub(super) fn shown(said: &Said) -> String {
    match said {
        Said::Call {
            receiver: Receiver::Object(object),
            method,
            arguments: Ok(arguments),
            ..
        } => {
            let words: Vec<_> = arguments.places.iter().map(word).collect();
            format!("{object}.{method}({})", words.join(", "))
        }
        Said::Answer { request, value } => match value {
            Ok(value) => format!("{request} = {}", word(value)),
            Err(error) => format!("{request} = {error}"),
        },
        Said::Error { request, failure } => format!("{request} ! {}", failure.value),
        other => format!("{other:?}"),
    }
}

pub(super) fn word(value: &Value) -> String {
    let all = |items: &[Value]| items.iter().map(word).collect::<Vec<_>>().join(", ");
    match value {
        Value::None => "None".to_owned(),
        Value::Theirs(number) => format!("<{number}>"),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Bool(truth) => truth.to_string(),
        Value::List(items) => format!("[{}]", all(items)),
        Value::Tuple(items) => format!("({})", all(items)),
        value => value.as_text().unwrap_or_else(|| value.to_string()),
    }
}
