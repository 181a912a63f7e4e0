//! The master's own log: how long it gets, what it says and in which form.

use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// The master's own log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogPlan {
    /// Bytes after which it starts anew.
    pub(crate) rotate_length: u64,
    /// Old ones that are kept.
    pub(crate) max_rotated_files: u32,
    pub(crate) format: LogFormat,
    pub(crate) level: LogLevel,
}

impl Default for LogPlan {
    /// Size and number are Buildbot's.
    fn default() -> Self {
        Self {
            rotate_length: 10_000_000,
            max_rotated_files: 10,
            format: LogFormat::Text,
            level: LogLevel::Info,
        }
    }
}

/// Who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// People.
    Text,
    /// Programs: an object a line.
    Json,
}

impl Value for LogFormat {
    const EXPECTED: &'static str = "`text` or `json`";
    const SHAPE: Shape = Shape::Word(&["text", "json"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Misread::default()),
        }
    }
}

/// What is worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Value for LogLevel {
    const EXPECTED: &'static str = "`error`, `warn`, `info`, `debug` or `trace`";
    const SHAPE: Shape = Shape::Word(&["error", "warn", "info", "debug", "trace"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "error" => Ok(Self::Error),
            "warn" => Ok(Self::Warn),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            "trace" => Ok(Self::Trace),
            _ => Err(Misread::default()),
        }
    }
}

/// Reads these keys of `[:master:]`.
pub(super) fn read(keys: &mut Keys<'_>) -> Option<LogPlan> {
    let usual = LogPlan::default();
    let rotate_length = keys.or_as(&["log_rotate_length", "rotate_length"], usual.rotate_length);
    let max_rotated_files = keys.or("max_rotated_files", usual.max_rotated_files);
    let format = keys.or("log_format", usual.format);
    let level = keys.or("log_level", usual.level);
    if rotate_length == Some(0) {
        keys.wrong("log_rotate_length", "expected at least 1 byte");
        return None;
    }
    Some(LogPlan {
        rotate_length: rotate_length?,
        max_rotated_files: max_rotated_files?,
        format: format?,
        level: level?,
    })
}
