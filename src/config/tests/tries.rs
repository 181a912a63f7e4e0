//! Sections of schedulers that build what is not committed yet.

use super::plan as plan_of;
use super::problems;
use crate::syntax::Source;

const BUILDER: &str = "[slave:s]\npassword = x\nfactories = foo\n[foo]\nbar = 1\n";

#[test]
fn a_try_scheduler_says_where_its_jobs_come_from() {
    let told = problems(&format!(
        "{BUILDER}[scheduler:one]\ntype = Try_Jobdir\nbuilders = *\n\
         [scheduler:two]\ntype = Try_Userpass\nbuilders = *\nuserpass = ann:quiet\n\
         [scheduler:three]\ntype = TryUserpass\nbuilders = *\n"
    ));
    insta::assert_snapshot!(told, @r#"
    error[missing-key]: `jobdir` is missing in [scheduler:one]
     --> master.ini:6:2
      |
    6 | [scheduler:one]
      |  ^^^^^^^^^^^^^ expected a path

    error[bad-value]: bad value for `userpass` in [scheduler:two]
      --> master.ini:12:12
       |
    12 | userpass = ann:quiet
       |            ^^^^^^^^^ expected `userpass.KEY = VALUE` or a map such as `{"KEY": "VALUE"}`

    error[missing-key]: `userpass` is missing in [scheduler:three]
      --> master.ini:13:2
       |
    13 | [scheduler:three]
       |  ^^^^^^^^^^^^^^^ expected somebody who may try: `userpass.NAME = PASSWORD`
    "#);
}

#[test]
fn two_schedulers_cannot_take_their_jobs_from_one_directory() {
    let told = problems(&format!(
        "{BUILDER}[scheduler:one]\ntype = try_jobdir\njobdir = /srv/tries\nbuilders = *\n\
         [scheduler:two]\ntype = try_jobdir\njobdir = /srv/tries/\nbuilders = *\n"
    ));
    insta::assert_snapshot!(told, @"
    error[duplicate]: two schedulers have the `jobdir` `/srv/tries/`
      --> master.ini:10:2
       |
     6 | [scheduler:one]
       |  ------------- the first one
    ...
    10 | [scheduler:two]
       |  ^^^^^^^^^^^^^ the second one
    ");
}

#[test]
fn a_password_of_who_may_try_is_seen_nowhere_and_a_changed_one_is_a_change() {
    let plan = |password: &str| {
        plan_of(&format!(
            "{BUILDER}[scheduler:try]\ntype = try_userpass\nbuilders = *\nuserpass.ann = {password}\n"
        ))
    };
    let scheduler = |password: &str| {
        let plan = plan(password);
        let mut all = plan.schedulers.iter();
        let found = all.find(|it| it.name.as_str() == "try");
        found.expect("a scheduler").clone()
    };
    let (one, other) = (scheduler("quiet"), scheduler("louder"));
    assert!(one == scheduler("quiet"));
    assert!(one != other);
    let seen = format!("{one:?}");
    assert!(seen.contains("ann") && !seen.contains("quiet"), "{seen}");
    let shown = crate::config::Shown::of(&plan("quiet"));
    let text = shown.text();
    assert!(
        text.contains("[scheduler:try]") && !text.contains("quiet"),
        "{text}"
    );
}

#[test]
fn a_name_with_a_colon_could_never_log_in() {
    let text = "[slave.s]\npassword = \"x\"\nfactories = [\"a\"]\n[factory.a]\ntype = \"shell\"\n\
                command = \"true\"\n[scheduler.try]\ntype = \"try_userpass\"\nbuilders = [\"*\"]\n\
                userpass.\"a:b\" = \"quiet\"\n";
    let source = Source::new("master.toml", "/nonexistent", text);
    let told = crate::config::load_text(&source, Vec::new()).expect_err("a mistake");
    insta::assert_snapshot!(told.render(false), @"
    error[bad-value]: bad value for `userpass.a:b` in [scheduler.try]
     --> master.toml:7:12
      |
    7 | [scheduler.try]
      |            ^^^ `a:b` is no name: nobody can log in with a `:` in it
    ");
}
