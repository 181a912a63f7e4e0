//! A file of many secrets: TOML or JSON, in which a name leads through tables
//! and `*` stands for what a table does not name.

use serde_json::Map;
use serde_json::Value;

/// What a name leads to.
#[derive(Debug, PartialEq)]
pub(super) enum Found<'a> {
    Nothing,
    Value(String),
    /// Something that is no value, in a word.
    Other(&'a str),
}

/// Reads the text of a file; `Err` is a complaint that tells nothing of what is in it.
pub(super) fn parse(text: &str, is_toml: bool) -> Result<Map<String, Value>, String> {
    if is_toml {
        return toml::from_str(text).map_err(|error: toml::de::Error| {
            let at = error.span().map_or(0, |it| it.start).min(text.len());
            let line = text.as_bytes()[..at].split(|it| *it == b'\n').count();
            format!("line {line} is no TOML")
        });
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("it holds no JSON object".into()),
        Err(error) => Err(format!("line {} is no JSON", error.line())),
    }
}

/// Looks a name up.
pub(super) fn look_up<'a>(map: &'a Map<String, Value>, name: &str) -> Found<'a> {
    match find(map, name, true) {
        None => Found::Nothing,
        Some(Value::String(text)) => Found::Value(text.clone()),
        Some(Value::Number(number)) => Found::Value(number.to_string()),
        Some(Value::Bool(_)) => Found::Other("a bool"),
        Some(Value::Null) => Found::Other("null"),
        Some(Value::Array(_)) => Found::Other("a list"),
        Some(Value::Object(_)) => Found::Other("a table"),
    }
}

fn find<'a>(map: &'a Map<String, Value>, name: &str, is_top: bool) -> Option<&'a Value> {
    if let Some(value) = map.get(name).filter(|_| name != "*") {
        return Some(value);
    }
    // The longest key first: a key may have a dot in it.
    for (dot, _) in name.rmatch_indices('.') {
        if let Some(Value::Object(inner)) = map.get(&name[..dot])
            && let Some(value) = find(inner, &name[dot + 1..], false)
        {
            return Some(value);
        }
    }
    // At the top it would answer for every name that is misspelt.
    match map.get("*").filter(|_| !is_top)? {
        Value::Object(inner) => {
            let (_, rest) = name.split_once('.')?;
            find(inner, rest, false)
        }
        value => Some(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, name: &str, expected: &str) {
        let map = parse(text, !text.starts_with('{')).expect(text);
        let found = match look_up(&map, name) {
            Found::Value(value) => value,
            other => format!("{other:?}"),
        };
        assert_eq!(found, expected, "{name} in {text}");
    }

    #[test]
    fn a_name_leads_through_tables_and_a_star_stands_for_the_rest() {
        let text = r#"{"slaves": {"passwords": {"bs1": "one", "*": "all", "a.b": "dotted"}},
                       "pin": 7, "*": "never", "hosts": {"*": {"key": "k"}}, "list": [1]}"#;
        check(text, "slaves.passwords.bs1", "one");
        check(text, "slaves.passwords.bs2", "all");
        check(text, "slaves.passwords.a.b", "dotted");
        check(text, "slaves.passwords.c.d", "all");
        check(text, "hosts.x.key", "k");
        check(text, "hosts.x", "Nothing");
        check(text, "pin", "7");
        check(text, "pins", "Nothing");
        check(text, "slaves.passwords", "Other(\"a table\")");
        check(text, "list", "Other(\"a list\")");
        check("[a]\nb = 'c'\n", "a.b", "c");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_quoted() {
        let error = |text, is_toml| parse(text, is_toml).expect_err(text);
        assert_eq!(
            error("a = 'b'\nhunter2 hunter3\n", true),
            "line 2 is no TOML"
        );
        assert_eq!(
            error("{\"a\": \"b\",\n hunter2}", false),
            "line 2 is no JSON"
        );
        assert_eq!(error("[\"hunter2\"]", false), "it holds no JSON object");
    }
}
