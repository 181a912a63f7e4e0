//! One command that a slave of Buildbot runs: what it says becomes logs, and at its end there is an
//! exit.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::logs::mask::Masks;
use crate::logs::mask::Stream;
use crate::logs::record;
use crate::model::Channel;
use crate::model::CommandId;
use crate::model::Exit;
use crate::model::ExitCause;
use crate::model::FileKind;
use crate::model::FileResult;
use crate::model::FileStat;
use crate::model::Mask;
use crate::wire::FromSlave;
use crate::wire::pb::jelly::Value;

/// The log that every command has.
const STDIO: &str = "stdio";

/// Logs of one command: the master takes no more.
const MOST_LOGS: usize = 200;

/// Names of one answer.
const MOST_NAMES: usize = 10_000;

/// What a header of Buildbot's slaves begins with when they ended a command themselves.
const TIMED_OUT: &str = "command timed out: ";

/// What one says of the signal that ended it.
const KILLED: &str = "process killed by signal ";

/// What is known of a command while it runs.
pub(super) struct Job {
    pub(super) id: CommandId,
    masks: Masks,
    /// Bytes of each log that were given to the master.
    logs: BTreeMap<String, u64>,
    /// What may be the beginning of something that must not be seen.
    held: BTreeMap<(String, u8), Stream>,
    rc: Option<i64>,
    elapsed: Option<f64>,
    /// What it found out.
    found: Option<FileResult>,
    /// Why the slave ended it.
    cause: Option<ExitCause>,
    signal: Option<i32>,
    pub(super) is_interrupted: bool,
    /// Where the slave's base directory is: names of files begin with it.
    basedir: String,
}

impl Job {
    pub(super) fn new(id: CommandId, masks: &[Mask], basedir: &str) -> Self {
        Self {
            id,
            masks: Masks::new(masks),
            logs: BTreeMap::from([(STDIO.to_owned(), 0)]),
            held: BTreeMap::new(),
            rc: None,
            elapsed: None,
            found: None,
            cause: None,
            signal: None,
            is_interrupted: false,
            basedir: basedir.to_owned(),
        }
    }

    /// Takes what one call of `update` brings.
    pub(super) fn update(&mut self, updates: &Value, out: &mut Vec<FromSlave>) {
        for entry in updates.items().unwrap_or_default() {
            let Some(Value::Dict(pairs)) = entry.items().and_then(<[Value]>::first) else {
                continue;
            };
            for (key, value) in pairs {
                let Some(key) = key.as_text() else { continue };
                self.entry(&key, value, out);
            }
        }
    }

    fn entry(&mut self, key: &str, value: &Value, out: &mut Vec<FromSlave>) {
        match key {
            "stdout" => self.text(STDIO, Channel::Stdout, value, out),
            "stderr" => self.text(STDIO, Channel::Stderr, value, out),
            "header" => {
                if let Some(text) = value.as_text() {
                    self.look(&text);
                }
                self.text(STDIO, Channel::Header, value, out);
            }
            "log" => {
                let Some([name, data]) = value.items() else {
                    return;
                };
                let Some(name) = name.as_text() else { return };
                let is_known = self.logs.contains_key(&name);
                if (is_known || self.logs.len() < MOST_LOGS) && name.len() < 200 {
                    self.text(&name, Channel::Stdout, data, out);
                }
            }
            "rc" => self.rc = value.as_int(),
            "elapsed" => self.elapsed = value.as_float(),
            "failure_reason" => match value.as_text().as_deref() {
                Some("timeout_without_output") => self.cause = Some(ExitCause::Silence),
                Some("timeout") => self.cause = Some(ExitCause::Overtime),
                _ => {}
            },
            "stat" => self.found = stat(value).map(FileResult::Stat),
            "files" => {
                let names = value.items().unwrap_or_default().iter();
                let names = names.filter_map(Value::as_text).take(MOST_NAMES);
                let base = format!("{}/", self.basedir);
                let own = |it: String| it.strip_prefix(&base).map_or(it.clone(), str::to_owned);
                let mut names: Vec<_> = names.map(own).collect();
                names.sort();
                self.found = Some(FileResult::Names(names));
            }
            // What later versions say besides, and what only Buildbot's own steps ask.
            _ => {}
        }
    }

    /// Older slaves say only in words why they ended a command.
    fn look(&mut self, header: &str) {
        for line in header.lines() {
            if let Some(rest) = line.strip_prefix(TIMED_OUT)
                && self.cause.is_none()
            {
                self.cause = Some(match rest.contains("without output") {
                    true => ExitCause::Silence,
                    false => ExitCause::Overtime,
                });
            }
            if let Some(number) = line.strip_prefix(KILLED) {
                self.signal = number.trim().parse().ok();
            }
        }
    }

    fn text(&mut self, log: &str, channel: Channel, value: &Value, out: &mut Vec<FromSlave>) {
        let Some(bytes) = value.clone().into_bytes() else {
            return;
        };
        if self.masks.is_empty() {
            return self.put(log, channel, &bytes, out);
        }
        let key = (log.to_owned(), channel.byte());
        let stream = self.held.entry(key).or_default();
        let seen = stream.push(&bytes, &self.masks);
        self.put(log, channel, &seen, out);
    }

    /// Gives a piece of a log to the master.
    fn put(&mut self, log: &str, channel: Channel, bytes: &[u8], out: &mut Vec<FromSlave>) {
        let mut records = Vec::new();
        record::push(channel, bytes, &mut records);
        self.give(log, records, out);
    }

    /// Gives bytes of a log to the master as they are.
    pub(super) fn give(&mut self, log: &str, bytes: Vec<u8>, out: &mut Vec<FromSlave>) {
        let offset = self.logs.entry(log.to_owned()).or_default();
        let length = bytes.len() as u64;
        if length > 0 {
            out.push(FromSlave::Output {
                id: self.id,
                log: log.to_owned(),
                offset: *offset,
                bytes: Bytes::from(bytes),
            });
            *offset += length;
        }
    }

    /// Says something of its own in the log.
    pub(super) fn say(&mut self, channel: Channel, text: &str, out: &mut Vec<FromSlave>) {
        self.put(STDIO, channel, text.as_bytes(), out);
    }

    /// The file or directory that it sends is this.
    pub(super) fn found(&mut self, result: FileResult) {
        self.found = Some(result);
    }

    pub(super) const fn rc(&self) -> Option<i64> {
        self.rc
    }

    /// It ended by itself, with this exit code.
    pub(super) const fn ended(&mut self, rc: i64) {
        self.rc = Some(rc);
    }

    /// Says the end.
    pub(super) fn finish(mut self, out: &mut Vec<FromSlave>) {
        let elapsed = self.elapsed.unwrap_or_default().max(0.0) * 1000.0;
        let code = self.rc.unwrap_or(-1);
        let cause = match (&self.cause, self.signal) {
            _ if self.is_interrupted => ExitCause::Interrupted,
            (Some(cause), _) if code != 0 => cause.clone(),
            (_, Some(signal)) if code < 0 => ExitCause::Signal(signal),
            _ => ExitCause::Exited,
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "not negative"
        )]
        let mut exit = Exit::new(i32::try_from(code).unwrap_or(-1), cause, elapsed as u64);
        exit.result = self.found.take().filter(|_| code == 0);
        self.end(exit, out);
    }

    /// Says an end that nobody but this side knows of.
    pub(super) fn end(mut self, exit: Exit, out: &mut Vec<FromSlave>) {
        for ((log, channel), mut stream) in std::mem::take(&mut self.held) {
            let rest = stream.finish(&self.masks);
            let channel = Channel::from_byte(channel).unwrap_or(Channel::Stdout);
            self.put(&log, channel, &rest, out);
        }
        out.push(FromSlave::Finished {
            id: self.id,
            exit,
            logs: self.logs,
        });
    }
}

/// The ten numbers of Python's `os.stat`.
fn stat(value: &Value) -> Option<FileStat> {
    let numbers = value.items()?;
    let number = |at: usize| match numbers.get(at)? {
        Value::Float(seconds) =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "a time of a file")]
            Some(*seconds as i64)
        }
        other => other.as_int(),
    };
    let mode = u32::try_from(number(0)?).ok()?;
    Some(FileStat {
        kind: match mode & 0o170_000 {
            0o100_000 => FileKind::File,
            0o040_000 => FileKind::Directory,
            _ => FileKind::Other,
        },
        mode: mode & 0o7777,
        size: u64::try_from(number(6)?).ok()?,
        modified: number(8)?,
    })
}
