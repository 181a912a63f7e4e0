//! The methods of what a try job is given: its buildset, the requests, and their builds.

use crate::model::BuildKey;
use crate::model::BuildRecord;
use crate::model::BuilderName;
use crate::model::BuildsetId;
use crate::model::Channel;
use crate::model::Outcome;
use crate::model::RequestId;
use crate::model::StepRecord;
use crate::model::Timestamp;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::Answer;
use super::BuildLeft;
use super::Client;
use super::Office;
use super::Reply;
use super::StepLeft;
use super::Thing;
use super::Wished;
use super::listener::channel_number;
use super::no_method;
use super::runtime;

/// What fits into one text of the protocol.
const LONGEST_LOG: usize = 640 << 10;
/// Pieces that a log may come in.
const MOST_CHUNKS: usize = 1 << 14;

/// What has no build says it with these words.
const UNBUILT: &str = "cancelled";

impl<O: Office> Client<O> {
    pub(super) async fn of_buildset(&mut self, id: BuildsetId, method: &str) -> Answer {
        let known = self.buildsets.iter().find(|(it, _)| *it == id);
        let Some((_, wished)) = known.cloned() else {
            return Err(runtime("this job is too long ago"));
        };
        let value = match method {
            "waitUntilFinished" => {
                self.watch.reserve()?;
                let requests = wished.into_iter().map(|(request, _)| request);
                return Ok(Reply::AllOver(id, requests.collect()));
            }
            "getBuildRequests" => {
                let pair = |(request, builder): Wished| {
                    let name = Value::text(builder.as_str());
                    let thing = Thing::Request(request, builder);
                    Value::Tuple(vec![name, self.broker.object(&thing)])
                };
                Value::List(wished.into_iter().map(pair).collect())
            }
            "getID" => Value::text(id.to_string()),
            "getBuilderNames" => {
                let names = wished.iter().map(|(_, it)| Value::text(it.as_str()));
                Value::List(names.collect())
            }
            "getReason" | "isFinished" | "getResults" => {
                let ids = wished.iter().map(|(id, _)| *id).collect();
                let all = self.office.requests(ids).await.map_err(runtime)?;
                let worst = all.iter().filter_map(|it| it.outcome);
                let worst = worst.reduce(Outcome::worst);
                let is_over = all.iter().all(|it| it.outcome.is_some());
                match method {
                    "getReason" => {
                        let reason = all.first().map(|it| it.reason.as_str());
                        Value::text(reason.unwrap_or_default())
                    }
                    "isFinished" => Value::Bool(is_over),
                    _ => match worst.filter(|_| is_over) {
                        Some(outcome) => Value::Int(outcome.code()),
                        None => Value::None,
                    },
                }
            }
            _ => return Err(no_method(method)),
        };
        Ok(value.into())
    }

    pub(super) async fn of_request(
        &mut self,
        id: RequestId,
        builder: BuilderName,
        method: &str,
        arguments: &Arguments,
    ) -> Answer {
        match method {
            "getBuilderName" => return Ok(Value::text(builder.as_str()).into()),
            "subscribe" => {
                let observer = observer(arguments)?;
                self.watch.subscribe_request(id, builder, observer)?;
            }
            "unsubscribe" => self.watch.unsubscribe_request(id, observer(arguments)?),
            _ => return Err(no_method(method)),
        }
        Ok(Value::None.into())
    }

    pub(super) async fn of_build(
        &mut self,
        key: BuildKey,
        method: &str,
        arguments: &Arguments,
    ) -> Answer {
        match method {
            "getBuilderName" => return Ok(Value::text(key.builder.as_str()).into()),
            "getNumber" => return Ok(Value::Int(key.number).into()),
            "subscribe" => {
                self.watch.subscribe_build(&key, observer(arguments)?)?;
                return Ok(Value::None.into());
            }
            "unsubscribe" => {
                self.watch.unsubscribe_build(&key, observer(arguments)?);
                return Ok(Value::None.into());
            }
            "waitUntilFinished" => {
                self.watch.reserve()?;
                return Ok(Reply::Over(key));
            }
            "getETA" => {
                return Ok(eta(self.left_of(key).await.seconds).into());
            }
            _ => {}
        }
        let found = self.office.build(&key).await.map_err(runtime)?;
        let Some((record, steps)) = found else {
            // Without a result the client would fail, and its build is gone.
            return match method {
                "getResults" => Ok(Value::Int(Outcome::Exception.code()).into()),
                "getText" => Ok(Value::List(vec![Value::text("forgotten")]).into()),
                _ => Err(runtime(format!("build {key} is forgotten"))),
            };
        };
        match fact(&record, &steps, method) {
            Some(value) => Ok(value.into()),
            None => Err(no_method(method)),
        }
    }

    pub(super) async fn of_builder(
        &mut self,
        name: BuilderName,
        method: &str,
        arguments: &Arguments,
    ) -> Answer {
        let value = match method {
            "getName" => Value::text(name.as_str()),
            "getLastFinishedBuild" => {
                let last = self.office.last_build(&name).await.map_err(runtime)?;
                last.map_or(Value::None, |it| self.broker.object(&Thing::Build(it)))
            }
            "getBuild" => {
                let number = arguments.get(0, "number").and_then(Value::as_int);
                let number = number.ok_or_else(|| runtime("a build has a number"))?;
                let builder = name;
                let key = BuildKey { builder, number };
                let found = self.office.build(&key).await.map_err(runtime)?;
                found.map_or(Value::None, |_| self.broker.object(&Thing::Build(key)))
            }
            "getEvent" => Value::None,
            "getCategory" | "getState" | "getSlaves" | "getCurrentBuilds" => {
                let seen = self.seen(&name).await?;
                let running = seen.running.into_iter();
                match method {
                    "getCategory" => seen.category.map_or(Value::None, Value::text),
                    "getSlaves" => {
                        let slaves = seen.slaves.into_iter().map(Thing::Slave);
                        Value::List(slaves.map(|it| self.broker.object(&it)).collect())
                    }
                    method => {
                        let builds = running.map(|it| self.broker.object(&Thing::Build(it)));
                        let builds = Value::List(builds.collect());
                        match method {
                            "getState" => {
                                Value::Tuple(vec![Value::text(seen.state), Value::None, builds])
                            }
                            _ => builds,
                        }
                    }
                }
            }
            _ => return Err(no_method(method)),
        };
        Ok(value.into())
    }

    /// How long a build still takes.
    async fn left_of(&self, key: BuildKey) -> BuildLeft {
        let left = self.office.left(vec![key]).await.pop();
        left.map(|it| it.1).unwrap_or_default()
    }

    /// The step, while it is there.
    async fn step_of(&self, (key, number): (&BuildKey, u32)) -> Result<StepRecord, Failure> {
        let found = self.office.build(key).await.map_err(runtime)?;
        let steps = found.map(|it| it.1).unwrap_or_default();
        let mut steps = steps.into_iter();
        let step = steps.find(|it| it.number == number);
        step.ok_or_else(|| runtime(format!("a step of build {key} is forgotten")))
    }

    pub(super) async fn of_step(&mut self, (key, number): (BuildKey, u32), method: &str) -> Answer {
        if method == "getBuild" {
            return Ok(self.broker.object(&Thing::Build(key)).into());
        }
        let step = self.step_of((&key, number)).await?;
        let texts = || Value::List(step.text.iter().map(Value::text).collect());
        let value = match method {
            "getName" => Value::text(&step.name),
            "getText" => texts(),
            "getTimes" => Value::Tuple(vec![seconds(step.started), seconds(step.finished)]),
            "isFinished" => Value::Bool(step.finished.is_some()),
            "getResults" => {
                let code = step.outcome.map_or(Value::None, |it| Value::Int(it.code()));
                Value::Tuple(vec![code, texts()])
            }
            "getLogs" => {
                let log = |name: &String| Thing::Log(key.clone(), number, name.clone());
                let logs = step.logs.iter().map(|it| log(&it.name));
                Value::List(logs.map(|it| self.broker.object(&it)).collect())
            }
            "getExpectations" | "getETA" => {
                let steps = self.left_of(key).await.steps;
                let place = usize::try_from(number).ok();
                let left = place.and_then(|it| steps.get(it).cloned());
                let left = left.unwrap_or_default();
                match method {
                    "getETA" => eta(left.seconds),
                    _ => expectations(&left),
                }
            }
            _ => return Err(no_method(method)),
        };
        Ok(value.into())
    }

    pub(super) async fn of_log(
        &mut self,
        (key, number, name): (BuildKey, u32, String),
        method: &str,
    ) -> Answer {
        if method == "getName" {
            return Ok(Value::text(name).into());
        }
        let step = self.step_of((&key, number)).await?;
        let log = step.logs.iter().find(|it| it.name == name);
        let log = log.ok_or_else(|| runtime("this log is forgotten"))?;
        let with_headers = method == "getTextWithHeaders";
        let value = match method {
            "isFinished" => Value::Bool(log.complete),
            "getText" | "getTextWithHeaders" | "getChunks" => {
                let chunks = self.read_log(&key, &log.file).await?;
                if method == "getChunks" {
                    let chunk = |(channel, data)| {
                        let number = Value::Int(channel_number(channel));
                        Value::Tuple(vec![number, Value::Bytes(data)])
                    };
                    Value::List(chunks.into_iter().map(chunk).collect())
                } else {
                    let wanted = |it: &&(Channel, Vec<u8>)| with_headers || it.0 != Channel::Header;
                    let text = chunks.iter().filter(wanted);
                    Value::Bytes(text.flat_map(|it| it.1.clone()).collect())
                }
            }
            _ => return Err(no_method(method)),
        };
        Ok(value.into())
    }

    /// A whole log, which may not be longer than one text can be.
    async fn read_log(
        &self,
        build: &BuildKey,
        file: &str,
    ) -> Result<Vec<(Channel, Vec<u8>)>, Failure> {
        let (mut all, mut size, mut at) = (Vec::new(), 0, 0);
        loop {
            let piece = self.office.log(build, file, at).await.map_err(runtime)?;
            size += piece.chunks.iter().map(|it| it.1.len()).sum::<usize>();
            if size > LONGEST_LOG || all.len() > MOST_CHUNKS {
                return Err(runtime(format!(
                    "the log is longer than {LONGEST_LOG} bytes; the pages have all of it"
                )));
            }
            all.extend(piece.chunks);
            if piece.is_all || piece.next == at {
                return Ok(all);
            }
            at = piece.next;
        }
    }

    /// In the place of a build that there never was: it is over, and says why.
    pub(super) fn of_unbuilt(
        &mut self,
        id: RequestId,
        builder: BuilderName,
        method: &str,
    ) -> Answer {
        let value = match method {
            "getBuilderName" => Value::text(builder.as_str()),
            "subscribe" | "unsubscribe" => Value::None,
            "waitUntilFinished" => self.broker.object(&Thing::Unbuilt(id, builder)),
            "getResults" => Value::Int(Outcome::Exception.code()),
            "getText" => Value::List(vec![Value::text(UNBUILT)]),
            "isFinished" => Value::Bool(true),
            _ => return Err(no_method(method)),
        };
        Ok(value.into())
    }
}

/// The object of the client that is to be told.
pub(super) fn observer(arguments: &Arguments) -> Result<u64, Failure> {
    match arguments.get(0, "observer") {
        Some(Value::Theirs(number)) => Ok(*number),
        Some(other) => Err(runtime(format!(
            "who is to be told is an object, and not {other}"
        ))),
        None => Err(runtime("it is missing who is to be told")),
    }
}

/// What a build says of itself.
fn fact(record: &BuildRecord, steps: &[StepRecord], method: &str) -> Option<Value> {
    let texts = |all: &[String]| Value::List(all.iter().map(Value::text).collect());
    Some(match method {
        "getResults" => match record.outcome {
            Some(outcome) => Value::Int(outcome.code()),
            None => Value::None,
        },
        "getText" => texts(&record.text),
        "getReason" => Value::text(&record.reason),
        "isFinished" => Value::Bool(record.outcome.is_some()),
        "getResponsibleUsers" => texts(&record.blame),
        "getTimes" => Value::Tuple(vec![
            seconds(Some(record.started)),
            seconds(record.finished),
        ]),
        "getSteps" => Value::List(steps.iter().map(|it| Value::text(&it.name)).collect()),
        "getCurrentStep" => {
            let runs = |it: &&StepRecord| it.started.is_some() && it.finished.is_none();
            let step = steps.iter().find(runs);
            step.map_or(Value::None, |it| Value::text(&it.name))
        }
        _ => return None,
    })
}

/// How long something still takes; `None` where nobody knows.
pub(super) fn eta(seconds: Option<f64>) -> Value {
    seconds.map_or(Value::None, Value::Float)
}

/// What a step counts: its name, how far it is, and how far it usually comes.
pub(super) fn expectations(left: &StepLeft) -> Value {
    let number = |it: u64| Value::Int(i64::try_from(it).unwrap_or(i64::MAX));
    let metrics = left.metrics.iter().map(|(name, value, usual)| {
        Value::Tuple(vec![Value::text(name), number(*value), number(*usual)])
    });
    Value::List(metrics.collect())
}

/// A time as Python counts it.
#[expect(clippy::cast_precision_loss, reason = "times of this age")]
pub(super) fn seconds(at: Option<Timestamp>) -> Value {
    at.map_or(Value::None, |it| Value::Float(it.0 as f64 / 1000.0))
}
