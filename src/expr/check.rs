//! What is wrong with an expression before it is compiled: what minijinja
//! would notice only when it is computed, and what people write who think of
//! another language.

use super::ExprError;
use super::matching;
use super::parts;
use super::parts::Part;
use super::parts::Rank;
use super::parts::Role;
use super::specs::PRECISION;
use super::specs::Spec;
use super::units;
use super::vocabulary;
use super::vocabulary::FILTERS;
use super::vocabulary::FUNCTIONS;
use super::vocabulary::TESTS;

/// Words of one expression: compiling is recursive, and the stack is not endless.
const LONGEST: usize = 500;

/// Bytes of one expression.
const LARGEST: usize = 1 << 16;

/// Brackets in brackets.
const DEEPEST: usize = 20;

/// The parts of an expression whose filters, tests and operators all exist and
/// stand between values.
pub(super) fn parts(text: &str) -> Result<Vec<Part>, ExprError> {
    if text.len() > LARGEST {
        return Err(ExprError::bad("this expression is too long"));
    }
    let all = parts::of(text);
    if all.is_empty() {
        return Err(ExprError::bad("there is no expression"));
    }
    if all.len() > LONGEST {
        return Err(ExprError::bad("this expression is too long"));
    }
    let mut depth = 0_usize;
    for (index, part) in all.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|it| all.get(it));
        let surroundings = Surroundings {
            text,
            before,
            part,
            after: all.get(index + 1),
        };
        surroundings
            .check()
            .map_err(|what| ExprError::bad(what).at(part.at.clone()))?;
        match part.role {
            Role::Open => depth += 1,
            Role::Close => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            let what = format!("brackets are nested more than {DEEPEST} deep");
            return Err(ExprError::bad(what).at(part.at.clone()));
        }
        if part.role == Role::Test {
            check_argument(text, &all, index)?;
        }
    }
    Ok(all)
}

/// A part and its neighbours.
struct Surroundings<'a> {
    text: &'a str,
    before: Option<&'a Part>,
    part: &'a Part,
    after: Option<&'a Part>,
}

impl Surroundings<'_> {
    fn check(&self) -> Result<(), String> {
        let word = self.part.text(self.text);
        match self.part.role {
            Role::Unclosed => Err(format!("this `{}` is not closed", &word[..1])),
            Role::Filter => vocabulary::check("filter", FILTERS, word),
            Role::Test => vocabulary::check("test", TESTS, word),
            Role::Function => self.function(word),
            Role::Attribute if self.is_before("(") => Err(vocabulary::no_function(word)),
            Role::Name if word.starts_with("__") => {
                Err("names that begin with `__` are not for expressions".into())
            }
            Role::Number => units::number(word).map(drop),
            Role::Operator(_) => self.between(word, true),
            Role::Joiner | Role::Is => self.between(word, word != "is"),
            Role::Not if self.before.is_some_and(|it| it.role == Role::Is) => Ok(()),
            Role::Not if self.is_before("in") => self.between("not in", false),
            Role::Not | Role::Minus => self.followed(word),
            Role::Open if word == "(" && self.is_called() => {
                Err("there is nothing to call here".into())
            }
            Role::Sign => sign(word),
            _ => Ok(()),
        }
    }

    fn is_before(&self, word: &str) -> bool {
        self.after.is_some_and(|it| it.text(self.text) == word)
    }

    /// Whether the bracket here is behind a value that is no name.
    fn is_called(&self) -> bool {
        self.before.is_some_and(|it| {
            matches!(
                it.role,
                Role::Close | Role::Text | Role::Number | Role::Constant
            )
        })
    }

    fn function(&self, word: &str) -> Result<(), String> {
        if FUNCTIONS.iter().any(|it| it.name == word) {
            return Ok(());
        }
        Err(vocabulary::no_function(word))
    }

    /// Whether there are values on both sides, so far as one step shows.
    fn between(&self, word: &str, needs_value: bool) -> Result<(), String> {
        let is_denial = word == "in" && self.before.is_some_and(|it| it.role == Role::Not);
        if !is_denial && !self.before.is_some_and(Part::ends_value) {
            return Err(format!("there is nothing before `{word}`"));
        }
        if needs_value {
            return self.followed(word);
        }
        Ok(())
    }

    fn followed(&self, word: &str) -> Result<(), String> {
        let Some(after) = self.after else {
            return Err(format!("there is nothing behind `{word}`"));
        };
        // `not` binds weaker than what is computed with.
        let is_weak = matches!(self.part.role, Role::Operator(_) | Role::Minus);
        let is_not = is_weak && after.role == Role::Not;
        let is_sign = matches!(after.role, Role::Sign) && sign(after.text(self.text)).is_err();
        let is_unclosed = after.role == Role::Unclosed;
        if (after.begins_value() && !is_not) || is_sign || is_unclosed {
            return Ok(());
        }
        let shown = after.text(self.text);
        match after.role {
            // `a < = b`, `a = = b` and the like.
            Role::Operator(Rank::Compare) if shown != "in" => {
                Err(format!("`{word}` and `{shown}` are two operators in a row"))
            }
            _ => Err(format!("there is no value between `{word}` and `{shown}`")),
        }
    }
}

fn sign(word: &str) -> Result<(), String> {
    Err(match word {
        "." | "," | ":" | "|" => return Ok(()),
        "=" => "write `==` to compare".into(),
        "&&" => "write `and` instead of `&&`".into(),
        "||" => "write `or` instead of `||`".into(),
        "!" => "write `not` instead of `!`".into(),
        _ => format!("`{}` does not belong here", word.escape_debug()),
    })
}

/// Whether what is written behind a test can be used by it.
fn check_argument(text: &str, all: &[Part], test: usize) -> Result<(), ExprError> {
    let first = all.get(test + 1);
    let is_bracket = first.is_some_and(|it| it.text(text) == "(");
    let argument = if is_bracket { all.get(test + 2) } else { first };
    let Some(argument) = argument.filter(|it| it.role == Role::Text) else {
        return Ok(());
    };
    let behind = all.get(test + 2 + usize::from(is_bracket));
    let is_whole = behind
        .is_none_or(|it| matches!(it.role, Role::Close | Role::Joiner) || it.text(text) == ",");
    let shown = argument.text(text);
    let value = &shown[1..shown.len() - 1];
    if !is_whole || value.contains('\\') {
        return Ok(());
    }
    match all[test].text(text) {
        "matching" => matching::glob(value).map(drop),
        "matching_regex" => matching::regex(value).map(drop),
        "version_matching" => Spec::parse(value, PRECISION).map(drop),
        _ => Ok(()),
    }
    .map_err(|what| ExprError::bad(what).at(argument.at.clone()))
}
