//! The language of the configuration: conditions, sort keys and texts are
//! expressions, computed by minijinja without side effects and with limited
//! fuel. It knows names and values, not what they mean.

#![cfg_attr(
    not(test),
    expect(
        dead_code,
        unused_imports,
        reason = "the language is whole; not every key that speaks it is there yet"
    )
)]

mod check;
mod condition;
mod contexts;
mod fill;
#[cfg(test)]
mod fill_tests;
mod filters;
#[cfg(test)]
mod hostile_tests;
mod matching;
mod math;
pub(crate) mod names;
#[cfg(test)]
mod names_tests;
mod nodes;
mod parts;
mod rewrite;
mod room;
mod specs;
mod stamped;
mod tags;
mod template;
#[cfg(test)]
mod tests;
mod timed;
mod tokens;
mod units;
mod values;
mod versions;
pub(crate) mod vocabulary;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;

use crate::syntax;
use crate::syntax::Code;
use crate::syntax::Misread;
use crate::syntax::Node;

pub(crate) use condition::Condition;
pub(crate) use contexts::Context;
pub(crate) use contexts::Further;
pub(crate) use contexts::Inside;
pub(crate) use contexts::Known;
pub(crate) use fill::fill;
pub(crate) use fill::fill_name;
pub(crate) use fill::names_in;
pub(crate) use nodes::Fillings;
pub(crate) use nodes::fill_entries;
pub(crate) use nodes::fill_node;
pub(crate) use stamped::StampText;
pub(crate) use tags::TagExpression;
pub(crate) use template::Template;
pub(crate) use timed::Amount;
pub(crate) use values::Values;

/// An expression, compiled when it was loaded.
#[derive(Clone)]
pub(crate) struct Expression(Arc<Inner>);

struct Inner {
    text: String,
    compiled: room::Compiled,
}

/// An expression or text that cannot be read or computed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub(crate) struct ExprError {
    pub(crate) what: String,
    /// The bytes of the text that are wrong, if known.
    pub(crate) at: Option<Range<usize>>,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BadExpression,
    UnknownName,
}

impl Expression {
    /// Compiles an expression over the names of `context`.
    pub(crate) fn compile(text: &str, context: &Context) -> Result<Self, ExprError> {
        Ok(Self(Arc::new(Inner {
            text: text.to_owned(),
            compiled: room::compile(text, context)?,
        })))
    }

    /// Reads the expression that the node's text is.
    pub(crate) fn read_in(node: &Node, context: &Context) -> Result<Self, Misread> {
        let text = node.as_text()?;
        Self::compile(text, context).map_err(|error| error.in_node(node, text))
    }

    /// As it is written.
    pub(crate) fn as_str(&self) -> &str {
        &self.0.text
    }

    /// Whether it uses the bare name.
    pub(crate) fn uses(&self, name: &str) -> bool {
        self.0.compiled.names.iter().any(|it| it == name)
    }

    /// Whether it looks at this inside of the name; also if it looks at all of the name.
    pub(crate) fn reads(&self, name: &str, inside: &str) -> bool {
        let reads = &self.0.compiled.reads;
        let mut of_name = reads.iter().filter(|it| it.0 == name);
        of_name.any(|(_, read)| read.as_ref().is_none_or(|it| it == inside))
    }

    /// Computes it.
    pub(crate) fn eval(&self, values: &Values) -> Result<Json, ExprError> {
        let value = self.value(values)?;
        if value.is_undefined() {
            return Ok(Json::Null);
        }
        serde_json::to_value(&value).map_err(|_| ExprError::bad("this is no value"))
    }

    /// Whether it holds: `none`, nothing, zero and what is empty do not.
    pub(crate) fn holds(&self, values: &Values) -> Result<bool, ExprError> {
        Ok(self.value(values)?.is_true())
    }

    /// Its number.
    pub(crate) fn number(&self, values: &Values) -> Result<f64, ExprError> {
        let value = self.value(values)?;
        let number = math::Number::of(&value).map(math::Number::as_float);
        number.filter(|it| it.is_finite()).ok_or_else(|| {
            let hint = match value.as_str() {
                Some(_) => "; `| float` reads a text",
                None => "",
            };
            ExprError::bad(format!(
                "this is {}, not a number{hint}",
                math::kind(&value)
            ))
        })
    }

    /// Its text; `none` is the empty one.
    pub(crate) fn text(&self, values: &Values) -> Result<String, ExprError> {
        let text = math::text(&self.value(values)?);
        text.map_err(|error| ExprError::bad(error.detail().unwrap_or_default()))
    }

    /// Its time: a number of seconds, or a text such as `5m`.
    pub(crate) fn duration(&self, values: &Values) -> Result<Duration, ExprError> {
        let value = self.value(values)?;
        let read = match value.as_str() {
            Some(text) => syntax::duration(text),
            None => math::Number::of(&value)
                .and_then(|it| Duration::try_from_secs_f64(it.as_float()).ok()),
        };
        let read = read.filter(|it| *it <= syntax::LONGEST_DURATION);
        read.ok_or_else(|| {
            let shown: String = value.to_string().chars().take(40).collect();
            let what = match math::Number::of(&value) {
                Some(it) if it.as_float() < 0.0 => format!("`{shown}` is less than no time"),
                Some(_) => format!("`{shown}` is longer than 36500 days"),
                None => format!("this is {}, not a duration", math::kind(&value)),
            };
            ExprError::bad(what)
        })
    }

    fn value(&self, values: &Values) -> Result<minijinja::Value, ExprError> {
        self.0.compiled.eval(&self.0.text, values.root())
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Expression({:?})", self.0.text)
    }
}

impl ExprError {
    fn bad(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            at: None,
            kind: Kind::BadExpression,
        }
    }

    fn at(mut self, at: Range<usize>) -> Self {
        self.at = Some(at);
        self
    }

    /// The same, where the text is a part of another and begins at `start`.
    fn moved(mut self, start: usize, length: usize) -> Self {
        let at = self.at.unwrap_or(0..length);
        self.at = Some(start + at.start..start + at.end);
        self
    }

    /// The word for what kind of mistake it is.
    pub(crate) const fn code(&self) -> Code {
        match self.kind {
            Kind::BadExpression => Code::BadExpression,
            Kind::UnknownName => Code::UnknownName,
        }
    }

    /// The complaint about `text`, which was read from the node.
    pub(crate) fn in_node(self, node: &Node, text: &str) -> Misread {
        let code = Some(self.code());
        let at = self.at.unwrap_or(0..text.len());
        Misread {
            code,
            ..node.misread(text, at, self.what)
        }
    }
}
