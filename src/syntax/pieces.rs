//! A long TOML document, read in pieces by all cores at once. The parser needs
//! many times the memory of what it reads; of a piece that is little.
//!
//! Pieces begin at headers. A piece says by itself what it says in the whole if
//! nothing that it adds to stands in another one, so that is looked at; wherever
//! there is doubt, or a mistake, the document is read as one.

use std::collections::HashMap;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use toml::de::DeTable;

use super::Content;
use super::Entry;
use super::Op;
use super::Problems;
use super::Source;
use super::toml::Reading;
use crate::cores;

/// Pieces are at least this long.
const PIECE: usize = 32 << 10;

/// What reading the document as one gives; `None` if only that can tell.
pub(super) fn read(source: &Arc<Source>) -> Option<Vec<Entry>> {
    read_by(source, PIECE)
}

fn read_by(source: &Arc<Source>, length: usize) -> Option<Vec<Entry>> {
    if source.text.len() < 2 * length {
        return None;
    }
    let cut = Cut::of(&source.text, length)?;
    let read = cores::map(&cut.pieces, 1, |piece| {
        let document = DeTable::parse(&source.text[piece.clone()]).ok()?;
        let mut problems = Problems::default();
        let begin = piece.start;
        let entries = Reading { source, begin }.entries(document.into_inner(), &mut problems);
        problems.is_empty().then_some(entries)
    });
    cut.join(read.into_iter().collect::<Option<_>>()?)
}

struct Cut<'a> {
    pieces: Vec<Range<usize>>,
    /// Tables that have a header of their own: a second one would be a mistake.
    alone: HashSet<&'a str>,
    /// Where the first header stands: before it are keys.
    keys_end: usize,
}

impl<'a> Cut<'a> {
    /// Cuts where another section begins.
    fn of(text: &'a str, length: usize) -> Option<Self> {
        let mut cut = Self {
            pieces: Vec::new(),
            alone: HashSet::new(),
            keys_end: text.len(),
        };
        let (mut begin, mut at) = (0, 0);
        let mut before = None;
        for line in text.split_inclusive('\n') {
            if let Some(header) = line.trim_start().strip_prefix('[') {
                let header = Header::of(header)?;
                cut.keys_end = cut.keys_end.min(at);
                if header.second.is_none() {
                    cut.alone.insert(header.first);
                }
                if at - begin >= length && before.is_some_and(|it| it != header) {
                    cut.pieces.push(begin..at);
                    begin = at;
                }
                before = Some(header);
            }
            at += line.len();
        }
        cut.pieces.push(begin..at);
        (cut.pieces.len() > 1).then_some(cut)
    }

    /// One table of all the pieces' tables.
    fn join(&self, pieces: Vec<Vec<Entry>>) -> Option<Vec<Entry>> {
        let mut all: Vec<Entry> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut known: HashSet<(usize, String)> = HashSet::new();
        for mut entry in pieces.into_iter().flatten() {
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
            let is_key = entry.key_place.span.start < self.keys_end;
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

    use super::super::toml;
    use super::*;

    /// Everything that is said, with its places.
    fn shown(entries: &[Entry], depth: usize, out: &mut Vec<String>) {
        for entry in entries {
            out.push(format!(
                "{depth} {} {:?} {:?}",
                entry.key, entry.op, entry.key_place.span
            ));
            node(&entry.value, depth, out);
        }
    }

    fn node(node: &super::super::Node, depth: usize, out: &mut Vec<String>) {
        out.push(format!("{depth} {:?}", node.place.span));
        match &node.content {
            Content::Table(inside) => shown(inside, depth + 1, out),
            Content::List(all) => all.iter().for_each(|it| self::node(it, depth + 1, out)),
            plain => out.push(format!("{depth} {plain:?}")),
        }
    }

    /// Whether the text is read in pieces; if so, they say what the whole says.
    fn in_pieces(text: &str) -> bool {
        let source = Source::new("master.toml", "/", text);
        let Some(pieces) = read_by(&source, 1) else {
            return false;
        };
        let mut problems = Problems::default();
        let whole = toml::read_as_one(&source, &mut problems);
        assert!(problems.is_empty(), "{}\n{text}", problems.render(false));
        let (mut ours, mut expected) = (Vec::new(), Vec::new());
        shown(&pieces, 0, &mut ours);
        shown(&whole, 0, &mut expected);
        assert_eq!(ours, expected, "{text}");
        true
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

    proptest! {
        #[test]
        fn pieces_say_what_the_whole_says(
            lines in prop::collection::vec(prop::sample::select(vec![
                "[a]", "[a.b]", "[a.c]", "[a.b.c]", "[a.\"b\"]", "[[a]]", "[[a.b]]", "[[a.c.d]]", "[d.e]", " [d . f]", "[g.\"h i\"]",
                "x = 1", "y = [", "]", "z = '''", "'''", "a.b = 1", "a = { c = 1 }", "d.k = 1", "\"q +\" = 1", "# [a.c]", "",
            ]), 1..12)
        ) {
            in_pieces(&lines.join("\n"));
        }
    }
}
