//! What listens to the status of a master, as `statuslog` does: builders and what they are doing,
//! builds, their steps, and what their logs say. News say where to look; what is told is the
//! difference to what was told before.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::model::BuildKey;
use crate::model::BuilderName;
use crate::model::Channel;
use crate::model::LogRecord;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::StepRecord;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::super::line::MOST_WAITING;
use super::Answer;
use super::Client;
use super::Office;
use super::StepLeft;
use super::Thing;
use super::build::eta;
use super::build::expectations;
use super::build::observer;
use super::no_perspective;
use super::runtime;
use super::watch::Told;
use super::watch::begin;

/// A builder as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BuilderSeen {
    pub(crate) name: BuilderName,
    pub(crate) category: Option<String>,
    /// `offline`, `idle` or [`BUILDING`].
    pub(crate) state: &'static str,
    pub(crate) running: Vec<BuildKey>,
    pub(crate) slaves: Vec<SlaveName>,
}

/// Some of what a log says, and where it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogPiece {
    pub(crate) chunks: Vec<(Channel, Vec<u8>)>,
    pub(crate) next: u64,
    /// There is no more at the moment.
    pub(crate) is_all: bool,
}

/// What a builder does while it has a build.
pub(crate) const BUILDING: &str = "building";

/// How much is told; each tells what those before it tell, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Builders,
    Builds,
    Steps,
    Logs,
    Full,
}

const MODES: [(&str, Mode); 5] = [
    ("builders", Mode::Builders),
    ("builds", Mode::Builds),
    ("steps", Mode::Steps),
    ("logs", Mode::Logs),
    ("full", Mode::Full),
];

/// The books of who listens to everything.
#[derive(Debug, Default)]
pub(super) struct Listener {
    subscriber: Option<(u64, Mode)>,
    /// What each was last told to be doing.
    builders: BTreeMap<BuilderName, &'static str>,
    builds: BTreeMap<BuildKey, Heard>,
    stale: BTreeSet<BuildKey>,
    are_builders_stale: bool,
}

#[derive(Debug, Default)]
struct Heard {
    /// For each step, once the build was looked at.
    told: Option<Vec<Told>>,
    /// By the number of the step and its own name: how far it was told; over once there is none.
    logs: BTreeMap<(u32, String), Option<u64>>,
    /// It was running before somebody listened.
    is_old: bool,
}

impl Listener {
    /// Notes where to look.
    pub(super) fn heard(&mut self, status: &Status) {
        if self.subscriber.is_none() {
            return;
        }
        match status {
            Status::BuildStarted { build, .. } => {
                if self.builders.contains_key(&build.builder) {
                    self.builds.entry(build.clone()).or_default();
                    self.stale.insert(build.clone());
                    self.are_builders_stale = true;
                }
            }
            Status::StepStarted { build, .. }
            | Status::StepFinished { build, .. }
            | Status::LogGrew { build, .. } => {
                if self.builds.contains_key(build) {
                    self.stale.insert(build.clone());
                }
            }
            Status::BuildFinished { build, .. } => {
                if self.builders.contains_key(&build.builder) {
                    if self.builds.contains_key(build) {
                        self.stale.insert(build.clone());
                    }
                    // Its end may have been seen while its builder still had it.
                    self.are_builders_stale = true;
                }
            }
            Status::SlaveChanged { .. } | Status::Reloaded => self.are_builders_stale = true,
            Status::ChangeAdded { .. }
            | Status::RequestAdded { .. }
            | Status::RequestFinished { .. }
            | Status::TroubleChanged
            | Status::ShutdownChanged
            | Status::ReloadRefused => {}
        }
    }

    /// Some news were missed: everything is looked at again.
    pub(super) fn missed(&mut self) {
        self.are_builders_stale = self.subscriber.is_some();
        self.stale.extend(self.builds.keys().cloned());
    }

    pub(super) fn is_behind(&self) -> bool {
        self.are_builders_stale || !self.stale.is_empty()
    }

    /// One of its builds is told of, and its end is not.
    fn hears_a_build_of(&self, builder: &BuilderName) -> bool {
        self.builds.keys().any(|it| it.builder == *builder)
    }

    /// Who hears how long its builds still take.
    pub(super) fn timed(&self) -> Option<(u64, Vec<BuildKey>)> {
        let (observer, mode) = self.subscriber?;
        (mode >= Mode::Steps).then(|| (observer, self.builds.keys().cloned().collect()))
    }
}

impl<O: Office> Client<O> {
    /// Says how long the steps of a build still take, to who hears of logs.
    pub(super) async fn tell_steps_left(&mut self, key: &BuildKey, left: &[StepLeft]) {
        let Some((observer, Mode::Logs | Mode::Full)) = self.listener.subscriber else {
            return;
        };
        let heard = self.listener.builds.get(key);
        let told = heard.and_then(|it| it.told.clone()).unwrap_or_default();
        let Ok(Some((_, steps))) = self.office.build(key).await else {
            return;
        };
        for ((step, told), left) in steps.iter().zip(told).zip(left) {
            let runs = told.started && step.finished.is_none();
            if runs && *left != StepLeft::default() {
                let mut places = self.step(key, step);
                places.extend([eta(left.seconds), expectations(left)]);
                self.tell(observer, "stepETAUpdate", places);
            }
        }
    }

    pub(super) async fn of_status(&mut self, method: &str, arguments: &Arguments) -> Answer {
        let name = || match arguments.get(0, "name").and_then(Value::as_text) {
            Some(name) => Ok(name),
            None => Err(runtime("a name is missing")),
        };
        let value = match method {
            "ping" => Value::text("pong"),
            "subscribe" => {
                let mode = arguments.get(0, "mode").and_then(Value::as_text);
                let mode = MODES.iter().find(|it| Some(it.0) == mode.as_deref());
                let Some((_, mode)) = mode else {
                    let known = MODES.map(|it| format!("`{}`", it.0)).join(", ");
                    return Err(runtime(format!("there are the modes {known}")));
                };
                let wanted = arguments.get(1, "interval").and_then(Value::as_float);
                self.set_pace(wanted);
                let places = arguments.places.iter().skip(2).cloned();
                let observer = observer(&Arguments::places(places.collect::<Vec<_>>()))?;
                self.listener = Listener {
                    subscriber: Some((observer, *mode)),
                    are_builders_stale: true,
                    ..Listener::default()
                };
                Value::None
            }
            "unsubscribe" => {
                self.listener = Listener::default();
                Value::None
            }
            "getBuilderNames" => {
                let all = self.office.builders().await;
                let names = all.iter().map(|it| Value::text(it.name.as_str()));
                Value::List(names.collect())
            }
            "getBuilder" => {
                let name = BuilderName::from(name()?);
                self.seen(&name).await?;
                self.broker.object(&Thing::Builder(name))
            }
            "getSlave" => {
                let name = SlaveName::from(name()?);
                match self.office.is_connected(&name) {
                    Some(_) => self.broker.object(&Thing::Slave(name)),
                    None => return Err(runtime(format!("there is no slave `{name}`"))),
                }
            }
            "getBuildSets" => {
                let all = self.office.buildsets().await.map_err(runtime)?;
                let mut pairs = Vec::new();
                for (id, name, wished) in all {
                    self.remember(id, wished);
                    let object = self.broker.object(&Thing::Buildset(id));
                    let name = name.map_or(Value::None, Value::text);
                    pairs.push(Value::Tuple(vec![object, name]));
                }
                Value::List(pairs)
            }
            _ => return Err(no_perspective(method)),
        };
        Ok(value.into())
    }

    /// A builder that this client may see.
    pub(super) async fn seen(&self, name: &BuilderName) -> Result<BuilderSeen, super::Failure> {
        let mut all = self.office.builders().await.into_iter();
        let found = all.find(|it| it.name == *name);
        found.ok_or_else(|| runtime(format!("there is no builder `{name}`")))
    }

    fn tell(&mut self, observer: u64, method: &str, places: Vec<Value>) {
        let call = Arguments::places(places);
        self.broker.call(observer, method, call);
    }

    /// Tells what is new to who listens, as long as it takes it.
    pub(super) async fn look_at_status(&mut self) {
        let Some((observer, mode)) = self.listener.subscriber else {
            return;
        };
        if std::mem::take(&mut self.listener.are_builders_stale) {
            self.look_at_builders(observer, mode).await;
        }
        while self.broker.out.len() < MOST_WAITING
            && let Some(build) = self.listener.stale.pop_first()
        {
            self.look_at_listened(observer, mode, build).await;
        }
    }

    async fn look_at_builders(&mut self, observer: u64, mode: Mode) {
        let seen = self.office.builders().await;
        let gone: Vec<BuilderName> = self
            .listener
            .builders
            .keys()
            .filter(|name| seen.iter().all(|it| it.name != **name))
            .cloned()
            .collect();
        for name in gone {
            self.listener.builders.remove(&name);
            self.tell(observer, "builderRemoved", vec![Value::text(name.as_str())]);
        }
        for builder in seen {
            let name = builder.name.clone();
            if builder.state != BUILDING && self.listener.hears_a_build_of(&name) {
                // Its end is told first, which looks here again.
                continue;
            }
            let before = self.listener.builders.insert(name.clone(), builder.state);
            let word = || Value::text(name.as_str());
            if before.is_none() {
                let object = self.broker.object(&Thing::Builder(name.clone()));
                self.tell(observer, "builderAdded", vec![word(), object]);
                for build in builder.running {
                    let heard = self.listener.builds.entry(build.clone()).or_default();
                    heard.is_old = true;
                    self.listener.stale.insert(build);
                }
            }
            if mode >= Mode::Builds && before != Some(builder.state) {
                let places = vec![word(), Value::text(builder.state), Value::None];
                self.tell(observer, "builderChangedState", places);
            }
        }
    }

    async fn look_at_listened(&mut self, observer: u64, mode: Mode, key: BuildKey) {
        let Ok(Some((record, steps))) = self.office.build(&key).await else {
            self.listener.builds.remove(&key);
            self.look_at_builders(observer, mode).await;
            return;
        };
        let Some(mut heard) = self.listener.builds.remove(&key) else {
            return;
        };
        let name = || Value::text(key.builder.as_str());
        let is_old = heard.is_old;
        if heard.told.is_none() && mode >= Mode::Builds && !is_old {
            // A short build may be over before anybody looked.
            let builders = &mut self.listener.builders;
            if builders.insert(key.builder.clone(), BUILDING) != Some(BUILDING) {
                let places = vec![name(), Value::text(BUILDING), Value::None];
                self.tell(observer, "builderChangedState", places);
            }
            let build = self.broker.object(&Thing::Build(key.clone()));
            self.tell(observer, "buildStarted", vec![name(), build]);
        }
        let told = heard.told.get_or_insert_with(|| match is_old {
            true => begin(&steps),
            false => Vec::new(),
        });
        told.resize(told.len().max(steps.len()), Told::default());
        let mut is_whole = true;
        for (told, step) in told.iter_mut().zip(&steps) {
            if mode < Mode::Steps || told.finished || step.started.is_none() {
                continue;
            }
            if !told.started {
                told.started = true;
                let places = self.step(&key, step);
                self.tell(observer, "stepStarted", places);
            }
            if mode >= Mode::Logs {
                for log in &step.logs {
                    is_whole &= self
                        .look_at_log(observer, mode, (&key, step, log), &mut heard.logs)
                        .await;
                }
            }
            if let (Some(outcome), true) =
                (step.outcome.filter(|_| step.finished.is_some()), is_whole)
            {
                told.finished = true;
                let mut places = self.step(&key, step);
                let text = step.text.iter().map(Value::text).collect();
                let result = vec![Value::Int(outcome.code()), Value::List(text)];
                places.push(Value::Tuple(result));
                self.tell(observer, "stepFinished", places);
            }
        }
        match record.outcome {
            // It goes on when there is room for it.
            _ if !is_whole => {
                self.listener.stale.insert(key.clone());
                self.listener.builds.insert(key, heard);
            }
            None => drop(self.listener.builds.insert(key, heard)),
            Some(outcome) => {
                if mode >= Mode::Builds {
                    let build = self.broker.object(&Thing::Build(key.clone()));
                    let places = vec![name(), build, Value::Int(outcome.code())];
                    self.tell(observer, "buildFinished", places);
                }
                self.look_at_builders(observer, mode).await;
            }
        }
    }

    /// What calls about a step begin with.
    fn step(&mut self, key: &BuildKey, step: &StepRecord) -> Vec<Value> {
        let build = self.broker.object(&Thing::Build(key.clone()));
        let object = self.broker.object(&Thing::Step(key.clone(), step.number));
        let builder = Value::text(key.builder.as_str());
        vec![builder, build, Value::text(&step.name), object]
    }

    /// Tells what is new of a log; whether that is all, as far as the step has come.
    async fn look_at_log(
        &mut self,
        observer: u64,
        mode: Mode,
        (key, step, log): (&BuildKey, &StepRecord, &LogRecord),
        logs: &mut BTreeMap<(u32, String), Option<u64>>,
    ) -> bool {
        let place = (step.number, log.name.clone());
        let mut places = self.step(key, step);
        let thing = Thing::Log(key.clone(), step.number, log.name.clone());
        let object = self.broker.object(&thing);
        places.extend([Value::text(&log.name), object]);
        let is_over = log.complete || step.finished.is_some();
        let mut at = match logs.get(&place) {
            None => {
                self.tell(observer, "logStarted", places.clone());
                0
            }
            Some(Some(at)) => *at,
            Some(None) => return true,
        };
        let mut is_all = mode < Mode::Full;
        while !is_all {
            if self.broker.out.len() >= MOST_WAITING {
                logs.insert(place, Some(at));
                return false;
            }
            // What cannot be read is left out.
            let Ok(piece) = self.office.log(key, &log.file, at).await else {
                break;
            };
            at = piece.next;
            for (channel, data) in piece.chunks {
                let mut places = places.clone();
                let channel = Value::Int(channel_number(channel));
                places.extend([channel, Value::Bytes(data)]);
                self.tell(observer, "logChunk", places);
            }
            is_all = piece.is_all;
        }
        if is_over {
            self.tell(observer, "logFinished", places);
        }
        logs.insert(place, (!is_over).then_some(at));
        true
    }
}

/// As Buildbot counts them.
pub(super) const fn channel_number(channel: Channel) -> i64 {
    match channel {
        Channel::Stdout => 0,
        Channel::Stderr => 1,
        Channel::Header => 2,
    }
}
