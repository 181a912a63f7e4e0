//! The line to a program of Buildbot: what it says is read, what is said to it is written, and in
//! between stands a [`Slave`].

use std::io;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite;

use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::SlaveFacts;
use crate::wire::pb::broker::Broken;
use crate::wire::pb::broker::Broker;
use crate::wire::pb::broker::CallId;
use crate::wire::pb::broker::Heard;
use crate::wire::pb::broker::Owed;
use crate::wire::pb::failure::Failure;
use crate::wire::pb::failure::Kind;
use crate::wire::pb::jelly::Value;
use crate::wire::pb::said::Arguments;

use super::facts::Program;
use super::facts::texts;
use super::login::Challenge;
use super::login::Login;
use super::slave::Object;
use super::slave::Slave;
use super::tongue::Calls;
use super::tongue::Nonsense;

/// Who has been refused hears it as late as any other: see the native login.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// What may wait to be written before nothing more is read.
pub(super) const MOST_WAITING: usize = 2 << 20;

/// Why a line to a program of Buildbot ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("the line broke")]
    Line(#[from] io::Error),
    #[error("the other side closed the line")]
    Closed,
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
    #[error("what came is no frame of a WebSocket: {0}")]
    Frames(Box<tungstenite::Error>),
    #[error("an HTTP request came that is not one of a slave: {0}")]
    Http(&'static str),
    #[error("the system gives no random numbers")]
    Random,
    #[error("`{0}` is not configured")]
    UnknownName(String),
    #[error("`{0}` has another password")]
    WrongPassword(String),
    #[error("`{0}` logs in as a slave and gives no object to call")]
    Mindless(String),
    #[error("the slave does not say what it is: {0}")]
    Facts(String),
    #[error("it holds more than {0} objects of this side")]
    Greedy(usize),
}

impl LineError {
    /// Whether the other side said what none says.
    pub(crate) const fn is_nonsense(&self) -> bool {
        matches!(self, Self::Nonsense(_) | Self::Frames(_) | Self::Greedy(_))
    }
}

impl From<Broken> for LineError {
    fn from(broken: Broken) -> Self {
        Self::Nonsense(broken.into())
    }
}

/// What a name may stand for, and what proves it.
#[derive(Debug)]
pub(crate) struct Account<W> {
    pub(crate) password: String,
    pub(crate) who: W,
}

/// A caller that has shown that it knows its password and waits to hear that it is welcome.
pub(crate) struct Peer<S, W> {
    pub(super) stream: S,
    pub(super) broker: Broker<Challenge>,
    pub(crate) name: String,
    pub(crate) who: W,
    /// The object by which a slave is told what to do; clients have none.
    bot: Option<u64>,
    pub(super) owed: Owed,
}

/// Asks a caller who it is. The side that was dialled speaks first. Of several accounts of one
/// name the first counts whose password it knows.
pub(crate) async fn log_in<S, W>(
    stream: S,
    accounts_of: &(impl Fn(&str) -> Vec<Account<W>> + Sync),
) -> Result<Peer<S, W>, LineError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    W: Send,
{
    let mut challenge = [0; 16];
    getrandom::fill(&mut challenge).map_err(|_| LineError::Random)?;
    let mut stream = stream;
    let mut broker = Broker::new();
    let mut login = Login::new(challenge);
    let claim = loop {
        if let Some(claim) = login.go_on(&mut broker)? {
            break claim;
        }
        flush(&mut stream, &mut broker).await?;
        read(&mut stream, &mut broker).await?;
    };
    let mut wrong = LineError::UnknownName(claim.name.clone());
    for account in accounts_of(&claim.name) {
        if !claim.proves(&account.password) {
            wrong = LineError::WrongPassword(claim.name.clone());
            continue;
        }
        broker.trust();
        return Ok(Peer {
            stream,
            broker,
            name: claim.name,
            who: account.who,
            bot: claim.mind,
            owed: claim.owed,
        });
    }
    tokio::time::sleep(PAUSE).await;
    // It does not say which of the two is wrong.
    let failure = Failure::new(Kind::Unauthorized, "the name or the password is wrong");
    broker.answer(claim.owed, Err(failure));
    flush(&mut stream, &mut broker).await?;
    close(stream).await;
    Err(wrong)
}

/// Closes a line so that the last words arrive: what is left unread would take them with it. A
/// client may not know how to end by itself.
pub(super) async fn close<S>(mut stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let rest = async {
        stream.shutdown().await?;
        let mut bytes = [0; 4 << 10];
        let mut left = MOST_WAITING;
        while left > 0 {
            match stream.read(&mut bytes).await? {
                0 => break,
                count => left = left.saturating_sub(count),
            }
        }
        Ok::<_, io::Error>(())
    };
    drop(tokio::time::timeout(PAUSE, rest).await);
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send, W> Peer<S, W> {
    /// Whether it can be told what to do, as a slave can.
    pub(crate) const fn is_slave(&self) -> bool {
        self.bot.is_some()
    }

    /// Tells a caller why it cannot stay. A slave ends then.
    pub(crate) async fn refuse(mut self, why: &str) -> Result<(), LineError> {
        let failure = Failure::new(Kind::Runtime, why);
        self.broker.answer(self.owed, Err(failure));
        flush(&mut self.stream, &mut self.broker).await?;
        close(self.stream).await;
        Ok(())
    }

    /// Welcomes the slave and asks what it is.
    pub(crate) async fn welcome(mut self, run: &str) -> Result<Attached<S>, LineError> {
        let Some(bot) = self.bot else {
            return Err(LineError::Mindless(self.name));
        };
        let mut broker = self.broker.handing_out();
        let avatar = broker.object(&Object::Avatar);
        broker.answer(self.owed, Ok(avatar));
        let hello = Arguments::named("message", Value::text("attached"));
        let stream = &mut self.stream;
        let _ = ask(stream, &mut broker, bot, "print", hello).await?;
        let info = ask(
            stream,
            &mut broker,
            bot,
            "getWorkerInfo",
            Arguments::default(),
        )
        .await?;
        let (info, program) = match info {
            Ok(info) => {
                let program = Program::read(&info, false);
                (info, program)
            }
            Err(failure) if failure.is_no_method() => {
                let info = ask(
                    stream,
                    &mut broker,
                    bot,
                    "getSlaveInfo",
                    Arguments::default(),
                )
                .await?;
                let info = info.unwrap_or(Value::Dict(Vec::new()));
                let mut program = Program::read(&info, true);
                if program.commands.is_empty() {
                    let nothing = Arguments::default;
                    let commands = ask(stream, &mut broker, bot, "getCommands", nothing()).await?;
                    program.commands = commands.as_ref().map(texts).unwrap_or_default();
                    let version = ask(stream, &mut broker, bot, "getVersion", nothing()).await?;
                    let version = version.ok().and_then(|it| it.as_text());
                    program.version = version.unwrap_or(program.version);
                }
                (info, program)
            }
            Err(failure) => return Err(LineError::Facts(failure.value)),
        };
        let facts = program.facts(&info, run);
        Ok(Attached {
            stream: self.stream,
            slave: Slave::new(Calls { broker, bot }, program),
            facts,
        })
    }
}

/// A slave that has said what it is.
pub(crate) struct Attached<S> {
    stream: S,
    slave: Slave<Calls>,
    pub(crate) facts: SlaveFacts,
}

/// Calls a method and waits for the answer. A slave may call meanwhile: that it is alive.
async fn ask<S>(
    stream: &mut S,
    broker: &mut Broker<Object>,
    object: u64,
    method: &str,
    arguments: Arguments,
) -> Result<Result<Value, Failure>, LineError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let call: CallId = broker.call(object, method, arguments);
    loop {
        while let Some(heard) = broker.next()? {
            match heard {
                Heard::Answered { call: it, result } if it == call => return Ok(result),
                Heard::Called { owed, .. } => broker.answer(owed, Ok(Value::None)),
                Heard::Answered { .. } | Heard::Released(_) => {}
            }
        }
        flush(stream, broker).await?;
        read(stream, broker).await?;
    }
}

pub(super) async fn flush<S, T>(stream: &mut S, broker: &mut Broker<T>) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    stream.write_all(&broker.out).await?;
    broker.out.clear();
    stream.flush().await
}

async fn read<S, T>(stream: &mut S, broker: &mut Broker<T>) -> Result<(), LineError>
where
    S: AsyncRead + Unpin,
    T: Clone + PartialEq,
{
    let mut bytes = [0; 16 << 10];
    match stream.read(&mut bytes).await? {
        0 => Err(LineError::Closed),
        count => {
            broker.hear(&bytes[..count]);
            Ok(())
        }
    }
}

/// Serves the slave until its line, or the master's interest in it, ends. While the master takes
/// nothing, nothing is read of the slave.
pub(crate) async fn attend<S>(
    attached: Attached<S>,
    mut orders: mpsc::Receiver<FromMaster>,
    say: mpsc::Sender<FromSlave>,
) -> Result<(), LineError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let Attached {
        stream, mut slave, ..
    } = attached;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut bytes = vec![0; 64 << 10];
    let mut written = 0;
    loop {
        // Nothing that has come before the first order is left lying.
        slave.heard()?;
        let has_news = !slave.out.is_empty();
        let broker = &mut slave.tongue.broker;
        let waiting = broker.out.len() - written;
        tokio::select! {
            permit = say.reserve(), if has_news => match permit {
                Ok(permit) => permit.send(slave.out.remove(0)),
                Err(_) => return Ok(()),
            },
            sent = writer.write(&broker.out[written..]), if waiting > 0 => {
                written += sent?;
                if written == broker.out.len() {
                    broker.out.clear();
                    written = 0;
                    writer.flush().await?;
                }
            }
            order = orders.recv(), if waiting < MOST_WAITING => match order {
                Some(order) => slave.told(order),
                None => return Ok(()),
            },
            count = reader.read(&mut bytes), if !has_news && waiting < MOST_WAITING => match count? {
                0 => return Err(LineError::Closed),
                count => broker.hear(&bytes[..count]),
            },
        }
    }
}
