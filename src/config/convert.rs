//! `master.ini` as `master.toml` and the reverse. Each value is written by the
//! shape that its key's reader asks for; what was written is read again and
//! compared, so that nothing is lost in silence but comments.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Catalogue;
use super::asked::Known;
use super::asked::asked;
use super::extends;
use super::files::Files;
use super::sections::Kind;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Node;
use crate::syntax::Op;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::Shape;
use crate::syntax::Source;
use crate::syntax::json;
use crate::syntax::plain;
use crate::syntax::same;
use crate::syntax::write;
use crate::syntax::write::Item;
use crate::syntax::write::Written;

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    Ini,
    Toml,
}

impl Spelling {
    /// As the ending of a file's name.
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Ini => "ini",
            Self::Toml => "toml",
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Ini => Self::Toml,
            Self::Toml => Self::Ini,
        }
    }

    /// Of a file, by its name: whatever does not end in `.toml` is INI.
    pub(crate) fn of(name: &str) -> Self {
        match name.ends_with(".toml") {
            true => Self::Toml,
            false => Self::Ini,
        }
    }
}

/// Writes what `source` says in the other spelling, or anew in its own.
///
/// # Errors
/// Every mistake of the file, and all that the other spelling cannot say.
pub(super) fn convert(
    source: &Arc<Source>,
    to: Spelling,
    catalogue: &dyn Catalogue,
) -> Result<String, Problems> {
    let mut problems = Problems::default();
    let from = sections(source, catalogue, &mut problems);
    if problems.has_errors() {
        problems.sort();
        return Err(problems);
    }
    distinct(&from, to, &mut problems);
    let text = match to {
        Spelling::Ini => write::ini(&from, &mut problems),
        Spelling::Toml => write::toml(&from, &mut problems),
    };
    if problems.has_errors() {
        problems.sort();
        return Err(problems);
    }
    let name = format!("converted.{}", to.ending());
    let written = Source::new(name, &source.dir, text);
    let again = sections(&written, catalogue, &mut problems);
    compare(&from, &again, &mut problems);
    problems.sort();
    match problems.has_errors() {
        true => Err(problems),
        false => Ok(written.text.clone()),
    }
}

/// Notes sections that are one under two names.
fn distinct(all: &[Written], to: Spelling, problems: &mut Problems) {
    for (index, one) in all.iter().enumerate() {
        let Some(first) = all[..index].iter().find(|it| it.ini == one.ini) else {
            continue;
        };
        let spelling = to.ending().to_uppercase();
        let what = format!("{spelling} cannot say the section `[{}]` twice", one.ini);
        let problem = Problem::error(Code::CannotConvert, what).at(&one.place);
        problems.note(
            problem
                .label("the second one")
                .also(&first.place, "the first one"),
        );
    }
}

/// The sections of a file in its order, ready to be written.
fn sections(
    source: &Arc<Source>,
    catalogue: &dyn Catalogue,
    problems: &mut Problems,
) -> Vec<Written> {
    let mut files = Files::default();
    files.add(source, problems);
    let mut all = files.sections;
    all.sort_by_key(|(_, it)| it.place.offset());
    // Who extends whom is looked up for the shapes, and stays as it is.
    let mut resolved = all.clone();
    extends::resolve(&mut resolved, &mut Problems::default());
    let known: Vec<_> = resolved
        .iter()
        .map(|(kind, section)| asked(*kind, section, catalogue))
        .collect();
    all.iter()
        .zip(&known)
        .map(|((kind, section), known)| {
            let mut items = defaults(*kind, section, &all, known, problems);
            for entry in &section.entries {
                add(entry, known, &mut items);
            }
            Written {
                ini: ini_name(*kind, section),
                toml: toml_name(*kind, section),
                place: section.place.clone(),
                items,
            }
        })
        .collect()
}

fn ini_name(kind: Kind, section: &Section) -> String {
    let table = kind.table();
    let name = section.own_name.as_str();
    if table.is_alone {
        return format!(":{}:", table.word);
    }
    match kind {
        Kind::Factory if !name.contains(':') && name != "DEFAULT" => name.to_owned(),
        _ => format!("{}:{name}", table.word),
    }
}

fn toml_name(kind: Kind, section: &Section) -> Vec<String> {
    let table = kind.table();
    let mut path = vec![table.word.to_owned()];
    if !table.is_alone {
        path.push(section.own_name.clone());
    }
    path
}

/// What `[DEFAULT]` says for a section that does not say it itself. TOML has
/// no such section; what nobody asks for does nothing and is left out.
fn defaults(
    kind: Kind,
    section: &Section,
    all: &[(Kind, Section)],
    known: &Known,
    problems: &mut Problems,
) -> Vec<Item> {
    let mut items = Vec::new();
    // What takes whatever stands in it takes nothing from elsewhere.
    let entries = section.defaults.iter().filter(|_| known.rest.is_none());
    for entry in entries {
        let mut own = Vec::new();
        add(entry, known, &mut own);
        own.retain(|it| it.shape.is_some());
        own.retain(|it| !is_set(section, it));
        if own.is_empty() {
            continue;
        }
        let extends = section.entries.iter().find(|it| same(&it.key, "extends"));
        if let Some(extends) = extends {
            // What it extends gets them, and goes before them.
            let name = extends.value.as_text().unwrap_or_default();
            let is_here = all
                .iter()
                .any(|(it, other)| *it == kind && other.own_name == name);
            if !is_here {
                let what = format!("TOML has no [DEFAULT] for [{}]", section.name);
                let problem = Problem::error(Code::CannotConvert, what).at(&extends.value.place);
                problems.note(
                    problem
                        .label("what it extends stands in another file")
                        .help(format!(
                            "write `{}` where it is used, and not in [DEFAULT]",
                            entry.key
                        )),
                );
            }
            continue;
        }
        for item in own {
            if !items.iter().any(|it: &Item| same(&it.key(), &item.key())) {
                items.push(item);
            }
        }
    }
    items
}

/// Whether the section says with `=` what the item says.
fn is_set(section: &Section, item: &Item) -> bool {
    section.entries.iter().any(|it| {
        it.op == Op::Set
            && (same(&it.key, &item.key())
                || item.name.as_deref().is_some_and(|name| {
                    same(&it.key, &item.head)
                        && table(&it.value).is_some_and(|all| {
                            all.iter().any(|it| it.key == name && it.op == Op::Set)
                        })
                }))
    })
}

/// Adds an entry; a map becomes an item for each of its names.
fn add(entry: &Entry, known: &Known, items: &mut Vec<Item>) {
    let item = |head: &str, name: Option<&str>, op, value: &Node, shape| Item {
        head: head.to_owned(),
        name: name.map(str::to_owned),
        op,
        value: value.clone(),
        shape,
        place: entry.key_place.clone(),
    };
    let find = |key: &str| {
        let mut keys = known.keys.iter();
        let found = keys.find(|it| same(&it.name, key) || it.older.iter().any(|it| same(it, key)));
        found.map(|it| it.shape)
    };
    if let Some((head, name)) = entry.key.split_once('.')
        && let Some(each) = find(head).and_then(Shape::each)
    {
        let shape = Some(each);
        return add_to_map(item(head, Some(name), entry.op, &entry.value, shape), items);
    }
    let shape = find(&entry.key);
    if let Some(each) = shape.and_then(Shape::each)
        && let Some(all) = table(&entry.value)
    {
        for it in all {
            let item = item(&entry.key, Some(&it.key), it.op, &it.value, Some(each));
            add_to_map(item, items);
        }
        return;
    }
    // A map's key with something else behind it is a mistake, and stays it.
    let shape = match shape {
        Some(Shape::OrMap(one, _)) => Some(*one),
        Some(it) if it.is_map() => None,
        other => other,
    };
    let shape = shape.or(known.rest);
    items.push(item(&entry.key, None, entry.op, &entry.value, shape));
}

/// What `=` says of a name replaces all that was said of it before.
fn add_to_map(mut item: Item, items: &mut Vec<Item>) {
    if let Some(first) = items
        .iter()
        .find(|it| it.name.is_some() && same(&it.head, &item.head))
    {
        item.head.clone_from(&first.head);
    }
    if item.op == Op::Set {
        items.retain(|it| it.head != item.head || it.name != item.name);
    }
    items.push(item);
}

/// A map's names; those of JSON are sorted, as their reader sorts them.
fn table(node: &Node) -> Option<Vec<Entry>> {
    match &node.content {
        Content::Table(all) => Some(all.clone()),
        Content::Text(text) if text.starts_with('{') => {
            let Ok(Content::Table(mut all)) = json(node, text).map(|it| it.content) else {
                return None;
            };
            all.sort_by(|one, other| one.key.cmp(&other.key));
            Some(all)
        }
        _ => None,
    }
}

/// Notes every difference in what two files say.
fn compare(from: &[Written], again: &[Written], problems: &mut Problems) {
    let names = |all: &[Written]| -> Vec<_> { all.iter().map(|it| it.ini.clone()).collect() };
    if names(from) != names(again) {
        let what = "the sections of the file would not be read back as they are";
        problems.note(Problem::error(Code::CannotConvert, what));
        return;
    }
    for (one, other) in from.iter().zip(again) {
        let (said, other) = (meaning(&one.items), meaning(&other.items));
        for (key, (place, value)) in &said {
            if other.get(key).is_none_or(|it| it.1 != *value) {
                let what = format!("`{key}` of [{}] would not be read back as it is", one.ini);
                problems.note(Problem::error(Code::CannotConvert, what).at(place));
            }
        }
        if let Some(key) = other.keys().find(|it| !said.contains_key(*it)) {
            let what = format!("[{}] would be read back with a key `{key}`", one.ini);
            problems.note(Problem::error(Code::CannotConvert, what).at(&one.place));
        }
    }
}

/// What each key says, as a text to compare.
fn meaning(items: &[Item]) -> BTreeMap<String, (crate::syntax::Place, String)> {
    let mut edits: BTreeMap<String, Vec<&Item>> = BTreeMap::new();
    let mut all = BTreeMap::new();
    for item in items {
        match item.op {
            Op::Set => {
                let value = write::meaning(&item.value.content, item.shape);
                all.insert(plain(&item.key()), (item.place.clone(), value));
            }
            _ => edits.entry(plain(&item.key())).or_default().push(item),
        }
    }
    for (key, edits) in edits {
        let value = match write::settled(&edits) {
            Some(all) => format!("{all:?}"),
            None => {
                let each = |it: &&Item| {
                    let value = write::meaning(&it.value.content, it.shape);
                    format!("{:?} {value}", it.op)
                };
                format!("{:?}", edits.iter().map(each).collect::<Vec<_>>())
            }
        };
        all.insert(format!("{key} +"), (edits[0].place.clone(), value));
    }
    all
}
