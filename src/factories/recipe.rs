//! Recipes: files `factories/NAME.toml` that build on a registered type or on
//! another recipe. A recipe has parameters, sets some of what it extends, and
//! adds steps; `{{ … }}` in its texts is filled in when the file is loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use crate::expr;
use crate::model::Platform;
use crate::steps;
use crate::steps::StepPlan;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Source;
use crate::syntax::Value;
use crate::syntax::toml;

use super::Factory;
use super::Repository;
use super::number_names;

/// The recipes that need no file.
const BUILT_IN: &[(&str, &str)] = &[
    ("autobot", include_str!("../../factories/autobot.toml")),
    ("hello", include_str!("../../factories/hello.toml")),
    ("toolbox", include_str!("../../factories/toolbox.toml")),
];

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

/// The recipes in `dirs` and in the binary, each with its description.
pub(super) fn all(dirs: &[PathBuf]) -> BTreeMap<String, String> {
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
            all.insert(name, recipe.map(|it| it.description).unwrap_or_default());
        }
    }
    all
}

/// A recipe as its file says it.
pub(super) struct Recipe {
    pub(super) name: String,
    source: Arc<Source>,
    description: String,
    /// What it builds on, and where it says so.
    pub(super) extends: (String, Place),
    params: Vec<Param>,
    /// Keys that it sets for what it extends.
    sets: Vec<Entry>,
    steps: Vec<Node>,
}

struct Param {
    name: String,
    kind: ParamKind,
    default: Option<Json>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParamKind {
    Text,
    Int,
    Bool,
    List,
}

/// Names that mean something else.
const RESERVED: &[&str] = &["type", "platform"];

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
        let extends = keys.or("extends", "source".to_owned());
        let extends_place = keys.place("extends");
        let params = keys.optional::<Node>("params")?;
        let steps = keys.optional::<Node>("steps")?;
        let sets = keys.rest();
        let params = match params {
            Some(node) => params_of(&node, problems),
            None => Some(Vec::new()),
        };
        let steps = match steps {
            Some(node) => tables_of(node, problems),
            None => Some(Vec::new()),
        };
        Some(Self {
            name: name.to_owned(),
            source: Arc::clone(source),
            description: description?,
            extends: (extends?, extends_place),
            params: params?,
            sets,
            steps: steps?,
        })
    }

    /// The names of its parameters.
    pub(super) fn params(&self) -> impl Iterator<Item = &str> {
        self.params.iter().map(|it| it.name.as_str())
    }

    /// Takes the parameters from a section.
    pub(super) fn values(&self, keys: &mut Keys<'_>) -> Option<Map<String, Json>> {
        let mut values = Map::new();
        let mut is_good = true;
        for param in &self.params {
            match param.value(keys) {
                Some(value) => {
                    values.insert(param.name.clone(), value);
                }
                None => is_good = false,
            }
        }
        is_good.then_some(values)
    }

    /// What it sets for what it extends.
    pub(super) fn set_for_base(
        &self,
        values: &Map<String, Json>,
        problems: &mut Problems,
    ) -> Option<Vec<Entry>> {
        filled_entries(&self.sets, values, problems)
    }
}

impl Param {
    fn value(&self, keys: &mut Keys<'_>) -> Option<Json> {
        match &self.default {
            Some(default) => Some(match self.kind {
                ParamKind::Text => keys.optional::<String>(&self.name)?.map(Json::from),
                ParamKind::Int => keys.optional::<i64>(&self.name)?.map(Json::from),
                ParamKind::Bool => keys.optional::<bool>(&self.name)?.map(Json::from),
                ParamKind::List => keys.optional::<Vec<String>>(&self.name)?.map(Json::from),
            })
            .map(|it| it.unwrap_or_else(|| default.clone())),
            None => match self.kind {
                ParamKind::Text => keys.required::<String>(&self.name).map(Json::from),
                ParamKind::Int => keys.required::<i64>(&self.name).map(Json::from),
                ParamKind::Bool => keys.required::<bool>(&self.name).map(Json::from),
                ParamKind::List => keys.required::<Vec<String>>(&self.name).map(Json::from),
            },
        }
    }
}

/// Reads `[params]`: each a table with `type`, `default` and `help`, or just the default.
fn params_of(node: &Node, problems: &mut Problems) -> Option<Vec<Param>> {
    let Content::Table(entries) = &node.content else {
        problems.note(Problem::error("`params` is a table, one entry a parameter").at(&node.place));
        return None;
    };
    let params: Vec<_> = entries.iter().map(|it| param_of(it, problems)).collect();
    params.into_iter().collect()
}

fn param_of(entry: &Entry, problems: &mut Problems) -> Option<Param> {
    let name = entry.key.clone();
    let mut chars = name.chars();
    let starts_well = chars
        .next()
        .is_some_and(|it| it.is_ascii_alphabetic() || it == '_');
    let is_name = starts_well && chars.all(|it| it.is_ascii_alphanumeric() || it == '_');
    if !is_name || RESERVED.contains(&name.as_str()) {
        let problem = Problem::error(format!("`{name}` cannot be the name of a parameter"));
        problems.note(
            problem
                .at(&entry.key_place)
                .label("expected a word such as `jobs`"),
        );
        return None;
    }
    let (kind, default) = match &entry.value.content {
        Content::Table(table) => {
            let title = format!("the parameter `{name}`");
            let mut keys = Keys::of_entries(&title, &entry.key_place, table, problems);
            let kind = keys.optional::<ParamKind>("type");
            let default = keys.optional::<Node>("default");
            keys.optional::<String>("help");
            keys.finish();
            let default = default?;
            let kind = kind?.or_else(|| ParamKind::of(&default.as_ref()?.content));
            (kind.unwrap_or(ParamKind::Text), default)
        }
        content => {
            let kind = ParamKind::of(content).unwrap_or(ParamKind::Text);
            (kind, Some(entry.value.clone()))
        }
    };
    let default = match default {
        None => None,
        Some(node) => match kind.read(&node) {
            Some(value) => Some(value),
            None => {
                let problem = Problem::error(format!("bad default of the parameter `{name}`"));
                problems.note(
                    problem
                        .at(&node.place)
                        .label(format!("expected {}", kind.expected())),
                );
                return None;
            }
        },
    };
    Some(Param {
        name,
        kind,
        default,
    })
}

impl ParamKind {
    const fn of(content: &Content) -> Option<Self> {
        match content {
            Content::Text(_) => Some(Self::Text),
            Content::Int(_) => Some(Self::Int),
            Content::Bool(_) => Some(Self::Bool),
            Content::List(_) => Some(Self::List),
            Content::Float(_) | Content::Null | Content::Table(_) => None,
        }
    }

    fn read(self, node: &Node) -> Option<Json> {
        match self {
            Self::Text => String::read(node).map(Json::from),
            Self::Int => i64::read(node).map(Json::from),
            Self::Bool => bool::read(node).map(Json::from),
            Self::List => Vec::<String>::read(node).map(Json::from),
        }
        .ok()
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Text => String::EXPECTED,
            Self::Int => i64::EXPECTED,
            Self::Bool => bool::EXPECTED,
            Self::List => <Vec<String> as Value>::EXPECTED,
        }
    }
}

impl Value for ParamKind {
    const EXPECTED: &'static str = "`string`, `int`, `bool` or `list`";

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "string" | "str" => Ok(Self::Text),
            "int" => Ok(Self::Int),
            "bool" => Ok(Self::Bool),
            "list" => Ok(Self::List),
            _ => Err(Misread::default()),
        }
    }
}

fn tables_of(node: Node, problems: &mut Problems) -> Option<Vec<Node>> {
    let is_table = |it: &Node| matches!(it.content, Content::Table(_));
    match node.content {
        Content::List(all) if all.iter().all(is_table) => Some(all),
        _ => {
            let problem = Problem::error("`steps` is a list of tables").at(&node.place);
            problems.note(problem.label("expected `[[steps]]` before each step"));
            None
        }
    }
}

/// Fills in the texts of `entries`; `None` if one cannot be.
fn filled_entries(
    entries: &[Entry],
    values: &Map<String, Json>,
    problems: &mut Problems,
) -> Option<Vec<Entry>> {
    let filled: Vec<_> = entries
        .iter()
        .map(|entry| {
            Some(Entry {
                value: filled(&entry.value, values, problems)?,
                ..entry.clone()
            })
        })
        .collect();
    filled.into_iter().collect()
}

fn filled(node: &Node, values: &Map<String, Json>, problems: &mut Problems) -> Option<Node> {
    let content = match &node.content {
        Content::Text(text) => match expr::fill(text, values) {
            Ok(text) => Content::Text(text),
            Err(error) => {
                let place = match error.at {
                    Some(at) => node.part(text, at),
                    None => node.place.clone(),
                };
                problems.note(
                    Problem::error("bad `{{ … }}` in a recipe")
                        .at(&place)
                        .label(error.what),
                );
                return None;
            }
        },
        Content::List(all) => {
            let all: Vec<_> = all.iter().map(|it| filled(it, values, problems)).collect();
            Content::List(all.into_iter().collect::<Option<_>>()?)
        }
        Content::Table(all) => Content::Table(filled_entries(all, values, problems)?),
        Content::Int(_) | Content::Float(_) | Content::Bool(_) | Content::Null => {
            node.content.clone()
        }
    };
    Some(Node {
        place: node.place.clone(),
        content,
    })
}

/// A recipe with its parameters.
pub(super) struct Built {
    pub(super) recipe: Recipe,
    pub(super) values: Map<String, Json>,
}

impl Built {
    /// Its own steps for a slave of this platform.
    fn steps(&self, platform: &Platform, problems: &mut Problems) -> Vec<StepPlan> {
        let mut values = self.values.clone();
        let about = json!({
            "os": platform.os,
            "arch": platform.arch,
            "bits": platform.bits,
            "version": platform.version,
            "hostname": platform.hostname,
        });
        values.insert("platform".into(), about);
        let mut steps = Vec::new();
        for node in &self.recipe.steps {
            if let Some(node) = filled(node, &values, problems)
                && let Content::Table(entries) = &node.content
            {
                let keys = Keys::of_entries("[[steps]]", &node.place, entries, problems);
                steps.extend(steps::read(keys));
            }
        }
        steps
    }
}

impl fmt::Debug for Built {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipe")
            .field("name", &self.recipe.name)
            .field("values", &self.values)
            .field("text", &self.recipe.source.text)
            .finish()
    }
}

/// What the recipes make of `base`; `built` is outermost first. Their steps are read
/// once now, so that mistakes are told when the file is loaded.
pub(super) fn factory(
    base: Arc<dyn Factory>,
    mut built: Vec<Built>,
    problems: &mut Problems,
) -> Option<Arc<dyn Factory>> {
    built.reverse();
    let some_platform = Platform {
        os: "linux".into(),
        arch: "x86_64".into(),
        bits: 64,
        ..Platform::default()
    };
    let mut found = Problems::default();
    for it in &built {
        it.steps(&some_platform, &mut found);
    }
    let is_good = !found.has_errors();
    problems.append(found);
    is_good.then(|| Arc::new(FromRecipe { base, built }) as Arc<dyn Factory>)
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
            steps.extend(it.steps(platform, &mut problems));
        }
        match problems.0.iter().find(|_| problems.has_errors()) {
            None => Ok(number_names(steps)),
            Some(first) => Err(first.line()),
        }
    }

    fn workdir(&self) -> &str {
        self.base.workdir()
    }
}
