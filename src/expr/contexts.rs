//! Which names an expression may use, by where it stands: a name that does not
//! exist there is a mistake of the file.

use super::ExprError;
use super::Kind;
use super::parts::Part;
use super::parts::Role;
use super::vocabulary;

/// The names that exist where an expression stands.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    pub(crate) row: &'static Row,
    /// The names that are given, once they are.
    given: Vec<String>,
    /// Whether [`Further::Open`] no longer holds.
    is_closed: bool,
    /// What is inside of names that are open in the table, if it is known.
    inside: Vec<(String, Vec<String>)>,
}

/// What the table says of a context.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The settings that are such expressions.
    pub(crate) keys: &'static str,
    /// When it is computed, and over what.
    pub(crate) summary: &'static str,
    pub(crate) names: &'static [Known],
    pub(crate) further: Further,
}

/// What names there are besides those of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Further {
    Nothing,
    /// Names that the configuration gives, such as axes.
    Given(&'static str),
    /// Names that anybody may choose, such as properties.
    Open(&'static str),
}

/// A name and what it is.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
    pub(crate) inside: Inside,
}

/// What stands behind the dot.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Inside {
    /// A value.
    Nothing,
    /// Exactly these.
    Names(&'static [Known]),
    /// These, and others that nobody knows before it is computed.
    Open(&'static [Known]),
    /// Names that nobody knows, and in each of them these.
    Each(&'static [Known]),
}

impl Context {
    pub(super) const fn of(row: &'static Row) -> Self {
        Self {
            row,
            given: Vec::new(),
            is_closed: false,
            inside: Vec::new(),
        }
    }

    /// The same with these bare names besides its own; every other is a mistake.
    #[must_use]
    pub(crate) fn with_names<S: Into<String>>(&self, names: impl IntoIterator<Item = S>) -> Self {
        let mut context = self.clone();
        context.given.extend(names.into_iter().map(Into::into));
        context.is_closed = true;
        context
    }

    /// The same where the names inside of `name`, such as `step`, are known.
    #[must_use]
    pub(crate) fn with_inside<S: Into<String>>(
        &self,
        name: &str,
        inside: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut context = self.clone();
        let inside = inside.into_iter().map(Into::into).collect();
        context.inside.push((name.to_owned(), inside));
        context
    }

    /// Whether the name alone stands for its `name`: `builder == 'docs'` is `builder.name == 'docs'`.
    pub(super) fn is_called(&self, name: &str) -> bool {
        let known = self.row.names.iter().find(|it| it.name == name);
        known.is_some_and(|it| match it.inside {
            Inside::Names(names) | Inside::Open(names) => names.iter().any(|it| it.name == "name"),
            Inside::Nothing | Inside::Each(_) => false,
        })
    }

    /// Whether every name exists, and everything that stands behind its dots.
    pub(super) fn check(&self, text: &str, parts: &[Part]) -> Result<(), ExprError> {
        for (index, part) in parts.iter().enumerate() {
            if part.role == Role::Name {
                self.check_name(text, part)?;
                self.check_inside(text, part.text(text), behind(text, &parts[index..]))?;
            }
        }
        Ok(())
    }

    fn check_name(&self, text: &str, part: &Part) -> Result<(), ExprError> {
        let name = part.text(text);
        let is_open = matches!(self.row.further, Further::Open(_)) && !self.is_closed;
        let known = self.row.names.iter().map(|it| it.name);
        let given = self.given.iter().map(String::as_str);
        let known: Vec<_> = known.chain(given).collect();
        if is_open || known.contains(&name) {
            return Ok(());
        }
        let what = format!("there is no name `{name}`");
        Err(unknown(&what, name, &known, part))
    }

    fn check_inside(&self, text: &str, first: &str, road: Vec<&Part>) -> Result<(), ExprError> {
        let listed = self.inside.iter().find(|it| it.0 == first);
        let mut listed = listed.map(|it| it.1.as_slice());
        let known = self.row.names.iter().find(|it| it.name == first);
        let mut inside = known.map_or(Inside::Open(&[]), |it| it.inside);
        let mut walked = first.to_owned();
        for part in road {
            let name = unquoted(part.text(text));
            let listed = listed.take();
            let (names, is_open) = match inside {
                Inside::Nothing => {
                    let what = format!("there is nothing inside of `{walked}`");
                    return Err(unknown(&what, name, &[], part));
                }
                Inside::Names(names) => (names, false),
                Inside::Open(names) => (names, listed.is_none()),
                Inside::Each(_) => (&[][..], listed.is_none()),
            };
            let found = names.iter().find(|it| it.name == name);
            let listed = listed.unwrap_or_default().iter().map(String::as_str);
            if found.is_none() && !is_open && !listed.clone().any(|it| it == name) {
                let known: Vec<_> = names.iter().map(|it| it.name).chain(listed).collect();
                let what = format!("there is no `{}` of `{walked}`", name.escape_debug());
                return Err(unknown(&what, name, &known, part));
            }
            inside = match (found, inside) {
                (Some(it), _) => it.inside,
                (None, Inside::Each(names)) => Inside::Names(names),
                (None, _) => return Ok(()),
            };
            walked.push('.');
            walked.push_str(name);
        }
        Ok(())
    }
}

fn unknown(what: &str, name: &str, known: &[&str], part: &Part) -> ExprError {
    ExprError {
        what: vocabulary::unknown(what, name, known),
        at: Some(part.at.clone()),
        kind: Kind::UnknownName,
    }
}

/// The `.NAME` and `['NAME']` behind the name that `parts` begin with.
pub(super) fn behind<'a>(text: &str, parts: &'a [Part]) -> Vec<&'a Part> {
    let mut found = Vec::new();
    let mut rest = &parts[1..];
    loop {
        rest = match rest {
            [dot, name, rest @ ..] if dot.text(text) == "." => {
                found.push(name);
                rest
            }
            [open, name, close, rest @ ..]
                if open.text(text) == "["
                    && name.role == Role::Text
                    && close.text(text) == "]"
                    && !name.text(text).contains('\\') =>
            {
                found.push(name);
                rest
            }
            _ => return found,
        };
    }
}

pub(super) fn unquoted(text: &str) -> &str {
    match text.as_bytes() {
        [b'\'' | b'"', .., _] => &text[1..text.len() - 1],
        _ => text,
    }
}
