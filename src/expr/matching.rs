//! The tests of an expression: what lists contain, which patterns fit, and
//! whether versions are the same.

use minijinja::Error;
use minijinja::Value;
use minijinja::value::ValueKind;
use regex::Regex;
use regex::RegexBuilder;

use super::math;
use super::math::wrong;
use super::specs::PRECISION;
use super::specs::Spec;
use super::vocabulary::quoted;
use crate::syntax::Glob;

/// Bytes of one pattern.
const LONGEST_PATTERN: usize = 1000;

/// What one compiled pattern may need.
const PATTERN_MEMORY: usize = 1 << 20;

pub(super) fn is_containing(value: &Value, item: &Value) -> Result<bool, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => math::contains(value, item),
        _ => Ok(!math::is_unset(value) && value == item),
    }
}

pub(super) fn is_startingwith(value: &Value, start: &str) -> Result<bool, Error> {
    any(value, |it| Ok(it.starts_with(start)))
}

pub(super) fn is_endingwith(value: &Value, end: &str) -> Result<bool, Error> {
    any(value, |it| Ok(it.ends_with(end)))
}

pub(super) fn is_matching(value: &Value, pattern: &str) -> Result<bool, Error> {
    let pattern = glob(pattern).map_err(wrong)?;
    any(value, |it| Ok(pattern.matches(it)))
}

pub(super) fn is_matching_regex(value: &Value, pattern: &str) -> Result<bool, Error> {
    let pattern = regex(pattern).map_err(wrong)?;
    any(value, |it| Ok(pattern.is_match(it)))
}

pub(super) fn is_version_matching(
    value: &Value,
    spec: &Value,
    precision: Option<&Value>,
) -> Result<bool, Error> {
    let precision = components(precision)?;
    let spec = Spec::parse(&math::text(spec)?, precision).map_err(wrong)?;
    any(value, |it| {
        Spec::parse(it, precision)
            .map(|it| it == spec)
            .map_err(wrong)
    })
}

/// How many components of a version count.
pub(super) fn components(precision: Option<&Value>) -> Result<usize, Error> {
    let Some(precision) = precision else {
        return Ok(PRECISION);
    };
    precision
        .as_usize()
        .filter(|it| (..=10).contains(it))
        .ok_or_else(|| wrong("a version is reduced to 0 to 10 components"))
}

/// Whether the text, or one of the list, passes.
fn any(value: &Value, passes: impl Fn(&str) -> Result<bool, Error>) -> Result<bool, Error> {
    if let Some(text) = value.as_str() {
        return passes(text);
    }
    match value.kind() {
        ValueKind::Number => passes(&value.to_string()),
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()? {
                let passed = match item.as_str() {
                    Some(text) => passes(text)?,
                    None if item.is_number() => passes(&item.to_string())?,
                    None => false,
                };
                if passed {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ if math::is_unset(value) => Ok(false),
        _ => Err(wrong(format!("{} is no text", math::kind(value)))),
    }
}

/// A pattern such as `docs/*.rst`, over the whole text.
pub(super) fn glob(pattern: &str) -> Result<Glob, String> {
    if pattern.len() > LONGEST_PATTERN {
        return Err("this pattern is too long".into());
    }
    Glob::parse(pattern)
        .ok_or_else(|| format!("a `[` is not closed in the pattern {}", quoted(pattern)))
}

/// A regular expression, which is looked for anywhere.
pub(super) fn regex(pattern: &str) -> Result<Regex, String> {
    compile(pattern, pattern).map_err(|error| {
        let reason = match &error {
            regex::Error::Syntax(text) => text
                .lines()
                .rev()
                .find_map(|it| it.strip_prefix("error: "))
                .unwrap_or("it cannot be read"),
            _ => "it is too large",
        };
        format!("no regular expression: {reason}")
    })
}

fn compile(regex: &str, pattern: &str) -> Result<Regex, regex::Error> {
    if pattern.len() > LONGEST_PATTERN {
        return Err(regex::Error::CompiledTooBig(LONGEST_PATTERN));
    }
    RegexBuilder::new(regex)
        .size_limit(PATTERN_MEMORY)
        .dfa_size_limit(PATTERN_MEMORY)
        .build()
}
