//! Rules of the protocol that slaves of one age or another hold the master to: what is said in
//! several ways is taken in all of them, and what they cannot bear is not said.

use super::slave_tests::Peer;
use super::slave_tests::id;
use super::slave_tests::line;
use super::slave_tests::ordered;
use super::slave_tests::start;
use super::slave_tests::told;
use crate::model::ExitCause;
use crate::model::FileKind;
use crate::model::FileResult;
use crate::model::Upload;
use crate::model::UploadKind;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::WireCommand;
use crate::wire::WireFile;
use crate::wire::pb::jelly::Value;

fn bytes(text: &str) -> Value {
    Value::Bytes(text.into())
}

/// An entry with all of these in one dictionary.
fn entry(pairs: Vec<(Value, Value)>) -> Value {
    Value::List(vec![Value::Dict(pairs), Value::Int(0)])
}

fn upload(kind: UploadKind) -> WireCommand {
    WireCommand::File(WireFile::Upload(Upload {
        path: "a/build/f".to_owned(),
        kind,
        max_size: None,
        piece: None,
    }))
}

#[test]
fn updates_of_old_slaves_are_bytes_several_at_once_and_may_hold_what_nobody_knows() {
    let mut peer = Peer::new("2.16");
    peer.slave.told(start(0, line("a/build")));
    let command = ordered(&mut peer).2;
    // Half of a character comes with each piece.
    let pieces = [vec![0xc3], vec![0xa9, b'\n']].map(|piece| {
        let stdout = (bytes("stdout"), Value::Bytes(piece));
        entry(vec![stdout, (bytes("future"), Value::List(vec![]))])
    });
    let both = entry(vec![
        (bytes("stderr"), bytes("bad\n")),
        (bytes("rc"), Value::Int(0)),
    ]);
    let entries = pieces.into_iter().chain([both, Value::None, Value::Int(7)]);
    let updates = Value::List(entries.collect());
    let answer = peer.ask(command, "update", vec![updates]);
    assert_eq!(answer, Some(Ok(Value::Int(0))));
    let log = Value::Tuple(vec![bytes("test.log"), bytes("ok\n")]);
    peer.update(command, vec![("log", log)]);
    // The last one is the exit code.
    peer.update(command, vec![("rc", Value::Int(1))]);
    peer.update(command, vec![("rc", Value::Int(3))]);
    peer.complete(command, Value::None);
    let mut messages = peer.master();
    let is_log = |it: &FromSlave| matches!(it, FromSlave::Output { log, .. } if log == "test.log");
    assert_eq!(messages.iter().filter(|it| is_log(it)).count(), 1);
    messages.retain(|it| !is_log(it));
    let raw: Vec<u8> = messages
        .iter()
        .filter_map(|it| match it {
            FromSlave::Output { bytes, .. } => Some(bytes.to_vec()),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(
        raw.contains(&0xc3) && raw.contains(&0xa9),
        "bytes stay what they are"
    );
    assert_eq!(told(messages).1.unwrap().code, 3);
}

#[test]
fn an_end_without_a_time_or_an_exit_code_is_an_end() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, line("a/build")));
    let command = ordered(&mut peer).2;
    peer.complete(command, Value::None);
    let exit = told(peer.master()).1.unwrap();
    assert_eq!((exit.code, exit.cause), (-1, ExitCause::Exited));
}

#[test]
fn what_a_slave_finds_out_of_files_is_what_the_step_hears() {
    let path = "a/x".to_owned();
    let stat = WireCommand::File(WireFile::Stat { path });
    for as_list in [true, false] {
        let mut peer = Peer::new("3.3");
        peer.slave.told(start(0, stat.clone()));
        let (_, _, command, name, given) = ordered(&mut peer);
        assert_eq!(name, "stat");
        assert_eq!(given.get("file"), Some(&Value::text("x")));
        // Only later slaves look at it, and then it must not lead elsewhere.
        assert_eq!(given.get("workdir"), Some(&Value::text(".")));
        let mode = Value::Int(0o100_644);
        let mut numbers = vec![mode];
        numbers.extend([0, 0, 1, 0, 0, 42].map(Value::Int));
        numbers.extend([Value::Int(1), Value::Float(2.5), Value::Int(3)]);
        let numbers = match as_list {
            true => Value::List(numbers),
            false => Value::Tuple(numbers),
        };
        peer.update(command, vec![("stat", numbers), ("rc", Value::Int(0))]);
        peer.complete(command, Value::None);
        let exit = told(peer.master()).1.unwrap();
        let Some(FileResult::Stat(stat)) = exit.result else {
            panic!("{exit:?}")
        };
        assert_eq!(
            (stat.kind, stat.mode, stat.size, stat.modified),
            (FileKind::File, 0o644, 42, 2)
        );
    }
    let mut peer = Peer::new("3.3");
    let dir = "a".to_owned();
    peer.slave
        .told(start(0, WireCommand::File(WireFile::Listdir { dir })));
    let (_, _, command, _, given) = ordered(&mut peer);
    assert_eq!(given.get("dir"), Some(&Value::text(".")));
    let names = ["/srv/w1/a/z", "b", "a"].map(Value::text).to_vec();
    peer.update(
        command,
        vec![("files", Value::List(names)), ("rc", Value::Int(0))],
    );
    peer.complete(command, Value::None);
    let exit = told(peer.master()).1.unwrap();
    let names = ["a", "a/z", "b"].map(str::to_owned).to_vec();
    assert_eq!(exit.result, Some(FileResult::Names(names)));
}

#[test]
fn a_missing_file_has_its_error_as_exit_code_and_nothing_found() {
    let mut peer = Peer::new("3.3");
    let path = "a/x".to_owned();
    peer.slave
        .told(start(0, WireCommand::File(WireFile::Stat { path })));
    let command = ordered(&mut peer).2;
    peer.update(command, vec![("rc", Value::Int(2))]);
    peer.complete(command, Value::None);
    let exit = told(peer.master()).1.unwrap();
    assert_eq!((exit.code, exit.result), (2, None));
}

#[test]
fn an_empty_file_comes_without_a_block_and_a_missing_directory_without_a_call() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, upload(UploadKind::File)));
    let (_, _, command, _, given) = ordered(&mut peer);
    let Some(Value::Theirs(writer)) = given.get("writer").cloned() else {
        panic!("{given:?}")
    };
    // Keys that must be there, whatever they say.
    assert_eq!(given.get("maxsize"), Some(&Value::None));
    assert_eq!(peer.ask(writer, "close", vec![]), Some(Ok(Value::None)));
    peer.update(command, vec![("rc", Value::Int(0))]);
    peer.complete(command, Value::None);
    let exit = told(peer.master()).1.unwrap();
    let Some(FileResult::Sent(sent)) = exit.result else {
        panic!("{exit:?}")
    };
    assert_eq!((sent.size, sent.is_cut), (0, false));

    peer.slave.told(start(1, upload(UploadKind::Directory)));
    let (_, _, command, name, given) = ordered(&mut peer);
    assert_eq!(name, "uploadDirectory");
    assert_eq!(given.get("compress"), Some(&Value::None));
    peer.update(command, vec![("rc", Value::Int(1))]);
    peer.complete(command, Value::None);
    let exit = told(peer.master()).1.unwrap();
    assert_eq!((exit.code, exit.result), (1, None));
}

#[test]
fn a_command_that_does_not_start_is_refused_with_the_reason_and_the_next_one_begins() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, line("a/build")));
    peer.slave.told(start(1, line("a/build")));
    let request = ordered(&mut peer).0;
    peer.fail(
        request,
        "builtins.ValueError",
        "SlaveShellCommand is missing args: x",
    );
    let why = "buildbot-worker 4.3.0 did not start the command `shell`: SlaveShellCommand is missing args: x";
    let refused = FromSlave::Refused {
        id: id(0),
        why: why.to_owned(),
    };
    assert_eq!(peer.master(), [refused]);
    assert_eq!(ordered(&mut peer).3, "shell");
}

#[test]
fn builders_are_pairs_and_what_waits_for_one_that_is_not_made_is_refused() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, line("c/build")));
    let (request, _, arguments) = peer.call("setBuilderList");
    for pair in arguments.places[0].items().unwrap() {
        assert!(
            matches!(pair, Value::Tuple(it) if it.len() == 2 && it[0] == it[1]),
            "{pair}"
        );
    }
    peer.fail(request, "builtins.OSError", "no space left");
    let why = "it does not take its builders: no space left";
    let refused = FromSlave::Refused {
        id: id(0),
        why: why.to_owned(),
    };
    assert_eq!(peer.master(), [refused]);
    // Those that were there still are.
    peer.slave.told(start(1, line("a/build")));
    assert_eq!(ordered(&mut peer).1, 11);
}

#[test]
fn a_command_line_has_its_environment_its_logs_and_its_input() {
    let mut peer = Peer::new("3.3");
    let WireCommand::Shell(mut shell) = line("a/build") else {
        panic!()
    };
    shell.env = [
        ("A".to_owned(), Some("1".to_owned())),
        ("B".to_owned(), None),
    ]
    .into();
    let file = crate::model::Logfile {
        path: "test.log".to_owned(),
        follow: true,
        lazy: false,
    };
    shell.logfiles = [("tests".to_owned(), file)].into();
    shell.initial_stdin = b"y\n".to_vec();
    shell.timeout_ms = Some(60_000);
    shell.max_time_ms = None;
    peer.slave.told(start(0, WireCommand::Shell(shell)));
    let given = ordered(&mut peer).4;
    let env = given.get("env").unwrap();
    assert_eq!(
        (env.get("A"), env.get("B")),
        (Some(&Value::text("1")), Some(&Value::None))
    );
    let log = given.get("logfiles").unwrap().get("tests").unwrap();
    assert_eq!(log.get("filename"), Some(&Value::text("test.log")));
    assert_eq!(log.get("follow"), Some(&Value::Bool(true)));
    assert_eq!(given.get("initial_stdin"), Some(&Value::text("y\n")));
    assert_eq!(given.get("timeout"), Some(&Value::Int(60)));
    assert_eq!(given.get("maxTime"), Some(&Value::None));
    // Later workers take nothing but a truth here.
    assert!(matches!(given.get("usePTY"), Some(Value::Bool(_))));
}

#[test]
fn an_old_slave_that_cannot_be_told_to_end_is_told_by_one_of_its_builders() {
    let mut peer = Peer::new("2.9");
    peer.slave.told(FromMaster::Shutdown);
    let (request, object, _) = peer.call("shutdown");
    assert_eq!(object, 1, "the whole slave");
    peer.fail(
        request,
        "twisted.spread.flavors.NoSuchMethod",
        "No such method: remote_shutdown",
    );
    assert_eq!(peer.call("shutdown").1, 11, "a builder of it");
    // One that answers with anything else has heard it.
    let mut peer = Peer::new("3.3");
    peer.slave.told(FromMaster::Shutdown);
    let request = peer.call("shutdown").0;
    peer.fail(request, "twisted.spread.pb.PBConnectionLost", "gone");
    assert!(!peer.has_call("shutdown"));
}

#[test]
fn what_is_asked_of_files_has_the_arguments_that_slaves_of_every_age_take() {
    let path = |path: &str| path.to_owned();
    let rmdir = |dir: &str| {
        let mut peer = Peer::knowing("2.9", &["rmdir"]);
        let dir = path(dir);
        let command = WireFile::Rmdir { dir, why: None };
        peer.slave.told(start(0, WireCommand::File(command)));
        ordered(&mut peer).4
    };
    // A list of directories is only for slaves since 0.8.5, so none is said.
    assert_eq!(
        rmdir("a/build"),
        Value::dict([("dir", Value::text("build"))])
    );
    assert_eq!(rmdir("a"), Value::dict([("dir", Value::text("."))]));
    for (command, name, given) in [
        (
            WireFile::Mkdir { dir: path("a/x") },
            "mkdir",
            vec![("dir", "x")],
        ),
        (
            WireFile::Cpdir {
                from: path("a/x"),
                to: path("a/y"),
            },
            "cpdir",
            vec![("fromdir", "x"), ("todir", "y")],
        ),
        (
            WireFile::Glob {
                pattern: path("a/*.c"),
            },
            "glob",
            vec![("path", "*.c")],
        ),
        (
            WireFile::Rmfile { path: path("a/x") },
            "rmfile",
            vec![("path", "x")],
        ),
    ] {
        let mut peer = Peer::knowing("3.3", &[name]);
        peer.slave.told(start(0, WireCommand::File(command)));
        let (_, _, _, said, arguments) = ordered(&mut peer);
        let given = given.into_iter().map(|(key, it)| (key, Value::text(it)));
        let expected = Value::Dict(given.map(|(key, it)| (Value::text(key), it)).collect());
        assert_eq!((said.as_str(), arguments), (name, expected));
    }
}

#[test]
fn what_was_printed_before_the_command_was_said_to_run_is_kept() {
    let mut peer = Peer::new("3.3");
    peer.slave.told(start(0, line("a/build")));
    let (request, _, command, ..) = ordered(&mut peer);
    peer.update(command, vec![("stdout", Value::text("early\n"))]);
    peer.answer(request, Value::None);
    peer.update(command, vec![("rc", Value::Int(0))]);
    peer.complete(command, Value::None);
    let messages = peer.master();
    assert!(messages.contains(&FromSlave::Started { id: id(0) }));
    assert_eq!(told(messages).0, "early\n");
}
