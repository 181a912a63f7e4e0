//! The language as a whole.

use serde_json::json;

use super::names::STEP;
use super::*;
use crate::model::Properties;
use crate::syntax::Content;
use crate::syntax::Place;
use crate::syntax::Source;

fn properties() -> Properties {
    let mut properties = Properties::new();
    properties.set("branch", "main", "test");
    properties.set("warnings", 3, "test");
    properties.set("tags", json!(["stable", "linux"]), "test");
    properties.set("clean", false, "test");
    properties.set("nothing", json!(null), "test");
    properties
}

fn check(text: &str, expected: &str) {
    assert_eq!(holds(text).as_deref(), Ok(expected), "{text}");
}

#[test]
fn conditions_compare_properties() {
    for text in [
        "branch == 'main'",
        "branch != \"docs-only\" and warnings < 5",
        "'stable' in tags and not clean",
        "branch in ['main', 'next']",
        "unset is none and unset is not defined and nothing is not defined",
        "branch is defined",
        "unset.attribute is none and not unset.attribute.other",
        "not unset",
        "unset == none",
        "branch is startingwith 'ma'",
        "branch | upper == 'MAIN' and tags | length == 2",
        "(warnings + 1) * 2 == 8",
        "'yes' if clean else 'no'",
        "branch not in ['next'] and not unset is defined",
    ] {
        check(text, "true");
    }
    for text in ["clean", "unset", "branch == 'next'", "unset == ''"] {
        check(text, "false");
    }
}

/// Each text, and under it the error with the bytes that it points at.
pub(super) fn errors(texts: &[&str], read: impl Fn(&str) -> Result<String, ExprError>) -> String {
    let mut out = String::new();
    for text in texts {
        let error = read(text).expect_err(text);
        let at = error.at.clone().unwrap_or(0..0);
        let pointed = text.get(at).expect("a place in the text");
        out.push_str(&format!("{text}\n    {error} @ {pointed}\n"));
    }
    out
}

fn holds(text: &str) -> Result<String, ExprError> {
    Ok(Condition::parse(text)?.holds(&properties())?.to_string())
}

#[test]
fn a_condition_that_cannot_be_read_says_where() {
    let texts = [
        "branch = 'main'",
        "branch == 'a' && clean",
        "clean || branch",
        "!clean",
        "branch ==",
        "",
        "branch == 'main",
        "branch is startingwth 'm'",
        "branch | uper",
        "range(3)",
        "branch.startswith('m')",
        "{% for x in y %}",
    ];
    insta::assert_snapshot!(errors(&texts, |it| Condition::parse(it).map(|_| String::new())), @"
    branch = 'main'
        write `==` to compare @ =
    branch == 'a' && clean
        write `and` instead of `&&` @ &&
    clean || branch
        write `or` instead of `||` @ ||
    !clean
        write `not` instead of `!` @ !
    branch ==
        there is nothing behind `==` @ ==

        there is no expression @ 
    branch == 'main
        this `'` is not closed @ 'main
    branch is startingwth 'm'
        there is no test `startingwth`; did you mean `startingwith`? @ startingwth
    branch | uper
        there is no filter `uper`; did you mean `upper`? @ uper
    range(3)
        there is no function `range`; there are `max`, `min` @ range
    branch.startswith('m')
        there is no function `startswith`; write `is startingwith(…)` @ startswith
    {% for x in y %}
        there is nothing before `%` @ %
    ");
}

#[test]
fn a_condition_that_cannot_be_computed_says_why() {
    let texts = ["branch - 1", "'x' in unset"];
    insta::assert_snapshot!(errors(&texts, holds), @"
    branch - 1
        `-` cannot be used with a text and a number @ branch - 1
    'x' in unset
        nothing can be in `none` @ 'x' in unset
    ");
}

/// Compiles over a context and computes over the values of a farm.
pub(super) fn over(context: &Context, text: &str) -> Result<Json, ExprError> {
    let values = Values::new()
        .with(
            "slave",
            json!({
                "name": "linux-1", "os": "linux", "tags": ["fast"], "timeout_factor": 1.5,
                "has": {"python": ["3.11.4", "3.12"], "database": ["sqlite3", "postgresql8.4.1"]},
                "properties": {"python2.6": "/opt/python"},
            }),
        )
        .with(
            "builder",
            json!({"name": "b", "category": null, "tags": ["stable"]}),
        )
        .with(
            "step",
            json!({"test": {"failed": true, "outcome": "failure"}}),
        )
        .with("tags", json!(["stable"]))
        .with("python", "3.11")
        .with("database", "postgresql8.4")
        .with("file", "docs/index.rst")
        .with("files", json!(["docs/index.rst", "src/main.rs"]))
        .with_properties(&properties());
    Expression::compile(text, context)?.eval(&values)
}

#[test]
fn texts_are_ordered_as_versions_and_numbers_as_numbers() {
    for (text, expected) in [
        ("'3.9' < '3.12'", true),
        ("'3.12' >= '3.12.0'", true),
        ("python >= '3.9' and python < '3.12'", true),
        ("'3.9' < python <= '3.11' != 'x'", true),
        ("'1.2.X' > '1.2.10'", true),
        ("'postgresql8.4.5' > 'postgresql8.4.1'", true),
        ("branch >= '3.12'", true),
        ("unset >= '3.12' or unset < '3.12'", false),
        ("3 < 10 and 2.5 < 3", true),
        ("'10' == '10.0'", false),
        ("'10' | version == '10.0' | version", true),
        ("not 1 < 2", false),
        ("(1 if 2 < 1 else 3) > 2", true),
        ("['3.9', '3.12', '3.10'] | sort | last == '3.12'", true),
        ("min('3.9', '3.12') == '3.9' and max(2, 1.5) == 2", true),
        ("'x' in ['x'] == true", false),
    ] {
        assert_eq!(over(&STEP, text), Ok(json!(expected)), "{text}");
    }
}

#[test]
fn durations_and_sizes_are_numbers() {
    for (text, expected) in [
        ("45m * slave.timeout_factor + 10m", json!(4650.0)),
        ("1h30m", json!(5400)),
        ("90s + 2d", json!(172_890)),
        ("10ms", json!(0.01)),
        ("16k * 2", json!(32768)),
        ("7 / 2", json!(3.5)),
        ("8 / 2", json!(4)),
        ("-7 // 2", json!(-4)),
        ("-7 % 3", json!(2)),
        ("2 ** 10 - 1", json!(1023)),
        ("7.5 % 2", json!(1.5)),
        ("'1' ~ 2 ~ unset ~ 'x'", json!("12x")),
        ("['a'] + ['b']", json!(["a", "b"])),
        ("3.7 | int + 1", json!(4)),
        ("'x' | int(7)", json!(7)),
        ("1.23456 | round(3)", json!(1.235)),
        ("-3 | abs", json!(3)),
        (
            "files | join(';') | replace('/', ':') | upper",
            json!("DOCS:INDEX.RST;SRC:MAIN.RS"),
        ),
        ("'a b  c' | split | unique | length", json!(3)),
        ("slave.has.database | first | reduced", json!("sqlite3.X")),
    ] {
        assert_eq!(over(&STEP, text), Ok(expected), "{text}");
    }
}

#[test]
fn lists_and_texts_are_tested() {
    for (text, expected) in [
        ("slave.has.database is version_matching('sqlite3.X')", true),
        (
            "slave.has.database is version_matching('postgresql8.4.9')",
            true,
        ),
        (
            "slave.has.database is version_matching('postgresql8.4.9', 3)",
            false,
        ),
        (
            "slave.has.database is version_matching('postgresql8', 1)",
            true,
        ),
        ("slave.has.database is version_matching('mysql5.1')", false),
        ("slave.has.python is version_matching(python)", true),
        ("'postgresql8.4' is version_matching(database)", true),
        ("unset is version_matching('3')", false),
        (
            "python is containing('3.11') and python is not containing('3.1')",
            true,
        ),
        (
            "files is matching('src/*') and file is not matching('src/*')",
            true,
        ),
        ("file is matching('docs/[a-i]nd?x.*')", true),
        ("file is matching('docs')", false),
        (
            "branch is matching_regex('^ma') and unset is not matching_regex('.')",
            true,
        ),
        ("branch is in ['main'] and branch is not in ['next']", true),
        ("unset is startingwith('no')", false),
    ] {
        assert_eq!(over(&STEP, text), Ok(json!(expected)), "{text}");
    }
}

#[test]
fn what_cannot_be_computed_says_where() {
    let texts = [
        "branch and warnings < 'x'",
        "1 + branch",
        "  'x' * 100000000",
        "45m * (1 + [1])",
        "false or 1 / (2 - 2)",
        "9223372036854775807 + 1",
        "slave.has.python is version_matching(branch)",
        "tags < 3",
        "'x' in warnings",
        "branch | abs",
        "branch | int",
        "['1', none] | sort",
        "'a' | split('')",
        "branch is matching(3)",
        "branch is startingwith",
        "'1.5' | reduced(99)",
    ];
    let over = |text: &str| over(&STEP, text).map(|it| it.to_string());
    insta::assert_snapshot!(errors(&texts, over), @"
    branch and warnings < 'x'
        a text and a number have no order; put a version in quotes, or read the text with `| int` @ warnings < 'x'
    1 + branch
        a number and a text cannot be added; `~` joins texts @ 1 + branch
      'x' * 100000000
        `*` cannot be used with a text and a number @ 'x' * 100000000
    45m * (1 + [1])
        `+` cannot be used with a number and a list @ 1 + [1]
    false or 1 / (2 - 2)
        this divides by zero @ 1 / (2 - 2)
    9223372036854775807 + 1
        this number becomes too large @ 9223372036854775807 + 1
    slave.has.python is version_matching(branch)
        `main` is no version such as `postgresql8.4`, `sqlite3` or `3.12` @ version_matching(branch)
    tags < 3
        a list and a number have no order @ tags < 3
    'x' in warnings
        nothing can be in a number @ 'x' in warnings
    branch | abs
        a text is no number @ abs
    branch | int
        `main` is no number @ int
    ['1', none] | sort
        `none` is in no order @ sort
    'a' | split('')
        a text is not split at nothing @ split('')
    branch is matching(3)
        value is not a string @ matching(3)
    branch is startingwith
        an argument is missing @ startingwith
    '1.5' | reduced(99)
        a version is reduced to 0 to 10 components @ reduced(99)
    ");
}

#[test]
fn a_pattern_that_cannot_be_read_is_told_when_the_file_is_loaded() {
    let texts = [
        "branch is matching('a[b')",
        "branch is matching_regex('a(')",
        "branch is version_matching 'sqlite' and true",
        "branch is version_matching('x', 2)",
        "min(*tags)",
        "branch < = 'x'",
        "branch and and branch",
        "5M",
        "45x",
        "'a'(1)",
        "a | default(value=3)",
        "__computed(1)",
        "a == b is",
        "not",
        "a if else b",
        "branch.lower()",
        "len(branch)",
        "",
    ];
    let compile = |text: &str| Expression::compile(text, &STEP).map(|_| String::new());
    insta::assert_snapshot!(errors(&texts, compile), @"
    branch is matching('a[b')
        a `[` is not closed in the pattern `a[b` @ 'a[b'
    branch is matching_regex('a(')
        no regular expression: unclosed group @ 'a('
    branch is version_matching 'sqlite' and true
        `sqlite` is no version such as `postgresql8.4`, `sqlite3` or `3.12` @ 'sqlite'
    branch is version_matching('x', 2)
        `x` is no version such as `postgresql8.4`, `sqlite3` or `3.12` @ 'x'
    min(*tags)
        there is nothing before `*` @ *
    branch < = 'x'
        write `==` to compare @ =
    branch and and branch
        there is no value between `and` and `and` @ and
    5M
        `5M` may be minutes or mebibytes; write `5m` or `5 * 1024k` @ 5M
    45x
        `45x` is no number, no duration such as `90s` or `1h30m`, and no size such as `16k` @ 45x
    'a'(1)
        there is nothing to call here @ (
    a | default(value=3)
        write `==` to compare @ =
    __computed(1)
        there is no function `__computed`; there are `max`, `min` @ __computed
    a == b is
        unexpected end of input, expected identifier @ is
    not
        there is nothing behind `not` @ not
    a if else b
        there is no value between `if` and `else` @ if
    branch.lower()
        there is no function `lower`; write `| lower` @ lower
    len(branch)
        there is no function `len`; write `| length` @ len

        there is no expression @
    ");
}

#[test]
fn the_outcome_has_the_type_that_is_asked_for() {
    let values = Values::new()
        .with("n", 3)
        .with("t", "5m")
        .with("l", json!([]));
    let read = |text: &str| Expression::compile(text, &STEP).expect(text);
    assert_eq!(read("n * 2").number(&values), Ok(6.0));
    assert_eq!(read("t").duration(&values), Ok(Duration::from_mins(5)));
    assert_eq!(read("t ~ n").text(&values), Ok("5m3".into()));
    assert_eq!(read("unset").text(&values), Ok(String::new()));
    assert_eq!(read("l").holds(&values), Ok(false));
    let say = |text: &str| read(text).number(&values).expect_err(text).what;
    assert_eq!(
        say("t"),
        "this is a text, not a number; `| float` reads a text"
    );
    assert_eq!(say("unset"), "this is `none`, not a number");
    assert!(read("file is none").uses("file"));
    assert!(!read("change.file is none and 'file'").uses("file"));
    assert_eq!(read("n * 2").as_str(), "n * 2");
    assert_eq!(read("n"), read("n").clone());
    assert_ne!(read("n"), read("n "));
}

#[test]
fn an_expression_of_several_lines_is_one_and_has_places() {
    let text = "[a]\nwhen = branch == 'main'\n    and slave.nmae == 'x'\n";
    let source = Source::new("master.ini", "/", text);
    let start = text.find("branch").expect("there");
    let node = Node {
        place: Place::new(&source, start..text.len() - 1),
        content: Content::Text("branch == 'main'\nand slave.nmae == 'x'".into()),
    };
    let misread = Expression::read_in(&node, &STEP).expect_err("a typo");
    assert_eq!(misread.code, Some(Code::UnknownName));
    let place = misread.place.expect("a place");
    assert_eq!((place.text(), place.line_and_column()), ("nmae", (3, 15)));
}
