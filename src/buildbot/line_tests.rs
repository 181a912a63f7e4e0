//! The beginning of a line with calls of objects: login, welcome, and what old slaves lack.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;

use super::line;
use super::line::Account;
use super::line::LineError;
use super::line::Peer;
use crate::wire::pb::banana;
use crate::wire::pb::banana::Decoder;
use crate::wire::pb::banana::Element;
use crate::wire::pb::banana::Limits;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::failure::Kind;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::password;
use crate::wire::pb::said;
use crate::wire::pb::said::Arguments;
use crate::wire::pb::said::Receiver;
use crate::wire::pb::said::Said;

/// The slave's end of the line.
struct Dialler {
    stream: DuplexStream,
    decoder: Decoder,
}

impl Dialler {
    /// Has agreed on the dialect.
    async fn new(stream: DuplexStream) -> Self {
        let mut decoder = Decoder::new(Limits::KNOWN);
        let mut dialler = Self { stream, decoder };
        let offered = dialler.element().await;
        let dialects = ["pb", "none"].map(|it| Element::Bytes(it.into()));
        assert_eq!(offered, Element::List(dialects.to_vec()));
        let mut hello = Vec::new();
        banana::encode_bytes(b"pb", &mut hello);
        banana::encode(&said::write(&Said::Version(6)), &mut hello);
        dialler.stream.write_all(&hello).await.unwrap();
        decoder = Decoder::new(Limits::KNOWN);
        decoder.use_words();
        dialler.decoder = decoder;
        assert_eq!(dialler.next().await, Said::Version(6));
        dialler
    }

    async fn element(&mut self) -> Element {
        loop {
            if let Some(element) = self.decoder.next().unwrap() {
                return element;
            }
            let byte = self.stream.read_u8().await.unwrap();
            self.decoder.push(&[byte]);
        }
    }

    async fn next(&mut self) -> Said {
        said::read(self.element().await).unwrap()
    }

    async fn say(&mut self, said: &Said) {
        let mut bytes = Vec::new();
        banana::encode(&said::write(said), &mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn call(&mut self, request: i128, receiver: Receiver, method: &str, places: Vec<Value>) {
        let call = Said::Call {
            request,
            receiver,
            method: method.to_owned(),
            wants_answer: true,
            arguments: Ok(Arguments::places(places)),
        };
        self.say(&call).await;
    }

    /// Says name and response, and gives up the challenge right behind, as slaves do. `mind` is
    /// none of a client.
    async fn log_in(&mut self, name: Value, password: &str, mind: Value) {
        self.call(1, Receiver::Root, "login", vec![name]).await;
        let Said::Answer { value, .. } = self.next().await else {
            panic!()
        };
        let value = value.unwrap();
        let [Value::Bytes(challenge), Value::Theirs(challenger)] = value.items().unwrap() else {
            panic!("{value:?}")
        };
        let response = password::answer(password, challenge);
        let places = vec![Value::Bytes(response.to_vec()), mind];
        let challenger = *challenger;
        let receiver = Receiver::Object(challenger);
        self.call(2, receiver, "respond", places).await;
        self.say(&Said::Decref(challenger)).await;
    }

    /// What its second call came to.
    async fn outcome(&mut self) -> Result<Value, Failure> {
        match self.next().await {
            Said::Answer { request: 2, value } => Ok(value.unwrap()),
            Said::Error {
                request: 2,
                failure,
            } => Err(failure),
            other => panic!("{other:?}"),
        }
    }
}

fn accounts_of(name: &str) -> Vec<Account<()>> {
    let account = |()| Account {
        password: "pw1".to_owned(),
        who: (),
    };
    (name == "w1")
        .then_some(())
        .map(account)
        .into_iter()
        .collect()
}

async fn knock(
    name: Value,
    password: &str,
    mind: Value,
) -> (Dialler, Result<Peer<DuplexStream, ()>, LineError>) {
    let (here, there) = tokio::io::duplex(64 << 10);
    let dialling = async {
        let mut dialler = Dialler::new(there).await;
        dialler.log_in(name, password, mind).await;
        dialler
    };
    tokio::join!(dialling, line::log_in(here, &accounts_of))
}

#[tokio::test(start_paused = true)]
async fn who_is_not_let_in_hears_the_same_whatever_is_wrong_and_comes_again() {
    let bot = Value::Ours(1);
    for (name, password, why) in [
        ("w1", "guessed", "`w1` has another password"),
        ("w2", "pw1", "`w2` is not configured"),
    ] {
        let begun = tokio::time::Instant::now();
        let (mut dialler, peer) = knock(Value::Bytes(name.into()), password, bot.clone()).await;
        assert_eq!(peer.err().unwrap().to_string(), why);
        assert!(begun.elapsed() >= Duration::from_secs(1));
        // After any other error such a slave ends its process.
        let failure = dialler.outcome().await.unwrap_err();
        assert!(failure.is("UnauthorizedLogin"), "{failure:?}");
        assert_eq!(failure.value, "the name or the password is wrong");
    }
}

#[tokio::test]
async fn nobody_comes_in_without_a_name_and_a_name_may_be_text() {
    let (here, there) = tokio::io::duplex(64 << 10);
    let dialling = async {
        let mut dialler = Dialler::new(there).await;
        let places = vec![Value::None];
        dialler
            .call(2, Receiver::Root, "loginAnonymous", places)
            .await;
        assert!(dialler.outcome().await.unwrap_err().is("UnauthorizedLogin"));
        dialler
            .log_in(Value::text("w1"), "pw1", Value::Ours(1))
            .await;
        dialler
    };
    let (_dialler, peer) = tokio::join!(dialling, line::log_in(here, &accounts_of));
    assert_eq!(peer.unwrap().name, "w1");
}

#[tokio::test]
async fn a_slave_whose_name_is_taken_is_told_by_the_error_that_ends_it() {
    let (mut dialler, peer) = knock(Value::Bytes("w1".into()), "pw1", Value::Ours(1)).await;
    peer.unwrap().refuse("its name is taken").await.unwrap();
    let failure = dialler.outcome().await.unwrap_err();
    assert!(failure.is("RuntimeError") && !failure.is("UnauthorizedLogin"));
    assert_eq!(failure.value, "its name is taken");
}

#[tokio::test]
async fn a_slave_that_cannot_be_taken_at_the_moment_hears_nothing_and_its_line_closes() {
    let (mut dialler, peer) = knock(Value::Bytes("w1".into()), "pw1", Value::Ours(1)).await;
    // Any answer but that of a wrong password would end its process for good.
    drop(peer.unwrap());
    let mut rest = Vec::new();
    dialler.stream.read_to_end(&mut rest).await.unwrap();
    assert_eq!(rest, b"");
}

/// Answers what is asked of a slave's bot: what it lacks is an error. Gives the questions.
async fn answer(dialler: &mut Dialler, known: &[(&str, Value)], last: &str) -> Vec<String> {
    let mut asked = Vec::new();
    loop {
        let (request, method, arguments) = match dialler.next().await {
            Said::Call {
                request,
                receiver: Receiver::Object(1),
                method,
                arguments,
                ..
            } => (request, method, arguments.unwrap()),
            Said::Answer { .. } => continue,
            other => panic!("{other:?}"),
        };
        if method == "print" {
            // By its name, which all versions take.
            let attached = ("message".to_owned(), Value::text("attached"));
            assert_eq!(arguments.names, [attached]);
        }
        // It may call meanwhile: that it is alive.
        dialler
            .call(9, Receiver::Object(2), "keepalive", Vec::new())
            .await;
        let value = known.iter().find(|it| it.0 == method);
        let answer = match value {
            Some((_, value)) => Said::Answer {
                request,
                value: Ok(value.clone()),
            },
            None => Said::Error {
                request,
                failure: Failure::new(Kind::NoMethod, "No such method"),
            },
        };
        dialler.say(&answer).await;
        let is_last = method == last;
        asked.push(method);
        if is_last {
            return asked;
        }
    }
}

#[tokio::test]
async fn a_slave_is_asked_in_the_words_of_its_age() {
    let bytes = |text: &str| Value::Bytes(text.into());
    let commands = || Value::Dict(vec![(bytes("shell"), bytes("2.16"))]);
    let info = |pairs: &[(&str, Value)]| {
        let pairs = pairs.iter().map(|(key, value)| (bytes(key), value.clone()));
        Value::Dict(pairs.collect())
    };
    let said = || ("print", Value::None);
    let new = info(&[
        ("version", Value::text("4.3.0")),
        ("worker_commands", commands()),
    ]);
    let late = info(&[("version", bytes("0.8.14")), ("slave_commands", commands())]);
    let old = info(&[("admin", bytes("Ann\n"))]);
    let older = [
        "print",
        "getWorkerInfo",
        "getSlaveInfo",
        "getCommands",
        "getVersion",
    ];
    for (known, asked, program) in [
        (
            vec![said(), ("getWorkerInfo", new)],
            &older[..2],
            "buildbot-worker 4.3.0",
        ),
        (
            vec![said(), ("getSlaveInfo", late)],
            &older[..3],
            "buildbot-slave 0.8.14",
        ),
        (
            vec![
                said(),
                ("getSlaveInfo", old),
                ("getCommands", commands()),
                ("getVersion", bytes("0.8.5")),
            ],
            &older[..],
            "buildbot-slave 0.8.5",
        ),
        // The oldest ones know nothing of this.
        (vec![said()], &older[..], "buildbot-slave"),
    ] {
        let (mut dialler, peer) = knock(bytes("w1"), "pw1", Value::Ours(1)).await;
        let last = asked.last().unwrap();
        let (attached, told) = tokio::join!(
            peer.unwrap().welcome("run 1"),
            answer(&mut dialler, &known, last)
        );
        assert_eq!(told, asked);
        assert_eq!(attached.unwrap().facts.version, program);
    }
}
