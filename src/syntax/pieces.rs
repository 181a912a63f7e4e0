//! A long TOML document, read in pieces by all cores at once, and again only
//! where it changed. Each section is a piece, which is a source of its own: it
//! stays what it is wherever it comes to stand.
//!
//! A piece says by itself what it says in the whole if nothing that it adds to
//! stands in another one, so that is looked at; wherever there is doubt, or a
//! mistake, the document is read as one.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use ::toml::de::DeTable;

use super::Begins;
use super::Content;
use super::Entry;
use super::Op;
use super::Problems;
use super::Source;
use super::toml;
use crate::cores;

/// Shorter documents are read as one.
const LONG: usize = 64 << 10;

/// So many pieces are read in a millisecond or so.
const RUN: usize = 64;

/// The pieces of long documents, with what they say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pieces(Vec<Arc<Piece>>);

#[derive(Debug)]
struct Piece {
    source: Arc<Source>,
    entries: Vec<Entry>,
}

impl Pieces {
    pub(crate) fn extend(&mut self, more: Self) {
        self.0.extend(more.0);
    }
}

/// What reading the document as one gives, and its pieces; `None` if only the
/// whole can tell. Those that are `known` are not read again.
pub(super) fn read(source: &Source, known: &Pieces) -> Option<(Vec<Entry>, Pieces)> {
    match source.text.len() < LONG {
        true => None,
        false => read_long(source, known),
    }
}

fn read_long(source: &Source, known: &Pieces) -> Option<(Vec<Entry>, Pieces)> {
    let cut = Cut::of(&source.text)?;
    let is_of_it = |it: &&Arc<Piece>| {
        let known = &it.source;
        known.name == source.name && known.included == source.included
    };
    let known = known.0.iter().filter(is_of_it);
    let known: HashMap<&str, &Arc<Piece>> = known.map(|it| (it.source.text.as_str(), it)).collect();
    let texts = cut.pieces.iter().map(|at| &source.text[at.bytes.clone()]);
    let texts: Vec<_> = texts.collect();
    let unknown = texts.iter().filter(|it| !known.contains_key(**it));
    let unknown: Vec<_> = unknown.copied().collect();
    let mut read = cores::map(&unknown, RUN, |text| Piece::read(source, text)).into_iter();
    let mut pieces = Vec::with_capacity(texts.len());
    for (text, at) in texts.iter().zip(&cut.pieces) {
        let piece = match known.get(text) {
            Some(known) => Arc::clone(known),
            None => Arc::new(read.next()??),
        };
        piece.source.begins.move_to(at.bytes.start, at.line);
        pieces.push(piece);
    }
    let entries = cut.join(pieces.iter().flat_map(|it| it.entries.iter().cloned()))?;
    Some((entries, Pieces(pieces)))
}

impl Piece {
    fn read(whole: &Source, text: &str) -> Option<Self> {
        let document = DeTable::parse(text).ok()?;
        let source = Arc::new(Source {
            name: whole.name.clone(),
            included: whole.included.clone(),
            dir: whole.dir.clone(),
            text: text.to_owned(),
            begins: Begins::default(),
        });
        let mut problems = Problems::default();
        let entries = toml::entries(&source, document.into_inner(), &mut problems);
        problems.is_empty().then_some(Self { source, entries })
    }
}

/// Where a piece stands.
struct At {
    bytes: Range<usize>,
    /// How many lines are before it.
    line: usize,
}

struct Cut<'a> {
    pieces: Vec<At>,
    /// Tables that have a header of their own: a second one would be a mistake.
    alone: HashSet<&'a str>,
    /// Where the first header stands: before it are keys.
    keys_end: usize,
}

impl<'a> Cut<'a> {
    /// Cuts where another section begins.
    fn of(text: &'a str) -> Option<Self> {
        let mut cut = Self {
            pieces: Vec::new(),
            alone: HashSet::new(),
            keys_end: text.len(),
        };
        let mut piece = At {
            bytes: 0..0,
            line: 0,
        };
        let mut before = None;
        for (line, content) in text.split_inclusive('\n').enumerate() {
            let at = piece.bytes.end;
            if let Some(header) = content.trim_start().strip_prefix('[') {
                let header = Header::of(header)?;
                cut.keys_end = cut.keys_end.min(at);
                if header.second.is_none() {
                    cut.alone.insert(header.first);
                }
                if before.is_some_and(|it| it != header) {
                    cut.pieces.push(piece);
                    let bytes = at..at;
                    piece = At { bytes, line };
                }
                before = Some(header);
            }
            piece.bytes.end += content.len();
        }
        cut.pieces.push(piece);
        (cut.pieces.len() > 1).then_some(cut)
    }

    /// One table of all the pieces' tables.
    fn join(&self, pieces: impl Iterator<Item = Entry>) -> Option<Vec<Entry>> {
        let mut all: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut known: HashSet<(usize, String)> = HashSet::new();
        for mut entry in pieces {
            let is_open = entry.op == Op::Set && !self.alone.contains(entry.key.as_str());
            let inside = match &mut entry.value.content {
                Content::Table(inside) if is_open => std::mem::take(inside),
                _ => match places.insert(entry.key.clone(), usize::MAX) {
                    None => {
                        all.push(entry);
                        continue;
                    }
                    Some(_) => return None,
                },
            };
            let is_key = entry.key_place.offset() < self.keys_end;
            let at = match places.get(&entry.key) {
                None => {
                    // To what keys make nothing may be added.
                    let at = if is_key { usize::MAX } else { all.len() };
                    places.insert(entry.key.clone(), at);
                    all.push(entry);
                    all.len() - 1
                }
                Some(&usize::MAX) => return None,
                Some(&at) => at,
            };
            for one in &inside {
                if one.op != Op::Set || !known.insert((at, one.key.clone())) {
                    return None;
                }
            }
            let Content::Table(together) = &mut all[at].value.content else {
                return None;
            };
            together.extend(inside);
        }
        Some(all)
    }
}

/// The first two words of a header.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Header<'a> {
    first: &'a str,
    /// As it is written.
    second: Option<&'a str>,
}

impl<'a> Header<'a> {
    /// Reads what stands behind the first bracket; `None` if the first word is no plain one.
    fn of(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix('[').unwrap_or(text).trim_start();
        let is_bare = |it: char| it.is_ascii_alphanumeric() || it == '_' || it == '-';
        let end = text.find(|it| !is_bare(it)).filter(|it| *it > 0)?;
        let (first, rest) = text.split_at(end);
        let second = rest.trim_start().strip_prefix('.').map(str::trim_start);
        let second = second.map(|it| {
            let mark = it.chars().next().filter(|it| matches!(it, '"' | '\''));
            let end = match mark {
                Some(mark) => it[1..].find(mark).map(|at| at + 2),
                None => it.find(|it| !is_bare(it)),
            };
            &it[..end.unwrap_or(it.len())]
        });
        Some(Self { first, second })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Node;
    use super::super::Place;
    use super::*;

    /// Everything that is said, with its places in the whole.
    fn shown(entries: &[Entry], depth: usize, out: &mut Vec<String>) {
        for entry in entries {
            let key = at(&entry.key_place);
            out.push(format!("{depth} {} {:?} {key}", entry.key, entry.op));
            node(&entry.value, depth, out);
        }
    }

    fn node(node: &Node, depth: usize, out: &mut Vec<String>) {
        out.push(format!("{depth} {}", at(&node.place)));
        match &node.content {
            Content::Table(inside) => shown(inside, depth + 1, out),
            Content::List(all) => all.iter().for_each(|it| self::node(it, depth + 1, out)),
            plain => out.push(format!("{depth} {plain:?}")),
        }
    }

    fn at(place: &Place) -> String {
        let (from, to) = (place.line_and_column(), place.end_line_and_column());
        format!("{} {from:?} {to:?} {}", place.offset(), place.text())
    }

    /// Whether the text is read in pieces; if so, they say what the whole says.
    fn in_pieces(text: &str) -> bool {
        again(text, &mut Pieces::default())
    }

    fn again(text: &str, known: &mut Pieces) -> bool {
        let source = Source::new("master.toml", "/", text);
        let Some((entries, pieces)) = read_long(&source, known) else {
            return false;
        };
        *known = pieces;
        let mut problems = Problems::default();
        let whole = toml::read(&source, &mut problems);
        assert!(problems.is_empty(), "{}\n{text}", problems.render(false));
        let (mut ours, mut expected) = (Vec::new(), Vec::new());
        shown(&entries, 0, &mut ours);
        shown(&whole, 0, &mut expected);
        assert_eq!(ours, expected, "{text}");
        true
    }

    #[test]
    fn a_section_that_did_not_change_is_not_read_again() {
        let mut known = Pieces::default();
        assert!(again("[a.b]\nx = 1\n[a.c]\nx = 2\n[a.d]\n", &mut known));
        let before = known.clone();
        // It is known wherever it stands.
        assert!(again(
            "# new\n[a.b]\nx = 10\n\n[a.c]\nx = 2\n[a.d]\n",
            &mut known
        ));
        let same = |at: usize| Arc::ptr_eq(&before.0[at], &known.0[at]);
        assert_eq!([0, 1, 2].map(same), [false, true, true]);
    }

    #[test]
    fn sections_of_their_own_are_read_apart() {
        for text in [
            "[a.b]\nx = 1\n[a.c]\nx = 2\n",
            "k = 1\nl.m = 2\n[a.b]\n[[a.b.steps]]\nx = 1\n[[a.b.steps]]\nx = 2\n[c.\"d e\"]\nz = [[1],\n2]\n[a.c.d]\n",
            "[master]\nx = 1\n[slave.a]\n[slave.b]\n",
        ] {
            assert!(in_pieces(text), "{text}");
        }
    }

    #[test]
    fn what_belongs_together_is_read_together() {
        for text in [
            // A mistake in the whole, though not in the pieces.
            "[a]\n[b.c]\n[a]\n",
            "[a]\n[a.b]\n[b.c]\n[a]\n",
            "[a.b]\n[c.d]\n[a.b]\n",
            "a.b = 1\n[c.d]\n[a.c]\n",
            "a = { b = 1 }\n[c.d]\n[a.c]\n",
            "[[a]]\n[c.d]\n[a.c]\n",
            "[a.b]\n[c.d]\n[[a]]\n",
            // Two parts of one section.
            "[a.b]\n[c.d]\n[a.b.c]\n",
            "[[a.b]]\n[c.d]\n[[a.b]]\n",
            "[a.b]\n[c.d]\n[a.\"b\"]\n",
            "[\"a\".b]\n[c.d]\n",
            // What is no header.
            "[a.b]\nx = '''\n[a.c]\n'''\n[d.e]\n",
            "[a.b]\nx = [\n[1], [2]]\n[d.e]\n",
            // One section only, or a mistake in it.
            "[a.b]\nx = 1\n[a.b.c]\n",
            "[a.b]\nx = \n[a.c]\n",
            "x = 99999999999999999999\n[a.b]\n[a.c]\n",
        ] {
            assert!(!in_pieces(text), "{text}");
        }
    }

    fn document() -> impl Strategy<Value = String> {
        let lines = prop::sample::select(vec![
            "[a]",
            "[a.b]",
            "[a.c]",
            "[a.b.c]",
            "[a.\"b\"]",
            "[[a]]",
            "[[a.b]]",
            "[[a.c.d]]",
            "[d.e]",
            " [d . f]",
            "[g.\"h i\"]",
            "x = 1",
            "y = [",
            "]",
            "z = '''",
            "'''",
            "a.b = 1",
            "a = { c = 1 }",
            "d.k = 1",
            "\"q +\" = 1",
            "# [a.c]",
            "",
        ]);
        prop::collection::vec(lines, 1..12).prop_map(|it| it.join("\n"))
    }

    proptest! {
        #[test]
        fn pieces_say_what_the_whole_says(first in document(), second in document()) {
            let mut known = Pieces::default();
            again(&first, &mut known);
            again(&second, &mut known);
        }
    }
}
