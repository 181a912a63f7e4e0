//! Times that may depend on the build: `45m * slave.timeout_factor`.

use std::time::Duration;

use super::ExprError;
use super::Expression;
use super::Values;
use super::names::STEP;
use super::parts;
use crate::syntax::Content;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Shape;
use crate::syntax::Value;

/// A time that is written down, or computed when the step begins.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Amount {
    Fixed(Duration),
    Computed(Expression),
}

impl Amount {
    /// How long it is over the names of the step's context.
    pub(crate) fn over(&self, values: &Values) -> Result<Duration, ExprError> {
        match self {
            Self::Fixed(it) => Ok(*it),
            Self::Computed(it) => it.duration(values),
        }
    }
}

impl From<Duration> for Amount {
    fn from(it: Duration) -> Self {
        Self::Fixed(it)
    }
}

impl Value for Amount {
    const EXPECTED: &'static str =
        "a duration such as `90s` or `5m`, or an expression such as `45m * slave.timeout_factor`";
    const SHAPE: Shape = Shape::Expression;

    fn read(node: &Node) -> Result<Self, Misread> {
        let fixed = Duration::read(node).map(Self::Fixed);
        match &node.content {
            // One word is a duration that was meant; a property would stand for anything.
            Content::Text(text) if fixed.is_err() && parts::of(text).len() > 1 => {
                match Expression::read_in(node, &STEP) {
                    // Nor are words an expression, such as `20 minutes`.
                    Err(_) if text.chars().all(|it| it.is_alphanumeric() || it == ' ') => fixed,
                    read => read.map(Self::Computed),
                }
            }
            _ => fixed,
        }
    }
}

/// `none` is no limit.
impl Value for Option<Amount> {
    const EXPECTED: &'static str = "a duration such as `90s` or `5m`, `none`, or an expression such as `45m * slave.timeout_factor`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Expression);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Text(text) if text.eq_ignore_ascii_case("none") => Ok(None),
            Content::Null => Ok(None),
            _ => Amount::read(node).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::syntax::Code;
    use crate::syntax::Place;
    use crate::syntax::Source;

    fn read(text: &str) -> Result<Option<Amount>, Misread> {
        let source = Source::new("master.ini", "/", text);
        Option::<Amount>::read(&Node {
            place: Place::new(&source, 0..text.len()),
            content: Content::Text(text.to_owned()),
        })
    }

    #[test]
    fn a_time_is_fixed_or_computed() {
        let values = Values::new()
            .with("slave", json!({"timeout_factor": 1.5}))
            .with("limit", "5m");
        let check = |text: &str, secs: f64| {
            let amount = read(text).expect(text).expect("a limit");
            let length = amount.over(&values).expect(text);
            assert_eq!(length, Duration::from_secs_f64(secs), "{text}");
        };
        check("90", 90.0);
        check("1h30m", 5400.0);
        check("1h 30m", 5400.0);
        check("45m * slave.timeout_factor + 10m", 4650.0);
        check("max(10ms, 2d if slave.timeout_factor > 3 else 0)", 0.01);
        check("limit | default('1m')", 300.0);
        assert_eq!(read("none").expect("none"), None);
    }

    #[test]
    fn what_is_no_time_is_told_when_it_is_read_or_when_it_is_computed() {
        for text in ["soon", "5x", ""] {
            assert!(read(text).is_err(), "{text}");
        }
        let misread = read("45m * slave.timeout_facto").expect_err("a typo");
        assert_eq!(misread.code, Some(Code::UnknownName));
        let place = misread.place.expect("a place");
        assert_eq!(place.text(), "timeout_facto");
        let computed = |text: &str| {
            let amount = read(text).expect(text).expect("a limit");
            amount.over(&Values::new()).expect_err(text).what
        };
        insta::assert_snapshot!(
            ["-5", "1m - 2m", "9e9 * 9", "[1]", "'x' ~ 'y'", "1m * slave.timeout_factor"].map(computed).join("\n"),
            @"
        `-5` is less than no time
        `-60` is less than no time
        `81000000000.0` is longer than 36500 days
        this is a list, not a duration
        this is a text, not a duration
        `*` cannot be used with a number and `none`
        "
        );
    }
}
