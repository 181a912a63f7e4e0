//! A command: one thing that a slave is told to do, and how it ended.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::BuildId;
use super::FileResult;
use super::Logfile;
use super::Mask;
use super::Mirror;
use super::SecretRef;
use super::Terms;
use super::Upload;
use super::Usage;

/// The name of a command. Starting a name that exists attaches to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct CommandId {
    pub(crate) build: BuildId,
    /// The step's place in the build, from 0.
    pub(crate) step: u32,
    /// The command's place in the step, from 0.
    pub(crate) index: u32,
    pub(crate) attempt: u32,
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}-{}-{}",
            self.build, self.step, self.index, self.attempt
        )
    }
}

/// One thing that a slave is told to do, in the vocabulary of Buildbot's slaves.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Command {
    Shell(Shell),
    File(FileCommand),
}

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ShellLine {
    /// A program and its arguments, run directly.
    Argv(Vec<String>),
    /// A line for `/bin/sh -c`.
    Script(String),
}

/// Run a program on the slave.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shell {
    pub(crate) line: ShellLine,
    /// Relative to the slave's base directory (the builder's directory and
    /// `build` in it), or absolute. Made if missing.
    pub(crate) workdir: String,
    /// Laid over the slave's environment; `None` removes a variable;
    /// `${NAME}` in a value is the slave's own `NAME`.
    pub(crate) env: BTreeMap<String, Option<String>>,
    /// Kill after this long without output.
    pub(crate) timeout: Option<Duration>,
    /// Kill after this long in all.
    pub(crate) max_time: Option<Duration>,
    pub(crate) want_stdout: bool,
    pub(crate) want_stderr: bool,
    /// Whether the log's header lists the environment.
    pub(crate) log_environ: bool,
    pub(crate) initial_stdin: Vec<u8>,
    /// Texts that the log's header shows as `XXXX` (passwords in arguments).
    pub(crate) mask: Vec<String>,
    /// Where the values of secrets go. Until they are filled in, on the way to
    /// the slave, `<NAME>` stands there.
    pub(crate) holes: Vec<SecretHole>,
    /// Values that must not be seen in anything that the command says.
    pub(crate) secrets: Vec<Mask>,
    /// Files that are logs of their own, by the names of those.
    pub(crate) logfiles: BTreeMap<String, Logfile>,
    pub(crate) terms: Box<Terms>,
    /// Where it may have its repository from.
    pub(crate) mirror: Option<Box<Mirror>>,
}

/// A place in a command that is kept for the value of a secret. It is known by
/// its offset: nothing that a property or a change says can be taken for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretHole {
    pub(crate) within: HoleIn,
    /// Where `<NAME>` begins in that text.
    pub(crate) at: usize,
    pub(crate) secret: SecretRef,
}

/// The text of a command that has a hole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HoleIn {
    /// A word of the argument list.
    Word(usize),
    Script,
    /// What it reads.
    Stdin,
    /// The value of a variable.
    Env(String),
}

impl Shell {
    /// `line` in `workdir` with everything else as Buildbot has it: 20 minutes
    /// without output end it, both streams are wanted, the environment is listed.
    pub(crate) fn new(line: ShellLine, workdir: impl Into<String>) -> Self {
        Self {
            line,
            workdir: workdir.into(),
            env: BTreeMap::new(),
            timeout: Some(Duration::from_secs(1200)),
            max_time: None,
            want_stdout: true,
            want_stderr: true,
            log_environ: true,
            initial_stdin: Vec::new(),
            mask: Vec::new(),
            holes: Vec::new(),
            secrets: Vec::new(),
            logfiles: BTreeMap::new(),
            terms: Box::default(),
            mirror: None,
        }
    }
}

/// Look at or change files on the slave without a program. Paths are relative
/// to the slave's base directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileCommand {
    /// Make a directory and its parents; one that exists is fine.
    Mkdir { dir: String },
    /// Remove a tree; one that is not there is fine. `why` is a line for the log.
    Rmdir { dir: String, why: Option<String> },
    /// Copy a tree over a fresh `to`.
    Cpdir { from: String, to: String },
    /// Succeeds if `path` is there; its result says what it is.
    Stat { path: String },
    /// Its result is what fits a pattern such as `build/*.log`.
    Glob { pattern: String },
    /// Its result is what is in a directory.
    Listdir { dir: String },
    /// Remove a file.
    Rmfile { path: String },
    /// Send a file or a directory to the master.
    Upload(Upload),
    /// Write a piece of a file. It says on standard output how far it is: [`Written`].
    Write(FileWrite),
}

/// A piece of a file, to be written from `offset` on. The pieces lie in a file
/// of their own until the last one puts it in the place of `path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileWrite {
    /// Also absolute, or below `~`, the home of who runs the slave.
    pub(crate) path: String,
    pub(crate) offset: u64,
    pub(crate) bytes: Vec<u8>,
    /// Of the whole file, of which the pieces may be less.
    pub(crate) size: u64,
    pub(crate) is_last: bool,
    /// Tells this content of the file from a later one; may be empty.
    pub(crate) version: String,
    /// The checksum of all that is written, with the last piece.
    pub(crate) sha256: Option<String>,
    /// The permissions; the slave's usual ones if `None`.
    pub(crate) mode: Option<u32>,
}

/// How far a file is written: what the slave says of a piece and the step reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) end: u64,
    pub(crate) size: u64,
    pub(crate) version: String,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wrote {} of {} bytes", self.end, self.size)?;
        if !self.version.is_empty() {
            write!(f, " of version {}", self.version)?;
        }
        Ok(())
    }
}

impl Written {
    /// Reads what [`Display`](fmt::Display) wrote.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (end, rest) = line.trim().strip_prefix("wrote ")?.split_once(" of ")?;
        let (size, rest) = rest.split_once(" bytes")?;
        let version = match rest {
            "" => "",
            _ => rest.strip_prefix(" of version ")?,
        };
        Some(Self {
            end: end.parse().ok()?,
            size: size.parse().ok()?,
            version: version.to_owned(),
        })
    }
}

/// Where a piece of log came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Channel {
    Stdout,
    Stderr,
    /// Lines about the command: what was run, where, how it ended.
    Header,
}

impl Channel {
    /// The byte that stands for it in spools and log files.
    pub(crate) const fn byte(self) -> u8 {
        match self {
            Self::Stdout => b'o',
            Self::Stderr => b'e',
            Self::Header => b'h',
        }
    }

    pub(crate) const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'o' => Some(Self::Stdout),
            b'e' => Some(Self::Stderr),
            b'h' => Some(Self::Header),
            _ => None,
        }
    }

    /// The word that pages and CSS classes use.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Header => "header",
        }
    }
}

/// How a command ended, written down by its runner last of all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exit {
    /// The exit code; −1 when there is none (a signal, a program that was not found is 127).
    pub(crate) code: i32,
    pub(crate) cause: ExitCause,
    /// From start to end, in milliseconds.
    pub(crate) elapsed_ms: u64,
    /// What it took, if a program ran and its slave can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) usage: Option<Usage>,
    /// What a file command found out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<FileResult>,
}

impl Exit {
    /// An end of which nothing else is known.
    pub(crate) const fn new(code: i32, cause: ExitCause, elapsed_ms: u64) -> Self {
        Self {
            code,
            cause,
            elapsed_ms,
            usage: None,
            result: None,
        }
    }

    pub(crate) fn is_success(&self) -> bool {
        self.code == 0 && self.cause == ExitCause::Exited
    }

    /// What made it end, in words: `exit code 3`, `signal 11 (SIGSEGV)`, `out of memory`.
    pub(crate) fn reason(&self) -> String {
        let starved = self.usage.as_ref().is_some_and(|it| it.out_of_memory);
        match &self.cause {
            ExitCause::Exited | ExitCause::Signal(_) if starved && !self.is_success() => {
                "out of memory".to_owned()
            }
            ExitCause::Exited => format!("exit code {}", self.code),
            ExitCause::Signal(number) => match signal_name(*number) {
                Some(name) => format!("signal {number} ({name})"),
                None => format!("signal {number}"),
            },
            ExitCause::Silence => "silent for longer than its `timeout`".to_owned(),
            ExitCause::Overtime => "ran for longer than its `max_time`".to_owned(),
            ExitCause::Interrupted => "interrupted".to_owned(),
            ExitCause::NotStarted(why) => format!("not started: {why}"),
            ExitCause::Lost(why) => format!("lost: {why}"),
        }
    }
}

/// What Linux calls its signals, from 1.
const SIGNALS: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// `SIGKILL` for 9.
pub(crate) fn signal_name(number: i32) -> Option<&'static str> {
    let place = usize::try_from(number).ok()?.checked_sub(1)?;
    SIGNALS.get(place).copied()
}

/// 9 for `SIGKILL`, `KILL` and `kill`.
pub(crate) fn signal_number(name: &str) -> Option<i32> {
    let upper = name.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    (1..)
        .zip(SIGNALS)
        .find(|(_, it)| it[3..] == *short)
        .map(|(number, _)| number)
}

/// Why a command ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ExitCause {
    /// By itself.
    Exited,
    /// By a signal that autobot did not send.
    Signal(i32),
    /// It was silent for longer than its `timeout`.
    Silence,
    /// It ran for longer than its `max_time`.
    Overtime,
    /// It was stopped on request.
    Interrupted,
    /// It could not be started; the text says why.
    NotStarted(String),
    /// It cannot be continued (its host restarted, its slave is gone for good); the text says why.
    Lost(String),
}

/// What a slave has, as far as it can be found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Machine {
    /// That it may use.
    pub(crate) cores: Option<u32>,
    /// Bytes.
    pub(crate) memory: Option<u64>,
    /// Bytes that are free where its base directory is.
    pub(crate) disk_free: Option<u64>,
    /// As it calls itself: `Debian GNU/Linux 13 (trixie)`.
    pub(crate) distribution: Option<String>,
}

/// What a slave runs on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    /// `linux`, `mac`, `win` or what the system calls itself.
    pub(crate) os: String,
    pub(crate) arch: String,
    /// 32 or 64.
    pub(crate) bits: u32,
    pub(crate) version: String,
    pub(crate) hostname: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_told_by_their_true_cause() {
        let starved = Some(Usage {
            out_of_memory: true,
            ..Usage::default()
        });
        for (code, cause, usage, expected) in [
            (3, ExitCause::Exited, None, "exit code 3"),
            (-1, ExitCause::Signal(11), None, "signal 11 (SIGSEGV)"),
            (-1, ExitCause::Signal(40), None, "signal 40"),
            (-1, ExitCause::Signal(9), starved.clone(), "out of memory"),
            (137, ExitCause::Exited, starved.clone(), "out of memory"),
            (0, ExitCause::Exited, starved.clone(), "exit code 0"),
            (-1, ExitCause::Interrupted, starved, "interrupted"),
        ] {
            let mut exit = Exit::new(code, cause, 0);
            exit.usage = usage;
            assert_eq!(exit.reason(), expected);
        }
        assert_eq!(signal_number("sigkill"), Some(9));
        assert_eq!(signal_number("TERM"), Some(15));
        assert_eq!(signal_number("SIG"), None);
    }

    #[test]
    fn an_end_that_an_older_program_wrote_down_reads() {
        let old = r#"{"code":0,"cause":"exited","elapsed_ms":5}"#;
        let exit = Exit::new(0, ExitCause::Exited, 5);
        assert_eq!(serde_json::from_str::<Exit>(old).unwrap(), exit);
        assert_eq!(serde_json::to_string(&exit).unwrap(), old);
    }

    #[test]
    fn what_the_slave_says_of_a_piece_reads_back() {
        for version in ["", "12-34"] {
            let written = Written {
                end: 5,
                size: 9,
                version: version.to_owned(),
            };
            let line = format!("{written}\n");
            assert_eq!(Written::parse(&line), Some(written), "{line}");
        }
        for line in [
            "",
            "wrote",
            "wrote 1 of 2",
            "wrote x of 2 bytes",
            "wrote 1 of 2 bytes!",
        ] {
            assert_eq!(Written::parse(line), None, "{line}");
        }
    }
}
