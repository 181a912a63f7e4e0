//! The line to a worker that speaks MessagePack over a WebSocket: an HTTP request with name and
//! password, its answer, and from then on messages. See [`line`](mod@super::line) for the other one.

use std::future::poll_fn;
use std::time::Duration;

use futures_util::SinkExt;
use futures_util::StreamExt;
use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::Request;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::handshake::server::write_response;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::secrets::Login;
use crate::secrets::is_same;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::SlaveFacts;
use crate::wire::pb::broker::CallId;
use crate::wire::pb::broker::Heard;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::failure::Kind;
use crate::wire::pb::jelly::Value;

use super::facts::Program;
use super::line::LineError;
use super::line::MOST_WAITING;
use super::line::PAUSE;
use super::packed::Packed;
use super::paths::Paths;
use super::peer::Ended;
use super::slave::Slave;
use super::tongue::Tongue;

/// What a request with which somebody comes begins with.
pub(crate) const FIRST_BYTE: u8 = b'G';

/// Nobody's request is longer.
const LONGEST_HEAD: usize = 8 << 10;

/// A block of a file, or what was printed in a while with a line that is long.
const LONGEST_MESSAGE: usize = 4 << 20;

/// So long a worker may take what is said to it last.
const FAREWELL: Duration = Duration::from_secs(2);

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        // For each of many workers, most of which are idle.
        .read_buffer_size(16 << 10)
        .write_buffer_size(16 << 10)
        .max_write_buffer_size(2 * LONGEST_MESSAGE)
        .max_message_size(Some(LONGEST_MESSAGE))
        .max_frame_size(Some(LONGEST_MESSAGE))
}

impl From<Error> for LineError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => Self::Line(error),
            Error::ConnectionClosed
            | Error::AlreadyClosed
            // Who is killed takes no leave.
            | Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Self::Closed,
            other => Self::Frames(Box::new(other)),
        }
    }
}

/// A worker that has shown that it knows its password and waits to hear that it is welcome.
pub(crate) struct Caller<S> {
    stream: S,
    pub(crate) name: String,
    /// What it is told then.
    answer: Vec<u8>,
    /// What has come behind its request.
    rest: Vec<u8>,
}

/// Reads the request of a caller, and who it says it is.
pub(super) async fn log_in<S>(
    mut stream: S,
    password_of: &(impl Fn(&str) -> Option<String> + Sync),
) -> Result<Caller<S>, LineError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut head = Vec::new();
    let (request, rest) = loop {
        match Request::try_parse(&head) {
            Ok(Some((length, request))) => break (request, head.split_off(length)),
            Ok(None) if head.len() < LONGEST_HEAD => {}
            Ok(None) => return turn_away(stream, BAD, LineError::Http("it is too long")).await,
            Err(_) => return turn_away(stream, BAD, LineError::Http("it is none")).await,
        }
        let most = LONGEST_HEAD - head.len();
        if (&mut stream).take(most as u64).read_buf(&mut head).await? == 0 {
            return Err(LineError::Closed);
        }
    };
    let Ok(answer) = create_response(&request) else {
        let why = LineError::Http("it does not ask for a WebSocket");
        return turn_away(stream, PLAIN, why).await;
    };
    let shown = request.headers().get("authorization");
    let shown = shown.and_then(|it| it.to_str().ok());
    let login = match shown.map(Login::of_header) {
        Some(Some(login)) => login,
        Some(None) => {
            let why = LineError::Http("its login cannot be read");
            return turn_away(stream, BAD, why).await;
        }
        None => {
            let why = LineError::Http("it shows no name and password");
            return turn_away(stream, UNAUTHORIZED, why).await;
        }
    };
    let wrong = match password_of(&login.user) {
        None => Some(LineError::UnknownName(login.user.clone())),
        Some(it) if !is_same(&it, &login.password) => {
            Some(LineError::WrongPassword(login.user.clone()))
        }
        Some(_) => None,
    };
    if let Some(wrong) = wrong {
        tokio::time::sleep(PAUSE).await;
        return turn_away(stream, UNAUTHORIZED, wrong).await;
    }
    let mut bytes = Vec::new();
    write_response(&mut bytes, &answer)?;
    Ok(Caller {
        stream,
        name: login.user,
        answer: bytes,
        rest,
    })
}

/// What a caller hears who does not come in: a status, a header of its own, and words.
type Refusal<'a> = (&'static str, &'static str, &'a str);

const BAD: Refusal<'static> = ("400 Bad Request", "", "this is no request of a worker");
const PLAIN: Refusal<'static> = (
    "426 Upgrade Required",
    "Upgrade: websocket\r\n",
    "slaves connect here; the pages of this master are on its port for HTTP",
);
const UNAUTHORIZED: Refusal<'static> = (
    "401 Unauthorized",
    "WWW-Authenticate: Basic realm=\"slaves\"\r\n",
    "the name or the password is wrong",
);

/// Answers a request that leads nowhere.
async fn turn_away<S, T>(
    mut stream: S,
    (status, header, words): Refusal<'_>,
    why: LineError,
) -> Result<T, LineError>
where
    S: AsyncWrite + Unpin,
{
    let length = words.len() + 1;
    let answer = format!(
        "HTTP/1.1 {status}\r\n{header}Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{words}\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    Err(why)
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Caller<S> {
    /// Tells a worker that its name is taken by one that answers. It comes again later.
    pub(crate) async fn refuse(self, why: &str) -> Result<(), LineError> {
        let refusal = ("409 Conflict", "", why);
        match turn_away::<_, ()>(self.stream, refusal, LineError::Closed).await {
            Err(LineError::Closed) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Welcomes the worker and asks what it is. `left` is what it ran when its line broke, and
    /// may run still.
    pub(crate) async fn welcome(
        mut self,
        run: &str,
        left: &[String],
    ) -> Result<Attached<S>, LineError> {
        self.stream.write_all(&self.answer).await?;
        let config = Some(config());
        let stream = WebSocketStream::from_partially_read;
        let mut stream = stream(self.stream, self.rest, Role::Server, config).await;
        let mut packed = Packed::default();
        let call = packed.request("print", vec![("message", Value::text("attached"))]);
        let _ = answer(&mut stream, &mut packed, call).await?;
        let call = packed.request("get_worker_info", Vec::new());
        let info = answer(&mut stream, &mut packed, call).await?;
        let info = info.map_err(|failure| LineError::Facts(failure.value))?;
        packed.learn(Paths::read(&info));
        let call = packed.set_up();
        let set_up = answer(&mut stream, &mut packed, call).await?;
        set_up.map_err(|failure| LineError::Facts(failure.value))?;
        for name in left {
            let why = "its line broke, and its build with it";
            let call = packed.interrupt_by_name(name, why);
            let _ = answer(&mut stream, &mut packed, call).await?;
        }
        let program = Program::read(&info, false);
        let facts = program.facts(&info, run);
        let slave = Slave::new(packed, program);
        Ok(Attached {
            stream,
            slave,
            facts,
        })
    }
}

/// A worker that has said what it is.
pub(crate) struct Attached<S> {
    stream: WebSocketStream<S>,
    slave: Slave<Packed>,
    pub(crate) facts: SlaveFacts,
}

/// Waits for the response to a request. Until it is attached, a worker can ask for nothing.
async fn answer<S>(
    stream: &mut WebSocketStream<S>,
    packed: &mut Packed,
    call: CallId,
) -> Result<Result<Value, Failure>, LineError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        while let Some(heard) = packed.next()? {
            match heard {
                Heard::Answered { call: it, result } if it == call => return Ok(result),
                Heard::Called { owed, .. } => {
                    let why = Failure::new(Kind::Runtime, "Worker not authenticated.");
                    packed.answer(owed, Err(why));
                }
                Heard::Answered { .. } | Heard::Released(_) => {}
            }
        }
        while let Some(message) = packed.out.pop_front() {
            stream.feed(Message::binary(message)).await?;
        }
        stream.flush().await?;
        match stream.next().await {
            Some(message) => hear(message?, packed),
            None => return Err(LineError::Closed),
        }
    }
}

fn hear(message: Message, packed: &mut Packed) {
    match message {
        Message::Binary(bytes) => packed.hear(bytes.into()),
        // The library answers what is to be answered; a text means nothing.
        Message::Text(_)
        | Message::Ping(_)
        | Message::Pong(_)
        | Message::Close(_)
        | Message::Frame(_) => {}
    }
}

/// Serves the worker until its line, or the master's interest in it, ends. While the master takes
/// nothing, nothing is read of the worker. Also says what it still runs.
pub(crate) async fn attend<S>(
    attached: Attached<S>,
    orders: mpsc::Receiver<FromMaster>,
    say: mpsc::Sender<FromSlave>,
) -> Ended
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Attached {
        mut stream,
        mut slave,
        ..
    } = attached;
    let how = serve(&mut stream, &mut slave, orders, say).await;
    let left: Vec<String> = slave.tongue.running().cloned().collect();
    if how.is_err() || left.is_empty() {
        return Ended { how, left };
    }
    // Other slaves of Buildbot end what they run when their line ends. This one does not.
    let farewell = async {
        for name in &left {
            let why = "the master goes";
            let _ = slave.tongue.interrupt_by_name(name, why);
        }
        while let Some(message) = slave.tongue.out.pop_front() {
            stream.feed(Message::binary(message)).await?;
        }
        stream.flush().await
    };
    match tokio::time::timeout(FAREWELL, farewell).await {
        Ok(Ok(())) => Ended {
            how,
            left: Vec::new(),
        },
        Ok(Err(_)) | Err(_) => Ended { how, left },
    }
}

async fn serve<S>(
    stream: &mut WebSocketStream<S>,
    slave: &mut Slave<Packed>,
    mut orders: mpsc::Receiver<FromMaster>,
    say: mpsc::Sender<FromSlave>,
) -> Result<(), LineError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut writer, mut reader) = stream.split();
    let mut is_flushed = true;
    loop {
        // Nothing that has come before the first order is left lying.
        slave.heard()?;
        let has_news = !slave.out.is_empty();
        let out = &mut slave.tongue.out;
        let waiting: usize = out.iter().map(Vec::len).sum();
        tokio::select! {
            permit = say.reserve(), if has_news => match permit {
                Ok(permit) => permit.send(slave.out.remove(0)),
                Err(_) => return Ok(()),
            },
            // Neither loses anything when another arm is faster.
            done = poll_fn(|cx| match waiting {
                0 => writer.poll_flush_unpin(cx),
                _ => writer.poll_ready_unpin(cx),
            }), if waiting > 0 || !is_flushed => {
                done?;
                let message = out.pop_front();
                is_flushed = message.is_none();
                if let Some(message) = message {
                    writer.start_send_unpin(Message::binary(message))?;
                }
            }
            order = orders.recv(), if waiting < MOST_WAITING => match order {
                Some(order) => slave.told(order),
                None => return Ok(()),
            },
            message = reader.next(), if !has_news && waiting < MOST_WAITING => match message {
                Some(message) => hear(message?, &mut slave.tongue),
                None => return Err(LineError::Closed),
            },
        }
    }
}
