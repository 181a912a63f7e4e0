//! A farm larger than any: what grows faster than the file would not end here.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::config::catalogue::Installed;

const BUILDERS: usize = 2000;
const SLAVES: usize = 60;

/// Builders each with a factory of its own; `timeout` is that of the last of them.
fn farm(timeout: &str) -> String {
    farm_of(BUILDERS, timeout)
}

fn farm_of(builders: usize, timeout: &str) -> String {
    let mut text = String::from("[master]\nderive = false\n");
    for slave in 0..SLAVES {
        let _ = writeln!(
            text,
            "[slave.s{slave}]\npassword = \"x\"\ntags = [\"t{}\"]",
            slave % 6
        );
    }
    for it in 0..16 {
        let _ = writeln!(
            text,
            "[scheduler.n{it}]\ntype = \"single_branch\"\nbranch = \"main\"\ntags = \"g{it}\""
        );
    }
    for it in 0..builders {
        let timeout = if it + 1 == builders { timeout } else { "1m" };
        let _ = write!(
            text,
            "[builder.b{it}]\nfactory = \"f{it}\"\nslaves = [\"t{}\"]\ntags = [\"g{}\"]\n\
             [factory.f{it}]\ngit = \"https://example.org/{it}.git\"\n\
             [[factory.f{it}.steps]]\ntype = \"shell\"\ncommand = [\"make\", \"%(branch)s\"]\ntimeout = \"{timeout}\"\n\
             [[factory.f{it}.steps]]\ntype = \"test\"\n",
            it % 6,
            it % 16
        );
    }
    text
}

fn plan_of_farm(text: &str) -> Result<Plan, Problems> {
    let dir = Path::new("/nonexistent");
    let main = Source::new("master.toml", dir, text);
    read(&main, &Installed::of(dir))
}

#[test]
fn two_thousand_builders_load_and_reload() {
    let old = plan_of_farm(&farm("1m")).expect("good");
    let new = plan_of_farm(&farm("2m")).expect("good");
    assert_eq!(old.builders.len(), BUILDERS);
    assert_eq!(old.schedulers[0].builders.len(), BUILDERS / 16);
    let difference = Difference::between(&old, &new);
    let expected = [
        "changed builder `b1999`: factory",
        "kept 60 slaves, 1999 builders, 16 schedulers",
    ];
    assert_eq!(difference.lines(), expected);
}

#[test]
fn a_mistake_in_each_of_many_builders_is_told() {
    let text = farm("1m").replace("type = \"test\"", "type = \"test\"\nblarg = 1");
    let problems = plan_of_farm(&text).expect_err("bad");
    let unknown = problems.0.iter().filter(|it| it.code == Code::UnknownKey);
    assert_eq!(unknown.count(), BUILDERS);
}

/// What can be seen of a plan, with the places of its builders.
fn seen(loaded: &Result<Plan, Problems>) -> String {
    let plan = match loaded {
        Ok(plan) => plan,
        Err(problems) => return problems.render(false),
    };
    let mut seen = format!("{plan:?}\n{}", plan.warnings.render(false));
    for builder in &plan.builders {
        let place = &builder.origin.place;
        let steps = builder.factory.steps(&Platform::default());
        let _ = writeln!(
            seen,
            "{} {} {:?} {steps:?}",
            builder.name,
            builder.factory_print,
            place.line_and_column()
        );
    }
    for (secret, place) in &plan.secret_names {
        let _ = writeln!(seen, "{secret:?} {:?}", place.line_and_column());
    }
    seen
}

/// Enough for a long file.
const FEW: usize = 300;

/// A long file in which what one section says depends on others.
fn entangled() -> String {
    let mut text = farm_of(FEW, "1m");
    text.push_str(
        "[factory._base]\ngit = \"https://example.org/base.git#main\"\n\
         [factory.heir]\nextends = \"_base\"\ntype = \"shell\"\ncommands = [\"make\"]\n\
         [factory.cooked]\ntype = \"recipe\"\n\
         [builder.heir]\nfactory = \"heir\"\nslaves = [\"s1\"]\n\
         [builder.cooked]\nfactory = \"cooked\"\nslaves = [\"s1\"]\n\
         [builder.\"m-{x}\"]\nfactory = \"shelled\"\nslaves = [\"s1\"]\nmatrix.x = [\"1\", \"2\"]\n\
         [factory.shelled]\ntype = \"shell\"\ncommands = [\"echo ${secret:s}\"]\n\
         [secrets]\nfile = \"secrets.json\"\n",
    );
    text
}

#[test]
fn what_is_read_again_is_what_is_read_anew() {
    let dir = tempfile::tempdir().expect("a directory");
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(&path, text).expect("written");
        let mode = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, mode).expect("changed");
    };
    let recipe = "extends = \"source\"\n[[steps]]\ntype = \"shell\"\ncommand = \"true\"\n";
    write("factories/recipe.toml", recipe);
    write("secrets.json", "{\"s\": \"x\"}");
    let mut text = entangled();
    write("master.toml", &text);
    let mut standing = load(dir.path()).expect("good");
    let edits: &[(&str, &str, &str)] = &[
        ("a line", "[slave.s3]", "# a line more\n\n[slave.s3]"),
        ("a template", "base.git#main", "base.git#stable"),
        ("an axis", "[\"1\", \"2\"]", "[\"2\", \"3\"]"),
        ("a parameter", "commands = [\"echo", "commands = [\"print"),
        ("a name", "[factory.f7]", "[factory.f7b]"),
        ("it back", "[factory.f7b]", "[factory.f7]"),
        ("a mistake", "[factory.f9]\n", "[factory.f9]\nblarg = 1\n"),
        ("none", "blarg = 1\n", ""),
        ("a torn line", "[factory.f11]\n", "[factory.f11\n"),
        ("it whole", "[factory.f11\n", "[factory.f11]\n"),
        (
            "a builder",
            "[builder.b5]",
            "[builder.b5c]\nfactory = \"f5\"\nslaves = [\"s1\"]\n[builder.b5]",
        ),
        (
            "an idle factory",
            "[slave.s1]",
            "[factory.idle]\ntype = \"shell\"\ncommands = [\"true\"]\n[slave.s1]",
        ),
    ];
    for (what, from, to) in edits {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{what}");
        text = changed;
        write("master.toml", &text);
        let again = load_again(dir.path(), &standing.known);
        assert_eq!(seen(&again), seen(&load(dir.path())), "{what}");
        if let Ok(plan) = again {
            let kept = standing.builders.iter().filter(|it| {
                let mut new = plan.builders.iter();
                new.any(|new| Arc::ptr_eq(&new.factory, &it.factory))
            });
            assert!(kept.count() >= FEW - 1, "{what}");
            standing = plan;
        }
    }
    // What a recipe says is read anew.
    write("factories/recipe.toml", &recipe.replace("true", "false"));
    let again = load_again(dir.path(), &standing.known);
    assert_eq!(seen(&again), seen(&load(dir.path())));
    let lines = Difference::between(&standing, &again.expect("good")).lines();
    assert_eq!(lines[0], "changed builder `cooked`: factory");
}
