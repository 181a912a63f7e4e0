//! What the factories of Buildbot and of autobot 0.1.1 promised, fact by fact.

use std::fs;
use std::path::Path;

use super::Factory;
use super::Print;
use super::read::tests::linux;
use super::read::tests::read_in;
use crate::model::Platform;
use crate::model::Properties;
use crate::model::Shell;
use crate::steps::StepPlan;
use crate::steps::bench::Bench;
use crate::steps::bench::run_program;

const NOWHERE: &str = "/nonexistent";

fn plans_on(text: &str, platform: &Platform) -> Vec<StepPlan> {
    let (factory, problems) = read_in(Path::new(NOWHERE), text);
    assert_eq!(problems, "", "{text}");
    factory.expect(text).steps(platform).expect(text)
}

fn plans(text: &str) -> Vec<StepPlan> {
    plans_on(text, &linux())
}

fn problems(text: &str) -> String {
    read_in(Path::new(NOWHERE), text).1
}

/// A step of a build whose environment is in `/e`.
fn bench(plan: &StepPlan) -> Bench {
    let mut properties = Properties::new();
    for (name, value) in [
        ("virtualenv", "/e"),
        ("scripts", "/e/bin"),
        ("python", "/e/bin/python"),
    ] {
        properties.set(name, value, "SetProperty Step");
    }
    Bench::of(plan, properties)
}

fn shell(plan: &StepPlan) -> Shell {
    bench(plan).begin_shell()
}

/// What each step shows while it runs, and does first.
fn begun(plans: &[StepPlan]) -> String {
    let line = |plan: &StepPlan| {
        let mut bench = bench(plan);
        let text = bench.running_text().join(" ");
        format!("{} ({text}): {}", plan.name, bench.begin())
    };
    plans.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn halting(plans: &[StepPlan]) -> Vec<(&str, bool)> {
    let flag = |it: &'_ StepPlan| it.flags.halt_on_failure;
    plans
        .iter()
        .map(|it| (it.name.as_str(), flag(it)))
        .collect()
}

#[test]
fn steps_run_in_the_order_in_which_they_stand() {
    let steps = r#"[{"type": "test"}, {"type": "shell", "command": "a"}, {"type": "compile"}]"#;
    let text = format!("[x]\ngit = /srv/x\nsteps = {steps}\n");
    let names: Vec<_> = plans(&text).into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["git", "test", "shell", "compile"]);
}

#[test]
fn a_definition_of_sphinx_may_be_a_name_alone() {
    let steps =
        r#"[{"type": "sphinx", "sphinx_builddir": "o", "defines": {"b": true, "a": null}}]"#;
    let plans = plans(&format!("[x]\ngit = /srv/x\nsteps = {steps}\n"));
    let told = bench(&plans[1]).begin();
    assert_eq!(told, "hello/build: sphinx-build -D a -D b=1 . o");
}

#[test]
fn what_is_no_step_is_a_mistake_of_the_file() {
    let told = problems("[x]\ngit = /srv/x\nsteps = [3]\n");
    assert!(told.contains("`steps` is a list of tables"), "{told}");
    let told = problems("[x]\ngit = /srv/x\nsteps = [{\"command\": \"make\"}]\n");
    assert!(told.contains("`type` is missing in [[steps]]"), "{told}");
}

#[test]
fn a_steps_own_work_directory_wins_over_the_factorys_below_the_builders() {
    let steps = r#"[{"type": "shell", "command": "a"}, {"type": "shell", "command": "b", "workdir": "docs"}]"#;
    let plans = plans(&format!("[x]\ngit = /srv/x\nsteps = {steps}\n"));
    assert_eq!(shell(&plans[1]).workdir, "hello/build");
    assert_eq!(shell(&plans[2]).workdir, "hello/docs");
}

#[test]
fn factories_are_equal_if_all_that_is_said_of_them_is() {
    let print = |text: &str| {
        let (factory, problems) = read_in(Path::new(NOWHERE), text);
        assert_eq!(problems, "", "{text}");
        Print::of(factory.expect(text).as_ref() as &dyn Factory)
    };
    let text = "[x]\ntype = cpan\ngit = /srv/x#main\nworkdir = src\nperl = perl5\n";
    assert_eq!(print(text), print(text));
    // Where it stands is nothing that it says.
    assert_eq!(print(text), print(&format!("# moved\n{text}")));
    for (from, to) in [("#main", "#next"), ("= src", "= tree"), ("perl5", "perl6")] {
        assert_ne!(print(text), print(&text.replace(from, to)), "{to}");
    }
    let of_type = |name: &str| print(&format!("[x]\ntype = {name}\ngit = /srv/x\n"));
    assert_ne!(of_type("cpan"), of_type("distutils"));
    let steps = |command: &str| {
        let step = format!("[{{\"type\": \"shell\", \"command\": \"{command}\"}}]");
        print(&format!("[x]\ngit = /srv/x\nsteps = {step}\n"))
    };
    assert_eq!(steps("a"), steps("a"));
    assert_ne!(steps("a"), steps("b"));
}

#[test]
fn gnu_autoconf_halts_until_it_is_compiled_and_installs_nothing() {
    let plans = plans("[x]\ntype = GNUAutoconf\ngit = /srv/x\n");
    assert_eq!(
        begun(&plans),
        "git (updating): hello/build: git --version\n\
         configure (configuring): sh hello/build: ./configure\n\
         compile (compiling): hello/build: make all\n\
         test (testing): hello/build: make check"
    );
    let expected = [
        ("git", true),
        ("configure", true),
        ("compile", true),
        ("test", false),
    ];
    assert_eq!(halting(&plans), expected);
}

#[test]
fn only_configure_has_the_environment_of_configure() {
    let plans = plans("[x]\ntype = gnu_autoconf\ngit = /srv/x\nconfigureEnv.CC = gcc\n");
    let has = |plan: &StepPlan| shell(plan).env.contains_key("CC");
    let all: Vec<_> = plans.iter().map(has).collect();
    assert_eq!(all, [false, true, false, false]);
}

#[test]
fn a_configure_of_one_word_takes_flags_and_a_line_for_the_shell_takes_none() {
    let configure = |lines: &str| {
        let plans = plans(&format!("[x]\ntype = gnu_autoconf\ngit = /srv/x\n{lines}"));
        bench(&plans[1]).begin()
    };
    assert_eq!(configure(""), "sh hello/build: ./configure");
    let line = "configure = sh configure --a\n";
    assert_eq!(configure(line), "sh hello/build: sh configure --a");
    let flags = "configure_flags = --a --b\n";
    assert_eq!(configure(flags), "hello/build: ./configure --a --b");
    let list = "configure = [\"sh\", \"configure\"]\n";
    assert_eq!(
        configure(&format!("{list}{flags}")),
        "hello/build: sh configure --a --b"
    );
    let told = problems(&format!(
        "[x]\ntype = gnu_autoconf\ngit = /srv/x\n{line}{flags}"
    ));
    assert!(
        told.contains("a `configure` that is a shell line takes no `configure_flags`"),
        "{told}"
    );
}

#[test]
fn without_a_configure_buildbots_basic_factories_have_none() {
    for (text, source) in [
        ("[basic]\ncvsroot = /cvs\ncvsmodule = x\n", "cvs"),
        ("[quick]\ncvsroot = /cvs\ncvsmodule = x\n", "cvs"),
        ("[BasicSVN]\nsvnurl = http://x/trunk\n", "svn"),
    ] {
        let plans = plans(text);
        let told = begun(&plans[1..]);
        let expected = "compile (compiling): sh hello/build: make all\n\
                        test (testing): sh hello/build: make check";
        assert_eq!((plans[0].name.as_str(), told.as_str()), (source, expected));
    }
}

#[test]
fn basic_svn_updates_the_tree_that_is_there() {
    let mut bench = bench(&plans("[BasicSVN]\nsvnurl = http://x/trunk\n")[0]);
    let script: &[(&str, i32, &[_])] = &[("hello/build: svn --version --quiet", 0, &[])];
    bench.plays(script, "stat hello/build/.svn");
}

#[test]
fn a_module_of_perl_is_configured_by_its_makefile_and_a_distribution_tests_only_if_told_how() {
    let told = begun(&plans("[CPAN]\ngit = /srv/x\n")[1..]);
    assert_eq!(
        told,
        "configure (configuring): hello/build: perl Makefile.PL\n\
         compile (compiling): hello/build: make\n\
         test (testing): hello/build: make test"
    );
    let build = "compile (compiling): hello/build: python ./setup.py build";
    assert_eq!(begun(&plans("[Distutils]\ngit = /srv/x\n")[1..]), build);
    let text = "[Distutils]\ngit = /srv/x\ntest = nosetests -v\n";
    let test = "test (testing): sh hello/build: nosetests -v";
    assert_eq!(begun(&plans(text)[1..]), format!("{build}\n{test}"));
}

#[test]
fn trial_has_its_tests_on_the_path_and_takes_the_parameters_of_its_step() {
    let trial = |lines: &str| {
        let plans = plans(&format!("[Trial]\ngit = /srv/x\n{lines}"));
        assert_eq!(
            bench(&plans[1]).begin(),
            "hello/build: python ./setup.py build"
        );
        let shell = shell(&plans[2]);
        let path = shell.env["PYTHONPATH"].clone().unwrap_or_default();
        (bench(&plans[2]).begin(), path)
    };
    let (line, path) = trial("tests = words.test\n");
    assert_eq!(line, "hello/build: trial --reporter=bwverbose words.test");
    assert_eq!(path, ".");
    let lines = "testpath = lib\npython = python3 -u\ntrialMode = --reporter=text\n\
                 trialArgs = -x\ntestChanges = yes\nreactor = poll\nrecurse = yes\nrandomly = yes\n";
    let (line, path) = trial(lines);
    let expected = "hello/build: python3 -u trial --reporter=text --recurse --reactor=poll \
                    --random=0 -x";
    assert_eq!((line.as_str(), path.as_str()), (expected, "lib"));
    // The factory's own names for two of them win.
    let (line, _) = trial("trialpython = python2\npython = python3\nuseTestCaseNames = yes\n");
    assert_eq!(line, "hello/build: python2 trial --reporter=bwverbose");
}

#[test]
fn without_a_branch_git_builds_master_and_mercurial_default() {
    let plans = plans("[x]\ntype = SourceFactory\nmode = clobber\ngit = /srv/a\nhg = /srv/b\n");
    let moves = |plan: &StepPlan, count: usize| {
        let mut bench = bench(plan);
        bench.begin();
        (0..count).map(|_| bench.ends(0, &[])).collect::<Vec<_>>()
    };
    let hg = moves(&plans[0], 3);
    assert_eq!(
        hg[1],
        "hello/build/b: hg --verbose clone --noupdate /srv/b ."
    );
    assert_eq!(
        hg[2],
        "hello/build/b: hg --verbose update --clean --rev default"
    );
    let git = moves(&plans[1], 2);
    assert_eq!(git[1], "hello/build/a: git clone --branch master /srv/a .");
}

#[test]
fn repositories_of_one_section_are_not_those_of_another() {
    let urls = |text: &str| {
        let (factory, problems) = read_in(Path::new(NOWHERE), text);
        assert_eq!(problems, "", "{text}");
        let factory = factory.expect(text);
        let urls = factory.sources().iter().map(|it| it.url.clone());
        urls.collect::<Vec<_>>()
    };
    assert_eq!(urls("[a]\ntype = toolbox\nhg = /srv/mine\n"), ["/srv/mine"]);
    assert_eq!(urls("[toolbox]\n"), ["http://k0s.org/hg/toolbox"]);
}

#[test]
fn an_environment_is_made_in_seven_steps_each_in_its_directory() {
    let plans = plans("[x]\ntype = VirtualenvFactory\nname = e\nhg = /srv/a\n");
    insta::assert_snapshot!(begun(&plans), @r#"
    shell ('rm -rf ...'): hello/build: rm -rf e
    shell_1 (virtualenv e): hello/build: sh -c if command -v virtualenv >/dev/null 2>&1; then exec virtualenv "$1"; else exec "$0" -m venv "$1"; fi python3 e
    setproperty ('pwd'): hello/build/e: pwd
    setproperty_1 ('if [ ...'): sh hello/build/e: if [ -e "Scripts" ]; then echo "${PWD}/Scripts"; elif [ -e "bin" ]; then echo "${PWD}/bin"; else false; fi
    setproperty_2 ('if [ ...'): sh /e/bin: if [ -e "python" ]; then echo "${PWD}/python"; elif [ -e "python.exe" ]; then echo "${PWD}/python.exe"; else false; fi
    shell_2 ('mkdir -p ...'): hello/build/e: mkdir -p src
    hg (updating): hello/build/e/src/a: hg --verbose --version
    "#);
    assert!(halting(&plans).iter().all(|(_, halts)| *halts));
}

#[test]
fn where_none_of_the_names_exists_the_step_fails() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::create_dir_all(dir.path().join("hello/build/e")).expect("a directory");
    let plans = plans("[x]\ntype = virtualenv\nname = e\ncheckout = no\n");
    let found = |plan: &StepPlan| {
        let mut bench = bench(plan);
        let told = bench.run_for_real(dir.path()).pop().expect("an end");
        (told, bench.properties.text("scripts").map(str::to_owned))
    };
    let (told, scripts) = found(&plans[3]);
    assert!(told.starts_with("failure: "), "{told}");
    assert_eq!(scripts.as_deref(), Some("/e/bin"), "it is as it was");
    fs::create_dir(dir.path().join("hello/build/e/bin")).expect("a directory");
    let (told, scripts) = found(&plans[3]);
    assert_eq!(told, "success: property 'scripts' set");
    let home = dir.path().canonicalize().expect("a directory");
    let expected = home.join("hello/build/e/bin").display().to_string();
    assert_eq!(scripts, Some(expected));
}

#[test]
fn programs_of_an_environment_come_first_in_path_as_the_platform_writes_it() {
    let path = |os: &str| {
        let platform = Platform {
            os: os.into(),
            ..Platform::default()
        };
        let text = "[x]\ntype = virtualenv\ncheckout = no\nadd_scripts = yes\n";
        bench(plans_on(text, &platform).last().expect("a step")).begin()
    };
    assert_eq!(path("linux"), "sh hello/build: echo \"/e/bin:$PATH\"");
    assert_eq!(path("win"), "sh hello/build: echo \"/e/bin;$PATH\"");
}

#[test]
fn packages_are_installed_in_the_order_of_their_checkouts() {
    let text = "[x]\ntype = PythonSourceFactory\ngit = /srv/g.git\nhg = /srv/h\n";
    let plans = plans(text);
    let tail = &plans[6..];
    let told: Vec<_> = tail
        .iter()
        .map(|it| (bench(it).running_text().join(" "), shell(it).workdir))
        .collect();
    let pair = |text: &str, dir: &str| (text.to_owned(), format!("hello/build/env/src/{dir}"));
    let expected = [
        pair("updating", "h"),
        pair("updating", "g"),
        pair("install h", "h"),
        pair("install g", "g"),
    ];
    assert_eq!(told, expected);
    assert!(halting(tail).iter().all(|(_, halts)| *halts));
    let told = problems(&format!("{text}checkout = no\n"));
    assert!(told.contains("unknown key `checkout`"), "{told}");
}

#[test]
fn autobot_makes_a_bot_starts_it_looks_at_its_page_and_stops_it_whatever_happens() {
    let all = plans;
    let plans = all("[autobot]\nhg = http://k0s.org/hg/autobot\n");
    insta::assert_snapshot!(begun(&plans[1..]), @r#"
    compile (compiling): hello/build: cargo build --release
    link (link the programs): sh hello/build: mkdir -p bin && ln -sf "$PWD/target/release/autobot" bin/autobot && ln -sf autobot bin/create-autobot
    shell (create-autobot --list-factories): sh hello/build: PATH="$PWD/bin:$PATH" create-autobot --list-factories
    RemoveDirectory (RemoveDirectory): rmdir hello/build/bot
    shell_1 (make an autobot): sh hello/build: PATH="$PWD/bin:$PATH" create-autobot -f - --ircChannels '' --slaveport 7357 --htmlport 7358 --publichtmlport 7359 bot
    shell_2 (start build master): sh hello/build/bot: PATH="$PWD/../bin:$PATH" autobot start master
    shell_3 (start build slave): sh hello/build/bot: PATH="$PWD/../bin:$PATH" autobot start slave
    shell_4 (look at the page): hello/build: curl -f --silent --show-error --output page.html http://localhost:7358/
    shell_5 (stop build master): sh hello/build/bot: PATH="$PWD/../bin:$PATH" autobot stop master
    shell_6 (stop build slave): sh hello/build/bot: PATH="$PWD/../bin:$PATH" autobot stop slave
    "#);
    let always: Vec<_> = plans.iter().filter(|it| it.flags.always_run).collect();
    assert_eq!(always.len(), 2, "both are stopped");
    let ports = "slaveport = 1\nhtmlport = 2\npublichtmlport = 3\n";
    let told = begun(&all(&format!("[autobot]\n{ports}")));
    for word in [
        "--slaveport 1 ",
        "--htmlport 2 ",
        "--publichtmlport 3 ",
        "localhost:2/",
    ] {
        assert!(told.contains(word), "{word} in {told}");
    }
}

#[test]
fn toolbox_is_installed_and_runs_its_own_tests() {
    let plans = plans("[toolbox]\n");
    let tail = begun(&plans[plans.len() - 1..]);
    assert_eq!(
        tail,
        "shell_4 (test toolbox): hello/build/toolbox/src/toolbox/test: /e/bin/python test.py"
    );
    let names: Vec<_> = plans.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names[6..8], ["hg", "shell_3"]);
}

#[test]
fn a_recipe_that_is_broken_is_told_to_who_uses_it_and_hides_no_other() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("broken.toml"), "steps = [\n").expect("a file");
    fs::write(dir.path().join("good.toml"), "extends = \"source\"\n").expect("a file");
    run_program(dir.path(), "mkdir", &["directory.toml"]);
    let library = super::Library::new(vec![dir.path().to_owned()]);
    let known: Vec<_> = library.known().into_iter().map(|it| it.name).collect();
    for name in ["broken", "good", "cargo"] {
        assert!(known.iter().any(|it| it == name), "{name} in {known:?}");
    }
    let (factory, told) = read_in(dir.path(), "[good]\ngit = /srv/x\n");
    assert!(factory.is_some() && told.is_empty(), "{told}");
    let (factory, told) = read_in(dir.path(), "[broken]\n");
    assert!(factory.is_none());
    assert!(told.contains("factories/broken.toml:1:"), "{told}");
}
