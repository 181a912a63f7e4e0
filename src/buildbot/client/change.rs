//! A change as `buildbot sendchange` and hook scripts send it: a dictionary with any of its keys.

use serde_json::Value as Json;
use serde_json::json;

use crate::wire::pb::jelly::Value;

/// Names and texts of what was said; lists and maps are JSON, as in a form.
pub(crate) type Fields = Vec<(String, String)>;

/// Reads the argument of `addChange`. What says nothing is left out, and so is what the master
/// has no word for.
///
/// # Errors
/// A value is of a type that its key does not have.
pub(super) fn read(change: Option<&Value>) -> Result<Fields, String> {
    let Some(Value::Dict(pairs)) = change else {
        return Err("a change is a dictionary".to_owned());
    };
    let mut fields = Fields::new();
    for (key, value) in pairs {
        let Some(key) = key.as_text() else {
            return Err("a key of the change is no text".to_owned());
        };
        let text = match (key.as_str(), value) {
            (_, Value::None) => continue,
            ("files", value) => Some(files(value).ok_or("`files` is no list of names")?),
            ("properties", value) => {
                let all = dictionary(value).ok_or("`properties` is no dictionary")?;
                Some(Json::Object(all.into_iter().collect()).to_string())
            }
            (
                "who" | "author" | "comments" | "branch" | "revision" | "category" | "revlink"
                | "repository" | "project" | "src" | "when" | "when_timestamp",
                value,
            ) => Some(text(value).ok_or_else(|| format!("`{key}` is {value}"))?),
            _ => None,
        };
        fields.extend(text.map(|it| (key, it)));
    }
    Ok(fields)
}

fn files(value: &Value) -> Option<String> {
    let names: Option<Vec<String>> = value.items()?.iter().map(Value::as_text).collect();
    Some(json!(names?).to_string())
}

/// A text, or a number where a script gives one.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Int(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        value => value.as_text(),
    }
}

/// Names and values, in their order, such as properties are.
pub(super) fn dictionary(value: &Value) -> Option<Vec<(String, Json)>> {
    let Value::Dict(pairs) = value else {
        return None;
    };
    let pair = |(name, value): &(Value, Value)| Some((name.as_text()?, json_of(value)?));
    pairs.iter().map(pair).collect()
}

fn json_of(value: &Value) -> Option<Json> {
    Some(match value {
        Value::None => Json::Null,
        Value::Bool(truth) => json!(truth),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Bytes(_) | Value::Text(_) => json!(value.as_text()?),
        Value::List(items) | Value::Tuple(items) => {
            Json::Array(items.iter().map(json_of).collect::<Option<_>>()?)
        }
        Value::Dict(_) => Json::Object(dictionary(value)?.into_iter().collect()),
        Value::Ours(_) | Value::Theirs(_) | Value::Failure(_) | Value::Opaque(_) => return None,
    })
}
