//! The terms on which a program runs, where they are not those of the slave
//! itself: a terminal, priorities, limits, and how it is asked to end.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How a command line is run. They travel and are stored as a map, so that a
/// later program may know more of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Terms {
    /// Standard input and output are a terminal of its own.
    pub(crate) use_pty: bool,
    pub(crate) umask: Option<u32>,
    /// So much less urgent than the slave (or more, if that may).
    pub(crate) nice: Option<i32>,
    pub(crate) ionice: Option<IoPriority>,
    /// By the name that `ulimit` and `getrlimit` have for them; `None` is no limit.
    pub(crate) rlimits: BTreeMap<String, Option<u64>>,
    pub(crate) group: GroupLimits,
    /// What asks it to end; SIGTERM if `None`.
    pub(crate) signal: Option<i32>,
    /// How long it has to end before it is killed.
    pub(crate) kill_after_ms: Option<u64>,
}

impl Terms {
    /// Whether the command has to be prepared for them before it is itself.
    pub(crate) fn has_to_be_launched(&self) -> bool {
        let Self {
            use_pty,
            umask,
            nice,
            ionice,
            rlimits,
            group,
            signal: _,
            kill_after_ms: _,
        } = self;
        *use_pty
            || umask.is_some()
            || nice.is_some()
            || ionice.is_some()
            || !rlimits.is_empty()
            || group.is_limited()
    }

    /// Whether they say nothing.
    pub(crate) fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// When its reading and writing has its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IoPriority {
    pub(crate) class: IoClass,
    /// From 0, the most urgent, to 7.
    pub(crate) level: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IoClass {
    Realtime,
    BestEffort,
    Idle,
}

/// Limits for all that a command starts, together: Linux has control groups for it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct GroupLimits {
    /// In bytes.
    pub(crate) memory_max: Option<u64>,
    /// In thousandths of a processor.
    pub(crate) cpu_max: Option<u32>,
    /// How many processes and threads.
    pub(crate) pids_max: Option<u64>,
    /// Whether the command does not run where they cannot be set.
    pub(crate) required: bool,
}

impl GroupLimits {
    pub(crate) const fn is_limited(&self) -> bool {
        self.memory_max.is_some() || self.cpu_max.is_some() || self.pids_max.is_some()
    }
}

/// The resources that a process may be limited in, by name.
pub(crate) const RLIMITS: [&str; 13] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "memlock",
    "msgqueue",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "sigpending",
    "stack",
];

/// A file that a command writes, and which is a log of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Logfile {
    /// Relative to the work directory, or absolute.
    pub(crate) path: String,
    /// Whether what the file held before the command is left out.
    #[serde(default)]
    pub(crate) follow: bool,
    /// Whether there is no log before there is something in it.
    #[serde(default)]
    pub(crate) lazy: bool,
}
