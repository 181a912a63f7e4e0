//! INI. Whatever is written is read again before it counts: a text that would
//! come back changed is said as JSON behind `:=`.

use std::collections::BTreeSet;

use super::Item;
use super::WIDTH;
use super::Written;
use super::all_texts;
use super::is_name;
use super::items_of;
use super::meaning;
use super::ordered;
use super::spelled;
use super::to_json;
use super::typed;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Op;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Shape;
use crate::syntax::Source;
use crate::syntax::Tree;
use crate::syntax::ini as reader;
use crate::syntax::plain as plain_key;

const INDENT: &str = "    ";

/// The sections as a file. What INI cannot say is noted.
pub(crate) fn ini(sections: &[Written], problems: &mut Problems) -> String {
    let mut out = String::new();
    for section in sections {
        if !out.is_empty() {
            out.push('\n');
        }
        let header = format!("[{}]\n", section.ini);
        if !is_header(&header, &section.ini) {
            let what = format!("INI cannot say the name `[{}]`", section.ini);
            let problem = Problem::error(Code::CannotConvert, what).at(&section.place);
            problems.note(problem.label("expected a name without `]` and line breaks"));
        }
        out.push_str(&header);
        items(&section.items, &mut out, problems);
    }
    out
}

fn is_header(header: &str, name: &str) -> bool {
    let Some(tree) = read(header) else {
        return false;
    };
    matches!(tree.sections.as_slice(), [only] if only.name == name)
}

/// `None` if there is something wrong with it.
fn read(text: &str) -> Option<Tree> {
    let mut problems = Problems::default();
    let tree = reader::read(&Source::new("", "", text), &mut problems);
    problems.0.is_empty().then_some(tree)
}

fn items(items: &[Item], out: &mut String, problems: &mut Problems) {
    // Names that no key of INI can have, by map.
    let mut unsaid: Vec<(&str, Vec<&Item>)> = Vec::new();
    let mut seen = BTreeSet::new();
    for item in ordered(items) {
        if item.op == Op::Set && !seen.insert(plain_key(&item.key())) {
            let why = "INI compares names without case, `_` and `-`: this stands twice";
            problems.note(item.cannot("INI", why));
            continue;
        }
        if let Some(lines) = lines(item) {
            out.push_str(&lines);
            continue;
        }
        match (&item.name, unsaid.iter_mut().find(|it| it.0 == item.head)) {
            (Some(_), Some((_, all))) => all.push(item),
            (Some(_), None) => unsaid.push((&item.head, vec![item])),
            (None, _) => {
                problems.note(item.cannot("INI", why_not(item)));
            }
        }
    }
    for (head, all) in unsaid {
        let is_free = seen.insert(plain_key(head));
        match as_map(head, &all).filter(|_| is_free) {
            Some(lines) => out.push_str(&lines),
            None => problems.note(all[0].cannot("INI", why_not(all[0]))),
        }
    }
}

fn why_not(item: &Item) -> &'static str {
    let tree = read(&format!("[s]\n{}=\n", item.head));
    let mut entries = tree
        .iter()
        .flat_map(|it| &it.sections)
        .flat_map(|it| &it.entries);
    match entries.any(|it| it.key == item.head) {
        true => "JSON has no such number",
        false => {
            "expected a name without `=`, `:` and blanks around it, that begins with no `[`, `#` or `;`"
        }
    }
}

/// `head := {…}` for names that cannot stand behind a dot.
fn as_map(head: &str, all: &[&Item]) -> Option<String> {
    let mut map = serde_json::Map::new();
    for item in all {
        let key = spelled(item.name.as_deref()?, item.op);
        map.insert(key, to_json(&item.value.content)?);
    }
    let line = format!("{head} := {}\n", spaced(&map.into()));
    let tree = read(&format!("[s]\n{line}"))?;
    let [section] = tree.sections.as_slice() else {
        return None;
    };
    matches!(section.entries.as_slice(), [only] if only.key == head).then_some(line)
}

/// The first way to write the item that reads as the same.
fn lines(item: &Item) -> Option<String> {
    let key = item.key();
    let sign = match item.op {
        Op::Set => "",
        Op::Append => "+",
        Op::Remove => "-",
    };
    // A list in one text is written as the list that it is.
    let content = typed(&item.value.content, item.shape);
    let plain = plain(&content, item.shape).map(|text| match text {
        Plain::Line(text) if text.is_empty() => format!("{key} {sign}=\n"),
        Plain::Line(text) => format!("{key} {sign}= {text}\n"),
        Plain::Block(lines) => block(&format!("{key} {sign}="), &lines),
    });
    let json = || {
        let value = json(&to_json(&content)?, key.len());
        // `KEY := …`, but `KEY +:= …`.
        Some(format!("{key} {sign}:= {value}\n"))
    };
    plain
        .filter(|it| reads_back(it, &key, item))
        .or_else(|| json().filter(|it| reads_back(it, &key, item)))
}

fn block(head: &str, lines: &[String]) -> String {
    let mut out = format!("{head}\n");
    for line in lines {
        if !line.is_empty() {
            out.push_str(INDENT);
            out.push_str(line);
        }
        out.push('\n');
    }
    out
}

fn reads_back(lines: &str, key: &str, item: &Item) -> bool {
    // The line before it shows whether it begins where it should.
    let Some(tree) = read(&format!("[s]\nbefore=it\n{lines}behind=it\n")) else {
        return false;
    };
    let [section] = tree.sections.as_slice() else {
        return false;
    };
    let [before, entry, behind] = section.entries.as_slice() else {
        return false;
    };
    let is_it = |it: &crate::syntax::Entry| it.value.as_text().is_ok_and(|it| it == "it");
    is_it(before)
        && is_it(behind)
        && entry.key == key
        && entry.op == item.op
        && meaning(&entry.value.content, item.shape) == meaning(&item.value.content, item.shape)
}

/// A value without quotes.
enum Plain {
    Line(String),
    Block(Vec<String>),
}

/// The value as a text; `None` if only JSON says it.
fn plain(content: &Content, shape: Option<Shape>) -> Option<Plain> {
    let mut shape = shape;
    while let Some(Shape::OrNone(inner)) = shape {
        shape = Some(*inner);
    }
    match content {
        Content::Text(text) if text.contains('\n') => {
            Some(Plain::Block(text.split('\n').map(str::to_owned).collect()))
        }
        Content::Text(text) => Some(Plain::Line(text.clone())),
        Content::Bool(it) if shape == Some(Shape::Bool) => {
            Some(Plain::Line(if *it { "yes" } else { "no" }.to_owned()))
        }
        Content::Int(it) => matches!(
            shape?,
            Shape::Bool | Shape::Int | Shape::Number | Shape::Duration | Shape::Size | Shape::Port
        )
        .then(|| Plain::Line(it.to_string())),
        Content::Float(it) => {
            matches!(shape?, Shape::Number | Shape::Duration).then(|| Plain::Line(it.to_string()))
        }
        Content::List(all) => list(all_texts(all)?, shape?),
        Content::Bool(_) | Content::Null | Content::Table(_) | Content::Edited(_) => None,
    }
}

fn list(all: Vec<String>, shape: Shape) -> Option<Plain> {
    // What is filled in may have quotes and blanks.
    if all.iter().any(|it| it.contains("{{")) {
        return None;
    }
    match shape {
        Shape::List(_) => Some(words(&all)),
        Shape::OrExpression(Shape::List(_)) if all.iter().all(|it| is_name(it)) => {
            (!all.is_empty()).then(|| words(&all))
        }
        Shape::Items(_) if items_of(&all.join(", ")) == all => Some(Plain::Line(all.join(", "))),
        Shape::Lines(_) => Some(match all.as_slice() {
            [] => Plain::Line(String::new()),
            [only] => Plain::Line(only.clone()),
            _ => Plain::Block(all),
        }),
        Shape::Command if !all.is_empty() => {
            let all: Vec<_> = all.into_iter().map(serde_json::Value::from).collect();
            Some(Plain::Line(json(&all.into(), 0)))
        }
        _ => None,
    }
}

fn words(all: &[String]) -> Plain {
    let all: Vec<_> = all.iter().map(|it| quoted(it)).collect();
    let line = all.join(" ");
    if line.chars().count() > WIDTH && all.len() > 1 {
        Plain::Block(all)
    } else {
        Plain::Line(line)
    }
}

/// A word as the shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |it: char| !it.is_whitespace() && !matches!(it, '\'' | '"' | '\\');
    if !word.is_empty() && word.chars().all(is_plain) && !word.starts_with(['[', '#', ';']) {
        return word.to_owned();
    }
    if !word.contains('\'') {
        return format!("'{word}'");
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

/// JSON on a line; what is long and a list has a line for each item.
fn json(value: &serde_json::Value, before: usize) -> String {
    let line = spaced(value);
    match value {
        serde_json::Value::Array(all) if all.len() > 1 && before + line.chars().count() > WIDTH => {
            let all: Vec<_> = all.iter().map(spaced).collect();
            let glue = format!(",\n{INDENT}");
            format!("[\n{INDENT}{}\n{INDENT}]", all.join(&glue))
        }
        _ => line,
    }
}

/// JSON with blanks behind commas and colons.
fn spaced(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(spaced).collect();
            format!("[{}]", all.join(", "))
        }
        Value::Object(all) => {
            let all = all.iter();
            let all: Vec<_> = all
                .map(|(key, it)| format!("{}: {}", Value::from(key.as_str()), spaced(it)))
                .collect();
            format!("{{{}}}", all.join(", "))
        }
        plain => plain.to_string(),
    }
}
