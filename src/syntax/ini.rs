//! The strict reader of autobot's INI: what Python's RawConfigParser reads,
//! without its silence. Whatever it cannot place it reports, and goes on.
//!
//! `key = value` or `key: value`; a value goes on in indented lines; lines
//! that begin with `#` or `;` are comments; nothing is interpolated; the
//! section `[DEFAULT]` supplies values to every other.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

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
use super::place::Origin;
use super::spelling::plain;
use super::words;

/// Reads a file; what is wrong with it goes to `problems`, the rest is in the tree.
pub(crate) fn read(source: &Arc<Source>, problems: &mut Problems) -> Tree {
    let mut reader = Reader {
        source,
        problems,
        sections: Vec::new(),
        section_names: HashMap::new(),
        keys: HashMap::new(),
        skipping: true,
        orphans: true,
        open: None,
    };
    let text = source.text.as_str();
    // Editors on Windows put a byte order mark first.
    let mut at = if text.starts_with('\u{feff}') { 3 } else { 0 };
    for line in text[at..].split_inclusive('\n') {
        let end = at + line.trim_end_matches(['\n', '\r']).len();
        reader.line(at..end);
        at += line.len();
    }
    reader.close();
    let mut sections = reader.sections;
    let mut defaults = Vec::new();
    sections.retain_mut(|section| {
        let is_default = section.name == "DEFAULT";
        if is_default {
            defaults.append(&mut section.entries);
        }
        !is_default
    });
    let defaults = Arc::new(defaults);
    for section in &mut sections {
        section.defaults = Arc::clone(&defaults);
    }
    Tree { sections }
}

struct Reader<'a> {
    source: &'a Arc<Source>,
    problems: &'a mut Problems,
    sections: Vec<Section>,
    section_names: HashMap<String, Place>,
    /// Of the section that is being read.
    keys: HashMap<String, Place>,
    /// No section, or a broken one, is open: its keys are read for mistakes only.
    skipping: bool,
    /// A key that stands before any section is still to be reported, once.
    orphans: bool,
    /// The entry that an indented line goes on with.
    open: Option<Open>,
}

struct Open {
    key: String,
    key_place: Place,
    op: Op,
    /// Written `:=`.
    is_json: bool,
    /// From the first to the last byte of the value.
    value: Range<usize>,
    keep: bool,
}

impl Reader<'_> {
    fn line(&mut self, span: Range<usize>) {
        let line = &self.source.text[span.clone()];
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            return;
        }
        let start = span.start + (line.len() - line.trim_start().len());
        let words = start..start + trimmed.len();
        if start > span.start {
            match &mut self.open {
                Some(open) => {
                    if open.value.is_empty() {
                        open.value.start = words.start;
                    }
                    open.value.end = words.end;
                }
                None => self.error(
                    "this line is indented but goes on with no key",
                    words,
                    "an indented line continues the value of the key above it",
                ),
            }
            return;
        }
        self.close();
        if trimmed.starts_with('[') {
            self.header(trimmed, words);
        } else {
            self.entry(trimmed, words);
        }
    }

    fn header(&mut self, line: &str, span: Range<usize>) {
        self.skipping = true;
        self.orphans = false;
        self.keys.clear();
        let Some(close) = line.find(']') else {
            self.error("this section header is not closed", span, "expected `]`");
            return;
        };
        let behind = line[close + 1..].trim_start();
        if !behind.is_empty() && !behind.starts_with(['#', ';']) {
            let start = span.end - behind.len();
            self.error(
                "text after a section header",
                start..span.end,
                "a key stands on a line of its own",
            );
        }
        let inside = &line[1..close];
        let name = inside.trim();
        if name.is_empty() {
            let what = "this section has no name";
            self.error(
                what,
                span.start..span.start + close + 1,
                "expected `[NAME]`",
            );
            return;
        }
        let start = span.start + 1 + (inside.len() - inside.trim_start().len());
        let place = self.place(start..start + name.len());
        if let Some(first) = self.section_names.get(name) {
            let problem =
                Problem::error(Code::Duplicate, format!("section `[{name}]` stands twice"))
                    .at(&place)
                    .label("the second one")
                    .also(first, "the first one");
            self.problems.note(problem);
            // Its keys are still read, so that their mistakes are told too.
            return;
        }
        self.section_names.insert(name.to_owned(), place.clone());
        self.skipping = false;
        self.sections.push(Section {
            name: name.to_owned(),
            own_name: name.to_owned(),
            place,
            entries: Vec::new(),
            inherited: Vec::new(),
            defaults: Arc::default(),
        });
    }

    fn entry(&mut self, line: &str, span: Range<usize>) {
        let Some(split) = line.find(['=', ':']) else {
            self.error(
                "this line is neither a section nor a key with a value",
                span,
                "expected `key = value`",
            );
            return;
        };
        let (key, op) = operator(line[..split].trim_end());
        // `KEY := JSON` says a number, a bool or a null where a text would be read.
        let is_json = line[split..].starts_with(":=");
        let split = split + usize::from(is_json);
        let key_span = span.start..span.start + key.len();
        if key.is_empty() {
            let sign = &line[split..=split];
            self.error(
                format!("there is no key before `{sign}`"),
                span.start..span.start + 1,
                "expected `key = value`",
            );
            return;
        }
        let value = line[split + 1..].trim();
        let value = if value.is_empty() {
            span.start + split + 1..span.start + split + 1
        } else {
            span.end - value.len()..span.end
        };
        let key_place = self.place(key_span);
        if std::mem::take(&mut self.orphans) {
            let problem = Problem::error(
                Code::BadLine,
                format!("key `{key}` stands before any section"),
            )
            .at(&key_place)
            .help("the file begins with a section such as `[:master:]`");
            self.problems.note(problem);
        }
        let mut keep = !self.skipping;
        // `+=` and `-=` may stand beside `=`, and more than once.
        if op == Op::Set {
            if let Some(first) = self.keys.get(&plain(key)) {
                let mut problem = Problem::error(
                    Code::Duplicate,
                    format!("key `{key}` stands twice in this section"),
                )
                .at(&key_place)
                .label("the second one")
                .also(first, "the first one");
                if first.text() != key {
                    problem = problem.help("key names are compared without case, `_` and `-`");
                }
                self.problems.note(problem);
                keep = false;
            } else {
                self.keys.insert(plain(key), key_place.clone());
            }
        }
        self.open = Some(Open {
            key: key.to_owned(),
            key_place,
            op,
            is_json,
            value,
            keep,
        });
    }

    /// Ends the entry that is open.
    fn close(&mut self) {
        let Some(open) = self.open.take().filter(|it| it.keep) else {
            return;
        };
        let place = self.place(open.value);
        let text = unfolded(place.text()).map_or_else(String::new, |it| it.text);
        let mut value = Node {
            place,
            content: Content::Text(text),
        };
        if open.is_json
            && let Content::Text(text) = &value.content
        {
            match words::json(&value, text) {
                Ok(read) => value = read,
                Err(misread) => {
                    let problem =
                        Problem::error(Code::BadValue, format!("bad value for `{}`", open.key));
                    let place = misread.place.as_ref().unwrap_or(&value.place);
                    let label = misread.what.unwrap_or_else(|| "expected JSON".to_owned());
                    self.problems.note(problem.at(place).label(label));
                    // The key is there all the same; who reads it says nothing more.
                    value.content = Content::Text(text.clone());
                }
            }
        }
        if let Some(section) = self.sections.last_mut() {
            section.entries.push(Entry {
                key: open.key,
                key_place: open.key_place,
                op: open.op,
                value,
            });
        }
    }

    fn place(&self, span: Range<usize>) -> Place {
        Place::new(self.source, span)
    }

    fn error(&mut self, what: impl Into<String>, span: Range<usize>, label: &str) {
        let problem = Problem::error(Code::BadLine, what)
            .at(&self.place(span))
            .label(label);
        self.problems.note(problem);
    }
}

/// `key +` before an `=` appends, `key -` removes.
fn operator(key: &str) -> (&str, Op) {
    match (key.strip_suffix('+'), key.strip_suffix('-')) {
        (Some(key), _) => (key.trim_end(), Op::Append),
        (_, Some(key)) => (key.trim_end(), Op::Remove),
        (None, None) => (key, Op::Set),
    }
}

/// The text of a value that may go on over several lines: each is trimmed,
/// comment lines are left out, the rest is joined with line feeds.
pub(super) fn unfolded(raw: &str) -> Option<Origin> {
    let mut origin = Origin::default();
    let mut at: usize = 0;
    let mut first = true;
    for line in raw.split_inclusive('\n') {
        let trimmed = line.trim();
        let is_comment = !first && trimmed.starts_with(['#', ';']);
        if !is_comment {
            if !first {
                origin.push("\n", at.saturating_sub(1));
            }
            origin.push(trimmed, at + (line.len() - line.trim_start().len()));
        }
        first = false;
        at += line.len();
    }
    Some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        let source = Source::new("master.ini", "/base", text);
        let mut problems = Problems::default();
        let tree = read(&source, &mut problems);
        let mut out = String::new();
        for section in &tree.sections {
            assert_eq!(section.place.text(), section.name);
            out.push_str(&format!("[{}]\n", section.name));
            for entry in section.entries.iter().chain(section.defaults.iter()) {
                assert_eq!(entry.key_place.text(), entry.key);
                let Content::Text(text) = &entry.value.content else {
                    panic!("INI has only text");
                };
                out.push_str(&format!("{} -> {text:?}\n", entry.key));
            }
        }
        out + &problems.render(false)
    }

    #[test]
    fn what_the_original_reads_is_read() {
        let text = "\u{feff}# comment\n; another\n\n[:master:]\nslaveport = 9010\r\nhtmlport: 8010\r\nurl=http://h:1/?a=b%20c\nempty =\n\n[slave:A b]\nenv.PATH = a : b\nfactories = one\n  two ; three\n\n  # not this\n\tfour\nlast = x";
        insta::assert_snapshot!(check(text), @r#"
        [:master:]
        slaveport -> "9010"
        htmlport -> "8010"
        url -> "http://h:1/?a=b%20c"
        empty -> ""
        [slave:A b]
        env.PATH -> "a : b"
        factories -> "one\ntwo ; three\n\nfour"
        last -> "x"
        "#);
    }

    #[test]
    fn default_supplies_every_section() {
        let text = "[a]\nx = 1\n[DEFAULT]\npassword = p\n[b]\n";
        insta::assert_snapshot!(check(text), @r#"
        [a]
        x -> "1"
        password -> "p"
        [b]
        password -> "p"
        "#);
    }

    #[test]
    fn every_malformed_line_is_told_in_one_run() {
        let text = "early = 1\nearlier = 2\n  more\n[open\nk = v\n[a] x = 1\n  indented = 1\nno sign\n= value\n: value\nlist += x\nkey = 1\nkey = 2\nK_EY = 3\n[]\n[a]\nk = 1\nk = 2\n";
        insta::assert_snapshot!(check(text), @r#"
        [a]
        list -> "x"
        key -> "1"
        error[bad-line]: key `early` stands before any section
         --> master.ini:1:1
          |
        1 | early = 1
          | ^^^^^
          |
          = help: the file begins with a section such as `[:master:]`

        error[bad-line]: this section header is not closed
         --> master.ini:4:1
          |
        4 | [open
          | ^^^^^ expected `]`

        error[bad-line]: text after a section header
         --> master.ini:6:5
          |
        6 | [a] x = 1
          |     ^^^^^ a key stands on a line of its own

        error[bad-line]: this line is indented but goes on with no key
         --> master.ini:7:3
          |
        7 |   indented = 1
          |   ^^^^^^^^^^^^ an indented line continues the value of the key above it

        error[bad-line]: this line is neither a section nor a key with a value
         --> master.ini:8:1
          |
        8 | no sign
          | ^^^^^^^ expected `key = value`

        error[bad-line]: there is no key before `=`
         --> master.ini:9:1
          |
        9 | = value
          | ^ expected `key = value`

        error[bad-line]: there is no key before `:`
          --> master.ini:10:1
           |
        10 | : value
           | ^ expected `key = value`

        error[duplicate]: key `key` stands twice in this section
          --> master.ini:13:1
           |
        12 | key = 1
           | --- the first one
        13 | key = 2
           | ^^^ the second one

        error[duplicate]: key `K_EY` stands twice in this section
          --> master.ini:14:1
           |
        12 | key = 1
           | --- the first one
        13 | key = 2
        14 | K_EY = 3
           | ^^^^ the second one
           |
           = help: key names are compared without case, `_` and `-`

        error[bad-line]: this section has no name
          --> master.ini:15:1
           |
        15 | []
           | ^^ expected `[NAME]`

        error[duplicate]: section `[a]` stands twice
          --> master.ini:16:2
           |
         6 | [a] x = 1
           |  - the first one
        ...
        16 | [a]
           |  ^ the second one

        error[duplicate]: key `k` stands twice in this section
          --> master.ini:18:1
           |
        17 | k = 1
           | - the first one
        18 | k = 2
           | ^ the second one
        "#);
    }

    #[test]
    fn an_offset_in_a_value_points_at_its_line() {
        let text = "[a]\nx = one\n    two\n  # comment\n    three\ny =\n   four\n";
        let source = Source::new("master.ini", "/base", text);
        let tree = read(&source, &mut Problems::default());
        let part = |entry: usize, word: &str| {
            let node = &tree.sections[0].entries[entry].value;
            let Content::Text(text) = &node.content else {
                panic!("INI has only text");
            };
            let at = text.find(word).expect("a word of the value");
            let place = node.part(text, at..at + word.len());
            assert_eq!(place.text(), word);
            place.line_and_column()
        };
        assert_eq!(part(0, "one"), (2, 5));
        assert_eq!(part(0, "two"), (3, 5));
        assert_eq!(part(0, "three"), (5, 5));
        assert_eq!(part(1, "four"), (7, 4));
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        let pieces = [
            "[", "]", "=", ":", " ", "\n", "\r", "é", "k", "#", "[é", "\u{feff}", "+",
        ];
        let mut seed = 1_u32;
        for _ in 0..3000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(pieces[(seed >> 16) as usize % pieces.len()]);
            }
            check(&text);
        }
    }
}
