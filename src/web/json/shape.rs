//! The forms of a JSON reply: filtered, selected, written out. No document is known here.

use std::fmt::Write as _;

use serde_json::Map;
use serde_json::Value;

/// The parameters that every resource takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) as_text: bool,
    pub(super) compact: bool,
    pub(super) filter: bool,
    /// What is asked for beneath the resource, deepest first.
    pub(super) select: Vec<String>,
    /// A JavaScript function that is called with the document.
    pub(super) callback: Option<String>,
}

impl Shape {
    pub(super) fn new(query: &[(String, String)]) -> Self {
        let first = |name: &str| query.iter().find(|(it, _)| it == name).map(|it| &*it.1);
        let truth = |name: &str| match first(name)?.to_ascii_lowercase().as_str() {
            "1" | "true" => Some(true),
            "0" | "false" => Some(false),
            _ => None,
        };
        let as_text = truth("as_text").unwrap_or(false);
        let mut select: Vec<String> = query
            .iter()
            .filter(|(name, _)| name == "select")
            .map(|(_, path)| path.trim_matches('/').to_owned())
            .collect();
        // Stable: equally deep ones keep their order.
        select.sort_by_key(|it| std::cmp::Reverse(it.matches('/').count()));
        Self {
            as_text,
            compact: truth("compact").unwrap_or(!as_text),
            filter: truth("filter").unwrap_or(as_text),
            select,
            callback: first("callback")
                .filter(|it| is_function(it))
                .map(str::to_owned),
        }
    }

    /// The reply's body.
    pub(super) fn write(&self, document: Value) -> String {
        let document = if self.filter {
            filtered(document)
        } else {
            document
        };
        let mut text = String::new();
        write(&document, self.compact, 0, &mut text);
        match &self.callback {
            Some(function) => format!("{function}({text});"),
            None => text,
        }
    }
}

fn is_function(name: &str) -> bool {
    let letter = |it: char| it.is_ascii_alphabetic() || it == '$';
    name.starts_with(letter)
        && name
            .chars()
            .all(|it| letter(it) || it.is_ascii_digit() || it == '.')
}

/// Lays a selected document into the reply, under the parts of its path.
pub(super) fn place(reply: &mut Map<String, Value>, path: &[&str], document: Value) {
    match path {
        [] => match document {
            Value::Object(all) => merge(reply, all),
            // What is no map has no keys to lie under.
            other => {
                reply.insert(String::new(), other);
            }
        },
        [last] => match (reply.get_mut(*last), document) {
            // A deeper selection came first: it stays where the shallower has nothing.
            (Some(Value::Object(there)), Value::Object(all)) => merge(there, all),
            (_, document) => {
                reply.insert((*last).to_owned(), document);
            }
        },
        [first, rest @ ..] => {
            let under = reply
                .entry((*first).to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if !under.is_object() {
                *under = Value::Object(Map::new());
            }
            if let Value::Object(under) = under {
                place(under, rest, document);
            }
        }
    }
}

/// Lays one map over another: what both have is as the upper has it, but for maps, of which both stay.
fn merge(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => merge(under, over),
            (_, value) => {
                under.insert(key, value);
            }
        }
    }
}

/// Without what is empty. Zero counts as empty too: readers of the filtered
/// form take what is absent for zero.
pub(super) fn filtered(value: Value) -> Value {
    match value {
        Value::Object(all) => all
            .into_iter()
            .map(|(key, value)| (key, filtered(value)))
            .filter(|(_, value)| !is_empty(value))
            .collect(),
        Value::Array(all) => {
            let all: Vec<_> = all.into_iter().map(filtered).collect();
            if all.iter().all(is_empty) {
                Value::Null
            } else {
                Value::Array(all)
            }
        }
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(it) => !it,
        Value::Number(it) => it.as_f64() == Some(0.0),
        Value::String(it) => it.is_empty(),
        Value::Array(it) => it.is_empty(),
        Value::Object(it) => it.is_empty(),
    }
}

/// Writes ASCII with sorted keys; two blanks per level unless compact.
fn write(value: &Value, compact: bool, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        if !compact {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        }
    };
    match value {
        Value::Array(all) if !all.is_empty() => {
            out.push('[');
            for (at, value) in all.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                write(value, compact, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(all) if !all.is_empty() => {
            let mut sorted: Vec<_> = all.iter().collect();
            sorted.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (at, (key, value)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                line(depth + 1, out);
                write_text(key, out);
                out.push_str(if compact { ":" } else { ": " });
                write(value, compact, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        Value::String(text) => write_text(text, out),
        other => {
            let _ = write!(out, "{other}");
        }
    }
}

/// Whether a byte of a text stands for itself.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\'
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        // What needs no sign before it goes in one piece.
        let plain = rest.bytes().take_while(|it| is_plain(*it)).count();
        let (before, behind) = rest.split_at(plain);
        out.push_str(before);
        let mut characters = behind.chars();
        let Some(character) = characters.next() else {
            break;
        };
        rest = characters.as_str();
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shape(query: &[(&str, &str)]) -> Shape {
        let query: Vec<_> = query
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Shape::new(&query)
    }

    #[test]
    fn the_filter_drops_what_is_empty() {
        let document = json!({
            "a": 0, "b": [0, []], "c": [1, null], "d": {"e": null},
            "i": [{"x": null}], "j": [{"x": 1, "y": null}]
        });
        assert_eq!(filtered(document), json!({"c": [1, null], "j": [{"x": 1}]}));
    }

    #[test]
    fn text_turns_the_other_defaults_round() {
        let plain = shape(&[]);
        assert!(plain.compact && !plain.filter && !plain.as_text);
        let text = shape(&[("as_text", "True")]);
        assert!(!text.compact && text.filter && text.as_text);
        let mixed = shape(&[
            ("as_text", "1"),
            ("filter", "0"),
            ("compact", "x"),
            ("filter", "1"),
        ]);
        assert!(!mixed.compact && !mixed.filter);
    }

    #[test]
    fn replies_are_sorted_ascii() {
        let document = json!({"b": [1, {}], "a": "ü\"😀\n", "c": 1325499400.0});
        assert_eq!(
            shape(&[]).write(document.clone()),
            r#"{"a":"\u00fc\"\ud83d\ude00\n","b":[1,{}],"c":1325499400.0}"#
        );
        assert_eq!(
            shape(&[("compact", "0")]).write(document),
            "{\n  \"a\": \"\\u00fc\\\"\\ud83d\\ude00\\n\",\n  \"b\": [\n    1,\n    {}\n  ],\n  \"c\": 1325499400.0\n}"
        );
    }

    #[test]
    fn only_a_function_is_called_back() {
        let with = |name| shape(&[("callback", name)]).write(json!(1));
        assert_eq!(with("show"), "show(1);");
        assert_eq!(with("$.a9"), "$.a9(1);");
        for bad in ["", "9a", "a(b", "a;b", "a b", "a_b"] {
            assert_eq!(with(bad), "1", "{bad}");
        }
    }

    #[test]
    fn deeper_selections_come_first() {
        let shape = shape(&[
            ("select", "project"),
            ("select", "/slaves/a/"),
            ("select", ""),
            ("select", "slaves/b"),
        ]);
        assert_eq!(shape.select, ["slaves/a", "slaves/b", "project", ""]);
    }

    #[test]
    fn selections_of_one_root_are_merged() {
        let mut reply = Map::new();
        place(&mut reply, &["slaves", "a"], json!({"name": "a"}));
        place(&mut reply, &["slaves", "b"], json!({"name": "b"}));
        place(&mut reply, &["project"], json!({"title": "t"}));
        assert_eq!(
            Value::Object(reply),
            json!({"slaves": {"a": {"name": "a"}, "b": {"name": "b"}}, "project": {"title": "t"}})
        );
    }

    #[test]
    fn a_deeper_selection_stays_below_a_shallower_one_whatever_lies_between() {
        let mut reply = Map::new();
        let build = || json!({"number": 3});
        place(&mut reply, &["builders", "a", "builds", "-1"], build());
        let all = json!({"a": {"state": "idle"}, "b": {"state": "idle"}});
        place(&mut reply, &["builders"], all);
        place(
            &mut reply,
            &[],
            json!({"project": {}, "builders": {"a": {"state": "building"}}}),
        );
        assert_eq!(
            Value::Object(reply),
            json!({
                "builders": {"a": {"state": "building", "builds": {"-1": build()}}, "b": {"state": "idle"}},
                "project": {}
            })
        );
    }

    #[test]
    fn a_later_selection_overwrites_equal_keys() {
        let builder = || json!({"slaves": ["a"], "state": "idle"});
        let slaves = || json!({"a": {"name": "a"}});
        let mut reply = Map::new();
        place(&mut reply, &[], builder());
        place(&mut reply, &["slaves"], slaves());
        assert_eq!(
            Value::Object(reply),
            json!({"slaves": {"a": {"name": "a"}}, "state": "idle"})
        );
        let mut reply = Map::new();
        place(&mut reply, &["slaves"], slaves());
        place(&mut reply, &[], builder());
        assert_eq!(Value::Object(reply), builder());
    }
}
