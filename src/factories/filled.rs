//! Recipes filled in: with the values of their parameters and a slave's platform, what
//! stands in their files becomes steps.

use std::fmt;
use std::sync::Arc;

use serde_json::Value as Json;
use serde_json::json;

use crate::expr;
use crate::expr::Fillings;
use crate::model::Platform;
use crate::model::SecretRef;
use crate::model::SourceStamp;
use crate::steps;
use crate::steps::StepPlan;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problems;

use super::Factory;
use super::Print;
use super::Repository;
use super::number_names;
use super::recipe::Recipe;

/// A recipe with its parameters.
pub(super) struct Built {
    pub(super) recipe: Arc<Recipe>,
    pub(super) values: Fillings,
}

impl Built {
    /// Its own steps for a slave of this platform.
    fn steps(
        &self,
        platform: &Platform,
        earlier: &mut Earlier,
        problems: &mut Problems,
    ) -> Vec<StepPlan> {
        let values = self.values_on(platform);
        let mut steps = Vec::new();
        for node in &*self.recipe.steps {
            if let Some(node) = expr::fill_node(node, &values, problems)
                && let Content::Table(entries) = &node.content
            {
                let (mine, entries): (Vec<_>, Vec<_>) =
                    entries.iter().cloned().partition(|it| it.key == IF);
                if !is_wanted(&mine, &node.place, problems) {
                    continue;
                }
                let keys = Keys::of_entries("[[steps]]", &node.place, &entries, problems);
                let read = steps::read(keys, earlier.names());
                earlier.add(read.as_ref().map(|it| it.name.as_str()));
                steps.extend(read);
            } else {
                earlier.add(None);
            }
        }
        steps
    }

    /// The secrets that its file refers to; not those that its parameters bring.
    fn secrets(&self) -> Vec<(SecretRef, Place)> {
        let set = self.recipe.sets.iter().map(|it| &it.value);
        if !self
            .recipe
            .steps
            .iter()
            .chain(set)
            .any(Node::may_have_secrets)
        {
            return Vec::new();
        }
        let given = Json::from(self.values.map.clone()).to_string();
        let given = SecretRef::all(&given);
        let is_given = |it: &SecretRef| given.iter().any(|(other, _)| other.name == it.name);
        let values = self.values_on(&some_platform());
        let set = self.recipe.sets.iter().map(|it| &it.value);
        let nodes = self.recipe.steps.iter().chain(set);
        // What cannot be filled in is told when the steps are read.
        let nodes = nodes.filter_map(|it| expr::fill_node(it, &values, &mut Problems::default()));
        let all = nodes.flat_map(|it| it.secrets());
        all.filter(|(it, _)| !is_given(it)).collect()
    }

    fn values_on(&self, platform: &Platform) -> Fillings {
        let mut values = self.values.clone();
        // What a slave says of itself must not ask for secrets when it is filled in.
        let plain = |text: &str| text.replace('$', "");
        let about = json!({
            "os": plain(&platform.os),
            "arch": plain(&platform.arch),
            "bits": platform.bits,
            "version": plain(&platform.version),
            "hostname": plain(&platform.hostname),
        });
        values.set("platform", about, None);
        values
    }
}

/// The key of a step that says whether the factory has it.
const IF: &str = "if";

fn is_wanted(mine: &[Entry], place: &Place, problems: &mut Problems) -> bool {
    let mut keys = Keys::of_entries("[[steps]]", place, mine, problems);
    // A step whose `if` cannot be read is read too, for its own mistakes.
    keys.or(IF, true).unwrap_or(true)
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe")
            .field("name", &self.recipe.name)
            .field("values", &self.values.map)
            .field("steps", &Written(&self.recipe.steps))
            .finish()
    }
}

/// Steps as their file has them.
struct Written<'a>(&'a [Node]);

impl fmt::Debug for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|it| &it.content))
            .finish()
    }
}

/// What the recipes make of `base`, with its steps on some platform; `built` is outermost
/// first. The steps are read once now, so that mistakes are told when the file is loaded.
pub(super) fn factory(
    base: Arc<dyn Factory>,
    mut built: Vec<Built>,
    problems: &mut Problems,
) -> Option<Tried> {
    built.reverse();
    let platform = some_platform();
    let mut found = Problems::default();
    let mut earlier = Earlier::of(base.as_ref());
    let mut own = Vec::new();
    for it in &built {
        own.extend(it.steps(&platform, &mut earlier, &mut found));
    }
    let is_good = !found.has_errors();
    problems.append(found);
    let steps = base.steps(&platform).map(|mut steps| {
        steps.extend(own);
        number_names(steps)
    });
    is_good.then(|| (Arc::new(FromRecipe { base, built }) as _, steps))
}

/// A factory, and its steps on some platform.
pub(super) type Tried = (Arc<dyn Factory>, Result<Vec<StepPlan>, String>);

/// The names of the steps so far, if they are known: what conditions may name.
struct Earlier(Option<Vec<String>>);

impl Earlier {
    /// The steps of a factory, on whichever platform it has them.
    fn of(base: &dyn Factory) -> Self {
        let mut names = Vec::new();
        for os in ["linux", "mac", "win"] {
            let platform = Platform {
                os: os.to_owned(),
                ..some_platform()
            };
            let Ok(steps) = base.steps(&platform) else {
                return Self(None);
            };
            for step in steps {
                if !names.contains(&step.name) {
                    names.push(step.name);
                }
            }
        }
        Self(Some(names))
    }

    fn names(&self) -> Option<&[String]> {
        self.0.as_deref()
    }

    /// One more step; from one that cannot be read on, no name is known to be wrong.
    fn add(&mut self, name: Option<&str>) {
        let (Some(names), Some(name)) = (&mut self.0, name) else {
            self.0 = None;
            return;
        };
        let mut numbered = name.to_owned();
        let mut number = 0;
        while names.contains(&numbered) {
            number += 1;
            numbered = format!("{name}_{number}");
        }
        names.push(numbered);
    }
}

/// What steps are tried with when the file is loaded: what a slave says of
/// itself is known only when it is here.
pub(super) fn some_platform() -> Platform {
    Platform {
        os: "linux".into(),
        arch: "x86_64".into(),
        bits: 64,
        ..Platform::default()
    }
}

#[derive(Debug)]
struct FromRecipe {
    base: Arc<dyn Factory>,
    /// Innermost first, in the order of their steps.
    built: Vec<Built>,
}

impl Factory for FromRecipe {
    fn sources(&self) -> &[Repository] {
        self.base.sources()
    }

    fn steps(&self, platform: &Platform) -> Result<Vec<StepPlan>, String> {
        let mut steps = self.base.steps(platform)?;
        let mut problems = Problems::default();
        for it in &self.built {
            // What conditions name was checked when the file was loaded.
            let any = &mut Earlier(None);
            steps.extend(it.steps(platform, any, &mut problems));
        }
        match problems.0.iter().find(|_| problems.has_errors()) {
            None => Ok(number_names(steps)),
            Some(first) => Err(first.line()),
        }
    }

    fn secrets(&self) -> Vec<(SecretRef, Place)> {
        let own = self.built.iter().flat_map(Built::secrets);
        self.base.secrets().into_iter().chain(own).collect()
    }

    fn print(&self, print: &mut Print) {
        self.base.print(print);
        for it in &self.built {
            print.text(&it.recipe.name);
            print.debug(&it.values.map);
            for step in &*it.recipe.steps {
                print.node(step);
            }
            print.text("");
        }
    }

    fn workdir(&self, stamp: &SourceStamp) -> Result<String, String> {
        self.base.workdir(stamp)
    }
}
