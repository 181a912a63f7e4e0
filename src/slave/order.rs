//! What slave and runner tell each other through the files of a command's
//! spool directory. Each file is written whole or not at all.

use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::CONTENT;
use crate::model::Exit;
use crate::model::Mirror;
use crate::model::Terms;
use crate::process::tree::ProcessName;
use crate::wire::WireCommand;
use crate::wire::WireFile;
use crate::wire::WireLine;
use crate::wire::WireShell;

/// The log that a command's output goes to.
pub(super) const STDIO: &str = "stdio";

/// So much output may wait for the master's acknowledgement; then the runner
/// stops reading, and the program waits in its next write.
pub(super) const MOST_UNACKNOWLEDGED: u64 = 64 << 20;

/// What is to be done; written by the slave before anything else happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Order {
    /// Names the command in the news.
    pub(super) token: u64,
    pub(super) command: WireCommand,
    /// The start of the host in which it was ordered: after the next one nobody knows whether
    /// it was begun. Empty in the spools of earlier versions.
    #[serde(default)]
    boot_id: String,
}

impl Order {
    pub(super) fn new(token: u64, command: WireCommand) -> Self {
        let boot_id = boot_id();
        Self {
            token,
            command,
            boot_id,
        }
    }

    /// Whether the host was started anew since it was ordered.
    pub(super) fn is_of_another_boot(&self) -> bool {
        !self.boot_id.is_empty() && self.boot_id != boot_id()
    }

    /// What is left to write down of it when its command runs: nothing that is secret.
    pub(super) fn spent(&self) -> Option<Self> {
        let WireCommand::Shell(shell) = &self.command else {
            return None;
        };
        if shell.secrets.is_empty() {
            return None;
        }
        let spent = WireShell {
            line: WireLine::Argv(Vec::new()),
            env: BTreeMap::new(),
            initial_stdin: Vec::new(),
            mask: Vec::new(),
            secrets: Vec::new(),
            ..shell.clone()
        };
        Some(Self {
            token: self.token,
            command: WireCommand::Shell(spent),
            boot_id: self.boot_id.clone(),
        })
    }
}

/// That a runner has begun; written by it before it starts anything. A second
/// runner that finds it starts nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) boot_id: String,
    pub(super) runner: Option<ProcessName>,
    /// What it runs, once it does.
    pub(super) child: Option<ProcessName>,
    /// The control group in which it runs, if it has one of its own.
    #[serde(default)]
    pub(super) group: Option<PathBuf>,
}

/// The names of a command's logs, in their order.
pub(super) fn log_names(command: &WireCommand) -> Vec<String> {
    let mut names = vec![STDIO.to_owned()];
    match command {
        WireCommand::Shell(shell) => names.extend(shell.logfiles.keys().cloned()),
        WireCommand::File(WireFile::Upload(_)) => names.push(CONTENT.to_owned()),
        WireCommand::File(_) => {}
    }
    names
}

/// How it ended; written last of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    /// The length of each log.
    pub(super) logs: BTreeMap<String, u64>,
    /// Of a command that is lost: how much of each log it said itself. Who has more of it
    /// than that has what a power cut took from here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) said: BTreeMap<String, u64>,
}

impl Ended {
    pub(super) fn new(exit: Exit, logs: BTreeMap<String, u64>) -> Self {
        let said = BTreeMap::new();
        Self { exit, logs, said }
    }
}

/// On which terms a launcher starts the command.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Launch {
    pub(super) terms: Terms,
    /// The directory of its control group.
    pub(super) group: Option<PathBuf>,
}

/// That the command has its terms; what the launcher could not give it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Launched {
    pub(super) notes: Vec<String>,
}

/// That the launcher could not become the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct NotLaunched {
    /// What it was doing; `None` if all was done but the last.
    pub(super) doing: Option<String>,
    errno: Option<i32>,
    text: String,
}

impl NotLaunched {
    pub(super) fn new(doing: Option<&str>, error: &io::Error) -> Self {
        Self {
            doing: doing.map(str::to_owned),
            errno: error.raw_os_error(),
            text: error.to_string(),
        }
    }

    pub(super) fn error(&self) -> io::Error {
        match self.errno {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::other(self.text.clone()),
        }
    }
}

/// What the slave says to a running runner, nine bytes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Control {
    /// The master keeps the log of this place in their order up to here.
    Acknowledged {
        log: u8,
        offset: u64,
    },
    Interrupt,
}

impl Control {
    pub(super) const SIZE: usize = 9;

    pub(super) fn to_bytes(self) -> [u8; Self::SIZE] {
        let (kind, log, number) = match self {
            // As it was when there was no other.
            Self::Acknowledged { log: 0, offset } => (b'a', 0, offset),
            Self::Acknowledged { log, offset } => (b'l', log, offset),
            Self::Interrupt => (b'i', 0, 0),
        };
        let mut bytes = [kind; Self::SIZE];
        bytes[1..].copy_from_slice(&number.to_be_bytes());
        if log > 0 {
            // No log is as long as this byte would count.
            bytes[1] = log;
        }
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; Self::SIZE]) -> Option<Self> {
        let [kind, number @ ..] = bytes;
        match kind {
            b'a' => Some(Self::Acknowledged {
                log: 0,
                offset: u64::from_be_bytes(number),
            }),
            b'l' => {
                let [log, offset @ ..] = number;
                let mut bytes = [0; 8];
                bytes[1..].copy_from_slice(&offset);
                let offset = u64::from_be_bytes(bytes);
                Some(Self::Acknowledged { log, offset })
            }
            b'i' => Some(Self::Interrupt),
            _ => None,
        }
    }
}

/// The directory of one command: `BASEDIR/spool/MASTER/COMMAND`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandDir(PathBuf);

impl CommandDir {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn basedir(&self) -> Option<&Path> {
        self.0.ancestors().nth(3)
    }

    /// Where the slave hears that there is something new.
    pub(super) fn news(&self) -> Option<PathBuf> {
        Some(self.0.ancestors().nth(2)?.join("news"))
    }

    /// The log of this place in their order.
    pub(super) fn log(&self, place: usize) -> PathBuf {
        match place {
            0 => self.0.join("log.stdio"),
            _ => self.0.join(format!("log.{place}")),
        }
    }

    /// What the runner says when it fails itself.
    pub(super) fn complaint(&self) -> PathBuf {
        self.0.join("complaint")
    }

    pub(super) fn control(&self) -> PathBuf {
        self.0.join("control")
    }

    pub(super) fn interrupt(&self) -> PathBuf {
        self.0.join("interrupt")
    }

    /// Takes the right to carry out the command, which ends with this
    /// process at the latest. `None` when somebody has it.
    pub(super) fn claim(&self) -> io::Result<Option<File>> {
        let file = private().create(true).open(self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn order(&self) -> io::Result<Order> {
        read(&self.0.join("command"))
    }

    /// Writes the order into a directory that nobody else knows yet.
    pub(super) fn lay_down_order(&self, order: &Order) -> io::Result<()> {
        let bytes = rmp_serde::to_vec_named(order).map_err(io::Error::other)?;
        let mut file = private().create_new(true).open(self.0.join("command"))?;
        io::Write::write_all(&mut file, &bytes)
    }

    pub(super) fn write_order(&self, order: &Order) -> io::Result<()> {
        write(&self.0.join("command"), order)
    }

    /// `None` when no runner has begun.
    pub(super) fn begun(&self) -> io::Result<Option<Begun>> {
        let Some(bytes) = found(fs::read(self.0.join("begun")))? else {
            return Ok(None);
        };
        let mut rest = bytes.as_slice();
        let mut begun = rmp_serde::from_read(&mut rest).map_err(torn)?;
        // What became known later stands behind it, and may be torn: it is not needed.
        while let Ok(later) = rmp_serde::from_read(&mut rest) {
            begun = later;
        }
        Ok(Some(begun))
    }

    pub(super) fn write_begun(&self, begun: &Begun) -> io::Result<()> {
        write(&self.0.join("begun"), begun)
    }

    /// Writes down what became known after [`Self::write_begun`], which stays as it is: replacing
    /// a file has the system write it to the disk at once.
    pub(super) fn add_to_begun(&self, begun: &Begun) -> io::Result<()> {
        let bytes = rmp_serde::to_vec_named(begun).map_err(io::Error::other)?;
        let mut file = File::options().append(true).open(self.0.join("begun"))?;
        io::Write::write_all(&mut file, &bytes)
    }

    pub(super) fn launch(&self) -> io::Result<Launch> {
        read(&self.0.join("launch"))
    }

    pub(super) fn write_launch(&self, launch: &Launch) -> io::Result<()> {
        write(&self.0.join("launch"), launch)
    }

    pub(super) fn mirror(&self) -> io::Result<Mirror> {
        read(&self.0.join("mirror"))
    }

    pub(super) fn write_mirror(&self, mirror: &Mirror) -> io::Result<()> {
        write(&self.0.join("mirror"), mirror)
    }

    /// `None` while the launcher is at it.
    pub(super) fn launched(&self) -> io::Result<Option<Launched>> {
        found(read(&self.0.join("launched")))
    }

    pub(super) fn write_launched(&self, launched: &Launched) -> io::Result<()> {
        write(&self.0.join("launched"), launched)
    }

    /// `None` if it has not failed.
    pub(super) fn not_launched(&self) -> io::Result<Option<NotLaunched>> {
        found(read(&self.0.join("unlaunched")))
    }

    pub(super) fn write_not_launched(&self, failed: &NotLaunched) -> io::Result<()> {
        write(&self.0.join("unlaunched"), failed)
    }

    /// `None` while the command has not ended.
    pub(super) fn ended(&self) -> io::Result<Option<Ended>> {
        found(read(&self.0.join("exit")))
    }

    pub(super) fn write_ended(&self, ended: &Ended) -> io::Result<()> {
        write(&self.0.join("exit"), ended)
    }
}

/// Opens files for the slave's user alone: commands hold passwords.
pub(super) fn private() -> fs::OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).mode(0o600);
    options
}

/// Reads what [`write()`] wrote. What a power cut has torn is [`io::ErrorKind::InvalidData`].
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<T> {
    rmp_serde::from_slice(&fs::read(path)?).map_err(torn)
}

fn torn(error: rmp_serde::decode::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Writes a file that is there as a whole or not at all.
pub(super) fn write<T: Serialize>(path: &Path, what: &T) -> io::Result<()> {
    let bytes = rmp_serde::to_vec_named(what).map_err(io::Error::other)?;
    let fresh = path.with_extension("new");
    let mut file = private().create(true).truncate(true).open(&fresh)?;
    io::Write::write_all(&mut file, &bytes)?;
    fs::rename(fresh, path)
}

fn found<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(what) => Ok(Some(what)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which start of the host this is.
pub(super) fn boot_id() -> String {
    static READ: OnceLock<String> = OnceLock::new();
    #[cfg(test)]
    if let Some(played) = super::bench::played_boot() {
        return played;
    }
    let read = || {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        text.unwrap_or_default().trim().to_owned()
    };
    READ.get_or_init(read).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_messages_survive_the_fifo() {
        let acknowledged = |log, offset| Control::Acknowledged { log, offset };
        for message in [
            Control::Interrupt,
            acknowledged(0, u64::MAX - 1),
            acknowledged(200, (1 << 56) - 1),
        ] {
            assert_eq!(Control::from_bytes(message.to_bytes()), Some(message));
        }
        assert_eq!(Control::from_bytes(*b"garbage!!"), None);
    }

    #[test]
    fn what_became_known_after_the_begin_counts_unless_it_is_torn() {
        let base = tempfile::tempdir().unwrap();
        let dir = CommandDir::new(base.path().to_owned());
        assert_eq!(dir.begun().unwrap(), None);
        let mut begun = Begun {
            boot_id: "this".to_owned(),
            runner: ProcessName::own(),
            child: None,
            group: None,
        };
        dir.write_begun(&begun).unwrap();
        assert_eq!(dir.begun().unwrap(), Some(begun.clone()));
        let first = begun.clone();
        begun.child = ProcessName::own();
        dir.add_to_begun(&begun).unwrap();
        assert_eq!(dir.begun().unwrap(), Some(begun));
        let path = base.path().join("begun");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        assert_eq!(dir.begun().unwrap(), Some(first));
    }
}
