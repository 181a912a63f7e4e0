//! Lists inside a text: shell words and JSON.

use std::ops::Range;

use super::Content;
use super::Entry;
use super::Misread;
use super::Node;
use super::Place;

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

/// Reads `text`, which is the node's, as JSON; every part stands where the node stands.
pub(super) fn json(node: &Node, text: &str) -> Result<Node, Misread> {
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        let line_start: usize = text
            .split_inclusive('\n')
            .take(error.line().saturating_sub(1))
            .map(str::len)
            .sum();
        let at = (line_start + error.column().saturating_sub(1)).min(text.len());
        let end = text[at..]
            .chars()
            .next()
            .map_or(at, |it| at + it.len_utf8());
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        node.misread(text, at..end, format!("not JSON: {what}"))
    })?;
    Ok(from_json(&node.place, value))
}

fn from_json(place: &Place, value: serde_json::Value) -> Node {
    use serde_json::Value;
    let content = match value {
        Value::Null => Content::Null,
        Value::Bool(it) => Content::Bool(it),
        Value::Number(it) => match it.as_i64() {
            Some(int) => Content::Int(int),
            None => Content::Float(it.as_f64().unwrap_or(f64::INFINITY)),
        },
        Value::String(it) => Content::Text(it),
        Value::Array(all) => {
            Content::List(all.into_iter().map(|it| from_json(place, it)).collect())
        }
        Value::Object(all) => {
            let entries = all.into_iter().map(|(key, it)| Entry {
                key,
                key_place: place.clone(),
                value: from_json(place, it),
            });
            Content::Table(entries.collect())
        }
    };
    Node {
        place: place.clone(),
        content,
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
