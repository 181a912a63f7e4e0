//! The factories for today's projects, each with its real tools on a small project: what
//! passes, fails and is warned of is known, and so is what has to be told of it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::farm::{Farm, commit, git_init};

/// A project in a repository, and the farm that builds it as `it-linux`.
struct Project {
    farm: Farm,
    repo: tempfile::TempDir,
    builds: i64,
}

impl Project {
    fn new(factory: &str, keys: &str, files: &[(&str, &str)]) -> Self {
        let repo = tempfile::tempdir().expect("a directory");
        write(repo.path(), files);
        git_init(repo.path(), "main");
        let mut farm = Farm::new(&format!(
            "derive = no\n[slave:linux]\npassword = secret\nfactories = it\n\n\
             [it]\ntype = {factory}\ngit = {}#main\nmode = full\nmethod = clobber\n{keys}\n",
            repo.path().display()
        ));
        farm.start_master();
        farm.start_slave("linux");
        Self {
            farm,
            repo,
            builds: 0,
        }
    }

    /// Builds, and tells in a line for each step behind the checkout how it ended.
    fn build(&mut self) -> String {
        let build = self.farm.force("it-linux", &[]);
        self.builds += 1;
        let steps = build["steps"].as_array().expect("steps");
        let mut told = format!("{}\n", words(&build["text"]));
        for step in &steps[1..] {
            let name = step["name"].as_str().expect("a name");
            let line = format!("{name}: {}", words(&step["text"]));
            told.push_str(line.trim_end());
            if let Some(warnings) = step["statistics"]["warnings"].as_i64().filter(|it| *it > 0) {
                write!(told, " ({warnings} warned of)").expect("a String takes every text");
            }
            told.push('\n');
        }
        told
    }

    /// The number of a statistic of a step of the last build.
    fn statistic(&mut self, step: &str, name: &str) -> Value {
        let build = self.farm.build("it-linux", self.builds - 1);
        let steps = build["steps"].as_array().expect("steps");
        let found = steps.iter().find(|it| it["name"] == step).expect("a step");
        found["statistics"][name].clone()
    }

    fn change(&self, files: &[(&str, &str)]) {
        write(self.repo.path(), files);
        commit(self.repo.path(), "change");
    }

    /// What builds keep beside the tree.
    fn cache(&self, name: &str) -> PathBuf {
        self.farm.path("linux/it-linux/cache").join(name)
    }
}

fn words(text: &Value) -> String {
    let words = text.as_array().expect("a list").iter();
    let words: Vec<_> = words.filter_map(Value::as_str).collect();
    words.join(" ")
}

fn write(dir: &Path, files: &[(&str, &str)]) {
    for (name, content) in files {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, content).expect("written");
    }
}

/// A virtual environment with pytest and tox; `scripts/test.sh` makes it and says where it is.
fn tools() -> PathBuf {
    let dir = std::env::var_os("AUTOBOT_TEST_TOOLS").map(PathBuf::from);
    let dir = dir.or_else(|| {
        let cache = PathBuf::from(std::env::var_os("HOME")?).join(".cache/autobot-test/tools");
        cache.exists().then_some(cache)
    });
    dir.expect("AUTOBOT_TEST_TOOLS names an environment of Python tools: run scripts/test.sh once")
}

const CARGO_TOML: &str = "[package]\nname = \"hello\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";

#[test]
fn cargo_builds_looks_and_tests() {
    // The sample has a test that its author has switched off: that one is counted as skipped.
    let good = "pub fn twice(n: i32) -> i32 {\n    let unused = 1;\n    return n * 2;\n}\n\n\
        #[cfg(test)]\nmod tests {\n    #[test]\n    fn good() {\n        assert_eq!(super::twice(2), 4);\n    }\n\n    \
        #[test]\n    #[ignore]\n    fn later() {}\n}\n";
    let files = [("Cargo.toml", CARGO_TOML), ("src/lib.rs", good)];
    let mut project = Project::new("cargo", "clippy = yes\nfmt = yes\n", &files);
    insta::assert_snapshot!(project.build(), @"
    build successful
    fmt: cargo fmt
    compile: compile warnings (1 warned of)
    clippy: clippy warnings (2 warned of)
    test: test 2 tests 1 passed 1 warning 1 skipped warnings (1 warned of)
    ");
    let warnings = "/builders/it-linux/builds/0/steps/clippy/logs/warnings%20(2)/text";
    let log = project.farm.get(warnings).expect("a log").1;
    assert!(
        log.contains("src/lib.rs:2:9: warning: unused variable"),
        "{log}"
    );
    assert_eq!(project.statistic("test", "tests-skipped"), 1);
    assert!(project.cache("target/debug").is_dir());
    assert!(project.cache("cargo").is_dir());

    let bad = good.replace("super::twice(2), 4", "super::twice(2), 5");
    project.change(&[("src/lib.rs", &bad)]);
    insta::assert_snapshot!(project.build(), @"
    failed test
    fmt: cargo fmt
    compile: compile warnings (1 warned of)
    clippy: clippy warnings (2 warned of)
    test: test 2 tests 1 warning 1 failed 1 skipped failed (1 warned of)
    ");
    project.change(&[("src/lib.rs", "pub fn twice( -> i32 {")]);
    insta::assert_snapshot!(project.build(), @"
    failed fmt compile
    fmt: cargo fmt failed
    compile: compile failed
    clippy:
    test:
    ");
}

#[test]
fn go_builds_vets_and_tests() {
    let test = "package hello\n\nimport \"testing\"\n\nfunc TestTwice(t *testing.T) {\n\tif Twice(2) != 4 {\n\t\tt.Error(\"no\")\n\t}\n}\n\
        func TestLater(t *testing.T) { t.Skip(\"later\") }\n";
    let files = [
        ("go.mod", "module example.org/hello\n\ngo 1.19\n"),
        (
            "hello.go",
            "package hello\n\nfunc Twice(n int) int { return n * 2 }\n",
        ),
        ("hello_test.go", test),
    ];
    let mut project = Project::new("go", "", &files);
    insta::assert_snapshot!(project.build(), @"
    build successful
    compile: compile
    vet: go vet
    test: test 2 tests 1 passed 1 skipped
    ");
    assert!(project.cache("go-build").is_dir());

    let bad = test.replace("Twice(2) != 4", "Twice(2) != 5");
    project.change(&[("hello_test.go", &bad)]);
    insta::assert_snapshot!(project.build(), @"
    failed test
    compile: compile
    vet: go vet
    test: test 2 tests 1 failed 1 skipped failed
    ");
}

const HELLO_C: &str = "int main(int argc, char **argv) {\n    int unused;\n    (void)argv;\n    return argc - 1;\n}\n";

#[test]
fn cmake_configures_compiles_and_tests() {
    let lists = "cmake_minimum_required(VERSION 3.10)\nproject(hello C)\nadd_compile_options(-Wall)\n\
        add_executable(hello hello.c)\nenable_testing()\nadd_test(NAME good COMMAND hello)\n\
        add_test(NAME later COMMAND sh -c \"exit 77\")\n\
        set_tests_properties(later PROPERTIES SKIP_RETURN_CODE 77)\n";
    let files = [("CMakeLists.txt", lists), ("hello.c", HELLO_C)];
    let mut project = Project::new("cmake", "generator = Ninja\n", &files);
    insta::assert_snapshot!(project.build(), @"
    build successful
    configure: configure
    compile: compile warnings (1 warned of)
    test: test 2 tests 1 passed 1 skipped
    ");
    assert!(project.cache("build/hello").is_file());

    let bad = format!("{lists}add_test(NAME bad COMMAND hello 1)\n");
    project.change(&[("CMakeLists.txt", &bad)]);
    insta::assert_snapshot!(project.build(), @"
    failed test
    configure: configure
    compile: compile warnings (1 warned of)
    test: test 3 tests 1 passed 1 failed 1 skipped failed
    ");
}

#[test]
fn meson_sets_up_compiles_and_tests() {
    let build = "project('hello', 'c', default_options: ['warning_level=2'])\n\
        exe = executable('hello', 'hello.c')\ntest('good', exe)\n\
        test('later', find_program('sh'), args: ['-c', 'exit 77'])\n";
    let files = [("meson.build", build), ("hello.c", HELLO_C)];
    let mut project = Project::new("meson", "", &files);
    insta::assert_snapshot!(project.build(), @"
    build successful
    configure: configure
    compile: compile warnings (1 warned of)
    test: test 2 tests 1 passed 1 skipped
    ");
    assert!(project.cache("build/hello").is_file());

    // What is kept is set up again.
    let bad = format!("{build}test('bad', exe, args: ['1'])\n");
    project.change(&[("meson.build", &bad)]);
    insta::assert_snapshot!(project.build(), @"
    failed test
    configure: configure
    compile: compile warnings (1 warned of)
    test: test 3 tests 1 passed 1 failed 1 skipped failed
    ");
}

#[test]
fn npm_installs_lints_builds_and_tests() {
    let package = r#"{"name": "hello", "version": "1.0.0", "private": true, "scripts": {
        "lint": "printf '\n/src/hello.js\n  3:5  warning  x is unused  no-unused-vars\n\n'",
        "build": "echo built > built.txt",
        "test": "node --test"}}"#;
    let lock = r#"{"name": "hello", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {"": {"name": "hello", "version": "1.0.0"}}}"#;
    let test = "const test = require('node:test');\nconst assert = require('node:assert');\n\
        test('good', () => assert.equal(1, 1));\ntest.skip('later', () => {});\n";
    let files = [
        ("package.json", package),
        ("package-lock.json", lock),
        ("hello.test.js", test),
    ];
    let mut project = Project::new("npm", "lint = yes\n", &files);
    insta::assert_snapshot!(project.build(), @"
    build successful
    install: npm install
    lint: lint warnings (1 warned of)
    compile: compile
    test: test 2 tests 1 passed 1 skipped
    ");
    assert!(project.cache("npm").is_dir());

    let bad = test.replace("equal(1, 1)", "equal(1, 2)");
    project.change(&[("hello.test.js", &bad)]);
    insta::assert_snapshot!(project.build(), @"
    failed test
    install: npm install
    lint: lint warnings (1 warned of)
    compile: compile
    test: test 2 tests 1 failed 1 skipped failed
    ");
}

const TEST_HELLO: &str = "import warnings\nimport pytest\n\n\
    def test_good():\n    warnings.warn('old', DeprecationWarning)\n\n\
    @pytest.mark.skip\ndef test_later():\n    pass\n\n\
    @pytest.mark.xfail\ndef test_known():\n    assert 0\n";

#[test]
fn pytest_runs_in_an_environment_that_is_kept() {
    // The packages are those of the tools: nothing has to be fetched.
    let bin = tools().join("bin/python");
    let site = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let site = crate::farm::sh(Path::new("/"), &bin.to_string_lossy(), &["-c", site]);
    let keys = format!(
        "python = {}\npackages =\nenv.PYTHONPATH = {site}\n",
        bin.display()
    );
    let mut project = Project::new("pytest", &keys, &[("test_hello.py", TEST_HELLO)]);
    insta::assert_snapshot!(project.build(), @"
    build successful
    venv: environment
    install: pip install
    test: test 3 tests 2 passed 1 warning 1 skipped warnings (1 warned of)
    ");
    let python = project.cache("venv/bin/python");
    let made = fs::symlink_metadata(&python)
        .and_then(|it| it.modified())
        .expect("it is kept");

    let bad = format!("{TEST_HELLO}\ndef test_bad():\n    assert 1 == 2\n");
    project.change(&[("test_hello.py", &bad)]);
    insta::assert_snapshot!(project.build(), @"
    failed test
    venv: environment
    install: pip install
    test: test 4 tests 2 passed 1 warning 1 failed 1 skipped failed (1 warned of)
    ");
    let kept = fs::symlink_metadata(&python)
        .and_then(|it| it.modified())
        .expect("it is kept");
    assert_eq!(made, kept);
}

#[test]
fn tox_tells_of_the_tests_of_all_its_environments() {
    let ini = "[tox]\nenvlist = one,two\nskipsdist = true\n\n[testenv]\nskip_install = true\n\
        commands = python -m unittest\n";
    let test = "import unittest\n\nclass Hello(unittest.TestCase):\n    def test_good(self):\n        pass\n\n    \
        @unittest.skip('later')\n    def test_later(self):\n        pass\n";
    let files = [("tox.ini", ini), ("test_hello.py", test)];
    let keys = format!("tox = {}\n", tools().join("bin/tox").display());
    let mut project = Project::new("tox", &keys, &files);
    insta::assert_snapshot!(project.build(), @"
    build successful
    test: test 4 tests 2 passed 2 skipped
    ");
    assert!(project.cache("tox/one").is_dir());

    let bad = format!("{test}\n    def test_bad(self):\n        self.fail()\n");
    project.change(&[("test_hello.py", &bad)]);
    insta::assert_snapshot!(project.build(), @"
    failed test
    test: test 6 tests 2 passed 2 failed 2 skipped failed
    ");
}

const HELLO_JAVA: &str = "public class Hello {\n    static int twice(int n) { return n * 2; }\n    \
    static Object old() { return new java.util.Date(1, 1, 1); }\n}\n";

const HELLO_TEST: &str = "import static org.junit.Assert.*;\nimport org.junit.*;\n\
    public class HelloTest {\n    @Test public void good() { assertEquals(4, Hello.twice(2)); }\n    \
    @Ignore @Test public void later() {}\n}\n";

/// A Java that starts quickly is all that these tests need.
const QUICK: &str = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto";

#[test]
fn maven_compiles_and_tests() {
    let plugin = |name: &str, version: &str, more: &str| {
        format!(
            "<plugin><artifactId>maven-{name}-plugin</artifactId><version>{version}</version>{more}</plugin>"
        )
    };
    let lint = "<configuration><showWarnings>true</showWarnings><compilerArgs><arg>-Xlint:deprecation</arg></compilerArgs></configuration>";
    // The versions that the system brings along.
    let pom = format!(
        "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n<modelVersion>4.0.0</modelVersion>\n\
         <groupId>org.example</groupId><artifactId>hello</artifactId><version>1</version>\n\
         <properties><maven.compiler.source>17</maven.compiler.source><maven.compiler.target>17</maven.compiler.target>\n\
         <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>\n\
         <dependencies><dependency><groupId>junit</groupId><artifactId>junit</artifactId>\
         <version>4.x</version><scope>test</scope></dependency></dependencies>\n\
         <build><plugins>{}{}{}</plugins></build></project>\n",
        plugin("compiler", "3.10.1", lint),
        plugin("resources", "3.3.0", ""),
        plugin("surefire", "2.22.3", ""),
    );
    let files = [
        ("pom.xml", pom.as_str()),
        ("src/main/java/Hello.java", HELLO_JAVA),
        ("src/test/java/HelloTest.java", HELLO_TEST),
    ];
    // Nothing has to be fetched.
    let keys = format!(
        "cache = no\ngoals = test\nargs = --offline -Dmaven.repo.local=/usr/share/maven-repo\nenv.MAVEN_OPTS = {QUICK}\n"
    );
    let mut project = Project::new("maven", &keys, &files);
    insta::assert_snapshot!(project.build(), @"
    build successful
    compile: compile warnings (1 warned of)
    test: test 2 tests 1 passed 1 skipped
    ");

    let bad = HELLO_TEST.replace("assertEquals(4,", "assertEquals(5,");
    project.change(&[("src/test/java/HelloTest.java", &bad)]);
    insta::assert_snapshot!(project.build(), @"
    failed test
    compile: compile warnings (1 warned of)
    test: test 2 tests 1 failed 1 skipped failed
    ");
}

#[test]
fn gradle_compiles_tests_and_leaves_reports() {
    // Gradle as Debian has it is of 2017, so its file is of that time.
    let build = "apply plugin: 'java'\nrepositories { flatDir { dirs '/usr/share/java' } }\n\
        dependencies {\n    testCompile name: 'junit4'\n    testCompile name: 'hamcrest-core'\n}\n\
        compileJava.options.compilerArgs << '-Xlint:deprecation'\n";
    let files = [
        ("build.gradle", build),
        ("settings.gradle", ""),
        ("src/main/java/Hello.java", HELLO_JAVA),
        ("src/test/java/HelloTest.java", HELLO_TEST),
    ];
    let keys = format!("args = --offline\nenv.GRADLE_OPTS = {QUICK}\n");
    let mut project = Project::new("gradle", &keys, &files);
    insta::assert_snapshot!(project.build(), @"
    build successful
    compile: compile warnings (1 warned of)
    test: test
    junit: 2 tests 1 passed 1 skipped
    ");
    assert!(project.cache("gradle").is_dir());

    let bad = HELLO_TEST.replace("assertEquals(4,", "assertEquals(5,");
    project.change(&[("src/test/java/HelloTest.java", &bad)]);
    insta::assert_snapshot!(project.build(), @"
    failed test junit
    compile: compile warnings (1 warned of)
    test: test failed
    junit: 2 tests 1 failed 1 skipped failed
    ");
}
