//! Places: from an offset in a value's text back to the bytes of the file it
//! was read from, through quotes, escapes and continuation lines.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Begins;
use super::Content;
use super::Edited;
use super::Entry;
use super::Misread;
use super::Node;
use super::Place;
use super::Source;
use super::Via;
use super::ini;
use crate::model::SecretRef;

impl Source {
    /// A text under the name that messages give it; relative paths in it start at `dir`.
    pub(crate) fn new(
        name: impl Into<String>,
        dir: impl Into<PathBuf>,
        text: impl Into<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            included: None,
            dir: dir.into(),
            text: text.into(),
            begins: Begins::default(),
        })
    }
}

impl Begins {
    /// At this offset of the file, with so many lines before it.
    pub(super) fn move_to(&self, offset: usize, line: usize) {
        self.offset.store(offset, Ordering::Relaxed);
        self.line.store(line, Ordering::Relaxed);
    }

    pub(crate) fn offset(&self) -> usize {
        self.offset.load(Ordering::Relaxed)
    }

    pub(crate) fn line(&self) -> usize {
        self.line.load(Ordering::Relaxed)
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.span == other.span
            && (Arc::ptr_eq(&self.source, &other.source)
                || (self.source.name == other.source.name
                    && self.source.begins.offset() == other.source.begins.offset()
                    && self.source.text == other.source.text))
    }
}

impl Eq for Place {}

/// Where a thing is written is no part of what it is: settings are compared by
/// their `Debug` form.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// What is said, wherever it stands.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.content.fmt(f)
    }
}

/// What is said, wherever it stands.
impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} ", self.key, self.op)?;
        self.value.fmt(f)
    }
}

impl Place {
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        // No text is longer than this counts.
        let small = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self {
            source: Arc::clone(source),
            span: (small(span.start), small(span.end)),
            via: None,
        }
    }

    /// Its bytes in the source.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.0 as usize..self.span.1 as usize
    }

    /// Other bytes of the same source, which came here on the same road.
    #[must_use]
    pub(crate) fn elsewhere(&self, span: Range<usize>) -> Self {
        Self {
            via: self.via.clone(),
            ..Self::new(&self.source, span)
        }
    }

    /// The same bytes, used by way of `place`, under which `what` is said.
    #[must_use]
    pub(crate) fn through(&self, place: &Self, what: &str) -> Self {
        let via = match &self.via {
            Some(via) => Via {
                place: via.place.through(place, what),
                what: via.what.clone(),
            },
            None => Via {
                place: place.clone(),
                what: what.to_owned(),
            },
        };
        Self {
            via: Some(Arc::new(via)),
            ..self.clone()
        }
    }

    /// The stops of its road, the nearest to the bytes first; at last the
    /// places where its file is included.
    pub(crate) fn road(&self) -> Vec<(Self, String)> {
        let mut stops = Vec::new();
        let mut at = self;
        while let Some(via) = &at.via {
            stops.push((via.place.clone(), via.what.clone()));
            at = &via.place;
        }
        let mut source = &self.source;
        while let Some(place) = &source.included {
            stops.push((place.clone(), "included here".to_owned()));
            source = &place.source;
        }
        stops
    }

    /// The bytes themselves; empty if they are not there.
    pub(crate) fn text(&self) -> &str {
        self.source.text.get(self.span()).unwrap_or_default()
    }

    /// The line in which it begins.
    pub(super) fn line(&self) -> &str {
        let text = self.source.text.as_str();
        let Some((before, behind)) = text.split_at_checked(self.span().start) else {
            return "";
        };
        let start = before.rfind('\n').map_or(0, |it| it + 1);
        let end = behind.find('\n').unwrap_or(behind.len());
        &text[start..before.len() + end]
    }

    /// Where it begins in the file: what comes first is less.
    pub(crate) fn offset(&self) -> usize {
        self.source.begins.offset() + self.span().start
    }

    /// Line and column of the first byte, both from 1; columns count characters.
    pub(crate) fn line_and_column(&self) -> (usize, usize) {
        self.position(self.span().start)
    }

    /// Line and column just behind the last byte.
    pub(crate) fn end_line_and_column(&self) -> (usize, usize) {
        self.position(self.span().end)
    }

    fn position(&self, offset: usize) -> (usize, usize) {
        let (line, column) = position(&self.source.text, offset);
        (self.source.begins.line() + line, column)
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

impl Entry {
    /// The same entry, used by way of `place`.
    #[must_use]
    pub(crate) fn through(&self, place: &Place, what: &str) -> Self {
        Self {
            key: self.key.clone(),
            key_place: self.key_place.through(place, what),
            op: self.op,
            value: self.value.through(place, what),
        }
    }
}

impl Node {
    /// The same value, used by way of `place`.
    #[must_use]
    pub(crate) fn through(&self, place: &Place, what: &str) -> Self {
        let content = match &self.content {
            Content::List(all) => {
                let all = all.iter().map(|it| it.through(place, what));
                Content::List(Arc::new(all.collect()))
            }
            Content::Table(all) => {
                Content::Table(all.iter().map(|it| it.through(place, what)).collect())
            }
            Content::Edited(it) => Content::Edited(Box::new(Edited {
                base: it.base.as_ref().map(|it| it.through(place, what)),
                edits: it
                    .edits
                    .iter()
                    .map(|(op, it)| (*op, it.through(place, what)))
                    .collect(),
            })),
            plain => plain.clone(),
        };
        Self {
            place: self.place.through(place, what),
            content,
        }
    }

    /// Where the bytes `at` of `text`, which was read from this node, stand in
    /// the file. In a text that was made otherwise (filled in, computed) they
    /// are looked for; what is not there once gives the whole value.
    pub(crate) fn part(&self, text: &str, at: Range<usize>) -> Place {
        self.parts(text)(at)
    }

    /// As [`Node::part`], for many parts of one text.
    pub(super) fn parts(&self, text: &str) -> impl Fn(Range<usize>) -> Place {
        let raw = self.place.text();
        let begin = verbatim(raw, text);
        let origin = match begin {
            Some(_) => None,
            None => [ini::unfolded, super::toml::unquoted]
                .into_iter()
                .find_map(|way| way(raw).filter(|it| it.text == text)),
        };
        move |at| {
            let span = match (begin, &origin) {
                (Some(begin), _) => Some(begin + at.start..begin + at.end),
                (None, Some(origin)) => origin.span(at),
                (None, None) => text.get(at).and_then(|it| only(raw, it)),
            };
            match span {
                Some(span) => {
                    let start = self.place.span().start;
                    self.place.elsewhere(start + span.start..start + span.end)
                }
                None => self.place.clone(),
            }
        }
    }

    /// Every reference to a secret in it, with its place.
    pub(crate) fn secrets(&self) -> Vec<(SecretRef, Place)> {
        let mut all = Vec::new();
        self.add_secrets(&mut all);
        all
    }

    fn add_secrets(&self, all: &mut Vec<(SecretRef, Place)>) {
        match &self.content {
            Content::Text(text) if !text.as_bytes().contains(&b'$') => {}
            Content::Text(text) => {
                let found = SecretRef::all(text).into_iter();
                all.extend(found.map(|(it, at)| (it, self.part(text, at))));
            }
            Content::List(items) => items.iter().for_each(|it| it.add_secrets(all)),
            Content::Table(entries) => entries.iter().for_each(|it| it.value.add_secrets(all)),
            Content::Edited(edited) => {
                let edits = edited.edits.iter().map(|(_, node)| node);
                let nodes = edited.base.iter().chain(edits);
                nodes.for_each(|it| it.add_secrets(all));
            }
            Content::Int(_) | Content::Float(_) | Content::Bool(_) | Content::Null => {}
        }
    }

    /// Whether a text of it refers to a secret, or might when it is filled in.
    pub(crate) fn may_have_secrets(&self) -> bool {
        match &self.content {
            Content::Text(text) => text.as_bytes().contains(&b'$') && text.contains("${"),
            Content::List(all) => all.iter().any(Self::may_have_secrets),
            Content::Table(all) => all.iter().any(|it| it.value.may_have_secrets()),
            Content::Edited(edited) => {
                let mut edits = edited.edits.iter().map(|(_, node)| node);
                edited.base.iter().any(Self::may_have_secrets) || edits.any(Self::may_have_secrets)
            }
            Content::Int(_) | Content::Float(_) | Content::Bool(_) | Content::Null => false,
        }
    }

    /// The complaint `what` about the bytes `at` of `text`, which was read from this node.
    pub(crate) fn misread(&self, text: &str, at: Range<usize>, what: impl Into<String>) -> Misread {
        Misread {
            what: Some(what.into()),
            place: Some(self.part(text, at)),
            ..Misread::default()
        }
    }
}

/// Where `part` stands in `raw`, if it does once.
fn only(raw: &str, part: &str) -> Option<Range<usize>> {
    let mut found = raw.match_indices(part);
    let (at, _) = found.next().filter(|_| !part.is_empty())?;
    found.next().is_none().then(|| at..at + part.len())
}

/// A text that was taken out of a file, and where its pieces came from.
#[derive(Default)]
pub(super) struct Origin {
    pub(super) text: String,
    /// Offsets in the text and in the file, ascending; between two of them both count alike.
    pub(super) pieces: Vec<(usize, usize)>,
}

impl Origin {
    /// Adds a piece that stands at `from` in the file.
    pub(super) fn push(&mut self, piece: &str, from: usize) {
        self.pieces.push((self.text.len(), from));
        self.text.push_str(piece);
    }

    fn span(&self, at: Range<usize>) -> Option<Range<usize>> {
        let start = self.offset(at.start)?;
        // The end is just behind the last byte, not where the next piece begins.
        let end = match at.end.checked_sub(1) {
            Some(last) if last >= at.start => self.offset(last)? + 1,
            _ => start,
        };
        Some(start..end)
    }

    fn offset(&self, at: usize) -> Option<usize> {
        let next = self.pieces.partition_point(|(text, _)| *text <= at);
        let (text, file) = self.pieces.get(next.checked_sub(1)?)?;
        Some(file + (at - text))
    }
}

/// Where `text` begins in `raw`, if that is just it, or it in quotes.
fn verbatim(raw: &str, text: &str) -> Option<usize> {
    let is_quoted = || {
        let inside = ['"', '\'']
            .into_iter()
            .find_map(|mark| raw.strip_prefix(mark)?.strip_suffix(mark));
        inside == Some(text)
    };
    match raw == text {
        true => Some(0),
        false => is_quoted().then_some(1),
    }
}
