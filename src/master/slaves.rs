//! Who is here: a session for each slave that has logged in, and the way
//! from a frame to the build that waits for it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{mpsc, watch};
use tokio::time::{self, Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock;
use crate::master::conduct::Conduct;
use crate::master::core::Event;
use crate::master::crew::Crew;
use crate::master::troubles::{Place, Waiting};
use crate::master::welcome::{Guest, log_in, note_refusal};
use crate::model::CommandId;
use crate::model::EventKind;
use crate::model::Exit;
use crate::model::SlaveName;
use crate::model::Status;
use crate::model::Timestamp;
use crate::wire::login::LoginError;
use crate::wire::native::{FrameReader, FrameWriter, WireError};
use crate::wire::{CommandState, FromMaster, FromSlave, SlaveFacts};

/// Messages that may wait to be sent: acknowledgements for every command of a busy slave.
const OUTBOX: usize = 256;
/// Frames of one command that may wait for its build: more than a slave's window holds, so
/// one slow build does not hold up the others of its slave.
const ROUTE: usize = 64;
/// Attachments that are remembered to count those of the last hour.
const CONNECTS: usize = 100;
/// What is shown of the reason why a slave was cut off.
const REASON: usize = 300;

/// What a slave says about one command.
#[derive(Debug)]
pub(crate) enum News {
    Started,
    Output {
        log: String,
        offset: u64,
        bytes: Bytes,
    },
    Finished {
        exit: Exit,
        logs: BTreeMap<String, u64>,
    },
    Refused {
        why: String,
    },
}

/// A slave that is here.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    number: u64,
    pub(crate) facts: Arc<SlaveFacts>,
    /// What it says that it can do.
    features: Arc<[String]>,
    /// What was in its spool when it came.
    brought: Arc<HashSet<CommandId>>,
    say: mpsc::Sender<FromMaster>,
    routes: Arc<Mutex<HashMap<CommandId, mpsc::Sender<News>>>>,
    /// What it was given, and what it may say of that.
    conduct: Arc<Mutex<Conduct>>,
    /// Why it is cut off, if it talks nonsense.
    nonsense: Arc<OnceLock<String>>,
    /// Messages that have come.
    heard: Arc<AtomicU64>,
    /// Pings that were said, and answers that have come: they come in the order of the pings.
    pings: Arc<AtomicU64>,
    pongs: Arc<watch::Sender<u64>>,
    /// Cancelled when the line is gone.
    pub(crate) closed: CancellationToken,
    /// Cancelled when the slave is to end as soon as its builds have.
    pub(crate) shuts_down: CancellationToken,
    /// Cancelled when the master will cut the line: nothing new is begun there.
    pub(crate) leaving: CancellationToken,
}

impl Session {
    /// Whether the slave can do what came later than the first slaves.
    pub(crate) fn can(&self, feature: &str) -> bool {
        self.features.iter().any(|it| it == feature)
    }

    /// Whether the slave came with this command.
    pub(crate) fn has_brought(&self, id: CommandId) -> bool {
        self.brought.contains(&id)
    }

    /// Says something; `false` if the line is gone.
    pub(crate) async fn say(&self, message: FromMaster) -> bool {
        if message == FromMaster::Ping {
            self.pings.fetch_add(1, Ordering::Relaxed);
        }
        tokio::select! {
            biased;
            () = self.closed.cancelled() => false,
            sent = self.say.send(message) => sent.is_ok(),
        }
    }

    /// Waits until the slave has answered a ping that is said now; `false` if the line is gone.
    pub(super) async fn ping(&self) -> bool {
        let mut pongs = self.pongs.subscribe();
        if !self.say(FromMaster::Ping).await {
            return false;
        }
        // One that is said meanwhile, too, makes this wait for its answer at worst.
        let mine = self.pings.load(Ordering::Relaxed);
        tokio::select! {
            biased;
            () = self.closed.cancelled() => false,
            answered = pongs.wait_for(|it| *it >= mine) => answered.is_ok(),
        }
    }

    /// Hears about one command from now on, until the next call for it.
    pub(crate) fn listen(&self, id: CommandId) -> mpsc::Receiver<News> {
        let (tell, hear) = mpsc::channel(ROUTE);
        self.routes().insert(id, tell);
        self.conduct().asked(id);
        hear
    }

    /// Cuts the line to a slave that talks nonsense.
    pub(super) fn cut_off(&self, why: String) {
        // The first reason is what led to all others.
        let _ = self.nonsense.set(why);
        self.closed.cancel();
    }

    /// Whether the line was cut because the slave talks nonsense, and which.
    pub(super) fn nonsense(&self) -> Option<&str> {
        self.nonsense.get().map(String::as_str)
    }

    /// Asks what programs there say of themselves.
    pub(super) async fn ask(&self, capabilities: BTreeMap<String, String>) {
        self.conduct().asked_about_programs();
        self.say(FromMaster::Ask { capabilities }).await;
    }

    /// How many messages have come.
    pub(super) fn messages(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    pub(crate) fn forget_route(&self, id: CommandId) {
        self.routes().remove(&id);
    }

    fn routes(&self) -> MutexGuard<'_, HashMap<CommandId, mpsc::Sender<News>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a slave says such a thing.
    fn judge(&self, message: &FromSlave) -> Result<(), String> {
        let is_awaited = match message {
            FromSlave::Started { id }
            | FromSlave::Refused { id, .. }
            | FromSlave::Output { id, .. }
            | FromSlave::Finished { id, .. } => self.routes().contains_key(id),
            FromSlave::Hello { .. }
            | FromSlave::Login { .. }
            | FromSlave::Attached { .. }
            | FromSlave::GracefulShutdown
            | FromSlave::Troubled { .. }
            | FromSlave::Capabilities { .. }
            | FromSlave::Ping
            | FromSlave::Pong => false,
        };
        self.conduct().judge(message, is_awaited)
    }

    fn conduct(&self) -> MutexGuard<'_, Conduct> {
        self.conduct.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of a slave, here or not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seat {
    pub(crate) session: Option<Session>,
    /// Of the last session.
    pub(crate) facts: Option<Arc<SlaveFacts>>,
    /// What it answered the last time when it was asked about its programs.
    pub(crate) told: BTreeMap<String, String>,
    pub(crate) last_heard: Option<Timestamp>,
    pub(crate) connects: Vec<Timestamp>,
    /// Where the last session came from, and whether others can read it.
    pub(crate) line: Option<String>,
    /// When and why it was cut off the last time because it talked nonsense.
    pub(crate) nonsense: Option<(Timestamp, String)>,
}

/// Every slave that was ever here in this run.
#[derive(Debug)]
pub(crate) struct Slaves {
    seats: Mutex<HashMap<SlaveName, Seat>>,
    /// Counts sessions; moves when one begins.
    sessions: watch::Sender<u64>,
}

impl Default for Slaves {
    fn default() -> Self {
        Self {
            seats: Mutex::default(),
            sessions: watch::Sender::new(0),
        }
    }
}

impl Slaves {
    pub(crate) fn seat(&self, name: &SlaveName) -> Seat {
        self.seats().get(name).cloned().unwrap_or_default()
    }

    /// The session of a slave that is here.
    pub(crate) fn session(&self, name: &SlaveName) -> Option<Session> {
        self.seats()
            .get(name)?
            .session
            .clone()
            .filter(|it| !it.closed.is_cancelled())
    }

    /// Waits until the slave is here.
    pub(crate) async fn attached(&self, name: &SlaveName) -> Session {
        let mut sessions = self.sessions.subscribe();
        loop {
            sessions.mark_unchanged();
            if let Some(session) = self.session(name) {
                return session;
            }
            sessions.changed().await.expect("the sender lives in self");
        }
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<SlaveName, Seat>> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sit_down(
        &self,
        name: &SlaveName,
        facts: SlaveFacts,
        features: Vec<String>,
        commands: &[CommandState],
        say: mpsc::Sender<FromMaster>,
    ) -> Session {
        let now = clock::now();
        let mut number = 0;
        self.sessions.send_if_modified(|count| {
            *count += 1;
            number = *count;
            false
        });
        let facts = Arc::new(facts);
        let session = Session {
            number,
            facts: Arc::clone(&facts),
            features: features.into(),
            brought: Arc::new(commands.iter().map(|it| it.id).collect()),
            say,
            routes: Arc::default(),
            conduct: Arc::default(),
            nonsense: Arc::default(),
            heard: Arc::default(),
            pings: Arc::default(),
            pongs: Arc::new(watch::Sender::new(0)),
            closed: CancellationToken::new(),
            shuts_down: CancellationToken::new(),
            leaving: CancellationToken::new(),
        };
        let mut seats = self.seats();
        let seat = seats.entry(name.clone()).or_default();
        if let Some(old) = seat.session.replace(session.clone()) {
            // Two lines of one slave that logged in at once: the one that is cut dials again,
            // while one that stayed open beside the seat would never be heard.
            old.closed.cancel();
        }
        seat.facts = Some(facts);
        seat.last_heard = Some(now);
        seat.connects.push(now);
        if seat.connects.len() > CONNECTS {
            seat.connects.remove(0);
        }
        drop(seats);
        self.sessions.send_modify(|_| {});
        session
    }

    /// `false` if another session has taken the seat meanwhile.
    fn stand_up(&self, name: &SlaveName, session: &Session) -> bool {
        session.closed.cancel();
        let mut seats = self.seats();
        let Some(seat) = seats.get_mut(name) else {
            return false;
        };
        let mine = seat
            .session
            .as_ref()
            .is_some_and(|it| it.number == session.number);
        if mine {
            seat.session = None;
        }
        mine
    }

    fn heard(&self, name: &SlaveName, session: &Session) {
        session.heard.fetch_add(1, Ordering::Relaxed);
        if let Some(seat) = self.seats().get_mut(name) {
            seat.last_heard = Some(clock::now());
        }
    }

    /// Remembers what a slave answers; `false` if it is nothing new, or of a line that is over.
    pub(super) fn learn(
        &self,
        name: &SlaveName,
        session: &Session,
        told: BTreeMap<String, String>,
    ) -> bool {
        let mut seats = self.seats();
        let Some(seat) = seats.get_mut(name) else {
            return false;
        };
        let current = seat.session.as_ref().map(|it| it.number);
        if current != Some(session.number) || seat.told == told {
            return false;
        }
        seat.told = told;
        true
    }

    /// Remembers where a slave came from.
    fn came_from(&self, name: &SlaveName, from: String) {
        self.seats().entry(name.clone()).or_default().line = Some(from);
    }

    /// Remembers why a slave was cut off.
    fn blame(&self, name: &SlaveName, why: &str) {
        let why = match why.char_indices().nth(REASON) {
            Some((end, _)) => format!("{}…", &why[..end]),
            None => why.to_owned(),
        };
        let mut seats = self.seats();
        seats.entry(name.clone()).or_default().nonsense = Some((clock::now(), why));
    }

    /// Whether a slave has not stood up since it came, even if its line is closed.
    pub(crate) fn has_seat(&self, name: &SlaveName) -> bool {
        let seats = self.seats();
        seats.get(name).is_some_and(|it| it.session.is_some())
    }

    /// Every slave that is here to stay.
    pub(crate) fn present(&self) -> Vec<SlaveName> {
        let seats = self.seats();
        let here = seats.iter().filter(|(_, seat)| {
            seat.session
                .as_ref()
                .is_some_and(|it| !it.closed.is_cancelled() && !it.leaving.is_cancelled())
        });
        here.map(|(name, _)| name.clone()).collect()
    }
}

/// Why a line ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineEnd {
    #[error(transparent)]
    Login(#[from] LoginError),
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("the slave closed the line")]
    Closed,
    #[error("nothing was heard for {}", clock::human(*.0))]
    Silent(Duration),
    #[error("the slave said something else instead of what it is")]
    NotAttached,
    #[error("a slave of this name is connected and answers")]
    NameTaken,
    #[error("the master has let go of it")]
    Dismissed,
    #[error("{0}")]
    Nonsense(String),
}

impl LineEnd {
    /// Whether the slave said what no slave says.
    pub(super) fn is_nonsense(&self) -> bool {
        match self {
            Self::NotAttached | Self::Nonsense(_) => true,
            Self::Wire(error) => error.is_nonsense(),
            Self::Login(_) | Self::Closed | Self::Silent(_) | Self::NameTaken | Self::Dismissed => {
                false
            }
        }
    }
}

/// Serves one line from the login to its end.
pub(crate) async fn serve<R, W>(
    crew: &Arc<Crew>,
    from: &str,
    mut reader: FrameReader<R>,
    mut writer: FrameWriter<W>,
    password_of: impl Fn(&str) -> Option<String>,
) where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let until = Instant::now() + crew.plan().master.line.login_timeout;
    let guest = log_in(crew, from, until, &mut reader, &mut writer, &password_of).await;
    if let Ok(guest) = guest {
        guest.stay(crew, reader, writer, &password_of).await;
    }
}

impl Guest {
    /// Serves the slave to the end of its line, and says how it came.
    pub(super) async fn stay<R, W>(
        self,
        crew: &Arc<Crew>,
        mut reader: FrameReader<R>,
        writer: FrameWriter<W>,
        password_of: &impl Fn(&str) -> Option<String>,
    ) -> LineEnd
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin + Send + 'static,
    {
        let (name, password) = (self.name.clone(), self.password.clone());
        let is_known = || password.is_some() && password == password_of(name.as_str());
        let end = attend(crew, self, &mut reader, writer, is_known).await;
        let reason = chain(&end);
        if end.is_nonsense() {
            warn!(slave = %name, reason, "cut off a slave that talks nonsense");
            crew.slaves.blame(&name, &reason);
            crew.tell(Status::SlaveChanged { slave: name });
        } else {
            info!(slave = %name, reason, "slave detached");
        }
        end
    }
}

/// Hears what a slave is that has just logged in.
async fn introduced<R>(
    reader: &mut FrameReader<R>,
    heartbeat: Duration,
) -> Result<(SlaveFacts, Vec<CommandState>, Conduct), LineEnd>
where
    R: AsyncRead + Unpin,
{
    let (facts, commands) = match time::timeout(heartbeat, reader.next::<FromSlave>()).await {
        Ok(Ok(Some(FromSlave::Attached { facts, commands }))) => (facts, commands),
        Ok(Ok(Some(_))) => return Err(LineEnd::NotAttached),
        Ok(Ok(None)) => return Err(LineEnd::Closed),
        Ok(Err(error)) => return Err(error.into()),
        Err(_) => return Err(LineEnd::Silent(heartbeat)),
    };
    let conduct = Conduct::of(&commands).map_err(LineEnd::Nonsense)?;
    Ok((facts, commands, conduct))
}

async fn attend<R, W>(
    crew: &Arc<Crew>,
    guest: Guest,
    reader: &mut FrameReader<R>,
    writer: FrameWriter<W>,
    is_known: impl Fn() -> bool,
) -> LineEnd
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin + Send + 'static,
{
    let Guest {
        name,
        features,
        heartbeat,
        from,
        ..
    } = guest;
    let (facts, commands, conduct) = match introduced(reader, heartbeat).await {
        Ok(it) => it,
        Err(end) => {
            note_refusal(crew, &name, &from, &chain(&end));
            return end;
        }
    };
    let (say, outbox) = mpsc::channel(OUTBOX);
    let session = crew.slaves.sit_down(&name, facts, features, &commands, say);
    session.conduct().take_up(conduct);
    // A reload during the login has not seen this line; from here on it does.
    if !is_known() {
        crew.slaves.stand_up(&name, &session);
        return LineEnd::Dismissed;
    }
    let closed = session.closed.clone();
    // However this line ends (it may be dropped in the middle), nobody takes it for open.
    let _at_the_end = closed.clone().drop_guard();
    crew.supervise(
        format!("line to slave {name}"),
        write_out(writer, outbox, closed, heartbeat),
    );
    info!(slave = %name, host = session.facts.platform.hostname, from, "slave attached");
    crew.diary
        .of_slave(&name, EventKind::Connected, &format!("from {from}"));
    crew.slaves.came_from(&name, from);
    for command in commands.iter().filter(|it| crew.is_over(it)) {
        dismiss(&session, command).await;
    }
    crew.tell_core(Event::SlaveAttached(name.clone())).await;
    crew.tell(Status::SlaveChanged {
        slave: name.clone(),
    });
    crew.list_builders(&name, &session).await;
    crew.ask(&name, &session).await;

    let end = listen(crew, &name, &session, heartbeat, reader).await;

    if end.is_nonsense() {
        // Those who wait for its commands are to know before they see the line closed.
        session.cut_off(chain(&end));
    }
    if crew.slaves.stand_up(&name, &session) {
        let why = chain(&end);
        crew.diary.of_slave(&name, EventKind::Disconnected, &why);
        crew.tell_core(Event::SlaveDetached(name.clone())).await;
        crew.tell(Status::SlaveChanged { slave: name });
    }
    end
}

/// A command whose build is over (or never was): it is stopped, and its spool goes when it
/// has ended.
async fn dismiss(session: &Session, command: &CommandState) {
    let (id, lease) = (command.id, command.lease);
    if !command.finished {
        let why = "its build is over".to_owned();
        session.say(FromMaster::Interrupt { id, lease, why }).await;
    }
    session.say(FromMaster::Forget { id }).await;
}

async fn listen<R>(
    crew: &Arc<Crew>,
    name: &SlaveName,
    session: &Session,
    heartbeat: Duration,
    reader: &mut FrameReader<R>,
) -> LineEnd
where
    R: AsyncRead + Unpin,
{
    // As long as it says that its disk is full.
    let mut trouble: Option<Waiting> = None;
    let mut quiet_since = Instant::now();
    let mut beat = time::interval(heartbeat / 4);
    loop {
        let message = tokio::select! {
            biased;
            () = session.closed.cancelled() => return match session.nonsense() {
                Some(why) => LineEnd::Nonsense(why.to_owned()),
                None => LineEnd::Dismissed,
            },
            () = crew.stop.cancelled() => return LineEnd::Dismissed,
            message = reader.next::<FromSlave>() => match message {
                Ok(Some(message)) => message,
                Ok(None) => return LineEnd::Closed,
                Err(error) => return error.into(),
            },
            _ = beat.tick() => {
                if quiet_since.elapsed() >= heartbeat {
                    return LineEnd::Silent(heartbeat);
                }
                if quiet_since.elapsed() >= heartbeat / 2 {
                    session.say(FromMaster::Ping).await;
                }
                continue;
            }
        };
        quiet_since = Instant::now();
        crew.slaves.heard(name, session);
        if let Err(why) = session.judge(&message) {
            return LineEnd::Nonsense(why);
        }
        if let FromSlave::Troubled { why, commands } = &message {
            let old = trouble.take();
            trouble = why.as_ref().map(|why| {
                let builds = commands.iter().filter_map(|id| crew.live_key(id.build));
                let place = Place::Slave(name.clone());
                crew.troubles.wait(place, builds, why)
            });
            // Only now, so that a trouble that goes on is one.
            drop(old);
        }
        if message == FromSlave::GracefulShutdown {
            info!(slave = %name, "slave wants to be let go when its builds are done");
            crew.shut_down_slave(name, session).await;
        }
        match message {
            FromSlave::Capabilities { told } => crew.learn(name, session, told),
            message => hear(crew, session, message).await,
        }
    }
}

async fn hear(crew: &Arc<Crew>, session: &Session, message: FromSlave) {
    let (id, news) = match message {
        FromSlave::Started { id } => (id, News::Started),
        FromSlave::Refused { id, why } => (id, News::Refused { why }),
        FromSlave::Output {
            id,
            log,
            offset,
            bytes,
        } => (id, News::Output { log, offset, bytes }),
        FromSlave::Finished { id, exit, logs } => (id, News::Finished { exit, logs }),
        FromSlave::Ping => {
            session.say(FromMaster::Pong).await;
            return;
        }
        FromSlave::Pong => {
            session.pongs.send_modify(|count| *count += 1);
            return;
        }
        // Said before the attachment only, or dealt with where it was heard.
        FromSlave::Hello { .. }
        | FromSlave::Login { .. }
        | FromSlave::Attached { .. }
        | FromSlave::GracefulShutdown
        | FromSlave::Troubled { .. }
        | FromSlave::Capabilities { .. } => return,
    };
    let route = session.routes().get(&id).cloned();
    match route {
        // A build that has just ended no longer listens; one that waits for its disk must not
        // keep a dead line from being noticed.
        Some(route) => {
            session.closed.run_until_cancelled(route.send(news)).await;
        }
        None if matches!(news, News::Finished { .. }) && !crew.is_live(id.build) => {
            session.say(FromMaster::Forget { id }).await;
        }
        None => {}
    }
}

/// Sends what is to be said, in as few writes as possible.
async fn write_out<W>(
    mut writer: FrameWriter<W>,
    mut outbox: mpsc::Receiver<FromMaster>,
    closed: CancellationToken,
    heartbeat: Duration,
) where
    W: AsyncWrite + Unpin,
{
    let sending = async {
        while let Some(message) = outbox.recv().await {
            let mut next = Some(message);
            while let Some(message) = next {
                if let Err(error) = writer.push(&message) {
                    // What cannot be said spoils nothing else that is to be said.
                    warn!(reason = chain(&error), "a message to a slave is left out");
                }
                next = outbox.try_recv().ok();
            }
            // Who reads nothing is as far away as who says nothing.
            loop {
                let waiting = writer.waiting();
                match time::timeout(heartbeat, writer.flush()).await {
                    Ok(flushed) => break flushed?,
                    Err(_) if writer.waiting() < waiting => {}
                    Err(_) => return Err(WireError::Line(io::ErrorKind::TimedOut.into())),
                }
            }
        }
        Ok::<(), WireError>(())
    };
    tokio::select! {
        biased;
        () = closed.cancelled() => {}
        sent = sending => if let Err(error) = sent {
            warn!(reason = chain(&error), "cannot write to a slave");
            closed.cancel();
        }
    }
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
