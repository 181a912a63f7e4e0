//! From a section to its factory: a registered type, or recipes down to one.

use std::path::PathBuf;
use std::sync::Arc;

use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Section;
use crate::syntax::plain;

use super::Factory;
use super::FactoryKind;
use super::KINDS;
use super::recipe;
use super::recipe::Built;
use super::recipe::Recipe;

/// Reads the factory of a section. Its type is what `type` says, or what the
/// section is called; recipes are looked for in `dirs`, then in the binary.
pub(crate) fn read(
    section: &Section,
    dirs: &[PathBuf],
    problems: &mut Problems,
) -> Option<Arc<dyn Factory>> {
    let mut keys = Keys::of(section, problems);
    let own_name = section
        .name
        .strip_prefix("factory:")
        .unwrap_or(&section.name);
    let name = keys.or("type", own_name.to_owned())?;
    let place = match keys.has("type") {
        true => keys.place("type"),
        false => section.place.clone(),
    };
    let (kind, recipes) = resolve(&name, &place, dirs, problems)?;
    let Some((entries, built)) = fill(section, recipes, problems) else {
        // What the recipes leave unset is told; what the type says of the rest would be noise.
        return None;
    };
    let title = format!("[{}]", section.name);
    let mut keys = Keys::of_entries(&title, &section.place, &entries, problems)
        .with_defaults(&section.defaults);
    keys.optional::<Node>("type");
    for layer in &built {
        for param in layer.recipe.params() {
            keys.optional::<Node>(param);
        }
    }
    let base = (kind.read)(&mut keys);
    keys.finish();
    let base = base?;
    if built.is_empty() {
        return Some(base);
    }
    recipe::factory(base, built, problems)
}

/// The type under `name`, and the recipes that lead there, outermost first.
fn resolve(
    name: &str,
    place: &Place,
    dirs: &[PathBuf],
    problems: &mut Problems,
) -> Option<(&'static FactoryKind, Vec<Recipe>)> {
    let mut recipes: Vec<Recipe> = Vec::new();
    let mut name = name.to_owned();
    let mut place = place.clone();
    loop {
        if let Some(kind) = KINDS.iter().find(|it| plain(it.name) == plain(&name)) {
            return Some((kind, recipes));
        }
        if recipes.iter().any(|it| it.name == name) {
            let mut road: Vec<_> = recipes.iter().map(|it| it.name.as_str()).collect();
            road.push(&name);
            let what = format!(
                "the recipes extend each other in a circle: {}",
                road.join(" → ")
            );
            problems.note(Problem::error(what).at(&place));
            return None;
        }
        let source = match recipe::find(&name, dirs) {
            Ok(Some(source)) => source,
            Ok(None) => {
                let known = known(dirs);
                let names: Vec<_> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
                let problem = Problem::error(format!("unknown factory `{name}`"))
                    .at(&place)
                    .did_you_mean(&name, known.iter().map(|(name, _)| name))
                    .help(format!("the known ones are {}", names.join(", ")));
                problems.note(problem);
                return None;
            }
            Err(error) => {
                let what = format!("the recipe `{name}` cannot be read");
                problems.note(Problem::error(what).at(&place).label(error.to_string()));
                return None;
            }
        };
        let recipe = Recipe::read(&name, &source, problems)?;
        (name, place) = recipe.extends.clone();
        recipes.push(recipe);
    }
}

/// Gives every recipe its parameters. What a recipe sets for the one below it
/// stands before the section's own entries, so that those win in maps.
fn fill(
    section: &Section,
    recipes: Vec<Recipe>,
    problems: &mut Problems,
) -> Option<(Vec<Entry>, Vec<Built>)> {
    let title = format!("[{}]", section.name);
    let mut entries = section.entries.clone();
    let mut built = Vec::new();
    let mut is_good = true;
    for recipe in recipes {
        let mut keys = Keys::of_entries(&title, &section.place, &entries, problems)
            .with_defaults(&section.defaults);
        let Some(values) = recipe.values(&mut keys) else {
            is_good = false;
            continue;
        };
        let Some(mut set) = recipe.set_for_base(&values, problems) else {
            is_good = false;
            continue;
        };
        set.retain(|it| !entries.iter().any(|own| plain(&own.key) == plain(&it.key)));
        set.append(&mut entries);
        entries = set;
        built.push(Built { recipe, values });
    }
    is_good.then_some((entries, built))
}

/// Every factory by name, with what it is: for lists and suggestions.
pub(crate) fn known(dirs: &[PathBuf]) -> Vec<(String, String)> {
    let mut known: Vec<_> = KINDS
        .iter()
        .map(|kind| (kind.name.to_owned(), kind.summary.to_owned()))
        .collect();
    for (name, summary) in recipe::all(dirs) {
        if !known.iter().any(|(it, _)| *it == name) {
            known.push((name, summary));
        }
    }
    known.sort();
    known
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::model::Platform;
    use crate::model::Properties;
    use crate::model::Text;
    use crate::steps::bench::Bench;
    use crate::steps::bench::run_program;
    use crate::syntax::Source;
    use crate::syntax::ini;

    /// Reads the first section of `text`, with recipes in `dir`.
    fn read_in(dir: &Path, text: &str) -> (Option<Arc<dyn Factory>>, String) {
        let source = Source::new("master.ini", "/base", text);
        let mut problems = Problems::default();
        let tree = ini::read(&source, &mut problems);
        let factory = read(&tree.sections[0], &[dir.to_owned()], &mut problems);
        problems.sort();
        let shown = problems
            .render(false)
            .replace(&dir.display().to_string(), "factories");
        (factory, shown)
    }

    fn linux() -> Platform {
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
        let known = known(&[]);
        let names: Vec<_> = known.iter().map(|(name, _)| name.as_str()).collect();
        let expected = [
            "autobot",
            "gnu_autoconf",
            "hello",
            "python_source",
            "shell",
            "source",
            "toolbox",
            "virtualenv",
        ];
        assert_eq!(names, expected);
        assert!(known.iter().all(|(_, summary)| !summary.is_empty()));
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
            "virtualenv",
            "setproperty",
            "setproperty_1",
            "setproperty_2",
            "shell_1",
            "hg",
            "git",
            "shell_2",
            "shell_3",
        ];
        assert_eq!(names(Path::new(NOWHERE), text), expected);
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
        let text = format!("[x]\ntype = python_source\ngit = {}\n", url.display());
        let (told, properties) = build(dir.path(), &text);
        let expected = [
            "shell: success: 'rm -rf ...'",
            "virtualenv: success: virtualenv env",
            "setproperty: success: property 'virtualenv' set",
            "setproperty_1: success: property 'scripts' set",
            "setproperty_2: success: property 'python' set",
            "shell_1: success: 'mkdir -p ...'",
            "git: success: update",
            "shell_2: success: install pkg",
        ];
        assert_eq!(told, expected);
        let env = dir
            .path()
            .join("hello/build/env")
            .canonicalize()
            .expect("a directory");
        let python = env.join("bin/python").display().to_string();
        assert_eq!(properties.text("python"), Some(python.as_str()));
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
        assert!(known(&[dir.path().to_owned()]).contains(&("top".into(), "on top".into())));
    }

    #[test]
    fn every_mistake_has_its_place() {
        let dir = tempfile::tempdir().expect("a directory");
        let write =
            |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("a file");
        let check = |text: &str| read_in(dir.path(), text).1;
        write(
            "bad.toml",
            "jobz = 1\n[params]\njobs = { type = \"int\", default = \"many\" }\n",
        );
        insta::assert_snapshot!(check("[bad]\n"), @r#"
        error: bad default of the parameter `jobs`
         --> factories/bad.toml:3:34
          |
        3 | jobs = { type = "int", default = "many" }
          |                                  ^^^^^^ expected a whole number
        "#);
        write(
            "odd.toml",
            "gti = \"x\"\n[params]\njobs = 2\n[[steps]]\ntype = \"shell\"\ncomand = \"make -j{{ job }}\"\n[[steps]]\ntype = \"shel\"\n",
        );
        insta::assert_snapshot!(check("[odd]\njobs = two\n"), @r#"
        error: bad value for `jobs` in [odd]
         --> master.ini:2:8
          |
        2 | jobs = two
          |        ^^^ expected a whole number
        "#);
        insta::assert_snapshot!(check("[odd]\njob = 3\n"), @r#"
        error: unknown key `gti` in [odd]
         --> factories/odd.toml:1:1
          |
        1 | gti = "x"
          | ^^^ did you mean `git`?

        error: bad `{{ … }}` in a recipe
         --> factories/odd.toml:6:21
          |
        6 | comand = "make -j{{ job }}"
          |                     ^^^ there is no name `job`; did you mean `jobs`?

        error: unknown step type `shel`
         --> factories/odd.toml:8:8
          |
        8 | type = "shel"
          |        ^^^^^^ did you mean `shell`?

        error: unknown key `job` in [odd]
         --> master.ini:2:1
          |
        2 | job = 3
          | ^^^ did you mean `jobs`?
        "#);
        write("a.toml", "extends = \"b\"\n");
        write("b.toml", "extends = \"a\"\n");
        insta::assert_snapshot!(check("[a]\n"), @r#"
        error: the recipes extend each other in a circle: a → b → a
         --> factories/b.toml:1:11
          |
        1 | extends = "a"
          |           ^^^
        "#);
        insta::assert_snapshot!(check("[x]\ntype = helo\n"), @r#"
        error: unknown factory `helo`
         --> master.ini:2:8
          |
        2 | type = helo
          |        ^^^^ did you mean `hello`?
          |
          = help: the known ones are `a`, `autobot`, `b`, `bad`, `gnu_autoconf`, `hello`, `odd`, `python_source`, `shell`, `source`, `toolbox`, `virtualenv`
        "#);
        insta::assert_snapshot!(check("[x]\ntype = ../etc\n"), @r#"
        error: unknown factory `../etc`
         --> master.ini:2:8
          |
        2 | type = ../etc
          |        ^^^^^^
          |
          = help: the known ones are `a`, `autobot`, `b`, `bad`, `gnu_autoconf`, `hello`, `odd`, `python_source`, `shell`, `source`, `toolbox`, `virtualenv`
        "#);
        insta::assert_snapshot!(check("[x]\ntype = gnu_autoconf\ncompile = make %d\n"), @r#"
        error: no repository in [x]
         --> master.ini:1:2
          |
        1 | [x]
          |  ^ expected `git = URL#BRANCH` or `hg = URL#BRANCH`

        error: bad value for `compile` in [x]
         --> master.ini:3:16
          |
        3 | compile = make %d
          |                ^ a `%` here starts no property reference; write `%%` for a percent sign
        "#);
        insta::assert_snapshot!(check("[x]\ntype = source\ngit = -x /srv/a /srv/a\n"), @r#"
        error: bad repository in `git` of [x]
         --> master.ini:3:7
          |
        3 | git = -x /srv/a /srv/a
          |       ^^ the repository `-x` begins with `-`
        "#);
    }
}
