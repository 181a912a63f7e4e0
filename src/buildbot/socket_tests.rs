//! A WebSocket from its first byte: who comes in, and what is answered to who does not.

use std::time::Duration;

use futures_util::SinkExt;
use futures_util::StreamExt;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::Data;
use tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode;

use super::line::LineError;
use super::peer::Ended;
use super::slave_tests::line;
use super::slave_tests::start;
use super::socket;
use super::socket::Caller;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::msgpack::said;
use crate::wire::msgpack::said::Said;
use crate::wire::pb::jelly::Value;

/// `w1:pw1`.
const LOGIN: &str = "Authorization: Basic dzE6cHcx\r\n";

fn request(login: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nUser-Agent: AutobahnPython/26.10.2\r\nHost: 127.0.0.1:9989\r\n\
         Upgrade: WebSocket\r\nConnection: Upgrade\r\nPragma: no-cache\r\n{login}\
         Sec-WebSocket-Key: gtZaLhmZ/3gxjeQVTyIs/A==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

fn password_of(name: &str) -> Option<String> {
    let known = [("w1", "pw1"), ("w3", "a:b")];
    let found = known.into_iter().find(|it| it.0 == name);
    found.map(|it| it.1.to_owned())
}

/// What comes of a request, and what is answered.
async fn knock(request: &[u8]) -> (Result<Caller<DuplexStream>, LineError>, String) {
    let (here, mut there) = tokio::io::duplex(64 << 10);
    there.write_all(request).await.unwrap();
    let caller = socket::log_in(here, &password_of).await;
    let mut answer = String::new();
    if caller.is_err() {
        there.read_to_string(&mut answer).await.unwrap();
    }
    (caller, answer)
}

#[tokio::test(start_paused = true)]
async fn who_does_not_come_in_is_answered_with_the_reason() {
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000));
    for (request, status, why) in [
        (request(""), "401", "it shows no name and password"),
        (
            request("Authorization: Basic dzE6eHg=\r\n"),
            "401",
            "`w1` has another password",
        ),
        (
            request("Authorization: Basic dzI6cHcx\r\n"),
            "401",
            "`w2` is not configured",
        ),
        (
            request("Authorization: Basic ???\r\n"),
            "400",
            "its login cannot be read",
        ),
        (
            request("Authorization: Bearer x\r\n"),
            "400",
            "its login cannot be read",
        ),
        (
            "GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            "426",
            "it does not ask for a WebSocket",
        ),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), "400", "it is none"),
        ("GARBAGE\r\n\r\n".to_owned(), "400", "it is none"),
        (long, "400", "it is too long"),
    ] {
        let (caller, answer) = knock(request.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        let told = caller.err().unwrap();
        assert!(told.to_string().ends_with(why), "{told}");
        assert!(!told.is_nonsense() && !answer.contains("pw1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_answered_as_late_as_an_unknown_name() {
    let begun = tokio::time::Instant::now();
    drop(knock(request("Authorization: Basic dzE6eHg=\r\n").as_bytes()).await);
    let known = begun.elapsed();
    drop(knock(request("Authorization: Basic dzI6cHcx\r\n").as_bytes()).await);
    assert_eq!(known * 2, begun.elapsed());
    assert!(known >= Duration::from_secs(1));
}

#[tokio::test]
async fn a_request_may_come_byte_by_byte_and_the_answer_to_a_taken_name_is_a_conflict() {
    let (here, mut there) = tokio::io::duplex(1);
    let asking = async {
        there.write_all(request(LOGIN).as_bytes()).await.unwrap();
        let mut answer = String::new();
        there.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let answering = async {
        let caller = socket::log_in(here, &password_of).await.unwrap();
        assert_eq!(caller.name, "w1");
        caller.refuse("its name is taken").await.unwrap();
    };
    let (answer, ()) = tokio::join!(asking, answering);
    assert!(answer.starts_with("HTTP/1.1 409 "), "{answer}");
    assert!(answer.ends_with("its name is taken\n"), "{answer}");
}

#[tokio::test]
async fn a_password_may_have_a_colon_and_the_words_of_the_header_any_case() {
    let (caller, answer) = knock(request("aUTHORIZATION: bASIC dzM6YTpi\r\n").as_bytes()).await;
    assert_eq!((caller.unwrap().name.as_str(), answer.as_str()), ("w3", ""));
}

/// A worker that answers what it is asked at its login; and what it was asked.
async fn attach(
    left: &[String],
) -> (
    socket::Attached<DuplexStream>,
    WebSocketStream<DuplexStream>,
    Vec<String>,
) {
    let (here, mut there) = tokio::io::duplex(64 << 10);
    there.write_all(request(LOGIN).as_bytes()).await.unwrap();
    let caller = socket::log_in(here, &password_of).await.unwrap();
    let worker = async {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(there.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        assert!(
            head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"),
            "{head}"
        );
        // As the worker's own library has it of this key.
        let accepted = "sec-websocket-accept: NoVoVBgXk+grhjtLNQGcmeQ78a0=\r\n";
        assert!(head.contains(accepted), "{head}");
        let mut socket = WebSocketStream::from_raw_socket(there, Role::Client, None).await;
        let mut asked = Vec::new();
        // Nobody answers to what is asked so early but with that.
        let early = said::request(0, "update_read_file", Vec::new());
        socket.send(Message::binary(early)).await.unwrap();
        loop {
            let heard = next(&mut socket).await;
            let Said::Request { number, op, fields } = heard else {
                let why = "Worker not authenticated.".to_owned();
                let (number, result) = (0, Err(why));
                assert_eq!(heard, Said::Response { number, result });
                continue;
            };
            let result = match op.as_str() {
                "get_worker_info" => Value::dict([
                    ("basedir", Value::text("/srv")),
                    ("version", Value::text("4.3.0")),
                ]),
                _ => Value::None,
            };
            let named = fields.get("command_id").and_then(Value::as_text);
            asked.push(
                format!("{op} {}", named.unwrap_or_default())
                    .trim()
                    .to_owned(),
            );
            let answer = said::response(number, Ok(result));
            socket.send(Message::binary(answer)).await.unwrap();
            if asked.len() == 3 + left.len() {
                return (socket, asked);
            }
        }
    };
    let (attached, (socket, asked)) = tokio::join!(caller.welcome("run 1", left), worker);
    (attached.unwrap(), socket, asked)
}

async fn next(socket: &mut WebSocketStream<DuplexStream>) -> Said {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Binary(bytes) => return said::read(&bytes).unwrap(),
            Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_worker_is_asked_what_it_is_and_is_told_to_end_what_it_ran_before() {
    let left = ["7-0-0-0".to_owned()];
    let (attached, _socket, asked) = attach(&left).await;
    assert_eq!(attached.facts.version, "buildbot-worker 4.3.0");
    assert_eq!(
        asked,
        [
            "print",
            "get_worker_info",
            "set_worker_settings",
            "interrupt_command 7-0-0-0"
        ]
    );
}

#[tokio::test]
async fn what_runs_is_ended_when_the_master_goes_and_left_when_the_line_breaks() {
    for master_goes in [true, false] {
        let (attached, mut socket, _) = attach(&[]).await;
        let (order, orders) = mpsc::channel(4);
        let (say, mut said) = mpsc::channel(4);
        let attending = tokio::spawn(socket::attend(attached, orders, say));
        order
            .send(FromMaster::Builders {
                dirs: vec!["a".to_owned()],
                now_ms: 0,
                remove_after_ms: None,
            })
            .await
            .unwrap();
        order.send(start(0, line("a/build"))).await.unwrap();
        // A ping of the protocol below is answered by the library.
        socket.send(Message::Ping("x".into())).await.unwrap();
        let Said::Request { number, op, .. } = next(&mut socket).await else {
            panic!()
        };
        assert_eq!(op, "start_command");
        let answer = said::response(number, Ok(Value::None));
        socket.send(Message::binary(answer)).await.unwrap();
        assert!(matches!(said.recv().await, Some(FromSlave::Started { .. })));
        match master_goes {
            true => {
                drop(order);
                let Said::Request { op, fields, .. } = next(&mut socket).await else {
                    panic!()
                };
                assert_eq!(op, "interrupt_command");
                assert_eq!(fields.get("command_id"), Some(&Value::text("1-0-0-0")));
            }
            false => drop(socket),
        }
        let ended = timeout(Duration::from_secs(30), attending).await.unwrap();
        let Ended { how, left } = ended.unwrap();
        assert_eq!(how.is_ok(), master_goes);
        assert_eq!(left.is_empty(), master_goes, "{left:?}");
    }
}

#[tokio::test]
async fn a_ping_is_answered_a_text_is_nothing_and_a_message_may_come_in_fragments() {
    let (attached, mut socket, _) = attach(&[]).await;
    let (_order, orders) = mpsc::channel(4);
    let (say, _said) = mpsc::channel(4);
    let attending = tokio::spawn(socket::attend(attached, orders, say));
    socket.send(Message::Ping("x".into())).await.unwrap();
    let pong = timeout(Duration::from_secs(30), socket.next()).await;
    assert_eq!(pong.unwrap().unwrap().unwrap(), Message::Pong("x".into()));
    socket.send(Message::text("{}")).await.unwrap();
    let asked = said::request(7, "__import__", Vec::new());
    let (first, rest) = asked.split_at(3);
    let first = Frame::message(first.to_vec(), OpCode::Data(Data::Binary), false);
    let rest = Frame::message(rest.to_vec(), OpCode::Data(Data::Continue), true);
    for frame in [first, rest] {
        socket.send(Message::Frame(frame)).await.unwrap();
    }
    let why = "Command __import__ does not exist.".to_owned();
    let (number, result) = (7, Err(why));
    let told = timeout(Duration::from_secs(30), next(&mut socket)).await;
    assert_eq!(told.unwrap(), Said::Response { number, result });
    attending.abort();
}

#[tokio::test]
async fn frames_that_are_none_or_too_long_end_the_line_as_nonsense() {
    let long = said::response(1, Ok(Value::Bytes(vec![0; 5 << 20])));
    let garbled = Message::binary(vec![0xdd, 0xff, 0xff, 0xff, 0xff]);
    for (message, why) in [
        (garbled, "a message has more than 262144 values"),
        (Message::binary(long), "Message too long"),
    ] {
        let (attached, mut socket, _) = attach(&[]).await;
        let (_order, orders) = mpsc::channel(4);
        let (say, _said) = mpsc::channel(4);
        let attending = tokio::spawn(socket::attend(attached, orders, say));
        // The other side may be gone before all is said.
        drop(socket.send(message).await);
        let ended = timeout(Duration::from_secs(30), attending).await.unwrap();
        let error = ended.unwrap().how.unwrap_err();
        assert!(
            error.is_nonsense() && error.to_string().contains(why),
            "{error}"
        );
    }
}
