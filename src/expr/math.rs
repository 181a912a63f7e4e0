//! How values are compared and computed with: numbers as numbers, texts as
//! versions, and nothing grows without limit.

use std::cmp::Ordering;

use minijinja::Error;
use minijinja::ErrorKind;
use minijinja::Value;
use minijinja::value::Rest;
use minijinja::value::ValueKind;

use super::versions;

/// Bytes of the longest text that an expression makes.
pub(super) const LONGEST_TEXT: usize = 1 << 20;

/// Items of the longest list that an expression makes.
pub(super) const LONGEST_LIST: usize = 10_000;

pub(super) fn wrong(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, what.into())
}

/// `A < B == C …`: every neighbouring pair.
pub(super) fn compared(chain: Rest<Value>) -> Result<bool, Error> {
    let mut holds = true;
    for step in chain.0.windows(3).step_by(2) {
        let [left, operator, right] = step else {
            return Err(wrong("this comparison is not complete"));
        };
        let order = |fits: fn(Ordering) -> bool| order(left, right).map(|it| it.is_some_and(fits));
        holds &= match operator.as_str() {
            Some("==") => equal(left, right),
            Some("!=") => !equal(left, right),
            Some("<") => order(Ordering::is_lt)?,
            Some("<=") => order(Ordering::is_le)?,
            Some(">") => order(Ordering::is_gt)?,
            Some(">=") => order(Ordering::is_ge)?,
            Some("in") => contains(right, left)?,
            _ => !contains(right, left)?,
        };
    }
    Ok(holds)
}

/// Whether it is `none`, or nothing at all.
pub(super) fn is_unset(value: &Value) -> bool {
    value.is_undefined() || value.is_none()
}

fn equal(left: &Value, right: &Value) -> bool {
    left == right || is_unset(left) && is_unset(right)
}

/// Orders numbers and texts; nothing is before or behind `none`.
pub(super) fn order(left: &Value, right: &Value) -> Result<Option<Ordering>, Error> {
    if is_unset(left) || is_unset(right) {
        return Ok(None);
    }
    if let (Some(left), Some(right)) = (left.as_str(), right.as_str()) {
        return Ok(Some(versions::compare(left, right)));
    }
    match (Number::of(left), Number::of(right)) {
        (Some(Number::Int(left)), Some(Number::Int(right))) => Ok(Some(left.cmp(&right))),
        (Some(left), Some(right)) => Ok(left.as_float().partial_cmp(&right.as_float())),
        (Some(_), None) if right.as_str().is_some() => Err(text_and_number()),
        (None, Some(_)) if left.as_str().is_some() => Err(text_and_number()),
        _ => Err(wrong(format!(
            "{} and {} have no order",
            kind(left),
            kind(right)
        ))),
    }
}

fn text_and_number() -> Error {
    wrong(
        "a text and a number have no order; put a version in quotes, or read the text with `| int`",
    )
}

/// Whether a list has the item, a map the key, or a text the other text.
pub(super) fn contains(container: &Value, item: &Value) -> Result<bool, Error> {
    if let Some(text) = container.as_str() {
        let part = item
            .as_str()
            .ok_or_else(|| wrong(format!("{} cannot be in a text", kind(item))))?;
        return Ok(text.contains(part));
    }
    match container.kind() {
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {
            Ok(container.try_iter()?.any(|it| equal(&it, item)))
        }
        _ => Err(wrong(format!("nothing can be in {}", kind(container)))),
    }
}

/// `A + B - C …`, from left to right.
pub(super) fn computed(chain: Rest<Value>) -> Result<Value, Error> {
    let mut steps = chain.0.into_iter();
    let incomplete = || wrong("this calculation is not complete");
    let mut total = steps.next().ok_or_else(incomplete)?;
    while let Some(operator) = steps.next() {
        let right = steps.next().ok_or_else(incomplete)?;
        let operator = operator.as_str().ok_or_else(incomplete)?;
        total = step(&total, operator, &right)?;
    }
    Ok(total)
}

fn step(left: &Value, operator: &str, right: &Value) -> Result<Value, Error> {
    if operator == "~" {
        return joined(&text(left)?, &text(right)?);
    }
    if let (Some(left), Some(right)) = (Number::of(left), Number::of(right)) {
        return left.with(operator, right);
    }
    let is_list = |it: &Value| matches!(it.kind(), ValueKind::Seq | ValueKind::Iterable);
    match (operator, left.as_str(), right.as_str()) {
        ("+", Some(left), Some(right)) => joined(left, right),
        ("+", ..) if is_list(left) && is_list(right) => {
            let all = left.try_iter()?.chain(right.try_iter()?);
            list(all)
        }
        ("+", Some(_), None) | ("+", None, Some(_)) => Err(wrong(format!(
            "{} and {} cannot be added; `~` joins texts",
            kind(left),
            kind(right)
        ))),
        _ => Err(wrong(format!(
            "`{operator}` cannot be used with {} and {}",
            kind(left),
            kind(right)
        ))),
    }
}

fn joined(left: &str, right: &str) -> Result<Value, Error> {
    if left.len() + right.len() > LONGEST_TEXT {
        return Err(too_long());
    }
    Ok(Value::from([left, right].concat()))
}

pub(super) fn too_long() -> Error {
    wrong("this text becomes too long")
}

/// A list of these, if they are not too many.
pub(super) fn list(all: impl Iterator<Item = Value>) -> Result<Value, Error> {
    let all: Vec<_> = all.take(LONGEST_LIST + 1).collect();
    if all.len() > LONGEST_LIST {
        return Err(wrong("this list becomes too long"));
    }
    Ok(Value::from(all))
}

/// A value as it stands in a text; `none` is nothing.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    if value.is_undefined() {
        return Err(wrong("this has no value"));
    }
    if value.is_none() {
        return Ok(String::new());
    }
    Ok(value.to_string())
}

/// What it is, in a sentence.
pub(super) fn kind(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Bool => "yes or no",
        ValueKind::Number => "a number",
        ValueKind::String => "a text",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a map",
        _ if is_unset(value) => "`none`",
        _ => "this",
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    pub(super) fn of(value: &Value) -> Option<Self> {
        if !value.is_number() {
            return None;
        }
        if value.is_integer() {
            return i128::try_from(value.clone()).ok().map(Self::Int);
        }
        f64::try_from(value.clone()).ok().map(Self::Float)
    }

    pub(super) fn as_float(self) -> f64 {
        match self {
            Self::Int(it) => it as f64,
            Self::Float(it) => it,
        }
    }

    fn with(self, operator: &str, right: Self) -> Result<Value, Error> {
        if right.as_float() == 0.0 && matches!(operator, "/" | "//" | "%") {
            return Err(wrong("this divides by zero"));
        }
        let number = match (self, right) {
            (Self::Int(left), Self::Int(right)) => ints(left, operator, right),
            _ => Some(Self::Float(floats(
                self.as_float(),
                operator,
                right.as_float(),
            ))),
        };
        match number {
            Some(Self::Float(it)) if !it.is_finite() => None,
            number => number.and_then(Self::to_value),
        }
        .ok_or_else(|| wrong("this number becomes too large"))
    }

    fn to_value(self) -> Option<Value> {
        match self {
            // JSON and the store have no larger whole numbers.
            Self::Int(it) => i64::try_from(it).ok().map(Value::from),
            Self::Float(it) => Some(Value::from(it)),
        }
    }
}

fn ints(left: i128, operator: &str, right: i128) -> Option<Number> {
    let whole = match operator {
        "+" => left.checked_add(right),
        "-" => left.checked_sub(right),
        "*" => left.checked_mul(right),
        "/" if left % right != 0 => return Some(Number::Float(left as f64 / right as f64)),
        "/" => left.checked_div(right),
        "//" => left
            .checked_sub(floor_rest(left, right))?
            .checked_div(right),
        _ => Some(floor_rest(left, right)),
    };
    whole.map(Number::Int)
}

/// What is left of `left`, with the sign of `right`.
fn floor_rest(left: i128, right: i128) -> i128 {
    let rest = left.checked_rem(right).unwrap_or(0);
    if rest != 0 && (rest < 0) != (right < 0) {
        rest + right
    } else {
        rest
    }
}

fn floats(left: f64, operator: &str, right: f64) -> f64 {
    match operator {
        "+" => left + right,
        "-" => left - right,
        "*" => left * right,
        "/" => left / right,
        "//" => (left / right).floor(),
        _ => left - right * (left / right).floor(),
    }
}
