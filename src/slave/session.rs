//! One attach: from the login to the end of the line. It reads what is on
//! the disk, tells the master, and carries messages and output to and fro.
//! It keeps nothing that the disk does not know.
//!
//! Files are read here and not in a thread of their own: they are small or in
//! the page cache, and a slave has nothing better to do meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Slave;
use super::capability::Asked;
use super::disk::DiskNews;
use super::facts::facts;
use super::order::{CommandDir, Order};
use super::runner_log::held;
use super::served::ServedCommand;
use super::spool::{self, Spool};
use super::work::Works;
use crate::logs::disk;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::Timestamp;
use crate::wire::CommandState;
use crate::wire::FromMaster;
use crate::wire::FromSlave;
use crate::wire::SlaveFacts;
use crate::wire::TROUBLES;
use crate::wire::WireCommand;
use crate::wire::login::{LoginError, slave_login};
use crate::wire::native::{FrameReader, FrameWriter, WireError};

/// So much may wait to be written to the line.
const LINE: usize = 256 << 10;

/// How often the slave looks for itself, whatever it was told: while it has commands, and while
/// it has none.
const LOOK: Duration = Duration::from_secs(1);
const IDLE_LOOK: Duration = Duration::from_secs(10);

/// Why a session ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The master closed the line.
    Closed,
    /// This process is to end.
    Stopped,
    /// The master has told the slave to end.
    Dismissed,
}

/// Why a session failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    #[error("failed to log in")]
    Login(#[from] LoginError),
    #[error("failed to talk to the master")]
    Wire(#[from] WireError),
    #[error("the master was silent for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("failed to use the spool")]
    Spool(#[source] io::Error),
}

/// Logs in over a line and serves the master until it ends.
pub(super) async fn serve<R, W>(
    slave: &mut Slave,
    read: R,
    write: W,
    stop: &CancellationToken,
) -> Result<Left, SessionError>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reader = FrameReader::new(read);
    let mut writer = FrameWriter::new(write);
    let (name, password) = (&slave.settings.name, &slave.settings.password);
    let welcome = tokio::select! {
        () = stop.cancelled() => return Ok(Left::Stopped),
        welcome = slave_login(&mut reader, &mut writer, name, password) => welcome?,
    };
    if let Some(greeted) = slave.greeted.take() {
        greeted();
    }
    let mut served = Served::open(slave, &welcome.master).map_err(SessionError::Spool)?;
    writer.push(&FromSlave::Attached {
        facts: SlaveFacts {
            capabilities: slave.capabilities.clone(),
            spool: served.spool.token().to_owned(),
            ..facts(&slave.settings.basedir)
        },
        commands: served.states(),
    })?;
    info!(
        master = welcome.master,
        commands = served.commands.len(),
        "attached"
    );

    let going = slave.settings.going.clone();
    let hears_of_disks = welcome.features.iter().any(|it| it == TROUBLES);
    let mut disk_news = DiskNews::default();
    let mut has_asked = false;
    let mut asked = Asked::default();
    slave.clean_up.begin_line();
    let mut pulse = Pulse::new(welcome.heartbeat);
    let mut looked = None;
    loop {
        served.fill(&mut writer)?;
        // That nothing waits any more is told as soon as that something does.
        let pause = match disk_news.is_bad() {
            true => LOOK,
            false => served.pause(),
        };
        let next_look = looked
            .map(|it: Instant| it + pause)
            .unwrap_or_else(Instant::now);
        tokio::select! {
            // What was heard counts before what was not: after a standstill
            // of this process both are due.
            biased;
            () = stop.cancelled() => return Ok(Left::Stopped),
            message = reader.next() => {
                pulse.heard();
                match message? {
                    None => return Ok(Left::Closed),
                    Some(FromMaster::Shutdown) => return Ok(Left::Dismissed),
                    Some(FromMaster::Builders { dirs, now_ms, remove_after_ms }) => {
                        let after = remove_after_ms.map(Duration::from_millis);
                        slave.clean_up.hear(&welcome.master, dirs, Timestamp(now_ms), after);
                    }
                    Some(FromMaster::Ask { capabilities }) => {
                        let settings = &slave.settings;
                        asked.begin(capabilities, &settings.capabilities, &settings.basedir);
                    }
                    Some(message) => {
                        let pause = served.pause();
                        served.hear(message, &mut slave.works, &mut writer)?;
                        if served.pause() < pause {
                            // What has just begun is left alone for as long as all others.
                            looked = looked.map(|_| Instant::now());
                        }
                    }
                }
            }
            () = going.cancelled(), if !has_asked => {
                info!("asks the master to be let go when its builds are done");
                writer.push(&FromSlave::GracefulShutdown)?;
                has_asked = true;
                slave.has_asked = true;
            }
            told = asked.next() => writer.push(&FromSlave::Capabilities { told })?,
            flushed = writer.flush(), if writer.waiting() > 0 => flushed?,
            readable = slave.news.readable() => {
                readable.map_err(SessionError::Spool)?;
                let mut tokens = [0; 4096];
                if let Ok(size) = slave.news.try_read(&mut tokens) {
                    served.hear_news(&tokens[..size]);
                }
            }
            () = slave.works.next_ended() => served.look(&mut slave.works),
            () = sleep_until(next_look) => {
                looked = Some(Instant::now());
                slave.works.reap();
                served.look(&mut slave.works);
                served.begin_again(&mut slave.works, &mut writer)?;
                let held = served.held(&slave.works);
                let changed = disk_news.changed(&slave.settings.basedir, held);
                if let Some(changed) = changed.filter(|_| hears_of_disks) {
                    writer.push(&changed)?;
                }
                let basedir = &slave.settings.basedir;
                slave.clean_up.look(|dir| served.works_in(basedir, dir));
            }
            () = sleep_until(pulse.next()) => {
                if pulse.is_dead() {
                    return Err(SessionError::Silent(welcome.heartbeat));
                }
                pulse.pinged();
                writer.push(&FromSlave::Ping)?;
            }
        }
    }
}

/// When the master was heard, and when it was asked.
struct Pulse {
    heartbeat: Duration,
    heard: Instant,
    asked: Option<Instant>,
}

impl Pulse {
    fn new(heartbeat: Duration) -> Self {
        Self {
            heartbeat,
            heard: Instant::now(),
            asked: None,
        }
    }

    fn heard(&mut self) {
        self.heard = Instant::now();
        self.asked = None;
    }

    fn pinged(&mut self) {
        self.asked = Some(Instant::now());
    }

    fn is_dead(&self) -> bool {
        self.asked.is_some()
    }

    /// When to ask, or when to give up. Who has just been asked has time to
    /// answer, even if this process stood still before.
    fn next(&self) -> Instant {
        let half = self.heartbeat / 2;
        match self.asked {
            None => self.heard + half,
            Some(asked) => (self.heard + self.heartbeat).max(asked + half),
        }
    }
}

/// The commands of the master that is attached.
struct Served {
    spool: Spool,
    commands: BTreeMap<CommandId, ServedCommand>,
    tokens: BTreeMap<u64, CommandId>,
    /// Who spoke last: the others come first.
    last: Option<CommandId>,
    /// What the master has ordered and the disk has no room for. A master that comes again
    /// orders it again.
    unwritten: BTreeMap<CommandId, Unwritten>,
}

/// An order that is not in the spool.
struct Unwritten {
    lease: u64,
    command: WireCommand,
    have: BTreeMap<String, u64>,
}

/// Why a command is not started.
enum NotStarted {
    Refused(String),
    /// The disk has no room for it yet.
    Unwritten(Box<WireCommand>),
}

impl Served {
    /// Reads what is on the disk, and begins what was ordered and never begun.
    fn open(slave: &mut Slave, master: &str) -> io::Result<Self> {
        let mut served = Self {
            spool: Spool::open(&slave.settings.basedir, master)?,
            commands: BTreeMap::new(),
            tokens: BTreeMap::new(),
            last: None,
            unwritten: BTreeMap::new(),
        };
        for id in served.spool.commands()? {
            let dir = served.spool.command(id);
            match dir.order() {
                Ok(order) => served.add(id, dir, order),
                Err(error) => {
                    // Torn by a power cut, with whatever ran: the master hears that it is gone.
                    warn!(command = %id, %error, "a command cannot be read and is given up");
                    served.spool.forget(id)?;
                }
            }
        }
        served.look(&mut slave.works);
        Ok(served)
    }

    fn add(&mut self, id: CommandId, dir: CommandDir, order: Order) {
        self.tokens.insert(order.token, id);
        let command = ServedCommand::new(dir, order);
        self.commands.insert(id, command);
    }

    fn states(&self) -> Vec<CommandState> {
        let state = |(id, command): (&CommandId, &ServedCommand)| CommandState {
            id: *id,
            lease: self.spool.lease(id.build),
            finished: command.ended.is_some(),
        };
        self.commands.iter().map(state).collect()
    }

    /// Looks how far each command has come.
    fn look(&mut self, works: &mut Works) {
        for (id, command) in &mut self.commands {
            if let Err(error) = command.look(works) {
                warn!(command = %id, %error, "the spool of a command cannot be read");
            }
        }
        let is_over = |it: &ServedCommand| it.is_forgotten && it.ended.is_some();
        let over = self.commands.iter().filter(|(_, it)| is_over(it));
        for id in over.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.forget(id);
        }
    }

    /// Whether a command works in a directory, or may.
    fn works_in(&self, basedir: &Path, dir: &Path) -> bool {
        let open = self.commands.values().filter(|it| it.ended.is_none());
        let mut orders = open.map(|it| it.dir.order().map(|it| it.command));
        spool::has_others(basedir)
            || orders.any(|it| match it {
                Ok(command) => command.places().into_iter().any(|place| {
                    let place = basedir.join(place);
                    let real = place.canonicalize();
                    place.starts_with(dir) || real.is_ok_and(|it| it.starts_with(dir))
                }),
                Err(_) => true,
            })
    }

    /// Looks at the commands that have said something.
    fn hear_news(&mut self, tokens: &[u8]) {
        let mut tokens: Vec<_> = tokens
            .as_chunks()
            .0
            .iter()
            .map(|it| u64::from_be_bytes(*it))
            .collect();
        tokens.sort_unstable();
        tokens.dedup();
        for token in tokens {
            if let Some(id) = self.tokens.get(&token) {
                let Some(command) = self.commands.get_mut(id) else {
                    continue;
                };
                command.goes_on();
                if let Err(error) = command.look_quickly() {
                    let dir = command.dir.path().display();
                    warn!(%dir, %error, "the spool of a command cannot be read");
                }
            } else if let Some(id) = self
                .tokens
                .get(&u64::from_be_bytes(held(token.to_be_bytes())))
                && let Some(command) = self.commands.get_mut(id)
            {
                command.waits_for_disk();
            }
        }
    }

    fn hear<W: AsyncWrite + Unpin>(
        &mut self,
        message: FromMaster,
        works: &mut Works,
        writer: &mut FrameWriter<W>,
    ) -> Result<(), WireError> {
        match message {
            // What has said something is not begun a second time, come what may.
            FromMaster::Start { id, have, .. }
                if !self.commands.contains_key(&id) && have.values().any(|it| *it > 0) =>
            {
                let why = "the slave no longer has it: its spool was taken away".to_owned();
                warn!(command = %id, why, "lost");
                let exit = Exit::new(-1, ExitCause::Lost(why), 0);
                let logs = BTreeMap::new();
                writer.push(&FromSlave::Finished { id, exit, logs })?;
            }
            FromMaster::Start {
                id,
                lease,
                command,
                have,
            } => {
                let order = Unwritten {
                    lease,
                    command,
                    have,
                };
                self.begin(id, order, works, writer)?;
            }
            FromMaster::Ack { id, log, offset } => {
                if let Some(command) = self.commands.get_mut(&id) {
                    command.acknowledge(&log, offset);
                }
            }
            FromMaster::Interrupt { id, lease, why } => {
                self.interrupt(id, lease, &why, works);
                if self.unwritten.remove(&id).is_some() {
                    let exit = Exit::new(-1, ExitCause::Interrupted, 1);
                    let logs = BTreeMap::new();
                    writer.push(&FromSlave::Finished { id, exit, logs })?;
                }
            }
            FromMaster::Forget { id } => {
                self.unwritten.remove(&id);
                self.forget(id);
            }
            FromMaster::Ping => writer.push(&FromSlave::Pong)?,
            FromMaster::Pong => {}
            FromMaster::Challenge { .. }
            | FromMaster::Welcome { .. }
            | FromMaster::Rejected { .. }
            | FromMaster::Ask { .. }
            | FromMaster::Builders { .. }
            | FromMaster::Shutdown => warn!("the master says something out of turn"),
        }
        Ok(())
    }

    /// Starts a command and tells the master, now or when the disk has room for it.
    fn begin<W: AsyncWrite + Unpin>(
        &mut self,
        id: CommandId,
        mut order: Unwritten,
        works: &mut Works,
        writer: &mut FrameWriter<W>,
    ) -> Result<(), WireError> {
        match self.start(id, order.lease, order.command, works) {
            Ok(()) => {
                let command = self.commands.get_mut(&id).expect("it was just started");
                command.serve_from(&order.have);
                writer.push(&FromSlave::Started { id })
            }
            Err(NotStarted::Unwritten(command)) => {
                order.command = *command;
                self.unwritten.insert(id, order);
                Ok(())
            }
            Err(NotStarted::Refused(why)) => {
                warn!(command = %id, why, "refused");
                writer.push(&FromSlave::Refused { id, why })
            }
        }
    }

    /// Tries again to start what the disk had no room for.
    fn begin_again<W: AsyncWrite + Unpin>(
        &mut self,
        works: &mut Works,
        writer: &mut FrameWriter<W>,
    ) -> Result<(), WireError> {
        for (id, order) in std::mem::take(&mut self.unwritten) {
            self.begin(id, order, works, writer)?;
        }
        Ok(())
    }

    /// From one look to the next.
    fn pause(&self) -> Duration {
        match self.commands.is_empty() && self.unwritten.is_empty() {
            true => IDLE_LOOK,
            false => LOOK,
        }
    }

    /// The commands that wait for the disk.
    fn held(&self, works: &Works) -> Vec<CommandId> {
        let commands = self.commands.iter().filter(|(_, it)| it.is_held(works));
        let mut held: Vec<_> = commands.map(|(id, _)| *id).collect();
        held.extend(self.unwritten.keys());
        held
    }

    /// Starts a command, or finds it as it is.
    fn start(
        &mut self,
        id: CommandId,
        lease: u64,
        command: WireCommand,
        works: &mut Works,
    ) -> Result<(), NotStarted> {
        self.obey(id, lease).map_err(NotStarted::Refused)?;
        if self.commands.contains_key(&id) {
            return Ok(());
        }
        spool::check(&command).map_err(NotStarted::Refused)?;
        let mut token = [0; 8];
        getrandom::fill(&mut token).map_err(|error| NotStarted::Refused(error.to_string()))?;
        let token = u64::from_ne_bytes(token);
        let order = Order::new(token, command);
        let dir = match self.spool.create(id, &order) {
            Ok(dir) => dir,
            Err(error) if disk::may_pass(&error) => {
                return Err(NotStarted::Unwritten(Box::new(order.command)));
            }
            Err(error) => {
                let why = format!("the slave cannot write its spool: {error}");
                return Err(NotStarted::Refused(why));
            }
        };
        info!(command = %id, "started");
        self.add(id, dir, order);
        let command = self.commands.get_mut(&id).expect("it was just added");
        if let Err(error) = command.begin(works) {
            // The order is on the disk: it is tried again.
            warn!(command = %id, %error, "a command cannot be begun yet");
        }
        Ok(())
    }

    fn obey(&mut self, id: CommandId, lease: u64) -> Result<(), String> {
        self.spool.obey(id.build, lease).map_err(|highest| {
            let build = id.build;
            format!("lease {lease} of build {build} is stale: lease {highest} has been seen")
        })
    }

    fn interrupt(&mut self, id: CommandId, lease: u64, why: &str, works: &Works) {
        if let Err(refusal) = self.obey(id, lease) {
            warn!(command = %id, refusal, "an interrupt is not obeyed");
            return;
        }
        let Some(command) = self.commands.get_mut(&id) else {
            return;
        };
        info!(command = %id, why, "interrupted");
        command.interrupt_held(works);
        // The file is for a runner that does not listen yet; the others hear it at once.
        if let Err(error) = command.interrupt() {
            warn!(command = %id, %error, "an interrupt is not written down");
        }
    }

    /// Removes what is known of a command: now, or when it has ended.
    fn forget(&mut self, id: CommandId) {
        if let Some(command) = self.commands.get_mut(&id) {
            command.is_forgotten = true;
            if command.ended.is_none() {
                return;
            }
        }
        if let Err(error) = self.spool.forget(id) {
            warn!(command = %id, %error, "the spool of a command cannot be removed");
        }
        self.commands.remove(&id);
        self.tokens.retain(|_, it| *it != id);
    }

    /// Takes up output as long as the line takes it, from all commands in turn.
    fn fill<W: AsyncWrite + Unpin>(
        &mut self,
        writer: &mut FrameWriter<W>,
    ) -> Result<(), WireError> {
        let mut quiet = 0;
        while quiet < self.commands.len() && writer.waiting() < LINE {
            let after = self.last.map_or(Bound::Unbounded, Bound::Excluded);
            let next = self.commands.range_mut((after, Bound::Unbounded)).next();
            let Some((id, command)) = next else {
                // From the start again; everybody had a turn only if nobody spoke.
                self.last = None;
                continue;
            };
            self.last = Some(*id);
            match command.speak(*id) {
                Some(message) => {
                    writer.push(&message)?;
                    quiet = 0;
                }
                None => quiet += 1,
            }
        }
        Ok(())
    }
}
