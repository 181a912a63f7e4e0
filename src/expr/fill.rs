//! Texts that are filled in when the file is loaded: `{{ … }}` over values,
//! and `{axis}` in the name of a section.

use std::collections::BTreeSet;

use serde_json::Map;
use serde_json::Value as Json;

use minijinja::value::Serde;
use minijinja::value::ValueKind;

use super::ExprError;
use super::math;
use super::names::VALUES;
use super::parts;
use super::parts::Role;
use super::room;
use super::tokens;

/// Fills in a load-time text: `{{ name }}` over `values`. Between the braces
/// stands an expression; everything else is left as it is, and a value of
/// null fills in nothing.
pub(crate) fn fill(text: &str, values: &Map<String, Json>) -> Result<String, ExprError> {
    let mut out = String::new();
    for piece in pieces(text)? {
        match piece {
            Piece::Plain(plain) => out.push_str(plain),
            Piece::Expression(expression, start) => {
                let filled = computed(expression, values);
                out.push_str(&filled.map_err(|it| it.moved(start, expression.len()))?);
            }
        }
        bounded(&out)?;
    }
    Ok(out)
}

/// What a text becomes that is one `{{ … }}` and nothing else.
pub(crate) enum Whole {
    /// The expression gives `none`: what would hold the text is left out.
    Nothing,
    List(Vec<String>),
    Map(Vec<(String, String)>),
    Text(String),
}

/// Fills in a text that is one expression and nothing else; `None` if it is not.
pub(crate) fn fill_whole(
    text: &str,
    values: &Map<String, Json>,
) -> Option<Result<Whole, ExprError>> {
    match pieces(text).ok()?.as_slice() {
        [
            Piece::Plain(""),
            Piece::Expression(expression, start),
            Piece::Plain(""),
        ] => {
            let whole = whole(expression, values);
            Some(whole.map_err(|it| it.moved(*start, expression.len())))
        }
        _ => None,
    }
}

fn whole(expression: &str, values: &Map<String, Json>) -> Result<Whole, ExprError> {
    let value = evaluated(expression, values)?;
    let told = |error: minijinja::Error| ExprError::bad(error.detail().unwrap_or_default());
    // `A if CONDITION` gives nothing where the condition does not hold; what is not there
    // for another reason is a mistake.
    if value.is_none() || value.is_undefined() && may_give_nothing(expression) {
        return Ok(Whole::Nothing);
    }
    if !matches!(value.kind(), ValueKind::Seq | ValueKind::Map) {
        return math::text(&value).map(Whole::Text).map_err(told);
    }
    let items = value.try_iter().map_err(told)?;
    if value.kind() == ValueKind::Map {
        let pair = |key: minijinja::Value| {
            let of_key = value.get_item(&key)?;
            Ok((math::text(&key)?, math::text(&of_key)?))
        };
        let all: Result<_, _> = items.map(pair).collect();
        return all.map(Whole::Map).map_err(told);
    }
    let items = items.map(|it| math::text(&it));
    items
        .collect::<Result<_, _>>()
        .map(Whole::List)
        .map_err(told)
}

/// Whether there is an `if` without an `else`.
fn may_give_nothing(expression: &str) -> bool {
    let all = tokens::of(expression);
    let count = |word| {
        let words = all
            .iter()
            .filter(|(token, _)| *token == tokens::Token::Name);
        words
            .filter(|(_, at)| &expression[at.clone()] == word)
            .count()
    };
    count("if") > count("else")
}

/// Fills in the name of a section: `{axis}` is the value of that name, and
/// `{{ … }}` an expression.
pub(crate) fn fill_name(text: &str, values: &Map<String, Json>) -> Result<String, ExprError> {
    let mut out = String::new();
    let mut start = 0;
    for piece in pieces(text)? {
        match piece {
            Piece::Plain(plain) => {
                axes(plain, start, values, &mut out)?;
                start += plain.len();
            }
            Piece::Expression(expression, at) => {
                let filled = computed(expression, values);
                out.push_str(&filled.map_err(|it| it.moved(at, expression.len()))?);
                start = at + expression.len() + 2;
            }
        }
        bounded(&out)?;
    }
    Ok(out)
}

/// The bare names that the `{{ … }}` of a text use.
pub(crate) fn names_in(text: &str) -> Result<BTreeSet<String>, ExprError> {
    let mut names = BTreeSet::new();
    for piece in pieces(text)? {
        if let Piece::Expression(expression, _) = piece {
            let parts = parts::of(expression);
            let found = parts.iter().filter(|it| it.role == Role::Name);
            names.extend(found.map(|it| it.text(expression).to_owned()));
        }
    }
    Ok(names)
}

fn bounded(out: &str) -> Result<(), ExprError> {
    if out.len() > math::LONGEST_TEXT {
        return Err(ExprError::bad("this text becomes too long"));
    }
    Ok(())
}

/// A part of a text.
enum Piece<'a> {
    Plain(&'a str),
    /// What stands between `{{` and `}}`, and where.
    Expression(&'a str, usize),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, ExprError> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some(found) = text[at..].find("{{") {
        let open = at + found;
        let inside = open + 2;
        let Some(length) = tokens::until_closed(&text[inside..]) else {
            return Err(ExprError::bad("this `{{` is not closed by `}}`").at(open..open + 2));
        };
        pieces.push(Piece::Plain(&text[at..open]));
        pieces.push(Piece::Expression(&text[inside..inside + length], inside));
        at = inside + length + 2;
    }
    pieces.push(Piece::Plain(&text[at..]));
    Ok(pieces)
}

fn computed(expression: &str, values: &Map<String, Json>) -> Result<String, ExprError> {
    // Here, what is not there is a mistake and not `none`.
    let value = evaluated(expression, values)?;
    math::text(&value).map_err(|error| ExprError::bad(error.detail().unwrap_or_default()))
}

fn evaluated(expression: &str, values: &Map<String, Json>) -> Result<minijinja::Value, ExprError> {
    let mut context = VALUES.with_names(values.keys());
    for (name, value) in values {
        if let Json::Object(inside) = value {
            context = context.with_inside(name, inside.keys());
        }
    }
    let compiled = room::compile(expression, &context)?;
    compiled.eval(expression, minijinja::Value::from(Serde(values)))
}

/// Fills in the `{axis}` of a text without `{{`.
fn axes(
    text: &str,
    start: usize,
    values: &Map<String, Json>,
    out: &mut String,
) -> Result<(), ExprError> {
    let mut at = 0;
    while let Some(found) = text[at..].find(['{', '}']) {
        let open = at + found;
        out.push_str(&text[at..open]);
        let place = start + open..start + open + 1;
        if text[open..].starts_with('}') {
            return Err(ExprError::bad("this `}` closes nothing").at(place));
        }
        let Some(length) = text[open + 1..]
            .find(['{', '}'])
            .filter(|it| text[open + 1 + it..].starts_with('}'))
        else {
            return Err(ExprError::bad("this `{` is not closed by `}`").at(place));
        };
        let axis = &text[open + 1..open + 1 + length];
        let name = axis.trim();
        let is_name = !name.is_empty() && name.chars().all(|it| it.is_alphanumeric() || it == '_');
        if !is_name {
            let what = "between `{` and `}` stands a name; an expression stands in `{{ … }}`";
            let place = start + open..start + open + length + 2;
            return Err(ExprError::bad(what).at(place));
        }
        let filled = computed(axis, values);
        out.push_str(&filled.map_err(|it| it.moved(start + open + 1, length))?);
        at = open + length + 2;
    }
    out.push_str(&text[at..]);
    Ok(())
}
