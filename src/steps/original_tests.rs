//! What every type of step promised in Buildbot, type by type.

use super::Flags;
use super::KINDS;
use super::StepKind;
use super::bench::Bench;
use super::bench::out;
use super::compile;
use super::hlint;
use super::pyflakes;
use super::pylint;
use super::read::tests::problems_of;
use super::read::tests::read_kind;
use super::set_properties_from_env;
use super::set_property;
use super::shell;
use super::test;
use super::tree_size;

/// Keys without which a type cannot be.
fn needed(kind: &StepKind) -> &'static str {
    match kind.name {
        "shell" | "warning_counting_shell_command" | "subunit" | "pylint" => {
            "command = \"this is a long command\""
        }
        "set_property" => "command = \"uname -a\"\nproperty = \"p\"",
        "vc6" | "vc7" | "vc8" | "vc9" | "vc10" | "vcexpress9" => "projectfile = \"a.sln\"",
        "sphinx" => "sphinx_builddir = \"out\"",
        "trial" => "tests = \"words.test\"",
        "maxq" => "testdir = \"t\"",
        "set_properties_from_env" => "variables = \"LANG\"",
        "master_shell_command" => "command = \"publish\"",
        "make_directory" | "remove_directory" => "dir = \"d\"",
        "file_exists" => "file = \"f\"",
        "trigger" => "scheduler_names = \"s\"",
        "file_upload" | "directory_upload" => "slavesrc = \"a/b\"\nmasterdest = \"c/d\"",
        "file_download" => "mastersrc = \"a/b\"\nslavedest = \"c/d\"",
        "string_download" => "s = \"x\"\nslavedest = \"c/d\"",
        "json_string_download" => "o = { a = 1 }\nslavedest = \"c/d\"",
        "json_properties_download" => "slavedest = \"c/d\"",
        _ => "",
    }
}

fn letters(flags: Flags) -> String {
    let all = [
        ("H", flags.halt_on_failure),
        ("F", flags.flunk_on_failure),
        ("wF", flags.warn_on_failure),
        ("wW", flags.warn_on_warnings),
        ("fW", flags.flunk_on_warnings),
        ("always", flags.always_run),
    ];
    let set = all.into_iter().filter(|it| it.1).map(|it| it.0);
    set.collect::<Vec<_>>().join(" ")
}

/// What is no checkout and was in Buildbot.
fn kinds() -> impl Iterator<Item = &'static StepKind> {
    let ours = ["junit", "create_virtualenv", "download_firefox_release"];
    let others = KINDS
        .iter()
        .filter(move |it| !ours.contains(&it.name) && !is_checkout(it));
    others.filter(|it| it.name != "hlint" && it.name != "make_directory")
}

fn is_checkout(kind: &StepKind) -> bool {
    read_kind(kind, kind.example).role() == super::Role::Checkout
}

#[test]
fn every_type_has_the_name_the_flags_the_text_and_the_command_that_it_had() {
    let line = |kind: &StepKind| {
        let mut bench = Bench::new(read_kind(kind, needed(kind)).as_ref(), kind);
        let (name, flags) = (kind.step_name, letters(kind.flags));
        let text = bench.running_text().join("|");
        format!("{}: {name} [{flags}] {text}: {}", kind.name, bench.begin())
    };
    let table: Vec<_> = kinds().map(line).collect();
    insta::assert_snapshot!(table.join("\n"), @r#"
    shell: shell [F] 'this|is|...': sh hello/build: this is a long command
    configure: configure [H F] configuring: sh hello/build: ./configure
    warning_counting_shell_command: shell [F] 'this|is|...': sh hello/build: this is a long command
    compile: compile [H F] compiling: hello/build: make all
    vc6: compile [F] compiling: hello/build: msdev a.sln /MAKE ALL - release /REBUILD
    vc7: compile [F] compiling: hello/build: devenv.com a.sln /Rebuild release
    vc8: compile [F] compiling: hello/build: devenv.com a.sln /Rebuild release
    vc9: compile [F] compiling: hello/build: devenv.com a.sln /Rebuild release
    vc10: compile [F] compiling: hello/build: devenv.com a.sln /Rebuild release
    vcexpress9: compile [F] compiling: hello/build: vcexpress a.sln /Rebuild release
    test: test [F wF] testing: hello/build: make test
    pyflakes: pyflakes [] running|pyflakes: hello/build: make pyflakes
    pylint: pylint [F] running|pylint: sh hello/build: this is a long command
    sphinx: sphinx [H F] building: hello/build: sphinx-build . out
    epydoc: epydoc [F] building|epydocs: hello/build: make epydocs
    trial: trial [F] testing: hello/build: trial --reporter=bwverbose words.test
    perl_module_test: test [F wF] testing: hello/build: prove --lib lib -r t
    subunit: shell [F] 'this|is|...': sh hello/build: this is a long command
    mtr: test [F wF] testing: hello/build: make test
    maxq: maxq [F] 'run_maxq.py|t': sh hello/build: run_maxq.py t
    tree_size: treesize [F] measuring tree size: hello/build: du -s -k .
    remove_pycs: remove-.pyc [F] removing|.pyc|files: hello/build: find . -name *.pyc -exec rm {} ;
    set_property: setproperty [F] 'uname|-a': sh hello/build: uname -a
    set_properties_from_env: SetPropertiesFromEnv [] SetPropertiesFromEnv: hello: printenv LANG
    master_shell_command: MasterShellCommand [H F] Running: on the master, in ``: sh: publish
    remove_directory: RemoveDirectory [H F] RemoveDirectory: rmdir hello/d
    trigger: trigger [F] triggered|s: trigger s
    file_download: download [H F] downloading|to|d: send a/b to hello/build/c/d from 0
    string_download: string_download [H F] downloading|to|d: write hello/build/c/d: x
    json_string_download: json_download [H F] downloading|to|d: write hello/build/c/d: {"a":1}
    json_properties_download: json_properties_download [H F] downloading|to|d: write hello/build/c/d: {"properties":{},"sourcestamp":{"revision":null,"hasPatch":false,"branch":null,"changes":[],"project":"","repository":""}}
    file_upload: upload [H F] uploading|b: receive c/d from hello/build/a/b
    directory_upload: upload [H F] uploading|b: receive c/d from hello/build/a/b
    file_exists: FileExists [H F] FileExists: stat hello/f
    "#);
}

#[test]
fn every_type_has_the_text_of_its_good_end_that_it_had() {
    let line = |kind: &StepKind| {
        let mut bench = Bench::new(read_kind(kind, needed(kind)).as_ref(), kind);
        format!("{}: {}", kind.name, bench.done_text().join("|"))
    };
    let table: Vec<_> = kinds().map(line).collect();
    insta::assert_snapshot!(table.join("\n"), @"
    shell: 'this|is|...'
    configure: configure
    warning_counting_shell_command: 'this|is|...'
    compile: compile
    vc6: compile
    vc7: compile
    vc8: compile
    vc9: compile
    vc10: compile
    vcexpress9: compile
    test: test
    pyflakes: pyflakes
    pylint: pylint
    sphinx: sphinx
    epydoc: epydoc
    trial: tests
    perl_module_test: test
    subunit: 'this|is|...'
    mtr: test
    maxq: 'run_maxq.py|t'
    tree_size: treesize
    remove_pycs: remove|.pycs
    set_property: 'uname|-a'
    set_properties_from_env: SetPropertiesFromEnv
    master_shell_command: Ran
    remove_directory: RemoveDirectory
    trigger: triggered|s
    file_download: downloading|to|d
    string_download: downloading|to|d
    json_string_download: downloading|to|d
    json_properties_download: downloading|to|d
    file_upload: uploading|b
    directory_upload: uploading|b
    file_exists: FileExists
    ");
}

#[test]
fn hlint_flunks_on_failure_and_warns_on_either() {
    assert_eq!(
        (hlint::KIND.step_name, letters(hlint::KIND.flags)),
        ("hlint", "F wF wW".into())
    );
}

#[test]
fn a_description_is_for_the_running_text_alone_where_the_type_has_words_of_its_own() {
    let texts = |kind: &StepKind, lines: &str| {
        let mut bench = Bench::new(read_kind(kind, lines).as_ref(), kind);
        (bench.running_text().join("|"), bench.done_text().join("|"))
    };
    let told = |running: &str, done: &str| (running.to_owned(), done.to_owned());
    let one = "description = 'making it'";
    assert_eq!(texts(&compile::KIND, one), told("making it", "compile"));
    let both = "description = ['making', 'it']\ndescriptionDone = ['made', 'it']";
    assert_eq!(texts(&compile::KIND, both), told("making|it", "made|it"));
    let done = "command = 'make'\ndescription_done = 'made'";
    assert_eq!(texts(&shell::KIND, done), told("'make'", "made"));
}

#[test]
fn a_type_that_has_no_command_of_its_own_needs_one() {
    for kind in KINDS.iter().filter(|it| needed(it).contains("command = ")) {
        let without = needed(kind).lines().filter(|it| !it.starts_with("command"));
        let told = problems_of(kind, &without.collect::<Vec<_>>().join("\n"));
        assert_eq!(
            told, "factories/x.toml:1:1: `command` is missing in [[steps]]",
            "{}",
            kind.name
        );
    }
    assert_eq!(
        KINDS
            .iter()
            .filter(|it| needed(it).contains("command = "))
            .count(),
        6
    );
}

#[test]
fn a_property_says_which_step_has_set_it() {
    let set = |kind: &StepKind, line: &str, name: &str| {
        let mut bench = Bench::new(read_kind(kind, needed(kind)).as_ref(), kind);
        bench.begin();
        bench.ends(0, &[out(line)]);
        let found = bench.properties.iter().find(|it| it.0 == name);
        let (_, found) = found.unwrap_or_else(|| panic!("{name} is not set"));
        assert!(found.runtime, "a rebuild finds out anew: {name}");
        found.source.clone()
    };
    let warned = "a.c: warning: x";
    assert_eq!(
        set(&compile::KIND, warned, "warnings-count"),
        "WarningCountingShellCommand"
    );
    assert_eq!(
        set(&test::KIND, warned, "warnings-count"),
        "WarningCountingShellCommand"
    );
    assert_eq!(set(&tree_size::KIND, "7", "tree-size-KiB"), "treesize");
    assert_eq!(set(&pyflakes::KIND, "", "pyflakes-total"), "pyflakes");
    assert_eq!(set(&pylint::KIND, "", "pylint-total"), "Unknown");
    assert_eq!(set(&set_property::KIND, "x", "p"), "SetProperty Step");
    let variable = set(&set_properties_from_env::KIND, "C", "LANG");
    assert_eq!(variable, "SlaveEnvironment");
}

/// Keys that could hold a reference to a property in Buildbot, type by type.
const REFERRING: [(&str, &str); 21] = [
    (
        "shell",
        "command workdir description description_done initial_stdin",
    ),
    ("compile", "suppression_file"),
    ("mtr", "mtr_subdir"),
    ("trial", "tests testpath"),
    ("vc8", "projectfile config project installdir"),
    ("set_property", "property"),
    ("file_exists", "file"),
    ("remove_directory", "dir"),
    ("file_upload", "slavesrc masterdest workdir"),
    ("directory_upload", "slavesrc masterdest workdir"),
    ("file_download", "mastersrc slavedest workdir"),
    ("string_download", "slavedest workdir"),
    ("master_shell_command", "command path"),
    ("sphinx", "sphinx_builddir sphinx_sourcedir tags"),
    ("trigger", "scheduler_names"),
    ("git", "repourl workdir description description_done branch"),
    ("mercurial", "base_url"),
    ("svn", "svnurl username"),
    ("cvs", "cvsroot cvsmodule"),
    ("p4", "p4base p4port"),
    ("repo", "manifest_url manifest_branch"),
];

#[test]
fn what_could_refer_to_properties_there_can_do_so_here() {
    for (name, all) in REFERRING {
        let kind = KINDS.iter().find(|it| it.name == name).expect(name);
        for key in all.split(' ') {
            let own = needed(kind);
            let others = own
                .lines()
                .filter(|it| !it.starts_with(&format!("{key} =")));
            let others = others.collect::<Vec<_>>().join("\n");
            let head = if key.starts_with("master") {
                "dir/"
            } else {
                ""
            };
            let lines = format!("{key} = \"{head}%(own)s\"\n{others}");
            let step = read_kind(kind, &lines);
            // What says so in its settings knows its parts.
            let settings = format!("{step:?}");
            assert!(
                settings.contains("Reference { name: \"own\""),
                "{name} {key}: {settings}"
            );
        }
    }
    for (name, lines) in [
        ("shell", "command = 'x'\nenv.A = '%(own)s'"),
        ("shell", "command = 'x'\nlogfiles.a = '%(own)s'"),
        ("git", "env.A = '%(own)s'"),
        (
            "trigger",
            "scheduler_names = 's'\nset_properties.a = '%(own)s'",
        ),
        (
            "trigger",
            "scheduler_names = 's'\nsource_stamp.branch = '%(own)s'",
        ),
        (
            "string_download",
            "s = '%(own)s'\ninterpolate = true\nslavedest = 'x'",
        ),
        ("sphinx", "sphinx_builddir = 'x'\ndefines.a = '%(own)s'"),
    ] {
        let kind = KINDS.iter().find(|it| it.name == name).expect(name);
        let settings = format!("{:?}", read_kind(kind, lines));
        assert!(
            settings.contains("Reference { name: \"own\""),
            "{name}: {settings}"
        );
    }
}

#[test]
fn every_checkout_halts_and_flunks_and_says_updating() {
    for kind in KINDS.iter().filter(|it| is_checkout(it)) {
        assert_eq!(letters(kind.flags), "H F", "{}", kind.name);
        let plain: Vec<_> = kind.example.lines().collect();
        let plain = plain.into_iter().filter(|it| {
            let key = it.split(['=', ' ']).next().unwrap_or_default();
            !matches!(key, "mode" | "method")
        });
        let lines = plain.collect::<Vec<_>>().join("\n");
        let mut bench = Bench::new(read_kind(kind, &lines).as_ref(), kind);
        assert_eq!(bench.running_text()[0], "updating", "{}", kind.name);
    }
}

#[test]
fn every_build_begins_a_step_afresh() {
    for kind in kinds() {
        let step = read_kind(kind, needed(kind));
        let begun = || Bench::new(step.as_ref(), kind);
        let mut first = begun();
        let told = first.begin();
        if !matches!(kind.name, "trigger" | "file_upload" | "directory_upload") {
            first.ends(1, &[]);
        }
        assert_eq!(begun().begin(), told, "{}", kind.name);
    }
}
