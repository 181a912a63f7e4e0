//! The language across sections: what extends, includes and multiplies.

use std::fs;

use super::*;
use crate::secrets::SecretText;

/// What `load` makes of these files, the first of which is the master's.
pub(super) fn files(all: &[(&str, &str)]) -> Result<Plan, String> {
    let dir = tempfile::tempdir().expect("a directory");
    for (name, text) in all {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(&path, text).expect("a file");
        let mode = fs::Permissions::from_mode(if text.starts_with("#!") { 0o700 } else { 0o600 });
        fs::set_permissions(&path, mode).expect("a mode");
    }
    load(dir.path()).map_err(|problems| {
        problems
            .render(false)
            .replace(&dir.path().display().to_string(), "DIR")
    })
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.builders.iter().map(|it| it.name.as_str()).collect()
}

const EXTENDED: &str = "[slave:_base]\npassword = p\nfactories = foo mine\ntags = fast\nproperty.a = 1\nproperty.b = 1\n[slave:a]\nextends = _base\nfactories -= mine\ntags += big\nproperty.b = 2\n[slave:b]\nextends = a\nfactories += mine\npassword = q\n[foo]\nbar = 1\n";

#[test]
fn a_section_takes_over_the_keys_of_another() {
    let plan = plan(EXTENDED);
    assert_eq!(names(&plan), ["foo-a", "foo-b", "mine-b"]);
    let [a, b] = plan.slaves.as_slice() else {
        panic!("two slaves; the template is none");
    };
    assert_eq!(a.password, SecretText::plain("p"));
    assert_eq!(b.password, SecretText::plain("q"));
    assert_eq!(b.tags, ["fast", "big"]);
    let of = |slave: &SlavePlan| {
        let all = slave.properties.iter();
        let all: Vec<_> = all
            .map(|(name, it)| format!("{name}={}", it.value))
            .collect();
        all.join(" ")
    };
    assert_eq!(
        (of(a), of(b)),
        ("a=\"1\" b=\"2\"".into(), "a=\"1\" b=\"2\"".into())
    );
}

#[test]
fn what_cannot_be_extended_is_told_with_the_road() {
    let text = "[slave:a]\nextends = b\n[slave:b]\nextends = a\n[slave:c]\nextends = _bsae\n[slave:_base]\npassword = p\nmax_builds = none\nodd = 1\n[slave:d]\nextends = _base\n[foo]\nextends = d\nbar = 1\n";
    insta::assert_snapshot!(problems(text), @"
    error[missing-key]: slave `a` has no password
     --> master.ini:1:2
      |
    1 | [slave:a]
      |  ^^^^^^^ expected `password = …` in this section or in [:master:]

    warning[idle]: slave `a` builds nothing
     --> master.ini:1:2
      |
    1 | [slave:a]
      |  ^^^^^^^ expected `factories = …` in this section or in [:master:]

    error[circle]: sections extend each other in a circle: b → a → b
     --> master.ini:2:11
      |
    2 | extends = b
      |           ^

    error[missing-key]: slave `b` has no password
     --> master.ini:3:2
      |
    3 | [slave:b]
      |  ^^^^^^^ expected `password = …` in this section or in [:master:]

    warning[idle]: slave `b` builds nothing
     --> master.ini:3:2
      |
    3 | [slave:b]
      |  ^^^^^^^ expected `factories = …` in this section or in [:master:]

    error[circle]: sections extend each other in a circle: a → b → a
     --> master.ini:4:11
      |
    4 | extends = a
      |           ^

    error[missing-key]: slave `c` has no password
     --> master.ini:5:2
      |
    5 | [slave:c]
      |  ^^^^^^^ expected `password = …` in this section or in [:master:]

    warning[idle]: slave `c` builds nothing
     --> master.ini:5:2
      |
    5 | [slave:c]
      |  ^^^^^^^ expected `factories = …` in this section or in [:master:]

    error[bad-extends]: [slave:c] extends `_bsae`, and there is no such slave
     --> master.ini:6:11
      |
    6 | extends = _bsae
      |           ^^^^^ did you mean `_base`?

    error[bad-value]: bad value for `max_builds` in [slave:d]
      --> master.ini:9:14
       |
     9 | max_builds = none
       |              ^^^^ expected a whole number from 1
       |
      ::: master.ini:12:11
       |
    12 | extends = _base
       |           ^^^^^ [slave:d] takes it over here

    error[unknown-key]: unknown key `odd` in [slave:d]
      --> master.ini:10:1
       |
    10 | odd = 1
       | ^^^
       |
      ::: master.ini:12:11
       |
    12 | extends = _base
       |           ^^^^^ [slave:d] takes it over here
       |
       = help: the keys of [slave:d] are `password`, `factories`, `os`, `launch`, `on_demand`, `build_wait_timeout`, `missing_timeout`, `start_command`, `stop_command`, `status_command`, `master_host`, `user`, `key_file`, `known_hosts`, `proxy_command`, `notify_on_missing`, `max_builds`, `tags`, `clean_up`, `timeout_factor`, `locks`, `mirrors`, `mirror_budget`, `host`, `port`, `basedir`, `downtime`, `time_zone`, `launch_env.NAME`, `has.NAME`, `capability.NAME`, `property.NAME`

    warning[idle]: slave `d` builds nothing
      --> master.ini:11:2
       |
    11 | [slave:d]
       |  ^^^^^^^ expected `factories = …` in this section or in [:master:]

    warning[idle]: no slave uses factory `foo`
      --> master.ini:13:2
       |
    13 | [foo]
       |  ^^^
       |
       = help: `factories = foo` in a slave's section uses it

    error[bad-extends]: [foo] extends `d`, and there is no such factory
      --> master.ini:14:11
       |
    14 | extends = d
       |           ^
    ");
}

const MATRIX: &str = "[slave:_base]\npassword = p\n[slave:bs1]\nextends = _base\nhas.python = 2.4 2.6\ntags = small\n[slave:bs2]\nextends = _base\nhas.python = 2.6\n[foo]\nbar = {{ branch }} %(python)s\n[builder:{branch}-python{python}]\nfactory = foo\nmatrix.branch = trunk 1.2.X\nmatrix.python = 2.4 2.6 2.7\nexclude = branch == \"trunk\" and python == \"2.4\"\nslaves = python in slave.has.python\nproperty.label = {{ branch }}!\ntags = {{ branch }}\n";

#[test]
fn commas_between_values_are_told() {
    let text = MATRIX
        .replace(
            "matrix.branch = trunk 1.2.X",
            "matrix.branch = trunk, 1.2.X",
        )
        .replace("tags = small", "has.database = sqlite3, mysql5");
    insta::assert_snapshot!(problems(&text), @"
    error[bad-value]: the value `sqlite3,` ends with a comma
     --> master.ini:6:16
      |
    6 | has.database = sqlite3, mysql5
      |                ^^^^^^^^^^^^^^^
      |
      = help: values stand between spaces: `sqlite3`

    error[bad-value]: the value `trunk,` ends with a comma
      --> master.ini:14:17
       |
    14 | matrix.branch = trunk, 1.2.X
       |                 ^^^^^^
       |
       = help: values stand between spaces: `trunk`
    ");
}

#[test]
fn every_combination_that_a_slave_can_build_is_a_builder() {
    let plan = plan(MATRIX);
    let shown: Vec<_> = plan
        .builders
        .iter()
        .map(|it| {
            let slaves: Vec<_> = it.slaves.iter().map(|it| it.as_str()).collect();
            let label = it.properties.text("label").expect("a property");
            let python = it.properties.text("python").expect("a property");
            let steps = it
                .factory
                .steps(&Platform::default())
                .expect_err("the probe");
            format!(
                "{} on {}: {label} {python} {} | {steps}",
                it.name,
                slaves.join(" "),
                it.tags.join(" ")
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    trunk-python2.6 on bs1 bs2: trunk! 2.6 trunk | bar=trunk %(python)s baz= {"branch":"trunk","python":"2.6"} on 
    1.2.X-python2.4 on bs1: 1.2.X! 2.4 1.2.X | bar=1.2.X %(python)s baz= {"branch":"1.2.X","python":"2.4"} on 
    1.2.X-python2.6 on bs1 bs2: 1.2.X! 2.6 1.2.X | bar=1.2.X %(python)s baz= {"branch":"1.2.X","python":"2.6"} on
    "#);
    insta::assert_snapshot!(plan.left_out.join("\n"), @"
    trunk-python2.7: no slave can build branch = trunk, python = 2.7
    1.2.X-python2.7: no slave can build branch = 1.2.X, python = 2.7
    ");
}

#[test]
fn what_is_wrong_with_a_matrix_is_told_at_its_place() {
    let text = MATRIX.replace("{branch}-python", "{brnch}-python").replace(
        "property.label = {{ branch }}!",
        "property.label = {{ brnch }}!\nexclde = x",
    );
    insta::assert_snapshot!(problems(&text), @"
    error[unknown-name]: bad name of [builder:{brnch}-python{python}]
      --> master.ini:12:11
       |
    12 | [builder:{brnch}-python{python}]
       |           ^^^^^ there is no name `brnch`; did you mean `branch`?

    error[unknown-name]: bad `{{ … }}` in a text
      --> master.ini:18:21
       |
    18 | property.label = {{ brnch }}!
       |                     ^^^^^ there is no name `brnch`; did you mean `branch`?

    error[unknown-key]: unknown key `exclde` in [builder:{brnch}-python{python}]
      --> master.ini:19:1
       |
    19 | exclde = x
       | ^^^^^^ did you mean `exclude`?
    ");
    let text = MATRIX.replace(
        "matrix.python = 2.4 2.6 2.7",
        "matrix.python = 2.4 2.4\nmatrix.slave = x\nmatrix.empty =",
    );
    insta::assert_snapshot!(problems(&text), @"
    error[empty-matrix]: the axis `empty` has no values
      --> master.ini:12:2
       |
    12 | [builder:{branch}-python{python}]
       |  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    error[duplicate]: `2.4` stands twice on the axis `python`
      --> master.ini:15:21
       |
    15 | matrix.python = 2.4 2.4
       |                 --- ^^^ the second one
       |                 |
       |                 the first one

    error[bad-name]: `slave` cannot be the name of an axis
      --> master.ini:16:16
       |
    16 | matrix.slave = x
       |                ^ expected a word such as `matrix.branch`
    ");
    let text = MATRIX.replace(
        "exclude = branch == \"trunk\" and python == \"2.4\"",
        "exclude = branch != \"x\"",
    );
    insta::assert_snapshot!(problems(&text), @r#"
    error[empty-matrix]: nothing is left of the matrix of [builder:{branch}-python{python}]
      --> master.ini:16:11
       |
    16 | exclude = branch != "x"
       |           ^^^^^^^^^^^^^ this excludes every combination
    "#);
    let text = MATRIX.replace("{branch}-python{python}]", "{branch}]");
    insta::assert_snapshot!(problems(&text), @"
    error[shared-directory]: two builders would be named `1.2.X`
      --> master.ini:12:2
       |
    12 | [builder:{branch}]
       |  ^^^^^^^^^^^^^^^^
       |
       = help: a name for each combination has every axis in it, as in `{branch}-{python}`
    ");
}

#[test]
fn a_builder_has_a_section_of_its_own_or_settings_for_a_derived_one() {
    let text = "[slave:a]\npassword = p\nfactories = foo\n[slave:b]\npassword = p\ntags = big\n[foo]\nbar = 1\nbaz = x\ncategory = all\nenv.A = 1\n[builder:foo-a]\ncategory = mine\nparam.baz = y\nenv.B = 2\n[builder:large]\nfactory = foo\nslaves = big\nbuilddir = out/large\nslavebuilddir = l\n[builder:foo]\nslaves = a b\n";
    let plan = plan(text);
    let shown: Vec<_> = plan
        .builders
        .iter()
        .map(|it| {
            let slaves: Vec<_> = it.slaves.iter().map(|it| it.as_str()).collect();
            let steps = it
                .factory
                .steps(&Platform::default())
                .expect_err("the probe");
            format!(
                "{} in {} and {} on {}: {} {:?} | {steps}| {}",
                it.name,
                it.builddir,
                it.slavebuilddir,
                slaves.join(" "),
                it.category.as_deref().unwrap_or("-"),
                it.env.keys().collect::<Vec<_>>(),
                it.origin.how
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join("\n"), @r#"
    foo-a in foo-a and foo-a on a: mine ["A", "B"] | bar=1 baz=y on | derived: slave `a` builds factory `foo`, with settings of its own
    large in out/large and l on b: all ["A"] | bar=1 baz=x on | [builder:large]
    foo in foo and foo on a b: all ["A"] | bar=1 baz=x on | [builder:foo]
    "#);
}

#[test]
fn a_builder_without_what_it_needs_is_told() {
    let text = "[slave:a]\npassword = p\nfactories = foo\n[foo]\nbar = 1\n[builder:x]\nslaves = a\n[builder:y]\nfactory = foo\n[builder:z]\nfactory = foo\nslaves = b*\n[builder:w]\nfactory = fo\nslaves = aa\n[builder:_t]\nslaves = nonsense\n[builder:v]\nfactory = foo\nslaves = a\nparam.baaz = 1\nbuilddir = ../x\n[builder:a/b]\nfactory = foo\nslaves = a\n[builder:a:b]\nfactory = foo\nslaves = a\n";
    insta::assert_snapshot!(problems(text), @r#"
    error[missing-key]: `factory` is missing in [builder:x]
     --> master.ini:6:2
      |
    6 | [builder:x]
      |  ^^^^^^^^^ expected `factory = NAME`

    error[missing-key]: `slaves` is missing in [builder:y]
     --> master.ini:8:2
      |
    8 | [builder:y]
      |  ^^^^^^^^^ expected names, patterns or tags of slaves, or an expression such as `slave.os == "linux"`

    error[no-slave]: no slave can build `z`
      --> master.ini:12:10
       |
    12 | slaves = b*
       |          ^^ this selects none

    error[unknown-factory]: unknown factory `fo`
      --> master.ini:14:11
       |
    14 | factory = fo
       |           ^^ did you mean `foo`?

    error[unknown-slave]: unknown slave `aa`
      --> master.ini:15:10
       |
    15 | slaves = aa
       |          ^^ did you mean `a`?

    error[unknown-key]: factory `foo` has no parameter `baaz`
      --> master.ini:21:1
       |
    21 | param.baaz = 1
       | ^^^^^^^^^^ did you mean `baz`?

    error[bad-value]: bad value for `builddir` in [builder:v]
      --> master.ini:22:12
       |
    22 | builddir = ../x
       |            ^^^^ expected a directory under the base directory, without `..`

    error[shared-directory]: builder `a:b` would share its directory with `a/b`
      --> master.ini:26:2
       |
    23 | [builder:a/b]
       |  ----------- the first one
    ...
    26 | [builder:a:b]
       |  ^^^^^^^^^^^
       |
       = help: another name or `builddir` keeps them apart; a name of the slave or of the factory does, too
    "#);
}

#[test]
fn other_files_are_included_and_their_mistakes_show_where() {
    let main = (
        "master.ini",
        "[:master:]\ninclude = conf.d/*.ini conf.d/*.toml\n[slave:a]\npassword = p\n",
    );
    let plan = files(&[
        main,
        (
            "conf.d/b.ini",
            "[x]\ntype = shell\ncommands = true\n[DEFAULT]\ncategory = c\n",
        ),
        (
            "conf.d/a.toml",
            "[slave.b]\npassword = \"p\"\nfactories = [\"x\"]\n[factory.y]\ntype = \"shell\"\ncommand = [\"true\"]\n\"x +\" = 1\n",
        ),
        ("conf.d/c.txt", "nonsense"),
    ]);
    let error = plan.expect_err("an unknown key");
    insta::assert_snapshot!(error, @r#"
    warning[idle]: no slave uses factory `y`
     --> conf.d/a.toml:4:10
      |
    4 | [factory.y]
      |          ^
      |
     ::: master.ini:2:24
      |
    2 | include = conf.d/*.ini conf.d/*.toml
      |                        ^^^^^^^^^^^^^ included here
      |
      = help: `factories = y` in a slave's section uses it

    error[unknown-key]: unknown key `x` in [factory.y]
     --> conf.d/a.toml:7:1
      |
    7 | "x +" = 1
      | ^^^^^
      |
     ::: master.ini:2:24
      |
    2 | include = conf.d/*.ini conf.d/*.toml
      |                        ^^^^^^^^^^^^^ included here
      |
      = help: the keys of [factory.y] are `category`, `tags`, `description`, `merge_requests`, `priority`, `cancel_superseded`, `max_pending`, `next_build`, `next_slave`, `locks`, `use_progress`, `build_horizon`, `log_horizon`, `build_age`, `log_age`, `event_horizon`, `event_age`, `log_size`, `builddir`, `slavebuilddir`, `type`, `steps`, `workdir`, `hg`, `git`, `svn`, `mode`, `method`, `submodules`, `shallow`, `mirror`, `command`, `commands`, `timeout`, `property.NAME`, `env.NAME`

    warning[idle]: slave `a` builds nothing
     --> master.ini:3:2
      |
    3 | [slave:a]
      |  ^^^^^^^ expected `factories = …` in this section or in [:master:]
    "#);
    let plan = files(&[
        main,
        (
            "conf.d/b.ini",
            "[slave:b]\npassword = p\nfactories = x\n[x]\ntype = shell\ncommands = true\n",
        ),
    ]);
    assert_eq!(names(&plan.expect("no mistake")), ["x-b"]);
    let error = files(&[
        (
            "master.ini",
            "[:master:]\ninclude = a.ini no.ini x.txt */y.ini\n",
        ),
        ("a.ini", "[:master:]\n[slave:a]\npassword = p\n[slave:a]\n"),
    ]);
    insta::assert_snapshot!(error.expect_err("mistakes"), @"
    error[duplicate]: section `[:master:]` stands twice
     --> a.ini:1:2
      |
    1 | [:master:]
      |  ^^^^^^^^ the second one
      |
     ::: master.ini:1:2
      |
    1 | [:master:]
      |  ^^^^^^^^ the first one
      |
     ::: master.ini:2:11
      |
    2 | include = a.ini no.ini x.txt */y.ini
      |           ^^^^^ included here

    warning[idle]: slave `a` builds nothing
     --> a.ini:2:2
      |
    2 | [slave:a]
      |  ^^^^^^^ expected `factories = …` in this section or in [:master:]
      |
     ::: master.ini:2:11
      |
    2 | include = a.ini no.ini x.txt */y.ini
      |           ^^^^^ included here

    error[duplicate]: section `[slave:a]` stands twice
     --> a.ini:4:2
      |
    2 | [slave:a]
      |  ------- the first one
    3 | password = p
    4 | [slave:a]
      |  ^^^^^^^ the second one
      |
     ::: master.ini:2:11
      |
    2 | include = a.ini no.ini x.txt */y.ini
      |           ^^^^^ included here

    error[bad-include]: there is no file `DIR/no.ini`
     --> master.ini:2:17
      |
    2 | include = a.ini no.ini x.txt */y.ini
      |                 ^^^^^^

    error[bad-include]: `x.txt` cannot be included
     --> master.ini:2:24
      |
    2 | include = a.ini no.ini x.txt */y.ini
      |                        ^^^^^ expected a file that ends in `.ini` or `.toml`

    error[bad-include]: `*/y.ini` cannot be included
     --> master.ini:2:30
      |
    2 | include = a.ini no.ini x.txt */y.ini
      |                              ^^^^^^^ a pattern stands behind the last `/` only
    ");
}

#[test]
fn a_master_is_written_in_toml_too() {
    let plan = files(&[(
        "master.toml",
        "[master]\nhtmlport = 8010\nproperty.n = 5\n[slave.a]\npassword = \"p\"\nfactories = [\"x\"]\nmax_builds = 2\n[factory.x]\ncategory = \"c\"\n[[factory.x.steps]]\ntype = \"shell\"\ncommand = [\"echo\", \"{{ platform.os }}\"]\nenv = { A = \"1\" }\n[builder.\"x-{n}\"]\nfactory = \"x\"\nslaves = [\"a\"]\nmatrix.n = [1, 2]\n",
    )]);
    let plan = plan.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(names(&plan), ["x-a", "x-1", "x-2"]);
    let global = plan.master.properties.get("n");
    assert_eq!(global, Some(&serde_json::Value::from(5)));
    let steps = plan.builders[0].factory.steps(&Platform::default());
    assert_eq!(steps.expect("steps").len(), 1);
    let error = files(&[(
        "master.toml",
        "title = \"x\"\n[slaves.a]\n[hello]\ntype = \"shell\"\n[slave]\na = 1\n[slave.b]\npassword = \"p\"\nhas.python = [3.10]\n[builder.\"{v}\"]\nmatrix.v = [3.10]\n",
    )]);
    insta::assert_snapshot!(error.expect_err("mistakes"), @r#"
    error[bad-line]: key `title` stands before any section
     --> master.toml:1:1
      |
    1 | title = "x"
      | ^^^^^ expected a section such as `[master]`

    error[unknown-section]: unknown section `[slaves]`
     --> master.toml:2:2
      |
    2 | [slaves.a]
      |  ^^^^^^ did you mean `slave`?

    error[unknown-section]: unknown section `[hello]`
     --> master.toml:3:2
      |
    3 | [hello]
      |  ^^^^^
      |
      = help: a factory is `[factory.hello]`

    error[bad-line]: key `a` stands before any section
     --> master.toml:6:1
      |
    6 | a = 1
      | ^ expected `[slave.NAME]`

    error[bad-value]: bad value for `has.python` in [slave.b]
     --> master.toml:9:15
      |
    9 | has.python = [3.10]
      |               ^^^^ expected a list of texts

    error[bad-value]: bad value for `matrix.v` in [builder.{v}]
      --> master.toml:11:13
       |
    11 | matrix.v = [3.10]
       |             ^^^^ a version is written in quotes: `3.10` is no number
    "#);
    let both = files(&[("master.ini", ""), ("master.toml", "")]);
    insta::assert_snapshot!(both.expect_err("two files"), @"
    error[duplicate]: there are both `master.ini` and `master.toml` in `DIR`
     |
     = help: a master has one of them; it can `include` the other
    ");
}

#[test]
fn a_program_may_print_a_part() {
    let main = ("master.ini", "[:master:]\ngenerate = ./make-farm\n");
    let plan = files(&[
        main,
        (
            "make-farm",
            "#!/bin/sh\nfor n in 1 2; do printf '[slave.s%d]\\npassword = \"p\"\\nfactories = [\"hello\"]\\n' $n; done\n",
        ),
    ]);
    assert_eq!(names(&plan.expect("no mistake")), ["hello-s1", "hello-s2"]);
    let error = files(&[
        main,
        (
            "make-farm",
            "#!/bin/sh\necho '[slave.s]'\necho 'pasword = 1'\n",
        ),
    ]);
    insta::assert_snapshot!(error.expect_err("a mistake"), @"
    error[missing-key]: slave `s` has no password
     --> (printed by ./make-farm).toml:1:8
      |
    1 | [slave.s]
      |        ^ expected `password = …` in this section or in [:master:]
      |
     ::: master.ini:2:12
      |
    2 | generate = ./make-farm
      |            ^^^^^^^^^^^ included here

    warning[idle]: slave `s` builds nothing
     --> (printed by ./make-farm).toml:1:8
      |
    1 | [slave.s]
      |        ^ expected `factories = …` in this section or in [:master:]
      |
     ::: master.ini:2:12
      |
    2 | generate = ./make-farm
      |            ^^^^^^^^^^^ included here

    error[unknown-key]: unknown key `pasword` in [slave.s]
     --> (printed by ./make-farm).toml:2:1
      |
    2 | pasword = 1
      | ^^^^^^^ did you mean `password`?
      |
     ::: master.ini:2:12
      |
    2 | generate = ./make-farm
      |            ^^^^^^^^^^^ included here
    ");
    let error = files(&[main, ("make-farm", "#!/bin/sh\necho no luck >&2; exit 3\n")]);
    insta::assert_snapshot!(error.expect_err("a failure"), @"
    warning[idle]: there is no slave, so nothing can be built
     --> master.ini:1:1
      |
    1 | [:master:]
      | ^
      |
      = help: a section `[slave:NAME]` with `password` and `factories` adds one

    error[bad-generator]: `./make-farm` failed
     --> master.ini:2:12
      |
    2 | generate = ./make-farm
      |            ^^^^^^^^^^^ it ended with exit status 3
      |
      = help: it said: no luck
    ");
}

#[test]
fn a_property_that_nothing_sets_is_told_where_it_is_used() {
    let text = "[:properties:]\nsite = here\n[slave:a]\npassword = p\nfactories = foo\nproperty.python2.6 = x\n[foo]\nbar = %(site)s %(python2.6)s %(brnch)s %(got_revison:-x)s %(anything:-y)s %(unknown)s\n";
    insta::assert_snapshot!(problems(text), @"
    error[unknown-property]: nothing sets the property `brnch`
     --> master.ini:8:32
      |
    8 | bar = %(site)s %(python2.6)s %(brnch)s %(got_revison:-x)s %(anything:-y)s %(unknown)s
      |                                ^^^^^ did you mean `branch`?

    error[unknown-property]: nothing sets the property `got_revison`
     --> master.ini:8:42
      |
    8 | bar = %(site)s %(python2.6)s %(brnch)s %(got_revison:-x)s %(anything:-y)s %(unknown)s
      |                                          ^^^^^^^^^^^ did you mean `got_revision`?

    error[unknown-property]: nothing sets the property `unknown`
     --> master.ini:8:77
      |
    8 | bar = %(site)s %(python2.6)s %(brnch)s %(got_revison:-x)s %(anything:-y)s %(unknown)s
      |                                                                             ^^^^^^^
      |
      = help: `%(unknown:-…)s` gives a value for that case, and so does a line `unknown = …` in [:properties:]
      = help: known are `branch`, `builddir`, `buildername`, `buildnumber`, `got_revision`, `owner`, `owners`, `project`, `python2.6`, `reason`, `repository`, `revision`, `scheduler`, `site`, `slavename`, `workdir`
    ");
}

#[test]
fn a_mistake_of_a_matrix_makes_no_other_mistakes() {
    let rest =
        "[foo]\nbar = {{ branch }}\n[scheduler:x]\nbranch = none\nbuilders = 1.2.X-python2.4\n";
    let rest = format!(
        "{}{rest}",
        MATRIX.replace("[foo]\nbar = {{ branch }} %(python)s\n", "")
    );
    assert_eq!(problems(&rest), "");
    insta::assert_snapshot!(problems(&rest.replace("exclude = branch", "exclude = brnch")), @r#"
    error[unknown-name]: bad expression in `exclude`
      --> master.ini:14:11
       |
    14 | exclude = brnch == "trunk" and python == "2.4"
       |           ^^^^^ there is no name `brnch`; did you mean `branch`?
    "#);
    let none = rest.replace("python in slave", "'9' in slave");
    insta::assert_snapshot!(problems(&none), @"
    error[no-slave]: no slave can build any combination of [builder:{branch}-python{python}]
      --> master.ini:15:10
       |
    15 | slaves = '9' in slave.has.python
       |          ^^^^^^^^^^^^^^^^^^^^^^^ this selects none for each of them
    ");
    let one = rest.replace("has.python = 2.4", "has.python =");
    insta::assert_snapshot!(problems(&one), @"
    error[unknown-builder]: unknown builder `1.2.X-python2.4`
      --> master.ini:22:12
       |
    22 | builders = 1.2.X-python2.4
       |            ^^^^^^^^^^^^^^^ it is left out: no slave can build branch = 1.2.X, python = 2.4
    ");
    let shown = files(&[(
        "master.toml",
        "[slave.a]\npassword = \"p\"\n[builder.{n}]\nfactory = \"x\"\nslaves = \"a\"\nmatrix.n = [1]\n[factory.x]\ntype = \"shell\"\ncommands = [\"{{ n }}\"]\n",
    )]);
    insta::assert_snapshot!(shown.expect_err("a name in braces"), @r#"
    error[bad-line]: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
     --> master.toml:3:10
      |
    3 | [builder.{n}]
      |          ^
      |
      = help: a name of other signs than letters, digits, `_` and `-` stands in quotes: `[builder."{a}-{b}"]`
    "#);
}

#[test]
fn locks_of_steps_are_looked_through_with_those_of_builders() {
    let master = "[slave:a]\npassword = x\nfactories = words\n[lock:db]\n[words]\nlocks = db\n";
    let recipe = "[[steps]]\ntype = \"shell\"\ncommand = \"x\"\nlocks = \"db\"\n\
                  [[steps]]\ntype = \"shell\"\ncommand = \"y\"\nlocks = [\"bd\"]\n";
    let all = [("master.ini", master), ("factories/words.toml", recipe)];
    let told = files(&all).expect_err("mistakes");
    insta::assert_snapshot!(told, @r#"
    error[lock-use]: step `shell` of builder `words-a` would wait for lock `db` for ever
     --> DIR/factories/words.toml:4:10
      |
    4 | locks = "db"
      |          ^^ cannot be had here
      |
     ::: master.ini:6:9
      |
    6 | locks = db
      |         ^^ the builder holds it already

    error[unknown-lock]: unknown lock `bd`
     --> DIR/factories/words.toml:8:10
      |
    8 | locks = ["bd"]
      |          ^^^^ did you mean `db`?
    "#);
}
