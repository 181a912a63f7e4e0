//! Places: from an offset in a value's text back to the bytes of the file it
//! was read from, through quotes, escapes and continuation lines.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::Misread;
use super::Node;
use super::Place;
use super::Source;
use super::ini;

impl Source {
    /// A text under the name that messages give it; relative paths in it start at `dir`.
    pub(crate) fn new(
        name: impl Into<String>,
        dir: impl Into<PathBuf>,
        text: impl Into<String>,
    ) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            dir: dir.into(),
            text: text.into(),
        })
    }
}

impl Place {
    pub(crate) fn new(source: &Arc<Source>, span: Range<usize>) -> Self {
        Self {
            source: Arc::clone(source),
            span,
        }
    }

    /// The bytes themselves; empty if they are not there.
    pub(crate) fn text(&self) -> &str {
        self.source.text.get(self.span.clone()).unwrap_or_default()
    }

    /// Line and column of the first byte, both from 1; columns count characters.
    pub(crate) fn line_and_column(&self) -> (usize, usize) {
        position(&self.source.text, self.span.start)
    }

    /// Line and column just behind the last byte.
    pub(crate) fn end_line_and_column(&self) -> (usize, usize) {
        position(&self.source.text, self.span.end)
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

impl Node {
    /// Where the bytes `at` of `text`, which was read from this node, stand in
    /// the file. A text that was made otherwise (filled in, computed) gives the
    /// whole value.
    pub(crate) fn part(&self, text: &str, at: Range<usize>) -> Place {
        let raw = self.place.text();
        let span = [unchanged, ini::unfolded, super::toml::unquoted]
            .into_iter()
            .find_map(|way| way(raw).filter(|it| it.text == text))
            .and_then(|origin| origin.span(at));
        match span {
            Some(span) => {
                let start = self.place.span.start;
                Place::new(&self.place.source, start + span.start..start + span.end)
            }
            None => self.place.clone(),
        }
    }

    /// The complaint `what` about the bytes `at` of `text`, which was read from this node.
    pub(crate) fn misread(&self, text: &str, at: Range<usize>, what: impl Into<String>) -> Misread {
        Misread {
            what: Some(what.into()),
            place: Some(self.part(text, at)),
        }
    }
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

fn unchanged(raw: &str) -> Option<Origin> {
    let mut origin = Origin::default();
    origin.push(raw, 0);
    Some(origin)
}
