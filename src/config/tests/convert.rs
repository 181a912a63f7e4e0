//! The two spellings of one configuration: each becomes the other and means
//! the same.

use super::super::convert::convert;
use super::super::sections::KINDS;
use super::super::sections::Kind;
use super::*;
use crate::syntax::Shape;

/// `text`, which is written as `from`, in the spelling `to`.
pub(super) fn respelled(text: &str, from: Spelling, to: Spelling) -> Result<String, String> {
    let name = format!("master.{}", from.ending());
    let catalogue =
        catalogue::Installed::of(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config")));
    convert(&Source::new(name, "/base", text), to, &catalogue)
        .map_err(|problems| problems.render(false))
}

fn toml(ini: &str) -> String {
    respelled(ini, Spelling::Ini, Spelling::Toml).unwrap_or_else(|it| panic!("{it}\n{ini}"))
}

fn ini(toml: &str) -> String {
    respelled(toml, Spelling::Toml, Spelling::Ini).unwrap_or_else(|it| panic!("{it}\n{toml}"))
}

/// What is wrong with a conversion, without pictures.
fn refused(text: &str, from: Spelling) -> String {
    let shown = respelled(text, from, from.other()).expect_err(text);
    let lines = shown
        .lines()
        .filter(|it| it.starts_with("error") || it.contains('^'));
    lines.collect::<Vec<_>>().join("\n")
}

/// Both ways, twice: the second time nothing changes any more.
pub(super) fn settles(text: &str, from: Spelling) {
    let to = from.other();
    let turn = |text: &str, from: Spelling| {
        respelled(text, from, from.other()).unwrap_or_else(|it| panic!("{it}\n{text}"))
    };
    let there = turn(text, from);
    let back = turn(&there, to);
    assert_eq!(turn(&back, from), there, "from\n{text}\nby\n{back}");
    assert_eq!(respelled(&back, from, from).as_ref(), Ok(&back));
    assert_eq!(respelled(&there, to, to).as_ref(), Ok(&there));
}

const FARM: &str = r#"[DEFAULT]
password = shared
[:master:]
slaveport = 9010
htmlport =
poll_interval = 5m
derive = no
include = conf.d/*.ini conf.d/*.toml
property.site = here
property.list = [1, {"a": "b"}]
property.n := 3
[slave:_base]
tags = fast "with blank"
has.python = 2.6 2.7
[worker:linux 1]
extends = _base
tags += big
tags -= fast
tags += bigger
maxBuilds = 2
os = linux
[words]
type = shell
git = https://example.org/words.git#main
commands =
    ./configure --with="a b"
    make -j2

    make check
timeout = none
env.PATH = /opt/bin:${PATH}
env.LANG := null
[:properties:]
colour = red
many := [1, 2.5, true]
[builder:{branch}-py{python}]
factory = words
slaves = slave.has.python is containing(python)
matrix.branch = trunk 1.2.X
matrix.python = 2.6 2.7
exclude = python == "2.7" and branch == "trunk"
description = two
    lines
param.flags = [ -f x ] && true
[odd.name]
type = shell
command = ["make", "all"]
steps = [{"type": "compile", "env": {"A": "b"}, "command": ["make", "-j2"]}, {"type": "test"}]
"#;

const AS_TOML: &str = r#"[master]
password = "shared"
slaveport = 9010
htmlport = ""
poll_interval = "5m"
derive = false
include = ["conf.d/*.ini", "conf.d/*.toml"]
property.site = "here"
property.list = [1, { a = "b" }]
property.n = 3

[slave._base]
password = "shared"
tags = ["fast", "with blank"]
has.python = ["2.6", "2.7"]

[slave."linux 1"]
extends = "_base"
"tags +" = ["big", "bigger"]
"tags -" = ["fast"]
maxBuilds = 2
os = "linux"

[factory.words]
type = "shell"
git = ["https://example.org/words.git#main"]
commands = ['./configure --with="a b"', "make -j2", "make check"]
timeout = "none"
env.PATH = "/opt/bin:${PATH}"
env.LANG = false

[properties]
colour = "red"
many = [1, 2.5, true]

[builder."{branch}-py{python}"]
factory = "words"
slaves = "slave.has.python is containing(python)"
matrix.branch = ["trunk", "1.2.X"]
matrix.python = ["2.6", "2.7"]
exclude = ['python == "2.7" and branch == "trunk"']
description = '''
two
lines'''
param.flags = "[ -f x ] && true"

[factory."odd.name"]
type = "shell"
command = ["make", "all"]

[[factory."odd.name".steps]]
type = "compile"
env.A = "b"
command = ["make", "-j2"]

[[factory."odd.name".steps]]
type = "test"
"#;

const AS_INI: &str = r#"[:master:]
password = shared
slaveport = 9010
htmlport =
poll_interval = 5m
derive = no
include = conf.d/*.ini conf.d/*.toml
property.site = here
property.list := [1, {"a": "b"}]
property.n := 3

[slave:_base]
password = shared
tags = fast 'with blank'
has.python = 2.6 2.7

[slave:linux 1]
extends = _base
tags += big bigger
tags -= fast
maxBuilds = 2
os = linux

[words]
type = shell
git = https://example.org/words.git#main
commands =
    ./configure --with="a b"
    make -j2
    make check
timeout = none
env.PATH = /opt/bin:${PATH}
env.LANG := false

[:properties:]
colour = red
many := [1, 2.5, true]

[builder:{branch}-py{python}]
factory = words
slaves = slave.has.python is containing(python)
matrix.branch = trunk 1.2.X
matrix.python = 2.6 2.7
exclude = python == "2.7" and branch == "trunk"
description =
    two
    lines
param.flags = [ -f x ] && true

[odd.name]
type = shell
command = ["make", "all"]
steps := [
    {"type": "compile", "env": {"A": "b"}, "command": ["make", "-j2"]},
    {"type": "test"}
    ]
"#;

#[test]
fn a_farm_becomes_toml_and_comes_back() {
    let written = toml(FARM);
    assert_eq!(written, AS_TOML);
    assert_eq!(ini(&written), AS_INI);
    settles(FARM, Spelling::Ini);
}

/// One key of a slave's section, as TOML says it.
fn ini_line(toml: &str) -> String {
    let text = format!("[slave.a]\n{toml}\n");
    settles(&text, Spelling::Toml);
    ini(&text)["[slave:a]\n".len()..].to_owned()
}

#[test]
fn every_text_comes_back_from_ini() {
    let check = |toml: &str, expected: &str| assert_eq!(ini_line(toml), expected, "{toml}");
    check("x = \"\"", "x =\n");
    check("x = \" a\"", "x := \" a\"\n");
    check("x = \"a\\t\"", "x := \"a\\t\"\n");
    check("x = \"a\\nb\"", "x =\n    a\n    b\n");
    check("x = \"a\\n\\nb\"", "x =\n    a\n\n    b\n");
    check("x = \"a\\n# b\"", "x := \"a\\n# b\"\n");
    check("x = \"a\\n; b\"", "x := \"a\\n; b\"\n");
    check("x = \"#a\"", "x = #a\n");
    check("x = \"a\\n b\"", "x := \"a\\n b\"\n");
    check("x = \"\\na\"", "x := \"\\na\"\n");
    check("x = \"a\\n\"", "x := \"a\\n\"\n");
    check("x = \"a\\r\\nb\"", "x := \"a\\r\\nb\"\n");
    check("x = \"a\\rb\"", "x = a\rb\n");
    check("x = \"= a\"", "x = = a\n");
    check("x = \"[a]\"", "x = [a]\n");
    check("x = \"\\u00A0\"", "x := \"\u{a0}\"\n");
    check("x = 1", "x := 1\n");
    check("max_builds = 1", "max_builds = 1\n");
    check("max_builds = \"01\"", "max_builds = 01\n");
    check("timeout_factor = 1.5", "timeout_factor = 1.5\n");
    check("x = true", "x := true\n");
    check(
        "x = { a = [1, 2.5], b = { c = \"d\" } }",
        "x := {\"a\": [1, 2.5], \"b\": {\"c\": \"d\"}}\n",
    );
    check("tags = []", "tags =\n");
    check(
        "tags = [\"a b\", \"\", \"it's\", \"#x\", \"[y\"]",
        "tags = 'a b' '' \"it's\" '#x' '[y'\n",
    );
    check("tags = [\"a\\nb\", \"c\"]", "tags := [\"a\\nb\", \"c\"]\n");
    check("tags = [\"{{ a }}\"]", "tags := [\"{{ a }}\"]\n");
    check(
        "property = { \"a=b\" = 1, c = \"d\", \"e+\" = 2 }",
        "property.c = d\nproperty := {\"a=b\": 1, \"e+\": 2}\n",
    );
    check("\"tags +\" = [\"a\"]\n\"x -\" = 1", "tags += a\nx -:= 1\n");
    check("has.\"py +\" = [\"3\"]", "has.py += 3\n");
    let long: Vec<_> = (0..20).map(|it| format!("\"tag-{it}\"")).collect();
    let lines: String = (0..20).map(|it| format!("    tag-{it}\n")).collect();
    check(
        &format!("tags = [{}]", long.join(", ")),
        &format!("tags =\n{lines}"),
    );
}

#[test]
fn what_is_done_to_a_list_keeps_its_order() {
    let ini = "[:master:]\ntags +:= [{\"a\": \"b\"}]\ntags -= c\n";
    insta::assert_snapshot!(toml(ini), @r#"
    [master]
    "tags +" = [{ a = "b" }]
    "tags -" = ["c"]
    "#);
    settles(ini, Spelling::Ini);
}

#[test]
fn what_a_spelling_has_no_words_for_is_told() {
    let check = |text: &str, from, expected: &[(&str, &str)]| {
        let shown = refused(text, from);
        let found: Vec<_> = shown.lines().collect();
        assert_eq!(found.len(), expected.len() * 2, "{shown}");
        for (lines, (what, why)) in found.chunks(2).zip(expected) {
            assert_eq!(lines[0], format!("error[cannot-convert]: {what}"));
            assert!(lines[1].contains(why), "{shown}");
        }
    };
    let name = "expected a name without `=`";
    check(
        "[slave.\"a]b\"]\n\"x=y\" = 1\n\"#z\" = 1\n\"[q\" = 1\n\"\" = 1\n\" b\" = 1\nn = nan\n",
        Spelling::Toml,
        &[
            (
                "INI cannot say the name `[slave:a]b]`",
                "expected a name without `]`",
            ),
            ("INI cannot say `x=y` as it stands here", name),
            ("INI cannot say `#z` as it stands here", name),
            ("INI cannot say `[q` as it stands here", name),
            ("INI cannot say `` as it stands here", name),
            ("INI cannot say ` b` as it stands here", name),
            (
                "INI cannot say `n` as it stands here",
                "JSON has no such number",
            ),
        ],
    );
    check(
        "[slave:a]\nx := null\ny := [1, null]\ntags += a\ntags -= a\ntags += a\ntags -= b\n",
        Spelling::Ini,
        &[
            ("TOML cannot say `x` as it stands here", "TOML has no null"),
            ("TOML cannot say `y` as it stands here", "TOML has no null"),
            (
                "TOML cannot say `tags` as it stands here",
                "here the order matters",
            ),
        ],
    );
    check(
        "[slave:a]\nproperty = x\nproperty.a = y\n[worker:a]\n",
        Spelling::Ini,
        &[
            (
                "TOML cannot say `property` as it stands here",
                "cannot be a value and a map",
            ),
            ("TOML cannot say the section `[slave:a]` twice", ""),
        ],
    );
    check(
        "[slave.a]\nos = \"mac\"\nOS = \"win\"\n",
        Spelling::Toml,
        &[(
            "INI cannot say `OS` as it stands here",
            "compares names without case",
        )],
    );
    let shown = refused("[slave:a]\nx\n[odd:b]\n", Spelling::Ini);
    assert!(shown.contains("error[bad-line]") && shown.contains("error[unknown-section]"));
}

#[test]
fn what_default_says_is_written_where_it_is_asked_for() {
    let text = "[DEFAULT]\npassword = p\nenv.A = d\nenv.B = d\nunknown = 1\n[slave:_a]\n[slave:b]\nextends = _a\n[slave:c]\npassword = own\n[words]\ntype = shell\ncommand = make\nenv.A = own\n";
    let expected = "[slave._a]\npassword = \"p\"\n\n[slave.b]\nextends = \"_a\"\n\n[slave.c]\npassword = \"own\"\n\n[factory.words]\nenv.B = \"d\"\nenv.A = \"own\"\ntype = \"shell\"\ncommand = \"make\"\n";
    assert_eq!(toml(text), expected);
    let shown = refused(
        "[DEFAULT]\npassword = p\n[slave:b]\nextends = far\n",
        Spelling::Ini,
    );
    assert!(
        shown.contains("TOML has no [DEFAULT] for [slave:b]"),
        "{shown}"
    );
}

/// What the reader makes of a file, and all that it says about it.
fn outcome(text: &str, spelling: Spelling) -> String {
    let name = format!("master.{}", spelling.ending());
    let catalogue =
        catalogue::Installed::of(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/config")));
    let lines = |problems: &Problems| {
        let all = problems.0.iter();
        // Sections and places are spelled otherwise.
        let all = all.map(|it| format!("{:?} {}", it.severity, it.code));
        all.collect::<Vec<_>>().join("\n")
    };
    match read(&Source::new(name, "/base", text), &catalogue) {
        Err(problems) => lines(&problems),
        Ok(plan) => {
            let builders: Vec<_> = plan
                .builders
                .iter()
                .map(|it| {
                    let steps = it.factory.steps(&Platform::default());
                    format!(
                        "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {steps:?}",
                        it.name,
                        it.slaves,
                        it.tags,
                        it.properties,
                        it.env,
                        it.locks,
                        it.merge_requests,
                        it.next_build,
                        it.next_slave
                    )
                })
                .collect();
            format!(
                "{:?}\n{:?}\n{}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{}",
                plan.master,
                plan.slaves,
                builders.join("\n"),
                plan.sources,
                plan.schedulers,
                plan.status,
                plan.locks,
                plan.web,
                plan.authz,
                plan.users,
                lines(&plan.warnings)
            )
        }
    }
}

/// The configurations that are shipped or shown, and some that are wrong.
pub(super) fn examples() -> Vec<String> {
    let manual = include_str!("../../../docs/manual.md");
    let shown = manual.split("```ini\n").skip(1);
    let shown = shown.filter_map(|it| it.split("```").next());
    let shown = shown.filter(|it| !it.contains("[:slave:]") && !it.contains("[Service]"));
    let mut all: Vec<String> = shown.map(str::to_owned).collect();
    all.extend([
        include_str!("../../../config/django.ini").to_owned(),
        include_str!("../../../config/minimal.ini").to_owned(),
        FARM.to_owned(),
        TWO_SOURCES.to_owned(),
        "[:master:]\nslaveprot = 1\n[slave:a]\nmax_builds = two\nlaunch = lokal\n[words]\ntype = shel\n[b]\ntype = shell\ncommand = \ncomands = x\n".to_owned(),
    ]);
    assert!(all.len() > 12);
    all
}

#[test]
fn every_example_means_the_same_in_both_spellings() {
    for text in examples() {
        settles(&text, Spelling::Ini);
        let there = toml(&text);
        assert_eq!(
            outcome(&text, Spelling::Ini),
            outcome(&there, Spelling::Toml),
            "{text}"
        );
        settles(&there, Spelling::Toml);
        let back = ini(&there);
        assert_eq!(
            outcome(&text, Spelling::Ini),
            outcome(&back, Spelling::Ini),
            "{text}"
        );
    }
}

/// What the examples below are about.
const FRAME: &str = "[slave:here]\npassword = p\nfactories = words\n[words]\ntype = shell\ngit = https://example.org/words.git#main\ncommand = make\n";

/// A configuration with the example of each type of every table, and sections
/// that have no types.
pub(super) fn examples_of_types() -> Vec<String> {
    let catalogue = catalogue::Installed::of(Path::new("/nonexistent"));
    let mut all = Vec::new();
    for kind in KINDS {
        for page in manual::of_types(kind.kind, &catalogue) {
            let (name, example) = (page.own_name(), page.example);
            let more = match kind.kind {
                Kind::Scheduler if name == "dependent" => {
                    "builders = *\n[scheduler:quick]\nbranch = main\nbuilders = *\n"
                }
                Kind::Scheduler => "builders = *\n",
                _ => "",
            };
            let header = format!("[{}:x]\ntype = {name}", kind.word);
            all.push(format!("{FRAME}{header}\n{example}\n{more}"));
        }
    }
    let more = [
        "[lock:cpu]\ntype = slave\nmax_count = 2\nmax_count_for_slave.here = 3\n[lock:db]\n[builder:words-here]\nlocks = cpu, db exclusive\n",
        "[lock:a]\n[lock:b]\n[builder:words-here]\nlocks =\n    a\n    b exclusive\n",
        "[builder:words-here]\nmerge_requests = a.branch == b.branch and a.reason == b.reason\nnext_build = [request.branch != 'main', request.submitted]\nnext_slave = slave.running if slave.running < 3 else none\ntags = stable fast slow odd\n[scheduler:x]\ntype = any_branch\ntags = stable and (slow or not odd)\nchange_filter = change.branch != \"docs\" and author is not matching('bot-*')\nfile_is_important = not (file is startingwith 'docs/')\nimportant_files = *.c 'a b.h'\ncategory = none nightly\nauthor_re = (ann|bob)\\b\n[status:irc]\nhost = irc.example.org\nnick = bot\nchannels = [{\"channel\": \"#a\", \"password\": \"x\"}, \"#b\"]\nnotify_events = {\"failure\": true, \"success\": false}\ntags = stable\n",
        "[:master:]\nprioritize_builders = [builder.category != 'fast', builder.oldest]\nmerge_requests = a.branch == b.branch\nlog_max_size = 10M\nbuild_horizon = none\nwatch = yes\ncaches.Builds = 5\n",
        "[source:x]\ntype = svn\nsvnurl = https://example.org/svn\nbranch.trunk = words/trunk\nbranch.1.2.X = words/branches/1.2.X\n[y]\ntype = source\nsvn.trunk = https://example.org/svn/words/trunk\nsvn.1.2.X = https://example.org/svn/words/branches/1.2.X\n[z]\ntype = source\nsvn = https://example.org/svn/a https://example.org/svn/b\n",
        "[:web:]\nrevlink = https://example.org/commit/%s\nchange_comment_link = #(\\d+) https://bugs.example.org/ticket/\\1 Ticket \\g<0>\nprojects.words = https://words.example.org/\n[:authz:]\nforce_build = user.name == 'ann' and builder == 'words-here'\nstop_build = yes\nreload = authenticated\nusers = ann:secret bob:secret\n[user:ann]\nemail = Ann R <ann@example.org>\ngit = Ann R <ann@example.org>\n",
        "[:web:]\nrevlink.words = https://example.org/commit/%s\nchange_comment_link.words = [\"#([0-9]+)\", \"https://bugs.example.org/ticket/\\\\1\"]\nnum_events = 20\n[:validation:]\nbranch = main|release/[0-9.]+\n[:metrics:]\nlog_interval = none\n",
        "[scheduler:night]\ntype = nightly\nbranch = none\nminute = 0 30\nhour = [3, 15]\nday_of_month = */2\nproperties = {\"q\": 2}\nproperty.p = 1\nbuilders = words-*\n[test:x]\nchange.branch = main\nchange.files = a b\nchange.repository = https://example.org/words.git\nbuilders = words-here\n",
        "[:properties:]\nsite = here\nmany = [1, 2]\n",
    ];
    all.extend(more.map(|it| format!("{FRAME}{it}")));
    all
}

/// A factory section with a step of each type, in TOML.
pub(super) fn steps_in_place() -> String {
    let mut text = "[slave.here]\npassword = \"p\"\nfactories = [\"all\"]\n[lock.db]\n[scheduler.packages]\ntype = \"triggerable\"\nbuilders = [\"*\"]\n[factory.all]\ntype = \"source\"\ngit = [\"https://example.org/words.git#main\"]\n".to_owned();
    for page in manual::steps() {
        let (name, example) = (page.own_name(), page.example);
        let step = format!("[[factory.all.steps]]\ntype = \"{name}\"\n{example}\n");
        text.push_str(&step);
        text.push_str("locks = [\"db exclusive\"]\ndo_step_if = \"branch != 'docs'\"\n");
    }
    text
}

/// Both spellings say the same, whichever came first.
fn means_the_same(text: &str, from: Spelling) {
    let to = from.other();
    settles(text, from);
    let there = respelled(text, from, to).unwrap_or_else(|it| panic!("{it}\n{text}"));
    let back = respelled(&there, to, from).unwrap_or_else(|it| panic!("{it}\n{there}"));
    let first = outcome(text, from);
    assert!(!first.contains("Error"), "{first}\n{text}");
    assert_eq!(first, outcome(&there, to), "{text}\n{there}");
    assert_eq!(first, outcome(&back, from), "{there}\n{back}");
}

#[test]
fn the_example_of_every_type_means_the_same_in_both_spellings() {
    let all = examples_of_types();
    assert!(all.len() > 25);
    for text in all {
        means_the_same(&text, Spelling::Ini);
    }
    means_the_same(&steps_in_place(), Spelling::Toml);
}

#[test]
fn what_may_be_an_expression_is_never_split() {
    let catalogue = catalogue::Installed::of(Path::new("/nonexistent"));
    let mut pages = [manual::sections(&catalogue), manual::steps()].concat();
    let kinds = KINDS.iter();
    pages.extend(kinds.flat_map(|it| manual::of_types(it.kind, &catalogue)));
    let mut found = 0;
    for page in &pages {
        // A builder's own tags are words.
        let has_tags = ["scheduler.", "status."]
            .iter()
            .any(|it| page.name.starts_with(it));
        let rules: &[&str] = match page.name.as_str() {
            "authz" => &["default_action", "force_build", "stop_build", "reload"],
            _ if has_tags => &["tags", "change_filter", "file_is_important"],
            _ => &[
                "merge_requests",
                "prioritize_builders",
                "next_build",
                "next_slave",
                "do_step_if",
                "hide_step_if",
                "slaves",
            ],
        };
        for asked in page.keys.iter().filter(|it| rules.contains(&&*it.name)) {
            found += 1;
            let is_whole = matches!(asked.shape, Shape::Expression | Shape::OrExpression(_));
            assert!(is_whole, "{} {}: {:?}", page.name, asked.name, asked.shape);
        }
    }
    assert!(found > 50, "{found}");
}
