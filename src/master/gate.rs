//! The door for slaves that dial in: what a caller's first byte says, TLS,
//! and how many strangers there may be. Whoever has logged in is a guest of
//! [`slaves`].

use std::collections::BTreeMap;
use std::io;
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{self, Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::buildbot::{self, Duplex, Protocol};
use crate::config::TlsUse;
use crate::master::buildbot_line;
use crate::master::crew::Crew;
use crate::master::handle::MasterHandle;
use crate::master::slaves;
use crate::master::strangers::{Refusal, Strangers};
use crate::master::welcome::{self, NotIn};
use crate::model::SlaveName;
use crate::tls;
use crate::tls::{Acceptor, Identity};
use crate::wire::login::turn_away;
use crate::wire::native::{FrameReader, FrameWriter};

/// How long somebody is listened to who is only told to go.
const WORD: Duration = Duration::from_secs(5);
/// Callers at once that are told why they have to go; the others are cut off without a word.
const WORDS: usize = 16;
/// More than the first words of a caller, which are read so that the answer arrives.
const FIRST_WORDS: u64 = 64 << 10;
/// An idle line is probed by the system too, so that what lies between does not forget it.
const PROBE: Duration = Duration::from_mins(10);

/// Slaves of autobot speak first, at once; those of Buildbot wait to be spoken to. Who is taken for
/// the wrong one dials again.
const QUIET: Duration = Duration::from_millis(500);

/// What a caller with a plain line hears where none is taken.
const TLS_ONLY: &str = "this master takes slaves over TLS only: set `tls = yes` in slave.ini, and \
                        `tls_ca` to a copy of its authority's certificate";

/// What is spoken at a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tongue {
    /// Who speaks first speaks autobot's protocol, who waits Buildbot's.
    Either,
    /// Nobody waits here.
    Buildbot,
}

/// What every listener for slaves shares.
pub(super) struct Gate {
    strangers: Mutex<Strangers>,
    /// With the fingerprint of what it shows; `None`: no TLS.
    acceptor: Mutex<Option<(Acceptor, String)>>,
    words: Arc<Semaphore>,
    /// What slaves of Buildbot ran when their lines broke, and may run still.
    left: Mutex<BTreeMap<SlaveName, Vec<String>>>,
}

impl Gate {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            strangers: Mutex::default(),
            acceptor: Mutex::default(),
            words: Arc::new(Semaphore::new(WORDS)),
            left: Mutex::default(),
        })
    }

    /// From now on callers are shown this certificate. Lines that stand are not touched. Says
    /// so if it is another than before.
    pub(super) fn show(&self, identity: Option<&Identity>) -> Option<String> {
        let new = identity.map(|it| (it.acceptor(), it.fingerprint()));
        let said = new.as_ref().map(|(_, it)| it.clone());
        let old = mem::replace(&mut *locked(&self.acceptor), new)?.1;
        let new = said.filter(|new| *new != old)?;
        Some(format!(
            "changed the certificate that slaves are shown: SHA-256 {new}"
        ))
    }

    /// A line broke, and these commands went on.
    pub(super) fn leave(&self, slave: &SlaveName, commands: Vec<String>) {
        if !commands.is_empty() {
            locked(&self.left).insert(slave.clone(), commands);
        }
    }

    /// What the slave may still run of what it ran on its last line.
    pub(super) fn left(&self, slave: &SlaveName) -> Vec<String> {
        locked(&self.left).remove(slave).unwrap_or_default()
    }

    fn acceptor(&self) -> Option<Acceptor> {
        let acceptor = locked(&self.acceptor);
        acceptor.as_ref().map(|(it, _)| it.clone())
    }

    /// Lets a caller in that has come to this port, or says why not.
    fn come(self: &Arc<Self>, crew: &Crew, from: IpAddr, port: u16) -> Result<Stranger, Refusal> {
        let limits = &crew.plan().master.line;
        locked(&self.strangers).come(from, limits, Instant::now())?;
        let gate = Arc::clone(self);
        Ok(Stranger { gate, from, port })
    }

    pub(super) fn failed(&self, crew: &Crew, from: IpAddr) {
        let limits = &crew.plan().master.line;
        locked(&self.strangers).failed(from, limits, Instant::now());
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A caller who has not logged in yet; one less when it is dropped.
pub(super) struct Stranger {
    pub(super) gate: Arc<Gate>,
    from: IpAddr,
    /// Which accounts are good there.
    pub(super) port: u16,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        locked(&self.gate.strangers).leave(self.from);
    }
}

/// Takes slaves in that dial.
pub(super) async fn accept_slaves(
    master: MasterHandle,
    gate: Arc<Gate>,
    (listener, tongue): (TcpListener, Tongue),
    stop: CancellationToken,
) {
    let crew = Arc::clone(master.crew());
    let port = listener.local_addr().map_or(0, |it| it.port());
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: others must close some first.
                warn!(reason = %error, "failed to take a slave in");
                time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        // Small messages must not wait for larger ones.
        drop(stream.set_nodelay(true));
        let probed = rustix::net::sockopt::set_socket_keepalive(&stream, true)
            .and_then(|()| rustix::net::sockopt::set_tcp_keepidle(&stream, PROBE));
        if let Err(error) = probed {
            debug!(%from, reason = %error, "the system does not probe a line");
        }
        match gate.come(&crew, from.ip(), port) {
            Ok(stranger) => {
                let task = receive(master.clone(), (stream, tongue), from, stranger);
                crew.supervise(format!("slave line from {from}"), task);
            }
            Err(refusal) => {
                if refusal.is_news {
                    let wait = refusal.wait.as_secs();
                    let from = from.ip();
                    warn!(%from, reason = refusal.why, wait, "refuses callers of an address");
                }
                // Who cannot be told is cut off.
                if tongue == Tongue::Either
                    && let Ok(permit) = Arc::clone(&gate.words).try_acquire_owned()
                {
                    let task = send_away(Arc::clone(&gate), stream, refusal, permit);
                    crew.supervise(format!("refusal of {from}"), task);
                }
            }
        }
    }
}

/// Says to a caller why it is not asked who it is.
async fn send_away(
    gate: Arc<Gate>,
    stream: TcpStream,
    refusal: Refusal,
    _permit: OwnedSemaphorePermit,
) {
    let saying = async {
        match (first_byte(&stream).await, gate.acceptor()) {
            (Ok(Some(tls::FIRST_BYTE)), Some(acceptor)) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    tell(stream, refusal.why, Some(refusal.wait)).await;
                }
            }
            (Ok(Some(tls::FIRST_BYTE)), None) => say_no_tls(stream).await,
            (Ok(Some(_)), _) => tell(stream, refusal.why, Some(refusal.wait)).await,
            (Ok(None) | Err(_), _) => {}
        }
    };
    if timeout(WORD, saying).await.is_err() {
        debug!("a caller that was refused did not listen");
    }
}

async fn tell<S>(stream: S, why: String, wait: Option<Duration>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (read, write) = tokio::io::split(stream);
    let (mut reader, mut writer) = (FrameReader::new(read), FrameWriter::new(write));
    if let Err(error) = turn_away(&mut reader, &mut writer, why, wait).await {
        debug!(
            reason = slaves::chain(&error),
            "a refusal could not be said"
        );
    }
}

/// A caller with TLS where there is none hears it in its own language.
async fn say_no_tls(mut stream: TcpStream) {
    let said = stream.write_all(&tls::no_tls_here()).await;
    if said.is_ok() && stream.shutdown().await.is_ok() {
        // What is left unread when a line closes takes the answer with it.
        let mut rest = stream.take(FIRST_WORDS);
        drop(tokio::io::copy(&mut rest, &mut tokio::io::sink()).await);
    }
}

/// The first byte that a caller says, which stays there to be read; `None` if it hangs up.
async fn first_byte(stream: &TcpStream) -> io::Result<Option<u8>> {
    let mut first = [0];
    let seen = stream.peek(&mut first).await?;
    Ok((seen > 0).then_some(first[0]))
}

/// Serves a caller from its first byte to the end of its line.
async fn receive(
    master: MasterHandle,
    (stream, tongue): (TcpStream, Tongue),
    from: SocketAddr,
    stranger: Stranger,
) {
    let crew = Arc::clone(master.crew());
    let limits = crew.plan().master.line.clone();
    let until = Instant::now() + limits.login_timeout;
    let refuse = |why: &str| {
        warn!(%from, reason = why, "refused a slave");
        stranger.gate.failed(&crew, from.ip());
    };
    // With TLS, who dials always speaks first.
    if tongue == Tongue::Buildbot && limits.tls == TlsUse::Off {
        let spoken = (Protocol::Calls, stream);
        return as_buildbot(master, (from, "plain"), until, stranger, spoken).await;
    }
    let first = match timeout(QUIET, first_byte(&stream)).await {
        Ok(Ok(Some(first))) => first,
        // Who only looks whether somebody listens does no harm.
        Ok(Ok(None)) => return debug!(%from, "a caller said nothing and went"),
        Ok(Err(error)) => return debug!(%from, reason = %error, "a caller's line broke"),
        Err(_) if limits.tls == TlsUse::Required => {
            return refuse("it does not begin with TLS, and `tls` is `required`");
        }
        Err(_) => {
            let spoken = (Protocol::Calls, stream);
            return as_buildbot(master, (from, "plain"), until, stranger, spoken).await;
        }
    };
    if first != tls::FIRST_BYTE {
        if limits.tls == TlsUse::Required {
            refuse("its line is plain, and `tls` is `required`");
            if tongue == Tongue::Either {
                drop(timeout(WORD, tell(stream, TLS_ONLY.to_owned(), None)).await);
            }
            return;
        }
        if tongue == Tongue::Buildbot && first != buildbot::FIRST_BYTE {
            return refuse("it does not speak Buildbot's protocol");
        }
        if first == buildbot::FIRST_BYTE {
            let spoken = (Protocol::Packed, stream);
            return as_buildbot(master, (from, "plain"), until, stranger, spoken).await;
        }
        let (read, write) = stream.into_split();
        return Box::pin(converse(
            crew,
            (from, "plain"),
            until,
            stranger,
            read,
            write,
        ))
        .await;
    }
    let Some(acceptor) = stranger.gate.acceptor() else {
        refuse("it speaks TLS, and `tls` is off in [:master:]");
        drop(timeout(WORD, say_no_tls(stream)).await);
        return;
    };
    match time::timeout_at(until, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => {
            if tongue == Tongue::Buildbot {
                let spoken = (Protocol::Calls, stream);
                return as_buildbot(master, (from, "TLS"), until, stranger, spoken).await;
            }
            let mut stream = BufStream::new(stream);
            // What has been looked at is still there to be read.
            let begun = timeout(QUIET, stream.fill_buf()).await;
            let begun = begun.map(|it| it.map(|it| it.first().copied()));
            let protocol = match begun {
                Err(_) => Some(Protocol::Calls),
                Ok(Ok(Some(buildbot::FIRST_BYTE))) => Some(Protocol::Packed),
                Ok(_) => None,
            };
            if let Some(protocol) = protocol {
                let spoken = (protocol, stream);
                return as_buildbot(master, (from, "TLS"), until, stranger, spoken).await;
            }
            let (read, write) = tokio::io::split(stream);
            Box::pin(converse(crew, (from, "TLS"), until, stranger, read, write)).await;
        }
        Ok(Err(error)) => refuse(&tls::refusal(&error)),
        Err(_) => refuse("TLS was not agreed on in time"),
    }
}

/// Serves a caller that speaks Buildbot's protocol. What it takes while it is here is its own
/// alone: a line of autobot has no room for it.
fn as_buildbot(
    master: MasterHandle,
    from: (SocketAddr, &'static str),
    until: Instant,
    stranger: Stranger,
    (protocol, stream): (Protocol, impl Duplex + 'static),
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let spoken: (_, Box<dyn Duplex>) = (protocol, Box::new(stream));
    Box::pin(buildbot_line::converse(
        master, from, until, stranger, spoken,
    ))
}

/// Asks a caller who it is, and serves the guest that it becomes.
async fn converse<R, W>(
    crew: Arc<Crew>,
    (from, how): (SocketAddr, &'static str),
    until: Instant,
    stranger: Stranger,
    read: R,
    write: W,
) where
    R: AsyncRead + Unpin + Send,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let gate = Arc::clone(&stranger.gate);
    let (mut reader, mut writer) = (FrameReader::new(read), FrameWriter::new(write));
    let password_of = |name: &str| welcome::password_of(&crew, name);
    let place = format!("{from}, {how}");
    let (reading, writing) = (&mut reader, &mut writer);
    let logged_in = welcome::log_in(&crew, &place, until, reading, writing, &password_of).await;
    drop(stranger);
    let guest = match logged_in {
        Ok(guest) => guest,
        Err(NotIn::Stranger) => return gate.failed(&crew, from.ip()),
        Err(NotIn::Known) => return,
    };
    if guest
        .stay(&crew, reader, writer, &password_of)
        .await
        .is_nonsense()
    {
        gate.failed(&crew, from.ip());
    }
}
