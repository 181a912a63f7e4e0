//! What the recipes that come along make of their parameters.

use std::path::Path;

use super::read::tests::linux;
use super::read::tests::read_in;
use crate::model::Properties;
use crate::model::ShellLine;
use crate::steps::bench::Bench;

/// The commands of a section's steps, a line each, with what the recipe sets for all of them.
fn commands(text: &str) -> String {
    let (factory, problems) = read_in(Path::new("/nonexistent"), text);
    assert_eq!(problems, "", "{text}");
    let mut told = Vec::new();
    for plan in factory.expect(text).steps(&linux()).expect(text) {
        if matches!(plan.name.as_str(), "git" | "hg" | "svn" | "cvs") {
            continue;
        }
        let mut properties = Properties::new();
        properties.set("workdir", "/slave/x", "slave");
        let shell = Bench::of(&plan, properties).begin_shell();
        let line = match shell.line {
            ShellLine::Argv(words) => format!("{words:?}"),
            ShellLine::Script(text) => text,
        };
        told.push(format!("{} in {}: {line}", plan.name, shell.workdir));
    }
    told.join("\n")
}

fn section(name: &str, more: &str) -> String {
    commands(&format!("[{name}]\ngit = /srv/x#main\n{more}"))
}

#[test]
fn cargo_has_what_is_asked_for() {
    insta::assert_snapshot!(section("cargo", ""), @r#"
    compile in hello/build: ["cargo", "build"]
    test in hello/build: ["cargo", "test", "--no-fail-fast"]
    "#);
    let more = "dir = core\ntoolchain = nightly\nfeatures = a b\ntarget = wasm32\nrelease = yes\n\
                workspace = yes\nlocked = yes\nargs = --verbose\ntest_args = --test-threads 1\n\
                fmt = yes\nclippy = yes\nbuild = no\n";
    insta::assert_snapshot!(section("cargo", more), @r#"
    fmt in hello/build/core: ["cargo", "+nightly", "fmt", "--check", "--all"]
    clippy in hello/build/core: ["cargo", "+nightly", "clippy", "--all-targets", "--workspace", "--release", "--locked", "--features", "a,b", "--target", "wasm32", "--verbose"]
    test in hello/build/core: ["cargo", "+nightly", "test", "--workspace", "--release", "--locked", "--features", "a,b", "--target", "wasm32", "--no-fail-fast", "--verbose", "--", "--test-threads", "1"]
    "#);
    insta::assert_snapshot!(section("cargo", "nextest = yes\nbuild = no\n"), @r#"test in hello/build: ["cargo", "nextest", "run", "--no-fail-fast"]"#);
}

#[test]
fn go_has_what_is_asked_for() {
    insta::assert_snapshot!(section("go", ""), @r#"
    compile in hello/build: ["go", "build", "./..."]
    vet in hello/build: ["go", "vet", "./..."]
    test in hello/build: ["go", "test", "-v", "./..."]
    "#);
    let more =
        "packages = ./cmd/...\ntags = a b\nrace = yes\nargs = -count=1\nfmt = yes\nvet = no\n";
    insta::assert_snapshot!(section("go", more), @r#"
    fmt in hello/build: files=$(gofmt -l .) && echo "$files" && test -z "$files"
    compile in hello/build: ["go", "build", "-tags", "a,b", "./cmd/..."]
    test in hello/build: ["go", "test", "-v", "-race", "-tags", "a,b", "-count=1", "./cmd/..."]
    "#);
}

#[test]
fn cmake_and_meson_compile_outside_of_the_tree_or_in_it() {
    insta::assert_snapshot!(section("cmake", ""), @r#"
    configure in hello/build: ["cmake", "-S", ".", "-B", "/slave/x/cache/build"]
    compile in hello/build: ["cmake", "--build", "/slave/x/cache/build", "--parallel", "2"]
    test in hello/cache/build: ["ctest", "--output-on-failure", "--parallel", "2"]
    "#);
    let more = "dir = lib\ngenerator = Ninja\nbuild_type = Debug\ndefines = A=1 B=2\nargs = -Wdev\n\
                targets = all docs\njobs = 3\ntest_args = -R quick\ncache = no\n";
    insta::assert_snapshot!(section("cmake", more), @r#"
    configure in hello/build/lib: ["cmake", "-S", ".", "-B", "_build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug", "-DA=1", "-DB=2", "-Wdev"]
    compile in hello/build/lib: ["cmake", "--build", "_build", "--parallel", "3", "--target", "all", "docs"]
    test in hello/build/lib/_build: ["ctest", "--output-on-failure", "--parallel", "3", "-R", "quick"]
    "#);
    insta::assert_snapshot!(section("meson", ""), @r#"
    configure in hello/build: ["sh", "-c", "if [ -d \"$0/meson-private\" ]; then set -- --reconfigure \"$@\"; fi; exec meson setup \"$@\" \"$0\"", "/slave/x/cache/build"]
    compile in hello/build: ["meson", "compile", "-C", "/slave/x/cache/build"]
    test in hello/build: ["meson", "test", "-C", "/slave/x/cache/build", "--print-errorlogs"]
    "#);
    let more = "dir = lib\nbuildtype = debug\noptions = a=1 b=2\nargs = --werror\njobs = 3\n\
                suites = quick slow\ntest_args = --verbose\ncache = no\n";
    insta::assert_snapshot!(section("meson", more), @r#"
    configure in hello/build/lib: ["sh", "-c", "if [ -d \"$0/meson-private\" ]; then set -- --reconfigure \"$@\"; fi; exec meson setup \"$@\" \"$0\"", "_build", "--buildtype=debug", "-Da=1", "-Db=2", "--werror"]
    compile in hello/build/lib: ["meson", "compile", "-C", "_build", "-j", "3"]
    test in hello/build/lib: ["meson", "test", "-C", "_build", "--print-errorlogs", "--suite=quick", "--suite=slow", "--verbose"]
    "#);
}

#[test]
fn npm_has_what_is_asked_for() {
    insta::assert_snapshot!(section("npm", ""), @r#"
    install in hello/build: ["sh", "-c", "if [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ]; then exec npm ci \"$@\"; else exec npm install \"$@\"; fi", "npm"]
    compile in hello/build: ["npm", "run", "build", "--if-present"]
    test in hello/build: ["npm", "test"]
    "#);
    let more = "install_args = --ignore-scripts\nlint = yes\nbuild = no\ntest = none\n";
    insta::assert_snapshot!(section("npm", more), @r#"
    install in hello/build: ["sh", "-c", "if [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ]; then exec npm ci \"$@\"; else exec npm install \"$@\"; fi", "npm", "--ignore-scripts"]
    lint in hello/build: ["npm", "run", "lint"]
    "#);
    insta::assert_snapshot!(section("npm", "test = npx jest --ci\ncounts = node tap\n"), @r#"
    install in hello/build: ["sh", "-c", "if [ -f package-lock.json ] || [ -f npm-shrinkwrap.json ]; then exec npm ci \"$@\"; else exec npm install \"$@\"; fi", "npm"]
    compile in hello/build: ["npm", "run", "build", "--if-present"]
    test in hello/build: npx jest --ci
    "#);
}

#[test]
fn python_is_tested_in_an_environment_or_without() {
    insta::assert_snapshot!(section("pytest", ""), @r#"
    venv in hello/build: ["sh", "-c", "\"$0/bin/python\" -c \"\" 2>/dev/null || \"$1\" -m venv --clear \"$0\"", "/slave/x/cache/venv", "python3"]
    install in hello/build: ["sh", "-c", "for file in requirements.txt; do\n    if [ -f \"$file\" ]; then set -- \"$@\" -r \"$file\"; fi\ndone\nif true && { [ -f pyproject.toml ] || [ -f setup.py ]; }; then\n    set -- \"$@\" -e \".\"\nfi\nif [ $# -eq 0 ]; then exit 0; fi\nexec \"$0\" -m pip install --disable-pip-version-check \"$@\"", "/slave/x/cache/venv/bin/python", "pytest"]
    test in hello/build: ["/slave/x/cache/venv/bin/python", "-m", "pytest"]
    "#);
    let more = "python = python3.12\npackages = pytest pytest-cov\nrequirements = a.txt b.txt\n\
                extras = test docs\nargs = -x\ncache = no\n";
    insta::assert_snapshot!(section("pytest", more), @r#"
    venv in hello/build: ["sh", "-c", "\"$1\" -m venv --clear \"$0\"", "/slave/x/cache/venv", "python3.12"]
    install in hello/build: ["sh", "-c", "for file in a.txt b.txt; do\n    if [ -f \"$file\" ]; then set -- \"$@\" -r \"$file\"; fi\ndone\nif true && { [ -f pyproject.toml ] || [ -f setup.py ]; }; then\n    set -- \"$@\" -e \".[test,docs]\"\nfi\nif [ $# -eq 0 ]; then exit 0; fi\nexec \"$0\" -m pip install --disable-pip-version-check \"$@\"", "/slave/x/cache/venv/bin/python", "pytest", "pytest-cov"]
    test in hello/build: ["/slave/x/cache/venv/bin/python", "-m", "pytest", "-x"]
    "#);
    insta::assert_snapshot!(section("pytest", "venv = no\n"), @r#"test in hello/build: ["python3", "-m", "pytest"]"#);
    insta::assert_snapshot!(section("tox", ""), @r#"test in hello/build: ["tox", "--workdir", "/slave/x/cache/tox"]"#);
    let more = "tox = python3 -m tox\nenvs = py312 lint\nargs = -v\ncache = no\n";
    insta::assert_snapshot!(section("tox", more), @r#"test in hello/build: ["python3", "-m", "tox", "-e", "py312,lint", "-v"]"#);
}

#[test]
fn java_has_what_is_asked_for() {
    insta::assert_snapshot!(section("maven", ""), @r#"
    compile in hello/build: ["sh", "-c", "if [ -x ./mvnw ]; then exec ./mvnw \"$@\"; else exec \"$0\" \"$@\"; fi", "mvn", "--batch-mode", "-Dmaven.repo.local=/slave/x/cache/m2", "test-compile"]
    test in hello/build: ["sh", "-c", "if [ -x ./mvnw ]; then exec ./mvnw \"$@\"; else exec \"$0\" \"$@\"; fi", "mvn", "--batch-mode", "-Dmaven.repo.local=/slave/x/cache/m2", "verify"]
    "#);
    let more = "mvn = mvn4\ngoals = package site\nprofiles = a b\nargs = --offline\ncache = no\n";
    insta::assert_snapshot!(section("maven", more), @r#"
    compile in hello/build: ["sh", "-c", "if [ -x ./mvnw ]; then exec ./mvnw \"$@\"; else exec \"$0\" \"$@\"; fi", "mvn4", "--batch-mode", "-P", "a,b", "--offline", "test-compile"]
    test in hello/build: ["sh", "-c", "if [ -x ./mvnw ]; then exec ./mvnw \"$@\"; else exec \"$0\" \"$@\"; fi", "mvn4", "--batch-mode", "-P", "a,b", "--offline", "package", "site"]
    "#);
    insta::assert_snapshot!(section("gradle", ""), @r#"
    compile in hello/build: ["sh", "-c", "if [ -x ./gradlew ]; then exec ./gradlew \"$@\"; else exec \"$0\" \"$@\"; fi", "gradle", "--no-daemon", "--console=plain", "assemble"]
    test in hello/build: ["sh", "-c", "if [ -x ./gradlew ]; then exec ./gradlew \"$@\"; else exec \"$0\" \"$@\"; fi", "gradle", "--no-daemon", "--console=plain", "--continue", "check"]
    junit in hello/build: ["find", ".", "-type", "f", "(", "-path", "./*build/test-results/*.xml", ")", "-exec", "cat", "{}", "+"]
    "#);
    let more = "gradle = /opt/gradle/bin/gradle\ncompile = classes\ntasks = test\nargs = --offline\n\
                reports = out/*.xml more/*.xml\n";
    insta::assert_snapshot!(section("gradle", more), @r#"
    compile in hello/build: ["sh", "-c", "if [ -x ./gradlew ]; then exec ./gradlew \"$@\"; else exec \"$0\" \"$@\"; fi", "/opt/gradle/bin/gradle", "--no-daemon", "--console=plain", "--offline", "classes"]
    test in hello/build: ["sh", "-c", "if [ -x ./gradlew ]; then exec ./gradlew \"$@\"; else exec \"$0\" \"$@\"; fi", "/opt/gradle/bin/gradle", "--no-daemon", "--console=plain", "--continue", "--offline", "test"]
    junit in hello/build: ["find", ".", "-type", "f", "(", "-path", "./out/*.xml", "-o", "-path", "./more/*.xml", ")", "-exec", "cat", "{}", "+"]
    "#);
}

#[test]
fn buildbots_factories_have_the_steps_that_they_had() {
    let svn = |more: &str| commands(&format!("[basic_svn]\n{more}"));
    insta::assert_snapshot!(svn("svnurl = http://x/trunk\n"), @"
    compile in hello/build: make all
    test in hello/build: make check
    ");
    let more = "svn = http://x/trunk\nconfigure = ./configure\nconfigure_env.CC = gcc\ncompile = [\"make\", \"-j2\"]\ntest = none\n";
    insta::assert_snapshot!(svn(more), @r#"
    configure in hello/build: ./configure
    compile in hello/build: ["make", "-j2"]
    "#);
    insta::assert_snapshot!(section("cpan", "perl = perl5.8\n"), @r#"
    configure in hello/build: ["perl5.8", "Makefile.PL"]
    compile in hello/build: ["make"]
    test in hello/build: ["make", "test"]
    "#);
    insta::assert_snapshot!(section("distutils", ""), @r#"compile in hello/build: ["python", "./setup.py", "build"]"#);
    insta::assert_snapshot!(section("distutils", "python = python3\ntest = [\"python3\", \"-m\", \"tests\"]\n"), @r#"
    compile in hello/build: ["python3", "./setup.py", "build"]
    test in hello/build: ["python3", "-m", "tests"]
    "#);
    insta::assert_snapshot!(section("trial", "tests = words.test\n"), @r#"
    compile in hello/build: ["python", "./setup.py", "build"]
    trial in hello/build: ["trial", "--reporter=bwverbose", "words.test"]
    "#);
    let more = "buildpython = python3 -W ignore\ntrialpython = python3 -u\ntrial = /opt/trial\nuseTestCaseNames = yes\n\
                reactor = poll\nrecurse = yes\nrandomly = yes\ntrialMode = --reporter=text\ntrialArgs = --logfile x\n";
    insta::assert_snapshot!(section("trial", more), @r#"
    compile in hello/build: ["python3", "-W", "ignore", "./setup.py", "build"]
    trial in hello/build: ["python3", "-u", "/opt/trial", "--reporter=text", "--recurse", "--reactor=poll", "--random=0", "--logfile", "x"]
    "#);
    let missing = read_in(Path::new("/nonexistent"), "[trial]\ngit = /srv/x\n").1;
    assert!(missing.contains("`tests` is missing"), "{missing}");
    // A configure of its own words, with flags behind them, or of one word.
    let autoconf = |more: &str| section("gnu_autoconf", more);
    insta::assert_snapshot!(autoconf("configure = [\"sh\", \"configure\"]\nconfigure_flags = --a\ncompile = none\ntest = none\n"), @r#"configure in hello/build: ["sh", "configure", "--a"]"#);
    insta::assert_snapshot!(autoconf("configure_flags = --a\"b c\"\ncompile = none\ntest = none\n"), @r#"configure in hello/build: ["./configure", "--ab c"]"#);
    insta::assert_snapshot!(autoconf("configureFlags = --a\nconfigure = none\n"), @r#"
    compile in hello/build: ["make", "all"]
    test in hello/build: ["make", "check"]
    "#);
}

#[test]
fn the_names_that_buildbot_and_autobot_gave_are_understood() {
    let more = |name: &str| match name.eq_ignore_ascii_case("trial") {
        true => "tests = x\n",
        false => "",
    };
    for (name, ours) in [
        ("BuildFactory", "source"),
        ("ConfigurableBuildFactory", "source"),
        ("SourceFactory", "source"),
        ("VirtualenvFactory", "virtualenv"),
        ("PythonSourceFactory", "python_source"),
        ("GNUAutoconf", "gnu_autoconf"),
        ("BasicSVN", "basic_svn"),
        ("CPAN", "cpan"),
        ("Distutils", "distutils"),
        ("Trial", "trial"),
    ] {
        let of = |name: &str| {
            let (factory, problems) = read_in(
                Path::new("/nonexistent"),
                &format!("[x]\ntype = {name}\nsvn = http://x/trunk\n{}", more(name)),
            );
            assert_eq!(problems, "", "{name}");
            format!("{:?}", factory.expect(name))
        };
        assert_eq!(of(name), of(ours), "{name}");
    }
}

#[test]
fn a_module_of_cvs_is_built_as_buildbot_did() {
    let cvs = |name: &str, more: &str| {
        let text = format!("[x]\ntype = {name}\ncvsroot = /cvs\ncvsmodule = hello\n{more}");
        let (factory, problems) = read_in(Path::new("/nonexistent"), &text);
        assert_eq!(problems, "", "{text}");
        let steps = factory.expect(name).steps(&linux()).expect(name);
        let body = format!("{:?}", steps[0].body);
        let mode = body.split("mode: ").nth(1).expect("a mode");
        let mode = mode.split([',', ' ']).next().expect("a word");
        format!("{}: {mode}\n{}", steps[0].name, commands(&text))
    };
    insta::assert_snapshot!(cvs("BasicBuildFactory", ""), @"
    cvs: Clobber
    compile in hello/build: make all
    test in hello/build: make check
    ");
    let more = "cvsCopy = yes\nconfigure = ./configure\nconfigureEnv.CC = gcc\ncompile = [\"make\"]\ntest = none\n";
    insta::assert_snapshot!(cvs("basic", more), @r#"
    cvs: Copy
    configure in hello/build: ./configure
    compile in hello/build: ["make"]
    "#);
    insta::assert_snapshot!(cvs("QuickBuildFactory", "cvsCopy = yes\n"), @"
    cvs: Incremental
    compile in hello/build: make all
    test in hello/build: make check
    ");
    let text = format!("[basic]\ncvsroot = /cvs\ncvsmodule = hello\n{more}");
    let (factory, _) = read_in(Path::new("/nonexistent"), &text);
    let steps = factory.expect("a factory").steps(&linux()).expect("steps");
    let configure = format!("{:?}", steps[1].body);
    assert!(configure.contains("{\"CC\": "), "{configure}");
    let missing = read_in(Path::new("/nonexistent"), "[quick]\n").1;
    assert!(
        missing.contains("`cvsroot` is missing in [quick]"),
        "{missing}"
    );
}
