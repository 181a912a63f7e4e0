//! Lines of a log as HTML, from a place on, and where one goes on behind them.

use std::io;
use std::io::Read;

use serde::Serialize;

use crate::model::Channel;

use super::ansi::Look;
use super::ansi::Painter;
use super::ansi::Pens;
use super::log_file::Place;
use super::log_file::Records;
use super::log_index::Known;
use super::log_index::Spot;
use super::log_index::walk;

/// Where to go on in a log: a place at the start of a line, its number, the pens there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) place: Place,
    pub(super) line: u64,
    pub(super) pens: Pens,
}

impl Mark {
    pub(super) fn to_token(self) -> String {
        let Place { record, skip } = self.place;
        format!("{record}.{skip}.{}.{}", self.line, self.pens.to_token())
    }

    /// Reads a token; a bare number is the offset of a record.
    pub(super) fn from_token(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let record = parts.next()?.parse().ok()?;
        let mut mark = Self {
            place: Place { record, skip: 0 },
            line: 1,
            pens: Pens::default(),
        };
        if let Some(skip) = parts.next() {
            mark.place.skip = skip.parse().ok()?;
            mark.line = parts.next()?.parse().ok()?;
            mark.pens = Pens::from_token(parts.next()?)?;
        }
        parts.next().is_none().then_some(mark)
    }
}

/// When it is enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of the log.
    pub(super) bytes: u64,
    pub(super) lines: u64,
    /// Bytes of HTML.
    pub(super) html: usize,
}

/// Lines as HTML, and where to go on.
#[derive(Debug, Serialize)]
pub(super) struct Painted {
    /// Lines that ended.
    pub(super) html: String,
    /// The line that has not ended; the next chunk has it again.
    pub(super) unfinished: Option<String>,
    /// What the next chunk is asked with.
    pub(super) next: String,
    /// The number of the line that follows those that ended.
    pub(super) next_line: u64,
    /// The first line that is more than talk about the command.
    #[serde(skip)]
    pub(super) output: Option<u64>,
    /// Whether there is more already.
    pub(super) more: bool,
    /// Whether the log is complete and this was the last of it.
    pub(super) done: bool,
}

impl Painted {
    pub(super) fn nothing(mark: Mark, done: bool) -> Self {
        Self {
            html: String::new(),
            unfinished: None,
            next: mark.to_token(),
            next_line: mark.line,
            output: None,
            more: false,
            done,
        }
    }
}

/// Paints what follows a mark, at which `records` stand.
pub(super) fn paint<R: Read>(
    records: &mut Records<R>,
    mark: Mark,
    limits: Limits,
    complete: bool,
    look: Look,
) -> io::Result<Painted> {
    let painter = Painter::new(mark.line, mark.pens).with(look);
    paint_with(painter, records, mark, limits, complete)
}

/// Paints the lines from the number `first` on. What colour was set a little earlier holds.
pub(super) fn paint_lines(
    known: &Known,
    first: u64,
    limits: Limits,
    complete: bool,
    look: Look,
) -> io::Result<Painted> {
    let spot = known.index.before_line(first);
    let mut records = known.records(spot)?;
    let mut painter = Painter::new(spot.line, Pens::default()).with(look);
    let mut place = spot.place;
    if spot.line < first {
        let reached = walk(&mut records, spot, &mut |part| {
            feed(&mut painter, part.channel, part.bytes);
            if part.ends {
                painter.end_line();
                painter.forget();
            }
            !part.ends || part.start.line + 1 < first
        })?;
        place = reached.start.place;
    }
    let (line, pens) = painter.at();
    let mark = Mark { place, line, pens };
    if line < first {
        // There are not so many.
        return Ok(Painted::nothing(mark, complete));
    }
    let mut records = Records::open(known.file.try_clone()?, place)?;
    paint_with(painter, &mut records, mark, limits, complete)
}

fn feed(painter: &mut Painter, channel: Channel, part: &[u8]) {
    painter.feed(channel, part.strip_suffix(b"\n").unwrap_or(part));
}

fn paint_with<R: Read>(
    mut painter: Painter,
    records: &mut Records<R>,
    mark: Mark,
    limits: Limits,
    complete: bool,
) -> io::Result<Painted> {
    let from = Spot {
        place: mark.place,
        line: mark.line,
        ..Spot::START
    };
    let mut output = None;
    let mut more = false;
    let mut start = from;
    let mut is_new = true;
    let room = painter.room(limits.html);
    let reached = walk(records, from, &mut |part| {
        start = part.start;
        if part.start.bytes >= limits.bytes
            || part.start.line - mark.line >= limits.lines
            || painter.html().len() >= room
        {
            more = true;
            return false;
        }
        if is_new {
            painter.begin_at(part.start.place.byte());
        }
        is_new = part.ends;
        if part.channel != Channel::Header {
            output = output.or(Some(painter.at().0));
        }
        feed(&mut painter, part.channel, part.bytes);
        if part.ends {
            painter.end_line();
        }
        true
    })?;
    let start = if more { start } else { reached.start };
    let (line, pens) = painter.at();
    let next = Mark {
        place: start.place,
        line,
        pens,
    };
    Ok(Painted {
        html: painter.html().to_owned(),
        unfinished: painter.unfinished(),
        next: next.to_token(),
        next_line: line,
        output,
        more,
        done: complete && !more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logs::record;

    #[test]
    fn chunks_of_any_size_make_the_page() {
        let mut bytes = Vec::new();
        for (channel, text) in [
            (Channel::Header, "make <all>\n"),
            (Channel::Stdout, "\u{1b}[31mred\nstill red"),
            (Channel::Stderr, " & bad\n\n"),
            (Channel::Stdout, "é last"),
        ] {
            record::push(channel, text.as_bytes(), &mut bytes);
        }
        let at = |mark: Mark, limit| {
            let from = usize::try_from(mark.place.record).expect("short");
            let mut records = Records::new(&bytes[from..], mark.place);
            let limits = Limits {
                bytes: limit,
                lines: u64::MAX,
                html: usize::MAX,
            };
            paint(&mut records, mark, limits, true, Look::default()).expect("readable")
        };
        let start = Mark {
            line: 1,
            ..Mark::default()
        };
        let whole = at(start, u64::MAX);
        assert_eq!(whole.html.lines().count(), 4);
        assert!(
            whole
                .html
                .contains(r#"<span class="stdout f1">still red</span>"#)
        );
        assert!(
            whole
                .unfinished
                .as_deref()
                .expect("a line")
                .contains(">é last<")
        );
        assert_eq!((whole.done, whole.output), (true, Some(2)));
        for limit in [1, 12, 30] {
            let mut html = String::new();
            let mut mark = start;
            loop {
                let part = at(mark, limit);
                html.push_str(&part.html);
                let next = Mark::from_token(&part.next).expect("a token");
                if !part.more {
                    assert_eq!(part.unfinished, whole.unfinished);
                    break;
                }
                if next == mark {
                    // The line is longer than the limit: a real limit is longer than any line.
                    html.clear();
                    break;
                }
                mark = next;
            }
            assert!(html.is_empty() || html == whole.html, "{limit}");
        }
    }

    #[test]
    fn tokens_read_back_and_nonsense_is_refused() {
        let mark = Mark {
            place: Place { record: 7, skip: 3 },
            line: 12,
            pens: Pens::default(),
        };
        assert_eq!(Mark::from_token(&mark.to_token()), Some(mark));
        assert_eq!(Mark::from_token("5").map(|it| it.place.record), Some(5));
        for bad in ["", "-1", "1.2", "1.2.3", "1.2.3.x", "1.2.3.0-0-0.4"] {
            assert_eq!(Mark::from_token(bad), None, "{bad}");
        }
    }
}
