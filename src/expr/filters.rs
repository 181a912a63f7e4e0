//! What the filters and functions of an expression do.

use std::cmp::Ordering;

use minijinja::Error;
use minijinja::Value;
use minijinja::value::Rest;
use minijinja::value::ValueKind;
use sha2::Digest as _;
use sha2::Sha256;

use crate::model::hex;

use super::matching;
use super::math;
use super::math::LONGEST_TEXT;
use super::math::Number;
use super::math::wrong;
use super::specs::Spec;
use super::versions::Version;
use super::vocabulary::quoted;

pub(super) fn abs(value: &Value) -> Result<Value, Error> {
    match number(value)? {
        Number::Int(it) => i64::try_from(it.unsigned_abs())
            .map(Value::from)
            .map_err(|_| wrong("this number becomes too large")),
        Number::Float(it) => Ok(Value::from(it.abs())),
    }
}

pub(super) fn default(value: &Value, other: &Value) -> Value {
    if math::is_unset(value) { other } else { value }.clone()
}

pub(super) fn first(value: &Value) -> Result<Value, Error> {
    Ok(items(value)?.next().unwrap_or_else(none))
}

pub(super) fn last(value: &Value) -> Result<Value, Error> {
    Ok(items(value)?.last().unwrap_or_else(none))
}

fn none() -> Value {
    Value::from(())
}

pub(super) fn float(value: &Value, other: Option<&Value>) -> Result<Value, Error> {
    let read = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => Number::of(value).map(Number::as_float),
    };
    match read.filter(|it| it.is_finite()) {
        Some(it) => Ok(Value::from(it)),
        None => no_number(value, other),
    }
}

pub(super) fn hash(value: &Value, digits: Option<usize>) -> Result<String, Error> {
    let digits = digits.unwrap_or(16);
    if !(1..=64).contains(&digits) {
        return Err(wrong("a hash has 1 to 64 digits"));
    }
    let digest = Sha256::digest(math::text(value)?.as_bytes());
    let mut hex = hex(&digest);
    hex.truncate(digits);
    Ok(hex)
}

pub(super) fn int(value: &Value, other: Option<&Value>) -> Result<Value, Error> {
    let read = match value.as_str() {
        Some(text) => match text.trim().parse() {
            Ok(it) => Some(Number::Int(it)),
            Err(_) => text.trim().parse().ok().map(Number::Float),
        },
        None if value.kind() == ValueKind::Bool => Some(Number::Int(value.is_true().into())),
        None => Number::of(value),
    };
    let whole = match read {
        Some(Number::Int(it)) => i64::try_from(it).ok(),
        // Beyond this, a float is no longer exact.
        Some(Number::Float(it)) if it.abs() < 9e15 => Some(it.trunc() as i64),
        _ => None,
    };
    match whole {
        Some(it) => Ok(Value::from(it)),
        None => no_number(value, other),
    }
}

fn no_number(value: &Value, other: Option<&Value>) -> Result<Value, Error> {
    if let Some(other) = other {
        return Ok(other.clone());
    }
    Err(wrong(match value.as_str() {
        Some(text) => format!("{} is no number", quoted(text)),
        None => format!("{} is no number", math::kind(value)),
    }))
}

pub(super) fn join(value: &Value, between: Option<&str>) -> Result<String, Error> {
    let mut out = String::new();
    for (index, item) in items(value)?.enumerate() {
        if index > 0 {
            out.push_str(between.unwrap_or_default());
        }
        out.push_str(&math::text(&item)?);
        if out.len() > LONGEST_TEXT {
            return Err(math::too_long());
        }
    }
    Ok(out)
}

pub(super) fn length(value: &Value) -> Result<usize, Error> {
    let no_length = || wrong(format!("{} has no length", math::kind(value)));
    value.len().ok_or_else(no_length)
}

pub(super) fn lower(value: &Value) -> Result<String, Error> {
    Ok(text(value)?.to_lowercase())
}

pub(super) fn upper(value: &Value) -> Result<String, Error> {
    Ok(text(value)?.to_uppercase())
}

pub(super) fn trim(value: &Value) -> Result<String, Error> {
    Ok(text(value)?.trim().to_owned())
}

pub(super) fn max(value: &Value) -> Result<Value, Error> {
    Ok(sorted(value)?.pop().unwrap_or_else(none))
}

pub(super) fn min(value: &Value) -> Result<Value, Error> {
    Ok(sorted(value)?.into_iter().next().unwrap_or_else(none))
}

pub(super) fn greatest(all: Rest<Value>) -> Result<Value, Error> {
    max(&Value::from(all.0))
}

pub(super) fn least(all: Rest<Value>) -> Result<Value, Error> {
    min(&Value::from(all.0))
}

pub(super) fn sort(value: &Value) -> Result<Value, Error> {
    Ok(Value::from(sorted(value)?))
}

fn sorted(value: &Value) -> Result<Vec<Value>, Error> {
    let mut all: Vec<_> = items(value)?.collect();
    let mut problem = None;
    // First what has no order at all, so that sorting sees an order only.
    for pair in all.windows(2) {
        match math::order(&pair[0], &pair[1])? {
            Some(_) => {}
            None => problem = Some(wrong("`none` is in no order")),
        }
    }
    if let Some(problem) = problem {
        return Err(problem);
    }
    all.sort_by(|left, right| {
        math::order(left, right)
            .ok()
            .flatten()
            .unwrap_or(Ordering::Equal)
    });
    Ok(all)
}

pub(super) fn prefixed(value: &Value, before: &str) -> Result<Value, Error> {
    let mut all = Vec::new();
    let mut length = 0;
    for item in items(value)? {
        let text = format!("{before}{}", math::text(&item)?);
        length += text.len();
        if length > LONGEST_TEXT {
            return Err(math::too_long());
        }
        all.push(text);
    }
    Ok(Value::from(all))
}

pub(super) fn reduced(value: &Value, precision: Option<&Value>) -> Result<String, Error> {
    let precision = matching::components(precision)?;
    let spec = Spec::parse(&math::text(value)?, precision).map_err(wrong)?;
    Ok(spec.to_string())
}

pub(super) fn replace(value: &Value, from: &str, to: &str) -> Result<String, Error> {
    let text = text(value)?;
    if from.is_empty() {
        return Err(wrong("an empty text cannot be replaced"));
    }
    let grown = text.matches(from).count() * to.len();
    if text.len() + grown > LONGEST_TEXT {
        return Err(math::too_long());
    }
    Ok(text.replace(from, to))
}

pub(super) fn round(value: &Value, decimals: Option<i32>) -> Result<Value, Error> {
    let number = number(value)?;
    let decimals = decimals.unwrap_or(0);
    if !(0..=10).contains(&decimals) {
        return Err(wrong("a number is rounded to 0 to 10 decimals"));
    }
    let Number::Float(float) = number else {
        return Ok(value.clone());
    };
    if decimals == 0 && float.abs() < 9e15 {
        return Ok(Value::from(float.round() as i64));
    }
    let shift = 10_f64.powi(decimals);
    let rounded = (float * shift).round() / shift;
    // What is too large to be shifted has no decimals.
    Ok(Value::from(if rounded.is_finite() {
        rounded
    } else {
        float
    }))
}

pub(super) fn split(value: &Value, between: Option<&str>) -> Result<Value, Error> {
    let text = text(value)?;
    match between {
        Some("") => Err(wrong("a text is not split at nothing")),
        Some(between) => math::list(text.split(between).map(Value::from)),
        None => math::list(text.split_whitespace().map(Value::from)),
    }
}

pub(super) fn string(value: &Value) -> Result<String, Error> {
    math::text(value)
}

pub(super) fn unique(value: &Value) -> Result<Value, Error> {
    let mut seen = std::collections::BTreeSet::new();
    let all = items(value)?.filter(|it| seen.insert(it.clone()));
    Ok(Value::from(all.collect::<Vec<_>>()))
}

pub(super) fn version(value: &Value) -> Result<String, Error> {
    Ok(Version::parse(&math::text(value)?).canonical())
}

fn items(value: &Value) -> Result<impl Iterator<Item = Value>, Error> {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => value.try_iter(),
        _ => Err(wrong(format!("{} is no list", math::kind(value)))),
    }
}

fn number(value: &Value) -> Result<Number, Error> {
    Number::of(value).ok_or_else(|| wrong(format!("{} is no number", math::kind(value))))
}

fn text(value: &Value) -> Result<&str, Error> {
    value
        .as_str()
        .ok_or_else(|| wrong(format!("{} is no text", math::kind(value))))
}
