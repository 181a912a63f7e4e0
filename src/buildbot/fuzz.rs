//! Arbitrary bytes against all that listens to programs of Buildbot, on both of their lines: for
//! the fuzz target and for property tests. Nothing is run, nothing is written.

use std::collections::BTreeMap;

use crate::model::BuildId;
use crate::model::CommandId;
use crate::model::Shell;
use crate::model::ShellLine;
use crate::model::Upload;
use crate::model::UploadKind;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::WireCommand;
use crate::wire::WireFile;
use crate::wire::WireMask;
use crate::wire::WireShell;
use crate::wire::WireWrite;
use crate::wire::msgpack::said as messages;
use crate::wire::pb::banana;
use crate::wire::pb::banana::Decoder;
use crate::wire::pb::banana::Limits;
use crate::wire::pb::broker::Broker;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said;
use crate::wire::pb::said::Said;

#[cfg(any(test, fuzzing))]
use super::client;
use super::facts::Program;
use super::login::Login;
use super::packed::Packed;
use super::paths::Paths;
use super::slave::Object;
use super::slave::Slave;
use super::tongue::Calls;
use super::tongue::Tongue;

/// The objects of the commands that run, in the protocol with calls.
#[cfg(test)]
const COMMANDS: [u64; 4] = [1, 3, 5, 7];

/// Builders, each of which runs one command.
const BUILDERS: [&str; 4] = ["a", "b", "c", "d"];

/// Listens to `bytes` as a stranger's, as a client's, as a slave's with calls of objects, and as a
/// slave's with messages (each behind its length, in two bytes).
///
/// # Panics
/// If the master is told what is none of a slave's: a log with holes, an end that comes twice; or if
/// a client does what its account does not let it do.
pub fn fuzz_wire(bytes: &[u8]) {
    elements(bytes);
    stranger(bytes);
    #[cfg(any(test, fuzzing))]
    client::fuzz::clients(bytes);
    let mut slave = calls();
    slave.tongue.broker.hear(bytes);
    while slave.heard().is_ok() {
        let waiting = slave.tongue.broker.out.len();
        slave.told(FromMaster::Ping);
        assert!(slave.tongue.broker.out.len() > waiting, "it still speaks");
        if slave.heard().is_ok() {
            break;
        }
    }
    check(&slave.out);

    let mut slave = packed();
    let mut rest = bytes;
    while let Some((length, more)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(more.len());
        let (message, more) = more.split_at(length);
        rest = more;
        slave.tongue.hear(message.to_vec());
        if slave.heard().is_err() {
            break;
        }
    }
    check(&slave.out);
}

/// Whatever elements come out are put into bytes that are the same elements.
fn elements(bytes: &[u8]) {
    let mut decoder = Decoder::new(Limits::KNOWN);
    decoder.use_words();
    decoder.push(bytes);
    while let Ok(Some(element)) = decoder.next() {
        let mut again = Vec::new();
        banana::encode(&element, &mut again);
        let mut twin = Decoder::new(Limits::KNOWN);
        twin.use_words();
        twin.push(&again);
        let twin = twin.next().expect("its own bytes");
        assert_eq!(format!("{twin:?}"), format!("{:?}", Some(element)));
    }
}

fn stranger(bytes: &[u8]) {
    let mut broker = Broker::new();
    let mut login = Login::new([7; 16]);
    broker.hear(bytes);
    if let Ok(Some(claim)) = login.go_on(&mut broker) {
        assert!(!claim.proves("a password that nobody guesses"));
    }
}

/// What every slave that is listened to runs: a line with a secret in it, files and a directory
/// that come, and a file that goes.
fn begin<T: Tongue>(slave: &mut Slave<T>) {
    let start = |index: usize, command| FromMaster::Start {
        id: CommandId {
            build: BuildId(1),
            step: 0,
            index: u32::try_from(index).expect("few"),
            attempt: 0,
        },
        lease: 1,
        command,
        have: BTreeMap::new(),
    };
    let mut shell = Shell::new(ShellLine::Script("make".to_owned()), "a/build");
    shell.env.clear();
    let mut shell = WireShell::from(&shell);
    shell.secrets = vec![WireMask {
        text: "hunter2".to_owned(),
        shown: "<db>".to_owned(),
    }];
    let upload = |path: &str, kind| {
        WireCommand::File(WireFile::Upload(Upload {
            path: path.to_owned(),
            kind,
            max_size: Some(1 << 10),
            piece: None,
        }))
    };
    let piece = WireWrite {
        path: "d/f".to_owned(),
        offset: 0,
        bytes: vec![1; 100],
        size: 100,
        is_last: true,
        version: "v".to_owned(),
        sha256: None,
        mode: None,
    };
    let commands = [
        WireCommand::Shell(shell),
        upload("b/f", UploadKind::File),
        upload("c/d", UploadKind::Directory),
        WireCommand::File(WireFile::Write(piece)),
    ];
    for (index, command) in commands.into_iter().enumerate() {
        slave.told(start(index, command));
    }
}

fn program() -> Program {
    let commands = ["shell", "uploadFile", "uploadDirectory", "downloadFile"];
    Program {
        version: "4.3.0".to_owned(),
        commands: commands.map(|it| (it.to_owned(), "3.3".to_owned())).into(),
        is_old: false,
        basedir: "/srv".to_owned(),
    }
}

fn builders() -> FromMaster {
    FromMaster::Builders {
        dirs: BUILDERS.map(str::to_owned).to_vec(),
        now_ms: 0,
        remove_after_ms: None,
    }
}

/// A slave with calls of objects that has begun: its commands are objects 1, 3, 5 and 7; objects 2 and 4
/// are what they send to, 6 is what the last one reads of.
fn calls() -> Slave<Calls> {
    let mut broker = Broker::<Object>::new();
    let mut bytes = Vec::new();
    banana::encode_bytes(b"pb", &mut bytes);
    let dirs = BUILDERS.iter().zip(11..);
    let objects = dirs.map(|(dir, number)| (Value::text(*dir), Value::Ours(number)));
    let answer = Said::Answer {
        request: 1,
        value: Ok(Value::Dict(objects.collect())),
    };
    banana::encode(&said::write(&answer), &mut bytes);
    broker.trust();
    let mut slave = Slave::new(Calls { broker, bot: 1 }, program());
    slave.told(builders());
    slave.tongue.broker.hear(&bytes);
    slave.heard().expect("what every slave says");
    begin(&mut slave);
    slave
}

/// A slave with messages that has begun the commands `1-0-0-0` to `1-0-3-0`.
fn packed() -> Slave<Packed> {
    let mut packed = Packed::default();
    let basedir = Value::dict([("basedir", Value::text("/srv"))]);
    packed.learn(Paths::read(&basedir));
    let mut slave = Slave::new(packed, program());
    slave.told(builders());
    begin(&mut slave);
    let requests = slave.tongue.out.len();
    for number in 0..requests {
        let number = i64::try_from(number).expect("few");
        let response = messages::response(number, Ok(Value::None));
        slave.tongue.hear(response);
    }
    slave.heard().expect("what every slave says");
    slave
}

/// Looks whether what the master is told is whole.
fn check(out: &[FromSlave]) {
    let mut ends: BTreeMap<(CommandId, &str), u64> = BTreeMap::new();
    let mut over = Vec::new();
    for message in out {
        match message {
            FromSlave::Output {
                id,
                log,
                offset,
                bytes,
            } => {
                assert!(!over.contains(id), "it speaks behind its end");
                let end = ends.entry((*id, log)).or_default();
                assert_eq!(*end, *offset, "nothing is missing of `{log}`");
                *end += bytes.len() as u64;
                let is_secret = bytes.windows(7).any(|it| it == b"hunter2");
                assert!(!is_secret || id.index != 0, "the secret is seen");
            }
            FromSlave::Finished { id, logs, .. } => {
                assert!(!over.contains(id), "it ends once");
                over.push(*id);
                for (log, end) in logs {
                    let said = ends.get(&(*id, log.as_str())).copied();
                    assert_eq!(said.unwrap_or_default(), *end, "`{log}` is whole");
                }
            }
            FromSlave::Refused { id, .. } => {
                assert!(!over.contains(id), "it ends once");
                over.push(*id);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;
    use proptest::sample::select;

    use super::*;
    use crate::wire::pb::said::Arguments;
    use crate::wire::pb::said::Receiver;

    fn text() -> impl Strategy<Value = String> {
        select(vec![
            "",
            "hun",
            "ter2",
            "hunter2",
            "x\n",
            "process killed by signal 9\n",
        ])
        .prop_map(str::to_owned)
    }

    /// What is said of a command, right or nearly so.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::None),
            text().prop_map(Value::Text),
            prop::collection::vec(any::<u8>(), 0..600).prop_map(Value::Bytes),
            any::<i64>().prop_map(Value::Int),
            (-1e300..1e300).prop_map(Value::Float),
        ];
        leaf.prop_recursive(3, 16, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
                prop::collection::vec((inner.clone(), inner), 0..3).prop_map(Value::Dict),
            ]
        })
    }

    fn update() -> impl Strategy<Value = (String, Value)> {
        let keys = [
            "stdout", "stderr", "header", "log", "rc", "elapsed", "stat", "files",
        ];
        let right = prop_oneof![
            text().prop_map(Value::Text),
            (-2_i64..3).prop_map(Value::Int),
            text().prop_map(|it| Value::Tuple(vec![Value::text("x.log"), Value::Text(it)])),
            value(),
        ];
        (select(keys.to_vec()).prop_map(str::to_owned), right)
    }

    fn call() -> impl Strategy<Value = Said> {
        let methods = [
            "write", "close", "utime", "unpack", "read", "complete", "shutdown",
        ];
        let places = prop::collection::vec(value(), 0..3);
        let any = (0_u64..10, select(methods.to_vec()), places)
            .prop_map(|(object, method, places)| (object, method, places));
        let updates = (
            select(COMMANDS.to_vec()),
            prop::collection::vec(update(), 0..4),
        )
            .prop_map(|(object, all)| {
                let entry = |(key, value)| {
                    let pair = Value::Dict(vec![(Value::Text(key), value)]);
                    Value::List(vec![pair, Value::Int(0)])
                };
                let updates = Value::List(all.into_iter().map(entry).collect());
                (object, "update", vec![updates])
            });
        let whole =
            select(COMMANDS.to_vec()).prop_map(|object| (object, "complete", vec![Value::None]));
        prop_oneof![any, updates, whole].prop_map(|(object, method, places)| Said::Call {
            request: 1,
            receiver: Receiver::Object(object),
            method: method.to_owned(),
            wants_answer: true,
            arguments: Ok(Arguments::places(places)),
        })
    }

    /// A call of a client: of its avatar, which is object 2, or of what that gave it.
    fn client_call() -> impl Strategy<Value = Said> {
        let methods = [
            "addChange",
            "try",
            "getAvailableBuilderNames",
            "commandline",
            "requestBuild",
            "pingBuilder",
            "fakeChange",
            "print",
            "subscribe",
            "unsubscribe",
            "getBuilder",
            "getBuildSets",
            "getBuildRequests",
            "waitUntilFinished",
            "getBuild",
            "getSteps",
            "getLogs",
            "getChunks",
        ];
        let observer = (1_u64..4).prop_map(Value::Ours);
        let name = select(vec!["b1", "b5", "steps", "full"]).prop_map(Value::text);
        let place = prop_oneof![value(), observer, name, (0_i64..3).prop_map(Value::Int)];
        let places = prop::collection::vec(place, 0..10);
        (2_u64..9, select(methods.to_vec()), places).prop_map(|(object, method, places)| {
            Said::Call {
                request: 3,
                receiver: Receiver::Object(object),
                method: method.to_owned(),
                wants_answer: true,
                arguments: Ok(Arguments::places(places)),
            }
        })
    }

    fn message() -> impl Strategy<Value = Vec<u8>> {
        let ops = [
            "complete",
            "update_upload_file_write",
            "update_upload_file_close",
            "update_upload_file_utime",
            "update_upload_directory_write",
            "update_upload_directory_unpack",
            "update_read_file",
            "response",
        ];
        let name = (0_u32..5).prop_map(|index| format!("1-0-{index}-0"));
        let any = (select(ops.to_vec()), name.clone(), value());
        let any = any.prop_map(|(op, name, args)| (op, name, args));
        let updates = (name, prop::collection::vec(update(), 0..4)).prop_map(|(name, all)| {
            let entry = |(key, value)| Value::List(vec![Value::Text(key), value]);
            let args = Value::List(all.into_iter().map(entry).collect());
            ("update", name, args)
        });
        prop_oneof![any, updates].prop_map(|(op, name, args)| {
            let fields = vec![
                ("command_id", Value::Text(name)),
                ("length", Value::Int(64)),
                ("args", args),
            ];
            messages::request(1, op, fields)
        })
    }

    fn spoiled(mut bytes: Vec<u8>, at: Option<(Index, u8)>) -> Vec<u8> {
        if let Some((at, byte)) = at
            && !bytes.is_empty()
        {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_a_slave_nearly_says_by_calls_hurts_nobody(
            calls in prop::collection::vec(call(), 1..12),
            at in any::<Option<(Index, u8)>>(),
        ) {
            let mut bytes = Vec::new();
            for call in &calls {
                banana::encode(&said::write(call), &mut bytes);
            }
            fuzz_wire(&spoiled(bytes, at));
        }

        #[test]
        fn what_a_slave_nearly_says_in_messages_hurts_nobody(
            messages in prop::collection::vec(message(), 1..12),
            at in any::<Option<(Index, u8)>>(),
        ) {
            let mut bytes = Vec::new();
            for message in &messages {
                bytes.extend(u16::try_from(message.len()).unwrap().to_be_bytes());
                bytes.extend(message);
            }
            fuzz_wire(&spoiled(bytes, at));
        }

        #[test]
        fn what_a_client_nearly_says_hurts_nobody(
            calls in prop::collection::vec(client_call(), 1..12),
            at in any::<Option<(Index, u8)>>(),
        ) {
            let mut bytes = Vec::new();
            for call in &calls {
                banana::encode(&said::write(call), &mut bytes);
            }
            fuzz_wire(&spoiled(bytes, at));
        }

        #[test]
        fn any_bytes_hurt_nobody(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            fuzz_wire(&bytes);
        }
    }

    #[test]
    fn the_slaves_that_are_listened_to_have_begun_their_commands() {
        let mut slave = calls();
        let complete = |object| Said::Call {
            request: 1,
            receiver: Receiver::Object(object),
            method: "complete".to_owned(),
            wants_answer: true,
            arguments: Ok(Arguments::places([Value::None])),
        };
        for object in COMMANDS {
            let mut bytes = Vec::new();
            banana::encode(&said::write(&complete(object)), &mut bytes);
            slave.tongue.broker.hear(&bytes);
        }
        slave.heard().unwrap();
        let finished = |out: &[FromSlave]| {
            let finished = out.iter();
            finished
                .filter(|it| matches!(it, FromSlave::Finished { .. }))
                .count()
        };
        assert_eq!(finished(&slave.out), 4);
        let mut slave = packed();
        for index in 0..4 {
            let name = Value::Text(format!("1-0-{index}-0"));
            slave.tongue.hear(messages::request(
                index,
                "complete",
                vec![("command_id", name)],
            ));
        }
        slave.heard().unwrap();
        assert_eq!(finished(&slave.out), 4);
    }
}
