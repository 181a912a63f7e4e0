//! Texts that nobody means well: nothing panics, nothing runs for long, nothing
//! grows without limit, and every complaint points into the text.

use serde_json::Map;
use serde_json::json;

use super::names::MATRIX;
use super::names::STEP;
use super::*;
use crate::syntax::Place;
use crate::syntax::Source;

const PIECES: &[&str] = &[
    "{{",
    "}}",
    "'",
    "\"",
    "a",
    " is ",
    " not ",
    "|",
    "(",
    ")",
    "[",
    "]",
    "é",
    "\\",
    "{",
    "}",
    ".",
    "%}",
    " and ",
    " if ",
    " else ",
    " in ",
    "1",
    "45m",
    "1e-5",
    "0x",
    " == ",
    "<",
    ">=",
    "=",
    "!",
    "*",
    "**",
    "/",
    "-",
    "+",
    "~",
    ",",
    ":",
    "slave",
    "branch",
    "default",
    "split",
    "min",
    " containing",
    " version_matching ",
    "'*['",
    "length",
    "name",
    "&",
    "9999999999999999999",
    "\n",
    "\0",
    "none",
];

/// Texts of the pieces, the same in every run.
fn soups(count: usize, length: usize) -> impl Iterator<Item = String> {
    let mut seed = 1_u32;
    let mut next = move |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize % below
    };
    (0..count).map(move |_| {
        let pieces = 1 + next(length);
        (0..pieces).map(|_| PIECES[next(PIECES.len())]).collect()
    })
}

fn values() -> Values {
    Values::new()
        .with("a", 3)
        .with("slave", json!({"name": "linux", "tags": ["a", "b"]}))
        .with("branch", "1.2.X")
}

fn points_into(text: &str, error: Option<ExprError>) {
    if let Some(at) = error.and_then(|it| it.at) {
        assert!(text.get(at.clone()).is_some(), "{at:?} in {text:?}");
    }
}

#[test]
fn arbitrary_text_never_panics() {
    let values = values();
    let names = Map::new();
    let mut computed = 0;
    for text in soups(40_000, 12) {
        match Expression::compile(&text, &STEP) {
            Ok(expression) => {
                computed += 1;
                points_into(&text, expression.eval(&values).err());
                let _ = expression.duration(&values);
                let _ = expression.text(&values);
            }
            Err(error) => points_into(&text, Some(error)),
        }
        points_into(&text, Expression::compile(&text, &MATRIX).err());
        points_into(&text, fill(&text, &names).err());
        points_into(&text, fill_name(&text, &names).err());
        points_into(&text, names_in(&text).err());
        match TagExpression::parse(&text) {
            Ok(tags) => assert!(
                tags.unknown::<&str>(&[])
                    .iter()
                    .all(|it| text.get(it.1.clone()).is_some())
            ),
            Err(error) => points_into(&text, Some(error)),
        }
        let source = Source::new("x.ini", "/", text.clone());
        let node = Node {
            place: Place::new(&source, 0..text.len()),
            content: syntax::Content::Text(text.clone()),
        };
        let _ = <Amount as syntax::Value>::read(&node);
    }
    assert!(computed > 500, "{computed} are expressions");
}

/// Well-formed expressions: what minijinja accepts, the rewritten form must mean too.
#[test]
fn what_is_checked_compiles() {
    let values_here = [
        "a",
        "1",
        "'x'",
        "[1, 2]",
        "slave.name",
        "(a + 1)",
        "45m",
        "-a",
        "min(a, 2)",
        "a | int",
        "not a",
        "branch is containing 'x'",
    ];
    let operators = [
        " + ",
        " - ",
        " * ",
        " / ",
        " // ",
        " % ",
        " ~ ",
        " ** ",
        " < ",
        " >= ",
        " == ",
        " != ",
        " in ",
        " not in ",
        " and ",
        " or ",
        " if a else ",
    ];
    let mut seed = 7_u32;
    let mut next = |below: usize| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) as usize % below
    };
    let values = values();
    for _ in 0..5000 {
        let mut text = values_here[next(10)].to_owned();
        for _ in 0..next(6) {
            let operator = operators[next(operators.len())];
            let is_joiner = matches!(operator, " and " | " or ");
            let value = values_here[next(if is_joiner { 12 } else { 10 })];
            text = match next(3) {
                0 => format!("({text}){operator}{value}"),
                _ => format!("{text}{operator}{value}"),
            };
        }
        let expression = Expression::compile(&text, &STEP).expect(&text);
        points_into(&text, expression.eval(&values).err());
    }
}

#[test]
fn what_is_deep_or_long_is_refused() {
    let refused = |text: String| {
        Expression::compile(&text, &STEP)
            .expect_err(&text[..20])
            .what
    };
    for text in [
        format!("{}1{}", "(".repeat(5000), ")".repeat(5000)),
        vec!["1"; 50_000].join("+"),
        "not ".repeat(5000) + "1",
        "-".repeat(5000) + "1",
        format!("'{}'", "x".repeat(100_000)),
    ] {
        assert_eq!(refused(text), "this expression is too long");
    }
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(refused(nested(21)), "brackets are nested more than 20 deep");
    for text in [
        nested(20),
        format!("{}1{}", "(1 < 2 + 3 ~ 4 * ".repeat(20), ")".repeat(20)),
        format!("{}1{}", "min(1, 2 + 3 * ".repeat(20), ")".repeat(20)),
        vec!["1"; 250].join("+"),
        vec!["1"; 250].join(" and "),
        vec!["1"; 125].join(" if 0 else "),
        "not ".repeat(499) + "1",
        "-".repeat(499) + "1",
        "a".to_owned() + &" | string".repeat(249),
        "a".to_owned() + &".b".repeat(249),
    ] {
        let expression = Expression::compile(&text, &STEP).expect(&text);
        let _ = expression.eval(&values());
    }
}

#[test]
fn nothing_grows_without_limit() {
    let large = "x".repeat(1 << 20);
    let values = Values::new()
        .with("t", large.as_str())
        .with("l", json!(vec![1; 9000]))
        .with("c", vec!["x"; 9000].join(","))
        .with("d", "x,".repeat(20_000));
    for (text, expected) in [
        (
            "'x' * 100000000",
            "`*` cannot be used with a text and a number",
        ),
        ("3 * l", "`*` cannot be used with a number and a list"),
        ("t ~ 'x'", "this text becomes too long"),
        ("t + t", "this text becomes too long"),
        ("l + l", "this list becomes too long"),
        ("d | split(',')", "this list becomes too long"),
        ("t | replace('x', 'yy')", "this text becomes too long"),
        ("[t, t] | join", "this text becomes too long"),
        ("2 ** 100000", "unable to calculate 2 ** 100000"),
        ("10 ** 18 * 100", "this number becomes too large"),
        ("1e308 * 10", "this number becomes too large"),
        ("c | join(t)", "c | join"),
    ] {
        let expression = Expression::compile(text, &STEP).expect(text);
        let error = expression.eval(&values).expect_err(text);
        if !expected.contains('|') {
            assert_eq!(error.what, expected, "{text}");
        }
    }
    // A pattern that would take for ever elsewhere does not here.
    let slow = Expression::compile(
        "t is matching_regex('^(x+)+$') and t is not matching('*x*x*x*y')",
        &STEP,
    );
    assert_eq!(slow.expect("compiles").holds(&values), Ok(true));
    let huge = Expression::compile("t is matching_regex('(x{500}){500}')", &STEP);
    assert!(huge.expect_err("too large").what.contains("too large"));
}
