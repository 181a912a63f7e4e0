//! Reading a section: its kind, which builders it is about, and the kind's own keys.

use std::sync::Arc;

use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::plain;

use super::KINDS;
use super::ReporterKind;
use super::Settings;
use super::selection;

/// A section that was read.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) kind: &'static str,
    pub(crate) settings: Arc<dyn Settings>,
    /// What the section names, for who knows what there is; at most one list
    /// has items. `*` in a builder's name stands for any characters.
    pub(crate) builders: Vec<(String, Place)>,
    pub(crate) categories: Vec<(String, Place)>,
    pub(crate) tags: Option<(String, Place)>,
}

/// Reads `[status:NAME]` or `[reporter:NAME]`. Unknown keys are left to the
/// caller's [`Keys::finish`], unless the type is unknown: then nobody can tell.
pub(crate) fn read(keys: &mut Keys<'_>) -> Option<Read> {
    let own = keys.own_name().to_owned();
    let word = keys.optional::<String>("type");
    let is_said = matches!(word, Some(Some(_)));
    let Some(kind) = kind(word.as_ref().and_then(Option::as_ref).unwrap_or(&own)) else {
        keys.rest();
        if let Some(word) = word {
            keys.note(unknown(keys, word.as_deref()));
        }
        return None;
    };
    let selected = selection::read(keys);
    // What the kind says is read even if the selection is wrong.
    let (selection, lists) = match selected.clone() {
        Some((selection, lists)) => (selection, lists),
        None => (selection::Selection::All, selection::Lists::default()),
    };
    let settings = (kind.read)(keys, selection);
    if let Some(missing) = kind.missing {
        let place = match is_said {
            true => keys.place("type"),
            false => keys.header().clone(),
        };
        let what = format!("{} tells nothing about builds", keys.title());
        let problem = Problem::warning(Code::NoEffect, what);
        keys.note(problem.at(&place).label(missing));
    }
    selected?;
    Some(Read {
        kind: kind.name,
        settings: settings?,
        builders: lists.builders,
        categories: lists.categories,
        tags: lists.tags,
    })
}

/// The kind that `word` names, in any spelling.
fn kind(word: &str) -> Option<&'static ReporterKind> {
    let word = plain(word);
    KINDS.iter().find(|kind| {
        let mut names = [kind.name].into_iter().chain(kind.aliases.iter().copied());
        names.any(|it| plain(it) == word)
    })
}

fn unknown(keys: &Keys<'_>, word: Option<&str>) -> Problem {
    let names: Vec<_> = KINDS.iter().map(|it| format!("`{}`", it.name)).collect();
    let names = names.join(", ");
    match word {
        Some(word) => {
            let what = format!("unknown status target type `{word}`");
            let all = KINDS
                .iter()
                .flat_map(|it| [&[it.name], it.aliases].concat());
            let problem = Problem::error(Code::UnknownType, what)
                .at(&keys.place("type"))
                .did_you_mean(word, all);
            match problem.label {
                Some(_) => problem,
                None => problem.help(format!("there are {names}")),
            }
        }
        None => Problem::error(
            Code::MissingKey,
            format!("`type` is missing in {}", keys.title()),
        )
        .at(keys.header())
        .label(format!("expected one of {names}")),
    }
}
