//! TOML with places: every key and value of a document as [`Entry`]s, in the
//! order of the file, and every mistake at once.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Code;
use super::Content;
use super::Entry;
use super::Node;
use super::Op;
use super::Place;
use super::Problem;
use super::Problems;
use super::Section;
use super::Source;
use super::Tree;
use super::pieces;
use super::pieces::Pieces;
use super::place::Origin;

/// Reads a document, of which some pieces may be known from an earlier reading;
/// gives the pieces to be known in the next one, if it is long.
pub(crate) fn read_again(
    source: &Arc<Source>,
    known: &Pieces,
    problems: &mut Problems,
) -> (Vec<Entry>, Pieces) {
    match pieces::read(source, known) {
        Some(read) => read,
        None => (read(source, problems), Pieces::default()),
    }
}

/// Reads a document; what is wrong with it goes to `problems`, the rest is in the entries.
pub(crate) fn read(source: &Arc<Source>, problems: &mut Problems) -> Vec<Entry> {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let mut told = BTreeSet::new();
    let mut is_torn = false;
    let start = |error: &toml::de::Error| error.span().map_or(0, |it| it.start);
    let open = errors
        .iter()
        .filter_map(|it| unclosed(&source.text, start(it)))
        .min_by_key(|it| it.start);
    for error in errors {
        // What an open bracket swallows was no mistake.
        if open.as_ref().is_some_and(|it| it.start <= start(&error)) {
            continue;
        }
        // One mistake makes the parser stumble on over the rest of its line.
        let line = error
            .span()
            .map(|it| Place::new(source, it).line_and_column().0);
        if !told.insert(line) {
            continue;
        }
        let mut message = error.message().to_owned();
        let mut problem = Problem::error(Code::BadLine, "");
        // The parser says in further lines what it expected.
        if let Some((first, rest)) = error.message().split_once('\n') {
            problem = problem.label(rest.replace('\n', ", "));
            message = first.to_owned();
        }
        problem.what = message;
        if let Some(span) = error.span() {
            let before = &source.text[..span.start.min(source.text.len())];
            let line = before.rfind('\n').map_or(before, |it| &before[it + 1..]);
            if line.trim_start().starts_with('[') {
                is_torn = true;
                problem = problem.help(
                    "a name of other signs than letters, digits, `_` and `-` stands in quotes: `[builder.\"{a}-{b}\"]`",
                );
            }
            problem = problem.at(&Place::new(source, span));
        }
        problems.note(problem);
    }
    if let Some(open) = open {
        let what = format!("this `{}` is not closed", &source.text[open.clone()]);
        let problem = Problem::error(Code::BadLine, what);
        problems.note(problem.at(&Place::new(source, open)));
        is_torn = true;
    }
    if is_torn {
        // Of a part of the file nothing is known.
        return Vec::new();
    }
    entries(source, document.into_inner(), problems)
}

/// The bracket before `at` that is open there, if what stands at `at` shows
/// that it was meant to be closed: a line that only stands outside of brackets.
fn unclosed(text: &str, at: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let mut open = Vec::new();
    let mut here = 0;
    while here < at.min(bytes.len()) {
        let rest = &text[here..];
        here += match bytes[here] {
            b'#' => rest.find('\n').unwrap_or(rest.len()),
            b'"' | b'\'' => quoted(rest),
            b'[' | b'{' => {
                open.push(here);
                1
            }
            b']' | b'}' => {
                open.pop();
                1
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    let bracket = open.pop()?;
    let begin = text.get(..at)?.rfind('\n').map_or(0, |it| it + 1);
    let line = text[begin..].lines().next().unwrap_or_default().trim();
    let is_below = bracket < begin;
    let is_name = |it: &str| {
        let is_part = |it: char| it.is_alphanumeric() || "_-. \"'".contains(it);
        it.starts_with(char::is_alphabetic) && it.chars().all(is_part)
    };
    let is_header = line.starts_with('[') && is_name(line.trim_matches(['[', ']']));
    let is_entry = line.split_once('=').is_some_and(|(key, _)| is_name(key));
    let is_end = text.get(at..).is_none_or(|it| it.trim().is_empty());
    // In braces entries stand anyway.
    let shows = is_end || is_below && (is_header || is_entry && bytes[bracket] == b'[');
    shows.then(|| bracket..bracket + 1)
}

/// Where each table of a document that can be read begins: its `[NAME]` or `[[NAME]]`.
pub(crate) fn headers(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let (mut at, mut depth, mut begins_line) = (0, 0_usize, true);
    while at < bytes.len() {
        let rest = &text[at..];
        let line = || rest.find('\n').unwrap_or(rest.len());
        let byte = bytes[at];
        at += match byte {
            b'[' if begins_line && depth == 0 => {
                found.push(at);
                line()
            }
            b'#' => line(),
            b'"' | b'\'' => quoted(rest),
            b'[' | b'{' => {
                depth += 1;
                1
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                1
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        begins_line = byte == b'\n' || begins_line && byte.is_ascii_whitespace();
    }
    found
}

/// The length of the string that `text` begins with.
fn quoted(text: &str) -> usize {
    let marks = ["\"\"\"", "'''", "\"", "'"];
    let mark = marks.into_iter().find(|it| text.starts_with(it));
    let mark = mark.unwrap_or("\"");
    let mut at = mark.len();
    while let Some(rest) = text.get(at..)
        && !rest.is_empty()
    {
        if rest.starts_with(mark) {
            return at + mark.len();
        }
        if mark.len() == 1 && rest.starts_with('\n') {
            break;
        }
        let is_escape = mark.starts_with('"') && rest.starts_with('\\');
        let length: usize = rest
            .chars()
            .take(1 + usize::from(is_escape))
            .map(char::len_utf8)
            .sum();
        at += length;
    }
    at.min(text.len())
}

/// Reads a document whose top-level tables are sections. Keys that stand
/// before them are a first section without a name.
pub(crate) fn tree(source: &Arc<Source>, problems: &mut Problems) -> Tree {
    let mut sections = Vec::new();
    let mut loose = Vec::new();
    for entry in read(source, problems) {
        match entry.value.content {
            Content::Table(entries) => sections.push(Section {
                own_name: entry.key.clone(),
                name: entry.key,
                place: entry.key_place,
                entries,
                inherited: Vec::new(),
                defaults: Arc::default(),
            }),
            _ => loose.push(entry),
        }
    }
    if !loose.is_empty() {
        let first = Section {
            name: String::new(),
            own_name: String::new(),
            place: Place::new(source, 0..0),
            entries: loose,
            inherited: Vec::new(),
            defaults: Arc::default(),
        };
        sections.insert(0, first);
    }
    Tree { sections }
}

/// Takes the parser's tables apart as it goes: both trees of a long file at once are much memory.
pub(super) fn entries(
    source: &Arc<Source>,
    table: DeTable<'_>,
    problems: &mut Problems,
) -> Vec<Entry> {
    // No more room than needed: most tables are small, and there are many.
    let mut entries = Vec::with_capacity(table.len());
    entries.extend(table.into_iter().map(|(key, value)| {
        let (key_text, op) = operator(key.get_ref());
        Entry {
            key: key_text.to_owned(),
            key_place: Place::new(source, key.span()),
            op,
            value: node(source, value, problems),
        }
    }));
    entries.sort_by_key(|it| it.key_place.span().start);
    entries
}

/// `"key +" = …` appends and `"key -" = …` removes: TOML has no other operator than `=`.
pub(super) fn operator(key: &str) -> (&str, Op) {
    match (key.strip_suffix(" +"), key.strip_suffix(" -")) {
        (Some(key), _) => (key.trim_end(), Op::Append),
        (_, Some(key)) => (key.trim_end(), Op::Remove),
        (None, None) => (key, Op::Set),
    }
}

fn node(source: &Arc<Source>, value: Spanned<DeValue<'_>>, problems: &mut Problems) -> Node {
    let place = Place::new(source, value.span());
    let content = match value.into_inner() {
        DeValue::String(it) => Content::Text(it.into_owned()),
        DeValue::Integer(it) => match i64::from_str_radix(it.as_str(), it.radix()) {
            Ok(int) => Content::Int(int),
            Err(_) => {
                let problem = Problem::error(Code::BadValue, "a number too large to be used")
                    .at(&place)
                    .label("expected at most 9223372036854775807");
                problems.note(problem);
                Content::Int(0)
            }
        },
        DeValue::Float(it) => Content::Float(it.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(it) => Content::Bool(it),
        DeValue::Datetime(it) => Content::Text(it.to_string()),
        DeValue::Array(all) => {
            let all = all.into_iter().map(|it| node(source, it, problems));
            Content::List(Arc::new(all.collect()))
        }
        DeValue::Table(table) => Content::Table(entries(source, table, problems)),
    };
    Node { place, content }
}

/// The text of a quoted TOML string, and where each part of it stands.
pub(super) fn unquoted(raw: &str) -> Option<Origin> {
    let (mark, has_escapes) = ["\"\"\"", "'''", "\"", "'"]
        .into_iter()
        .find(|it| raw.starts_with(it))
        .map(|it| (it, it.starts_with('"')))?;
    let inside = raw.strip_prefix(mark)?.strip_suffix(mark)?;
    let mut at = mark.len();
    // A line feed right behind the opening quotes is not part of the text.
    let mut rest = inside;
    if mark.len() == 3 {
        rest = inside
            .strip_prefix("\r\n")
            .or(inside.strip_prefix('\n'))
            .unwrap_or(inside);
        at += inside.len() - rest.len();
    }
    let mut origin = Origin::default();
    while !rest.is_empty() {
        let plain = if has_escapes {
            rest.find('\\').unwrap_or(rest.len())
        } else {
            rest.len()
        };
        if plain > 0 {
            origin.push(&rest[..plain], at);
        } else {
            let (char, length) = escape(rest)?;
            if let Some(char) = char {
                origin.push(char.encode_utf8(&mut [0; 4]), at);
            }
            rest = &rest[length..];
            at += length;
            continue;
        }
        rest = &rest[plain..];
        at += plain;
    }
    Some(origin)
}

/// What the escape at the start of `text` stands for, and its length.
fn escape(text: &str) -> Option<(Option<char>, usize)> {
    let kind = text.chars().nth(1)?;
    let hex = |digits: usize| {
        let code = u32::from_str_radix(text.get(2..2 + digits)?, 16).ok()?;
        Some((Some(char::from_u32(code)?), 2 + digits))
    };
    let simple = |char| Some((Some(char), 2));
    match kind {
        'b' => simple('\u{8}'),
        't' => simple('\t'),
        'n' => simple('\n'),
        'f' => simple('\u{c}'),
        'r' => simple('\r'),
        'e' => simple('\u{1b}'),
        '"' | '\\' => simple(kind),
        'x' => hex(2),
        'u' => hex(4),
        'U' => hex(8),
        _ if kind.is_whitespace() => {
            let rest = text[1..].trim_start();
            Some((None, text.len() - rest.len()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(entries: &[Entry], depth: usize, out: &mut String) {
        for entry in entries {
            out.push_str(&format!("{}{}", "  ".repeat(depth), entry.key));
            match &entry.value.content {
                Content::Table(inside) => {
                    out.push('\n');
                    shown(inside, depth + 1, out);
                }
                Content::List(all) => {
                    out.push_str(" [\n");
                    for item in all.iter() {
                        match &item.content {
                            Content::Table(inside) => {
                                out.push_str(&format!("{}-\n", "  ".repeat(depth + 1)));
                                shown(inside, depth + 2, out);
                            }
                            other => {
                                let indent = "  ".repeat(depth + 1);
                                out.push_str(&format!("{indent}{other:?}\n"));
                            }
                        }
                    }
                }
                other => out.push_str(&format!(" = {other:?} at {}\n", entry.value.place.text())),
            }
        }
    }

    fn check(text: &str) -> String {
        let source = Source::new("factories/hello.toml", "/base/factories", text);
        let mut problems = Problems::default();
        let entries = read(&source, &mut problems);
        let mut out = String::new();
        shown(&entries, 0, &mut out);
        out + &problems.render(false)
    }

    #[test]
    fn a_recipe_reads_in_the_order_of_its_file() {
        let text = r#"
extends = "source"
description = 'GNU'
[params]
jobs = { type = "int", default = 2 }
[[steps]]
type = "shell"
env.CFLAGS = "-O2"
command = ["make", 4, true, 1.5]
[[steps]]
type = "test"
"#;
        insta::assert_snapshot!(check(text), @r#"
        extends = Text("source") at "source"
        description = Text("GNU") at 'GNU'
        params
          jobs
            type = Text("int") at "int"
            default = Int(2) at 2
        steps [
          -
            type = Text("shell") at "shell"
            env
              CFLAGS = Text("-O2") at "-O2"
            command [
              Text("make")
              Int(4)
              Bool(true)
              Float(1.5)
          -
            type = Text("test") at "test"
        "#);
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        insta::assert_snapshot!(check("a = \nb = 1\nb = 2\nc = [1,\nd = 99999999999999999999\n"), @"
        error[bad-line]: string values must be quoted, expected literal string
         --> factories/hello.toml:1:5
          |
        1 | a = 
          |     ^

        error[bad-line]: duplicate key
         --> factories/hello.toml:3:1
          |
        3 | b = 2
          | ^

        error[bad-line]: this `[` is not closed
         --> factories/hello.toml:4:5
          |
        4 | c = [1,
          |     ^
        ");
        insta::assert_snapshot!(check("d = 99999999999999999999\n"), @"
        d = Int(0) at 99999999999999999999
        error[bad-value]: a number too large to be used
         --> factories/hello.toml:1:5
          |
        1 | d = 99999999999999999999
          |     ^^^^^^^^^^^^^^^^^^^^ expected at most 9223372036854775807
        ");
    }

    #[test]
    fn tables_become_sections() {
        let source = Source::new("x.toml", "/", "a = 1\n[m]\nx = 1\n[n]\n");
        let tree = tree(&source, &mut Problems::default());
        let names: Vec<_> = tree.sections.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["", "m", "n"]);
        assert_eq!(tree.sections[1].place.text(), "m");
    }

    #[test]
    fn an_offset_in_a_string_points_through_its_escapes() {
        let text = "a = \"x\\ty %z\"\nb = '''\none %z'''\nc = \"\"\"a\\\n    %z\\u00e9\"\"\"\n";
        let source = Source::new("x.toml", "/", text);
        for entry in read(&source, &mut Problems::default()) {
            let Content::Text(text) = &entry.value.content else {
                panic!("every value is a text");
            };
            let at = text.find("%z").expect("the word");
            let place = entry.value.part(text, at..at + 2);
            assert_eq!(place.text(), "%z", "{}", entry.key);
        }
    }
}
