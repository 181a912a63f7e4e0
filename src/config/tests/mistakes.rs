//! Every message of the configuration, shown whole.

use std::os::unix::fs::PermissionsExt;

use super::load;
use super::plan;
use super::problems;
use crate::config::cannot_listen;
use crate::syntax::Problems;

#[test]
fn every_mistake_of_a_file_is_told_in_one_run() {
    let text = "[:master:]\nfactories = foo baz\nslaveprot = 1\nhtmlport = web\nmax_builds = 0\nbuilders = os\nbase_url = ci.example.org\npoll_interval = 0\n[:mastre:]\n[slvae:x]\n[lock:db]\n[:web:]\n[gizmo:x]\n[slave:]\n[slave:../x]\n[_template]\n[slave:a]\nfactories = foo fooo nothing\nos = windows\npasswrod = x\nlaunch = ssh\n[slave:b]\npassword =\nbasedir = x\n[foo]\nbar = 1\nbra = 2\n[fo]\n[z]\ntype = vsc\nanything = 1\n[mine]\ncategroy = x\n";
    insta::assert_snapshot!(problems(text), @"
    error: unknown factory `baz`
     --> master.ini:2:17
      |
    2 | factories = foo baz
      |                 ^^^
      |
      = help: there are `fo`, `foo`, `mine`, `vcs`, `z`

    error: unknown key `slaveprot` in [:master:]
     --> master.ini:3:1
      |
    3 | slaveprot = 1
      | ^^^^^^^^^ did you mean `slaveport`?

    error: bad value for `htmlport` in [:master:]
     --> master.ini:4:12
      |
    4 | htmlport = web
      |            ^^^ expected a port such as `8010` or `127.0.0.1:8010`, or `none`

    error: bad value for `max_builds` in [:master:]
     --> master.ini:5:14
      |
    5 | max_builds = 0
      |              ^ expected a whole number from 1

    error: bad value for `builders` in [:master:]
     --> master.ini:6:12
      |
    6 | builders = os
      |            ^^ expected `slave`, `platform` or `factory`

    error: bad value for `base_url` in [:master:]
     --> master.ini:7:12
      |
    7 | base_url = ci.example.org
      |            ^^^^^^^^^^^^^^ expected a web address such as `https://ci.example.org/`

    error: bad value for `poll_interval` in [:master:]
     --> master.ini:8:17
      |
    8 | poll_interval = 0
      |                 ^ expected more than nothing

    error: unknown section `[:mastre:]`
     --> master.ini:9:2
      |
    9 | [:mastre:]
      |  ^^^^^^^^ did you mean `:master:`?

    error: unknown kind of section `[slvae:…]`
      --> master.ini:10:2
       |
    10 | [slvae:x]
       |  ^^^^^^^ did you mean `slave`?
       |
       = help: `[slave:NAME]` is a slave, `[NAME]` or `[factory:NAME]` a factory

    error: `[lock:…]` sections are not understood by this version
      --> master.ini:11:2
       |
    11 | [lock:db]
       |  ^^^^^^^

    error: `[:web:]` is not understood by this version
      --> master.ini:12:2
       |
    12 | [:web:]
       |  ^^^^^

    error: unknown kind of section `[gizmo:…]`
      --> master.ini:13:2
       |
    13 | [gizmo:x]
       |  ^^^^^^^
       |
       = help: `[slave:NAME]` is a slave, `[NAME]` or `[factory:NAME]` a factory

    error: `[slave:]` has no usable name
      --> master.ini:14:2
       |
    14 | [slave:]
       |  ^^^^^^ expected a name behind the colon

    error: `[slave:../x]` has no usable name
      --> master.ini:15:2
       |
    15 | [slave:../x]
       |  ^^^^^^^^^^ a name does not begin with `.`

    error: `[_template]` has no usable name
      --> master.ini:16:2
       |
    16 | [_template]
       |  ^^^^^^^^^ names with `_` first are templates, which this version does not understand

    error: slave `a` has no password
      --> master.ini:17:2
       |
    17 | [slave:a]
       |  ^^^^^^^ expected `password = …` in this section or in [:master:]

    error: unknown factory `fooo`
      --> master.ini:18:17
       |
    18 | factories = foo fooo nothing
       |                 ^^^^ did you mean `foo`?

    error: unknown factory `nothing`
      --> master.ini:18:22
       |
    18 | factories = foo fooo nothing
       |                      ^^^^^^^
       |
       = help: there are `fo`, `foo`, `mine`, `vcs`, `z`

    error: bad value for `os` in [slave:a]
      --> master.ini:19:6
       |
    19 | os = windows
       |      ^^^^^^^ expected `linux`, `win` or `mac`

    error: unknown key `passwrod` in [slave:a]
      --> master.ini:20:1
       |
    20 | passwrod = x
       | ^^^^^^^^ did you mean `password`?

    error: bad value for `launch` in [slave:a]
      --> master.ini:21:10
       |
    21 | launch = ssh
       |          ^^^ expected `none` (the slave dials in) or `local` (the master starts it)

    error: bad value for `password` in [slave:b]
      --> master.ini:23:11
       |
    23 | password =
       |           ^ expected a password

    error: bad value for `basedir` in [slave:b]
      --> master.ini:24:11
       |
    24 | basedir = x
       |           ^ the slave says itself where it works, unless `launch = local`

    error: unknown key `bra` in [foo]
      --> master.ini:27:1
       |
    27 | bra = 2
       | ^^^ did you mean `bar`?

    error: unknown factory `fo`
      --> master.ini:28:2
       |
    28 | [fo]
       |  ^^ did you mean `foo`?

    error: unknown factory `vsc`
      --> master.ini:30:8
       |
    30 | type = vsc
       |        ^^^ did you mean `vcs`?

    warning: no slave uses factory `mine`
      --> master.ini:32:2
       |
    32 | [mine]
       |  ^^^^
       |
       = help: `factories = mine` in a slave's section uses it

    error: unknown key `categroy` in [mine]
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
    error: slave `a` stands twice
     --> master.ini:4:2
      |
    1 | [slave:a]
      |  ------- the first one
    ...
    4 | [worker:a]
      |  ^^^^^^^^ the second one

    error: factory `foo` stands twice
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
    error: two builders would be named `a-b-c`
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
    error: builder `mine-a_b` would share its directory with `mine-a b`
     --> master.ini:5:2
      |
    5 | [slave:a_b]
      |  ^^^^^^^^^
      |
      = help: another name of the slave or of the factory keeps them apart
    ");
}

#[test]
fn builders_of_a_platform_need_to_know_it() {
    let text = "[:master:]\nbuilders = platform\n[slave:a]\npassword = p\nfactories = mine\n";
    insta::assert_snapshot!(problems(text), @"
    error: `builders = platform` has to know the os of `a`
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
    error: `htmlport` and `slaveport` are both port 8010
     --> master.ini:2:13
      |
    2 | slaveport = 8010
      |             ^^^^ this is taken
      |
      = help: `htmlport` is 8010 where the file says nothing else

    error: `publichtmlport` and `slaveport` are both port 8010
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
    warning: `recipients` has no effect
     --> master.ini:2:14
      |
    2 | recipients = a@example.org
      |              ^^^^^^^^^^^^^ mail status is not part of this version

    warning: `irc_host` has no effect
     --> master.ini:3:12
      |
    3 | irc_host = irc.example.org
      |            ^^^^^^^^^^^^^^^ IRC status is not part of this version

    warning: slave `a` builds nothing
     --> master.ini:4:2
      |
    4 | [slave:a]
      |  ^^^^^^^ expected `factories = …` in this section or in [:master:]

    warning: no slave uses factory `foo`
     --> master.ini:6:2
      |
    6 | [foo]
      |  ^^^
      |
      = help: `factories = foo` in a slave's section uses it
    ");
    insta::assert_snapshot!(problems("# nothing yet\n"), @"
    warning: there is no slave, so nothing can be built
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
    error: unknown factory `master`
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
    error: `bar` is missing in [foo]
     --> master.ini:3:13
      |
    3 | factories = foo
      |             ^^^ expected a text
      |
      = help: the file has no section `[foo]`
    ");
}

#[test]
fn a_bad_default_is_told_once() {
    let text = "[:master:]\nos = windows\npassword = p\nfactories = mien\n[slave:a]\n[slave:b]\n";
    insta::assert_snapshot!(problems(text), @"
    error: bad value for `os` in [:master:]
     --> master.ini:2:6
      |
    2 | os = windows
      |      ^^^^^^^ expected `linux`, `win` or `mac`

    error: unknown factory `mien`
     --> master.ini:4:13
      |
    4 | factories = mien
      |             ^^^^ did you mean `mine`?
    ");
}

#[test]
fn a_port_that_cannot_be_had_is_told_where_it_is_set() {
    let text =
        "[:master:]\nslaveport = 1\n[slave:a]\npassword = x\nfactories = foo\n[foo]\nbar = 1\n";
    let plan = plan(text);
    let address = plan.master.slaveport.expect("it is set");
    let taken = std::io::Error::from(std::io::ErrorKind::AddrInUse);
    let shown = Problems(vec![cannot_listen(&plan, "slaveport", address, &taken)]).render(false);
    insta::assert_snapshot!(shown, @"
    error: `slaveport`: cannot listen on `0.0.0.0:1`: address in use
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
        "error: there is no file `DIR/master.ini`\n |\n = help: `create-autobot-master DIR` makes a master\n",
    );
    std::fs::write(
        dir.path().join("master.ini"),
        b"[:master:]\ntitle = \xfcber\n",
    )
    .expect("written");
    told(
        "error: the file is not written in UTF-8\n --> master.ini:2:9\n  |\n2 | title = \u{fffd}ber\n  |         ^ this is no UTF-8\n  |\n  = help: an editor can save it with the encoding UTF-8\n",
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
    warning: `master.ini` holds passwords and everybody can read it
     |
     = help: `chmod o-r DIR/master.ini` keeps them secret

    warning: slave `a` builds nothing
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
fn two_slaves_of_the_masters_own_do_not_share_a_directory() {
    let text = "[:master:]\npassword = x\nfactories = foo\nlaunch = local\n[slave:a]\nbasedir = work\n[slave:b]\nbasedir = work\n[foo]\nbar = 1\n";
    let shown = problems(text);
    assert!(
        shown.contains("slave `b` would work in the base directory of slave `a`"),
        "{shown}"
    );
}
