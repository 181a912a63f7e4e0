//! Finds text in a log, as far as there is time: nobody's question may keep
//! the master busy. Colours are left out of what is looked through.

use std::borrow::Cow;
use std::io;

use regex::Regex;
use regex::RegexBuilder;
use tokio::time::Instant;

use super::ansi::Painter;
use super::ansi::Pens;
use super::choice;
use super::choice::Query;
use super::failure::Failure;
use super::log_index::Known;
use super::log_index::Part;
use super::log_index::Spot;
use super::log_index::walk;

/// Longer questions are no questions.
const LONGEST: usize = 1000;
/// What an expression may grow to.
const LARGEST: usize = 1 << 20;
/// Characters of a line in a list of hits.
const EXCERPT: usize = 200;
/// Lines after which the time is asked for again.
const LOOK_UP: u64 = 1024;

/// What is asked for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) text: String,
    pub(super) is_regex: bool,
    pub(super) minds_case: bool,
    pub(super) regex: Regex,
}

impl Question {
    /// Reads `q`, `re` and `case`; `None` if nothing is asked.
    pub(super) fn read(query: &Query) -> Result<Option<Self>, Failure> {
        let Some(text) = choice::first(query, "q") else {
            return Ok(None);
        };
        let is_on = |name: &str| choice::first(query, name) == Some("1");
        let (is_regex, minds_case) = (is_on("re"), is_on("case"));
        if text.len() > LONGEST {
            let what = format!("`q` has {} bytes; the most is {LONGEST}", text.len());
            return Err(Failure::BadRequest(what));
        }
        let pattern = match is_regex {
            true => Cow::Borrowed(text),
            false => Cow::Owned(regex::escape(text)),
        };
        let regex = RegexBuilder::new(&pattern)
            .case_insensitive(!minds_case)
            .size_limit(LARGEST)
            .dfa_size_limit(LARGEST)
            .build()
            .map_err(|error| {
                Failure::BadRequest(format!("`q` is no regular expression: {error}"))
            })?;
        Ok(Some(Self {
            text: text.to_owned(),
            is_regex,
            minds_case,
            regex,
        }))
    }
}

/// A line in which it occurs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) line: u64,
    pub(super) text: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hits {
    pub(super) hits: Vec<Hit>,
    /// From which line on nobody has looked; `None` if all was looked through.
    pub(super) rest: Option<u64>,
}

/// Finds the first `most` lines from `first` up to `last` in which it occurs.
pub(super) fn forwards(
    known: &Known,
    regex: &Regex,
    (first, last): (u64, u64),
    most: usize,
    until: Instant,
) -> io::Result<Hits> {
    let spot = known.index.before_line(first);
    let mut records = known.records(spot)?;
    let mut found = Hits::default();
    let mut seeker = Seeker::default();
    walk(&mut records, spot, &mut |part| {
        let line = part.start.line;
        if line < first {
            return true;
        }
        if line > last {
            return false;
        }
        // At the start of a line: the one before was looked at whole.
        let begins = seeker.is_empty();
        let is_late = line.is_multiple_of(LOOK_UP) && Instant::now() >= until;
        if begins && (found.hits.len() >= most || is_late) && line > first {
            found.rest = Some(line);
            return false;
        }
        if let Some(text) = seeker.take(part, regex) {
            found.hits.push(Hit { line, text });
        }
        true
    })?;
    if let Some((line, text)) = seeker.end(regex) {
        found.hits.push(Hit { line, text });
    }
    Ok(found)
}

/// Finds the last line before `line` in which it occurs. The error is how far one came.
pub(super) fn backwards(
    known: &Known,
    regex: &Regex,
    line: u64,
    until: Instant,
) -> io::Result<Result<Option<Hit>, u64>> {
    let mut behind = line;
    for Spot { line: first, .. } in known.index.backwards(line) {
        let found = forwards(known, regex, (first, behind - 1), usize::MAX, until)?;
        if let Some(rest) = found.rest {
            return Ok(Err(rest));
        }
        if let Some(hit) = found.hits.into_iter().next_back() {
            return Ok(Ok(Some(hit)));
        }
        behind = first;
        if Instant::now() >= until {
            return Ok(Err(behind));
        }
    }
    Ok(Ok(None))
}

/// Puts the parts of a line together.
#[derive(Default)]
struct Seeker {
    line: u64,
    parts: Vec<(crate::model::Channel, Vec<u8>)>,
}

impl Seeker {
    fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Takes a part; gives the line if it ends and it occurs there.
    fn take(&mut self, part: &Part<'_>, regex: &Regex) -> Option<String> {
        let bytes = part.bytes.strip_suffix(b"\n").unwrap_or(part.bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        // Most lines are in one piece, and plain.
        if part.ends && self.parts.is_empty() && is_plain(bytes) {
            let text = String::from_utf8_lossy(bytes);
            return regex.is_match(&text).then(|| excerpt(&text));
        }
        self.line = part.start.line;
        self.parts.push((part.channel, bytes.to_vec()));
        if !part.ends {
            return None;
        }
        self.end(regex).map(|it| it.1)
    }

    /// Looks at what has no line end.
    fn end(&mut self, regex: &Regex) -> Option<(u64, String)> {
        if self.parts.is_empty() {
            return None;
        }
        let mut painter = Painter::new(self.line, Pens::default());
        for (channel, bytes) in self.parts.drain(..) {
            painter.feed(channel, &bytes);
        }
        let text = painter.text();
        regex.is_match(&text).then(|| (self.line, excerpt(&text)))
    }
}

/// Whether a line is shown as it is.
fn is_plain(line: &[u8]) -> bool {
    memchr::memchr3(0x1b, b'\r', 8, line).is_none()
}

fn excerpt(text: &str) -> String {
    let text = text.trim();
    let mut short: String = text.chars().take(EXCERPT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::log_index::Shelf;
    use super::*;
    use crate::logs::record;
    use crate::model::Channel;

    fn known(parts: &[(Channel, &str)]) -> (tempfile::TempDir, Known) {
        let mut bytes = Vec::new();
        for (channel, text) in parts {
            record::push(*channel, text.as_bytes(), &mut bytes);
        }
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("log");
        std::fs::write(&path, bytes).expect("written");
        let known = Shelf::default()
            .look(&crate::logs::place::LogPlace::File(path), None)
            .expect("readable");
        (dir, known.expect("a log"))
    }

    fn ask(query: &[(&str, &str)]) -> Result<Option<Question>, String> {
        let query = query.iter();
        let query: Query = query
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Question::read(&query).map_err(|it| it.to_string())
    }

    fn regex(text: &str) -> Regex {
        let asked = ask(&[("q", text)]).expect("a question");
        asked.expect("a question").regex
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_mins(1)
    }

    fn sample() -> (tempfile::TempDir, Known) {
        known(&[
            (Channel::Header, "make\n"),
            (Channel::Stdout, "one Err"),
            (Channel::Stdout, "or\nfine\n\x1b[31mer\x1b[0mror\r\n"),
            (Channel::Stderr, "10%\rerror: \u{fffd}\n"),
            (Channel::Stdout, "no end: error"),
        ])
    }

    #[test]
    fn what_is_shown_is_found_whatever_its_colours_and_pieces() {
        let (_dir, known) = sample();
        let found = forwards(&known, &regex("ERROR"), (1, u64::MAX), 10, soon());
        let found = found.expect("readable");
        let lines: Vec<_> = found.hits.iter().map(|it| (it.line, &*it.text)).collect();
        assert_eq!(
            lines,
            [
                (2, "one Error"),
                (4, "error"),
                (5, "error: \u{fffd}"),
                (6, "no end: error")
            ]
        );
        assert_eq!(found.rest, None);
    }

    #[test]
    fn hits_come_in_pages_and_the_one_before_is_found() {
        let (_dir, known) = sample();
        let regex = regex("error");
        let page =
            |first| forwards(&known, &regex, (first, u64::MAX), 2, soon()).expect("readable");
        let first = page(1);
        assert_eq!((first.hits.len(), first.rest), (2, Some(5)));
        let second = page(5);
        assert_eq!((second.hits.len(), second.rest), (2, None));
        let before = |line| backwards(&known, &regex, line, soon()).expect("readable");
        let line = |it: Result<Option<Hit>, u64>| it.map(|it| it.map(|it| it.line));
        assert_eq!(line(before(6)), Ok(Some(5)));
        assert_eq!(line(before(4)), Ok(Some(2)));
        assert_eq!(line(before(2)), Ok(None));
        assert_eq!(line(before(1)), Ok(None));
    }

    #[test]
    fn who_has_no_time_is_told_how_far_one_came() {
        let lines: String = (0..5000).map(|it| format!("{it}\n")).collect();
        let (_dir, known) = known(&[(Channel::Stdout, &lines)]);
        let found = forwards(&known, &regex("none"), (1, u64::MAX), 9, Instant::now());
        assert_eq!(found.expect("readable").rest, Some(LOOK_UP));
        let found = backwards(&known, &regex("none"), 5000, Instant::now());
        assert!(found.expect("readable").is_err());
    }

    #[test]
    fn text_is_text_and_an_expression_is_one_only_if_that_is_said() {
        let (_dir, known) = known(&[(Channel::Stdout, "a.c\nabc\nABC\n")]);
        let lines = |query: &[(&str, &str)]| -> Vec<u64> {
            let asked = ask(query).expect("good").expect("a question");
            let found = forwards(&known, &asked.regex, (1, u64::MAX), 9, soon());
            let hits = found.expect("readable").hits.into_iter();
            hits.map(|it| it.line).collect()
        };
        assert_eq!(lines(&[("q", "a.c")]), [1]);
        assert_eq!(lines(&[("q", "a.c"), ("re", "1")]), [1, 2, 3]);
        assert_eq!(lines(&[("q", "^a.c$"), ("re", "1"), ("case", "1")]), [1, 2]);
        assert!(ask(&[("q", "")]).expect("good").is_none());
    }

    #[test]
    fn a_bad_expression_and_one_that_takes_too_much_are_refused() {
        let bad = |text: &str| ask(&[("q", text), ("re", "1")]).expect_err("bad");
        assert!(bad("(").starts_with("`q` is no regular expression: "));
        assert!(bad("(a{999}){999}").contains("size limit"));
        let long = "x".repeat(LONGEST + 1);
        assert_eq!(bad(&long), "`q` has 1001 bytes; the most is 1000");
    }
}
