//! `virtualenv`: a fresh Python environment with the sources below it, in the
//! layout that autobot always had: `build/NAME/src/REPOSITORY`.

use std::sync::Arc;

use crate::model::Platform;
use crate::model::Text;
use crate::steps::Line;
use crate::steps::SetProperty;
use crate::steps::Settings;
use crate::steps::StepPlan;
use crate::steps::argv;
use crate::steps::plan;
use crate::syntax::Code;
use crate::syntax::Keys;
use crate::syntax::Problem;

use super::Factory;
use super::FactoryKind;
use super::Repository;
use super::number_names;
use super::sources::Sources;

pub(super) const KIND: FactoryKind = FactoryKind {
    name: "virtualenv",
    summary: "Makes a Python environment and checks the source out in it.",
    example: "hg = https://example.org/hello\nname = env",
    read: |keys| Some(Arc::new(Virtualenv::read(keys)?)),
};

#[derive(Debug)]
pub(super) struct Virtualenv {
    pub(super) sources: Sources,
    /// The directory of the environment.
    name: String,
    checkout: bool,
    /// Programs of it that become properties.
    scripts: Vec<String>,
    /// Whether the property `PATH` has its programs first.
    adds_scripts: bool,
}

impl Virtualenv {
    /// What the checkouts below [`Virtualenv::src`] are called.
    pub(super) fn directories(&self) -> Vec<&str> {
        self.sources.directories()
    }

    fn read(keys: &mut Keys<'_>) -> Option<Self> {
        let checkout = keys.or("checkout", true);
        let environment = Self::read_checked_out(keys);
        Some(Self {
            checkout: checkout?,
            ..environment?
        })
    }

    /// Reads an environment that always has its sources checked out.
    pub(super) fn read_checked_out(keys: &mut Keys<'_>) -> Option<Self> {
        let sources = Sources::read(keys);
        let scripts = scripts(keys);
        let adds_scripts = keys.or("add_scripts", false);
        let name = keys.or("name", "env".to_owned())?;
        if !is_word(&name) {
            let problem = Problem::error(
                Code::BadName,
                format!("`{name}` is no name of an environment"),
            );
            let problem = problem.at(&keys.place("name"));
            keys.note(problem.label("expected letters, digits, `_`, `.` and `-`"));
            return None;
        }
        Some(Self {
            sources: sources?,
            name,
            checkout: true,
            scripts: scripts?,
            adds_scripts: adds_scripts?,
        })
    }

    /// Where the repositories are, relative to the builder's directory.
    pub(super) fn src(&self) -> String {
        format!("build/{}/src", self.name)
    }

    /// The steps that make the environment; each is needed by all that follow.
    pub(super) fn setup(&self) -> Vec<StepPlan> {
        let name = self.name.as_str();
        let home = Settings::at(Text::literal(format!("build/{name}")));
        let steps = vec![
            plan::shell(argv(&["rm", "-rf", name]), Settings::default()),
            plan::create_virtualenv(&Text::literal(name)),
            property("virtualenv", argv(&["pwd"]), home.clone()),
            property("scripts", find(&["Scripts", "bin"]), home.clone()),
            find_script("python"),
            plan::shell(argv(&["mkdir", "-p", "src"]), home),
        ];
        let mut steps: Vec<_> = steps.into_iter().map(StepPlan::halting).collect();
        if self.checkout {
            steps.extend(self.sources.checkouts_in(&self.src()));
        }
        steps
    }

    /// The steps that look for what is in it now.
    pub(super) fn found(&self, platform: &Platform) -> Vec<StepPlan> {
        let mut steps: Vec<_> = self.scripts.iter().map(|it| find_script(it)).collect();
        if self.adds_scripts {
            let between = match platform.os.starts_with("win") {
                true => ';',
                false => ':',
            };
            let script = format!("echo \"%(scripts)s{between}$PATH\"");
            let line = Line::Script(Text::parse(&script).expect("a script that reads"));
            steps.push(property("PATH", line, Settings::default()));
        }
        steps.into_iter().map(StepPlan::halting).collect()
    }
}

/// Names of programs, each of which becomes a property.
fn scripts(keys: &mut Keys<'_>) -> Option<Vec<String>> {
    let scripts = keys.or("find_scripts", Vec::<String>::new())?;
    if let Some(bad) = scripts.iter().find(|it| !is_word(it)) {
        let what = format!("`{}` is no name of a program", bad.escape_debug());
        keys.wrong("find_scripts", &what);
        return None;
    }
    Some(scripts)
}

/// Whether it stands for itself in a script, and for nothing else in a directory.
fn is_word(name: &str) -> bool {
    let is_part = |it: u8| it.is_ascii_alphanumeric() || b"_.-".contains(&it);
    !name.is_empty() && !name.starts_with(['-', '.']) && name.bytes().all(is_part)
}

impl Factory for Virtualenv {
    fn sources(&self) -> &[Repository] {
        &self.sources.all
    }

    fn steps(&self, platform: &Platform) -> Result<Vec<StepPlan>, String> {
        let mut steps = self.setup();
        steps.extend(self.found(platform));
        Ok(number_names(steps))
    }
}

fn property(name: &str, line: Line, settings: Settings) -> StepPlan {
    plan::set_property(SetProperty::of_all(name, line, settings))
}

/// Sets the property `name` to the path of the environment's program of that name.
fn find_script(name: &str) -> StepPlan {
    let scripts = Text::parse("%(scripts)s").expect("a reference that reads");
    property(
        name,
        find(&[name, &format!("{name}.exe")]),
        Settings::at(scripts),
    )
}

/// Prints the path of the first name that exists, and fails if none does.
fn find(names: &[&str]) -> Line {
    let mut script = String::new();
    for (index, name) in names.iter().enumerate() {
        let word = if index == 0 { "if" } else { "elif" };
        script.push_str(&format!(
            "{word} [ -e \"{name}\" ]; then echo \"${{PWD}}/{name}\"; "
        ));
    }
    script.push_str("else false; fi");
    Line::Script(Text::literal(script))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_that_exists_is_printed() {
        let expected = "if [ -e \"Scripts\" ]; then echo \"${PWD}/Scripts\"; \
                        elif [ -e \"bin\" ]; then echo \"${PWD}/bin\"; else false; fi";
        assert_eq!(
            find(&["Scripts", "bin"]),
            Line::Script(Text::literal(expected))
        );
    }
}
