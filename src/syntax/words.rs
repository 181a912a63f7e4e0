//! Lists inside a text: shell words and JSON.

use std::ops::Range;
use std::sync::Arc;

use super::Content;
use super::Entry;
use super::Misread;
use super::Node;
use super::Place;
use super::toml::operator;

/// A text that is no list of shell words.
#[derive(Debug)]
pub(super) struct Unsplit {
    /// The bytes that are wrong.
    pub(super) at: Range<usize>,
    pub(super) what: String,
}

/// Splits at white space into words with their bytes; quotes and backslashes are the shell's.
pub(super) fn split(text: &str) -> Result<Vec<(String, Range<usize>)>, Unsplit> {
    let open = |at: usize, quote: char| Unsplit {
        at: at..text.len(),
        what: format!("this `{quote}` is not closed"),
    };
    let mut words = Vec::new();
    let mut word = String::new();
    let mut start: Option<usize> = None;
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        if char.is_whitespace() {
            if let Some(begin) = start.take() {
                words.push((std::mem::take(&mut word), begin..at));
            }
            continue;
        }
        start.get_or_insert(at);
        match char {
            '\\' => match chars.next() {
                Some((_, next)) => word.push(next),
                None => {
                    return Err(Unsplit {
                        at: at..at + 1,
                        what: "this `\\` has nothing behind it".into(),
                    });
                }
            },
            '\'' | '"' => loop {
                match chars.next() {
                    None => return Err(open(at, char)),
                    Some((_, next)) if next == char => break,
                    Some((_, '\\')) if char == '"' => match chars.next() {
                        Some((_, next @ ('"' | '\\' | '$' | '`'))) => word.push(next),
                        Some((_, next)) => word.extend(['\\', next]),
                        None => return Err(open(at, char)),
                    },
                    Some((_, next)) => word.push(next),
                }
            },
            _ => word.push(char),
        }
    }
    if let Some(begin) = start {
        words.push((word, begin..text.len()));
    }
    Ok(words)
}

/// Reads `text`, which is the node's, as JSON; every part knows where it stands.
pub(crate) fn json(node: &Node, text: &str) -> Result<Node, Misread> {
    let checked: Result<serde_json::Value, _> = serde_json::from_str(text);
    if let Err(error) = checked {
        let line_start: usize = text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let mut at = (line_start + error.column().saturating_sub(1)).min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        let end = text[at..]
            .chars()
            .next()
            .map_or(at, |it| at + it.len_utf8());
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        return Err(node.misread(text, at..end, format!("not JSON: {what}")));
    }
    let places = node.parts(text);
    let mut reader = Json {
        text,
        at: 0,
        place: &places,
    };
    Ok(reader.value())
}

/// Walks through a text that is known to be JSON.
struct Json<'a> {
    text: &'a str,
    at: usize,
    place: &'a dyn Fn(Range<usize>) -> Place,
}

impl Json<'_> {
    fn value(&mut self) -> Node {
        let first = self.next();
        let start = self.at;
        let content = match first {
            Some(b'{') => self.table(),
            Some(b'[') => self.list(),
            Some(b'"') => Content::Text(self.string()),
            _ => self.scalar(),
        };
        Node {
            place: (self.place)(start..self.at),
            content,
        }
    }

    fn table(&mut self) -> Content {
        let mut entries: Vec<Entry> = Vec::new();
        self.at += 1;
        while let Some(byte) = self.next() {
            match byte {
                b'"' => {}
                b'}' => break,
                _ => {
                    self.at += 1;
                    continue;
                }
            }
            let start = self.at;
            let key = self.string();
            let key_place = (self.place)(start..self.at);
            let (name, op) = operator(&key);
            // The colon.
            self.next();
            self.at += 1;
            let value = self.value();
            // Of two equal keys the last one counts.
            entries.retain(|it| it.key != name || it.op != op);
            entries.push(Entry {
                key: name.to_owned(),
                key_place,
                op,
                value,
            });
        }
        self.at += 1;
        Content::Table(entries)
    }

    fn list(&mut self) -> Content {
        let mut items = Vec::new();
        self.at += 1;
        while let Some(byte) = self.next() {
            match byte {
                b']' => break,
                b',' => self.at += 1,
                _ => items.push(self.value()),
            }
        }
        self.at += 1;
        Content::List(Arc::new(items))
    }

    fn string(&mut self) -> String {
        let start = self.at;
        let mut is_escaped = false;
        let inside = self.text.as_bytes().iter().skip(start + 1);
        let length = inside
            .take_while(|it| {
                let goes_on = is_escaped || **it != b'"';
                is_escaped = !is_escaped && **it == b'\\';
                goes_on
            })
            .count();
        self.at = (start + length + 2).min(self.text.len());
        serde_json::from_str(&self.text[start..self.at]).unwrap_or_default()
    }

    fn scalar(&mut self) -> Content {
        let rest = &self.text[self.at..];
        let is_part = |it: char| it.is_ascii_alphanumeric() || "+-.".contains(it);
        let length = rest.find(|it| !is_part(it)).unwrap_or(rest.len());
        let word = &rest[..length];
        // Always on, whatever stands there.
        self.at += length.max(1);
        match word {
            "null" => Content::Null,
            "true" => Content::Bool(true),
            "false" => Content::Bool(false),
            _ => match word.parse() {
                Ok(int) => Content::Int(int),
                Err(_) => Content::Float(word.parse().unwrap_or(f64::INFINITY)),
            },
        }
    }

    /// Goes on to what is no white space.
    fn next(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_the_shell_does() {
        let check = |text: &str, expected: &[&str]| {
            let words = split(text).expect(text);
            let words: Vec<_> = words.iter().map(|(word, _)| word.as_str()).collect();
            assert_eq!(words, expected, "{text}");
        };
        check("", &[]);
        check(" a  b\n\tc ", &["a", "b", "c"]);
        check(
            r#"'a b' "c d" e\ f "" g'h'"i""#,
            &["a b", "c d", "e f", "", "ghi"],
        );
        check(r#""a\"b\n" 'c\d'"#, &["a\"b\\n", "c\\d"]);
    }

    #[test]
    fn an_open_quote_is_refused_with_its_place() {
        assert_eq!(split("a 'b c").expect_err("open").at, 2..6);
        assert_eq!(split("a \"b\\").expect_err("open").at, 2..5);
        assert_eq!(split("a \\").expect_err("open").at, 2..3);
    }
}
