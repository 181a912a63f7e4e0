//! From a section to its factory: a registered type, or recipes down to one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::expr::Fillings;
use crate::steps::StepPlan;
use crate::syntax::Asked;
use crate::syntax::Code;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Questions;
use crate::syntax::Referred;
use crate::syntax::Section;
use crate::syntax::Shape;
use crate::syntax::Source;
use crate::syntax::same;

use super::Factory;
use super::FactoryKind;
use super::KINDS;
use super::Known;
use super::KnownParam;
use super::filled;
use super::filled::Built;
use super::filled::some_platform;
use super::recipe;
use super::recipe::Recipe;

/// The factories that a configuration may name. A recipe is read once, however
/// many sections use it.
pub(crate) struct Library {
    /// Where recipes are looked for, the nearest first.
    dirs: Vec<PathBuf>,
    recipes: Mutex<BTreeMap<String, Arc<Recipe>>>,
}

/// What a section says of its factory.
#[derive(Default)]
pub(crate) struct Reading {
    /// `None` if something is wrong with it.
    pub(crate) factory: Option<Arc<dyn Factory>>,
    /// Its steps on some platform, for checks.
    pub(crate) steps: Vec<StepPlan>,
    /// Entries that it does not know.
    pub(crate) left: Vec<Entry>,
    /// The keys that it knows.
    pub(crate) asked: Questions,
    /// The properties that its parameters refer to.
    pub(crate) references: Vec<Referred>,
    /// Whether no recipe had a say, which another file may change.
    pub(crate) is_lasting: bool,
}

impl Library {
    /// Recipes are looked for in `dirs`, then in the binary.
    pub(crate) fn new(dirs: Vec<PathBuf>) -> Self {
        Self {
            dirs,
            recipes: Mutex::default(),
        }
    }

    /// Every factory, by name: for lists and suggestions.
    pub(crate) fn known(&self) -> Vec<Known> {
        let mut known: Vec<_> = KINDS.iter().map(known_kind).collect();
        for (name, recipe) in recipe::all(&self.dirs) {
            if !known.iter().any(|it| it.name == name) {
                known.push(recipe);
            }
        }
        known.sort_by(|a, b| a.name.cmp(&b.name));
        known
    }

    /// The files that were read.
    pub(crate) fn files(&self) -> Vec<Arc<Source>> {
        let recipes = self.recipes.lock().unwrap_or_else(PoisonError::into_inner);
        let sources = recipes.values().map(|it| Arc::clone(it.source()));
        sources
            .filter(|it| !it.dir.as_os_str().is_empty())
            .collect()
    }

    /// Reads the factory of a section. Its type is what `type` says, or what the
    /// section is called. `axes` are known to the `{{ … }}` of recipes. What
    /// the factory does not know is left for others to look at.
    pub(crate) fn read(
        &self,
        section: &Section,
        axes: &Fillings,
        problems: &mut Problems,
    ) -> Reading {
        self.try_read(section, axes, problems).unwrap_or_default()
    }

    fn try_read(
        &self,
        section: &Section,
        axes: &Fillings,
        problems: &mut Problems,
    ) -> Option<Reading> {
        let mut keys = Keys::of(section, problems);
        let steps = keys.node("steps");
        let own_name = section.own_name.as_str();
        // A section with steps of its own builds on `source`, if it says nothing else.
        let usual = match &steps {
            Some(_) => "source",
            None => own_name,
        };
        let name = keys.or("type", usual.to_owned())?;
        let place = match keys.has("type") {
            true => keys.place("type"),
            false => section.place.clone(),
        };
        let (kind, mut recipes) = self.resolve(&name, &place, problems)?;
        let is_lasting = recipes.is_empty();
        if let Some(steps) = steps {
            let own = Recipe::in_place(own_name, &section.place, (name, place), steps, problems)?;
            recipes.insert(0, Arc::new(own));
        }
        let Some((sets, built)) = fill(section, &recipes, axes, problems) else {
            // What the recipes leave unset is told; what the type says of the
            // rest would be noise, but not which keys it does not know.
            let mut quiet = Problems::default();
            let mut keys = layered(section, &[], &mut quiet);
            ask_for_params(&mut keys, recipes.iter().map(|it| &**it));
            (kind.read)(&mut keys);
            let (left, asked) = keys.leftover();
            return Some(Reading {
                left,
                asked,
                ..Reading::default()
            });
        };
        let mut keys = layered(section, &sets, problems);
        ask_for_params(&mut keys, built.iter().map(|it| &*it.recipe));
        let base = (kind.read)(&mut keys);
        let references = keys.references();
        let (left, asked) = keys.leftover();
        let mut reading = Reading {
            left,
            asked,
            references,
            is_lasting,
            ..Reading::default()
        };
        let Some(base) = base else {
            return Some(reading);
        };
        let tried = match built.is_empty() {
            true => {
                let steps = base.steps(&some_platform());
                Some((base, steps))
            }
            false => filled::factory(base, built, problems),
        };
        let Some((factory, steps)) = tried else {
            return Some(reading);
        };
        match steps {
            Ok(steps) => {
                reading.steps = steps;
                reading.factory = Some(factory);
            }
            Err(what) => {
                let what = format!("no steps can be made of [{}]: {what}", section.name);
                let problem = Problem::error(Code::BadRecipe, what);
                problems.note(problem.at(&section.place));
            }
        }
        Some(reading)
    }

    /// The type under `name`, and the recipes that lead there, outermost first.
    fn resolve(
        &self,
        name: &str,
        place: &Place,
        problems: &mut Problems,
    ) -> Option<(&'static FactoryKind, Vec<Arc<Recipe>>)> {
        let mut recipes: Vec<Arc<Recipe>> = Vec::new();
        let mut name = name.to_owned();
        let mut place = place.clone();
        loop {
            if let Some(kind) = KINDS.iter().find(|it| same(it.name, &name)) {
                return Some((kind, recipes));
            }
            if recipes.iter().any(|it| it.name == name) {
                let mut road: Vec<_> = recipes.iter().map(|it| it.name.as_str()).collect();
                road.push(&name);
                let what = format!(
                    "the recipes extend each other in a circle: {}",
                    road.join(" → ")
                );
                problems.note(Problem::error(Code::Circle, what).at(&place));
                return None;
            }
            // A file of that name goes before.
            if let Some(ours) = recipe::other_name(&name)
                && !recipe::is_there(&name, &self.dirs)
            {
                name = ours.to_owned();
                continue;
            }
            let recipe = self.recipe(&name, &place, problems)?;
            (name, place) = recipe.extends.clone();
            recipes.push(recipe);
        }
    }

    fn recipe(&self, name: &str, place: &Place, problems: &mut Problems) -> Option<Arc<Recipe>> {
        // Held while the file is read: who needs it too waits for that.
        let mut recipes = self.recipes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recipes.get(name) {
            return Some(Arc::clone(known));
        }
        let source = match recipe::find(name, &self.dirs) {
            Ok(Some(source)) => source,
            Ok(None) => {
                let known = self.known();
                let names: Vec<_> = known.iter().map(|it| format!("`{}`", it.name)).collect();
                let problem =
                    Problem::error(Code::UnknownFactory, format!("unknown factory `{name}`"))
                        .at(place)
                        .did_you_mean(name, known.iter().map(|it| &it.name))
                        .help(format!("the known ones are {}", names.join(", ")));
                problems.note(problem);
                return None;
            }
            Err(error) => {
                let what = format!("the recipe `{name}` cannot be read");
                let problem = Problem::error(Code::BadRecipe, what).at(place);
                problems.note(problem.label(error.to_string()));
                return None;
            }
        };
        let recipe = Arc::new(Recipe::read(name, &source, problems)?);
        recipes.insert(name.to_owned(), Arc::clone(&recipe));
        Some(recipe)
    }
}

/// A type as it is listed.
fn known_kind(kind: &FactoryKind) -> Known {
    let mut quiet = Problems::default();
    let nowhere = Place::new(&Source::new("", "", ""), 0..0);
    let mut keys = Keys::of_entries("", &nowhere, &[], &mut quiet);
    (kind.read)(&mut keys);
    let param = |it: Asked| KnownParam {
        name: it.name,
        default: None,
        help: String::new(),
    };
    Known {
        name: kind.name.to_owned(),
        summary: kind.summary.to_owned(),
        example: kind.example.to_owned(),
        params: keys.asked().into_iter().map(param).collect(),
        extends: None,
        is_recipe: false,
    }
}

/// The keys of a section with what recipes set below them, the outermost first.
fn layered<'a>(
    section: &'a Section,
    sets: &'a [Vec<Entry>],
    problems: &'a mut Problems,
) -> Keys<'a> {
    let title = format!("[{}]", section.name);
    let mut keys = Keys::of_entries(&title, &section.place, &section.entries, problems);
    for layer in section.inherited.iter().chain(sets) {
        keys = keys.with_inherited(layer);
    }
    keys.with_defaults(&section.defaults)
}

/// Takes what the recipes and the way to them have read.
fn ask_for_params<'a>(keys: &mut Keys<'_>, recipes: impl Iterator<Item = &'a Recipe>) {
    keys.optional::<String>("type");
    keys.also_known(vec![Asked {
        name: "steps".to_owned(),
        older: Vec::new(),
        shape: Shape::Json,
        required: false,
    }]);
    keys.node("steps");
    for recipe in recipes {
        keys.also_known(recipe.asked().collect());
        recipe.take_params(keys);
    }
}

/// Gives every recipe its parameters, with what the recipes above it set for it.
fn fill(
    section: &Section,
    recipes: &[Arc<Recipe>],
    axes: &Fillings,
    problems: &mut Problems,
) -> Option<(Vec<Vec<Entry>>, Vec<Built>)> {
    let mut sets: Vec<Vec<Entry>> = Vec::new();
    let mut built = Vec::new();
    let mut is_good = true;
    for recipe in recipes {
        let mut keys = layered(section, &sets, problems);
        let Some(mut values) = recipe.values(&mut keys) else {
            is_good = false;
            continue;
        };
        for (name, value) in &axes.map {
            if !values.map.contains_key(name) {
                values.set(name, value.clone(), axes.places.get(name));
            }
        }
        let Some(set) = recipe.set_for_base(&values, problems) else {
            is_good = false;
            continue;
        };
        sets.push(set);
        built.push(Built {
            recipe: Arc::clone(recipe),
            values,
        });
    }
    is_good.then_some((sets, built))
}

#[cfg(test)]
#[path = "read_tests.rs"]
pub(super) mod tests;
