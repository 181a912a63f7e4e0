//! Load-time texts in values of the configuration: every text of a node is
//! filled in, and what cannot be is told with its place.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;

use super::ExprError;
use super::fill::Whole;
use super::fill::fill;
use super::fill::fill_whole;
use super::names_in;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Edited;
use crate::syntax::Entry;
use crate::syntax::Node;
use crate::syntax::Op;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;

/// What load-time texts are filled in with.
#[derive(Clone, Default)]
pub(crate) struct Fillings {
    pub(crate) map: Map<String, Json>,
    /// Where values are written that come from a file.
    pub(crate) places: BTreeMap<String, Place>,
}

impl Fillings {
    pub(crate) fn set(&mut self, name: &str, value: Json, place: Option<&Place>) {
        self.map.insert(name.to_owned(), value);
        if let Some(place) = place {
            self.places.insert(name.to_owned(), place.clone());
        }
    }
}

/// Fills in the texts of `entries`; `None` if one cannot be. An entry whose
/// text is one `{{ … }}` that gives `none` is left out.
pub(crate) fn fill_entries<'a>(
    entries: impl IntoIterator<Item = &'a Entry>,
    values: &Fillings,
    problems: &mut Problems,
) -> Option<Vec<Entry>> {
    let filled: Vec<_> = entries
        .into_iter()
        .filter_map(|entry| {
            let value = match fill_node(&entry.value, values, problems) {
                Some(value) => value.into_owned(),
                None => return Some(None),
            };
            if is_left_out(&entry.value, &value) {
                return None;
            }
            Some(Some(Entry {
                key: entry.key.clone(),
                key_place: entry.key_place.clone(),
                op: entry.op,
                value,
            }))
        })
        .collect();
    filled.into_iter().collect()
}

/// Whether a text became nothing, which no text that is written does.
fn is_left_out(written: &Node, filled: &Node) -> bool {
    matches!(written.content, Content::Text(_)) && matches!(filled.content, Content::Null)
}

/// Whether there is something to fill in.
fn has_blanks(node: &Node) -> bool {
    match &node.content {
        // One letter is found quicker than two, and most texts have neither.
        Content::Text(text) => text.as_bytes().contains(&b'{') && text.contains("{{"),
        Content::List(all) => all.iter().any(has_blanks),
        Content::Table(all) => all.iter().any(|it| has_blanks(&it.value)),
        Content::Edited(edited) => {
            let mut edits = edited.edits.iter().map(|(_, it)| it);
            edited.base.iter().any(has_blanks) || edits.any(has_blanks)
        }
        Content::Int(_) | Content::Float(_) | Content::Bool(_) | Content::Null => false,
    }
}

/// Fills in every text of a value; what has none to be filled in stays what it is.
pub(crate) fn fill_node<'a>(
    node: &'a Node,
    values: &Fillings,
    problems: &mut Problems,
) -> Option<Cow<'a, Node>> {
    if !has_blanks(node) {
        return Some(Cow::Borrowed(node));
    }
    filled(node, values, problems).map(Cow::Owned)
}

/// What a text with blanks becomes: a text, or what its only expression gives.
fn content_of(text: &str, values: &Fillings) -> Result<Whole, ExprError> {
    match fill_whole(text, &values.map) {
        Some(whole) => whole,
        None => fill(text, &values.map).map(Whole::Text),
    }
}

fn placed(whole: Whole, place: &Place) -> Content {
    match whole {
        Whole::Nothing => Content::Null,
        Whole::Text(text) => Content::Text(text),
        Whole::List(all) => {
            let item = |text| Node {
                content: Content::Text(text),
                place: place.clone(),
            };
            Content::List(Arc::new(all.into_iter().map(item).collect()))
        }
        Whole::Map(all) => {
            let entry = |(key, text)| Entry {
                key,
                key_place: place.clone(),
                op: Op::Set,
                value: Node {
                    content: Content::Text(text),
                    place: place.clone(),
                },
            };
            Content::Table(all.into_iter().map(entry).collect())
        }
    }
}

fn filled(node: &Node, values: &Fillings, problems: &mut Problems) -> Option<Node> {
    let content = match &node.content {
        Content::Text(text) if !text.contains("{{") => return Some(node.clone()),
        Content::Text(text) => match content_of(text, values) {
            Ok(content) => {
                // What is wrong with it may be wrong where a value is written.
                let mut place = node.place.clone();
                for name in names_in(text).unwrap_or_default() {
                    if let Some(at) = values.places.get(&name) {
                        place = place.through(at, &format!("`{name}` is set here"));
                    }
                }
                return Some(Node {
                    content: placed(content, &place),
                    place,
                });
            }
            Err(error) => {
                let misread = error.in_node(node, text);
                let code = misread.code.unwrap_or(Code::BadExpression);
                let place = misread.place.as_ref().unwrap_or(&node.place);
                let problem = Problem::error(code, "bad `{{ … }}` in a text").at(place);
                problems.note(problem.label(misread.what.unwrap_or_default()));
                return None;
            }
        },
        Content::List(all) => {
            let mut items = Vec::new();
            let mut is_good = true;
            for written in all.iter() {
                match filled(written, values, problems) {
                    None => is_good = false,
                    Some(item) if is_left_out(written, &item) => {}
                    // A list stands for its items.
                    Some(item) => match (&written.content, item.content) {
                        (Content::Text(_), Content::List(more)) => {
                            items.extend(more.iter().cloned());
                        }
                        (_, content) => items.push(Node { content, ..item }),
                    },
                }
            }
            Content::List(Arc::new(Some(items).filter(|_| is_good)?))
        }
        Content::Table(all) => Content::Table(fill_entries(all, values, problems)?),
        Content::Edited(edited) => {
            let base = match &edited.base {
                Some(base) => Some(filled(base, values, problems)?),
                None => None,
            };
            let edits: Vec<_> = edited
                .edits
                .iter()
                .map(|(op, it)| Some((*op, filled(it, values, problems)?)))
                .collect();
            let is_there = |it: &Node| !matches!(it.content, Content::Null);
            let base = base.filter(is_there);
            let mut edits: Vec<_> = edits.into_iter().collect::<Option<_>>()?;
            edits.retain(|(_, it)| is_there(it));
            Content::Edited(Box::new(Edited { base, edits }))
        }
        Content::Int(_) | Content::Float(_) | Content::Bool(_) | Content::Null => {
            node.content.clone()
        }
    };
    Some(Node {
        place: node.place.clone(),
        content,
    })
}
