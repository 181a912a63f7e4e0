//! Recipes: files `factories/NAME.toml` that build on a registered type or on
//! another recipe. A recipe has parameters, sets some of what it extends, and
//! adds steps; `{{ … }}` in its texts is filled in when the file is loaded.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::expr;
use crate::expr::Fillings;
use crate::syntax;
use crate::syntax::Asked;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::same;
use crate::syntax::toml;

use super::Known;
use super::params::Param;

/// A recipe by its name.
macro_rules! built_in {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../factories/", $name, ".toml")),
        )
    };
}

/// The names of the recipes that need no file.
#[cfg(test)]
pub(crate) fn shipped_names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(name, _)| *name)
}

/// The recipes that need no file.
const BUILT_IN: &[(&str, &str)] = &[
    built_in!("autobot"),
    built_in!("basic_build_factory"),
    built_in!("basic_svn"),
    built_in!("cargo"),
    built_in!("cmake"),
    built_in!("cpan"),
    built_in!("distutils"),
    built_in!("go"),
    built_in!("gradle"),
    built_in!("hello"),
    built_in!("maven"),
    built_in!("meson"),
    built_in!("npm"),
    built_in!("pytest"),
    built_in!("quick_build_factory"),
    built_in!("toolbox"),
    built_in!("tox"),
    built_in!("trial"),
];

/// What Buildbot and autobot 0.1.1 call a factory, and what it is here.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("build_factory", "source"),
    ("configurable_build_factory", "source"),
    ("basic", "basic_build_factory"),
    ("quick", "quick_build_factory"),
    ("source_factory", "source"),
    ("virtualenv_factory", "virtualenv"),
    ("python_source_factory", "python_source"),
];

/// The factory that `name` is another name of, in any spelling: `BasicSVN`, `CPAN`.
pub(super) fn other_name(name: &str) -> Option<&'static str> {
    let is_it = |it: &str| it != name && same(it, name);
    let other = OTHER_NAMES.iter().find(|(it, _)| same(it, name));
    let spelling = || BUILT_IN.iter().find(|(it, _)| is_it(it));
    other
        .map(|(_, it)| *it)
        .or_else(|| spelling().map(|(it, _)| *it))
}

/// Longer than any recipe that a person writes.
const LONGEST: u64 = 1 << 20;

/// Looks for `NAME.toml` in `dirs` in their order, then in the binary.
pub(crate) fn find(name: &str, dirs: &[PathBuf]) -> io::Result<Option<Arc<Source>>> {
    // A name is no path: it comes from a section, and from the command line.
    let is_word = |it: char| it.is_alphanumeric() || matches!(it, '_' | '-' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(is_word) {
        return Ok(None);
    }
    for dir in dirs {
        let path = dir.join(format!("{name}.toml"));
        match load(&path) {
            Ok(text) => return Ok(Some(Source::new(path.display().to_string(), dir, text))),
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let built_in = BUILT_IN.iter().find(|(it, _)| *it == name);
    Ok(built_in
        .map(|(name, text)| Source::new(format!("(built in) factories/{name}.toml"), "", *text)))
}

/// Whether [`find`] finds something.
pub(super) fn is_there(name: &str, dirs: &[PathBuf]) -> bool {
    !matches!(find(name, dirs), Ok(None))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn load(path: &Path) -> io::Result<String> {
    if fs::metadata(path)?.len() > LONGEST {
        let what = "the file is longer than 1 MiB";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, what));
    }
    fs::read_to_string(path)
}

/// The recipes in `dirs` and in the binary.
pub(super) fn all(dirs: &[PathBuf]) -> BTreeMap<String, Known> {
    let mut names: Vec<String> = BUILT_IN
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    for dir in dirs {
        let files = fs::read_dir(dir).into_iter().flatten().flatten();
        names.extend(files.filter_map(|file| {
            let path = PathBuf::from(file.file_name());
            let is_recipe = path.extension().is_some_and(|it| it == "toml");
            Some(path.file_stem()?.to_str()?.to_owned()).filter(|_| is_recipe)
        }));
    }
    let mut all = BTreeMap::new();
    for name in names {
        if let Ok(Some(source)) = find(&name, dirs) {
            // What is wrong with a recipe is told to who uses it.
            let recipe = Recipe::read(&name, &source, &mut Problems::default());
            let known = recipe.map(Recipe::known);
            let nameless = known.unwrap_or_default();
            all.insert(
                name.clone(),
                Known {
                    name,
                    is_recipe: true,
                    ..nameless
                },
            );
        }
    }
    all
}

/// A recipe as its file says it.
pub(super) struct Recipe {
    pub(super) name: String,
    source: Arc<Source>,
    description: String,
    /// INI lines of a section, without which it is no project.
    example: String,
    /// What it builds on, and where it says so.
    pub(super) extends: (String, Place),
    params: Vec<Param>,
    /// Keys that it sets for what it extends.
    pub(super) sets: Vec<Entry>,
    pub(super) steps: Arc<Vec<Node>>,
}

impl Recipe {
    pub(super) fn read(name: &str, source: &Arc<Source>, problems: &mut Problems) -> Option<Self> {
        let mut found = Problems::default();
        let recipe = Self::read_into(name, source, &mut found);
        let is_good = !found.has_errors();
        problems.append(found);
        recipe.filter(|_| is_good)
    }

    fn read_into(name: &str, source: &Arc<Source>, problems: &mut Problems) -> Option<Self> {
        let entries = toml::read(source, problems);
        let top = Place::new(source, 0..0);
        let title = format!("the recipe `{name}`");
        let mut keys = Keys::of_entries(&title, &top, &entries, problems);
        let description = keys.or("description", String::new());
        let example = keys.or("example", String::new());
        let extends = keys.or("extends", "source".to_owned());
        let extends_place = keys.place("extends");
        let params = keys.optional::<Node>("params")?;
        let steps = keys.optional::<Node>("steps")?;
        let sets = keys.rest();
        let params = match params {
            Some(node) => Param::read_all(&node, problems),
            None => Some(Vec::new()),
        };
        let steps = match steps {
            Some(node) => tables_of(node, problems),
            None => Some(Arc::default()),
        };
        Some(Self {
            name: name.to_owned(),
            source: Arc::clone(source),
            description: description?,
            example: example?,
            extends: (extends?, extends_place),
            params: params?,
            sets,
            steps: steps?,
        })
    }

    /// The steps that a section of the configuration has itself.
    pub(super) fn in_place(
        name: &str,
        place: &Place,
        extends: (String, Place),
        steps: Node,
        problems: &mut Problems,
    ) -> Option<Self> {
        let steps = match &steps.content {
            Content::Text(text) => match syntax::json(&steps, text) {
                Ok(read) => read,
                Err(misread) => {
                    let at = misread.place.as_ref().unwrap_or(&steps.place);
                    let what = "bad value for `steps`";
                    let problem = Problem::error(Code::BadValue, what).at(at);
                    problems.note(problem.label(misread.what.unwrap_or_default()));
                    return None;
                }
            },
            _ => steps,
        };
        Some(Self {
            name: name.to_owned(),
            source: Arc::clone(&place.source),
            description: String::new(),
            example: String::new(),
            extends,
            params: Vec::new(),
            sets: Vec::new(),
            steps: tables_of(steps, problems)?,
        })
    }

    fn known(self) -> Known {
        Known {
            name: self.name,
            summary: self.description,
            example: self.example.trim().to_owned(),
            params: self.params.into_iter().map(Param::known).collect(),
            extends: Some(self.extends.0),
            is_recipe: true,
        }
    }

    /// The file.
    pub(super) fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Takes its parameters, which were read before.
    pub(super) fn take_params(&self, keys: &mut Keys<'_>) {
        self.params.iter().for_each(|it| it.take(keys));
    }

    /// What it asks a section for.
    pub(super) fn asked(&self) -> impl Iterator<Item = Asked> {
        self.params.iter().map(Param::asked)
    }

    /// Takes the parameters from a section.
    pub(super) fn values(&self, keys: &mut Keys<'_>) -> Option<Fillings> {
        let mut values = Fillings::default();
        let mut is_good = true;
        for param in &self.params {
            match param.value(keys) {
                Some(value) => {
                    let place = keys.set_at(&param.name);
                    values.set(&param.name, value, place.as_ref());
                }
                None => is_good = false,
            }
        }
        is_good.then_some(values)
    }

    /// What it sets for what it extends.
    pub(super) fn set_for_base(
        &self,
        values: &Fillings,
        problems: &mut Problems,
    ) -> Option<Vec<Entry>> {
        expr::fill_entries(&self.sets, values, problems)
    }
}

fn tables_of(node: Node, problems: &mut Problems) -> Option<Arc<Vec<Node>>> {
    let is_table = |it: &Node| matches!(it.content, Content::Table(_));
    match node.content {
        Content::List(all) if all.iter().all(is_table) => Some(all),
        _ => {
            let problem =
                Problem::error(Code::BadRecipe, "`steps` is a list of tables").at(&node.place);
            problems.note(problem.label("expected `[[steps]]` before each step"));
            None
        }
    }
}
