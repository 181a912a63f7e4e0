//! A slave of Buildbot between its line and the master. To the master it says what a slave of
//! autobot says; what the master orders becomes calls of the peer's objects. It decides only:
//! messages and bytes in, messages and bytes out.
//!
//! A builder of such a slave runs one command at a time, so orders for one directory wait for each
//! other. Nothing is left of a command when the line breaks.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use crate::model::Channel;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::Mask;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::WireCommand;
use crate::wire::WireFile;
use crate::wire::WireWrite;
use crate::wire::pb::broker::CallId;
use crate::wire::pb::broker::Heard;
use crate::wire::pb::broker::Owed;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::failure::Kind;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::facts::Program;
use super::job::Job;
use super::order;
use super::order::Order;
use super::tongue::Nonsense;
use super::tongue::Place;
use super::tongue::Tongue;
use super::transfer::Block;
use super::transfer::Incoming;
use super::transfer::Outgoing;

/// What an object of this side is to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Object {
    /// What a slave that has logged in can call.
    Avatar,
    /// A command that it runs.
    Command(u64),
    /// Where it sends a file to.
    Writer(u64),
    /// Where it has a file from.
    Reader(u64),
}

/// What a call of this side was for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Asked {
    /// Only that there is an answer.
    Alive,
    /// The objects of its builders.
    Builders,
    /// Whether it runs this command.
    Start(u64),
    /// To end.
    End,
    /// Something whose answer means nothing.
    Nothing,
}

/// What is asked of the slave, and by whom.
struct Task {
    job: Job,
    order: Order,
    incoming: Option<Incoming>,
    /// The files' pieces that go there by this command.
    outgoing: Option<Outgoing>,
    /// The number of the builder's object, from the call on.
    builder: Option<u64>,
    /// Whether the peer has said that it runs it.
    is_started: bool,
}

pub(super) struct Slave<T> {
    pub(super) tongue: T,
    program: Program,
    /// The objects of its builders, by directory.
    builders: BTreeMap<String, u64>,
    /// Directories that it should have.
    wanted: BTreeSet<String>,
    is_asked_for_builders: bool,
    tasks: BTreeMap<u64, Task>,
    last_task: u64,
    /// Commands that the master has not forgotten.
    begun: BTreeSet<CommandId>,
    /// What runs in a directory, and what waits for that.
    lines: BTreeMap<String, VecDeque<u64>>,
    calls: BTreeMap<CallId, Asked>,
    /// For the master.
    pub(super) out: Vec<FromSlave>,
}

impl<T: Tongue> Slave<T> {
    pub(super) fn new(tongue: T, program: Program) -> Self {
        Self {
            tongue,
            program,
            builders: BTreeMap::new(),
            wanted: BTreeSet::new(),
            is_asked_for_builders: false,
            tasks: BTreeMap::new(),
            last_task: 0,
            begun: BTreeSet::new(),
            lines: BTreeMap::new(),
            calls: BTreeMap::new(),
            out: Vec::new(),
        }
    }

    /// What the master says.
    pub(super) fn told(&mut self, message: FromMaster) {
        match message {
            FromMaster::Start {
                id, command, have, ..
            } => {
                // Nothing is begun twice, and nothing that was said is said again.
                let is_new = have.values().all(|it| *it == 0) && self.begun.insert(id);
                match is_new {
                    true => self.start(id, command),
                    false => self.lose(id),
                }
            }
            FromMaster::Interrupt { id, why, .. } => self.interrupt(id, &why),
            FromMaster::Builders { dirs, .. } => {
                self.wanted = dirs.into_iter().collect();
                self.ask_for_builders();
            }
            FromMaster::Ping => {
                let call = self.tongue.ping();
                self.calls.insert(call, Asked::Alive);
            }
            FromMaster::Shutdown => {
                let call = self.tongue.shut_down(None);
                self.calls.insert(call, Asked::End);
            }
            FromMaster::Forget { id } => {
                self.begun.remove(&id);
            }
            // What it said is kept by nobody.
            FromMaster::Ack { .. }
            | FromMaster::Pong
            // Said at the login of an autobot slave, or to one that can answer.
            | FromMaster::Challenge { .. }
            | FromMaster::Welcome { .. }
            | FromMaster::Rejected { .. }
            | FromMaster::Ask { .. } => {}
        }
    }

    /// What the peer says, as far as it has come.
    pub(super) fn heard(&mut self) -> Result<(), Nonsense> {
        while let Some(heard) = self.tongue.next()? {
            match heard {
                Heard::Called {
                    on,
                    method,
                    arguments,
                    owed,
                } => self.called(on, &method, arguments, owed),
                Heard::Answered { call, result } => self.answered(call, result),
                Heard::Released(_) => {}
            }
        }
        Ok(())
    }

    fn called(&mut self, on: Option<Object>, method: &str, arguments: Arguments, owed: Owed) {
        let answer = match (on, method) {
            (Some(Object::Avatar), "keepalive") => Ok(Value::None),
            (Some(Object::Avatar), "shutdown") => {
                self.out.push(FromSlave::GracefulShutdown);
                Ok(Value::None)
            }
            (Some(Object::Command(task)), "update") => {
                if let Some(task) = self.tasks.get_mut(&task)
                    && let Some(updates) = arguments.get(0, "updates")
                {
                    task.job.update(updates, &mut self.out);
                }
                Ok(Value::Int(0))
            }
            (Some(Object::Command(task)), "complete") => {
                let failure = match arguments.get(0, "failure") {
                    Some(Value::Failure(failure)) => Some((**failure).clone()),
                    _ => None,
                };
                self.complete(task, failure);
                Ok(Value::None)
            }
            (Some(Object::Writer(task)), method) => {
                self.write(task, method, arguments);
                // Whatever happens: an error here and the slave never says its own end.
                Ok(Value::None)
            }
            (Some(Object::Reader(task)), "read") => {
                let most = arguments
                    .get(0, "n")
                    .and_then(Value::as_int)
                    .unwrap_or(order::BLOCK);
                let most = usize::try_from(most).unwrap_or(1);
                return self.read(task, owed, most);
            }
            (Some(Object::Reader(_)), _) => Ok(Value::None),
            (_, method) => {
                let what = format!("No such method: remote_{method}");
                Err(Failure::new(Kind::NoMethod, what))
            }
        };
        self.tongue.answer(owed, answer);
    }

    fn answered(&mut self, call: CallId, result: Result<Value, Failure>) {
        match (self.calls.remove(&call), result) {
            (Some(Asked::Alive), Ok(_)) => self.out.push(FromSlave::Pong),
            (Some(Asked::Builders), Ok(objects)) => {
                self.is_asked_for_builders = false;
                let old = std::mem::take(&mut self.builders);
                if let Value::Dict(pairs) = objects {
                    for (name, object) in pairs {
                        if let (Some(name), Value::Theirs(object)) = (name.as_text(), object) {
                            self.builders.insert(name, object);
                        }
                    }
                }
                for object in old.into_values() {
                    if !self.builders.values().any(|it| *it == object) {
                        self.tongue.release(object);
                    }
                }
                self.go_on();
            }
            (Some(Asked::Builders), Err(failure)) => {
                self.is_asked_for_builders = false;
                let why = format!("it does not take its builders: {}", failure.value);
                let waiting = self.tasks.iter().filter(|(_, it)| it.builder.is_none());
                let waiting: Vec<u64> = waiting.map(|(task, _)| *task).collect();
                for task in waiting {
                    self.refuse(task, &why);
                }
            }
            (Some(Asked::Start(task)), Ok(_)) => {
                if let Some(task) = self.tasks.get_mut(&task)
                    && !task.is_started
                {
                    task.is_started = true;
                    let id = task.job.id;
                    self.out.push(FromSlave::Started { id });
                }
            }
            (Some(Asked::Start(task)), Err(failure)) => {
                let why = failure.value.trim();
                let name = self.tasks.get(&task).map_or("", |it| it.order.name);
                let who = self.program.name();
                let why = match failure.is("UnknownCommand") {
                    true => format!(
                        "{who} does not know the command `{name}`; a later version, or autobot's own slave, does"
                    ),
                    false => format!("{who} did not start the command `{name}`: {why}"),
                };
                self.refuse(task, &why);
            }
            // A peer that answers with an error has answered.
            (Some(Asked::Alive), Err(_)) => self.out.push(FromSlave::Pong),
            (Some(Asked::End), Err(failure)) if failure.is_no_method() => {
                // A slave before 0.8.3; it ends without an answer.
                if let Some(builder) = self.builders.values().next() {
                    let call = self.tongue.shut_down(Some(*builder));
                    self.calls.insert(call, Asked::Nothing);
                }
            }
            (Some(Asked::End | Asked::Nothing) | None, _) => {}
        }
    }

    fn find(&self, id: CommandId) -> Option<u64> {
        let found = self.tasks.iter().find(|(_, it)| it.job.id == id);
        found.map(|(task, _)| *task)
    }

    /// What it said once cannot be said again.
    fn lose(&mut self, id: CommandId) {
        if let Some(task) = self.find(id) {
            self.stop(task, "what it said was not kept by the master");
        }
        let why = "a slave of Buildbot keeps nothing of a command over a broken line";
        let exit = Exit::new(-1, ExitCause::Lost(why.to_owned()), 0);
        let job = Job::new(id, &[], "");
        job.end(exit, &mut self.out);
    }

    fn start(&mut self, id: CommandId, command: WireCommand) {
        self.last_task += 1;
        let task = self.last_task;
        let mut masks = Vec::new();
        let mut incoming = None;
        let mut line = None;
        let order = match &command {
            WireCommand::Shell(shell) => {
                let secret = shell.secrets.iter().map(|it| Mask {
                    text: it.text.clone(),
                    shown: it.shown.clone(),
                });
                let hidden = shell.mask.iter().map(|it| Mask {
                    text: it.clone(),
                    shown: "XXXX".to_owned(),
                });
                masks = secret.chain(hidden).collect();
                order::shell(shell, &self.program)
            }
            WireCommand::File(WireFile::Upload(upload)) => {
                incoming = Some(Incoming::new(upload));
                let writer = self.tongue.object(&Object::Writer(task));
                Ok(order::upload(upload, &self.program, writer))
            }
            WireCommand::File(WireFile::Write(piece)) => {
                let job = Job::new(id, &[], &self.program.basedir);
                return self.write_piece(task, job, piece.clone());
            }
            WireCommand::File(file) => {
                if let WireFile::Rmdir { why: Some(why), .. } = file {
                    line = Some(format!("{why}\n"));
                }
                order::file(file, &self.program)
            }
        };
        let mut job = Job::new(id, &masks, &self.program.basedir);
        match order {
            Ok(order) => {
                if let Some(line) = line {
                    job.say(Channel::Header, &line, &mut self.out);
                }
                self.queue(
                    task,
                    Task {
                        job,
                        order,
                        incoming,
                        outgoing: None,
                        builder: None,
                        is_started: false,
                    },
                );
            }
            Err(why) => self.out.push(FromSlave::Refused { id, why }),
        }
    }

    /// A piece of a file: the first one begins a command, the others go to that.
    fn write_piece(&mut self, task: u64, mut job: Job, piece: WireWrite) {
        let open = self.tasks.iter_mut().find(|(_, it)| {
            let of = it.outgoing.as_ref();
            of.is_some_and(|it| {
                it.path == piece.path
                    && it.version == piece.version
                    && it.job().is_none()
                    && !it.is_over
            })
        });
        if piece.offset == 0 {
            if let Some((old, _)) = open {
                let old = *old;
                self.stop(old, "the file is sent anew");
            }
            let reader = self.tongue.object(&Object::Reader(task));
            let order = order::download(&piece.path, piece.mode, &self.program, reader);
            let mut outgoing = Outgoing::of(&piece);
            outgoing.bring(task, piece);
            return self.queue(
                task,
                Task {
                    job,
                    order,
                    incoming: None,
                    outgoing: Some(outgoing),
                    builder: None,
                    is_started: false,
                },
            );
        }
        let Some((command, open)) = open.filter(|(_, it)| {
            it.outgoing
                .as_ref()
                .is_some_and(|it| it.end == piece.offset)
        }) else {
            // It begins anew when it hears that there is nothing.
            let written = crate::model::Written {
                end: 0,
                size: piece.size,
                version: piece.version,
            };
            job.say(Channel::Stdout, &format!("{written}\n"), &mut self.out);
            job.ended(0);
            return job.finish(&mut self.out);
        };
        let command = *command;
        // The piece's command takes the place of the one before it.
        open.job = job;
        let id = open.job.id;
        let block = open
            .outgoing
            .as_mut()
            .and_then(|it| it.bring(command, piece));
        self.out.push(FromSlave::Started { id });
        self.give(command, block);
    }

    fn queue(&mut self, number: u64, mut task: Task) {
        if task.order.dir.is_empty() {
            // Any builder will do for what lies elsewhere; best one that has nothing else to do.
            let dirs = self.builders.keys().chain(&self.wanted);
            let idle = dirs.clone().find(|it| !self.lines.contains_key(*it));
            let any = idle.or_else(|| dirs.clone().next());
            task.order.dir = any.cloned().unwrap_or_else(|| ".".to_owned());
        }
        let line = self.lines.entry(task.order.dir.clone()).or_default();
        line.push_back(number);
        let first = line.front().copied();
        self.tasks.insert(number, task);
        // A file of which no more will come is in the way.
        if let Some(first) = first.filter(|it| *it != number)
            && let Some(open) = self.tasks.get(&first)
            && open.outgoing.as_ref().is_some_and(|it| it.job().is_none())
        {
            self.stop(first, "no more of the file comes");
        }
        self.go_on();
    }

    /// Begins what is first in its line and has a builder.
    fn go_on(&mut self) {
        let first = |line: &VecDeque<u64>| line.front().copied();
        let due: Vec<u64> = self.lines.values().filter_map(first).collect();
        let mut lacks = false;
        for number in due {
            let Some(task) = self.tasks.get_mut(&number) else {
                continue;
            };
            if task.builder.is_some() {
                continue;
            }
            let Some(builder) = self.builders.get(&task.order.dir).copied() else {
                lacks = true;
                continue;
            };
            task.builder = Some(builder);
            let name = task.job.id.to_string();
            let place = Place { builder, number };
            let call = self.tongue.start(place, &name, &task.order);
            self.calls.insert(call, Asked::Start(number));
        }
        if lacks {
            self.ask_for_builders();
        }
    }

    /// Tells which builders there are: those of the configuration, and those that still do something.
    fn ask_for_builders(&mut self) {
        if self.is_asked_for_builders {
            return;
        }
        let mut dirs = self.wanted.clone();
        dirs.extend(self.lines.keys().cloned());
        let has_all = dirs.iter().all(|it| self.builders.contains_key(it));
        if has_all && dirs.len() == self.builders.len() {
            return;
        }
        if let Some(call) = self.tongue.list_builders(dirs.iter()) {
            self.is_asked_for_builders = true;
            self.calls.insert(call, Asked::Builders);
        } else {
            self.builders = dirs.into_iter().map(|it| (it, 0)).collect();
            self.go_on();
        }
    }

    fn write(&mut self, number: u64, method: &str, mut arguments: Arguments) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        let Some(incoming) = &mut task.incoming else {
            return;
        };
        let was_wrong = incoming.wrong.is_some();
        let argument = match arguments.places.is_empty() {
            true => Value::None,
            false => arguments.places.swap_remove(0),
        };
        match method {
            "write" => {
                let bytes = argument.into_bytes().unwrap_or_default();
                incoming.write(bytes, &mut task.job, &mut self.out);
            }
            "unpack" => incoming.unpack(&mut task.job, &mut self.out),
            "utime" => incoming.utime(&argument),
            _ => {}
        }
        if let (false, Some(why), Some(builder)) = (was_wrong, &incoming.wrong, task.builder) {
            let why = why.clone();
            task.job
                .say(Channel::Stderr, &format!("{why}\n"), &mut self.out);
            self.call_off(Place { builder, number }, &why);
        }
    }

    fn read(&mut self, number: u64, owed: Owed, most: usize) {
        let outgoing = self
            .tasks
            .get_mut(&number)
            .and_then(|it| it.outgoing.as_mut());
        match outgoing {
            Some(outgoing) => {
                let block = outgoing.read(owed, most);
                self.give(number, block);
            }
            None => self.tongue.answer(owed, Ok(Value::Bytes(Vec::new()))),
        }
    }

    /// Gives a block to the slave; a piece that it has whole is acknowledged.
    fn give(&mut self, number: u64, block: Option<Block>) {
        if let Some(Block(owed, bytes)) = block {
            self.tongue.answer(owed, Ok(bytes));
        }
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        let Some((_, written)) = task.outgoing.as_mut().and_then(Outgoing::taken) else {
            return;
        };
        // The next piece brings a command of its own; until then there is none to speak for.
        let id = task.job.id;
        let mut job = std::mem::replace(&mut task.job, Job::new(id, &[], &self.program.basedir));
        job.say(Channel::Stdout, &format!("{written}\n"), &mut self.out);
        job.ended(0);
        job.finish(&mut self.out);
    }

    fn interrupt(&mut self, id: CommandId, why: &str) {
        let Some(number) = self.find(id) else { return };
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        task.job.is_interrupted = true;
        if task.builder.is_none() {
            if let Some(task) = self.take(number) {
                let exit = Exit::new(-1, ExitCause::Interrupted, 0);
                task.job.end(exit, &mut self.out);
            }
            return self.go_on();
        }
        self.stop(number, why);
    }

    /// Has the peer end a command.
    fn stop(&mut self, number: u64, why: &str) {
        let Some(task) = self.tasks.get_mut(&number) else {
            return;
        };
        let block = task.outgoing.as_mut().and_then(Outgoing::give_up);
        let builder = task.builder;
        if let Some(Block(owed, bytes)) = block {
            self.tongue.answer(owed, Ok(bytes));
        }
        if let Some(builder) = builder {
            self.call_off(Place { builder, number }, why);
        }
    }

    fn call_off(&mut self, place: Place, why: &str) {
        let call = self.tongue.interrupt(place, why);
        self.calls.insert(call, Asked::Nothing);
    }

    /// The peer has ended a command.
    fn complete(&mut self, number: u64, failure: Option<Failure>) {
        let Some(mut task) = self.take(number) else {
            return;
        };
        let is_idle_file = task.outgoing.as_ref().is_some_and(|it| it.job().is_none());
        if is_idle_file {
            // Nobody waits for what came of it: each of its pieces was acknowledged.
            return self.go_on();
        }
        if !task.is_started {
            let id = task.job.id;
            self.out.push(FromSlave::Started { id });
        }
        if let Some(failure) = failure.filter(|_| !task.job.is_interrupted) {
            let name = task.order.name;
            let who = self.program.name();
            let why = format!("{who} broke off `{name}`: {}", failure.value.trim());
            let id = task.job.id;
            self.out.push(FromSlave::Refused { id, why });
            return self.go_on();
        }
        if let Some(incoming) = task.incoming.take() {
            incoming.settle(&mut task.job);
        }
        if let Some(outgoing) = &task.outgoing
            && task.job.rc().unwrap_or(0) == 0
        {
            let written = outgoing.written(outgoing.size());
            task.job
                .say(Channel::Stdout, &format!("{written}\n"), &mut self.out);
            task.job.ended(0);
        }
        task.job.finish(&mut self.out);
        self.go_on();
    }

    fn refuse(&mut self, number: u64, why: &str) {
        if let Some(task) = self.take(number) {
            self.out.push(FromSlave::Refused {
                id: task.job.id,
                why: why.to_owned(),
            });
        }
        self.go_on();
    }

    /// Takes a command out of the books.
    fn take(&mut self, number: u64) -> Option<Task> {
        let task = self.tasks.remove(&number)?;
        self.tongue.forget(number);
        if let Some(line) = self.lines.get_mut(&task.order.dir) {
            line.retain(|it| *it != number);
            if line.is_empty() {
                self.lines.remove(&task.order.dir);
            }
        }
        Some(task)
    }
}
