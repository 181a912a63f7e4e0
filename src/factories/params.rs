//! The parameters of a recipe: what it declares, and what a section says for them.

use serde_json::Value as Json;

use crate::syntax::Asked;
use crate::syntax::Code;
use crate::syntax::Content;
use crate::syntax::Entry;
use crate::syntax::Keys;
use crate::syntax::Misread;
use crate::syntax::Node;
use crate::syntax::Problem;
use crate::syntax::Problems;
use crate::syntax::Shape;
use crate::syntax::Value;

use super::KnownParam;

/// A parameter as a recipe declares it.
pub(super) struct Param {
    pub(super) name: String,
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

impl Param {
    /// Reads `[params]`: each a table with `type`, `default` and `help`, or just the default.
    pub(super) fn read_all(node: &Node, problems: &mut Problems) -> Option<Vec<Self>> {
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

    /// What a section is asked for.
    pub(super) fn asked(&self) -> Asked {
        Asked {
            name: self.name.clone(),
            older: Vec::new(),
            shape: self.kind.shape(),
            required: self.default.is_none(),
        }
    }

    /// As lists have it.
    pub(super) fn known(self) -> KnownParam {
        KnownParam {
            default: match self.default {
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
            name: self.name,
            help: self.help,
        }
    }

    /// Takes its value, which was read before.
    pub(super) fn take(&self, keys: &mut Keys<'_>) {
        match self.kind {
            ParamKind::Map => drop(keys.map::<Node>(&self.name)),
            _ => drop(keys.node(&self.name)),
        }
    }

    /// Takes its value from a section.
    pub(super) fn value(&self, keys: &mut Keys<'_>) -> Option<Json> {
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
