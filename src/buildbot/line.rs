//! The line to a program of Buildbot: what it says is read, what is said to it is written, and in
//! between stands a [`Slave`].

use std::io;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWrite;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

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
const PAUSE: Duration = Duration::from_secs(1);

/// What may wait to be written before nothing more is read.
const MOST_WAITING: usize = 2 << 20;

/// Why a line to a program of Buildbot ends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("the line broke")]
    Line(#[from] io::Error),
    #[error("the other side closed the line")]
    Closed,
    #[error(transparent)]
    Nonsense(#[from] Nonsense),
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
}

impl LineError {
    /// Whether the other side said what none says.
    pub(crate) const fn is_nonsense(&self) -> bool {
        matches!(self, Self::Nonsense(_))
    }
}

impl From<Broken> for LineError {
    fn from(broken: Broken) -> Self {
        Self::Nonsense(broken.into())
    }
}

/// A slave that has shown that it knows its password and waits to hear that it is welcome.
pub(crate) struct Peer<S> {
    stream: S,
    broker: Broker<Challenge>,
    pub(crate) name: String,
    bot: u64,
    owed: Owed,
}

/// Asks a caller who it is. The side that was dialled speaks first.
pub(crate) async fn log_in<S>(
    stream: S,
    password_of: &(impl Fn(&str) -> Option<String> + Sync),
) -> Result<Peer<S>, LineError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
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
    let password = password_of(&claim.name);
    let wrong = match &password {
        None => Some(LineError::UnknownName(claim.name.clone())),
        Some(it) if !claim.proves(it) => Some(LineError::WrongPassword(claim.name.clone())),
        Some(_) if claim.mind.is_none() => Some(LineError::Mindless(claim.name.clone())),
        Some(_) => None,
    };
    if let Some(wrong) = wrong {
        tokio::time::sleep(PAUSE).await;
        // It does not say which of the two is wrong.
        let failure = Failure::new(Kind::Unauthorized, "the name or the password is wrong");
        broker.answer(claim.owed, Err(failure));
        flush(&mut stream, &mut broker).await?;
        stream.shutdown().await?;
        return Err(wrong);
    }
    broker.trust();
    Ok(Peer {
        stream,
        broker,
        name: claim.name,
        bot: claim.mind.unwrap_or_default(),
        owed: claim.owed,
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Peer<S> {
    /// Tells a slave that its name is taken by one that answers. It ends.
    pub(crate) async fn refuse(mut self, why: &str) -> Result<(), LineError> {
        let failure = Failure::new(Kind::Runtime, why);
        self.broker.answer(self.owed, Err(failure));
        flush(&mut self.stream, &mut self.broker).await?;
        self.stream.shutdown().await?;
        Ok(())
    }

    /// Welcomes the slave and asks what it is.
    pub(crate) async fn welcome(mut self, run: &str) -> Result<Attached<S>, LineError> {
        let bot = self.bot;
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
            Err(failure) if failure.is("NoSuchMethod") || failure.is("AttributeError") => {
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

async fn flush<S, T>(stream: &mut S, broker: &mut Broker<T>) -> io::Result<()>
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
