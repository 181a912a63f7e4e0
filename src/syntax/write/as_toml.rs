//! TOML. Lists of tables come last in their section, as `[[…]]`.

use super::Item;
use super::WIDTH;
use super::Written;
use super::all_texts;
use super::ordered;
use super::spelled;
use super::tables;
use super::typed;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Node;
use crate::syntax::Op;
use crate::syntax::Problems;
use crate::syntax::Shape;

/// The sections as a file. What TOML cannot say is noted.
pub(crate) fn toml(sections: &[Written], problems: &mut Problems) -> String {
    let mut out = String::new();
    for section in sections {
        if !out.is_empty() {
            out.push('\n');
        }
        let path: Vec<_> = section.toml.iter().map(|it| key(it)).collect();
        let path = path.join(".");
        out.push_str(&format!("[{path}]\n"));
        let mut behind = String::new();
        for item in merged(&ordered(&section.items), problems) {
            let has_names = |it: &Item| it.name.is_some() && it.head == item.head;
            if item.name.is_none() && section.items.iter().any(has_names) {
                let why = "a name cannot be a value and a map at once";
                problems.note(item.cannot("TOML", why));
                continue;
            }
            let content = sayable(&item);
            if let Content::List(all) = &content
                && item.goes_behind(&section.items)
                && let Some(tables) = tables(all)
            {
                let head = key(&spelled(&item.head, item.op));
                for table in tables {
                    match entries(table) {
                        Some(lines) => {
                            behind.push_str(&format!("\n[[{path}.{head}]]\n{lines}"));
                        }
                        None => problems.note(item.cannot("TOML", "TOML has no null")),
                    }
                }
                continue;
            }
            let Some(value) = value(&content, false) else {
                problems.note(item.cannot("TOML", "TOML has no null"));
                continue;
            };
            let key = match &item.name {
                Some(name) => format!("{}.{}", key(&item.head), key(&spelled(name, item.op))),
                None => key(&spelled(&item.head, item.op)),
            };
            out.push_str(&format!("{key} = {value}\n"));
        }
        out.push_str(&behind);
    }
    out
}

/// The value; what TOML has no word for is said as the key's reader takes it.
fn sayable(item: &Item) -> Content {
    match (typed(&item.value.content, item.shape), item.shape) {
        (Content::Null, Some(Shape::OrNone(Shape::Template))) => Content::Bool(false),
        (Content::Null, Some(Shape::OrNone(_))) => Content::Text("none".to_owned()),
        (content, _) => content,
    }
}

/// The lines of a table; `None` if there is a null in it.
fn entries(all: &[Entry]) -> Option<String> {
    let mut out = String::new();
    for entry in all {
        let head = key(&spelled(&entry.key, entry.op));
        match &entry.value.content {
            Content::Table(inside) if !inside.is_empty() => {
                for it in inside {
                    let name = key(&spelled(&it.key, it.op));
                    let value = value(&it.value.content, false)?;
                    out.push_str(&format!("{head}.{name} = {value}\n"));
                }
            }
            content => out.push_str(&format!("{head} = {}\n", value(content, false)?)),
        }
    }
    Some(out)
}

/// `None` if there is a null in it.
fn value(content: &Content, is_inline: bool) -> Option<String> {
    Some(match content {
        Content::Text(text) => string(text, is_inline),
        Content::Int(it) => it.to_string(),
        Content::Float(it) if it.is_nan() => "nan".to_owned(),
        Content::Float(it) => format!("{it:?}"),
        Content::Bool(it) => it.to_string(),
        Content::List(all) => {
            let all = all.iter().map(|it| value(&it.content, true));
            let all: Vec<_> = all.collect::<Option<_>>()?;
            let line = format!("[{}]", all.join(", "));
            if is_inline || all.len() < 2 || line.chars().count() <= WIDTH {
                line
            } else {
                let all = all.iter().map(|it| format!("    {it},\n"));
                format!("[\n{}]", all.collect::<String>())
            }
        }
        Content::Table(all) if all.is_empty() => "{}".to_owned(),
        Content::Table(all) => {
            let entry = |it: &Entry| {
                let value = value(&it.value.content, true)?;
                Some(format!("{} = {value}", key(&spelled(&it.key, it.op))))
            };
            let all: Vec<_> = all.iter().map(entry).collect::<Option<_>>()?;
            format!("{{ {} }}", all.join(", "))
        }
        Content::Null | Content::Edited(_) => return None,
    })
}

/// A key, in quotes where it needs them.
fn key(text: &str) -> String {
    let is_bare = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    if !text.is_empty() && text.chars().all(is_bare) {
        return text.to_owned();
    }
    string(text, true)
}

/// A text in the quotes that leave most of it as it is.
fn string(text: &str, is_inline: bool) -> String {
    let is_raw = |it: char| it == '\t' || !it.is_control();
    if text.contains('\n') && !is_inline {
        let fits = |it: char| it == '\n' || is_raw(it);
        let is_literal = !text.contains("'''") && !text.ends_with('\'') && text.chars().all(fits);
        if is_literal {
            return format!("'''\n{text}'''");
        }
        return format!("\"\"\"\n{}\"\"\"", escaped(text, true));
    }
    let has_marks = text.contains(['"', '\\']);
    if has_marks && !text.contains('\'') && text.chars().all(is_raw) {
        return format!("'{text}'");
    }
    format!("\"{}\"", escaped(text, false))
}

fn escaped(text: &str, keeps_lines: bool) -> String {
    let mut out = String::new();
    for char in text.chars() {
        match char {
            '\n' if keeps_lines => out.push('\n'),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '"' | '\\' => out.extend(['\\', char]),
            _ if char.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(char))),
            _ => out.push(char),
        }
    }
    out
}

/// TOML says each key once: what is appended to one list in several lines is
/// appended in one.
fn merged(items: &[&Item], problems: &mut Problems) -> Vec<Item> {
    let mut out: Vec<Item> = Vec::new();
    let mut done: Vec<String> = Vec::new();
    for item in items {
        let same = |it: &&&Item| it.op != Op::Set && it.key() == item.key();
        let edits: Vec<&Item> = items.iter().filter(same).copied().collect();
        let count = |op| edits.iter().filter(|it| it.op == op).count();
        if item.op == Op::Set || count(Op::Append) < 2 && count(Op::Remove) < 2 {
            out.push((*item).clone());
            continue;
        }
        if done.contains(&item.key()) {
            continue;
        }
        done.push(item.key());
        match settled(&edits) {
            Some(all) => out.extend(all.into_iter().map(|(op, all)| Item {
                op,
                value: Node {
                    place: item.value.place.clone(),
                    content: super::texts(all),
                },
                ..(*item).clone()
            })),
            None => {
                let why = "TOML can append and remove once each, and here the order matters";
                problems.note(item.cannot("TOML", why));
            }
        }
    }
    out
}

/// The same edits with at most one of each kind; `None` if that is not the same.
pub(crate) fn settled(edits: &[&Item]) -> Option<Vec<(Op, Vec<String>)>> {
    let mut all: Vec<(Op, String)> = Vec::new();
    for edit in edits {
        let Content::List(items) = typed(&edit.value.content, edit.shape) else {
            return None;
        };
        all.extend(all_texts(&items)?.into_iter().map(|it| (edit.op, it)));
    }
    let of = |op| -> Vec<String> {
        let all = all.iter().filter(|it| it.0 == op);
        all.map(|(_, it)| it.clone()).collect()
    };
    // Nothing of what is removed before may be appended later, and the reverse.
    let crosses = |first: Op| {
        all.iter().enumerate().any(|(at, (op, item))| {
            *op == first
                && all[at..]
                    .iter()
                    .any(|(it, other)| *it != first && other == item)
        })
    };
    let order = if !crosses(Op::Remove) {
        [Op::Append, Op::Remove]
    } else if !crosses(Op::Append) {
        [Op::Remove, Op::Append]
    } else {
        return None;
    };
    let parts = order.map(|op| (op, of(op)));
    Some(parts.into_iter().filter(|it| !it.1.is_empty()).collect())
}
