//! What every type of step promised in Buildbot, type by type.

use super::Flags;
use super::KINDS;
use super::StepKind;
use super::bench::Bench;
use super::read::tests::read_kind;

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
