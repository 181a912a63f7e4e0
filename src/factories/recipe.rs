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

use serde_json::Value as Json;
use serde_json::json;

use crate::expr;
use crate::expr::Fillings;
use crate::model::Platform;
use crate::model::SecretRef;
use crate::model::SourceStamp;
use crate::steps;
use crate::steps::StepPlan;
use crate::syntax;
use crate::syntax::Asked;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Place;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Shape;
use crate::syntax::Source;
use crate::syntax::Value;
use crate::syntax::same;
use crate::syntax::toml;

use super::Factory;
use super::Known;
use super::KnownParam;
use super::Print;
use super::Repository;
use super::number_names;

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
    sets: Vec<Entry>,
    steps: Arc<Vec<Node>>,
}

struct Param {
    name: String,
    kind: ParamKind,
    default: Option<Json>,
    help: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ParamKind {
    Text,
    Int,
    Bool,
    List,
    Command,
    Map,
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
        let example = keys.or("example", String::new());
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
        let param = |it: Param| KnownParam {
            default: match it.default {
                None => None,
                Some(Json::Null) => Some("none".to_owned()),
                Some(Json::Bool(true)) => Some("yes".to_owned()),
                Some(Json::Bool(false)) => Some("no".to_owned()),
                Some(Json::String(text)) => Some(text),
                Some(Json::Array(all)) => {
                    let words = all.iter().filter_map(Json::as_str);
                    Some(words.collect::<Vec<_>>().join(" "))
                }
                Some(other) => Some(other.to_string()),
            },
            name: it.name,
            help: it.help,
        };
        Known {
            name: self.name,
            summary: self.description,
            example: self.example.trim().to_owned(),
            params: self.params.into_iter().map(param).collect(),
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
        for param in &self.params {
            match param.kind {
                ParamKind::Map => drop(keys.map::<Node>(&param.name)),
                _ => drop(keys.node(&param.name)),
            }
        }
    }

    /// What it asks a section for.
    pub(super) fn asked(&self) -> impl Iterator<Item = Asked> {
        self.params.iter().map(|it| Asked {
            name: it.name.clone(),
            older: Vec::new(),
            shape: it.kind.shape(),
            required: it.default.is_none(),
        })
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

impl Param {
    fn value(&self, keys: &mut Keys<'_>) -> Option<Json> {
        match &self.default {
            Some(default) => Some(match self.kind {
                ParamKind::Text => keys
                    .optional::<ParamText>(&self.name)?
                    .map(|it| it.0.into()),
                ParamKind::Int => keys.optional::<i64>(&self.name)?.map(Json::from),
                ParamKind::Bool => keys.optional::<bool>(&self.name)?.map(Json::from),
                ParamKind::List => keys.optional::<Vec<String>>(&self.name)?.map(Json::from),
                ParamKind::Command => keys.optional::<ParamCommand>(&self.name)?.map(|it| it.0),
                ParamKind::Map => Some(self.map(keys)?)
                    .filter(|it| !it.is_empty())
                    .map(Json::Object),
            })
            .map(|it| it.unwrap_or_else(|| default.clone())),
            None => match self.kind {
                ParamKind::Text => keys.required::<ParamText>(&self.name).map(|it| it.0.into()),
                ParamKind::Int => keys.required::<i64>(&self.name).map(Json::from),
                ParamKind::Bool => keys.required::<bool>(&self.name).map(Json::from),
                ParamKind::List => keys.required::<Vec<String>>(&self.name).map(Json::from),
                ParamKind::Command => keys.required::<ParamCommand>(&self.name).map(|it| it.0),
                ParamKind::Map => self.map(keys).map(Json::Object),
            },
        }
    }

    fn map(&self, keys: &mut Keys<'_>) -> Option<serde_json::Map<String, Json>> {
        let all = keys.map::<ParamText>(&self.name)?.into_iter();
        Some(all.map(|(key, value)| (key, value.0.into())).collect())
    }
}

/// A text that may refer to secrets: what it is filled into decides whether it may.
struct ParamText(String);

impl Value for ParamText {
    const EXPECTED: &'static str = String::EXPECTED;

    fn read(node: &Node) -> Result<Self, Misread> {
        Ok(Self(node.as_text()?.to_owned()))
    }
}

/// A command that is filled in where a step has its own, or `none`.
struct ParamCommand(Json);

impl Value for ParamCommand {
    const EXPECTED: &'static str = "a command, or `none`";
    const SHAPE: Shape = Shape::OrNone(&Shape::Command);

    fn read(node: &Node) -> Result<Self, Misread> {
        match &node.content {
            Content::Null => Ok(Self(Json::Null)),
            Content::Text(text) if text.eq_ignore_ascii_case("none") => Ok(Self(Json::Null)),
            Content::Text(text) => Ok(Self(text.as_str().into())),
            _ => Vec::<String>::read(node).map(|it| Self(it.into())),
        }
    }
}

/// Reads `[params]`: each a table with `type`, `default` and `help`, or just the default.
fn params_of(node: &Node, problems: &mut Problems) -> Option<Vec<Param>> {
    let Content::Table(entries) = &node.content else {
        problems.note(
            Problem::error(
                Code::BadRecipe,
                "`params` is a table, one entry a parameter",
            )
            .at(&node.place),
        );
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
        let problem = Problem::error(
            Code::BadName,
            format!("`{name}` cannot be the name of a parameter"),
        );
        problems.note(
            problem
                .at(&entry.key_place)
                .label("expected a word such as `jobs`"),
        );
        return None;
    }
    let mut help = String::new();
    let (kind, default) = match &entry.value.content {
        Content::Table(table) => {
            let title = format!("the parameter `{name}`");
            let mut keys = Keys::of_entries(&title, &entry.key_place, table, problems);
            let kind = keys.optional::<ParamKind>("type");
            let default = keys.optional::<Node>("default");
            let told = keys.or("help", String::new());
            keys.finish();
            help = told?;
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
                let problem = Problem::error(
                    Code::BadValue,
                    format!("bad default of the parameter `{name}`"),
                );
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
        help,
    })
}

impl ParamKind {
    const fn of(content: &Content) -> Option<Self> {
        match content {
            Content::Text(_) => Some(Self::Text),
            Content::Int(_) => Some(Self::Int),
            Content::Bool(_) => Some(Self::Bool),
            Content::List(_) => Some(Self::List),
            Content::Table(_) => Some(Self::Map),
            Content::Float(_) | Content::Null | Content::Edited(_) => None,
        }
    }

    fn read(self, node: &Node) -> Option<Json> {
        match self {
            Self::Text => ParamText::read(node).map(|it| it.0.into()),
            Self::Int => i64::read(node).map(Json::from),
            Self::Bool => bool::read(node).map(Json::from),
            Self::List => Vec::<String>::read(node).map(Json::from),
            Self::Command => ParamCommand::read(node).map(|it| it.0),
            Self::Map => {
                let Content::Table(entries) = &node.content else {
                    return None;
                };
                let pair = |it: &Entry| Some((it.key.clone(), it.value.as_text().ok()?.into()));
                return entries
                    .iter()
                    .map(pair)
                    .collect::<Option<_>>()
                    .map(Json::Object);
            }
        }
        .ok()
    }

    const fn shape(self) -> Shape {
        match self {
            Self::Text => String::SHAPE,
            Self::Int => i64::SHAPE,
            Self::Bool => bool::SHAPE,
            Self::List => <Vec<String> as Value>::SHAPE,
            Self::Command => ParamCommand::SHAPE,
            Self::Map => Shape::Map(&String::SHAPE),
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Text => String::EXPECTED,
            Self::Int => i64::EXPECTED,
            Self::Bool => bool::EXPECTED,
            Self::List => <Vec<String> as Value>::EXPECTED,
            Self::Command => ParamCommand::EXPECTED,
            Self::Map => "a table of texts",
        }
    }
}

impl Value for ParamKind {
    const EXPECTED: &'static str = "`string`, `int`, `bool`, `list`, `command` or `map`";
    const SHAPE: Shape = Shape::Word(&["string", "int", "bool", "list", "command", "map"]);

    fn read(node: &Node) -> Result<Self, Misread> {
        match node.as_text()? {
            "string" | "str" => Ok(Self::Text),
            "int" => Ok(Self::Int),
            "bool" => Ok(Self::Bool),
            "list" => Ok(Self::List),
            "command" => Ok(Self::Command),
            "map" => Ok(Self::Map),
            _ => Err(Misread::default()),
        }
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
