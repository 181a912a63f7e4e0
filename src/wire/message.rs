//! The messages. They travel as maps, so either side may know a field that
//! the other does not; a field is added, never changed.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::CommandId;
use crate::model::Exit;
use crate::model::Logfile;
use crate::model::Machine;
use crate::model::Mirror;
use crate::model::Platform;
use crate::model::Terms;
use crate::model::Upload;

/// What a slave says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromSlave {
    /// First of all: who is calling, and a number that the master must answer for.
    Hello {
        protocol: u32,
        version: String,
        features: Vec<String>,
        name: String,
        #[serde(with = "serde_bytes_vec")]
        nonce: Vec<u8>,
    },
    /// Shows that the slave knows the password, without saying it.
    Login {
        #[serde(with = "serde_bytes_vec")]
        proof: Vec<u8>,
    },
    /// After the welcome: what the slave is, and which commands it has in its spool.
    Attached {
        facts: SlaveFacts,
        commands: Vec<CommandState>,
    },
    /// The command is running (or was already).
    Started {
        id: CommandId,
    },
    /// The command is refused and will not run: a stale lease, or nonsense.
    Refused {
        id: CommandId,
        why: String,
    },
    /// A piece of one log of a command. `offset` counts the bytes of that log
    /// before it. The bytes are the spool's own records (`logs` reads them),
    /// so that a log is the same bytes at both ends.
    Output {
        id: CommandId,
        log: String,
        offset: u64,
        bytes: Bytes,
    },
    /// The command ended; `logs` says how long each of its logs is. Said again
    /// after every attach until it is forgotten.
    Finished {
        id: CommandId,
        exit: Exit,
        logs: BTreeMap<String, u64>,
    },
    /// Wants no more builds and to be told to go when idle.
    GracefulShutdown,
    /// Only for a master that says [`TROUBLES`](super::TROUBLES): the slave's disk does not take
    /// what these commands say, and they wait. `None`: it takes everything again.
    Troubled {
        why: Option<String>,
        commands: Vec<CommandId>,
    },
    /// Answers [`FromMaster::Ask`]: the first lines of what the programs said, by name. What the
    /// slave was told to ask by its own configuration is not among it.
    Capabilities {
        told: BTreeMap<String, String>,
    },
    Ping,
    Pong,
}

/// What the master says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromMaster {
    /// Answers the hello.
    Challenge {
        protocol: u32,
        version: String,
        features: Vec<String>,
        #[serde(with = "serde_bytes_vec")]
        salt: Vec<u8>,
        #[serde(with = "serde_bytes_vec")]
        nonce: Vec<u8>,
    },
    /// Shows that the master knows the password too. `master` names its
    /// store: command ids are unique in it.
    Welcome {
        #[serde(with = "serde_bytes_vec")]
        proof: Vec<u8>,
        master: String,
        /// Seconds of silence after which the line counts as dead.
        heartbeat_secs: u64,
    },
    /// The login failed, or the name is taken by a slave that answers. The line closes.
    Rejected {
        why: String,
        /// Who calls sooner is refused again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after_secs: Option<u64>,
    },
    /// Run this, or attach to it if it exists: then the slave sends each log
    /// from the offset given in `have` (0 where none is given). What has said something and
    /// is no longer there is lost; it is not begun a second time.
    Start {
        id: CommandId,
        lease: u64,
        command: WireCommand,
        have: BTreeMap<String, u64>,
    },
    /// The log is kept by the master up to this offset.
    Ack {
        id: CommandId,
        log: String,
        offset: u64,
    },
    /// Stop the command: its tree is killed, and it ends as interrupted.
    Interrupt {
        id: CommandId,
        lease: u64,
        why: String,
    },
    /// The end is kept by the master: the spool may go.
    Forget {
        id: CommandId,
    },
    /// Run these command lines and say what they say. Only for a slave that says
    /// [`ASKS`](super::ASKS).
    Ask {
        capabilities: BTreeMap<String, String>,
    },
    /// Which directories the slave's builders have there, what the master's clock shows, and after
    /// which time those go that had one earlier. Only for a slave that says
    /// [`LISTS`](super::LISTS).
    Builders {
        dirs: Vec<String>,
        now_ms: i64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        remove_after_ms: Option<u64>,
    },
    /// Stop: the slave process ends; its commands go on.
    Shutdown,
    Ping,
    Pong,
}

/// What a slave is, told at every attach.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SlaveFacts {
    /// Files of `info/`, such as `admin` and `host`, by name.
    pub(crate) info: BTreeMap<String, String>,
    pub(crate) basedir: String,
    pub(crate) version: String,
    pub(crate) platform: Platform,
    /// Changes when the host is restarted: what ran before is gone.
    pub(crate) boot_id: String,
    #[serde(default)]
    pub(crate) machine: Machine,
    /// First lines of what programs there say of themselves, by name.
    #[serde(default)]
    pub(crate) capabilities: BTreeMap<String, String>,
    /// What the spool for this master is called; another one in its place is called otherwise.
    #[serde(default)]
    pub(crate) spool: String,
}

impl SlaveFacts {
    /// What a command that was begun can be met again in: this spool, in this run of its host.
    pub(crate) fn spool(&self) -> String {
        format!("{} {}", self.boot_id, self.spool)
    }
}

/// A command in a slave's spool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct CommandState {
    pub(crate) id: CommandId,
    pub(crate) lease: u64,
    pub(crate) finished: bool,
}

/// A command as it travels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireCommand {
    Shell(WireShell),
    File(WireFile),
}

/// Only for a slave that says [`MASKS`](super::MASKS) if it has `secrets`, and
/// [`TERMS`](super::TERMS) if it has `logfiles` or `terms`.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WireShell {
    pub(crate) line: WireLine,
    pub(crate) workdir: String,
    pub(crate) env: BTreeMap<String, Option<String>>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) max_time_ms: Option<u64>,
    pub(crate) want_stdout: bool,
    pub(crate) want_stderr: bool,
    pub(crate) log_environ: bool,
    #[serde(with = "serde_bytes_vec")]
    pub(crate) initial_stdin: Vec<u8>,
    pub(crate) mask: Vec<String>,
    /// Values of secrets: nothing that holds one is written down before it is masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) secrets: Vec<WireMask>,
    /// The name of each log has its place in this order: `stdio` is the first, these follow.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) logfiles: BTreeMap<String, Logfile>,
    #[serde(default, skip_serializing_if = "Terms::is_plain")]
    pub(crate) terms: Box<Terms>,
    /// A slave that does not know it does without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mirror: Option<Box<Mirror>>,
}

/// A command that holds secrets shows nothing of itself.
impl fmt::Debug for WireShell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("WireShell");
        shown.field("workdir", &self.workdir);
        if self.secrets.is_empty() {
            shown
                .field("line", &self.line)
                .field("env", &self.env)
                .field("timeout_ms", &self.timeout_ms)
                .field("max_time_ms", &self.max_time_ms);
        }
        shown.finish_non_exhaustive()
    }
}

/// A text and what is shown instead of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct WireMask {
    pub(crate) text: String,
    pub(crate) shown: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireLine {
    Argv(Vec<String>),
    Script(String),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WireFile {
    Mkdir {
        dir: String,
    },
    Rmdir {
        dir: String,
        /// A slave that does not know it says nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    Cpdir {
        from: String,
        to: String,
    },
    Stat {
        path: String,
    },
    Write(WireWrite),
    // The others only for a slave that says `FILES`.
    Glob {
        pattern: String,
    },
    Listdir {
        dir: String,
    },
    Rmfile {
        path: String,
    },
    Upload(Upload),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct WireWrite {
    pub(crate) path: String,
    pub(crate) offset: u64,
    #[serde(with = "serde_bytes_vec")]
    pub(crate) bytes: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) is_last: bool,
    pub(crate) version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sha256: Option<String>,
    pub(crate) mode: Option<u32>,
}

/// Byte strings as MessagePack bytes; without this each byte becomes a number.
mod serde_bytes_vec {
    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        from.deserialize_bytes(Bytes)
    }
}
