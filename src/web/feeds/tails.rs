//! The ends of the logs of steps that failed.

use std::collections::VecDeque;
use std::io::Read;
use std::mem;

use serde::Serialize;

use crate::master::output::without_colours;
use crate::model::BuildRecord;
use crate::model::Channel;
use crate::model::StepRecord;

use super::super::app::App;
use super::super::failure::Failure;
use super::super::links;
use super::super::log;
use super::super::log::Found;
use super::super::log_file::Cutter;
use super::super::log_file::Place;
use super::super::log_file::Records;

/// Lines of each log.
const LINES: usize = 30;

/// A longer line is cut.
const LONGEST: usize = 500;

/// Bytes of logs that are read for a feed: they are read from their beginnings.
const MOST: u64 = 16 * 1024 * 1024;

/// The end of a log.
#[derive(Serialize)]
pub(super) struct LogTail {
    name: String,
    url: String,
    /// `None` if the log is gone, or too long to be read here.
    lines: Option<String>,
}

/// How much was read for a feed.
#[derive(Default)]
pub(super) struct Tails {
    read: u64,
}

impl Tails {
    pub(super) async fn of(
        &mut self,
        app: &App,
        base: &str,
        build: &BuildRecord,
        steps: &[StepRecord],
    ) -> Result<Vec<LogTail>, Failure> {
        let mut tails = Vec::new();
        for step in steps {
            for log in &step.logs {
                let place = Found::locate(app, build, step, log).await?.place;
                let room = MOST.saturating_sub(self.read);
                let read = log::blocking(log.file.clone(), move || {
                    let Some(file) = place.open()? else {
                        return Ok((0, None));
                    };
                    let length = file.metadata()?.len();
                    if length > room {
                        return Ok((0, None));
                    }
                    let mut records = Records::open(file, Place::default())?;
                    Ok((length, Some(last_lines(&mut records)?)))
                });
                let (length, lines) = read.await?;
                self.read += length;
                tails.push(LogTail {
                    name: log.name.clone(),
                    url: format!("{base}{}", links::log(&build.key, &step.name, &log.name)),
                    lines,
                });
            }
        }
        Ok(tails)
    }
}

/// The last lines of what a program said, in the order in which it said them.
fn last_lines<R: Read>(records: &mut Records<R>) -> std::io::Result<String> {
    let mut lines = VecDeque::new();
    let mut line = Vec::new();
    let mut cutter = Cutter::default();
    let mut keep = |line: &mut Vec<u8>| {
        let line = mem::take(line);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    };
    while let Some(piece) = records.next()? {
        if piece.channel == Channel::Header {
            continue;
        }
        let mut rest = piece.bytes;
        while !rest.is_empty() {
            let (length, ends) = cutter.cut(rest);
            line.extend_from_slice(&rest[..length]);
            rest = &rest[length..];
            if ends {
                keep(&mut line);
            }
        }
    }
    if !line.is_empty() {
        keep(&mut line);
    }
    let lines: Vec<_> = lines.iter().map(|it| shown(it)).collect();
    Ok(lines.join("\n"))
}

/// A line as people read it: without colours, and of what was written over only the last.
fn shown(line: &[u8]) -> String {
    let line = String::from_utf8_lossy(line);
    let line = without_colours(line.trim_end_matches(['\n', '\r']));
    let line = line.rsplit('\r').next().unwrap_or_default();
    let mut short: String = line.chars().take(LONGEST).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record;

    #[test]
    fn the_end_of_a_log_has_thirty_lines_without_headers_and_colours() {
        let mut bytes = Vec::new();
        let mut put = |channel, text: &str| record::push(channel, text.as_bytes(), &mut bytes);
        put(Channel::Header, "make\n");
        for number in 0..40 {
            put(Channel::Stdout, &format!("line {number}\n"));
        }
        put(Channel::Stderr, "\u{1b}[31mbad\u{1b}[0m\r\n");
        put(Channel::Header, "exit 2\n");
        put(Channel::Stdout, &format!(" 0%\r100%\n{}", "x".repeat(600)));
        let mut records = Records::new(bytes.as_slice(), Place::default());
        let text = last_lines(&mut records).expect("readable");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), LINES);
        assert_eq!((lines[0], lines[27], lines[28]), ("line 13", "bad", "100%"));
        assert_eq!(lines[29], format!("{}…", "x".repeat(LONGEST)));
    }
}
