//! The real test and documentation tools, on small projects whose tests, mistakes and
//! warnings are known: what the steps count is what is there.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::farm::{Farm, property};

/// A virtual environment with Twisted, Pylint, Pyflakes, Sphinx and subunit;
/// `scripts/test.sh` makes it and says where it is.
fn tools() -> PathBuf {
    let dir = std::env::var_os("AUTOBOT_TEST_TOOLS").map(PathBuf::from);
    let dir = dir.or_else(|| {
        let cache = PathBuf::from(std::env::var_os("HOME")?).join(".cache/autobot-test/tools");
        cache.exists().then_some(cache)
    });
    dir.expect("AUTOBOT_TEST_TOOLS names an environment of Python tools: run scripts/test.sh once")
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, content).expect("written");
    }
}

/// One test of each end, two of the good one.
const TEST_WORDS: &str = r#"
import warnings
OWN
class WordsTests(unittest.TestCase):
    def test_good(self):
        self.assertEqual(1, 1)

    def test_good_too(self):
        warnings.warn("words are old", DeprecationWarning)

    def test_bad(self):
        self.assertEqual(1, 2)

    def test_broken(self):
        raise ValueError("a broken word")

    def test_skipped(self):
        raise unittest.SkipTest("no words")

    def test_known(self):
        self.assertEqual(1, 2)

    expected(test_known)
"#;

/// What stands for how a kind of tests says that a failure is expected.
const OWN: &str = "OWN";
const TRIALS: &str =
    "from twisted.trial import unittest\ndef expected(test): test.todo = 'known'\n";
const UNITTESTS: &str =
    "import unittest\ndef expected(test): test.__unittest_expecting_failure__ = True\n";

/// Two names that are not used, one that nobody knows, a redefinition.
const MESSY: &str = "\
import os
import sys


def twice():
    return unknown_name


def twice():
    return 1
";

const CLEAN: &str = "\"\"\"Adds.\"\"\"\n\n\ndef add(one, other):\n    \"\"\"Adds two.\"\"\"\n    return one + other\n";

const GOOD_T: &str = "use Test::More tests => 3; ok(1); ok(1); ok(1);\n";
const BAD_T: &str = "use Test::More tests => 4; ok(1); ok(0, 'two'); ok(1); ok(0, 'four');\n";

/// A farm with a recipe, played once on the project; the document of its build.
fn build(files: &[(&str, &str)], steps: &str) -> (Farm, Value) {
    let mut farm = Farm::new(
        "[slave:linux]\npassword = secret\nfactories = tools\nlaunch = local\n\n[tools]\n",
    );
    let project = farm.path("project");
    write(&project, files);
    let recipe = steps
        .replace("TOOLS", &tools().join("bin").to_string_lossy())
        .replace("PROJECT", &project.to_string_lossy());
    write(&farm.master_dir(), &[("factories/tools.toml", &recipe)]);
    farm.start_master();
    let build = farm.force("tools-linux", &[]);
    for step in build["steps"].as_array().expect("steps") {
        // Seen only where the test fails.
        let name = step["name"].as_str().expect("a name").replace(' ', "%20");
        eprintln!("--- {name}:\n{}", farm.log("tools-linux", 0, &name));
    }
    (farm, build)
}

fn step<'a>(build: &'a Value, name: &str) -> &'a Value {
    let steps = build["steps"].as_array().expect("steps");
    let found = steps.iter().find(|it| it["name"] == name);
    found.unwrap_or_else(|| panic!("no step {name}: {build:#}"))
}

/// The text and the result of a step.
fn end(build: &Value, name: &str) -> (Value, i64) {
    let step = step(build, name);
    let result = step["results"][0].as_i64().expect("a result");
    (step["text"].clone(), result)
}

fn extra_log(farm: &Farm, step: &str, log: &str) -> String {
    let path = format!("/builders/tools-linux/builds/0/steps/{step}/logs/{log}/text");
    let (status, body) = farm.get(&path).expect("an answer");
    assert_eq!(status, 200, "{path}: {body}");
    body
}

#[test]
fn trial_tells_how_each_test_of_a_real_project_ended() {
    let files = [
        ("words/__init__.py", ""),
        ("words/test/__init__.py", ""),
        ("words/test/test_words.py", &TEST_WORDS.replace(OWN, TRIALS)),
        (
            "words/test/test_good.py",
            "import unittest\nclass T(unittest.TestCase):\n    def test_a(self): pass\n",
        ),
    ];
    let (farm, build) = build(
        &files,
        r#"
[[steps]]
type = "trial"
workdir = "PROJECT"
testpath = "."
python = ["TOOLS/python", "-W", "always"]
trial = "TOOLS/trial"
tests = "words.test.test_words"

[[steps]]
type = "trial"
name = "good"
workdir = "PROJECT"
testpath = "PROJECT"
trial = "TOOLS/trial"
tests = ["words.test.test_good"]
reactor = "poll"
randomly = true

[[steps]]
type = "trial"
name = "missing"
workdir = "PROJECT"
trial = "TOOLS/trial"
tests = "no.such.words"
"#,
    );
    let expected = json!(["tests", "1 failure", "1 error", "1 skip", "1 todo"]);
    assert_eq!(end(&build, "trial"), (expected, 2));
    let good = json!(["1 test", "passed", "(poll)"]);
    assert_eq!(end(&build, "good"), (good, 0));
    let missing = json!(["tests", "1 error"]);
    assert_eq!(end(&build, "missing"), (missing, 2));
    assert_eq!(build["text"], json!(["failed", "2 tests", "1 test"]));
    let problems = extra_log(&farm, "trial", "problems");
    assert!(problems.starts_with("====="), "{problems}");
    assert!(problems.contains("a broken word"), "{problems}");
    assert!(problems.contains("words.test.test_words.WordsTests.test_bad"));
    let warnings = extra_log(&farm, "trial", "warnings");
    assert!(
        warnings.contains("DeprecationWarning: words are old"),
        "{warnings}"
    );
    let log = extra_log(&farm, "trial", "test.log");
    assert!(log.contains("Log opened"), "{log}");
}

#[test]
fn pyflakes_and_pylint_find_in_real_files_what_is_in_them() {
    let files = [("messy.py", MESSY), ("clean.py", CLEAN)];
    let (farm, build) = build(
        &files,
        r#"
[[steps]]
type = "pyflakes"
workdir = "PROJECT"
command = ["TOOLS/pyflakes", "messy.py"]

[[steps]]
type = "pyflakes"
name = "clean pyflakes"
workdir = "PROJECT"
command = ["TOOLS/pyflakes", "clean.py"]

[[steps]]
type = "pylint"
workdir = "PROJECT"
command = ["TOOLS/pylint", "messy.py"]

[[steps]]
type = "pylint"
name = "parseable"
workdir = "PROJECT"
command = ["TOOLS/pylint", "--output-format=parseable", "messy.py"]

[[steps]]
type = "pylint"
name = "clean pylint"
workdir = "PROJECT"
command = ["TOOLS/pylint", "clean.py"]
"#,
    );
    let found = json!(["pyflakes", "unused=2", "undefined=1", "redefs=1", "failed"]);
    assert_eq!(end(&build, "pyflakes"), (found, 2));
    assert_eq!(end(&build, "clean pyflakes"), (json!(["pyflakes"]), 0));
    let sorted = json!(["pylint", "error=2", "convention=3", "warning=2", "failed"]);
    assert_eq!(end(&build, "pylint"), (sorted.clone(), 2));
    assert_eq!(end(&build, "parseable"), (sorted, 2));
    assert_eq!(end(&build, "clean pylint"), (json!(["pylint"]), 0));
    assert!(extra_log(&farm, "pyflakes", "undefined").contains("unknown_name"));
    assert!(extra_log(&farm, "pylint", "error").contains("E0602"));
    // The last of several that set it.
    assert_eq!(property(&build, "pylint-total"), 0);
}

#[test]
fn sphinx_builds_real_documents_and_its_warnings_are_counted() {
    let files = [
        (
            "docs/conf.py",
            "project = 'words'\nexclude_patterns = ['_build']\n",
        ),
        (
            "docs/index.rst",
            "Words\n=====\n\nSee :ref:`nowhere` and :doc:`missing`.\n",
        ),
        (
            "good/conf.py",
            "project = 'words'\nexclude_patterns = ['_build']\n",
        ),
        ("good/index.rst", "Words\n=====\n"),
        ("bad/conf.py", "raise ValueError('no')\n"),
    ];
    let steps = ["docs", "good", "bad"].map(|name| {
        format!(
            "[[steps]]\ntype = \"sphinx\"\nname = \"{name}\"\nworkdir = \"PROJECT/{name}\"\n\
             sphinx = \"TOOLS/sphinx-build\"\nsphinx_builder = \"html\"\ntags = [\"a\"]\n\
             defines = {{ version = \"1.2\" }}\nmode = \"full\"\nsphinx_builddir = \"_build\"\n"
        )
    });
    let (farm, build) = build(&files, &steps.concat());
    let warned = json!(["sphinx", "2 warnings", "warnings"]);
    assert_eq!(end(&build, "docs"), (warned, 1));
    assert_eq!(step(&build, "docs")["statistics"]["warnings"], 2);
    let log = extra_log(&farm, "docs", "warnings");
    assert_eq!(log.lines().count(), 2, "{log}");
    assert_eq!(end(&build, "good"), (json!(["sphinx", "0 warnings"]), 0));
    let bad = json!(["sphinx", "0 warnings", "failed"]);
    assert_eq!(end(&build, "bad"), (bad, 2));
}

#[test]
fn subunit_streams_of_real_tests_are_counted() {
    let files = [("test_words.py", &*TEST_WORDS.replace(OWN, UNITTESTS))];
    // Version 2 does not tell errors from failures.
    let (farm, build) = build(
        &files,
        r#"
[[steps]]
type = "subunit"
workdir = "PROJECT"
command = "TOOLS/python -m subunit.run test_words | TOOLS/python -W ignore TOOLS/subunit-2to1"
"#,
    );
    let expected = json!(["shell", "Total 6 tests", "2 failures", "1 skip"]);
    assert_eq!(end(&build, "shell"), (expected, 2));
    let problems = extra_log(&farm, "shell", "problems");
    assert!(problems.contains("a broken word"), "{problems}");
}

#[test]
fn real_perl_tests_are_counted() {
    let files = [
        ("good/t/a.t", GOOD_T),
        ("good/lib/Words.pm", "package Words; 1;\n"),
        ("bad/lib/Words.pm", "package Words; 1;\n"),
        ("bad/t/a.t", GOOD_T),
        ("bad/t/b.t", BAD_T),
    ];
    let steps = ["bad", "good"].map(|name| {
        format!("[[steps]]\ntype = \"perl_module_test\"\nname = \"{name}\"\nworkdir = \"PROJECT/{name}\"\n")
    });
    let (_farm, build) = build(&files, &steps.concat());
    let good = json!(["test", "3 tests", "3 passed"]);
    assert_eq!(end(&build, "good"), (good, 0));
    let bad = json!(["test", "7 tests", "5 passed", "2 failed", "failed"]);
    assert_eq!(end(&build, "bad"), (bad, 2));
    let statistics = &step(&build, "bad")["statistics"];
    assert_eq!(statistics["tests-failed"], 2);
}
