//! Which names exist where, and that the manual has them.

use serde_json::json;

use super::names::CHANGE;
use super::names::CONTEXTS;
use super::names::MATRIX;
use super::names::REQUESTS;
use super::names::STEP;
use super::tests::errors;
use super::tests::over;
use super::vocabulary::FILTERS;
use super::vocabulary::FUNCTIONS;
use super::vocabulary::TESTS;
use super::*;

#[test]
fn names_are_those_of_the_context() {
    let matrix = MATRIX.with_names(["python", "database"]);
    let steps = STEP.with_inside("step", ["test", "compile"]);
    for (context, text) in [
        (
            &matrix,
            "slave.has.python is containing('3.12') and python == '3.11'",
        ),
        (
            &matrix,
            "slave['has']['database'] is version_matching(database)",
        ),
        (
            &steps,
            "step.test.failed and 'stable' in tags and branch == 'main'",
        ),
        (&steps, "not step.compile.failed"),
        (
            &STEP,
            "slave.properties['python2.6'] is endingwith 'python'",
        ),
        (&STEP, "'python' in slave.has and 'ruby' not in slave.has"),
        (
            &STEP,
            "slave.has.ruby is none and slave.has.ruby is not containing('1.8')",
        ),
        (&STEP, "builder.category is none and branch == 'main'"),
        (
            &STEP,
            "properties.branch == 'main' and properties['warnings'] == 3",
        ),
        (
            &CHANGE,
            "file is matching('docs/*') and files | length == 2",
        ),
    ] {
        assert_eq!(over(context, text), Ok(json!(true)), "{text}");
    }
}

#[test]
fn a_name_that_does_not_exist_here_is_told_with_the_nearest_one() {
    let matrix = MATRIX.with_names(["python", "database"]);
    let steps = STEP.with_inside("step", ["test", "compile"]);
    let say = |context: &Context, texts: &[&str]| {
        errors(texts, |text| {
            let error = Expression::compile(text, context).expect_err(text);
            assert_eq!(error.kind, Kind::UnknownName, "{text}");
            Err(error)
        })
    };
    insta::assert_snapshot!(say(&matrix, &["pyhton == '3.11'", "slave.nmae == 'x'", "branch == 'main'"]), @"
    pyhton == '3.11'
        there is no name `pyhton`; did you mean `python`? @ pyhton
    slave.nmae == 'x'
        there is no `nmae` of `slave`; did you mean `name`? @ nmae
    branch == 'main'
        there is no name `branch`; there are `slave`, `python`, `database` @ branch
    ");
    insta::assert_snapshot!(say(&steps, &["step.tset.failed", "step.test.fialed", "slave['nmae']", "builder.name.x"]), @"
    step.tset.failed
        there is no `tset` of `step`; did you mean `test`? @ tset
    step.test.fialed
        there is no `fialed` of `step.test`; did you mean `failed`? @ fialed
    slave['nmae']
        there is no `nmae` of `slave`; did you mean `name`? @ 'nmae'
    builder.name.x
        there is nothing inside of `builder.name` @ x
    ");
    insta::assert_snapshot!(say(&REQUESTS, &["a.branch == c.branch", "a.brnch == b.branch"]), @"
    a.branch == c.branch
        there is no name `c`; there are `a`, `b` @ c
    a.brnch == b.branch
        there is no `brnch` of `a`; did you mean `branch`? @ brnch
    ");
    // Where names are open, nobody can know.
    assert_eq!(over(&STEP, "whatever"), Ok(json!(null)));
    assert_eq!(over(&STEP, "step.whatever.failed"), Ok(json!(null)));
}

#[test]
fn the_manual_tells_every_word_and_every_name() {
    let manual = include_str!("../../docs/manual.md");
    let start = manual.find("\n## Expressions").expect("a section");
    let section = &manual[start..];
    let end = section.find("\n## Properties").expect("the next one");
    let section = &section[..end];
    let has = |row: &str| assert!(section.contains(row), "the manual lacks: {row}");
    let escaped = |it: &str| it.replace('|', "\\|");
    for word in [FILTERS, TESTS, FUNCTIONS].into_iter().flatten() {
        has(&format!(
            "| `{}` | `{}` | {} |",
            word.name,
            escaped(word.example),
            escaped(word.help)
        ));
    }
    for context in CONTEXTS {
        has(&format!("### The context `{}`", context.row.name));
        has(context.row.keys);
        has(context.row.summary);
        for known in context.row.names {
            tell(known, &has);
        }
        match context.row.further {
            Further::Nothing => {}
            Further::Given(it) | Further::Open(it) => has(it),
        }
    }
}

/// A part may be told of another value that has it too.
fn tell(known: &Known, has: &dyn Fn(&str)) {
    has(&format!("{}` | {} |", known.name, known.help));
    let (Inside::Names(names) | Inside::Open(names) | Inside::Each(names)) = known.inside else {
        return;
    };
    for known in names {
        tell(known, has);
    }
}
