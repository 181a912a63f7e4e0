//! The empty room: the few filters and tests that an expression may use, and
//! what its errors say.

use std::sync::LazyLock;

use minijinja::Environment;
use minijinja::Error;
use minijinja::ErrorKind;
use minijinja::Expression;
use minijinja::UndefinedBehavior;
use minijinja::Value;
use minijinja::filters;
use minijinja::tests;

use super::ConditionError;
use super::tokens;
use super::tokens::Token;

/// Instructions that one evaluation may take.
const FUEL: u64 = 20_000;

/// Words of one expression: compiling is recursive, and the stack is not endless.
const LONGEST: usize = 500;

/// Longest text that `join` makes: lists are repeated with `*` in no time.
const JOIN_LIMIT: usize = 1 << 20;

const FILTERS: &[&str] = &["default", "int", "join", "length", "lower", "trim", "upper"];

const TESTS: &[&str] = &["defined", "endingwith", "none", "startingwith", "undefined"];

static ROOM: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut room = Environment::empty();
    room.set_undefined_behavior(UndefinedBehavior::Strict);
    room.set_fuel(Some(FUEL));
    room.set_debug(true);
    room.add_filter("default", filters::default);
    room.add_filter("int", filters::int);
    room.add_filter("join", join);
    room.add_filter("length", filters::length);
    room.add_filter("lower", filters::lower);
    room.add_filter("trim", filters::trim);
    room.add_filter("upper", filters::upper);
    // A property that is not set is none here, and none is not defined.
    room.add_test("defined", |value: &Value| !is_unset(value));
    room.add_test("undefined", is_unset);
    room.add_test("none", is_unset);
    room.add_test("startingwith", tests::is_startingwith);
    room.add_test("endingwith", tests::is_endingwith);
    room
});

fn is_unset(value: &Value) -> bool {
    value.is_undefined() || value.is_none()
}

fn join(list: &Value, between: Option<&str>) -> Result<String, Error> {
    let mut out = String::new();
    for (index, item) in list.try_iter()?.enumerate() {
        if index > 0 {
            out.push_str(between.unwrap_or_default());
        }
        out.push_str(&item.to_string());
        if out.len() > JOIN_LIMIT {
            let what = "the joined text is too long";
            return Err(Error::new(ErrorKind::InvalidOperation, what));
        }
    }
    Ok(out)
}

/// Compiles an expression whose filters, tests and operators all exist.
pub(super) fn compile(text: &str) -> Result<Expression<'static, 'static>, ConditionError> {
    look_over(text)?;
    ROOM.compile_expression_owned(text.to_owned())
        .map_err(|error| explain(text, &error))
}

/// Says what an error of minijinja means, in one line.
pub(super) fn explain(text: &str, error: &Error) -> ConditionError {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => "this takes too long to compute".into(),
        (_, Some(detail)) => detail.to_owned(),
        (kind, None) => kind.to_string(),
    };
    // Some of its ranges end inside a character.
    let at = error.range().filter(|it| !it.is_empty());
    let at = at.filter(|it| text.get(it.clone()).is_some());
    ConditionError { what, at }
}

pub(super) fn unknown<'a>(
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let limit = 1 + name.chars().count() / 4;
    let near = known
        .clone()
        .map(|it| (strsim::damerau_levenshtein(name, it), it))
        .filter(|(distance, _)| *distance <= limit)
        .min();
    if let Some((_, near)) = near {
        return format!("there is no {kind} `{name}`; did you mean `{near}`?");
    }
    let known: Vec<_> = known.map(|it| format!("`{it}`")).collect();
    if known.is_empty() {
        format!("there is no {kind} `{name}`")
    } else {
        format!(
            "there is no {kind} `{name}`; there are {}",
            known.join(", ")
        )
    }
}

/// Finds what minijinja would notice only when the expression is computed, and
/// what people write who think of another language.
fn look_over(text: &str) -> Result<(), ConditionError> {
    let all = tokens::of(text);
    if all.is_empty() {
        return Err(ConditionError {
            what: "there is no expression".into(),
            at: None,
        });
    }
    if all.len() > LONGEST {
        return Err(ConditionError {
            what: "this expression is too long".into(),
            at: None,
        });
    }
    let word = |index: Option<usize>| {
        index
            .and_then(|it| all.get(it))
            .map_or("", |(_, at)| &text[at.clone()])
    };
    let mut depth = 0_usize;
    for (index, (token, at)) in all.iter().enumerate() {
        let error = |what: String| {
            Err(ConditionError {
                what,
                at: Some(at.clone()),
            })
        };
        let before = word(index.checked_sub(1));
        let after = word(index.checked_add(1));
        match (token, &text[at.clone()]) {
            (Token::Open, quote) => return error(format!("this `{}` is not closed", &quote[..1])),
            (Token::Sign, "=") if depth == 0 => {
                return error("write `==` to compare".into());
            }
            (Token::Sign, "&&") => return error("write `and` instead of `&&`".into()),
            (Token::Sign, "||") => return error("write `or` instead of `||`".into()),
            (Token::Sign, "!") => return error("write `not` instead of `!`".into()),
            (Token::Sign, "(") => depth += 1,
            (Token::Sign, ")") => depth = depth.saturating_sub(1),
            (Token::Name, name) => {
                let is_test = before == "is" && name != "not"
                    || before == "not" && word(index.checked_sub(2)) == "is";
                if before == "|" {
                    if !FILTERS.contains(&name) {
                        return error(unknown("filter", name, FILTERS.iter().copied()));
                    }
                } else if is_test {
                    if !TESTS.contains(&name) {
                        return error(unknown("test", name, TESTS.iter().copied()));
                    }
                } else if after == "(" && !tokens::is_keyword(name) {
                    return error(format!("there is no function `{name}`"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
