//! The books of a line of messages: which request waits for its response, and which command a name
//! stands for. What is heard becomes calls of the objects of the older protocol.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use crate::wire::msgpack::said;
use crate::wire::msgpack::said::Said;
use crate::wire::pb::broker::CallId;
use crate::wire::pb::broker::Heard;
use crate::wire::pb::broker::Owed;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::failure::Kind;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::order::Order;
use super::paths::Paths;
use super::slave::Object;
use super::tongue::Nonsense;
use super::tongue::Place;
use super::tongue::Tongue;

/// The settings of Buildbot's own master, but for two. What is printed is to be seen soon, and a
/// long line is cut with the loss of some of it, so it may be long.
const SETTINGS: [(&str, Setting); 4] = [
    ("buffer_size", Setting::Number(64 << 10)),
    ("buffer_timeout", Setting::Number(1)),
    ("max_line_length", Setting::Number(1 << 20)),
    (
        "newline_re",
        Setting::Text(r"(\r\n|\r(?=.)|\033\[u|\033\[[0-9]+;[0-9]+[Hf]|\033\[2J|\x08+)"),
    ),
];

#[derive(Clone, Copy)]
enum Setting {
    Number(i64),
    Text(&'static str),
}

#[derive(Default)]
pub(super) struct Packed {
    paths: Paths,
    heard: VecDeque<Vec<u8>>,
    /// Messages that are to be sent.
    pub(super) out: VecDeque<Vec<u8>>,
    last_request: i64,
    waiting: BTreeSet<i64>,
    /// The commands that run, by the names that they have on the line, and back.
    commands: BTreeMap<String, u64>,
    names: BTreeMap<u64, String>,
}

impl Packed {
    pub(super) fn hear(&mut self, message: Vec<u8>) {
        self.heard.push_back(message);
    }

    /// From here on it is known where the slave has its directories.
    pub(super) fn learn(&mut self, paths: Paths) {
        self.paths = paths;
    }

    pub(super) fn request(&mut self, op: &str, fields: Vec<(&str, Value)>) -> CallId {
        let number = self.last_request;
        self.last_request += 1;
        self.waiting.insert(number);
        self.out.push_back(said::request(number, op, fields));
        CallId::of(number)
    }

    /// Says how what commands print is to be sent.
    pub(super) fn set_up(&mut self) -> CallId {
        let settings = SETTINGS.map(|(name, setting)| {
            let value = match setting {
                Setting::Number(number) => Value::Int(number),
                Setting::Text(text) => Value::text(text),
            };
            (name, value)
        });
        let settings = vec![("args", Value::dict(settings))];
        self.request("set_worker_settings", settings)
    }

    /// It matters to nobody if there is no such command.
    pub(super) fn interrupt_by_name(&mut self, name: &str, why: &str) -> CallId {
        let fields = vec![("command_id", Value::text(name)), ("why", Value::text(why))];
        self.request("interrupt_command", fields)
    }

    /// The names of what runs.
    pub(super) fn running(&self) -> impl Iterator<Item = &String> {
        self.commands.keys()
    }

    /// The call that a request is; `None` if there is no such request.
    fn called(&self, op: &str, mut fields: Value) -> Option<(Object, &'static str, Arguments)> {
        let name = fields.get("command_id").and_then(Value::as_text);
        let number = name.and_then(|it| self.commands.get(&it).copied());
        // Of what is over: nobody has this number.
        let number = number.unwrap_or_default();
        let (command, writer) = (Object::Command(number), Object::Writer(number));
        let reader = Object::Reader(number);
        let mut take = |key: &str| match &mut fields {
            Value::Dict(pairs) => {
                let found = pairs.iter_mut().find(|it| it.0 == Value::text(key));
                found.map_or(Value::None, |it| std::mem::replace(&mut it.1, Value::None))
            }
            _ => Value::None,
        };
        let (on, method, places) = match op {
            "update" => (command, "update", vec![updates(take("args"))]),
            "complete" => {
                let failure = match take("args") {
                    Value::Text(why) => {
                        Value::Failure(Box::new(Failure::new(Kind::Runtime, reason(&why))))
                    }
                    _ => Value::None,
                };
                (command, "complete", vec![failure])
            }
            "update_upload_file_write" | "update_upload_directory_write" => {
                (writer, "write", vec![take("args")])
            }
            "update_upload_file_close" => (writer, "close", Vec::new()),
            "update_upload_file_utime" => {
                let times = Value::Tuple(vec![take("access_time"), take("modified_time")]);
                (writer, "utime", vec![times])
            }
            "update_upload_directory_unpack" => (writer, "unpack", Vec::new()),
            "update_read_file" => (reader, "read", vec![take("length")]),
            "update_read_file_close" => (reader, "close", Vec::new()),
            _ => return None,
        };
        Some((on, method, Arguments::places(places)))
    }
}

impl Tongue for Packed {
    fn next(&mut self) -> Result<Option<Heard<Object>>, Nonsense> {
        while let Some(message) = self.heard.pop_front() {
            match said::read(&message)? {
                Said::Nothing => {}
                Said::Response { number, result } => {
                    // A response to what was never asked means nothing.
                    if self.waiting.remove(&number) {
                        let call = CallId::of(number);
                        let result = result.map_err(failure);
                        return Ok(Some(Heard::Answered { call, result }));
                    }
                }
                Said::Request { number, op, fields } => {
                    let owed = Owed::to(number);
                    match self.called(&op, fields) {
                        Some((on, method, arguments)) => {
                            return Ok(Some(Heard::Called {
                                on: Some(on),
                                method: method.to_owned(),
                                arguments,
                                owed,
                            }));
                        }
                        None => {
                            let why = format!("Command {op} does not exist.");
                            self.out.push_back(said::response(number, Err(why)));
                        }
                    }
                }
            }
        }
        Ok(None)
    }

    fn answer(&mut self, owed: Owed, result: Result<Value, Failure>) {
        let Some(number) = owed.request() else { return };
        let result = match result {
            // Only content is waited for; all else is said to be well.
            Ok(value @ Value::Bytes(_)) => Ok(value),
            Ok(_) => Ok(Value::None),
            Err(failure) => Err(failure.value),
        };
        self.out.push_back(said::response(number, result));
    }

    fn ping(&mut self) -> CallId {
        self.request("print", vec![("message", Value::text("ping"))])
    }

    fn shut_down(&mut self, _builder: Option<u64>) -> CallId {
        self.request("shutdown", Vec::new())
    }

    fn list_builders<'a>(&mut self, _dirs: impl Iterator<Item = &'a String>) -> Option<CallId> {
        None
    }

    fn start(&mut self, place: Place, name: &str, order: &Order) -> CallId {
        self.commands.insert(name.to_owned(), place.number);
        self.names.insert(place.number, name.to_owned());
        let (command, arguments) = self.paths.absolute(order);
        let fields = vec![
            ("command_id", Value::text(name)),
            ("command_name", Value::text(command)),
            ("args", arguments),
        ];
        self.request("start_command", fields)
    }

    fn interrupt(&mut self, place: Place, why: &str) -> CallId {
        let name = self.names.get(&place.number).cloned().unwrap_or_default();
        self.interrupt_by_name(&name, why)
    }

    fn object(&mut self, _object: &Object) -> Value {
        // Whatever is said of a command has its name with it.
        Value::None
    }

    fn forget(&mut self, number: u64) {
        if let Some(name) = self.names.remove(&number) {
            self.commands.remove(&name);
        }
    }

    fn release(&mut self, _object: u64) {}
}

/// The error of a response, which is a text only.
fn failure(why: String) -> Failure {
    let is_unknown = why.contains("unrecognized WorkerCommand");
    let mut failure = Failure::new(Kind::Runtime, why);
    if is_unknown {
        failure.kind = "UnknownCommand".to_owned();
    }
    failure
}

/// What the error is, of a text that goes on with places in the worker's code.
fn reason(why: &str) -> String {
    let line = why.lines().next().unwrap_or_default();
    let line = line.strip_prefix("[Failure instance: ").unwrap_or(line);
    let class = line.strip_prefix("Traceback: <class '");
    let told = class.and_then(|it| it.split_once("'>: "));
    told.map_or(line, |(_, it)| it).to_owned()
}

/// The updates of one message as the older protocol has them. Of texts only the text is left: where
/// its lines end is seen, and when they came is counted here.
fn updates(pairs: Value) -> Value {
    let Value::List(pairs) = pairs else {
        return Value::List(Vec::new());
    };
    let text = |value: Value| match value {
        Value::List(parts) => parts.into_iter().next().unwrap_or(Value::None),
        other => other,
    };
    let update = |pair: Value| {
        let Value::List(pair) = pair else { return None };
        let [key, value] = <[Value; 2]>::try_from(pair).ok()?;
        let value = match (key.as_text()?.as_str(), value) {
            ("stdout" | "stderr" | "header", value) => text(value),
            ("log", Value::List(log)) => {
                let [name, data] = <[Value; 2]>::try_from(log).ok()?;
                Value::Tuple(vec![name, text(data)])
            }
            (_, value) => value,
        };
        let pair = Value::Dict(vec![(key, value)]);
        Some(Value::List(vec![pair, Value::Int(0)]))
    };
    Value::List(pairs.into_iter().filter_map(update).collect())
}
