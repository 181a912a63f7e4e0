//! The slave in between, when its program speaks in messages: what is another way than with calls
//! of objects. What is the same is played in [`slave_tests`](super::slave_tests).

use super::facts::Program;
use super::packed::Packed;
use super::paths::Paths;
use super::slave::Slave;
use super::slave_tests::id;
use super::slave_tests::line;
use super::slave_tests::piece;
use super::slave_tests::start;
use super::slave_tests::told;
use super::tongue::Nonsense;
use crate::model::ExitCause;
use crate::model::FileResult;
use crate::model::Upload;
use crate::model::UploadKind;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::WireCommand;
use crate::wire::WireFile;
use crate::wire::msgpack::Garbled;
use crate::wire::msgpack::said;
use crate::wire::msgpack::said::Said;
use crate::wire::pb::jelly::Value;

/// The worker's side of the line.
struct Worker {
    slave: Slave<Packed>,
    requests: Vec<(i64, String, Value)>,
    responses: Vec<(i64, Result<Value, String>)>,
    last: i64,
}

impl Worker {
    fn new() -> Self {
        let names = [
            "shell",
            "mkdir",
            "upload_file",
            "uploadFile",
            "stat",
            "downloadFile",
        ];
        let program = Program {
            version: "4.3.0".to_owned(),
            commands: names.map(|it| (it.to_owned(), "3.3".to_owned())).into(),
            is_old: false,
            basedir: "/srv/w1".to_owned(),
        };
        let mut packed = Packed::default();
        packed.learn(Paths::read(&Value::dict([
            ("system", Value::text("posix")),
            ("basedir", Value::text("/srv/w1")),
        ])));
        let mut slave = Slave::new(packed, program);
        slave.told(FromMaster::Builders {
            dirs: vec!["a".to_owned(), "b".to_owned()],
            now_ms: 0,
            remove_after_ms: None,
        });
        Self {
            slave,
            requests: Vec::new(),
            responses: Vec::new(),
            last: 0,
        }
    }

    fn listen(&mut self) {
        self.slave.heard().unwrap();
        for message in std::mem::take(&mut self.slave.tongue.out) {
            match said::read(&message).unwrap() {
                Said::Request { number, op, fields } => self.requests.push((number, op, fields)),
                Said::Response { number, result } => self.responses.push((number, result)),
                Said::Nothing => panic!("{message:x?}"),
            }
        }
    }

    fn request(&mut self, op: &str) -> (i64, Value) {
        self.listen();
        let place = self.requests.iter().position(|it| it.1 == op);
        let place = place.unwrap_or_else(|| panic!("no {op} among {:?}", self.requests));
        let (number, _, fields) = self.requests.remove(place);
        (number, fields)
    }

    /// The name of a command that is to begin, its kind, and its arguments.
    fn begun(&mut self) -> (i64, String, String, Value) {
        let (number, fields) = self.request("start_command");
        let text = |key| fields.get(key).and_then(Value::as_text).unwrap();
        let given = fields.get("args").unwrap().clone();
        (number, text("command_id"), text("command_name"), given)
    }

    fn respond(&mut self, number: i64, result: Result<Value, String>) {
        self.slave.tongue.hear(said::response(number, result));
        self.listen();
    }

    /// Asks for something; the response, if there is one by now.
    fn ask(&mut self, op: &str, mut fields: Vec<(&str, Value)>) -> Option<Result<Value, String>> {
        let number = self.last;
        self.last += 1;
        fields.reverse();
        self.slave.tongue.hear(said::request(number, op, fields));
        self.listen();
        self.response(number)
    }

    fn response(&mut self, number: i64) -> Option<Result<Value, String>> {
        let place = self.responses.iter().position(|it| it.0 == number)?;
        Some(self.responses.remove(place).1)
    }

    fn say(&mut self, op: &str, command: &str, more: (&str, Value)) {
        let fields = vec![("command_id", Value::text(command)), more];
        assert_eq!(self.ask(op, fields), Some(Ok(Value::None)), "{op}");
    }

    fn update(&mut self, command: &str, pairs: Vec<(&str, Value)>) {
        let pair = |(key, value)| Value::List(vec![Value::text(key), value]);
        let pairs = Value::List(pairs.into_iter().map(pair).collect());
        self.say("update", command, ("args", pairs));
    }

    fn complete(&mut self, command: &str) {
        self.say("complete", command, ("args", Value::None));
    }

    fn master(&mut self) -> Vec<FromSlave> {
        std::mem::take(&mut self.slave.out)
    }
}

/// Lines as they come: text, where they end, and when they began.
fn lines(text: &str) -> Value {
    let ends = text.char_indices().filter(|it| it.1 == '\n');
    let ends: Vec<_> = ends.map(|(at, _)| Value::Int(at as i64)).collect();
    let times = vec![Value::Float(1_795_165_630.5); ends.len()];
    Value::List(vec![
        Value::text(text),
        Value::List(ends),
        Value::List(times),
    ])
}

#[test]
fn a_command_line_has_a_whole_path_and_all_that_one_message_brings_is_taken() {
    let mut worker = Worker::new();
    worker.slave.told(start(0, line("b/build")));
    let (number, name, kind, given) = worker.begun();
    assert_eq!((name.as_str(), kind.as_str()), ("1-0-0-0", "shell"));
    assert_eq!(given.get("workdir"), Some(&Value::text("/srv/w1/b/build")));
    assert_eq!(given.get("command"), Some(&Value::text("make")));
    // Synchronous commands are over before they are said to run.
    worker.update(
        &name,
        vec![
            ("header", lines("make\n in dir\n")),
            ("stdout", lines("é\nx\n")),
            (
                "log",
                Value::List(vec![Value::text("test.log"), lines("ok\n")]),
            ),
            ("rc", Value::Int(2)),
            ("elapsed", Value::Float(1.5)),
            ("stderr", lines("late\n")),
        ],
    );
    worker.complete(&name);
    worker.respond(number, Ok(Value::None));
    let mut said = worker.master();
    let logs: Vec<_> = said
        .extract_if(
            ..,
            |it| matches!(it, FromSlave::Output { log, .. } if log == "test.log"),
        )
        .collect();
    assert_eq!(logs.len(), 1);
    assert!(said.contains(&FromSlave::Started { id: id(0) }));
    let (text, exit) = told(said);
    assert_eq!(text, "#make\n in dir\né\nx\n!late\n");
    let exit = exit.unwrap();
    assert_eq!((exit.code, exit.cause), (2, ExitCause::Exited));
    // What is over is nobody's; that is no reason to end the line.
    worker.complete(&name);
    assert_eq!(worker.master(), []);
}

#[test]
fn an_interrupt_names_its_command_and_others_go_on() {
    let mut worker = Worker::new();
    worker.slave.told(start(0, line("a/build")));
    worker.slave.told(start(1, line("b/build")));
    let (_, first, ..) = worker.begun();
    let (_, second, ..) = worker.begun();
    worker.slave.told(FromMaster::Interrupt {
        id: id(1),
        lease: 1,
        why: "enough".to_owned(),
    });
    let (_, fields) = worker.request("interrupt_command");
    assert_eq!(fields.get("command_id"), Some(&Value::text(&second)));
    assert_eq!(fields.get("why"), Some(&Value::text("enough")));
    worker.update(&second, vec![("rc", Value::Int(-1))]);
    worker.complete(&second);
    assert_eq!(
        told(worker.master()).1.unwrap().cause,
        ExitCause::Interrupted
    );
    let running: Vec<_> = worker.slave.tongue.running().cloned().collect();
    assert_eq!(running, [first]);
}

#[test]
fn a_file_comes_with_its_times() {
    let mut worker = Worker::new();
    let upload = Upload {
        path: "a/build/f".to_owned(),
        kind: UploadKind::File,
        max_size: None,
        piece: None,
    };
    let upload = WireCommand::File(WireFile::Upload(upload));
    worker.slave.told(start(0, upload));
    let (_, name, kind, given) = worker.begun();
    assert_eq!(kind, "upload_file");
    assert_eq!(given.get("path"), Some(&Value::text("/srv/w1/a/build/f")));
    assert_eq!(given.get("writer"), None);
    let block = ("args", Value::Bytes(b"abc".to_vec()));
    worker.say("update_upload_file_write", &name, block);
    worker.say("update_upload_file_close", &name, ("x", Value::None));
    let times = vec![
        ("command_id", Value::text(&name)),
        ("access_time", Value::Float(1.5)),
        ("modified_time", Value::Float(2.0)),
    ];
    let told = worker.ask("update_upload_file_utime", times);
    assert_eq!(told, Some(Ok(Value::None)));
    worker.update(&name, vec![("rc", Value::Int(0))]);
    worker.complete(&name);
    let messages = worker.master();
    let Some(FromSlave::Finished { exit, .. }) = messages.last() else {
        panic!("{messages:?}")
    };
    let Some(FileResult::Sent(sent)) = &exit.result else {
        panic!("{exit:?}")
    };
    assert_eq!((sent.size, sent.modified), (3, 2_000_000_000));
}

#[test]
fn a_file_goes_out_as_bytes_and_ends_with_none() {
    let mut worker = Worker::new();
    worker.slave.told(start(0, piece(0, "abc", 5, false)));
    let (_, name, kind, given) = worker.begun();
    assert_eq!(kind, "download_file");
    assert_eq!(given.get("path"), Some(&Value::text("/srv/w1/a/build/f")));
    assert_eq!(given.get("mode"), Some(&Value::Int(0o600)));
    let read = |worker: &mut Worker| {
        let fields = vec![
            ("command_id", Value::text(&name)),
            ("length", Value::Int(4)),
        ];
        worker.ask("update_read_file", fields)
    };
    let bytes = |text: &str| Some(Ok(Value::Bytes(text.into())));
    assert_eq!(read(&mut worker), bytes("abc"));
    assert_eq!(told(worker.master()).0, "wrote 3 of 5 bytes of version v\n");
    assert_eq!(read(&mut worker), None, "the next piece has not come");
    let asked = worker.last - 1;
    worker.slave.told(start(1, piece(3, "de", 5, true)));
    worker.listen();
    assert_eq!(worker.response(asked), bytes("de"));
    assert_eq!(read(&mut worker), bytes(""));
    worker.say("update_read_file_close", &name, ("x", Value::None));
    worker.update(&name, vec![("rc", Value::Int(0))]);
    worker.complete(&name);
    let (text, exit) = told(worker.master());
    assert_eq!(text, "wrote 5 of 5 bytes of version v\n");
    assert!(exit.unwrap().is_success());
}

#[test]
fn what_goes_wrong_there_is_told_in_a_sentence() {
    let mut worker = Worker::new();
    worker.slave.told(start(0, line("a/build")));
    let (number, ..) = worker.begun();
    let unknown = "(command 1): unrecognized WorkerCommand 'shell'".to_owned();
    worker.respond(number, Err(unknown));
    worker.slave.told(start(1, line("a/build")));
    let (_, name, ..) = worker.begun();
    let why =
        "[Failure instance: Traceback: <class 'builtins.OSError'>: no such thing\n/srv/x.py:1:f\n]";
    worker.say("complete", &name, ("args", Value::text(why)));
    let refusals: Vec<String> = worker
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
fn a_slave_is_asked_whether_it_lives_and_may_be_told_to_go() {
    let mut worker = Worker::new();
    worker.slave.told(FromMaster::Ping);
    let (number, _) = worker.request("print");
    assert_eq!(worker.master(), []);
    worker.respond(number, Ok(Value::None));
    // An answer to what nobody asked is none.
    worker.respond(number, Ok(Value::None));
    assert_eq!(worker.master(), [FromSlave::Pong]);
    worker.slave.told(FromMaster::Shutdown);
    worker.request("shutdown");
}

#[test]
fn what_is_no_message_ends_the_line_and_what_nobody_knows_is_told() {
    let mut worker = Worker::new();
    let told = worker.ask("__import__", Vec::new());
    let why = "Command __import__ does not exist.".to_owned();
    assert_eq!(told, Some(Err(why)));
    // Of the wrong types, or of a command that there never was: nothing comes of it.
    for (op, key) in [
        ("update", "args"),
        ("complete", "args"),
        ("update_upload_file_write", "args"),
        ("update_read_file_close", "args"),
    ] {
        for value in [
            Value::Int(7),
            Value::List(vec![Value::Int(1)]),
            Value::dict([]),
        ] {
            let answer = worker.ask(op, vec![("command_id", Value::Int(0)), (key, value)]);
            assert_eq!(answer, Some(Ok(Value::None)), "{op}");
        }
    }
    let read = worker.ask("update_read_file", vec![("length", Value::Int(-1))]);
    assert_eq!(read, Some(Ok(Value::Bytes(Vec::new()))));
    assert_eq!(worker.master(), []);
    worker.slave.tongue.hear(b"\xc1".to_vec());
    let garbled = Nonsense::Packed(Garbled::Type);
    assert_eq!(worker.slave.heard(), Err(garbled));
}
