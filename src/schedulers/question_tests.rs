//! Questions as they stand in files, and answers of every sort.

use super::*;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::ini;
use crate::syntax::toml;

/// The questions of a section with these lines, or what is wrong with them.
fn read(lines: &str) -> Result<Vec<(String, Question)>, String> {
    let source = Source::new(
        "master.ini",
        "/base",
        format!("[scheduler:force]\n{lines}\n"),
    );
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    finish(&tree.sections[0], problems)
}

fn finish(
    section: &crate::syntax::Section,
    mut problems: Problems,
) -> Result<Vec<(String, Question)>, String> {
    let mut keys = Keys::of(section, &mut problems);
    let all = Question::read_all(&mut keys, "parameter");
    keys.finish();
    match (all, problems.render(false)) {
        (Some(all), told) if told.is_empty() => Ok(all),
        (_, told) => Err(told),
    }
}

/// A question of these options.
fn question(options: &str) -> Question {
    let lines: Vec<_> = options
        .split("; ")
        .map(|it| format!("parameter.x.{it}"))
        .collect();
    let mut all = read(&lines.join("\n")).unwrap_or_else(|told| panic!("{told}"));
    all.remove(0).1
}

/// What the answers to a question are worth.
fn check(options: &str, answers: &[(&[&str], &str)]) {
    let question = question(options);
    for (said, expected) in answers {
        let got = match question.answer(said) {
            Ok(Some(value)) => value.to_string(),
            Ok(None) => "nothing".to_owned(),
            Err(why) => why,
        };
        assert_eq!(got, *expected, "{options}: {said:?}");
    }
}

#[test]
fn a_line_is_trimmed_and_one_line() {
    check(
        "type = string",
        &[
            (&[], "nothing"),
            (&[""], r#""""#),
            (&[" a b "], r#""a b""#),
            (&["first", "last"], r#""last""#),
            (&["a\nb"], "expected one line"),
            (&["a\0"], "expected one line"),
            (&[&"x".repeat(4097)], "expected at most 4096 bytes"),
        ],
    );
    check(
        "type = UserNameParameter",
        &[
            (&["Ann <ann@example.org>"], r#""Ann <ann@example.org>""#),
            (&[&"x".repeat(129)], "expected at most 128 bytes"),
        ],
    );
}

#[test]
fn a_text_has_lines_and_no_other_control_characters() {
    check(
        "type = text",
        &[
            (&["a\r\n\tb\n"], r#""a\n\tb\n""#),
            (&["a\x1b[1m"], "expected a text without control characters"),
        ],
    );
}

#[test]
fn a_pattern_is_fitted_from_start_to_end() {
    check(
        "regex = release-.*|main",
        &[
            (&["release-1"], r#""release-1""#),
            (&["main"], r#""main""#),
            (&[""], r#""""#),
            (
                &["main2"],
                "expected what fits `release-.*|main` from start to end",
            ),
            (
                &["x-main"],
                "expected what fits `release-.*|main` from start to end",
            ),
        ],
    );
}

#[test]
fn what_is_required_must_be_answered_unless_there_is_a_default() {
    let needed = "an answer is needed";
    check(
        "required = yes",
        &[
            (&[], needed),
            (&[""], needed),
            (&[" "], needed),
            (&["x"], r#""x""#),
        ],
    );
    check(
        "required = yes; default = d",
        &[(&[], r#""d""#), (&[""], needed)],
    );
    check(
        "type = int; required = yes",
        &[(&[], needed), (&[""], needed)],
    );
    check(
        "type = choice; choices = a b; required = yes",
        &[(&[], needed), (&[""], needed)],
    );
    check(
        "type = choice; choices = a b; multiple = yes; required = yes",
        &[(&["", ""], needed), (&["", "a"], r#"["a"]"#)],
    );
}

#[test]
fn a_number_is_whole_and_in_its_range() {
    check(
        "type = int",
        &[
            (&["-7"], "-7"),
            (&[" 8 "], "8"),
            (&[""], "nothing"),
            (&["1.5"], "expected a whole number"),
            (&["x"], "expected a whole number"),
            (&["99999999999999999999"], "expected a whole number"),
        ],
    );
    check(
        "type = IntParameter; min = 1; max = 9; default = 3",
        &[
            (&[], "3"),
            (&["9"], "9"),
            (&["0"], "expected a whole number from 1 to 9"),
        ],
    );
    check(
        "type = int; min = 1",
        &[(&["0"], "expected a whole number from 1")],
    );
    check(
        "type = int; max = 1",
        &[(&["2"], "expected a whole number up to 1")],
    );
}

#[test]
fn a_box_that_is_not_ticked_is_no() {
    check(
        "type = bool",
        &[
            (&[], "false"),
            (&[""], "false"),
            (&["", "yes"], "true"),
            (&["On"], "true"),
            (&["0"], "false"),
            (&["maybe"], "expected `yes` or `no`"),
        ],
    );
    // Who does not ask at all gets the default; a box that was cleared is asked.
    check(
        "type = boolean; default = yes",
        &[(&[], "true"), (&[""], "false")],
    );
}

#[test]
fn only_what_there_is_to_choose_from_is_chosen() {
    let strange = "expected one of `stable`, `beta`, not `x`";
    check(
        "type = choice; choices = stable beta",
        &[
            (&["beta"], r#""beta""#),
            (&[""], "nothing"),
            (&["x"], strange),
            (&["stable", "beta"], "expected one of them"),
        ],
    );
    check(
        "type = choice; choices = stable beta; multiple = yes; default = beta",
        &[
            (&[], r#"["beta"]"#),
            (&[""], "[]"),
            (&["", "beta", "stable", "beta"], r#"["stable","beta"]"#),
            (&["beta", "x"], strange),
        ],
    );
}

#[test]
fn what_is_fixed_cannot_be_answered_otherwise() {
    check(
        "type = fixed; default = a",
        &[
            (&[], r#""a""#),
            (&["a"], r#""a""#),
            (&["b"], "it is always `a`"),
        ],
    );
}

#[test]
fn questions_are_asked_in_the_order_of_the_file_in_every_spelling() {
    let all = read(
        "parameter.zebra = bool\n\
         parameter.ape = {\"type\": \"choice\", \"choices\": [\"a b\", \"c\"], \"label\": \"Ape\"}\n\
         parameter.size.of.all.type = int\n\
         parameter.size.of.all.help = How many\n\
         parameter.note = text",
    )
    .expect("good");
    let names: Vec<_> = all
        .iter()
        .map(|(name, it)| (name.as_str(), it.asked().kind))
        .collect();
    assert_eq!(
        names,
        [
            ("zebra", "bool"),
            ("ape", "choice"),
            ("size.of.all", "int"),
            ("note", "text")
        ]
    );
    assert_eq!(all[1].1.label.as_deref(), Some("Ape"));
    assert_eq!(all[1].1.asked().choices, ["a b", "c"]);
    assert_eq!(all[2].1.help.as_deref(), Some("How many"));

    let text = "[x.parameter.zebra]\ntype = \"bool\"\ndefault = true\n\
                [x.parameter.ape]\ntype = \"choice\"\nchoices = [\"a b\", \"c\"]\n";
    let source = Source::new("master.toml", "/base", text);
    let mut problems = Problems::default();
    let tree = toml::tree(&source, &mut problems);
    let all = finish(&tree.sections[0], problems).expect("good");
    let names: Vec<_> = all
        .iter()
        .map(|(name, it)| (name.as_str(), &*it.default))
        .collect();
    assert_eq!(
        names,
        [("zebra", &["yes".to_owned()][..]), ("ape", &[][..])]
    );
}

#[test]
fn what_is_wrong_with_a_question_is_told_where_it_stands() {
    let told = read(
        "parameter.a.type = number\n\
         parameter.b = {\"type\": \"choice\", \"choises\": [\"x\"]}\n\
         parameter.c.type = int\nparameter.c.default = x\nparameter.c.choices = x\n\
         parameter.d.type = int\nparameter.d.min = 3\nparameter.d.default = 2\n\
         parameter.e.regex = a.*\nparameter.e.default = b\n\
         parameter.f.type = fixed\n\
         parameter.g = [1]\n\
         parameter.h = {\"type\": \"int\", \"min\": 3, \"max\": 2}\n\
         parameter.i = {\"type\": \"choice\", \"choices\": [\"x\"], \"default\": \"y\"}",
    );
    insta::assert_snapshot!(told.expect_err("mistakes"), @r#"
    error[bad-value]: bad value for `type` in `parameter.a`
     --> master.ini:2:20
      |
    2 | parameter.a.type = number
      |                    ^^^^^^ expected `string`, `text`, `username`, `int`, `bool`, `choice` or `fixed`

    error[bad-value]: bad value for `choices` in `parameter.b`
     --> master.ini:3:15
      |
    3 | parameter.b = {"type": "choice", "choises": ["x"]}
      |               ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected what there is to choose from

    error[unknown-key]: unknown key `choises` in `parameter.b`
     --> master.ini:3:34
      |
    3 | parameter.b = {"type": "choice", "choises": ["x"]}
      |                                  ^^^^^^^^^ did you mean `choices`?

    error[bad-value]: bad value for `default` in `parameter.c`
     --> master.ini:5:23
      |
    5 | parameter.c.default = x
      |                       ^ expected a whole number

    warning[no-effect]: `choices` has no effect
     --> master.ini:6:23
      |
    6 | parameter.c.choices = x
      |                       ^ a question of type `int` has none

    error[bad-value]: bad value for `default` in `parameter.d`
     --> master.ini:9:23
      |
    9 | parameter.d.default = 2
      |                       ^ expected a whole number from 3

    error[bad-value]: bad value for `default` in `parameter.e`
      --> master.ini:11:23
       |
    11 | parameter.e.default = b
       |                       ^ expected what fits `a.*` from start to end

    error[bad-value]: bad value for `default` in `parameter.f`
      --> master.ini:12:20
       |
    12 | parameter.f.type = fixed
       |                    ^^^^^ expected what it always is

    error[bad-value]: bad value for `type` in `parameter.g`
      --> master.ini:13:15
       |
    13 | parameter.g = [1]
       |               ^^^ expected `string`, `text`, `username`, `int`, `bool`, `choice` or `fixed`

    error[bad-value]: bad value for `max` in `parameter.h`
      --> master.ini:14:48
       |
    14 | parameter.h = {"type": "int", "min": 3, "max": 2}
       |                                                ^ this is less than `min`

    error[bad-value]: bad value for `default` in `parameter.i`
      --> master.ini:15:63
       |
    15 | parameter.i = {"type": "choice", "choices": ["x"], "default": "y"}
       |                                                               ^^^ expected one of `x`, not `y`
    "#);
}
