//! What people bring from Buildbot and from other files, and what each of it is answered, shown whole.

use super::problems;

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
