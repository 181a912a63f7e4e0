//! The empty room: minijinja with our few filters, tests and functions, limited
//! fuel, and nothing else.

use std::collections::HashSet;
use std::sync::LazyLock;

use minijinja::Environment;
use minijinja::Error;
use minijinja::ErrorKind;
use minijinja::Expression;
use minijinja::UndefinedBehavior;

use super::ExprError;
use super::check;
use super::contexts;
use super::contexts::Context;
use super::filters;
use super::matching;
use super::math;
use super::parts::Role;
use super::rewrite;
use super::rewrite::Rewritten;

/// Instructions that one evaluation may take.
const FUEL: u64 = 20_000;

static ROOM: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut room = Environment::empty();
    // What is inside of nothing is nothing; names are checked before.
    room.set_undefined_behavior(UndefinedBehavior::Chainable);
    room.set_fuel(Some(FUEL));
    room.set_debug(true);
    room.add_function("__compared", math::compared);
    room.add_function("__computed", math::computed);
    room.add_function("__max", filters::greatest);
    room.add_function("__min", filters::least);
    room.add_filter("abs", filters::abs);
    room.add_filter("default", filters::default);
    room.add_filter("first", filters::first);
    room.add_filter("float", filters::float);
    room.add_filter("hash", filters::hash);
    room.add_filter("int", filters::int);
    room.add_filter("join", filters::join);
    room.add_filter("last", filters::last);
    room.add_filter("length", filters::length);
    room.add_filter("lower", filters::lower);
    room.add_filter("max", filters::max);
    room.add_filter("min", filters::min);
    room.add_filter("prefixed", filters::prefixed);
    room.add_filter("reduced", filters::reduced);
    room.add_filter("replace", filters::replace);
    room.add_filter("round", filters::round);
    room.add_filter("sort", filters::sort);
    room.add_filter("split", filters::split);
    room.add_filter("string", filters::string);
    room.add_filter("trim", filters::trim);
    room.add_filter("unique", filters::unique);
    room.add_filter("upper", filters::upper);
    room.add_filter("version", filters::version);
    room.add_test("containing", matching::is_containing);
    // A property that is not set is none here, and none is not defined.
    room.add_test("defined", |value: &minijinja::Value| !math::is_unset(value));
    room.add_test("endingwith", matching::is_endingwith);
    room.add_test(
        "in",
        |value: &minijinja::Value, container: &minijinja::Value| math::contains(container, value),
    );
    room.add_test("matching", matching::is_matching);
    room.add_test("matching_regex", matching::is_matching_regex);
    room.add_test("none", math::is_unset);
    room.add_test("startingwith", matching::is_startingwith);
    room.add_test("undefined", math::is_unset);
    room.add_test("version_matching", matching::is_version_matching);
    room
});

/// An expression that is ready to be computed.
pub(super) struct Compiled {
    expression: Expression<'static, 'static>,
    rewritten: Rewritten,
    /// Its bare names, as they are used.
    pub(super) names: Vec<String>,
    /// Each of them with what stands behind its dot, if that is known.
    pub(super) reads: Vec<(String, Option<String>)>,
}

/// Compiles an expression whose names, filters, tests and operators all exist.
pub(super) fn compile(text: &str, context: &Context) -> Result<Compiled, ExprError> {
    let parts = check::parts(text)?;
    // As it stands, so that complaints about it are in its own words.
    let mut plain = text.to_owned();
    for part in parts.iter().filter(|it| it.role == Role::Number) {
        if part
            .text(text)
            .ends_with(|it: char| it.is_ascii_alphabetic())
        {
            plain.replace_range(part.at.clone(), &"1".repeat(part.at.len().min(18)));
            if part.at.len() > 18 {
                return Err(ExprError::bad("this number is too long").at(part.at.clone()));
            }
        }
    }
    ROOM.compile_expression_owned(plain)
        .map_err(|error| explain(text, &error, Some))?;
    context.check(text, &parts)?;
    let rewritten = rewrite::rewrite(text, &parts, &|it| context.is_called(it));
    let expression = ROOM
        .compile_expression_owned(rewritten.text.clone())
        .map_err(|error| explain(text, &error, |at| rewritten.origin(&at)))?;
    let names = parts.iter().enumerate();
    let names = names.filter(|(_, it)| it.role == Role::Name);
    let reads = names.map(|(index, name)| {
        let inside = contexts::behind(text, &parts[index..]);
        let inside = inside.first().map(|it| contexts::unquoted(it.text(text)));
        (name.text(text).to_owned(), inside.map(str::to_owned))
    });
    let reads: Vec<(String, Option<String>)> = reads.collect();
    Ok(Compiled {
        expression,
        rewritten,
        names: reads.iter().map(|it| it.0.clone()).collect(),
        reads,
    })
}

impl Compiled {
    /// Computes it; `text` is what it was compiled from.
    pub(super) fn eval(
        &self,
        text: &str,
        root: minijinja::Value,
    ) -> Result<minijinja::Value, ExprError> {
        self.expression
            .eval(root)
            .map_err(|error| explain(text, &error, |at| self.rewritten.origin(&at)))
    }
}

type Place = std::ops::Range<usize>;

/// Compiles a text with statements, and gives the names that it asks for.
pub(super) fn template_names(text: &str) -> Result<HashSet<String>, ExprError> {
    match ROOM.template_from_str(text) {
        Ok(template) => Ok(template.undeclared_variables(false)),
        Err(error) => Err(explain(text, &error, Some)),
    }
}

/// Says what an error of minijinja means, in one line.
fn explain(text: &str, error: &Error, origin: impl Fn(Place) -> Option<Place>) -> ExprError {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "this takes too long to compute".into(),
        (ErrorKind::MissingArgument, _) => "an argument is missing".into(),
        (ErrorKind::TooManyArguments, _) => "there are too many arguments".into(),
        (_, Some(detail)) => detail.to_owned(),
        (kind, None) => kind.to_string(),
    };
    let at = error.range().filter(|it| !it.is_empty()).and_then(origin);
    // Some of its ranges end inside a character, or in white space.
    let at = at.and_then(|it| {
        let shown = text.get(it.clone())?;
        let start = it.start + (shown.len() - shown.trim_start().len());
        let end = start + shown.trim().len();
        (start < end).then_some(start..end)
    });
    let error = ExprError::bad(what);
    match at {
        Some(at) => error.at(at),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::names::VALUES;
    use crate::expr::vocabulary::FILTERS;
    use crate::expr::vocabulary::FUNCTIONS;
    use crate::expr::vocabulary::TESTS;

    #[test]
    fn the_tables_and_the_room_have_the_same_words() {
        for (words, marker) in [
            (FILTERS, "filter"),
            (TESTS, "test"),
            (FUNCTIONS, "function"),
        ] {
            for word in words {
                let context = VALUES.with_names([
                    "a",
                    "b",
                    "branch",
                    "file",
                    "list",
                    "n",
                    "repository",
                    "text",
                ]);
                if let Err(error) = compile(word.example, &context) {
                    panic!("the {marker} `{}`: {error}", word.name);
                }
                assert!(word.example.contains(word.name), "{}", word.name);
            }
            assert!(words.is_sorted_by_key(|it| it.name), "{marker}s in order");
        }
        let source = include_str!("room.rs");
        for (words, kind) in [(FILTERS, "filter"), (TESTS, "test")] {
            let marker = format!("\n    room.add_{kind}(");
            assert_eq!(source.matches(&marker).count(), words.len(), "{kind}s");
        }
    }
}
