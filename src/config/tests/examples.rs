//! The configurations in `config/`: each loads without a problem, and means
//! what its comments say.

use std::fs;
use std::path::Path;

use super::*;
use crate::steps::bench::Bench;

/// What lies beside them: recipes, and the secrets under the name that they have in use.
fn beside(dir: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let copy = |from: &str, to: &str| {
        let path = dir.join(to);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::copy(root.join(from), &path).expect(from);
        let mode = fs::Permissions::from_mode(0o600);
        fs::set_permissions(path, mode).expect("a mode");
    };
    copy("factories/django.toml", "factories/django.toml");
    copy("secrets.example.json", "secrets.json");
    let staff = "ann:{SHA}zMYenyk23AIi9HVOvrfzLh8+0CI=\n";
    fs::write(dir.join("staff.htpasswd"), staff).expect("a file");
}

/// Loads `text` as the master's file `name`, as if it had been copied there.
fn load_as(name: &str, text: &str) -> Result<Plan, String> {
    let dir = tempfile::tempdir().expect("a directory");
    load_in(dir.path(), name, text)
}

fn load_in(dir: &Path, name: &str, text: &str) -> Result<Plan, String> {
    beside(dir);
    let path = dir.join(name);
    fs::write(&path, text).expect("a file");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    load(dir).map_err(|problems| {
        let shown = problems.render(false);
        shown.replace(&dir.display().to_string(), "DIR")
    })
}

fn good(name: &str, text: &str) -> Plan {
    load_as(name, text).unwrap_or_else(|shown| panic!("{shown}"))
}

/// Slaves, builders, schedulers, and what no slave can build.
fn told(plan: &Plan) -> String {
    let mut out = String::new();
    for slave in &plan.slaves {
        let has: Vec<_> = slave
            .has
            .iter()
            .map(|(what, it)| format!("{what}: {}", it.join(" ")))
            .collect();
        out.push_str(&format!(
            "slave {} [{}] {}\n",
            slave.name,
            slave.tags.join(" "),
            has.join(", ")
        ));
    }
    for builder in &plan.builders {
        let slaves: Vec<_> = builder.slaves.iter().map(|it| it.as_str()).collect();
        out.push_str(&format!(
            "{} on {} [{}]\n",
            builder.name,
            slaves.join(" "),
            builder.tags.join(" ")
        ));
    }
    out.push_str(
        &plan
            .left_out
            .iter()
            .map(|it| format!("left out: {it}\n"))
            .collect::<String>(),
    );
    for source in &plan.sources {
        let interval = source.settings.poll_interval().unwrap_or_default();
        out.push_str(&format!("source {} every {interval:?}\n", source.name));
    }
    for it in &plan.schedulers {
        let builders: Vec<_> = it.builders.iter().map(|it| it.as_str()).collect();
        let what = it.settings.describe();
        out.push_str(&format!(
            "scheduler {} {what}: {}\n",
            it.name,
            builders.join(" ")
        ));
    }
    out
}

fn plans(plan: &Plan, builder: &str) -> Vec<StepPlan> {
    let found = plan.builders.iter().find(|it| it.name.as_str() == builder);
    let platform = Platform {
        os: "linux".into(),
        ..Platform::default()
    };
    let steps = found.expect(builder).factory.steps(&platform);
    steps.unwrap_or_else(|error| panic!("{error}"))
}

fn names(plan: &Plan, builder: &str) -> String {
    let names = plans(plan, builder).into_iter().map(|it| it.name);
    names.collect::<Vec<_>>().join(", ")
}

/// What each step of a builder does first, on a slave with `properties`.
fn begun(plan: &Plan, builder: &str, properties: &[(&str, &str)]) -> String {
    let mut all = Properties::new();
    for (name, value) in properties {
        all.set(*name, *value, "BuildSlave");
    }
    let mut out = format!("## {builder}\n");
    for step in plans(plan, builder) {
        let mut bench = Bench::of(&step, all.clone());
        out.push_str(&format!("{}: {}\n", step.name, bench.begin()));
    }
    out
}

/// Each warning in a line.
fn warnings(plan: &Plan) -> String {
    let lines: Vec<_> = plan.warnings.0.iter().map(Problem::line).collect();
    lines.join("\n")
}

const MINIMAL: &str = include_str!("../../../config/minimal.ini");
const HELLO: &str = include_str!("../../../config/hello.toml");
const FARM: &str = include_str!("../../../config/farm.toml");
const DJANGO: &str = include_str!("../../../config/django.ini");

#[test]
fn the_smallest_configuration_has_ten_lines() {
    assert!(MINIMAL.lines().count() <= 10);
    let plan = good("master.ini", MINIMAL);
    assert_eq!(warnings(&plan), "");
    insta::assert_snapshot!(told(&plan), @"
    slave linux-1 [] 
    hello-linux-1 on linux-1 []
    source GitPoller: https://git.savannah.gnu.org/git/hello.git every 60s
    scheduler hello builds when its source was stable for 60 s: hello-linux-1
    ");
    assert_eq!(
        names(&plan, "hello-linux-1"),
        "git, configure, compile, test"
    );
}

#[test]
fn a_project_in_rust_keeps_what_it_compiled() {
    let plan = good("master.ini", include_str!("../../../config/cargo.ini"));
    assert_eq!(warnings(&plan), "");
    let slave = [("workdir", "/slave/x")];
    insta::assert_snapshot!(begun(&plan, "words-nightly-linux-1", &slave), @"
    ## words-nightly-linux-1
    git: hello/build: git --version
    compile: hello/build: cargo +nightly build --workspace
    clippy: hello/build: cargo +nightly clippy --all-targets --workspace
    test: hello/build: cargo +nightly test --workspace --no-fail-fast
    ");
    assert_eq!(
        names(&plan, "words-linux-1"),
        "git, fmt, compile, clippy, test"
    );
    let env = |builder: &str| {
        let found = plan.builders.iter().find(|it| it.name.as_str() == builder);
        let env = found.expect(builder).env.iter();
        let all = env.map(|(name, it)| format!("{name}={}", it.as_ref().expect("set")));
        all.collect::<Vec<_>>()
    };
    let expected = [
        "CARGO_HOME=%(workdir)s/cache/cargo",
        "CARGO_TARGET_DIR=%(workdir)s/cache/target",
    ];
    assert_eq!(env("words-linux-1"), expected);
    let without = "[:master:]\nderive = no\n[slave:s]\npassword = x\nfactories = words\n\
                   [words]\ntype = cargo\ngit = /srv/x\ncache = no\n";
    let plan = good("master.ini", without);
    assert!(plan.builders[0].env.is_empty());
}

#[test]
fn steps_may_stand_in_the_file_itself() {
    let plan = good("master.toml", HELLO);
    assert_eq!(warnings(&plan), "");
    insta::assert_snapshot!(told(&plan), @"
    slave linux-1 [] 
    hello-linux-1 on linux-1 []
    source GitPoller: https://git.savannah.gnu.org/git/hello.git every 60s
    scheduler hello builds when its source was stable for 60 s: hello-linux-1
    ");
    assert_eq!(
        names(&plan, "hello-linux-1"),
        "git, bootstrap, configure, compile, test, pack"
    );
}

#[test]
fn a_farm_has_templates_a_matrix_locks_and_tests() {
    let plan = good("master.toml", FARM);
    insta::assert_snapshot!(warnings(&plan), @"
    master.toml:174:9: [status.mail] tells nothing about builds
    master.toml:181:8: [status.chat] tells nothing about builds
    ");
    insta::assert_snapshot!(told(&plan), @"
    slave linux-1 [linux] compiler: gcc
    slave linux-2 [linux big] compiler: gcc clang
    slave linux-3 [linux] compiler: gcc clang
    slave mac-1 [] compiler: clang
    words-gcc-plain on linux-1 linux-2 linux-3 [words plain]
    words-clang-plain on linux-2 linux-3 mac-1 [words plain]
    words-clang-sanitized on linux-2 linux-3 mac-1 [words sanitized]
    words-packages on linux-1 linux-2 linux-3 [packages]
    site on linux-2 mac-1 [site]
    source words every 300s
    source site every 300s
    scheduler words builds when its source was stable for 120 s: words-gcc-plain words-clang-plain words-clang-sanitized
    scheduler site builds when its source was stable for 60 s: site
    scheduler packages builds what all builds of `words` went well with: words-packages
    scheduler publish builds when a trigger step asks for it: site
    scheduler night builds at minute = 30, hour = 3: words-gcc-plain words-clang-plain words-packages
    ");
    assert_eq!(names(&plan, "words-packages"), "git, pack, publish");
}

#[test]
fn django_has_the_ten_builders_that_its_slaves_can_build() {
    // The secrets are read where they are used, so their file must still be there.
    let dir = tempfile::tempdir().expect("a directory");
    let plan = load_in(dir.path(), "master.ini", DJANGO);
    let plan = plan.unwrap_or_else(|shown| panic!("{shown}"));
    insta::assert_snapshot!(warnings(&plan), @"
    master.ini:104:2: [status:irc] tells nothing about builds
    ");
    insta::assert_snapshot!(told(&plan), @"
    slave bs1 [] database: sqlite3, python: 2.4 2.5 2.6, system: ubuntu-9.10
    slave bs2 [] database: postgresql8.4.5, python: 2.6, system: ubuntu-10.04
    slave bs3 [] database: mysql5.1.41, python: 2.6, system: ubuntu-10.04
    trunk-python2.4-sqlite3.X on bs1 [trunk]
    trunk-python2.5-sqlite3.X on bs1 [trunk]
    trunk-python2.6-sqlite3.X on bs1 [trunk]
    trunk-python2.6-postgresql8.4 on bs2 [trunk]
    trunk-python2.6-mysql5.1 on bs3 [trunk]
    1.2.X-python2.4-sqlite3.X on bs1 [1.2.X]
    1.2.X-python2.5-sqlite3.X on bs1 [1.2.X]
    1.2.X-python2.6-sqlite3.X on bs1 [1.2.X]
    1.2.X-python2.6-postgresql8.4 on bs2 [1.2.X]
    1.2.X-python2.6-mysql5.1 on bs3 [1.2.X]
    left out: trunk-python2.4-postgresql8.4: no slave can build branch = trunk, python = 2.4, database = postgresql8.4
    left out: trunk-python2.4-mysql5.1: no slave can build branch = trunk, python = 2.4, database = mysql5.1
    left out: trunk-python2.5-postgresql8.4: no slave can build branch = trunk, python = 2.5, database = postgresql8.4
    left out: trunk-python2.5-mysql5.1: no slave can build branch = trunk, python = 2.5, database = mysql5.1
    left out: 1.2.X-python2.4-postgresql8.4: no slave can build branch = 1.2.X, python = 2.4, database = postgresql8.4
    left out: 1.2.X-python2.4-mysql5.1: no slave can build branch = 1.2.X, python = 2.4, database = mysql5.1
    left out: 1.2.X-python2.5-postgresql8.4: no slave can build branch = 1.2.X, python = 2.5, database = postgresql8.4
    left out: 1.2.X-python2.5-mysql5.1: no slave can build branch = 1.2.X, python = 2.5, database = mysql5.1
    source django every 300s
    scheduler trunk builds when its source was stable for 10 s: trunk-python2.4-sqlite3.X trunk-python2.5-sqlite3.X trunk-python2.6-sqlite3.X trunk-python2.6-postgresql8.4 trunk-python2.6-mysql5.1
    scheduler 1.2.X builds when its source was stable for 10 s: 1.2.X-python2.4-sqlite3.X 1.2.X-python2.5-sqlite3.X 1.2.X-python2.6-sqlite3.X 1.2.X-python2.6-postgresql8.4 1.2.X-python2.6-mysql5.1
    ");
    let passwords: Vec<_> = plan
        .slaves
        .iter()
        .map(|it| it.password.reveal(&plan.secrets).expect("a secret"))
        .collect();
    let others = "the password of all other slaves";
    assert_eq!(passwords, ["the password of bs1", others, others]);
    let properties = |slave: &SlavePlan| {
        let all = slave.properties.iter();
        let all: Vec<_> = all
            .map(|(name, it)| format!("{name} = {}", it.value))
            .collect();
        all.join(", ")
    };
    assert_eq!(
        properties(&plan.slaves[0]),
        "python2.4 = \"python2.4\", python2.5 = \"python2.5\", python2.6 = \"python2.6\""
    );
    for builder in &plan.builders {
        assert_eq!(
            names(&plan, builder.name.as_str()),
            "svn checkout, virtualenv download, virtualenv setup, generate settings, test"
        );
    }
}

#[test]
fn each_database_of_django_has_its_driver_and_its_settings() {
    let plan = good("master.ini", DJANGO);
    let properties = [
        ("python2.6", "python2.6"),
        ("python2.4", "/opt/bin/python2.4"),
        ("workdir", "/slave/x"),
    ];
    let all: String = [
        "1.2.X-python2.4-sqlite3.X",
        "trunk-python2.6-postgresql8.4",
        "trunk-python2.6-mysql5.1",
    ]
    .iter()
    .map(|it| begun(&plan, it, &properties))
    .collect();
    insta::assert_snapshot!(all, @"
    ## 1.2.X-python2.4-sqlite3.X
    svn checkout: hello/build: svn --version --quiet
    virtualenv download: send virtualenv.py to hello/build/virtualenv.py from 0
    virtualenv setup: sh hello/build: set -e
    venv=../venv-python2.4-sqlite3.X
    test -x $venv/bin/python || /opt/bin/python2.4 virtualenv.py --distribute --no-site-packages $venv
    PATH=$PWD/$venv/bin:$PATH
    python -c 'import sqlite3' || python -c 'import pysqlite2' || pip install pysqlite

    generate settings: write hello/build/testsettings.py: import os
    DATABASES = {
        'default': {
            'ENGINE': 'django.db.backends.sqlite3',
        },
        'other': {
            'ENGINE': 'django.db.backends.sqlite3',
            'TEST_NAME': 'other_db_%s' % os.getpid(),
        },
    }

    test: hello/build: ../venv-python2.4-sqlite3.X/bin/python tests/runtests.py --settings=testsettings --verbosity=1
    ## trunk-python2.6-postgresql8.4
    svn checkout: hello/build: svn --version --quiet
    virtualenv download: send virtualenv.py to hello/build/virtualenv.py from 0
    virtualenv setup: sh hello/build: set -e
    venv=../venv-python2.6-postgresql8.4
    test -x $venv/bin/python || python2.6 virtualenv.py --distribute --no-site-packages $venv
    PATH=$PWD/$venv/bin:$PATH
    python -c 'import psycopg2' || pip install psycopg2==2.2.2

    generate settings: write hello/build/testsettings.py: import os
    DATABASES = {
        'default': {
            'ENGINE': 'django.db.backends.postgresql_psycopg2',
            'NAME': 'django_buildslave',
            'USER': 'django_buildslave',
            'PASSWORD': 'django_buildslave',
            'HOST': 'localhost',
            'TEST_NAME': 'django_buildslave_%s' % os.getpid(),
        },
        'other': {
            'ENGINE': 'django.db.backends.sqlite3',
            'TEST_NAME': 'other_db_%s' % os.getpid(),
        },
    }

    test: hello/build: ../venv-python2.6-postgresql8.4/bin/python tests/runtests.py --settings=testsettings --verbosity=1
    ## trunk-python2.6-mysql5.1
    svn checkout: hello/build: svn --version --quiet
    virtualenv download: send virtualenv.py to hello/build/virtualenv.py from 0
    virtualenv setup: sh hello/build: set -e
    venv=../venv-python2.6-mysql5.1
    test -x $venv/bin/python || python2.6 virtualenv.py --distribute --no-site-packages $venv
    PATH=$PWD/$venv/bin:$PATH
    python -c 'import MySQLdb' || pip install MySQL-python==1.2.3

    generate settings: write hello/build/testsettings.py: import os
    DATABASES = {
        'default': {
            'ENGINE': 'django.db.backends.mysql',
            'NAME': 'djbuildslave',
            'USER': 'djbuildslave',
            'PASSWORD': 'djbuildslave',
            'HOST': 'localhost',
            'TEST_NAME': 'dj%s' % os.getpid(),
        },
        'other': {
            'ENGINE': 'django.db.backends.sqlite3',
            'TEST_NAME': 'other_db_%s' % os.getpid(),
        },
    }

    test: hello/build: ../venv-python2.6-mysql5.1/bin/python tests/runtests.py --settings=testsettings --verbosity=1
    ");
}

/// The vector of the original: a Python with a database that the slave has, but not together.
#[test]
fn what_a_slave_skips_is_left_out() {
    let (before, rest) = DJANGO.split_once("[slave:bs1]").expect("the first slave");
    let (_, behind) = rest.split_once("# A combination").expect("the matrix");
    let (behind, _) = behind.split_once("[test:").expect("the tests");
    let slave = "[slave:bs1]\nextends = _base\npassword = p\nhas.python = 2.6 2.7\nhas.database = sqlite3 postgresql8.4.1\nhas.skip-2.7 = postgresql8.4.1\nproperty.python2.6 = python2.6\nproperty.python2.7 = /opt/python2.7/bin/python\n";
    let text = format!("{before}{slave}# A combination{behind}");
    let text = text
        .replace("= 2.4 2.5 2.6", "= 2.6 2.7")
        .replace("= trunk 1.2.X", "= trunk");
    let text = text.replace(
        "[scheduler:1.2.X]\nbranch = 1.2.X",
        "[scheduler:1.2.X]\nbranch = none",
    );
    let text = text.replace("tags = 1.2.X", "tags = trunk");
    let plan = good("master.ini", &text);
    let names: Vec<_> = plan.builders.iter().map(|it| it.name.as_str()).collect();
    let expected = [
        "trunk-python2.6-sqlite3.X",
        "trunk-python2.6-postgresql8.4",
        "trunk-python2.7-sqlite3.X",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_database_without_settings_is_told_with_the_line_that_wants_them() {
    let text = DJANGO
        .replace("postgresql8.4", "oracle11.2")
        .replace("= postgresql", "= oracle");
    let shown = load_as("master.ini", &text).expect_err("no settings");
    let errors: Vec<_> = shown
        .split("\n\n")
        .filter(|it| it.starts_with("error"))
        .collect();
    let shown = errors.join("\n\n");
    insta::assert_snapshot!(shown, @"
    error[bad-expression]: bad `{{ … }}` in a text
      --> DIR/factories/django.toml:54:3
       |
    54 | {{ {'sqlite': sqlite_driver, 'postgresql': postgresql_driver, 'mysql': mysql_driver}[database | reduced(0)] }}
       |   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this has no value

    error[bad-expression]: bad `{{ … }}` in a text
      --> DIR/factories/django.toml:65:11
       |
    65 |         {{ {'sqlite': sqlite_settings, 'postgresql': postgresql_settings, 'mysql': mysql_settings}[database | reduced(0)] }}
       |           ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ this has no value
    ");
}

#[test]
fn machines_may_be_started_in_every_way() {
    let text = include_str!("../../../config/elastic.ini");
    let plan = good("master.ini", text);
    let mut told = String::new();
    for slave in &plan.slaves {
        let way = match &slave.launch {
            Launch::None => "dials in".to_owned(),
            Launch::Local { .. } => "is a child".to_owned(),
            Launch::Command(_) => "by commands".to_owned(),
            Launch::Ssh(it) => format!("on {} as {:?} in {}", it.host, it.user, it.basedir),
        };
        let on_demand = slave.on_demand.map(|it| it.build_wait_timeout);
        let missing = slave.missing_timeout;
        told.push_str(&format!(
            "{}: {way}, {on_demand:?}, {missing:?}\n",
            slave.name
        ));
    }
    insta::assert_snapshot!(told, @r#"
    here: is a child, None, Some(1200s)
    attic: on attic.example.org as Some("ci") in autobot-attic, Some(Some(3600s)), Some(1200s)
    rented-1: by commands, Some(Some(600s)), Some(900s)
    rented-2: by commands, Some(Some(0ns)), Some(900s)
    "#);
}
