//! A program of Buildbot that dials in. A slave has its line, and in front of it the slave that the
//! master knows: from there on it is a slave like any other. A client is served beside.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;
use tokio::time;
use tokio::time::Instant;
use tracing::debug;
use tracing::info;
use tracing::warn;

use crate::buildbot;
use crate::buildbot::{Duplex, Peer, Protocol};
use crate::master::buildbot_accounts::{self, Who};
use crate::master::buildbot_clients;
use crate::master::crew::Crew;
use crate::master::gate::{Gate, Stranger};
use crate::master::handle::MasterHandle;
use crate::master::slaves;
use crate::master::slaves::LineEnd;
use crate::master::welcome::{self, Guest};
use crate::model::SlaveName;
use crate::wire::FILES;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::LISTS;
use crate::wire::MASKS;
use crate::wire::TERMS;
use crate::wire::native::FrameReader;
use crate::wire::native::FrameWriter;
use crate::wire::native::WireError;

/// What such a slave can do of what came later than the first slaves; what it cannot is refused
/// where it is ordered.
const FEATURES: [&str; 4] = [MASKS, TERMS, FILES, LISTS];

/// Messages that may wait in between, either way.
const WAITING: usize = 16;

/// So long a slave may take to end its line when the master has.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// The pipe between the two halves holds a few pieces of a log.
const PIPE: usize = 256 << 10;

/// Asks a caller who it is in Buildbot's words, and serves the slave or the client that it becomes.
pub(super) async fn converse(
    master: MasterHandle,
    (from, how): (SocketAddr, &'static str),
    until: Instant,
    stranger: Stranger,
    (protocol, stream): (Protocol, Box<dyn Duplex>),
) {
    let crew = Arc::clone(master.crew());
    let gate = Arc::clone(&stranger.gate);
    let here = stranger.port;
    let accounts_of = |name: &str| buildbot_accounts::of(&crew, name, here);
    let password_of = |name: &str| buildbot_accounts::password_of_slave(&crew, name, here);
    let place = format!("{from}, {how}, {}", protocol.name());
    let logging_in = buildbot::log_in(protocol, stream, &accounts_of, &password_of);
    let peer = match time::timeout_at(until, logging_in).await {
        Ok(Ok(peer)) => peer,
        // Who only looks whether somebody listens does no harm.
        Ok(Err(buildbot::LineError::Closed | buildbot::LineError::Line(_))) => {
            return debug!(%from, "a caller said nothing and went");
        }
        Ok(Err(error)) => {
            let reason = slaves::chain(&error);
            warn!(%from, reason, "refused a caller in Buildbot's protocol");
            if let buildbot::LineError::WrongPassword(name) = &error {
                welcome::note_refusal(&crew, &name.as_str().into(), &place, &reason);
            }
            return gate.failed(&crew, from.ip());
        }
        Err(_) => {
            warn!(%from, reason = "it says nothing", "refused a caller in Buildbot's protocol");
            return gate.failed(&crew, from.ip());
        }
    };
    drop(stranger);
    let peer = match peer {
        Peer::Calls(peer) => match peer.who.clone() {
            Who::Slave if peer.is_slave() => Peer::Calls(peer),
            // A client with the name of a slave does not drive that away.
            Who::Slave => {
                let why = "this is the account of a slave, and no slave logs in with it";
                warn!(%from, slave = %peer.name, reason = why, "refused a caller in Buildbot's protocol");
                return drop(peer.refuse(why).await);
            }
            Who::Client(client) => {
                return serve_client(master, &gate, from, client, *peer).await;
            }
        },
        packed @ Peer::Packed(_) => packed,
    };
    welcome_slave(&crew, &gate, (from, place), peer).await;
}

/// Serves a client to the end of its line.
async fn serve_client(
    master: MasterHandle,
    gate: &Gate,
    from: SocketAddr,
    client: buildbot_accounts::Client,
    peer: buildbot::Caller<Box<dyn Duplex>, Who>,
) {
    let crew = Arc::clone(master.crew());
    let name = peer.name.clone();
    info!(%from, user = %name.escape_debug(), what = client.what(), "a client of Buildbot logged in");
    let ended = buildbot_clients::serve(master, client, peer).await;
    if let Err(error) = ended {
        let reason = slaves::chain(&error);
        if error.is_nonsense() {
            warn!(%from, user = %name.escape_debug(), reason, "cut off a client of Buildbot");
            gate.failed(&crew, from.ip());
        } else {
            debug!(%from, reason, "the line of a client ended");
        }
    }
}

/// Serves a slave that has shown that it knows its password.
async fn welcome_slave(
    crew: &Arc<Crew>,
    gate: &Gate,
    (from, place): (SocketAddr, String),
    peer: Peer<Box<dyn Duplex>, Who>,
) {
    let password_of = |name: &str| welcome::password_of(crew, name);
    let name = SlaveName::from(peer.name());
    let password = password_of(peer.name());
    if !welcome::make_room(crew, &name).await {
        warn!(%from, slave = %name, reason = %LineEnd::NameTaken, "refused a slave");
        welcome::note_refusal(crew, &name, &place, &LineEnd::NameTaken.to_string());
        drop(peer.refuse(&LineEnd::NameTaken.to_string()).await);
        return;
    }
    let heartbeat = crew.plan().master.line.heartbeat;
    let run = match run() {
        Ok(run) => run,
        Err(error) => return warn!(%from, reason = %error, "no random numbers for a slave"),
    };
    let left = gate.left(&name);
    let attached = match time::timeout(heartbeat, peer.welcome(&run, &left)).await {
        Ok(Ok(attached)) => Ok(attached),
        Ok(Err(error)) => Err(slaves::chain(&error)),
        Err(_) => Err(LineEnd::Silent(heartbeat).to_string()),
    };
    let attached = match attached {
        Ok(attached) => attached,
        Err(reason) => {
            warn!(%from, slave = %name, reason, "lost a slave during its login");
            return welcome::note_refusal(crew, &name, &place, &reason);
        }
    };
    let (here, there) = tokio::io::duplex(PIPE);
    let (read, write) = tokio::io::split(here);
    let guest = Guest::known(name.clone(), &FEATURES, password, place, heartbeat);
    let guest = guest.stay(
        crew,
        FrameReader::new(read),
        FrameWriter::new(write),
        &password_of,
    );
    let line = async {
        let (read, write) = tokio::io::split(there);
        let (reader, mut writer) = (FrameReader::new(read), FrameWriter::new(write));
        let facts = attached.facts().clone();
        let commands = Vec::new();
        let first = FromSlave::Attached { facts, commands };
        if let Err(error) = writer.send(&first).await {
            return warn!(slave = %name, reason = slaves::chain(&error), "cannot speak for a slave");
        }
        let (order, orders) = mpsc::channel(WAITING);
        let (say, said) = mpsc::channel(WAITING);
        // Who hears nothing more of its master still says its last words.
        let hand_in = async {
            hand_in(reader, order).await;
            time::sleep(LAST_WORDS).await;
        };
        let hand_out = async {
            hand_out(writer, said).await;
            time::sleep(LAST_WORDS).await;
        };
        let ended = tokio::select! {
            ended = attached.attend(orders, say) => ended,
            () = hand_in => return,
            () = hand_out => return,
        };
        gate.leave(&name, ended.left);
        if let Err(error) = ended.how {
            let reason = slaves::chain(&error);
            if error.is_nonsense() {
                warn!(slave = %name, reason, "cut off a slave that talks nonsense");
                gate.failed(crew, from.ip());
            } else {
                info!(slave = %name, reason, "the line of a slave ended");
            }
        }
    };
    // When one of them ends, so does the pipe between them, and by that the other.
    let (end, ()) = tokio::join!(guest, line);
    if end.is_nonsense() {
        gate.failed(crew, from.ip());
    }
}

/// Names one line: what ran on another is not on this one.
fn run() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(format!("line {:016x}", u64::from_be_bytes(bytes)))
}

async fn hand_in<R: AsyncRead + Unpin>(
    mut reader: FrameReader<R>,
    order: mpsc::Sender<FromMaster>,
) {
    while let Ok(Some(message)) = reader.next::<FromMaster>().await {
        if order.send(message).await.is_err() {
            return;
        }
    }
}

async fn hand_out<W: AsyncWrite + Unpin>(
    mut writer: FrameWriter<W>,
    mut said: mpsc::Receiver<FromSlave>,
) {
    while let Some(message) = said.recv().await {
        let sent: Result<(), WireError> = writer.send(&message).await;
        if sent.is_err() {
            return;
        }
    }
}
