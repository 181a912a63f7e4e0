//! Forms that are right, wrong, and hostile.

use super::*;
use crate::config::plan_of;
use crate::master::bench::plain_force;
use crate::model::Properties;

/// What is made of a form for a builder whose `force` scheduler has these lines.
fn checked(lines: &str, form: Force) -> Result<Force, String> {
    let scheduler = match lines {
        "" => String::new(),
        lines => format!("[scheduler:force]\nbuilders = *\n{lines}\n"),
    };
    let plan = plan_of(&format!(
        "[slave:s]\npassword = x\nfactories = a\n[a]\ntype = shell\ncommand = true\n{scheduler}"
    ));
    let mut form = form;
    match check(&mut form, &plan) {
        Ok(()) => Ok(form),
        Err(Denied::BadForm(wrong)) => Err(wrong
            .0
            .iter()
            .map(|it| format!("{} {}\n", it.field, it.why))
            .collect()),
        Err(other) => panic!("{other}"),
    }
}

fn form() -> Force {
    plain_force("a-s")
}

fn answering(all: &[(&str, &str)]) -> Force {
    Force {
        parameters: all
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..form()
    }
}

fn setting(all: &[(&str, &str)]) -> Force {
    let mut it = form();
    for (name, value) in all {
        it.properties.set(*name, *value, "somebody");
    }
    it
}

fn properties(force: &Force) -> Vec<String> {
    let all = force.properties.iter();
    all.map(|(name, it)| format!("{name}={} {}", it.value, it.source))
        .collect()
}

#[test]
fn branch_revision_and_properties_of_a_form_must_fit_the_patterns_of_the_configuration() {
    let force = |branch: &str, revision: &str, value: &str| Force {
        branch: Some(branch.into()),
        revision: Some(revision.into()),
        ..setting(&[("name", value)])
    };
    checked("", force("feature/x+y~1-2", "r 1", "http://host:80/~me")).expect("harmless");
    checked("", force("", "", "")).expect("empty is fine");
    insta::assert_snapshot!(checked("", force("a;b", "$(reboot)", "x y")).expect_err("refused"), @"
    branch `a;b` is not let in: it does not fit `[A-Za-z0-9_.+/~-]*` from start to end, which is `branch` in [:validation:]
    revision `$(reboot)` is not let in: it does not fit `[A-Za-z0-9_ ./-]*` from start to end, which is `revision` in [:validation:]
    property.name `x y` is not let in: it does not fit `[A-Za-z0-9_./~:-]*` from start to end, which is `property_value` in [:validation:]
    ");
    insta::assert_snapshot!(checked("", setting(&[("a b", "x")])).expect_err("refused"), @"property.a b `a b` is not let in: it does not fit `[A-Za-z0-9_./~:-]*` from start to end, which is `property_name` in [:validation:]");
    checked("", force("main\n", "", "")).expect_err("a final newline is refused too");
}

#[test]
fn whose_a_build_is_says_the_account_and_no_pattern_looks_at_that() {
    let asked = Force {
        owner: Some("Ann <ann@x.test>".into()),
        ..setting(&[("owner", "bo")])
    };
    let answered = checked("", asked.clone()).expect("good");
    assert_eq!(
        properties(&answered),
        [r#"owner="Ann <ann@x.test>" Force Build Form"#]
    );
    let closed = Force {
        properties: Properties::new(),
        ..asked
    };
    checked("any_property = no", closed).expect("nothing was typed");
    checked("", setting(&[("owner", "ann@x.test")])).expect_err("typed, it is a word as any");
}

const LINES: &str = "parameter.channel = {\"type\": \"choice\", \"choices\": [\"stable\", \"beta\"]}\n\
    parameter.jobs.type = int\nparameter.jobs.min = 1\nparameter.jobs.default = 2\n\
    parameter.sanitize = bool\nparameter.note = text\nparameter.tag = string";

#[test]
fn answers_become_properties_with_their_types_and_the_origin_of_the_form() {
    let answered = answering(&[
        ("channel", "beta"),
        ("jobs", "8"),
        ("sanitize", ""),
        ("sanitize", "yes"),
        ("note", "two\r\nlines; of any sort"),
        ("tag", "v1"),
    ]);
    assert_eq!(
        properties(&checked(LINES, answered).expect("good")),
        [
            r#"channel="beta" Force Build Form"#,
            "jobs=8 Force Build Form",
            r#"note="two\nlines; of any sort" Force Build Form"#,
            "sanitize=true Force Build Form",
            r#"tag="v1" Force Build Form"#,
        ]
    );
    assert_eq!(
        properties(&checked(LINES, form()).expect("good")),
        ["jobs=2 Force Build Form", "sanitize=false Force Build Form"]
    );
}

#[test]
fn everything_that_is_wrong_with_a_form_is_told_at_once_and_nothing_is_half_applied() {
    let wrong = Force {
        branch: Some("a b".into()),
        ..answering(&[
            ("channel", "x"),
            ("jobs", "0"),
            ("sanitise", "yes"),
            ("tag", "$(x)"),
        ])
    };
    insta::assert_snapshot!(checked(LINES, wrong).expect_err("refused"), @"
    param.channel expected one of `stable`, `beta`, not `x`
    param.jobs expected a whole number from 1
    param.sanitise there is none of this name; did you mean `sanitize`?
    branch `a b` is not let in: it does not fit `[A-Za-z0-9_.+/~-]*` from start to end, which is `branch` in [:validation:]
    param.tag `$(x)` is not let in: it does not fit `[A-Za-z0-9_./~:-]*` from start to end, which is `property_value` in [:validation:]
    ");
    let strange = answering(&[("x", "1")]);
    assert_eq!(
        checked("", strange).expect_err("refused"),
        "param.x this builder has no parameters\n"
    );
}

#[test]
fn who_sets_a_parameter_as_a_property_is_bound_by_its_rules() {
    let told = checked(LINES, setting(&[("channel", "x")])).expect_err("refused");
    assert_eq!(
        told,
        "param.channel expected one of `stable`, `beta`, not `x`\n"
    );
    let set = checked(LINES, setting(&[("jobs", "4"), ("other", "x")])).expect("good");
    assert_eq!(
        properties(&set),
        [
            "jobs=4 Force Build Form",
            r#"other="x" Force Build Form"#,
            "sanitize=false Force Build Form"
        ]
    );
    let closed = format!("{LINES}\nany_property = no");
    checked(&closed, setting(&[("jobs", "4")])).expect("a parameter");
    assert_eq!(
        checked(&closed, setting(&[("other", "x")])).expect_err("refused"),
        "property.other only what there is a parameter for may be set\n"
    );
}

#[test]
fn the_usual_fields_may_be_fixed_chosen_or_fitted_to_a_pattern() {
    let lines = "branch.regex = (main|release/.*)\nbranch.default = main\n\
                 revision = {\"type\": \"fixed\", \"default\": \"abc\"}\n\
                 repository.type = choice\nrepository.choices = \"https://a.test/x y\" b\n\
                 project.required = yes";
    let with = |branch: &str, repository: &str, project: &str| Force {
        branch: Some(branch.into()),
        repository: repository.into(),
        project: project.into(),
        ..form()
    };
    let good = checked(lines, with("", "https://a.test/x y", "p")).expect("good");
    assert_eq!(
        (
            good.branch.as_deref(),
            good.revision.as_deref(),
            &*good.repository
        ),
        (Some("main"), Some("abc"), "https://a.test/x y")
    );
    insta::assert_snapshot!(checked(lines, with("dev", "c", "")).expect_err("refused"), @"
    branch expected what fits `(main|release/.*)` from start to end
    repository expected one of `https://a.test/x y`, `b`, not `c`
    project an answer is needed
    ");
    let other = Force {
        revision: Some("def".into()),
        ..with("release/1 0", "b", "p")
    };
    // What says by itself what may stand there is not looked at by [:validation:].
    assert_eq!(
        checked(lines, other).expect_err("refused"),
        "revision it is always `abc`\n"
    );
}
