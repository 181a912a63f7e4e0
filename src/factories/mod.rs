//! Factories: keyword parameters and a platform become a list of steps.
//!
//! A registered type is one file and one row in [`KINDS`]; a recipe is a file
//! `factories/NAME.toml` that builds on one (`recipe.rs` reads it, `filled.rs`
//! makes its steps). A [`Library`] is the way from a section to a factory,
//! whichever it is.

mod filled;
mod gnu_autoconf;
#[cfg(test)]
mod original_tests;
mod params;
mod python_source;
mod read;
pub(crate) mod recipe;
mod shell;
#[cfg(test)]
mod shipped_tests;
mod source;
mod sources;
mod virtualenv;
mod workdir;

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::fmt;
use std::fmt::Write as _;
use std::hash::DefaultHasher;
use std::hash::Hash as _;
use std::hash::Hasher as _;
use std::sync::Arc;

use crate::model::Platform;
use crate::model::SecretRef;
use crate::model::SourceStamp;
use crate::steps::StepPlan;
use crate::syntax::Content;
use crate::syntax::Keys;
use crate::syntax::Node;
use crate::syntax::Place;

pub(crate) use read::Library;
pub(crate) use read::Reading;

/// Every factory type, in the order of the manual.
pub(crate) const KINDS: &[FactoryKind] = &[
    source::KIND,
    shell::KIND,
    gnu_autoconf::KIND,
    virtualenv::KIND,
    python_source::KIND,
];

/// A factory type as the reader, the manual and `--list-factories` see it.
pub(crate) struct FactoryKind {
    pub(crate) name: &'static str,
    pub(crate) summary: &'static str,
    /// INI lines of a section of this type.
    pub(crate) example: &'static str,
    pub(crate) read: fn(&mut Keys<'_>) -> Option<Arc<dyn Factory>>,
}

/// A factory as lists and suggestions have it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) name: String,
    pub(crate) summary: String,
    /// INI lines of a section; a recipe without them is a project, and needs none.
    pub(crate) example: String,
    pub(crate) params: Vec<KnownParam>,
    /// What has further parameters.
    pub(crate) extends: Option<String>,
    pub(crate) is_recipe: bool,
}

impl Known {
    /// Whether it can be built as it is.
    pub(crate) fn is_project(&self) -> bool {
        self.is_recipe && self.example.is_empty()
    }
}

/// A parameter of a factory.
#[derive(Clone, Debug)]
pub(crate) struct KnownParam {
    pub(crate) name: String,
    /// `None` if it must be set, or if that is not known here.
    pub(crate) default: Option<String>,
    pub(crate) help: String,
}

/// A factory with its parameters. Its `Debug` form names every setting.
pub(crate) trait Factory: fmt::Debug + Send + Sync {
    /// The repositories that it builds from; the first is the one that
    /// `branch` and `revision` of a build are about, unless a change says otherwise.
    fn sources(&self) -> &[Repository];

    /// The steps for a slave of this platform. An error ends the build with an exception.
    fn steps(&self, platform: &Platform) -> Result<Vec<StepPlan>, String>;

    /// The secrets that its own files refer to, and where: what a section says is known.
    fn secrets(&self) -> Vec<(SecretRef, Place)> {
        Vec::new()
    }

    /// Feeds every setting to `print`: two factories that feed the same are equal.
    fn print(&self, print: &mut Print) {
        print.debug(&format_args!("{self:?}"));
    }

    /// Relative to the builder's directory: where steps work that say nothing else,
    /// in a build of this stamp. An error ends the build with an exception.
    fn workdir(&self, _: &SourceStamp) -> Result<String, String> {
        Ok(WORKDIR.to_owned())
    }
}

/// Where steps work that say nothing else.
const WORKDIR: &str = "build";

/// What becomes a number of a factory's settings: they are long, and compared at every reload.
#[derive(Default)]
pub(crate) struct Print(DefaultHasher);

impl Print {
    /// The number of all settings of a factory.
    pub(crate) fn of(factory: &dyn Factory) -> u64 {
        let mut print = Self::default();
        factory.print(&mut print);
        print.0.finish()
    }

    /// Adds a text, with its end.
    fn text(&mut self, text: &str) {
        text.hash(&mut self.0);
    }

    /// Adds what is written when it is shown.
    fn debug(&mut self, it: &impl fmt::Debug) {
        write!(self, "{it:?}").expect("a hash takes everything");
        self.0.write_u8(0xff);
    }

    /// Adds a value as it stands in a file; showing all of it would take long.
    fn node(&mut self, node: &Node) {
        std::mem::discriminant(&node.content).hash(&mut self.0);
        match &node.content {
            Content::Text(text) => self.text(text),
            Content::List(all) => {
                self.0.write_usize(all.len());
                all.iter().for_each(|it| self.node(it));
            }
            Content::Table(all) => {
                self.0.write_usize(all.len());
                for entry in all {
                    self.text(&entry.key);
                    std::mem::discriminant(&entry.op).hash(&mut self.0);
                    self.node(&entry.value);
                }
            }
            Content::Int(_)
            | Content::Float(_)
            | Content::Bool(_)
            | Content::Null
            | Content::Edited(_) => self.debug(node),
        }
    }
}

impl fmt::Write for Print {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Which program knows a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Vcs {
    Git,
    Hg,
    Svn,
}

impl Vcs {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Hg => "hg",
            Self::Svn => "svn",
        }
    }
}

/// A repository and the branch of it that is followed (`URL#branch`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Repository {
    pub(crate) vcs: Vcs,
    pub(crate) url: String,
    /// `None` is `master` for git and `default` for hg. With svn a branch is a
    /// directory: its name is what a build calls the URL, and no name is fine.
    pub(crate) branch: Option<String>,
}

/// Makes the names of a build's steps differ: the second `shell` is `shell_1`.
fn number_names(mut steps: Vec<StepPlan>) -> Vec<StepPlan> {
    let mut seen = HashSet::new();
    if steps.iter().all(|it| seen.insert(it.name.as_str())) {
        return steps;
    }
    let mut taken = BTreeSet::new();
    for step in &mut steps {
        let mut name = step.name.clone();
        let mut number = 0;
        while taken.contains(&name) {
            number += 1;
            name = format!("{}_{number}", step.name);
        }
        taken.insert(name.clone());
        step.name = name;
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::Settings;
    use crate::steps::argv;
    use crate::steps::plan;

    #[test]
    fn names_are_numbered_until_they_differ() {
        let steps = ["shell", "shell_1", "shell", "test", "shell"];
        let steps = steps.map(|name| StepPlan {
            name: name.into(),
            ..plan::shell(argv(&["true"]), Settings::default())
        });
        let names: Vec<_> = number_names(steps.into())
            .into_iter()
            .map(|it| it.name)
            .collect();
        assert_eq!(names, ["shell", "shell_1", "shell_2", "test", "shell_3"]);
    }
}
