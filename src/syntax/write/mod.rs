//! Writing what was read: sections as INI and as TOML, so that either reads as
//! the same. A value is written by the shape that its key's reader asks for;
//! without one it stays what it is, a text in quotes or JSON.

mod as_ini;
mod as_toml;

use std::sync::Arc;

use super::Code;
use super::Content;
use super::Entry;
use super::Node;
use super::Op;
use super::Place;
use super::Problem;
use super::Shape;
use super::words;

pub(crate) use as_ini::ini;
pub(crate) use as_toml::settled;
pub(crate) use as_toml::toml;

/// Beyond this many characters a list stands on lines of its own.
const WIDTH: usize = 80;

/// A section to be written.
pub(crate) struct Written {
    /// Between the brackets of INI.
    pub(crate) ini: String,
    /// The keys of TOML's header.
    pub(crate) toml: Vec<String>,
    pub(crate) place: Place,
    pub(crate) items: Vec<Item>,
}

/// A key with its value, or a name of a map with its own.
#[derive(Clone)]
pub(crate) struct Item {
    pub(crate) head: String,
    /// What stands behind the dot, if the head is a map.
    pub(crate) name: Option<String>,
    pub(crate) op: Op,
    pub(crate) value: Node,
    /// What its reader asks for; `None` if nobody does.
    pub(crate) shape: Option<Shape>,
    pub(crate) place: Place,
}

impl Item {
    /// As INI spells it, and messages.
    pub(crate) fn key(&self) -> String {
        match &self.name {
            Some(name) => format!("{}.{name}", self.head),
            None => self.head.clone(),
        }
    }

    /// Whether it may stand behind all others of its section, if it is a list of tables.
    fn goes_behind(&self, others: &[Self]) -> bool {
        // What is done to a list is done in the order in which it stands.
        let is_edit_too = |it: &Self| it.op != self.op && it.key() == self.key();
        self.name.is_none() && !others.iter().any(is_edit_too)
    }

    fn cannot(&self, spelling: &str, why: &str) -> Problem {
        let what = format!("{spelling} cannot say `{}` as it stands here", self.key());
        let problem = Problem::error(Code::CannotConvert, what);
        problem.at(&self.place).label(why.to_owned())
    }
}

/// The value as its reader takes it: a text becomes the number, list or map
/// that it would be read as, if it surely is that.
pub(crate) fn typed(content: &Content, shape: Option<Shape>) -> Content {
    let Content::Text(text) = content else {
        return content.clone();
    };
    let found = shape.and_then(|shape| of_text(text, shape));
    found.unwrap_or_else(|| content.clone())
}

fn of_text(text: &str, shape: Shape) -> Option<Content> {
    // What is filled in may change what the text is read as.
    if text.contains("{{") {
        return None;
    }
    match shape {
        Shape::Bool => match text.to_ascii_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Some(Content::Bool(true)),
            "no" | "false" | "off" | "0" => Some(Content::Bool(false)),
            _ => None,
        },
        Shape::Int | Shape::Duration | Shape::Size | Shape::Port => int(text),
        Shape::Number => int(text).or_else(|| float(text)),
        Shape::List(_) => words_of(text).map(texts),
        Shape::Lines(item) => lines_of(text, *item).map(texts),
        Shape::Items(_) if text.starts_with('[') => list_of_texts(text).map(texts),
        Shape::Items(_) => Some(texts(items_of(text))),
        Shape::Command if text.starts_with('[') && text.ends_with(']') => {
            list_of_texts(text).filter(|it| !it.is_empty()).map(texts)
        }
        Shape::OrNone(_) if text.eq_ignore_ascii_case("none") => None,
        Shape::OrNone(inner) => of_text(text, *inner),
        Shape::OrExpression(Shape::List(_)) => words_of(text)
            .filter(|all| !all.is_empty() && all.iter().all(|it| is_name(it)))
            .map(texts),
        Shape::Json if text.starts_with(['[', '{']) => json_of(text).filter(is_whole),
        _ => None,
    }
}

fn int(text: &str) -> Option<Content> {
    let int: i64 = text.parse().ok()?;
    (int.to_string() == text).then_some(Content::Int(int))
}

fn float(text: &str) -> Option<Content> {
    let float: f64 = text.parse().ok()?;
    let is_same = float.is_finite() && format!("{float:?}") == text;
    is_same.then_some(Content::Float(float))
}

fn texts(all: Vec<String>) -> Content {
    let node = |it| Node {
        place: nowhere(),
        content: Content::Text(it),
    };
    Content::List(Arc::new(all.into_iter().map(node).collect()))
}

/// Values that are made here are compared and written, never pointed at.
fn nowhere() -> Place {
    Place::new(&super::Source::new("", "", ""), 0..0)
}

fn json_of(text: &str) -> Option<Content> {
    let node = Node {
        place: nowhere(),
        content: Content::Null,
    };
    words::json(&node, text).ok().map(|it| it.content)
}

/// Whether every part can be said in TOML.
fn is_whole(content: &Content) -> bool {
    match content {
        Content::Null | Content::Edited(_) => false,
        Content::Float(it) => it.is_finite(),
        Content::List(all) => all.iter().all(|it| is_whole(&it.content)),
        Content::Table(all) => all.iter().all(|it| is_whole(&it.value.content)),
        Content::Text(_) | Content::Int(_) | Content::Bool(_) => true,
    }
}

/// A JSON list of texts.
fn list_of_texts(text: &str) -> Option<Vec<String>> {
    match json_of(text)? {
        Content::List(all) => all_texts(&all),
        _ => None,
    }
}

fn all_texts(all: &[Node]) -> Option<Vec<String>> {
    let all = all.iter().map(|it| it.as_text().ok().map(str::to_owned));
    all.collect()
}

/// The words of a text, as a list's reader finds them.
fn words_of(text: &str) -> Option<Vec<String>> {
    if text.starts_with('[') {
        return list_of_texts(text);
    }
    let words = words::split(text).ok()?;
    Some(words.into_iter().map(|(word, _)| word).collect())
}

/// The lines of a text that are not blank. A command in brackets would be
/// something else in a list than on a line.
fn lines_of(text: &str, item: Shape) -> Option<Vec<String>> {
    let lines = text.lines().map(str::trim).filter(|it| !it.is_empty());
    let lines: Vec<String> = lines.map(str::to_owned).collect();
    let is_good = |line: &String| item != Shape::Command || !line.starts_with('[');
    lines.iter().all(is_good).then_some(lines)
}

/// What stands between commas and line ends.
fn items_of(text: &str) -> Vec<String> {
    let items = text.split([',', '\n']).map(str::trim);
    let items = items.filter(|it| !it.is_empty());
    items.map(str::to_owned).collect()
}

/// Whether a word stands for itself and cannot be part of an expression.
fn is_name(word: &str) -> bool {
    let is_part = |it: char| it.is_alphanumeric() || "_*?-".contains(it);
    let reserved = ["slave", "and", "or", "not", "in", "is", "if", "else"];
    !word.is_empty() && word.chars().all(is_part) && !reserved.contains(&word)
}

/// What the value is to its reader, as a text to compare: two values of one
/// meaning are read as the same.
pub(crate) fn meaning(content: &Content, shape: Option<Shape>) -> String {
    let typed = typed(content, shape);
    let mut inner = shape;
    while let Some(Shape::OrNone(it)) = inner {
        if matches!(typed, Content::Null) || is_none(&typed, *it) {
            return "none".to_owned();
        }
        inner = Some(*it);
    }
    let number = match &typed {
        Content::Int(it) => Some(*it as f64),
        Content::Float(it) => Some(*it),
        Content::Text(text) => text.parse().ok(),
        _ => None,
    };
    match (inner, number) {
        (Some(Shape::Bool), Some(number)) if number == 0.0 || number == 1.0 => {
            format!("{:?}", Content::Bool(number == 1.0))
        }
        (Some(Shape::Int | Shape::Port | Shape::Size), Some(number)) => format!("{number}"),
        (Some(Shape::Number | Shape::Duration), Some(number)) => format!("{number}"),
        _ => format!("{typed:?}"),
    }
}

fn is_none(content: &Content, shape: Shape) -> bool {
    match content {
        Content::Bool(false) => shape == Shape::Template,
        Content::Text(text) => shape != Shape::Template && text.eq_ignore_ascii_case("none"),
        _ => false,
    }
}

/// The items as TOML keeps them: the names of a map together, lists of tables
/// behind all others.
fn ordered(items: &[Item]) -> Vec<&Item> {
    let mut grouped: Vec<&Item> = Vec::new();
    for item in items {
        let is_same = |it: &&Item| it.name.is_some() && it.head == item.head;
        match grouped.iter().rposition(is_same) {
            Some(last) if item.name.is_some() => grouped.insert(last + 1, item),
            _ => grouped.push(item),
        }
    }
    let is_last = |it: &&Item| match typed(&it.value.content, it.shape) {
        Content::List(all) => it.goes_behind(items) && tables(&all).is_some(),
        _ => false,
    };
    let (last, mut first): (Vec<_>, Vec<_>) = grouped.into_iter().partition(is_last);
    first.extend(last);
    first
}

/// The tables of a list that has nothing else.
fn tables(all: &[Node]) -> Option<Vec<&[Entry]>> {
    let all: Option<Vec<_>> = all
        .iter()
        .map(|it| match &it.content {
            Content::Table(entries) => Some(entries.as_slice()),
            _ => None,
        })
        .collect();
    all.filter(|it| !it.is_empty())
}

/// The key of a table's entry, with what it does.
fn spelled(key: &str, op: Op) -> String {
    match op {
        Op::Set => key.to_owned(),
        Op::Append => format!("{key} +"),
        Op::Remove => format!("{key} -"),
    }
}

/// The value as JSON; `None` if JSON has no such number.
fn to_json(content: &Content) -> Option<serde_json::Value> {
    use serde_json::Value;
    Some(match content {
        Content::Text(text) => Value::from(text.as_str()),
        Content::Int(it) => Value::from(*it),
        Content::Float(it) if !it.is_finite() => return None,
        Content::Float(it) => Value::from(*it),
        Content::Bool(it) => Value::from(*it),
        Content::Null => Value::Null,
        Content::List(all) => {
            let all = all.iter().map(|it| to_json(&it.content));
            Value::Array(all.collect::<Option<_>>()?)
        }
        Content::Table(all) => {
            let entry = |it: &Entry| Some((spelled(&it.key, it.op), to_json(&it.value.content)?));
            Value::Object(all.iter().map(entry).collect::<Option<_>>()?)
        }
        Content::Edited(_) => return None,
    })
}
