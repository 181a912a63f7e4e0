//! Every message of the configuration, shown whole.

use std::os::unix::fs::PermissionsExt;

use super::load;
use super::plan;
use super::problems;
use crate::config::cannot_listen;
use crate::syntax::Problems;

#[test]
fn every_mistake_of_a_file_is_told_in_one_run() {
    let text = "[:master:]\nfactories = foo baz\nslaveprot = 1\nhtmlport = web\nmax_builds = 0\nbuilders = os\nbase_url = ci.example.org\npoll_interval = 0\n[:mastre:]\n[slvae:x]\n[lock:db]\n[:web:]\n[gizmo:x]\n[slave:]\n[slave:../x]\n[_template]\n[slave:a]\nfactories = foo fooo nothing\nos = windows\npasswrod = x\nlaunch = sssh\n[slave:b]\npassword =\nbasedir = x\n[foo]\nbar = 1\nbra = 2\n[fo]\n[z]\ntype = vsc\nanything = 1\n[mine]\ncategroy = x\n";
    insta::assert_snapshot!(problems(text), @"
    error[unknown-factory]: unknown factory `baz`
      --> master.ini:2:17
       |
     2 | factories = foo baz
       |                 ^^^
       |
      ::: master.ini:22:2
       |
    22 | [slave:b]
       |  ^^^^^^^ [slave:b] takes it from here
       |
       = help: there are `fo`, `foo`, `mine`, `vcs`, `z`

    error[unknown-key]: unknown key `slaveprot` in [:master:]
     --> master.ini:3:1
      |
    3 | slaveprot = 1
      | ^^^^^^^^^ did you mean `slaveport`?

    error[bad-value]: bad value for `htmlport` in [:master:]
     --> master.ini:4:12
      |
    4 | htmlport = web
      |            ^^^ expected a port such as `8010` or `127.0.0.1:8010`, or `none`

    error[bad-value]: bad value for `max_builds` in [:master:]
     --> master.ini:5:14
      |
    5 | max_builds = 0
      |              ^ expected a whole number from 1

    error[bad-value]: bad value for `builders` in [:master:]
     --> master.ini:6:12
      |
    6 | builders = os
      |            ^^ expected `slave`, `platform` or `factory`

    error[bad-value]: bad value for `base_url` in [:master:]
     --> master.ini:7:12
      |
    7 | base_url = ci.example.org
      |            ^^^^^^^^^^^^^^ expected a web address such as `https://ci.example.org/`

    error[bad-value]: bad value for `poll_interval` in [:master:]
     --> master.ini:8:17
      |
    8 | poll_interval = 0
      |                 ^ expected more than nothing

    error[unknown-section]: unknown section `[:mastre:]`
     --> master.ini:9:2
      |
    9 | [:mastre:]
      |  ^^^^^^^^ did you mean `:master:`?

    error[unknown-section]: unknown kind of section `[slvae:…]`
      --> master.ini:10:2
       |
    10 | [slvae:x]
       |  ^^^^^^^ did you mean `slave`?
       |
       = help: `[slave:NAME]` is a slave, `[NAME]` or `[factory:NAME]` a factory

    error[unknown-section]: unknown kind of section `[gizmo:…]`
      --> master.ini:13:2
       |
    13 | [gizmo:x]
       |  ^^^^^^^
       |
       = help: `[slave:NAME]` is a slave, `[NAME]` or `[factory:NAME]` a factory

    error[bad-name]: `[slave:]` has no usable name
      --> master.ini:14:2
       |
    14 | [slave:]
       |  ^^^^^^ expected a name behind the colon

    error[bad-name]: `[slave:../x]` has no usable name
      --> master.ini:15:2
       |
    15 | [slave:../x]
       |  ^^^^^^^^^^ a name does not begin with `.`

    error[missing-key]: slave `a` has no password
      --> master.ini:17:2
       |
    17 | [slave:a]
       |  ^^^^^^^ expected `password = …` in this section or in [:master:]

    error[unknown-factory]: unknown factory `fooo`
      --> master.ini:18:17
       |
    18 | factories = foo fooo nothing
       |                 ^^^^ did you mean `foo`?

    error[unknown-factory]: unknown factory `nothing`
      --> master.ini:18:22
       |
    18 | factories = foo fooo nothing
       |                      ^^^^^^^
       |
       = help: there are `fo`, `foo`, `mine`, `vcs`, `z`

    error[bad-value]: bad value for `os` in [slave:a]
      --> master.ini:19:6
       |
    19 | os = windows
       |      ^^^^^^^ expected `linux`, `win` or `mac`

    error[unknown-key]: unknown key `passwrod` in [slave:a]
      --> master.ini:20:1
       |
    20 | passwrod = x
       | ^^^^^^^^ did you mean `password`?

    error[bad-value]: bad value for `launch` in [slave:a]
      --> master.ini:21:10
       |
    21 | launch = sssh
       |          ^^^^ expected `none` (the slave dials in), or how the master starts it: `local`, `command` or `ssh`

    error[bad-value]: bad value for `password` in [slave:b]
      --> master.ini:23:11
       |
    23 | password =
       |           ^ expected a password, or `${secret:NAME}`

    error[bad-value]: bad value for `basedir` in [slave:b]
      --> master.ini:24:11
       |
    24 | basedir = x
       |           ^ the slave says itself where it works, unless `launch` is `local` or `ssh`

    error[unknown-key]: unknown key `bra` in [foo]
      --> master.ini:27:1
       |
    27 | bra = 2
       | ^^^ did you mean `bar`?

    error[unknown-factory]: unknown factory `fo`
      --> master.ini:28:2
       |
    28 | [fo]
       |  ^^ did you mean `foo`?

    error[unknown-factory]: unknown factory `vsc`
      --> master.ini:30:8
       |
    30 | type = vsc
       |        ^^^ did you mean `vcs`?

    warning[idle]: no slave uses factory `mine`
      --> master.ini:32:2
       |
    32 | [mine]
       |  ^^^^
       |
       = help: `factories = mine` in a slave's section uses it

    error[unknown-key]: unknown key `categroy` in [mine]
      --> master.ini:33:1
       |
    33 | categroy = x
       | ^^^^^^^^ did you mean `category`?
    ");
}

#[test]
fn names_that_stand_twice_are_shown_together() {
    let text =
        "[slave:a]\npassword = p\nfactories = *\n[worker:a]\n[foo]\nbar = 1\n[factory:foo]\n";
    insta::assert_snapshot!(problems(text), @"
    error[duplicate]: slave `a` stands twice
     --> master.ini:4:2
      |
    1 | [slave:a]
      |  ------- the first one
    ...
    4 | [worker:a]
      |  ^^^^^^^^ the second one

    error[duplicate]: factory `foo` stands twice
     --> master.ini:7:2
      |
    5 | [foo]
      |  --- the first one
    6 | bar = 1
    7 | [factory:foo]
      |  ^^^^^^^^^^^ the second one
    ");
}

#[test]
fn builders_that_would_share_a_directory_are_refused() {
    let text = "[:master:]\npassword = p\n[slave:b-c]\nfactories = a\n[slave:c]\nfactories = a-b\n[a]\ntype = mine\n[a-b]\ntype = mine\n";
    insta::assert_snapshot!(problems(text), @"
    error[shared-directory]: two builders would be named `a-b-c`
     --> master.ini:5:2
      |
    5 | [slave:c]
      |  ^^^^^^^
      |
      = help: another name of the slave or of the factory keeps them apart
    ");
}

#[test]
fn builders_whose_names_become_one_directory_are_refused() {
    let text = "[:master:]\npassword = p\nfactories = mine\n[slave:a b]\n[slave:a_b]\n";
    insta::assert_snapshot!(problems(text), @"
    error[shared-directory]: builder `mine-a_b` would share its directory with `mine-a b`
     --> master.ini:5:2
      |
    4 | [slave:a b]
      |  --------- the first one
    5 | [slave:a_b]
      |  ^^^^^^^^^
      |
      = help: another name or `builddir` keeps them apart; a name of the slave or of the factory does, too
    ");
}

#[test]
fn a_builder_in_the_slaves_own_directory_is_refused() {
    let text = "[:master:]\npassword = p\n[slave:a]\n[builder:spool]\nfactory = mine\nslaves = a\n[builder:x]\nfactory = mine\nslaves = a\nslavebuilddir = mirrors/x\n[builder:mirrors]\nfactory = mine\nslaves = a\nslavebuilddir = y\n";
    insta::assert_snapshot!(problems(text), @"
    error[shared-directory]: builder `spool` would work in `spool`, which is the slave's own
     --> master.ini:4:2
      |
    4 | [builder:spool]
      |  ^^^^^^^^^^^^^
      |
      = help: another name or `slavebuilddir` keeps them apart

    error[shared-directory]: builder `x` would work in `mirrors`, which is the slave's own
     --> master.ini:7:2
      |
    7 | [builder:x]
      |  ^^^^^^^^^
      |
      = help: another name or `slavebuilddir` keeps them apart
    ");
}

#[test]
fn builders_of_a_platform_need_to_know_it() {
    let text = "[:master:]\nbuilders = platform\n[slave:a]\npassword = p\nfactories = mine\n";
    insta::assert_snapshot!(problems(text), @"
    error[missing-key]: `builders = platform` has to know the os of `a`
     --> master.ini:3:2
      |
    3 | [slave:a]
      |  ^^^^^^^ expected `os = linux`, `os = win` or `os = mac` in this section
    ");
}

#[test]
fn a_port_is_used_once() {
    let rest = "[slave:a]\npassword = p\nfactories = mine\n";
    let text = format!("[:master:]\nslaveport = 8010\npublichtmlport = 127.0.0.1:8010\n{rest}");
    insta::assert_snapshot!(problems(&text), @"
    error[port]: `htmlport` and `slaveport` are both port 8010
     --> master.ini:2:13
      |
    2 | slaveport = 8010
      |             ^^^^ this is taken
      |
      = help: `htmlport` is 8010 where the file says nothing else

    error[port]: `publichtmlport` and `slaveport` are both port 8010
     --> master.ini:3:18
      |
    2 | slaveport = 8010
      |             ---- by this
    3 | publichtmlport = 127.0.0.1:8010
      |                  ^^^^^^^^^^^^^^ this is taken
    ");
    let text = format!("[:master:]\nslaveport = 127.0.0.1:1\nhtmlport = 127.0.0.2:1\n{rest}");
    assert_eq!(problems(&text), "");
}

#[test]
fn what_does_nothing_gives_a_warning() {
    let text = "[:master:]\nrecipients = a@example.org\nirc_host = irc.example.org\n[slave:a]\npassword = p\n[foo]\nbar = 1\n";
    insta::assert_snapshot!(problems(text), @"
    warning[no-effect]: `recipients` has no effect
     --> master.ini:2:14
      |
    2 | recipients = a@example.org
      |              ^^^^^^^^^^^^^ mail status is not part of this version

    warning[no-effect]: `irc_host` has no effect
     --> master.ini:3:12
      |
    3 | irc_host = irc.example.org
      |            ^^^^^^^^^^^^^^^ IRC status is not part of this version

    warning[idle]: slave `a` builds nothing
     --> master.ini:4:2
      |
    4 | [slave:a]
      |  ^^^^^^^ expected `factories = …` in this section or in [:master:]

    warning[idle]: no slave uses factory `foo`
     --> master.ini:6:2
      |
    6 | [foo]
      |  ^^^
      |
      = help: `factories = foo` in a slave's section uses it
    ");
    insta::assert_snapshot!(problems("# nothing yet\n"), @"
    warning[idle]: there is no slave, so nothing can be built
     --> master.ini:1:1
      |
    1 | # nothing yet
      | ^
      |
      = help: a section `[slave:NAME]` with `password` and `factories` adds one
    ");
}

#[test]
fn a_master_section_without_its_colons_is_explained() {
    insta::assert_snapshot!(problems("[master]\n[slave:a]\npassword = p\nfactories = mine\n"), @"
    error[unknown-factory]: unknown factory `master`
     --> master.ini:1:2
      |
    1 | [master]
      |  ^^^^^^
      |
      = help: the master's section is `[:master:]`
    ");
}

#[test]
fn a_type_without_a_section_may_need_one() {
    let text = "[slave:a]\npassword = p\nfactories = foo\n";
    insta::assert_snapshot!(problems(text), @"
    error[missing-key]: `bar` is missing in [foo]
     --> master.ini:3:13
      |
    3 | factories = foo
      |             ^^^ expected a text, which may have properties such as `%(branch)s`
      |
      = help: the file has no section `[foo]`
    ");
}

#[test]
fn a_bad_default_is_told_once() {
    let text = "[:master:]\nos = windows\npassword = p\nfactories = mien\n[slave:a]\n[slave:b]\n";
    insta::assert_snapshot!(problems(text), @"
    error[bad-value]: bad value for `os` in [:master:]
     --> master.ini:2:6
      |
    2 | os = windows
      |      ^^^^^^^ expected `linux`, `win` or `mac`

    error[unknown-factory]: unknown factory `mien`
     --> master.ini:4:13
      |
    4 | factories = mien
      |             ^^^^ did you mean `mine`?
      |
     ::: master.ini:5:2
      |
    5 | [slave:a]
      |  ^^^^^^^ [slave:a] takes it from here
    ");
}

#[test]
fn words_between_which_there_are_commas_are_told_how_to_stand() {
    let text = "[slave:a]\npassword = x\nfactories = foo, fo\n\
        [slave:b]\npassword = x\nfactories = foo fo\n\
        [foo]\nbar = 1\n[fo]\ntype = foo\nbar = 1\n\
        [scheduler:s]\nbranch = main\nbuilders = foo-b,fo-b\n\
        [scheduler:t]\nbranch = main\nbuilders = foo-b,\n    fo-b\n\
        [scheduler:u]\nbranch = main\nbuilders = foo-bb fo-b\n\
        [status:m]\ntype = mail\nfromaddr = a@b.test\nmode = failing, passing\n";
    insta::assert_snapshot!(problems(text), @"
    error[unknown-factory]: unknown factory `foo,`
     --> master.ini:3:16
      |
    3 | factories = foo, fo
      |                ^ words are separated by spaces, not by commas
      |
      = help: write the line as `factories = foo fo`

    error[unknown-builder]: unknown builder `foo-b,fo-b`
      --> master.ini:14:17
       |
    14 | builders = foo-b,fo-b
       |                 ^ words are separated by spaces, not by commas
       |
       = help: write the line as `builders = foo-b fo-b`

    error[unknown-builder]: unknown builder `foo-b,`
      --> master.ini:17:17
       |
    17 | builders = foo-b,
       |                 ^ words are separated by spaces, not by commas
       |
       = help: write the line as `builders = foo-b`

    error[unknown-builder]: unknown builder `foo-bb`
      --> master.ini:21:12
       |
    21 | builders = foo-bb fo-b
       |            ^^^^^^ did you mean `foo-b`?

    warning[no-effect]: [status:m] tells nothing about builds
      --> master.ini:23:8
       |
    23 | type = mail
       |        ^^^^ mails about builds are not sent by this version, only those about missing slaves

    error[bad-value]: bad value for `mode` in [status:m]
      --> master.ini:25:15
       |
    25 | mode = failing, passing
       |               ^ words are separated by spaces, not by commas
       |
       = help: write the line as `mode = failing passing`
    ");
    let text = "[slave:a]\npassword = x\nfactories = foo\n[foo]\nbar = 1\n\
        [builder:z]\nfactory = foo\nslaves = a , a\n";
    insta::assert_snapshot!(problems(text), @"
    error[unknown-slave]: unknown slave `,`
     --> master.ini:8:12
      |
    8 | slaves = a , a
      |            ^ words are separated by spaces, not by commas
      |
      = help: write the line as `slaves = a a`
    ");
}

#[test]
fn keys_of_buildbots_master_are_answered_with_what_to_write() {
    let keys = [
        "project",
        "slavePortnum",
        "protocols",
        "sources",
        "change_source",
        "bots",
        "slaves",
        "workers",
        "schedulers",
        "status",
        "services",
        "interlocks",
        "validation",
        "metrics",
        "properties",
        "user_managers",
        "collapseRequests",
        "www",
        "db",
        "revlink",
        "logEncoding",
        "manhole",
    ];
    for key in keys {
        let told = problems(&format!("[:master:]\n{key} = x\n[slave:a]\npassword = x\n"));
        assert!(told.contains("there is no key `"), "{key}: {told}");
    }
    let told = problems("[:master:]\nslavePortnum = 9989\n[slave:a]\npassword = x\n");
    insta::assert_snapshot!(told, @"
    error[unknown-key]: there is no key `slavePortnum`
     --> master.ini:2:16
      |
    2 | slavePortnum = 9989
      |                ^^^^
      |
      = help: `slaveport` is where slaves come to

    warning[idle]: slave `a` builds nothing
     --> master.ini:3:2
      |
    3 | [slave:a]
      |  ^^^^^^^ expected `factories = …` in this section or in [:master:]
    ");
    // These are spelt alike, or were called so before.
    for key in [
        "projectName",
        "projectURL",
        "title",
        "titleURL",
        "eventHorizon",
        "debugPassword",
    ] {
        let told = problems(&format!("[:master:]\n{key} = x\n[slave:a]\npassword = x\n"));
        assert!(!told.contains("unknown key"), "{key}: {told}");
    }
}

#[test]
fn a_slave_whose_name_is_taken_is_not_said_to_be_missing() {
    let text = "[slave:debug]\npassword = x\nfactories = foo\n[foo]\nbar = 1\n";
    insta::assert_snapshot!(problems(text), @"
    error[bad-name]: `[slave:debug]` has no usable name
     --> master.ini:1:2
      |
    1 | [slave:debug]
      |  ^^^^^^^^^^^ this name is taken: it is one of the master's own users
    ");
}

#[test]
fn an_item_of_a_list_in_brackets_may_have_a_comma() {
    let text = "[slave:a]\npassword = x\nfactories = [\"foo\", \"bar,\"]\n[foo]\nbar = 1\n";
    insta::assert_snapshot!(problems(text), @r#"
    error[unknown-factory]: unknown factory `bar,`
     --> master.ini:3:21
      |
    3 | factories = ["foo", "bar,"]
      |                     ^^^^^^
      |
      = help: there are `foo`, `mine`, `vcs`
    "#);
}

#[test]
fn a_port_that_cannot_be_had_is_told_where_it_is_set() {
    let text =
        "[:master:]\nslaveport = 1\n[slave:a]\npassword = x\nfactories = foo\n[foo]\nbar = 1\n";
    let plan = plan(text);
    let listeners = plan.listeners();
    let slaveport = listeners.iter().find(|it| it.key == "slaveport");
    let taken = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    let shown = Problems(vec![cannot_listen(
        &plan,
        slaveport.expect("it is set"),
        &taken,
    )])
    .render(false);
    insta::assert_snapshot!(shown, @"
    error[port]: `slaveport`: cannot listen on `0.0.0.0:1`: address in use
     --> master.ini:2:13
      |
    2 | slaveport = 1
      |             ^
      |
      = help: stop what listens there (`ss -ltnp` shows it), or set another `slaveport` in [:master:]
    ");
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_told_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let told = |expected: &str| {
        let problems = load(dir.path()).expect_err("a problem");
        let shown = problems.render(false);
        let shown = shown.replace(&dir.path().display().to_string(), "DIR");
        assert_eq!(shown, expected);
    };
    told(
        "error[no-file]: there is no file `DIR/master.ini`\n |\n = help: `create-autobot-master DIR` makes a master\n",
    );
    std::fs::write(
        dir.path().join("master.ini"),
        b"[:master:]\ntitle = \xfcber\n",
    )
    .expect("written");
    told(
        "error[no-file]: the file is not written in UTF-8\n --> master.ini:2:9\n  |\n2 | title = \u{fffd}ber\n  |         ^ this is no UTF-8\n  |\n  = help: an editor can save it with the encoding UTF-8\n",
    );
}

#[test]
fn passwords_that_everybody_can_read_give_a_warning() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("master.ini");
    std::fs::write(&path, "[slave:a]\npassword = p\n").expect("written");
    let warnings = |mode: u32| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&path, mode).expect("a mode");
        let plan = load(dir.path()).expect("a plan");
        let shown = plan.warnings.render(false);
        shown.replace(&dir.path().display().to_string(), "DIR")
    };
    let secret = warnings(0o640);
    assert!(!secret.contains("everybody"), "{secret}");
    insta::assert_snapshot!(warnings(0o644), @"
    warning[open-file]: `master.ini` holds passwords and everybody can read it
     |
     = help: `chmod o-r DIR/master.ini` keeps them secret

    warning[idle]: slave `a` builds nothing
     --> master.ini:1:2
      |
    1 | [slave:a]
      |  ^^^^^^^ expected `factories = …` in this section or in [:master:]
    ");
}

#[test]
fn arbitrary_files_never_panic() {
    let pieces = [
        "[",
        "]\n",
        "slave:a",
        ":master:",
        "foo",
        "password",
        " = ",
        "factories",
        "*",
        "\n",
        "os",
        "builders = platform\n",
        "é",
        " ",
    ];
    let mut seed = 1_u32;
    for _ in 0..2000 {
        let mut text = String::new();
        for _ in 0..20 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            text.push_str(pieces[(seed >> 16) as usize % pieces.len()]);
        }
        problems(&text);
    }
}

#[test]
fn a_slave_is_not_asked_for_more_than_it_can_answer_at_once() {
    let lines: String = (0..51)
        .map(|it| format!("capability.c{it} = true\n"))
        .collect();
    let text = format!("[slave:a]\npassword = x\nfactories = foo\n{lines}[foo]\nbar = 1\n");
    insta::assert_snapshot!(problems(&text), @"
    error[bad-value]: 51 capabilities are more than 50
      --> master.ini:13:17
       |
    13 | capability.c9 = true
       |                 ^^^^
       |
       = help: each is a command that runs whenever the slave comes
    ");
}

#[test]
fn directories_are_not_cleaned_up_at_once() {
    let read = |time: &str| {
        problems(&format!(
            "[slave:a]\npassword = x\nfactories = foo\nclean_up = {time}\n[foo]\nbar = 1\n"
        ))
    };
    for good in ["7d", "1s", "none"] {
        assert_eq!(read(good), "", "{good}");
    }
    insta::assert_snapshot!(read("0"), @"
    error[bad-value]: bad value for `clean_up` in [slave:a]
     --> master.ini:4:12
      |
    4 | clean_up = 0
      |            ^ it should be longer than nothing, such as `7d`; `none` is for ever
    ");
}

#[test]
fn maps_of_the_master_hold_for_every_slave_key_by_key() {
    let text = "[:master:]\npassword = x\nfactories = foo\nhas.python = 3.11\ncapability.git = git --version\n\
        [slave:a]\nhas.java = 21\ncapability.git = git version\ncapability.place = pwd\n\
        [slave:b]\n[foo]\nbar = 1\n";
    let plan = crate::config::tests::try_read(text).expect("no mistakes");
    let told = plan
        .slaves
        .iter()
        .map(|it| format!("{} {:?} {:?}", it.name, it.has, it.capabilities));
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @r#"
    a {"java": ["21"], "python": ["3.11"]} {"git": "git version", "place": "pwd"}
    b {"python": ["3.11"]} {"git": "git --version"}
    "#);
}

#[test]
fn two_slaves_of_the_masters_own_do_not_share_a_directory() {
    let text = "[:master:]\npassword = x\nfactories = foo\nlaunch = local\n[slave:a]\nbasedir = work\n[slave:b]\nbasedir = work\n[foo]\nbar = 1\n";
    let shown = problems(text);
    assert!(
        shown.contains("slave `b` would work in the base directory of slave `a`"),
        "{shown}"
    );
}

#[test]
fn schedulers_name_only_what_there_is() {
    let text = "[slave:a]\npassword = p\nfactories = foo\n[foo]\nbar = 1\n[scheduler:x]\ntype = dependent\nupstream = z\nbuilders = foo-b *-mac\n[scheduler:y]\ntype = dependent\nupstream = x1\nbuilders =\n[scheduler:x1]\ntype = dependent\nupstream = y\nbuilders = foo-a\n[scheduler:x1]\n[scheduler:tagged]\nbranch = none\ntags = quick\n";
    insta::assert_snapshot!(problems(text), @"
    error[unknown-scheduler]: unknown scheduler `z`
     --> master.ini:8:12
      |
    8 | upstream = z
      |            ^
      |
      = help: there are `x`, `y`, `x1`, `tagged`

    error[unknown-builder]: unknown builder `foo-b`
     --> master.ini:9:12
      |
    9 | builders = foo-b *-mac
      |            ^^^^^ did you mean `foo-a`?

    error[no-builder]: no builder fits `*-mac`
     --> master.ini:9:18
      |
    9 | builders = foo-b *-mac
      |                  ^^^^^

    error[no-builder]: scheduler `y` has no builder
      --> master.ini:10:2
       |
    10 | [scheduler:y]
       |  ^^^^^^^^^^^

    error[circle]: scheduler `y` waits for itself
      --> master.ini:12:12
       |
    12 | upstream = x1
       |            ^^

    error[circle]: scheduler `x1` waits for itself
      --> master.ini:16:12
       |
    16 | upstream = y
       |            ^

    error[duplicate]: section `[scheduler:x1]` stands twice
      --> master.ini:18:2
       |
    14 | [scheduler:x1]
       |  ------------ the first one
    ...
    18 | [scheduler:x1]
       |  ^^^^^^^^^^^^ the second one

    error[unknown-name]: no builder has the tag `quick`
      --> master.ini:21:8
       |
    21 | tags = quick
       |        ^^^^^
       |
       = help: there are none
    ");
}

#[test]
fn logs_are_kept_of_builds_only() {
    let section = "[slave:a]\npassword = p\nfactories = *\n[foo]\nbar = 1\n";
    let text = format!("[:master:]\nlog_horizon = 9\nbuild_horizon = 8\n{section}");
    insta::assert_snapshot!(problems(&text), @"
    error[contradiction]: `log_horizon` 9 is more than `build_horizon` 8
     --> master.ini:2:15
      |
    2 | log_horizon = 9
      |               ^ logs are kept of builds only
    3 | build_horizon = 8
      |                 - builds go with their logs
    ");
    let text =
        format!("[:master:]\nbuild_horizon = 8\nlog_horizon = 8\n{section}log_horizon = 9\n");
    insta::assert_snapshot!(problems(&text), @"
    error[contradiction]: `log_horizon` 9 is more than `build_horizon` 8
     --> master.ini:7:2
      |
    7 | [foo]
      |  ^^^ logs are kept of builds only
      |
      = help: what this section does not say is said in [:master:]
    ");
    let text = format!(
        "[:master:]\nbuildHorizon = 0\nlogHorizon = none\nevent_horizon = -1\nchange_horizon = -1\n{section}"
    );
    insta::assert_snapshot!(problems(&text), @"
    error[bad-value]: bad value for `buildHorizon` in [:master:]
     --> master.ini:2:16
      |
    2 | buildHorizon = 0
      |                ^ expected a whole number from 1, or `none`

    error[bad-value]: bad value for `event_horizon` in [:master:]
     --> master.ini:4:17
      |
    4 | event_horizon = -1
      |                 ^^ expected a whole number, or `none`

    error[bad-value]: bad value for `change_horizon` in [:master:]
     --> master.ini:5:18
      |
    5 | change_horizon = -1
      |                  ^^ expected a whole number, or `none`
    ");
}

#[test]
fn keys_of_buildbot_do_what_they_say_or_say_what_does() {
    let section = "[slave:a]\npassword = p\nfactories = *\n[foo]\nbar = 1\n";
    let text = format!(
        "[:master:]\nsources = x\nbots = y\ninterlocks = z\nmanhole = 1\ndb_url = mysql://host/db\n\
         multiMaster = yes\ndb_poll_interval = 30\ncaches.Changes = 100\nbuildCacheSize = 0\n\
         changeCacheSize = 10\ndebugPassword = x\nlogMaxSize = 1X\nlog_compression_method = zip\n{section}"
    );
    insta::assert_snapshot!(problems(&text), @"
    error[unknown-key]: there is no key `sources`
     --> master.ini:2:11
      |
    2 | sources = x
      |           ^
      |
      = help: pollers are derived from the factories' repositories; a section `[source:NAME]` is a change source

    error[unknown-key]: there is no key `bots`
     --> master.ini:3:8
      |
    3 | bots = y
      |        ^
      |
      = help: each slave is a section `[slave:NAME]`

    error[unknown-key]: there is no key `interlocks`
     --> master.ini:4:14
      |
    4 | interlocks = z
      |              ^
      |
      = help: each lock is a section `[lock:NAME]`

    error[unknown-key]: there is no key `manhole`
     --> master.ini:5:11
      |
    5 | manhole = 1
      |           ^
      |
      = help: there is no Python inside to talk to; `autobot status`, the pages and `/json` show what goes on

    error[bad-value]: bad value for `db_url` in [:master:]
     --> master.ini:6:10
      |
    6 | db_url = mysql://host/db
      |          ^^^^^^^^^^^^^^^ this version keeps its state in SQLite only: `sqlite:///FILE`

    warning[no-effect]: `multi_master` has no effect
     --> master.ini:7:15
      |
    7 | multiMaster = yes
      |               ^^^ a database has one master in this version

    warning[no-effect]: `db_poll_interval` has no effect
     --> master.ini:8:20
      |
    8 | db_poll_interval = 30
      |                    ^^ what is written is known at once

    warning[no-effect]: `caches` has no effect
     --> master.ini:9:18
      |
    9 | caches.Changes = 100
      |                  ^^^ SQLite's own cache is the only one

    error[bad-value]: bad value for `buildCacheSize` in [:master:]
      --> master.ini:10:18
       |
    10 | buildCacheSize = 0
       |                  ^ expected a whole number from 1, or `none`

    warning[no-effect]: `build_cache_size` has no effect
      --> master.ini:10:18
       |
    10 | buildCacheSize = 0
       |                  ^ SQLite's own cache is the only one

    warning[no-effect]: `change_cache_size` has no effect
      --> master.ini:11:19
       |
    11 | changeCacheSize = 10
       |                   ^^ SQLite's own cache is the only one

    error[bad-value]: bad value for `logMaxSize` in [:master:]
      --> master.ini:13:14
       |
    13 | logMaxSize = 1X
       |              ^^ expected a size such as `16384` or `10M`, or `none`

    error[bad-value]: bad value for `log_compression_method` in [:master:]
      --> master.ini:14:26
       |
    14 | log_compression_method = zip
       |                          ^^^ expected `gz` or `bz2`

    warning[no-effect]: `log_compression_method` has no effect
      --> master.ini:14:26
       |
    14 | log_compression_method = zip
       |                          ^^^ this version keeps logs as they are
    ");
}

#[test]
fn sizes_have_units_and_a_tail_alone_is_idle() {
    let section = "[slave:a]\npassword = p\nfactories = *\n[foo]\nbar = 1\n";
    let text = format!(
        "[:master:]\nlogMaxTailSize = 1M\nlogCompressionLimit = no\nlogCompressionMethod = bz2\n{section}"
    );
    insta::assert_snapshot!(problems(&text), @"
    warning[no-effect]: `log_max_tail_size` has no effect
     --> master.ini:2:18
      |
    2 | logMaxTailSize = 1M
      |                  ^^ without `log_max_size`, logs are kept whole

    warning[no-effect]: `log_compression_limit` has no effect
     --> master.ini:3:23
      |
    3 | logCompressionLimit = no
      |                       ^^ this version keeps logs as they are

    warning[no-effect]: `log_compression_method` has no effect
     --> master.ini:4:24
      |
    4 | logCompressionMethod = bz2
      |                        ^^^ this version keeps logs as they are
    ");
}

/// A project with a matrix and three schedulers, in both spellings.
const PROJECT: [(&str, &str); 2] = [
    (
        "master.ini",
        r#"[slave:here]
password = p
has.python = 3.12

[builder:calc-{kind}]
factory = calc
matrix.kind = plain optimized
slaves = here
tags = {{ kind }}

[calc]
git = https://example.org/calc.git#main
env.LANG = C
steps := [
    {"type": "compile", "command": ["python3", "-m", "compileall", "."]},
    {"type": "test", "command": "./check {{ kind }}", "timeout": "20m"},
    {"type": "trigger", "scheduler_names": ["packages"]}
  ]

[scheduler:night]
type = nightly
branch = main
hour = 3
builders = calc-plain

[scheduler:packages]
type = triggerable
tags = optimized
"#,
    ),
    (
        "master.toml",
        r#"[slave.here]
password = "p"
has.python = ["3.12"]

[builder."calc-{kind}"]
factory = "calc"
matrix.kind = ["plain", "optimized"]
slaves = "here"
tags = "{{ kind }}"

[factory.calc]
git = "https://example.org/calc.git#main"
env.LANG = "C"

[[factory.calc.steps]]
type = "compile"
command = ["python3", "-m", "compileall", "."]

[[factory.calc.steps]]
type = "test"
command = "./check {{ kind }}"
timeout = "20m"

[[factory.calc.steps]]
type = "trigger"
scheduler_names = ["packages"]

[scheduler.night]
type = "nightly"
branch = "main"
hour = 3
builders = "calc-plain"

[scheduler.packages]
type = "triggerable"
tags = "optimized"
"#,
    ),
];

#[test]
fn the_ten_mistakes_that_buildbot_does_not_place() {
    let slips: [(&str, [(&str, &str); 2]); 10] = [
        (
            "a misspelled parameter of a step",
            [
                ("\"command\": \"./", "\"comand\": \"./"),
                ("command = [", "comand = ["),
            ],
        ),
        (
            "a scheduler of a builder that is not there",
            [
                ("= calc-plain", "= calc-plian"),
                ("calc-plain", "calc-plian"),
            ],
        ),
        (
            "a slave that is not there",
            [
                ("slaves = here", "slaves = hrere"),
                ("slaves = \"here", "slaves = \"hrere"),
            ],
        ),
        (
            "a step of no type",
            [("\"test\"", "\"tset\""), ("\"test\"", "\"tset\"")],
        ),
        (
            "a bracket that is not closed",
            [("\".\"]", "\".\""), ("\".\"]", "\".\"")],
        ),
        (
            "a duration in words",
            [("\"20m\"", "\"20 minutes\""), ("\"20m\"", "20 minutes")],
        ),
        (
            "an hour that no day has",
            [("hour = 3", "hour = 25"), ("hour = 3", "hour = 25")],
        ),
        (
            "an environment that is a text",
            [
                ("env.LANG = C", "env = PATH=/bin"),
                ("env.LANG = \"C\"", "env = \"PATH=/bin\""),
            ],
        ),
        (
            "a property that nothing sets",
            [
                ("{{ kind }}\",", "%(brnch)s\","),
                ("{{ kind }}\"\ntimeout", "%(brnch)s\"\ntimeout"),
            ],
        ),
        (
            "a step that triggers nothing",
            [
                ("[\"packages\"]", "[\"package\"]"),
                ("[\"packages\"]", "[\"package\"]"),
            ],
        ),
    ];
    let mut all = String::new();
    for (slip, replaced) in slips {
        all.push_str(&format!("## {slip}\n"));
        for ((name, text), (from, to)) in PROJECT.into_iter().zip(replaced) {
            assert!(text.contains(from), "{from}");
            super::language::files(&[(name, text)]).expect("no mistake yet");
            let told = super::language::files(&[(name, &text.replacen(from, to, 1))]);
            all.push_str(&told.expect_err(slip));
            all.push('\n');
        }
    }
    insta::assert_snapshot!(all, @r#"
    ## a misspelled parameter of a step
    error[unknown-key]: unknown key `comand` in [[steps]]
      --> master.ini:16:22
       |
    16 |     {"type": "test", "comand": "./check {{ kind }}", "timeout": "20m"},
       |                      ^^^^^^^^ did you mean `command`?

    error[unknown-key]: unknown key `comand` in [[steps]]
      --> master.toml:17:1
       |
    17 | comand = ["python3", "-m", "compileall", "."]
       | ^^^^^^ did you mean `command`?

    ## a scheduler of a builder that is not there
    error[unknown-builder]: unknown builder `calc-plian`
      --> master.ini:24:12
       |
    24 | builders = calc-plian
       |            ^^^^^^^^^^ did you mean `calc-plain`?

    error[unknown-builder]: unknown builder `calc-plian`
      --> master.toml:32:13
       |
    32 | builders = "calc-plian"
       |             ^^^^^^^^^^ did you mean `calc-plain`?

    ## a slave that is not there
    error[unknown-slave]: unknown slave `hrere`
     --> master.ini:8:10
      |
    8 | slaves = hrere
      |          ^^^^^ did you mean `here`?

    error[unknown-slave]: unknown slave `hrere`
     --> master.toml:8:11
      |
    8 | slaves = "hrere"
      |           ^^^^^ did you mean `here`?

    ## a step of no type
    error[unknown-type]: unknown step type `tset`
      --> master.ini:16:14
       |
    16 |     {"type": "tset", "command": "./check {{ kind }}", "timeout": "20m"},
       |              ^^^^^^ did you mean `test`?

    error[unknown-type]: unknown step type `tset`
      --> master.toml:20:8
       |
    20 | type = "tset"
       |        ^^^^^^ did you mean `test`?

    ## a bracket that is not closed
    error[bad-value]: bad value for `steps`
      --> master.ini:15:71
       |
    15 |     {"type": "compile", "command": ["python3", "-m", "compileall", "."},
       |                                                                       ^ not JSON: expected `,` or `]`

    error[bad-line]: this `[` is not closed
      --> master.toml:17:11
       |
    17 | command = ["python3", "-m", "compileall", "."
       |           ^

    ## a duration in words
    error[bad-value]: bad value for `timeout` in [[steps]]
      --> master.ini:16:66
       |
    16 |     {"type": "test", "command": "./check {{ kind }}", "timeout": "20 minutes"},
       |                                                                  ^^^^^^^^^^^^ expected a duration such as `90s` or `5m`, `none`, or an expression such as `45m * slave.timeout_factor`

    error[bad-line]: string values must be quoted, expected literal string
      --> master.toml:22:11
       |
    22 | timeout = 20 minutes
       |           ^^^^^^^^^^

    ## an hour that no day has
    error[bad-value]: bad value for `hour` in [scheduler:night]
      --> master.ini:23:8
       |
    23 | hour = 25
       |        ^^ expected `*`, or numbers from 0 to 23 such as `3`, `8-18` or `*/2`

    error[bad-value]: bad value for `hour` in [scheduler.night]
      --> master.toml:31:8
       |
    31 | hour = 25
       |        ^^ expected `*`, or numbers from 0 to 23 such as `3`, `8-18` or `*/2`

    ## an environment that is a text
    error[bad-value]: bad value for `env` in [builder:calc-{kind}]
      --> master.ini:13:7
       |
    13 | env = PATH=/bin
       |       ^^^^^^^^^ expected `env.KEY = VALUE` or a map such as `{"KEY": "VALUE"}`

    error[bad-value]: bad value for `env` in [builder.calc-{kind}]
      --> master.toml:13:7
       |
    13 | env = "PATH=/bin"
       |       ^^^^^^^^^^^ expected `env.KEY = VALUE` or a map such as `{"KEY": "VALUE"}`

    ## a property that nothing sets
    error[unknown-property]: nothing sets the property `brnch`
      --> master.ini:16:44
       |
    16 |     {"type": "test", "command": "./check %(brnch)s", "timeout": "20m"},
       |                                            ^^^^^ did you mean `branch`?

    error[unknown-property]: nothing sets the property `brnch`
      --> master.toml:21:22
       |
    21 | command = "./check %(brnch)s"
       |                      ^^^^^ did you mean `branch`?

    ## a step that triggers nothing
    error[unknown-scheduler]: unknown scheduler `package`
      --> master.ini:17:45
       |
    17 |     {"type": "trigger", "scheduler_names": ["package"]}
       |                                             ^^^^^^^^^ did you mean `packages`?

    error[unknown-scheduler]: unknown scheduler `package`
      --> master.toml:26:20
       |
    26 | scheduler_names = ["package"]
       |                    ^^^^^^^^^ did you mean `packages`?
    "#);
    assert_eq!(all.matches("error[").count(), 20);
}

#[test]
fn what_contradicts_how_a_slave_is_launched_is_told() {
    let text = "[:master:]\nhtmlport = none\npassword = x\nfactories = a\nuser = ci\n\
                [slave:dials]\non_demand = yes\nhost = far\nmissing_timeout = 5\nbasedir = x\n\
                [slave:local]\nlaunch = local\nbuild_wait_timeout = 5\nstart_command = true\n\
                [slave:cloud]\nlaunch = command\nstop_command = true\nbasedir = x\n\
                [slave:batch]\nlaunch = command\nstart_command = run %(slavname)s %(memory)s %(x:-y)s\n\
                property.memory = 4\n\
                [slave:far]\nlaunch = ssh\nkey_file = k\nstatus_command = true\n\
                [slave:odd]\nlaunch = ssh\nhost = -oProxyCommand=x\nport = 0\nbasedir = ~other\n\
                [slave:one]\nlaunch = ssh\nhost = far\nbasedir = b\n\
                [slave:two]\nlaunch = ssh\nhost = far\nbasedir = b\n\
                [a]\ntype = foo\nbar = 1\n";
    insta::assert_snapshot!(problems(text), @"
    error[bad-value]: bad value for `on_demand` in [slave:dials]
     --> master.ini:7:13
      |
    7 | on_demand = yes
      |             ^^^ the slave dials in by itself; `launch = …` says how the master starts it

    error[bad-value]: bad value for `host` in [slave:dials]
     --> master.ini:8:8
      |
    8 | host = far
      |        ^^^ only `launch = ssh` reads it

    error[bad-value]: bad value for `basedir` in [slave:dials]
      --> master.ini:10:11
       |
    10 | basedir = x
       |           ^ the slave says itself where it works, unless `launch` is `local` or `ssh`

    error[bad-value]: bad value for `build_wait_timeout` in [slave:local]
      --> master.ini:13:22
       |
    13 | build_wait_timeout = 5
       |                      ^ only a slave with `on_demand = yes` is stopped when it has nothing to do

    error[bad-value]: bad value for `start_command` in [slave:local]
      --> master.ini:14:17
       |
    14 | start_command = true
       |                 ^^^^ only `launch = command` reads it

    error[missing-key]: `start_command` is missing in [slave:cloud]
      --> master.ini:16:10
       |
    16 | launch = command
       |          ^^^^^^^ `launch = command` needs it

    error[bad-value]: bad value for `basedir` in [slave:cloud]
      --> master.ini:18:11
       |
    18 | basedir = x
       |           ^ the slave says itself where it works, unless `launch` is `local` or `ssh`

    error[unknown-name]: nothing sets the property `slavname`
      --> master.ini:21:23
       |
    21 | start_command = run %(slavname)s %(memory)s %(x:-y)s
       |                       ^^^^^^^^ did you mean `slavename`?

    error[missing-key]: `host` is missing in [slave:far]
      --> master.ini:24:10
       |
    24 | launch = ssh
       |          ^^^ `launch = ssh` needs it

    error[bad-value]: bad value for `status_command` in [slave:far]
      --> master.ini:26:18
       |
    26 | status_command = true
       |                  ^^^^ only `launch = command` reads it

    error[bad-value]: bad value for `host` in [slave:odd]
      --> master.ini:29:8
       |
    29 | host = -oProxyCommand=x
       |        ^^^^^^^^^^^^^^^^ expected a name or address, without spaces

    error[bad-value]: bad value for `port` in [slave:odd]
      --> master.ini:30:8
       |
    30 | port = 0
       |        ^ expected a port, from 1 to 65535

    error[bad-value]: bad value for `basedir` in [slave:odd]
      --> master.ini:31:11
       |
    31 | basedir = ~other
       |           ^^^^^^ expected a directory on that host, absolute or relative to its home

    error[shared-directory]: slave `two` would work in the base directory of slave `one`
      --> master.ini:36:2
       |
    32 | [slave:one]
       |  --------- by this
    ...
    36 | [slave:two]
       |  ^^^^^^^^^ `ci@far:22/b` is taken
    ");
}

#[test]
fn a_slave_that_nobody_hears_of_and_one_that_cannot_dial_in_are_told() {
    let text = "[:master:]\nhtmlport = none\nslaveport = none\n\
                notify_on_missing = ann@example.org\npassword = x\nfactories = hello\n\
                [slave:a]\n[slave:b]\n\
                [slave:c]\nlaunch = command\nstart_command = true\n\
                [slave:d]\nmissing_timeout = 0\nnotify_on_missing = bo@example.org bo\n\
                [slave:e]\nmissing_timeout = 0\nnotify_on_missing = bo@example.org\ntime_zone = UTC\n\
                [slave:f]\ndowntime = sun 02:00-04:00, son 02:00-04:00\ntime_zone = Mars\n";
    insta::assert_snapshot!(problems(text), @"
    warning[no-effect]: nobody is told when a slave is missing
     --> master.ini:4:21
      |
    4 | notify_on_missing = ann@example.org
      |                     ^^^^^^^^^^^^^^^ no status target sends mails
      |
     ::: master.ini:7:2
      |
    7 | [slave:a]
      |  ^^^^^^^ [slave:a] takes it from here
      |
      = help: `[status:mail]` with `fromaddr` and `relayhost` says how they are sent

    error[unknown-factory]: unknown factory `hello`
     --> master.ini:6:13
      |
    6 | factories = hello
      |             ^^^^^
      |
     ::: master.ini:7:2
      |
    7 | [slave:a]
      |  ^^^^^^^ [slave:a] takes it from here
      |
      = help: there are `foo`, `mine`, `vcs`

    warning[no-effect]: slave `c` cannot dial in when it is started
      --> master.ini:10:10
       |
    10 | launch = command
       |          ^^^^^^^ `slaveport = none` in [:master:] lets nobody in
       |
       = help: with `launch = local` or `ssh` no port is needed

    error[bad-value]: bad value for `notify_on_missing` in [slave:d]
      --> master.ini:14:36
       |
    14 | notify_on_missing = bo@example.org bo
       |                                    ^^ expected a mail address such as `ann@example.org` or `Ann <ann@example.org>`; one with blanks stands in quotes

    warning[no-effect]: `notify_on_missing` has no effect
      --> master.ini:17:21
       |
    17 | notify_on_missing = bo@example.org
       |                     ^^^^^^^^^^^^^^ `missing_timeout` says that the slave may be away for ever

    warning[no-effect]: nobody is told when a slave is missing
      --> master.ini:17:21
       |
    17 | notify_on_missing = bo@example.org
       |                     ^^^^^^^^^^^^^^ no status target sends mails
       |
       = help: `[status:mail]` with `fromaddr` and `relayhost` says how they are sent

    warning[no-effect]: `time_zone` has no effect
      --> master.ini:18:13
       |
    18 | time_zone = UTC
       |             ^^^ only `downtime` is of a time zone

    error[bad-value]: bad value for `downtime` in [slave:f]
      --> master.ini:20:29
       |
    20 | downtime = sun 02:00-04:00, son 02:00-04:00
       |                             ^^^ expected a day: `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`

    error[bad-value]: bad value for `time_zone` in [slave:f]
      --> master.ini:21:13
       |
    21 | time_zone = Mars
       |             ^^^^ expected a time zone such as `Europe/Berlin` or `UTC`
    ");
}

#[test]
fn two_sources_of_one_maildir_are_told() {
    let text = "[source:cvs]\ntype = cvs_maildir\nmaildir = mail\n\
        [source:svn]\ntype = svn_maildir\nmaildir = mail/\n";
    let said = problems(text);
    let mut each = said.split("\n\n");
    let told = each.find(|it| it.starts_with("error[contradiction]"));
    insta::assert_snapshot!(told.unwrap_or_default().trim_end(), @"
    error[contradiction]: sources `cvs` and `svn` read the same maildir
     --> master.ini:4:2
      |
    1 | [source:cvs]
      |  ---------- the other one
    ...
    4 | [source:svn]
      |  ^^^^^^^^^^
      |
      = help: have mails of each kind delivered into a maildir of their own
    ");
}
