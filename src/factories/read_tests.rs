//! Sections and recipes as they are read, and what is said of mistakes in them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;
use crate::model::Platform;
use crate::model::Properties;
use crate::model::SourceStamp;
use crate::model::Text;
use crate::steps::bench::Bench;
use crate::steps::bench::run_program;
use crate::syntax::Source;
use crate::syntax::ini;

/// Reads the first section of `text`, with recipes in `dir`.
pub(in super::super) fn read_in(dir: &Path, text: &str) -> (Option<Arc<dyn Factory>>, String) {
    let source = Source::new("master.ini", "/base", text);
    let mut problems = Problems::default();
    let tree = ini::read(&source, &mut problems);
    let library = Library::new(vec![dir.to_owned()]);
    let reading = library.read(&tree.sections[0], &Fillings::default(), &mut problems);
    let title = format!("[{}]", tree.sections[0].name);
    // These are the builder's.
    let of_builder = |it: &&Entry| matches!(it.key.as_str(), "env" | "use_progress");
    for entry in reading.left.iter().filter(|it| !of_builder(it)) {
        let what = format!("unknown key `{}` in {title}", entry.key);
        let known = reading.asked.list().into_iter().map(|it| it.name);
        let problem = Problem::error(Code::UnknownKey, what).at(&entry.key_place);
        problems.note(problem.did_you_mean(&entry.key, known));
    }
    let factory = reading.factory;
    problems.sort();
    let shown = problems
        .render(false)
        .replace(&dir.display().to_string(), "factories");
    (factory, shown)
}

pub(in super::super) fn linux() -> Platform {
    Platform {
        os: "linux".into(),
        ..Platform::default()
    }
}

/// The steps of the first section of `text`: names, flags and bodies.
fn steps(dir: &Path, text: &str) -> Vec<(String, String)> {
    let (factory, problems) = read_in(dir, text);
    assert_eq!(problems, "", "{text}");
    let steps = factory.expect(text).steps(&linux()).expect(text);
    steps
        .into_iter()
        .map(|it| (it.name, format!("{:?}", it.body)))
        .collect()
}

fn names(dir: &Path, text: &str) -> Vec<String> {
    steps(dir, text).into_iter().map(|(name, _)| name).collect()
}

const NOWHERE: &str = "/nonexistent";

#[test]
fn every_example_of_the_table_reads_and_names_are_unique() {
    let mut seen = BTreeSet::new();
    for kind in KINDS {
        assert!(seen.insert(kind.name), "`{}` stands twice", kind.name);
        let text = format!("[x]\ntype = {}\n{}\n", kind.name, kind.example);
        assert!(!names(Path::new(NOWHERE), &text).is_empty());
    }
}

#[test]
fn every_recipe_in_the_binary_reads_and_is_listed() {
    for name in ["autobot", "hello", "toolbox"] {
        assert!(!names(Path::new(NOWHERE), &format!("[{name}]\n")).is_empty());
    }
    let known = Library::new(Vec::new()).known();
    let listed: Vec<_> = known.iter().map(|it| it.name.as_str()).collect();
    let expected = [
        "autobot",
        "basic_build_factory",
        "basic_svn",
        "cargo",
        "cmake",
        "cpan",
        "distutils",
        "gnu_autoconf",
        "go",
        "gradle",
        "hello",
        "maven",
        "meson",
        "npm",
        "pytest",
        "python_source",
        "quick_build_factory",
        "shell",
        "source",
        "toolbox",
        "tox",
        "trial",
        "virtualenv",
    ];
    assert_eq!(listed, expected);
    assert!(known.iter().all(|it| !it.summary.is_empty()));
    let projects = known.iter().filter(|it| it.is_project());
    let projects: Vec<_> = projects.map(|it| it.name.as_str()).collect();
    assert_eq!(projects, ["autobot", "hello", "toolbox"]);
    let helpless = known.iter().filter(|it| it.is_recipe);
    let helpless = helpless.flat_map(|it| it.params.iter().filter(|it| it.help.is_empty()));
    assert_eq!(helpless.count(), 0);
    for it in known.iter().filter(|it| it.is_recipe) {
        names(
            Path::new(NOWHERE),
            &format!("[{}]\n{}\n", it.name, it.example),
        );
    }
}

#[test]
fn commands_become_steps_that_halt() {
    let text = "[hello]\ntype = shell\ngit = /srv/hello#main\ncommands =\n    ./configure\n\n    make -j2\n";
    let (factory, problems) = read_in(Path::new(NOWHERE), text);
    assert_eq!(problems, "");
    let factory = factory.expect("a factory");
    assert_eq!(factory.sources()[0].branch.as_deref(), Some("main"));
    let steps = factory.steps(&linux()).expect("steps");
    let told: Vec<_> = steps
        .iter()
        .map(|it| (it.name.as_str(), it.flags.halt_on_failure))
        .collect();
    assert_eq!(told, [("git", true), ("shell", true), ("shell_1", true)]);
}

#[test]
fn several_repositories_lie_side_by_side() {
    let text = "[x]\ntype = source\ngit = /srv/a.git /srv/b\nhg = /srv/c#stable\n";
    let steps = steps(Path::new(NOWHERE), text);
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["hg", "git", "git_1"]);
    for ((_, body), dir) in steps.iter().zip(["build/c", "build/a", "build/b"]) {
        assert!(body.contains(dir), "{body}");
    }
    assert!(steps[0].1.contains("is_first: true"));
    assert!(steps[1].1.contains("is_first: false"));
}

#[test]
fn branches_of_subversion_are_one_tree_with_a_url_each() {
    let text = "[x]\ntype = python_source\nsvn.1.2.X = http://x/svn/releases/1.2.X\nsvn.trunk = http://x/svn/trunk/\n";
    let (factory, problems) = read_in(Path::new(NOWHERE), text);
    assert_eq!(problems, "");
    let factory = factory.expect("a factory");
    let told = |it: &super::super::Repository| {
        format!("{}#{}", it.url, it.branch.as_deref().unwrap_or_default())
    };
    let sources: Vec<_> = factory.sources().iter().map(told).collect();
    let expected = [
        "http://x/svn/trunk#trunk",
        "http://x/svn/releases/1.2.X#1.2.X",
    ];
    assert_eq!(sources, expected);
    let steps = steps(Path::new(NOWHERE), text);
    let checkouts: Vec<_> = steps.iter().filter(|(name, _)| name == "svn").collect();
    assert_eq!(checkouts.len(), 1, "{steps:?}");
    assert!(checkouts[0].1.contains("env/src/trunk"), "{checkouts:?}");
    let installs = steps.iter().filter(|(_, it)| it.contains("setup.py"));
    assert_eq!(installs.count(), 1);

    let text = "[x]\ntype = source\nsvn = http://x/a http://x/b\nmode = full\nmethod = export\n";
    assert_eq!(names(Path::new(NOWHERE), text), ["svn", "svn_1"]);
    let check = |text: &str| read_in(Path::new(NOWHERE), text).1;
    insta::assert_snapshot!(check("[x]\ntype = source\nsvn = http://x/a#b\n"), @"
        error[bad-value]: bad repository in `svn` of [x]
         --> master.ini:3:7
          |
        3 | svn = http://x/a#b
          |       ^^^^^^^^^^^^ expected the URL of the branch: its directory, and no `#`
        ");
    insta::assert_snapshot!(check("[x]\ntype = source\nsvn.a = http://x/a\nsvn.* = http://x/b\n"), @"
        error[bad-value]: bad repository in `svn` of [x]
         --> master.ini:4:9
          |
        4 | svn.* = http://x/b
          |         ^^^^^^^^^^ the name of a branch has no `*`
        ");
    insta::assert_snapshot!(check("[x]\ntype = source\nsvn.a = http://x/a\ngit = http://x/b\n"), @"
        error[contradiction]: the branches of `svn.NAME` are one tree, which stands alone
         --> master.ini:3:9
          |
        3 | svn.a = http://x/a
          |         ^^^^^^^^^^
        4 | git = http://x/b
          |       ---------- another repository
        ");
}

#[test]
fn gnu_autoconf_leaves_out_what_is_none() {
    let text = "[hello]\ntype = gnu_autoconf\ngit = /srv/hello\n";
    assert_eq!(
        names(Path::new(NOWHERE), text),
        ["git", "configure", "compile", "test"]
    );
    let text = format!("{text}configure = none\ntest = none\n");
    assert_eq!(names(Path::new(NOWHERE), &text), ["git", "compile"]);
}

#[test]
fn a_virtualenv_is_made_before_what_is_installed_in_it() {
    let text = "[x]\ntype = python_source\nhg = /srv/a\ngit = /srv/b\n";
    let expected = [
        "shell",
        "shell_1",
        "setproperty",
        "setproperty_1",
        "setproperty_2",
        "shell_2",
        "hg",
        "git",
        "shell_3",
        "shell_4",
    ];
    assert_eq!(names(Path::new(NOWHERE), text), expected);
    let text =
        "[x]\ntype = virtualenv\ncheckout = no\nfind_scripts = nose buildbot\nadd_scripts = yes\n";
    assert_eq!(
        names(Path::new(NOWHERE), text)[6..],
        ["setproperty_3", "setproperty_4", "setproperty_5"]
    );
    let problems = read_in(
        Path::new(NOWHERE),
        "[x]\ntype = virtualenv\nfind_scripts = a;b\n",
    )
    .1;
    assert!(
        problems.contains("`a;b` is no name of a program"),
        "{problems}"
    );
}

#[test]
fn repositories_are_said_in_every_form_that_autobot_had() {
    for text in [
        "git = /srv/a#x /srv/b",
        "git =\n    /srv/a#x\n    /srv/b",
        "git = [\"/srv/a#x\", \"/srv/b\"]",
        "git = [[\"/srv/a\", \"x\"], [\"/srv/b\", null]]",
    ] {
        let (factory, problems) =
            read_in(Path::new(NOWHERE), &format!("[x]\ntype = source\n{text}\n"));
        assert_eq!(problems, "", "{text}");
        let factory = factory.expect(text);
        let told = factory.sources().iter();
        let told: Vec<_> = told
            .map(|it| (it.url.as_str(), it.branch.as_deref()))
            .collect();
        assert_eq!(told, [("/srv/a", Some("x")), ("/srv/b", None)], "{text}");
    }
}

/// Builds for real in `dir`, with the programs in `dir/bin` before others,
/// and tells how each step ended.
fn build(dir: &Path, text: &str) -> (Vec<String>, Properties) {
    let (factory, problems) = read_in(dir, text);
    assert_eq!(problems, "", "{text}");
    let mut properties = Properties::new();
    let mut told = Vec::new();
    for plan in factory.expect(text).steps(&linux()).expect(text) {
        let mut bench = Bench::of(&plan, properties);
        let path = std::env::var("PATH").expect("a path");
        let path = format!("{}/bin:{path}", dir.display());
        bench.env.insert("PATH".into(), Some(Text::literal(path)));
        let end = bench.run_for_real(dir).pop().expect("an end");
        told.push(format!("{}: {end}", plan.name));
        properties = bench.properties;
    }
    (told, properties)
}

fn repository(dir: &Path, files: &[(&str, &str)]) {
    fs::create_dir_all(dir).expect("a directory");
    for (name, text) in files {
        fs::write(dir.join(name), text).expect("a file");
    }
    run_program(dir, "git", &["init", "-q", "-b", "main"]);
    run_program(dir, "git", &["add", "."]);
    let who = ["-c", "user.name=a", "-c", "user.email=a@b"];
    run_program(
        dir,
        "git",
        &[&who[..], &["commit", "-q", "-m", "one"]].concat(),
    );
}

#[test]
fn four_lines_build_a_real_project() {
    let dir = tempfile::tempdir().expect("a directory");
    let url = dir.path().join("hello");
    repository(
        &url,
        &[("configure", "echo all: > Makefile; echo check: >> Makefile")],
    );
    let text = format!(
        "[hello]\ntype = gnu_autoconf\ngit = {}\nconfigure = sh configure\n",
        url.display()
    );
    let (told, properties) = build(dir.path(), &text);
    let expected = [
        "git: success: update",
        "configure: success: configure",
        "compile: success: compile",
        "test: success: test",
    ];
    assert_eq!(told, expected);
    assert!(properties.text("got_revision").is_some());
}

#[test]
fn python_packages_are_installed_in_their_environment() {
    let dir = tempfile::tempdir().expect("a directory");
    let bin = dir.path().join("bin");
    fs::create_dir_all(&bin).expect("a directory");
    // Stands for the real one, which may be missing here: its Python writes down its arguments.
    let script = "#!/bin/sh\nmkdir -p $1/bin; printf '#!/bin/sh\\necho \"$@\" >> ran\\n' > $1/bin/python; chmod +x $1/bin/python\n";
    fs::write(bin.join("virtualenv"), script).expect("a file");
    run_program(&bin, "chmod", &["+x", "virtualenv"]);
    let url = dir.path().join("pkg.git");
    repository(&url, &[("setup.py", "")]);
    let text = format!(
        "[x]\ntype = python_source\ngit = {}\nfind_scripts = python\nadd_scripts = yes\n",
        url.display()
    );
    let (told, properties) = build(dir.path(), &text);
    let expected = [
        "shell: success: 'rm -rf ...'",
        "shell_1: success: virtualenv env",
        "setproperty: success: property 'virtualenv' set",
        "setproperty_1: success: property 'scripts' set",
        "setproperty_2: success: property 'python' set",
        "shell_2: success: 'mkdir -p ...'",
        "git: success: update",
        "shell_3: success: install pkg",
        "setproperty_3: success: property 'python' set",
        "setproperty_4: success: property 'PATH' set",
    ];
    assert_eq!(told, expected);
    let env = dir
        .path()
        .join("hello/build/env")
        .canonicalize()
        .expect("a directory");
    let python = env.join("bin/python").display().to_string();
    assert_eq!(properties.text("python"), Some(python.as_str()));
    let path = properties.text("PATH").expect("set");
    let first = format!("{}:{}:", env.join("bin").display(), bin.display());
    assert!(path.starts_with(&first), "{path}");
    let ran = fs::read_to_string(env.join("src/pkg/ran")).expect("a file");
    assert_eq!(ran, "-c import setuptools\nsetup.py install\n");
}

#[test]
fn a_recipe_has_parameters_and_sets_those_of_what_it_extends() {
    let dir = tempfile::tempdir().expect("a directory");
    let base = "extends = \"shell\"\ncommand = \"echo {{ word }}\"\n[params]\nword = \"base\"\nwhere = { type = \"string\" }\n[[steps]]\ntype = \"shell\"\ncommand = \"in {{ where }} on {{ platform.os }}\"\n";
    fs::write(dir.path().join("base.toml"), base).expect("a file");
    let top = "description = \"on top\"\nextends = \"base\"\nwhere = \"{{ 'far' if far else 'near' }}\"\n[params]\nfar = false\n[[steps]]\ntype = \"compile\"\nname = \"shell\"\nenv.X = \"{{ far }}\"\n";
    fs::write(dir.path().join("top.toml"), top).expect("a file");

    let steps = steps(
        dir.path(),
        "[x]\ntype = top\nfar = yes\nword = mine\ngit = /srv/a\n",
    );
    let names: Vec<_> = steps.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["git", "shell", "shell_1", "shell_2"]);
    assert!(steps[1].1.contains("echo mine"), "{}", steps[1].1);
    assert!(steps[2].1.contains("in far on linux"), "{}", steps[2].1);
    assert!(steps[3].1.contains("\"True\""), "{}", steps[3].1);
    let known = Library::new(vec![dir.path().to_owned()]).known();
    let top = known.iter().find(|it| it.name == "top").expect("listed");
    assert_eq!(top.summary, "on top");
    assert_eq!(top.extends.as_deref(), Some("base"));
    assert_eq!(top.params[0].default.as_deref(), Some("no"));
}

#[test]
fn what_gives_nothing_is_left_out_and_a_list_stands_for_its_items() {
    let dir = tempfile::tempdir().expect("a directory");
    let recipe = "extends = \"shell\"\ncommand = \"{{ first }}\"\ntimeout = \"{{ limit if limit }}\"\n\
            [params]\nfirst = { type = \"command\" }\nlimit = \"\"\nflags = { type = \"list\", default = [] }\nlast = false\nvars = { type = \"map\", default = { A = \"1\" } }\n\
            [[steps]]\ntype = \"shell\"\nworkdir = \"{{ 'x' if last }}\"\nenv = \"{{ vars }}\"\n\
            command = [\"make\", \"{{ '-k' if last }}\", \"{{ flags }}\", \"{{ flags | length }}\", \"a{{ none }}b\"]\n\
            [[steps]]\ntype = \"shell\"\nname = \"last\"\nif = \"{{ last }}\"\ncommand = \"true\"\n";
    fs::write(dir.path().join("some.toml"), recipe).expect("a file");
    let told = |text: &str| {
        let steps = steps(dir.path(), &format!("[some]\n{text}"));
        steps.iter().map(|it| it.1.clone()).collect::<Vec<_>>()
    };

    let few = told("first = make all\n");
    assert_eq!(few.len(), 2);
    assert!(few[0].contains("Script"), "{}", few[0]);
    assert!(few[0].contains("timeout: Some(Fixed(1200s))"), "{}", few[0]);
    assert!(few[1].contains("workdir: None"), "{}", few[1]);
    assert!(few[1].contains("{\"A\": "), "{}", few[1]);
    for word in ["make", "0", "ab"] {
        assert!(few[1].contains(&format!("\"{word}\"")), "{}", few[1]);
    }
    assert!(!few[1].contains("\"\""), "{}", few[1]);

    let all = told(
        "first = [\"make\", \"all\"]\nlimit = 3s\nflags = -a \"b c\"\nlast = yes\nvars.B = 2\n",
    );
    assert_eq!(all.len(), 3);
    assert!(all[0].contains("Argv"), "{}", all[0]);
    assert!(all[0].contains("timeout: Some(Fixed(3s))"), "{}", all[0]);
    assert!(all[1].contains("{\"B\": "), "{}", all[1]);
    for word in ["-k", "-a", "b c", "2", "x"] {
        assert!(all[1].contains(&format!("\"{word}\"")), "{}", all[1]);
    }

    // Without its command, the type below is asked for one.
    let problems = read_in(dir.path(), "[some]\nfirst = none\n").1;
    assert!(problems.contains("no commands in [some]"), "{problems}");
    let bad =
        "[params]\nx = 3\n[[steps]]\ntype = \"shell\"\nif = \"{{ x }}\"\ncommand = \"true\"\n";
    fs::write(dir.path().join("bad.toml"), bad).expect("a file");
    insta::assert_snapshot!(read_in(dir.path(), "[bad]\n").1, @r#"
        error[bad-value]: bad value for `if` in [[steps]]
         --> factories/bad.toml:5:6
          |
        5 | if = "{{ x }}"
          |      ^^^^^^^^^ expected `yes` or `no`
        "#);
}

#[test]
fn a_work_directory_may_be_of_the_stamp() {
    let workdir = |text: &str, repository: &str| {
        let (factory, problems) = read_in(Path::new(NOWHERE), text);
        assert_eq!(problems, "", "{text}");
        let stamp = SourceStamp {
            repository: repository.to_owned(),
            branch: Some("../..".to_owned()),
            ..SourceStamp::default()
        };
        factory.expect(text).workdir(&stamp)
    };
    let shell = "[x]\ntype = shell\ncommand = true\ngit = /srv/a\n";
    assert_eq!(workdir(shell, "a"), Ok("build".to_owned()));
    let of = format!("{shell}workdir = src-%(repository | hash(8))s\n");
    assert_eq!(workdir(&of, "a"), Ok("src-ca978112".to_owned()));
    assert_ne!(workdir(&of, "b"), workdir(&of, "a"));
    let of = format!("{shell}workdir = src/%(branch)s\n");
    let error = "`workdir` cannot be computed: `src/../..`: expected a directory in the builder's own, without `..`";
    assert_eq!(workdir(&of, "a"), Err(error.to_owned()));
    let recipe = "[hello]\nworkdir = src\n";
    assert_eq!(workdir(recipe, "a"), Ok("src".to_owned()));

    let two = "[x]\ntype = source\ngit = /srv/a /srv/b\nworkdir = src\n";
    let steps = steps(Path::new(NOWHERE), two);
    assert!(steps[1].1.contains("src/b"), "{steps:?}");
    let check = |text: &str| read_in(Path::new(NOWHERE), text).1;
    insta::assert_snapshot!(check("[x]\ntype = source\ngit = /srv/a /srv/b\nworkdir = %(branch)s\n"), @"
        error[contradiction]: several repositories have one `workdir` for all builds
         --> master.ini:4:11
          |
        4 | workdir = %(branch)s
          |           ^^^^^^^^^^ expected a directory without `%(…)s`
        ");
    insta::assert_snapshot!(check("[x]\ntype = source\ngit = /srv/a\nworkdir = ../x\n"), @"
        error[bad-value]: bad value for `workdir` in [x]
         --> master.ini:4:11
          |
        4 | workdir = ../x
          |           ^^^^ expected a directory in the builder's own, without `..`
        ");
    insta::assert_snapshot!(check("[x]\ntype = source\ngit = /srv/a\nworkdir = %(got_revision)s\n"), @"
        error[unknown-name]: bad value for `workdir` in [x]
         --> master.ini:4:13
          |
        4 | workdir = %(got_revision)s
          |             ^^^^^^^^^^^^ there is no name `got_revision`; did you mean `revision`?
        ");
}

#[test]
fn every_mistake_has_its_place() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a file");
    let check = |text: &str| read_in(dir.path(), text).1;
    write(
        "bad.toml",
        "jobz = 1\n[params]\njobs = { type = \"int\", default = \"many\" }\n",
    );
    insta::assert_snapshot!(check("[bad]\n"), @r#"
        error[bad-value]: bad default of the parameter `jobs`
         --> factories/bad.toml:3:34
          |
        3 | jobs = { type = "int", default = "many" }
          |                                  ^^^^^^ expected a whole number
        "#);
    write(
        "odd.toml",
        "gti = \"x\"\n[params]\njobs = 2\n[[steps]]\ntype = \"shell\"\ncomand = \"make -j{{ job }}\"\n[[steps]]\ntype = \"shel\"\n",
    );
    insta::assert_snapshot!(check("[odd]\njobs = two\n"), @"
        error[bad-value]: bad value for `jobs` in [odd]
         --> master.ini:2:8
          |
        2 | jobs = two
          |        ^^^ expected a whole number
        ");
    insta::assert_snapshot!(check("[odd]\njob = 3\n"), @r#"
        error[unknown-key]: unknown key `gti` in [odd]
         --> factories/odd.toml:1:1
          |
        1 | gti = "x"
          | ^^^ did you mean `git`?

        error[unknown-name]: bad `{{ … }}` in a text
         --> factories/odd.toml:6:21
          |
        6 | comand = "make -j{{ job }}"
          |                     ^^^ there is no name `job`; did you mean `jobs`?

        error[unknown-type]: unknown step type `shel`
         --> factories/odd.toml:8:8
          |
        8 | type = "shel"
          |        ^^^^^^ did you mean `shell`?

        error[unknown-key]: unknown key `job` in [odd]
         --> master.ini:2:1
          |
        2 | job = 3
          | ^^^ did you mean `jobs`?
        "#);
    write("a.toml", "extends = \"b\"\n");
    write("b.toml", "extends = \"a\"\n");
    insta::assert_snapshot!(check("[a]\n"), @r#"
        error[circle]: the recipes extend each other in a circle: a → b → a
         --> factories/b.toml:1:11
          |
        1 | extends = "a"
          |           ^^^
        "#);
    insta::assert_snapshot!(check("[x]\ntype = helo\n"), @"
        error[unknown-factory]: unknown factory `helo`
         --> master.ini:2:8
          |
        2 | type = helo
          |        ^^^^ did you mean `hello`?
          |
          = help: the known ones are `a`, `autobot`, `b`, `bad`, `basic_build_factory`, `basic_svn`, `cargo`, `cmake`, `cpan`, `distutils`, `gnu_autoconf`, `go`, `gradle`, `hello`, `maven`, `meson`, `npm`, `odd`, `pytest`, `python_source`, `quick_build_factory`, `shell`, `source`, `toolbox`, `tox`, `trial`, `virtualenv`
        ");
    insta::assert_snapshot!(check("[x]\ntype = ../etc\n"), @"
        error[unknown-factory]: unknown factory `../etc`
         --> master.ini:2:8
          |
        2 | type = ../etc
          |        ^^^^^^
          |
          = help: the known ones are `a`, `autobot`, `b`, `bad`, `basic_build_factory`, `basic_svn`, `cargo`, `cmake`, `cpan`, `distutils`, `gnu_autoconf`, `go`, `gradle`, `hello`, `maven`, `meson`, `npm`, `odd`, `pytest`, `python_source`, `quick_build_factory`, `shell`, `source`, `toolbox`, `tox`, `trial`, `virtualenv`
        ");
    insta::assert_snapshot!(check("[x]\ntype = gnu_autoconf\ncompile = make %d\n"), @"
        error[missing-key]: no repository in [x]
         --> master.ini:1:2
          |
        1 | [x]
          |  ^ expected `git = URL#BRANCH`, `hg = URL#BRANCH` or `svn = URL`

        error[bad-value]: bad value for `compile` in [x]
         --> master.ini:3:16
          |
        3 | compile = make %d
          |                ^ a `%` here starts no property reference; write `%%` for a percent sign
        ");
    insta::assert_snapshot!(check("[x]\ntype = source\ngit = -x /srv/a /srv/a\n"), @"
        error[bad-value]: bad repository in `git` of [x]
         --> master.ini:3:7
          |
        3 | git = -x /srv/a /srv/a
          |       ^^ the repository `-x` begins with `-`
        ");
}
