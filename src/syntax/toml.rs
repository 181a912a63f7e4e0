//! TOML with places: every key and value of a document as [`Entry`]s, in the
//! order of the file, and every mistake at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use toml::Spanned;
use toml::de::DeTable;
use toml::de::DeValue;

use super::Content;
use super::Entry;
use super::Node;
use super::Place;
use super::Problem;
use super::Problems;
use super::Section;
use super::Source;
use super::Tree;
use super::place::Origin;

/// Reads a document; what is wrong with it goes to `problems`, the rest is in the entries.
pub(crate) fn read(source: &Arc<Source>, problems: &mut Problems) -> Vec<Entry> {
    let (document, errors) = DeTable::parse_recoverable(&source.text);
    let mut told = BTreeSet::new();
    for error in errors {
        // One mistake makes the parser stumble on over the rest of its line.
        let line = error
            .span()
            .map(|it| Place::new(source, it).line_and_column().0);
        if !told.insert(line) {
            continue;
        }
        let mut message = error.message().to_owned();
        let mut problem = Problem::error("");
        // The parser says in further lines what it expected.
        if let Some((first, rest)) = error.message().split_once('\n') {
            problem = problem.label(rest.replace('\n', ", "));
            message = first.to_owned();
        }
        problem.what = message;
        if let Some(span) = error.span() {
            problem = problem.at(&Place::new(source, span));
        }
        problems.note(problem);
    }
    entries(source, document.get_ref(), problems)
}

/// Reads a document whose top-level tables are sections. Keys that stand
/// before them are a first section without a name.
pub(crate) fn tree(source: &Arc<Source>, problems: &mut Problems) -> Tree {
    let mut sections = Vec::new();
    let mut loose = Vec::new();
    for entry in read(source, problems) {
        match entry.value.content {
            Content::Table(entries) => sections.push(Section {
                name: entry.key,
                place: entry.key_place,
                entries,
                defaults: Arc::default(),
            }),
            _ => loose.push(entry),
        }
    }
    if !loose.is_empty() {
        let first = Section {
            name: String::new(),
            place: Place::new(source, 0..0),
            entries: loose,
            defaults: Arc::default(),
        };
        sections.insert(0, first);
    }
    Tree { sections }
}

fn entries(source: &Arc<Source>, table: &DeTable<'_>, problems: &mut Problems) -> Vec<Entry> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_place: Place::new(source, key.span()),
            value: node(source, value, problems),
        })
        .collect();
    entries.sort_by_key(|it| it.key_place.span.start);
    entries
}

fn node(source: &Arc<Source>, value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Node {
    let place = Place::new(source, value.span());
    let content = match value.get_ref() {
        DeValue::String(it) => Content::Text(it.to_string()),
        DeValue::Integer(it) => match i64::from_str_radix(it.as_str(), it.radix()) {
            Ok(int) => Content::Int(int),
            Err(_) => {
                let problem = Problem::error("a number too large to be used")
                    .at(&place)
                    .label("expected at most 9223372036854775807");
                problems.note(problem);
                Content::Int(0)
            }
        },
        DeValue::Float(it) => Content::Float(it.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(it) => Content::Bool(*it),
        DeValue::Datetime(it) => Content::Text(it.to_string()),
        DeValue::Array(all) => {
            Content::List(all.iter().map(|it| node(source, it, problems)).collect())
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
                    for item in all {
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
        insta::assert_snapshot!(check("a = \nb = 1\nb = 2\nc = [1,\nd = 99999999999999999999\n"), @r#"
        a = Text("") at 
        b = Int(1) at 1
        c [
          Int(1)
          Text("d")
          Int(0)
        error: string values must be quoted, expected literal string
         --> factories/hello.toml:1:5
          |
        1 | a = 
          |     ^

        error: duplicate key
         --> factories/hello.toml:3:1
          |
        3 | b = 2
          | ^

        error: unexpected `=` in array, expected value, `]`
         --> factories/hello.toml:5:3
          |
        5 | d = 99999999999999999999
          |   ^

        error: a number too large to be used
         --> factories/hello.toml:5:5
          |
        5 | d = 99999999999999999999
          |     ^^^^^^^^^^^^^^^^^^^^ expected at most 9223372036854775807
        "#);
        insta::assert_snapshot!(check("d = 99999999999999999999\n"), @"
        d = Int(0) at 99999999999999999999
        error: a number too large to be used
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
