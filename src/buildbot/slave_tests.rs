//! The slave in between, played from both sides: what the master says and hears, and what a program
//! of Buildbot says and hears, without a line.

use super::facts::Program;
use super::slave::Object;
use super::slave::Slave;
use super::tongue::Calls;
use crate::logs::record::Reader;
use crate::model::BuildId;
use crate::model::Channel;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::FileResult;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::Upload;
use crate::model::UploadKind;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::WireCommand;
use crate::wire::WireFile;
use crate::wire::WireShell;
use crate::wire::WireWrite;
use crate::wire::pb::banana;
use crate::wire::pb::banana::Decoder;
use crate::wire::pb::banana::Limits;
use crate::wire::pb::broker::Broker;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::failure::Kind;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said;
use crate::wire::pb::said::Arguments;
use crate::wire::pb::said::Receiver;
use crate::wire::pb::said::Said;

/// The object by which the peer is told what to do.
const BOT: u64 = 1;

/// The peer: what it hears is kept, and it answers what it is told to.
pub(super) struct Peer {
    pub(super) slave: Slave<Calls>,
    heard: Decoder,
    calls: Vec<(i128, u64, String, Arguments)>,
    answers: Vec<(i128, Result<Value, Failure>)>,
    last_call: i128,
}

impl Peer {
    /// Of a version of the commands, with the builders `a` and `b`.
    pub(super) fn new(version: &str) -> Self {
        let names = [
            "shell",
            "mkdir",
            "uploadFile",
            "uploadDirectory",
            "downloadFile",
            "stat",
            "listdir",
        ];
        Self::knowing(version, &names)
    }

    /// The same, with these commands only.
    pub(super) fn knowing(version: &str, names: &[&str]) -> Self {
        let names = names.iter();
        let commands = names.map(|it| ((*it).to_owned(), version.to_owned()));
        let program = Program {
            version: "4.3.0".to_owned(),
            commands: commands.collect(),
            is_old: false,
            basedir: "/srv/w1".to_owned(),
        };
        let mut broker = Broker::<Object>::new();
        let mut hello = Vec::new();
        banana::encode_bytes(b"pb", &mut hello);
        broker.hear(&hello);
        broker.trust();
        assert_eq!(broker.next(), Ok(None));
        broker.out.clear();
        let mut heard = Decoder::new(Limits::KNOWN);
        heard.use_words();
        let mut peer = Self {
            slave: Slave::new(Calls { broker, bot: BOT }, program),
            heard,
            calls: Vec::new(),
            answers: Vec::new(),
            last_call: 0,
        };
        peer.slave.told(FromMaster::Builders {
            dirs: vec!["a".to_owned(), "b".to_owned()],
            now_ms: 0,
            remove_after_ms: None,
        });
        let list = peer.call("setBuilderList");
        let builders = [("a", 11), ("b", 12)];
        let builders = builders.map(|(name, number)| (Value::text(name), Value::Ours(number)));
        peer.answer(list.0, Value::Dict(builders.to_vec()));
        peer
    }

    fn listen(&mut self) {
        self.slave.heard().unwrap();
        self.heard
            .push(&std::mem::take(&mut self.slave.tongue.broker.out));
        while let Some(element) = self.heard.next().unwrap() {
            match said::read(element).unwrap() {
                Said::Call {
                    request,
                    receiver: Receiver::Object(object),
                    method,
                    arguments,
                    ..
                } => {
                    self.calls
                        .push((request, object, method, arguments.unwrap()));
                }
                Said::Answer { request, value } => self.answers.push((request, Ok(value.unwrap()))),
                Said::Error { request, failure } => self.answers.push((request, Err(failure))),
                Said::Decref(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// The one call of this method that has come.
    pub(super) fn call(&mut self, method: &str) -> (i128, u64, Arguments) {
        self.listen();
        let place = self.calls.iter().position(|it| it.2 == method);
        let place = place.unwrap_or_else(|| panic!("no {method} among {:?}", self.calls));
        let (request, object, _, arguments) = self.calls.remove(place);
        (request, object, arguments)
    }

    pub(super) fn has_call(&mut self, method: &str) -> bool {
        self.listen();
        self.calls.iter().any(|it| it.2 == method)
    }

    fn say(&mut self, said: &Said) {
        let mut bytes = Vec::new();
        banana::encode(&said::write(said), &mut bytes);
        self.slave.tongue.broker.hear(&bytes);
        self.listen();
    }

    pub(super) fn answer(&mut self, request: i128, value: Value) {
        self.say(&Said::Answer {
            request,
            value: Ok(value),
        });
    }

    pub(super) fn fail(&mut self, request: i128, class: &str, value: &str) {
        let mut failure = Failure::new(Kind::Runtime, value);
        failure.kind = class.to_owned();
        self.say(&Said::Error { request, failure });
    }

    /// Calls an object of the master's side; its answer, if there is one by now.
    pub(super) fn ask(
        &mut self,
        object: u64,
        method: &str,
        places: Vec<Value>,
    ) -> Option<Result<Value, Failure>> {
        self.last_call += 1;
        self.say(&Said::Call {
            request: self.last_call,
            receiver: Receiver::Object(object),
            method: method.to_owned(),
            wants_answer: true,
            arguments: Ok(Arguments::places(places)),
        });
        self.answered(self.last_call)
    }

    fn answered(&mut self, request: i128) -> Option<Result<Value, Failure>> {
        let place = self.answers.iter().position(|it| it.0 == request)?;
        Some(self.answers.remove(place).1)
    }

    pub(super) fn update(&mut self, command: u64, entries: Vec<(&str, Value)>) {
        let entries = entries
            .into_iter()
            .map(|(key, value)| Value::List(vec![Value::dict([(key, value)]), Value::Int(0)]));
        let answer = self.ask(command, "update", vec![Value::List(entries.collect())]);
        assert_eq!(answer, Some(Ok(Value::Int(0))));
    }

    pub(super) fn complete(&mut self, command: u64, failure: Value) {
        let answer = self.ask(command, "complete", vec![failure]);
        assert_eq!(answer, Some(Ok(Value::None)));
    }

    /// What the master has heard since.
    pub(super) fn master(&mut self) -> Vec<FromSlave> {
        std::mem::take(&mut self.slave.out)
    }
}

pub(super) fn id(index: u32) -> CommandId {
    CommandId {
        build: BuildId(1),
        step: 0,
        index,
        attempt: 0,
    }
}

pub(super) fn start(index: u32, command: WireCommand) -> FromMaster {
    FromMaster::Start {
        id: id(index),
        lease: 1,
        command,
        have: [("stdio".to_owned(), 0)].into(),
    }
}

pub(super) fn line(workdir: &str) -> WireCommand {
    let shell = Shell::new(ShellLine::Script("make".to_owned()), workdir);
    WireCommand::Shell(WireShell::from(&shell))
}

/// The object in an order, and which command and builder it is for.
pub(super) fn ordered(peer: &mut Peer) -> (i128, u64, u64, String, Value) {
    let (request, builder, arguments) = peer.call("startCommand");
    let [Value::Theirs(command), _, name, given] = &arguments.places[..] else {
        panic!("{arguments:?}")
    };
    (
        request,
        builder,
        *command,
        name.as_text().unwrap(),
        given.clone(),
    )
}

/// The text of each channel of the one log, and how it ended.
pub(super) fn told(messages: Vec<FromSlave>) -> (String, Option<Exit>) {
    let mut text = String::new();
    let mut exit = None;
    let mut reader = Reader::new();
    let mut end = 0;
    for message in messages {
        match message {
            FromSlave::Output { offset, bytes, .. } => {
                assert_eq!(offset, end, "nothing is missing");
                end += bytes.len() as u64;
                let mut bytes = &bytes[..];
                while let Some((channel, piece)) = reader.next(&mut bytes).unwrap() {
                    let sign = match channel {
                        Channel::Stdout => "",
                        Channel::Stderr => "!",
                        Channel::Header => "#",
                    };
                    text.push_str(sign);
                    text.push_str(&String::from_utf8_lossy(piece));
                }
            }
            FromSlave::Finished { exit: it, logs, .. } => {
                assert_eq!(logs["stdio"], end);
                exit = Some(it);
            }
            _ => {}
        }
    }
    (text, exit)
}

#[test]
fn a_command_line_runs_in_its_builder_and_what_it_says_is_a_log() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, line("b/build")));
    let (request, builder, command, name, given) = ordered(&mut peer);
    assert_eq!((builder, name.as_str()), (12, "shell"));
    assert_eq!(given.get("workdir"), Some(&Value::text("build")));
    assert_eq!(given.get("usePTY"), Some(&Value::Bool(false)));
    peer.answer(request, Value::None);
    assert_eq!(peer.master(), [FromSlave::Started { id: id(0) }]);
    peer.update(command, vec![("header", Value::text("make\n"))]);
    peer.update(
        command,
        vec![
            ("stdout", Value::text("é\n")),
            ("stderr", Value::text("bad\n")),
        ],
    );
    // The end of the output comes behind the exit code.
    peer.update(
        command,
        vec![("rc", Value::Int(2)), ("elapsed", Value::Float(1.5))],
    );
    peer.update(command, vec![("stdout", Value::text("late\n"))]);
    peer.complete(command, Value::None);
    let (text, exit) = told(peer.master());
    assert_eq!(text, "#make\né\n!bad\nlate\n");
    assert_eq!(exit, Some(Exit::new(2, ExitCause::Exited, 1500)));
    // Its object is gone; whoever calls it is told so.
    assert!(peer.ask(command, "update", vec![]).unwrap().is_err());
}

#[test]
fn a_builder_runs_one_command_at_a_time_and_others_run_beside_it() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, line("a/build")));
    peer.slave.told(start(1, line("a/build")));
    peer.slave.told(start(2, line("b/build")));
    let (_, first, command, ..) = ordered(&mut peer);
    let (_, other, ..) = ordered(&mut peer);
    assert_eq!((first, other), (11, 12));
    assert!(!peer.has_call("startCommand"));
    peer.update(command, vec![("rc", Value::Int(0))]);
    peer.complete(command, Value::None);
    let (_, second, ..) = ordered(&mut peer);
    assert_eq!(second, 11);
}

#[test]
fn a_command_that_ends_before_it_was_said_to_run_has_run() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(
        0,
        WireCommand::File(WireFile::Mkdir {
            dir: "a/x".to_owned(),
        }),
    ));
    let (request, _, command, name, given) = ordered(&mut peer);
    assert_eq!(
        (name.as_str(), given.get("dir")),
        ("mkdir", Some(&Value::text("x")))
    );
    peer.update(command, vec![("rc", Value::Int(0))]);
    peer.complete(command, Value::None);
    peer.answer(request, Value::None);
    let [FromSlave::Started { .. }, FromSlave::Finished { exit, .. }] = &peer.master()[..] else {
        panic!()
    };
    assert!(exit.is_success());
}

#[test]
fn ends_that_the_slave_brought_about_are_told_by_their_cause() {
    let silent = "\ncommand timed out: 2 seconds without output running x\n";
    let long = "\ncommand timed out: 1 seconds elapsed running x\n";
    let killed = "process killed by signal 11\n";
    let reason = |it| ("failure_reason", Value::text(it));
    let header = |it| ("header", Value::text(it));
    for (said, cause) in [
        (reason("timeout_without_output"), ExitCause::Silence),
        (reason("timeout"), ExitCause::Overtime),
        (header(silent), ExitCause::Silence),
        (header(long), ExitCause::Overtime),
        (header(killed), ExitCause::Signal(11)),
    ] {
        let mut peer = Peer::new("3.3");
        peer.slave.told(start(0, line("a/build")));
        let command = ordered(&mut peer).2;
        peer.update(command, vec![said]);
        peer.update(command, vec![("rc", Value::Int(-1))]);
        peer.complete(command, Value::None);
        assert_eq!(told(peer.master()).1.unwrap().cause, cause);
    }
}

#[test]
fn an_interrupt_reaches_the_builder_and_what_waits_ends_at_once() {
    let mut peer = Peer::new("3.3");
    let interrupt = |index| FromMaster::Interrupt {
        id: id(index),
        lease: 1,
        why: "enough".to_owned(),
    };
    peer.slave.told(start(0, line("a/build")));
    peer.slave.told(start(1, line("a/build")));
    let command = ordered(&mut peer).2;
    peer.slave.told(interrupt(1));
    assert_eq!(told(peer.master()).1.unwrap().cause, ExitCause::Interrupted);
    peer.slave.told(interrupt(0));
    let (_, builder, arguments) = peer.call("interruptCommand");
    assert_eq!(
        (builder, arguments.places[1].as_text().unwrap().as_str()),
        (11, "enough")
    );
    peer.update(command, vec![("rc", Value::Int(-1))]);
    peer.complete(command, Value::None);
    assert_eq!(told(peer.master()).1.unwrap().cause, ExitCause::Interrupted);
    assert!(!peer.has_call("startCommand"));
}

#[test]
fn what_the_program_does_not_know_or_breaks_off_is_refused_with_its_name() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, line("a/build")));
    let (request, ..) = ordered(&mut peer);
    peer.fail(
        request,
        "buildbot_worker.base.UnknownCommand",
        "unrecognized",
    );
    peer.slave.told(start(1, line("a/build")));
    let (_, _, command, ..) = ordered(&mut peer);
    let failure = Failure::new(Kind::Runtime, "no such thing");
    peer.complete(command, Value::Failure(Box::new(failure)));
    let refusals: Vec<String> = peer
        .master()
        .into_iter()
        .filter_map(|it| match it {
            FromSlave::Refused { why, .. } => Some(why),
            _ => None,
        })
        .collect();
    assert_eq!(
        refusals,
        [
            "buildbot-worker 4.3.0 does not know the command `shell`; a later version, or autobot's own slave, does",
            "buildbot-worker 4.3.0 broke off `shell`: no such thing",
        ]
    );
}

#[test]
fn a_secret_is_seen_in_no_log_however_it_is_cut() {
    let mut peer = Peer::new("3.3");
    let WireCommand::Shell(mut shell) = line("a/build") else {
        panic!()
    };
    shell.secrets = vec![crate::wire::WireMask {
        text: "hunter2".to_owned(),
        shown: "<db>".to_owned(),
    }];
    peer.slave.told(start(0, WireCommand::Shell(shell)));
    let command = ordered(&mut peer).2;
    peer.update(command, vec![("stdout", Value::text("it is hun"))]);
    peer.update(command, vec![("stdout", Value::text("ter2, hunter"))]);
    peer.update(command, vec![("rc", Value::Int(0))]);
    peer.complete(command, Value::None);
    assert_eq!(told(peer.master()).0, "it is <db>, hunter");
}

#[test]
fn a_file_comes_in_blocks_with_its_times_and_is_cut_where_it_is_too_long() {
    let mut peer = Peer::new("3.3");
    let upload = Upload {
        path: "a/build/f".to_owned(),
        kind: UploadKind::File,
        max_size: Some(6),
        piece: None,
    };
    peer.slave
        .told(start(0, WireCommand::File(WireFile::Upload(upload))));
    let (_, _, command, name, given) = ordered(&mut peer);
    assert_eq!(
        (name.as_str(), given.get("workersrc")),
        ("uploadFile", Some(&Value::text("build/f")))
    );
    let Some(Value::Theirs(writer)) = given.get("writer").cloned() else {
        panic!()
    };
    for block in ["abc", "def"] {
        let block = vec![Value::Bytes(block.into())];
        assert_eq!(peer.ask(writer, "write", block), Some(Ok(Value::None)));
    }
    assert_eq!(peer.ask(writer, "close", vec![]), Some(Ok(Value::None)));
    let times = Value::Tuple(vec![Value::Float(1.5), Value::Float(2.0)]);
    assert_eq!(
        peer.ask(writer, "utime", vec![times]),
        Some(Ok(Value::None))
    );
    // Whatever it says: an error here and such a slave never ends its command.
    assert_eq!(peer.ask(writer, "nonsense", vec![]), Some(Ok(Value::None)));
    peer.update(command, vec![("rc", Value::Int(1))]);
    peer.complete(command, Value::None);
    let messages = peer.master();
    let Some(FromSlave::Finished { exit, logs, .. }) = messages.last() else {
        panic!()
    };
    let Some(FileResult::Sent(sent)) = &exit.result else {
        panic!("{exit:?}")
    };
    assert_eq!(
        (sent.size, sent.is_cut, sent.modified),
        (6, true, 2_000_000_000)
    );
    assert_eq!(logs["content"], 6);
}

#[test]
fn an_archive_that_is_none_stops_the_command_and_hangs_nothing() {
    let mut peer = Peer::new("3.3");
    let upload = Upload {
        path: "a/build/d".to_owned(),
        kind: UploadKind::Directory,
        max_size: None,
        piece: None,
    };
    peer.slave
        .told(start(0, WireCommand::File(WireFile::Upload(upload))));
    let (_, _, command, _, given) = ordered(&mut peer);
    let Some(Value::Theirs(writer)) = given.get("writer").cloned() else {
        panic!()
    };
    let garbage = vec![Value::Bytes(vec![b'x'; 600])];
    assert_eq!(peer.ask(writer, "write", garbage), Some(Ok(Value::None)));
    assert_eq!(peer.call("interruptCommand").1, 11);
    assert_eq!(peer.ask(writer, "unpack", vec![]), Some(Ok(Value::None)));
    peer.update(command, vec![("rc", Value::Int(0))]);
    peer.complete(command, Value::None);
    let mut said = peer.master();
    said.retain(|it| !matches!(it, FromSlave::Output { log, .. } if log == "content"));
    let (text, exit) = told(said);
    assert_eq!(text, "!the archive has a header that is none\n");
    assert_eq!(exit.unwrap().code, 1);
}

pub(super) fn piece(offset: u64, bytes: &str, size: u64, is_last: bool) -> WireCommand {
    WireCommand::File(WireFile::Write(WireWrite {
        path: "a/build/f".to_owned(),
        offset,
        bytes: bytes.into(),
        size,
        is_last,
        version: "v".to_owned(),
        sha256: None,
        mode: Some(0o600),
    }))
}

#[test]
fn a_file_goes_out_in_pieces_by_one_command_of_the_slave() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, piece(0, "abc", 5, false)));
    let (request, _, command, name, given) = ordered(&mut peer);
    assert_eq!(
        (name.as_str(), given.get("mode")),
        ("downloadFile", Some(&Value::Int(0o600)))
    );
    let Some(Value::Theirs(reader)) = given.get("reader").cloned() else {
        panic!()
    };
    peer.answer(request, Value::None);
    let read = |most| vec![Value::Int(most)];
    let bytes = |text: &str| Some(Ok(Value::Bytes(text.into())));
    assert_eq!(peer.ask(reader, "read", read(2)), bytes("ab"));
    assert_eq!(peer.ask(reader, "read", read(2)), bytes("c"));
    assert_eq!(told(peer.master()).0, "wrote 3 of 5 bytes of version v\n");
    // It asks for more before there is more.
    assert_eq!(peer.ask(reader, "read", read(2)), None);
    let asked = peer.last_call;
    peer.slave.told(start(1, piece(3, "de", 5, true)));
    peer.listen();
    assert_eq!(peer.answered(asked), bytes("de"));
    assert_eq!(peer.ask(reader, "read", read(2)), bytes(""));
    assert_eq!(peer.ask(reader, "close", vec![]), Some(Ok(Value::None)));
    peer.update(command, vec![("rc", Value::Int(0))]);
    peer.complete(command, Value::None);
    let (text, exit) = told(peer.master());
    assert_eq!(text, "wrote 5 of 5 bytes of version v\n");
    assert!(exit.unwrap().is_success());
}

#[test]
fn a_file_of_which_no_more_comes_is_out_of_the_way_of_the_next_command() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, piece(0, "abc", 5, false)));
    let (_, _, command, _, given) = ordered(&mut peer);
    let Some(Value::Theirs(reader)) = given.get("reader").cloned() else {
        panic!()
    };
    peer.ask(reader, "read", vec![Value::Int(99)]);
    assert_eq!(peer.ask(reader, "read", vec![Value::Int(99)]), None);
    let asked = peer.last_call;
    peer.slave.told(start(1, line("a/build")));
    assert_eq!(peer.call("interruptCommand").1, 11);
    assert_eq!(peer.answered(asked), Some(Ok(Value::Bytes(vec![]))));
    peer.complete(command, Value::None);
    assert_eq!(ordered(&mut peer).3, "shell");
}

#[test]
fn what_was_said_over_a_broken_line_is_lost_and_said_so() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(FromMaster::Start {
        id: id(0),
        lease: 1,
        command: line("a/build"),
        have: [("stdio".to_owned(), 77)].into(),
    });
    let messages = peer.master();
    let [FromSlave::Finished { exit, .. }] = &messages[..] else {
        panic!("{messages:?}")
    };
    assert!(matches!(exit.cause, ExitCause::Lost(_)));
    assert!(!peer.has_call("startCommand"));
}

#[test]
fn a_command_is_begun_once_even_if_the_master_asks_for_all_of_it_again() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, line("a/build")));
    let command = ordered(&mut peer).2;
    peer.update(command, vec![("rc", Value::Int(0))]);
    peer.complete(command, Value::None);
    peer.master();
    // The master lost what it had heard, on its own disk.
    peer.slave.told(start(0, line("a/build")));
    let exit = told(peer.master()).1.unwrap();
    assert!(matches!(exit.cause, ExitCause::Lost(_)), "{exit:?}");
    assert!(!peer.has_call("startCommand"));
    peer.slave.told(FromMaster::Forget { id: id(0) });
}

#[test]
fn a_slave_is_asked_whether_it_lives_and_may_say_that_it_wants_to_go() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(FromMaster::Ping);
    let (request, object, arguments) = peer.call("print");
    assert_eq!(object, BOT);
    assert_eq!(arguments.get(0, "message"), Some(&Value::text("ping")));
    assert_eq!(peer.master(), []);
    peer.answer(request, Value::None);
    assert_eq!(peer.master(), [FromSlave::Pong]);
    let avatar = match peer.slave.tongue.broker.object(&Object::Avatar) {
        Value::Ours(number) => number,
        other => panic!("{other:?}"),
    };
    assert_eq!(peer.ask(avatar, "keepalive", vec![]), Some(Ok(Value::None)));
    assert_eq!(peer.ask(avatar, "shutdown", vec![]), Some(Ok(Value::None)));
    assert_eq!(peer.master(), [FromSlave::GracefulShutdown]);
    peer.slave.told(FromMaster::Shutdown);
    assert_eq!(peer.call("shutdown").1, BOT);
}

#[test]
fn builders_come_and_go_and_one_that_still_works_stays() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, line("b/build")));
    ordered(&mut peer);
    peer.slave.told(FromMaster::Builders {
        dirs: vec!["c".to_owned()],
        now_ms: 0,
        remove_after_ms: None,
    });
    let (request, _, arguments) = peer.call("setBuilderList");
    let names = arguments.places[0].items().unwrap().iter();
    let names: Vec<String> = names
        .map(|it| it.items().unwrap()[0].as_text().unwrap())
        .collect();
    assert_eq!(names, ["b", "c"]);
    peer.slave.told(start(1, line("c/build")));
    assert!(!peer.has_call("startCommand"), "it has no such builder yet");
    let builders = [("b", 12), ("c", 13)];
    let builders = builders.map(|(name, number)| (Value::text(name), Value::Ours(number)));
    peer.answer(request, Value::Dict(builders.to_vec()));
    assert_eq!(ordered(&mut peer).1, 13);
}
