//! A JSON Schema of the TOML form, for editors: from what the readers ask for
//! and what the manual says of it.

use serde_json::Map;
use serde_json::Value as Json;
use serde_json::json;

use super::catalogue::Catalogue;
use super::manual;
use super::manual::Page;
use super::sections;
use super::sections::Kind;
use crate::syntax::Asked;
use crate::syntax::Shape;

const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// What `master.toml` may say.
pub(super) fn of_configuration(catalogue: &dyn Catalogue) -> Json {
    let mut defs = definitions(catalogue);
    let pages = manual::sections(catalogue);
    let mut properties = Map::new();
    for kind in sections::KINDS {
        let types = manual::of_types(kind.kind, catalogue);
        if kind.kind != Kind::Factory && !types.is_empty() {
            let mut all = Vec::new();
            let mut words = Vec::new();
            for page in &types {
                let names = page.names();
                all.push(if_type(&names, &page.name));
                words.extend(names);
                defs.insert(page.name.clone(), table(page, false));
            }
            let kinds = json!({
                "type": "string",
                "description": "What it is.",
                "anyOf": spellings(&words),
            });
            defs.insert(kind.word.to_owned(), with_type(kinds, all));
        }
        let one = match pages.iter().find(|it| it.name == kind.word) {
            _ if !types.is_empty() => reference(kind.word),
            Some(page) => {
                defs.insert(kind.word.to_owned(), table(page, false));
                reference(kind.word)
            }
            None => json!({ "type": "object" }),
        };
        let mut section = match (kind.is_alone, kind.kind) {
            (true, _) => one,
            (false, Kind::Factory) => {
                let names = catalogue.names();
                let all = names.into_iter().map(|it| (it.clone(), it));
                named(kind.word, all, &one, None)
            }
            (false, _) if !types.is_empty() => {
                let all = types.iter().flat_map(|page| {
                    let names = page.names().into_iter();
                    names.map(|it| (it.to_owned(), page.own_name().to_owned()))
                });
                let usual = (kind.kind == Kind::Scheduler).then_some("single_branch");
                named(kind.word, all, &one, usual)
            }
            (false, _) => json!({ "type": "object", "additionalProperties": one }),
        };
        section["description"] = kind.summary.into();
        for alias in kind.aliases {
            properties.insert((*alias).to_owned(), section.clone());
        }
        properties.insert(kind.word.to_owned(), section);
    }
    json!({
        "$schema": DRAFT,
        "title": "master.toml of autobot",
        "description": "Keys are spelled as the manual does; the program also takes them in other cases, with `-` and without `_`.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": defs,
    })
}

/// What `factories/NAME.toml` may say. What it sets for what it extends is
/// known only there.
pub(super) fn of_recipe(catalogue: &dyn Catalogue) -> Json {
    let mut defs = definitions(catalogue);
    defs.retain(|name, _| name.starts_with("step"));
    let param = json!({
        "type": ["object", "string", "integer", "boolean", "array"],
        "properties": {
            "type": { "enum": ["string", "str", "int", "bool", "list", "command", "map"], "description": "What its values are." },
            "default": { "description": "Its value where a section says nothing; without one it is required." },
            "help": { "type": "string", "description": "What it means." },
        },
        "additionalProperties": false,
    });
    json!({
        "$schema": DRAFT,
        "title": "A recipe of autobot, factories/NAME.toml",
        "type": "object",
        "properties": {
            "description": { "type": "string", "description": "What it builds, for lists." },
            "example": { "type": "string", "description": "Lines of a section, for a recipe that is no project by itself." },
            "extends": { "type": "string", "description": "The type or recipe that it builds on: `source` where it says nothing." },
            "params": { "type": "object", "description": "Its parameters, each a default or a table.", "additionalProperties": param },
            "steps": { "type": "array", "description": "Its steps, behind those of what it extends.", "items": reference("step") },
        },
        "$defs": defs,
    })
}

fn reference(name: &str) -> Json {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// What a section of a type, by its names, may say.
fn if_type(names: &[&str], def: &str) -> Json {
    json!({
        "if": { "properties": { "type": { "enum": names } }, "required": ["type"] },
        "then": reference(def),
    })
}

/// These words; one in another spelling, such as `SetProperty`, is known to the program.
fn spellings(words: &[&str]) -> Json {
    json!([{ "enum": words }, { "pattern": "[A-Z-]" }])
}

/// A section whose keys depend on its `type`.
fn with_type(kind: Json, of_type: Vec<Json>) -> Json {
    json!({ "type": "object", "properties": { "type": kind }, "allOf": of_type })
}

/// Factories and steps by type.
fn definitions(catalogue: &dyn Catalogue) -> Map<String, Json> {
    let mut defs = Map::new();
    let mut of_type = Vec::new();
    let pages = manual::of_types(Kind::Factory, catalogue);
    for name in catalogue.names() {
        let def = format!("factory.{name}");
        let table = match pages.iter().find(|it| it.name == def) {
            Some(page) => table(page, false),
            // A recipe: its parameters, and all that stands in any factory's section.
            None => {
                let keys = manual::of_type(Kind::Factory, &name, catalogue);
                closed(&keys, |key| pages[0].help(key), false)
            }
        };
        of_type.push(if_type(&[&name], &def));
        defs.insert(def, table);
    }
    // A recipe beside the file is a type too.
    let kinds = json!({
        "description": "What it is.",
        "anyOf": [{ "enum": catalogue.names() }, { "type": "string" }],
    });
    let mut factory = with_type(kinds, of_type);
    factory["properties"]["steps"] =
        json!({ "type": ["array", "string"], "items": reference("step") });
    defs.insert("factory".to_owned(), factory);

    let mut words = Vec::new();
    let mut of_type = Vec::new();
    let pages = manual::steps();
    for page in &pages {
        let names = page.names();
        of_type.push(json!({
            "if": { "properties": { "type": { "enum": names } } },
            "then": reference(&page.name),
        }));
        words.extend(names);
        defs.insert(page.name.clone(), table(page, true));
    }
    let kind = json!({ "type": "string", "anyOf": spellings(&words) });
    let step = json!({
        "type": "object",
        "properties": { "type": kind },
        "required": ["type"],
        "allOf": of_type,
    });
    defs.insert("step".to_owned(), step);
    defs
}

/// `[factory.NAME]`: the name is the type of a section that says none; `all`
/// are such names with their types. What has another name is of the usual type.
fn named(
    word: &str,
    all: impl Iterator<Item = (String, String)>,
    any: &Json,
    usual: Option<&str>,
) -> Json {
    let says = ["type", "steps", "extends"].map(|it| json!({ "required": [it] }));
    let unless_said = |of: &str| {
        let known = reference(&format!("{word}.{of}"));
        json!({ "if": { "anyOf": says }, "then": any, "else": known })
    };
    let by_name = all.map(|(name, of)| (name, unless_said(&of)));
    json!({
        "type": "object",
        "properties": by_name.collect::<Map<_, _>>(),
        "additionalProperties": usual.map_or_else(|| any.clone(), unless_said),
    })
}

fn table(page: &Page, has_required: bool) -> Json {
    let mut table = closed(&page.keys, |key| page.help(key), has_required);
    table["description"] = page.summary.as_str().into();
    table
}

/// A table of these keys and no others.
fn closed(
    keys: &[Asked],
    help: impl Fn(&str) -> Option<(&'static str, &'static str)>,
    has_required: bool,
) -> Json {
    let mut properties = Map::new();
    for asked in keys {
        let mut schema = match asked.name.as_str() {
            "steps" => json!({ "type": ["array", "string"], "items": reference("step") }),
            _ => of_shape(asked.shape),
        };
        if let Some((default, help)) = help(&asked.name) {
            schema["description"] = match default {
                "" => help.to_owned(),
                default => format!("{help} Default: {default}."),
            }
            .into();
        }
        for older in &asked.older {
            let mut schema = schema.clone();
            schema["deprecated"] = true.into();
            properties.insert(older.clone(), schema);
        }
        if asked.shape.is_list() {
            for (sign, does) in [("+", "Appended to"), ("-", "Removed from")] {
                let mut schema = schema.clone();
                schema["description"] = format!("{does} `{}`.", asked.name).into();
                properties.insert(format!("{} {sign}", asked.name), schema);
            }
        }
        properties.insert(asked.name.clone(), schema);
    }
    let mut table = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    let required = keys.iter().filter(|it| it.required && has_required);
    let required: Vec<_> = required.map(|it| it.name.as_str()).collect();
    if !required.is_empty() {
        table["required"] = required.into();
    }
    table
}

/// What a value of this shape looks like. A text is read as what it says.
fn of_shape(shape: Shape) -> Json {
    match shape {
        Shape::Text | Shape::Template | Shape::Path => json!({ "type": "string" }),
        Shape::Pattern => json!({ "type": "string", "format": "regex" }),
        Shape::Expression => json!({ "type": ["string", "boolean"] }),
        Shape::Bool => json!({
            "type": ["boolean", "string", "integer"],
            "enum": [true, false, "yes", "no", "on", "off", "true", "false", 1, 0, "1", "0"],
        }),
        Shape::Int => json!({ "type": ["integer", "string"], "pattern": r"^-?[0-9]+$|\{\{" }),
        Shape::Number | Shape::Duration => json!({ "type": ["number", "string"] }),
        Shape::Size | Shape::Port => json!({ "type": ["integer", "string"] }),
        Shape::Command => json!({ "type": ["string", "array"], "items": { "type": "string" } }),
        Shape::Any | Shape::Json => json!({}),
        Shape::List(item) | Shape::Lines(item) | Shape::Items(item) => {
            json!({ "type": ["string", "array"], "items": of_shape(*item) })
        }
        Shape::OneOrMore(item) => {
            let item = of_shape(*item);
            json!({ "anyOf": [item, { "type": "array", "items": item }] })
        }
        Shape::OrExpression(inner) => of_shape(*inner),
        Shape::Map(item) => json!({ "type": "object", "additionalProperties": of_shape(*item) }),
        Shape::OrMap(one, each) => json!({
            "anyOf": [
                of_shape(*one),
                { "type": "object", "additionalProperties": of_shape(*each) },
            ],
        }),
        Shape::Word(words) => json!({ "enum": words }),
        Shape::OrNone(Shape::Template) => json!({ "type": ["string", "boolean"] }),
        Shape::OrNone(inner) => json!({ "anyOf": [of_shape(*inner), { "enum": ["none"] }] }),
    }
}
